"""``harness list``: runs and tasks of this project, and the plug-ins that are installed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.catalogue import list_metrics, list_plugins
from harness.cli.options import Json, Results
from harness.cli.output import DEFAULT_RESULTS, add_rows, console, print_json, print_next, table, typed
from harness.errors import HarnessError, StoreError, UsageError, did_you_mean
from harness.store import find_run, is_finished, read_record, run_folders


class Kind(StrEnum):
    """What can be listed."""

    runs = "runs"
    tasks = "tasks"
    metrics = "metrics"
    backends = "backends"
    suites = "suites"
    formats = "formats"


def command(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"What to list: {', '.join(Kind)}.")],
    name: Annotated[str | None, typer.Argument(help="Only this one, with everything there is to know of it.")] = None,
    results: Results = DEFAULT_RESULTS,
    as_json: Json = False,
) -> int:
    """List the runs and tasks of this project, or the metrics, backends, suites and data formats that are installed."""
    lists: Mapping[Kind, Callable[[], int]] = {
        Kind.runs: lambda: _list_runs(results, name, as_json),
        Kind.tasks: lambda: _list_tasks(name, as_json),
        Kind.metrics: lambda: list_metrics(name, as_json),
        Kind.backends: lambda: list_plugins("backend", name, as_json),
        Kind.suites: lambda: list_plugins("suite", name, as_json),
        Kind.formats: lambda: list_plugins("format", name, as_json),
    }
    if kind not in lists:
        raise UsageError(f"harness list: cannot list {kind!r}{did_you_mean(kind, [known.value for known in Kind])}")
    return lists[Kind(kind)]()


# ── runs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _list_runs(results: Path, name: str | None, as_json: bool) -> int:
    folders = run_folders(results) if name is None else [find_run(results, name)]
    runs = [_run_document(folder) for folder in folders]
    if as_json:
        print_json({"runs": runs})
        return 0
    if not runs:
        console().print(f"no runs in {results}", soft_wrap=True)
        print_next("harness run")
        return 0
    rows = [[run["run_id"], run["name"], _when(run["started"]), run["entries"], run["tasks"], run["status"]] for run in runs]
    console().print(add_rows(table("run", "config", "started", "entries", "tasks", "status"), rows))
    finished = [run for run in runs if run["finished"]]
    print_next(typed("show", finished[-1]["run_id"], results=results) if finished else "harness run")
    return 0


def _run_document(folder: Path) -> dict[str, Any]:
    """What a folder says of itself; one that is damaged or unfinished is listed as such."""
    known: dict[str, Any] = {
        "run_id": folder.name, "path": str(folder), "finished": is_finished(folder), "status": "unfinished", "name": None,
        "started": None, "seconds": None, "entries": None, "tasks": None, "parent": None,
    }  # fmt: skip
    if not known["finished"]:
        return known
    try:
        record = read_record(folder)
    except StoreError as error:
        return {**known, "finished": False, "status": str(error)}
    entries = {estimate["entry"] for estimate in record.estimates}
    tasks = {estimate["task"] for estimate in record.estimates}
    status = f"scored again from {record.parent}" if record.parent else "finished"
    return {
        **known, "status": status, "name": record.name, "started": record.timings.get("started"),
        "seconds": record.timings.get("seconds"), "entries": len(entries), "tasks": len(tasks), "parent": record.parent,
    }  # fmt: skip


def _when(seconds: float | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


# ── tasks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _list_tasks(name: str | None, as_json: bool) -> int:
    folder = _tasks_folder()
    files = sorted(path for pattern in ("*.yaml", "*.yml") for path in folder.rglob(pattern))
    tasks = [_task_document(path) for path in files]
    if name is not None:
        names = [task["name"] for task in tasks]
        if name not in names:
            raise UsageError(f"harness list tasks: no task {name!r} in {folder}{did_you_mean(name, names)}")
        tasks = [task for task in tasks if task["name"] == name]
    if as_json:
        print_json({"tasks": tasks})
        return 0
    rows = [[t["name"], t["suite"], t["version"], t["problem"] or ", ".join(t["metrics"]), t["path"]] for t in tasks]
    console().print(add_rows(table("task", "suite", "version", "metrics", "file"), rows) if rows else f"no tasks in {folder}")
    print_next("harness validate" if rows else "harness init")
    return 0


def _tasks_folder() -> Path:
    """``tasks/`` here, or in the nearest folder above that has one."""
    here = Path.cwd()
    found = next((folder / "tasks" for folder in (here, *here.parents) if (folder / "tasks").is_dir()), here / "tasks")
    return found.relative_to(here) if found.is_relative_to(here) else found


def _task_document(path: Path) -> dict[str, Any]:
    from harness.config import load_task

    try:
        task = load_task(path)
    except HarnessError as error:
        return {"name": path.stem, "suite": None, "version": None, "metrics": [], "path": str(path), "problem": str(error)}
    return {
        "name": task.name, "suite": task.suite_name, "version": task.version, "metrics": list(task.metric_specs),
        "path": str(path), "problem": None,
    }  # fmt: skip
