"""``harness rescore``: new scores from stored answers, without the models and without the data files."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.text import Text

from harness import api
from harness.cli.options import Json, Results, Run
from harness.cli.output import DEFAULT_RESULTS, console, print_json, print_next, typed, undisturbed
from harness.cli.progress import Lines
from harness.cli.result import print_leaderboard, run_document


def command(
    run: Run,
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    metrics: Annotated[
        list[str] | None, typer.Option("--metrics", metavar="SPEC…", help="Metrics in place of its own; several may follow.")
    ] = None,
    results: Results = DEFAULT_RESULTS,
    as_json: Json = False,
) -> int:
    """Score the stored answers of a run again: with its own metrics as they are now, or with others.

    Writes a new run whose parent is the old one. No model is asked.
    """
    if more and not metrics:
        raise typer.BadParameter(f"metrics come after --metrics: {' '.join(more)}")
    with undisturbed(as_json):
        made = api.rescore(run, metrics=[*(metrics or ()), *(more or ())], results=results, listener=Lines(sys.stderr))
    if as_json:
        print_json(run_document(made, 0))
        return 0
    print_leaderboard(made.record)
    out = console()
    out.print()
    out.print(Text(f"{made.run_id}: {made.record.parent} scored again, in {made.path}"), soft_wrap=True)
    print_next(typed("show", made.run_id, results=results))
    return 0
