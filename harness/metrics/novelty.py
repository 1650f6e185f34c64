"""What outputs say that a file, or the references, do not: words out of a vocabulary, n-grams or whole texts that are new."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal, Self, get_args

import numpy as np

from harness.errors import MetricError
from harness.metrics.rows import Row, ratio, scores_of
from harness.metrics.tokenize import IntArray, Tokens
from harness.metrics.wording import Scheme, WordMetric, checked_texts, ngrams, texts_of, words
from harness.protocols import Scope
from harness.types import FloatArray, Output, Sample, Scores

Counted = Literal["ngram", "text"]


@dataclass(frozen=True, repr=False)
class ShareNotInFile(WordMetric):
    """Base of the metrics that count what is not in a file, or without a file, in the references of all samples.

    A subclass gives :meth:`of_tokens` and :attr:`file`. Where there is neither file nor reference everything is missing.
    """

    columns: ClassVar[tuple[str, ...]] = ("new", "total")
    scope: ClassVar[Scope] = "corpus"

    references: tuple[str, ...] = field(default=(), repr=False, compare=False, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.file is None:
            object.__setattr__(self, "needs", self.needs | {"references"})

    @property
    def file(self) -> Path | None:
        """The file that outputs are held against: UTF-8 text, cut into words as the outputs are."""
        raise NotImplementedError(f"{type(self).__name__}.file")

    def of_tokens(self, tokens: Tokens, n_texts: int) -> tuple[IntArray, IntArray]:
        """What is new in each of the first ``n_texts`` texts, and how much there is; the other texts are the file's lines."""
        raise NotImplementedError(f"{type(self).__name__}.of_tokens")

    def prepare(self, samples: Iterable[Sample]) -> Self:
        if self.file is not None:
            return super().prepare(samples)
        known = list(samples)
        references = dict.fromkeys(reference for sample in known for reference in sample.references)
        return replace(super().prepare(known), references=tuple(references))

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row an output: what is new, what there is. Raises MetricError where the file cannot be read."""
        if self.file is None and not self.references:
            return scores_of(["there is neither a file nor a reference to hold the outputs against"] * len(outputs), 2)
        texts, missing = texts_of(outputs)
        counts = iter(self._counts(texts))
        rows: list[Row] = [missing[row] if row in missing else next(counts) for row in range(len(outputs))]
        return scores_of(rows, 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """Σ new / Σ total."""
        return ratio(totals[..., 0], totals[..., 1])

    def over(self, texts: Sequence[str]) -> float:
        """The share over these texts together; NaN where there is nothing to count."""
        counts = np.array(self._counts(checked_texts(self.name, texts))).reshape(-1, 2)
        return float(self.finish(counts.sum(axis=0)))

    def _counts(self, texts: Sequence[str]) -> list[tuple[float, float]]:
        lines = self.references if self.file is None else _lines(self.name, self.file)
        new, total = self.of_tokens(words([*texts, *lines], self.scheme), len(texts))
        return [(float(a), float(b)) for a, b in zip(new, total)]


@dataclass(frozen=True, repr=False)
class OovRate(ShareNotInFile):
    """Words of the outputs that are not in a vocabulary / all of their words; 0–1, lower is better.

    ``vocabulary`` : a file of words, UTF-8, usually one a line; it is cut into words, and its case is folded, as the outputs
    are. Without it the words of all references of the task are the vocabulary. An output without a word adds nothing;
    undefined where none has one.
    """

    vocabulary: Path | None = None

    name: ClassVar[str] = "oov_rate"
    summary: ClassVar[str] = "share of the words of the outputs that a vocabulary file does not have"
    higher_is_better: ClassVar[bool | None] = False
    formula: ClassVar[str] = "Σ words not in the vocabulary / Σ words"
    reference: ClassVar[str] = "hand-worked"

    @property
    def file(self) -> Path | None:
        return self.vocabulary

    def of_tokens(self, tokens: Tokens, n_texts: int) -> tuple[IntArray, IntArray]:
        return _new_ngrams(tokens, 1, n_texts)


@dataclass(frozen=True, repr=False)
class Novelty(ShareNotInFile):
    """What of the outputs is not in a file (training data, a source); 0–1, higher is newer.

    ``of=ngram`` : n-grams of the outputs that no line of the file has / all of their n-grams, each as often as it occurs.
    ``of=text`` : outputs whose words, in their order, are no whole line of the file / outputs (``n`` plays no part).
    ``against`` : UTF-8 text, one text a line; n-grams do not go on from one line to the next. It is cut into words as the
    outputs are. Without it all references of the task take its place. Outputs of fewer than n words add nothing to
    ``of=ngram``; undefined where there is nothing to count.
    """

    against: Path | None = None
    n: int = 4
    of: Counted = "ngram"

    name: ClassVar[str] = "novelty"
    summary: ClassVar[str] = "share of the n-grams of the outputs, or of the outputs, that a file does not have"
    formula: ClassVar[str] = "Σ n-grams not in the file / Σ n-grams; or outputs that are no line of it / outputs"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = "See et al. 2017, Get To The Point: Summarization with Pointer-Generator Networks (novel n-grams)"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(isinstance(self.n, int) and self.n >= 1, "n", "a positive integer")
        self.require(self.of in get_args(Counted), "of", f"one of {', '.join(get_args(Counted))}")

    @property
    def file(self) -> Path | None:
        return self.against

    def of_tokens(self, tokens: Tokens, n_texts: int) -> tuple[IntArray, IntArray]:
        if self.of == "ngram":
            return _new_ngrams(tokens, self.n, n_texts)
        ends = np.cumsum(tokens.lengths)
        whole = [tokens.ids[end - length : end].tobytes() for end, length in zip(ends.tolist(), tokens.lengths.tolist())]
        known = set(whole[n_texts:])
        return np.array([text not in known for text in whole[:n_texts]], dtype=np.int64), np.ones(n_texts, dtype=np.int64)


def oov_rate(texts: Sequence[str], *, vocabulary: Path | Sequence[str], tokenize: Scheme = "ascii") -> float:
    """Share of the words of texts that a vocabulary (a file, or texts) lacks; see :class:`OovRate`. NaN without a word.

    >>> oov_rate(["the cat meows"], vocabulary=["cat", "dog", "the"])
    0.3333333333333333
    """
    path, known = _file_or_texts("oov_rate", vocabulary)
    return OovRate(path, references=known, tokenize=tokenize).over(texts)


def novelty(texts: Sequence[str], *, against: Path | Sequence[str], n: int = 4, of: Counted = "ngram",
            tokenize: Scheme = "ascii") -> float:
    """Share of the n-grams of texts, or of texts, that a file (or other texts) lack; see :class:`Novelty`.

    >>> novelty(["the cat ran"], against=["the cat sat", "a dog ran"], n=2)
    0.5

    NaN where there is nothing to count.
    """
    path, known = _file_or_texts("novelty", against)
    return Novelty(path, n, of, references=known, tokenize=tokenize).over(texts)


def _file_or_texts(name: str, given: Path | Sequence[str]) -> tuple[Path | None, tuple[str, ...]]:
    return (given, ()) if isinstance(given, Path) else (None, tuple(checked_texts(name, given)))


def _new_ngrams(tokens: Tokens, n: int, n_texts: int) -> tuple[IntArray, IntArray]:
    """For each of the first ``n_texts`` texts: n-grams that no other text has, all n-grams."""
    grams = ngrams(tokens, n)
    n_own = int(grams.lengths[:n_texts].sum())
    known = np.zeros(grams.size, dtype=bool)
    known[grams.ids[n_own:]] = True
    new = np.bincount(grams.texts[:n_own], ~known[grams.ids[:n_own]], minlength=n_texts)
    return new[:n_texts].astype(np.int64), grams.lengths[:n_texts]


def _lines(name: str, path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise MetricError(f"{name}: the file must be readable UTF-8 text, got {str(path)!r}: {error}") from error
