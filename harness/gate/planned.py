"""What can be known of a policy before there is a run: rules that these data sets are too small to decide."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.errors import UsageError, did_you_mean
from harness.gate.decide import POWER
from harness.gate.policy import Limit, Policy, Rule, matches
from harness.protocols import Metric
from harness.stats.power import needed_n_paired_proportions

DISCORDANCE = 0.1
"""The share of samples on which two versions of a system are taken to differ, hit against miss."""
_MOST_SLICES = 3


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A task with its ``n`` samples, its metrics under the names that they are reported by, and who takes it."""

    task: str
    n: int
    metrics: Mapping[str, Metric]
    entries: tuple[tuple[str, str], ...]
    """(entry, model) of each."""
    slices: Mapping[str, int] = field(default_factory=dict)
    """``topic=law`` → its samples."""


def warnings(policy: Policy, tasks: Iterable[PlannedTask]) -> list[str]:
    """A sentence for each rule, task and metric that n samples hardly decide, with the n that would.

    Only where that can be known: for metrics of hits and misses, whose spread follows from the share of samples that change
    (10 % of them, for a drop) or from the limit itself. Raises UsageError for a measure of drift that does not exist.
    """
    from harness.drift.measures import chosen

    known = list(tasks)
    found = []
    for number, rule in enumerate(policy.rules, 1):
        if rule.drift is not None:
            try:
                chosen([rule.drift])
            except UsageError as error:
                raise UsageError(f"gate: rule {number}: {error}") from error
        else:
            found += [f"gate rule {number} ({rule}): {text}" for text in _of_rule(rule, known, policy.alpha)]
    return found


def _of_rule(rule: Rule, known: Sequence[PlannedTask], alpha: float) -> Iterator[str]:
    tasks = [task for task in known
             if any(rule.is_for(task=task.task, entry=entry, model=model) for entry, model in task.entries)]  # fmt: skip
    if rule.slice is not None and tasks:
        there = {name for task in tasks for name in task.slices}
        tasks = [task for task in tasks if any(matches(rule.slice, [name]) for name in task.slices)]
        if not tasks:
            yield f"no sample is in a slice {rule.slice!r}{did_you_mean(rule.slice, there)}"
    for limit in rule.limits():
        for task in tasks:
            yield from _of_task(rule, limit, task, alpha)


def _of_task(rule: Rule, limit: Limit, task: PlannedTask, alpha: float) -> Iterator[str]:
    for name, metric in task.metrics.items():
        if not matches(rule.metric, [name, metric.spec]):
            continue
        if limit.kind == "max_drop" and metric.higher_is_better is None:
            continue
        if limit.is_idle(metric.bounds, metric.higher_is_better):
            yield f"{limit} holds whatever {name} of {task.task} is, between {_range(metric.bounds)}"
        elif limit.is_hopeless(metric.bounds):
            never = "never holds beyond doubt" if limit.amount in metric.bounds else "never holds"
            yield f"{limit} {never}: {name} of {task.task} lies between {_range(metric.bounds)}"
        elif limit.kind == "max_drop" and limit.amount == 0:
            yield f"{name} of {task.task} passes only if it is better beyond doubt: allow some drop"
        elif metric.interval == "wilson":
            needed, why = _needed(limit, alpha)
            small = None if needed is None else _too_few(rule, task, name, needed)
            if small is not None and needed is not None:
                yield f"{small}; about {rounded(needed):,} would{why}"


def _range(bounds: Sequence[float | None]) -> str:
    low, high = bounds
    return f"{'-∞' if low is None else f'{low:g}'} and {'∞' if high is None else f'{high:g}'}"


def _too_few(rule: Rule, task: PlannedTask, metric: str, needed: int) -> str | None:
    """That there are too few samples in the task, or in which of the slices that the rule is for, the smallest first."""
    if rule.slice is None:
        return f"{task.n:,} samples of {task.task} hardly decide {metric}" if task.n < needed else None
    small = sorted((n, name) for name, n in task.slices.items() if n < needed and matches(rule.slice, [name]))
    shown = ", ".join(f"{name} ({n:,})" for n, name in small[:_MOST_SLICES])
    more = f" and {len(small) - _MOST_SLICES} more" if len(small) > _MOST_SLICES else ""
    return f"too few samples of {task.task} in {shown}{more} to decide {metric}" if small else None


def _needed(limit: Limit, alpha: float) -> tuple[int | None, str]:
    """Samples that decide it with 80 % power, or can decide it at all; and under which condition."""
    if limit.kind == "max_drop":
        if limit.amount >= 1:
            return None, ""
        needed = needed_n_paired_proportions(DISCORDANCE, limit.amount, alpha, POWER)
        return needed, f", if {DISCORDANCE:.0%} of the answers change"
    room = limit.amount if limit.kind == "min_value" else 1 - limit.amount
    if not 0 < room < 1:
        return None, ""
    return math.ceil(math.log(alpha) / math.log(room)), " if every one is right" if limit.kind == "min_value" else " at best"


def rounded(n: int) -> int:
    """Two significant digits: a sample size is no more exact than that.

    >>> rounded(1546), rounded(87)
    (1500, 87)
    """
    return n if n < 100 else int(float(f"{n:.2g}"))
