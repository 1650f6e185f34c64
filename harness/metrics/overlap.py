"""Whether an answer contains a reference or matches a pattern, and how many words it shares."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, get_args

import numpy as np

from harness.errors import MetricError
from harness.metrics.extraction import extractor
from harness.metrics.references import References
from harness.metrics.rows import Row
from harness.metrics.text import Normalization, normal_form
from harness.metrics.textrows import TextRows
from harness.metrics.wording import Scheme, WordMetric, ngrams, words
from harness.protocols import Interval
from harness.types import FloatArray, Output, Sample


@dataclass(frozen=True, repr=False)
class Contains(TextRows):
    """Share of answers in which one of their references occurs. Range 0–1, higher is better.

    Parameters
    ----------
    normalize : applied to both sides, as for ``exact_match``; by default lower case without surplus white space.
    whole_words : letters, digits and underscores may not go on at either end: "12" is not in "2012".
    extract : what of the prediction is looked at, as for ``exact_match``.

    Statistics: ``hit`` (0 or 1) and 1, a row a sample. A reference of which nothing is left is in no text but an empty one. No
    rows: NaN.

    >>> Contains().over(["It is in Paris, France.", "Lyon"], [["London", "paris"], ["Nice"]]).value
    0.5
    """

    normalize: Normalization = "lower"
    whole_words: bool = False
    extract: str | None = None

    name: ClassVar[str] = "contains"
    summary: ClassVar[str] = "share of answers in which a reference occurs"
    interval: ClassVar[Interval] = "wilson"
    columns: ClassVar[tuple[str, ...]] = ("hit", "n")
    formula: ClassVar[str] = "answers with a reference as a substring, both normalised / answers"
    reference: ClassVar[str] = "hand-worked"

    def __post_init__(self) -> None:
        self.require(self.normalize in get_args(Normalization), "normalize", f"one of {', '.join(get_args(Normalization))}")
        extractor(self.extract, self.name)

    def compare(self, texts: Sequence[str], others: Sequence[Sequence[str]]) -> Iterable[Row]:
        form, answer = normal_form(self.normalize), extractor(self.extract, self.name)
        for text, item in zip(texts, others):
            inside = form(answer(text))
            yield float(any(self._has(inside, form(other)) for other in item)), 1.0

    def _has(self, text: str, wanted: str) -> bool:
        if not wanted:
            return not text
        if not self.whole_words:
            return wanted in text
        return re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", text) is not None


@dataclass(frozen=True, repr=False)
class RegexMatch(TextRows):
    """Share of answers that match a regular expression. Range 0–1, higher is better.

    Parameters
    ----------
    pattern : looked for anywhere in the answer (write ``^`` and ``$`` for all of it). Without it the references are the
        patterns, and one of them has to match.
    flags : letters out of ``imsx``, as in Python: ignore case, ``^$`` at each line, ``.`` also a line's end, verbose.

    Statistics: ``hit`` (0 or 1) and 1, a row a sample. A reference that is no regular expression makes a missing row. No rows:
    NaN. Patterns are those of Python's ``re``; in a run, a sample on which one backtracks without end is missing (see
    ``scoring.timeout_s``).

    >>> RegexMatch(r"\\b[A-D]\\b").over(["Answer: B", "none of them"], ["", ""]).value
    0.5
    """

    pattern: str | None = None
    flags: str = ""

    name: ClassVar[str] = "regex_match"
    summary: ClassVar[str] = "share of answers that match a regular expression (the parameter's, or a reference)"
    needs: ClassVar[frozenset[str]] = frozenset({"text", "references"})
    interval: ClassVar[Interval] = "wilson"
    columns: ClassVar[tuple[str, ...]] = ("hit", "n")
    formula: ClassVar[str] = "answers in which the pattern is found / answers"
    reference: ClassVar[str] = "Python re.search"

    def __post_init__(self) -> None:
        self.require(set(self.flags) <= set("imsx"), "flags", "letters out of imsx")
        if self.pattern is None:
            return
        object.__setattr__(self, "needs", frozenset({"text"}))
        try:
            self._compiled(self.pattern)
        except re.error as error:
            raise MetricError(f"{self.name}: pattern must be a regular expression, got {self.pattern!r} ({error})") from error

    @property
    def may_hang(self) -> bool:
        """The parameter's pattern and those of the references are somebody's own."""
        return True

    def beside(self, sample: Sample, output: Output) -> Sequence[str] | str:
        return super().beside(sample, output) if self.pattern is None else (self.pattern,)

    def compare(self, texts: Sequence[str], others: Sequence[Sequence[str]]) -> Iterable[Row]:
        for text, item in zip(texts, others):
            patterns = item if self.pattern is None else (self.pattern,)
            try:
                yield float(any(self._compiled(pattern).search(text) for pattern in patterns)), 1.0
            except re.error as error:
                yield f"a reference is no regular expression: {error}"

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        """A miss and a hit."""
        if self.pattern is None and not sample.references:
            return None
        return np.array([0.0, 1.0]), np.array([1.0, 1.0])

    def _compiled(self, pattern: str) -> re.Pattern[str]:
        return re.compile(f"(?{self.flags}){pattern}" if self.flags else pattern)


@dataclass(frozen=True, repr=False)
class Jaccard(TextRows, WordMetric):
    """Shared different n-grams over all different n-grams of answer and reference, the mean; 0–1, higher is better.

    Parameters
    ----------
    n : length of the n-grams, in words.
    tokenize : as for all metrics that cut words: by the task's language, ``ascii`` for English.

    Statistics: ``jaccard`` of the most similar reference and 1, a row a sample. Where neither the answer nor any reference has
    n words it is undefined: a missing row. No rows: NaN.

    Jaccard 1901, "Étude comparative de la distribution florale".

    >>> Jaccard().over(["a black cat"], ["the black cat sat"]).value
    0.4
    """

    n: int = 1

    name: ClassVar[str] = "jaccard"
    summary: ClassVar[str] = "shared over all different n-grams of answer and most similar reference"
    columns: ClassVar[tuple[str, ...]] = ("jaccard", "n")
    formula: ClassVar[str] = "mean of max over references of |A ∩ B| / |A ∪ B|, sets of n-grams"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = "Jaccard 1901, Étude comparative de la distribution florale"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(isinstance(self.n, int) and self.n >= 1, "n", "a positive integer")

    def compare(self, texts: Sequence[str], others: Sequence[Sequence[str]]) -> Iterable[Row]:
        grams = ngrams(words([*texts, *(other for item in others for other in item)], self.scheme), self.n)
        ends = np.cumsum(grams.lengths).tolist()
        sets = [set(grams.ids[end - length:end].tolist()) for end, length in zip(ends, grams.lengths.tolist())]
        start = len(texts)
        for row, item in enumerate(others):
            mine, theirs = sets[row], sets[start:start + len(item)]
            values = [len(mine & other) / len(mine | other) for other in theirs if mine or other]
            start += len(item)
            yield (max(values), 1.0) if values else f"neither the answer nor a reference has {self.n} words"


def contains(predictions: Sequence[str], references: References, *, normalize: Normalization = "lower",
             whole_words: bool = False, extract: str | None = None) -> float:
    """Share of answers in which a reference occurs; see :class:`Contains`. NaN for empty lists.

    >>> contains(["in 2012"], ["12"], whole_words=True)
    0.0
    """
    return Contains(normalize, whole_words, extract).over(predictions, references).value


def regex_match(predictions: Sequence[str], references: References | None = None, *, pattern: str | None = None,
                flags: str = "") -> float:
    """Share of answers that match ``pattern``, or one of their references; see :class:`RegexMatch`. NaN for empty lists.

    >>> regex_match(["Answer: b", "no"], pattern="answer: [a-d]", flags="i")
    0.5
    """
    if pattern is None and references is None:
        raise MetricError("regex_match: a pattern or references must be given, got neither")
    beside = references if pattern is None and references is not None else [""] * len(predictions)
    return RegexMatch(pattern, flags).over(predictions, beside).value


def jaccard(predictions: Sequence[str], references: References, *, n: int = 1, tokenize: Scheme = "ascii") -> float:
    """Mean share of n-grams in common; see :class:`Jaccard`. NaN where nothing has n words.

    >>> jaccard(["a b c"], ["b c d"], n=2)
    0.3333333333333333
    """
    return Jaccard(n, tokenize=tokenize).over(predictions, references).value
