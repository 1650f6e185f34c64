"""``run.json``: what a finished run says of itself, written last and by rename, read back by version."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.codec import loads
from harness.errors import StoreError
from harness.store.files import RECORD, SCHEMA, pretty, write_atomically
from harness.types import RunRecord

_TUPLES = ("seeds", "estimates", "tables")
_KINDS: Mapping[str, type] = {
    "run_id": str, "name": str, "plan_hash": str, "config": dict, "seeds": list, "data_fingerprints": dict,
    "model_signatures": dict, "metric_signatures": dict, "environment": dict, "estimates": list, "standings": dict,
    "tables": list, "timings": dict, "counts": dict,
}  # fmt: skip
_ESTIMATE = {"entry", "task", "metric", "value", "low", "high", "n", "n_missing"}


def write_record(folder: Path, record: RunRecord) -> None:
    """Write ``run.json``; with it the run is finished."""
    values = {f.name: getattr(record, f.name) for f in dataclasses.fields(record) if f.name != "path"}
    write_atomically(folder / RECORD, pretty(values))


def read_record(folder: Path) -> RunRecord:
    """The record of a finished run. Raises StoreError for a damaged file or one of a newer schema."""
    path = folder / RECORD
    try:
        values = loads(path.read_bytes())
    except FileNotFoundError as error:
        raise StoreError(f"{folder} is not a finished run: it has no {RECORD}") from error
    except ValueError as error:
        raise StoreError(f"{path} is damaged: {error}") from error
    if not isinstance(values, dict) or not isinstance(values.get("schema"), int):
        raise StoreError(f"{path} is not a run record")
    if values["schema"] > SCHEMA:
        raise StoreError(f"{path} has schema {values['schema']}, this harness reads up to {SCHEMA}: upgrade harness-eval")
    names = [f.name for f in dataclasses.fields(RunRecord) if f.name != "path"]
    missing = [name for name in names if name not in values]
    if missing:
        raise StoreError(f"{path} is damaged: it lacks {', '.join(missing)}")
    wrong = [name for name, kind in _KINDS.items() if not isinstance(values[name], kind)]
    if wrong or not all(isinstance(row, dict) and row.keys() >= _ESTIMATE for row in values["estimates"]):
        raise StoreError(f"{path} is damaged: {', '.join(wrong) or 'estimates'} is not what it must be")
    kept: dict[str, Any] = {name: tuple(values[name]) if name in _TUPLES else values[name] for name in names}
    return RunRecord(**kept, path=folder)
