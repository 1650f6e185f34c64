"""What commands print: tables and panels on stdout, or JSON and nothing else; people's hints last."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.store import pretty

JSON_SCHEMA = 1
DEFAULT_RESULTS = Path("results")
_WIDTH_OF_A_FILE = 160


def console(*, stderr: bool = False) -> Console:
    """A console that takes no text for markup; in a file or a pipe it is wide enough to leave tables whole."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else _WIDTH_OF_A_FILE
    return _Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


class _Console(Console):
    """A console that leaves a pipe that nobody reads to :func:`harness.cli.main`; rich would exit with 1, our "regressed"."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON document on stdout, with ``schema``; NaN and infinities become null."""
    sys.stdout.write(pretty({"schema": JSON_SCHEMA, **document}).decode())


def print_next(*commands: str) -> None:
    """The last line of a command: what is useful to type now."""
    sys.stdout.flush()
    console().print(Text(f"next: {'   or: '.join(commands)}", style="dim"), soft_wrap=True)


def typed(*words: str, results: Path = DEFAULT_RESULTS) -> str:
    """A command line to type, with ``--results`` where it is not the default."""
    place = () if results == DEFAULT_RESULTS else ("--results", str(results))
    return shlex.join(["harness", *words, *place])


def table(*headers: str, title: str | None = None) -> Table:
    """An empty table of the house style; add rows with :func:`add_rows`."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", title_justify="left", title_style="bold")
    made.title = None if title is None else Text(title)
    for header in headers:
        made.add_column(Text(header))
    return made


def add_rows(made: Table, rows: Iterable[Iterable[object]]) -> Table:
    """Add rows of anything that has a text; None is shown as a dash."""
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text("–" if cell is None else str(cell)) for cell in row))
    return made
