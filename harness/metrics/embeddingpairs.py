"""Metrics of a few vectors a sample: cosine, alignment, triplets, and finding the partner of each vector among all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from harness.errors import MetricError
from harness.metrics.classification import HitMetric
from harness.metrics.rows import Row, ratio, scores_of
from harness.metrics.vectors import cosines, lengths, matrix, same_width, target_vector, unit_length, vectors_of
from harness.protocols import Interval, Metric, Scope
from harness.types import FloatArray, Output, Sample, Scores, Vectors

_FAMILY = "embeddings"
_NO_COSINE = "a vector has length 0: no cosine"
_TIED = 1e-12
"""Cosines that differ by less are equal: products of matrices round the same numbers differently."""


@dataclass(frozen=True, repr=False)
class MeanOfRows(Metric):
    """Base of the metrics whose value is the mean of one number a row. A subclass gives :meth:`row`."""

    family: ClassVar[str] = _FAMILY
    columns: ClassVar[tuple[str, ...]] = ("value", "rows")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: its value, 1."""
        found = (self.row(sample, output) for sample, output in zip(samples, outputs, strict=True))
        return scores_of((value if isinstance(value, str) else (value, 1.0) for value in found), 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """The mean."""
        return ratio(totals[..., 0], totals[..., 1])

    def row(self, sample: Sample, output: Output) -> float | str:
        """The value of a sample, or why it has none."""
        raise NotImplementedError(f"{type(self).__name__}.row")


def pair_of(sample: Sample, output: Output) -> FloatArray | str:
    """``float64[2, d]``: the two vectors of the answer, or its one vector and the target; or why there are none."""
    if not isinstance(output.answer, Vectors) or len(output.answer.vectors) != 1:
        return vectors_of(output, 2)
    one, target = vectors_of(output, 1), target_vector(sample)
    if isinstance(one, str) or isinstance(target, str):
        return one if isinstance(one, str) else f"{target}, and the answer has one vector"
    if len(target) != one.shape[1]:
        return f"the answer has {one.shape[1]} numbers, the target {len(target)}"
    return np.stack([one[0], target])


@dataclass(frozen=True, repr=False)
class Cosine(MeanOfRows):
    """Mean cosine of two vectors: those of the answer, or its one vector and the target; -1 to 1, higher is better.

    A pair with a vector of length 0 is missing; undefined for no rows. Equals 1 - ``scipy.spatial.distance.cosine``.
    """

    name: ClassVar[str] = "cosine"
    summary: ClassVar[str] = "mean cosine of the two vectors of each sample"
    needs: ClassVar[frozenset[str]] = frozenset({"vectors"})
    bounds: ClassVar[tuple[float | None, float | None]] = (-1.0, 1.0)
    formula: ClassVar[str] = "mean u·v / (|u| |v|)"
    reference: ClassVar[str] = "sklearn.metrics.pairwise.paired_cosine_distances"
    paper: ClassVar[str] = "Salton and McGill 1983, Introduction to Modern Information Retrieval"

    def row(self, sample: Sample, output: Output) -> float | str:
        pair = pair_of(sample, output)
        if isinstance(pair, str):
            return pair
        value = float(cosines(pair[0], pair[1]))
        return _NO_COSINE if np.isnan(value) else value


@dataclass(frozen=True, repr=False)
class Alignment(MeanOfRows):
    """How near the two vectors of a positive pair are: the mean of |u - v|^alpha, u and v scaled to length 1.

    0 to 2^alpha, lower is better. Every sample is a pair that belongs together: the two vectors of its answer, or its one
    vector and the target. A pair with a vector of length 0 is missing; undefined for no rows.
    """

    name: ClassVar[str] = "alignment"
    summary: ClassVar[str] = "mean distance, to a power, of the unit vectors of pairs that belong together"
    needs: ClassVar[frozenset[str]] = frozenset({"vectors"})
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    formula: ClassVar[str] = "mean |u/|u| - v/|v||^alpha"
    reference: ClassVar[str] = "the function align_loss of the paper"
    paper: ClassVar[str] = "Wang and Isola 2020, Understanding Contrastive Representation Learning, ICML"

    alpha: float = 2.0

    def __post_init__(self) -> None:
        self.require(self.alpha > 0, "alpha", "a number > 0")

    def row(self, sample: Sample, output: Output) -> float | str:
        pair = pair_of(sample, output)
        if isinstance(pair, str):
            return pair
        u, v = unit_length(pair)
        distance = float(np.sqrt(((u - v) ** 2).sum()))
        return "a vector has length 0" if np.isnan(distance) else distance**self.alpha


@dataclass(frozen=True, repr=False)
class TripletAccuracy(HitMetric):
    """The share of triplets (anchor, positive, negative) whose anchor is nearer to the positive; 0 to 1, higher is better.

    Nearer by ``distance`` (cosine or euclidean); equally near is a miss. Undefined for no rows; with ``cosine`` a triplet with
    a vector of length 0 is missing. Equals sentence-transformers' ``TripletEvaluator``.
    """

    name: ClassVar[str] = "triplet_accuracy"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "share of triplets whose anchor is nearer to the positive than to the negative"
    needs: ClassVar[frozenset[str]] = frozenset({"vectors"})
    formula: ClassVar[str] = "#{d(a, p) < d(a, n)} / #triplets"
    reference: ClassVar[str] = "sentence_transformers.evaluation.TripletEvaluator"
    paper: ClassVar[str] = "Dor et al. 2018, Learning Thematic Similarity Metric Using Triplet Networks, ACL"

    distance: Literal["cosine", "euclidean"] = "cosine"

    def __post_init__(self) -> None:
        self.require(self.distance in ("cosine", "euclidean"), "distance", "one of cosine, euclidean")

    def row(self, sample: Sample, output: Output) -> Row:
        found = vectors_of(output, 3)
        if isinstance(found, str):
            return found
        anchor, others = found[:1], found[1:]
        if self.distance == "euclidean":
            near, far = _apart(anchor, others)
        else:
            near, far = -cosines(anchor, others)
        return _NO_COSINE if np.isnan(near) or np.isnan(far) else (float(near < far), 1.0)


def _apart(first: FloatArray, second: FloatArray) -> FloatArray:
    """Euclidean distances, as halves: which is the larger is all that counts."""
    return lengths(first / 2 - second / 2)


@dataclass(frozen=True, repr=False)
class CrossModalRecall(Metric):
    """The share of samples whose own second vector is among the k nearest of all second vectors to its first one, by cosine.

    The two vectors of an answer are one thing in two modalities (caption and image). ``direction=backward`` searches the first
    vectors for each second one. 0 to 1, higher is better. Ties count as their expectation in random order, so that vectors that
    are all alike get k/n. The gallery is fixed: intervals are over the queries. Memory is bounded by blocks of queries.
    """

    name: ClassVar[str] = "cross_modal_recall@k"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "share of vectors whose partner in the other modality is among the k nearest"
    needs: ClassVar[frozenset[str]] = frozenset({"vectors"})
    interval: ClassVar[Interval] = "wilson"
    scope: ClassVar[Scope] = "corpus"
    columns: ClassVar[tuple[str, ...]] = ("hits", "rows")
    formula: ClassVar[str] = "#{rank of cos(u_i, v_i) among cos(u_i, v_j) ≤ k} / n"
    reference: ClassVar[str] = "torchmetrics.functional.retrieval.retrieval_hit_rate"
    paper: ClassVar[str] = "Karpathy and Fei-Fei 2015, Deep Visual-Semantic Alignments, CVPR"

    k: int
    direction: Literal["forward", "backward"] = "forward"

    def __post_init__(self) -> None:
        self.require(self.k >= 1, "k", "a positive integer")
        self.require(self.direction in ("forward", "backward"), "direction", "one of forward, backward")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: hit (a fraction where the partner is tied), 1."""
        found = [vectors_of(output, 2) for output in outputs]
        widths = [None if isinstance(pair, str) else pair.shape[1] for pair in found]
        width = next((w for w in widths if w is not None), None)
        reasons = [pair if isinstance(pair, str) else f"the vectors have {w} numbers, the first ones {width}" if w != width
                   else _NO_COSINE if not pair.any(axis=1).all() else None for pair, w in zip(found, widths)]
        pairs = [pair for pair, reason in zip(found, reasons) if reason is None]
        first, second = np.stack(pairs, axis=1) if pairs else np.zeros((2, 0, 0))
        hits = iter(self._hits(first, second).tolist())
        return scores_of(((next(hits), 1.0) if reason is None else reason for reason in reasons), 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """Hits over rows."""
        return ratio(totals[..., 0], totals[..., 1])

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray]:
        """A miss and a hit."""
        return np.array([0.0, 1.0]), np.array([1.0, 1.0])

    def _hits(self, first: FloatArray, second: FloatArray) -> FloatArray:
        queries, gallery = map(unit_length, (first, second) if self.direction == "forward" else (second, first))
        step = max(1, 2**22 // max(len(gallery), 1))
        hits = np.zeros(len(queries))
        for start in range(0, len(queries), step):
            block = np.arange(start, min(start + step, len(queries)))
            ahead = queries[block] @ gallery.T
            ahead -= ahead[np.arange(len(block)), block][:, None].copy()
            better, tied = (ahead > _TIED).sum(axis=1), (np.abs(ahead) <= _TIED).sum(axis=1)
            hits[block] = np.clip((self.k - better) / tied, 0, 1)
        return hits


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def cosine(first: Any, second: Any) -> float:
    """Mean cosine of the rows of two ``(n, d)`` arrays; NaN for none, rows with a vector of length 0 left out.

    >>> cosine([[1.0, 0.0], [1.0, 1.0]], [[2.0, 0.0], [-1.0, 1.0]])
    0.5
    """
    return mean_there(cosines(*equal_sides("cosine", first, second)))


def alignment(first: Any, second: Any, *, alpha: float = 2.0) -> float:
    """Mean |u - v|^alpha of unit vectors; NaN for no rows.

    >>> round(alignment([[1.0, 0.0]], [[0.0, 3.0]]), 12)
    2.0
    """
    Alignment(alpha)
    u, v = map(unit_length, equal_sides("alignment", first, second))
    return mean_there(np.sqrt(((u - v) ** 2).sum(axis=1)) ** alpha)


def triplet_accuracy(
    anchors: Any, positives: Any, negatives: Any, *, distance: Literal["cosine", "euclidean"] = "cosine"
) -> float:
    """Share of anchors that are nearer to their positive than to their negative; NaN for none.

    >>> triplet_accuracy([[1.0, 0.0], [0.0, 1.0]], [[2.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 2.0]])
    0.5
    """
    TripletAccuracy(distance)
    near, far = equal_sides("triplet_accuracy", anchors, positives), equal_sides("triplet_accuracy", anchors, negatives)
    gaps = cosines(*near) - cosines(*far) if distance == "cosine" else _apart(*far) - _apart(*near)
    return mean_there(np.where(np.isnan(gaps), np.nan, gaps > 0))


def cross_modal_recall(first: Any, second: Any, k: int, *, direction: Literal["forward", "backward"] = "forward") -> float:
    """Share of rows of ``first`` whose own row of ``second`` is among the k nearest by cosine; NaN for none.

    >>> cross_modal_recall([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.1], [1.0, 0.2]], 1)
    1.0
    """
    metric = CrossModalRecall(k, direction)
    return mean_there(metric._hits(*equal_sides("cross_modal_recall", first, second)))


def equal_sides(name: str, *sides: Any) -> list[FloatArray]:
    """``(n, d)`` arrays of one shape. Raises MetricError where they are not."""
    arrays = [matrix(name, "vectors", side) for side in sides]
    for other in arrays[1:]:
        same_width(name, arrays[0], other)
    if len(set(map(len, arrays))) != 1:
        raise MetricError(f"{name}: all sides must have equally many vectors, got {' and '.join(str(len(a)) for a in arrays)}")
    return arrays


def mean_there(values: FloatArray) -> float:
    """The mean of the values that are not NaN; NaN where there are none."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")
