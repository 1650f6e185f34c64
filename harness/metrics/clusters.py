"""How well vectors fall into clusters: silhouette, Davies-Bouldin, Calinski-Harabasz, inertia.

The clusters are the classes that the targets name, or, with ``k``, those of a seeded k-means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.errors import MetricError
from harness.metrics.kmeans import Codes, group_sums, k_means
from harness.metrics.labels import true_label
from harness.metrics.numbers import far_exponent, scaled
from harness.metrics.pooled import pool_rows
from harness.metrics.tokenize import IntArray
from harness.metrics.vectors import VectorPool, distance_blocks, gathered, matrix, needs_target, stacked
from harness.types import FloatArray, Output, Sample

_SAME = 1e-12
"""Centres that are nearer than this share of the spread of the vectors coincide."""


@dataclass(frozen=True, slots=True)
class Clustered:
    """Vectors ``float64[n, d]``, to be multiplied by 2^exponent, and their clusters ``int64[n]``."""

    vectors: FloatArray
    codes: Codes
    exponent: int = 0

    def some(self, rows: IntArray) -> Clustered:
        """These rows; clusters without a row are not counted."""
        return Clustered(self.vectors[rows], np.unique(self.codes[rows], return_inverse=True)[1], self.exponent)

    @property
    def n_clusters(self) -> int:
        return int(self.codes.max(initial=-1)) + 1


@dataclass(frozen=True, repr=False)
class ClusterMetric(VectorPool):
    """Base: one vector an output, clustered. A subclass gives :meth:`of_clusters`."""

    family: ClassVar[str] = "embeddings"

    k: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        needs_target(self, self.k is None)
        self.require(self.k is None or self.k >= 1, "k", "a positive integer or none")
        self.require(self.seed >= 0, "seed", "an integer ≥ 0")

    def gather(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[Clustered, Mapping[int, str]]:
        """Vectors and clusters. Raises MetricError for more clusters than vectors."""
        rows, missing = gathered(outputs)
        labels = {row: true_label(samples[row]) for row in rows} if self.k is None else {}
        for row in [row for row, label in labels.items() if label is None]:
            missing[row] = "the sample has no target, and no k is given to cluster by"
            del rows[row]
        vectors, exponent = _moderate(stacked(rows))
        if self.k is not None:
            self.require(not len(rows) or self.k <= len(rows), "k", f"at most the number of vectors ({len(rows)})")
            codes = k_means(vectors, self.k, seed=self.seed).labels if rows else np.zeros(0, dtype=np.int64)
        else:
            codes = np.unique([labels[row] for row in rows], return_inverse=True)[1]
        return Clustered(vectors, codes, exponent), missing

    def of_rows(self, rows: IntArray) -> float:
        return self.of_clusters(self.pool.some(rows))

    def why_undefined(self, stats: FloatArray) -> str | None:
        k = self.pool.some(pool_rows(stats)).n_clusters
        if k < 2:
            return "all vectors are in one cluster"
        if k == len(stats):
            return "every vector is a cluster of its own"
        return "two centres coincide, or nothing varies in a cluster"

    def of_clusters(self, clustered: Clustered) -> float:
        """The value; NaN where it is undefined."""
        raise NotImplementedError(f"{type(self).__name__}.of_clusters")

    def over(self, vectors: Any, labels: Sequence[Any]) -> float:
        """The metric over an ``(n, d)`` array and n labels."""
        rows = matrix(self.name, "vectors", vectors)
        if len(rows) != len(labels):
            raise MetricError(f"{self.name}: labels must be one a vector ({len(rows)}), got {len(labels)}")
        codes = {label: code for code, label in enumerate(dict.fromkeys(labels))}
        rows, exponent = _moderate(rows)
        return self.of_clusters(Clustered(rows, np.array([codes[label] for label in labels], dtype=np.int64), exponent))


def _moderate(vectors: FloatArray) -> tuple[FloatArray, int]:
    exponent = far_exponent(vectors)
    return (np.ldexp(vectors, -exponent), exponent) if exponent else (vectors, 0)


@dataclass(frozen=True, repr=False)
class Silhouette(ClusterMetric):
    """Mean of (b - a) / max(a, b): a the mean distance to the others of the own cluster, b to those of the nearest other one.

    -1 to 1, higher is better; euclidean; 0 for a vector alone in its cluster and where a and b are both 0. Undefined for one
    cluster and where every vector is one. O(n²) time, memory of one block of rows. Equals ``sklearn.metrics.silhouette_score``.
    """

    name: ClassVar[str] = "silhouette"
    summary: ClassVar[str] = "how much nearer vectors are to their own cluster than to the next one"
    bounds: ClassVar[tuple[float | None, float | None]] = (-1.0, 1.0)
    formula: ClassVar[str] = "mean (b - a) / max(a, b)"
    reference: ClassVar[str] = "sklearn.metrics.silhouette_score"
    paper: ClassVar[str] = "Rousseeuw 1987, Journal of Computational and Applied Mathematics 20"

    def of_clusters(self, clustered: Clustered) -> float:
        vectors, codes, k = clustered.vectors, clustered.codes, clustered.n_clusters
        if not 2 <= k < len(vectors):
            return float("nan")
        order = np.argsort(codes, kind="stable")
        vectors, codes = vectors[order], codes[order]
        sizes, starts = np.bincount(codes), np.searchsorted(codes, np.arange(k))
        total = 0.0
        for block, squared in distance_blocks(vectors, vectors):
            sums = np.add.reduceat(np.sqrt(squared), starts, axis=1)
            total += float(_silhouettes(sums, codes[block], sizes).sum())
        return total / len(vectors)


def _silhouettes(sums: FloatArray, own: Codes, sizes: Codes) -> FloatArray:
    rows = np.arange(len(own))
    within = sums[rows, own] / np.maximum(sizes[own] - 1, 1)
    others = sums / sizes
    others[rows, own] = np.inf
    between = others.min(axis=1)
    largest = np.maximum(within, between)
    is_defined = (largest > 0) & (sizes[own] > 1)
    return np.asarray(np.divide(between - within, largest, out=np.zeros_like(within), where=is_defined))


@dataclass(frozen=True, repr=False)
class DaviesBouldin(ClusterMetric):
    """Mean over clusters of the worst (s_i + s_j) / |c_i - c_j|: s the mean distance of a cluster to its centre c.

    0 upwards, lower is better. Undefined for one cluster, where every vector is one, and where two centres coincide
    (scikit-learn leaves such pairs out). Otherwise equals ``sklearn.metrics.davies_bouldin_score``.
    """

    name: ClassVar[str] = "davies_bouldin"
    summary: ClassVar[str] = "mean over clusters of their likeness to the most similar one"
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    formula: ClassVar[str] = "mean_i max_{j≠i} (s_i + s_j) / |c_i - c_j|"
    reference: ClassVar[str] = "sklearn.metrics.davies_bouldin_score"
    paper: ClassVar[str] = "Davies and Bouldin 1979, IEEE Transactions on Pattern Analysis and Machine Intelligence 1"

    def of_clusters(self, clustered: Clustered) -> float:
        k = clustered.n_clusters
        if not 2 <= k < len(clustered.vectors):
            return float("nan")
        rows, centres = _centred(clustered)
        sizes = np.bincount(clustered.codes)
        to_centre = np.sqrt(((rows - centres[clustered.codes]) ** 2).sum(axis=1))
        spread = np.bincount(clustered.codes, weights=to_centre) / sizes
        apart = np.concatenate([np.sqrt(block) for _, block in distance_blocks(centres, centres)])
        np.fill_diagonal(apart, np.inf)
        if apart.min() <= _SAME * np.abs(rows).max():
            return float("nan")
        return float(((spread[:, None] + spread[None, :]) / apart).max(axis=1).mean())


@dataclass(frozen=True, repr=False)
class CalinskiHarabasz(ClusterMetric):
    """Variance between clusters over variance within: [B / (k - 1)] / [W / (n - k)]; 0 upwards, higher is better.

    Undefined for one cluster, where every vector is one, and where the clusters have no variance within (infinite;
    scikit-learn gives 1). Otherwise equals ``sklearn.metrics.calinski_harabasz_score``. It grows with the number of samples.
    """

    name: ClassVar[str] = "calinski_harabasz"
    summary: ClassVar[str] = "variance between clusters over variance within"
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    formula: ClassVar[str] = "[Σ n_c |c - m|² / (k - 1)] / [Σ |x - c|² / (n - k)]"
    reference: ClassVar[str] = "sklearn.metrics.calinski_harabasz_score"
    paper: ClassVar[str] = "Caliński and Harabasz 1974, Communications in Statistics 3"
    grows: ClassVar[bool] = True

    def of_clusters(self, clustered: Clustered) -> float:
        n, k = len(clustered.vectors), clustered.n_clusters
        if not 2 <= k < n:
            return float("nan")
        rows, centres = _centred(clustered)
        between = float((np.bincount(clustered.codes) * (centres**2).sum(axis=1)).sum())
        within = float(((rows - centres[clustered.codes]) ** 2).sum())
        if within <= _SAME**2 * float((rows**2).sum()):
            return float("nan")
        return between * (n - k) / (within * (k - 1))


@dataclass(frozen=True, repr=False)
class Inertia(ClusterMetric):
    """Sum of squared distances of the vectors to the centres of their clusters; 0 upwards, lower is tighter.

    A sum: it grows with the number of samples. Undefined for no vectors. Equals ``inertia_`` of ``sklearn.cluster.KMeans`` for
    the same clusters.
    """

    name: ClassVar[str] = "inertia"
    summary: ClassVar[str] = "sum of squared distances to the centres of the clusters"
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    formula: ClassVar[str] = "Σ |x - c(x)|²"
    reference: ClassVar[str] = "sklearn.cluster.KMeans.inertia_"
    paper: ClassVar[str] = "Lloyd 1982, IEEE Transactions on Information Theory 28"
    grows: ClassVar[bool] = True

    def of_clusters(self, clustered: Clustered) -> float:
        if not len(clustered.vectors):
            return float("nan")
        rows, centres = _centred(clustered)
        return scaled(float(((rows - centres[clustered.codes]) ** 2).sum()), 2 * clustered.exponent)


def _centred(clustered: Clustered) -> tuple[FloatArray, FloatArray]:
    """The vectors less their mean, and the centres of the clusters."""
    rows = clustered.vectors - clustered.vectors.mean(axis=0)
    sums = group_sums(rows, clustered.codes, clustered.n_clusters)
    return rows, sums / np.bincount(clustered.codes)[:, None]


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────
#
# ``vectors`` is an ``(n, d)`` array, ``labels`` are n clusters (anything hashable); NaN is returned where undefined. All raise
# MetricError for other shapes and numbers that are not finite.


def silhouette(vectors: Any, labels: Sequence[Any]) -> float:
    """Mean silhouette.

    >>> round(silhouette([[0.0], [1.0], [10.0], [11.0]], "aabb"), 4)
    0.8997
    """
    return Silhouette().over(vectors, labels)


def davies_bouldin(vectors: Any, labels: Sequence[Any]) -> float:
    """Davies-Bouldin index.

    >>> davies_bouldin([[0.0], [1.0], [10.0], [11.0]], "aabb")
    0.1
    """
    return DaviesBouldin().over(vectors, labels)


def calinski_harabasz(vectors: Any, labels: Sequence[Any]) -> float:
    """Calinski-Harabasz index.

    >>> calinski_harabasz([[0.0], [1.0], [10.0], [11.0]], "aabb")
    200.0
    """
    return CalinskiHarabasz().over(vectors, labels)


def inertia(vectors: Any, labels: Sequence[Any]) -> float:
    """Sum of squared distances to the centres.

    >>> inertia([[0.0], [1.0], [10.0], [11.0]], "aabb")
    1.0
    """
    return Inertia().over(vectors, labels)
