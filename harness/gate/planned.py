"""What can be known of a policy before there is a run: rules that these data sets are too small to decide."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from harness.errors import UsageError
from harness.gate.decide import POWER
from harness.gate.policy import Limit, Policy, Rule, matches
from harness.protocols import Metric
from harness.stats.power import needed_n_paired_proportions

DISCORDANCE = 0.1
"""The share of samples on which two versions of a system are taken to differ, hit against miss."""


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A task with its ``n`` samples, its metrics under the names that they are reported by, and who takes it."""

    task: str
    n: int
    metrics: Mapping[str, Metric]
    entries: tuple[tuple[str, str], ...]
    """(entry, model) of each."""


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
        elif rule.slice is None:
            found += [f"gate rule {number} ({rule}): {text}" for limit in rule.limits()
                      for task in known for text in _of_task(rule, limit, task, policy.alpha)]  # fmt: skip
    return found


def _of_task(rule: Rule, limit: Limit, task: PlannedTask, alpha: float) -> Iterator[str]:
    if not any(rule.is_for(task=task.task, entry=entry, model=model) for entry, model in task.entries):
        return
    for name, metric in task.metrics.items():
        if not matches(rule.metric, [name, metric.spec]):
            continue
        if limit.kind == "max_drop" and metric.higher_is_better is None:
            continue
        if limit.is_idle(metric.bounds, metric.higher_is_better):
            yield f"{limit} holds whatever {name} of {task.task} is, between {metric.bounds[0]} and {metric.bounds[1]}"
        elif limit.kind == "max_drop" and limit.amount == 0:
            yield f"{name} of {task.task} passes only if it is better beyond doubt: allow some drop"
        elif metric.interval == "wilson":
            needed, why = _needed(limit, alpha)
            if needed is not None and task.n < needed:
                yield f"{task.n:,} samples of {task.task} hardly decide {name}; about {rounded(needed):,} would{why}"


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
