"""Metrics that are one ratio a class: precision, recall, F1 and their kin, averaged over the classes or over the rows.

The label set is that of the task: its targets, and its choices. Where all samples share their choices an answer outside it is
a miss for the true class and a hit for no class, as in scikit-learn with ``labels=``; where they do not, a predicted label that
no target has is a class of its own, as in scikit-learn without. An answer with no label is of no class. Where the targets are
lists of labels the task is multi-label, and the answers are ``Labels``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np

from harness.errors import MetricError
from harness.metrics.counts import (
    ClassCounts,
    class_counts,
    code_outside,
    label_counts,
    matrix_of,
    matrix_table,
    packed,
    packed_width,
    per_class,
    row_counts,
)
from harness.metrics.labels import (
    LabelList,
    Weights,
    checked_weights,
    is_several,
    known_labels,
    label_facts,
    positive_code,
    true_label,
    true_labels,
    unknown_target,
    with_positive,
)
from harness.metrics.rows import Row, ratio, scores_of, wrong_kind
from harness.protocols import Metric
from harness.types import FloatArray, Label, Labels, Output, Sample, Scores, Table

Average = Literal["binary", "micro", "macro", "weighted", "samples"]
AVERAGES: tuple[str, ...] = ("binary", "micro", "macro", "weighted", "samples")
LARGEST_MATRIX = 100
"""Label sets beyond this many get no confusion matrix among their tables."""


@dataclass(frozen=True, repr=False)
class LabelMetric(Metric):
    """A metric whose rows are the codes of target and prediction in the label set (-1: none of the labels; below -1: a label
    outside an open label set, ``counts.code_outside``).

    In a multi-label task a row is both lists of labels, packed 24 labels a column (``counts.packed``), where the metric takes
    them (``takes_several``); else prepare() says so. Open label sets then need all answers at once (scope ``corpus``): how
    many columns there are follows from their labels.
    """

    family: ClassVar[str] = "classification"
    needs: ClassVar[frozenset[str]] = frozenset({"target", "label"})
    columns: ClassVar[tuple[str, ...]] = ("target", "prediction")
    takes_several: ClassVar[bool] = False

    labels: tuple[str, ...] = field(default=(), repr=False, kw_only=True)
    is_multilabel: bool = field(default=False, repr=False, kw_only=True)
    is_open: bool = field(default=False, repr=False, kw_only=True)
    names: dict[float, str] = field(default_factory=dict, repr=False, compare=False, kw_only=True)
    """What the codes outside the label set are called, for tables: score() adds those that it meets."""

    def __post_init__(self) -> None:
        if self.is_multilabel:  # the width of the statistics follows from the label set
            object.__setattr__(self, "scope", "corpus" if self.is_open else type(self).scope)
            names = tuple(f"labels{column}" for column in range(packed_width(len(self.labels))))
            object.__setattr__(self, "columns", names)

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """A copy that knows the label set. Raises MetricError for lists of labels where the metric takes none."""
        facts = label_facts(samples)
        if facts.several and not self.takes_several:
            raise MetricError(f"{self.name}: targets must be single labels, got lists of labels")
        return dataclasses.replace(self, labels=facts.labels, is_multilabel=facts.several, is_open=facts.is_open, names={})

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: code of the target, code of the prediction. Raises MetricError for an unknown target."""
        if self.is_multilabel and self.is_open:
            whole = self._closed(samples, outputs)
            return dataclasses.replace(whole.score(samples, outputs), bound=whole)
        codes = {label: code for code, label in enumerate(self.labels)}
        row = self._several_row if self.is_multilabel else self._row
        return scores_of((row(s, o, codes) for s, o in zip(samples, outputs, strict=True)), len(self.columns))

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """Values under each row of weights, from weighted class counts; weights may be fractions."""
        return self.value(self.counts(stats, weights))

    def counts(self, stats: FloatArray, weights: FloatArray) -> ClassCounts:
        """Class counts under each row of weights."""
        return (label_counts if self.is_multilabel else class_counts)(stats, weights, len(self.labels))

    def value(self, counts: ClassCounts) -> FloatArray:
        """``float64[B]`` from class counts; NaN where undefined."""
        raise NotImplementedError(f"{type(self).__name__}.value")

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """``per_class`` (undefined values are None) and, of single labels up to 100, ``confusion`` (a row a true label)."""
        weights = np.ones((1, len(stats)))
        stats = self.with_few_others(stats)
        counts = self.counts(stats, weights)
        labels = self.classes(counts.others)
        tables = {"per_class": per_class(counts, labels)}
        if len(self.labels) <= LARGEST_MATRIX and not self.is_multilabel:
            tables["confusion"] = matrix_table(matrix_of(stats, weights[0], len(self.labels)), labels)
        return tables

    def classes(self, others: FloatArray) -> tuple[str, ...]:
        """The label set, and the labels of codes outside it."""
        return (*self.labels, *(self.names.get(code, f"label {-code:.0f}") for code in others.tolist()))

    def with_few_others(self, stats: FloatArray) -> FloatArray:
        """Rows for tables: more than 100 labels outside the label set are taken together as none of the labels."""
        if self.is_multilabel or len(np.unique(stats[stats[:, 1] < -1, 1])) <= LARGEST_MATRIX:
            return stats
        return np.maximum(stats, -1.0)

    def _closed(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> Self:
        """A copy whose label set has all that these answers name."""
        named = {label for sample, output in zip(samples, outputs, strict=True)
                 if sample.target is not None and isinstance(output.answer, Labels) for label in output.answer.labels}
        return dataclasses.replace(self, labels=(*self.labels, *sorted(named - set(self.labels))), is_open=False)

    def _row(self, sample: Sample, output: Output, codes: Mapping[str, int]) -> Row:
        target = true_label(sample)
        if target is None:
            return "the sample has no target"
        if target not in codes:
            raise unknown_target(self, target)
        if not isinstance(output.answer, Label):
            return wrong_kind(output, "Label")
        label = output.answer.label
        if label in codes or label is None or not self.is_open:
            return float(codes[target]), float(-1 if label is None else codes.get(label, -1))
        code = code_outside(label)
        self.names[code] = label
        return float(codes[target]), code

    def _several_row(self, sample: Sample, output: Output, codes: Mapping[str, int]) -> Row:
        targets = true_labels(sample)
        if targets is None:
            return "the sample has no target"
        if not targets <= codes.keys():
            raise unknown_target(self, min(targets - codes.keys()))
        if not isinstance(output.answer, Labels):
            return wrong_kind(output, "Labels")
        predicted = [codes[label] for label in output.answer.labels if label in codes]
        return packed([codes[target] for target in targets], predicted, len(codes))


@dataclass(frozen=True, repr=False)
class AveragedMetric(LabelMetric):
    """A ratio a class, averaged over the classes. The default is ``macro``: it needs no positive class, it does not hide
    small classes, and ``micro`` would only repeat accuracy.

    ``binary`` is the ratio of the positive class (``positive``; of two labels among the targets the one that sorts last),
    ``micro`` the ratio of the sums. Each is one ratio, and where its denominator is zero the metric is undefined; scikit-learn
    gives 0 there. ``macro`` is the mean over the classes that occur among targets or predictions (scikit-learn's own label
    set), ``weighted`` weighs each class with its targets, ``samples`` (multi-label only) is the mean over the rows of the
    ratio of a row's labels. Inside these three a class (row) with an undefined ratio counts 0, scikit-learn's
    ``zero_division=0``, or is left out where the metric says so. Range 0 to 1.
    """

    takes_several: ClassVar[bool] = True
    undefined_is_zero: ClassVar[bool] = True
    """Whether an undefined ratio counts 0 in an average, as in scikit-learn, or is left out."""

    average: Average = "macro"
    positive: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.average in AVERAGES, "average", f"one of {', '.join(AVERAGES)}")
        self.require(self.positive is None or self.average == "binary", "positive", "left out unless average=binary")

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """A copy that knows the label set. Raises MetricError if ``average=binary`` finds no positive class in it, and for
        ``average=samples`` of single labels."""
        prepared = super().prepare(samples)
        if prepared.average == "binary":  # what else is predicted does not touch the ratio of one class
            prepared = dataclasses.replace(prepared, labels=with_positive(prepared.labels, self.positive), is_open=False)
            if len(prepared.labels) != 1:
                positive_code(prepared, prepared.labels, prepared.positive)
        prepared.require(prepared.average != "samples" or prepared.is_multilabel or not prepared.labels, "average",
                         "binary, micro, macro or weighted where targets are single labels")  # fmt: skip
        return prepared

    def parts(self, counts: ClassCounts) -> tuple[FloatArray, FloatArray]:
        """Numerator and denominator a class, ``float64[B, K]`` each."""
        raise NotImplementedError(f"{type(self).__name__}.parts")

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """The average under each row of weights."""
        if self.average != "samples":
            return super().aggregate(stats, weights)
        of_rows, counted = self._ratios(row_counts(stats, len(self.labels)))
        return ratio(weights @ (of_rows * counted)[:, 0], weights @ counted[:, 0])

    def value(self, counts: ClassCounts) -> FloatArray:
        """The average of the classes' ratios."""
        over, under = self.parts(counts)
        if self.average == "binary":
            if len(self.labels) < 2 and self.positive is None:
                return np.full(len(over), np.nan)
            code = positive_code(self, self.labels, self.positive)
            return ratio(over[:, code], under[:, code])
        if self.average == "micro":
            return ratio(over.sum(axis=1), under.sum(axis=1))
        shares = counts.targets if self.average == "weighted" else (counts.targets + counts.predictions > 0).astype(np.float64)
        ratios, counted = self._ratios(counts)
        return ratio((ratios * shares).sum(axis=1), (shares * counted).sum(axis=1))

    def _ratios(self, counts: ClassCounts) -> tuple[FloatArray, FloatArray]:
        """The ratios, 0 where undefined, and 1 for those that count in an average."""
        over, under = self.parts(counts)
        counted = np.ones_like(under) if self.undefined_is_zero else (under > 0).astype(np.float64)
        return ratio(over, under, empty=0.0), counted


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def evaluate(
    metric: LabelMetric, y_true: LabelList, y_pred: LabelList, labels: LabelList | None, weight: Weights
) -> float:
    """The value of a metric over lists of labels, or of lists of labels (multi-label).

    ``labels`` is the label set (default: what occurs among targets and predictions, as in scikit-learn); a target outside it
    is an error, a prediction outside it a miss, and so is None, no label at all. NaN where undefined; MetricError for bad
    arguments.
    """
    prepared, stats, weights = coded(metric, y_true, y_pred, labels, weight)
    return float(prepared.aggregate(stats, weights)[0])


def coded(
    metric: LabelMetric, y_true: LabelList, y_pred: LabelList, labels: LabelList | None, weight: Weights
) -> tuple[LabelMetric, FloatArray, FloatArray]:
    """The metric with its label set, the rows ``float64[n, d]`` of the lists, weights ``float64[1, n]``."""
    weights = checked_weights(metric.name, y_true, y_pred, weight)
    kinds = {is_several(row) for rows in (y_true, y_pred) for row in rows}
    several = True in kinds
    if several and not metric.takes_several:
        raise MetricError(f"{metric.name}: targets must be single labels, got lists of labels")
    if several and len(kinds) > 1:
        raise MetricError(f"{metric.name}: targets and predictions must all be lists of labels, or none of them")
    known = known_labels(metric.name, y_true, y_pred, labels)
    prepared = dataclasses.replace(metric, labels=tuple(map(str, known)), is_multilabel=several)
    return prepared, _codes(y_true, y_pred, {label: code for code, label in enumerate(known)}, several), weights


def _codes(y_true: LabelList, y_pred: LabelList, codes: Mapping[Any, int], several: bool) -> FloatArray:
    if several:
        rows = [packed([codes[t] for t in ts], [codes[p] for p in ps if p in codes], len(codes))
                for ts, ps in zip(y_true, y_pred)]  # fmt: skip
        return np.array(rows, dtype=np.float64).reshape(len(y_true), packed_width(len(codes)))
    pairs = np.empty((len(y_true), 2))
    pairs[:, 0] = [codes[target] for target in y_true]
    pairs[:, 1] = [codes.get(prediction, -1) for prediction in y_pred]
    return pairs
