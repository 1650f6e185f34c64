"""One metric on one task: sufficient statistics in, a value with its interval, its gaps and its recipe out."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from harness.errors import UsageError
from harness.stats.bootstrap import Aggregate, Finish, IntArray
from harness.stats.methods import Function, Interval, Settings, interval_of
from harness.stats.rows import Rows, missing_rows, votes
from harness.types import Estimate, FloatArray

__all__ = ["METHODS", "estimate", "missing_rows"]

METHODS = ("wilson", "bootstrap", "delta", "jackknife", "subsample", "none")
"""The intervals that :func:`estimate` can make."""


def estimate(
    stats: FloatArray,
    aggregate: Aggregate,
    *,
    finish: Finish | None = None,
    method: str = "bootstrap",
    units: IntArray | None = None,
    groups: IntArray | None = None,
    missing: Mapping[int, str] | None = None,
    extremes: tuple[FloatArray, FloatArray] | None = None,
    bounds: tuple[float | None, float | None] = (None, None),
    level: float = 0.95,
    n_bootstrap: int = 1000,
    rng: np.random.Generator,
) -> Estimate:
    """The value of a metric over all rows, with a ``level`` interval.

    Parameters
    ----------
    stats : ``float64[n, d]``, a row a sample × repeat.
    aggregate, finish : the metric's; ``finish`` only where its statistics are additive (a shortcut, not another value).
    method : ``wilson`` is used where each unit has one row that is a hit or a miss (1 or 0), the value is their mean and
        nothing is clustered, else ``bootstrap`` takes its place. ``bootstrap`` stands for what covers best: between two finite
        bounds a score interval, whose error follows from the slope of the sums (nothing is drawn then) or, where statistics are
        not additive, from replicates; else the BCa bootstrap. ``delta`` (needs ``finish``) and ``jackknife`` take the error
        from there in any case; ``subsample`` resamples halves without replacement, for values that duplicates distort;
        ``none`` makes no interval. :mod:`harness.stats.methods` has them.
    units : row -> unit ``0..U-1``. Rows of one unit (repeats of a sample) share one vote: each weighs 1 / their number.
        None: every row is a unit.
    groups : unit -> cluster, any integers. Whole clusters are resampled then. None: units are.
    missing : row -> reason. These rows, and rows with a NaN, are left out (:func:`missing_rows`).
    extremes : worst and best rows ``float64[m, d]`` that the m missing rows, in ascending order, could have had.
    bounds : closed range of the value, None where there is no bound.
    rng : made by the caller; the same state gives the same interval. It is advanced only where something is resampled.

    Returns
    -------
    Estimate with ``low <= value <= high`` (an interval of a biased statistic may miss the value: it is then stretched to
    it). ``n`` counts units with at least one row, ``n_missing`` units with none. An interval is never ± 0: where resampling
    cannot move the value (accuracy 1), it is widened towards each bound by the Wilson bound of 0 events in as many trials as
    there are resampled units, times the distance to the bound; without two finite bounds there is no interval and the reason
    says so. One unit, or one cluster, gives no interval. ``worst_case`` and ``best_case`` are
    the value with ``extremes`` in place; they equal it where nothing is missing, and are None where they are unknown.

    Raises UsageError for an unknown method or arrays that do not fit each other.
    """
    if method not in METHODS:
        raise UsageError(f"estimate: method must be one of {', '.join(METHODS)}, got {method!r}")
    rows = Rows.of(stats, units, groups, missing or {})
    function = Function(aggregate, finish)
    value = function.value(rows.stats, rows.weights) if rows.n_units else math.nan
    interval, notes = Interval(None, None, "none"), [*rows.notes()]
    if not math.isfinite(value):
        notes = [rows.why_nothing() or f"the value is {'infinite' if math.isinf(value) else 'undefined'} on these samples"]
    elif method != "none":
        interval = interval_of(rows, function, value, Settings(method, bounds, level, n_bootstrap, rng))
        notes = [*interval.notes, *notes]
    worst, best = _extreme_values(rows, function, stats, extremes, value)
    return Estimate(
        value=_finite(value), low=interval.low, high=interval.high, level=level, method=interval.method,
        n=rows.n_units, n_missing=rows.n_missing, n_groups=rows.n_clusters if rows.is_clustered else None,
        worst_case=worst, best_case=best, reason="; ".join(notes) or None,
    )


def _extreme_values(
    rows: Rows, function: Function, stats: FloatArray, extremes: tuple[FloatArray, FloatArray] | None, value: float
) -> tuple[float | None, float | None]:
    if not len(rows.absent):
        return _finite(value), _finite(value)
    if extremes is None:
        return None, None
    wanted = (len(rows.absent), stats.shape[1])
    found: list[float | None] = []
    for row_values in extremes:
        if row_values.shape != wanted:
            raise UsageError(f"estimate: extremes must have the shape {wanted}, a row each of missing_rows(), "
                             f"got {row_values.shape}")
        full = stats.copy()
        full[rows.absent] = row_values
        found.append(None if np.isnan(full).any() else _finite(function.value(full, votes(rows.units))))
    return found[0], found[1]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
