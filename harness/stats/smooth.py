"""Standard errors of smooth functions of sums: the jackknife, and the delta method. Arrays in, a number out."""

from __future__ import annotations

from math import sqrt

import numpy as np

from harness.stats.bootstrap import Aggregate, Finish, IntArray
from harness.types import FloatArray

_BLOCK_BYTES = 16 * 2**20


def jackknife_error(aggregate: Aggregate, stats: FloatArray, weights: FloatArray, clusters: IntArray) -> float:
    """The delete-one-cluster jackknife standard error; NaN where leaving one out leaves the value undefined.

    sqrt((G - 1) / G · Σ (value without g - mean)²) over G clusters (Tukey 1958; Efron and Stein 1981). ``clusters`` gives each
    row the number of its cluster, ``0..G-1``; ``weights`` are the votes of the rows. Costs one aggregate a cluster: it is meant
    for values of sums, or for few clusters.
    """
    n = int(clusters.max(initial=-1)) + 1
    if n < 2:
        return float("nan")
    rows = max(1, _BLOCK_BYTES // (8 * len(stats)))
    values = []
    for start in range(0, n, rows):
        left_out = np.arange(start, min(start + rows, n))
        kept = np.where(clusters[None, :] == left_out[:, None], 0.0, weights[None, :])
        values.append(np.asarray(aggregate(stats, kept), dtype=np.float64))
    drawn = np.concatenate(values)
    return sqrt((n - 1) / n * float(((drawn - drawn.mean()) ** 2).sum())) if np.isfinite(drawn).all() else float("nan")


def delta_error(finish: Finish, stats: FloatArray, weights: FloatArray, clusters: IntArray) -> float:
    """The delta-method (linearisation) standard error of a function of sums, cluster-robust.

    The function is linearised in its sums by central differences; the clusters' contributions to the linear form are summed
    and their variance over G clusters is scaled by G / (G - 1). NaN where the function is undefined beside the sums.
    """
    n = int(clusters.max(initial=-1)) + 1
    if n < 2:
        return float("nan")
    sums = np.zeros((n, stats.shape[1]))
    np.add.at(sums, clusters, stats * weights[:, None])
    totals = sums.sum(axis=0)
    step = 1e-6 * np.maximum(np.abs(totals), 1e-3)
    moved = np.concatenate([totals + np.diag(step), totals - np.diag(step)])
    ahead, behind = np.split(np.asarray(finish(moved), dtype=np.float64), 2)
    slope = (ahead - behind) / (2 * step)
    if not np.isfinite(slope).all():
        return float("nan")
    influence = (sums - sums.mean(axis=0)) @ slope
    return sqrt(n / (n - 1) * float((influence**2).sum()))
