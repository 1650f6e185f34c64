"""``harness run``: a config in; a run folder, a leaderboard and an exit code out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, TypedDict

import typer
from rich.text import Text

from harness import api
from harness.cli.configs import config_or_default
from harness.cli.forecast import forecast_document, print_forecast
from harness.cli.options import CacheDir, Config, Json, Overrides, Results
from harness.cli.output import DEFAULT_RESULTS, console, print_json, print_next, typed, undisturbed
from harness.cli.progress import watching
from harness.cli.result import missing_lines, print_leaderboard, run_document


def command(
    config: Config = None,
    results: Results = DEFAULT_RESULTS,
    overrides: Overrides = None,
    new: Annotated[bool, typer.Option("--new", help="Start anew even if an unfinished run has the same plan.")] = False,
    cache_dir: CacheDir = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Ask every model anew. Weights and indexes are kept.")] = False,
    device: Annotated[str | None, typer.Option("--device", help="Run every local model there: cpu, cuda, cuda:1, mps.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be asked, cost and take. Asks nobody.")] = False,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no leaderboard.")] = False,
) -> int:
    """Run a config, or go on with it where it was stopped.

    Exit code 0, or 4 if more than max_missing of some outputs are missing. Progress goes to stderr.
    """
    path = config_or_default(config, "harness run")
    given: _Given = {"results": results, "overrides": overrides or [], "device": device, "cache_dir": cache_dir,
                     "use_cache": not no_cache}  # fmt: skip
    if dry_run:
        _say_beforehand(path, given, new=new, as_json=as_json, quiet=quiet)
        return 0
    with undisturbed(as_json), watching(quiet) as listener:
        run = api.run(path, **given, new=new, listener=listener, command=_again(path, given))
    code = run.exit_code
    if as_json:
        print_json(run_document(run, code))
    elif not quiet:
        print_leaderboard(run.record)
        _print_ending(run, results)
    if code:
        reason = f"too many outputs are missing (more than max_missing): exit code {code}"
        print("\n".join([*missing_lines(run.record), reason]), file=sys.stderr)
    return code


class _Given(TypedDict):
    """What the command line says of a run, as ``api.run`` and ``api.forecast`` take it."""

    results: Path
    overrides: list[str]
    device: str | None
    cache_dir: Path | None
    use_cache: bool


def _say_beforehand(path: Path, given: _Given, *, new: bool, as_json: bool, quiet: bool) -> None:
    with undisturbed(as_json):
        found = api.forecast(path, **given, new=new)
    if as_json:
        print_json(forecast_document(found))
    elif not quiet:
        print_forecast(found)
        print_next(_again(path, given, *(["--new"] if new else [])))


def _again(path: Path, given: _Given, *more: str) -> str:
    """The command that goes on with this run: the same, but never ``--new``."""
    words = ["run", str(path)]
    for override in given["overrides"]:
        words += ["--set", override]
    words += [] if given["cache_dir"] is None else ["--cache-dir", str(given["cache_dir"])]
    words += [] if given["use_cache"] else ["--no-cache"]
    words += [] if given["device"] is None else ["--device", given["device"]]
    return typed(*words, *more, results=given["results"])


def _print_ending(run: api.Run, results: Path) -> None:
    shown = [entry for entry in run.path.iterdir() if not entry.name.startswith(".")]
    files = ", ".join(sorted(entry.name + ("/" if entry.is_dir() else "") for entry in shown))
    seconds = run.record.timings.get("seconds", 0.0)
    out = console()
    out.print()
    out.print(Text(f"{run.run_id}: finished in {seconds:.1f} s"), soft_wrap=True)
    out.print(Text(f"{run.path}: {files}"), soft_wrap=True)
    words = ["show", run.run_id, "--samples", *(["--failed"] if missing_lines(run.record) else [])]
    gated = [typed("gate", run.run_id, results=results)] if run.record.config.get("gate") else []
    print_next(*gated, typed(*words, results=results))
