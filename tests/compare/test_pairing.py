"""Which rows belong together, against a slow twin with dictionaries."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.compare.pairing import Pairing, pair
from harness.compare.runs import StoredRun
from harness.errors import StoreError
from tests.compare.projects import StoredRow, write_run


def paired(tmp_path: Path, a: Sequence[StoredRow], b: Sequence[StoredRow], **options: Any) -> Pairing:
    runs = [StoredRun.open(write_run(tmp_path / name, rows)) for name, rows in (("a", a), ("b", b))]
    return pair(runs[0].units[0], runs[1].units[0], **options)


def twin(a: Sequence[StoredRow], b: Sequence[StoredRow], keep_changed: bool) -> dict[str, Any]:
    """Ids in both, by the order of the base; the rows of each; what is only here, only there, or changed; clusters."""
    here, there = {}, {}
    for rows, by_id in ((a, here), (b, there)):
        for place, row in enumerate(rows):
            by_id.setdefault(row.id, []).append(place)
    changed = [name for name in here if name in there and a[here[name][0]].content != b[there[name][0]].content]
    common = [name for name in here if name in there and (keep_changed or name not in changed)]
    clusters = {name: a[here[name][0]].group or b[there[name][0]].group or f"alone {name}" for name in common}
    return {
        "common": common, "changed": changed, "added": [n for n in there if n not in here],
        "removed": [n for n in here if n not in there],
        "a": [place for name in common for place in sorted(here[name], key=lambda place: a[place].repeat)],
        "b": [place for name in common for place in sorted(there[name], key=lambda place: b[place].repeat)],
        "clusters": clusters,
    }  # fmt: skip


def random_rows(rng: random.Random, names: Sequence[str], repeats: int) -> list[StoredRow]:
    chosen = [name for name in names if rng.random() < 0.8]
    groups = {name: rng.choice(["x", "y", None]) for name in chosen}
    content = {name: "changed" if rng.random() < 0.1 else "the same" for name in chosen}
    rows = [StoredRow(name, repeat, 1.0, content[name], groups[name]) for name in chosen for repeat in range(repeats)]
    if rng.random() < 0.7:
        rng.shuffle(rows)
    return rows


@pytest.mark.parametrize("seed", range(25))
def test_it_pairs_as_the_twin_does(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    names = [f"s{i}" for i in range(12)]
    a, b = (random_rows(rng, names, rng.choice([1, 2, 3])) for _ in range(2))
    keep_changed = rng.random() < 0.5
    found, wanted = paired(tmp_path, a, b, keep_changed=keep_changed), twin(a, b, keep_changed)
    assert found.names(np.arange(found.n)) == wanted["common"]
    assert (found.a_rows.tolist(), found.b_rows.tolist()) == (wanted["a"], wanted["b"])
    assert [wanted["common"][unit] for unit in found.b_units] == [b[place].id for place in wanted["b"]]
    assert [wanted["common"][unit] for unit in found.a_units] == [a[place].id for place in wanted["a"]]
    assert (list(found.added), list(found.removed)) == (wanted["added"], wanted["removed"])
    assert sorted(found.changed) == sorted(wanted["changed"])
    same_repeats = [a[place].repeat for place in wanted["a"]] == [b[place].repeat for place in wanted["b"]]
    assert found.is_rowwise == (same_repeats and len(wanted["a"]) == len(wanted["b"]))
    if found.clusters is not None:
        by_number: dict[int, set[str]] = {}
        for number, name in zip(found.clusters.tolist(), wanted["common"]):
            by_number.setdefault(number, set()).add(wanted["clusters"][name])
        assert all(len(clusters) == 1 for clusters in by_number.values())
        assert len(by_number) == len(set(wanted["clusters"].values()))


def test_the_same_data_in_the_same_order_is_not_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.compare.pairing._looked_up", None)
    found = paired(tmp_path, [StoredRow("x"), StoredRow("y")], [StoredRow("x"), StoredRow("y", hit=0.0)])
    assert found.is_plain
    assert found.is_same_data
    assert found.n == 2


def test_repeats_that_come_in_rounds_are_put_together(tmp_path: Path) -> None:
    rows = [StoredRow(name, repeat) for repeat in (0, 1) for name in ("x", "y")]
    found = paired(tmp_path, rows, rows)
    assert found.a_units.tolist() == [0, 0, 1, 1]
    assert found.a_rows.tolist() == [0, 2, 1, 3]


def test_group_and_slices_are_no_content(tmp_path: Path) -> None:
    a = [StoredRow("x", group="g", slices={"level": "easy"}), StoredRow("y")]
    b = [StoredRow("x", group="h", slices={"level": "hard"}), StoredRow("y")]
    found = paired(tmp_path, a, b)
    assert found.changed == ()
    assert not found.is_same_data
    assert {name: units.tolist() for name, units in found.slices.items()} == {"level=easy": [0]}


def test_slices_are_those_of_the_base_by_sample(tmp_path: Path) -> None:
    a = [StoredRow("x", r, slices={"level": "easy", "kind": "k"}) for r in (0, 1)] + [StoredRow("y", slices={"level": "hard"})]
    found = paired(tmp_path, a, [StoredRow("y"), StoredRow("x")])
    assert {name: units.tolist() for name, units in found.slices.items()} == {
        "kind=k": [0], "level=easy": [0], "level=hard": [1],
    }  # fmt: skip


@pytest.mark.parametrize("keep", [10, 100, 0.5])
def test_a_truncated_file_is_named(tmp_path: Path, keep: float) -> None:
    good, bad = (StoredRun.open(write_run(tmp_path / name, [StoredRow("x")])) for name in ("a", "b"))
    path = bad.path / "samples.parquet"
    data = path.read_bytes()
    path.write_bytes(data[: int(keep if keep >= 1 else keep * len(data))])
    with pytest.raises(StoreError, match=r"b.samples\.parquet is damaged: "):
        pair(good.units[0], bad.units[0])


def test_a_file_with_rubbish_in_its_middle_is_named(tmp_path: Path) -> None:
    rows = [StoredRow(f"sample {i}") for i in range(500)]
    good, bad = (StoredRun.open(write_run(tmp_path / name, rows)) for name in ("a", "b"))
    path = bad.path / "samples.parquet"
    data = bytearray(path.read_bytes())
    data[200 : len(data) // 2] = b"\xff" * (len(data) // 2 - 200)
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"b.samples\.parquet is damaged: "):
        pair(good.units[0], bad.units[0])
