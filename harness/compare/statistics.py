"""The statistics of a metric on both sides: as they were stored where they stand for themselves, else scored again together.

A metric of scope ``sample`` is scored chunk by chunk, in several processes: what its rows say can depend on the row and on what
``prepare`` told the metric, and on nothing else. So the stored rows of two runs mean the same if both metrics were prepared
alike. The rest, whose rows number what the metric holds (``Scores.bound``, scope ``corpus``), is scored again in one piece from
the stored samples and answers; statistics that are summed up number nothing, and each run is then scored by itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.codec import decode_sample
from harness.compare.arrays import lists, one_array
from harness.compare.pairing import Pairing
from harness.compare.runs import StoredUnit
from harness.engine.blocks import score_block
from harness.engine.roles import ENCODER, opened_roles
from harness.engine.stored import OUTPUT_COLUMNS, Block, stored_metric, stored_outputs
from harness.errors import StoreError
from harness.protocols import Backend, Metric
from harness.stats.bootstrap import IntArray
from harness.store import SAMPLES
from harness.types import FloatArray, Key, Output, Sample


@dataclass(frozen=True, eq=False)
class Statistics:
    """The rows of a metric on both sides, ``float64[n, d]``, NaN where missing: those of ``Pairing.a_rows`` and ``b_rows``.

    ``metric`` is prepared, and bound to what the rows number. ``is_rescored``: they were not as stored. ``left_out``: the rows
    of ``a`` and of ``b`` (NaN too) that the metric does not measure, which are not missing (``Scores.left_out``).
    """

    metric: Metric
    a: FloatArray
    b: FloatArray
    is_rescored: bool = False
    left_out: tuple[frozenset[int], frozenset[int]] = (frozenset(), frozenset())


def statistics(a: StoredUnit, b: StoredUnit, pairing: Pairing, name: str) -> Statistics:
    """The statistics of one metric on the samples that two units have in common.

    Raises StoreError for damaged files, and what the metric raises where it has to score again and cannot.
    """
    metric = _metric(a, name)
    prepared = None if metric.scope == "corpus" else _prepared(metric, a, b, pairing)
    if prepared is None or prepared.scope == "corpus" or _is_bound(prepared, a):
        return _scored_again(metric, a, b, pairing)
    ours, theirs = _equally_wide(_stored(a, name)[pairing.a_rows], _stored(b, name)[pairing.b_rows], len(prepared.columns))
    return Statistics(prepared, ours, theirs)


def _metric(unit: StoredUnit, name: str) -> Metric:
    return stored_metric(unit.estimates[name], str(unit.data.get("language", "en")))


def _stored(unit: StoredUnit, name: str) -> FloatArray:
    import pyarrow.compute as pc

    column = one_array(unit.table(f"metric.{name}").column(0))
    try:
        stats = lists(pc.struct_field(column, "stats"))
    except ValueError as error:
        raise StoreError(f"{unit.run.path / SAMPLES} is damaged: metric {name}: {error}") from error
    return stats


def _equally_wide(a: FloatArray, b: FloatArray, width: int) -> tuple[FloatArray, FloatArray]:
    """A side whose rows are all missing has no width of its own: it gets that of the other, else ``width``."""
    wide = max(a.shape[1], b.shape[1]) or width or 1
    ours, theirs = (side if side.shape[1] else np.full((len(side), wide), np.nan) for side in (a, b))
    return ours, theirs


# ── prepared alike ──────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Samples:
    """The samples of units, each once, in order; read afresh each time. One that changed in between is two."""

    units: tuple[StoredUnit, ...]

    def __iter__(self) -> Iterator[Sample]:
        seen: set[str] = set()
        for unit in self.units:
            for batch in unit.batches("sample_hash", "sample"):
                for known, text in zip(batch.column("sample_hash").to_pylist(), batch.column("sample").to_pylist()):
                    if known not in seen:
                        seen.add(known)
                        yield decode_sample(text)


def _prepared(metric: Metric, a: StoredUnit, b: StoredUnit, pairing: Pairing) -> Metric | None:
    """The metric as both runs had it; None where their samples made two different ones of it."""
    if type(metric).prepare is Metric.prepare:
        return metric
    prepared = metric.prepare(_Samples((a,)))
    return prepared if pairing.is_same_data or _alike(prepared, metric.prepare(_Samples((b,)))) else None


def _alike(one: Any, other: Any) -> bool:
    """Equal in all fields, those too that are left out of comparisons; what cannot be told is not equal."""
    if type(one) is not type(other):
        return False
    if dataclasses.is_dataclass(one):
        return all(_alike(getattr(one, field.name), getattr(other, field.name)) for field in dataclasses.fields(one))
    if isinstance(one, np.ndarray):
        return one.shape == other.shape and bool(np.array_equal(one, other))
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other)


def _is_bound(metric: Metric, unit: StoredUnit) -> bool:
    """Whether a row of this metric stands for something that only the metric that scored it holds."""
    if metric.needs_roles():
        return False
    samples, outputs = _rows(unit, np.zeros(1, dtype=np.int64))
    return score_block(metric, samples, outputs).bound is not None


# ── scored again ────────────────────────────────────────────────────────────────────────────────────────────────────


def _scored_again(metric: Metric, a: StoredUnit, b: StoredUnit, pairing: Pairing) -> Statistics:
    with contextlib.ExitStack() as stack:
        opened = metric.open(_roles(metric, a, stack))
        prepared = opened.prepare(_Samples((a,) if pairing.is_same_data else (a, b)))
        ours, theirs = _rows(a, pairing.a_rows), _rows(b, pairing.b_rows)
        if prepared.is_additive or prepared.fits_outputs:
            blocks = [score_block(prepared, *rows) for rows in (ours, theirs)]
            left_out = blocks[0].left_out, blocks[1].left_out
            return Statistics(_bound(prepared, blocks[0].bound), blocks[0].stats, blocks[1].stats, True, left_out)
        beyond = 1 + max((output.key.repeat for output in ours[1]), default=0)
        block = score_block(prepared, [*ours[0], *theirs[0]], [*ours[1], *(_moved(output, beyond) for output in theirs[1])])
    n = len(ours[0])
    left_out = frozenset(row for row in block.left_out if row < n), frozenset(row - n for row in block.left_out if row >= n)
    return Statistics(_bound(prepared, block.bound), block.stats[:n], block.stats[n:], True, left_out)


def _bound(prepared: Metric, bound: Metric | None) -> Metric:
    return prepared if bound is None else bound


def _moved(output: Output, beyond: int) -> Output:
    """Under a repeat of its own, so that a metric that looks outputs up by their keys never takes one run's for the other's."""
    key = output.key
    return dataclasses.replace(output, key=Key(key.sample_id, key.repeat + beyond, key.arm, key.step))


def _roles(metric: Metric, unit: StoredUnit, stack: contextlib.ExitStack) -> Mapping[str, Backend]:
    entries: Mapping[str, Mapping[str, Any]] = unit.run.record.config.get("roles") or {}
    sources = {name: str(e["source"]) for name, e in entries.items() if e.get("backend") == ENCODER and "source" in e}
    return opened_roles({metric.spec: metric}, sources, stack)


def rows_of(unit: StoredUnit, rows: IntArray, column: str) -> list[Any]:
    """What a column holds in these rows of a unit, in this order."""
    found = [value for block in _blocks(unit, rows, (column,)) for value in block[column]]
    return [found[place] for place in _places(rows)]


def _rows(unit: StoredUnit, rows: IntArray) -> tuple[list[Sample], list[Output]]:
    """Samples and outputs of these rows of a unit, in this order."""
    samples: list[Sample] = []
    outputs: list[Output] = []
    for block in _blocks(unit, rows, ("sample", *OUTPUT_COLUMNS)):
        samples += [decode_sample(text) for text in block["sample"]]
        outputs += stored_outputs(block)
    places = _places(rows)
    return [samples[place] for place in places], [outputs[place] for place in places]


def _places(rows: IntArray) -> list[int]:
    """Where each row stands among them in the order of the file."""
    places: list[int] = np.argsort(np.argsort(rows, kind="stable"), kind="stable").tolist()
    return places


def _blocks(unit: StoredUnit, rows: IntArray, columns: Sequence[str]) -> Iterator[Block]:
    """Columns of these rows, in the order of the file."""
    import pyarrow as pa

    start, wanted = 0, np.sort(rows)
    for batch in unit.batches(*columns):
        first, end = np.searchsorted(wanted, (start, start + batch.num_rows))
        here = np.ascontiguousarray(wanted[first:end] - start)
        start += batch.num_rows
        if len(here):
            yield batch.take(pa.Array.from_buffers(pa.int64(), len(here), [None, pa.py_buffer(here)])).to_pydict()
