"""Two systems on the same units: which rows are there on both sides, their votes and clusters, and sums a cluster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.errors import UsageError
from harness.stats.bootstrap import IntArray
from harness.types import FloatArray

_ROUNDING = 1e-9
"""Share of the larger of two sums up to which they are equal: repeats may be summed in another order."""


@dataclass(frozen=True, slots=True)
class Side:
    """The rows of one system: their votes (1 / repeats of the unit) and clusters; None: each row is a cluster of its own."""

    stats: FloatArray
    weights: FloatArray | None
    clusters: IntArray | None

    def sums(self, n_clusters: int) -> FloatArray:
        """The weighted sum of the rows of each cluster, ``float64[n_clusters, d]``."""
        weighted = self.stats if self.weights is None else self.stats * self.weights[:, None]
        if self.clusters is None:
            return weighted
        columns = [np.bincount(self.clusters, weights=column, minlength=n_clusters) for column in weighted.T]
        return np.stack(columns, axis=1) if columns else np.zeros((n_clusters, 0))

    def all_weights(self) -> FloatArray:
        return np.ones(len(self.stats)) if self.weights is None else self.weights

    def all_clusters(self) -> IntArray:
        return np.arange(len(self.stats)) if self.clusters is None else self.clusters


@dataclass(frozen=True, slots=True)
class Pairs:
    """The units that both sides have rows of. ``is_plain``: one row a unit on both sides, in the same order, unclustered."""

    b: Side
    a: Side
    n_units: int
    n_clusters: int
    n_missing: int
    is_plain: bool

    @property
    def is_clustered(self) -> bool:
        return self.n_clusters < self.n_units

    @classmethod
    def of(
        cls, b: FloatArray, a: FloatArray, units: IntArray | None, units_a: IntArray | None, clusters: IntArray | None
    ) -> Pairs:
        """``units`` numbers the rows of ``b``, ``units_a`` those of ``a`` (None: the same). Rows with a NaN are not there.

        Raises UsageError for arrays that do not fit each other.
        """
        of_b, of_a = _unit_numbers(b, a, units, units_a)
        _check_clusters(clusters, of_b, of_a)
        there = [np.asarray(~np.isnan(side).any(axis=1)) for side in (b, a)]
        if units is None and units_a is None and clusters is None:
            both = there[0] & there[1]
            kept = int(both.sum())
            if kept < len(both):
                b, a = b[both], a[both]
            return cls(Side(b, None, None), Side(a, None, None), kept, kept, len(both) - kept, True)
        return cls._numbered((b[there[0]], a[there[1]]), (of_b[there[0]], of_a[there[1]]), (of_b, of_a), clusters)

    @classmethod
    def _numbered(
        cls,
        stats: tuple[FloatArray, FloatArray],
        numbers: tuple[IntArray, IntArray],
        everyone: tuple[IntArray, IntArray],
        clusters: IntArray | None,
    ) -> Pairs:
        """From the rows that are there and their units; ``everyone``: the units of all rows, there or not."""
        size = 1 + max((int(numbers.max(initial=-1)) for numbers in everyone), default=-1)
        known, counts = np.zeros(size, dtype=np.bool_), [np.bincount(unit, minlength=size) for unit in numbers]
        for unit in everyone:
            known[unit] = True
        paired = (counts[0] > 0) & (counts[1] > 0)
        cluster_of_unit = np.zeros(size, dtype=np.int64)
        labels = np.arange(size) if clusters is None else np.asarray(clusters)[:size]
        kept, cluster_of_unit[paired] = np.unique(labels[paired], return_inverse=True)
        sides = [_side(rows, unit, count, paired, cluster_of_unit) for rows, unit, count in zip(stats, numbers, counts)]
        n_units = int(paired.sum())
        is_plain = all(side.weights is None for side in sides) and len(kept) == n_units
        if is_plain:
            sides = [Side(side.stats[np.argsort(side.all_clusters())], None, None) for side in sides]
        return cls(sides[0], sides[1], n_units, len(kept), int(known.sum()) - n_units, is_plain)

    def sums(self) -> tuple[FloatArray, FloatArray]:
        return self.b.sums(self.n_clusters), self.a.sums(self.n_clusters)


def differing(b: FloatArray, a: FloatArray) -> IntArray:
    """The clusters whose sums differ by more than rounding, ascending."""
    unequal = np.flatnonzero((b != a).any(axis=1))
    here, there = b[unequal], a[unequal]
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(here - there) > _ROUNDING * np.maximum(np.abs(here), np.abs(there))
    return np.asarray(unequal[(apart | np.isinf(here) | np.isinf(there)).any(axis=1)])


def _side(
    stats: FloatArray, units: IntArray, counts: IntArray, paired: np.ndarray[tuple[int], np.dtype[np.bool_]], clusters: IntArray
) -> Side:
    kept = paired[units]
    if not kept.all():
        stats, units = stats[kept], units[kept]
    repeats = counts[units]
    return Side(stats, None if (repeats == 1).all() else 1.0 / repeats, clusters[units])


def _unit_numbers(
    b: FloatArray, a: FloatArray, units: IntArray | None, units_a: IntArray | None
) -> tuple[IntArray, IntArray]:
    if b.ndim != 2 or a.ndim != 2 or b.shape[1] != a.shape[1]:
        raise UsageError(f"contrast: both sides must be (n, d) arrays with the same d, got shapes {b.shape} and {a.shape}")
    of_b = np.arange(len(b)) if units is None else np.asarray(units)
    of_a = of_b if units_a is None else np.asarray(units_a)
    for side, numbers, rows in (("b", of_b, b), ("a", of_a, a)):
        if numbers.shape != (len(rows),) or (len(numbers) and numbers.min() < 0):
            raise UsageError(f"contrast: units must give a number >= 0 for each of the {len(rows)} rows of {side}, "
                             f"got shape {numbers.shape}")
    return of_b, of_a


def _check_clusters(clusters: IntArray | None, of_b: IntArray, of_a: IntArray) -> None:
    needed = 1 + max(int(of_b.max(initial=-1)), int(of_a.max(initial=-1)))
    if clusters is not None and len(clusters) < needed:
        raise UsageError(f"contrast: clusters must give the cluster of each of the {needed} units, got {len(clusters)}")
