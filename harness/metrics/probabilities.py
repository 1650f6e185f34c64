"""Metrics of predicted probabilities: area under the ROC curve and its kin, logarithmic loss, Brier score."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, ClassVar, Literal, Self

import numpy as np

from harness.errors import MetricError
from harness.metrics.labels import LabelList, Weights, checked_weights, known_labels, label_set, true_label
from harness.metrics.pairs import pair_sums
from harness.metrics.rows import Row, ratio, scores_of, wrong_kind
from harness.metrics.scores import BoolArray, ScoreAverage, ScoreMetric, Values, averaged, evaluate_scores, score_table
from harness.protocols import Metric
from harness.types import FloatArray, Label, Output, Sample, Scores

EPSILON = float(np.finfo(np.float64).eps)
"""Probabilities are clipped to [EPSILON, 1 - EPSILON] before their logarithm, as scikit-learn clips those in float64."""

SUM_TOLERANCE = 0.01
"""By how much the probabilities of an answer may miss 1."""

MultiClass = Literal["ovr", "ovo"]


@dataclass(frozen=True, repr=False)
class RocAuc(ScoreMetric):
    """The probability that a random positive scores higher than a random negative, ties counting half.

    0 to 1, higher is better, 0.5 by chance. Of two labels the positive one is ``positive``, by default the one that sorts last;
    with more labels ``positive`` picks one of them against the rest. Without it, more labels are averaged: ``ovr`` takes each
    class against the rest, ``ovo`` each pair of classes in both directions on the rows of these two (Hand and Till 2001);
    ``average=macro`` weighs them alike, ``weighted`` by the targets of the class (of both classes), ``micro`` (of ``ovr``
    only) takes all pairs of row and class as one set. Targets that are lists of labels (multi-label) are taken class by class.

    Undefined unless there are rows of two classes. Classes without a row are left out of the averages; scikit-learn does so for
    ``ovo`` and for ``ovr, weighted``, and gives NaN for ``ovr, macro``. A label that an answer gives no probability has 0.
    Equals ``sklearn.metrics.roc_auc_score``.
    """

    name: ClassVar[str] = "roc_auc"
    summary: ClassVar[str] = "area under the ROC curve"
    formula: ClassVar[str] = "P(score of a positive > score of a negative) + ½ P(equal)"
    reference: ClassVar[str] = "sklearn.metrics.roc_auc_score"
    paper: ClassVar[str] = "Hanley and McNeil 1982; Hand and Till 2001 for several classes"

    multi_class: MultiClass = "ovr"
    average: ScoreAverage = "macro"
    positive: str | None = None

    def __post_init__(self) -> None:
        self.require(self.multi_class in ("ovr", "ovo"), "multi_class", "one of ovr, ovo")
        self.require(self.average in ("macro", "micro", "weighted"), "average", "one of macro, micro, weighted")
        self.require(self.average != "micro" or self.multi_class == "ovr", "average", "macro or weighted with multi_class=ovo")
        super().__post_init__()

    def picked(self) -> str | None:
        return self.positive

    def averaged_by(self) -> ScoreAverage:
        return self.average

    def binary(self, scores: FloatArray, is_positive: BoolArray) -> Values:
        """The area as a function of the weights."""
        return pair_sums(scores, is_positive, ~is_positive).area

    def for_weights(self, stats: FloatArray) -> Values:
        """Areas as a function of the weights; sorts once a class (``ovo``: a pair of classes and direction)."""
        if self.multi_class == "ovr" or len(self.scored()) < 2 or self.is_multilabel:
            return super().for_weights(stats)
        return _pairs(self.members(stats), self.scores_in(stats), self.average == "weighted")


def _pairs(members: BoolArray, scores: FloatArray, is_weighted: bool) -> Values:
    """Hand and Till's average over the pairs of classes that have rows."""
    found = []
    for a, b in combinations(np.flatnonzero(members.any(axis=0)).tolist(), 2):
        there = pair_sums(scores[:, a], members[:, a], members[:, b])
        back = pair_sums(scores[:, b], members[:, b], members[:, a])
        found.append((there, back, (members[:, a] | members[:, b]).astype(np.float64)))

    def of(weights: FloatArray) -> FloatArray:
        if not found:
            return np.full(len(weights), np.nan)
        areas = [(there.area(weights) + back.area(weights)) / 2 for there, back, _ in found]
        return averaged(areas, np.array([weights @ rows for *_, rows in found]) if is_weighted else None)

    return of


@dataclass(frozen=True, repr=False)
class Gini(RocAuc):
    """The Gini coefficient of scores, 2·AUC - 1 (Somers' D of the score given the class): 1 perfect, 0 as by chance, -1
    inverted.

    Parameters, averages and undefined values as of RocAuc; ``2 * sklearn.metrics.roc_auc_score - 1``.
    """

    name: ClassVar[str] = "gini"
    summary: ClassVar[str] = "2·AUC - 1"
    bounds: ClassVar[tuple[float | None, float | None]] = (-1.0, 1.0)
    formula: ClassVar[str] = "2·AUC - 1"
    reference: ClassVar[str] = "2 * sklearn.metrics.roc_auc_score - 1"
    paper: ClassVar[str] = "Somers 1962, A new asymmetric measure of association for ordinal variables"

    def for_weights(self, stats: FloatArray) -> Values:
        area = super().for_weights(stats)
        return lambda weights: 2 * area(weights) - 1


# ── losses ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, repr=False)
class LogLoss(Metric):
    """The mean of -ln p(target) in nats (binary and categorical cross-entropy); lower is better, 0 at best; undefined for no
    rows.

    Equals ``sklearn.metrics.log_loss``: probabilities are clipped to [ε, 1 - ε] with ε = 2.2e-16, so that a row costs at most
    36.04, and are not normalised. A target that the answer gives no probability has 0. Rows with probabilities outside [0, 1]
    or a sum that is off by more than 0.01 are missing.
    """

    name: ClassVar[str] = "log_loss"
    family: ClassVar[str] = "classification"
    summary: ClassVar[str] = "mean negative log-probability of the target label"
    needs: ClassVar[frozenset[str]] = frozenset({"target", "probabilities"})
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    unit: ClassVar[str] = "nats"
    columns: ClassVar[tuple[str, ...]] = ("loss", "rows")
    formula: ClassVar[str] = "-mean ln p(target)"
    reference: ClassVar[str] = "sklearn.metrics.log_loss"
    paper: ClassVar[str] = "Good 1952, Rational decisions"

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: loss, 1."""
        return scores_of((self._row(s, o) for s, o in zip(samples, outputs, strict=True)), 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """Summed loss over rows."""
        return ratio(totals[..., 0], totals[..., 1])

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray]:
        """Probability 0 and probability 1, clipped."""
        return np.array([_loss(0.0), 1.0]), np.array([_loss(1.0), 1.0])

    def _row(self, sample: Sample, output: Output) -> Row:
        target, probabilities = true_label(sample), sound_probabilities(sample, output)
        if isinstance(probabilities, str) or target is None:
            return str(probabilities)
        return _loss(probabilities.get(target, 0.0)), 1.0


def _loss(probability: float) -> float:
    return -math.log(min(max(probability, EPSILON), 1 - EPSILON))


@dataclass(frozen=True, repr=False)
class Brier(Metric):
    """The mean squared difference between the probabilities and what happened; lower is better, 0 at best; undefined for no
    rows.

    The sum over the labels of (p - [label is the target])². Two labels would both give the same square, so that theirs is
    halved, as ``sklearn.metrics.brier_score_loss`` has it (``scale_by_half="auto"``): then it is (p - y)² of the positive
    label, at most 1; with more labels it is at most 2. ``half`` true or false overrides that. A label that the answer gives no
    probability has 0. Rows with probabilities outside [0, 1] or a sum that is off by more than 0.01 are missing.
    """

    name: ClassVar[str] = "brier"
    family: ClassVar[str] = "classification"
    summary: ClassVar[str] = "mean squared error of the probabilities"
    needs: ClassVar[frozenset[str]] = frozenset({"target", "probabilities"})
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, 2.0)
    columns: ClassVar[tuple[str, ...]] = ("squares", "rows")
    formula: ClassVar[str] = "mean Σ (p(label) - [label = target])², halved for two labels"
    reference: ClassVar[str] = "sklearn.metrics.brier_score_loss"
    paper: ClassVar[str] = "Brier 1950, Verification of forecasts expressed in terms of probability"

    half: bool | None = None
    n_labels: int = field(default=2, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bounds", (0.0, 2 * self._scale()))

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """A copy that knows how many labels there are."""
        return replace(self, n_labels=len(label_set(samples)))

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: sum of squares, scaled; 1."""
        return scores_of((self._row(s, o) for s, o in zip(samples, outputs, strict=True)), 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """Summed squares over rows."""
        return ratio(totals[..., 0], totals[..., 1])

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray]:
        """All on a wrong label, all on the target."""
        return np.array([2 * self._scale(), 1.0]), np.array([0.0, 1.0])

    def _scale(self) -> float:
        return 0.5 if self.half or (self.half is None and self.n_labels <= 2) else 1.0

    def _row(self, sample: Sample, output: Output) -> Row:
        target, probabilities = true_label(sample), sound_probabilities(sample, output)
        if isinstance(probabilities, str) or target is None:
            return str(probabilities)
        squares = math.fsum((p - (label == target)) ** 2 for label, p in probabilities.items())
        return (squares + (target not in probabilities)) * self._scale(), 1.0


def sound_probabilities(sample: Sample, output: Output) -> Mapping[str, float] | str:
    """The probabilities of an answer, or why they cannot be scored: each must be in [0, 1], their sum 1 ± 0.01."""
    if sample.target is None:
        return "the sample has no target"
    if not isinstance(output.answer, Label):
        return wrong_kind(output, "Label")
    probabilities = output.answer.probabilities
    if not probabilities:
        return "the answer has no probabilities"
    if not all(0 <= p <= 1 for p in probabilities.values()):
        return "a probability is not between 0 and 1"
    if abs(math.fsum(probabilities.values()) - 1) > SUM_TOLERANCE:
        return "the probabilities do not sum to 1"
    return probabilities


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def roc_auc(
    y_true: LabelList, y_score: Any, *, multi_class: MultiClass = "ovr", average: ScoreAverage = "macro",
    labels: LabelList | None = None, sample_weight: Weights = None,
) -> float:
    """The area under the ROC curve; see RocAuc, and ``scores.evaluate_scores`` for the arguments.

    >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    return evaluate_scores(RocAuc(multi_class, average), y_true, y_score, labels, sample_weight)


def gini(
    y_true: LabelList, y_score: Any, *, multi_class: MultiClass = "ovr", average: ScoreAverage = "macro",
    labels: LabelList | None = None, sample_weight: Weights = None,
) -> float:
    """2·AUC - 1; see Gini.

    >>> gini([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.5
    """
    return evaluate_scores(Gini(multi_class, average), y_true, y_score, labels, sample_weight)


def log_loss(
    y_true: LabelList, y_proba: Any, *, labels: LabelList | None = None, sample_weight: Weights = None
) -> float:
    """The mean of -ln p(target); see LogLoss. NaN for no rows. Arguments as of :func:`brier`.

    >>> round(log_loss(["spam", "ham", "ham", "spam"], [[.1, .9], [.9, .1], [.8, .2], [.35, .65]]), 5)
    0.21616
    """
    codes, table, weights = probability_table("log_loss", y_true, y_proba, labels, sample_weight)
    losses = [_loss(row[code]) for row, code in zip(table.tolist(), codes)]
    return float(ratio(weights @ np.array(losses), weights.sum(axis=1))[0])


def brier(
    y_true: LabelList, y_proba: Any, *, half: bool | None = None, labels: LabelList | None = None, sample_weight: Weights = None
) -> float:
    """The mean squared error of the probabilities; see Brier. NaN for no rows.

    ``y_proba`` holds the probabilities of the label that sorts last, ``(n,)``, or a column for each of the sorted labels,
    ``(n, K)``; ``labels`` is the label set, by default what occurs among the targets.

    >>> brier([0, 1, 1, 0], [0.25, 0.75, 1.0, 0.5])
    0.09375

    Raises MetricError for shapes that do not fit and for probabilities outside [0, 1] or that do not sum to 1 ± 0.01.
    """
    codes, table, weights = probability_table("brier", y_true, y_proba, labels, sample_weight)
    squares = ((table - np.eye(table.shape[1])[codes]) ** 2).sum(axis=1)
    scale = Brier(half, n_labels=table.shape[1])._scale()
    return float(ratio(weights @ squares, weights.sum(axis=1))[0]) * scale


def probability_table(
    name: str, y_true: LabelList, y_proba: Any, labels: LabelList | None, weight: Weights
) -> tuple[list[int], FloatArray, FloatArray]:
    """Codes of the targets, a column of probabilities a label, weights of the rows."""
    weights = checked_weights(name, y_true, y_proba, weight)
    known = known_labels(name, y_true, (), labels)
    table = score_table(name, y_proba, len(known), len(y_true))
    if not ((table >= 0) & (table <= 1)).all():
        raise MetricError(f"{name}: probabilities must be between 0 and 1")
    if len(known) > 1 and (np.abs(table.sum(axis=1) - 1) > SUM_TOLERANCE).any():
        raise MetricError(f"{name}: probabilities must sum to 1 in every row")
    code = {label: number for number, label in enumerate(known)}
    return [code[target] for target in y_true], table, weights
