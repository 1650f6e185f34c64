"""What the metrics of numbers share: targets and answers as finite numbers, and sums that keep their digits.

A target or an answer that is no finite number has no error: such rows are missing, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from harness.errors import MetricError
from harness.metrics.labels import checked_weights
from harness.metrics.rows import Row, scores_of, wrong_kind
from harness.protocols import Metric
from harness.types import FloatArray, Number, Output, Sample, Scores, Text

Weights: TypeAlias = Sequence[float] | None

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

    def over(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: Weights = None) -> float:
        """The value over arrays; NaN where undefined. Raises MetricError for what is not two equally long series of numbers."""
        target, prediction = self.series(y_true, "y_true"), self.series(y_pred, "y_pred")
        weights = checked_weights(self.name, list(target), list(prediction), sample_weight)
        if not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise MetricError(f"{self.name}: sample_weight must be finite and not negative")
        return float(self.aggregate(self._stats(target, prediction), weights)[0])

    def _stats(self, target: FloatArray, prediction: FloatArray) -> FloatArray:
        return np.stack([target, prediction], axis=1)

    def series(self, values: ArrayLike, name: str) -> FloatArray:
        series: FloatArray = np.asarray(values, dtype=np.float64)
        if series.ndim != 1:
            raise MetricError(f"{self.name}: {name} must be one series of numbers, got shape {series.shape}")
        if not np.isfinite(series).all():
            where = int(np.argmin(np.isfinite(series)))
            raise MetricError(f"{self.name}: {name}[{where}] must be finite, got {series[where]}")
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


def spreads(series: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted sums of squares of a :func:`centred` series around its weighted mean, under ``float64[B, n]`` weights.

    ``float64[B]``; exactly 0 where all numbers that have weight are equal.
    """
    total, first, second = weights.sum(axis=1), weights @ series, weights @ series**2
    spread = second - np.divide(first**2, total, out=np.zeros_like(first), where=total > 0)
    return np.where(spread > _CONSTANT * second, spread, 0.0)
