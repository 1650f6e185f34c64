"""Which sample, cluster and slice a row belongs to, against the obvious way of keeping it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.engine import rowindex
from harness.engine.rowindex import RowIndex
from harness.types import Sample

IDS = st.sampled_from(["a", "b", "ä", "a\0", "", "\ud800", "long" * 9])
SAMPLES = st.lists(
    st.builds(
        Sample, IDS, group=st.sampled_from([None, "g", "h"]),
        slices=st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from(["1", "2", "None"])),
    ),
    max_size=12,
)  # fmt: skip


class Obvious:
    """Lists and dictionaries."""

    def __init__(self, samples: list[Sample]) -> None:
        self.ids = [sample.id for sample in samples]
        first: dict[str, Sample] = {}
        for sample in samples:
            first.setdefault(sample.id, sample)
        self.units = [list(first).index(name) for name in self.ids]
        self.groups = [f"group {s.group}" if s.group is not None else f"sample {s.id}" for s in first.values()]
        self.declared = any(sample.group is not None for sample in samples)
        keys = list(dict.fromkeys(key for sample in samples for key in sample.slices))
        self.slices = [
            (key, value, [row for row, sample in enumerate(samples) if sample.slices.get(key) == value])
            for key in keys
            for value in sorted({sample.slices[key] for sample in samples if key in sample.slices})
        ]


@pytest.mark.parametrize("hashed", [hash, len])
@given(chunks=st.lists(SAMPLES, max_size=4))
def test_everything_is_kept(hashed: object, chunks: list[list[Sample]]) -> None:
    """Also where different ids have the same hash."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rowindex, "hash", hashed, raising=False)
        index = RowIndex()
        for samples in chunks:
            index.add(samples)
            index.units()  # looking does not keep it from growing
        expected = Obvious([sample for samples in chunks for sample in samples])
        assert len(index) == len(expected.ids)
        assert list(index.names()) == expected.ids
        assert [index.names()[row] for row in range(len(index))] == expected.ids
        assert index.units().tolist() == expected.units
        if expected.declared and len(set(expected.ids)) == len(expected.ids):
            assert index.groups() == expected.groups
        elif not expected.declared:
            assert index.groups() is None
        assert [(key, value, rows.tolist()) for key, value, rows in index.slices()] == expected.slices


def test_a_sample_is_in_the_group_of_its_first_row() -> None:
    index = RowIndex()
    index.add([Sample("a", group="g"), Sample("b"), Sample("a", group="h"), Sample("b", group="g")])
    assert index.groups() == ["group g", "sample b"]
    assert index.units().tolist() == [0, 1, 0, 1]


def test_a_row_takes_a_few_bytes() -> None:
    index, n = RowIndex(), 20_000
    index.add([Sample(f"sample {i}", slices={"kind": str(i % 3)}) for i in range(n)])
    arrays = [index._stretches, index._hashes, index._names._ends, index._names._bytes]
    arrays += [codes._codes for codes in (index._groups, *index._slices.values())]
    assert sum(map(sys.getsizeof, arrays)) / n < 80
    assert [len(rows) for _, _, rows in index.slices()] == [6667, 6667, 6666]
    assert np.array_equal(index.units(), np.arange(n))
