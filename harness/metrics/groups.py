"""Any metric by groups of samples: the gap between the best and the worst group, and the worst one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from harness.errors import MetricError, did_you_mean
from harness.metrics.around import AroundMetric
from harness.types import FloatArray, Output, Sample, Scores, Table


def group_of(sample: Sample, by: str) -> str | None:
    """The group of a sample: its slice of that name, else the field of its input; "" stands for its only slice.

    None where the sample has none.
    """
    if not by:
        return next(iter(sample.slices.values())) if len(sample.slices) == 1 else None
    value: Any = sample.slices.get(by)
    if value is None:
        value = sample.input.get(by)
    return None if value is None else str(value)


def no_group(by: str) -> str:
    """Why a sample has no group."""
    return f"the sample has no slice or field {by!r}" if by else "the sample has no slice, or several: name one with by="


def found_groups(samples: Iterable[Sample], by: str) -> tuple[str, ...]:
    """The groups of a task, sorted."""
    return tuple(sorted({group for sample in samples if (group := group_of(sample, by)) is not None}))


def checked_groups(name: str, samples: Iterable[Sample], by: str) -> tuple[str, ...]:
    """The groups of a task, sorted. Raises MetricError if there are samples and none of them has the slice or field ``by``."""
    found, fields = found_groups(samples, by), dict[str, None]()
    if found:
        return found
    for sample in samples:
        fields |= dict.fromkeys([*sample.slices, *map(str, sample.input)])
    if not fields and not any(True for _ in samples):
        return ()
    hint = did_you_mean(by, fields) if by else f"; known: {', '.join(fields)}" if fields else ""
    raise MetricError(f"{name}: by must name a slice or a field of the samples, got {by!r}{hint}"
                      f"{'' if fields else '; they have none'}")


def too_few_groups(defined: Sequence[str], by: str, what: str) -> str | None:
    """Why groups cannot be compared: fewer than two have what is compared."""
    if len(defined) > 1:
        return None
    of = f" of {by!r}" if by else ""
    return f"no group{of} has {what}" if not defined else f"only one group{of} has {what}: {defined[0]!r:.40}"


@dataclass(frozen=True, repr=False)
class GroupedMetric(AroundMetric):
    """Base of the metrics of a metric by group. Its rows are the code of the group, then the row of the metric inside.

    ``metric`` may be any metric whose value follows from rows; ``by`` names the slice (or the field of the input) that tells
    the groups apart, and may be left out where samples have one slice. A group on which the metric is undefined is left out.
    """

    family: ClassVar[str] = "fairness"

    by: str = ""
    labels: tuple[str, ...] = field(default=(), repr=False, compare=False, kw_only=True)

    def __post_init__(self) -> None:
        self.require(not isinstance(self.metric, GroupedMetric), "metric", "a metric that is not itself one by group")
        inner = self.metric
        for name, value in (("needs", inner.needs | {"slices"}), ("scope", inner.scope), ("unit", inner.unit),
                            ("columns", ("group", *inner.columns)), ("order_matters", inner.order_matters)):
            object.__setattr__(self, name, value)

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """A copy that knows the groups; the metric inside is prepared on all samples."""
        labels = checked_groups(self.name, samples, self.by)
        return dataclasses.replace(self, metric=self.metric.prepare(samples), labels=labels)

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: the code of its group, then the inner metric's statistics."""
        inner = self.metric.score(samples, outputs, answers)
        missing, codes = dict(inner.missing), np.full(len(samples), np.nan)
        for row, sample in enumerate(samples):
            group = group_of(sample, self.by)
            if group is None:
                missing.setdefault(row, no_group(self.by))
            elif group not in self.labels:
                raise MetricError(f"{self.name}: group {group!r} is not among the task's: call prepare(samples) first")
            else:
                codes[row] = self.labels.index(group)
        bound = None if inner.bound is None else dataclasses.replace(self, metric=inner.bound)
        return Scores(np.column_stack([codes, inner.stats]), missing, bound=bound, left_out=inner.left_out)

    def why_undefined(self, stats: FloatArray) -> str | None:
        values = self.by_group(stats, np.ones((1, len(stats))))[:, 0]
        defined = [label for label, value in zip(self.labels, values) if not np.isnan(value)]
        return too_few_groups(defined, self.by, f"a value of {self.metric.spec}")

    def by_group(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """The metric inside on each group, ``float64[G, B]``; NaN where a group has no rows or no value."""
        values = np.full((len(self.labels), len(weights)), np.nan)
        for code in range(len(self.labels)):
            rows = np.flatnonzero(stats[:, 0] == code)
            if len(rows):
                values[code] = self.metric.aggregate(stats[rows, 1:], weights[:, rows])
        return values

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """``groups``: the metric on each group, and its number of rows; undefined values are None."""
        values = self.by_group(stats, np.ones((1, len(stats))))[:, 0]
        counts = [int((stats[:, 0] == code).sum()) for code in range(len(self.labels))]
        rows = [(label, None if np.isnan(value) else float(value), n) for label, value, n in zip(self.labels, values, counts)]
        return {"groups": Table(("group", self.metric.spec, "rows"), tuple(rows))}


@dataclass(frozen=True, repr=False)
class GroupGap(GroupedMetric):
    """The highest value of a metric over the groups, minus the lowest; 0 if all groups do equally well; lower is better.

    Undefined with fewer than two groups that have a value. ``group_gap(accuracy,by=dialect)``.

    The largest difference of several groups is biased upwards: with many small groups it is not 0 even if all are alike. The
    interval says how far it may be off.
    """

    name: ClassVar[str] = "group_gap"
    summary: ClassVar[str] = "highest minus lowest value of a metric over the groups of a slice"
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    needs: ClassVar[frozenset[str]] = frozenset({"slices"})
    formula: ClassVar[str] = "max_g m(g) − min_g m(g)"
    example: ClassVar[str] = "group_gap(accuracy)"
    reference: ClassVar[str] = "fairlearn 0.15 MetricFrame(...).difference()"
    paper: ClassVar[str] = "Bird et al. 2020, Fairlearn"

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        return spread(self.by_group(stats, weights))


@dataclass(frozen=True, repr=False)
class WorstGroup(GroupedMetric):
    """The value of a metric on the group where it is worst; undefined where no group has a value.

    ``worst_group(f1,by=dialect)``. Direction and range are those of the metric inside; one without a direction is refused.
    """

    name: ClassVar[str] = "worst_group"
    summary: ClassVar[str] = "value of a metric on the group of a slice where it is worst"
    bounds: ClassVar[tuple[float | None, float | None]] = (None, None)
    needs: ClassVar[frozenset[str]] = frozenset({"slices"})
    formula: ClassVar[str] = "min_g m(g), or max_g m(g) where lower is better"
    example: ClassVar[str] = "worst_group(accuracy)"
    reference: ClassVar[str] = "fairlearn 0.15 MetricFrame(...).group_min(), group_max()"
    paper: ClassVar[str] = "Sagawa et al. 2020, Distributionally Robust Neural Networks for Group Shifts"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.metric.higher_is_better is not None, "metric", "one of which more or less is better")
        object.__setattr__(self, "higher_is_better", self.metric.higher_is_better)
        object.__setattr__(self, "bounds", self.metric.bounds)

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        values = self.by_group(stats, weights)
        undefined = np.isnan(values)
        worst = np.where(undefined, np.inf, values).min(axis=0, initial=np.inf)
        if not self.metric.higher_is_better:
            worst = np.where(undefined, -np.inf, values).max(axis=0, initial=-np.inf)
        return np.where(undefined.all(axis=0), np.nan, worst)


def group_gap(metric: Callable[..., float], groups: Sequence[Any], *columns: Sequence[Any]) -> float:
    """The highest minus the lowest value of a function over groups; ``columns`` are its arguments, an entry a row.

    Groups on which it gives NaN are left out; NaN where fewer than two are left.

    >>> group_gap(lambda y, p: sum(a == b for a, b in zip(y, p)) / len(y), ["a", "a", "b", "b"], [1, 0, 1, 0], [1, 0, 0, 0])
    0.5
    """
    return float(spread(np.array(_of_groups("group_gap", metric, groups, columns), dtype=np.float64).reshape(-1, 1))[0])


def worst_group(
    metric: Callable[..., float], groups: Sequence[Any], *columns: Sequence[Any], higher_is_better: bool = True
) -> float:
    """The worst value of a function over groups; NaN where it has none on any of them.

    >>> worst_group(lambda y, p: sum(a == b for a, b in zip(y, p)) / len(y), ["a", "a", "b", "b"], [1, 0, 1, 0], [1, 0, 0, 0])
    0.5
    """
    found = [value for value in _of_groups("worst_group", metric, groups, columns) if value == value]
    return (min(found) if higher_is_better else max(found)) if found else float("nan")


def _of_groups(
    name: str, metric: Callable[..., float], groups: Sequence[Any], columns: Sequence[Sequence[Any]]
) -> list[float]:
    if any(len(column) != len(groups) for column in columns):
        raise MetricError(f"{name}: every column must be as long as groups ({len(groups)}), got {[len(c) for c in columns]}")
    chosen = {group: [row for row, one in enumerate(groups) if one == group] for group in dict.fromkeys(groups)}
    return [metric(*([column[row] for row in rows] for column in columns)) for rows in chosen.values()]


def spread(values: FloatArray) -> FloatArray:
    """Highest minus lowest defined value of each column of ``float64[G, B]``; NaN where fewer than two are defined."""
    defined = ~np.isnan(values)
    high = np.where(defined, values, -np.inf).max(axis=0, initial=-np.inf)
    low = np.where(defined, values, np.inf).min(axis=0, initial=np.inf)
    gap: FloatArray = np.subtract(high, low, out=np.full(values.shape[1], np.nan), where=defined.sum(axis=0) > 1)
    return gap
