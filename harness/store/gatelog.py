"""``results/gate.jsonl``: what was decided of which run, a line a decision, never rewritten.

A stream is a series of nights that share one budget of false alarms. Schema history: 1 (0.1.0) the first.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.codec import dumps, loads
from harness.errors import StoreError
from harness.store.files import locked, writing

GATE_LOG = "gate.jsonl"
_SCHEMA = 1
_IDENTITY = ("stream", "run", "baseline")


def append_decision(results: Path, decision: Mapping[str, Any]) -> None:
    """Add a decision: ``stream``, ``run`` and ``baseline`` (run ids) say of what; the rest is the gate's. ``at`` is added.

    A line that a power cut left torn at the end is cut off first.
    Raises StoreError where one of the three is missing or no text, and Unwritable where the file cannot be written.
    """
    wrong = [key for key in _IDENTITY if not isinstance(decision.get(key), str)]
    if wrong:
        raise StoreError(f"append_decision: {', '.join(wrong)} must be texts, got {[decision.get(key) for key in wrong]!r}")
    at = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    line = dumps({"at": at, **decision, "schema": _SCHEMA}) + b"\n"
    path = results / GATE_LOG
    with locked(path), writing(path):
        _append(path, line)


def decisions(results: Path, stream: str | None = None) -> list[dict[str, Any]]:
    """The decisions of a stream (None: of every one), in the order in which each was first made; none without a file.

    Where a run was gated against the same baseline again, the later decision stands in the place of the first: it is one
    hypothesis, however often it is looked at. Raises StoreError naming the line that is damaged.
    """
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for line in _lines(results / GATE_LOG):
        if stream is None or line["stream"] == stream:
            found[tuple(line[key] for key in _IDENTITY)] = line
    return list(found.values())


def _append(path: Path, line: bytes) -> None:
    import os

    with path.open("a+b") as stream:
        stream.seek(0)
        torn = stream.read().rpartition(b"\n")[2]
        if torn and _parsed(torn) is None:
            stream.truncate(stream.seek(0, os.SEEK_END) - len(torn))
        elif torn:
            stream.write(b"\n")
        stream.write(line)
        stream.flush()
        os.fsync(stream.fileno())


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    found = []
    for number, line in enumerate(lines, 1):
        parsed = _parsed(line)
        if parsed is not None:
            found.append(parsed)
        elif line and number < len(lines):
            raise StoreError(f"{path}:{number} is damaged: mend or remove that line; what it decided is not known")
    newer = max((line["schema"] for line in found), default=_SCHEMA)
    if newer > _SCHEMA:
        raise StoreError(f"{path} has schema {newer}, this harness reads up to {_SCHEMA}: upgrade harness-eval")
    return found


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        value = loads(line)
    except ValueError:
        return None
    is_one = isinstance(value, dict) and isinstance(value.get("schema"), int)
    return value if is_one and all(isinstance(value.get(key), str) for key in _IDENTITY) else None
