"""The number that an answer ends in, against the number of the reference."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import ClassVar, Literal, TypeAlias, get_args

import numpy as np

from harness.errors import MetricError
from harness.metrics.extraction import after_hashes, boxed
from harness.metrics.references import MeanOverReferences, Measured, References
from harness.protocols import Interval
from harness.types import FloatArray, Output, Sample, Scores

Take = Literal["auto", "last", "first", "boxed", "hashes"]
Value: TypeAlias = Fraction | Decimal
"""Exact; a Decimal only where the exponent is too large for a fraction."""

_LARGEST_EXPONENT = 400


@dataclass(frozen=True, repr=False)
class NumericMatch(MeanOverReferences):
    """Share of answers whose number equals the number of a reference. Range 0–1, higher is better.

    |number - reference| ≤ max(rel · |reference|, abs), in exact arithmetic; both are read in the same way. Read are: signs
    (also the Unicode minus), thousands separators (``1,234`` ``1'234`` and non-breaking spaces), decimals (``.5``), ``1.5e3``,
    ``1.5 × 10^3``, fractions (``3/4`` ``1 1/2`` ``½`` ``\\frac{3}{4}``), currency signs, digits of every script. A percent
    sign is passed over: 50% is 50.

    Parameters
    ----------
    rel, abs : tolerances, ≥ 0. 0: the very same number (1/2 is 0.5, 3.0 is 3).
    take : which number counts: ``auto``: that in the last ``\\boxed{…}``, else that after the last ``####``, else the last of
        the text; ``last``, ``first``: of the text; ``boxed``, ``hashes``: only there (the last in the box, the first after
        ``####``). A reference without a box or ``####`` is read to its last number.
    decimal : the decimal mark, ``.`` or ``,`` (then the point separates thousands).

    Statistics: ``hit`` (0 or 1) and 1, a row a sample. An answer without a number is wrong. References without a number are a
    missing row. No rows: NaN. No number is ever evaluated as code.

    Equals ``is_correct`` of GSM8K's model solutions. Cobbe et al. 2021, "Training Verifiers to Solve Math Word Problems".

    >>> NumericMatch().over(["so 3 + 4 = $1,007.00.", "\\\\boxed{\\\\frac{1}{2}}"], ["#### 1007", "0.5"]).value
    1.0
    """

    rel: float = 0.0
    abs: float = 0.0
    take: Take = "auto"
    decimal: Literal[".", ","] = "."

    name: ClassVar[str] = "numeric_match"
    summary: ClassVar[str] = "share of answers whose last, boxed or #### number is that of a reference"
    interval: ClassVar[Interval] = "wilson"
    columns: ClassVar[tuple[str, ...]] = ("hit", "n")
    formula: ClassVar[str] = "answers with |number - reference| ≤ max(rel · |reference|, abs) / answers"
    reference: ClassVar[str] = "is_correct of GSM8K's example_model_solutions.jsonl"
    paper: ClassVar[str] = "Cobbe et al. 2021, Training Verifiers to Solve Math Word Problems"

    def __post_init__(self) -> None:
        for parameter in ("rel", "abs"):
            self.require(0 <= getattr(self, parameter) < math.inf, parameter, "a number of at least 0")
        self.require(self.take in get_args(Take), "take", f"one of {', '.join(get_args(Take))}")
        self.require(self.decimal in (".", ","), "decimal", "'.' or ','")

    def statistics(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        rows = [self._row(prediction, item) for prediction, item in zip(predictions, references)]
        return np.array(rows, dtype=np.float64).reshape(len(rows), 2)

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        scores = super().score(samples, outputs, answers)
        without = {int(row): "no reference has a number" for row in np.flatnonzero(np.isnan(scores.stats[:, 0]))}
        return Scores(scores.stats, without | dict(scores.missing), scores.detail)

    def over(self, predictions: Sequence[str], references: References) -> Measured:
        measured = super().over(predictions, references)
        for row in np.flatnonzero(np.isnan(measured.stats[:, 0])).tolist():
            raise MetricError(f"{self.name}: references[{row}] must have a number, got {references[row]!r}")
        return measured

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        """A miss and a hit."""
        if all(self.number(text) is None for text in sample.references):
            return None
        return np.array([0.0, 1.0]), np.array([1.0, 1.0])

    def number(self, text: str) -> Value | None:
        """The number of a text; None where it has none."""
        take = self.take
        if take in ("auto", "boxed") and (inside := boxed(text)):
            return _last(numbers(inside, self.decimal))
        if take in ("auto", "hashes") and (behind := after_hashes(text)):
            return next(numbers(behind, self.decimal), None)
        if take == "first":
            return next(numbers(text, self.decimal), None)
        return _last(numbers(text, self.decimal)) if take in ("auto", "last") else None

    def _row(self, prediction: str, references: Sequence[str]) -> tuple[float, float]:
        wanted = [value for text in references if (value := self._reference(text)) is not None]
        if not wanted:
            return math.nan, math.nan
        found = self.number(prediction)
        return float(found is not None and any(self._close(found, value) for value in wanted)), 1.0

    def _reference(self, text: str) -> Value | None:
        found = self.number(text)
        return _last(numbers(text, self.decimal)) if found is None and self.take in ("boxed", "hashes") else found

    def _close(self, found: Value, wanted: Value) -> bool:
        if isinstance(found, Decimal) or isinstance(wanted, Decimal):
            return found == wanted
        return abs(found - wanted) <= max(Fraction(self.rel) * abs(wanted), Fraction(self.abs))


def numeric_match(predictions: Sequence[str], references: References, *, rel: float = 0.0, abs: float = 0.0,  # noqa: A002
                  take: Take = "auto", decimal: Literal[".", ","] = ".") -> float:
    """Share of answers with the reference's number; see :class:`NumericMatch`. NaN for empty lists.

    >>> numeric_match(["It is 3.14.", "none"], ["3.1416", "2"], abs=0.01)
    0.5
    """
    return NumericMatch(rel, abs, take, decimal).over(predictions, references).value


# ── reading numbers ─────────────────────────────────────────────────────────────────────────────────────────────────

_SIGN, _CURRENCY = r"[+-]?", r"(?:[$€£¥₹₩₽¢]\s?)?"
_PLAIN = r"(?:\d+(?:\.\d+)?|(?<!\.)\.\d+)"
_GROUPED = r"\d{1,3}(?:[,'’\u00a0\u202f\u2009]\d{2,3})*[,'’\u00a0\u202f\u2009]\d{3}(?!\d)(?:\.\d+)?"
_TIMES_TEN = r"\s*[×x*·]\s*10\s*\^\s*\(?(?P<power>[+-]?\d{1,40})\)?"
_NUMBER = re.compile(
    rf"(?<![A-Za-z_\d])(?<!\d\.)(?P<sign>{_SIGN}){_CURRENCY}(?P<sign2>{_SIGN})"
    rf"(?:(?:(?P<whole>\d{{1,9}})[ ])?(?<!\d/)(?P<above>\d{{1,30}})\s?/\s?(?P<below>\d{{1,30}})(?![\d/]|\.\d)"
    rf"|(?P<digits>{_GROUPED}|{_PLAIN})(?:[eE](?P<exponent>[+-]?\d{{1,40}})(?![A-Za-z\d])|{_TIMES_TEN})?)"
)
_FRACTION = re.compile(r"(\d\s?)?\\[dt]?frac\s?(?:\{([^{}]*)\}\s?\{([^{}]*)\}|(\d)\s?(\d))")
_LATEX = (
    (re.compile(r"\{,\}"), ","), (re.compile(r"(?<=\d)\\[,!;: ](?=\d{3})"), ","), (re.compile(r"\\(?:times|cdot)"), "×"),
    (re.compile(r"\^\s?\{([^{}]*)\}"), r"^\1"), (re.compile(r"\\([$%])"), r"\1"),
)
_ALIKE = str.maketrans({"\u2212": "-", "\u2013": "-", "\ufe63": "-", "\uff0d": "-", "\uff0b": "+", "\u2044": "/", "\uff0f": "/",
                        "\uff0c": ",", "\uff0e": ".", "\u066b": ".", "\u066c": ","})
_SWAPPED = str.maketrans(".,", ",.")
_VULGAR = re.compile("[\u00bc-\u00be\u2150-\u215e\u2189]")


def numbers(text: str, decimal: str = ".") -> Iterator[Value]:
    """The numbers that stand in a text, in their order; what divides by zero is none.

    >>> [str(value) for value in numbers("from −5 to 1,250.5, or 3/4; B12 is none")]
    ['-5', '2501/2', '3/4']
    """
    text = _VULGAR.sub(lambda match: " " + unicodedata.normalize("NFKC", match.group()), text).translate(_ALIKE)
    if decimal == ",":
        text = text.translate(_SWAPPED)
    if "\\" in text or "{" in text:
        text = _FRACTION.sub(_slashed, text)
        for written, meant in _LATEX:
            text = written.sub(meant, text)
    for match in _NUMBER.finditer(text):
        value = _value(match)
        if value is not None:
            yield -value if "-" in (match["sign"], match["sign2"]) else value


def _slashed(match: re.Match[str]) -> str:
    whole, above, below = match[1], match[2] or match[4], match[3] or match[5]
    return f"{whole.strip() + ' ' if whole else ''}{(above or '').strip()}/{(below or '').strip()} "


def _value(match: re.Match[str]) -> Value | None:
    if match["below"] is not None:
        below = int(match["below"])
        return int(match["whole"] or 0) + Fraction(int(match["above"]), below) if below else None
    digits = re.sub(r"[^\d.]", "", match["digits"])
    try:
        value = Decimal(f"{digits}e{match['exponent'] or match['power'] or 0}")
    except InvalidOperation:
        return None
    if value == 0:
        return Fraction(0)
    return value if abs(value.adjusted()) > _LARGEST_EXPONENT else Fraction(value)


def _last(values: Iterator[Value]) -> Value | None:
    return next(reversed(list(values)), None)
