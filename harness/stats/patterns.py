"""Rows of few distinct values (hits, pairs of class codes): n rows that are resampled are a multinomial draw over them.

Exact in distribution and many times as fast, but not paired: the same generator gives other resamplings than it gives n rows,
so that this is for the interval of one system and not for the difference of two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from harness.stats.bootstrap import Aggregate, Finish, InOrder, IntArray, Once, replicates
from harness.types import FloatArray

MOST_PATTERNS = 1024
_ROWS_A_PATTERN = 16
"""Rows that a pattern must stand for on average: a count of it is drawn more slowly than a row is."""

_LOOKED_AT = 4096
_BLOCK_BYTES = 2**22


@dataclass(frozen=True, slots=True)
class Patterns:
    """The distinct rows ``float64[K, d]``, how many rows each stands for, and the pattern of each row."""

    rows: FloatArray
    counts: IntArray
    pattern_of_row: IntArray

    @classmethod
    def of(cls, stats: FloatArray, aggregate: Aggregate | None = None) -> Patterns | None:
        """None where there are too many for it to be worth while, and where their order matters to the aggregate."""
        if isinstance(aggregate, InOrder):
            return None
        most = min(len(stats) // _ROWS_A_PATTERN, MOST_PATTERNS)
        direction = np.random.default_rng(0).random(stats.shape[1])
        with np.errstate(all="ignore"):
            if not most or len(np.unique(stats[:_LOOKED_AT] @ direction)) > most:
                return None
            _, first, pattern_of_row, counts = np.unique(
                stats @ direction, return_index=True, return_inverse=True, return_counts=True
            )  # fmt: skip
        rows = stats[first]
        if len(first) > most or not np.array_equal(rows[pattern_of_row], stats):  # two patterns of one projection
            return None
        return cls(rows, counts, pattern_of_row)

    def resampled(self, n_replicates: int, rng: np.random.Generator) -> Iterator[FloatArray]:
        """Blocks ``float64[b, K]`` of how often each pattern is drawn in as many draws as there are rows."""
        n, size = int(self.counts.sum()), max(1, _BLOCK_BYTES // (8 * len(self.counts)))
        for start in range(0, n_replicates, size):
            drawn = rng.multinomial(n, self.counts / n, size=min(size, n_replicates - start))
            yield drawn.astype(np.float64)

    def without_one(self) -> FloatArray:
        """Counts without one row of each pattern, ``float64[K, K]``: all that a jackknife needs."""
        return np.asarray(self.counts - np.eye(len(self.counts)))


def lone_replicates(
    aggregate: Aggregate,
    stats: FloatArray,
    *,
    groups: IntArray | None = None,
    weights: FloatArray | None = None,
    finish: Finish | None = None,
    n_bootstrap: int = 1000,
    rng: np.random.Generator,
) -> FloatArray:
    """As :func:`harness.stats.bootstrap.replicates`, for one system by itself: by patterns of rows where there are few."""
    patterns = Patterns.of(stats, aggregate) if groups is None and weights is None else None
    if patterns is None:
        return replicates(aggregate, stats, groups=groups, weights=weights, finish=finish, n_bootstrap=n_bootstrap, rng=rng)
    values = values_of(aggregate, patterns.rows)
    found = [finish(drawn @ patterns.rows) if finish is not None else values(drawn)
             for drawn in patterns.resampled(n_bootstrap, rng)]
    return np.concatenate([np.asarray(block, dtype=np.float64) for block in found])


def values_of(aggregate: Aggregate, stats: FloatArray) -> partial[FloatArray] | Finish:
    """The aggregate as a function of the weights, with what does not depend on them done once."""
    return aggregate.over(stats) if isinstance(aggregate, Once) else partial(aggregate, stats)
