"""Runs that are nothing but their record, night after night."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.store import write_record
from harness.types import RunRecord

FIRST = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
ESTIMATE: Mapping[str, Any] = {
    "entry": "m", "model": "m", "cell": "", "task": "t", "metric": "acc", "signature": "acc#v1", "primary": True, "value": 0.7,
    "low": 0.67, "high": 0.73, "level": 0.95, "n": 900, "n_missing": 0, "reason": None,
}  # fmt: skip


def run_id(night: int, name: str = "nightly") -> str:
    return f"{FIRST + datetime.timedelta(days=night):%Y%m%dT%H%M%S}.000Z-{name}-{night:04x}"


def record(night: int, value: float | None = 0.7, *, name: str = "nightly", **changes: Any) -> RunRecord:
    """The record of a night: one entry on one task, whose accuracy is ``value``."""
    made = RunRecord(
        schema=1, run_id=run_id(night, name), name=name, parent=None, plan_hash="p",
        config={"models": {"m": {"backend": "replay"}}, "tasks": [{"task": "t", "prompt": {"text": "Q"}}]}, seeds=(0,),
        data_fingerprints={"t": {"fingerprint": "f", "n": 900, "version": 1}}, model_signatures={"m": {"revision": "1a"}},
        metric_signatures={"acc": {"higher_is_better": True}},
        environment={"packages": {"torch": "2.0"}, "git_commit": "abc"},
        estimates=({**ESTIMATE, "value": value, "reason": None if value is not None else "nothing"},), standings={}, tables=(),
        timings={"started": (FIRST + datetime.timedelta(days=night)).timestamp()},
        counts={"units": {"m × t": {"rows": 900, "missing": 9}}},
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def write(results: Path, *records: RunRecord) -> None:
    for one in records:
        (results / one.run_id).mkdir(parents=True)
        write_record(results / one.run_id, one)


def nights(results: Path, values: Sequence[float | None], **changes: Any) -> None:
    write(results, *(record(night, value, **changes) for night, value in enumerate(values)))
