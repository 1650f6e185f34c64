"""What else is different between two runs: read from their records, field by field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.codec import dumps
from harness.compare.runs import StoredRun, StoredUnit

Kind = Literal["model", "role", "prompt", "decoding", "task", "data", "metric", "seeds", "package", "system", "code", "config"]
KINDS: tuple[Kind, ...] = (
    "model", "role", "prompt", "decoding", "task", "data", "metric", "seeds", "package", "system", "code", "config",
)  # fmt: skip
"""In the order in which a reader looks for them."""

_PROMPT = ("prompt", "choices", "choice_delimiter", "query")
_OWN = ("data", "metrics", "primary", "task", "version", "suite", "limit")
"""The keys of a task that are told by its data and its metrics."""
_ELSEWHERE = ("models", "tasks", "roles", "seeds", "gate", "name", "budget")
"""The keys of a config that are told elsewhere, or that touch no number."""


@dataclass(frozen=True, slots=True)
class Change:
    """A field that is not the same in both runs; None where one does not have it. ``where`` names the task or the model."""

    kind: Kind
    where: str
    field: str
    a: Any
    b: Any


def provenance(a: StoredRun, b: StoredRun, pairs: Iterable[tuple[StoredUnit, StoredUnit]]) -> tuple[Change, ...]:
    """Every difference between two runs, as far as it touches the units that are compared, ordered by :data:`KINDS`."""
    found: list[Change] = []
    for one, other in pairs:
        found += [*_of_models(one, other), *_of_tasks(one, other)]
    if a.path != b.path:
        found += _of_runs(a, b)
    unique = {(change.kind, change.where, change.field): change for change in found}
    return tuple(sorted(unique.values(), key=lambda change: KINDS.index(change.kind)))


def _of_models(one: StoredUnit, other: StoredUnit) -> Iterator[Change]:
    where = one.entry if one.entry == other.entry else f"{one.entry} | {other.entry}"
    if one.model != other.model:
        yield Change("model", where, "name", one.model, other.model)
    if one.cell != other.cell:
        yield Change("model", where, "cell", one.cell or None, other.cell or None)
    signatures = [unit.run.record.model_signatures.get(unit.entry, {}) for unit in (one, other)]
    yield from _differences("model", where, *signatures)
    written = [(unit.run.record.config.get("models") or {}).get(unit.model, {}) for unit in (one, other)]
    known = {key.split(".")[0] for key in {**_flat(signatures[0]), **_flat(signatures[1])}}
    yield from (change for change in _differences("config", f"models.{where}", *written) if change.field not in known)


def _of_tasks(one: StoredUnit, other: StoredUnit) -> Iterator[Change]:
    where = one.task
    tasks = [unit.config for unit in (one, other)]
    yield from _differences("prompt", where, *({key: t[key] for key in _PROMPT if key in t} for t in tasks))
    yield from _differences("decoding", where, *({"decoding": t["decoding"]} if "decoding" in t else {} for t in tasks))
    told = (*_PROMPT, *_OWN, "decoding", "sample")
    yield from _differences("task", where, *({key: value for key, value in t.items() if key not in told} for t in tasks))
    yield from _differences("task", where, *({"suite": t.get("suite")} for t in tasks))
    yield from _differences("data", where, one.data, other.data)
    metrics = [{name: row.get("signature") for name, row in unit.estimates.items()} for unit in (one, other)]
    yield from _differences("metric", where, *metrics, flat=False)


def _of_runs(a: StoredRun, b: StoredRun) -> Iterator[Change]:
    one, other = a.record, b.record
    yield from _differences("seeds", "", {"seeds": list(one.seeds)}, {"seeds": list(other.seeds)})
    signatures = one.model_signatures, other.model_signatures
    yield from _differences("role", "", *({k: v for k, v in known.items() if k.startswith("role ")} for known in signatures))
    here, there = one.environment, other.environment
    yield from _differences("package", "", here.get("packages") or {}, there.get("packages") or {}, flat=False)
    for kind, keys in (("package", ("python",)), ("system", ("platform", "machine")), ("code", ("git_commit",))):
        yield from _differences(kind, "", *({key: env.get(key) for key in keys} for env in (here, there)))
    yield from _differences("config", "", {"name": one.name}, {"name": other.name})
    yield from _differences("config", "", *({key: value for key, value in record.config.items() if key not in _ELSEWHERE}
                                            for record in (one, other)))  # fmt: skip


def _differences(kind: Any, where: str, a: Mapping[str, Any], b: Mapping[str, Any], *, flat: bool = True) -> Iterator[Change]:
    ours, theirs = (_flat(a), _flat(b)) if flat else (dict(a), dict(b))
    for key in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(key), theirs.get(key)
        if dumps(one) != dumps(other):
            yield Change(kind, where, key, one, other)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` as ``{"a.b": 1}``."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found.update(_flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = value
    return found
