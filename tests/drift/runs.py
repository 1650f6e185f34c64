"""Finished runs on disk, made row by row: what a drift is measured between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.codec import digest, dumps
from harness.store import PLAIN_COLUMNS, MetricColumn, SampleWriter, write_record
from harness.types import RunRecord

DEFAULTS: Mapping[str, Any] = {
    "model": "m", "cell": "", "task": "t", "arm": "", "repeat": 0, "prompt": "what is it", "finish_reason": "stop",
    "truncated": False, "cached": False, "latency_s": 0.5,
}  # fmt: skip


def write_run(
    folder: Path, rows: Sequence[Mapping[str, Any]], *, language: str = "en", config: Mapping[str, Any] | None = None
) -> Path:
    """A finished run of these rows; what a row does not say has a default, a ``text`` makes the answer."""
    folder.mkdir(parents=True)
    full = [_row(number, row) for number, row in enumerate(rows)]
    writer = SampleWriter(folder, ["m"])
    column = MetricColumn(np.ones(len(full)), np.ones((len(full), 1)), {})
    writer.write({name: [row.get(name) for row in full] for name in PLAIN_COLUMNS}, {"m": column})
    writer.close()
    write_record(folder, _record(folder.name, full, language, config or {}))
    return folder


def _row(number: int, given: Mapping[str, Any]) -> dict[str, Any]:
    row = {**DEFAULTS, "sample_id": f"s{number}", **given}
    sample = {"id": row["sample_id"], "input": {"question": row["prompt"]}}
    row.setdefault("sample", dumps(sample).decode())
    row.setdefault("sample_hash", digest(row["sample_id"].encode()))
    if "answer" not in row and row.get("error") is None:
        row["answer"] = dumps({"type": row.pop("kind", "text"), "text": row.get("text", "")}).decode()
    if row.get("error") is None:
        row.setdefault("text", "")
    return row


def _record(run_id: str, rows: Sequence[Mapping[str, Any]], language: str, config: Mapping[str, Any]) -> RunRecord:
    units = dict.fromkeys((row["model"], row["cell"], row["task"]) for row in rows)
    entries = [(f"{model} [{cell}]" if cell else model, model, cell, task) for model, cell, task in units]
    estimates = tuple(
        {"entry": entry, "model": model, "cell": cell, "task": task, "metric": "m", "primary": True, "value": 1.0, "low": 1.0,
         "high": 1.0, "n": 1, "n_missing": 0} for entry, model, cell, task in entries
    )  # fmt: skip
    tasks = {task: {"fingerprint": "f", "n": 1, "version": 1, "language": language} for *_, task in entries}
    return RunRecord(
        schema=1, run_id=run_id, name="nightly", parent=None, plan_hash="p", config=config, seeds=(0,), data_fingerprints=tasks,
        model_signatures={}, metric_signatures={}, environment={}, estimates=estimates, standings={}, tables=(), timings={},
        counts={"units": {f"{entry} × {task}": {} for entry, _, _, task in entries}},
    )  # fmt: skip
