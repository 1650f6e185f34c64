"""Stored outputs in a file of JSON lines: where each begins is kept in memory, the lines stay on disk."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from harness.codec import loads
from harness.errors import DataError
from harness.models.stored import ANSWERS_TO, check_row, row_key, row_output
from harness.types import Call, Key, Output

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


class JsonLines:
    """Reads and checks the whole file when it is made.

    Raises DataError ``file:line: …`` for a line that is no JSON object or not of the form of ``stored.row_output``, and for
    an id that comes twice (with the same repeat and task), naming both lines.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._task: str | None = None
        self._starts: dict[tuple[str | None, int], dict[str, int]] = {}
        try:
            self._file = _seekable(path)
        except (OSError, EOFError) as error:
            raise DataError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
        try:
            self._index()
        except BaseException:
            self._file.close()
            raise

    def start_task(self, task: str) -> Literal["own", "shared"]:
        """Answer for this task from now on: with lines that name it, and with lines that name none."""
        self._task = task
        return "shared" if any(name is None for name, _ in self._starts) else "own"

    def find(self, call: Call) -> Output | None:
        """The stored output, or None. A line that names the task comes before one that names none."""
        key = call.key
        for task in (self._task, None):
            start = self._starts.get((task, key.repeat), {}).get(key.sample_id)
            if start is not None:
                self._file.seek(start)
                row = loads(_line(self._file.readline(), start))
                return row_output(row, key, ANSWERS_TO[type(call.request)])
        return None

    def close(self) -> None:
        self._file.close()

    def _index(self) -> None:
        for number, start, line in self._lines():
            try:
                row = loads(line)
            except ValueError as error:
                raise DataError(f"{self._path}:{number}: not JSON: {error}") from error
            try:
                task, key = self._note(row)
            except DataError as error:
                raise DataError(f"{self._path}:{number}: {error}") from error
            starts = self._starts.setdefault((task, key.repeat), {})
            if key.sample_id in starts:
                raise DataError(f"{self._path}:{number}: id {key.sample_id!r}{f' (repeat {key.repeat})' if key.repeat else ''} "
                                f"stands already in line {self._number_of(starts[key.sample_id])}")
            starts[key.sample_id] = start

    def _note(self, row: Any) -> tuple[str | None, Key]:
        if not isinstance(row, dict):
            raise DataError(f"expected an object, got {type(row).__name__}")
        key = row_key(row)
        check_row(row, key)
        return _task_of(row), key

    def _lines(self) -> Iterator[tuple[int, int, bytes]]:
        """Number, first byte and text of every line that is not blank."""
        start = 0
        self._file.seek(0)
        for number, line in enumerate(self._file, 1):
            if line.strip():
                yield number, start, _line(line, start)
            start += len(line)

    def _number_of(self, start: int) -> int:
        return next(number for number, begin, _ in self._lines() if begin == start)


def _seekable(path: Path) -> BinaryIO:
    file = path.open("rb")
    zipped = file.read(2) == _GZIP
    if not zipped:
        return file
    with file, gzip.GzipFile(path, "rb") as packed:
        unpacked = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as its reader
        shutil.copyfileobj(packed, unpacked)
    return cast("BinaryIO", unpacked)


def _line(line: bytes, start: int) -> bytes:
    return line.removeprefix(_BOM) if start == 0 else line


def _task_of(row: Mapping[str, Any]) -> str | None:
    task = row.get("task")
    if task is not None and not isinstance(task, str):
        raise DataError(f"task must be a string, got {task!r}")
    return task
