"""``harness baseline``: names for the runs that others are compared with."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from harness import api
from harness.cli.actor import actor
from harness.cli.options import Json, Results
from harness.cli.output import DEFAULT_RESULTS, add_rows, console, print_json, print_next, table, typed
from harness.errors import UsageError, did_you_mean
from harness.store import fault_of, is_finished
from harness.store.baselines import Baseline, Change


class Action(StrEnum):
    """What can be done with a baseline."""

    set = "set"
    show = "show"
    list = "list"
    remove = "remove"


def command(
    action: Annotated[str, typer.Argument(metavar="ACTION", help=f"One of {', '.join(Action)}.")],
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The baseline's name, such as main.")] = None,
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="The run that it stands for. Default: latest.")] = None,
    note: Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Why, for the log.")] = None,
    results: Results = DEFAULT_RESULTS,
    as_json: Json = False,
) -> int:
    """Give a run a name that others are compared with, show what a name stands for, list all names, or remove one.

    Wherever a command takes a run it takes baseline:NAME. Names and the log of who set what when are in baselines.json of the
    results folder.
    """
    actions = [known.value for known in Action]
    if action not in actions:
        raise UsageError(f"harness baseline: unknown action {action!r}{did_you_mean(action, actions)}")
    if action == Action.list:
        _refuse_more(action, name=name, run=run, note=note)
        return _list(results, as_json)
    if name is None:
        raise UsageError(f"harness baseline {action}: which one? Give its name, as in harness baseline {action} main")
    if action == Action.set:
        return _set(results, name, run or "latest", note, as_json)
    _refuse_more(action, run=run, note=None if action == Action.remove else note)
    return _remove(results, name, note, as_json) if action == Action.remove else _show(results, name, as_json)


def _refuse_more(action: str, **given: str | None) -> None:
    for what, value in given.items():
        if value is not None:
            raise UsageError(f"harness baseline {action}: takes no {what}, got {value!r}")


def _set(results: Path, name: str, run: str, note: str | None, as_json: bool) -> int:
    done = api.set_baseline(name, run, results=results, by=actor(), note=note)
    if as_json:
        print_json({**_change(done.change), "warnings": list(done.warnings)})
        return 0
    was = done.change.previous
    before = "" if was is None else " again" if was == done.change.run_id else f", no longer {was}"
    out = console()
    out.print(Text(f"{name} is {done.change.run_id}{before}"), soft_wrap=True)
    for warning in done.warnings:
        console(stderr=True).print(Text(f"warning: {warning}", style="yellow"), soft_wrap=True)
    print_next(typed("gate", "latest", "--baseline", name, results=results), typed("history", results=results))
    return 0


def _remove(results: Path, name: str, note: str | None, as_json: bool) -> int:
    change = api.remove_baseline(name, results=results, by=actor(), note=note)
    if as_json:
        print_json(_change(change))
        return 0
    console().print(Text(f"{name} is no baseline any more; it was {change.previous}, which stays"), soft_wrap=True)
    print_next(typed("baseline", "set", name, str(change.previous), results=results))
    return 0


def _list(results: Path, as_json: bool) -> int:
    found = api.baselines(results=results)
    rows = [_baseline(results, baseline) for baseline in found.values()]
    if as_json:
        print_json({"baselines": rows})
        return 0
    if not rows:
        console().print(f"no baselines in {results}", soft_wrap=True)
        print_next(typed("baseline", "set", "main", results=results))
        return 0
    made = table("baseline", "run", "since", "by", "note")
    console().print(add_rows(made, [[row["name"], _run_text(row), row["since"], row["by"], row["note"]] for row in rows]))
    print_next(typed("baseline", "show", rows[0]["name"], results=results))
    return 0


def _show(results: Path, name: str, as_json: bool) -> int:
    baseline, log = api.baseline(name, results=results)
    row = _baseline(results, baseline)
    if as_json:
        print_json({**row, "log": [_change(change) for change in log]})
        return 0
    out = console()
    out.print(Text(f"{name} is {_run_text(row)}\n"), soft_wrap=True)
    lines = [[change.at, change.run_id or "removed", change.previous, change.by, change.note] for change in log]
    out.print(add_rows(table("when", "run", "before", "by", "note"), lines))
    out.print()
    if row["fault"]:
        print_next(typed("baseline", "set", name, "RUN", results=results))
    elif row["exists"]:
        gate = typed("gate", "latest", "--baseline", name, results=results)
        print_next(typed("show", f"baseline:{name}", results=results), gate)
    else:
        print_next(typed("baseline", "set", name, results=results))
    return 0


def _baseline(results: Path, baseline: Baseline) -> dict[str, Any]:
    path = results / baseline.run_id
    exists = is_finished(path)
    return {**dataclasses.asdict(baseline), "path": str(path), "exists": exists, "fault": fault_of(path) if exists else None}


def _run_text(row: dict[str, Any]) -> str:
    if not row["exists"]:
        return f"{row['run_id']} (not in the results folder any more)"
    return f"{row['run_id']} ({row['fault'].partition(': ')[0]})" if row["fault"] else str(row["run_id"])


def _change(change: Change) -> dict[str, Any]:
    return dataclasses.asdict(change)
