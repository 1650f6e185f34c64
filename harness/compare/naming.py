"""What people call the things to compare: runs as ``find_run`` knows them, and ``RUN#ENTRY`` for one entry of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.compare.runs import StoredRun
from harness.errors import StoreError, UsageError, did_you_mean
from harness.store import JOURNAL, RECORD, find_run


def named_runs(names: Sequence[str], results: Path) -> list[StoredRun]:
    """The runs to compare, the base first. One name alone stands for the entries of that run, the first of them the base.

    Raises StoreError for runs that are not there, not finished or damaged, UsageError for entries that are not there, and where
    one name stands for one entry only.
    """
    if not names:
        raise UsageError("compare: name the runs, the base first: harness compare A B")
    runs = [named_run(name, results) for name in names]
    if len(runs) > 1:
        return runs
    [run] = runs
    if run.entry is not None or len(run.entries) < 2:
        only = run.entry or run.entries[0]
        raise UsageError(f"compare: {run.record.run_id} is {only!r} alone: name what to compare it with: harness compare A B")
    return [StoredRun(run.path, run.record, entry) for entry in run.entries]


def named_run(name: str, results: Path) -> StoredRun:
    """A run, or one entry of it: ``latest``, ``baseline:main``, ``results/2026…``, ``latest#good [temperature=0]``."""
    whole, sign, entry = name.partition("#")
    if not sign or (Path(name) / RECORD).is_file():
        return StoredRun.open(_found(name, results))
    run = StoredRun.open(_found(whole, results))
    if entry not in run.entries:
        raise UsageError(f"compare: run {run.record.run_id} has no entry {entry!r}{did_you_mean(entry, run.entries)}")
    return StoredRun(run.path, run.record, entry)


def _found(name: str, results: Path) -> Path:
    path = Path(name)
    if path.is_dir() and (path / JOURNAL).is_file() and not (path / RECORD).is_file():
        raise StoreError(f"run {path.name!r} is not finished: go on with it with harness run")
    return find_run(results, name)
