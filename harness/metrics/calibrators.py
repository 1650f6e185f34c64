"""Calibrators: fitted on scores and targets, they turn scores into probabilities. Platt scaling, isotonic regression,
temperature.

Scores are ``float64[n]`` of the positive class with targets 0 and 1, or ``float64[n, K]`` with the codes 0..K-1. Platt scaling
and isotonic regression take K classes one against the rest and make the probabilities of a row sum to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.errors import MetricError
from harness.metrics.labels import number_array
from harness.types import FloatArray

IntArray: TypeAlias = NDArray[np.intp]
F = TypeVar("F")

_STEPS = 200


@dataclass(frozen=True)
class Platt:
    """Platt scaling: p = 1 / (1 + exp(A·s + B)), A and B of the greatest likelihood.

    Targets are smoothed to (N₊ + 1) / (N₊ + 2) and 1 / (N₋ + 2) as Platt has them (``smooth``; then there always is a finite
    optimum). The optimum that ``sklearn.calibration.CalibratedClassifierCV(method="sigmoid")`` goes for (Platt 1999; Lin, Lin
    and Weng 2007).
    """

    name: ClassVar[str] = "platt"
    paper: ClassVar[str] = "Platt 1999, Probabilistic Outputs for Support Vector Machines"
    summary: ClassVar[str] = "a logistic function of the score"

    smooth: bool = True
    _fitted: tuple[tuple[float, float], ...] = field(default=(), repr=False)

    def fit(self, scores: FloatArray, targets: Sequence[Any]) -> Platt:
        """A fitted copy. Raises MetricError for shapes that do not fit, scores that are not finite, targets of one class."""
        return replace(self, _fitted=_each_class(self.name, scores, targets, self._line))

    def apply(self, scores: FloatArray) -> FloatArray:
        """Probabilities in the shape of ``scores``. Raises MetricError before :meth:`fit` and for another number of classes."""
        return _applied(self.name, scores, self._fitted, lambda column, line: _sigmoid(-(line[0] * column + line[1])))

    @property
    def coefficients(self) -> tuple[tuple[float, float], ...]:
        """A and B, of each class where there are several."""
        return self._fitted

    def _line(self, scores: FloatArray, is_positive: FloatArray) -> tuple[float, float]:
        n_up, n_down = is_positive.sum(), (1 - is_positive).sum()
        wanted = is_positive
        if self.smooth:
            wanted = np.where(is_positive > 0, (n_up + 1) / (n_up + 2), 1 / (n_down + 2))
        scale = float(np.abs(scores).max()) or 1.0
        slope, offset = _logistic(scores / scale, wanted)
        return -slope / scale, -offset


@dataclass(frozen=True)
class Isotonic:
    """Isotonic regression: the non-decreasing step function of the score with the least squared error, straight between its
    points.

    Rows of equal score are taken together; scores outside those that were fitted get the nearest end. Equals
    ``sklearn.isotonic.IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")`` (Zadrozny and Elkan 2002).
    """

    name: ClassVar[str] = "isotonic"
    paper: ClassVar[str] = "Zadrozny and Elkan 2002, Transforming Classifier Scores into Accurate Probability Estimates"
    summary: ClassVar[str] = "the best non-decreasing function of the score"

    _fitted: tuple[tuple[FloatArray, FloatArray], ...] = field(default=(), repr=False, compare=False)

    def fit(self, scores: FloatArray, targets: Sequence[Any]) -> Isotonic:
        """A fitted copy. Raises MetricError for shapes that do not fit, scores that are not finite, targets of one class."""
        return replace(self, _fitted=_each_class(self.name, scores, targets, _steps))

    def apply(self, scores: FloatArray) -> FloatArray:
        """Probabilities in the shape of ``scores``. Raises MetricError before :meth:`fit` and for another number of classes."""
        return _applied(self.name, scores, self._fitted, lambda column, points: np.interp(column, *points))


@dataclass(frozen=True)
class Temperature:
    """Temperature scaling: softmax(s / T), T > 0 of the greatest likelihood; the order of the classes stays as it is.

    Scores are logits or log-probabilities, ``float64[n, K]``; one column is the log-odds of the positive class, 1 / (1 +
    exp(-s / T)). The likelihood is concave in 1 / T and its optimum is found to machine precision. Where every row's best
    class is its target (or the scores say nothing) T has no optimum and ends at its bound, 1e-3 or 1e3 (Guo et al. 2017).
    """

    name: ClassVar[str] = "temperature"
    paper: ClassVar[str] = "Guo et al. 2017, On Calibration of Modern Neural Networks"
    summary: ClassVar[str] = "softmax of the scores over one temperature"

    _fitted: float | None = field(default=None, repr=False)

    def fit(self, scores: FloatArray, targets: Sequence[Any]) -> Temperature:
        """A fitted copy. Raises MetricError for shapes that do not fit and scores that are not finite."""
        table, codes = _checked(self.name, scores, targets)
        return replace(self, _fitted=_temperature(_logits(table), codes))

    def apply(self, scores: FloatArray) -> FloatArray:
        """Probabilities in the shape of ``scores``. Raises MetricError before :meth:`fit`."""
        if self._fitted is None:
            raise MetricError("temperature: call fit(scores, targets) first")
        table = number_array(self.name, "scores", scores)
        probabilities = _softmax(_logits(table) / self._fitted)
        return probabilities[:, 1] if table.ndim == 1 else probabilities

    @property
    def value(self) -> float | None:
        """T, or None before :meth:`fit`."""
        return self._fitted


# ── fitting ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _checked(name: str, scores: FloatArray, targets: Sequence[Any]) -> tuple[FloatArray, IntArray]:
    table, codes = number_array(name, "scores", scores), number_array(name, "targets", targets)
    if table.ndim not in (1, 2) or (table.ndim == 2 and table.shape[1] < 2):
        raise MetricError(f"{name}: scores must be (n,) or (n, K) with K ≥ 2, got shape {table.shape}")
    if len(table) != len(codes) or not len(table):
        raise MetricError(f"{name}: scores and targets must be equally many and not empty, got {len(table)} and {len(codes)}")
    if not np.isfinite(table).all():
        raise MetricError(f"{name}: scores must be finite")
    n_classes = 2 if table.ndim == 1 else table.shape[1]
    if not np.isin(codes, np.arange(n_classes)).all():
        raise MetricError(f"{name}: targets must be codes 0..{n_classes - 1}, got {sorted(set(codes.tolist()), key=repr)[:5]}")
    return table, codes.astype(np.intp)


def _each_class(
    name: str, scores: FloatArray, targets: Sequence[Any], fit: Callable[[FloatArray, FloatArray], F]
) -> tuple[F, ...]:
    table, codes = _checked(name, scores, targets)
    columns, classes = (table[:, None], [1]) if table.ndim == 1 else (table, list(range(table.shape[1])))
    fitted = []
    for column, code in zip(columns.T, classes):
        is_positive = (codes == code).astype(np.float64)
        if not 0 < is_positive.sum() < len(codes):
            raise MetricError(f"{name}: targets must have rows of class {code} and of others")
        fitted.append(fit(column, is_positive))
    return tuple(fitted)


def _applied(
    name: str, scores: FloatArray, fitted: tuple[F, ...], probabilities: Callable[[FloatArray, F], FloatArray]
) -> FloatArray:
    if not fitted:
        raise MetricError(f"{name}: call fit(scores, targets) first")
    table = number_array(name, "scores", scores)
    width = 1 if table.ndim == 1 else table.shape[1]
    if width != len(fitted):
        raise MetricError(f"{name}: was fitted to {len(fitted)} classes, got scores of shape {table.shape}")
    if table.ndim == 1:
        return probabilities(table, fitted[0])
    columns = np.column_stack([probabilities(column, each) for column, each in zip(table.T, fitted)])
    sums = columns.sum(axis=1, keepdims=True)
    shares: FloatArray = np.divide(columns, sums, out=np.full_like(columns, 1 / len(fitted)), where=sums > 0)
    return shares


def _logistic(x: FloatArray, wanted: FloatArray) -> tuple[float, float]:
    """Slope and offset of the logistic regression of shares ``wanted`` on ``x``, by Newton's method with halved steps."""
    design = np.column_stack([x, np.ones(len(x))])
    share = float(wanted.mean())
    beta = np.array([0.0, math.log(share / (1 - share))])
    loss = _cross_entropy(design @ beta, wanted)
    for _ in range(_STEPS):
        p = _sigmoid(design @ beta)
        gradient = design.T @ (p - wanted)
        hessian = design.T @ (design * (p * (1 - p))[:, None])
        step, *_ = np.linalg.lstsq(hessian, gradient, rcond=None)
        size, better = 1.0, np.inf
        while size > 1e-10 and not (better := _cross_entropy(design @ (beta - size * step), wanted)) <= loss:
            size /= 2
        if not better <= loss:
            break
        beta, previous, loss = beta - size * step, loss, better
        if previous - loss <= 1e-15 * max(1.0, abs(loss)) and np.abs(step).max() <= 1e-9 * max(1.0, float(np.abs(beta).max())):
            break
    return float(beta[0]), float(beta[1])


def _cross_entropy(logits: FloatArray, wanted: FloatArray) -> float:
    return float((np.logaddexp(0.0, logits) - wanted * logits).sum())


def _steps(scores: FloatArray, is_positive: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The points of the isotonic fit: scores ascending and their fitted values."""
    from scipy.optimize import isotonic_regression

    points, at = np.unique(scores, return_inverse=True)
    counts = np.bincount(at).astype(np.float64)
    means = np.bincount(at, is_positive) / counts
    fitted = np.asarray(isotonic_regression(means, weights=counts).x, dtype=np.float64)
    return points, np.clip(fitted, 0.0, 1.0)


def _temperature(logits: FloatArray, codes: IntArray) -> float:
    """The root of the slope of the log-likelihood in 1 / T: it falls, so halving an interval finds it."""
    own = logits[np.arange(len(codes)), codes]

    def slope(inverse: float) -> float:
        return float((own - (_softmax(logits * inverse) * logits).sum(axis=1)).sum())

    low, high = 1e-3, 1e3
    if slope(high) >= 0:
        return 1 / high
    if slope(low) <= 0:
        return 1 / low
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return 1 / math.sqrt(low * high)


def _logits(table: FloatArray) -> FloatArray:
    """``float64[n, K]``; log-odds of one class stand beside 0 for the other."""
    return np.column_stack([np.zeros(len(table)), table]) if table.ndim == 1 else table


def _softmax(logits: FloatArray) -> FloatArray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: FloatArray = shifted / shifted.sum(axis=1, keepdims=True)
    return shares


def _sigmoid(x: FloatArray) -> FloatArray:
    values: FloatArray = np.exp(-np.logaddexp(0.0, -x))
    return values
