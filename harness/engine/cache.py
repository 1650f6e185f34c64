"""Answers kept across runs: SQLite in WAL mode, one file, safe with several processes at once."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.codec import dumps, prefixed
from harness.errors import StoreError
from harness.types import Call, Generate

_FILE = "answers.sqlite"
_TABLE = "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, value BLOB, time REAL) WITHOUT ROWID"
_LOOKUP = 500  # SQLite's limit on host parameters is 999 in old builds
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})  # the last: without our table


class DamagedCache(StoreError):
    """The file of the answer cache is no database, or not ours."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was cleared: so many answers, or a damaged file that is gone now."""

    path: Path
    answers: int
    was_damaged: bool


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


def known_keys(folder: Path, keys: Sequence[bytes]) -> set[bytes]:
    """Those of the keys that the cache in this folder has an answer to. Only reads; none where no cache can be read."""
    path = folder / _FILE
    if not path.is_file():
        return set()
    # A file that nobody has open can be read without the files beside it that SQLite would make.
    mode = "mode=ro" if path.with_name(f"{_FILE}-wal").exists() else "immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=60)) as connection:
            return {
                key
                for part in (keys[start : start + _LOOKUP] for start in range(0, len(keys), _LOOKUP))
                for (key,) in connection.execute(f"SELECT key FROM answers WHERE key IN ({','.join('?' * len(part))})", part)
            }
    except sqlite3.Error:
        return set()


def cache_keys(model_hash: str, calls: Sequence[tuple[Call, str]]) -> list[bytes]:
    """The keys of calls, each with the hash of its request, to the model whose signature has that hash.

    Where the answer is drawn at random it belongs to the sample and the step too: two samples that are asked the same
    draw for themselves.
    """
    model, plain = prefixed(model_hash.encode()), dict[tuple[int, int], bytes]()
    parts = (model + prefixed(request.encode(), _draw(call, plain)) for call, request in calls)
    return [hashlib.blake2b(part, digest_size=16).digest() for part in parts]


def _draw(call: Call, plain: dict[tuple[int, int], bytes]) -> bytes:
    """``plain`` keeps what is the same for all calls of one repeat."""
    key = call.key
    if isinstance(call.request, Generate) and call.request.decoding.temperature > 0:
        return dumps([key.repeat, call.seed, key.sample_id, key.arm, key.step])
    known = plain.get((key.repeat, call.seed))
    if known is None:
        known = plain[key.repeat, call.seed] = dumps([key.repeat, call.seed])
    return known


def cache_stats(folder: Path) -> dict[str, object]:
    """``{"path", "answers", "bytes", "oldest", "newest"}``; times in seconds since 1970 or None.

    Raises DamagedCache, or StoreError where the file cannot be read for another reason or the folder is a file.
    """
    path = _database(folder)
    if not path.is_file():
        return {"path": str(path), "answers": 0, "bytes": 0, "oldest": None, "newest": None}
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as connection:
            count, oldest, newest = connection.execute("SELECT COUNT(*), MIN(time), MAX(time) FROM answers").fetchone()
    except sqlite3.Error as error:
        if _tells_damage(error):
            raise DamagedCache(f"the answer cache {path} is damaged: {error}") from error
        raise StoreError(f"the answer cache {path} cannot be read: {error}") from error
    size = sum(p.stat().st_size for p in path.parent.glob(f"{_FILE}*"))
    return {"path": str(path), "answers": count, "bytes": size, "oldest": oldest, "newest": newest}


def clear_cache(folder: Path) -> Cleared:
    """Forget every answer (never weights, indexes or converted files); a damaged file is deleted.

    Raises StoreError where neither can be done, as while another process writes.
    """
    path = _database(folder)
    if not path.is_file():
        return Cleared(path, 0, was_damaged=False)
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as connection:
            count = int(connection.execute("SELECT COUNT(*) FROM answers").fetchone()[0])
            connection.execute("DELETE FROM answers")
            connection.execute("VACUUM")
    except sqlite3.Error as error:
        if not _tells_damage(error):
            raise StoreError(f"the answer cache {path} cannot be cleared: {error}") from error
        _delete(path)
        return Cleared(path, 0, was_damaged=True)
    return Cleared(path, count, was_damaged=False)


def _database(folder: Path) -> Path:
    """The file in that folder, which need not be there."""
    in_the_way = next((place for place in (folder, *folder.parents) if place.exists() and not place.is_dir()), None)
    if in_the_way is not None:
        raise StoreError(f"{in_the_way} is a file, not a cache folder")
    return folder / _FILE


def _tells_damage(error: sqlite3.Error) -> bool:
    """Whether an error means that the file will never do, not that it is locked or must not be written."""
    code: int | None = getattr(error, "sqlite_errorcode", None)  # an error of the module itself has none
    return code is not None and code & 0xFF in _DAMAGE


def _delete(path: Path) -> None:
    """The main file goes last: as long as it is there, the rest can be found again."""
    try:
        for ending in ("-wal", "-shm", ""):
            path.with_name(path.name + ending).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"the answer cache {path} is damaged and cannot be deleted: {error.strerror or error}") from error
