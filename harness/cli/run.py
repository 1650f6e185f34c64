"""``harness run``: a config in; a run folder, a leaderboard and an exit code out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from harness import api
from harness.cli.configs import config_or_default
from harness.cli.options import CacheDir, Config, Json, Overrides, Results
from harness.cli.output import DEFAULT_RESULTS, console, print_json, print_next, typed
from harness.cli.progress import watching
from harness.cli.result import missing_lines, print_leaderboard, run_document


def command(
    config: Config = None,
    results: Results = DEFAULT_RESULTS,
    overrides: Overrides = None,
    new: Annotated[bool, typer.Option("--new", help="Start anew even if an unfinished run has the same plan.")] = False,
    cache_dir: CacheDir = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Ask every model anew. Weights and indexes are kept.")] = False,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no leaderboard.")] = False,
) -> int:
    """Run a config, or go on with it where it was stopped.

    Exit code 0, or 4 if more than max_missing of some outputs are missing. Progress goes to stderr.
    """
    path = config_or_default(config, "harness run")
    with watching(quiet) as listener:
        run = api.run(
            path, results=results, overrides=overrides or (), cache_dir=cache_dir, use_cache=not no_cache, new=new,
            listener=listener, command=_again(path, results, overrides or [], cache_dir, no_cache),
        )  # fmt: skip
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


def _again(path: Path, results: Path, overrides: list[str], cache_dir: Path | None, no_cache: bool) -> str:
    """The command that goes on with this run: the same, but never ``--new``."""
    words = ["run", str(path)]
    for override in overrides:
        words += ["--set", override]
    words += [] if cache_dir is None else ["--cache-dir", str(cache_dir)]
    return typed(*words, *(["--no-cache"] if no_cache else []), results=results)


def _print_ending(run: api.Run, results: Path) -> None:
    shown = [entry for entry in run.path.iterdir() if not entry.name.startswith(".")]
    files = ", ".join(sorted(entry.name + ("/" if entry.is_dir() else "") for entry in shown))
    seconds = run.record.timings.get("seconds", 0.0)
    out = console()
    out.print()
    out.print(Text(f"{run.run_id}: finished in {seconds:.1f} s"), soft_wrap=True)
    out.print(Text(f"{run.path}: {files}"), soft_wrap=True)
    words = ["show", run.run_id, "--samples", *(["--failed"] if missing_lines(run.record) else [])]
    print_next(typed(*words, results=results))
