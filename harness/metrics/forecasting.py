"""Metrics of forecasts: errors relative to what happened, quantile loss, and prediction intervals.

``mape`` and ``smape`` are shares (1 is 100 %). Intervals are the ``low`` and ``high`` of a Number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from harness.errors import MetricError
from harness.metrics.numbers import NumberMetric, Weights, finite_target
from harness.metrics.regression import MeanLoss
from harness.metrics.rows import Row, ratio, wrong_kind
from harness.protocols import Interval
from harness.types import FloatArray, Number, Output, Sample, Text


@dataclass(frozen=True, repr=False)
class MeanAbsolutePercentageError(MeanLoss):
    """The mean absolute error as a share of the target; ≥ 0 (1 is 100 %), lower is better.

    ``sklearn.metrics.mean_absolute_percentage_error``, which divides by 2.2e-16 where the target is 0; here such a row is
    missing.
    """

    name: ClassVar[str] = "mape"
    paper: ClassVar[str] = "Hyndman and Koehler 2006, Another Look at Measures of Forecast Accuracy"
    summary: ClassVar[str] = "mean absolute error as a share of the target"
    formula: ClassVar[str] = "Σ |y − ŷ| / |y| / n"
    reference: ClassVar[str] = "sklearn.metrics.mean_absolute_percentage_error"
    undefined: ClassVar[str] = "a target of 0 has no percentage error"

    def losses(self, target: FloatArray, prediction: FloatArray) -> FloatArray:
        """Relative errors."""
        return np.abs(target - prediction) / np.where(target == 0, np.nan, np.abs(target))


@dataclass(frozen=True, repr=False)
class SymmetricMAPE(MeanLoss):
    """The symmetric percentage error of the M4 competition: the error over the mean of |y| and |ŷ|; 0 to 2, lower is better.

    Of the three definitions in use this is the one up to 200 %. The one up to 100 % divides by |y| + |ŷ| and is half of it; the
    third divides the sum of the errors by the sum of |y| + |ŷ|. A row where both are 0 is an exact answer and counts 0.
    """

    name: ClassVar[str] = "smape"
    summary: ClassVar[str] = "mean error over the mean of |target| and |prediction| (M4's, up to 2)"
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, 2.0)
    formula: ClassVar[str] = "Σ 2 |y − ŷ| / (|y| + |ŷ|) / n"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = "Makridakis 1993, Accuracy measures: theoretical and practical concerns"

    def losses(self, target: FloatArray, prediction: FloatArray) -> FloatArray:
        """Errors over the mean size; in halves, so that no sum overflows."""
        size = np.abs(target) / 2 + np.abs(prediction) / 2
        return np.divide(np.abs(target / 2 - prediction / 2), size / 2, out=np.zeros_like(size), where=size / 2 > 0)


@dataclass(frozen=True, repr=False)
class PinballLoss(MeanLoss):
    """The quantile loss: an answer below the target costs ``q`` a unit, one above it 1 − ``q``; ≥ 0, lower is better.

    The best constant answer is the q-quantile of the targets. ``sklearn.metrics.mean_pinball_loss(alpha=q)``.
    """

    name: ClassVar[str] = "pinball"
    summary: ClassVar[str] = "quantile loss of answers that are meant as the q-quantile"
    formula: ClassVar[str] = "mean of max(q (y − ŷ), (q − 1) (y − ŷ))"
    reference: ClassVar[str] = "sklearn.metrics.mean_pinball_loss"
    paper: ClassVar[str] = "Koenker and Bassett 1978, Regression quantiles"

    q: float = 0.5

    def __post_init__(self) -> None:
        self.require(0 <= self.q <= 1, "q", "a number from 0 to 1")

    def losses(self, target: FloatArray, prediction: FloatArray) -> FloatArray:
        """The pinball loss of each row."""
        error = target - prediction
        return np.maximum(self.q * error, (self.q - 1) * error)


# ── prediction intervals ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, repr=False)
class IntervalCoverage(NumberMetric):
    """The share of targets inside the prediction interval, ends included; 0 to 1. It has no direction: what is best is the
    level that the intervals claim. Undefined for no rows; an answer without an interval, or with one that is upside down, is
    a missing row.
    """

    name: ClassVar[str] = "interval_coverage"
    paper: ClassVar[str] = "Gneiting and Raftery 2007, Strictly Proper Scoring Rules, Prediction, and Estimation"
    summary: ClassVar[str] = "share of targets inside the prediction interval"
    higher_is_better: ClassVar[bool | None] = None
    interval: ClassVar[Interval] = "wilson"
    columns: ClassVar[tuple[str, ...]] = ("hits", "rows")
    formula: ClassVar[str] = "share of low ≤ y ≤ high"
    reference: ClassVar[str] = "hand-worked"

    def row(self, sample: Sample, output: Output) -> Row:
        """Hit (0 or 1), 1."""
        target, ends = finite_target(sample), interval_of(output)
        if isinstance(target, str) or isinstance(ends, str):
            return target if isinstance(target, str) else str(ends)
        return float(ends[0] <= target <= ends[1]), 1.0

    def finish(self, totals: FloatArray) -> FloatArray:
        """Hits over rows."""
        return ratio(totals[..., 0], totals[..., 1])

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray]:
        """A miss and a hit."""
        return np.array([0.0, 1.0]), np.array([1.0, 1.0])


@dataclass(frozen=True, repr=False)
class IntervalWidth(NumberMetric):
    """The mean width of the prediction intervals, in the unit of the target; ≥ 0, lower is better at equal coverage.

    Undefined for no rows; an answer without an interval, or with one that is upside down, is a missing row.
    """

    name: ClassVar[str] = "interval_width"
    paper: ClassVar[str] = "Gneiting and Raftery 2007, Strictly Proper Scoring Rules, Prediction, and Estimation"
    summary: ClassVar[str] = "mean width of the prediction intervals"
    needs: ClassVar[frozenset[str]] = frozenset({"number"})
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    columns: ClassVar[tuple[str, ...]] = ("width", "rows")
    formula: ClassVar[str] = "Σ (high − low) / n"
    reference: ClassVar[str] = "hand-worked"

    def row(self, sample: Sample, output: Output) -> Row:
        """Width, 1."""
        ends = interval_of(output)
        if isinstance(ends, str):
            return ends
        width = ends[1] - ends[0]
        return (width, 1.0) if math.isfinite(width) else "the width is beyond float64"

    def finish(self, totals: FloatArray) -> FloatArray:
        """The mean width."""
        return ratio(totals[..., 0], totals[..., 1])


def interval_of(output: Output) -> tuple[float, float] | str:
    """The ends of an answer's prediction interval, or why it has none."""
    answer = output.answer
    if not isinstance(answer, Number):
        return "no number in the answer" if isinstance(answer, Text) else wrong_kind(output, "Number")
    if answer.low is None or answer.high is None:
        return "the answer has no interval"
    if not (math.isfinite(answer.low) and math.isfinite(answer.high)):
        return "the answer's interval is not finite"
    if answer.low > answer.high:
        return f"the answer's interval is upside down: {answer.low:g} to {answer.high:g}"
    return float(answer.low), float(answer.high)


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────
#
# Series are equally long and finite; NaN is returned for none. All raise MetricError for other arguments, and where a row has
# no loss.


def mape(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: Weights = None) -> float:
    """The mean absolute percentage error, as a share. Raises MetricError for a target of 0.

    >>> mape([10.0, 20.0], [9.0, 26.0])
    0.2
    """
    return MeanAbsolutePercentageError().over(y_true, y_pred, sample_weight)


def smape(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: Weights = None) -> float:
    """The symmetric percentage error of M4, 0 to 2; see SymmetricMAPE.

    >>> smape([1.0, 0.0], [3.0, 0.0])
    0.5
    """
    return SymmetricMAPE().over(y_true, y_pred, sample_weight)


def pinball(y_true: ArrayLike, y_pred: ArrayLike, *, q: float = 0.5, sample_weight: Weights = None) -> float:
    """The mean pinball loss of answers that are meant as the q-quantile.

    >>> pinball([1.0, 2.0], [0.0, 3.0], q=0.75)
    0.5
    """
    return PinballLoss(q).over(y_true, y_pred, sample_weight)


def interval_coverage(y_true: ArrayLike, low: ArrayLike, high: ArrayLike) -> float:
    """The share of targets inside ``low`` to ``high``, ends included.

    >>> interval_coverage([1.0, 2.0], [1.0, 0.0], [3.0, 1.0])
    0.5
    """
    metric = IntervalCoverage()
    target = metric.series(y_true, "y_true")
    ends = _ends(metric, low, high)
    if len(target) != len(ends):
        raise MetricError(f"interval_coverage: targets and intervals must be equally many, got {len(target)} and {len(ends)}")
    hits = (ends[:, 0] <= target) & (target <= ends[:, 1])
    return float(hits.mean()) if len(hits) else math.nan


def interval_width(low: ArrayLike, high: ArrayLike) -> float:
    """The mean of ``high − low``.

    >>> interval_width([1.0, 0.0], [3.0, 1.0])
    1.5
    """
    ends = _ends(IntervalWidth(), low, high)
    with np.errstate(over="ignore"):
        return float((ends[:, 1] - ends[:, 0]).mean()) if len(ends) else math.nan


def _ends(metric: NumberMetric, low: ArrayLike, high: ArrayLike) -> FloatArray:
    lows, highs = metric.series(low, "low"), metric.series(high, "high")
    if len(lows) != len(highs):
        raise MetricError(f"{metric.name}: low and high must be equally many, got {len(lows)} and {len(highs)}")
    if (lows > highs).any():
        where = int(np.argmax(lows > highs))
        raise MetricError(f"{metric.name}: low must be at most high, got {lows[where]} and {highs[where]} in row {where}")
    return np.stack([lows, highs], axis=1)
