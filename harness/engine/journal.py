"""The journal: every output on disk under its key before it counts, one JSON line each.

The file begins with a header line. Before a unit's first output the hash of its model's signature stands in a line of its own,
``{"s": [unit, hash]}``. The outputs of one unit's chunk follow a marker ``{"c": [unit, chunk]}``; a resumed run may open a
chunk again, so one chunk can have several segments. Lines are appended with one ``write`` a batch, so a killed
process leaves at most one torn line, the last; a power cut costs what was written since the last sync, at most a second.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.codec import (
    decode_output,
    digest,
    dumps,
    encode_answer,
    encode_key,
    encode_output,
    encode_request,
    fragment,
    loads,
)
from harness.engine.sound import failed, problem_of
from harness.errors import DataError, StoreError, Unwritable
from harness.store import writing
from harness.types import Key, Output, Request, Usage

SCHEMA = 1
_MARK, _SIGNATURE = b'{"c":', b'{"s":'
_SYNC_SECONDS = 1.0


@dataclass(slots=True)
class Entry:
    """An output as it stands in the journal, under the hash of the request that it answers. Never changed.

    ``answer``: its answer as JSON, where that is at hand.
    """

    output: Output
    request: str
    line: bytes
    cached: bool = False
    answer: bytes | None = None


def request_hash(request: Request) -> str:
    """16 hexadecimal digits: enough to tell whether a key was asked the same before."""
    return digest(encode_request(request), size=8)


def entry_of(output: Output, request: str, *, cached: bool = False) -> Entry:
    """The output with its line; one that JSON cannot hold (a lone surrogate in a text) becomes an error."""
    try:
        answer = None if output.answer is None else dumps(encode_answer(output.answer))
        encoded = encode_output(output, answer)
        encoded["h"] = request
        if cached:
            encoded["cached"] = True
        return Entry(output, request, dumps(encoded), cached, answer)
    except TypeError as error:
        lost = failed(output.key, f"the answer cannot be stored: {error}")
        return Entry(lost, request, dumps({**encode_output(lost), "h": request}))


def entry_from_cache(line: bytes, key: Key, request: str) -> Entry | None:
    """The line of an output that answered the same request for some key, as the output of this one; None if it is damaged or
    holds no answer that a backend may give."""
    try:
        encoded = loads(line)
        encoded["k"], encoded["h"], encoded["cached"] = encode_key(key), request, True
        output = decode_output(encoded)
    except (ValueError, KeyError, TypeError, AttributeError, DataError):
        return None
    if output.error is not None or problem_of(output.answer) is not None:
        return None
    answer = dumps(encoded["a"])
    encoded["a"] = fragment(answer)
    return Entry(output, request, dumps(encoded), True, answer)


class Journal:
    """Append-only; opened by one process at a time (its caller holds the folder's lock)."""

    def __init__(
        self, path: Path, header: Mapping[str, Any] | None = None, say: Callable[[str], None] = lambda message: None
    ) -> None:
        """Create the journal with this header, or, without one, go on with the journal that is there."""
        self._say = say
        self._segments: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self._signatures: dict[int, str] = {}
        self._current: tuple[int, int] | None = None
        self._error: OSError | None = None
        self._path = path
        flags = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)
        with writing(path):
            self._file = os.open(path, flags if header is None else flags | os.O_CREAT | os.O_EXCL, 0o644)
        if header is not None:
            self._append(dumps({"schema": SCHEMA, **header}) + b"\n")
        else:
            self._drop_torn_line()
            self._index(path)
        self._dirty = threading.Event()
        self._stop = threading.Event()
        self._syncer = threading.Thread(target=self._sync_every_second, name="journal-sync", daemon=True)
        self._syncer.start()

    def chunk(self, unit: int, chunk: int) -> dict[Key, Entry]:
        """What is journaled of one chunk. The last line of a key counts."""
        found: dict[Key, Entry] = {}
        for start, end in self._segments.get((unit, chunk), ()):
            for line in self._read(start, end).splitlines():
                try:
                    encoded = loads(line)
                    entry = Entry(decode_output(encoded), encoded["h"], line, "cached" in encoded)
                except (ValueError, KeyError, TypeError, DataError):
                    self._say(f"{self._path}: dropped a line that cannot be read: {line[:60]!r}")
                    continue
                found[entry.output.key] = entry
        return found

    def start_unit(self, unit: int, signature: str) -> None:
        """Note which model a unit's outputs are of.

        Raises StoreError where the journal has outputs of another one: its weights or files changed since.
        """
        answered = any(answered == unit for answered, _ in self._segments)
        if answered and self._signatures.setdefault(unit, signature) != signature:
            raise StoreError(
                f"the unfinished run in {self._path.parent} has answers of another model than this one: its files, its weights "
                "or the versions that it depends on have changed since; start a new run with --new"
            )
        if not answered:
            self._signatures[unit] = signature
            self._append(dumps({"s": (unit, signature)}) + b"\n")
            self._current = None

    def write(self, unit: int, chunk: int, entries: Iterable[Entry]) -> None:
        """Append outputs; when this returns they survive the death of the process."""
        lines = [entry.line for entry in entries]
        if not lines:
            return
        if self._current != (unit, chunk):
            lines.insert(0, dumps({"c": (unit, chunk)}))
        self._append(b"\n".join(lines) + b"\n")
        self._current = (unit, chunk)
        self._dirty.set()

    def close(self) -> None:
        """Sync and close. Raises StoreError if the disk refused a sync."""
        self._stop.set()
        self._dirty.set()
        self._syncer.join()
        try:
            os.fsync(self._file)
        except OSError as error:
            self._error = error
        os.close(self._file)
        self._raise_sync_error()

    def _append(self, data: bytes) -> None:
        self._raise_sync_error()
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            raise Unwritable(f"{self._path} cannot be written: {error.strerror}; what was written before is safe") from error

    def _raise_sync_error(self) -> None:
        if self._error is not None:
            raise Unwritable(f"{self._path} cannot be synced: {self._error.strerror}") from self._error

    def _sync_every_second(self) -> None:
        while not self._stop.wait(_SYNC_SECONDS):
            if self._dirty.is_set():
                self._dirty.clear()
                try:
                    os.fsync(self._file)
                except OSError as error:
                    self._error = error
                    return

    def _drop_torn_line(self) -> None:
        end = size = os.lseek(self._file, 0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65536)
            newline = self._read(start, end).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            os.ftruncate(self._file, end)
            self._say(f"dropped a torn last line of {size - end} bytes from the journal; its output will be made again")

    def _index(self, path: Path) -> None:
        position, current, start = 0, None, 0
        with path.open("rb") as stream:
            for line in stream:
                if line.startswith(_SIGNATURE):
                    self._close_segment(current, start, position)
                    current = None
                    self._note_signature(line)
                elif line.startswith(_MARK):
                    self._close_segment(current, start, position)
                    try:
                        unit, chunk = loads(line)["c"]
                    except (ValueError, TypeError):
                        current = None
                    else:
                        current, start = (unit, chunk), position + len(line)
                position += len(line)
        self._close_segment(current, start, position)

    def _note_signature(self, line: bytes) -> None:
        try:
            unit, signature = loads(line)["s"]
        except (ValueError, TypeError):
            return
        self._signatures[unit] = signature

    def _close_segment(self, current: tuple[int, int] | None, start: int, end: int) -> None:
        if current is not None and end > start:
            self._segments.setdefault(current, []).append((start, end))

    def _read(self, start: int, end: int) -> bytes:
        with os.fdopen(os.dup(self._file), "rb") as stream:
            stream.seek(start)
            return stream.read(end - start)


def read_header(path: Path) -> Mapping[str, Any] | None:
    """The header of a journal, or None if it has none that can be read (killed before its first line was whole)."""
    try:
        with path.open("rb") as stream:
            line = stream.readline()
        header = loads(line) if line.endswith(b"\n") else None
    except (OSError, ValueError):
        return None
    return header if isinstance(header, dict) and header.get("schema") == SCHEMA else None


@dataclass(frozen=True, slots=True)
class Answered:
    """What a journal says of one output: its unit and key, the hash of its request, and what it took (None from the cache)."""

    unit: int
    key: Key
    request: str
    usage: Usage | None


def read_answered(path: Path) -> Iterator[Answered]:
    """Every output of a journal that this process need not hold the lock of. Lines that cannot be read are passed over."""
    unit: int | None = None
    with path.open("rb") as stream:
        for line in stream:
            try:
                if line.startswith(_MARK):
                    unit = loads(line)["c"][0]
                elif line.startswith(_SIGNATURE):
                    unit = None
                elif unit is not None:
                    encoded = loads(line)
                    usage = Usage(*encoded["usage"]) if "usage" in encoded and "cached" not in encoded else None
                    yield Answered(unit, Key(*encoded["k"]), encoded["h"], usage)
            except (ValueError, KeyError, TypeError):
                continue
