"""``harness run --dry-run``: what it prints, and that it does nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.projects import Harness

KEYS = {"model", "task", "requests", "resumed", "cached", "to_ask", "more_steps", "input_tokens", "output_tokens", "truncated",
        "cost", "seconds", "exact", "sized", "seconds_from"}  # fmt: skip


def test_json_has_the_promised_shape(harness: Harness, project: Path) -> None:
    said = harness("run", str(project), "--dry-run", "--json")
    document = said.json
    assert (said.code, document["schema"], document["dry_run"], document["resumes"]) == (0, 1, True, None)
    assert [(unit["model"], unit["task"], unit["requests"]) for unit in document["units"]] == [
        ("good", "capitals", 4), ("poor", "capitals", 4)]  # fmt: skip
    assert all(set(unit) == KEYS for unit in document["units"])
    assert (document["totals"]["requests"], document["totals"]["to_ask"], document["totals"]["seconds"]) == (8, 8, None)


def test_nothing_is_asked_and_nothing_written(harness: Harness, project: Path) -> None:
    Path("configs/poor.jsonl").unlink()  # it would be read when the model is opened, and only then
    Path("configs/poor.jsonl").write_text("{broken\n")
    before = sorted(Path().rglob("*"))
    assert harness("run", str(project), "--dry-run", "--cache-dir", "kept").code == 0
    assert sorted(Path().rglob("*")) == before


def test_the_table_and_the_command_that_does_it(harness: Harness, project: Path) -> None:
    said = harness("run", str(project), "--dry-run", "--no-cache", "--set", "seeds=[0, 1]")
    assert said.code == 0
    assert re.search(r"^good +capitals +8 +0 +0 +– +– +– +– +unknown *$", said.out, re.MULTILINE)
    assert re.search(r"^total +16 +0 +0 +– +– +– +– +unknown *$", said.out, re.MULTILINE)
    assert "nothing was asked and nothing written; a run would ask 16 requests\n" in said.out
    assert said.out.splitlines()[-1] == f"next: harness run {project} --set 'seeds=[0, 1]' --no-cache"


def test_the_time_is_that_of_an_earlier_run(harness: Harness, finished: str, project: Path) -> None:
    said = harness("run", str(project), "--dry-run")
    assert re.search(rf"^time of good × capitals: as in {finished}, the same task, \S+ requests/s$", said.out, re.MULTILINE)
    document = harness("run", str(project), "--dry-run", "--json").json
    assert [unit["seconds_from"] for unit in document["units"]] == [{"run_id": finished, "task": "capitals"}] * 2
    assert document["totals"]["seconds"] == pytest.approx(sum(unit["seconds"] for unit in document["units"]))


def test_a_budget_is_looked_at(harness: Harness, finished: str, project: Path) -> None:
    said = harness("run", str(project), "--dry-run", "--set", "budget.max_seconds=1e-9", "--set", "budget.max_cost=5")
    passed = r"^budget\.max_seconds 1e-09 would be passed after about 0 %, if all is used \(\S+\)$"
    assert re.search(passed, said.out, re.MULTILINE)
    assert "budget.max_cost 5: what would be used is not known beforehand" in said.out


@pytest.mark.parametrize("words", [("configs/nope.yaml",), ("--set", "models.good.path=nope.jsonl")])
def test_errors_are_those_of_a_run(harness: Harness, project: Path, words: tuple[str, ...]) -> None:
    given = words if words[0].startswith("configs") else (str(project), *words)
    real, dry = harness("run", *given), harness("run", *given, "--dry-run")
    assert (dry.code, dry.out, dry.err) == (2, "", real.err)
    assert real.err.startswith("error: ")


def test_a_device_that_no_model_has(harness: Harness, project: Path) -> None:
    for more in ((), ("--dry-run",)):
        said = harness("run", str(project), "--device", "cuda", *more)
        assert (said.code, said.out) == (2, "")
        assert said.err == "error: --device cuda: no model of this run has a device to choose\n"
