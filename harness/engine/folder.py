"""The folder of a run that is not finished: found again by its plan, locked by one process, closed by its record."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.codec import dumps
from harness.engine.journal import Journal, read_header
from harness.store import JOURNAL, create_run, is_finished, is_run_id, run_folders, writing

if TYPE_CHECKING:
    from filelock import BaseFileLock

_LOCK = ".lock"
_STILLBORN_SECONDS = 60.0
LOG = "log.jsonl"


class OpenRun:
    """An unfinished run that this process holds the lock of."""

    def __init__(self, folder: Path, lock: BaseFileLock, resumed: bool) -> None:
        self.folder, self.resumed, self._lock = folder, resumed, lock

    def journal(self, header: Mapping[str, Any], say: Callable[[str], None]) -> Journal:
        path = self.folder / JOURNAL
        return Journal(path, None if self.resumed else header, say)

    def log(self, kind: str, **fields: Any) -> None:
        """Append one line to ``log.jsonl``."""
        line = dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "kind": kind, **fields})
        with writing(self.folder / LOG), (self.folder / LOG).open("ab") as stream:
            stream.write(line + b"\n")

    def finish(self) -> None:
        """After ``run.json`` is there: the journal has been compacted and goes."""
        (self.folder / JOURNAL).unlink(missing_ok=True)

    def discard(self) -> None:
        """Of a run that has no answer nothing is left."""
        for name in (JOURNAL, LOG):
            with contextlib.suppress(OSError):
                (self.folder / name).unlink(missing_ok=True)
        self._lock.release()
        _remove(self.folder)

    def release(self) -> None:
        """Let go of the folder. Of an unfinished run the lock's file stays: another process may take it in the same moment."""
        self._lock.release()
        if is_finished(self.folder):
            (self.folder / _LOCK).unlink(missing_ok=True)


def open_run(results: Path, name: str, plan_hash: str, *, new: bool, say: Callable[[str], None]) -> OpenRun:
    """The newest unfinished run of that name and plan, or a new one.

    A run that another process is working on is left to it, and a new one is started.
    """
    _sweep(results)
    for folder in [] if new else reversed(run_folders(results)):
        header = None if is_finished(folder) else read_header(folder / JOURNAL)
        if header is None or header.get("plan_hash") != plan_hash or header.get("name") != name:
            continue
        lock = _lock(folder)
        if lock is None:
            say(f"{folder.name} has the same plan and is being worked on by another process; starting a run of its own")
            continue
        if is_finished(folder):  # the other process finished it while we looked
            lock.release()
            continue
        return OpenRun(folder, lock, resumed=True)
    folder = create_run(results, name)
    new_lock = _lock(folder)
    assert new_lock is not None, "a folder that was just made is nobody else's"
    return OpenRun(folder, new_lock, resumed=False)


def _sweep(results: Path) -> None:
    """Clear what killed processes left: folders whose journal never began, and journals whose record is there."""
    for folder in sorted(results.iterdir()) if results.is_dir() else []:
        if not is_run_id(folder.name):
            continue
        leftover = is_finished(folder) and (folder / JOURNAL).exists()
        if not leftover and not (_is_stillborn(folder) and _is_old(folder)):
            continue
        lock = _lock(folder)
        if lock is None:
            continue
        for name in (JOURNAL,) if leftover else (JOURNAL, LOG):
            (folder / name).unlink(missing_ok=True)
        lock.release()
        if not leftover:
            _remove(folder)


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):  # somebody has just put something into it
        (folder / _LOCK).unlink(missing_ok=True)
        folder.rmdir()


def _is_stillborn(folder: Path) -> bool:
    """Whether the process died before the journal's first line was whole."""
    try:
        if not {path.name for path in folder.iterdir()} <= {_LOCK, LOG, JOURNAL}:
            return False
        journal = folder / JOURNAL
        return not journal.exists() or b"\n" not in journal.read_bytes()[:65536]
    except OSError:
        return False


def _is_old(folder: Path) -> bool:
    """Old enough that no process can be about to begin its journal."""
    return time.time() - folder.stat().st_mtime > _STILLBORN_SECONDS


def _lock(folder: Path) -> BaseFileLock | None:
    from filelock import FileLock, Timeout

    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return None
    return lock
