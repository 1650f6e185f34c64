"""What each cluster contributes to a value: one number a cluster, whose spread is the value's error.

Contributions c of G clusters are scaled so that the value's variance is G / (G - 1) · Σ (c - mean)². Those of two systems on
the same clusters may be subtracted cluster by cluster: that is the paired difference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.stats.bootstrap import Aggregate, Finish
from harness.stats.pairs import Side
from harness.types import FloatArray

_STEP = 1e-6
_SMALLEST = 1e-3
_BEND = 1e-3
_BLOCK_BYTES = 16 * 2**20


def linear_contributions(finish: Finish, sums: FloatArray) -> FloatArray | None:
    """The contributions to ``finish`` of the sums ``float64[G, d]``, linearised at their total (the delta method).

    None where the value has no slope there: undefined beside the total, or bent at it (a clipped or smoothed count), so that a
    straight line would mislead. Costs one matrix-vector product.
    """
    slopes = _slopes(finish, sums.sum(axis=0))
    return None if slopes is None else np.asarray(sums @ slopes)


def left_out_contributions(aggregate: Aggregate, side: Side, n_clusters: int) -> FloatArray | None:
    """The contributions to any value, by leaving out one cluster after the other (the jackknife: Tukey 1958).

    None where the value is undefined without some cluster. Costs one value a cluster. Meant for smooth values: without one
    unit a quantile moves to its neighbour, which says little of how far it varies.
    """
    weights, clusters = side.all_weights(), side.all_clusters()
    rows = max(1, _BLOCK_BYTES // (8 * max(len(weights), 1)))
    values = []
    for start in range(0, n_clusters, rows):
        left_out = np.arange(start, min(start + rows, n_clusters))
        kept = np.where(clusters[None, :] == left_out[:, None], 0.0, weights[None, :])
        values.append(np.asarray(aggregate(side.stats, kept), dtype=np.float64))
    without = np.concatenate(values)
    return -(n_clusters - 1) / n_clusters * without if np.isfinite(without).all() else None


@dataclass(frozen=True, slots=True)
class Shape:
    """The standard error that contributions make, their skewness over the root of their number, and how well both are known.

    ``dof`` are the degrees of freedom of the error: 2 / (its relative variance), which the excess kurtosis of the contributions
    lowers below clusters - 1.
    """

    error: float
    skew: float
    dof: float

    @classmethod
    def of(cls, contributions: FloatArray) -> Shape:
        """Of two clusters or more. Nothing is skewed where nothing varies but by rounding."""
        n, size = len(contributions), float(np.abs(contributions).max())
        scaled = contributions / (size or 1.0)  # squares stay within float64
        apart = scaled - scaled.mean()
        squares = apart**2
        second = float(squares.mean())
        error = math.sqrt(second * n * n / (n - 1)) * size
        if second <= 1e-24:
            return cls(error, 0.0, n - 1.0)
        third, fourth = float(squares @ apart) / n, float(squares @ squares) / n
        excess = max(fourth / second**2 - 3.0, 0.0)
        return cls(error, third / second**1.5 / math.sqrt(n), 1 / (1 / (n - 1) + excess / (2 * n)))


def _slopes(finish: Finish, totals: FloatArray) -> FloatArray | None:
    """The gradient by central differences, if those ahead and behind agree."""
    size = np.maximum(np.abs(totals), _SMALLEST)
    moved = np.diag(_STEP * size)
    points = np.concatenate([totals + moved, totals - moved, totals[None, :]])
    with np.errstate(all="ignore"):
        values = np.asarray(finish(points), dtype=np.float64)
        d = len(totals)
        ahead, behind = (values[:d] - values[-1]) / _STEP, (values[-1] - values[d : 2 * d]) / _STEP
        bend = np.abs(ahead - behind)
    if not np.isfinite(bend).all() or bend.max(initial=0.0) > _BEND * max(np.abs(ahead).max(initial=0.0), abs(values[-1])):
        return None
    return np.asarray((ahead + behind) / 2 / size)
