"""Overlap of masks and boxes: intersection over union, Dice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from harness.errors import MetricError
from harness.metrics.rows import Row, ratio, scores_of
from harness.metrics.vectors import target_vector, vectors_of
from harness.protocols import Metric
from harness.types import FloatArray, Output, Sample, Scores

Kind = Literal["mask", "box"]
Average = Literal["samples", "all"]


@dataclass(frozen=True, repr=False)
class OverlapMetric(Metric):
    """Base: how much the region answered and the region of the target overlap; 0 to 1, higher is better.

    ``kind=mask``: answer (one vector) and target are masks of the same length, cells above 0.5 are in. ``kind=box``: they are
    boxes (x1, y1, x2, y2) with x1 ≤ x2 and y1 ≤ y2. ``average=samples``: the mean of the samples' values; ``all``: the areas of
    all samples are summed first. Samples where both regions are empty are missing; undefined for no rows.
    """

    family: ClassVar[str] = "features"
    needs: ClassVar[frozenset[str]] = frozenset({"vectors", "target"})
    columns: ClassVar[tuple[str, ...]] = ("over", "under")

    kind: Kind = "mask"
    average: Average = "samples"

    def __post_init__(self) -> None:
        self.require(self.kind in ("mask", "box"), "kind", "one of mask, box")
        self.require(self.average in ("samples", "all"), "average", "one of samples, all")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: numerator and denominator; with ``average=samples`` its value and 1."""
        return scores_of((self._row(sample, output) for sample, output in zip(samples, outputs, strict=True)), 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """Numerators over denominators."""
        return ratio(totals[..., 0], totals[..., 1])

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        """No overlap and a perfect one, where every sample has the same weight."""
        return (np.array([0.0, 1.0]), np.array([1.0, 1.0])) if self.average == "samples" else None

    def fraction(self, shared: float, first: float, second: float) -> tuple[float, float]:
        """Numerator and denominator from the area shared and the areas of both sides."""
        raise NotImplementedError(f"{type(self).__name__}.fraction")

    def _row(self, sample: Sample, output: Output) -> Row:
        given, true = vectors_of(output, 1), target_vector(sample)
        if isinstance(given, str) or isinstance(true, str):
            return given if isinstance(given, str) else str(true)
        found = _areas(given[0], true, self.kind)
        return found if isinstance(found, str) else self._statistics(found)

    def _statistics(self, areas: tuple[float, float, float]) -> Row:
        over, under = self.fraction(*areas)
        if under <= 0:
            return "both regions are empty"
        return (over, under) if self.average == "all" else (over / under, 1.0)

    def over(self, predictions: Any, targets: Any) -> float:
        """The metric over lists of masks or boxes."""
        if len(predictions) != len(targets):
            raise MetricError(f"{self.name}: predictions and targets must be equally many, got {len(predictions)} and "
                              f"{len(targets)}")  # fmt: skip
        rows = []
        for index, sides in enumerate(zip(predictions, targets)):
            given, true = (self._region(index, side) for side in sides)
            areas = _areas(given, true, self.kind)
            if isinstance(areas, str):
                raise MetricError(f"{self.name}: item {index}: {areas}")
            rows.append(self._statistics(areas))
        there = np.array([row for row in rows if not isinstance(row, str)], dtype=np.float64).reshape(-1, 2)
        return float(self.finish(there.sum(axis=0)))

    def _region(self, index: int, region: Any) -> FloatArray:
        try:
            cells = np.asarray(region, dtype=np.float64).ravel()
        except (TypeError, ValueError) as error:
            raise MetricError(f"{self.name}: item {index}: a {self.kind} must be an array of numbers: {error}") from None
        if not np.isfinite(cells).all():
            raise MetricError(f"{self.name}: item {index}: a {self.kind} must be of finite numbers, "
                              f"got {cells[np.argmin(np.isfinite(cells))]}")
        return cells


def _areas(given: FloatArray, true: FloatArray, kind: Kind) -> tuple[float, float, float] | str:
    """The area shared, that of the answer and that of the target; or what is wrong with them."""
    if kind == "mask":
        if given.shape != true.shape:
            return f"the mask has {len(given)} cells, the target {len(true)}"
        first, second = given > 0.5, true > 0.5
        return float((first & second).sum()), float(first.sum()), float(second.sum())
    if len(given) != 4 or len(true) != 4:
        return f"a box has 4 numbers: got {len(given)}, and {len(true)} in the target"
    with np.errstate(over="ignore"):
        sides = [side[2:] - side[:2] for side in (given, true)]
    if min(side.min() for side in sides) < 0:
        return "a box must be (x1, y1, x2, y2) with x1 ≤ x2 and y1 ≤ y2"
    shared = np.maximum(np.minimum(given[2:], true[2:]) - np.maximum(given[:2], true[:2]), 0)
    with np.errstate(over="ignore"):
        areas = float(shared.prod()), float(sides[0].prod()), float(sides[1].prod())
    return areas if np.isfinite(areas).all() else "the area of a box is beyond float64"


@dataclass(frozen=True, repr=False)
class IntersectionOverUnion(OverlapMetric):
    """Area shared over area covered by either (Jaccard index); see :class:`OverlapMetric`.

    Of masks it equals ``sklearn.metrics.jaccard_score``.
    """

    name: ClassVar[str] = "iou"
    summary: ClassVar[str] = "intersection over union of masks or boxes"
    formula: ClassVar[str] = "|A ∩ B| / |A ∪ B|"
    reference: ClassVar[str] = "sklearn.metrics.jaccard_score"
    paper: ClassVar[str] = "Jaccard 1901, Bulletin de la Société Vaudoise des Sciences Naturelles 37"

    def fraction(self, shared: float, first: float, second: float) -> tuple[float, float]:
        return shared, first + second - shared


@dataclass(frozen=True, repr=False)
class Dice(OverlapMetric):
    """Twice the area shared over the sum of the areas; see :class:`OverlapMetric`.

    Of masks it equals ``sklearn.metrics.f1_score``.
    """

    name: ClassVar[str] = "dice"
    summary: ClassVar[str] = "Dice coefficient of masks or boxes"
    formula: ClassVar[str] = "2 |A ∩ B| / (|A| + |B|)"
    reference: ClassVar[str] = "sklearn.metrics.f1_score"
    paper: ClassVar[str] = "Dice 1945, Measures of the Amount of Ecologic Association Between Species, Ecology 26"

    def fraction(self, shared: float, first: float, second: float) -> tuple[float, float]:
        return 2 * shared, first + second


def iou(predictions: Any, targets: Any, *, kind: Kind = "mask", average: Average = "samples") -> float:
    """Intersection over union of lists of masks (of any shape) or boxes; pairs that are both empty are left out, NaN for none.

    >>> iou([[1, 1, 0, 0]], [[0, 1, 1, 0]])
    0.3333333333333333
    >>> iou([[0, 0, 2, 2]], [[1, 1, 3, 3]], kind="box")
    0.14285714285714285

    Raises MetricError for masks of different sizes and for boxes that are none.
    """
    return IntersectionOverUnion(kind, average).over(predictions, targets)


def dice(predictions: Any, targets: Any, *, kind: Kind = "mask", average: Average = "samples") -> float:
    """Dice coefficient of lists of masks or boxes; pairs that are both empty are left out, NaN for none.

    >>> dice([[1, 1, 0, 0]], [[0, 1, 1, 0]])
    0.5

    Raises MetricError for masks of different sizes and for boxes that are none.
    """
    return Dice(kind, average).over(predictions, targets)
