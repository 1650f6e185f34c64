"""What missing samples do to a comparison: how many each side lost, and how far they might move the difference."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from harness.codec import decode_sample
from harness.compare.pairing import Pairing
from harness.compare.runs import StoredUnit
from harness.compare.statistics import Statistics, rows_of
from harness.protocols import Metric
from harness.stats.bootstrap import IntArray
from harness.types import FloatArray

_MOST = 20_000
"""Beyond so many missing rows their extremes are not looked up."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Samples without a row: on either side alone, or on both. ``worst`` and ``best`` are the difference had all missing
    answers been as bad for ``b`` and as good for ``a`` as can be, and the other way round; None where that is unknown."""

    only_a: int
    only_b: int
    both: int
    worst: float | None = None
    best: float | None = None

    @property
    def n(self) -> int:
        return self.only_a + self.only_b + self.both


def lost(found: Statistics, pairing: Pairing, a: StoredUnit, b: StoredUnit) -> Lost:
    """What is missing of a metric among the samples that two units have in common."""
    gone = [_without_row(stats, units, pairing.n, left_out)
            for stats, units, left_out in zip((found.a, found.b), (pairing.a_units, pairing.b_units), found.left_out)]
    both = int((gone[0] & gone[1]).sum())
    counts = int(gone[0].sum()) - both, int(gone[1].sum()) - both, both
    if not any(counts):
        return Lost(0, 0, 0)
    kept = [np.setdiff1d(np.arange(len(stats)), list(left_out)) for stats, left_out in zip((found.a, found.b), found.left_out)]
    ends = [_ends(found.metric, stats[own], units[own], rows[own], unit)
            for own, stats, units, rows, unit in ((kept[0], found.a, pairing.a_units, pairing.a_rows, a),
                                                  (kept[1], found.b, pairing.b_units, pairing.b_rows, b))]
    if ends[0] is None or ends[1] is None:
        return Lost(*counts)
    return Lost(*counts, ends[1][0] - ends[0][1], ends[1][1] - ends[0][0])


def _without_row(
    stats: FloatArray, units: IntArray, n: int, left_out: Collection[int]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    there = np.zeros(n, dtype=np.bool_)
    there[units[~np.isnan(stats).any(axis=1)]] = True
    there[units[list(left_out)]] = True
    return ~there


def _ends(
    metric: Metric, stats: FloatArray, units: IntArray, rows: IntArray, unit: StoredUnit
) -> tuple[float, float] | None:
    """The worst and the best value that the missing rows leave open."""
    absent = np.flatnonzero(np.isnan(stats).any(axis=1))
    if len(absent) > _MOST or type(metric).extremes is Metric.extremes:
        return None
    pairs = [metric.extremes(decode_sample(text)) for text in rows_of(unit, rows[absent], "sample")]
    weights = 1.0 / np.bincount(units)[units]
    values = []
    for side in (0, 1):
        full = stats.copy()
        for row, pair in zip(absent, pairs):
            if pair is None or len(pair[side]) != full.shape[1]:
                return None
            full[row] = pair[side]
        with np.errstate(all="ignore"):
            values.append(float(metric.aggregate(full, weights[None, :])[0]))
    return (values[0], values[1]) if np.isfinite(values).all() else None
