"""Base of the metrics of scores: rows that hold the target and the score of the positive label, or a score a label.

Scores only have to be finite; probabilities are one kind of them. The metrics of this file's classes sort rows by score.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.errors import MetricError
from harness.metrics.counts import packed, packed_width, unpacked
from harness.metrics.labels import (
    LabelList,
    Weights,
    checked_weights,
    is_several,
    known_labels,
    label_facts,
    number_array,
    positive_code,
    true_labels,
    unknown_target,
    with_positive,
)
from harness.metrics.rows import Row, ratio, scores_of, wrong_kind
from harness.protocols import Metric
from harness.types import FloatArray, Label, Labels, Output, Sample, Scores

BoolArray: TypeAlias = NDArray[np.bool_]
Values: TypeAlias = Callable[[FloatArray], FloatArray]
"""``weights float64[B, n] -> values float64[B]``."""
ScoreAverage = Literal["macro", "micro", "weighted", "samples"]
SCORE_AVERAGES: tuple[str, ...] = ("macro", "micro", "weighted", "samples")

BLOCK = 2**20
"""Weights that are worked on at a time."""


@dataclass(frozen=True, repr=False)
class ScoreMetric(Metric):
    """A metric of the scores of labels. A subclass gives :meth:`binary`, the value of one class against the rest.

    Of two labels the positive one counts, by default the one that sorts last; of more labels the one that is picked, or all of
    them, one against the rest, averaged (``average``: ``macro`` all classes alike, ``weighted`` by their targets, ``micro``
    all pairs of row and class as one big set, ``samples``, multi-label only, the mean over the rows of the value of a row's
    labels). Classes (rows) where the value is undefined are left out of averages. The labels are those of the targets and of
    choices that all samples share: a score of another label is not looked at, as no row is of that class.
    """

    family: ClassVar[str] = "classification"
    needs: ClassVar[frozenset[str]] = frozenset({"target", "probabilities"})
    columns: ClassVar[tuple[str, ...]] = ("target",)

    labels: tuple[str, ...] = field(default=(), repr=False, kw_only=True)
    is_multilabel: bool = field(default=False, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        # The width of the statistics follows from the label set, so these columns belong to the object and not to its class.
        of_target = [f"targets{n}" for n in range(packed_width(len(self.labels)))] if self.is_multilabel else ["target"]
        scores = (f"score[{self.labels[code]}]" for code in self.scored())
        object.__setattr__(self, "columns", (*of_target, *scores))

    def picked(self) -> str | None:
        """The positive label that the user named."""
        return None

    def averaged_by(self) -> ScoreAverage:
        """How several classes are averaged."""
        return "macro"

    def binary(self, scores: FloatArray, is_positive: BoolArray) -> Values:
        """The value of one class against the rest, as a function of the weights; NaN where undefined."""
        raise NotImplementedError(f"{type(self).__name__}.binary")

    def scored(self) -> tuple[int, ...]:
        """The codes of the labels whose scores count: the positive one, or all where several are averaged."""
        if self.picked() is None and (len(self.labels) != 2 or self.is_multilabel):
            return tuple(range(len(self.labels))) if len(self.labels) > 2 or self.is_multilabel else ()
        return (positive_code(self, self.labels, self.picked()),) if self.labels else ()

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """A copy that knows the label set. Raises MetricError if the positive label is not in it, and for ``average=samples``
        of single labels."""
        facts = label_facts(samples)
        return self.of_labels(with_positive(facts.labels, self.picked()), facts.several)

    def of_labels(self, labels: tuple[str, ...], several: bool) -> Self:
        """A copy with this label set."""
        if labels and not several and self.averaged_by() == "samples":
            self.require(False, "average", "macro, micro or weighted where targets are single labels")
        return dataclasses.replace(self, labels=labels, is_multilabel=several)

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: code of the target (several: packed), then the score of the positive label or one a label."""
        codes = {label: code for code, label in enumerate(self.labels)}
        scored = [self.labels[code] for code in self.scored()]
        rows = (self._row(s, o, codes, scored) for s, o in zip(samples, outputs, strict=True))
        return scores_of(rows, len(self.columns))

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """Values under each row of weights."""
        return self.for_weights(stats)(weights)

    def for_weights(self, stats: FloatArray) -> Values:
        """:meth:`aggregate` with everything done that does not depend on the weights (sorting, above all)."""
        scored, members, scores = self.scored(), self.members(stats), self.scores_in(stats)
        if len(scored) < 2 and not self.is_multilabel:
            return self.binary(scores[:, 0], members[:, 0]) if scored else _undefined
        if self.averaged_by() == "micro":
            flat = self.binary(scores.ravel(), members.ravel())
            return lambda weights: flat(np.repeat(weights, len(scored), axis=1))
        if self.averaged_by() == "samples":
            return self._of_rows(scores, members)
        each = [self.binary(column, is_class) for column, is_class in zip(scores.T, members.T)]
        shares = members.astype(np.float64) if self.averaged_by() == "weighted" else None
        return lambda weights: averaged([of(weights) for of in each], None if shares is None else (weights @ shares).T)

    def _of_rows(self, scores: FloatArray, members: BoolArray) -> Values:
        ones = np.ones((1, scores.shape[1]))
        values = np.array([self.binary(row, is_of)(ones)[0] for row, is_of in zip(scores, members)])
        there = (~np.isnan(values)).astype(np.float64)
        return lambda weights: ratio(weights @ np.nan_to_num(values), weights @ there)

    def why_undefined(self, stats: FloatArray) -> str | None:
        """That there are targets of one class only."""
        if self.is_multilabel or len(found := np.unique(stats[:, 0])) > 1:
            return None
        return "; ".join(f"all targets are of one class, {self.labels[int(code)]!r}" for code in found) or None

    def members(self, stats: FloatArray) -> BoolArray:
        """``bool[n, scored]``: whether a row is of a class."""
        codes = np.array(self.scored(), dtype=np.intp)
        if not self.is_multilabel:
            return np.asarray(stats[:, :1] == codes[None, :])
        whole = [bits & 1 for _, bits in unpacked(stats, len(self.labels))]
        return np.concatenate(whole, axis=1)[:, codes] > 0

    def scores_in(self, stats: FloatArray) -> FloatArray:
        """``float64[n, scored]``."""
        return stats[:, packed_width(len(self.labels)) if self.is_multilabel else 1 :]

    def _row(self, sample: Sample, output: Output, codes: Mapping[str, int], scored: Sequence[str]) -> Row:
        targets = true_labels(sample)
        if targets is None:
            return "the sample has no target"
        if not targets <= codes.keys():
            raise unknown_target(self, min(targets - codes.keys()))
        kind = Labels if self.is_multilabel else Label
        if not isinstance(output.answer, kind):
            return wrong_kind(output, kind.__name__)
        probabilities = output.answer.probabilities
        if not probabilities:
            return "the answer has no probabilities"
        if codes.keys().isdisjoint(probabilities):
            return "the probabilities name none of the labels"
        scores = [probabilities.get(label, 0.0) for label in scored]
        if not all(map(math.isfinite, scores)):
            return "a score is not finite"
        found = [codes[target] for target in targets]
        return (*(packed(found, (), len(codes)) if self.is_multilabel else map(float, found)), *scores)


@dataclass(frozen=True, repr=False)
class BinaryScoreMetric(ScoreMetric):
    """A metric of the scores of one class. ``positive`` names it; of two labels it is the one that sorts last by default."""

    positive: str | None = field(default=None, kw_only=True)

    def picked(self) -> str | None:
        return self.positive

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """A copy that knows the label set. Raises MetricError where it is not clear which class is meant."""
        prepared = super().prepare(samples)
        if len(prepared.labels) > 2:
            positive_code(prepared, prepared.labels, prepared.positive)
        return prepared

    def split(self, stats: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Scores and whether a row is positive; nothing where the label set has one label and none was named."""
        if not self.scored():
            return np.zeros(0), np.zeros(0, dtype=np.bool_)
        return self.scores_in(stats)[:, 0], self.members(stats)[:, 0]


def averaged(values: Sequence[FloatArray], shares: FloatArray | None) -> FloatArray:
    """The mean over the classes, ``float64[B]`` each, that are defined, weighed by ``shares`` ``float64[K, B]`` (None:
    alike)."""
    table = np.array(values)
    there = ~np.isnan(table)
    weights = there.astype(np.float64) if shares is None else np.where(there, shares, 0.0)
    return ratio((np.where(there, table, 0.0) * weights).sum(axis=0), weights.sum(axis=0))


def _undefined(weights: FloatArray) -> FloatArray:
    return np.full(len(weights), np.nan)


# ── running sums by score ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Sweep:
    """Rows by descending score; ``ends`` are the places of the last rows of each score, ``thresholds`` these scores."""

    order: NDArray[np.intp]
    ends: NDArray[np.intp]
    thresholds: FloatArray
    is_positive: FloatArray

    @classmethod
    def of(cls, scores: FloatArray, is_positive: BoolArray) -> Sweep:
        """Sorts once."""
        order = np.argsort(-scores, kind="stable")
        ordered = scores[order]
        ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) if len(order) else np.zeros(0, dtype=np.intp)
        return cls(order, ends, ordered[ends], is_positive[order].astype(np.float64))

    def counts(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weights of the positives and of the negatives that score at least each threshold, ``float64[B, T]`` each."""
        ordered = np.take(weights, self.order, axis=1)
        ups = ordered * self.is_positive
        positives = np.cumsum(ups, axis=1)[:, self.ends]
        return positives, np.cumsum(ordered - ups, axis=1)[:, self.ends]

    def values(self, function: Callable[[FloatArray, FloatArray], FloatArray], *, needs_negatives: bool = True) -> Values:
        """A function of these counts as a function of the weights, worked out a block of weights at a time; NaN unless there
        are positives (and negatives, where it needs them)."""
        step = max(1, BLOCK // max(1, len(self.order)))

        def of(weights: FloatArray) -> FloatArray:
            values = np.full(len(weights), np.nan)
            for start in range(0, len(weights) if len(self.ends) else 0, step):
                block = slice(start, start + step)
                positives, negatives = self.counts(weights[block])
                there = (positives[:, -1] > 0) & ((negatives[:, -1] > 0) | (not needs_negatives))
                values[block][there] = function(positives[there], negatives[there])
            return values

        return of


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def evaluate_scores(
    metric: ScoreMetric, y_true: LabelList, y_score: Any, labels: LabelList | None, weight: Weights
) -> float:
    """The value of a metric over targets and scores.

    ``y_score`` holds the scores of the label that sorts last, ``(n,)``, or a column for each of the sorted labels, ``(n, K)``;
    ``labels`` is the label set, by default what occurs among the targets. Targets may be lists of labels. NaN where undefined.
    Raises MetricError for shapes that do not fit and scores that are not finite.
    """
    prepared, stats, weights = coded_scores(metric, y_true, y_score, labels, weight)
    return float(prepared.aggregate(stats, weights)[0])


def coded_scores(
    metric: ScoreMetric, y_true: LabelList, y_score: Any, labels: LabelList | None, weight: Weights
) -> tuple[ScoreMetric, FloatArray, FloatArray]:
    """The metric with its label set, the rows ``float64[n, d]``, the weights ``float64[1, n]``."""
    weights = checked_weights(metric.name, y_true, y_score, weight)
    known = known_labels(metric.name, y_true, (), labels)
    several = any(map(is_several, y_true))
    scores = score_table(metric.name, y_score, len(known), len(y_true))
    prepared = metric.of_labels(tuple(map(str, known)), several)
    code = {label: number for number, label in enumerate(known)}
    if several:
        targets = np.array([packed([code[one] for one in row], (), len(known)) for row in y_true])
    else:
        targets = np.array([code[target] for target in y_true], dtype=np.float64).reshape(-1, 1)
    return prepared, np.column_stack([targets, scores[:, list(prepared.scored())]]), weights


def score_table(name: str, y_score: Any, n_labels: int, n: int) -> FloatArray:
    """``float64[n, K]``. Raises MetricError for a shape that does not fit and for scores that are not finite."""
    scores = number_array(name, "scores", y_score)
    if not np.isfinite(scores).all():
        raise MetricError(f"{name}: scores must be finite")
    if scores.ndim == 1 and n_labels <= 2:
        scores = np.column_stack([1 - scores, scores])[:, 2 - n_labels :]
    if n and scores.shape[1:] != (n_labels,):
        raise MetricError(f"{name}: scores must have a column for each of the {n_labels} labels, got shape {scores.shape}")
    return scores.reshape(n, n_labels)
