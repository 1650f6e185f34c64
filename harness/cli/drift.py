"""``harness drift``: how far the inputs, outputs and service of a run are from those of another."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from harness import api
from harness.cli.options import CacheDir, Json, Results, Run
from harness.cli.output import DEFAULT_RESULTS, add_rows, console, print_json, print_next, table, typed, undisturbed
from harness.drift import MEASURES, Drift
from harness.report.numbers import decimals, number

_ALPHA = 0.05


def command(
    run: Run = "latest",
    base: Annotated[
        str | None, typer.Argument(metavar="BASE", help="What it is held against. Default: the run of its config before it.")
    ] = None,
    measures: Annotated[
        list[str] | None, typer.Option("--measure", metavar="NAME", help="Only this measure, or one that embeds. Repeatable.")
    ] = None,
    results: Results = DEFAULT_RESULTS,
    cache_dir: CacheDir = None,
    as_json: Json = False,
) -> int:
    """Show how far the inputs, outputs and service of a run are from those of another, on the tasks that both have.

    Differences are the run's value minus the base's. Distances of distributions are 0 upwards; what two samples of one
    population make by chance is taken off. The same names are rules of a gate: {drift: output_js, max_value: 0.05}.
    """
    folder, other = api.drift_folders(run, base, results=results)
    with undisturbed(as_json):
        found = api.drift(folder, other, measures=measures, results=results, cache_dir=cache_dir)
    if as_json:
        print_json({"run": folder.name, "base": other.name, "drifts": [_document(drift) for drift in found]})
        return 0
    _print(found, folder, other)
    print_next(typed("show", folder.name, "--samples", results=results), typed("history", results=results))
    return 0


def _document(drift: Drift) -> dict[str, Any]:
    fields = ("task", "entry", "measure", "base", "run", "value", "low", "high", "p_value", "unit", "reason", "n_run", "n_base")
    return {name: getattr(drift, name) for name in fields}


def _print(found: Sequence[Drift], folder: Path, other: Path) -> None:
    out = console()
    out.print(Text(f"{folder.name} against {other.name}\n"), soft_wrap=True)
    for (task, entry), drifts in itertools.groupby(found, lambda drift: (drift.task, drift.entry)):
        shown = list(drifts)
        made = table("measure", "base", "run", "drift", "95 % interval", "p", "unit", title=f"{entry} × {task}")
        out.print(add_rows(made, [_cells(drift) for drift in shown if drift.value is not None]))
        left_out: dict[str, list[str]] = {}
        for drift in shown:
            if drift.value is None:
                left_out.setdefault(str(drift.reason), []).append(drift.measure)
        for reason, names in left_out.items():
            out.print(Text(f"not measured: {', '.join(names)}: {reason}", style="dim"), soft_wrap=True)
        out.print()
    embedding = [name for name, measure in MEASURES.items() if measure.needs_encoder and name not in {d.measure for d in found}]
    if embedding:
        out.print(Text(f"where the run has an encoder: --measure {' --measure '.join(embedding)}", style="dim"), soft_wrap=True)


def _cells(drift: Drift) -> list[object]:
    assert drift.value is not None
    places = decimals(drift.value, drift.low, drift.high)
    sides = [None if side is None else number(side, places) for side in (drift.base, drift.run)]
    known = drift.low is not None and drift.high is not None
    interval = f"[{number(drift.low or 0.0, places)}, {number(drift.high or 0.0, places)}]" if known else None
    is_sure = drift.p_value is not None and drift.p_value < _ALPHA
    value = Text(number(drift.value, places), style="bold" if is_sure else "")
    return [drift.measure, *sides, value, interval, None if drift.p_value is None else _p(drift.p_value), drift.unit or None]


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
