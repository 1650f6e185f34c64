"""Answers compared as a whole or as bags of words: exact match and token F1."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from harness.metrics.extraction import extractor
from harness.metrics.references import MeanOverReferences, References
from harness.metrics.tokenize import PUNCTUATION
from harness.protocols import Interval
from harness.types import FloatArray

Normalization = Literal["squad", "lower", "whitespace", "strip", "none"]


@dataclass(frozen=True, repr=False)
class ExactMatch(MeanOverReferences):
    """Share of predictions that equal one of their references after normalisation. Range 0–1, higher is better.

    Parameters
    ----------
    normalize : ``squad``: lower case, without ASCII punctuation, English articles (a, an, the) and surplus white space;
        ``lower``: lower case, without surplus white space; ``whitespace``: without surplus white space; ``strip``: without
        white space at either end; ``none``: as it is.
    extract : what of the prediction is the answer: ``answer_is``, ``boxed``, ``hashes``, ``first_line``, ``last_line`` or
        ``"/a regular expression/"``, see :func:`harness.metrics.extraction.extractor`; by default all of it.

    Statistics: ``hit`` (0 or 1) and 1, a row a sample. An empty prediction hits an empty reference. No rows: NaN.

    Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text" (the official v1.1 script).

    >>> ExactMatch().over(["The Eiffel Tower!", "Lyon"], [["Eiffel tower"], ["Paris", "Nantes"]]).value
    0.5
    """

    normalize: Normalization = "squad"
    extract: str | None = None

    name: ClassVar[str] = "exact_match"
    summary: ClassVar[str] = "share of answers that equal a reference after normalisation"
    interval: ClassVar[Interval] = "wilson"
    columns: ClassVar[tuple[str, ...]] = ("hit", "n")
    formula: ClassVar[str] = "answers equal to a reference after normalisation / answers"
    reference: ClassVar[str] = "SQuAD v1.1 evaluation script"
    paper: ClassVar[str] = "Rajpurkar et al. 2016, SQuAD: 100,000+ Questions for Machine Comprehension of Text"

    def __post_init__(self) -> None:
        self.require(self.normalize in get_args(Normalization), "normalize", f"one of {', '.join(get_args(Normalization))}")
        extractor(self.extract, self.name)

    def statistics(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        form, answer = normal_form(self.normalize), extractor(self.extract, self.name)
        hits = [form(answer(prediction)) in map(form, item) for prediction, item in zip(predictions, references)]
        return np.column_stack([np.array(hits, dtype=np.float64), np.ones(len(hits))])


@dataclass(frozen=True, repr=False)
class TokenF1(MeanOverReferences):
    """Mean F1 of the bags of words of prediction and reference, the best reference counting. Range 0–1, higher is better.

    F1 = 2 · P · R / (P + R), with P and R the shared tokens (as often as in both) over the tokens of the prediction and of
    the reference; tokens are what white space separates after normalisation.

    Parameters
    ----------
    normalize, extract : as for ``exact_match``.

    Statistics: ``f1`` and 1, a row a sample. Nothing shared is 0, two empty texts too, as in SQuAD v1.1's script (v2.0
    gives 1 there). No rows: NaN.

    Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text" (the official v1.1 script).

    >>> round(TokenF1().over(["the Eiffel Tower in Paris"], [["Eiffel tower", "a tower"]]).value, 4)
    0.6667
    """

    normalize: Normalization = "squad"
    extract: str | None = None

    name: ClassVar[str] = "token_f1"
    summary: ClassVar[str] = "F1 of the words shared with the best reference (SQuAD)"
    columns: ClassVar[tuple[str, ...]] = ("f1", "n")
    formula: ClassVar[str] = "mean over answers of max over references of 2 · P · R / (P + R), P and R of the bags of words"
    reference: ClassVar[str] = "SQuAD v1.1 evaluation script"
    paper: ClassVar[str] = "Rajpurkar et al. 2016, SQuAD: 100,000+ Questions for Machine Comprehension of Text"

    def __post_init__(self) -> None:
        self.require(self.normalize in get_args(Normalization), "normalize", f"one of {', '.join(get_args(Normalization))}")
        extractor(self.extract, self.name)

    def statistics(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        form, answer = normal_form(self.normalize), extractor(self.extract, self.name)
        values = [max(_bag_f1(form(answer(prediction)).split(), form(reference).split()) for reference in item)
                  for prediction, item in zip(predictions, references)]
        return np.column_stack([np.array(values, dtype=np.float64), np.ones(len(values))])


def exact_match(predictions: Sequence[str], references: References, *, normalize: Normalization = "squad",
                extract: str | None = None) -> float:
    """Share of predictions that equal one of their references; see :class:`ExactMatch`. NaN for empty lists.

    >>> exact_match(["a cat", "dog"], ["The cat.", "dogs"])
    0.5
    """
    return ExactMatch(normalize, extract).over(predictions, references).value


def token_f1(predictions: Sequence[str], references: References, *, normalize: Normalization = "squad",
             extract: str | None = None) -> float:
    """Mean F1 of the words shared with the best reference; see :class:`TokenF1`. NaN for empty lists.

    >>> token_f1(["a black cat"], [["the cat", "black cats"]])
    0.6666666666666666
    """
    return TokenF1(normalize, extract).over(predictions, references).value


def normal_form(normalize: Normalization) -> Callable[[str], str]:
    """What a normalisation does to a text."""
    return _NORMAL_FORMS[normalize]


_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = {ord(character): None for character in PUNCTUATION}


def _squad_form(text: str) -> str:
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_WITHOUT_PUNCTUATION)).split())


_NORMAL_FORMS: Mapping[str, Callable[[str], str]] = {
    "squad": _squad_form,
    "lower": lambda text: " ".join(text.lower().split()),
    "whitespace": lambda text: " ".join(text.split()),
    "strip": str.strip,
    "none": str,
}


def _bag_f1(predicted: Sequence[str], reference: Sequence[str]) -> float:
    shared = sum((Counter(predicted) & Counter(reference)).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(predicted), shared / len(reference)
    return 2 * precision * recall / (precision + recall)
