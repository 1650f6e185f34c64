"""``harness history``: how the numbers of a config moved from run to run, and what changed there."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from harness import api
from harness.cli.options import Json, Results
from harness.cli.output import DEFAULT_RESULTS, add_rows, console, print_json, print_next, table, typed, width_of, without
from harness.history import History, HistoryRun, Point, Series
from harness.history.annotations import in_short
from harness.report.numbers import decimals, number, with_interval
from harness.report.sparkline import sparkline
from harness.report.summary import TextTable

_ABOUT = ("entry", "task", "metric", "is_primary", "higher_is_better", "is_long_enough", "note")
_HEADERS = ("run", "started", "value", "interval", "level", "marks", "different from the run before")
_STYLES = {"regressed": "red", "passed": "green", "inconclusive": "yellow", "infrastructure": "red"}


def command(
    config: Annotated[
        str | None, typer.Option("--config", metavar="NAME", help="The config whose runs. Default: that of the latest run.")
    ] = None,
    task: Annotated[str | None, typer.Option("--task", metavar="T", help="Only this task; * and ? are patterns.")] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="M", help="This metric; '*' for all. Default: each task's primary one.")
    ] = None,
    entry: Annotated[str | None, typer.Option("--entry", metavar="E", help="Only this entry of the leaderboard.")] = None,
    last: Annotated[int, typer.Option("--last", metavar="N", min=0, help="The newest so many runs; 0: all.")] = 50,
    results: Results = DEFAULT_RESULTS,
    as_json: Json = False,
) -> int:
    """Show how the numbers of a config moved from run to run: values with intervals, where their level changed, and what is
    different from the run before (model, prompt, data, packages, code), with baselines and the verdicts of gates."""
    found = api.history(config, task=task, metric=metric, entry=entry, last=last, results=results)
    if as_json:
        print_json(_document(found))
        return 0
    out = console()
    out.print(Text.assemble((found.config, "bold"), f", {len(found.runs)} {'run' if len(found.runs) == 1 else 'runs'}\n"))
    for series in found.series:
        _print(out, series, {run.run_id: run for run in found.runs})
    for note in found.notes:
        out.print(Text(f"note: {note}", style="dim"), soft_wrap=True)
    print_next(*_next(found, results))
    return 0


def _next(found: History, results: Path) -> list[str]:
    newest = found.runs[-1].run_id
    if len(found.runs) < 2:
        return [typed("show", newest, results=results)]
    changed = [series.points[shift.at - 1 : shift.at + 1] for series in found.series for shift in series.shifts if shift.at]
    pair = [point.run_id for point in changed[-1]] if changed else [run.run_id for run in found.runs[-2:]]
    return [typed("compare", *pair, results=results), typed("drift", *reversed(pair), results=results)]


# ── JSON ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _document(found: History) -> dict[str, Any]:
    runs = [dataclasses.asdict(run) for run in found.runs]
    return {"config": found.config, "runs": runs, "series": [_series(one) for one in found.series], "notes": list(found.notes)}


def _series(series: Series) -> dict[str, Any]:
    shifts = [{**dataclasses.asdict(shift), "run_id": series.points[shift.at].run_id} for shift in series.shifts]
    about = {key: getattr(series, key) for key in _ABOUT}
    return {**about, "points": [dataclasses.asdict(point) for point in series.points], "shifts": shifts}


# ── terminal ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _print(out: Console, series: Series, runs: dict[str, HistoryRun]) -> None:
    arrow = {True: " ↑", False: " ↓", None: ""}[series.higher_is_better]
    line = sparkline([point.value for point in series.points], plain=not out.is_terminal)
    out.print(Text.assemble((f"{series.entry} × {series.task}: {series.metric}{arrow}", "bold"), f"  {line}"), soft_wrap=True)
    moved = {shift.at: shift for shift in series.shifts}
    rows = []
    for place, point in enumerate(series.points):
        shift, run = moved.get(place), runs[point.run_id]
        size = None if shift is None else _moved(shift.before, shift.after, point, series.higher_is_better)
        marks, changes = _marks(run, point), in_short(point.changes) or None
        rows.append([point.run_id, _when(run.started), *_value(point), size, marks, changes])
    _print_rows(out, rows)
    if series.shifts or not series.is_long_enough:
        out.print(Text(f"levels: {series.note}", style="dim"), soft_wrap=True)
    out.print()


def _print_rows(out: Console, rows: list[list[Any]]) -> None:
    """What is different has a column where there is room for it, else lines of its own."""
    texts = TextTable("", _HEADERS, tuple(tuple("–" if cell is None else str(cell) for cell in row) for row in rows))
    if width_of(texts) <= out.width:
        out.print(add_rows(table(*_HEADERS), rows))
        return
    *headers, different = _HEADERS
    drops_start = width_of(without(texts, different)) > out.width  # a run's id begins with it
    kept = [place for place, header in enumerate(headers) if not (drops_start and header == "started")]
    out.print(add_rows(table(*(headers[place] for place in kept)), ([row[place] for place in kept] for row in rows)))
    if any(row[-1] for row in rows):
        out.print(Text(different, style="bold"))
        for row in rows:
            if row[-1]:
                out.print(Text(f"  {row[0]}: {row[-1]}"), soft_wrap=True)


def _value(point: Point) -> tuple[str, str | None]:
    if point.value is None:
        return "n/a", point.reason
    value, interval = with_interval(point.value, point.low, point.high)
    return value, interval or None


def _moved(before: float, after: float, point: Point, higher_is_better: bool | None) -> Text:
    places = decimals(after, point.low, point.high)
    is_up = after > before
    style = "" if higher_is_better is None else "green" if is_up == higher_is_better else "red"
    return Text(f"{number(before, places)} {'▲' if is_up else '▼'} {number(after, places)}", style=style)


def _marks(run: HistoryRun, point: Point) -> Text | None:
    marks = Text(", ").join([Text(f"baseline {name}", style="bold") for name in run.baselines]
                           + [Text(verdict, style=_STYLES.get(verdict, "")) for verdict in run.verdicts]
                           + ([Text(f"{point.n_missing} missing")] if point.n_missing else []))  # fmt: skip
    return marks if marks.plain else None


def _when(seconds: float | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))
