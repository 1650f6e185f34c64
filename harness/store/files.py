"""The files of a run folder: what they are called, and how a file is written so that nobody reads half of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.codec import dumps, loads
from harness.errors import StoreError, Unwritable

SCHEMA = 1
"""The schema of ``run.json`` and ``samples.parquet``. Its history: 1 (0.1.0) the first."""

RECORD, SAMPLES, JOURNAL = "run.json", "samples.parquet", "journal.jsonl"
_PATIENCE_S = 60.0


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Within, what keeps ``path`` from being written (a full disk, a folder that must not be) is an Unwritable naming it."""
    try:
        yield
    except OSError as error:
        raise Unwritable(f"{path} cannot be written: {os.strerror(error.errno) if error.errno else error}") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write to a neighbour, sync, rename: readers see the old file or the new one, never half of it. One writer at a time."""
    temporary = path.with_name(f".{path.name}.tmp")
    with writing(path):
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make renames in a folder last through a power cut, where the system lets a folder be synced."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def pretty(value: Any) -> bytes:
    """Indented JSON for files that people read too. NaN never gets in: it is null."""
    import orjson

    return orjson.dumps(loads(dumps(value)), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Within, no other process is between reading and writing ``path``, a file beside the runs; its folder is made.

    Raises StoreError if another process does not let go of it for a minute.
    """
    from filelock import FileLock, Timeout

    beside = path.with_name(f".{path.name}.lock")
    lock = FileLock(beside, timeout=_PATIENCE_S)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout as error:
            raise StoreError(f"another process has held {beside} for {_PATIENCE_S:g} s: end it, and try again") from error
    try:
        yield
    finally:
        lock.release()


def read_shared(path: Path, schema: int) -> dict[str, Any] | None:
    """The JSON object of a file beside the runs, None where there is no such file.

    Raises StoreError where it is damaged or of a newer schema: it is then for a person to mend, and never written over.
    """
    try:
        document = loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise damaged(path, str(error)) from error
    if not isinstance(document, dict) or not isinstance(document.get("schema"), int):
        raise damaged(path, "it has no schema")
    if document["schema"] > schema:
        raise StoreError(f"{path} has schema {document['schema']}, this harness reads up to {schema}: upgrade harness-eval")
    return document


def damaged(path: Path, why: str) -> StoreError:
    """The error of a file beside the runs that is not what it must be."""
    return StoreError(f"{path} is damaged: {why}; mend it or move it away, it is not written over")
