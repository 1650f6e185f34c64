"""Whether generated vectors repeat each other, repeat what they were trained on, and reach every part of a reference set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from harness.errors import MetricError
from harness.metrics.kmeans import k_means, nearest
from harness.metrics.labels import true_label
from harness.metrics.numbers import far_exponent, scaled
from harness.metrics.pooled import PooledMetric
from harness.metrics.rows import ratio
from harness.metrics.tokenize import IntArray
from harness.metrics.vectors import (
    TwoSets,
    VectorPool,
    distance_blocks,
    gathered,
    matrix,
    needs_target,
    reference_vectors,
    same_width,
    stacked,
    unit_length,
)
from harness.protocols import Metric, Scope
from harness.types import FloatArray, Label, Output, Sample, Scores, Table, Vectors

_FAMILY = "features"

Distance = Literal["euclidean", "cosine"]


@dataclass(frozen=True, repr=False)
class Uniqueness(VectorPool):
    """Groups of like vectors over vectors; 1: no two alike; 1/n: all alike; higher is better; undefined for none.

    Two vectors are alike if they are no further apart than ``tolerance`` (euclidean), or connected by vectors that are.
    """

    name: ClassVar[str] = "uniqueness"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "share of vectors that remain when like ones are counted once"
    formula: ClassVar[str] = "#groups / n"
    reference: ClassVar[str] = "scipy.cluster.hierarchy.fcluster(single linkage)"
    paper: ClassVar[str] = "Polykovskiy et al. 2020, Molecular Sets (MOSES), Frontiers in Pharmacology 11"

    tolerance: float = 0.0

    def __post_init__(self) -> None:
        self.require(self.tolerance >= 0, "tolerance", "a number ≥ 0")

    def of_rows(self, rows: IntArray) -> float:
        vectors = self.pool[rows]
        if not len(vectors):
            return float("nan")
        if self.tolerance == 0:
            return len(np.unique(vectors, axis=0)) / len(vectors)
        exponent = far_exponent(vectors)
        return _n_groups(np.ldexp(vectors, -exponent), scaled(self.tolerance, -exponent)) / len(vectors)


def _n_groups(vectors: FloatArray, tolerance: float) -> int:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = []
    for block, squared in distance_blocks(vectors, vectors):
        rows, columns = np.nonzero(squared <= tolerance**2)
        edges.append(np.stack([rows + block.start, columns]))
    rows, columns = np.concatenate(edges, axis=1)
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(len(vectors), len(vectors)))
    return int(connected_components(graph, directed=False, return_labels=False))


@dataclass(frozen=True, repr=False)
class NearestTrainDistance(Metric):
    """Mean distance of a vector to the nearest one of the training set; 0 upwards: 0 is copied; no direction is better as such.

    The training set is the file ``against``, or all targets where those are vectors; it is fixed, so that rows have values of
    their own. ``distance``: euclidean, or cosine (1 - cosine; vectors of length 0 are missing, and left out of the set). The
    table has the smallest distance and quantiles, which show copies that a mean hides. Undefined for no vectors.
    """

    name: ClassVar[str] = "nearest_train_distance"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "mean distance of a vector to the nearest one of a training set"
    needs: ClassVar[frozenset[str]] = frozenset({"vectors"})
    higher_is_better: ClassVar[bool | None] = None
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    scope: ClassVar[Scope] = "corpus"
    columns: ClassVar[tuple[str, ...]] = ("distance", "rows")
    formula: ClassVar[str] = "mean_i min_j |x_i - t_j|"
    reference: ClassVar[str] = "sklearn.neighbors.NearestNeighbors"
    paper: ClassVar[str] = "Lopez-Paz and Oquab 2017, Revisiting Classifier Two-Sample Tests, ICLR"

    against: Path | None = None
    distance: Distance = "euclidean"

    def __post_init__(self) -> None:
        needs_target(self, self.against is None)
        self.require(self.distance in ("euclidean", "cosine"), "distance", "one of euclidean, cosine")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: distance, 1."""
        rows, missing = gathered(outputs)
        train = reference_vectors(self.name, self.against, samples, missing)
        kept = {row: vector for row, vector in rows.items() if row not in missing}
        same_width(self.name, stacked(kept), train)
        stats = np.full((len(samples), 2), np.nan)
        stats[list(kept)] = np.stack([self.distances(stacked(kept), train), np.ones(len(kept))], axis=1)
        for row in np.flatnonzero(np.isnan(stats[:, 0])):
            missing.setdefault(int(row), "the vector has length 0" if len(train) else "there is no training set")
        return Scores(stats, missing)

    def finish(self, totals: FloatArray) -> FloatArray:
        """The mean."""
        return ratio(totals[..., 0], totals[..., 1])

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """The smallest distance and quantiles."""
        shares = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 1.0)
        return {"quantiles": Table(("share", "distance"), tuple(zip(shares, np.quantile(stats[:, 0], shares).tolist())))}

    def distances(self, vectors: FloatArray, train: FloatArray) -> FloatArray:
        """``float64[n]``; NaN for a vector without a direction, and for an empty training set."""
        if not len(vectors) or not len(train):
            return np.full(len(vectors), np.nan)
        if self.distance == "euclidean":
            sets = TwoSets.of(vectors, train)
            return np.asarray(np.ldexp(np.sqrt(nearest(sets.vectors, sets.reference)[1]), sets.exponent))
        is_there = vectors.any(axis=1)
        found = np.full(len(vectors), np.nan)
        found[is_there] = nearest(unit_length(vectors[is_there]), unit_length(train[train.any(axis=1)]))[1] / 2
        return found


@dataclass(frozen=True, repr=False)
class ModeCoverage(PooledMetric):
    """The share of modes that at least ``at_least`` outputs fall into; 0 to 1, higher is better; undefined for no outputs.

    Labels: the modes are the classes that the targets name. Vectors: they are ``k`` clusters (seeded k-means) of the reference
    set (the file ``against`` or the targets), and a vector falls into the one whose centre is nearest. The table has the share
    of outputs in each mode. More outputs cover more modes: compare equally many.
    """

    name: ClassVar[str] = "mode_coverage"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "share of the modes of a reference set that outputs fall into"
    needs: ClassVar[frozenset[str]] = frozenset({"label|vectors"})
    formula: ClassVar[str] = "#{modes with ≥ at_least outputs} / #modes"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = "Srivastava et al. 2017, VEEGAN: Reducing Mode Collapse, NeurIPS"

    against: Path | None = None
    k: int = 10
    at_least: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        needs_target(self, self.against is None)
        self.require(self.k >= 1, "k", "a positive integer")
        self.require(self.at_least >= 1, "at_least", "a positive integer")
        self.require(self.seed >= 0, "seed", "an integer ≥ 0")

    def gather(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[Any, Mapping[int, str]]:
        """The names of the modes, and the number of the mode of each output, ``int64[m]``, -1 for none."""
        if any(isinstance(output.answer, Vectors) for output in outputs):
            return self._of_vectors(samples, outputs)
        missing = {row: f"the answer is {type(output.answer).__name__}, not Label or Vectors"
                   for row, output in enumerate(outputs) if not isinstance(output.answer, Label)}  # fmt: skip
        labels = sorted({label for sample in samples if (label := true_label(sample)) is not None})
        modes = {label: mode for mode, label in enumerate(labels)}
        codes = [modes.get(o.answer.label or "", -1) for o in outputs if isinstance(o.answer, Label)]
        return (tuple(labels), np.array(codes, dtype=np.int64)), missing

    def _of_vectors(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[Any, Mapping[int, str]]:
        rows, missing = gathered(outputs)
        reference = reference_vectors(self.name, self.against, samples, missing)
        vectors = stacked({row: vector for row, vector in rows.items() if row not in missing})
        same_width(self.name, vectors, reference)
        if not len(vectors):
            return ((), np.zeros(0, dtype=np.int64)), missing
        return (tuple(map(str, range(self.k))), self.modes_of(vectors, reference)), missing

    def modes_of(self, vectors: FloatArray, reference: FloatArray) -> IntArray:
        """The nearest of k centres of the reference set, ``int64[n]``."""
        self.require(self.k <= len(reference), "k", f"at most the number of reference vectors ({len(reference)})")
        sets = TwoSets.of(vectors, reference)
        return nearest(sets.vectors, k_means(sets.reference, self.k, seed=self.seed).centres)[0]

    def of_rows(self, rows: IntArray) -> float:
        names, codes = self.pool
        return _covered(codes[rows], len(names), self.at_least)

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """The share of outputs in each mode."""
        names, codes = self.pool
        counts = np.bincount(codes[codes >= 0], minlength=len(names)) / max(len(codes), 1)
        return {"modes": Table(("mode", "share"), tuple(zip(names, counts.tolist())))}


def _covered(codes: IntArray, n_modes: int, at_least: int) -> float:
    if not len(codes) or not n_modes:
        return float("nan")
    return float((np.bincount(codes[codes >= 0], minlength=n_modes) >= at_least).mean())


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def uniqueness(vectors: Any, *, tolerance: float = 0.0) -> float:
    """Groups of like rows over rows of an ``(n, d)`` array; NaN for none.

    >>> uniqueness([[0.0], [0.0], [1.0], [1.05]], tolerance=0.1)
    0.5
    """
    rows = matrix("uniqueness", "vectors", vectors)
    return Uniqueness(tolerance, pool=rows).of_rows(np.arange(len(rows)))


def nearest_train_distance(vectors: Any, train: Any, *, distance: Distance = "euclidean") -> float:
    """Mean distance of the rows of ``vectors`` to their nearest row of ``train``; NaN if there are none.

    >>> nearest_train_distance([[0.0], [5.0]], [[1.0], [5.0]])
    0.5
    """
    sides = matrix("nearest_train_distance", "vectors", vectors), matrix("nearest_train_distance", "train", train)
    same_width("nearest_train_distance", *sides)
    found = NearestTrainDistance(distance=distance).distances(*sides)
    there = found[~np.isnan(found)]
    return float(there.mean()) if len(there) else float("nan")


def mode_coverage(vectors: Any, reference: Any, *, k: int = 10, at_least: int = 1, seed: int = 0) -> float:
    """Share of k clusters of ``reference`` that at least ``at_least`` rows of ``vectors`` fall into; NaN for no rows.

    >>> mode_coverage([[0.1], [0.2]], [[0.0], [0.1], [5.0], [5.1]], k=2)
    0.5

    Raises MetricError for more clusters than reference vectors.
    """
    sides = matrix("mode_coverage", "vectors", vectors), matrix("mode_coverage", "reference", reference)
    same_width("mode_coverage", *sides)
    metric = ModeCoverage(k=k, at_least=at_least, seed=seed)
    if not len(sides[1]):
        raise MetricError("mode_coverage: reference must have at least one vector, got none")
    return _covered(metric.modes_of(*sides), k, at_least) if len(sides[0]) else float("nan")
