"""Diversity inside of each text: repeated n-grams, moving-average type-token ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.metrics.rows import Row, ratio, scores_of
from harness.metrics.tokenize import IntArray, Tokens
from harness.metrics.wording import Scheme, WordMetric, checked_texts, ngrams, texts_of, words
from harness.types import FloatArray, Output, Sample, Scores


@dataclass(frozen=True, repr=False)
class MeanOverTexts(WordMetric):
    """Base of the metrics whose value is the mean of a number a text. A subclass gives :meth:`of_texts`.

    A text whose number is NaN is a missing row, because of :attr:`too_short`. Undefined for no rows.
    """

    columns: ClassVar[tuple[str, ...]] = ("value", "n")

    @property
    def too_short(self) -> str:
        """Why a text has no number."""
        return "the text has no word"

    def of_texts(self, tokens: Tokens) -> FloatArray:
        """The number of each text, ``float64[n]``; NaN where it has none."""
        raise NotImplementedError(f"{type(self).__name__}.of_texts")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a text: its number, 1."""
        texts, missing = texts_of(outputs)
        values = iter(self.of_texts(words(texts, self.scheme)).tolist())
        return scores_of((missing[row] if row in missing else self._row(next(values)) for row in range(len(outputs))), 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """The weighted mean."""
        return ratio(totals[..., 0], totals[..., 1])

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        """0 and 1, where these bound the value."""
        if self.bounds != (0.0, 1.0) or self.higher_is_better is None:
            return None
        ends = np.array([0.0, 1.0]), np.array([1.0, 1.0])
        return ends if self.higher_is_better else ends[::-1]

    def over(self, texts: Sequence[str]) -> float:
        """The mean over these texts, those without a number left out. Raises MetricError where one is no text."""
        values = self.of_texts(words(checked_texts(self.name, texts), self.scheme))
        values = values[~np.isnan(values)]
        return float(values.mean()) if len(values) else float("nan")

    def _row(self, value: float) -> Row:
        return self.too_short if value != value else (value, 1.0)


@dataclass(frozen=True, repr=False)
class Repetition(MeanOverTexts):
    """1 - different n-grams / n-grams of a text, the mean over texts; 0–1, lower is better.

    0: no n-gram of a text occurs twice in it. Texts of fewer than n words are missing.
    """

    n: int = 4

    name: ClassVar[str] = "repetition"
    summary: ClassVar[str] = "share of the n-grams of a text that repeat earlier ones (seq-rep-n), mean over texts"
    higher_is_better: ClassVar[bool | None] = False
    formula: ClassVar[str] = "mean of 1 - |set of n-grams| / |n-grams|"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = "Welleck et al. 2020, Neural Text Generation with Unlikelihood Training"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(isinstance(self.n, int) and self.n >= 1, "n", "a positive integer")

    @property
    def too_short(self) -> str:
        return f"the text has fewer than {self.n} words"

    def of_texts(self, tokens: Tokens) -> FloatArray:
        grams = ngrams(tokens, self.n)
        return 1.0 - ratio(grams.distinct().astype(np.float64), grams.lengths.astype(np.float64))


@dataclass(frozen=True, repr=False)
class MovingAverageTtr(MeanOverTexts):
    """Mean type-token ratio of all windows of ``window`` words of a text, the mean over texts; 0–1, higher is more diverse.

    Unlike ``ttr`` it does not fall with the length of a text. A text shorter than the window is one window (lexicalrichness
    refuses it); a text without a word is missing. All windows of all texts are counted in one pass: a word is new in those
    windows that begin after its last occurrence.
    """

    window: int = 50

    name: ClassVar[str] = "mattr"
    summary: ClassVar[str] = "moving-average type-token ratio of a text, mean over texts"
    formula: ClassVar[str] = "mean over windows of |set of words| / window, then over texts"
    reference: ClassVar[str] = "lexicalrichness 0.5.1 LexicalRichness.mattr"
    paper: ClassVar[str] = "Covington and McFall 2010, Cutting the Gordian Knot: The Moving-Average Type-Token Ratio"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(isinstance(self.window, int) and self.window >= 1, "window", "a positive integer")

    def of_texts(self, tokens: Tokens) -> FloatArray:
        lengths = tokens.lengths
        text = np.repeat(np.arange(len(lengths)), lengths)
        place = np.arange(len(text)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        windows = np.maximum(lengths - self.window + 1, 1)
        first = np.maximum(_place_before(tokens.ids, text, place) + 1, place - self.window + 1)
        new_in = np.minimum(place, windows[text] - 1) - np.maximum(first, 0) + 1
        found = np.bincount(text, np.maximum(new_in, 0), minlength=len(lengths))
        return ratio(found.astype(np.float64), (windows * np.minimum(lengths, self.window)).astype(np.float64))


def repetition(texts: Sequence[str], *, n: int = 4, tokenize: Scheme = "ascii") -> float:
    """Mean share of repeated n-grams; see :class:`Repetition`. NaN where no text has n words.

    >>> repetition(["a b a b a b"], n=2)
    0.6
    """
    return Repetition(n, tokenize=tokenize).over(texts)


def mattr(texts: Sequence[str], *, window: int = 50, tokenize: Scheme = "ascii") -> float:
    """Mean moving-average type-token ratio; see :class:`MovingAverageTtr`. NaN without a word.

    >>> mattr(["a b a a"], window=2)  # windows: a b, b a, a a
    0.8333333333333334
    """
    return MovingAverageTtr(window, tokenize=tokenize).over(texts)


def _place_before(ids: IntArray, text: IntArray, place: IntArray) -> IntArray:
    """For each word the place in its text where the same word stood last; -1 for the first of its kind."""
    order = np.lexsort((place, ids, text))
    same = np.append(False, (ids[order][1:] == ids[order][:-1]) & (text[order][1:] == text[order][:-1]))[: len(ids)]
    before = np.full(len(ids), -1)
    before[order[same]] = place[order[np.flatnonzero(same) - 1]]
    return before
