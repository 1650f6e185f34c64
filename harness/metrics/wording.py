"""Texts to words in the way of their language, and n-grams as whole numbers: what the measures of diversity count."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self, get_args

import numpy as np

from harness.errors import MetricError
from harness.metrics.rougetokens import is_word_character
from harness.metrics.tokenize import IntArray, Tokens, character_table, code_points, cut, one_a_line
from harness.protocols import Metric
from harness.types import Output, Sample, Text

Scheme = Literal["ascii", "unicode", "char", "zh", "ja", "space"]

_OF_LANGUAGE: Mapping[str, Scheme] = {
    "en": "ascii", "zh": "zh", "yue": "zh", "ja": "ja", "th": "char", "lo": "char", "km": "char", "my": "char",
}
_LOOKED_AT = 1000
"""Samples that are looked at for letters that vanish."""
_TOO_MANY = 0.2
_HAN = ((0x3005, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF))
_KANA = ((0x3041, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F))


@dataclass(frozen=True, repr=False)
class WordMetric(Metric):
    """Base of the metrics that cut texts into words.

    tokenize : ``ascii``: lower-cased runs of a–z and 0–9, all else separates; ``unicode``: lower-cased runs of letters, marks
        and numbers of every script; ``zh``: the same, each Han character by itself; ``ja``: the same, each Han and each kana
        character by itself; ``char``: each character but white space; ``space``: what white space separates, as it is written.
        By default the task's language decides, ``ascii`` for English and where there is no task. It warns where more than a
        fifth of the letters vanish.
    """

    family: ClassVar[str] = "diversity"
    needs: ClassVar[frozenset[str]] = frozenset({"text"})

    tokenize: Scheme | None = field(default=None, kw_only=True)
    vanishing: float = field(default=0.0, repr=False, compare=False, kw_only=True)

    def __post_init__(self) -> None:
        self.require(self.tokenize in (None, *get_args(Scheme)), "tokenize", f"one of {', '.join(get_args(Scheme))}")

    def for_language(self, language: str) -> Self:
        if self.tokenize is not None:
            return self
        return replace(self, tokenize=_OF_LANGUAGE.get(language.lower().replace("_", "-").split("-")[0], "unicode"))

    def prepare(self, samples: Iterable[Sample]) -> Self:
        if self.scheme != "ascii":
            return self
        return replace(self, vanishing=vanishing_letters(samples))

    def warnings(self) -> tuple[str, ...]:
        return vanishing_warning(self, self.vanishing)

    def signature(self) -> str:
        return super(WordMetric, replace(self, tokenize=self.scheme)).signature()

    @property
    def scheme(self) -> Scheme:
        return self.tokenize or "ascii"


def vanishing_letters(samples: Iterable[Sample]) -> float:
    """The share of the letters of these samples (the first thousand) that ``tokenize=ascii`` takes for white space."""
    texts = (text for sample in itertools.islice(samples, _LOOKED_AT) for text in _texts_of(sample))
    letters = [letter for text in texts for letter in text if letter.isalpha()]
    return sum(not letter.isascii() for letter in letters) / len(letters) if letters else 0.0


def vanishing_warning(metric: Metric, share: float) -> tuple[str, ...]:
    """What the user should know where too many letters vanish."""
    if share <= _TOO_MANY:
        return ()
    what = f"tokenize=ascii deletes {share:.0%} of the letters of the samples"
    return (f"{metric.spec}: {what}; set the task's language, or tokenize=unicode",)


def _texts_of(sample: Sample) -> Sequence[str]:
    """The references, or else what of the input is text: the outputs are not there yet."""
    return sample.references or [value for value in sample.input.values() if isinstance(value, str)]


# ── words ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def words(texts: Sequence[str], scheme: Scheme) -> Tokens:
    """The words of each text; see :class:`WordMetric` for the schemes."""
    joined = one_a_line(texts)
    units = code_points(joined if scheme in ("char", "space") else joined.lower())
    inside = character_table(units, _INSIDE[scheme]).take(units)
    alone = character_table(units, lambda character: _stands_alone(character, scheme)).take(units)
    starts = inside.copy()
    starts[1:] &= ~inside[:-1] | alone[1:] | alone[:-1]
    return cut(units, starts, inside)


def _is_ascii_word_character(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _is_no_space(character: str) -> bool:
    return not character.isspace()


_INSIDE = {
    "ascii": _is_ascii_word_character, "unicode": is_word_character, "zh": is_word_character, "ja": is_word_character,
    "char": _is_no_space, "space": _is_no_space,
}


def _stands_alone(character: str, scheme: Scheme) -> bool:
    ranges = {"zh": _HAN, "ja": _HAN + _KANA}.get(scheme, ())
    return scheme == "char" or any(first <= ord(character) <= last for first, last in ranges)


# ── n-grams ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Ngrams:
    """The n-grams of texts, numbered 0..size-1: equal ones have equal ids. Text i has the next ``lengths[i]`` of ``ids``."""

    ids: IntArray
    lengths: IntArray
    size: int

    @property
    def texts(self) -> IntArray:
        """The text of each n-gram, ``int64[len(ids)]``."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def counts(self, rows: IntArray | None = None) -> IntArray:
        """How often each n-gram occurs that occurs at all, in these texts (None: in all of them)."""
        ids = self.ids
        if rows is not None and len(rows) < len(self.lengths):
            chosen = np.zeros(len(self.lengths), dtype=bool)
            chosen[rows] = True
            ids = ids[np.repeat(chosen, self.lengths)]
        counts = np.bincount(ids, minlength=1)
        return counts[counts > 0]

    def distinct(self) -> IntArray:
        """How many different n-grams each text has, ``int64[n]``."""
        pairs = np.unique(self.texts * max(self.size, 1) + self.ids)
        return np.bincount(pairs // max(self.size, 1), minlength=len(self.lengths))


def ngrams(tokens: Tokens, n: int) -> Ngrams:
    """All n-grams within each text; exact, never by hash: an n-gram is numbered by its (n-1)-gram and its last token."""
    _, ids = np.unique(tokens.ids, return_inverse=True)
    span = int(ids.max(initial=-1)) + 1
    left = np.repeat(np.cumsum(tokens.lengths), tokens.lengths) - np.arange(len(ids))
    positions, codes, size = np.arange(len(ids)), ids, span
    for order in range(2, n + 1):
        goes_on = left[positions] >= order
        positions = positions[goes_on]
        known, codes = np.unique(codes[goes_on] * span + ids[positions + order - 1], return_inverse=True)
        size = len(known)
    return Ngrams(codes, np.maximum(tokens.lengths - n + 1, 0), size)


# ── texts of outputs ────────────────────────────────────────────────────────────────────────────────────────────────


def texts_of(outputs: Sequence[Output]) -> tuple[list[str], dict[int, str]]:
    """The texts of the outputs that are texts, in their order; and row -> reason for the others."""
    missing = {row: f"the answer is {type(output.answer).__name__}, not Text"
               for row, output in enumerate(outputs) if not isinstance(output.answer, Text)}
    return [output.answer.text for output in outputs if isinstance(output.answer, Text)], missing


def checked_texts(name: str, texts: Sequence[str]) -> Sequence[str]:
    """The texts, for plain functions. Raises MetricError where one is no text."""
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise MetricError(f"{name}: texts[{index}] must be a text, got {text!r}")
    return texts
