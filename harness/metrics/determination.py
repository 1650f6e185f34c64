"""How much of the spread of the targets the answers explain: R², R² adjusted for predictors, explained variance.

Targets and answers are centred before they are squared, so that a large mean costs no digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from harness.metrics.numbers import NumberMetric, Weights, centred, size_exponent, spreads
from harness.metrics.rows import ratio
from harness.types import FloatArray


@dataclass(frozen=True, repr=False)
class R2(NumberMetric):
    """The coefficient of determination: 1 is exact, 0 as good as always answering the mean, below 0 worse than that.

    Undefined (NaN) where the targets are all equal or there are fewer than two; scikit-learn gives 1 to exact answers and 0 to
    others there. Else equal to ``sklearn.metrics.r2_score``.
    """

    name: ClassVar[str] = "r2"
    summary: ClassVar[str] = "share of the targets' variance that the answers explain"
    bounds: ClassVar[tuple[float | None, float | None]] = (None, 1.0)
    formula: ClassVar[str] = "1 − Σ (y − ŷ)² / Σ (y − ȳ)²"
    reference: ClassVar[str] = "sklearn.metrics.r2_score"
    paper: ClassVar[str] = "Wright 1921, Correlation and causation"

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """From weighted sums of squares."""
        target, error = _scaled(stats)
        return 1.0 - ratio(weights @ error**2, spreads(centred(target), weights))


@dataclass(frozen=True, repr=False)
class AdjustedR2(R2):
    """R² less what ``k`` predictors explain by chance; 1 is exact. Undefined unless there are more than k + 1 rows.

    Wherry 1931; with weights, n is their sum.
    """

    name: ClassVar[str] = "adjusted_r2"
    summary: ClassVar[str] = "R² adjusted for the number of predictors"
    formula: ClassVar[str] = "1 − (1 − R²) (n − 1) / (n − k − 1)"
    reference: ClassVar[str] = "hand-worked from sklearn.metrics.r2_score"
    paper: ClassVar[str] = "Wherry 1931, A new formula for predicting the shrinkage of the coefficient of multiple correlation"

    k: int = 1

    def __post_init__(self) -> None:
        self.require(isinstance(self.k, int) and self.k >= 0, "k", "an integer >= 0")

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """From R² and the number of rows."""
        n = weights.sum(axis=1)
        return 1.0 - (1.0 - super().aggregate(stats, weights)) * ratio(n - 1, n - self.k - 1)

    def why_undefined(self, stats: FloatArray) -> str | None:
        if len(stats) <= self.k + 1:
            return f"it takes more than {self.k + 1} samples (k + 1), and {len(stats)} can be scored"
        return super().why_undefined(stats)


@dataclass(frozen=True, repr=False)
class ExplainedVariance(NumberMetric):
    """As R², but a constant error costs nothing: the variance of the errors stands in place of their squares; 1 is best.

    Undefined (NaN) where the targets are all equal or there are fewer than two, where scikit-learn gives 1 or 0. Else equal to
    ``sklearn.metrics.explained_variance_score``.
    """

    name: ClassVar[str] = "explained_variance"
    summary: ClassVar[str] = "share of the targets' variance that the answers explain, whatever their bias"
    bounds: ClassVar[tuple[float | None, float | None]] = (None, 1.0)
    formula: ClassVar[str] = "1 − Var(y − ŷ) / Var(y)"
    reference: ClassVar[str] = "sklearn.metrics.explained_variance_score"

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """From weighted sums of squares around the weighted means."""
        target, error = _scaled(stats)
        return 1.0 - ratio(spreads(centred(error), weights), spreads(centred(target), weights))


def _scaled(stats: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Targets and errors, both divided by one power of two."""
    exponent = size_exponent(stats[:, 0], stats[:, 1])
    target, prediction = np.ldexp(stats[:, 0], -exponent), np.ldexp(stats[:, 1], -exponent)
    return target, target - prediction


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────
#
# ``y_true`` and ``y_pred`` are equally long series of finite numbers; NaN is returned where undefined. All raise MetricError
# for other arguments.


def r2(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: Weights = None) -> float:
    """The coefficient of determination.

    >>> r2([1.0, 2.0, 3.0], [1.0, 2.0, 2.0])
    0.5
    """
    return R2().over(y_true, y_pred, sample_weight)


def adjusted_r2(y_true: ArrayLike, y_pred: ArrayLike, *, k: int = 1, sample_weight: Weights = None) -> float:
    """R² adjusted for ``k`` predictors.

    >>> round(adjusted_r2([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 3.0], k=1), 12)
    0.7
    """
    return AdjustedR2(k).over(y_true, y_pred, sample_weight)


def explained_variance(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: Weights = None) -> float:
    """The explained variance.

    >>> explained_variance([1.0, 2.0, 3.0], [11.0, 12.0, 13.0])
    1.0
    """
    return ExplainedVariance().over(y_true, y_pred, sample_weight)
