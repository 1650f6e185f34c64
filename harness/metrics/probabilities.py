"""The area under the ROC curve, of two classes and of several, and what is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, Literal

import numpy as np

from harness.metrics.labels import LabelList, Weights
from harness.metrics.pairs import pair_sums
from harness.metrics.scores import SCORE_AVERAGES, BoolArray, ScoreAverage, ScoreMetric, Values, averaged, evaluate_scores
from harness.types import FloatArray

MultiClass = Literal["ovr", "ovo"]


@dataclass(frozen=True, repr=False)
class RocAuc(ScoreMetric):
    """The probability that a random positive scores higher than a random negative, ties counting half.

    0 to 1, higher is better, 0.5 by chance. Of two labels the positive one is ``positive``, by default the one that sorts last;
    with more labels ``positive`` picks one of them against the rest. Without it, more labels are averaged: ``ovr`` takes each
    class against the rest, ``ovo`` each pair of classes in both directions on the rows of these two (Hand and Till 2001);
    ``average=macro`` weighs them alike, ``weighted`` by the targets of the class (of both classes), ``micro`` (of ``ovr``
    only) takes all pairs of row and class as one set. Targets that are lists of labels (multi-label) are taken class by class,
    or with ``samples`` row by row: the mean over the rows of the area of a row's labels.

    Undefined unless there are rows of two classes. Classes without a row (rows with all labels or none) are left out of the
    averages; scikit-learn does so for ``ovo`` and for ``ovr, weighted``, and gives NaN for ``ovr, macro`` and ``samples``. A
    label that an answer gives no probability has 0. Equals ``sklearn.metrics.roc_auc_score``.
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
        self.require(self.average in SCORE_AVERAGES, "average", f"one of {', '.join(SCORE_AVERAGES)}")
        is_of_pairs = self.average in ("macro", "weighted")
        self.require(is_of_pairs or self.multi_class == "ovr", "average", "macro or weighted with multi_class=ovo")
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
