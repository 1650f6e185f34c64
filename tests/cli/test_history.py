"""``harness history``: the series in a file and as JSON."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.store.baselines import set_baseline
from harness.store.gatelog import append_decision
from tests.cli.projects import Harness
from tests.history.runs import nights, record, run_id, write

VALUES = [0.70, 0.71, 0.69, 0.70, 0.72, 0.71, 0.69, 0.70, 0.71, 0.70, 0.63, 0.64, 0.62, 0.63, 0.64, 0.62]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    nights(tmp_path / "results", VALUES[:10])
    changed = {"packages": {"torch": "2.1"}, "git_commit": "abc"}
    write(tmp_path / "results", *(record(night, VALUES[night], environment=changed) for night in range(10, 16)))
    return tmp_path / "results"


def test_the_table_says_when_the_level_changed_and_what_else(harness: Harness, results: Path) -> None:
    set_baseline(results, "main", run_id(3))
    append_decision(results, {"stream": "s", "run": run_id(10), "baseline": run_id(3), "verdict": "regressed"})
    said = harness("history")
    lines = [line.rstrip() for line in said.out.splitlines()]
    assert said.code == 0
    assert lines[0] == "nightly, 16 runs"
    assert lines[2] == "m × t: acc ↑  *#+*##+*#*_.__._"  # plain, in eighths of the way from 0.62 to 0.72
    (row,) = [line for line in lines if line.startswith(run_id(10))]
    assert re.search(r"2026-01-11 00:00  0\.630  \[0\.670, 0\.730\]  0\.703 ▼ 0\.630  regressed  ", row)
    assert row.endswith("package: torch 2.0 → 2.1")
    (row,) = [line for line in lines if line.startswith(run_id(3))]
    assert "baseline main" in row
    assert lines[-1] == f"next: harness compare {run_id(9)} {run_id(10)}   or: harness drift {run_id(10)} {run_id(9)}"


def test_in_a_narrow_terminal_the_changes_have_lines_of_their_own(
    harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    weights = [{"model_signatures": {"m": {"content": digit * 32}}} for digit in "ab"]
    write(tmp_path / "results", *(record(night, 0.7, **weights[night]) for night in range(2)))
    lines = [line.rstrip() for line in harness("history").out.splitlines()]
    assert lines[3].split() == ["run", "value", "interval", "level", "marks"]  # the id says when it was started
    assert lines[6] == "different from the run before"
    assert lines[7] == f"  {run_id(1)}: model m: content aaaaaaaaaaaa… → bbbbbbbbbbbb…"


def test_as_json(harness: Harness, results: Path) -> None:
    document = harness("history", "--json").json
    assert (document["schema"], document["config"], len(document["runs"]), document["notes"]) == (1, "nightly", 16, [])
    (series,) = document["series"]
    assert [point["value"] for point in series["points"]] == VALUES
    (shift,) = series["shifts"]
    assert (shift["run_id"], shift["at"]) == (run_id(10), 10)
    assert series["points"][10]["changes"] == [{"kind": "package", "where": "", "field": "torch", "a": "2.0", "b": "2.1"}]


def test_choices(harness: Harness, results: Path) -> None:
    assert len(harness("history", "--last", "3", "--json").json["runs"]) == 3
    said = harness("history", "--task", "s")
    assert (said.code, said.out, said.err) == (2, "", "error: history: no run has the task 's'; known: t\n")
    said = harness("history", "--config", "nightli")
    assert said.err == "error: there are no finished runs of 'nightli' in results; did you mean 'nightly'?\n"


def test_a_damaged_run_is_a_note(harness: Harness, results: Path) -> None:
    (results / run_id(2) / "run.json").write_text("garbage")
    said = harness("history")
    assert said.code == 0
    assert f"note: left out: results/{run_id(2)}/run.json is damaged" in said.out


def test_one_run_has_a_history_too(harness: Harness, finished: str) -> None:
    said = harness("history")
    assert (said.code, said.out.splitlines()[0]) == (0, "capitals, 1 run")
    assert said.out.splitlines()[-1] == f"next: harness show {finished}"
    assert "10 runs are needed to tell a change, there are 1" in said.out
