"""Regression: a number that the model gives by itself, or that is read out of its text."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from harness.errors import ConfigError
from harness.protocols import Play
from harness.suites.prompting import Prompted
from harness.types import Answer, Ask, Decoding, Generate, Number, Request, Sample, Text

Take = Literal["last", "first"]
Mark = Literal[".", ","]


@dataclass(frozen=True)
class Regression(Prompted):
    """``answer`` says how the model answers.

    - ``number``: it gives a number by itself, with or without a prediction interval (a regressor, stored predictions).
    - ``text``: it writes; ``take`` says which number of the text is the answer (:func:`parse_number`), ``decimal`` how it
      writes fractions. White space, digits' groups, signs, exponents are understood; words and units are passed over.

    A text without a number stays a text: it has no error that could be averaged, so that the metrics of numbers report it as
    missing, "no number in the answer", and count it. Accuracy at a tolerance on the ``generation`` suite is where it is wrong.
    """

    name: ClassVar[str] = "regression"
    summary: ClassVar[str] = "a number, given by itself or read out of a text"

    answer: Literal["text", "number"] = "text"
    take: Take = "last"
    decimal: Mark = "."
    decoding: Decoding = Decoding(max_tokens=32)

    def __post_init__(self) -> None:
        if self.prompt is None and self.answer == "text":
            raise ConfigError("a regression task with answer: text needs a prompt")

    def needs(self) -> frozenset[type]:
        return frozenset({Ask if self.answer == "number" else Generate})

    def gives(self) -> frozenset[str]:
        return frozenset({"number", "timing", "usage"})

    def play(self, sample: Sample) -> Play:
        output = yield self._request(sample)
        return self._number(output.answer)

    def _request(self, sample: Sample) -> Request:
        if self.answer == "number":
            return Ask(sample.input)
        return Generate(self.prompt_of(sample), self.decoding)

    def _number(self, answer: Answer | None) -> Number | Text:
        if isinstance(answer, Number):
            return answer
        if isinstance(answer, Text):
            value = parse_number(answer.text, take=self.take, decimal=self.decimal)
            return answer if value is None else Number(value)
        raise TypeError(f"regression expects a number or text, got {type(answer).__name__.lower()}")


def parse_number(text: str, *, take: Take = "last", decimal: Mark = ".") -> float | None:
    """The last (or first) number of a text, or None.

    Groups of three digits may be parted by the other mark, an apostrophe, or a no-break, narrow or thin space; where they are
    not of three, what the mark parts are several numbers (``1,2,3``). − (U+2212) is a minus, and so is a hyphen that is not
    behind a word or a number. Units may touch the digits (``5kg``), and 1e-3 is 0.001. Digits at the end of a word (``B12``),
    what has two points (``1.2.3``) and what is too large for a float are no numbers.

    >>> parse_number("Between 3 and 4 tonnes? I would say 1,250.5 kg.")
    1250.5
    >>> parse_number("−2,75 °C", decimal=",")
    -2.75
    """
    found = [value for run in _RUN.finditer(text) for value in _values(run, decimal) if math.isfinite(value)]
    return None if not found else found[-1 if take == "last" else 0]


def _values(run: re.Match[str], decimal: Mark) -> list[float]:
    """The number that a run of digits and marks is, or those that it lists."""
    sign, digits, exponent = (part or "" for part in run.groups())
    pieces = [digits]
    if _GROUPED[decimal].fullmatch(digits):
        pieces = [re.sub(rf"[^\d{decimal}]", "", digits)]
    elif not _PLAIN[decimal].fullmatch(digits):
        pieces = re.split(rf"[^\d{decimal}]", digits)
    whole = [piece if _PLAIN[decimal].fullmatch(piece) else "nan" for piece in pieces]
    whole[0] = sign + whole[0]
    whole[-1] += exponent
    return [float(piece.replace("\u2212", "-").replace(decimal, ".")) for piece in whole if "nan" not in piece]


_GAPS = "'\u2019\u00a0\u202f\u2009"
_RUN = re.compile(
    rf"(?<!\w)(?<!\d[.,])((?<![\w)%])[-+\u2212])?([.,]?\d(?:[\d.,{_GAPS}]*\d)?)([eE][-+\u2212]?\d+(?!\w))?", re.ASCII
)
"""Sign, digits with marks between them, exponent."""
_PLAIN: Mapping[Mark, re.Pattern[str]] = {".": re.compile(r"\d*\.?\d+", re.ASCII), ",": re.compile(r"\d*,?\d+", re.ASCII)}
_GROUPED: Mapping[Mark, re.Pattern[str]] = {
    ".": re.compile(rf"\d{{1,3}}([,{_GAPS}])\d{{3}}(?:\1\d{{3}})*(?:\.\d+)?", re.ASCII),
    ",": re.compile(rf"\d{{1,3}}([.{_GAPS}])\d{{3}}(?:\1\d{{3}})*(?:,\d+)?", re.ASCII),
}
