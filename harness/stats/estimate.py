"""One metric on one task: sufficient statistics in, a value with its interval, its gaps and its recipe out."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import UsageError
from harness.stats.bootstrap import Aggregate, Finish, IntArray, percentile_interval, replicates
from harness.stats.halves import half_scale, half_values
from harness.stats.intervals import normal_quantile, wilson
from harness.stats.smooth import delta_error, jackknife_error
from harness.types import Estimate, FloatArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

METHODS = ("wilson", "bootstrap", "delta", "jackknife", "subsample", "none")
"""The intervals that :func:`estimate` can make."""

MOST_HALVES = 200
"""Halves that are drawn at most: what is measured on them is often dear, and their spread settles early."""

UNDEFINED_SHARE = 0.05
"""Share of undefined resamplings above which the reader is told."""


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
        nothing is clustered, else ``bootstrap`` takes its place; ``delta`` (needs ``finish``) and ``jackknife`` are normal
        intervals around the value; ``subsample`` resamples halves without replacement, for values that duplicates distort;
        ``none`` makes no interval.
    units : row -> unit ``0..U-1``. Rows of one unit (repeats of a sample) share one vote: each weighs 1 / their number.
        None: every row is a unit.
    groups : unit -> cluster, any integers. Whole clusters are resampled then. None: units are.
    missing : row -> reason. These rows, and rows with a NaN, are left out (:func:`missing_rows`).
    extremes : worst and best rows ``float64[m, d]`` that the m missing rows, in ascending order, could have had.
    bounds : closed range of the value, None where there is no bound.
    rng : made by the caller; the same state and number of resampled units give the same resamplings for every metric
        and every model, so that replicates pair. It is advanced only where something is resampled.

    Returns
    -------
    Estimate with ``low <= value <= high`` (a percentile interval of a biased statistic may miss the value: it is then
    stretched to it). ``n`` counts units with at least one row, ``n_missing`` units with none. An interval is never ± 0:
    where resampling cannot move the value (accuracy 1), it is widened towards each bound by the Wilson bound of 0 events
    in as many trials as there are resampled units, times the distance to the bound; without two finite bounds there is
    no interval and the reason says so. One unit, or one cluster, gives no interval. ``worst_case`` and ``best_case`` are
    the value with ``extremes`` in place; they equal it where nothing is missing, and are None where they are unknown.

    Raises UsageError for an unknown method or arrays that do not fit each other.
    """
    if method not in METHODS:
        raise UsageError(f"estimate: method must be one of {', '.join(METHODS)}, got {method!r}")
    rows = _Rows.of(stats, units, groups, missing or {})
    function = _Function(aggregate, finish)
    value = function.value(rows.stats, rows.weights) if rows.n_units else math.nan
    interval, notes = _Interval(None, None, "none"), [*rows.notes()]
    if not math.isfinite(value):
        notes = [rows.why_nothing() or f"the value is {'infinite' if math.isinf(value) else 'undefined'} on these samples"]
    elif method != "none":
        interval = _interval(rows, function, value, _Settings(method, bounds, level, n_bootstrap, rng))
        notes = [*interval.notes, *notes]
    worst, best = _extreme_values(rows, function, stats, extremes, value)
    return Estimate(
        value=_finite(value), low=interval.low, high=interval.high, level=level, method=interval.method,
        n=rows.n_units, n_missing=rows.n_missing, n_groups=rows.n_clusters if rows.is_clustered else None,
        worst_case=worst, best_case=best, reason="; ".join(notes) or None,
    )


def missing_rows(stats: FloatArray, missing: Mapping[int, str]) -> IntArray:
    """The rows that are left out, ascending: those with a reason, and those whose statistics hold a NaN."""
    absent: NDArray[np.bool_] = np.asarray(np.isnan(stats).any(axis=1))
    absent[[int(row) for row in missing]] = True
    return np.flatnonzero(absent)


# ── rows, units, clusters ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows that are there, their votes, and how they hang together."""

    stats: FloatArray
    weights: FloatArray
    clusters: IntArray
    n_units: int
    n_clusters: int
    is_clustered: bool
    absent: IntArray
    n_missing: int
    reasons: tuple[str, ...]
    units: IntArray

    @classmethod
    def of(
        cls, stats: FloatArray, units: IntArray | None, groups: IntArray | None, missing: Mapping[int, str]
    ) -> _Rows:
        unit_of = np.arange(len(stats)) if units is None else np.asarray(units)
        n_all = int(unit_of.max(initial=-1)) + 1
        _check_shapes(stats, unit_of, groups, n_all, missing)
        absent = missing_rows(stats, missing)
        present = np.delete(np.arange(len(stats)), absent)
        cluster_of = unit_of if groups is None else np.asarray(groups)[unit_of]
        kept, clusters = np.unique(cluster_of[present], return_inverse=True)
        n_units = len(np.unique(unit_of[present]))
        return cls(
            stats=stats[present], weights=_votes(unit_of[present]), clusters=clusters, n_units=n_units, n_clusters=len(kept),
            is_clustered=groups is not None, absent=absent, n_missing=len(np.unique(unit_of)) - n_units,
            reasons=tuple(missing.get(int(row), "its statistics are undefined") for row in absent), units=unit_of,
        )

    @property
    def has_repeats(self) -> bool:
        return self.n_units < len(self.stats)

    def why_nothing(self) -> str | None:
        """Why there is no value at all, if no unit has a row."""
        if self.n_units:
            return None
        return f"no sample could be scored: {self._most_common()}" if self.reasons else "there are no samples"

    def notes(self) -> list[str]:
        """Missing repeats of units that are scored by their other repeats: ``n_missing`` does not show them."""
        scored = np.isin(self.units[self.absent], np.delete(self.units, self.absent))
        if not scored.any():
            return []
        return [f"missing repeats of scored samples: {int(scored.sum())} (most often: {self._most_common()})"]

    def _most_common(self) -> str:
        return Counter(self.reasons).most_common(1)[0][0]


def _check_shapes(
    stats: FloatArray, units: IntArray, groups: IntArray | None, n_units: int, missing: Mapping[int, str]
) -> None:
    if stats.ndim != 2:
        raise UsageError(f"estimate: stats must be an (n, d) array, got shape {stats.shape}")
    if units.shape != (len(stats),) or (len(units) and units.min() < 0):
        raise UsageError(f"estimate: units must give a number >= 0 for each of the {len(stats)} rows, got shape {units.shape}")
    if groups is not None and len(groups) != n_units:
        raise UsageError(f"estimate: groups must give the cluster of each of the {n_units} units, got {len(groups)}")
    outside = [row for row in missing if not 0 <= row < len(stats)]
    if outside:
        raise UsageError(f"estimate: missing names row {outside[0]}, but there are {len(stats)} rows")


def _votes(units: IntArray) -> FloatArray:
    return 1.0 / np.bincount(units)[units] if len(units) else np.zeros(0)


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Function:
    aggregate: Aggregate
    finish: Finish | None

    def value(self, stats: FloatArray, weights: FloatArray) -> float:
        if self.finish is not None:
            return float(np.asarray(self.finish(weights @ stats)))
        return float(np.asarray(self.aggregate(stats, weights[None, :]))[0])

    def of_rows(self, stats: FloatArray) -> FloatArray | None:
        """The value of each row by itself, where statistics are additive."""
        return None if self.finish is None else np.asarray(self.finish(stats))


def _extreme_values(
    rows: _Rows, function: _Function, stats: FloatArray, extremes: tuple[FloatArray, FloatArray] | None, value: float
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
        found.append(None if np.isnan(full).any() else _finite(function.value(full, _votes(rows.units))))
    return found[0], found[1]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


# ── intervals ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Interval:
    low: float | None
    high: float | None
    method: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Settings:
    method: str
    bounds: tuple[float | None, float | None]
    level: float
    n_bootstrap: int
    rng: np.random.Generator


def _interval(rows: _Rows, function: _Function, value: float, settings: _Settings) -> _Interval:
    if rows.n_clusters == 1:
        return _Interval(None, None, "none", ("one sample" if rows.n_units == 1 else "one group",))
    if settings.method == "wilson" and not rows.is_clustered and not rows.has_repeats:
        hits = _hits(function.of_rows(rows.stats), value)
        if hits is not None:
            low, high = wilson(hits, rows.n_units, settings.level)
            return _Interval(min(low, value), max(high, value), "wilson")
    if settings.method == "subsample":
        return _subsample(rows, function, value, settings)
    if settings.method == "jackknife" or (settings.method == "delta" and function.finish is not None):
        return _normal(rows, function, value, settings)
    return _bootstrap(rows, function, value, settings)


def _hits(values: FloatArray | None, value: float) -> float | None:
    """The number of hits, if the value is the mean of hits and misses."""
    if values is None or not np.isin(values, (0.0, 1.0)).all():
        return None
    hits = float(values.sum())
    return hits if math.isclose(value, hits / len(values), rel_tol=1e-12, abs_tol=1e-12) else None


def _bootstrap(rows: _Rows, function: _Function, value: float, settings: _Settings) -> _Interval:
    each_row_is_drawn = not rows.is_clustered and not rows.has_repeats
    drawn = replicates(
        function.aggregate, rows.stats, groups=None if each_row_is_drawn else rows.clusters,
        weights=rows.weights if rows.has_repeats else None, finish=function.finish,
        n_bootstrap=settings.n_bootstrap, rng=settings.rng,
    )
    method = f"{'cluster bootstrap' if rows.is_clustered else 'bootstrap'}(percentile, {settings.n_bootstrap})"
    low, high = percentile_interval(drawn, settings.level)
    undefined = 1 - float(np.isfinite(drawn).mean())
    notes = (f"{undefined:.0%} of the resamplings leave the value undefined",) if undefined > UNDEFINED_SHARE else ()
    if math.isnan(low):
        return _Interval(None, None, method, notes)
    if high - low <= 1e-12 * max(1.0, abs(value)):
        return _widened(value, rows.n_clusters, settings, _Interval(None, None, method, notes))
    return _Interval(min(low, value), max(high, value), method, notes)


def _subsample(rows: _Rows, function: _Function, value: float, settings: _Settings) -> _Interval:
    n_halves = min(settings.n_bootstrap, MOST_HALVES)
    drawn = half_values(function.aggregate, rows.stats, rows.weights, rows.clusters, n_halves=n_halves, rng=settings.rng)
    method = f"{'clustered ' if rows.is_clustered else ''}subsample(halves, {n_halves})"
    finite = drawn[np.isfinite(drawn)]
    undefined = 1 - len(finite) / len(drawn)
    notes = (f"{undefined:.0%} of the halves leave the value undefined",) if undefined > UNDEFINED_SHARE else ()
    if len(finite) < 2:
        return _Interval(None, None, method, notes)
    spread = (finite - finite.mean()) * half_scale(rows.n_clusters)
    interval = _Interval(None, None, method, notes)
    return _within_bounds(value, percentile_interval(spread, settings.level), rows, settings, interval)


def _normal(rows: _Rows, function: _Function, value: float, settings: _Settings) -> _Interval:
    if settings.method == "delta" and function.finish is not None:
        error = delta_error(function.finish, rows.stats, rows.weights, rows.clusters)
    else:
        error = jackknife_error(function.aggregate, rows.stats, rows.weights, rows.clusters)
    if not math.isfinite(error):
        return _Interval(None, None, settings.method, ("a sample less leaves the value undefined",))
    half = normal_quantile(settings.level) * error
    return _within_bounds(value, (-half, half), rows, settings, _Interval(None, None, settings.method))


def _within_bounds(
    value: float, spread: tuple[float, float], rows: _Rows, settings: _Settings, so_far: _Interval
) -> _Interval:
    """``value`` plus a spread, cut off at the bounds of the value."""
    if spread[1] - spread[0] <= 1e-12 * max(1.0, abs(value)):
        return _widened(value, rows.n_clusters, settings, so_far)
    lower, upper = settings.bounds
    low = value + min(spread[0], 0.0) if lower is None else max(value + min(spread[0], 0.0), lower)
    high = value + max(spread[1], 0.0) if upper is None else min(value + max(spread[1], 0.0), upper)
    return replace(so_far, low=min(low, value), high=max(high, value))


def _widened(value: float, n: int, settings: _Settings, so_far: _Interval) -> _Interval:
    """Resampling did not move the value; an event that was never seen in n units may still have Wilson's share."""
    lower, upper = settings.bounds
    if lower is None or upper is None or not math.isfinite(upper - lower):
        why = "resampling does not move the value, and it has no bounds"
        return replace(so_far, notes=(*so_far.notes, why))
    unseen = wilson(0, n, settings.level)[1]
    low, high = value - unseen * (value - lower), value + unseen * (upper - value)
    return replace(so_far, low=min(low, value), high=max(high, value), method=f"{so_far.method}, widened by wilson(0, {n})")
