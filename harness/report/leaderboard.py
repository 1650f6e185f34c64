"""``leaderboard.md`` for people and ``leaderboard.json`` for programs, from a run record and nothing else.

Schema history of ``leaderboard.json``: 1 (0.1.0) the first.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from harness.report.blocks import Block, blocks, footnotes
from harness.report.markdown import grid, plain_text
from harness.store import pretty, write_atomically
from harness.types import RunRecord

SCHEMA = 1
MARKDOWN, JSON = "leaderboard.md", "leaderboard.json"


def write_leaderboard(folder: Path, record: RunRecord) -> None:
    """Write both files into the folder of a run."""
    write_atomically(folder / MARKDOWN, leaderboard_markdown(record).encode())
    write_atomically(folder / JSON, pretty(leaderboard_document(record)))


def leaderboard_markdown(record: RunRecord) -> str:
    """The leaderboard as Markdown that reads well as it is: padded tables, notes as a list."""
    parts = [f"# {plain_text(record.name)}", _heading(record)]
    parts += [_table(block) for block in blocks(record)]
    notes = footnotes(record)
    if notes:
        parts.append("\n".join(f"- {plain_text(note)}" for note in notes))
    return "\n\n".join(parts) + "\n"


def leaderboard_document(record: RunRecord) -> dict[str, Any]:
    """``{"schema", "run_id", "name", "tasks": [{task, metric, higher_is_better, unit, bounds, entries}], "mean_rank"}``.

    Entries are ordered, best first; their values have all their digits.
    """
    primaries = {(e["entry"], e["task"]): e for e in record.estimates if e["primary"]}
    tasks = []
    for task in record.standings["tasks"]:
        facts = record.metric_signatures.get(task["metric"], {})
        entries = [
            {**row, **{key: primaries[row["entry"], task["task"]][key] for key in ("level", "method")}}
            if (row["entry"], task["task"]) in primaries else dict(row)
            for row in task["entries"]
        ]  # fmt: skip
        tasks.append({
            "task": task["task"], "metric": task["metric"], "signature": facts.get("signature"),
            "higher_is_better": facts.get("higher_is_better"), "bounds": facts.get("bounds"), "unit": facts.get("unit"),
            "entries": entries,
        })  # fmt: skip
    mean_rank = record.standings["mean_rank"]
    return {"schema": SCHEMA, "run_id": record.run_id, "name": record.name, "tasks": tasks, "mean_rank": mean_rank}


def _heading(record: RunRecord) -> str:
    entries = {row["entry"] for task in record.standings["tasks"] for row in task["entries"]}
    n_entries, n_tasks = len(entries), len(record.standings["tasks"])
    facts = [f"Run `{record.run_id}`", _count(n_entries, "entry", "entries"), _count(n_tasks, "task", "tasks")]
    finished = record.timings.get("finished")
    if finished is not None:
        facts.append(time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(finished)))
    return ", ".join(facts) + "."


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"


def _table(block: Block) -> str:
    header = ["entry", *(f"{column.task}: {column.measure} (n = {column.n})" for column in block.columns)]
    rows = [[row.entry, *(cell.text for cell in row.cells)] for row in block.rows]
    if block.shows_mean_rank:
        header.append("mean rank")
        for cells, row in zip(rows, block.rows):
            cells.append(row.mean_rank_text(with_count=not block.is_even))
    return grid([[plain_text(cell) for cell in line] for line in (header, *rows)])
