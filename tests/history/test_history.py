"""The history of a config: its runs and no others, level changes where they were planted, and what changed there."""

from __future__ import annotations

import dataclasses
import random
import time
from pathlib import Path
from typing import Any

import pytest

from harness.errors import StoreError, UsageError
from harness.history import History, Selection, Series, history
from harness.history.annotations import in_short, in_words
from harness.store.baselines import BASELINES, set_baseline
from harness.store.gatelog import GATE_LOG, append_decision
from harness.store.noise import NOISE, RunNoise, write_noise
from tests.history.runs import ESTIMATE, nights, record, run_id, write

STEADY = [0.70, 0.71, 0.69, 0.70, 0.72, 0.71, 0.69, 0.70, 0.71, 0.70]
LOWER = [0.63, 0.64, 0.62, 0.63, 0.64, 0.62]


def only(found: History) -> Series:
    (series,) = found.series
    return series


def test_the_series_of_a_config_oldest_first(tmp_path: Path) -> None:
    nights(tmp_path, STEADY)
    write(tmp_path, record(40, name="other"))
    found = history(tmp_path, Selection("nightly"))
    assert (found.config, [run.run_id for run in found.runs]) == ("nightly", [run_id(night) for night in range(10)])
    series = only(found)
    assert (series.entry, series.task, series.metric, series.higher_is_better) == ("m", "t", "acc", True)
    assert [point.value for point in series.points] == STEADY
    assert (series.points[0].low, series.points[0].high, series.points[0].n) == (0.67, 0.73, 900)
    assert (found.runs[0].n_rows, found.runs[0].n_missing, found.runs[0].git_commit) == (900, 9, "abc")
    assert found.notes == ()


def test_by_default_it_is_the_config_of_the_latest_run(tmp_path: Path) -> None:
    nights(tmp_path, STEADY)
    write(tmp_path, record(40, name="other"))
    assert history(tmp_path).config == "other"


def test_the_last_so_many(tmp_path: Path) -> None:
    nights(tmp_path, STEADY)
    assert [run.run_id for run in history(tmp_path, Selection(last=3)).runs] == [run_id(night) for night in (7, 8, 9)]
    assert len(history(tmp_path, Selection(last=0)).runs) == 10


# ── levels ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_planted_drop_is_found_where_it_was_planted(tmp_path: Path) -> None:
    nights(tmp_path, STEADY + LOWER)
    (shift,) = only(history(tmp_path)).shifts
    assert shift.at == 10
    assert (shift.before, shift.after) == (pytest.approx(sum(STEADY) / 10), pytest.approx(sum(LOWER) / 6))
    assert shift.size == pytest.approx(sum(LOWER) / 6 - sum(STEADY) / 10)


def test_a_steady_series_has_none(tmp_path: Path) -> None:
    nights(tmp_path, STEADY)
    series = only(history(tmp_path))
    assert (series.shifts, series.is_long_enough) == ((), True)


def test_few_runs_tell_nothing_unless_the_noise_was_measured(tmp_path: Path) -> None:
    nights(tmp_path, [0.70, 0.71, 0.70, 0.62, 0.61])
    series = only(history(tmp_path))
    assert (series.shifts, series.is_long_enough) == ((), False)
    needed = "10 runs are needed to tell a change, there are 5"
    assert series.note == f"with the noise estimated from successive differences, {needed}"
    write_noise(tmp_path, "nightly", [], {"m": {"t": {"acc": RunNoise(0.0, 4.0, 0.008, 900)}}})
    series = only(history(tmp_path))
    assert [shift.at for shift in series.shifts] == [3]
    assert series.shifts[0].error == pytest.approx(0.008 * (1 / 3 + 1 / 2) ** 0.5)
    assert series.note == "with the noise that harness noise measured"


def test_where_the_data_change_the_sampling_error_counts(tmp_path: Path) -> None:
    """A drop of four points is beyond what runs on the same data differ by (1), and not beyond samples of ± 3."""
    values = [0.700, 0.701, 0.699, 0.700, 0.660, 0.661, 0.659, 0.660]
    write_noise(tmp_path / "same", "nightly", [], {"m": {"t": {"acc": RunNoise(0.0, 4.0, 0.01, 900)}}})
    nights(tmp_path / "same", values)
    assert [shift.at for shift in only(history(tmp_path / "same")).shifts] == [4]
    other = [record(night, value, data_fingerprints={"t": {"fingerprint": str(night)}}) for night, value in enumerate(values)]
    wide = [dataclasses.replace(one, estimates=({**one.estimates[0], "low": 0.6, "high": 0.8},)) for one in other]
    write(tmp_path / "other", *wide)
    series = only(history(tmp_path / "other"))
    assert series.shifts == ()
    assert series.note == "with the sampling errors: the data changed between runs"


def test_undefined_values_are_gaps(tmp_path: Path) -> None:
    nights(tmp_path, [*STEADY[:5], None, *STEADY[5:], *LOWER])
    series = only(history(tmp_path))
    assert (series.points[5].value, series.points[5].reason) == (None, "nothing")
    assert [shift.at for shift in series.shifts] == [11]


# ── what changed ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("changes", "words"), [
    ({"model_signatures": {"m": {"revision": "2b"}}}, ["model m: revision 1a → 2b"]),
    ({"environment": {"packages": {"torch": "2.1"}, "git_commit": "abc"}}, ["package: torch 2.0 → 2.1"]),
    ({"environment": {"packages": {"torch": "2.0", "harness-eval": "9"}, "git_commit": "abc"}},
     ["package: harness-eval none → 9"]),
    ({"environment": {"packages": {"torch": "2.0"}, "git_commit": "def"}}, ["code: git_commit abc → def"]),
    ({"data_fingerprints": {"t": {"fingerprint": "g", "n": 900, "version": 1}}}, ["data t: fingerprint f → g"]),
    ({"data_fingerprints": {"t": {"fingerprint": "f", "n": 900, "version": 2}}}, ["data t: version 1 → 2"]),
    ({"config": {"models": {"m": {"backend": "replay"}}, "tasks": [{"task": "t", "prompt": {"text": "A"}}]}},
     ["prompt t: prompt.text Q → A"]),
    ({"config": {"models": {"m": {"backend": "replay"}},
                 "tasks": [{"task": "t", "prompt": {"text": "Q"}, "decoding": {"temperature": 1}}]}},
     ["decoding t: decoding.temperature none → 1"]),
    ({"estimates": ({**ESTIMATE, "signature": "acc#v2"},)}, ["metric t: acc acc#v1 → acc#v2"]),
    ({"seeds": (1,)}, ["seeds: seeds [0] → [1]"]),
])  # fmt: skip
def test_what_changed_is_told_where_it_changed(tmp_path: Path, changes: dict[str, Any], words: list[str]) -> None:
    write(tmp_path, record(0), record(1), record(2, **changes), record(3, **changes))
    points = only(history(tmp_path)).points
    assert [[in_words(change) for change in point.changes] for point in points] == [[], [], words, []]


def test_many_changes_are_told_in_the_order_in_which_one_looks_for_them(tmp_path: Path) -> None:
    packages = {"torch": "3", "numpy": "4", "faiss": "5"}
    write(tmp_path, record(0), record(1, environment={"packages": packages, "git_commit": "x"}, model_signatures={"m": {}}))
    changes = only(history(tmp_path)).points[1].changes
    assert in_short(changes) == "model m: revision 1a → none; package: torch 2.0 → 3; package: faiss none → 5; 2 more"


def test_baselines_and_verdicts_are_marked(tmp_path: Path) -> None:
    nights(tmp_path, STEADY[:4])
    set_baseline(tmp_path, "main", run_id(1))
    set_baseline(tmp_path, "release", run_id(1))
    for night, verdict in ((2, "regressed"), (3, "inconclusive"), (2, "passed")):
        append_decision(tmp_path, {"stream": "s", "run": run_id(night), "baseline": run_id(1), "verdict": verdict})
    runs = history(tmp_path).runs
    assert [run.baselines for run in runs] == [(), ("main", "release"), (), ()]
    assert [run.verdicts for run in runs] == [(), (), ("passed",), ("inconclusive",)]


# ── which ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def many(tmp_path: Path) -> None:
    rows = tuple({**ESTIMATE, "entry": entry, "model": entry, "task": task, "metric": metric, "primary": metric == "acc"}
                 for entry in ("x", "y") for task in ("t1", "t2") for metric in ("acc", "f1"))  # fmt: skip
    write(tmp_path, *(record(night, estimates=rows) for night in range(2)))


@pytest.mark.parametrize(("selection", "expected"), [
    (Selection(), {("x", "t1", "acc"), ("x", "t2", "acc"), ("y", "t1", "acc"), ("y", "t2", "acc")}),
    (Selection(entry="y", metric="*"), {("y", "t1", "acc"), ("y", "t1", "f1"), ("y", "t2", "acc"), ("y", "t2", "f1")}),
    (Selection(task="t2", metric="f1"), {("x", "t2", "f1"), ("y", "t2", "f1")}),
    (Selection(task="t?", entry="x"), {("x", "t1", "acc"), ("x", "t2", "acc")}),
])  # fmt: skip
def test_which_series(tmp_path: Path, selection: Selection, expected: set[tuple[str, str, str]]) -> None:
    many(tmp_path)
    assert {(one.entry, one.task, one.metric) for one in history(tmp_path, selection).series} == expected


@pytest.mark.parametrize(("selection", "message"), [
    (Selection(task="t3"), "no run has the task 't3'; known: t1, t2"),
    (Selection(metric="acd"), r"no run has the metric 'acd'; did you mean 'acc'\?"),
    (Selection(entry="zzz"), r"no run has the entry 'zzz'; known: x, y"),
])  # fmt: skip
def test_what_no_run_has_is_told(tmp_path: Path, selection: Selection, message: str) -> None:
    many(tmp_path)
    with pytest.raises(UsageError, match=message):
        history(tmp_path, selection)


def test_no_runs_and_no_such_config(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there are no finished runs in"):
        history(tmp_path / "none")
    nights(tmp_path, STEADY[:2])
    with pytest.raises(StoreError, match=r"there are no finished runs of 'nightyl' in .*; did you mean 'nightly'\?"):
        history(tmp_path, Selection("nightyl"))


# ── garbage ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_damaged_run_is_named_and_left_out(tmp_path: Path) -> None:
    nights(tmp_path, STEADY)
    (tmp_path / run_id(4) / "run.json").write_text("{")
    (tmp_path / "empty").mkdir()
    found = history(tmp_path, Selection("nightly"))
    assert [point.value for point in only(found).points] == STEADY[:4] + STEADY[5:]
    (note,) = found.notes
    assert run_id(4) in note
    assert note.startswith("left out: ")


def test_damaged_files_beside_the_runs_are_notes(tmp_path: Path) -> None:
    nights(tmp_path, STEADY)
    for name, text in ((BASELINES, "x"), (NOISE, "x"), (GATE_LOG, "x\ny\n")):
        (tmp_path / name).write_text(text)
    found = history(tmp_path)
    assert len(only(found).points) == 10
    assert [next(name for name in (BASELINES, NOISE, GATE_LOG) if name in note) for note in found.notes] == [
        NOISE, BASELINES, GATE_LOG,
    ]  # fmt: skip


def test_runs_that_were_scored_again_are_counted_and_left_out(tmp_path: Path) -> None:
    write(tmp_path, record(0), record(1), record(2, parent=run_id(0)))
    found = history(tmp_path)
    assert [run.run_id for run in found.runs] == [run_id(0), run_id(1)]
    assert found.notes == ("1 run scored again from another left out",)


@pytest.mark.slow
def test_five_hundred_runs_take_a_moment(tmp_path: Path) -> None:
    rng = random.Random(0)
    rows = [tuple({**ESTIMATE, "task": f"t{task}", "value": rng.gauss(0.7, 0.01)} for task in range(10)) for _ in range(500)]
    environments = [{"packages": {"torch": str(night // 50)}, "git_commit": str(night)} for night in range(500)]
    write(tmp_path, *(record(night, estimates=rows[night], environment=environments[night]) for night in range(500)))
    started = time.process_time()
    found = history(tmp_path, Selection(last=0))
    assert time.process_time() - started < 5
    assert (len(found.series), len(found.runs)) == (10, 500)
