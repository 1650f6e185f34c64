"""The policy of a gate: its rules, how sure it has to be, and whom it tells. Made from a validated ``gate:`` mapping."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.config import gate_of
from harness.types import RunRecord

LimitKind = Literal["max_drop", "min_value", "max_value"]


@dataclass(frozen=True, slots=True)
class Limit:
    """One thing that a rule asks. ``amount`` is absolute, or the share of the baseline's value where ``is_relative``."""

    kind: LimitKind
    amount: float
    is_relative: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.amount * 100:g}%" if self.is_relative else f"{self.kind} {self.amount:g}"

    def is_idle(self, bounds: Sequence[float | None], higher_is_better: bool | None) -> bool:
        """Whether no value between these bounds breaks it: it would check nothing."""
        low, high = (bound if bound is not None and math.isfinite(bound) else None for bound in bounds)
        if self.kind == "min_value":
            return low is not None and self.amount <= low
        if self.kind == "max_value":
            return high is not None and self.amount >= high
        if self.is_relative:
            return bool(higher_is_better) and low is not None and low >= 0 and self.amount >= 1
        return low is not None and high is not None and self.amount >= high - low

    def is_hopeless(self, bounds: Sequence[float | None]) -> bool:
        """Whether no value between these bounds lies beyond it, so that nothing can ever pass for sure."""
        low, high = bounds
        if self.kind == "min_value":
            return high is not None and self.amount >= high
        return self.kind == "max_value" and low is not None and self.amount <= low


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold for every metric, task, model and slice that the patterns match; ``drift`` names a measure instead."""

    metric: str = "*"
    task: str = "*"
    model: str = "*"
    slice: str | None = None
    drift: str | None = None
    max_drop: float | str | None = None
    min_value: float | None = None
    max_value: float | None = None

    def limits(self) -> Iterator[Limit]:
        """What it asks, a limit each."""
        if isinstance(self.max_drop, str):
            yield Limit("max_drop", float(self.max_drop.removesuffix("%")) / 100, is_relative=True)
        elif self.max_drop is not None:
            yield Limit("max_drop", float(self.max_drop))
        if self.min_value is not None:
            yield Limit("min_value", float(self.min_value))
        if self.max_value is not None:
            yield Limit("max_value", float(self.max_value))

    @property
    def needs_baseline(self) -> bool:
        return self.max_drop is not None or self.drift is not None

    def is_for(self, *, task: str, entry: str, model: str) -> bool:
        """Whether its patterns match a task and an entry of the leaderboard, or the model behind the entry."""
        return matches(self.task, [task]) and matches(self.model, [entry, model])

    def __str__(self) -> str:
        what = [f"drift {self.drift}" if self.drift is not None else f"metric {self.metric}"]
        what += [f"{key} {value}" for key, value in (("task", self.task), ("model", self.model)) if value != "*"]
        what += [] if self.slice is None else [f"slice {self.slice}"]
        return f"{', '.join(what)}: {', '.join(map(str, self.limits()))}"


@dataclass(frozen=True, slots=True)
class Notify:
    """A POST to ``url`` on the verdicts ``on``; ``${NAME}`` in the url and in ``headers`` is for the environment."""

    url: str
    on: tuple[str, ...] = ("regressed",)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policy:
    """When a run may pass; see ``GateDocument`` in ``harness.config.schema`` for its keys."""

    rules: tuple[Rule, ...]
    baseline: str | None = None
    alpha: float = 0.05
    correction: Literal["holm", "bh", "by", "none"] = "holm"
    on_inconclusive: Literal["pass", "fail"] | None = None
    max_missing: float | None = None
    sequential: bool = False
    notify: Notify | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Policy:
        """From the mapping that ``harness.config.load_gate`` and ``RunConfig.gate`` give: validated, its defaults filled in."""
        notify = document["notify"]
        told = None if notify is None else Notify(notify["url"], tuple(notify["on"]), dict(notify["headers"]))
        rest = {key: value for key, value in document.items() if key not in ("rules", "notify")}
        return cls(rules=tuple(Rule(**rule) for rule in document["rules"]), notify=told, **rest)

    @property
    def needs_baseline(self) -> bool:
        """Whether some rule compares."""
        return any(rule.needs_baseline for rule in self.rules)


def policy_of_run(record: RunRecord) -> Policy | None:
    """The policy of a run's own config; None where that has none. Raises ConfigError where it is damaged."""
    written = record.config.get("gate")
    return None if written is None else Policy.of(gate_of(written, f"run {record.run_id}"))


def matches(pattern: str, names: Collection[str]) -> bool:
    """Whether a pattern with ``*`` and ``?`` is, or matches, one of the names; brackets are part of a cell's name."""
    escaped = pattern.replace("[", "[[]")
    return any(fnmatch.fnmatchcase(name, escaped) for name in names)
