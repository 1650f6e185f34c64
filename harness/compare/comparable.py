"""What may not be compared, and the field that says so. The models, their decoding and packages are what is compared: never
refused, always shown (see ``provenance``)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal

import numpy as np

from harness.codec import dumps
from harness.compare.pairing import Pairing
from harness.compare.runs import StoredUnit
from harness.compare.statistics import rows_of
from harness.errors import UsageError

Allowed = Literal["data", "prompt", "task"]
ALLOWED: tuple[str, ...] = ("data", "prompt", "task")
"""What may differ if it is asked for: the content of samples, the prompt, the task's version and suite."""

_QUESTION = ("prompt", "choices", "choice_delimiter", "query")
"""The keys of a task that are the question itself."""

_SHOWN, _LOOKED_AT = 60, 16


class NotComparable(UsageError):
    """Two runs, or a task or metric of them, must not be compared; the message names the field."""


def task_refusals(a: StoredUnit, b: StoredUnit, allow: Collection[str]) -> Iterator[str]:
    """Why two units must not be compared, before their samples are looked at."""
    if a.run.path == b.run.path:
        return  # the cells of one run differ as its matrix says
    if "task" not in allow:
        yield from _difference(a, b, "version", (a.data.get("version"), b.data.get("version")), "task")
        yield from _difference(a, b, "suite", (a.config.get("suite"), b.config.get("suite")), "task")
    if "prompt" not in allow:
        for key in _QUESTION:
            if not _is_axis(a, key) and not _is_axis(b, key):
                yield from _difference(a, b, key, (a.config.get(key), b.config.get(key)), "prompt")


def sample_refusals(a: StoredUnit, b: StoredUnit, pairing: Pairing, allow: Collection[str]) -> Iterator[str]:
    """Why the samples of two units must not be compared."""
    if pairing.changed and "data" not in allow:
        n, names = len(pairing.changed), ", ".join(pairing.changed[:3]) + (", …" if len(pairing.changed) > 3 else "")
        yield (f"task {a.task}: data: {n} sample{'s have' if n > 1 else ' has'} other content in {b.run.record.run_id} than in "
               f"{a.run.record.run_id} under the same id ({names}); compare them all the same with --allow data")
    elif "prompt" not in allow and (rendered := _rendered_otherwise(a, b, pairing)) is not None:
        yield (f"task {a.task}: prompt: sample {rendered} was asked in other words in {b.run.record.run_id} than in "
               f"{a.run.record.run_id}; compare them all the same with --allow prompt")
    elif not pairing.n:
        yield (f"task {a.task}: no common samples: {a.run.record.run_id} has {len(pairing.removed)}, "
               f"{b.run.record.run_id} has {len(pairing.added)}, and no id is in both; harness drift needs none in common")


def metric_refusal(a: StoredUnit, b: StoredUnit, metric: str) -> str | None:
    """Why a metric's values must not be compared: it was not the same metric."""
    ours, theirs = (str(unit.estimates[metric].get("signature")) for unit in (a, b))
    if ours == theirs:
        return None
    older = a if _version(ours) <= _version(theirs) else b
    return (f"task {a.task}: metric {metric} is {ours} in {a.run.record.run_id} and {theirs} in {b.run.record.run_id}: score "
            f"again what is stored, with harness rescore {older.run.record.run_id}")


def _rendered_otherwise(a: StoredUnit, b: StoredUnit, pairing: Pairing) -> str | None:
    """The first sample whose prompt differs where the config cannot tell: it names the files of prompts of a matrix, and the
    split that few-shot examples come from, and holds neither."""
    axes = _is_axis(a, "prompt"), _is_axis(b, "prompt")
    if a.run.path == b.run.path or not (a.cell == b.cell if all(axes) else _has_shots(a) and not any(axes)):
        return None
    units = np.arange(min(pairing.n, _LOOKED_AT))
    rows = [of[np.searchsorted(numbers, units)] for of, numbers in ((pairing.a_rows, pairing.a_units),
                                                                    (pairing.b_rows, pairing.b_units))]
    ours, theirs = (rows_of(unit, of, "prompt") for unit, of in ((a, rows[0]), (b, rows[1])))
    return next((name for name, one, other in zip(pairing.names(units), ours, theirs) if one != other), None)


def _has_shots(unit: StoredUnit) -> bool:
    prompt = unit.config.get("prompt")
    return isinstance(prompt, Mapping) and bool(prompt.get("shots"))


def _version(signature: str) -> int:
    digits = signature.rpartition("#v")[2]
    return int(digits) if digits.isdigit() else 0


def _is_axis(unit: StoredUnit, key: str) -> bool:
    """Whether the matrix of the run sets this key: then it is meant to differ."""
    matrix = unit.run.record.config.get("matrix") or {}
    return any(axis.rpartition(f".{unit.task}.")[2].split(".")[0] == key for axis in matrix)


def _difference(a: StoredUnit, b: StoredUnit, field: str, values: tuple[Any, Any], allow: str) -> Iterator[str]:
    if dumps(values[0]) == dumps(values[1]):
        return
    ours, theirs = (_short(value) for value in values)
    yield (f"task {a.task}: {field} is {ours} in {a.run.record.run_id} and {theirs} in {b.run.record.run_id}; compare them all "
           f"the same with --allow {allow}")


def _short(value: Any) -> str:
    if not isinstance(value, str):
        value = "not set" if value is None else dumps(value).decode()
    text = " ".join(value.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"
