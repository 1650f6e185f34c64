"""What changed between neighbouring runs of a series: the provenance of one against the other, as far as it touches it."""

from __future__ import annotations

import re

from harness.codec import dumps
from harness.compare.provenance import KINDS, Change, provenance
from harness.compare.runs import StoredRun, StoredUnit

_LONGEST = 40
_DIGEST = re.compile(r"[0-9a-f]{32,}")
_OF_A_DIGEST = 12


class Annotations:
    """The changes between two runs, entry by entry and task by task; those that all have in common are looked for once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str, str], tuple[Change, ...]] = {}

    def between(self, a: StoredRun, b: StoredRun, entry: str, task: str) -> tuple[Change, ...]:
        """What is different in ``b``; nothing where their records say the same."""
        key = (a.record.run_id, b.record.run_id, entry, task)
        if key not in self._found:
            units = [_unit(run, entry, task) for run in (a, b)]
            same = _says(a) == _says(b)
            pairs = [(one, other) for one in units[:1] for other in units[1:] if one is not None and other is not None]
            self._found[key] = () if same else provenance(a, b, pairs)
        return self._found[key]


def in_words(change: Change) -> str:
    """``"model good: revision 1a → 2b"``; long values are cut."""
    where = f" {change.where}" if change.where else ""
    return f"{change.kind}{where}: {change.field} {_short(change.a)} → {_short(change.b)}"


def in_short(changes: tuple[Change, ...], most: int = 3) -> str:
    """The first changes in words, in the order of :data:`~harness.compare.provenance.KINDS`, and how many more there are."""
    ordered = sorted(changes, key=lambda change: KINDS.index(change.kind))
    words = [in_words(change) for change in ordered[:most]]
    return "; ".join(words) + (f"; {len(changes) - most} more" if len(changes) > most else "")


def _says(run: StoredRun) -> tuple[object, ...]:
    record = run.record
    signatures = [(row["entry"], row["task"], row["metric"], row.get("signature")) for row in record.estimates]
    return (record.name, record.config, record.model_signatures, record.environment, record.data_fingerprints, record.seeds,
            signatures)  # fmt: skip


def _unit(run: StoredRun, entry: str, task: str) -> StoredUnit | None:
    return next((unit for unit in run.units if unit.entry == entry and unit.task == task), None)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else "none" if value is None else dumps(value).decode()
    if _DIGEST.fullmatch(text):
        return f"{text[:_OF_A_DIGEST]}…"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
