"""``results/baselines.json``: names for the runs that others are compared with, and who set which when.

Schema history: 1 (0.1.0) the first.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import StoreError, did_you_mean
from harness.store.files import damaged, locked, pretty, read_shared, write_atomically
from harness.store.folders import is_finished, is_run_id

BASELINES = "baselines.json"
_SCHEMA = 1
_RESERVED = ":#~"


@dataclass(frozen=True, slots=True)
class Baseline:
    """A name and its run. ``since`` (UTC, ISO 8601) is when it was given that run, ``by`` whom, ``note`` why."""

    name: str
    run_id: str
    since: str
    by: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the log: ``run_id`` None is a name that was removed, ``previous`` None one that was new."""

    at: str
    name: str
    run_id: str | None
    previous: str | None
    by: str | None = None
    note: str | None = None


def set_baseline(results: Path, name: str, run_id: str, *, by: str | None = None, note: str | None = None) -> Change:
    """Give a name to a finished run of ``results``; a name that had another is moved, and the log says so.

    Raises StoreError for a name that cannot be one, a run that is not there or not finished, and a damaged file.
    """
    _check_name(name)
    if not is_finished(results / run_id):
        state = "is not finished" if (results / run_id).is_dir() else f"is not in {results}"
        raise StoreError(f"baseline {name!r}: run {run_id!r} {state}: only a finished run can be a baseline")
    with locked(results / BASELINES):
        there, log = _read(results)
        before = there.get(name)
        change = Change(_now(), name, run_id, before.run_id if before else None, by, note)
        is_moved = before is None or before.run_id != run_id
        there[name] = Baseline(name, run_id, change.at if is_moved or before is None else before.since, by, note)
        _write(results, there, [*log, change])
    return change


def remove_baseline(results: Path, name: str, *, by: str | None = None, note: str | None = None) -> Change:
    """Forget a name; the log remembers it. Raises StoreError for a name that is not there."""
    with locked(results / BASELINES):
        there, log = _read(results)
        before = _named(results, there, name)
        change = Change(_now(), name, None, before.run_id, by, note)
        _write(results, {key: value for key, value in there.items() if key != name}, [*log, change])
    return change


def baseline_of(results: Path, name: str) -> str:
    """The id of a baseline's run. Raises StoreError for an unknown name and for a run that is not there any more."""
    baseline = _named(results, _read(results)[0], name)
    if not is_finished(results / baseline.run_id):
        raise StoreError(
            f"baseline {name!r} is run {baseline.run_id!r} (since {baseline.since}), which is not in {results} any more: "
            f"bring it back, or set another one: harness baseline set {name} RUN"
        )
    return baseline.run_id


def baseline_named(results: Path, name: str) -> Baseline:
    """What a name stands for, whether or not its run is still there. Raises StoreError for an unknown name."""
    return _named(results, _read(results)[0], name)


def baselines(results: Path) -> dict[str, Baseline]:
    """Every baseline by its name, in the order of the names, whether or not its run is still there; none without a file."""
    return dict(sorted(_read(results)[0].items()))


def baseline_log(results: Path) -> tuple[Change, ...]:
    """Every change of a baseline, oldest first."""
    return tuple(_read(results)[1])


def _check_name(name: str) -> None:
    if not name or name != name.strip() or not name.isprintable() or any(sign in name for sign in _RESERVED):
        raise StoreError(f"baseline: a name must be printable, without ':', '#' and '~' and spaces around it, got {name!r}")
    if name == "latest" or is_run_id(name):
        raise StoreError(f"baseline: {name!r} means a run already; give it another name")


def _named(results: Path, there: Mapping[str, Baseline], name: str) -> Baseline:
    if name not in there:
        known = did_you_mean(name, there) if there else "; there is none yet: harness baseline set NAME RUN"
        raise StoreError(f"no baseline {name!r} in {results}{known}")
    return there[name]


def _read(results: Path) -> tuple[dict[str, Baseline], list[Change]]:
    path = results / BASELINES
    document = read_shared(path, _SCHEMA)
    if document is None:
        return {}, []
    given, log = document.get("baselines"), document.get("log")
    if not isinstance(given, dict) or not isinstance(log, list):
        raise damaged(path, "baselines must be an object and log a list")
    named = {name: {"name": name, **row} if isinstance(row, dict) else row for name, row in given.items()}
    return {name: _row(path, Baseline, row) for name, row in named.items()}, [_row(path, Change, row) for row in log]


T = TypeVar("T", Baseline, Change)


def _row(path: Path, kind: type[T], row: Any) -> T:
    names = {field.name for field in fields(kind)}
    known = {key: value for key, value in row.items() if key in names} if isinstance(row, dict) else {}
    if not all(value is None or isinstance(value, str) for value in known.values()):
        raise damaged(path, f"{row!r} has what is no text")
    try:
        made = kind(**known)
    except TypeError as error:
        raise damaged(path, f"{row!r} is no {kind.__name__.lower()}") from error
    if made.name is None or (isinstance(made, Baseline) and None in (made.run_id, made.since)):
        raise damaged(path, f"{row!r} is no {kind.__name__.lower()}")
    return made


def _write(results: Path, there: Mapping[str, Baseline], log: list[Change]) -> None:
    rows = {name: {key: value for key, value in asdict(row).items() if key != "name"} for name, row in sorted(there.items())}
    document = {"schema": _SCHEMA, "baselines": rows, "log": [asdict(change) for change in log]}
    write_atomically(results / BASELINES, pretty(document))


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
