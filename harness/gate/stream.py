"""The stream of nights: each is a new hypothesis on the same samples, and alpha is spent over all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.gate.policy import Policy
from harness.gate.verdict import Verdict
from harness.stats.online import Lond
from harness.store.gatelog import append_decision, decisions
from harness.types import RunRecord


@dataclass(frozen=True, slots=True)
class Night:
    """The number of a night in its stream (from 1), and the level that a regression is tested at."""

    number: int
    level: float


def night_of(results: Path, record: RunRecord, baseline: RunRecord | None, policy: Policy) -> Night:
    """The night of a run: after the decisions before it, and where it was if it was gated before.

    Where the policy is not ``sequential`` every night has alpha. What broke off for want of outputs tested nothing, and spent
    nothing. Raises StoreError for a damaged log.
    """
    if not policy.sequential:
        return Night(1, policy.alpha)
    before = []
    for decision in decisions(results, stream_of(record.name, None if baseline is None else baseline.run_id)):
        if decision["run"] == record.run_id:
            break
        before.append(str(decision.get("verdict")))
    return night_after(before, policy.alpha)


def night_after(verdicts: Iterable[str], alpha: float) -> Night:
    """The night after those with these verdicts, oldest first.

    >>> night_after(["passed", "infrastructure", "inconclusive"], 0.05).number
    3
    """
    before = Counter(verdicts)
    before.pop("infrastructure", None)
    return Night(before.total() + 1, Lond(alpha).level(before.total(), before["regressed"]))


def write_decision(results: Path, verdict: Verdict) -> None:
    """Put a verdict down in the log of its stream. Raises Unwritable where that cannot be written."""
    counts = Counter(rule.verdict for rule in verdict.rules)
    append_decision(results, {
        "stream": stream_of(verdict.config, verdict.baseline), "run": verdict.run_id, "baseline": verdict.baseline or "",
        "config": verdict.config, "verdict": verdict.verdict, "exit_code": verdict.exit_code, "alpha": verdict.alpha,
        "level": verdict.level, "night": verdict.night, "checks": dict(counts),
        "regressed": [rule.name for rule in verdict.rules if rule.verdict == "regressed"],
    })  # fmt: skip


def stream_of(config: str, baseline: str | None) -> str:
    """The nights of one config against one baseline: a new baseline is a new question."""
    return config if baseline is None else f"{config} against {baseline}"
