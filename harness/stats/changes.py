"""Change points of a history: CUSUM and Page–Hinkley as values arrive, PELT over all of them. Arrays in, numbers out.

``errors`` are standard errors of the points **from one to the next**. Runs on the same samples share what these samples are
like: their sampling error is no noise of the history, the noise from run to run is. Without errors the noise is estimated
from successive differences. NaN points are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.errors import UsageError
from harness.stats.bootstrap import IntArray
from harness.types import FloatArray

Cost = Literal["mean", "mean_variance"]

_ROUNDING = 1e-12
"""Share of the values' size up to which steps may be the rounding of sums."""


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """``at`` is the place of the first value of the new level, ``detected`` of the value that gave it away.

    ``before`` and ``after`` are the weighted means of the segments on both sides, as far as the next change points; ``size`` is
    after - before and ``error`` its standard error (which does not know that the place was chosen).
    """

    at: int
    detected: int
    before: float
    after: float
    size: float
    error: float


# ── as values arrive ────────────────────────────────────────────────────────────────────────────────────────────────


def cusum(
    values: FloatArray, *, errors: FloatArray | None = None, target: float | None = None, slack: float = 0.5,
    threshold: float = 5.0, n_reference: int = 10,
) -> tuple[ChangePoint, ...]:
    """Tabular two-sided CUSUM (Page 1954, Biometrika 41): sums of deviations from a target, in standard errors.

    An alarm is raised where max(0, S + z - slack) or max(0, S - z - slack) exceeds ``threshold``; the change is then dated to
    where that sum was last 0, the target becomes the mean of the first ``n_reference`` values since then, and the sums start
    again at 0. ``slack`` is half the shift that one wants to see; at 0.5 and 5 a known target is left by chance every 465
    values and a shift of 1 found after 10.4 (Montgomery 2013, table 9.3). ``target`` None: the mean of the first
    ``n_reference`` values, whose own error makes false alarms more frequent. A change at 0 is one from ``target`` itself.

    Raises UsageError for a threshold that is not positive, a negative slack, errors that are not positive.
    """
    series = _Series.of(values, errors, "cusum")
    _check_sums(slack, threshold, n_reference)

    def deviations(origin: int, start: int) -> FloatArray:
        reference = max(start, min(origin + n_reference, len(series.values)))
        level = target if target is not None and start == 0 else series.mean(origin, reference)
        return (series.values[start:] - level) * np.sqrt(series.weights[start:])

    return _sequential(series, deviations, slack, threshold, target)


def page_hinkley(
    values: FloatArray, *, errors: FloatArray | None = None, slack: float = 0.5, threshold: float = 5.0
) -> tuple[ChangePoint, ...]:
    """Page–Hinkley (Hinkley 1971, Biometrika 58): as :func:`cusum`, but against the mean of all values so far.

    It needs no target, and forgets: the mean follows a change, so that a small one late in a long history is found better than
    one in the first values. Both directions; after an alarm it starts again where the change was.

    Raises UsageError as :func:`cusum` does.
    """
    series = _Series.of(values, errors, "page_hinkley")
    _check_sums(slack, threshold, 1)

    def deviations(origin: int, start: int) -> FloatArray:
        weights = series.weights[origin:]
        means = _ratio(np.cumsum(weights * series.values[origin:]), np.cumsum(weights))
        return np.asarray((series.values[start:] - means[start - origin :]) * np.sqrt(series.weights[start:]))

    return _sequential(series, deviations, slack, threshold)


def _sequential(
    series: _Series, deviations: Callable[[int, int], FloatArray], slack: float, threshold: float, target: float | None = None
) -> tuple[ChangePoint, ...]:
    """Alarm after alarm; ``deviations(origin, start)`` are those from ``start`` on where the level holds since ``origin``."""
    points: list[int] = []
    detected: list[int] = []
    origin = start = 0
    while start < len(series.values):
        found = _first_alarm(deviations(origin, start), slack, threshold)
        if found is None:
            break
        origin, alarm = start + found[0], start + found[1]
        points.append(origin)
        detected.append(alarm)
        start = alarm + 1
    return series.described(points, detected, target)


def _first_alarm(deviations: FloatArray, slack: float, threshold: float) -> tuple[int, int] | None:
    """Where the sum that is first to pass the threshold last began, and where it passed it."""
    alarms = []
    for sign in (1.0, -1.0):
        walk = np.cumsum(sign * deviations - slack)
        lowest = np.minimum(np.minimum.accumulate(walk), 0.0)
        over = np.flatnonzero(walk - lowest > threshold)
        if len(over):
            before = walk[: over[0]]
            began = len(before) - int(np.argmin(before[::-1])) if len(before) and before.min() <= 0 else 0
            alarms.append((int(over[0]), began))
    return (min(alarms)[1], min(alarms)[0]) if alarms else None


def _check_sums(slack: float, threshold: float, n_reference: int) -> None:
    if not (slack >= 0 and threshold > 0 and n_reference >= 1):
        raise UsageError("changes: needs slack >= 0, threshold > 0 and at least one reference value, "
                         f"got {slack!r}, {threshold!r}, {n_reference!r}")


# ── all at once ─────────────────────────────────────────────────────────────────────────────────────────────────────


def pelt(
    values: FloatArray, *, errors: FloatArray | None = None, cost: Cost = "mean", penalty: float | None = None,
    min_segment: int | None = None,
) -> tuple[ChangePoint, ...]:
    """The segmentation with the least cost + ``penalty`` · changes, exactly (Killick, Fearnhead and Eckley 2012, JASA 107).

    ``mean``: the level changes, cost Σ ((x - mean) / error)²; ``mean_variance``: level and spread change, cost
    length · log(mean of those squares), -2 log-likelihood up to a constant. ``penalty`` None is 3 log n (4 log n for
    ``mean_variance``), one log n more than that of BIC, which finds changes where there are none: in 20 values of known noise
    in 16 % of the cases, here in 3 %; of noise that is estimated from the same 20 values in 24 % and 12 % (60 values: 15 % and
    3 %). ``min_segment`` None is 1 (5 for ``mean_variance``). Candidates that can win no more are pruned, from ``min_segment``
    values later on, so that the result is that of trying all: O(n) where changes come as the history grows, O(n²) without any.

    Raises UsageError for a negative penalty, a segment below 1 (2 with ``mean_variance``), errors that are not positive.
    """
    series = _Series.of(values, errors, "pelt")
    if cost not in ("mean", "mean_variance"):
        raise UsageError(f"pelt: cost must be mean or mean_variance, got {cost!r}")
    n, least, usual = len(series.values), *((1, 1) if cost == "mean" else (2, 5))
    length = usual if min_segment is None else min_segment
    if length < least:
        raise UsageError(f"pelt: min_segment must be at least {least} with the cost {cost}, got {length!r}")
    paid = (least + 2) * math.log(max(n, 1)) if penalty is None else penalty
    if not paid >= 0:
        raise UsageError(f"pelt: penalty must not be negative, got {penalty!r}")
    points = _segmented(_costs(series, cost), n, paid, length) if n >= 2 * length and series.weights.any() else []
    return series.described(points, points)


Costs = Callable[[IntArray, int], FloatArray]
"""``starts int64[k], end -> cost of the segments start..end - 1, float64[k]``."""


def _costs(series: _Series, cost: Cost) -> Costs:
    weights = series.weights
    moved = series.values - series.mean(0, len(series.values))
    zeroth, first, second = (np.concatenate([[0.0], np.cumsum(weights * moved**power)]) for power in range(3))

    def squares(starts: IntArray, end: int) -> FloatArray:
        total = (first[end] - first[starts]) ** 2 / (zeroth[end] - zeroth[starts])
        return np.asarray(np.maximum(second[end] - second[starts] - total, 0.0))

    if cost == "mean":
        return squares
    smallest = 1e-10 * squares(np.array([0]), len(moved))[0] / max(len(moved), 1)  # equal values are not infinitely likely

    def likelihoods(starts: IntArray, end: int) -> FloatArray:
        lengths = (end - starts).astype(np.float64)
        return np.asarray(lengths * np.log(np.maximum(squares(starts, end) / lengths, max(smallest, 1e-300))))

    return likelihoods


def _segmented(costs: Costs, n: int, penalty: float, length: int) -> list[int]:
    """The first places of the segments but the first one."""
    best = np.full(n + 1, np.inf)
    best[0] = -penalty
    previous = np.zeros(n + 1, dtype=np.int64)
    candidates = np.zeros(0, dtype=np.int64)
    expires = np.full(n + 1, n + 1, dtype=np.int64)
    for end in range(length, n + 1):
        candidates = np.append(candidates, end - length)
        candidates = candidates[expires[candidates] > end]
        reached = best[candidates] + costs(candidates, end)
        choice = int(np.argmin(reached))
        best[end], previous[end] = reached[choice] + penalty, candidates[choice]
        beaten = candidates[reached >= best[end]]
        expires[beaten] = np.minimum(expires[beaten], end + length)
    points, end = [], n
    while (end := int(previous[end])) > 0:
        points.append(end)
    return points[::-1]


# ── the series ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Series:
    values: FloatArray
    weights: FloatArray
    places: IntArray

    @classmethod
    def of(cls, values: FloatArray, errors: FloatArray | None, caller: str) -> _Series:
        if values.ndim != 1 or (errors is not None and errors.shape != values.shape):
            raise UsageError(f"{caller}: values must be a row of numbers, and errors as many, got shapes "
                             f"{values.shape} and {None if errors is None else errors.shape}")
        there = np.flatnonzero(np.isfinite(values) if errors is None else np.isfinite(values) & np.isfinite(errors))
        kept = values[there]
        if errors is None:
            noise = _noise(kept)
            return cls(kept, np.full(len(kept), noise**-2.0 if noise > 0 else 0.0), there)
        if not (errors[there] > 0).all():
            raise UsageError(f"{caller}: errors must be positive, got {float(errors[there].min())!r}; "
                             "leave them out if they are not known")
        return cls(kept, errors[there] ** -2.0, there)

    def mean(self, start: int, end: int) -> float:
        weights = self.weights[start:end]
        if not weights.any():
            return float(self.values[start:end].mean()) if end > start else math.nan
        return float(weights @ self.values[start:end] / weights.sum())

    def described(
        self, points: Sequence[int], detected: Sequence[int], target: float | None = None
    ) -> tuple[ChangePoint, ...]:
        ends = [0, *points, len(self.values)]
        found = []
        for order, (point, alarm) in enumerate(zip(points, detected)):
            first, last = ends[order], ends[order + 2]
            before = target if target is not None and point == 0 else self.mean(first, point)
            after = self.mean(point, last)
            votes = [self.weights[part].sum() for part in (slice(first, point), slice(point, last))]
            error = math.sqrt(sum(1 / vote for vote in votes if vote > 0))
            found.append(ChangePoint(int(self.places[point]), int(self.places[alarm]), before, after, after - before, error))
        return tuple(found)


def _noise(values: FloatArray) -> float:
    """The standard deviation about a level that jumps now and then: from successive differences (Rice 1984).

    Their median is not moved by a few jumps; where most differences are 0 (runs that repeat to the last digit) their root mean
    square takes its place. What rounding leaves of equal values is none.
    """
    if len(values) < 2:
        return 0.0
    steps = np.abs(np.diff(values)) / math.sqrt(2)
    largest = float(steps.max())
    if largest <= max(_ROUNDING * float(np.abs(values).max()), 1e-150):
        return 0.0
    return float(np.median(steps)) / 0.6744897501960817 or largest * float(np.sqrt(((steps / largest) ** 2).mean()))


def _ratio(over: FloatArray, under: FloatArray) -> FloatArray:
    return np.asarray(np.divide(over, under, out=np.zeros_like(over), where=under > 0))
