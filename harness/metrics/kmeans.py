"""k-means clustering, seeded: greedy k-means++ starts and Lloyd's iterations, in blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import MetricError
from harness.metrics.vectors import distance_blocks, matrix
from harness.types import FloatArray

Codes = NDArray[np.int64]

_BLOCK = 2**21
"""Distances that are worked out at a time."""

_STILL = 1e-4
"""Centres that move less than this share of the mean variance of a coordinate, all together, have arrived."""


@dataclass(frozen=True, slots=True)
class Clustering:
    """``labels`` : ``int64[n]``, 0..k-1. ``centres`` : ``float64[k, d]``. ``inertia`` : sum of squared distances to them."""

    labels: Codes
    centres: FloatArray
    inertia: float


def k_means(vectors: Any, k: int, *, seed: int = 0, n_starts: int = 4, n_iterations: int = 300) -> Clustering:
    """The best of ``n_starts`` runs of Lloyd's algorithm from greedy k-means++ starts (Arthur and Vassilvitskii 2007).

    The same seed gives the same clusters, whatever the order of the vectors. A cluster that loses all its vectors takes the one
    farthest from its centre.

    >>> k_means([[0.0], [0.1], [5.0], [5.1]], 2).inertia.__round__(4)
    0.01

    Raises MetricError unless 1 <= k <= n.
    """
    rows = matrix("k_means", "vectors", vectors)
    if not 1 <= k <= len(rows):
        raise MetricError(f"k_means: k must be between 1 and the number of vectors ({len(rows)}), got {k}")
    middle, rng = rows.mean(axis=0), np.random.default_rng(seed)
    order = np.argsort(rows @ rng.normal(size=rows.shape[1]), kind="stable")
    ordered = rows[order] - middle
    norms = (ordered**2).sum(axis=1)
    runs = [_lloyd(ordered, norms, _starts(ordered, norms, k, rng), n_iterations) for _ in range(n_starts)]
    best = min(runs, key=lambda run: run.inertia)
    labels = np.empty(len(rows), dtype=np.int64)
    labels[order] = best.labels
    return Clustering(labels, best.centres + middle, best.inertia)


def nearest(vectors: FloatArray, centres: FloatArray) -> tuple[Codes, FloatArray]:
    """The nearest centre of every vector, ``int64[n]``, and its squared distance, ``float64[n]``."""
    labels, squared = np.zeros(len(vectors), dtype=np.int64), np.zeros(len(vectors))
    for block, distances in distance_blocks(vectors, centres):
        labels[block] = distances.argmin(axis=1)
        squared[block] = distances.min(axis=1)
    return labels, squared


def _starts(rows: FloatArray, norms: FloatArray, k: int, rng: np.random.Generator) -> FloatArray:
    chosen = [int(rng.integers(len(rows)))]
    squared = _distances(rows, norms, rows[chosen])[:, 0]
    n_trials = 2 + int(np.log(k))
    for _ in range(1, k):
        total = squared.sum()
        shares = squared / total if total > 0 else np.full(len(rows), 1 / len(rows))
        trials = rng.choice(len(rows), size=n_trials, p=shares)
        after = np.minimum(squared[:, None], _distances(rows, norms, rows[trials]))
        best = int(after.sum(axis=0).argmin())
        chosen.append(int(trials[best]))
        squared = after[:, best]
    return rows[chosen].copy()


def _lloyd(rows: FloatArray, norms: FloatArray, centres: FloatArray, n_iterations: int) -> Clustering:
    still = _STILL * float(rows.var(axis=0).mean()) if rows.size else 0.0
    labels, squared = _assigned(rows, norms, centres)
    for _ in range(n_iterations):
        moved = _centres(rows, labels, squared, len(centres))
        shift = float(((moved - centres) ** 2).sum())
        before, centres = labels, moved
        labels, squared = _assigned(rows, norms, centres)
        if shift <= still or np.array_equal(before, labels):
            break
    return Clustering(labels, centres, float(((rows - centres[labels]) ** 2).sum()))


def _assigned(rows: FloatArray, norms: FloatArray, centres: FloatArray) -> tuple[Codes, FloatArray]:
    """The nearest centre of every row, and its squared distance but for rounding."""
    step = max(1, _BLOCK // len(centres))
    labels, squared = np.empty(len(rows), dtype=np.int64), np.empty(len(rows))
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        distances = _distances(rows[block], norms[block], centres)
        labels[block], squared[block] = distances.argmin(axis=1), distances.min(axis=1)
    return labels, squared


def _distances(rows: FloatArray, norms: FloatArray, centres: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(norms[:, None] + (centres**2).sum(axis=1) - 2 * (rows @ centres.T), 0.0))


def _centres(rows: FloatArray, labels: Codes, squared: FloatArray, k: int) -> FloatArray:
    counts = np.bincount(labels, minlength=k)
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        labels = labels.copy()
        labels[np.argsort(-squared, kind="stable")[: len(empty)]] = empty
        counts = np.bincount(labels, minlength=k)
    return group_sums(rows, labels, k) / np.maximum(counts, 1)[:, None]


def group_sums(rows: FloatArray, labels: Codes, k: int) -> FloatArray:
    """Sum of the rows of each label, ``float64[k, d]``."""
    sums = np.zeros((k, rows.shape[1]))
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    if len(present):
        sums[present] = np.add.reduceat(rows[order], starts, axis=0)
    return sums
