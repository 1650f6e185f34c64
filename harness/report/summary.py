"""A run in tables: every metric of every task with its interval, the slices, and why samples are missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.report.blocks import ARROWS, UNDEFINED
from harness.report.numbers import with_interval
from harness.types import RunRecord


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of texts under a title."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def summary_tables(record: RunRecord, task: str | None = None, entry: str | None = None) -> Iterator[TextTable]:
    """Metrics, slices and missing reasons, in the order of the tasks; of one task or entry only, if given."""
    for name in _tasks(record):
        if task is not None and name != task:
            continue
        yield _metrics(record, name, entry)
        slices = _slices(record, name, entry)
        if slices.rows:
            yield slices
    missing = _missing(record, task, entry)
    if missing.rows:
        yield missing


def entries_of(record: RunRecord) -> list[str]:
    """The names on the leaderboard, in the order of the run."""
    return list(dict.fromkeys(estimate["entry"] for estimate in record.estimates))


def tasks_of(record: RunRecord) -> list[str]:
    """The tasks, in the order of the run."""
    return list(_tasks(record))


def _tasks(record: RunRecord) -> Iterable[str]:
    return dict.fromkeys(estimate["task"] for estimate in record.estimates)


def _metrics(record: RunRecord, task: str, entry: str | None) -> TextTable:
    facts = record.metric_signatures
    rows = []
    estimates = [e for e in record.estimates if e["task"] == task and entry in (None, e["entry"])]
    for metric in dict.fromkeys(estimate["metric"] for estimate in estimates):
        named = f"{metric} {ARROWS[facts.get(metric, {}).get('higher_is_better')]}".rstrip()
        for estimate in estimates:
            if estimate["metric"] == metric:
                marked = f"{named}*" if estimate["primary"] else named
                rows.append((marked, estimate["entry"], *_value(estimate), *_counts(estimate), estimate["reason"] or ""))
    data = record.data_fingerprints.get(task, {})
    version = f", version {data['version']}" if "version" in data else ""
    headers = ("metric", "entry", "value", "interval", "n", "missing", "remark")
    return TextTable(f"{task}{version} (* primary metric)", headers, tuple(rows))


def _slices(record: RunRecord, task: str, entry: str | None) -> TextTable:
    primary = {e["metric"] for e in record.estimates if e["task"] == task and e["primary"]}
    rows = []
    for table in record.tables:
        if table["table"] != "slices" or table["task"] != task or entry not in (None, table["entry"]):
            continue
        for cells in table["rows"]:
            row = dict(zip(table["columns"], cells))
            if row["metric"] in primary:
                rows.append((f"{row['slice']}={row['group']}", table["entry"], row["metric"], *_value(row), *_counts(row)))
    return TextTable(f"{task}, by slice", ("slice", "entry", "metric", "value", "interval", "n", "missing"), tuple(rows))


def _missing(record: RunRecord, task: str | None, entry: str | None) -> TextTable:
    rows = []
    for name, counts in record.counts["units"].items():
        unit_entry, _, unit_task = name.rpartition(" × ")
        if task in (None, unit_task) and entry in (None, unit_entry):
            rows += [(unit_entry, unit_task, str(n), reason) for reason, n in (counts.get("errors") or {}).items()]
    return TextTable("missing outputs", ("entry", "task", "outputs", "reason"), tuple(rows))


def _value(row: Mapping[str, Any]) -> tuple[str, str]:
    return (UNDEFINED, "") if row["value"] is None else with_interval(row["value"], row["low"], row["high"])


def _counts(row: Mapping[str, Any]) -> Sequence[str]:
    return str(row["n"]), str(row["n_missing"]) if row["n_missing"] else ""
