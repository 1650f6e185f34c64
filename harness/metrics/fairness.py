"""Group fairness of a yes/no decision: selection, true-positive and false-positive rates that differ between groups."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np

from harness.errors import MetricError
from harness.metrics.groups import checked_groups, group_of, no_group, spread, too_few_groups
from harness.metrics.labels import checked_weights, label_set, positive_code, true_label
from harness.metrics.rows import Row, ratio, scores_of, wrong_kind
from harness.protocols import Metric
from harness.types import FloatArray, Label, Output, Sample, Scores, Table

Measure = Literal["difference", "ratio"]
Rates = tuple[FloatArray, FloatArray, FloatArray]
"""Selection, true-positive and false-positive rate of each group, ``float64[G, B]``; NaN where a group has none."""


@dataclass(frozen=True, repr=False)
class RateGap(Metric):
    """Base of the gaps between groups in a rate of the positive label.

    Parameters
    ----------
    by : the slice (or field of the input) that tells the groups apart; may be left out where samples have one slice.
    positive : the favourable label; of two labels the one that sorts last.
    measure : ``difference``: highest minus lowest rate (0 is fair); ``ratio``: lowest over highest (1 is fair).

    Rows: code of the group, target is positive, prediction is positive. A group without rows that the rate is about (no
    positive targets for a true-positive rate) has no rate and is left out: fairlearn gives it 0. Fewer than two groups with a
    rate: undefined. The ratio of rates that are all 0 is undefined too.
    """

    family: ClassVar[str] = "fairness"
    needs: ClassVar[frozenset[str]] = frozenset({"label", "target", "slices"})
    higher_is_better: ClassVar[bool | None] = False
    columns: ClassVar[tuple[str, ...]] = ("group", "target", "prediction")

    by: str = ""
    positive: str | None = None
    measure: Measure = "difference"
    groups: tuple[str, ...] = field(default=(), repr=False, compare=False, kw_only=True)
    favourable: str = field(default="", repr=False, compare=False, kw_only=True)

    def __post_init__(self) -> None:
        self.require(self.measure in ("difference", "ratio"), "measure", "one of difference, ratio")
        object.__setattr__(self, "higher_is_better", self.measure == "ratio")

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """A copy that knows the groups and the favourable label. Raises MetricError where that is not clear."""
        labels = label_set(samples)
        favourable = labels[positive_code(self, labels, self.positive)] if labels or self.positive is not None else ""
        return dataclasses.replace(self, groups=checked_groups(self.name, samples, self.by), favourable=favourable)

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample."""
        codes = {group: code for code, group in enumerate(self.groups)}
        return scores_of((self._row(s, o, codes) for s, o in zip(samples, outputs, strict=True)), 3)

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        return self.gap(self.rates(stats, weights))

    def why_undefined(self, stats: FloatArray) -> str | None:
        there = [group for code, group in enumerate(self.groups) if (stats[:, 0] == code).any()]
        few = too_few_groups(there, self.by, "rows")
        return few or "fewer than two groups have the rate that is compared, or all rates are 0"

    def gap(self, rates: Rates) -> FloatArray:
        """The gap in the rate that this metric is about, ``float64[B]``."""
        raise NotImplementedError(f"{type(self).__name__}.gap")

    def rates(self, stats: FloatArray, weights: FloatArray) -> Rates:
        """The three rates of each group under each row of weights."""
        is_in = (stats[:, 0][None, :] == np.arange(len(self.groups))[:, None]).astype(np.float64)
        target, prediction = stats[:, 1], stats[:, 2]

        def total(which: FloatArray) -> FloatArray:
            sums: FloatArray = (is_in * which) @ weights.T
            return sums

        selected = ratio(total(prediction), total(np.ones(len(stats))))
        found = ratio(total(prediction * target), total(target))
        raised = ratio(total(prediction * (1 - target)), total(1 - target))
        return selected, found, raised

    def spread(self, values: FloatArray) -> FloatArray:
        """The difference or the ratio of ``float64[G, B]``."""
        if self.measure == "difference":
            return spread(values)
        defined = ~np.isnan(values)
        high = np.where(defined, values, -np.inf).max(axis=0, initial=-np.inf)
        low = np.where(defined, values, np.inf).min(axis=0, initial=np.inf)
        return np.where(defined.sum(axis=0) > 1, ratio(low, high), np.nan)

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """``groups``: the three rates of each group and its number of rows."""
        rates = [values[:, 0].tolist() for values in self.rates(stats, np.ones((1, len(stats))))]
        counts = [int((stats[:, 0] == code).sum()) for code in range(len(self.groups))]
        rows = [(group, *(None if np.isnan(rate) else rate for rate in found), n)
                for group, found, n in zip(self.groups, zip(*rates), counts)]
        return {"groups": Table(("group", "selection_rate", "true_positive_rate", "false_positive_rate", "rows"), tuple(rows))}

    def _row(self, sample: Sample, output: Output, codes: dict[str, int]) -> Row:
        target, group = true_label(sample), group_of(sample, self.by)
        if target is None:
            return "the sample has no target"
        if group is None:
            return no_group(self.by)
        if group not in codes:
            raise MetricError(f"{self.name}: group {group!r} is not among the task's: call prepare(samples) first")
        if not isinstance(output.answer, Label):
            return wrong_kind(output, "Label")
        return float(codes[group]), float(target == self.favourable), float(output.answer.label == self.favourable)


@dataclass(frozen=True, repr=False)
class DemographicParity(RateGap):
    """Do groups get the favourable label equally often? The gap in selection rates; see RateGap."""

    name: ClassVar[str] = "demographic_parity"
    summary: ClassVar[str] = "gap between groups in how often the favourable label is given"
    formula: ClassVar[str] = "max_g P(ŷ = 1 | g) − min_g P(ŷ = 1 | g)"
    reference: ClassVar[str] = "fairlearn 0.15 demographic_parity_difference, demographic_parity_ratio"
    paper: ClassVar[str] = "Dwork et al. 2012, Fairness Through Awareness"

    def gap(self, rates: Rates) -> FloatArray:
        return self.spread(rates[0])


@dataclass(frozen=True, repr=False)
class EqualOpportunity(RateGap):
    """Do those who deserve the favourable label get it equally often? The gap in true-positive rates; see RateGap."""

    name: ClassVar[str] = "equal_opportunity"
    summary: ClassVar[str] = "gap between groups in the true-positive rate"
    formula: ClassVar[str] = "max_g P(ŷ = 1 | y = 1, g) − min_g P(ŷ = 1 | y = 1, g)"
    reference: ClassVar[str] = "fairlearn 0.15 equal_opportunity_difference, equal_opportunity_ratio"
    paper: ClassVar[str] = "Hardt, Price and Srebro 2016, Equality of Opportunity in Supervised Learning"

    def gap(self, rates: Rates) -> FloatArray:
        return self.spread(rates[1])


@dataclass(frozen=True, repr=False)
class PredictiveEquality(RateGap):
    """Do those who do not deserve the favourable label get it equally often? The gap in false-positive rates; see RateGap."""

    name: ClassVar[str] = "predictive_equality"
    summary: ClassVar[str] = "gap between groups in the false-positive rate"
    formula: ClassVar[str] = "max_g P(ŷ = 1 | y = 0, g) − min_g P(ŷ = 1 | y = 0, g)"
    reference: ClassVar[str] = "fairlearn 0.15 MetricFrame(metrics=false_positive_rate).difference()"
    paper: ClassVar[str] = "Corbett-Davies et al. 2017, Algorithmic Decision Making and the Cost of Fairness"

    def gap(self, rates: Rates) -> FloatArray:
        return self.spread(rates[2])


@dataclass(frozen=True, repr=False)
class EqualizedOdds(RateGap):
    """Do errors of both kinds fall on the groups alike? The worse of the gaps in true- and false-positive rates; see RateGap.

    Undefined where either of them is.
    """

    name: ClassVar[str] = "equalized_odds"
    summary: ClassVar[str] = "the larger of the gaps in true-positive and false-positive rates"
    formula: ClassVar[str] = "max(equal_opportunity, predictive_equality); min with measure=ratio"
    reference: ClassVar[str] = "fairlearn 0.15 equalized_odds_difference, equalized_odds_ratio (agg=worst_case)"
    paper: ClassVar[str] = "Hardt, Price and Srebro 2016, Equality of Opportunity in Supervised Learning"

    def gap(self, rates: Rates) -> FloatArray:
        both = np.stack([self.spread(rates[1]), self.spread(rates[2])])
        worse: FloatArray = both.max(axis=0) if self.measure == "difference" else both.min(axis=0)
        return worse


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def demographic_parity(y_true: Sequence[Any], y_pred: Sequence[Any], groups: Sequence[Any], *, positive: Any = None,
                       measure: Measure = "difference", sample_weight: Sequence[float] | None = None) -> float:
    """The gap in selection rates; see DemographicParity. NaN where it is undefined.

    >>> demographic_parity([0, 1, 0, 1], [1, 1, 0, 1], ["a", "a", "b", "b"])
    0.5
    """
    return _evaluate(DemographicParity, y_true, y_pred, groups, positive, measure, sample_weight)


def equal_opportunity(y_true: Sequence[Any], y_pred: Sequence[Any], groups: Sequence[Any], *, positive: Any = None,
                      measure: Measure = "difference", sample_weight: Sequence[float] | None = None) -> float:
    """The gap in true-positive rates; see EqualOpportunity. NaN where it is undefined.

    >>> equal_opportunity([1, 1, 1, 1], [1, 0, 1, 1], ["a", "a", "b", "b"])
    0.5
    """
    return _evaluate(EqualOpportunity, y_true, y_pred, groups, positive, measure, sample_weight)


def predictive_equality(y_true: Sequence[Any], y_pred: Sequence[Any], groups: Sequence[Any], *, positive: Any = None,
                        measure: Measure = "difference", sample_weight: Sequence[float] | None = None) -> float:
    """The gap in false-positive rates; see PredictiveEquality. NaN where it is undefined.

    >>> predictive_equality([0, 0, 0, 1], [1, 0, 0, 1], ["a", "a", "b", "b"])
    0.5
    """
    return _evaluate(PredictiveEquality, y_true, y_pred, groups, positive, measure, sample_weight)


def equalized_odds(y_true: Sequence[Any], y_pred: Sequence[Any], groups: Sequence[Any], *, positive: Any = None,
                   measure: Measure = "difference", sample_weight: Sequence[float] | None = None) -> float:
    """The worse of the gaps in true- and false-positive rates; see EqualizedOdds. NaN where it is undefined.

    >>> equalized_odds([0, 1, 0, 1], [0, 1, 1, 1], ["a", "a", "b", "b"])
    1.0
    """
    return _evaluate(EqualizedOdds, y_true, y_pred, groups, positive, measure, sample_weight)


def _evaluate(cls: type[RateGap], y_true: Sequence[Any], y_pred: Sequence[Any], groups: Sequence[Any], positive: Any,
              measure: Measure, sample_weight: Sequence[float] | None) -> float:
    weights = checked_weights(cls.name, y_true, y_pred, sample_weight)
    if len(groups) != len(y_true):
        raise MetricError(f"{cls.name}: groups must be one a row ({len(y_true)}), got {len(groups)}")
    labels = sorted({*y_true, *y_pred}) if positive is None else [positive]
    if positive is None and len(labels) > 2:
        raise MetricError(f"{cls.name}: positive must be given unless there are two labels, got {len(labels)} labels")
    known = sorted(set(groups))
    yes = labels[-1] if labels else None
    stats = np.array([[known.index(g), t == yes, p == yes] for t, p, g in zip(y_true, y_pred, groups)], dtype=np.float64)
    metric = cls(measure=measure, groups=tuple(map(str, known)))
    return float(metric.aggregate(stats.reshape(len(groups), 3), weights)[0])
