"""Distances between two samples of a population: Wasserstein, population stability index, maximum mean discrepancy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from harness.metrics.numbers import far_exponent, finite_series, number_pair, scaled
from harness.metrics.pooled import PooledMetric
from harness.metrics.tokenize import IntArray
from harness.metrics.vectors import (
    ReferencePool,
    TwoSets,
    distance_blocks,
    kernel_sum,
    matrix,
    mean_of_pairs,
    same_width,
    squared_distances,
)
from harness.types import FloatArray, Output, Sample

_FAMILY = "divergences"
_MOST = 1_000
"""Vectors whose distances give the bandwidth of a kernel."""

# ── of numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, repr=False)
class _TwoSamples(PooledMetric):
    """Base: the distribution of the numbers answered against that of the targets, whoever belongs to whom."""

    family: ClassVar[str] = _FAMILY
    needs: ClassVar[frozenset[str]] = frozenset({"number", "target"})
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)

    def gather(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[FloatArray, Mapping[int, str]]:
        """``float64[m, 2]``: answers and targets."""
        found = [number_pair(sample, output) for sample, output in zip(samples, outputs, strict=True)]
        missing = {row: pair for row, pair in enumerate(found) if isinstance(pair, str)}
        pairs = [(pair[1], pair[0]) for pair in found if not isinstance(pair, str)]
        return np.array(pairs, dtype=np.float64).reshape(len(pairs), 2), missing

    def of_rows(self, rows: IntArray) -> float:
        return self.between(self.pool[rows, 0], self.pool[rows, 1])

    def between(self, given: FloatArray, true: FloatArray) -> float:
        """The distance of two samples of numbers; NaN if one is empty."""
        raise NotImplementedError(f"{type(self).__name__}.between")


@dataclass(frozen=True, repr=False)
class Wasserstein(_TwoSamples):
    """The area between the distribution functions of answers and targets (earth mover's distance), in their unit.

    0 upwards, lower is better; undefined for no rows. Equals ``scipy.stats.wasserstein_distance``.
    """

    name: ClassVar[str] = "wasserstein"
    summary: ClassVar[str] = "earth mover's distance of the distribution of answers from that of targets"
    formula: ClassVar[str] = "∫ |F(x) - G(x)| dx"
    reference: ClassVar[str] = "scipy.stats.wasserstein_distance"
    paper: ClassVar[str] = "Vaserstein 1969; Villani 2009, Optimal Transport"

    def between(self, given: FloatArray, true: FloatArray) -> float:
        if not len(given) or not len(true):
            return float("nan")
        both = np.sort(np.concatenate([given, true]))
        shares = [np.searchsorted(np.sort(side), both[:-1], side="right") / len(side) for side in (given, true)]
        exponent = far_exponent(both)
        return scaled(float((np.abs(shares[0] - shares[1]) * np.diff(np.ldexp(both, -exponent))).sum()), exponent)


@dataclass(frozen=True, repr=False)
class PopulationStability(_TwoSamples):
    """Σ (a - e) ln(a / e) over bins: a the share of answers, e that of targets; 0 upwards, lower is more alike.

    Bins are cut at the quantiles of the targets (``scheme=quantile``; equal cuts make one) or between their ends at equal
    distances (``uniform``); the outer ones are open. A share below ``floor`` counts as ``floor``. Undefined for no rows. Below
    0.1 is read as stable, above 0.25 as shifted, but chance alone gives about 2 (bins - 1) / n; near there the interval is too
    wide (:mod:`harness.stats.halves`).
    """

    name: ClassVar[str] = "psi"
    summary: ClassVar[str] = "population stability index of answers against targets, in bins"
    formula: ClassVar[str] = "Σ (a - e) ln(a / e)"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = "Siddiqi 2006, Credit Risk Scorecards"

    bins: int = 10
    scheme: Literal["quantile", "uniform"] = "quantile"
    floor: float = 1e-4

    def __post_init__(self) -> None:
        self.require(self.bins >= 2, "bins", "an integer ≥ 2")
        self.require(self.scheme in ("quantile", "uniform"), "scheme", "one of quantile, uniform")
        self.require(0 < self.floor < 1, "floor", "a number between 0 and 1")

    def between(self, given: FloatArray, true: FloatArray) -> float:
        if not len(given) or not len(true):
            return float("nan")
        cuts = self.cuts(true)
        counts = [np.bincount(np.searchsorted(cuts, side, side="left"), minlength=len(cuts) + 1) for side in (given, true)]
        return float(self.of_shares(*(count / count.sum() for count in counts)))

    def cuts(self, true: FloatArray) -> FloatArray:
        """Where one bin ends, that value included, and the next begins."""
        if self.scheme == "quantile":
            return np.unique(np.quantile(true, np.arange(1, self.bins) / self.bins))
        return np.unique(np.linspace(true.min(), true.max(), self.bins + 1)[1:-1])

    def of_shares(self, given: FloatArray, true: FloatArray) -> FloatArray:
        """``shares float64[..., bins] -> float64[...]``."""
        a, e = np.maximum(given, self.floor), np.maximum(true, self.floor)
        return np.asarray(((a - e) * np.log(a / e)).sum(axis=-1))


# ── of vectors ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, repr=False)
class MaximumMeanDiscrepancy(ReferencePool):
    """Squared maximum mean discrepancy of the vectors answered from a reference set, kernel exp(-|x - y|² / (2 h²)).

    mean k(x, x') + mean k(y, y') - 2 mean k(x, y). ``unbiased`` (the default) leaves pairs of a vector with itself out, so that
    its expectation for two samples of one population is 0 and values may be below; ``biased`` keeps them and is ≥ 0.
    ``bandwidth`` h: none takes the median distance between two different vectors of both sets together (of 1,000 of them, at
    even steps, where there are more). The reference set is the file ``against`` or the targets. Lower is better; undefined for
    fewer than two vectors on a side (none, for biased) and where the median distance is 0.
    """

    name: ClassVar[str] = "mmd"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "squared maximum mean discrepancy of vectors from a reference set (Gaussian kernel)"
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (-2.0, 2.0)
    formula: ClassVar[str] = "mean k(x, x') + mean k(y, y') - 2 mean k(x, y)"
    reference: ClassVar[str] = "sklearn.metrics.pairwise.rbf_kernel, averaged"
    paper: ClassVar[str] = "Gretton et al. 2012, A Kernel Two-Sample Test, Journal of Machine Learning Research 13"

    bandwidth: float | None = None
    estimator: Literal["unbiased", "biased"] = "unbiased"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.bandwidth is None or self.bandwidth > 0, "bandwidth", "a number > 0 or none")
        self.require(self.estimator in ("unbiased", "biased"), "estimator", "one of unbiased, biased")

    def ready(self, sets: TwoSets) -> Kernelled:
        """With the bandwidth, the mean within the reference set, and the mean kernel of each vector with that set."""
        width = self._width(sets)
        if not len(sets.vectors) or not len(sets.reference) or not width > 0:
            return Kernelled(sets.vectors, float("nan"))
        seen = [_gaussian(squared, width).mean(axis=1) for _, squared in distance_blocks(sets.vectors, sets.reference)]
        return Kernelled(sets.vectors, width, self._within(sets.reference, width), np.concatenate(seen))

    def compare(self, pool: Kernelled, rows: IntArray) -> float:
        if not len(rows) or not pool.width > 0:
            return float("nan")
        return self._within(pool.vectors[rows], pool.width) + pool.within - 2 * float(pool.seen[rows].mean())

    def kernel(self, first: FloatArray, second: FloatArray) -> FloatArray:
        """``float64[n + m, n + m]`` of the vectors of both; NaN where there is no bandwidth."""
        sets = TwoSets.of(first, second)
        both, width = np.concatenate([sets.vectors, sets.reference]), self._width(sets)
        if not width > 0:
            return np.full((len(both), len(both)), np.nan)
        return np.concatenate([_gaussian(squared, width) for _, squared in distance_blocks(both, both)])

    def _width(self, sets: TwoSets) -> float:
        return scaled(self.bandwidth, -sets.exponent) if self.bandwidth else _median_distance(sets)

    def _within(self, vectors: FloatArray, width: float) -> float:
        if self.estimator == "unbiased":
            return mean_of_pairs(vectors, lambda squared: _gaussian(squared, width))
        return kernel_sum(vectors, vectors, lambda squared: _gaussian(squared, width)) / len(vectors) ** 2


@dataclass(frozen=True, slots=True)
class Kernelled:
    """Vectors, the bandwidth, the mean kernel within the reference set, and that of each vector with the reference set."""

    vectors: FloatArray
    width: float
    within: float = float("nan")
    seen: FloatArray = field(default_factory=lambda: np.zeros(0))


def _gaussian(squared: FloatArray, width: float) -> FloatArray:
    with np.errstate(over="ignore"):  # of a bandwidth as good as 0
        return np.asarray(np.exp(squared / (-2 * max(width * width, float(np.finfo(np.float64).tiny)))))


def _median_distance(sets: TwoSets) -> float:
    sides = [side for side in (sets.vectors, sets.reference) if len(side)]
    both = np.concatenate(sides) if sides else np.zeros((0, 0))
    if len(both) < 2:
        return float("nan")
    some = both[np.linspace(0, len(both) - 1, min(len(both), _MOST)).astype(np.int64)]
    upper = np.triu_indices(len(some), 1)
    return float(np.sqrt(np.median(squared_distances(some - some[0], some - some[0])[upper])))


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def wasserstein(first: Any, second: Any) -> float:
    """Earth mover's distance of two samples of numbers, of any sizes; NaN if one is empty.

    >>> wasserstein([0.0, 1.0, 3.0], [5.0, 6.0, 8.0])
    5.0
    """
    return Wasserstein().between(finite_series("wasserstein", "first", first), finite_series("wasserstein", "second", second))


def psi(
    given: Any, expected: Any, *, bins: int = 10, scheme: Literal["quantile", "uniform"] = "quantile", floor: float = 1e-4
) -> float:
    """Population stability index of ``given`` against ``expected``, whose bins are used; NaN if one is empty.

    >>> psi([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], bins=2)
    0.0
    """
    metric = PopulationStability(bins, scheme, floor)
    return metric.between(finite_series("psi", "given", given), finite_series("psi", "expected", expected))


def mmd(
    first: Any, second: Any, *, bandwidth: float | None = None, estimator: Literal["unbiased", "biased"] = "unbiased"
) -> float:
    """Squared maximum mean discrepancy of two ``(n, d)`` arrays under a Gaussian kernel; NaN where undefined.

    >>> round(mmd([[0.0], [1.0]], [[0.0], [1.0]], estimator="biased"), 12)
    0.0

    Raises MetricError for vectors of different lengths.
    """
    metric = MaximumMeanDiscrepancy(bandwidth=bandwidth, estimator=estimator)
    sets = TwoSets.of(matrix("mmd", "first", first), matrix("mmd", "second", second))
    same_width("mmd", sets.vectors, sets.reference)
    return metric.compare(metric.ready(sets), np.arange(len(sets.vectors)))
