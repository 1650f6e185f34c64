"""Losses that embeddings and scores are trained with, as measures: triplet, contrastive, hinge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from harness.errors import MetricError
from harness.metrics.embeddingpairs import MeanOfRows, equal_sides, mean_there
from harness.metrics.numbers import finite_series, finite_target, number_pair
from harness.metrics.vectors import cosines, lengths, vectors_of
from harness.types import FloatArray, Output, Sample

Distance = Literal["euclidean", "cosine"]

_TOO_LARGE = "the loss is beyond float64"
_EPSILON = 1e-6
"""What torch adds to each coordinate of a difference before it takes the length."""


@dataclass(frozen=True, repr=False)
class _Loss(MeanOfRows):
    """Base: a mean of losses, 0 upwards, lower is better, undefined for no rows."""

    family: ClassVar[str] = "divergences"
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)


@dataclass(frozen=True, repr=False)
class TripletLoss(_Loss):
    """max(0, d(a, p) - d(a, n) + margin) of the three vectors anchor, positive, negative of each answer.

    d is euclidean, |x - y + 1e-6|, exactly as ``torch.nn.functional.triplet_margin_loss`` computes it, which it equals.
    """

    name: ClassVar[str] = "triplet_loss"
    summary: ClassVar[str] = "triplet margin loss of anchor, positive and negative"
    needs: ClassVar[frozenset[str]] = frozenset({"vectors"})
    formula: ClassVar[str] = "mean max(0, d(a, p) - d(a, n) + margin)"
    reference: ClassVar[str] = "torch.nn.functional.triplet_margin_loss"
    paper: ClassVar[str] = "Schroff, Kalenichenko and Philbin 2015, FaceNet, CVPR"

    margin: float = 1.0

    def __post_init__(self) -> None:
        self.require(self.margin > 0, "margin", "a number > 0")

    def row(self, sample: Sample, output: Output) -> float | str:
        found = vectors_of(output, 3)
        if isinstance(found, str):
            return found
        loss = float(self.losses(found[:1], found[1:2], found[2:])[0])
        return loss if np.isfinite(loss) else _TOO_LARGE

    def losses(self, anchors: FloatArray, positives: FloatArray, negatives: FloatArray) -> FloatArray:
        """``float64[n]`` for n rows a side."""
        near, far = (_torch_distance(anchors, side) for side in (positives, negatives))
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(np.maximum(near - far + self.margin, 0.0))


@dataclass(frozen=True, repr=False)
class ContrastiveLoss(_Loss):
    """[y d² + (1 - y) max(0, margin - d)²] / 2 of the two vectors of each answer; the target y is 1 for a pair that belongs
    together and 0 for one that does not.

    ``distance``: cosine (1 - cosine; vectors of length 0 are missing) or euclidean (with torch's 1e-6, see ``triplet_loss``).
    Samples with another target are missing. Equals sentence-transformers' ``ContrastiveLoss``.
    """

    name: ClassVar[str] = "contrastive_loss"
    summary: ClassVar[str] = "contrastive loss of pairs that belong together or do not"
    needs: ClassVar[frozenset[str]] = frozenset({"vectors", "target"})
    formula: ClassVar[str] = "mean [y d² + (1 - y) max(0, margin - d)²] / 2"
    reference: ClassVar[str] = "sentence_transformers.losses.ContrastiveLoss"
    paper: ClassVar[str] = "Hadsell, Chopra and LeCun 2006, Dimensionality Reduction by Learning an Invariant Mapping, CVPR"

    margin: float = 0.5
    distance: Distance = "cosine"

    def __post_init__(self) -> None:
        self.require(self.margin > 0, "margin", "a number > 0")
        self.require(self.distance in ("cosine", "euclidean"), "distance", "one of cosine, euclidean")

    def row(self, sample: Sample, output: Output) -> float | str:
        target = finite_target(sample)
        if isinstance(target, str):
            return target
        if target not in (0.0, 1.0):
            return f"the target must be 0 or 1, got {target:g}"
        found = vectors_of(output, 2)
        if isinstance(found, str):
            return found
        value = float(self.losses(found[:1], found[1:], np.array([target]))[0])
        return "a vector has length 0: no cosine" if np.isnan(value) else value if np.isfinite(value) else _TOO_LARGE

    def losses(self, first: FloatArray, second: FloatArray, targets: FloatArray) -> FloatArray:
        """``float64[n]`` for n rows a side; NaN where a cosine is undefined."""
        d = 1 - cosines(first, second) if self.distance == "cosine" else _torch_distance(first, second)
        with np.errstate(over="ignore"):
            return np.asarray(np.where(targets == 1, d, np.maximum(self.margin - d, 0.0)) ** 2 / 2)


@dataclass(frozen=True, repr=False)
class Hinge(_Loss):
    """max(0, 1 - y s): s the number answered (a decision value), y the target, 1 or -1 (0 counts as -1).

    Samples with another target are missing. Equals ``sklearn.metrics.hinge_loss``.
    """

    name: ClassVar[str] = "hinge"
    summary: ClassVar[str] = "hinge loss of decision values"
    needs: ClassVar[frozenset[str]] = frozenset({"number", "target"})
    formula: ClassVar[str] = "mean max(0, 1 - y s)"
    reference: ClassVar[str] = "sklearn.metrics.hinge_loss"
    paper: ClassVar[str] = "Cortes and Vapnik 1995, Support-Vector Networks, Machine Learning 20"

    def row(self, sample: Sample, output: Output) -> float | str:
        pair = number_pair(sample, output)
        if isinstance(pair, str):
            return pair
        if pair[0] not in (-1.0, 0.0, 1.0):
            return f"the target must be 1 or -1 (or 0), got {pair[0]:g}"
        return max(0.0, 1 - (1 if pair[0] > 0 else -1) * pair[1])


def _torch_distance(first: FloatArray, second: FloatArray) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):
        return lengths(first - second + _EPSILON)


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────
#
# The mean over rows, NaN for none. All raise MetricError for sides of different shapes.


def triplet_loss(anchors: Any, positives: Any, negatives: Any, *, margin: float = 1.0) -> float:
    """Triplet margin loss of three ``(n, d)`` arrays.

    >>> round(triplet_loss([[0.0]], [[1.0]], [[3.0]], margin=2.5), 4)
    0.5
    """
    metric, sides = TripletLoss(margin), equal_sides("triplet_loss", anchors, positives, negatives)
    return mean_there(metric.losses(*sides))


def contrastive_loss(
    first: Any, second: Any, targets: Sequence[float], *, margin: float = 0.5, distance: Distance = "cosine"
) -> float:
    """Contrastive loss of two ``(n, d)`` arrays; targets 1 (belong together) or 0.

    >>> contrastive_loss([[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]], [1, 0])
    0.3125
    """
    metric, sides = ContrastiveLoss(margin, distance), equal_sides("contrastive_loss", first, second)
    y = finite_series("contrastive_loss", "targets", targets)
    if y.shape != (len(sides[0]),) or not np.isin(y, (0.0, 1.0)).all():
        raise MetricError(f"contrastive_loss: targets must be 0 or 1, one a pair ({len(sides[0])}), got shape {y.shape}")
    return mean_there(metric.losses(sides[0], sides[1], y))


def hinge(targets: Sequence[float], scores: Sequence[float]) -> float:
    """Hinge loss; targets 1 or -1 (0 counts as -1), scores are decision values.

    >>> hinge([1, -1], [0.5, 0.25])
    0.875
    """
    y, s = finite_series("hinge", "targets", targets), finite_series("hinge", "scores", scores)
    if len(y) != len(s):
        raise MetricError(f"hinge: targets and scores must be equally many, got {len(y)} and {len(s)}")
    if not np.isin(y, (-1.0, 0.0, 1.0)).all():
        raise MetricError(f"hinge: targets must be 1, -1 or 0, got {y[~np.isin(y, (-1.0, 0.0, 1.0))][0]:g}")
    return mean_there(np.maximum(0.0, 1 - np.where(y > 0, 1.0, -1.0) * s))
