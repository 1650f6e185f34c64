"""What decisions cost: a cost for every pair of target and prediction, and the threshold of a score that serves a metric
best."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np

from harness.errors import MetricError
from harness.metrics.averaged import F1
from harness.metrics.curves import curve_table
from harness.metrics.labels import (
    LabelList,
    Weights,
    checked_weights,
    known_labels,
    label_set,
    number_array,
    true_label,
    unknown_target,
)
from harness.metrics.rows import Row, ratio, scores_of, wrong_kind
from harness.metrics.scores import BinaryScoreMetric, BoolArray, Sweep, Values, coded_scores
from harness.protocols import Interval, Metric
from harness.types import FloatArray, Key, Label, Output, Sample, Scores, Table

Matrix: TypeAlias = tuple[tuple[float, ...], ...]
POSITIVE_F1 = F1("binary")
MOST_CANDIDATES = 10_000
"""Thresholds that are tried at most."""

CELLS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Target and prediction (1: the positive class) of the four kinds of rows that a threshold makes."""


@dataclass(frozen=True, repr=False)
class Cost(Metric):
    """The mean cost of an answer; lower is better; undefined for no rows.

    ``matrix`` has a row a target and a column a predicted label, in the order of ``order`` (every label once; by default as the
    labels sort): ``cost(matrix=[[0,1],[5,0]])`` makes missing the label that sorts last five times as dear as a false alarm. A
    prediction that is none of the labels costs as much as the dearest in its row. Without a matrix every error costs 1.
    """

    name: ClassVar[str] = "cost"
    family: ClassVar[str] = "classification"
    summary: ClassVar[str] = "mean cost of an answer, from a cost matrix"
    needs: ClassVar[frozenset[str]] = frozenset({"target", "label"})
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (None, None)
    columns: ClassVar[tuple[str, ...]] = ("cost", "rows")
    formula: ClassVar[str] = "mean of matrix[target][prediction]"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = "Elkan 2001, The foundations of cost-sensitive learning"

    matrix: Matrix = ()
    order: tuple[str, ...] = ()
    labels: tuple[str, ...] = field(default=(), repr=False, kw_only=True)

    def __post_init__(self) -> None:
        square = all(len(row) == len(self.matrix) for row in self.matrix)
        self.require(square and all(math.isfinite(cell) for row in self.matrix for cell in row), "matrix",
                     "as many rows as columns, of finite numbers, such as [[0,1],[5,0]]")  # fmt: skip
        self.require(len(set(self.order)) == len(self.order), "order", "labels that are all different")
        cells = [cell for row in self.matrix for cell in row] or [0.0, 1.0]
        object.__setattr__(self, "bounds", (min(cells), max(cells)))

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """A copy that knows the label set. Raises MetricError where the matrix or the order do not fit it."""
        labels = label_set(samples)
        if self.matrix and len(self.matrix) != len(labels):
            raise MetricError(f"cost: matrix must have a row for each of the {len(labels)} labels, got {len(self.matrix)}")
        if self.order and sorted(self.order) != sorted(labels):
            raise MetricError(f"cost: order must name every label once ({', '.join(labels[:10])}), got {list(self.order)}")
        return dataclasses.replace(self, labels=self.order or labels)

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: cost, 1."""
        return scores_of((self._row(s, o) for s, o in zip(samples, outputs, strict=True)), 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """Summed cost over rows."""
        return ratio(totals[..., 0], totals[..., 1])

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        """The dearest and the cheapest answer to this target."""
        target = true_label(sample)
        if target is None or target not in self.labels:
            return None
        costs = [self.of(target, label) for label in (*self.labels, None)]
        return np.array([max(costs), 1.0]), np.array([min(costs), 1.0])

    def of(self, target: str, prediction: str | None) -> float:
        """The cost of one answer."""
        if not self.matrix:
            return float(target != prediction)
        row = self.matrix[self.labels.index(target)]
        return row[self.labels.index(prediction)] if prediction in self.labels else max(row)

    def _row(self, sample: Sample, output: Output) -> Row:
        target = true_label(sample)
        if target is None:
            return "the sample has no target"
        if target not in self.labels:
            raise unknown_target(self, target)
        if not isinstance(output.answer, Label):
            return wrong_kind(output, "Label")
        return self.of(target, output.answer.label), 1.0


@dataclass(frozen=True, repr=False)
class BestThreshold(BinaryScoreMetric):
    """The threshold of a score at which a metric of labels is best, if rows that score at least so much are called positive.

    ``metric`` is any metric of single labels: ``best_threshold(mcc)``, ``best_threshold(cost(matrix=[[0,1],[5,0]]))``; by
    default F1 of the positive class. Candidates are the scores that occur, and a place just above the highest one, where
    nothing is called positive; of several best ones it is the highest. Neither high nor low is good. With more than two labels
    the others are one class, named "". Undefined unless both classes have rows.

    The interval comes from halves: the bootstrap fails for the place of a maximum; it stays within [0, 1] where all scores do.
    Tables: ``best_threshold`` (threshold, the
    metric's value there, shares of the negatives and of the positives that are called positive) and ``threshold_curve``.
    """

    name: ClassVar[str] = "best_threshold"
    summary: ClassVar[str] = "threshold of the score at which a metric is best"
    higher_is_better: ClassVar[bool | None] = None
    bounds: ClassVar[tuple[float | None, float | None]] = (None, None)
    interval: ClassVar[Interval] = "subsample"
    formula: ClassVar[str] = "argmax over thresholds t of metric(score ≥ t)"
    reference: ClassVar[str] = "brute force"
    paper: ClassVar[str] = "Youden 1950 for balanced accuracy; Elkan 2001 for costs"

    metric: Metric = POSITIVE_F1
    highest: float | None = field(default=None, repr=False, kw_only=True)
    """The highest score, where all scores are probabilities."""

    def __post_init__(self) -> None:
        super().__post_init__()
        high = None if self.highest is None else max(1.0, math.nextafter(self.highest, 2.0))
        object.__setattr__(self, "bounds", (None, None) if high is None else (0.0, high))
        self.require(self.metric.needs <= {"target", "label"} and self.metric.higher_is_better is not None, "metric",
                     "a metric of target and label that has a better direction")  # fmt: skip

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: code of the target, score. Bound to a copy whose bounds are those of probabilities if all are."""
        scores = super().score(samples, outputs, answers)
        given = self.scores_in(scores.stats)
        given = given[~np.isnan(given)]
        are_all = bool(given.size) and given.min() >= 0 and given.max() <= 1
        return dataclasses.replace(scores, bound=dataclasses.replace(self, highest=float(given.max()) if are_all else None))

    def binary(self, scores: FloatArray, is_positive: BoolArray) -> Values:
        """The threshold as a function of the weights."""
        sweep, inner = Sweep.of(scores, is_positive), self._inner()

        def of(weights: FloatArray) -> FloatArray:
            found = np.full(len(weights), np.nan)
            for place, row in enumerate(weights):
                thresholds, values, *_ = _curve(sweep, row, inner)
                if len(values):
                    found[place] = thresholds[self._best(values)]
            return found

        return of

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """``best_threshold`` and ``threshold_curve``."""
        scores, is_positive = self.split(stats)
        thresholds, values, fpr, tpr = _curve(Sweep.of(scores, is_positive), np.ones(len(scores)), self._inner())
        if not len(values):
            return {}
        best, shown = self._best(values), np.isfinite(values)
        columns = ("threshold", self.metric.spec, "negatives", "positives")
        row = (float(thresholds[best]), float(values[best]), float(fpr[best]), float(tpr[best]))
        curve = curve_table("threshold_curve", columns[:2], (thresholds[shown], thresholds[shown], values[shown]))
        pairs = tuple((t, value) for _, t, value in curve["threshold_curve"].rows)
        return {"best_threshold": Table(columns, (row,)), **curve, "threshold_curve": Table(columns[:2], pairs)}

    def _best(self, values: FloatArray) -> int:
        """The first (highest) of the best thresholds; values that differ by rounding alone are equal."""
        signed = np.where(np.isnan(values), -np.inf, values if self.metric.higher_is_better else -values)
        return int(np.argmax(signed >= signed.max() - 1e-12 * max(1.0, abs(float(signed.max())))))

    def _inner(self) -> tuple[Metric, FloatArray]:
        """The metric, prepared, and its rows for the four kinds of rows."""
        code = self.scored()[0] if self.scored() else 1
        negative, positive = (self.labels[1 - code], self.labels[code]) if len(self.labels) == 2 else ("", "positive")
        names = (negative, positive if len(self.labels) == 2 else self.positive or positive)
        inner: Any = self.metric
        if getattr(inner, "average", None) == "binary" and inner.positive is None:
            inner = dataclasses.replace(inner, positive=names[1])
        samples = [Sample(str(number), target=names[target]) for number, (target, _) in enumerate(CELLS)]
        outputs = [Output(Key(str(number)), Label(names[prediction])) for number, (_, prediction) in enumerate(CELLS)]
        inner = inner.prepare(samples)
        return inner, inner.score(samples, outputs).stats


def _curve(
    sweep: Sweep, weights: FloatArray, inner: tuple[Metric, FloatArray]
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Thresholds, highest first, the metric's value at each, and the shares of negatives and positives taken; empty unless
    there are both."""
    nothing = np.zeros(0)
    if not len(sweep.ends):
        return nothing, nothing, nothing, nothing
    ups, downs = (np.append(0.0, counts[0]) for counts in sweep.counts(weights[None, :]))
    if not (ups[-1] > 0 and downs[-1] > 0):
        return nothing, nothing, nothing, nothing
    thresholds = np.append(np.nextafter(sweep.thresholds[0], np.inf), sweep.thresholds)
    if len(thresholds) > MOST_CANDIDATES:
        tried = np.linspace(0, len(thresholds) - 1, MOST_CANDIDATES).round().astype(np.intp)
        thresholds, ups, downs = thresholds[tried], ups[tried], downs[tried]
    cells = np.column_stack([downs[-1] - downs, downs, ups[-1] - ups, ups])
    metric, stats = inner
    return thresholds, metric.aggregate(stats, cells), downs / downs[-1], ups / ups[-1]


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def cost(
    y_true: LabelList, y_pred: LabelList, matrix: Sequence[Sequence[float]] = (), *, labels: LabelList | None = None,
    sample_weight: Weights = None,
) -> float:
    """The mean cost of an answer; see Cost. ``matrix`` is in the order of the sorted labels; NaN for no rows.

    >>> cost(["ill", "well", "ill"], ["well", "well", "ill"], [[0, 5], [1, 0]])
    1.6666666666666667

    None is an answer with none of the labels. Raises MetricError for lists of different lengths, a matrix that does not fit, a
    target outside ``labels``.
    """
    weights = checked_weights("cost", y_true, y_pred, sample_weight)
    known = known_labels("cost", y_true, y_pred, labels)
    cells = number_array("cost", "matrix", matrix)
    if cells.size and cells.shape != (len(known), len(known)):
        raise MetricError(f"cost: matrix must have a row and a column for each of the {len(known)} labels, "
                          f"got shape {cells.shape}")
    codes = {label: str(code) for code, label in enumerate(known)}
    metric = Cost(tuple(map(tuple, cells.tolist())), labels=tuple(codes.values()))
    costs = np.array([metric.of(codes[t], codes.get(p)) for t, p in zip(y_true, y_pred)])
    return float(ratio(weights @ costs, weights.sum(axis=1))[0])


def best_threshold(
    y_true: LabelList, y_score: Any, *, metric: Metric | None = None, labels: LabelList | None = None,
    sample_weight: Weights = None,
) -> float:
    """The threshold at which ``metric`` (F1 of the label that sorts last) is best; see BestThreshold.

    >>> best_threshold([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.35
    """
    whole = BestThreshold() if metric is None else BestThreshold(metric=metric)
    prepared, stats, weights = coded_scores(whole, y_true, y_score, labels, sample_weight)
    return float(prepared.aggregate(stats, weights)[0])
