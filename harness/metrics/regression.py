"""Errors of predicted numbers: absolute, squared, logarithmic, Huber's, the median and the largest one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from harness.errors import MetricError
from harness.metrics.numbers import NumberMetric, Weights, number_pair
from harness.metrics.rows import Row, ratio, scores_of
from harness.protocols import Interval
from harness.types import FloatArray, Output, Sample, Scores


@dataclass(frozen=True, repr=False)
class MeanLoss(NumberMetric):
    """Base of the means of a loss a row; a subclass gives :meth:`losses`, and where one may be undefined :attr:`undefined`.

    Lower is better; undefined (NaN) for no rows, and for weights that sum to 0. A row whose loss float64 cannot
    hold is missing.
    """

    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    columns: ClassVar[tuple[str, ...]] = ("loss", "rows")
    undefined: ClassVar[str] = "the loss is not finite"
    too_large: ClassVar[str] = "the loss is beyond float64"

    def losses(self, target: FloatArray, prediction: FloatArray) -> FloatArray:
        """``float64[n]``; NaN or infinite where a row has no loss."""
        raise NotImplementedError(f"{type(self).__name__}.losses")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: its loss, 1."""
        pairs = [number_pair(s, o) for s, o in zip(samples, outputs, strict=True)]
        there = np.array([pair for pair in pairs if not isinstance(pair, str)], dtype=np.float64).reshape(-1, 2)
        losses = iter(self._quiet_losses(there[:, 0], there[:, 1]).tolist())
        rows: list[Row] = []
        for pair in pairs:
            loss = math.nan if isinstance(pair, str) else next(losses)
            rows.append(pair if isinstance(pair, str) else (loss, 1.0) if math.isfinite(loss) else self._fault(loss))
        return scores_of(rows, 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """The mean loss."""
        return ratio(totals[..., 0], totals[..., 1])

    def _fault(self, loss: float) -> str:
        return self.undefined if math.isnan(loss) else self.too_large

    def _stats(self, target: FloatArray, prediction: FloatArray) -> FloatArray:
        losses = self._quiet_losses(target, prediction)
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad):
            pair = f"y_true {target[bad[0]]} and y_pred {prediction[bad[0]]}"
            raise MetricError(f"{self.name}: {self._fault(float(losses[bad[0]]))}: row {bad[0]}, {pair}")
        return np.stack([losses, np.ones(len(losses))], axis=1)

    def _quiet_losses(self, target: FloatArray, prediction: FloatArray) -> FloatArray:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return self.losses(target, prediction)


# ── means of a loss ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, repr=False)
class MeanAbsoluteError(MeanLoss):
    """The mean absolute error, in the unit of the target; 0 upwards, lower is better; undefined for no rows.

    ``sklearn.metrics.mean_absolute_error``.
    """

    name: ClassVar[str] = "mae"
    paper: ClassVar[str] = "Hyndman and Koehler 2006, Another Look at Measures of Forecast Accuracy"
    summary: ClassVar[str] = "mean absolute error"
    formula: ClassVar[str] = "Σ |y − ŷ| / n"
    reference: ClassVar[str] = "sklearn.metrics.mean_absolute_error"

    def losses(self, target: FloatArray, prediction: FloatArray) -> FloatArray:
        """Absolute errors."""
        return np.abs(target - prediction)


@dataclass(frozen=True, repr=False)
class MeanSquaredError(MeanLoss):
    """The mean squared error; 0 upwards, lower is better; undefined for no rows. ``sklearn.metrics.mean_squared_error``."""

    name: ClassVar[str] = "mse"
    paper: ClassVar[str] = "Hyndman and Koehler 2006, Another Look at Measures of Forecast Accuracy"
    summary: ClassVar[str] = "mean squared error"
    formula: ClassVar[str] = "Σ (y − ŷ)² / n"
    reference: ClassVar[str] = "sklearn.metrics.mean_squared_error"
    too_large: ClassVar[str] = "the squared error is beyond float64"

    def losses(self, target: FloatArray, prediction: FloatArray) -> FloatArray:
        """Squared errors."""
        return (target - prediction) ** 2


@dataclass(frozen=True, repr=False)
class RootMeanSquaredError(MeanSquaredError):
    """The root of the mean squared error, in the unit of the target; 0 upwards, lower is better.

    ``sklearn.metrics.root_mean_squared_error``.
    """

    name: ClassVar[str] = "rmse"
    paper: ClassVar[str] = "Hyndman and Koehler 2006, Another Look at Measures of Forecast Accuracy"
    summary: ClassVar[str] = "root of the mean squared error"
    formula: ClassVar[str] = "√(Σ (y − ŷ)² / n)"
    reference: ClassVar[str] = "sklearn.metrics.root_mean_squared_error"

    def finish(self, totals: FloatArray) -> FloatArray:
        """The root of the mean."""
        return np.sqrt(super().finish(totals))


@dataclass(frozen=True, repr=False)
class RootMeanSquaredLogError(MeanLoss):
    """The root of the mean squared difference of log(1 + y); ≥ 0, lower is better. Meant for counts and amounts.

    ``sklearn.metrics.root_mean_squared_log_error`` (1.9), which refuses everything where a number is not above −1; here such a
    row is missing.
    """

    name: ClassVar[str] = "rmsle"
    summary: ClassVar[str] = "root of the mean squared error of logarithms"
    formula: ClassVar[str] = "√(Σ (ln(1 + y) − ln(1 + ŷ))² / n)"
    reference: ClassVar[str] = "sklearn.metrics.root_mean_squared_log_error"
    undefined: ClassVar[str] = "a number that is not above -1 has no log error"

    def losses(self, target: FloatArray, prediction: FloatArray) -> FloatArray:
        """Squared differences of logarithms."""
        valid = (target > -1) & (prediction > -1)
        return np.where(valid, (np.log1p(target) - np.log1p(prediction)) ** 2, np.nan)

    def finish(self, totals: FloatArray) -> FloatArray:
        """The root of the mean."""
        return np.sqrt(super().finish(totals))


@dataclass(frozen=True, repr=False)
class HuberLoss(MeanLoss):
    """Squared up to an error of ``delta``, linear beyond it; ≥ 0, lower is better. ``scipy.special.huber``, its mean."""

    name: ClassVar[str] = "huber"
    summary: ClassVar[str] = "mean loss that is squared for small errors and linear for large ones"
    formula: ClassVar[str] = "e = |y − ŷ|; mean of e² / 2 where e ≤ δ, δ (e − δ / 2) beyond"
    reference: ClassVar[str] = "scipy.special.huber"
    paper: ClassVar[str] = "Huber 1964, Robust estimation of a location parameter"

    delta: float = 1.0

    def __post_init__(self) -> None:
        self.require(0 < self.delta < math.inf, "delta", "a positive number")

    def losses(self, target: FloatArray, prediction: FloatArray) -> FloatArray:
        """Huber's loss of each error."""
        error = np.abs(target - prediction)
        small = np.minimum(error, self.delta)
        return small * (error - small / 2)


# ── the median and the largest error ────────────────────────────────────────────────────────────────────────────────


_TOO_LARGE = "the error is beyond float64"


@dataclass(frozen=True, repr=False)
class OrderedErrorMetric(NumberMetric):
    """Base of the metrics that look at the order of the absolute errors; rows are (error,), and a weight of 2 is two copies.

    Lower is better; undefined (NaN) where no row has weight.
    """

    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    columns: ClassVar[tuple[str, ...]] = ("error",)

    def row(self, sample: Sample, output: Output) -> Row:
        """The absolute error."""
        pair = number_pair(sample, output)
        if isinstance(pair, str):
            return pair
        error = abs(pair[0] - pair[1])
        return (error,) if math.isfinite(error) else _TOO_LARGE

    def rows(self, stats: FloatArray) -> FloatArray:
        """The error of every row."""
        return stats[:, 0]

    def _stats(self, target: FloatArray, prediction: FloatArray) -> FloatArray:
        with np.errstate(over="ignore"):
            errors = np.abs(target - prediction)
        if not np.isfinite(errors).all():
            raise MetricError(f"{self.name}: {_TOO_LARGE}: row {int(np.argmin(np.isfinite(errors)))}")
        return np.asarray(errors[:, None])


@dataclass(frozen=True, repr=False)
class MedianAbsoluteError(OrderedErrorMetric):
    """The median of the absolute errors, the mean of the two middle ones of an even number; ≥ 0, lower is better.

    ``sklearn.metrics.median_absolute_error``.
    """

    name: ClassVar[str] = "medae"
    paper: ClassVar[str] = "Hyndman and Koehler 2006, Another Look at Measures of Forecast Accuracy"
    summary: ClassVar[str] = "median absolute error"
    formula: ClassVar[str] = "median |y − ŷ|"
    reference: ClassVar[str] = "sklearn.metrics.median_absolute_error"

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """The weighted median: the mean of the lower and the upper one."""
        return weighted_median(stats[:, 0], weights)


@dataclass(frozen=True, repr=False)
class MaxError(OrderedErrorMetric):
    """The largest absolute error; ≥ 0, lower is better. ``sklearn.metrics.max_error``.

    It has no interval: of the largest value of a sample, resampling says nothing (Bickel and Freedman 1981).
    """

    name: ClassVar[str] = "max_error"
    summary: ClassVar[str] = "largest absolute error"
    interval: ClassVar[Interval] = "none"
    formula: ClassVar[str] = "max |y − ŷ|"
    reference: ClassVar[str] = "sklearn.metrics.max_error"

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """The largest error of a row with weight."""
        largest: FloatArray = np.where(weights > 0, stats[None, :, 0], -np.inf).max(axis=1, initial=-np.inf)
        return np.where(np.isfinite(largest), largest, np.nan)


def weighted_median(values: FloatArray, weights: FloatArray) -> FloatArray:
    """The median of ``float64[n]`` values under each row of ``float64[B, n]`` weights, ``float64[B]``; NaN without weight.

    A weight of 2 is two copies. Of all values that split the weight in half, the mean of the lowest and the highest.
    """
    if not len(values):
        return np.full(len(weights), np.nan)
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[:, order], axis=1)
    total = reached[:, -1:]
    slack = 1e-9 * total
    low = np.argmax(reached >= total / 2 - slack, axis=1)
    high = np.argmax(reached > total / 2 + slack, axis=1)
    middle = values[order[low]] / 2 + values[order[high]] / 2
    return np.where(total[:, 0] > 0, middle, np.nan)


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────
#
# ``y_true`` and ``y_pred`` are equally long series of finite numbers; NaN is returned for none. All raise MetricError for
# other arguments, and where a row has no loss.


def mae(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: Weights = None) -> float:
    """The mean absolute error.

    >>> mae([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0])
    0.5
    """
    return MeanAbsoluteError().over(y_true, y_pred, sample_weight)


def mse(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: Weights = None) -> float:
    """The mean squared error.

    >>> mse([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0])
    0.375
    """
    return MeanSquaredError().over(y_true, y_pred, sample_weight)


def rmse(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: Weights = None) -> float:
    """The root of the mean squared error.

    >>> rmse([0.0, 0.0], [3.0, 3.0])
    3.0
    """
    return RootMeanSquaredError().over(y_true, y_pred, sample_weight)


def rmsle(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: Weights = None) -> float:
    """The root of the mean squared error of log(1 + y). Raises MetricError for numbers that are not above −1.

    >>> round(rmsle([1.0, 3.0], [3.0, 1.0]), 6)
    0.693147
    """
    return RootMeanSquaredLogError().over(y_true, y_pred, sample_weight)


def huber(y_true: ArrayLike, y_pred: ArrayLike, *, delta: float = 1.0, sample_weight: Weights = None) -> float:
    """The mean of Huber's loss.

    >>> huber([0.0, 0.0], [0.5, 3.0])
    1.3125
    """
    return HuberLoss(delta).over(y_true, y_pred, sample_weight)


def medae(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: Weights = None) -> float:
    """The median absolute error.

    >>> medae([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0])
    0.5
    """
    return MedianAbsoluteError().over(y_true, y_pred, sample_weight)


def max_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """The largest absolute error.

    >>> max_error([3.0, 2.0, 7.0, 1.0], [4.0, 2.0, 7.0, 1.0])
    1.0
    """
    return MaxError().over(y_true, y_pred)
