"""``harness noise``: runs a config several times, and keeps how much its numbers move by themselves."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from harness import api
from harness.cli.configs import config_or_default
from harness.cli.options import CacheDir, Config, Json, Overrides, Results
from harness.cli.output import DEFAULT_RESULTS, add_rows, console, print_json, print_next, table, typed, undisturbed
from harness.cli.progress import watching
from harness.errors import StoreError
from harness.store import find_run, read_record


def command(
    config: Config = None,
    repeats: Annotated[int, typer.Option("--repeats", metavar="N", min=2, help="Runs in all, earlier ones among them.")] = 5,
    results: Results = DEFAULT_RESULTS,
    overrides: Overrides = None,
    new: Annotated[bool, typer.Option("--new", help="Leave earlier runs of this command out.")] = False,
    cache_dir: CacheDir = None,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no table.")] = False,
) -> int:
    """Measure the run-to-run noise of a config: how much its numbers move when nothing has changed.

    Every run asks every model anew. The runs are kept in RESULTS/noise, apart from those that are compared; a command that was
    stopped goes on with the run that it was at. What is found goes into RESULTS/noise.json, and harness gate reckons with it.
    """
    path = config_or_default(config, "harness noise")
    with undisturbed(as_json), watching(quiet) as listener:
        found = api.noise(
            path, repeats=repeats, results=results, overrides=overrides or [], new=new, cache_dir=cache_dir, listener=listener
        )
    if as_json:
        units = [{"entry": entry, "task": task, "metric": metric, **dataclasses.asdict(noise)}
                 for entry, task, metric, noise in found.rows()]  # fmt: skip
        print_json({"config": found.config, "runs": list(found.runs), "noise": units})
    elif not quiet:
        _print(found)
        print_next(_next(found.config, path, results))
    return 0


def _next(config: str, path: Path, results: Path) -> str:
    """The gate, where a run of the config has a policy; else a run."""
    latest = f"latest:{config}"
    try:
        policy = read_record(find_run(results, latest)).config.get("gate")
    except StoreError:
        policy = None
    if not policy:
        return typed("run", str(path), results=results)
    return typed("gate", latest, *([] if policy.get("baseline") else ["--baseline", "main"]), results=results)


def _print(found: api.MeasuredNoise) -> None:
    out = console()
    made = table("entry", "task", "metric", "mean", "sd of the runs", "of it run to run",
                 title=f"{found.config}: {len(found.runs)} runs")  # fmt: skip
    rows = []
    for entry, task, metric, noise in found.rows():
        mean = sum(noise.values) / len(noise.values)
        rows.append([entry, task, metric, f"{mean:.4g}", f"{noise.sd:.2g}", f"{noise.variance ** 0.5:.2g}"])
    out.print(add_rows(made, rows))
    out.print()
    out.print(Text("run to run: what moves all samples of a run together. The rest is the samples' own noise, which a paired "
                   "comparison sees by itself.", style="dim"), soft_wrap=True)  # fmt: skip
