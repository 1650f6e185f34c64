"""Which run a name means where folders are damaged, and the run before a run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.store import find_run, run_before, write_record
from tests.store.records import finished, record

STAMPS = [f"2026010{day}T000000.000Z" for day in range(1, 10)]


def damaged(results: Path, run_id: str) -> Path:
    folder = finished(results, run_id)
    (folder / "run.json").write_text("garbage")
    return folder


def test_a_damaged_run_of_another_config_is_in_nobodys_way(tmp_path: Path) -> None:
    mine = finished(tmp_path, f"{STAMPS[0]}-nightly-aaaa")
    damaged(tmp_path, f"{STAMPS[1]}-other-bbbb")
    assert find_run(tmp_path, "latest:nightly") == mine


def test_both_orders_of_the_run_before_of_a_config(tmp_path: Path) -> None:
    before = finished(tmp_path, f"{STAMPS[0]}-nightly-aaaa")
    finished(tmp_path, f"{STAMPS[1]}-nightly-bbbb")
    finished(tmp_path, f"{STAMPS[2]}-other-cccc", "other")
    assert find_run(tmp_path, "latest~1:nightly") == find_run(tmp_path, "latest:nightly~1") == before
    with pytest.raises(StoreError, match="'latest:nightly~2': there are only 2 finished runs of 'nightly'"):
        find_run(tmp_path, "latest:nightly~2")


def test_a_damaged_run_that_may_be_the_one_is_told(tmp_path: Path) -> None:
    finished(tmp_path, f"{STAMPS[0]}-nightly-aaaa")
    newest = damaged(tmp_path, f"{STAMPS[1]}-nightly-bbbb")
    with pytest.raises(StoreError, match=f"{newest.name}.*is damaged"):
        find_run(tmp_path, "latest:nightly")


def test_damage_that_is_older_than_what_is_looked_for_is_not_read(tmp_path: Path) -> None:
    damaged(tmp_path, f"{STAMPS[0]}-nightly-aaaa")
    newest = finished(tmp_path, f"{STAMPS[1]}-nightly-bbbb")
    assert find_run(tmp_path, "latest:nightly") == newest


def test_a_name_whose_slug_is_another_is_found(tmp_path: Path) -> None:
    folder = finished(tmp_path, f"{STAMPS[0]}-my-config-aaaa", "my config")
    finished(tmp_path, f"{STAMPS[1]}-my-config-bbbb", "my/config")
    assert find_run(tmp_path, "latest:my config") == folder


def test_the_run_before_is_of_the_same_config_and_not_what_it_was_scored_from(tmp_path: Path) -> None:
    first = finished(tmp_path, f"{STAMPS[0]}-nightly-aaaa")
    parent = finished(tmp_path, f"{STAMPS[1]}-nightly-bbbb")
    finished(tmp_path, f"{STAMPS[2]}-other-cccc", "other")
    child = tmp_path / f"{STAMPS[3]}-nightly-dddd"
    child.mkdir()
    write_record(child, dataclasses.replace(record(child.name), parent=parent.name))
    assert run_before(parent) == first
    assert run_before(child) == first
    with pytest.raises(StoreError, match="there is no run of 'nightly' before"):
        run_before(first)


@pytest.mark.parametrize(("name", "message"), [
    ("latest~99999999999999999999", "there is only one finished run in"), ("x" * 300, "no run 'xxx"),
])  # fmt: skip
def test_numbers_and_names_beyond_what_a_system_takes(tmp_path: Path, name: str, message: str) -> None:
    finished(tmp_path, "nightly")
    with pytest.raises(StoreError, match=message):
        find_run(tmp_path, name)


def test_many_runs_of_one_beginning_are_not_all_listed(tmp_path: Path) -> None:
    for stamp in STAMPS:
        finished(tmp_path, f"{stamp}-nightly-aaaa")
    with pytest.raises(StoreError) as error:
        find_run(tmp_path, "2026")
    assert "'2026' stands for several runs: 3 older ones and 20260104T" in str(error.value)
