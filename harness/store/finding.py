"""What people call a run: a path, an id or the beginning of one, ``latest~1``, ``baseline:main``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from harness.errors import StoreError, did_you_mean
from harness.store.baselines import baseline_of
from harness.store.files import JOURNAL, RECORD
from harness.store.folders import config_slug, is_finished, run_folders, slug
from harness.store.record import read_record

_BASELINE = "baseline:"


def find_run(results: Path, name: str) -> Path:
    """The folder of a finished run: its path, its id or the beginning of one, ``latest``, ``latest~2``, ``latest:CONFIG``,
    ``baseline:NAME``.

    Raises StoreError naming what there is.
    """
    direct = Path(name)
    if (direct / RECORD).is_file():
        return direct
    if name.startswith(_BASELINE):
        return results / baseline_of(results, name.removeprefix(_BASELINE))
    finished = [folder for folder in run_folders(results) if is_finished(folder)]
    match = re.fullmatch(r"latest(?:~(\d+))?(?::(.+))?", name)
    if match:
        return _nth_latest(finished, match, results)
    found = [folder for folder in finished if folder.name == name] or [f for f in finished if f.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise StoreError(f"{name!r} stands for several runs: {', '.join(f.name for f in found)}")
    if (results / name / JOURNAL).is_file():
        raise StoreError(f"run {name!r} is not finished: start it again with harness run")
    raise StoreError(f"no run {name!r} in {results}{did_you_mean(name, [f.name for f in finished])}")


def _nth_latest(finished: Sequence[Path], match: re.Match[str], results: Path) -> Path:
    name, back, config = match.group(0), int(match.group(1) or 0), match.group(2)
    if config is not None:
        finished = runs_of(finished, config)
    if len(finished) <= back:
        of = f" of {config!r}" if config else ""
        n = len(finished)
        count = {0: "are no finished runs", 1: "is only one finished run"}.get(n, f"are only {n} finished runs")
        raise StoreError(f"{name!r}: there {count}{of} in {results}")
    return finished[-1 - back]


def runs_of(finished: Sequence[Path], config: str) -> list[Path]:
    """Those of the finished runs that are of a config. Raises StoreError for a damaged one that may be.

    A folder's name says the slug of its config, so that the records of the others are not read.
    """
    possible = [folder for folder in finished if config_slug(folder.name) in (None, slug(config))]
    return [folder for folder in possible if read_record(folder).name == config]
