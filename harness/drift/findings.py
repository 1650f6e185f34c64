"""What was found of one measure, and the difference of two values, paired where both runs have the same samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.drift.units import BothRuns
from harness.stats.bootstrap import Aggregate, Finish, IntArray
from harness.stats.contrast import contrast
from harness.stats.onesided import OneSided, Strictest, Student
from harness.stats.twosamples import Apart, Rows, Size, difference_of_shares, difference_of_values
from harness.types import FloatArray

EXACTLY_NONE = Student(0.0, 0.0, 1.0)
"""No difference at all, and no doubt of it."""


_N_BOOTSTRAP = 200
"""Where a value is no mean; a standard error of so many is good to 5 %."""
NOTHING = Strictest(())
"""Nothing is certain."""


@dataclass(frozen=True, slots=True)
class Finding:
    """``apart`` None: undefined, because of ``reason``. ``size``: the tests of how large it is, whichever way it points.
    ``bounds``: of the value."""

    apart: Apart | None = None
    size: OneSided = NOTHING
    base: float | None = None
    run: float | None = None
    reason: str | None = None
    n_run: int = 0
    n_base: int = 0
    bounds: tuple[float, float] = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Values:
    """Statistics ``float64[n, d]`` of the rows that have them, and the unit of each."""

    stats: FloatArray
    units: IntArray

    @property
    def n_units(self) -> int:
        return len(np.unique(self.units))

    def votes(self) -> FloatArray:
        """1 / rows of the unit."""
        return votes_of(self.units)


def undefined(reason: str) -> Finding:
    return Finding(reason=reason)


def votes_of(units: IntArray) -> FloatArray:
    """``float64[n]``: 1 / rows of each row's unit."""
    return np.asarray(1.0 / np.bincount(units)[units]) if len(units) else np.zeros(0)


def difference(
    unit: BothRuns, run: Values, base: Values, aggregate: Aggregate, *, rng: np.random.Generator, finish: Finish | None = None,
    bounds: tuple[float, float | None] = (0.0, None), are_inputs: bool = False,
) -> Finding:  # fmt: skip
    """value(run) - value(base). ``are_inputs``: equal ones are known and not drawn, so that there is no doubt of them."""
    for side, which in ((run, "the run"), (base, "the base")):
        if not len(side.stats):
            return undefined(f"nothing to measure in {which}")
    apart, values, reason = (_paired if unit.is_paired else _unpaired)(unit, run, base, aggregate, finish, bounds, rng)
    if are_inputs and unit.is_paired and _are_equal(run, base):
        apart, reason = Apart(0.0, 0.0, EXACTLY_NONE, 1.0), "the inputs are the same"
    if apart is None:
        return Finding(None, NOTHING, values[1], values[0], reason, run.n_units, base.n_units)
    most = math.inf if bounds[1] is None else bounds[1] - bounds[0]
    return Finding(apart, Size(apart.tests), values[1], values[0], reason, run.n_units, base.n_units, (-most, most))


Found = tuple[Apart | None, tuple[float | None, float | None], str | None]
"""The difference, the values of run and base, a reason."""


def _paired(
    unit: BothRuns, run: Values, base: Values, aggregate: Aggregate, finish: Finish | None, bounds: tuple[float, float | None],
    rng: np.random.Generator,
) -> Found:  # fmt: skip
    made = contrast(
        run.stats, base.stats, aggregate, finish=finish, units=run.units, units_a=base.units, clusters=unit.clusters,
        bounds=bounds, n_bootstrap=_N_BOOTSTRAP, rng=rng,
    )  # fmt: skip
    value = made.difference.value
    apart = None if value is None else Apart(value, made.error, made, made.p_value)
    return apart, (made.b, made.a), made.difference.reason


def _unpaired(
    unit: BothRuns, run: Values, base: Values, aggregate: Aggregate, finish: Finish | None, bounds: tuple[float, float | None],
    rng: np.random.Generator,
) -> Found:  # fmt: skip
    b, a = (_rows(unit, side) for side in (run, base))
    values = tuple(float(np.asarray(aggregate(side.stats, side.votes()[None, :]))[0]) for side in (run, base))
    if min(b.n_clusters, a.n_clusters) < 2:
        return None, (values[0], values[1]), "one sample"
    if bounds[1] == 1.0 and unit.clusters is None:
        hits = [float(side.votes() @ side.stats[:, 0]) for side in (run, base)]
        apart = difference_of_shares(hits[0], run.n_units, hits[1], base.n_units)
    else:
        apart = difference_of_values(b, a, aggregate, finish=finish, n_bootstrap=_N_BOOTSTRAP, rng=rng)
    tests = apart.tests
    p_value = min(1.0, 2 * min(tests.p_above(0.0), tests.p_below(0.0)))
    return Apart(apart.value, apart.error, tests, p_value), (values[0], values[1]), None


def _rows(unit: BothRuns, side: Values) -> Rows:
    _, clusters = np.unique(unit.cluster_of(side.units), return_inverse=True)
    return Rows(side.stats, side.votes(), clusters)


def _are_equal(run: Values, base: Values) -> bool:
    if len(run.units) != len(base.units):
        return False
    orders = [np.lexsort((*side.stats.T, side.units)) for side in (run, base)]
    first, second = ((side.units[order], side.stats[order]) for side, order in zip((run, base), orders))
    return bool(np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1]))
