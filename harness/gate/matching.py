"""Which numbers of a run the rules of a policy are for. A rule that is for none is refused: it would check nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness import plugins
from harness.errors import HarnessError, UsageError, did_you_mean
from harness.gate.policy import Limit, Policy, Rule, matches
from harness.types import RunRecord


@dataclass(frozen=True, slots=True)
class Subject:
    """A number of a run that a rule can be for: a row of its estimates, or of one of its slices."""

    entry: str
    model: str
    task: str
    metric: str
    slice: str | None
    value: float | None
    n: int
    n_missing: int


@dataclass(frozen=True, slots=True)
class Asked:
    """One limit of rule ``number`` (from 1) for one subject."""

    number: int
    rule: Rule
    limit: Limit
    subject: Subject

    @property
    def is_drop(self) -> bool:
        return self.limit.kind == "max_drop"

    @property
    def needs_baseline(self) -> bool:
        return self.is_drop or self.rule.drift is not None


def subjects(record: RunRecord) -> list[Subject]:
    """Every estimate of a run, and every metric of every slice, in the order of the record."""
    whole = [_subject(estimate, estimate, None) for estimate in record.estimates]
    parts = [
        _subject(table, row, f"{row['slice']}={row['group']}")
        for table in record.tables if table["table"] == "slices"
        for row in (dict(zip(table["columns"], cells)) for cells in table["rows"])
    ]  # fmt: skip
    return whole + parts


def asked(policy: Policy, record: RunRecord) -> list[Asked]:
    """What the rules ask of a run, a limit each.

    A pattern passes over metrics that have no better direction, where it asks for max_drop. Raises UsageError for a rule that
    matches nothing, naming what it could have meant, and for a limit that none of its metrics can ever break.
    """
    known = subjects(record)
    found: list[Asked] = []
    for number, rule in enumerate(policy.rules, 1):
        matched = _drifting(rule, known) if rule.drift is not None else [one for one in known if _is_for(rule, one)]
        if not matched:
            why = _what_misses(rule, known)
            raise UsageError(f"gate: rule {number} ({rule}) matches nothing in run {record.run_id}: {why}")
        for limit in rule.limits():
            directed = [subject for subject in matched if limit.kind != "max_drop" or is_directed(record, subject.metric)]
            if not directed:
                names = ", ".join(dict.fromkeys(subject.metric for subject in matched))
                raise UsageError(f"gate: rule {number} ({rule}): {names} is neither better when higher nor when lower, so that "
                                 f"it cannot drop: give it min_value or max_value")
            one_of = [Asked(number, rule, limit, subject) for subject in directed]
            if all(is_idle(one, record) for one in one_of):
                names = ", ".join(dict.fromkeys(subject.metric for subject in directed))
                raise UsageError(f"gate: rule {number} ({rule}) checks nothing: {limit} holds whatever {names} is, between "
                                 f"{_range(record, directed[0].metric)}")
            found += one_of
    return found


def is_idle(one: Asked, record: RunRecord) -> bool:
    """Whether its limit holds whatever the value is: ``max_drop: 2`` of what lies between 0 and 1."""
    facts = record.metric_signatures.get(one.subject.metric, {})
    bounds = facts.get("bounds") or (None, None)
    return one.rule.drift is None and one.limit.is_idle(bounds, facts.get("higher_is_better"))


def is_directed(record: RunRecord, metric: str) -> bool:
    """Whether one direction of the metric is better."""
    return record.metric_signatures.get(metric, {}).get("higher_is_better") is not None


def _range(record: RunRecord, metric: str) -> str:
    low, high = record.metric_signatures[metric]["bounds"]
    return f"{'-∞' if low is None else f'{low:g}'} and {'∞' if high is None else f'{high:g}'}"


def _subject(where: Mapping[str, Any], row: Mapping[str, Any], part: str | None) -> Subject:
    return Subject(where["entry"], where["model"], where["task"], row["metric"], part, row["value"], row["n"], row["n_missing"])


def _drifting(rule: Rule, known: Sequence[Subject]) -> list[Subject]:
    """The entries on tasks that a rule on drift is for, under the name of its measure."""
    units = dict.fromkeys((subject.entry, subject.model, subject.task) for subject in known)
    return [
        Subject(entry, model, task, f"drift {rule.drift}", None, None, 0, 0)
        for entry, model, task in units if rule.is_for(task=task, entry=entry, model=model)
    ]  # fmt: skip


def _is_for(rule: Rule, subject: Subject) -> bool:
    if not rule.is_for(task=subject.task, entry=subject.entry, model=subject.model):
        return False
    if (rule.slice is None) != (subject.slice is None):
        return False
    if rule.slice is not None and subject.slice is not None and not matches(rule.slice, [subject.slice]):
        return False
    return matches(rule.metric, [subject.metric]) or _is_the_metric(rule.metric, subject.metric)


def _is_the_metric(pattern: str, written: str) -> bool:
    """Whether a rule names a metric in another spelling than the task: ``rouge(type=L)`` where that says ``rouge_l``."""
    if any(sign in pattern for sign in "*?"):
        return False
    try:
        return plugins.metric(pattern).spec == plugins.metric(written).spec
    except HarnessError:
        return False


def _what_misses(rule: Rule, known: Sequence[Subject]) -> str:
    """The first pattern that nothing matches, with what there is."""
    tasks = {subject.task for subject in known}
    of_task = [subject for subject in known if matches(rule.task, [subject.task])]
    if not of_task:
        return f"no task {rule.task!r}{did_you_mean(rule.task, tasks)}"
    of_model = [subject for subject in of_task if rule.is_for(task=subject.task, entry=subject.entry, model=subject.model)]
    if not of_model:
        return f"no model {rule.model!r}{did_you_mean(rule.model, {subject.entry for subject in of_task})}"
    if rule.slice is not None:
        there = {subject.slice for subject in of_model if subject.slice is not None}
        if not any(matches(rule.slice, [name]) for name in there):
            return f"no slice {rule.slice!r}{did_you_mean(rule.slice, there) or ' (the tasks declare none)'}"
    return f"no metric {rule.metric!r}{did_you_mean(rule.metric, {subject.metric for subject in of_model})}"
