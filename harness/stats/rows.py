"""The rows of one metric: which are there, what each weighs, and which of them belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.stats.bootstrap import IntArray
from harness.types import FloatArray


def missing_rows(stats: FloatArray, missing: Mapping[int, str]) -> IntArray:
    """The rows that are left out, ascending: those with a reason, and those whose statistics hold a NaN."""
    absent: NDArray[np.bool_] = np.asarray(np.isnan(stats).any(axis=1))
    absent[[int(row) for row in missing]] = True
    return np.flatnonzero(absent)


@dataclass(frozen=True, slots=True)
class Rows:
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
    ) -> Rows:
        unit_of = np.arange(len(stats)) if units is None else np.asarray(units)
        n_all = int(unit_of.max(initial=-1)) + 1
        _check_shapes(stats, unit_of, groups, n_all, missing)
        absent = missing_rows(stats, missing)
        present = np.delete(np.arange(len(stats)), absent)
        cluster_of = unit_of if groups is None else np.asarray(groups)[unit_of]
        kept, clusters = np.unique(cluster_of[present], return_inverse=True)
        n_units = len(np.unique(unit_of[present]))
        return cls(
            stats=stats[present], weights=votes(unit_of[present]), clusters=clusters, n_units=n_units, n_clusters=len(kept),
            is_clustered=groups is not None, absent=absent, n_missing=len(np.unique(unit_of)) - n_units,
            reasons=tuple(missing.get(int(row), "its statistics are undefined") for row in absent), units=unit_of,
        )

    @property
    def has_repeats(self) -> bool:
        return self.n_units < len(self.stats)

    @property
    def is_flat(self) -> bool:
        """Whether every row is drawn by itself: no clusters, no repeats."""
        return not self.is_clustered and not self.has_repeats

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


def votes(units: IntArray) -> FloatArray:
    """The weight of each row: 1 / the number of rows of its unit."""
    return 1.0 / np.bincount(units)[units] if len(units) else np.zeros(0)
