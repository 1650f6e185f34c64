"""``harness drift`` of runs of a project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.projects import GOOD, Harness, write_lines


@pytest.fixture
def again(project: Path, harness: Harness, finished: str) -> str:
    """A second run, whose model refuses what it knew."""
    answers = {**GOOD, "q1": "I'm sorry, but I can't help with that.", "q2": "I'm sorry, but I can't help with that."}
    write_lines(Path("configs/good.jsonl"), [{"id": i, "text": text} for i, text in answers.items()])
    return str(harness("run", str(project), "--new", "--json", "--quiet").json["run_id"])


def test_a_run_is_held_against_the_one_before_it(harness: Harness, finished: str, again: str) -> None:
    document = harness("drift", "--json").json
    assert (document["schema"], document["run"], document["base"]) == (1, again, finished)
    found = {(row["entry"], row["measure"]): row for row in document["drifts"]}
    rate = found["good", "refusal_rate"]
    assert (rate["base"], rate["run"], rate["value"], rate["unit"]) == (0.0, 0.5, 0.5, "share")
    assert rate["low"] < 0.5 < rate["high"]
    assert found["poor", "refusal_rate"]["value"] == 0.0
    assert found["good", "input_js"]["reason"] == "the inputs are the same"
    assert found["good", "latency_p50"]["value"] is None
    json.dumps(document, allow_nan=False)


def test_the_table(harness: Harness, finished: str, again: str) -> None:
    said = harness("drift", "latest", finished)
    lines = [line.rstrip() for line in said.out.splitlines()]
    assert said.code == 0
    assert lines[0] == f"{again} against {finished}"
    assert lines[2] == "good × capitals"
    (row,) = [line.split() for line in lines[:14] if line.startswith("refusal_rate")]
    assert row[1:4] == ["0.00", "0.50", "0.50"]
    assert "not measured: number_psi: the answers are not numbers" in lines
    assert lines[-1] == f"next: harness show {again} --samples   or: harness history"


def test_only_some_measures(harness: Harness, finished: str, again: str) -> None:
    rows = harness("drift", "--measure", "refusal_rate", "--measure", "output_js", "--json").json["drifts"]
    assert {row["measure"] for row in rows} == {"refusal_rate", "output_js"}
    said = harness("drift", "--measure", "refusal")
    assert said.code == 2
    assert said.err.startswith("error: drift: unknown measure 'refusal'; did you mean 'refusal_rate'?")
    said = harness("drift", "--measure", "output_mmd")
    assert said.code == 2
    assert "output_mmd needs an encoder" in said.err


def test_the_first_run_has_none_before_it(harness: Harness, finished: str) -> None:
    said = harness("drift")
    assert (said.code, said.err) == (2, f"error: there is no run of 'capitals' before {finished} in results\n")
