"""Scoring again from the folder alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.engine.events import Event, Note
from harness.engine.rescore import rescore_run
from harness.engine.run import run_plan
from harness.errors import UsageError
from harness.store import run_folders, samples_table
from tests.engine.test_run import nothing, texts
from tests.engine.test_workers import Inputs
from tests.engine.toys import Echo, TwoSteps, options, plan


def test_the_same_metrics_give_the_same_numbers_and_a_parent(tmp_path: Path) -> None:
    first = run_plan(plan(Echo(fail_on="say c"), seeds=(0, 1), suite=TwoSteps()), options(tmp_path), nothing)
    assert first.path is not None
    again = rescore_run(first.path, tmp_path / "results", (), nothing)
    assert again.parent == first.run_id
    assert again.run_id != first.run_id
    assert again.estimates == first.estimates
    assert again.standings == first.standings
    assert texts(again) == texts(first)
    assert again.path is not None
    assert samples_table(again.path).equals(samples_table(first.path))


def test_other_metrics(tmp_path: Path) -> None:
    first = run_plan(plan(Echo()), options(tmp_path), nothing)
    assert first.path is not None
    again = rescore_run(first.path, tmp_path / "results", ["chrf", "latency_p50"], nothing)
    assert {e["metric"]: e["value"] for e in again.estimates} == {"chrf": pytest.approx(100.0), "latency_p50": 0.5}
    assert [e["metric"] for e in again.estimates if e["primary"]] == ["chrf"]


def test_a_metric_that_fits_nothing_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    first = run_plan(plan(Echo()), options(tmp_path), nothing)
    assert first.path is not None
    with pytest.raises(UsageError, match="metric ndcg@10 needs ranking, which no task of this run has"):
        rescore_run(first.path, tmp_path / "results", ["ndcg@10"], nothing)
    assert run_folders(tmp_path / "results") == [first.path]


def test_metrics_of_the_users_own_are_found_again(tmp_path: Path) -> None:
    """By the module that the config names, also inside another metric; one of the package may have the same name."""
    mine = "tests.engine.dangerous:Namesake(factor=3)"
    record = Inputs(tmp_path, ["ab", "abc", "a"], [mine, f"worst_group({mine},by=kind)", "chrf"]).run()
    assert record.path is not None
    again = rescore_run(record.path, tmp_path / "results", (), nothing)
    assert again.estimates == record.estimates
    assert {e["metric"]: e["value"] for e in again.estimates}[mine] == 3 * 2


@pytest.mark.slow
def test_what_is_lost_while_scoring_again_is_told_and_stands_in_the_record(tmp_path: Path) -> None:
    record = Inputs(tmp_path, ["aaa", "EXIT"], ["exact_match"]).run()
    assert record.path is not None
    told: list[Event] = []
    again = rescore_run(record.path, tmp_path / "results", ["tests.engine.dangerous:Dangerous"], nothing, told.append)
    note = "task: dangerous: scoring ended its process with exit code 3 on sample 's1': such samples are missing"
    assert told == [Note(note)]
    assert list(again.counts["notes"]) == [*record.counts["notes"], note]
    assert again.counts["units"] == record.counts["units"]
