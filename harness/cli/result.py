"""What ``run``, ``rescore``, ``show`` and ``leaderboard`` say of a run: its leaderboard, or its estimates as JSON."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from harness.api import Run
from harness.cli.output import console
from harness.report.blocks import footnotes
from harness.report.terminal import leaderboard_tables
from harness.types import RunRecord


def estimates_document(record: RunRecord) -> list[dict[str, Any]]:
    """Every estimate; ``model`` is the name on the leaderboard, its matrix cell included."""
    found = []
    for estimate in record.estimates:
        rest = {key: value for key, value in estimate.items() if key not in ("entry", "model")}
        found.append({"model": estimate["entry"], "base_model": estimate["model"], **rest})
    return found


def run_document(run: Run, exit_code: int) -> dict[str, Any]:
    """The JSON that ``run`` and ``rescore`` print."""
    return {
        "run_id": run.run_id, "path": str(run.path), "parent": run.record.parent, "exit_code": exit_code,
        "estimates": estimates_document(run.record),
    }  # fmt: skip


def print_leaderboard(record: RunRecord) -> None:
    """Tables and footnotes, as wide as the terminal."""
    out = console()
    for table in leaderboard_tables(record, out.width):
        out.print(table)
        out.print()
    for note in footnotes(record):
        out.print(Text(note, style="dim"))


def missing_lines(record: RunRecord) -> list[str]:
    """A line for every unit that lacks outputs, with the commonest reason."""
    lines = []
    for name, counts in record.counts["units"].items():
        if counts["missing"]:
            reasons = counts.get("errors") or {}
            why = f": {next(iter(reasons))}" if reasons else ""
            others = len(reasons) - 1
            more = f" (and {others} other reason{'s' if others > 1 else ''})" if others else ""
            lines.append(f"{name}: {counts['missing']} of {counts['rows']} outputs missing{why}{more}")
    return lines
