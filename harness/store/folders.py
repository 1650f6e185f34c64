"""Run folders: their names, which sort by time, and which there are."""

from __future__ import annotations

import datetime
import re
import secrets
from pathlib import Path

from harness.errors import StoreError, Unwritable
from harness.store.files import JOURNAL, RECORD

_RUN_ID = re.compile(r"(\d{8}T\d{6}\.\d{3}Z)-(.+)-[0-9a-f]{4}")
_STAMP = "%Y%m%dT%H%M%S.%fZ"


def slug(text: str) -> str:
    """A name that is safe in a path on every system."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "run"


def create_run(results: Path, name: str) -> Path:
    """A new folder under ``results``; its name sorts by time and says the config's name."""
    try:
        results.mkdir(parents=True, exist_ok=True)
        path = results / f"{_stamp(results)}-{slug(name)}-{secrets.token_hex(2)}"
        path.mkdir()
    except (FileExistsError, NotADirectoryError) as error:
        raise StoreError(f"the results folder {results} is a file, or below one") from error
    except OSError as error:
        raise Unwritable(f"cannot write to the results folder {results}: {error.strerror}") from error
    return path


def _stamp(results: Path) -> str:
    """The time in UTC to the millisecond, later than that of every run that is there, whatever the clock does."""
    ids = [found.group(1) for path in results.iterdir() if (found := _RUN_ID.fullmatch(path.name))]
    last = datetime.datetime.strptime(max(ids), _STAMP).replace(tzinfo=datetime.UTC) if ids else None
    now = datetime.datetime.now(datetime.UTC)
    later = now if last is None else max(now, last + datetime.timedelta(milliseconds=1))
    return later.strftime("%Y%m%dT%H%M%S.") + f"{later.microsecond // 1000:03}Z"


def is_run_id(name: str) -> bool:
    """Whether a name is of the form that :func:`create_run` gives."""
    return _RUN_ID.fullmatch(name) is not None


def config_slug(name: str) -> str | None:
    """The slug of the config in a folder's name; None where the name was not given by :func:`create_run`."""
    found = _RUN_ID.fullmatch(name)
    return None if found is None else found.group(2)


def run_folders(results: Path) -> list[Path]:
    """Every run folder, oldest first, finished or not; none where there is no such folder yet. StoreError for a file."""
    if results.exists() and not results.is_dir():
        raise StoreError(f"{results} is a file, not a results folder")
    if not results.is_dir():
        return []
    return sorted(p for p in results.iterdir() if (p / RECORD).is_file() or (p / JOURNAL).is_file())


def is_finished(folder: Path) -> bool:
    return (folder / RECORD).is_file()
