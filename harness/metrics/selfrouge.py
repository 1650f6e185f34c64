"""Self-ROUGE: how much outputs resemble each other, pair by pair."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeAlias, get_args

import numpy as np

from harness.metrics.lcs import lcs_lengths
from harness.metrics.pairwise import Pairs, some_pairs
from harness.metrics.pooled import PooledMetric, too_few
from harness.metrics.rougetokens import Alphabet, rouge_tokens
from harness.metrics.stemming import Stems
from harness.metrics.tokenize import IntArray, Tokens
from harness.metrics.wording import checked_texts, texts_of
from harness.types import FloatArray, Output, Sample

Kind = Literal["1", "2", "3", "4", "5", "6", "7", "8", "9", "L"]

_CHUNK = 20_000
"""Pairs whose words are held at a time."""


@dataclass(frozen=True, slots=True)
class _Grams:
    """Of n outputs: the k-th time that output ``text[i]`` has a certain n-gram is ``key[i]``; ``totals`` : its n-grams."""

    key: IntArray
    text: IntArray
    totals: IntArray


_Pool: TypeAlias = _Grams | Pairs


@dataclass(frozen=True, repr=False)
class SelfRouge(PooledMetric):
    """Mean ROUGE F of two different outputs, over all pairs. Range 0–1, lower is more diverse.

    This is the homogenisation score with ROUGE as the similarity: for each output the mean ROUGE against every other one, and
    the mean of that over outputs. F is the same in both directions, so that ordered and unordered pairs agree.

    Parameters
    ----------
    type : ``1``–``9``: n-grams. Exact for any number of outputs, and no pair of texts is ever compared: with the number of
        outputs of each length that have an n-gram at least k times, the overlaps of all pairs are a matrix product.
        ``L``: longest common subsequence, exact for up to 1,414 outputs (1,000,000 pairs); of more outputs 1,000,000 pairs are
        drawn with ``seed`` (standard error at most 0.0005), the same ones in whatever order the outputs come.
    stemmer, tokenize : as for ``rouge``.

    Two outputs of which one has no n-gram share nothing: F is 0, as rouge-score has it. Undefined for fewer than two outputs,
    and where no output has one (the mean of rouge-score's F is 0 there).
    Duplicates are what it measures, so that its interval comes from random halves.

    Padmakumar & He 2024. Equals the mean of rouge-score's F over all pairs.

    >>> round(SelfRouge("1").over(["a b", "a c", "x y"]), 4)
    0.1667
    """

    type: Kind = "L"
    stemmer: bool = False
    tokenize: Alphabet | None = None
    seed: int = 0

    name: ClassVar[str] = "self_rouge"
    family: ClassVar[str] = "diversity"
    summary: ClassVar[str] = "mean ROUGE F of two outputs, over all pairs"
    needs: ClassVar[frozenset[str]] = frozenset({"text"})
    higher_is_better: ClassVar[bool | None] = False
    formula: ClassVar[str] = "mean over pairs of 2·overlap / (units of a + units of b)"
    reference: ClassVar[str] = "rouge-score 0.1.2 rouge_scorer.RougeScorer, over all pairs"
    paper: ClassVar[str] = "Padmakumar & He 2024, Does Writing with Language Models Reduce Content Diversity?"

    def __post_init__(self) -> None:
        object.__setattr__(self, "type", str(self.type))
        self.require(self.type in get_args(Kind), "type", f"one of {', '.join(get_args(Kind))}")
        self.require(self.tokenize in (None, *get_args(Alphabet)), "tokenize", f"one of {', '.join(get_args(Alphabet))}")
        self.require(self.seed >= 0, "seed", "an integer of at least 0")

    def for_language(self, language: str) -> SelfRouge:
        if self.tokenize is not None:
            return self
        return replace(self, tokenize="ascii" if language.lower().split("-")[0] == "en" else "unicode")

    def signature(self) -> str:
        return super(SelfRouge, replace(self, tokenize=self.tokenize or "ascii")).signature()

    def gather(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[_Pool, Mapping[int, str]]:
        texts, missing = texts_of(outputs)
        return self._pooled(texts), missing

    def of_rows(self, rows: IntArray) -> float:
        return self._mean(self.pool, rows)

    def over(self, texts: Sequence[str]) -> float:
        """Self-ROUGE of these texts; NaN for fewer than two. Raises MetricError where one is no text."""
        return self._mean(self._pooled(checked_texts(self.name, texts)), np.arange(len(texts)))

    def why_undefined(self, stats: FloatArray) -> str | None:
        return too_few(stats, "answers") or "no answer has a unit to compare"

    def _pooled(self, texts: Sequence[str]) -> _Pool:
        tokens = rouge_tokens(texts, self.tokenize or "ascii", Stems(longer_than=3) if self.stemmer else None).words
        return _lcs_pairs(tokens, *some_pairs(texts, self.seed)) if self.type == "L" else _grams(tokens, int(self.type))

    def _mean(self, pool: _Pool, rows: IntArray) -> float:
        if len(rows) < 2:
            return math.nan
        if isinstance(pool, _Grams):
            return _mean_over_all_pairs(pool, rows) if pool.totals[rows].any() else math.nan
        chosen = np.zeros(int(max(rows.max(), pool.second.max(initial=0))) + 1, dtype=np.bool_)
        chosen[rows] = True
        both = chosen[pool.first] & chosen[pool.second]
        return float(pool.similarity[both].mean()) if both.any() else math.nan


def self_rouge(texts: Sequence[str], *, type: Kind = "L", stemmer: bool = False, tokenize: Alphabet | None = None,  # noqa: A002
               seed: int = 0) -> float:
    """Self-ROUGE of some outputs; see :class:`SelfRouge`. NaN for fewer than two.

    >>> self_rouge(["one and the same thing", "one and the same thing"])
    1.0
    """
    return SelfRouge(type, stemmer, tokenize, seed).over(texts)


def _lcs_pairs(tokens: Tokens, first: IntArray, second: IntArray) -> Pairs:
    """ROUGE-L of each pair of texts."""
    starts = np.cumsum(tokens.lengths) - tokens.lengths
    similarity = np.zeros(len(first))
    for start in range(0, len(first), _CHUNK):
        chunk = np.concatenate([first[start:start + _CHUNK], second[start:start + _CHUNK]])
        lengths = tokens.lengths[chunk]
        within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        common = lcs_lengths(Tokens(tokens.ids[np.repeat(starts[chunk], lengths) + within], lengths))
        both = lengths[:len(common)] + lengths[len(common):]
        similarity[start:start + _CHUNK] = 2 * common / np.maximum(both, 1)
    return Pairs(first, second, similarity if tokens.lengths.any() else np.full(len(first), np.nan))


def _grams(tokens: Tokens, order: int) -> _Grams:
    text = np.repeat(np.arange(len(tokens.lengths)), tokens.lengths)
    code = tokens.ids
    for ahead in range(1, order):  # codes are made dense again each time, so that they never overflow
        follows = np.flatnonzero(text[:-ahead] == text[ahead:])
        pair = code[follows] * (int(tokens.ids.max(initial=0)) + 1) + tokens.ids[follows + ahead]
        code = np.zeros(len(text), dtype=np.int64)
        code[follows] = np.unique(pair, return_inverse=True)[1]
    last = order - 1
    there = np.flatnonzero(text[:len(text) - last] == text[last:]) if len(text) > last else np.zeros(0, dtype=np.int64)
    arranged = there[np.lexsort((text[there], code[there]))]
    gram, text = code[arranged], text[arranged]
    runs = np.flatnonzero((np.diff(gram, prepend=-1) != 0) | (np.diff(text, prepend=-1) != 0))
    occurrence = np.arange(len(gram)) - np.repeat(runs, np.diff(np.append(runs, len(gram))))
    key = np.unique(gram * (int(occurrence.max(initial=0)) + 1) + occurrence, return_inverse=True)[1]
    return _Grams(key, text, np.maximum(tokens.lengths - last, 0))


def _mean_over_all_pairs(grams: _Grams, rows: IntArray) -> float:
    """Mean of 2·overlap / (total + total) over pairs of different rows.

    Overlap is the number of keys that both have. With H[k, l] the number of rows of total l that have key k, HᵀH sums the
    overlaps of all pairs of rows (ordered, each with itself too) by the totals of both.
    """
    from scipy.sparse import csr_array

    chosen = np.zeros(len(grams.totals), dtype=np.bool_)
    chosen[rows] = True
    there = chosen[grams.text]
    totals, number = np.unique(grams.totals, return_inverse=True)
    keys, lengths = grams.key[there], number[grams.text[there]]
    shape = (int(keys.max(initial=0)) + 1, len(totals))
    having = csr_array((np.ones(len(keys)), (keys, lengths)), shape=shape)
    overlaps: FloatArray = (having.T @ having).toarray()
    with_itself = int(np.count_nonzero(grams.totals[rows]))  # F = 1 each
    summed = float((2 * overlaps / np.maximum(totals[:, None] + totals, 1)).sum()) - with_itself
    return max(summed, 0.0) / (len(rows) * (len(rows) - 1))
