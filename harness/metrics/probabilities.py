"""Metrics of predicted probabilities: area under the ROC curve, logarithmic loss."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from harness.errors import MetricError
from harness.metrics.classification import checked_weights, label_set, true_label
from harness.metrics.confusion import Labels, positive_code
from harness.metrics.rows import Row, ratio, scores_of, wrong_kind
from harness.protocols import Metric
from harness.types import FloatArray, Label, Output, Sample, Scores

EPSILON = float(np.finfo(np.float64).eps)
"""Probabilities are clipped to [EPSILON, 1 - EPSILON] before their logarithm, as scikit-learn clips those in float64."""

BLOCK = 2**17
"""Weights that are worked on at a time: what stays in the processor's cache."""

MultiClass = Literal["ovr", "ovo"]
RocAverage = Literal["macro", "weighted"]


@dataclass(frozen=True, repr=False)
class RocAuc(Metric):
    """The probability that a random positive scores higher than a random negative, ties counting half.

    0 to 1, higher is better, 0.5 by chance. Of two labels the positive one is ``positive``, by default the one that sorts last;
    with more labels ``positive`` picks one of them against the rest. Without it, more labels are averaged: ``ovr`` takes each
    class against the rest, ``ovo`` each pair of classes in both directions on the rows of these two (Hand and Till 2001);
    ``average=macro`` weighs them alike, ``weighted`` by the targets of the class (of both classes).

    Undefined unless there are rows of two classes. Classes without a row are left out of the averages; scikit-learn does so for
    ``ovo`` and for ``ovr, weighted``, and gives NaN for ``ovr, macro``. A label that an answer gives no probability has 0.
    Equals ``sklearn.metrics.roc_auc_score``.
    """

    name: ClassVar[str] = "roc_auc"
    family: ClassVar[str] = "classification"
    summary: ClassVar[str] = "area under the ROC curve"
    needs: ClassVar[frozenset[str]] = frozenset({"target", "probabilities"})
    columns: ClassVar[tuple[str, ...]] = ("target",)

    multi_class: MultiClass = "ovr"
    average: RocAverage = "macro"
    positive: str | None = None
    labels: tuple[str, ...] = field(default=(), repr=False, kw_only=True)

    def __post_init__(self) -> None:
        self.require(self.multi_class in ("ovr", "ovo"), "multi_class", "one of ovr, ovo")
        self.require(self.average in ("macro", "weighted"), "average", "one of macro, weighted")
        # The width of the statistics follows from the label set, so these columns belong to the object and not to its class.
        object.__setattr__(self, "columns", ("target", *(f"score[{self.labels[code]}]" for code in self._scored())))

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """A copy that knows the label set. Raises MetricError if ``positive`` is not in it."""
        return dataclasses.replace(self, labels=label_set(samples))

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: code of the target, then the score of the positive label or one score a label."""
        codes = {label: float(code) for code, label in enumerate(self.labels)}
        scored = [self.labels[code] for code in self._scored()]
        rows = (self._row(s, o, codes, scored) for s, o in zip(samples, outputs, strict=True))
        return scores_of(rows, len(self.columns))

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """Areas under each row of weights; sorts once, then O(B·n) for each class (``ovo``: for each class and partner)."""
        target, scores = stats[:, 0].astype(np.intp), stats[:, 1:]
        scored = self._scored()
        if len(scored) < 2:
            is_positive = target == (scored[0] if scored else -1)
            return _area(scores[:, :1].ravel(), is_positive, ~is_positive, weights) if scored else np.full(len(weights), np.nan)
        areas, shares = _one_vs_rest(target, scores, weights) if self.multi_class == "ovr" else _pairs(target, scores, weights)
        shares = np.where(np.isnan(areas), 0.0, shares if self.average == "weighted" else 1.0)
        return ratio((np.where(np.isnan(areas), 0.0, areas) * shares).sum(axis=0), shares.sum(axis=0))

    def _scored(self) -> tuple[int, ...]:
        """The codes of the labels whose scores count: the positive one, or all where several are averaged."""
        if self.positive is None and len(self.labels) != 2:
            return tuple(range(len(self.labels))) if len(self.labels) > 2 else ()
        return (positive_code(self, self.labels, self.positive),) if self.labels else ()

    def _row(self, sample: Sample, output: Output, codes: Mapping[str, float], scored: Sequence[str]) -> Row:
        target = true_label(sample)
        if target is None:
            return "the sample has no target"
        if target not in codes:
            raise MetricError(f"{self.name}: the label set must hold every target, got {target!r}: call prepare(samples) first")
        if not isinstance(output.answer, Label):
            return wrong_kind(output, "Label")
        probabilities = output.answer.probabilities
        if not probabilities:
            return "the answer has no probabilities"
        if codes.keys().isdisjoint(probabilities):
            return "the probabilities name none of the labels"
        return codes[target], *(probabilities.get(label, 0.0) for label in scored)


def _one_vs_rest(target: NDArray[np.intp], scores: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Areas and shares of each class, ``float64[K, B]`` each."""
    areas, shares = [], []
    for code, column in enumerate(scores.T):
        is_class = target == code
        areas.append(_area(column, is_class, ~is_class, weights))
        shares.append(weights[:, is_class].sum(axis=1))
    return np.array(areas), np.array(shares)


def _pairs(target: NDArray[np.intp], scores: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Areas and shares of each pair of classes that have rows, ``float64[pairs, B]`` each."""
    members = {code: target == code for code in np.unique(target).tolist()}
    totals = {code: weights[:, rows].sum(axis=1) for code, rows in members.items()}
    areas, shares = [np.full(len(weights), np.nan)], [np.zeros(len(weights))]
    for a, b in combinations(members, 2):
        there = _area(scores[:, a], members[a], members[b], weights)
        back = _area(scores[:, b], members[b], members[a], weights)
        areas.append((there + back) / 2)
        shares.append(totals[a] + totals[b])
    return np.array(areas), np.array(shares)


def _area(scores: FloatArray, positive: NDArray[np.bool_], negative: NDArray[np.bool_], weights: FloatArray) -> FloatArray:
    """``float64[B]``: weight of the negatives below each positive and half of those beside it; NaN where either is absent."""
    down, up = _by_score(scores, negative), _by_score(scores, positive)
    first = np.searchsorted(scores[down], scores[up], side="left")
    last = np.searchsorted(scores[down], scores[up], side="right")
    areas = np.full(len(weights), np.nan)
    step = max(1, BLOCK // max(1, len(scores)))
    for start in range(0, len(weights), step):
        block = weights[start:start + step]
        of_positives = np.take(block, up, axis=1)
        below = np.zeros((len(block), len(down) + 1))
        np.cumsum(np.take(block, down, axis=1), axis=1, out=below[:, 1:])
        won = np.einsum("bi,bi->b", of_positives, np.take(below, first, axis=1) + np.take(below, last, axis=1)) / 2
        areas[start:start + step] = ratio(won, of_positives.sum(axis=1) * below[:, -1])
    np.minimum(areas, 1.0, out=areas)
    return areas


def _by_score(scores: FloatArray, members: NDArray[np.bool_]) -> NDArray[np.intp]:
    rows = np.flatnonzero(members)
    order: NDArray[np.intp] = rows[np.argsort(scores[rows], kind="stable")]
    return order


@dataclass(frozen=True, repr=False)
class LogLoss(Metric):
    """The mean of -ln p(target) in nats; lower is better, 0 at best; undefined for no rows.

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
        target = true_label(sample)
        if target is None:
            return "the sample has no target"
        if not isinstance(output.answer, Label):
            return wrong_kind(output, "Label")
        probabilities = output.answer.probabilities
        if not probabilities:
            return "the answer has no probabilities"
        if not all(0 <= p <= 1 for p in probabilities.values()):
            return "a probability is not between 0 and 1"
        if abs(math.fsum(probabilities.values()) - 1) > 0.01:
            return "the probabilities do not sum to 1"
        return _loss(probabilities.get(target, 0.0)), 1.0


def _loss(probability: float) -> float:
    return -math.log(min(max(probability, EPSILON), 1 - EPSILON))


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def roc_auc(
    y_true: Labels, y_score: Any, *, multi_class: MultiClass = "ovr", average: RocAverage = "macro",
    labels: Labels | None = None, sample_weight: Sequence[float] | None = None,
) -> float:
    """The area under the ROC curve; see RocAuc. NaN where it is undefined.

    ``y_score`` holds the scores of the label that sorts last, ``(n,)``, or a column for each of the sorted labels, ``(n, K)``;
    ``labels`` is the label set, by default what occurs among the targets.

    >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75

    Raises MetricError for shapes that do not fit.
    """
    weights = checked_weights("roc_auc", y_true, y_score, sample_weight)
    if len(set(y_true if labels is None else labels)) < 2:
        return math.nan
    known, codes, scores = _table("roc_auc", y_true, y_score, labels)
    metric = RocAuc(multi_class, average, labels=tuple(map(str, known)))
    kept = scores[:, list(metric._scored())]
    return float(metric.aggregate(np.column_stack([codes, kept]), weights)[0])


def log_loss(
    y_true: Labels, y_proba: Any, *, labels: Labels | None = None, sample_weight: Sequence[float] | None = None,
) -> float:
    """The mean of -ln p(target); see LogLoss. NaN for no rows.

    ``y_proba`` and ``labels`` are shaped as in :func:`roc_auc`.

    >>> round(log_loss(["spam", "ham", "ham", "spam"], [[.1, .9], [.9, .1], [.8, .2], [.35, .65]]), 5)
    0.21616

    Raises MetricError for shapes that do not fit and for probabilities outside [0, 1].
    """
    weights = checked_weights("log_loss", y_true, y_proba, sample_weight)
    _, codes, scores = _table("log_loss", y_true, y_proba, labels)
    if not ((scores >= 0) & (scores <= 1)).all():
        raise MetricError("log_loss: probabilities must be between 0 and 1")
    stats = np.array([[_loss(row[code]), 1.0] for row, code in zip(scores.tolist(), codes)]).reshape(len(codes), 2)
    return float(LogLoss().aggregate(stats, weights)[0])


def _table(name: str, y_true: Labels, y_score: Any, labels: Labels | None) -> tuple[list[Any], list[int], FloatArray]:
    """Sorted labels, codes of the targets, one column of scores a label."""
    known = sorted(set(y_true if labels is None else labels))
    codes = {label: code for code, label in enumerate(known)}
    unknown = next((target for target in y_true if target not in codes), None)
    if unknown is not None:
        raise MetricError(f"{name}: labels must hold every target, got {unknown!r}")
    scores = np.asarray(y_score, dtype=np.float64)
    if scores.ndim == 1 and len(known) == 2:
        scores = np.column_stack([1 - scores, scores])
    if len(scores) and scores.shape[1:] != (len(known),):
        raise MetricError(f"{name}: scores must have a column for each of the {len(known)} labels, got shape {scores.shape}")
    return known, [codes[target] for target in y_true], scores.reshape(len(scores), len(known))
