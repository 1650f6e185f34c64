"""The studentised bootstrap (bootstrap-t) of functions of sums: each replicate's deviation in units of its own standard error.

The error of a replicate is the delta method's, from its first and second moments: both are sums over units, so that no
replicate looks at rows again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.errors import UsageError
from harness.stats.bootstrap import Finish, IntArray, resample_weights
from harness.types import FloatArray

_STEP = 1e-6
_SMALLEST = 1e-3
_BLOCK_BYTES = 2**21


@dataclass(frozen=True, slots=True)
class Studentised:
    """The value and its ``error``, and the replicates ``t`` of (replicate - value) / error of the replicate: infinite where a
    replicate has no spread, NaN where it is undefined."""

    value: float
    error: float
    t: FloatArray

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Value - t·error at both quantiles of ``t`` (Davison and Hinkley 1997, 5.2). An end is infinite where more replicates
        than the level leaves out have no spread; (NaN, NaN) if none is defined. It may leave the bounds of the value."""
        if not 0 < level < 1:
            raise UsageError(f"level must lie strictly between 0 and 1, got {level!r}")
        defined = np.sort(self.t[~np.isnan(self.t)])
        if not len(defined):
            return float("nan"), float("nan")
        low, high = (_quantile(defined, share) for share in ((1 - level) / 2, (1 + level) / 2))
        return self.value - high * self.error, self.value - low * self.error


def studentised(
    finish: Finish, sums: FloatArray, *, strata: IntArray | None = None, n_bootstrap: int = 1000, rng: np.random.Generator
) -> Studentised:
    """Bootstrap-t of ``finish`` of the totals of ``sums``, ``float64[G, d]``: a row a unit, or the sum over a cluster.

    Errors are cluster-robust: from the variance of the G contributions, times G / (G - 1). With ``strata``, the stratum of each
    unit, ``0..S-1``, units are drawn inside each, and the variances of the strata add up. Costs d·(d + 3) / 2 columns of a
    matrix product. Raises UsageError for fewer than two units.
    """
    if len(sums) < 2:
        raise UsageError(f"studentised: needs two units or more, got {len(sums)}")
    members = [np.arange(len(sums))] if strata is None else [np.flatnonzero(strata == s) for s in range(int(strata.max()) + 1)]
    pairs = np.triu_indices(sums.shape[1])
    products = sums[:, pairs[0]] * sums[:, pairs[1]]
    value, error = _with_errors(finish, np.ones((1, len(sums))), sums, products, members)
    blocks = [_with_errors(finish, drawn, sums, products, members)
              for drawn in resample_weights(len(sums), n_bootstrap, rng, strata=strata, block_bytes=_BLOCK_BYTES)]
    values, errors = (np.concatenate(parts) for parts in zip(*blocks))
    apart = values - value
    rounding = 1e-12 * max(1.0, abs(float(value[0])))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(errors > rounding, apart / errors, np.where(np.abs(apart) > rounding, np.sign(apart) * np.inf, 0.0))
    return Studentised(float(value[0]), float(error[0]), np.where(np.isnan(values), np.nan, t))


def _with_errors(
    finish: Finish, weights: FloatArray, sums: FloatArray, products: FloatArray, members: list[IntArray]
) -> tuple[FloatArray, FloatArray]:
    """Values under each row of weights, and their delta-method errors, ``float64[B]`` each."""
    totals = weights @ sums
    slopes = _slopes(finish, totals)
    variance = np.zeros(len(weights))
    first, second = np.triu_indices(sums.shape[1])
    twice = np.where(first == second, 1.0, 2.0)
    for rows in members:
        n, part = len(rows), weights[:, rows]
        mean = part @ sums[rows]
        spread = part @ products[rows] - mean[:, first] * mean[:, second] / n
        with np.errstate(invalid="ignore"):  # no slope where the value is undefined
            contributed = (twice * slopes[:, first] * slopes[:, second] * spread).sum(axis=1)
        variance += n / max(n - 1, 1) * np.maximum(contributed, 0.0)
    return np.asarray(finish(totals), dtype=np.float64), np.sqrt(variance)


def _slopes(finish: Finish, totals: FloatArray) -> FloatArray:
    """The gradients at ``float64[B, d]`` totals, by central differences."""
    step = _STEP * np.maximum(np.abs(totals), _SMALLEST)
    slopes = np.empty_like(totals)
    with np.errstate(all="ignore"):
        for column in range(totals.shape[1]):
            moved = np.zeros_like(totals)
            moved[:, column] = step[:, column]
            slopes[:, column] = (finish(totals + moved) - finish(totals - moved)) / (2 * step[:, column])
    return slopes


def _quantile(ordered: FloatArray, share: float) -> float:
    """Linear interpolation, as numpy's, where neighbours are finite; else the outer one."""
    place = share * (len(ordered) - 1)
    below, above = float(ordered[int(np.floor(place))]), float(ordered[int(np.ceil(place))])
    if np.isfinite(below) and np.isfinite(above):
        return below + float(place - np.floor(place)) * (above - below)
    return below if share < 0.5 else above
