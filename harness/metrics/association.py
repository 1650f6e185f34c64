"""How targets and predictions hang together over all classes: balanced accuracy, MCC, Cohen's kappa, Hamming loss, the
matrix."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from harness.errors import MetricError
from harness.metrics.confusion import LabelMetric, coded, evaluate
from harness.metrics.counts import ClassCounts, cells_of, matrix_of, matrix_table, per_class
from harness.metrics.labels import LabelList, Weights
from harness.metrics.rows import ratio
from harness.protocols import Interval
from harness.types import FloatArray, Sample, Table

KappaWeights = Literal["none", "linear", "quadratic"]
Normalize = Literal["none", "true", "pred", "all"]


@dataclass(frozen=True, repr=False)
class BalancedAccuracy(LabelMetric):
    """The mean recall of the classes that have targets; 0 to 1, higher is better; undefined for no rows.

    Equals ``sklearn.metrics.balanced_accuracy_score``.
    """

    name: ClassVar[str] = "balanced_accuracy"
    summary: ClassVar[str] = "mean recall over the classes"
    formula: ClassVar[str] = "mean over classes of TP / (TP + FN)"
    reference: ClassVar[str] = "sklearn.metrics.balanced_accuracy_score"
    paper: ClassVar[str] = "Brodersen et al. 2010, The balanced accuracy and its posterior distribution"

    def value(self, counts: ClassCounts) -> FloatArray:
        """Mean over the classes with targets."""
        recalls = ratio(counts.hits, counts.targets, empty=0.0)
        return ratio(recalls.sum(axis=1), (counts.targets > 0).sum(axis=1))


@dataclass(frozen=True, repr=False)
class MCC(LabelMetric):
    """Matthews correlation of targets and predictions over any number of classes, -1 to 1, higher is better.

    0 if only one label was ever predicted, as ``sklearn.metrics.matthews_corrcoef`` has it; undefined if the targets are of one
    class, where scikit-learn gives 0 even to perfect answers. Answers of no class form one of their own.
    """

    name: ClassVar[str] = "mcc"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "Matthews correlation of targets and predictions"
    bounds: ClassVar[tuple[float | None, float | None]] = (-1.0, 1.0)
    formula: ClassVar[str] = "cov(T, P) / √(cov(T, T) · cov(P, P)) of the one-hot codes"
    reference: ClassVar[str] = "sklearn.metrics.matthews_corrcoef"
    paper: ClassVar[str] = "Gorodkin 2004, Comparing two K-category assignments by a K-category correlation coefficient"

    def value(self, counts: ClassCounts) -> FloatArray:
        """Covariance over the root of the variances of the one-hot codes."""
        predictions = np.concatenate([counts.predictions, counts.unlabelled[:, None]], axis=1)
        n = counts.rows
        covariance = counts.hits.sum(axis=1) * n - (counts.targets * counts.predictions).sum(axis=1)
        target_variance = n**2 - (counts.targets**2).sum(axis=1)
        prediction_variance = n**2 - (predictions**2).sum(axis=1)
        spread = np.sqrt(np.maximum(target_variance * prediction_variance, 0))
        value = np.clip(ratio(covariance, spread, empty=0.0), -1, 1)
        return np.where(target_variance > 0, value, np.nan)


@dataclass(frozen=True, repr=False)
class CohenKappa(LabelMetric):
    """Agreement of targets and predictions beyond what their class shares alone would give; 1 perfect, 0 as by chance.

    Any two labellings of the same rows may stand for targets and predictions. ``weights`` says how much a disagreement costs:
    ``none`` all alike, ``linear`` and ``quadratic`` by the distance of the two labels in their order, and its square. That
    order is ``order`` (every label once, also those that do not occur), by default numbers by size if all labels are numbers,
    else as they sort. An answer of no class agrees with nothing: it is as far from every label as two labels can be.
    Undefined where chance leaves no disagreement (both sides of one class); scikit-learn gives NaN there and warns.
    Equals ``sklearn.metrics.cohen_kappa_score``.
    """

    name: ClassVar[str] = "cohen_kappa"
    summary: ClassVar[str] = "agreement beyond chance of targets and predictions"
    bounds: ClassVar[tuple[float | None, float | None]] = (-1.0, 1.0)
    formula: ClassVar[str] = "1 - Σ w·observed / Σ w·expected"
    reference: ClassVar[str] = "sklearn.metrics.cohen_kappa_score"
    paper: ClassVar[str] = "Cohen 1960, A coefficient of agreement for nominal scales; Cohen 1968 for the weighted one"

    weights: KappaWeights = "none"
    order: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.weights in ("none", "linear", "quadratic"), "weights", "one of none, linear, quadratic")
        self.require(len(set(self.order)) == len(self.order), "order", "labels that are all different")

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """A copy that knows the label set: with ``order`` it is all of its labels."""
        prepared = super().prepare(samples)
        if not self.order:
            return prepared
        return dataclasses.replace(prepared, labels=tuple(sorted({*prepared.labels, *self.order})), is_open=False)

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """Observed over expected disagreement under each row of weights."""
        k = len(self.labels)
        if self.weights == "none":  # labels that no target has are then all alike
            stats = np.maximum(stats, -1.0)
        cells = cells_of(stats, weights, k)
        cost = self._costs(self.classes(cells.others))
        targets, predictions = np.zeros((len(weights), k)), np.zeros((len(weights), cells.n_classes + 1))
        for cell, (target, prediction) in enumerate(zip(cells.target, cells.prediction)):
            targets[:, target] += cells.counts[:, cell]
            predictions[:, prediction] += cells.counts[:, cell]
        observed = cells.counts @ cost[cells.target, cells.prediction] * cells.counts.sum(axis=1)
        expected = np.einsum("bi,ij,bj->b", targets, cost, predictions, optimize=True)
        # What rounding leaves of a difference of equal numbers is not a disagreement.
        return np.maximum(1 - ratio(observed, np.where(expected > 1e-12 * cells.counts.sum(axis=1) ** 2, expected, 0)), -1.0)

    def _costs(self, labels: Sequence[str]) -> FloatArray:
        """``float64[K, classes + 1]``: what a target costs with a prediction, the last one being none of the labels."""
        k = len(self.labels)
        place = _places(labels, self.order, is_sorted=k == len(labels))
        distance = np.abs(place[:k, None] - place[None, :]).astype(np.float64)
        if self.weights == "none":
            distance = np.minimum(distance, 1.0)
        farthest = 1.0 if self.weights == "none" else max(1.0, len(labels) - 1.0)
        cost = np.column_stack([distance, np.full(k, farthest)])
        return cost**2 if self.weights == "quadratic" else cost


@dataclass(frozen=True, repr=False)
class Hamming(LabelMetric):
    """Hamming loss: the share of labels that are wrong; lower is better, 0 to 1; undefined for no rows.

    Of single labels it is the share of wrong rows; of lists of labels (multi-label) the share of wrong cells of the table of
    rows by labels of the task. Equals ``sklearn.metrics.hamming_loss``.
    """

    name: ClassVar[str] = "hamming"
    summary: ClassVar[str] = "share of labels that are wrong (Hamming loss)"
    higher_is_better: ClassVar[bool | None] = False
    takes_several: ClassVar[bool] = True
    formula: ClassVar[str] = "wrong cells / (rows · labels)"
    reference: ClassVar[str] = "sklearn.metrics.hamming_loss"
    paper: ClassVar[str] = "Schapire and Singer 2000, BoosTexter"

    def value(self, counts: ClassCounts) -> FloatArray:
        """Wrong cells over cells."""
        if not self.is_multilabel:
            return 1 - ratio(counts.hits.sum(axis=1), counts.rows)
        wrong = counts.targets + counts.predictions - 2 * counts.hits
        return ratio(wrong.sum(axis=1), counts.rows * len(self.labels))


@dataclass(frozen=True, repr=False)
class ConfusionMatrix(LabelMetric):
    """The confusion matrix, as the table ``confusion``: a row a target, a column a predicted label and one for none of them.

    ``normalize`` as in ``sklearn.metrics.confusion_matrix``: ``none`` counts, ``true`` shares of a row, ``pred`` shares of a
    column, ``all`` shares of all rows. The headline value is the uncertainty coefficient, the share of the targets' entropy
    that the predictions take away (0 to 1, higher is better): it reads the whole matrix, not only its diagonal, and equals
    ``sklearn.metrics.homogeneity_score``. Its interval comes from halves: rows that are drawn twice look like information.
    Undefined where the targets are of one class; scikit-learn gives 1 there.
    """

    name: ClassVar[str] = "confusion_matrix"
    summary: ClassVar[str] = "the matrix of targets and predictions; its value is the uncertainty coefficient"
    interval: ClassVar[Interval] = "subsample"
    formula: ClassVar[str] = "(H(T) - H(T | P)) / H(T)"
    reference: ClassVar[str] = "sklearn.metrics.confusion_matrix; its value: sklearn.metrics.homogeneity_score"
    paper: ClassVar[str] = "Theil 1970, On the estimation of relationships involving qualitative variables"

    normalize: Normalize = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.normalize in ("none", "true", "pred", "all"), "normalize", "one of none, true, pred, all")

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """The uncertainty coefficient under each row of weights."""
        cells = cells_of(stats, weights, len(self.labels))
        n = cells.counts.sum(axis=1)
        entropies = []
        for groups in (cells.target, cells.prediction, cells.target * (cells.n_classes + 1) + cells.prediction):
            _, group = np.unique(groups, return_inverse=True)
            sums = np.array([np.bincount(group, row) for row in cells.counts]).reshape(len(weights), -1)
            shares = ratio(sums, n[:, None], empty=0.0)
            entropies.append(-(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=1))
        of_targets, of_predictions, of_both = entropies
        informed = np.clip(of_targets + of_predictions - of_both, 0.0, of_targets)
        return ratio(informed, np.where(of_targets > 1e-12, of_targets, 0.0))

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """``confusion``, whatever the number of labels, and ``per_class``."""
        ones, stats = np.ones(len(stats)), self.with_few_others(stats)
        counts = self.counts(stats, ones[None, :])
        labels = self.classes(counts.others)
        matrix = _normalized(matrix_of(stats, ones, len(self.labels)), self.normalize)
        return {"confusion": matrix_table(matrix, labels), "per_class": per_class(counts, labels)}


def _normalized(matrix: FloatArray, normalize: Normalize) -> FloatArray:
    sums = {"none": None, "true": matrix.sum(axis=1, keepdims=True), "pred": matrix.sum(axis=0, keepdims=True),
            "all": matrix.sum()}[normalize]  # fmt: skip
    return matrix if sums is None else ratio(matrix, np.asarray(sums))


def _places(labels: Sequence[str], order: Sequence[str], *, is_sorted: bool) -> NDArray[np.intp]:
    """The place of each label in the order of the scale; labels that are not numbers keep theirs if they are sorted."""
    if order:
        if set(order) != set(labels):
            odd = sorted(set(order) ^ set(labels))
            raise MetricError(f"cohen_kappa: order must name every label once; {odd[0]!r} is in one of both only")
        return np.array([order.index(label) for label in labels])
    try:
        keys: list[float] = [float(label) for label in labels]
    except ValueError:
        return np.arange(len(labels)) if is_sorted else np.argsort(np.argsort(labels))
    return np.argsort(np.argsort(keys, kind="stable"), kind="stable")


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def balanced_accuracy(
    y_true: LabelList, y_pred: LabelList, *, labels: LabelList | None = None, sample_weight: Weights = None
) -> float:
    """The mean recall of the classes that have targets; see BalancedAccuracy, and ``confusion.evaluate`` for the arguments.

    >>> balanced_accuracy([0, 1, 0, 0, 1, 0], [0, 1, 0, 0, 0, 1])
    0.625
    """
    return evaluate(BalancedAccuracy(), y_true, y_pred, labels, sample_weight)


def mcc(y_true: LabelList, y_pred: LabelList, *, labels: LabelList | None = None, sample_weight: Weights = None) -> float:
    """The Matthews correlation; see MCC.

    >>> mcc([0, 1, 1, 0], [0, 1, 1, 0])
    1.0
    """
    return evaluate(MCC(), y_true, y_pred, labels, sample_weight)


def cohen_kappa(
    y_true: LabelList, y_pred: LabelList, *, weights: KappaWeights = "none", labels: LabelList | None = None,
    sample_weight: Weights = None,
) -> float:
    """Cohen's kappa of two labellings; see CohenKappa.

    >>> cohen_kappa([1, 2, 3, 3], [1, 2, 3, 1], weights="linear")
    0.5
    """
    return evaluate(CohenKappa(weights), y_true, y_pred, labels, sample_weight)


def hamming(
    y_true: LabelList, y_pred: LabelList, *, labels: LabelList | None = None, sample_weight: Weights = None
) -> float:
    """The share of labels that are wrong; see Hamming.

    >>> hamming([["a"], ["a", "b"]], [["a", "b"], ["b"]])
    0.5
    """
    return evaluate(Hamming(), y_true, y_pred, labels, sample_weight)


def confusion_matrix(
    y_true: LabelList, y_pred: LabelList, *, labels: LabelList | None = None, normalize: Normalize = "none",
    sample_weight: Weights = None,
) -> FloatArray:
    """``float64[K, K]``, a row a target; see ConfusionMatrix. Predictions outside ``labels`` are left out, shares of nothing
    NaN.

    >>> confusion_matrix(["a", "b", "b"], ["a", "b", "a"]).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    prepared, stats, row_weights = coded(ConfusionMatrix(), y_true, y_pred, labels, sample_weight)
    return _normalized(matrix_of(stats, row_weights[0], len(prepared.labels))[:, :-1], normalize)
