"""What commands print: tables and panels on stdout, or JSON and nothing else; people's hints last."""

from __future__ import annotations

import atexit
import contextlib
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report.summary import TextTable
from harness.store import pretty

JSON_SCHEMA = 1
DEFAULT_RESULTS = Path("results")
_WIDTH_OF_A_FILE = 160
_STDOUT = 1


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


@contextlib.contextmanager
def undisturbed(wanted: bool = True) -> Iterator[None]:
    """Within, whatever else prints (metrics, suites, apps, and the programs that they start) prints to stderr, so that stdout
    can be JSON and nothing else."""
    with _diverted() if wanted else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def _diverted() -> Iterator[None]:
    stdout = sys.stdout
    aside: Any = _Aside(stdout)
    sys.stdout = aside
    try:
        with _descriptor_diverted(stdout):
            yield
    finally:
        aside.is_open = False
        if sys.stdout is aside:
            sys.stdout = stdout


class _Aside:
    """Stands for ``sys.stdout``; what is put before it meanwhile, and stays there, reaches stdout through it afterwards."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.is_open = True

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr if self.is_open else self._stream, name)


@contextlib.contextmanager
def _descriptor_diverted(stdout: Any) -> Iterator[None]:
    """C libraries and child processes write to descriptor 1 whatever ``sys.stdout`` is."""
    stderr = _descriptor(sys.stderr)
    if _descriptor(stdout) != _STDOUT or stderr is None:
        yield
        return
    stdout.flush()
    kept = os.dup(_STDOUT)
    os.dup2(stderr, _STDOUT)
    try:
        yield
    finally:
        stdout.flush()  # what somebody wrote to sys.__stdout__
        _flush_c()
        os.dup2(kept, _STDOUT)
        os.close(kept)
        atexit.register(_divert_for_good, stdout, stderr)  # it is called before what was registered within


def _descriptor(stream: Any) -> int | None:
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None


def _flush_c() -> None:
    """What C has printed waits in a buffer of its own, which would be written when the process ends."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError, TypeError):
        (ctypes.cdll.ucrtbase if sys.platform == "win32" else ctypes.CDLL(None)).fflush(None)


def _divert_for_good(stdout: Any, stderr: int) -> None:
    with contextlib.suppress(OSError, ValueError):
        stdout.flush()
        os.dup2(stderr, _STDOUT)


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


def fitted(part: TextTable, width: int, dispensable: Sequence[str] = ()) -> TextTable:
    """The table for so many columns: where it is wider, what stands in brackets goes below, and then the columns that can be
    missed are left out, the first first."""
    if width_of(part) > width:
        part = replace(part, rows=tuple(tuple(cell.replace(" [", "\n[") for cell in row) for row in part.rows))
    for header in dispensable:
        if width_of(part) > width and header in part.headers:
            part = without(part, header)
    return part


def without(part: TextTable, header: str) -> TextTable:
    """The table less a column."""
    place = part.headers.index(header)
    headers, *rows = ((*line[:place], *line[place + 1 :]) for line in (part.headers, *part.rows))
    return TextTable(part.title, headers, tuple(rows))


def width_of(part: TextTable) -> int:
    """How many columns it takes on a terminal that has them."""
    columns = zip(part.headers, *part.rows)
    return sum(2 + max(len(line) for cell in column for line in cell.split("\n")) for column in columns)
