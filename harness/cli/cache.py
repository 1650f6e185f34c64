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
from harness.cli.output import add_rows, console, print_json, print_next, table, typed
from harness.engine.cache import DamagedCache, cache_stats, clear_cache
from harness.errors import StoreError, UsageError


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
    if action is Action.clear:
        return _clear(folder, yes, as_json)
    return _stats(folder, typed("cache", "clear", *([] if cache_dir is None else ["--cache-dir", str(cache_dir)])), as_json)


def _stats(folder: Path, to_clear: str, as_json: bool) -> int:
    try:
        stats: dict[str, Any] = cache_stats(folder)
    except DamagedCache as error:
        raise StoreError(f"{error}\ndelete it with: {to_clear}") from error
    if as_json:
        print_json(stats)
        return 0
    rows = [("file", stats["path"]), ("answers", stats["answers"]), ("size", _size(stats["bytes"])),
            ("oldest", _when(stats["oldest"])), ("newest", _when(stats["newest"]))]  # fmt: skip
    shown = add_rows(table("", ""), rows)
    shown.show_header = False
    console().print(shown)
    print_next(to_clear if stats["answers"] else "harness run")
    return 0


def _clear(folder: Path, yes: bool, as_json: bool) -> int:
    if not yes:
        if as_json or sys.stdin is None or not sys.stdin.isatty():
            raise UsageError("harness cache clear: say --yes where nobody can be asked")
        if not typer.confirm(_question(folder), err=True):
            return 0
    cleared = clear_cache(folder)
    if as_json:
        print_json({"path": str(cleared.path), "cleared": cleared.answers, "deleted": cleared.was_damaged})
        return 0
    said = f"{cleared.path} was damaged: deleted" if cleared.was_damaged else f"{cleared.answers} answers forgotten"
    console().print(said, soft_wrap=True)
    print_next("harness run")
    return 0


def _question(folder: Path) -> str:
    try:
        stats = cache_stats(folder)
    except DamagedCache as error:
        return f"{error}. Delete it?"
    return f"Forget {stats['answers']} answers in {stats['path']}?"


def _size(n: int) -> str:
    size, unit = float(n), "B"
    for larger in ("kB", "MB", "GB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{n} B" if unit == "B" else f"{size:.1f} {unit}"


def _when(seconds: float | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
