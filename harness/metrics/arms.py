"""Two arms of an experiment as sums: rows whose totals give the means of each arm, adjusted by covariates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.stats.bootstrap import IntArray
from harness.types import FloatArray


def n_columns(n_covariates: int) -> int:
    """Columns of :func:`arm_rows`: weight and sum; with p covariates also those of y, x, y·x and x·x, for each arm."""
    p = n_covariates
    return 2 * (2 if p == 0 else 3 + 2 * p + p * (p + 1) // 2)


def arm_rows(
    values: FloatArray, is_treated: np.ndarray, units: IntArray, covariates: FloatArray, per: FloatArray | None
) -> FloatArray:
    """``float64[n, c]``: the columns of the control, then those of the treatment; a row is 0 in the other arm's.

    Rows of a unit (``int64[n]``) weigh 1 / their number each, so that sums are over units of means of units; with ``per`` the
    weight is that column and rows count as they are. ``covariates`` (``float64[n, p]``, NaN where there is none) are taken as
    means of units, the mean of all others where a unit has none, centred and scaled; values are centred in products. Neither
    changes what is estimated.
    """
    weights = (1.0 / np.bincount(units)[units]) if per is None else per
    own = [weights, values * weights if per is None else values]
    if covariates.shape[1]:
        y = values - np.average(values, weights=weights)
        x = np.column_stack([_of_units(column, units, weights) for column in covariates.T])
        own += [weights * y, *(weights * column for column in x.T), *(weights * y * column for column in x.T)]
        first, second = np.triu_indices(x.shape[1])
        own += [weights * x[:, i] * x[:, j] for i, j in zip(first, second)]
    block = np.column_stack(own)
    return np.concatenate([np.where(is_treated[:, None], 0.0, block), np.where(is_treated[:, None], block, 0.0)], axis=1)


@dataclass(frozen=True, slots=True)
class Arms:
    """Totals ``float64[..., c]`` by arm, the control first: weights and sums, ``float64[...]`` each, and all columns."""

    weights: tuple[FloatArray, FloatArray]
    sums: tuple[FloatArray, FloatArray]
    halves: tuple[FloatArray, FloatArray]

    @classmethod
    def of(cls, totals: FloatArray) -> Arms:
        control, treatment = np.split(np.asarray(totals), 2, axis=-1)
        pairs = [(control[..., column], treatment[..., column]) for column in (0, 1)]
        return cls(pairs[0], pairs[1], (control, treatment))


def adjusted_means(totals: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The means of control and treatment, adjusted by the covariates if there are some; NaN of an arm without weight.

    ȳ − θ (x̄ − x̄ of both arms together), θ from the covariances within arms, pooled; 0 along what does not vary.
    """
    arms = Arms.of(totals)
    n = np.stack(arms.weights)
    means = np.divide(np.stack(arms.sums), n, out=np.full(n.shape, np.nan), where=n > 0)
    p = _n_covariates(arms.halves[0].shape[-1])
    if p == 0:
        return means[0], means[1]
    there = np.asarray((n > 0).all(axis=0))
    moments = [_within(half, p) for half in arms.halves]
    covariance = np.where(there[..., None], moments[0][0] + moments[1][0], 0.0)
    variance = np.where(there[..., None, None], moments[0][1] + moments[1][1], 0.0)
    theta = (np.linalg.pinv(variance, rcond=1e-10, hermitian=True) @ covariance[..., None])[..., 0]
    x = [np.divide(half[..., 3 : 3 + p], w[..., None], out=np.zeros(half[..., 3 : 3 + p].shape), where=w[..., None] > 0)
         for half, w in zip(arms.halves, arms.weights)]  # fmt: skip
    both = np.divide(arms.halves[0][..., 3 : 3 + p] + arms.halves[1][..., 3 : 3 + p], (n[0] + n[1])[..., None],
                     out=np.zeros(x[0].shape), where=(n[0] + n[1])[..., None] > 0)
    adjusted = [mean - ((one - both) * theta).sum(axis=-1) for mean, one in zip(means, x)]
    return adjusted[0], adjusted[1]


def _within(half: FloatArray, p: int) -> tuple[FloatArray, FloatArray]:
    """Sums of products of y and x, and of x and x, about the arm's means: ``float64[..., p]``, ``float64[..., p, p]``."""
    n = np.where(half[..., 0] > 0, half[..., 0], 1.0)
    y, x = half[..., 2], half[..., 3 : 3 + p]
    products = half[..., 3 + p : 3 + 2 * p] - (y / n)[..., None] * x
    squares = np.zeros((*half.shape[:-1], p, p))
    first, second = np.triu_indices(p)
    squares[..., first, second] = half[..., 3 + 2 * p :]
    squares[..., second, first] = half[..., 3 + 2 * p :]
    return products, squares - x[..., :, None] * x[..., None, :] / n[..., None, None]


def _n_covariates(width: int) -> int:
    return next(p for p in range(width + 1) if n_columns(p) == 2 * width)


def _of_units(column: FloatArray, units: IntArray, weights: FloatArray) -> FloatArray:
    """The mean of each unit's covariate, standardised; 0, the mean of all, where it has none."""
    there = np.isfinite(column)
    n = np.bincount(units, there.astype(np.float64))
    sums = np.bincount(units, np.where(there, column, 0.0))
    means = np.divide(sums, n, out=np.full(len(n), np.nan), where=n > 0)[units]
    known = np.isfinite(means)
    filled = np.zeros(len(column))
    filled[known] = _standard(means[known], weights[known])
    return filled


def _standard(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Values less their mean, over their standard deviation (1 where nothing varies)."""
    if not len(values):
        return values
    apart = values - np.average(values, weights=weights)
    scale = float(np.sqrt(np.average(apart**2, weights=weights)))
    return apart / (scale if scale > 0 else 1.0)
