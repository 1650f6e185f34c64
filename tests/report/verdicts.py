"""A verdict with a result of every sort."""

from __future__ import annotations

from harness.gate.verdict import RuleResult, Verdict


def result(**given: object) -> RuleResult:
    usual: dict[str, object] = {
        "rule": 1, "asked": "metric *: max_drop 0.02", "entry": "small", "task": "qa", "metric": "accuracy", "slice": None,
        "limit": "max_drop", "allowed": 0.02, "verdict": "passed",
    }  # fmt: skip
    return RuleResult(**(usual | given))  # type: ignore[arg-type]


PASSED = result(value=0.8, baseline=0.79, drop=-0.01, low=-0.015, high=-0.005, p_value=1.0, p_adjusted=1.0, n=2000)
REGRESSED = result(
    rule=2, asked="metric bleu: max_drop 2%", metric="bleu", allowed=0.566, share=2.0, verdict="regressed", value=26.1,
    baseline=28.3, drop=2.2, low=1.7, high=2.7, p_value=3e-6, p_adjusted=9e-6, n=3004,
)  # fmt: skip
INCONCLUSIVE = result(
    slice="topic=law", verdict="inconclusive", value=0.75, baseline=0.76, drop=0.01, low=-0.03, high=0.05, p_value=0.68,
    p_adjusted=0.68, n=120, needed_n=1546,
)  # fmt: skip
LIMIT = result(rule=3, metric="latency_p95", limit="max_value", allowed=2.0, value=1.25, low=1.1, high=1.4, p_value=1.0,
               p_adjusted=1.0, n=2000)  # fmt: skip
BROKEN = result(verdict="infrastructure", value=None, n=10, reason="another unit is broken")


def verdict(*rules: RuleResult, word: str = "regressed", code: int = 1, **given: object) -> Verdict:
    usual: dict[str, object] = {
        "verdict": word, "exit_code": code, "run_id": "r2", "config": "nightly", "baseline": "r1", "rules": rules,
        "alpha": 0.05, "level": 0.05, "correction": "holm",
    }  # fmt: skip
    return Verdict(**(usual | given))  # type: ignore[arg-type]
