"""Runs compared, for people and for programs: one table, worst first, what it rests on, and what else is different."""

from __future__ import annotations

import dataclasses
from typing import Any

from harness.compare import Compared, Report
from harness.compare.omnibus import Omnibus
from harness.compare.slices import SliceMove
from harness.report.blocks import ARROWS
from harness.report.candidates import name_of_base, names_of_candidates, tag
from harness.report.differences import comparison_notes, provenance_lines
from harness.report.markdown import grid, plain_text
from harness.report.numbers import decimals, number, plain, with_interval
from harness.report.summary import TextTable

ORDER = ("worse", "unclear", "same", "better")
"""The verdicts, worst first: the order of the table."""


# ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def comparison_table(report: Report) -> TextTable:
    """A row a task and metric, worst first. The first column is the verdict."""
    rows = sorted(report.rows, key=_worst_first)
    name = names_of_candidates(report)
    named = any(name(row.run, row.comparison.entry) for row in rows)
    headers = ("verdict", *(("candidate",) if named else ()), "task", "metric", "a", "b", "b - a", "p", "adjusted", "MDE", "n")
    return TextTable("", headers, tuple(_cells(row, name(row.run, row.comparison.entry)) for row in rows))


def slice_table(report: Report) -> TextTable:
    """The slices on which a metric moved beyond doubt, the surest first; no rows where none did."""
    moved = [move for move in report.slices if move.verdict in ("better", "worse")]
    name = names_of_candidates(report)
    named = any(name(move.run, move.entry) for move in moved)
    columns = ("task", "slice", "metric", "a", "b", "b - a", "p", "adjusted", "n")
    headers = ("verdict", *(("candidate",) if named else ()), *columns)
    return TextTable("slices that moved", headers, tuple(_slice_cells(move, name(move.run, move.entry)) for move in moved))


def rank_table(report: Report) -> TextTable:
    """Mean ranks over the samples where three systems or more are compared."""
    name = names_of_candidates(report)
    rows = []
    for found in report.omnibus:
        candidates = [name(*system) for system in found.systems[1:]]
        names = [name_of_base(report, found.systems[0][1], candidates), *candidates]
        rows += [(found.task, found.metric, system, number(rank, 2), _p(found.p_value), f"{found.n:,}")
                 for rank, system in sorted(zip(found.ranks, names))]  # fmt: skip
    title = "mean ranks over samples, 1 is best (Friedman)"
    return TextTable(title, ("task", "metric", "system", "mean rank", "p", "n"), tuple(rows))


def _worst_first(row: Compared) -> tuple[int, bool, float]:
    p = row.comparison.p_value
    return ORDER.index(row.comparison.verdict), not row.is_primary, 2.0 if p is None else p


def _cells(row: Compared, name: str) -> tuple[str, ...]:
    found = row.comparison
    metric = f"{found.metric} {ARROWS[row.higher_is_better]}".rstrip() + ("*" if row.is_primary else "")
    values = _values(found.a, found.b, found.difference.value, found.difference.low, found.difference.high)
    mde = "" if found.mde is None else number(found.mde, decimals(found.mde, 0, 2 * found.mde))
    named = (name,) if name else ()
    tested = _p(found.p_value), _p(found.p_adjusted), mde, f"{found.n_pairs:,}"
    return (found.verdict, *named, found.task, metric, *values, *tested)


def _slice_cells(move: SliceMove, name: str) -> tuple[str, ...]:
    values = _values(move.a, move.b, move.difference.value, move.difference.low, move.difference.high)
    metric = f"{move.metric} {ARROWS[move.higher_is_better]}".rstrip()
    named = (name,) if name else ()
    return (move.verdict, *named, move.task, move.slice, metric, *values, _p(move.p_value), _p(move.p_adjusted),
            f"{move.n_pairs:,}")  # fmt: skip


def _values(
    a: float | None, b: float | None, value: float | None, low: float | None, high: float | None
) -> tuple[str, str, str]:
    """Both values with the decimals of the difference; the difference with its sign and interval."""
    if value is None:
        return plain(a), plain(b), "n/a"
    known = low is not None and high is not None
    places = decimals(value, low, high) if known else max(decimals(value), *(decimals(v) for v in (a, b) if v is not None))
    shown, interval = with_interval(value, low, high)
    signed = f"+{shown}" if value > 0 and float(shown) else shown
    return (*("n/a" if v is None else number(v, places) for v in (a, b)), f"{signed} {interval}".rstrip())  # type: ignore[return-value]


def _p(value: float | None) -> str:
    if value is None:
        return ""
    if value < 0.0001:
        return "<0.0001"
    return f"{value:.4f}" if value < 0.01 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


# ── documents ───────────────────────────────────────────────────────────────────────────────────────────────────────


def comparison_document(report: Report) -> dict[str, Any]:
    """``{"runs", "comparisons": [{task, metric, a, b, difference, low, high, p_value, …}], "pairing", "flips", …}``."""
    return {
        "runs": [{"run_id": run.record.run_id, "name": run.record.name, "entry": run.entry, "path": str(run.path)}
                 for run in report.runs],
        "alpha": report.options.alpha, "correction": report.options.correction, "margin": report.options.margin,
        "comparisons": [row.fields() for row in report.rows],
        "pairing": [dataclasses.asdict(facts) for facts in report.pairing],
        "flips": [dataclasses.asdict(found) for found in report.flips],
        "slices": [_slice_fields(move) for move in report.slices],
        "omnibus": [_omnibus_fields(found) for found in report.omnibus],
        "provenance": [
            {"run": run.record.run_id, "entry": run.entry, "changes": [dataclasses.asdict(change) for change in changes]}
            for run, changes in zip(report.runs[1:], report.provenance)
        ],
        "refused": list(report.refused), "notes": list(report.notes),
    }  # fmt: skip


def _slice_fields(move: SliceMove) -> dict[str, Any]:
    return {
        "task": move.task, "entry": move.entry, "run": move.run, "metric": move.metric, "slice": move.slice, "a": move.a,
        "b": move.b, **_difference_fields(move.difference), "p_value": move.p_value, "p_adjusted": move.p_adjusted,
        "n": move.n_pairs, "verdict": move.verdict,
    }  # fmt: skip


def _omnibus_fields(found: Omnibus) -> dict[str, Any]:
    systems = [{"run": run, "entry": entry, "mean_rank": rank} for (run, entry), rank in zip(found.systems, found.ranks)]
    return {"task": found.task, "metric": found.metric, "p_value": found.p_value, "agreement": found.agreement, "n": found.n,
            "systems": systems}  # fmt: skip


def _difference_fields(difference: Any) -> dict[str, Any]:
    return {"difference": difference.value, "low": difference.low, "high": difference.high, "level": difference.level}


def comparison_heading(report: Report) -> list[str]:
    """Which is a, which is b."""
    return [f"{tag(report, place):<2} {_run(report, place)}" for place in range(len(report.runs))]


def _run(report: Report, place: int) -> str:
    run = report.runs[place]
    entry = f"{run.entry} of " if run.entry is not None else ""
    return f"{entry}{run.record.name}, run {run.record.run_id}"


def comparison_markdown(report: Report) -> str:
    """The whole report as Markdown that reads well as it is."""
    parts = ["# Comparison", "\n".join(f"- {plain_text(line)}" for line in comparison_heading(report))]
    for table in (comparison_table(report), slice_table(report), rank_table(report)):
        if table.rows:
            parts += [f"## {table.title}"] if table.title else []
            parts.append(grid([[plain_text(cell) for cell in line] for line in (table.headers, *table.rows)]))
    parts.append("\n".join(f"- {plain_text(note)}" for note in comparison_notes(report)))
    changes = provenance_lines(report, full=True)
    if changes:
        parts += ["## What else is different", "\n".join(f"- {plain_text(line)}" for line in changes)]
    return "\n\n".join(parts) + "\n"
