"""Precision, recall, specificity, F-measures and the error rates, by class and averaged (see ``confusion.AveragedMetric``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from harness.metrics.confusion import Average, AveragedMetric, evaluate
from harness.metrics.counts import ClassCounts
from harness.metrics.labels import LabelList, Weights
from harness.types import FloatArray


@dataclass(frozen=True, repr=False)
class Precision(AveragedMetric):
    """Of what was predicted as a class, the share that belongs to it. See AveragedMetric for ``average`` and undefined values;
    ``sklearn.metrics.precision_score``."""

    name: ClassVar[str] = "precision"
    paper: ClassVar[str] = "van Rijsbergen 1979, Information Retrieval"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "share of the predictions of a class that are right"
    formula: ClassVar[str] = "TP / (TP + FP)"
    reference: ClassVar[str] = "sklearn.metrics.precision_score"

    def parts(self, counts: ClassCounts) -> tuple[FloatArray, FloatArray]:
        """Hits, predictions."""
        return counts.hits, counts.predictions


@dataclass(frozen=True, repr=False)
class Recall(AveragedMetric):
    """Of what belongs to a class, the share that was predicted as it. See AveragedMetric for ``average`` and undefined values;
    ``sklearn.metrics.recall_score``. For rankings there is ``recall@k``."""

    name: ClassVar[str] = "recall"
    paper: ClassVar[str] = "van Rijsbergen 1979, Information Retrieval"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "share of a class that was found"
    formula: ClassVar[str] = "TP / (TP + FN)"
    reference: ClassVar[str] = "sklearn.metrics.recall_score"

    def parts(self, counts: ClassCounts) -> tuple[FloatArray, FloatArray]:
        """Hits, targets."""
        return counts.hits, counts.targets


@dataclass(frozen=True, repr=False)
class F1(AveragedMetric):
    """The harmonic mean of precision and recall, 2·hits / (targets + predictions). See AveragedMetric for ``average``;
    undefined only where a class has neither targets nor predictions; ``sklearn.metrics.f1_score``."""

    name: ClassVar[str] = "f1"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "harmonic mean of precision and recall"
    formula: ClassVar[str] = "2 TP / (2 TP + FP + FN)"
    reference: ClassVar[str] = "sklearn.metrics.f1_score"
    paper: ClassVar[str] = "van Rijsbergen 1979, Information Retrieval"
    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "macro_f1": {"average": "macro"}, "micro_f1": {"average": "micro"}, "weighted_f1": {"average": "weighted"},
    }

    def parts(self, counts: ClassCounts) -> tuple[FloatArray, FloatArray]:
        """Twice the hits, targets and predictions."""
        return 2 * counts.hits, counts.targets + counts.predictions


@dataclass(frozen=True, repr=False)
class FBeta(AveragedMetric):
    """The weighted harmonic mean of precision and recall: recall weighs ``beta`` times as much as precision. ``beta=1`` is F1.
    See AveragedMetric for ``average``; ``sklearn.metrics.fbeta_score``."""

    name: ClassVar[str] = "f_beta"
    summary: ClassVar[str] = "weighted harmonic mean of precision and recall"
    formula: ClassVar[str] = "(1 + β²) TP / ((1 + β²) TP + β² FN + FP)"
    reference: ClassVar[str] = "sklearn.metrics.fbeta_score"
    paper: ClassVar[str] = "van Rijsbergen 1979, Information Retrieval"
    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {"f2": {"beta": 2.0}, "f0.5": {"beta": 0.5}}

    average: Average = field(default="macro", kw_only=True)
    positive: str | None = field(default=None, kw_only=True)
    beta: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(0 < self.beta < float("inf"), "beta", "a number above 0")

    def parts(self, counts: ClassCounts) -> tuple[FloatArray, FloatArray]:
        """Weighted hits, weighted targets and predictions."""
        squared = self.beta**2
        return (1 + squared) * counts.hits, squared * counts.targets + counts.predictions


@dataclass(frozen=True, repr=False)
class JaccardScore(AveragedMetric):
    """Hits over all rows that are of a class or predicted as it (intersection over union). See AveragedMetric for ``average``;
    ``sklearn.metrics.jaccard_score``. Of texts there is ``jaccard``."""

    name: ClassVar[str] = "jaccard_score"
    summary: ClassVar[str] = "intersection over union of the rows of a class and those predicted as it"
    formula: ClassVar[str] = "TP / (TP + FP + FN)"
    reference: ClassVar[str] = "sklearn.metrics.jaccard_score"
    paper: ClassVar[str] = "Jaccard 1901, Bulletin de la Société vaudoise des sciences naturelles 37"

    def parts(self, counts: ClassCounts) -> tuple[FloatArray, FloatArray]:
        """Hits, union."""
        return counts.hits, counts.targets + counts.predictions - counts.hits


@dataclass(frozen=True, repr=False)
class Specificity(AveragedMetric):
    """Of what does not belong to a class, the share that was not predicted as it: the recall of "not this class". See
    AveragedMetric for ``average``; a class with no other rows is left out of an average. Equals
    ``sklearn.metrics.recall_score`` of the other class where there are two."""

    name: ClassVar[str] = "specificity"
    summary: ClassVar[str] = "share of what is not of a class that was not predicted as it"
    formula: ClassVar[str] = "TN / (TN + FP)"
    reference: ClassVar[str] = "sklearn.metrics.multilabel_confusion_matrix"
    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {"tnr": {}}
    undefined_is_zero: ClassVar[bool] = False

    def parts(self, counts: ClassCounts) -> tuple[FloatArray, FloatArray]:
        """True negatives, rows of other classes."""
        return counts.rejections, counts.rows[:, None] - counts.targets


@dataclass(frozen=True, repr=False)
class Fpr(AveragedMetric):
    """Of what does not belong to a class, the share that was predicted as it (false alarms); lower is better, 1 - specificity.
    A class with no other rows is left out of an average."""

    name: ClassVar[str] = "fpr"
    summary: ClassVar[str] = "share of what is not of a class that was predicted as it"
    formula: ClassVar[str] = "FP / (FP + TN)"
    reference: ClassVar[str] = "sklearn.metrics.multilabel_confusion_matrix"
    higher_is_better: ClassVar[bool | None] = False
    undefined_is_zero: ClassVar[bool] = False

    def parts(self, counts: ClassCounts) -> tuple[FloatArray, FloatArray]:
        """False positives, rows of other classes."""
        return counts.predictions - counts.hits, counts.rows[:, None] - counts.targets


@dataclass(frozen=True, repr=False)
class Fnr(AveragedMetric):
    """Of what belongs to a class, the share that was not predicted as it (misses); lower is better. 1 - recall, but that a
    class without targets is left out of an average, where recall counts it 0."""

    name: ClassVar[str] = "fnr"
    summary: ClassVar[str] = "share of a class that was missed"
    formula: ClassVar[str] = "FN / (FN + TP)"
    reference: ClassVar[str] = "sklearn.metrics.multilabel_confusion_matrix"
    higher_is_better: ClassVar[bool | None] = False
    undefined_is_zero: ClassVar[bool] = False

    def parts(self, counts: ClassCounts) -> tuple[FloatArray, FloatArray]:
        """False negatives, targets."""
        return counts.targets - counts.hits, counts.targets


@dataclass(frozen=True, repr=False)
class Npv(AveragedMetric):
    """Of what was not predicted as a class, the share that does not belong to it (negative predictive value). A class that
    every row was predicted as is left out of an average."""

    name: ClassVar[str] = "npv"
    summary: ClassVar[str] = "share of what was not predicted as a class that is not of it"
    formula: ClassVar[str] = "TN / (TN + FN)"
    reference: ClassVar[str] = "sklearn.metrics.multilabel_confusion_matrix"
    undefined_is_zero: ClassVar[bool] = False

    def parts(self, counts: ClassCounts) -> tuple[FloatArray, FloatArray]:
        """True negatives, rows not predicted as the class."""
        return counts.rejections, counts.rows[:, None] - counts.predictions


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def precision(
    y_true: LabelList, y_pred: LabelList, *, average: Average = "macro", positive: Any = None,
    labels: LabelList | None = None, sample_weight: Weights = None,
) -> float:
    """The share of the predictions of a class that are right; see Precision, and ``confusion.evaluate`` for the arguments.

    >>> precision([0, 1, 1, 0], [0, 1, 0, 0], average="binary")
    1.0
    """
    return evaluate(Precision(average, _text(positive)), y_true, y_pred, labels, sample_weight)


def recall(
    y_true: LabelList, y_pred: LabelList, *, average: Average = "macro", positive: Any = None,
    labels: LabelList | None = None, sample_weight: Weights = None,
) -> float:
    """The share of a class that was found; see Recall.

    >>> recall([0, 1, 1, 0], [0, 1, 0, 0], average="binary")
    0.5
    """
    return evaluate(Recall(average, _text(positive)), y_true, y_pred, labels, sample_weight)


def f1(
    y_true: LabelList, y_pred: LabelList, *, average: Average = "macro", positive: Any = None,
    labels: LabelList | None = None, sample_weight: Weights = None,
) -> float:
    """The harmonic mean of precision and recall; see F1.

    >>> f1([["news", "sport"], ["news"]], [["news"], ["news"]], average="micro")
    0.8
    """
    return evaluate(F1(average, _text(positive)), y_true, y_pred, labels, sample_weight)


def f_beta(
    y_true: LabelList, y_pred: LabelList, *, beta: float, average: Average = "macro", positive: Any = None,
    labels: LabelList | None = None, sample_weight: Weights = None,
) -> float:
    """The weighted harmonic mean of precision and recall; see FBeta.

    >>> round(f_beta([0, 1, 1, 0], [0, 1, 0, 0], beta=2, average="binary"), 6)
    0.555556
    """
    return evaluate(FBeta(beta, average=average, positive=_text(positive)), y_true, y_pred, labels, sample_weight)


def jaccard_score(
    y_true: LabelList, y_pred: LabelList, *, average: Average = "macro", positive: Any = None,
    labels: LabelList | None = None, sample_weight: Weights = None,
) -> float:
    """Intersection over union; see JaccardScore.

    >>> jaccard_score([0, 1, 1, 0], [0, 1, 0, 1], average="binary")
    0.3333333333333333
    """
    return evaluate(JaccardScore(average, _text(positive)), y_true, y_pred, labels, sample_weight)


def specificity(
    y_true: LabelList, y_pred: LabelList, *, average: Average = "macro", positive: Any = None,
    labels: LabelList | None = None, sample_weight: Weights = None,
) -> float:
    """The share of what is not of a class that was not predicted as it; see Specificity.

    >>> specificity([0, 1, 0, 0], [0, 1, 1, 0], average="binary")
    0.6666666666666666
    """
    return evaluate(Specificity(average, _text(positive)), y_true, y_pred, labels, sample_weight)


def fpr(
    y_true: LabelList, y_pred: LabelList, *, average: Average = "macro", positive: Any = None,
    labels: LabelList | None = None, sample_weight: Weights = None,
) -> float:
    """The false positive rate; see Fpr.

    >>> fpr([0, 1, 0, 0, 0], [0, 1, 1, 0, 0], average="binary")
    0.25
    """
    return evaluate(Fpr(average, _text(positive)), y_true, y_pred, labels, sample_weight)


def fnr(
    y_true: LabelList, y_pred: LabelList, *, average: Average = "macro", positive: Any = None,
    labels: LabelList | None = None, sample_weight: Weights = None,
) -> float:
    """The false negative rate; see Fnr.

    >>> fnr([0, 1, 1, 0], [0, 1, 0, 0], average="binary")
    0.5
    """
    return evaluate(Fnr(average, _text(positive)), y_true, y_pred, labels, sample_weight)


def npv(
    y_true: LabelList, y_pred: LabelList, *, average: Average = "macro", positive: Any = None,
    labels: LabelList | None = None, sample_weight: Weights = None,
) -> float:
    """The negative predictive value; see Npv.

    >>> npv([0, 1, 1, 0], [0, 1, 0, 0], average="binary")
    0.6666666666666666
    """
    return evaluate(Npv(average, _text(positive)), y_true, y_pred, labels, sample_weight)


def _text(label: Any) -> str | None:
    return None if label is None else str(label)
