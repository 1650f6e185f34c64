"""Precision, recall, density and coverage of a set of feature vectors against a reference set, by nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from harness.metrics.tokenize import IntArray
from harness.metrics.vectors import ReferencePool, TwoSets, distance_blocks, matrix, same_width
from harness.types import FloatArray, Table

Measure = Literal["precision", "recall", "density", "coverage"]
MEASURES: tuple[Measure, ...] = ("precision", "recall", "density", "coverage")


@dataclass(frozen=True, slots=True)
class Balls:
    """Both sets, and the squared distance of each reference vector to its k-th neighbour in the reference set."""

    sets: TwoSets
    radii: FloatArray


@dataclass(frozen=True, repr=False)
class Prdc(ReferencePool):
    """How vectors and reference vectors lie in each other's balls (a vector's ball reaches to its k-th nearest neighbour).

    - precision: share of vectors inside a ball of the reference set;
    - recall: share of reference vectors inside a ball of the vectors;
    - density: balls of the reference set around a vector, over k, on average (may exceed 1);
    - coverage: share of balls of the reference set with a vector in them.

    Euclidean; the surface is outside. ``measure`` is the value, all four are in the table. Higher is better; undefined for k or
    fewer vectors on a side. The reference set is the file ``against`` or the targets. Memory is that of blocks of distances;
    intervals are from halves of at most 400 vectors. Equals the package ``prdc``.
    """

    name: ClassVar[str] = "prdc"
    family: ClassVar[str] = "features"
    summary: ClassVar[str] = "precision, recall, density and coverage of feature vectors against a reference set"
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    formula: ClassVar[str] = "precision = #{x : |x - y| < r_k(y) for a y} / n"
    reference: ClassVar[str] = "prdc.compute_prdc"
    paper: ClassVar[str] = "Naeem et al. 2020, Reliable Fidelity and Diversity Metrics for Generative Models, ICML"
    most: ClassVar[int] = 400

    k: int = 5
    measure: Measure = "coverage"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.k >= 1, "k", "a positive integer")
        self.require(self.measure in MEASURES, "measure", f"one of {', '.join(MEASURES)}")
        if self.measure != "density":
            object.__setattr__(self, "bounds", (0.0, 1.0))

    def ready(self, sets: TwoSets) -> Balls:
        return Balls(sets, _radii(sets.reference, self.k))

    def compare(self, pool: Balls, rows: IntArray) -> float:
        return self.measures(pool, rows)[self.measure]

    def measures(self, pool: Balls, rows: IntArray) -> dict[Measure, float]:
        """All four, of these rows."""
        vectors, reference = pool.sets.vectors[rows], pool.sets.reference
        if len(vectors) <= self.k or len(reference) <= self.k:
            return dict.fromkeys(MEASURES, float("nan"))
        radii = _radii(vectors, self.k)
        around = np.zeros(len(vectors))
        is_recalled, nearest = np.zeros(len(reference), dtype=bool), np.empty(len(reference))
        for block, squared in distance_blocks(reference, vectors):
            around += (squared < pool.radii[block][:, None]).sum(axis=0)
            is_recalled[block] = (squared < radii).any(axis=1)
            nearest[block] = squared.min(axis=1)
        return {"precision": float((around > 0).mean()), "recall": float(is_recalled.mean()),
                "density": float(around.mean() / self.k), "coverage": float((nearest < pool.radii).mean())}  # fmt: skip

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """The four measures."""
        found = self.measures(self.pool, np.sort(stats[:, 0].astype(np.int64)))
        return {"measures": Table(("measure", "value"), tuple(found.items()))} if not np.isnan(found["recall"]) else {}


def _radii(vectors: FloatArray, k: int) -> FloatArray:
    """Squared distance of each vector to its k-th nearest other one; NaN where there are not so many."""
    radii = np.full(len(vectors), np.nan)
    if len(vectors) > k:
        for block, squared in distance_blocks(vectors, vectors):
            radii[block] = np.partition(squared, k, axis=1)[:, k]
    return radii


def prdc(features: Any, reference: Any, *, k: int = 5) -> dict[Measure, float]:
    """Precision, recall, density and coverage of ``(n, d)`` features against ``(m, d)`` ones; NaN for k or fewer on a side.

    >>> prdc([[0.0], [1.0], [2.0]], [[0.1], [1.1], [9.0]], k=1)["coverage"]
    1.0

    Raises MetricError for other shapes and numbers that are not finite.
    """
    metric = Prdc(k=k)
    sets = TwoSets.of(matrix("prdc", "features", features), matrix("prdc", "reference", reference))
    same_width("prdc", sets.vectors, sets.reference)
    return metric.measures(metric.ready(sets), np.arange(len(sets.vectors)))
