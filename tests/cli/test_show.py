"""``harness show`` and ``harness leaderboard`` of a finished run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.projects import OUT_OF_MEMORY, Harness, write_lines


def test_an_unknown_run_names_what_there_is(harness: Harness, finished: str) -> None:
    said = harness("show", "yesterday", "--json")
    assert said.refusal == [f"no run 'yesterday' in results; known: {finished}"]


@pytest.mark.parametrize("command", [["show", "latest"], ["leaderboard"], ["rescore", "latest"]])
def test_no_runs_at_all(harness: Harness, tmp_path: Path, command: list[str]) -> None:
    said = harness(*command, "--results", str(tmp_path / "none"))
    assert (said.code, said.out) == (2, "")
    assert said.err == f"error: 'latest': there are no finished runs in {tmp_path / 'none'}\n"


def test_the_summary_has_every_metric_slices_and_reasons(harness: Harness, finished: str) -> None:
    said = harness("show", finished[:12])
    assert said.code == 0
    assert re.search(r"^exact_match ↑\* +good +0\.75 +\[0\.30, 0\.95\] +4 ", said.out, re.MULTILINE)
    assert re.search(r"^token_f1 ↑ +poor +", said.out, re.MULTILINE)
    assert re.search(r"^level=easy +good +exact_match +0\.50? ", said.out, re.MULTILINE)
    assert re.search(rf"^poor +capitals +1 +{OUT_OF_MEMORY}$", said.out, re.MULTILINE)
    assert said.out.splitlines()[-1] == f"next: harness show {finished[:12]} --samples   or: harness rescore {finished[:12]}"


def test_one_task_and_entry(harness: Harness, finished: str) -> None:
    document = harness("show", finished, "--json", "--entry", "poor", "--task", "capitals").json
    assert (document["schema"], document["run_id"], document["name"]) == (1, finished, "capitals")
    assert {estimate["model"] for estimate in document["estimates"]} == {"poor"}
    assert len(document["estimates"]) == 2


@pytest.mark.parametrize(("option", "message"), [
    (["--task", "capitls"], "this run has no task 'capitls'; did you mean 'capitals'?"),
    (["--entry", "goood"], "this run has no entry 'goood'; did you mean 'good'?"),
])  # fmt: skip
def test_a_misspelt_choice_is_refused(harness: Harness, finished: str, option: list[str], message: str) -> None:
    said = harness("show", finished, *option)
    assert (said.code, said.out, said.err) == (2, "", f"error: harness show: {message}\n")


def test_samples_show_what_was_asked_answered_and_wanted(harness: Harness, finished: str) -> None:
    said = harness("show", finished, "--samples", "--entry", "good")
    lines = [line.rstrip() for line in said.out.splitlines()]
    assert lines[:6] == [
        "q1  good × capitals",
        "prompt      Q: Capital of Peru?",
        "            A:",
        "answer      Lima",
        "references  Lima",
        "metrics     exact_match 1.000   token_f1 1.000",
    ]
    assert sum(line.startswith("q") for line in lines) == 4


def test_samples_as_json(harness: Harness, finished: str) -> None:
    document = harness("show", finished, "--samples", "--json", "--limit", "0").json
    assert (document["schema"], document["more"], len(document["samples"])) == (1, False, 8)
    wrong = next(s for s in document["samples"] if s["model"] == "poor" and s["id"] == "q2")
    assert wrong["text"] == "Bangui"
    assert wrong["wanted"]["references"] == ["N'Djamena"]
    assert wrong["metrics"] == {"exact_match": 0.0, "token_f1": 0.0}


def test_samples_show_what_a_text_is_built_on_and_cites(harness: Harness, project: Path) -> None:
    first = {"id": "q1", "text": "Lima", "contexts": ["Peru's capital is Lima.", "Lima is old."], "citations": [0, 1]}
    plain = [{"id": f"q{n}", "text": "so", "contexts": ["long " * 200] if n == 2 else []} for n in (2, 3, 4)]
    write_lines(Path("configs/good.jsonl"), [first, *plain])
    assert harness("run", str(project)).code == 0
    said = harness("show", "latest", "--samples", "--entry", "good")
    lines = [line.rstrip() for line in said.out.splitlines()]
    assert lines[3:8] == [
        "answer      Lima",
        "contexts    [0] Peru's capital is Lima.",
        "            [1] Lima is old.",
        "citations   [0] [1]",
        "references  Lima",
    ]
    assert sum(line.startswith("contexts") for line in lines) == 2
    assert sum(line.startswith("citations") for line in lines) == 1
    assert said.out.count("long") == 120, "a long passage is cut off"
    sample = harness("show", "latest", "--samples", "--entry", "good", "--json").json["samples"][0]
    assert (sample["answer"]["contexts"], sample["answer"]["citations"]) == (first["contexts"], first["citations"])


def test_the_limit_says_that_there_are_more(harness: Harness, finished: str) -> None:
    document = harness("show", finished, "--samples", "--json", "--limit", "3").json
    assert (len(document["samples"]), document["more"]) == (3, True)
    assert "--limit 0" in harness("show", finished, "--samples", "--limit", "3").out.splitlines()[-1]


def test_failed_shows_only_what_is_missing_and_why(harness: Harness, finished: str) -> None:
    samples = harness("show", finished, "--failed", "--json").json["samples"]
    assert [(s["model"], s["id"], s["error"]) for s in samples] == [("poor", "q3", OUT_OF_MEMORY)]
    said = harness("show", finished, "--failed", "--entry", "good")
    assert said.out.splitlines()[0] == "no sample is missing"


def test_the_leaderboard_of_the_latest_run(harness: Harness, finished: str) -> None:
    said = harness("leaderboard")
    assert said.out.splitlines()[0] == f"capitals, run {finished}"
    assert "0.75 [0.30, 0.95] (1)" in said.out
    document = harness("leaderboard", finished, "--json").json
    assert (document["schema"], document["tasks"][0]["metric"]) == (1, "exact_match")


def test_brackets_in_the_name_of_a_config_are_not_markup(harness: Harness, project: Path) -> None:
    project.write_text(project.read_text() + "name: capitals [bold]\n")
    assert harness("run", str(project), "--quiet").code == 0
    assert harness("leaderboard").out.startswith("capitals [bold], run ")
