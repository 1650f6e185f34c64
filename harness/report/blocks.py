"""A run record's standings as blocks to print: entries that share tasks stand in one, others apart; and the footnotes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.report.numbers import decimals, number, with_interval
from harness.types import RunRecord

ARROWS: Mapping[bool | None, str] = {True: "↑", False: "↓", None: ""}
NOT_TAKEN, UNDEFINED = "–", "n/a"


@dataclass(frozen=True, slots=True)
class TaskColumn:
    """A task, the metric that it is ranked by, and which way is better (None: neither)."""

    task: str
    metric: str
    higher_is_better: bool | None
    n: int

    @property
    def measure(self) -> str:
        """``accuracy ↑``"""
        return f"{self.metric} {ARROWS[self.higher_is_better]}".rstrip()


@dataclass(frozen=True, slots=True)
class Cell:
    """What one entry reached on one task, as text."""

    value: str
    interval: str = ""
    rank: int | None = None

    @property
    def text(self) -> str:
        """``0.512 [0.470, 0.550] (2)``"""
        shown_rank = "" if self.rank is None else f"({self.rank})"
        return " ".join(part for part in (self.value, self.interval, shown_rank) if part)


@dataclass(frozen=True, slots=True)
class Row:
    """One entry: its cells in the order of the block's columns, and its mean rank over ``n_ranked`` tasks."""

    entry: str
    cells: tuple[Cell, ...]
    mean_rank: float | None
    n_ranked: int

    def mean_rank_text(self, with_count: bool) -> str:
        """``1.33``, or ``1.33 over 3`` where entries take different numbers of tasks."""
        if self.mean_rank is None:
            return NOT_TAKEN
        mean = number(self.mean_rank, 0 if float(self.mean_rank).is_integer() else 2)
        return f"{mean} over {self.n_ranked}" if with_count else mean


@dataclass(frozen=True, slots=True)
class Block:
    """Tasks and entries that hang together; best mean rank first. A mean over one task is not shown: it repeats its rank."""

    columns: tuple[TaskColumn, ...]
    rows: tuple[Row, ...]
    shows_mean_rank: bool

    @property
    def is_even(self) -> bool:
        """Whether every entry was ranked on as many tasks."""
        return len({row.n_ranked for row in self.rows}) == 1


def blocks(record: RunRecord) -> list[Block]:
    """The standings of a record. Entries that share no task, not even through others, come in blocks of their own."""
    return [_block(record, tasks) for tasks in _connected(record.standings["tasks"])]


def _connected(tasks: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    entries = [{row["entry"] for row in task["entries"]} for task in tasks]
    groups: list[set[str]] = []
    for names in entries:
        meeting = [group for group in groups if group & names]
        groups = [group for group in groups if not group & names] + [names.union(*meeting)]
    members = [[index for index, names in enumerate(entries) if names & group] for group in groups]
    return [[tasks[index] for index in indices] for indices in sorted(members) if indices]


def _block(record: RunRecord, tasks: Sequence[Mapping[str, Any]]) -> Block:
    by_task = [{row["entry"]: row for row in task["entries"]} for task in tasks]
    means = record.standings["mean_rank"]
    rows = []
    for entry in dict.fromkeys(entry for entries in by_task for entry in entries):
        mean = means.get(entry, {"mean_rank": None, "tasks": 0})
        cells = tuple(_cell(entries.get(entry), len(entries)) for entries in by_task)
        rows.append(Row(entry, cells, mean["mean_rank"], mean["tasks"]))
    rows.sort(key=lambda row: (row.mean_rank is None, row.mean_rank or 0.0))  # stable: within a mean, the first task's order
    has_means = any(row.n_ranked > 1 for row in rows)
    return Block(tuple(_column(record, task) for task in tasks), tuple(rows), has_means)


def _column(record: RunRecord, task: Mapping[str, Any]) -> TaskColumn:
    facts = record.metric_signatures.get(task["metric"], {})
    n = max((row["n"] + row["n_missing"] for row in task["entries"]), default=0)
    return TaskColumn(task["task"], task["metric"], facts.get("higher_is_better"), n)


def _cell(row: Mapping[str, Any] | None, n_entries: int) -> Cell:
    if row is None:
        return Cell(NOT_TAKEN)
    if row["value"] is None:
        return Cell(UNDEFINED)
    value, interval = with_interval(row["value"], row["low"], row["high"])
    return Cell(value, interval, row["rank"] if n_entries > 1 else None)


# ── footnotes ───────────────────────────────────────────────────────────────────────────────────────────────────────


def footnotes(record: RunRecord) -> list[str]:
    """What a reader of the standings has to know: how sure, how ranked, what is missing and why."""
    shown = blocks(record)
    notes = [note for note in (_intervals(record), _ranking(shown), _gaps(shown)) if note]
    return [*notes, *_missing(record), *_cut_short(record)]


def _intervals(record: RunRecord) -> str:
    methods: dict[str, dict[str, None]] = {}
    widened: dict[str, None] = {}
    levels = set()
    for estimate in _primaries(record).values():
        if estimate["low"] is not None:
            method, _, widening = str(estimate["method"]).partition(", widened")
            methods.setdefault(method, {})[estimate["task"]] = None
            widened.update({estimate["task"]: None} if widening else {})
            levels.add(estimate["level"])
    if not methods:
        return ""
    level = " and ".join(f"{level:.4g} %" for level in sorted(100 * level for level in levels))
    listed = [f"{method} on {', '.join(tasks)}" for method, tasks in methods.items()] if len(methods) > 1 else [*methods]
    if widened:
        listed.append(f"widened where resampling could not move the value: {', '.join(widened)}")
    return f"Brackets are {level} intervals: {'; '.join(listed)}."


def _ranking(shown: Sequence[Block]) -> str:
    ranked = [block for block in shown if any(cell.rank is not None for row in block.rows for cell in row.cells)]
    if not any(len(block.rows) > 1 for block in ranked):
        return ""
    note = (
        "In parentheses the rank: 1 + the number of entries that are better beyond doubt, each pair compared on the samples "
        "that both answered."
    )
    if any(block.shows_mean_rank and not block.is_even for block in shown):
        note += " A mean rank is over the tasks that the entry takes; means over different tasks do not compare."
    return note


def _gaps(shown: Sequence[Block]) -> str:
    taken = all(cell.value != NOT_TAKEN for block in shown for row in block.rows for cell in row.cells)
    return "" if taken else f"{NOT_TAKEN}: the entry does not take the task."


def _missing(record: RunRecord) -> Iterator[str]:
    """One line for every cell with missing samples, without a value, or with a remark on its interval."""
    reasons = {key: estimate["reason"] for key, estimate in _primaries(record).items()}
    for task in record.standings["tasks"]:
        for row in task["entries"]:
            where = f"{row['entry']} on {task['task']}"
            if row["value"] is None:
                yield f"{where}: {UNDEFINED}, {row['reason'] or 'undefined'}."
            elif row["n_missing"]:
                unranked = "; not ranked" if row["rank"] is None and len(task["entries"]) > 1 else ""
                yield f"{where}: {row['n_missing']} of {row['n'] + row['n_missing']} samples missing{_range(row)}{unranked}."
            elif reasons.get((row["entry"], task["task"])):
                yield f"{where}: {reasons[row['entry'], task['task']]}."


def _cut_short(record: RunRecord) -> Iterator[str]:
    """One line for every unit whose prompts were cut, whose texts were not finished, or that cost something."""
    for name, counts in record.counts["units"].items():
        prompts = counts.get("tokens", {}).get("truncated_rows", 0)
        texts = counts.get("finish_reasons", {}).get("length", 0)
        facts = [f"{prompts} of {counts['rows']} prompts were cut to fit the model's context"] if prompts else []
        facts += [f"{texts} of {counts['rows']} texts ended at max_tokens"] if texts else []
        facts += [f"cost {counts['cost']:.4g}"] if counts.get("cost") else []
        if facts:
            yield f"{name}: {'; '.join(facts)}."


def _range(row: Mapping[str, Any]) -> str:
    worst, best = row["worst_case"], row["best_case"]
    if worst is None or best is None:
        return "; how they would have scored is not bounded"
    places = max(decimals(row["value"], row["low"], row["high"]), 2)
    return f"; {number(worst, places)} if all of them were as bad as can be, {number(best, places)} if as good"


def _primaries(record: RunRecord) -> dict[tuple[str, str], Mapping[str, Any]]:
    """(entry, task) -> the estimate of the task's primary metric."""
    return {(estimate["entry"], estimate["task"]): estimate for estimate in record.estimates if estimate["primary"]}
