"""Metrics that follow from class counts: balanced accuracy, precision, recall, F1, Matthews correlation.

The label set is that of the task: its targets, and its choices where all samples share them. A prediction outside it, or none
at all, is a miss for the true class and a hit for no class, as in scikit-learn with ``labels=``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np

from harness.errors import MetricError, did_you_mean
from harness.metrics.classification import checked_weights, label_set, true_label
from harness.metrics.counts import ClassCounts, class_counts, confusion_matrix, per_class
from harness.metrics.rows import Row, ratio, scores_of, wrong_kind
from harness.protocols import Metric
from harness.types import FloatArray, Label, Output, Sample, Scores, Table

Labels: TypeAlias = Sequence[Any]
Weights: TypeAlias = Sequence[float] | None
Average = Literal["binary", "micro", "macro", "weighted"]
AVERAGES: tuple[str, ...] = ("binary", "micro", "macro", "weighted")
LARGEST_MATRIX = 100
"""Label sets beyond this many get no confusion matrix among their tables."""



@dataclass(frozen=True, repr=False)
class LabelMetric(Metric):
    """A metric whose rows are the codes of target and prediction in the label set (-1: none of the labels)."""

    family: ClassVar[str] = "classification"
    needs: ClassVar[frozenset[str]] = frozenset({"target", "label"})
    columns: ClassVar[tuple[str, ...]] = ("target", "prediction")

    labels: tuple[str, ...] = field(default=(), repr=False, kw_only=True)

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """A copy that knows the label set."""
        return dataclasses.replace(self, labels=label_set(samples))

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: code of the target, code of the prediction. Raises MetricError for an unknown target."""
        codes = {label: code for code, label in enumerate(self.labels)}
        return scores_of((self._row(s, o, codes) for s, o in zip(samples, outputs, strict=True)), 2)

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """Values under each row of weights, from weighted class counts; weights may be fractions."""
        return self.value(class_counts(stats, weights, len(self.labels)))

    def value(self, counts: ClassCounts) -> FloatArray:
        """``float64[B]`` from class counts; NaN where undefined."""
        raise NotImplementedError(f"{type(self).__name__}.value")

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """``per_class`` (undefined values are None) and, up to 100 labels, ``confusion`` (a row a true label)."""
        tables = {"per_class": per_class(class_counts(stats, np.ones((1, len(stats))), len(self.labels)), self.labels)}
        if len(self.labels) <= LARGEST_MATRIX:
            tables["confusion"] = confusion_matrix(stats, self.labels)
        return tables

    def _row(self, sample: Sample, output: Output, codes: dict[str, int]) -> Row:
        target = true_label(sample)
        if target is None:
            return "the sample has no target"
        if target not in codes:
            raise MetricError(f"{self.name}: the label set must hold every target, got {target!r}: call prepare(samples) first")
        if not isinstance(output.answer, Label):
            return wrong_kind(output, "Label")
        label = output.answer.label
        return float(codes[target]), float(-1 if label is None else codes.get(label, -1))


@dataclass(frozen=True, repr=False)
class BalancedAccuracy(LabelMetric):
    """The mean recall of the classes that have targets; 0 to 1, higher is better; undefined for no rows.

    Equals ``sklearn.metrics.balanced_accuracy_score`` (Brodersen et al. 2010).
    """

    name: ClassVar[str] = "balanced_accuracy"
    summary: ClassVar[str] = "mean recall over the classes"

    def value(self, counts: ClassCounts) -> FloatArray:
        """Mean over the classes with targets."""
        recalls = ratio(counts.hits, counts.targets, empty=0.0)
        return ratio(recalls.sum(axis=1), (counts.targets > 0).sum(axis=1))


@dataclass(frozen=True, repr=False)
class AveragedMetric(LabelMetric):
    """A ratio a class, averaged over the classes. The default is ``macro``: it needs no positive class, it does not hide
    small classes, and ``micro`` would only repeat accuracy.

    ``binary`` is the ratio of the positive class (``positive``; of two labels the one that sorts last), ``micro`` the ratio of
    the sums. Each is one ratio, and where its denominator is zero the metric is undefined; scikit-learn gives 0 there.
    ``macro`` is the mean over the classes that occur among targets or predictions (scikit-learn's own label set), ``weighted``
    weighs each class with its targets. Inside these two a class with an undefined ratio counts 0, scikit-learn's
    ``zero_division=0``. Range 0 to 1, higher is better.
    """

    average: Average = "macro"
    positive: str | None = None

    def __post_init__(self) -> None:
        self.require(self.average in AVERAGES, "average", f"one of {', '.join(AVERAGES)}")
        self.require(self.positive is None or self.average == "binary", "positive", "left out unless average=binary")

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """A copy that knows the label set. Raises MetricError if ``average=binary`` finds no positive class in it."""
        prepared = super().prepare(samples)
        if prepared.average == "binary":
            positive_code(prepared, prepared.labels, prepared.positive)
        return prepared

    def parts(self, counts: ClassCounts) -> tuple[FloatArray, FloatArray]:
        """Numerator and denominator a class, ``float64[B, K]`` each."""
        raise NotImplementedError(f"{type(self).__name__}.parts")

    def value(self, counts: ClassCounts) -> FloatArray:
        """The average of the classes' ratios."""
        over, under = self.parts(counts)
        if self.average == "binary":
            code = positive_code(self, self.labels, self.positive)
            return ratio(over[:, code], under[:, code])
        if self.average == "micro":
            return ratio(over.sum(axis=1), under.sum(axis=1))
        shares = counts.targets if self.average == "weighted" else (counts.targets + counts.predictions > 0).astype(np.float64)
        return ratio((ratio(over, under, empty=0.0) * shares).sum(axis=1), shares.sum(axis=1))


@dataclass(frozen=True, repr=False)
class Precision(AveragedMetric):
    """Of what was predicted as a class, the share that belongs to it. See AveragedMetric for ``average`` and undefined values;
    ``sklearn.metrics.precision_score``."""

    name: ClassVar[str] = "precision"
    summary: ClassVar[str] = "share of the predictions of a class that are right"

    def parts(self, counts: ClassCounts) -> tuple[FloatArray, FloatArray]:
        """Hits, predictions."""
        return counts.hits, counts.predictions


@dataclass(frozen=True, repr=False)
class Recall(AveragedMetric):
    """Of what belongs to a class, the share that was predicted as it. See AveragedMetric for ``average`` and undefined values;
    ``sklearn.metrics.recall_score``. For rankings there is ``recall@k``."""

    name: ClassVar[str] = "recall"
    summary: ClassVar[str] = "share of a class that was found"

    def parts(self, counts: ClassCounts) -> tuple[FloatArray, FloatArray]:
        """Hits, targets."""
        return counts.hits, counts.targets


@dataclass(frozen=True, repr=False)
class F1(AveragedMetric):
    """The harmonic mean of precision and recall, 2·hits / (targets + predictions). See AveragedMetric for ``average``;
    undefined only where a class has neither targets nor predictions; ``sklearn.metrics.f1_score``."""

    name: ClassVar[str] = "f1"
    summary: ClassVar[str] = "harmonic mean of precision and recall"
    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "macro_f1": {"average": "macro"}, "micro_f1": {"average": "micro"}, "weighted_f1": {"average": "weighted"},
    }

    def parts(self, counts: ClassCounts) -> tuple[FloatArray, FloatArray]:
        """Twice the hits, targets and predictions."""
        return 2 * counts.hits, counts.targets + counts.predictions


@dataclass(frozen=True, repr=False)
class MCC(LabelMetric):
    """Matthews correlation of targets and predictions over any number of classes (Gorodkin 2004), -1 to 1, higher is better.

    0 if only one label was ever predicted, as ``sklearn.metrics.matthews_corrcoef`` has it; undefined if the targets are of one
    class, where scikit-learn gives 0 even to perfect answers. Predictions outside the label set form one class of their own.
    """

    name: ClassVar[str] = "mcc"
    summary: ClassVar[str] = "Matthews correlation of targets and predictions"
    bounds: ClassVar[tuple[float | None, float | None]] = (-1.0, 1.0)

    def value(self, counts: ClassCounts) -> FloatArray:
        """Covariance over the root of the variances of the one-hot codes."""
        predictions = np.concatenate([counts.predictions, counts.unlabelled[:, None]], axis=1)
        n = counts.targets.sum(axis=1)
        covariance = counts.hits.sum(axis=1) * n - (counts.targets * counts.predictions).sum(axis=1)
        target_variance = n**2 - (counts.targets**2).sum(axis=1)
        prediction_variance = predictions.sum(axis=1) ** 2 - (predictions**2).sum(axis=1)
        spread = np.sqrt(np.maximum(target_variance * prediction_variance, 0))
        value = np.clip(ratio(covariance, spread, empty=0.0), -1, 1)
        return np.where(target_variance > 0, value, np.nan)


def positive_code(metric: Metric, labels: Sequence[str], positive: str | None) -> int:
    """Which label is the positive class: ``positive``, or of two labels the one that sorts last (1 of 0 and 1).

    Raises MetricError where that is not defined.
    """
    if positive is None:
        if len(labels) != 2:
            raise MetricError(f"{metric.name}: positive must be given unless there are two labels, got {len(labels)} labels")
        return 1
    if positive not in labels:
        guess = did_you_mean(positive, labels)
        raise MetricError(f"{metric.name}: positive must be one of the labels, got {positive!r}{guess}")
    return labels.index(positive)


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────
#
# ``labels`` is the label set (default: what occurs among targets and predictions, as in scikit-learn); a target outside it
# is an error, a prediction outside it a miss. All give NaN where undefined and raise MetricError for bad arguments.


def balanced_accuracy(
    y_true: Labels, y_pred: Labels, *, labels: Labels | None = None, sample_weight: Weights = None
) -> float:
    """The mean recall of the classes that have targets.

    >>> balanced_accuracy([0, 1, 0, 0, 1, 0], [0, 1, 0, 0, 0, 1])
    0.625
    """
    return _evaluate(BalancedAccuracy(), y_true, y_pred, labels, sample_weight)


def precision(
    y_true: Labels, y_pred: Labels, *, average: Average = "macro", positive: Any = None,
    labels: Labels | None = None, sample_weight: Weights = None,
) -> float:
    """The share of the predictions of a class that are right; see Precision.

    >>> precision([0, 1, 1, 0], [0, 1, 0, 0], average="binary")
    1.0
    """
    return _evaluate(Precision(average, _text(positive)), y_true, y_pred, labels, sample_weight)


def recall(
    y_true: Labels, y_pred: Labels, *, average: Average = "macro", positive: Any = None,
    labels: Labels | None = None, sample_weight: Weights = None,
) -> float:
    """The share of a class that was found; see Recall.

    >>> recall([0, 1, 1, 0], [0, 1, 0, 0], average="binary")
    0.5
    """
    return _evaluate(Recall(average, _text(positive)), y_true, y_pred, labels, sample_weight)


def f1(
    y_true: Labels, y_pred: Labels, *, average: Average = "macro", positive: Any = None,
    labels: Labels | None = None, sample_weight: Weights = None,
) -> float:
    """The harmonic mean of precision and recall; see F1.

    >>> f1([0, 1, 1, 0], [0, 1, 0, 0], average="binary")
    0.6666666666666666
    """
    return _evaluate(F1(average, _text(positive)), y_true, y_pred, labels, sample_weight)


def mcc(
    y_true: Labels, y_pred: Labels, *, labels: Labels | None = None, sample_weight: Weights = None
) -> float:
    """The Matthews correlation; see MCC.

    >>> mcc([0, 1, 1, 0], [0, 1, 1, 0])
    1.0
    """
    return _evaluate(MCC(), y_true, y_pred, labels, sample_weight)


def _evaluate(
    metric: LabelMetric, y_true: Labels, y_pred: Labels, labels: Labels | None, weight: Weights
) -> float:
    weights = checked_weights(metric.name, y_true, y_pred, weight)
    known = sorted({*y_true, *y_pred} if labels is None else set(labels))
    codes = {label: code for code, label in enumerate(known)}
    unknown = next((target for target in y_true if target not in codes), None)
    if unknown is not None:
        raise MetricError(f"{metric.name}: labels must hold every target, got {unknown!r}")
    stats = np.array([[codes[t], codes.get(p, -1)] for t, p in zip(y_true, y_pred)], dtype=np.float64).reshape(len(y_true), 2)
    prepared = dataclasses.replace(metric, labels=tuple(map(str, known)))
    return float(prepared.aggregate(stats, weights)[0])


def _text(label: Any) -> str | None:
    return None if label is None else str(label)
