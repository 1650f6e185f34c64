"""What the metrics of numbers share: targets and answers as finite numbers, and sums that keep their digits.

A target or an answer that is no finite number has no error: such rows are missing, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.errors import MetricError
from harness.metrics.labels import checked_weights
from harness.metrics.rows import Row, scores_of, wrong_kind
from harness.protocols import Metric
from harness.types import FloatArray, Number, Output, Sample, Scores, Text

Weights: TypeAlias = Sequence[float] | None

_SAFE_EXPONENT = 400
"""Numbers from 2^-400 to 2^400 can be squared, and the squares added up and multiplied by counts, in float64."""

_CONSTANT = 1e-13
"""Share of the sum of squares that a spread has to exceed: what is below it is the rounding of a sum of equal numbers."""


@dataclass(frozen=True, repr=False)
class NumberMetric(Metric):
    """Base of the metrics of numbers: rows are (target, prediction). A subclass gives :meth:`aggregate`."""

    family: ClassVar[str] = "regression"
    needs: ClassVar[frozenset[str]] = frozenset({"number", "target"})
    columns: ClassVar[tuple[str, ...]] = ("target", "prediction")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: target and prediction, or why one of them is no number."""
        return scores_of((self.row(s, o) for s, o in zip(samples, outputs, strict=True)), len(self.columns))

    def row(self, sample: Sample, output: Output) -> Row:
        """Target and prediction."""
        return number_pair(sample, output)

    def why_undefined(self, stats: FloatArray) -> str | None:
        return no_variation(stats, self.columns) if self.columns == NumberMetric.columns else None

    def over(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: Weights = None) -> float:
        """The value over arrays; NaN where undefined. Raises MetricError for what is not two equally long series of numbers."""
        target, prediction = self.series(y_true, "y_true"), self.series(y_pred, "y_pred")
        weights = checked_weights(self.name, list(target), list(prediction), sample_weight)
        if not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise MetricError(f"{self.name}: sample_weight must be finite and not negative")
        with np.errstate(over="ignore"):  # a mean beyond float64 is infinite
            return float(self.aggregate(self._stats(target, prediction), weights)[0])

    def _stats(self, target: FloatArray, prediction: FloatArray) -> FloatArray:
        return np.stack([target, prediction], axis=1)

    def series(self, values: ArrayLike, name: str) -> FloatArray:
        return finite_series(self.name, name, values)


def finite_series(metric: str, name: str, values: Any) -> FloatArray:
    """``float64[n]``. Raises MetricError unless it is one series of finite numbers."""
    try:
        series: FloatArray = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise MetricError(f"{metric}: {name} must be one series of numbers: {error}") from None
    if series.ndim != 1:
        raise MetricError(f"{metric}: {name} must be one series of numbers, got shape {series.shape}")
    if not np.isfinite(series).all():
        where = int(np.argmin(np.isfinite(series)))
        raise MetricError(f"{metric}: {name}[{where}] must be finite, got {series[where]}")
    return series


def number_pair(sample: Sample, output: Output) -> tuple[float, float] | str:
    """Target and answer as finite numbers, or the reason why they are not."""
    target = finite_target(sample)
    if isinstance(target, str):
        return target
    if isinstance(output.answer, Text):
        return "no number in the answer"
    if not isinstance(output.answer, Number):
        return wrong_kind(output, "Number")
    if not math.isfinite(output.answer.value):
        return "the answer is not finite"
    return target, float(output.answer.value)


def finite_target(sample: Sample) -> float | str:
    """The target as a finite number, from text too (tables hold nothing else), or the reason why it is none."""
    if sample.target is None:
        return "the sample has no target"
    try:
        value = float(sample.target)
    except (TypeError, ValueError, OverflowError):
        value = None
    if value is None or isinstance(sample.target, bool):
        return f"the target {sample.target!r:.40} is no number"
    return value if math.isfinite(value) else "the target is not finite"


def no_variation(stats: FloatArray, columns: Sequence[str]) -> str | None:
    """Why two columns ``float64[n, 2]`` have no correlation: too few rows, or a column of equal numbers."""
    if len(stats) < 2:
        return f"it takes two samples or more, and {len(stats)} can be scored"
    for column, what in enumerate(columns):
        if (stats[:, column] == stats[0, column]).all():
            return f"every {what} is {stats[0, column]:g}"
    return None


def centred(series: FloatArray) -> FloatArray:
    """``float64[n]`` less its mean, all 0 if its numbers are equal; sums of squares of it do not cancel.

    The first number is taken off before the mean: the differences are exact where the numbers are close, however large.
    """
    if not len(series):
        return series
    moved = series - series[0]
    return np.asarray(moved - moved.mean())


def size_exponent(*series: FloatArray) -> int:
    """The power of two above all numbers in size: dividing by it is exact, and squares cannot overflow any more."""
    largest = max((float(np.abs(numbers).max(initial=0.0)) for numbers in series), default=0.0)
    return math.frexp(largest)[1]


def far_exponent(*arrays: NDArray[np.float64]) -> int:
    """The power of two above all numbers in size, where their squares would leave float64; 0 where they stay in it."""
    exponent = size_exponent(*arrays)
    return exponent if abs(exponent) > _SAFE_EXPONENT else 0


def scaled(number: float, exponent: int) -> float:
    """number · 2^exponent; infinite beyond the range of float64."""
    try:
        return math.ldexp(number, exponent)
    except OverflowError:
        return math.copysign(math.inf, number)


def exact_sum(values: Iterable[float]) -> float:
    """``math.fsum``; infinite, with its sign, where the sum leaves float64."""
    numbers = list(values)
    try:
        return math.fsum(numbers)
    except OverflowError:
        return math.copysign(math.inf, math.fsum(math.ldexp(number, -64) for number in numbers))


def spreads(series: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted sums of squares of a :func:`centred` series around its weighted mean, under ``float64[B, n]`` weights.

    ``float64[B]``; exactly 0 where all numbers that have weight are equal.
    """
    total, first, second = weights.sum(axis=1), weights @ series, weights @ series**2
    spread = second - np.divide(first**2, total, out=np.zeros_like(first), where=total > 0)
    return np.where(spread > _CONSTANT * second, spread, 0.0)
