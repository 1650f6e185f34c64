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
_ESTIMATE: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("entry", "task", "metric"), (str,)), **dict.fromkeys(("n", "n_missing"), (int,)),
    **dict.fromkeys(("value", "low", "high"), (int, float, type(None))),
}  # fmt: skip
_OF_OBJECTS = ("data_fingerprints", "model_signatures", "metric_signatures")


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
    wrong += [name for name in _OF_OBJECTS if name not in wrong and not all(isinstance(v, dict) for v in values[name].values())]
    if wrong or not all(map(_is_estimate, values["estimates"])):
        raise StoreError(f"{path} is damaged: {', '.join(wrong) or 'estimates'} is not what it must be")
    kept: dict[str, Any] = {name: tuple(values[name]) if name in _TUPLES else values[name] for name in names}
    return RunRecord(**kept, path=folder)


def _is_estimate(row: Any) -> bool:
    return isinstance(row, dict) and all(key in row and isinstance(row[key], kinds) for key, kinds in _ESTIMATE.items())
