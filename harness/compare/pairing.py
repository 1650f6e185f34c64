"""Which rows of two units belong together: by sample id, where the samples are the same; their clusters and their slices.

Runs of the same data in the same order, the rule, are paired without looking a name up. Everything is done on columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.codec import digest, dumps, loads
from harness.compare.arrays import integers, one_array, truths
from harness.compare.runs import IDENTITY, StoredUnit
from harness.stats.bootstrap import IntArray
from harness.store import column_array

_ABSENT = -1
_NOT_CONTENT = ("group", "slices")
"""The fields of a sample that may differ: they say how it is counted, not what it is."""


@dataclass(frozen=True, eq=False)
class Pairing:
    """The samples that two units have in common, numbered 0..n-1 in the order of the base.

    ``a_rows`` and ``b_rows`` are the numbers of the rows of these samples among the rows of each unit, sample by sample,
    ``a_units`` and ``b_units`` the sample of each. ``is_rowwise``: row i of one belongs to row i of the other, the same repeat
    of the same sample. ``clusters`` gives each sample its cluster, None where no sample declares one. ``added`` are the ids
    that only ``b`` has, ``removed`` those that only ``a`` has, ``changed`` those of other content on both sides;
    ``keeps_changed``: they are among the pairs all the same. ``is_same_data``: both have the very same samples.
    ``first_rows`` is the first row of each sample in the base.
    """

    n: int
    a_rows: IntArray
    b_rows: IntArray
    a_units: IntArray
    b_units: IntArray
    is_rowwise: bool
    clusters: IntArray | None
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    keeps_changed: bool
    is_same_data: bool
    first_rows: IntArray = field(repr=False)
    _names: Any = field(repr=False)
    _slices: Any = field(repr=False)

    @property
    def is_plain(self) -> bool:
        """One row a sample on both sides, in the order of the samples."""
        return self.is_rowwise and len(self.a_rows) == self.n

    def names(self, units: IntArray) -> list[str]:
        """The ids of these samples."""
        return list(self._names.take(_arrow(self.first_rows[units])).to_pylist())

    @cached_property
    def slices(self) -> Mapping[str, IntArray]:
        """``"level=hard"`` -> its samples, for every breakdown that the base's samples declare."""
        if self._slices.null_count == len(self._slices):
            return {}
        encoded = self._slices.take(_arrow(self.first_rows)).dictionary_encode()
        codes, found = integers(encoded.indices), dict[str, list[int]]()
        for code, text in enumerate(encoded.dictionary.to_pylist()):
            for key, value in loads(text).items():
                found.setdefault(f"{key}={value}", []).append(code)
        return {name: np.flatnonzero(np.isin(codes, found[name])) for name in sorted(found)}


def pair(a: StoredUnit, b: StoredUnit, *, keep_changed: bool = False) -> Pairing:
    """The pairing of two units of a task; ``keep_changed`` pairs samples of other content too.

    Raises StoreError for damaged files.
    """
    tables = [unit.table(*IDENTITY) for unit in (a, b)]
    columns = [{name: one_array(table.column(name)) for name in IDENTITY} for table in tables]
    here, there = columns
    if _is_in_step(here, there):
        return _in_step(here, there)
    return _looked_up((a, b), here, there, keep_changed)


def _is_in_step(here: Mapping[str, Any], there: Mapping[str, Any]) -> bool:
    return all(here[name].equals(there[name]) for name in ("sample_id", "sample_hash", "repeat", "arm"))


def _in_step(here: Mapping[str, Any], there: Mapping[str, Any]) -> Pairing:
    """Both units have the same rows in the same order."""
    units, first = _numbered(here)
    rows = np.argsort(units, kind="stable")  # repeats of a sample mostly stand together already
    units = units[rows]
    return Pairing(
        len(first), rows, rows, units, units, True, _clusters(here["group"].take(_arrow(first)), None), (), (), (), False, True,
        first, here["sample_id"], here["slices"],
    )


def _looked_up(
    sides: tuple[StoredUnit, StoredUnit], here: Mapping[str, Any], there: Mapping[str, Any], keep_changed: bool
) -> Pairing:
    import pyarrow.compute as pc

    units_a, first_a = _numbered(here)
    units_b, first_b = _numbered(there)
    names_a, names_b = here["sample_id"].take(_arrow(first_a)), there["sample_id"].take(_arrow(first_b))
    a_of_b = integers(pc.index_in(names_b, value_set=names_a))
    both_b = np.flatnonzero(a_of_b != _ABSENT)
    both_a = a_of_b[both_b]
    hashes = here["sample_hash"].take(_arrow(first_a[both_a])), there["sample_hash"].take(_arrow(first_b[both_b]))
    other = ~truths(pc.equal(*hashes))
    other[other] = _differ_in_content(sides, names_a.take(_arrow(both_a[other])).to_pylist())
    changed = names_a.take(_arrow(np.sort(both_a[other]))).to_pylist()
    kept = np.ones(len(other), dtype=np.bool_) if keep_changed else ~other
    number_a, number_b = np.full(len(first_a), _ABSENT), np.full(len(first_b), _ABSENT)
    in_order = np.argsort(both_a[kept], kind="stable")
    number_a[both_a[kept][in_order]] = number_b[both_b[kept][in_order]] = np.arange(len(in_order))
    rows = _rows(here, number_a[units_a]), _rows(there, number_b[units_b])
    first = first_a[both_a[kept][in_order]]
    groups = here["group"].take(_arrow(first)), there["group"].take(_arrow(first_b[both_b[kept][in_order]]))
    stays = np.zeros(len(first_a), dtype=np.bool_)
    stays[both_a] = True
    removed = np.flatnonzero(~stays)
    added = np.flatnonzero(a_of_b == _ABSENT)
    return Pairing(
        len(in_order), rows[0][0], rows[1][0], rows[0][1], rows[1][1], _are_in_step(rows), _clusters(*groups),
        tuple(names_b.take(_arrow(added)).to_pylist()), tuple(names_a.take(_arrow(removed)).to_pylist()), tuple(changed),
        keep_changed, not (len(added) or len(removed)) and bool(truths(pc.equal(*hashes)).all()),
        first, here["sample_id"], here["slices"],
    )  # fmt: skip


def _numbered(columns: Mapping[str, Any]) -> tuple[IntArray, IntArray]:
    """The number of each row's sample, in the order of first rows, and the first row of each sample."""
    if not integers(columns["repeat"]).any() and not _has_arms(columns):  # a run has a sample's name once
        rows = np.arange(len(columns["repeat"]))
        return rows, rows
    encoded = columns["sample_id"].dictionary_encode()
    units, n = integers(encoded.indices), len(encoded.dictionary)
    if n == len(units):
        return units, units
    first = np.empty(n, dtype=np.int64)
    first[units[::-1]] = np.arange(len(units))[::-1]
    return units, first


Rows = tuple[IntArray, IntArray, IntArray]


def _rows(columns: Mapping[str, Any], units: IntArray) -> Rows:
    """The rows of common samples by sample, arm and repeat; their samples; a number for arm and repeat."""
    there = np.flatnonzero(units != _ABSENT)
    repeats = integers(columns["repeat"])[there]
    if _has_arms(columns):
        repeats = repeats + _arm_numbers(columns["arm"])[there]
    order = np.lexsort((repeats, units[there]))
    return there[order], units[there[order]], repeats[order]


def _has_arms(columns: Mapping[str, Any]) -> bool:
    """Whether samples were played in several ways; an arm without a name is no arm."""
    import pyarrow.compute as pc

    return bool(pc.max(pc.binary_length(columns["arm"])).as_py())


def _arm_numbers(arms: Any) -> IntArray:
    """A number for each arm that is the same in every run: from its name."""
    encoded = arms.dictionary_encode()
    numbers = [int(digest(name.encode(), size=4), 16) << 31 if name else 0 for name in encoded.dictionary.to_pylist()]
    return np.append(np.array(numbers, dtype=np.int64), 0)[integers(encoded.indices)]


def _are_in_step(rows: tuple[Rows, Rows]) -> bool:
    return all(np.array_equal(here, there) for here, there in zip(rows[0][1:], rows[1][1:]))


def _clusters(groups: Any, others: Any) -> IntArray | None:
    """The cluster of each sample: its group in the base, else in the other run, else the sample itself; None without any."""
    import pyarrow.compute as pc

    if others is not None:
        groups = pc.coalesce(groups, others)
    if groups.null_count == len(groups):
        return None
    codes = integers(groups.dictionary_encode().indices)
    alone = codes == _ABSENT
    codes[alone] = codes.max() + 1 + np.arange(alone.sum())
    return codes


def _differ_in_content(sides: tuple[StoredUnit, StoredUnit], names: list[str]) -> NDArray[np.bool_]:
    """Whether the samples of these ids differ in more than their group and slices; their hashes are of all of it."""
    if not names:
        return np.zeros(0, dtype=np.bool_)
    contents = [_contents(unit, names) for unit in sides]
    return np.array([contents[0].get(name) != contents[1].get(name) for name in names])


def _contents(unit: StoredUnit, names: Iterable[str]) -> dict[str, str]:
    """The hash of what each of these samples is, from its first row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted, found = column_array(list(names), pa.string()), dict[str, str]()
    for batch in unit.batches("sample_id", "sample"):
        chosen = batch.filter(pc.is_in(batch.column("sample_id"), value_set=wanted))
        for name, text in zip(chosen.column("sample_id").to_pylist(), chosen.column("sample").to_pylist()):
            if name not in found:
                content = {key: value for key, value in loads(text).items() if key not in _NOT_CONTENT}
                found[name] = digest(dumps(content))
    return found


def _arrow(numbers: IntArray) -> Any:
    import pyarrow as pa

    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(np.ascontiguousarray(numbers, dtype=np.int64))])
