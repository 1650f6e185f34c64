"""The ROC curve and the precision-recall curve: their points, the areas under them, and how many points a table shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.errors import MetricError
from harness.metrics.labels import LabelList, Weights
from harness.metrics.pairs import pair_sums
from harness.metrics.rows import ratio
from harness.metrics.scores import (
    SCORE_AVERAGES,
    BinaryScoreMetric,
    BoolArray,
    ScoreAverage,
    ScoreMetric,
    Sweep,
    Values,
    coded_scores,
    evaluate_scores,
)
from harness.types import FloatArray, Table

MOST_POINTS = 1000
"""Points of a curve that a table shows at most."""

Curve = tuple[FloatArray, FloatArray, FloatArray]


# ── metrics ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, repr=False)
class AveragePrecision(ScoreMetric):
    """Average precision: the mean precision at the positives, Σ (Rₙ - Rₙ₋₁) Pₙ over the thresholds, without interpolation.

    0 to 1, higher is better, by chance the share of positives. Rows of equal score enter at once. One class or an average over
    classes (one against the rest; ``macro``, ``micro``, ``weighted`` by targets); multi-label targets are taken class by class,
    or with ``samples`` row by row. Undefined without positives, and such classes (rows) are left out of an average;
    scikit-learn gives 0 there and warns.
    Equals ``sklearn.metrics.average_precision_score``.
    """

    name: ClassVar[str] = "average_precision"
    summary: ClassVar[str] = "mean precision over the recall levels (step area under the PR curve)"
    formula: ClassVar[str] = "Σ (Rₙ - Rₙ₋₁) Pₙ"
    reference: ClassVar[str] = "sklearn.metrics.average_precision_score"
    paper: ClassVar[str] = "Zhu 2004, Recall, precision and average precision"

    average: ScoreAverage = "macro"
    positive: str | None = None

    def __post_init__(self) -> None:
        self.require(self.average in SCORE_AVERAGES, "average", f"one of {', '.join(SCORE_AVERAGES)}")
        super().__post_init__()

    def picked(self) -> str | None:
        return self.positive

    def averaged_by(self) -> ScoreAverage:
        return self.average

    def binary(self, scores: FloatArray, is_positive: BoolArray) -> Values:
        """Average precision as a function of the weights."""
        return Sweep.of(scores, is_positive).values(_average_precision, needs_negatives=False)


@dataclass(frozen=True, repr=False)
class PrAuc(AveragePrecision):
    """The area under the precision-recall curve by trapezoids, from recall 0 and precision 1 on.

    ``sklearn.metrics.auc`` of ``precision_recall_curve``. The straight lines between its points are too kind (Davis and
    Goadrich 2006): ``average_precision`` has steps instead. Parameters and undefined values as of AveragePrecision.
    """

    name: ClassVar[str] = "pr_auc"
    summary: ClassVar[str] = "area under the precision-recall curve, by trapezoids"
    formula: ClassVar[str] = "Σ (Rₙ - Rₙ₋₁) (Pₙ + Pₙ₋₁) / 2, R₀ = 0, P₀ = 1"
    reference: ClassVar[str] = "sklearn.metrics.auc of sklearn.metrics.precision_recall_curve"
    paper: ClassVar[str] = "Davis and Goadrich 2006, The relationship between precision-recall and ROC curves"

    def binary(self, scores: FloatArray, is_positive: BoolArray) -> Values:
        return Sweep.of(scores, is_positive).values(_trapezoids, needs_negatives=False)


@dataclass(frozen=True, repr=False)
class RocCurve(BinaryScoreMetric):
    """The ROC curve of one class, as the table ``roc_curve``; its headline value is the area under it (see RocAuc).

    A row a threshold, descending: rows that score at least the threshold are taken as positive; ``fpr`` and ``tpr`` are the
    shares of the negatives and of the positives among them. The first row has no threshold (nothing is taken). Points on a
    straight line between their neighbours are left out; beyond 1,000 points those are shown that lie evenly along the curve,
    and the table ``shown`` says so. Undefined unless there are positives and negatives. Points equal
    ``sklearn.metrics.roc_curve``.
    """

    name: ClassVar[str] = "roc_curve"
    summary: ClassVar[str] = "the ROC curve as a table; its value is the area under it"
    formula: ClassVar[str] = "(FP / N, TP / P) at every threshold"
    reference: ClassVar[str] = "sklearn.metrics.roc_curve"
    paper: ClassVar[str] = "Fawcett 2006, An introduction to ROC analysis"

    def binary(self, scores: FloatArray, is_positive: BoolArray) -> Values:
        """The area as a function of the weights."""
        return pair_sums(scores, is_positive, ~is_positive).area

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """``roc_curve``: threshold, fpr, tpr."""
        scores, is_positive = self.split(stats)
        if not is_positive.any() or is_positive.all():
            return {}
        fpr, tpr, thresholds = _roc_points(Sweep.of(scores, is_positive), np.ones(len(scores)))
        return curve_table("roc_curve", ("threshold", "fpr", "tpr"), (thresholds, fpr, tpr))


@dataclass(frozen=True, repr=False)
class PrCurve(BinaryScoreMetric):
    """The precision-recall curve of one class, as the table ``pr_curve``; its headline value is the average precision.

    A row a threshold, descending (see RocCurve, also for what is left out); the first row, recall 0 and precision 1, has none.
    Undefined without positives. Points equal ``sklearn.metrics.precision_recall_curve``, which lists them the other way round.
    """

    name: ClassVar[str] = "pr_curve"
    summary: ClassVar[str] = "the precision-recall curve as a table; its value is the average precision"
    formula: ClassVar[str] = "(TP / P, TP / (TP + FP)) at every threshold"
    reference: ClassVar[str] = "sklearn.metrics.precision_recall_curve"
    paper: ClassVar[str] = "Davis and Goadrich 2006, The relationship between precision-recall and ROC curves"

    def binary(self, scores: FloatArray, is_positive: BoolArray) -> Values:
        """The average precision as a function of the weights."""
        return Sweep.of(scores, is_positive).values(_average_precision, needs_negatives=False)

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """``pr_curve``: threshold, recall, precision."""
        scores, is_positive = self.split(stats)
        if not is_positive.any():
            return {}
        precision, recall, thresholds = _pr_points(Sweep.of(scores, is_positive), np.ones(len(scores)))
        return curve_table("pr_curve", ("threshold", "recall", "precision"), (thresholds, recall, precision))


# ── values and points ───────────────────────────────────────────────────────────────────────────────────────────────


def _recall_steps(positives: FloatArray, negatives: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Steps of recall and precisions at each threshold; before anything is taken precision is 1."""
    steps = np.diff(positives, axis=1, prepend=0.0) / positives[:, -1:]
    return steps, ratio(positives, positives + negatives, empty=1.0)


def _average_precision(positives: FloatArray, negatives: FloatArray) -> FloatArray:
    steps, precision = _recall_steps(positives, negatives)
    areas: FloatArray = np.minimum(np.einsum("bt,bt->b", steps, precision), 1.0)
    return areas


def _trapezoids(positives: FloatArray, negatives: FloatArray) -> FloatArray:
    steps, precision = _recall_steps(positives, negatives)
    before = np.column_stack([np.ones(len(precision)), precision[:, :-1]])
    areas: FloatArray = np.minimum(np.einsum("bt,bt->b", steps, precision + before) / 2, 1.0)
    return areas


def _roc_points(sweep: Sweep, weights: FloatArray) -> Curve:
    """False and true positive rates and thresholds, from (0, 0) at infinity on; thresholds without weight left out."""
    positives, negatives = (counts[0] for counts in sweep.counts(weights[None, :]))
    there = np.diff(positives + negatives, prepend=0.0) > 0
    tpr, fpr = (np.append(0.0, counts[there]) / counts[-1] for counts in (positives, negatives))
    return fpr, tpr, np.append(np.inf, sweep.thresholds[there])


def _pr_points(sweep: Sweep, weights: FloatArray) -> Curve:
    """Precision, recall and thresholds, from recall 0 and precision 1 at infinity on."""
    positives, negatives = (counts[0] for counts in sweep.counts(weights[None, :]))
    there = np.diff(positives + negatives, prepend=0.0) > 0
    precision = ratio(positives, positives + negatives)[there]
    recall = positives[there] / positives[-1]
    return np.append(1.0, precision), np.append(0.0, recall), np.append(np.inf, sweep.thresholds[there])


def curve_table(name: str, columns: Sequence[str], curve: Curve) -> dict[str, Table]:
    """A curve as a table: thresholds first, then its two coordinates; corners only, at most 1,000 of them.

    ``shown`` (table, points, shown) is beside it where points that are no corners of a straight line are left out.
    """
    thresholds, x, y = curve
    corners = corners_of(x, y)
    kept = corners[evenly_along(x[corners], y[corners], MOST_POINTS)]
    rows = zip(thresholds[kept].tolist(), x[kept].tolist(), y[kept].tolist())
    tables = {name: Table(tuple(columns), tuple((t if np.isfinite(t) else None, a, b) for t, a, b in rows))}
    if len(kept) < len(corners):
        tables["shown"] = Table(("table", "points", "shown"), ((name, len(corners), len(kept)),))
    return tables


def corners_of(x: FloatArray, y: FloatArray) -> NDArray[np.intp]:
    """The ends and all points where a polyline bends; points between two points on one straight line are left out."""
    if len(x) < 3:
        return np.arange(len(x))
    dx, dy = np.diff(x), np.diff(y)
    turns = np.abs(dx[:-1] * dy[1:] - dx[1:] * dy[:-1]) > 1e-12 * np.hypot(dx[:-1], dy[:-1]) * np.hypot(dx[1:], dy[1:])
    return np.flatnonzero(np.concatenate([[True], turns, [True]]))


def evenly_along(x: FloatArray, y: FloatArray, most: int) -> NDArray[np.intp]:
    """At most ``most`` of the points of a polyline: both ends and those next to evenly spaced places along it."""
    if len(x) <= most:
        return np.arange(len(x))
    along = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
    places = np.searchsorted(along, np.linspace(0, along[-1], most))
    return np.unique(np.append(places[:-1], len(x) - 1))


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def average_precision(
    y_true: LabelList, y_score: Any, *, average: ScoreAverage = "macro", labels: LabelList | None = None,
    sample_weight: Weights = None,
) -> float:
    """Average precision; see AveragePrecision, and ``scores.evaluate_scores`` for the arguments.

    >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 6)
    0.833333
    """
    return evaluate_scores(AveragePrecision(average), y_true, y_score, labels, sample_weight)


def pr_auc(
    y_true: LabelList, y_score: Any, *, average: ScoreAverage = "macro", labels: LabelList | None = None,
    sample_weight: Weights = None,
) -> float:
    """The area under the precision-recall curve by trapezoids; see PrAuc.

    >>> round(pr_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 6)
    0.791667
    """
    return evaluate_scores(PrAuc(average), y_true, y_score, labels, sample_weight)


def roc_curve(
    y_true: LabelList, y_score: Any, *, labels: LabelList | None = None, drop_intermediate: bool = True,
    sample_weight: Weights = None,
) -> Curve:
    """False positive rates, true positive rates and thresholds (descending, the first one infinite) of the label that sorts
    last.

    ``drop_intermediate`` leaves out points halfway between their neighbours on a straight line, as scikit-learn does.

    >>> [column.tolist() for column in roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])]
    [[0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0], [inf, 0.8, 0.4, 0.35, 0.1]]

    Raises MetricError for shapes that do not fit, scores that are not finite, and unless both classes have rows.
    """
    sweep, weights = _swept(RocCurve(), y_true, y_score, labels, sample_weight)
    up = sweep.is_positive[np.argsort(sweep.order)] > 0
    if not weights[up].any() or not weights[~up].any():
        raise MetricError("roc_curve: there must be rows of two classes with a weight above 0")
    fpr, tpr, thresholds = _roc_points(sweep, weights)
    if drop_intermediate and len(fpr) > 2:
        positives, negatives = tpr[1:] * weights[up].sum(), fpr[1:] * weights[~up].sum()
        bends = (np.abs(np.diff(negatives, 2)) > 1e-9) | (np.abs(np.diff(positives, 2)) > 1e-9)
        kept = np.concatenate([[True, True], bends, [True]])
        fpr, tpr, thresholds = fpr[kept], tpr[kept], thresholds[kept]
    return fpr, tpr, thresholds


def pr_curve(
    y_true: LabelList, y_score: Any, *, labels: LabelList | None = None, sample_weight: Weights = None
) -> Curve:
    """Precisions, recalls and thresholds as ``sklearn.metrics.precision_recall_curve`` lists them: thresholds ascending, and a
    last point, recall 0 and precision 1, without one.

    >>> [column.round(2).tolist() for column in pr_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])]
    [[0.5, 0.67, 0.5, 1.0, 1.0], [1.0, 1.0, 0.5, 0.5, 0.0], [0.1, 0.35, 0.4, 0.8]]

    Raises MetricError as :func:`roc_curve`, but only positives are needed.
    """
    sweep, weights = _swept(PrCurve(), y_true, y_score, labels, sample_weight)
    if not weights[sweep.order][sweep.is_positive > 0].any():
        raise MetricError("pr_curve: there must be positives with a weight above 0")
    precision, recall, thresholds = _pr_points(sweep, weights)
    return precision[::-1], recall[::-1], thresholds[:0:-1]


def _swept(
    metric: BinaryScoreMetric, y_true: LabelList, y_score: Any, labels: LabelList | None, weight: Weights
) -> tuple[Sweep, FloatArray]:
    prepared, stats, weights = coded_scores(metric, y_true, y_score, labels, weight)
    assert isinstance(prepared, BinaryScoreMetric)
    if len(prepared.labels) != 2:
        raise MetricError(f"{metric.name}: there must be two labels, got {len(prepared.labels)}: name both with labels")
    return Sweep.of(*prepared.split(stats)), weights[0]
