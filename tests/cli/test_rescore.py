"""``harness rescore``: other metrics from stored answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.projects import Harness


def test_other_metrics_without_data_or_models(harness: Harness, project: Path, finished: str) -> None:
    for path in ("configs/good.jsonl", "configs/poor.jsonl", "tasks/questions.jsonl"):
        Path(path).unlink()
    said = harness("rescore", finished, "--metrics", "rouge_1", "chrf", "--json")
    assert said.code == 0, said.err
    document = said.json
    assert (document["schema"], document["parent"]) == (1, finished)
    assert document["run_id"] != finished
    found = {(e["model"], e["metric"]): e["value"] for e in document["estimates"]}
    assert set(found) == {(model, metric) for model in ("good", "poor") for metric in ("rouge_1", "chrf")}
    assert found["good", "rouge_1"] == pytest.approx(0.75)  # three answers equal their references, one shares no word
    assert found["poor", "rouge_1"] == pytest.approx(1 / 3)


def test_its_own_metrics_give_the_same_values(harness: Harness, finished: str) -> None:
    before = harness("show", finished, "--json").json["estimates"]
    after = harness("rescore", "latest", "--json").json["estimates"]
    assert after == before


def test_text_names_parent_and_next_command(harness: Harness, finished: str) -> None:
    lines = harness("rescore", finished).out.splitlines()
    assert f"{finished} scored again" in lines[-2]
    assert lines[-1].startswith("next: harness show ")


def test_metrics_without_the_option_are_refused(harness: Harness, finished: str) -> None:
    said = harness("rescore", finished, "chrf")
    assert said.code == 2
    assert "metrics come after --metrics: chrf" in said.err


def test_an_unknown_metric(harness: Harness, finished: str) -> None:
    said = harness("rescore", finished, "--metrics", "blue", "--json")
    assert said.refusal == ["unknown metric 'blue'; did you mean 'bleu'?"]


def test_notes_are_told_on_stderr(harness: Harness, finished: str) -> None:
    said = harness("rescore", finished, "--metrics", "tests.cli.noisy:Noisy")
    assert (said.code, said.err) == (0, "note: capitals: it is loud\n" * 2), "of each of two models"


def test_a_metric_with_a_file_finds_it_again_and_says_when_it_is_another(harness: Harness, project: Path) -> None:
    task, words = Path("tasks/capitals.yaml"), Path("tasks/words.txt")
    words.write_text("lima\nvientiane\n")
    task.write_text(task.read_text().replace("[exact_match, token_f1]", "[exact_match, oov_rate(vocabulary=words.txt)]"))
    assert harness("run", "configs/capitals.yaml").code == 0
    values = {e["model"]: e["value"] for e in harness("show", "latest", "--json").json["estimates"] if "oov" in e["metric"]}
    assert values["good"] == pytest.approx(3 / 5)  # of lima, n, djamena, vientiane, santiago
    again = harness("rescore", "latest", "--json").json["estimates"]
    assert {e["model"]: e["value"] for e in again if "oov" in e["metric"]} == values
    compared = harness("compare", "latest~1", "latest", "--json").json["comparisons"]
    assert {c["difference"] for c in compared if "oov" in c["metric"]} == {0.0}
    words.write_text("quito\n")
    said = harness("rescore", "latest")
    assert said.code == 2
    assert "a file of it is gone, or not what it was when the run was scored" in said.err
    assert "words.txt" in said.err
    assert "not what it was" in harness("compare", "latest~1", "latest").err
