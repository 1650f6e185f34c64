"""Distances of a set of feature vectors from a reference set: Fréchet and kernel (inception) distance.

The features may be of images, sounds or texts; the extractor is whoever made the vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.metrics.numbers import scaled
from harness.metrics.tokenize import IntArray
from harness.metrics.vectors import ReferencePool, TwoSets, matrix, same_width
from harness.types import FloatArray

_FAMILY = "features"
_BLOCK = 2**21
"""Kernel values that are worked out at a time."""

# ── Fréchet ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Fitted:
    """``vectors @ root.T`` of what is measured, its vectors, and the reference set's mean and triangular root of covariance."""

    vectors: FloatArray
    projected: FloatArray
    mean: FloatArray
    root: FloatArray
    exponent: int = 0


@dataclass(frozen=True, repr=False)
class FrechetDistance(ReferencePool):
    """|μ - ν|² + tr(Σ + T - 2 (Σ T)^½): the Fréchet distance of normal distributions fitted to the vectors and a reference set.

    0 upwards, lower is better; covariances over n - 1; undefined for fewer than two vectors on a side. The trace of the root is
    the sum of the singular values of R_Σ R_Tᵀ, R the triangular roots of the covariances: no product of covariances and no
    negative eigenvalue, also for fewer vectors than dimensions. The value falls with the number of vectors (it is biased), so
    compare only values of equally many. The reference set is the file ``against`` or the targets. Intervals are from halves of
    at most 600 vectors. Equals torch-fidelity and torchmetrics on the same features.
    """

    name: ClassVar[str] = "fid"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "Fréchet distance of feature vectors from a reference set"
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    formula: ClassVar[str] = "|μ - ν|² + tr(Σ + T - 2 (Σ T)^½)"
    reference: ClassVar[str] = "torch_fidelity, torchmetrics.image.fid"
    paper: ClassVar[str] = "Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule, NeurIPS"
    most: ClassVar[int] = 600

    def ready(self, sets: TwoSets) -> Fitted | None:
        """None for a reference set of fewer than two vectors."""
        if len(sets.reference) < 2 or not len(sets.vectors):
            return None
        mean = sets.reference.mean(axis=0)
        root = _root(sets.reference - mean)
        vectors = sets.vectors - mean
        return Fitted(vectors, vectors @ root.T, mean, root, sets.exponent)

    def compare(self, pool: Fitted | None, rows: IntArray) -> float:
        if pool is None or len(rows) < 2:
            return float("nan")
        vectors, projected = pool.vectors[rows], pool.projected[rows]
        shift = vectors.mean(axis=0)
        variance = float(((vectors - shift) ** 2).sum()) / (len(rows) - 1)
        shared = _root(projected - projected.mean(axis=0))
        overlap = float(np.linalg.svd(shared, compute_uv=False).sum())
        value = max(float(shift @ shift) + variance + float((pool.root**2).sum()) - 2 * overlap, 0.0)
        return scaled(value, 2 * pool.exponent)


def _root(centred: FloatArray) -> FloatArray:
    """R with RᵀR = XᵀX / (n - 1), triangular where X is taller than wide."""
    scaled = centred / np.sqrt(len(centred) - 1)
    return scaled if len(scaled) <= scaled.shape[1] else np.asarray(np.linalg.qr(scaled, mode="r"))


# ── kernel ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Compared:
    """Both sets; the mean kernel within the reference set and of each vector with it, for halves."""

    sets: TwoSets
    within: float
    seen: FloatArray


@dataclass(frozen=True, repr=False)
class KernelDistance(ReferencePool):
    """Unbiased squared maximum mean discrepancy with the kernel (x·y / d + 1)³, the mean over random subsets of both sets.

    Around 0 for two samples of one population (it may fall below); lower is better. Each of ``subsets`` subsets has
    ``subset_size`` vectors of each side, or as many as the smaller side has, drawn without replacement by
    ``numpy.random.RandomState(seed)``, so that with its defaults it equals torch-fidelity; where both sides fit into one subset
    there is only one. Undefined for fewer than two vectors on a side, and where the
    kernel leaves float64. The reference set is the file ``against`` or the targets.
    Intervals are from halves of at most 1,000 vectors against the first ``subset_size`` of the reference set.
    """

    name: ClassVar[str] = "kid"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "kernel (maximum mean discrepancy) distance of feature vectors from a reference set"
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (None, None)
    formula: ClassVar[str] = "mean k(x, x') + mean k(y, y') - 2 mean k(x, y), k = (x·y / d + 1)³"
    reference: ClassVar[str] = "torch_fidelity (kid_subsets=100, kid_subset_size=1000, rng_seed=2020)"
    paper: ClassVar[str] = "Bińkowski et al. 2018, Demystifying MMD GANs, ICLR"

    subsets: int = 100
    subset_size: int = 1000
    seed: int = 2020

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.subsets >= 1, "subsets", "a positive integer")
        self.require(self.subset_size >= 2, "subset_size", "an integer ≥ 2")
        self.require(0 <= self.seed < 2**32, "seed", "an integer from 0 to 2^32 - 1")

    def ready(self, sets: TwoSets) -> Compared:
        with np.errstate(over="ignore", invalid="ignore"):
            return self._compared(sets.unscaled())

    def _compared(self, sets: TwoSets) -> Compared:
        some = sets.reference[: self.subset_size]
        if len(some) < 2 or not len(sets.vectors):
            return Compared(sets, float("nan"), np.zeros(0))
        return Compared(sets, _within(some), _row_means(sets.vectors, some))

    def of_half(self, rows: IntArray) -> float:
        """Without subsets, against the fixed part of the reference set."""
        if len(rows) < 2 or np.isnan(self.pool.within):
            return float("nan")
        return _within(self.pool.sets.vectors[rows]) + float(self.pool.within - 2 * self.pool.seen[rows].mean())

    def compare(self, pool: Compared, rows: IntArray) -> float:
        vectors, reference = pool.sets.vectors[rows], pool.sets.reference
        if len(vectors) < 2 or len(reference) < 2:
            return float("nan")
        size = min(self.subset_size, len(vectors), len(reference))
        n_subsets = 1 if len(vectors) == len(reference) == size else self.subsets
        rng = np.random.RandomState(self.seed)
        values = np.empty(n_subsets)
        for index in range(n_subsets):
            x = vectors[rng.choice(len(vectors), size, replace=False)]
            y = reference[rng.choice(len(reference), size, replace=False)]
            with np.errstate(over="ignore", invalid="ignore"):
                values[index] = _within(x) + _within(y) - 2 * float(_row_means(x, y).mean())
        mean = float(values.mean())
        return mean if np.isfinite(mean) else float("nan")


def _cubed(first: FloatArray, second: FloatArray) -> FloatArray:
    return np.asarray((first @ second.T / max(first.shape[1], 1) + 1) ** 3)


def _row_means(first: FloatArray, second: FloatArray) -> FloatArray:
    step = max(1, _BLOCK // max(len(second), 1))
    blocks = [_cubed(first[at : at + step], second).mean(axis=1) for at in range(0, len(first), step)]
    return np.concatenate(blocks)


def _within(vectors: FloatArray) -> float:
    """Mean kernel over pairs of two different vectors."""
    n = len(vectors)
    diagonal = ((vectors**2).sum(axis=1) / max(vectors.shape[1], 1) + 1) ** 3
    return float((_row_means(vectors, vectors).sum() * n - diagonal.sum()) / (n * (n - 1)))


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────
#
# Features and the reference set are ``(n, d)`` and ``(m, d)`` arrays; NaN for fewer than two of either. Both raise MetricError
# for other shapes and numbers that are not finite.


def fid(features: Any, reference: Any) -> float:
    """Fréchet distance.

    >>> round(fid([[0.0], [2.0]], [[1.0], [3.0]]), 12)
    1.0
    """
    return _over(FrechetDistance(), features, reference)


def kid(features: Any, reference: Any, *, subsets: int = 100, subset_size: int = 1000, seed: int = 2020) -> float:
    """Kernel distance.

    >>> kid([[0.0], [1.0]], [[0.0], [1.0]])
    -3.5
    """
    return _over(KernelDistance(subsets=subsets, subset_size=subset_size, seed=seed), features, reference)


def _over(metric: FrechetDistance | KernelDistance, features: Any, reference: Any) -> float:
    sets = TwoSets.of(matrix(metric.name, "features", features), matrix(metric.name, "reference", reference))
    same_width(metric.name, sets.vectors, sets.reference)
    pool: Any = metric.ready(sets)
    return metric.compare(pool, np.arange(len(sets.vectors)))
