"""Which runs a history is of: the finished ones of one config, the newest first to be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.compare.runs import StoredRun
from harness.errors import StoreError, did_you_mean
from harness.store import is_finished, read_record, run_folders, slug
from harness.store.folders import config_slug
from harness.types import RunRecord


@dataclass(frozen=True, slots=True)
class ReadRuns:
    """Runs of one config, oldest first; ``notes`` name the folders that could not be read and how many were left out."""

    config: str
    runs: tuple[StoredRun, ...]
    notes: tuple[str, ...]


def read_runs(results: Path, config: str | None, last: int) -> ReadRuns:
    """The ``last`` runs of a config (0: all), None: of the config of the latest run. Raises StoreError where there is none."""
    notes: list[str] = []
    runs: list[StoredRun] = []
    n_rescored = 0
    others: set[str] = set()
    for folder in reversed([folder for folder in run_folders(results) if is_finished(folder)]):
        if config is not None and config_slug(folder.name) not in (None, slug(config)):
            others.add(str(config_slug(folder.name)))
            continue
        record = _read(folder, notes)
        if record is None:
            continue
        config = record.name if config is None else config
        if record.name != config:
            others.add(record.name)
        elif record.parent is not None:
            n_rescored += 1
        else:
            runs.append(StoredRun(folder, record))
            if len(runs) == last:
                break
    if config is None or not runs:
        raise StoreError(_nothing(results, config, others, notes))
    if n_rescored:
        notes.append(f"{n_rescored} {'run' if n_rescored == 1 else 'runs'} scored again from another left out")
    return ReadRuns(config, tuple(reversed(runs)), tuple(notes))


def _read(folder: Path, notes: list[str]) -> RunRecord | None:
    try:
        return read_record(folder)
    except StoreError as error:
        notes.append(f"left out: {error}")
        return None


def _nothing(results: Path, config: str | None, others: set[str], notes: list[str]) -> str:
    damaged = f" ({'; '.join(notes)})" if notes else ""
    if config is None:
        return f"there are no finished runs in {results}{damaged}"
    return f"there are no finished runs of {config!r} in {results}{damaged}{did_you_mean(config, others)}"
