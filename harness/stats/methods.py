"""Which interval a value gets, and its making. Chosen by what was simulated to cover (``python -m tests.bench.coverage``).

Hits and misses of independent units: Wilson's. Values between two bounds: Wilson's form with the error that the rows show (a
score interval), from the slope of the sums where statistics are additive, else from the bootstrap. All others: the BCa
bootstrap. Both take Student's quantile with the degrees of freedom that the contributions of the units leave to their error;
of means between bounds only for what a proportion's growth of the error with the mean leaves open.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from math import inf, isfinite, sqrt

import numpy as np

from harness.stats.bootstrap import Aggregate, Finish
from harness.stats.halves import half_scale, half_values
from harness.stats.influence import left_out_contributions, linear_contributions
from harness.stats.intervals import score_interval, student_quantile, wilson
from harness.stats.moments import Moments, in_pieces
from harness.stats.pairs import Side
from harness.stats.patterns import Patterns, lone_replicates, values_of
from harness.stats.resampled import bca_interval, expanded_interval
from harness.stats.rows import Rows
from harness.types import FloatArray

MOST_HALVES = 200
"""Halves that are drawn at most: what is measured on them is often dear, and their spread settles early."""

MOST_PIECES = 100
"""Random groups of units that are left out in turn; units one by one, where they are at most twice as many."""

UNDEFINED_SHARE = 0.05
"""Share of undefined resamplings above which the reader is told."""

_HANGS_ON_ONE = "a sample less leaves the value undefined"


@dataclass(frozen=True, slots=True)
class Function:
    """A metric's value as a function of rows and weights; ``finish`` only where the statistics are additive."""

    aggregate: Aggregate
    finish: Finish | None

    def value(self, stats: FloatArray, weights: FloatArray) -> float:
        """The value of all rows."""
        if self.finish is not None:
            return float(np.asarray(self.finish(weights @ stats)))
        return float(np.asarray(self.aggregate(stats, weights[None, :]))[0])

    def of_rows(self, stats: FloatArray) -> FloatArray | None:
        """The value of each row by itself, where statistics are additive."""
        return None if self.finish is None else np.asarray(self.finish(stats))


@dataclass(frozen=True, slots=True)
class Interval:
    """Two ends, or none; what was done, and what the reader should know of it."""

    low: float | None
    high: float | None
    method: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """What the caller of :func:`harness.stats.estimate.estimate` asked for."""

    method: str
    bounds: tuple[float | None, float | None]
    level: float
    n_bootstrap: int
    rng: np.random.Generator

    @property
    def two_bounds(self) -> tuple[float, float] | None:
        """The bounds, if both are there and finite."""
        lower, upper = self.bounds
        return None if lower is None or upper is None or not isfinite(upper - lower) else (lower, upper)


def interval_of(rows: Rows, function: Function, value: float, settings: Settings) -> Interval:
    """The interval around a value; ``settings.method`` is a metric's declaration. One unit, or one cluster, gives none."""
    found = _chosen(rows, function, value, settings)
    if found.low is None or found.high is None or (isfinite(found.low) and isfinite(found.high)):
        return found
    return replace(found, low=None, high=None, notes=(*found.notes, "the interval is beyond the largest numbers"))


def _chosen(rows: Rows, function: Function, value: float, settings: Settings) -> Interval:
    if rows.n_clusters == 1:
        return Interval(None, None, "none", ("one sample" if rows.n_units == 1 else "one group",))
    if settings.method == "wilson" and rows.is_flat:
        hits = _hits(function.of_rows(rows.stats), value)
        if hits is not None:
            low, high = wilson(hits, rows.n_units, settings.level)
            return Interval(min(low, value), max(high, value), "wilson")
    if settings.method == "subsample":
        return _subsample(rows, function, value, settings)
    if settings.method == "jackknife":
        return _closed(_left_out(rows, function, rows.n_clusters, settings.rng), value, rows, settings)
    moments = _linear(rows, function)
    if settings.method == "delta" and moments is not None and function.finish is not None:
        return _closed(None if _hangs_on_one(function.finish, _sums(rows)) else moments, value, rows, settings)
    ends = None if moments is None else _score(moments, moments.error, value, settings)
    if ends is not None:
        return Interval(min(ends[0], value), max(ends[1], value), f"{_clustered(rows)}score(delta)")
    return _bootstrap(rows, function, value, moments, settings)


def _hits(values: FloatArray | None, value: float) -> float | None:
    """The number of hits, if the value is the mean of hits and misses."""
    if values is None or not np.isin(values, (0.0, 1.0)).all():
        return None
    hits = float(values.sum())
    return hits if math.isclose(value, hits / len(values), rel_tol=1e-12, abs_tol=1e-12) else None


def _clustered(rows: Rows) -> str:
    return "cluster " if rows.is_clustered else ""


# ── from errors ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _linear(rows: Rows, function: Function) -> Moments | None:
    """From the slope of additive statistics; None where there is none."""
    if function.finish is None:
        return None
    contributions = linear_contributions(function.finish, _sums(rows))
    return None if contributions is None else _moments(contributions, rows.n_clusters)


def _moments(contributions: FloatArray, n: int) -> Moments | None:
    """None where they lie farther apart than numbers go."""
    return Moments.of(contributions, n) if isfinite(np.ptp(contributions)) else None


def _hangs_on_one(finish: Finish, sums: FloatArray) -> bool:
    """Whether a cluster less leaves the value undefined: no slope tells of what one alone decides (an arm of one unit)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return not np.isfinite(finish(sums.sum(axis=0) - sums)).all()


def _left_out(rows: Rows, function: Function, most: int, rng: np.random.Generator) -> Moments | None:
    """From leaving out the units, the patterns of few distinct rows, or ``most`` random groups of units in turn; None where
    that leaves the value undefined."""
    patterns = Patterns.of(rows.stats, function.aggregate) if function.finish is None and rows.is_flat else None
    if patterns is not None:
        without = np.asarray(values_of(function.aggregate, patterns.rows)(patterns.without_one()))[patterns.pattern_of_row]
        contributions = -(len(without) - 1) / len(without) * without
        return _moments(contributions, rows.n_clusters)
    pieces = in_pieces(rows.n_clusters, rows.n_clusters if rows.n_clusters <= 2 * most else most, rng)
    if function.finish is not None:
        side, values = Side(_sums(rows), None, pieces), _of_sums(function.finish, _sums(rows))
    else:
        side, values = Side(rows.stats, rows.weights, pieces[rows.clusters]), values_of(function.aggregate, rows.stats)
    left_out = left_out_contributions(lambda _, weights: values(weights), side, int(pieces.max()) + 1)
    return None if left_out is None else _moments(left_out, rows.n_clusters)


def _sums(rows: Rows) -> FloatArray:
    """The weighted sum of the rows of each cluster."""
    if rows.is_flat:
        return rows.stats
    return Side(rows.stats, rows.weights, rows.clusters).sums(rows.n_clusters)


def _of_sums(finish: Finish, sums: FloatArray) -> Finish:
    return lambda weights: finish(weights @ sums)


def _score(
    moments: Moments | None, error: float, value: float, settings: Settings, *, is_additive: bool = True
) -> tuple[float, float] | None:
    """The score interval, where a value lies between two bounds and its contributions vary as those of a proportion would.
    Without moments one unit decides whether there is a value at all: one degree of freedom at most. Of a value that is no
    function of sums (AUROC of few positives) a proportion's growth of the error is a guess, and takes no doubt away."""
    bounds = settings.two_bounds
    if bounds is None or not bounds[0] < value < bounds[1] or not _rounding(value) < error < inf:
        return None
    below, above = value - bounds[0], bounds[1] - value
    dof = 1.0 if moments is None else moments.dof_beyond(1 / below - 1 / above)
    if dof is not None and moments is not None and not is_additive:
        dof = min(dof, moments.dof)
    return None if dof is None else score_interval(value, error, _quantile(settings.level, dof), bounds)


def _closed(moments: Moments | None, value: float, rows: Rows, settings: Settings) -> Interval:
    """From the error alone: a score interval, else Student's, cut off at the bounds."""
    if moments is None:
        return Interval(None, None, settings.method, (_HANGS_ON_ONE,))
    of_error = f"{_clustered(rows)}{{}}({settings.method})"
    if moments.error <= _rounding(value):
        return _widened(value, rows.n_clusters, settings, Interval(None, None, of_error.format("t")))
    ends = _score(moments, moments.error, value, settings)
    if ends is not None:
        return Interval(min(ends[0], value), max(ends[1], value), of_error.format("score"))
    half = student_quantile(settings.level, moments.dof) * moments.error
    return _within_bounds(value, (-half, half), rows, settings, Interval(None, None, of_error.format("t")))


def _quantile(level: float, dof: float) -> float:
    """Student's, and a little more for what the spread of few is too small, as in the expanded percentile interval."""
    return sqrt((dof + 1) / dof) * student_quantile(level, dof)


def _rounding(value: float) -> float:
    return 1e-12 * max(1.0, abs(value))


# ── from resampling ─────────────────────────────────────────────────────────────────────────────────────────────────


def _bootstrap(rows: Rows, function: Function, value: float, linear: Moments | None, settings: Settings) -> Interval:
    drawn = lone_replicates(
        function.aggregate, rows.stats, groups=None if rows.is_flat else rows.clusters,
        weights=rows.weights if rows.has_repeats else None, finish=function.finish,
        n_bootstrap=settings.n_bootstrap, rng=settings.rng,
    )
    finite = drawn[np.isfinite(drawn)]
    so_far = Interval(None, None, f"{_clustered(rows)}bootstrap({{}}, {settings.n_bootstrap})",
                      _undefined(1 - len(finite) / len(drawn), "resamplings"))
    if len(finite) < 2:
        return replace(so_far, method=so_far.method.format("percentile"))
    if np.ptp(finite) <= _rounding(value):
        return _widened(value, rows.n_clusters, settings, replace(so_far, method=so_far.method.format("percentile")))
    moments = linear or _left_out(rows, function, MOST_PIECES, settings.rng)
    kind, (low, high) = _resampled(finite, moments, value, rows, settings)
    notes = so_far.notes if moments else (*so_far.notes, _HANGS_ON_ONE)
    so_far = replace(so_far, method=so_far.method.format(kind), notes=notes)
    if high - low <= _rounding(value):
        return _widened(value, rows.n_clusters, settings, so_far)
    return replace(so_far, low=min(low, value), high=max(high, value))


def _resampled(
    drawn: FloatArray, moments: Moments | None, value: float, rows: Rows, settings: Settings
) -> tuple[str, tuple[float, float]]:
    """What the replicates give: a score interval, else BCa; the expanded percentiles where nothing is known of the units."""
    ends = _score(moments, float(drawn.std(ddof=1)), value, settings, is_additive=False)
    if ends is not None:
        return "score", ends
    if moments is None or moments.error <= _rounding(value):
        return "expanded", expanded_interval(drawn, rows.n_clusters if moments else 2, settings.level)
    quantile = _quantile(settings.level, moments.dof)
    return "bca", bca_interval(drawn, value, moments.acceleration, quantile=quantile)


def _undefined(share: float, of_what: str) -> tuple[str, ...]:
    return (f"{share:.0%} of the {of_what} leave the value undefined",) if share > UNDEFINED_SHARE else ()


def _subsample(rows: Rows, function: Function, value: float, settings: Settings) -> Interval:
    n_halves = min(settings.n_bootstrap, MOST_HALVES)
    drawn = half_values(function.aggregate, rows.stats, rows.weights, rows.clusters, n_halves=n_halves, rng=settings.rng)
    finite = drawn[np.isfinite(drawn)]
    interval = Interval(None, None, f"{'clustered ' if rows.is_clustered else ''}subsample(halves, {n_halves})",
                        _undefined(1 - len(finite) / len(drawn), "halves"))
    if len(finite) < 2:
        return interval
    spread = (finite - finite.mean()) * half_scale(rows.n_clusters)
    return _within_bounds(value, expanded_interval(spread, rows.n_clusters, settings.level), rows, settings, interval)


def _within_bounds(
    value: float, spread: tuple[float, float], rows: Rows, settings: Settings, so_far: Interval
) -> Interval:
    """``value`` plus a spread, cut off at the bounds of the value."""
    if spread[1] - spread[0] <= _rounding(value):
        return _widened(value, rows.n_clusters, settings, so_far)
    lower, upper = settings.bounds
    low = value + min(spread[0], 0.0) if lower is None else max(value + min(spread[0], 0.0), lower)
    high = value + max(spread[1], 0.0) if upper is None else min(value + max(spread[1], 0.0), upper)
    return replace(so_far, low=min(low, value), high=max(high, value))


def _widened(value: float, n: int, settings: Settings, so_far: Interval) -> Interval:
    """Resampling did not move the value; an event that was never seen in n units may still have Wilson's share."""
    bounds = settings.two_bounds
    if bounds is None:
        why = "resampling does not move the value, and it has no bounds"
        return replace(so_far, notes=(*so_far.notes, why))
    unseen = wilson(0, n, settings.level)[1]
    low, high = value - unseen * (value - bounds[0]), value + unseen * (bounds[1] - value)
    return replace(so_far, low=min(low, value), high=max(high, value), method=f"{so_far.method}, widened by wilson(0, {n})")
