"""``harness list``: runs, tasks, and what is installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.plugins import catalogue, metric_names
from tests.cli.projects import Harness


def test_metrics_as_json(harness: Harness) -> None:
    document = harness("list", "metrics", "--json").json
    metrics = {metric["name"]: metric for metric in document["metrics"]}
    assert document["schema"] == 1
    assert set(metrics) == set(metric_names())
    bleu = metrics["bleu"]
    assert {key: bleu[key] for key in ("name", "kind", "family", "higher_is_better", "bounds")} == {
        "name": "bleu", "kind": "metric", "family": "text", "higher_is_better": True, "bounds": [0, 100],
    }  # fmt: skip
    assert bleu["summary"]
    assert metrics["perplexity"]["bounds"] == [1, None]
    assert metrics["perplexity"]["higher_is_better"] is False
    assert metrics["rouge_l"]["alias_of"] == "rouge(type=L)"


def test_metrics_as_a_table(harness: Harness) -> None:
    said = harness("list", "metrics")
    assert re.search(r"^bleu +↑ +0 … 100 +references, text +\S", said.out, re.MULTILINE)
    assert re.search(r"^perplexity +↓ +1 … ∞ ", said.out, re.MULTILINE)
    assert said.out.splitlines()[-1].startswith("next: harness list metrics ")


@pytest.mark.parametrize("name", ["ndcg@10", "ndcg@k"])
def test_one_metric_with_a_cut_off(harness: Harness, name: str) -> None:
    (metric,) = harness("list", "metrics", name, "--json").json["metrics"]
    assert metric["name"] == "ndcg@k"
    assert metric["signature"].startswith("ndcg@10(")
    assert "k" in [parameter["name"] for parameter in metric["parameters"]]


def test_one_metric_by_alias_shows_what_the_alias_stands_for(harness: Harness) -> None:
    (metric,) = harness("list", "metrics", "rouge_l", "--json").json["metrics"]
    kind = next(parameter for parameter in metric["parameters"] if parameter["name"] == "type")
    assert (metric["alias_of"], kind["default"]) == ("rouge(type=L)", "L")
    assert "rouge_1" in metric["aliases"]
    assert metric["signature"].startswith("rouge(")
    assert "type=L" in metric["signature"]


def test_one_metric_as_text_has_its_docstring(harness: Harness) -> None:
    said = harness("list", "metrics", "bleu")
    assert "Papineni et al. 2002" in said.out
    assert re.search(r"^max_order +int +4", said.out, re.MULTILINE)
    assert re.search(r"^range +0 … 100 points, higher is better", said.out, re.MULTILINE)


def test_an_unknown_metric(harness: Harness) -> None:
    said = harness("list", "metrics", "blue", "--json")
    assert said.refusal == ["unknown metric 'blue'; did you mean 'bleu'?"]


def test_a_bad_parameter_is_told(harness: Harness) -> None:
    said = harness("list", "metrics", "bleu(max_order=0)")
    assert said.code == 2
    assert said.err == "error: bleu: max_order must be a positive integer, got 0\n"


@pytest.mark.parametrize(("plural", "kind"), [("backends", "backend"), ("suites", "suite"), ("formats", "format")])
def test_plugins(harness: Harness, plural: str, kind: str) -> None:
    document = harness("list", plural, "--json").json
    assert document["schema"] == 1
    assert [plugin["name"] for plugin in document[plural]] == list(catalogue(kind))
    assert all(plugin["summary"] for plugin in document[plural])
    for plugin in document[plural]:
        assert re.search(rf"^{plugin['name']} ", harness("list", plural).out, re.MULTILINE)


def test_every_plugin_can_be_shown_by_itself(harness: Harness) -> None:
    for plural, kind in (("backends", "backend"), ("suites", "suite"), ("formats", "format")):
        for name in catalogue(kind):
            (plugin,) = harness("list", plural, name, "--json").json[plural]
            assert plugin["name"] == name
            assert plugin["doc"]
            assert harness("list", plural, name).code == 0


def test_a_backend_says_what_it_provides_and_takes(harness: Harness) -> None:
    (backend,) = harness("list", "backends", "bm25", "--json").json["backends"]
    assert backend["provides"] == ["Rank"]
    assert harness("list", "backends", "bn25").err == "error: unknown backend 'bn25'; did you mean 'bm25'?\n"


def test_runs(harness: Harness, finished: str) -> None:
    (run,) = harness("list", "runs", "--json").json["runs"]
    assert (run["run_id"], run["name"], run["finished"], run["entries"], run["tasks"]) == (finished, "capitals", True, 2, 1)
    said = harness("list", "runs")
    assert re.search(rf"^{finished} +capitals +\d{{4}}-\d\d-\d\d \d\d:\d\d UTC +2 +1 +finished", said.out, re.MULTILINE)
    assert said.out.splitlines()[-1] == f"next: harness show {finished}"


def test_a_run_that_is_damaged_or_unfinished_is_listed_as_such(harness: Harness, finished: str) -> None:
    damaged, unfinished = Path("results/20000101T000000Z-a-0000"), Path("results/20000102T000000Z-b-0000")
    for folder, name in ((damaged, "run.json"), (unfinished, "journal.jsonl")):
        folder.mkdir()
        (folder / name).write_text("{")
    runs = harness("list", "runs", "--json").json["runs"]
    assert [run["finished"] for run in runs] == [False, False, True]
    assert "damaged" in runs[0]["status"]
    assert runs[1]["status"] == "unfinished"


def test_no_runs(harness: Harness, tmp_path: Path) -> None:
    said = harness("list", "runs", "--results", str(tmp_path / "none"))
    assert (said.code, said.out.splitlines()[-1]) == (0, "next: harness run")
    assert harness("list", "runs", "--results", str(tmp_path / "none"), "--json").json == {"schema": 1, "runs": []}


@pytest.mark.parametrize("words", [["list", "runs"], ["list", "runs", "latest", "--json"], ["show", "latest"]])
def test_a_file_is_no_results_folder(harness: Harness, tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    said = harness(*words, "--results", str(file))
    assert said.refusal == [f"{file} is a file, not a results folder"]


def test_tasks_of_the_project(harness: Harness, project: Path) -> None:
    Path("tasks/broken.yaml").write_text("task: broken\nsuit: generation\n")
    tasks = {task["name"]: task for task in harness("list", "tasks", "--json").json["tasks"]}
    assert tasks["capitals"]["metrics"] == ["exact_match", "token_f1"]
    assert tasks["capitals"]["problem"] is None
    assert "'suit'" in tasks["broken"]["problem"]
    assert re.search(r"^capitals +generation +1 +exact_match, token_f1 +tasks", harness("list", "tasks").out, re.MULTILINE)
    said = harness("list", "tasks", "capital")
    assert (said.code, said.err) == (2, "error: harness list tasks: no task 'capital' in tasks; did you mean 'capitals'?\n")
