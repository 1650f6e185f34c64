"""What people call a run: a path, an id or the beginning of one, ``latest~1``, ``baseline:main``."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.errors import StoreError, did_you_mean
from harness.store.baselines import baseline_of
from harness.store.files import JOURNAL, RECORD
from harness.store.folders import config_slug, is_finished, run_folders, slug
from harness.store.record import read_record

_BASELINE = "baseline:"
_SHOWN = 6


def find_run(results: Path, name: str) -> Path:
    """The folder of a finished run: its path, its id or the beginning of one, ``latest``, ``latest~2``, ``latest:CONFIG``,
    ``latest:CONFIG~2``, ``baseline:NAME``.

    Raises StoreError naming what there is.
    """
    direct = Path(name)
    if os.path.isfile(direct / RECORD):  # False, too, for a name that is too long for a path
        return direct
    if name.startswith(_BASELINE):
        return results / baseline_of(results, name.removeprefix(_BASELINE))
    finished = [folder for folder in run_folders(results) if is_finished(folder)]
    match = re.fullmatch(r"latest(?:~(\d+))?(?::(.+?))?(?:~(\d+))?", name)
    if match:
        return _nth_latest(finished, match, results)
    found = [folder for folder in finished if folder.name == name] or [f for f in finished if f.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        more = f"{len(found) - _SHOWN} older ones and " if len(found) > _SHOWN else ""
        raise StoreError(f"{name!r} stands for several runs: {more}{', '.join(f.name for f in found[-_SHOWN:])}")
    if os.path.isfile(results / name / JOURNAL):
        raise StoreError(f"run {name!r} is not finished: start it again with harness run")
    raise StoreError(f"no run {name!r} in {results}{did_you_mean(name, [f.name for f in finished])}")


def run_before(folder: Path) -> Path:
    """The finished run of the same config before this one, that it was not scored again from. Raises StoreError for none."""
    record = read_record(folder)
    earlier = [other for other in run_folders(folder.parent) if is_finished(other) and other.name < folder.name]
    for other in _newest_of(earlier, record.name):
        if other.name != record.parent:
            return other
    raise StoreError(f"there is no run of {record.name!r} before {record.run_id} in {folder.parent}")


def _nth_latest(finished: Sequence[Path], match: re.Match[str], results: Path) -> Path:
    name, back, config = match.group(0), int(match.group(1) or match.group(3) or 0), match.group(2)
    newest = reversed(finished) if config is None else _newest_of(finished, config)
    found = list(itertools.islice(newest, min(back, len(finished)) + 1))
    if len(found) <= back:
        of = f" of {config!r}" if config else ""
        n = len(found)
        count = {0: "are no finished runs", 1: "is only one finished run"}.get(n, f"are only {n} finished runs")
        raise StoreError(f"{name!r}: there {count}{of} in {results}")
    return found[back]


def _newest_of(finished: Sequence[Path], config: str) -> Iterator[Path]:
    """Those of the finished runs that are of a config, newest first. Raises StoreError for a damaged one that may be.

    A folder's name says the slug of its config, so that the records of the others are not read.
    """
    for folder in reversed(finished):
        if config_slug(folder.name) in (None, slug(config)) and read_record(folder).name == config:
            yield folder
