"""``harness compare``: runs against a base, sample by sample."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from harness import api
from harness.cli.options import Json, Results, by_commas
from harness.cli.output import DEFAULT_RESULTS, add_rows, console, fitted, print_json, print_next, table, typed, undisturbed
from harness.compare import ALLOWED, CORRECTIONS, TESTS, Flip, PairedTask, Report, flip_metric, flips
from harness.errors import UsageError, did_you_mean
from harness.report.comparison import (
    comparison_document,
    comparison_heading,
    comparison_markdown,
    comparison_table,
    rank_table,
    slice_table,
)
from harness.report.differences import comparison_notes, provenance_lines
from harness.report.numbers import plain
from harness.report.summary import TextTable
from harness.store import write_atomically

_STYLES = {"worse": "bold red", "better": "bold green", "same": "cyan", "unclear": "yellow"}
_DISPENSABLE = ("MDE", "p", "n", "a")
_LONGEST = 600

Runs = Annotated[
    list[str],
    typer.Argument(metavar="A B", help="Runs, the base first: path, id or its beginning, latest, latest~1, latest:CONFIG, "
                   "baseline:NAME; RUN#ENTRY is one entry. One run alone: its entries."),
]  # fmt: skip


def command(
    runs: Runs,
    task: Annotated[list[str] | None, typer.Option("--task", metavar="T", help="Only this task. Repeatable.")] = None,
    metric: Annotated[list[str] | None, typer.Option("--metric", metavar="M", help="Only this metric. Repeatable.")] = None,
    flips_of: Annotated[
        str | None, typer.Option("--flips", metavar="T", help="The samples of a task that were lost or won.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0, help="With --flips: so many of each; 0: all.")] = 10,
    allow: Annotated[
        list[str] | None, typer.Option("--allow", help=f"Compare although this differs: {', '.join(ALLOWED)}, by commas.")
    ] = None,
    test: Annotated[str, typer.Option("--test", help=f"{', '.join(TESTS)}.")] = "auto",
    alpha: Annotated[float, typer.Option("--alpha", help="Better or worse where the adjusted p is below.")] = 0.05,
    correction: Annotated[str, typer.Option("--correction", help=f"Over all comparisons: {', '.join(CORRECTIONS)}.")] = "holm",
    margin: Annotated[
        float | None, typer.Option("--margin", help="Same: where the difference lies within plus or minus this.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Everything else that is different, a line a field.")] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE.md", help="Write it as Markdown too.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    results: Results = DEFAULT_RESULTS,
    as_json: Json = False,
) -> int:
    """Compare runs on the samples that they share: differences with intervals, corrected p-values, verdicts, what else changed.

    Each metric's verdict on B (and each further run) against A: better, worse, same, or unclear. Exit code 0 whatever it is:
    harness gate is what fails.
    """
    with undisturbed(as_json):
        report = api.compare(
            *runs, results=results, tasks=_listed(task) if flips_of is None else [flips_of], metrics=_listed(metric),
            allow=by_commas(allow), test=test, alpha=alpha, correction=correction, margin=margin,
        )  # fmt: skip
    if output is not None:
        write_atomically(output, comparison_markdown(report).encode())
    if flips_of is not None:
        _show_flips(report, flips_of, _listed(metric), limit, as_json, typed("compare", *runs, results=results))
    elif as_json:
        print_json(comparison_document(report))
    elif markdown:
        typer.echo(comparison_markdown(report), nl=False)
    else:
        _print_report(report, full)
        if output is not None:
            console().print(Text(f"written to {output}"), soft_wrap=True)
        print_next(*_next(report, runs, results))
    return 0


def _listed(given: list[str] | None) -> list[str]:
    return given or []


# ── the report ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _print_report(report: Report, full: bool) -> None:
    out = console()
    out.print(Text("\n".join(comparison_heading(report))), soft_wrap=True)
    out.print()
    for part in (comparison_table(report), slice_table(report), rank_table(report)):
        if part.rows:
            out.print(_coloured(fitted(part, out.width, _DISPENSABLE)))
            out.print()
    for note in comparison_notes(report):
        out.print(Text(note, style="bold" if note.startswith("not compared") else "dim"), soft_wrap=True)
    changes = provenance_lines(report, full=full)
    if changes:
        out.print(Text("\nwhat else is different, a → b", style="bold"))
        for line in changes:
            out.print(Text(f"  {line}"), soft_wrap=True)
    out.print()


def _coloured(part: TextTable) -> Table:
    made = table(*part.headers, title=part.title or None)
    rows = [[Text(row[0], style=_STYLES.get(row[0], "")), *row[1:]] for row in part.rows]
    return add_rows(made, rows)


def _next(report: Report, runs: list[str], results: Path) -> list[str]:
    moved = sorted((found for found in report.flips if found.won or found.lost), key=lambda found: -found.lost)
    if moved:
        return [typed("compare", *runs, "--flips", moved[0].task, results=results)]
    return [typed("show", report.runs[-1].record.run_id, "--samples", results=results)]


# ── samples ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _show_flips(report: Report, task: str, metrics: list[str], limit: int, as_json: bool, this: str) -> None:
    found = []
    with undisturbed(as_json):
        for pair in report.pairs:
            metric = flip_metric(pair, metrics)
            if metric is not None:
                found.append((pair, metric, flips(pair, metric, limit)))
    if not found:
        known = list(dict.fromkeys(name for pair in report.pairs for name in pair.metrics))
        raise UsageError(f"compare: no metric of {task} gives single samples a value and has a better direction"
                         f"{did_you_mean('', known)}")
    if as_json:
        print_json({"flips": [_flips_document(*part) for part in found]})
        return
    for part in found:
        _print_flips(report, *part)
    print_next(this)


def _flips_document(pair: PairedTask, metric: str, samples: tuple[Flip, ...]) -> dict[str, Any]:
    return {
        "task": pair.task, "entry": pair.entry, "base_entry": pair.a.entry, "run": pair.b.run.record.run_id, "metric": metric,
        "samples": [dataclasses.asdict(sample) for sample in samples],
    }  # fmt: skip


def _print_flips(report: Report, pair: PairedTask, metric: str, samples: tuple[Flip, ...]) -> None:
    out = console()
    count = next(c for c in report.flips if (c.task, c.entry, c.run) == (pair.task, pair.entry, pair.b.run.record.run_id))
    heading = f"{pair.entry} × {pair.task}: {count.lost:,} lost, {count.won:,} won by {metric}"
    out.print(Text(heading if samples else f"{heading}: no sample moved", style="bold"), soft_wrap=True)
    out.print()
    for sample in samples:
        word = ("won", "bold green") if sample.won else ("lost", "bold red")
        out.print(Text.assemble(word, "  ", (sample.id, "bold"), f"  {metric} {plain(sample.a)} → {plain(sample.b)}"))
        grid = Table.grid(padding=(0, 2, 0, 0))
        for name, text in _lines(sample):
            grid.add_row(Text(name, style="dim"), Text(text))
        out.print(grid)
        out.print()


def _lines(sample: Flip) -> list[tuple[str, str]]:
    lines = [] if sample.prompt is None else [("prompt", _tail(sample.prompt))]
    lines += [("a", _head(sample.answer_a)), ("b", _head(sample.answer_b))]
    return lines + [(name, _head("\n".join(map(str, value)) if isinstance(value, list) else str(value)))
                    for name, value in sample.wanted.items()]  # fmt: skip


def _head(text: str | None) -> str:
    if text is None:
        return "(none)"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _tail(text: str) -> str:
    return text if len(text) <= _LONGEST else f"… {text[-_LONGEST:]}"
