"""``harness show``: what a run found, or its samples one by one."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import typer
from rich.text import Text

from harness import api
from harness.cli.options import Json, Results, Run
from harness.cli.output import DEFAULT_RESULTS, add_rows, console, print_json, print_next, table, typed
from harness.cli.result import estimates_document, print_leaderboard
from harness.cli.rows import Selection, ShownSample, print_sample, shown_samples
from harness.errors import UsageError, did_you_mean
from harness.report.summary import entries_of, summary_tables, tasks_of


def command(
    run: Run,
    samples: Annotated[bool, typer.Option("--samples", help="Show samples: prompt, answer, references, values.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Only samples that are missing, with the reason.")] = False,
    task: Annotated[str | None, typer.Option("--task", metavar="T", help="Only this task.")] = None,
    entry: Annotated[str | None, typer.Option("--entry", metavar="E", help="Only this entry of the leaderboard.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0, help="At most so many samples; 0: all.")] = 20,
    results: Results = DEFAULT_RESULTS,
    as_json: Json = False,
) -> int:
    """Show a run: its leaderboard, every metric with its interval, slices, why samples are missing; or its samples."""
    found = api.load(run, results=results)
    _check_choice("task", task, tasks_of(found.record))
    _check_choice("entry", entry, entries_of(found.record))
    if samples or failed:
        selection = Selection(task, entry, failed, limit)
        shown, more = shown_samples(found, selection)
        if as_json:
            print_json({"run_id": found.run_id, "samples": [dataclasses.asdict(sample) for sample in shown], "more": more})
        else:
            _print_samples(found, shown, more, selection, typed("show", run, results=results))
    elif as_json:
        print_json(_document(found, task, entry))
    else:
        _print_summary(found, task, entry)
        print_next(typed("show", run, "--samples", results=results), typed("rescore", run, results=results))
    return 0


def _check_choice(what: str, given: str | None, known: list[str]) -> None:
    if given is not None and given not in known:
        raise UsageError(f"harness show: this run has no {what} {given!r}{did_you_mean(given, known)}")


def _document(run: api.Run, task: str | None, entry: str | None) -> dict[str, Any]:
    record = run.record
    chosen = [e for e in estimates_document(record) if task in (None, e["task"]) and entry in (None, e["model"])]
    tables = [t for t in record.tables if task in (None, t["task"]) and entry in (None, t["entry"])]
    return {
        "run_id": record.run_id, "path": str(run.path), "name": record.name, "parent": record.parent, "estimates": chosen,
        "standings": record.standings, "tables": tables, "metrics": record.metric_signatures, "counts": record.counts,
        "timings": record.timings,
    }  # fmt: skip


def _print_summary(run: api.Run, task: str | None, entry: str | None) -> None:
    out, record = console(), run.record
    parent = f", scored again from {record.parent}" if record.parent else ""
    out.print(Text.assemble((record.name, "bold"), f", run {run.run_id}{parent}\n{run.path}\n"), soft_wrap=True)
    if task is None and entry is None:
        print_leaderboard(record)
        out.print()
    for part in summary_tables(record, task, entry):
        out.print(add_rows(table(*part.headers, title=part.title), part.rows))
        out.print()
    for note in record.counts.get("notes", ()):
        out.print(Text(f"note: {note}", style="dim"), soft_wrap=True)


def _print_samples(run: api.Run, shown: list[ShownSample], more: bool, selection: Selection, this: str) -> None:
    out = console()
    for sample in shown:
        print_sample(out, sample)
    if not shown:
        out.print("no sample is missing" if selection.failed else "no samples")
    if more:
        print_next(f"{this} --samples --limit 0", f"{this} --samples --task T --entry E")
    else:
        print_next(this)
