"""``harness cache``: what the answer cache holds, or clear it."""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from harness import api
from harness.cli.options import CacheDir, Json
from harness.cli.output import add_rows, console, print_json, print_next, table
from harness.engine.cache import cache_stats, clear_cache
from harness.errors import UsageError


class Action(StrEnum):
    """What to do with it."""

    stats = "stats"
    clear = "clear"


def command(
    action: Annotated[Action, typer.Argument(help="stats or clear.")],
    cache_dir: CacheDir = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Clear without asking.")] = False,
    as_json: Json = False,
) -> int:
    """Show what the answer cache holds, or clear it. Weights, indexes and converted files are never touched."""
    folder = api.cache_folder(cache_dir) / "answers"
    return _stats(folder, as_json) if action is Action.stats else _clear(folder, yes, as_json)


def _stats(folder: Path, as_json: bool) -> int:
    stats: dict[str, Any] = cache_stats(folder)
    if as_json:
        print_json(stats)
        return 0
    rows = [("file", stats["path"]), ("answers", stats["answers"]), ("size", _size(stats["bytes"])),
            ("oldest", _when(stats["oldest"])), ("newest", _when(stats["newest"]))]  # fmt: skip
    shown = add_rows(table("", ""), rows)
    shown.show_header = False
    console().print(shown)
    print_next("harness cache clear" if stats["answers"] else "harness run")
    return 0


def _clear(folder: Path, yes: bool, as_json: bool) -> int:
    stats: dict[str, Any] = cache_stats(folder)
    if not yes:
        if not sys.stdin.isatty() or as_json:
            raise UsageError("harness cache clear: say --yes where nobody can be asked")
        if not typer.confirm(f"Forget {stats['answers']} answers in {stats['path']}?", err=True):
            return 0
    cleared = clear_cache(folder)
    if as_json:
        print_json({"path": stats["path"], "cleared": cleared})
        return 0
    console().print(f"{cleared} answers forgotten", soft_wrap=True)
    print_next("harness run")
    return 0


def _size(n: int) -> str:
    size, unit = float(n), "B"
    for larger in ("kB", "MB", "GB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{n} B" if unit == "B" else f"{size:.1f} {unit}"


def _when(seconds: float | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
