"""Answers kept across runs: SQLite in WAL mode, one file, safe with several processes at once."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.codec import digest, dumps
from harness.errors import StoreError
from harness.types import Call, Generate

_FILE = "answers.sqlite"
_TABLE = "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, value BLOB, time REAL) WITHOUT ROWID"
_LOOKUP = 500  # SQLite's limit on host parameters is 999 in old builds


class Cache:
    """Maps the hash of (model signature, request, repeat, seed) to an encoded output.

    A cache that cannot be read or written is told once through ``say`` and from then on does nothing: it saves work, it is
    never needed.
    """

    def __init__(self, folder: Path, say: object = None) -> None:
        self.path = folder / _FILE
        self._say = say
        self._connection: sqlite3.Connection | None = None
        self.broken: str | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.path, timeout=60, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute(_TABLE)
        except (sqlite3.Error, OSError) as error:
            self._fail(error)

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Those of the keys that are known, with their values."""
        found: dict[bytes, bytes] = {}
        if self._connection is None:
            return found
        try:
            for start in range(0, len(keys), _LOOKUP):
                part = keys[start : start + _LOOKUP]
                marks = ",".join("?" * len(part))
                found.update(self._connection.execute(f"SELECT key, value FROM answers WHERE key IN ({marks})", part))
        except sqlite3.Error as error:
            self._fail(error)
        return found

    def put(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep these values; one transaction, sorted by key, so that a batch costs one walk through the tree."""
        if self._connection is None:
            return
        now = time.time()
        rows = sorted((key, value, now) for key, value in items)
        if not rows:
            return
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", rows)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._fail(error)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _fail(self, error: Exception) -> None:
        self.broken = f"the answer cache {self.path} cannot be used ({error}); going on without it"
        if callable(self._say):
            self._say(self.broken)
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None


def cache_keys(model_hash: str, calls: Sequence[tuple[Call, str]]) -> list[bytes]:
    """The keys of calls, each with the hash of its request, to the model whose signature has that hash.

    Where the answer is drawn at random it belongs to the sample and the step too: two samples that are asked the same
    draw for themselves.
    """
    model = model_hash.encode()
    return [bytes.fromhex(digest(model, request.encode(), _draw(call))) for call, request in calls]


def _draw(call: Call) -> bytes:
    key = call.key
    drawn = isinstance(call.request, Generate) and call.request.decoding.temperature > 0
    return dumps([key.repeat, call.seed, *([key.sample_id, key.arm, key.step] if drawn else [])])


def cache_stats(folder: Path) -> dict[str, object]:
    """``{"path", "answers", "bytes", "oldest", "newest"}``; times in seconds since 1970 or None."""
    path = folder / _FILE
    if not path.is_file():
        return {"path": str(path), "answers": 0, "bytes": 0, "oldest": None, "newest": None}
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as connection:
            count, oldest, newest = connection.execute("SELECT COUNT(*), MIN(time), MAX(time) FROM answers").fetchone()
    except sqlite3.Error as error:
        raise StoreError(f"the answer cache {path} cannot be read: {error}") from error
    size = sum(p.stat().st_size for p in path.parent.glob(f"{_FILE}*"))
    return {"path": str(path), "answers": count, "bytes": size, "oldest": oldest, "newest": newest}


def clear_cache(folder: Path) -> int:
    """Forget every answer (never weights, indexes or converted files); returns how many there were."""
    path = folder / _FILE
    if not path.is_file():
        return 0
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as connection:
            count = int(connection.execute("SELECT COUNT(*) FROM answers").fetchone()[0])
            connection.execute("DELETE FROM answers")
            connection.execute("VACUUM")
    except sqlite3.Error as error:
        raise StoreError(f"the answer cache {path} cannot be cleared: {error}") from error
    return count
