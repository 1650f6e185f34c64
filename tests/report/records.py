"""Run records written out by hand, for the tests of what is made of them."""

from __future__ import annotations

from typing import Any

from harness.types import RunRecord

BOOTSTRAP = "bootstrap(percentile, 1000)"


def entry(
    name: str, rank: int | None, value: float | None, low: float | None, high: float | None, n: int, **more: Any
) -> dict[str, Any]:
    """One entry of one task of ``RunRecord.standings``."""
    base = {"entry": name, "rank": rank, "value": value, "low": low, "high": high, "n": n, "n_missing": 0,
            "worst_case": value, "best_case": value, "reason": None}  # fmt: skip
    return {**base, **more}


def record(tasks: list[dict[str, Any]], mean_rank: dict[str, Any], metrics: dict[str, bool | None], **more: Any) -> RunRecord:
    """A record with these standings; every entry's primary estimate follows from them. ``method`` may name a task's method."""
    methods = more.pop("methods", {})
    estimates = tuple(
        {"entry": e["entry"], "model": e["entry"].split(" [")[0], "cell": "", "task": task["task"], "metric": task["metric"],
         "primary": True, "level": 0.95, "method": methods.get(task["task"], BOOTSTRAP), "n_groups": None,
         **{key: e[key] for key in ("value", "low", "high", "n", "n_missing", "worst_case", "best_case", "reason")}}
        for task in tasks for e in task["entries"]
    )  # fmt: skip
    facts = {name: {"signature": f"{name}#v1", "spec": name, "name": name, "family": "", "higher_is_better": up,
                    "bounds": [0.0, 1.0], "unit": "", "columns": []} for name, up in metrics.items()}  # fmt: skip
    values: dict[str, Any] = {
        "schema": 1, "run_id": "20260101T000000Z-demo-0001", "name": "demo", "parent": None, "plan_hash": "00", "config": {},
        "seeds": (0,), "data_fingerprints": {}, "model_signatures": {}, "metric_signatures": facts, "environment": {},
        "estimates": estimates, "standings": {"tasks": tasks, "mean_rank": mean_rank}, "tables": (),
        "timings": {"started": 1767225600.0, "finished": 1767225660.0, "seconds": 60.0, "units": {}},
        "counts": {"units": {}, "notes": []},
    }  # fmt: skip
    return RunRecord(**{**values, **more})


def two_worlds() -> RunRecord:
    """Two language models on two tasks (one of them takes only one), two retrievers on a third; gaps of every kind."""
    tasks = [
        {"task": "intents", "metric": "accuracy", "entries": [
            entry("smollm2 [temperature=0]", 1, 0.512, 0.4712, 0.5528, 118, n_missing=2, worst_case=0.5033, best_case=0.5201),
            entry("smollm2 [temperature=0.7]", 1, 0.4958, 0.45, 0.54, 120),
        ]},
        {"task": "summaries", "metric": "ter", "entries": [
            entry("smollm2 [temperature=0]", None, None, None, None, 0, n_missing=30, worst_case=None, best_case=None,
                  reason="no sample could be scored: out of memory"),
        ]},
        {"task": "passages", "metric": "ndcg@10", "entries": [
            entry("dense", 1, 0.71234, 0.702, 0.722, 300), entry("bm25", 2, 0.65, 0.64, 0.66, 300),
        ]},
    ]  # fmt: skip
    mean = {
        "smollm2 [temperature=0]": {"mean_rank": 1.0, "tasks": 1}, "smollm2 [temperature=0.7]": {"mean_rank": 1.0, "tasks": 1},
        "dense": {"mean_rank": 1.0, "tasks": 1}, "bm25": {"mean_rank": 2.0, "tasks": 1},
    }  # fmt: skip
    metrics: dict[str, bool | None] = {"accuracy": True, "ter": False, "ndcg@10": True}
    return record(tasks, mean, metrics, methods={"intents": "wilson"})
