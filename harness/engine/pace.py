"""How fast a model was before: read from the records of finished runs, for a forecast of the next one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.codec import dumps
from harness.engine.plan import Unit
from harness.errors import StoreError
from harness.store import is_finished, read_record, run_folders
from harness.types import RunRecord

_NEWEST = 50
"""Runs that are looked at, from the newest on."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What one unit of an earlier run took. Tokens are those of the requests that were asked in it."""

    run_id: str
    task: str
    requests: int
    input_tokens: int
    output_tokens: int
    seconds: float

    def expected(self, requests: int, input_tokens: int | None, *, by_tokens: bool) -> float:
        """Seconds that so many requests would take: by the tokens that they read and, as before, write; or by their number."""
        by_number = self.seconds * requests / self.requests
        if not by_tokens or not input_tokens or not self.input_tokens:
            return by_number
        written = self.output_tokens / self.requests * requests
        return self.seconds * (input_tokens + written) / (self.input_tokens + self.output_tokens)


class Paces:
    """The paces of the runs in a results folder, newest first."""

    def __init__(self, results: Path) -> None:
        self._found: list[tuple[RunRecord, str, str, Pace]] = []
        finished = [folder for folder in run_folders(results) if is_finished(folder)]
        for folder in reversed(finished[-_NEWEST:]):
            try:
                record = read_record(folder)
            except StoreError:
                continue
            self._found += [(record, entry, _suite(record, pace.task), pace) for entry, pace in _paces(record)]

    def __bool__(self) -> bool:
        return bool(self._found)

    def find(self, unit: Unit, signature: Mapping[str, Any] | None) -> Pace | None:
        """The newest of the same model on the same task, else on a task of the same suite.

        The same model: the same signature or, where that is known only when it is open, the same entry in the config.
        """
        alike = [(suite, pace) for record, entry, suite, pace in self._found if _is_same(unit, signature, record, entry)]
        same_task = [pace for _, pace in alike if pace.task == unit.task.name]
        same_suite = [pace for suite, pace in alike if suite == unit.task.suite_name]
        return next(iter([*same_task, *same_suite]), None)


def _paces(record: RunRecord) -> Iterator[tuple[str, Pace]]:
    """The entry and the pace of every unit that asked its model something. A rescored run asked nobody."""
    seconds: Mapping[str, float] = {} if record.parent is not None else record.timings.get("units", {})
    units: Mapping[str, Mapping[str, Any]] = record.counts.get("units", {})
    for entry, task in dict.fromkeys((estimate["entry"], estimate["task"]) for estimate in record.estimates):
        name = f"{entry} × {task}"
        counts, took = units.get(name, {}), seconds.get(name, 0.0)
        total = counts.get("requests", 0)
        asked = total - counts.get("cached", 0) - counts.get("resumed", 0)
        if asked > 0 and took > 0:
            tokens = counts.get("tokens", {})
            share = asked / total
            read, written = (round(tokens.get(kind, 0) * share) for kind in ("input", "output"))
            yield entry, Pace(record.run_id, task, asked, read, written, took)


def _suite(record: RunRecord, task: str) -> str:
    tasks = record.config.get("tasks") or ()
    return next((str(entry.get("suite")) for entry in tasks if isinstance(entry, dict) and entry.get("task") == task), "")


def _is_same(unit: Unit, signature: Mapping[str, Any] | None, record: RunRecord, entry: str) -> bool:
    if signature is not None:
        return dumps(record.model_signatures.get(entry)) == dumps(signature)
    models: Mapping[str, Mapping[str, Any]] = record.config.get("models") or {}
    before, now = models.get(unit.model.name), unit.model.options
    tuning = unit.model.backend.tuning
    if entry != unit.entry or before is None:
        return False
    written = {**before, "backend": before.get("backend") or "null"}  # YAML reads null as nothing
    return dumps(_without(written, tuning)) == dumps(_without(now, tuning))


def _without(options: Mapping[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key not in keys}
