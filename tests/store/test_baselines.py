"""Names for runs: set, moved, removed, found again; damage is told and never written over; two writers lose nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.store import find_run
from harness.store.baselines import (
    BASELINES,
    baseline_log,
    baseline_named,
    baseline_of,
    baselines,
    remove_baseline,
    set_baseline,
)
from tests.store.records import finished

ONE, TWO = "20260101T000000.000Z-nightly-aaaa", "20260102T000000.000Z-nightly-bbbb"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for run_id in (ONE, TWO):
        finished(tmp_path, run_id)
    return tmp_path


def test_a_name_stands_for_a_run_wherever_a_run_is_named(results: Path) -> None:
    set_baseline(results, "main", ONE)
    assert baseline_of(results, "main") == ONE
    assert find_run(results, "baseline:main") == results / ONE


def test_the_file_is_as_it_is_documented(results: Path) -> None:
    set_baseline(results, "main", ONE, by="ada", note="release 1")
    document = json.loads((results / BASELINES).read_text())
    at = document["baselines"]["main"].pop("since")
    assert len(at) == len("2026-01-01T00:00:00Z")
    assert document == {
        "schema": 1, "baselines": {"main": {"run_id": ONE, "by": "ada", "note": "release 1"}},
        "log": [{"at": at, "name": "main", "run_id": ONE, "previous": None, "by": "ada", "note": "release 1"}],
    }  # fmt: skip


def test_the_log_knows_who_moved_a_name_and_who_removed_it(results: Path) -> None:
    set_baseline(results, "main", ONE, by="ada")
    set_baseline(results, "main", TWO, by="bob", note="better")
    set_baseline(results, "feature/x", ONE)
    remove_baseline(results, "main", by="eve")
    assert list(baselines(results)) == ["feature/x"]
    assert [(c.name, c.run_id, c.previous, c.by, c.note) for c in baseline_log(results)] == [
        ("main", ONE, None, "ada", None), ("main", TWO, ONE, "bob", "better"), ("feature/x", ONE, None, None, None),
        ("main", None, TWO, "eve", None),
    ]  # fmt: skip


def test_a_name_that_is_set_to_its_run_again_has_it_since_the_first_time(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"])
    monkeypatch.setattr("harness.store.baselines._now", lambda: next(times))
    set_baseline(results, "main", ONE)
    set_baseline(results, "main", ONE, note="still")
    assert baseline_named(results, "main").since == "2026-01-01T00:00:00Z"
    set_baseline(results, "main", TWO)
    assert baseline_named(results, "main").since == "2026-01-03T00:00:00Z"


@pytest.mark.parametrize("name", ["", " main", "main ", "a:b", "a#b", "a~1", "a\nb", "\x1b[31m", "latest", ONE])
def test_what_cannot_be_a_name(results: Path, name: str) -> None:
    with pytest.raises(StoreError, match="baseline: "):
        set_baseline(results, name, ONE)
    assert not (results / BASELINES).exists()


def test_only_a_finished_run_can_be_a_baseline(results: Path) -> None:
    (results / "unfinished").mkdir()
    (results / "unfinished" / "journal.jsonl").write_text("{}\n")
    with pytest.raises(StoreError, match="run 'unfinished' is not finished: only a finished run can be a baseline"):
        set_baseline(results, "main", "unfinished")
    with pytest.raises(StoreError, match="run 'nowhere' is not in"):
        set_baseline(results, "main", "nowhere")


def test_an_unknown_name_is_told_with_the_nearest(results: Path) -> None:
    with pytest.raises(StoreError, match=r"no baseline 'main' in .*; there is none yet: harness baseline set NAME RUN"):
        baseline_of(results, "main")
    set_baseline(results, "main", ONE)
    with pytest.raises(StoreError, match=r"no baseline 'mian' in .*; did you mean 'main'\?"):
        find_run(results, "baseline:mian")
    with pytest.raises(StoreError, match=r"did you mean 'main'\?"):
        remove_baseline(results, "mian")


def test_a_baseline_whose_run_is_gone_says_so(results: Path) -> None:
    set_baseline(results, "main", ONE)
    (results / ONE / "run.json").unlink()
    (results / ONE).rmdir()
    with pytest.raises(StoreError, match=f"baseline 'main' is run '{ONE}' .* which is not in .* any more: bring it back"):
        find_run(results, "baseline:main")
    assert baselines(results)["main"].run_id == ONE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged"),
        ("[]", "it has no schema"),
        ('{"schema": 9}', "has schema 9, this harness reads up to 1"),
        ('{"schema": 1, "baselines": []}', "baselines must be an object"),
        ('{"schema": 1, "baselines": {"main": 3}, "log": []}', "3 is no baseline"),
        ('{"schema": 1, "baselines": {"main": {"run_id": 4}}, "log": []}', "has what is no text"),
        ('{"schema": 1, "baselines": {"main": {"run_id": null, "since": "x"}}, "log": []}', "is no baseline"),
        ('{"schema": 1, "baselines": {}, "log": [{}]}', "is no change"),
    ],
)
def test_a_damaged_file_is_told_and_left_as_it_is(results: Path, text: str, message: str) -> None:
    (results / BASELINES).write_text(text)
    attempts = (lambda: set_baseline(results, "main", ONE), lambda: baselines(results), lambda: find_run(results, "baseline:x"))
    for attempt in attempts:
        with pytest.raises(StoreError, match=message):
            attempt()
    assert (results / BASELINES).read_text() == text
    assert find_run(results, "latest") == results / TWO


def test_two_processes_at_once_lose_nothing(results: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from harness.store.baselines import set_baseline\n"
        "for i in range(12): set_baseline(Path(sys.argv[1]), f'{sys.argv[2]}{i}', sys.argv[3], by=sys.argv[2])\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, str(results), who, ONE]) for who in ("a", "b", "c")]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0, 0]
    names = [f"{who}{i}" for who in "abc" for i in range(12)]
    assert sorted(baselines(results)) == sorted(names)
    assert sorted(change.name for change in baseline_log(results)) == sorted(names)
