"""The history of a config: every finished run of it, read from ``run.json`` alone, as series with their change points."""

from __future__ import annotations

import datetime
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.compare.provenance import Change
from harness.compare.runs import StoredRun
from harness.errors import StoreError, UsageError, did_you_mean
from harness.frames import frame_of_rows
from harness.history.annotations import Annotations
from harness.history.levels import Shift, find_levels
from harness.history.records import ReadRuns, read_runs
from harness.store.baselines import baselines
from harness.store.gatelog import decisions
from harness.store.noise import Noise, noise_of, read_noise

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Selection:
    """Which series are wanted, by name or pattern (``*``, ``?``). ``metric`` None: each task's primary metric. ``last``: the
    newest so many runs; 0: all."""

    config: str | None = None
    task: str | None = None
    metric: str | None = None
    entry: str | None = None
    last: int = 50


@dataclass(frozen=True, slots=True)
class HistoryRun:
    """A run of the history. ``baselines`` are the names that it has; ``verdicts`` what gates said of it, the last of each
    baseline. ``n_missing`` of ``n_rows`` outputs are missing."""

    run_id: str
    started: float | None
    git_commit: str | None
    baselines: tuple[str, ...]
    verdicts: tuple[str, ...]
    n_rows: int
    n_missing: int


@dataclass(frozen=True, slots=True)
class Point:
    """The value of one run. ``value`` None: undefined, because of ``reason``. ``changes``: what is different from the run
    before it in this series."""

    run_id: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    n_missing: int
    reason: str | None = None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one entry on one task, oldest run first. ``shifts``: where its level changed; ``note``: what noise they
    were told from, or that there are too few values to tell (not ``is_long_enough``)."""

    entry: str
    task: str
    metric: str
    is_primary: bool
    higher_is_better: bool | None
    points: tuple[Point, ...]
    shifts: tuple[Shift, ...]
    is_long_enough: bool
    note: str


_COLUMNS = ("entry", "task", "metric", "primary", "higher_is_better", "run_id", "started", "value", "low", "high", "n",
            "n_missing", "reason", "shift")  # fmt: skip


@dataclass(frozen=True, slots=True)
class History:
    """Runs oldest first. ``notes`` name what was left out, and why."""

    config: str
    runs: tuple[HistoryRun, ...]
    series: tuple[Series, ...]
    notes: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        n_runs, n_shifts = len(self.runs), sum(len(one.shifts) for one in self.series)
        return (f"<History of {self.config}: {n_runs} run{'' if n_runs == 1 else 's'}, {len(self.series)} series, {n_shifts} "
                f"change{'' if n_shifts == 1 else 's'} of level>")

    def to_pandas(self) -> pd.DataFrame:
        """The points as a data frame, series after series, a row a run; ``shift`` is True where the level changed.

        Raises MissingDependency if pandas is not installed.
        """
        started = {run.run_id: run.started for run in self.runs}
        rows = [(one.entry, one.task, one.metric, one.is_primary, one.higher_is_better, point.run_id,
                 _date(started[point.run_id]), point.value, point.low, point.high, point.n, point.n_missing, point.reason,
                 any(shift.at == place for shift in one.shifts))
                for one in self.series for place, point in enumerate(one.points)]  # fmt: skip
        return frame_of_rows((dict(zip(_COLUMNS, row)) for row in rows), _COLUMNS)


def history(results: Path, selection: Selection = Selection()) -> History:
    """The history of a config, by default of that of the latest run. Runs that were scored again from others are left out.

    Raises StoreError where there is no finished run of it, UsageError for a task, metric or entry that no run has.
    """
    read = read_runs(results, selection.config, selection.last)
    notes = list(read.notes)
    noise = _kept(lambda: read_noise(results, read.config), {}, notes)
    names = _kept(lambda: baselines(results), {}, notes)
    decided = _kept(lambda: decisions(results), [], notes)
    found = _series(read, selection, noise)
    runs = tuple(_run(run, [b.name for b in names.values() if b.run_id == run.record.run_id], decided) for run in read.runs)
    return History(read.config, runs, found, tuple(notes))


def _date(seconds: float | None) -> datetime.datetime | None:
    return None if seconds is None else datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _kept(read: Any, otherwise: Any, notes: list[str]) -> Any:
    """What is read of a file beside the runs; a damaged one is a note, for the runs are there all the same."""
    try:
        return read()
    except StoreError as error:
        notes.append(str(error))
        return otherwise


def _run(run: StoredRun, names: Sequence[str], decided: Iterable[Mapping[str, Any]]) -> HistoryRun:
    record = run.record
    units = [unit for unit in (record.counts.get("units") or {}).values() if isinstance(unit, Mapping)]
    mine = {decision["baseline"]: str(decision.get("verdict")) for decision in decided if decision["run"] == record.run_id}
    return HistoryRun(
        record.run_id, record.timings.get("started"), record.environment.get("git_commit"), tuple(names),
        tuple(dict.fromkeys(mine.values())), sum(unit.get("rows") or 0 for unit in units),
        sum(unit.get("missing") or 0 for unit in units),
    )  # fmt: skip


# ── series ──────────────────────────────────────────────────────────────────────────────────────────────────────────

Key = tuple[str, str, str]
"""Entry, task, metric."""


def _series(read: ReadRuns, selection: Selection, noise: Noise) -> tuple[Series, ...]:
    rows: dict[Key, list[tuple[StoredRun, Mapping[str, Any]]]] = {}
    for run in read.runs:
        for row in run.record.estimates:
            rows.setdefault((row["entry"], row["task"], row["metric"]), []).append((run, row))
    _check(selection, rows)
    annotations = Annotations()
    return tuple(_one(key, found, noise, annotations) for key, found in rows.items() if _is_wanted(selection, key, found))


def _one(key: Key, rows: Sequence[tuple[StoredRun, Mapping[str, Any]]], noise: Noise, annotations: Annotations) -> Series:
    entry, task, metric = key
    points, before = [], None
    for run, row in rows:
        changes = () if before is None else annotations.between(before, run, entry, task)
        points.append(Point(run.record.run_id, row["value"], row["low"], row["high"], row["n"], row["n_missing"],
                            row.get("reason"), changes))  # fmt: skip
        before = run
    data = [run.record.data_fingerprints.get(task, {}).get("fingerprint") for run, _ in rows]
    levels = find_levels([row for _, row in rows], len(set(data)) == 1, noise_of(noise, entry, task, metric))
    last_run, last_row = rows[-1]
    facts = last_run.record.metric_signatures.get(metric) or {}
    return Series(entry, task, metric, bool(last_row.get("primary")), facts.get("higher_is_better"), tuple(points),
                  levels.shifts, levels.is_long_enough, levels.note)  # fmt: skip


def _is_wanted(selection: Selection, key: Key, rows: Sequence[tuple[StoredRun, Mapping[str, Any]]]) -> bool:
    entry, task, metric = key
    if selection.metric is None and not any(row.get("primary") for _, row in rows):
        return False
    wanted = ((selection.entry, entry), (selection.task, task), (selection.metric, metric))
    return all(_matches(pattern, name) for pattern, name in wanted)


def _matches(pattern: str | None, name: str) -> bool:
    return pattern is None or pattern == name or fnmatch.fnmatchcase(name, pattern)


def _check(selection: Selection, rows: Iterable[Key]) -> None:
    keys = list(rows)
    for what, pattern, place in (("entry", selection.entry, 0), ("task", selection.task, 1), ("metric", selection.metric, 2)):
        names = sorted({key[place] for key in keys})
        if pattern is not None and not any(_matches(pattern, name) for name in names):
            raise UsageError(f"history: no run has the {what} {pattern!r}{did_you_mean(pattern, names)}")
    wanted = (selection.entry, selection.task, selection.metric)
    if not any(all(_matches(pattern, name) for pattern, name in zip(wanted, key)) for key in keys):
        raise UsageError(f"history: no run has {' and '.join(repr(pattern) for pattern in wanted if pattern)} together")
