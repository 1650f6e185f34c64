"""Diversity of many outputs together: distinct n-grams, type-token ratio, Yule's K, entropy of the n-grams."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.metrics.pooled import PooledMetric, pool_rows
from harness.metrics.tokenize import IntArray
from harness.metrics.wording import Ngrams, Scheme, WordMetric, checked_texts, ngrams, texts_of, words
from harness.protocols import Interval
from harness.types import FloatArray, Output, Sample


@dataclass(frozen=True, repr=False)
class NgramCounts(PooledMetric, WordMetric):
    """Base of the metrics of how often each n-gram of all outputs together occurs. A subclass gives :meth:`of_counts`.

    n-grams lie within one output. Outputs without an n-gram add nothing; where none has one the value is undefined.
    """

    n: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(isinstance(self.n, int) and self.n >= 1, "n", "a positive integer")

    def of_counts(self, counts: IntArray) -> float:
        """The value from the counts of the n-grams that there are: all positive, at least one."""
        raise NotImplementedError(f"{type(self).__name__}.of_counts")

    def gather(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[Ngrams, Mapping[int, str]]:
        texts, missing = texts_of(outputs)
        return self._ngrams(texts), missing

    def of_rows(self, rows: IntArray) -> float:
        counts = self.pool.counts(rows)
        return self.of_counts(counts) if len(counts) else math.nan

    def why_undefined(self, stats: FloatArray) -> str | None:
        if len(self.pool.counts(pool_rows(stats))):
            return None
        return "no answer has a word" if self.n == 1 else f"no answer has {self.n} words"

    def over(self, texts: Sequence[str]) -> float:
        """The value of these texts together; NaN where they have no n-gram. Raises MetricError where one is no text."""
        counts = self._ngrams(checked_texts(self.name, texts)).counts()
        return self.of_counts(counts) if len(counts) else math.nan

    def _ngrams(self, texts: Sequence[str]) -> Ngrams:
        return ngrams(words(texts, self.scheme), self.n)


@dataclass(frozen=True, repr=False)
class Distinct(NgramCounts):
    """Different n-grams / all n-grams, over all outputs together; 0–1, higher is more diverse. ``ttr`` is the case n = 1.

    It falls as texts get longer or more: compare equal numbers of outputs of like length. Undefined without an n-gram.
    Duplicates are what it measures, so that its interval comes from random halves. Equals lexicalrichness ``ttr`` for n = 1.
    """

    n: int = 2

    name: ClassVar[str] = "distinct"
    summary: ClassVar[str] = "share of different n-grams in all outputs together (distinct-n; ttr is n = 1)"
    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {"ttr": {"n": 1}}
    formula: ClassVar[str] = "|set of n-grams| / |n-grams|"
    reference: ClassVar[str] = "hand-worked; n = 1: lexicalrichness 0.5.1 LexicalRichness.ttr"
    paper: ClassVar[str] = "Li et al. 2016, A Diversity-Promoting Objective Function for Neural Conversation Models"

    def of_counts(self, counts: IntArray) -> float:
        return len(counts) / int(counts.sum())


@dataclass(frozen=True, repr=False)
class UniqueNgrams(NgramCounts):
    """The number of different n-grams in all outputs together; from 0 upwards, higher is more diverse.

    A count that grows with the outputs: it has no interval (the share, ``distinct``, has one) and compares only between as
    many outputs of like length. 0, not undefined, without an n-gram.
    """

    n: int = 2

    name: ClassVar[str] = "unique_ngrams"
    summary: ClassVar[str] = "number of different n-grams in all outputs together"
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    unit: ClassVar[str] = "n-grams"
    interval: ClassVar[Interval] = "none"
    formula: ClassVar[str] = "|set of n-grams|"
    reference: ClassVar[str] = "hand-worked"

    def of_rows(self, rows: IntArray) -> float:
        return float(len(self.pool.counts(rows))) if len(rows) else math.nan

    def of_counts(self, counts: IntArray) -> float:
        return float(len(counts))

    def over(self, texts: Sequence[str]) -> float:
        return float(len(self._ngrams(checked_texts(self.name, texts)).counts())) if len(texts) else math.nan


@dataclass(frozen=True, repr=False)
class NgramEntropy(NgramCounts):
    """Shannon entropy of the n-grams of all outputs together; from 0 (one n-gram only) upwards, higher is more diverse.

    H = -Σ p log p with p the share of an n-gram, in bits (``base`` 2) or in another base (2.718281828… nats). At most the
    logarithm of the number of n-grams. Undefined without an n-gram. Equals ``scipy.stats.entropy`` of the counts.
    """

    base: float = 2.0

    name: ClassVar[str] = "entropy"
    summary: ClassVar[str] = "Shannon entropy of the n-grams of all outputs together, in bits"
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    formula: ClassVar[str] = "-Σ p·log_base(p), p = count of an n-gram / count of all"
    reference: ClassVar[str] = "scipy.stats.entropy"
    paper: ClassVar[str] = "Shannon 1948; Zhang et al. 2018, Generating Informative and Diverse Conversational Responses"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(1 < self.base < math.inf, "base", "above 1 and finite")

    def of_counts(self, counts: IntArray) -> float:
        shares = counts / counts.sum()
        return max(0.0, -float((shares * np.log(shares)).sum()) / math.log(self.base))


@dataclass(frozen=True, repr=False)
class YuleK(NgramCounts):
    """Yule's characteristic K of the words of all outputs together; from 0 upwards, lower is more diverse.

    K = 10⁴ · (Σ c² - N) / N², c the counts of the words and N their sum: 10⁴ times the chance, nearly, that two words drawn are
    the same; it hardly depends on the length. With n > 1 that of n-grams. 0 if no word occurs twice, undefined without a word.
    Equals lexicalrichness ``yulek``.
    """

    name: ClassVar[str] = "yule_k"
    summary: ClassVar[str] = "Yule's K: how much the words of all outputs repeat, hardly dependent on their number"
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, 1e4)
    formula: ClassVar[str] = "10⁴·(Σ c² - N) / N²"
    reference: ClassVar[str] = "lexicalrichness 0.5.1 LexicalRichness.yulek"
    paper: ClassVar[str] = "Yule 1944, The Statistical Study of Literary Vocabulary; Tweedie and Baayen 1998"

    def of_counts(self, counts: IntArray) -> float:
        total = int(counts.sum())
        return 1e4 * (float((counts.astype(np.float64) ** 2).sum()) - total) / total**2


# ── over lists ──────────────────────────────────────────────────────────────────────────────────────────────────────


def distinct(texts: Sequence[str], *, n: int = 2, tokenize: Scheme = "ascii") -> float:
    """Share of different n-grams in all texts together; see :class:`Distinct`. NaN without an n-gram.

    >>> distinct(["a b a b", "b a"])
    0.5
    """
    return Distinct(n, tokenize=tokenize).over(texts)


def ttr(texts: Sequence[str], *, tokenize: Scheme = "ascii") -> float:
    """Type-token ratio of all texts together, ``distinct`` with n = 1. NaN without a word.

    >>> ttr(["the cat and the dog"])
    0.8
    """
    return distinct(texts, n=1, tokenize=tokenize)


def unique_ngrams(texts: Sequence[str], *, n: int = 2, tokenize: Scheme = "ascii") -> float:
    """Number of different n-grams in all texts together; NaN without a text.

    >>> unique_ngrams(["a b a b", "b a"])
    2.0
    """
    return UniqueNgrams(n, tokenize=tokenize).over(texts)


def entropy(texts: Sequence[str], *, n: int = 1, base: float = 2.0, tokenize: Scheme = "ascii") -> float:
    """Entropy of the n-grams of all texts together; see :class:`NgramEntropy`. NaN without an n-gram.

    >>> entropy(["a b", "c d"])
    2.0
    """
    return NgramEntropy(n, base, tokenize=tokenize).over(texts)


def yule_k(texts: Sequence[str], *, n: int = 1, tokenize: Scheme = "ascii") -> float:
    """Yule's K of the words of all texts together; see :class:`YuleK`. NaN without a word.

    >>> yule_k(["a a b"])  # 10⁴ · (2² + 1² - 3) / 3²
    2222.222222222222
    """
    return YuleK(n, tokenize=tokenize).over(texts)
