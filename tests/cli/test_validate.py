"""``harness validate`` and ``harness schema``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.projects import Harness
from tests.models import toy


def test_a_valid_config_shows_its_tasks_and_first_prompts(harness: Harness, project: Path) -> None:
    said = harness("validate", str(project))
    assert said.code == 0
    assert re.search(r"^capitals +generation +4 +good +exact_match, token_f1", said.out, re.MULTILINE)
    assert "capitals, sample q1 (Generate to good)" in said.out
    assert "│ Q: Capital of Peru?" in said.out
    assert said.out.splitlines()[-1] == f"next: harness run {project}"
    assert not Path("results").exists()


def test_json(harness: Harness, project: Path) -> None:
    document = harness("validate", str(project), "--json").json
    assert (document["schema"], document["name"]) == (1, "capitals")
    (task,) = document["tasks"]
    assert (task["task"], task["suite"], task["n_samples"]) == ("capitals", "generation", 4)
    assert task["models"] == ["good", "poor"]
    assert task["metrics"] == ["exact_match", "token_f1"]
    (prompt,) = document["prompts"]
    assert (prompt["sample_id"], prompt["prompt"]) == ("q1", "Q: Capital of Peru?\nA:")


def test_notes_on_the_data_are_told(
    harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    harness("init", "retrieval")
    assert harness("validate", "configs/retrieval.yaml", "--json").json["notes"] == []
    assert "note: " not in harness("validate", "configs/retrieval.yaml").out
    with Path("tasks/data/retrieval.qrels.tsv").open("a") as qrels:
        qrels.write("1\tno such document\t1\n")
    note = "manual: judged, but not in the corpus, so that no retriever can find it: 1 document"
    assert harness("validate", "configs/retrieval.yaml", "--json").json["notes"] == [note]
    assert harness("validate", "configs/retrieval.yaml").out.splitlines()[-3] == f"note: {note}"


def test_overrides_are_checked_too_and_kept_in_the_next_command(harness: Harness, project: Path) -> None:
    assert harness("validate", str(project), "--set", "limit=2", "--json").json["tasks"][0]["n_samples"] == 2
    assert harness("validate", str(project), "--set", "limit=2").out.splitlines()[-1].endswith(f"{project} --set limit=2")
    assert harness("validate", str(project), "--set", "limt=2").code == 2


def test_all_faults_at_once(harness: Harness, project: Path) -> None:
    task = Path("tasks/capitals.yaml")
    task.write_text(task.read_text().replace("metrics:", "metrcs:").replace("suite: gen", "suite: jen"))
    said = harness("validate", str(project), "--json")
    assert [line.rpartition("; ")[2] for line in said.refusal] == [
        "tasks/capitals.yaml:1:1: missing required key 'metrics'", "did you mean 'generation'?", "did you mean 'metrics'?",
        "tasks/capitals.yaml:7:10: primary 'exact_match' is not among the metrics", "4 problems",
    ]  # fmt: skip
    assert all(line.startswith("error: ") for line in said.err.splitlines()[:-1])


def test_what_a_metric_refuses_of_the_samples_is_told(
    harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert harness("init", "classification").code == 0
    task = Path("tasks/classification.yaml")
    text = task.read_text()
    task.write_text(text.replace("metrics: [", "metrics: ['calibrated(log_loss,chosen_on=\"splt=dev\")', "))
    said = harness("validate", "configs/classification.yaml")
    assert said.code == 2
    assert "metric calibrated" in said.err
    assert "splt" in said.err
    ran = harness("run", "configs/classification.yaml")
    assert (ran.code, "splt" in ran.err, list(Path("results").iterdir())) == (2, True, [])


def test_rules_on_slices_go_by_the_samples_of_each(harness: Harness, project: Path) -> None:
    with project.open("a") as config:
        config.write("gate: {rules: [{metric: exact_match, slice: 'level=*', max_drop: 0.1}]}\n")
    [warning] = harness("validate", str(project), "--json").json["warnings"]
    assert "too few samples of capitals in level=easy (2), level=hard (2) to decide exact_match; about 62 would" in warning


@pytest.mark.parametrize(("kind", "keys"), [("task", ("data", "metrics", "suite")), ("run", ("models", "tasks", "matrix"))])
def test_the_schema_is_a_json_schema(harness: Harness, kind: str, keys: tuple[str, ...]) -> None:
    import jsonschema

    schema = harness("schema", kind).json
    jsonschema.Draft202012Validator.check_schema(schema)
    text = str(schema)
    assert all(f"'{key}'" in text for key in keys)


def local_model(project: Path, root: Path, **options: str) -> None:
    """Put a model of random weights beside the stored answers."""
    folder = toy.write(root / "toy")
    written = "".join(f", {key}: {value}" for key, value in {"device": "cpu", **options}.items())
    project.write_text(project.read_text().replace(
        "models:\n", f"models:\n  toy: {{backend: transformers, source: 'path:{folder}'{written}}}\n"))


def test_render_shows_the_tokens_that_a_local_model_would_read(harness: Harness, project: Path, tmp_path: Path) -> None:
    local_model(project, tmp_path, max_length="280")
    cache = ("--cache-dir", str(tmp_path / "cache"))
    document = harness("validate", str(project), "--render", "--json", *cache).json
    (rendered,) = document["rendered"]
    prompt = "Q: Capital of Peru?\nA:"
    assert {key: rendered[key] for key in ("model", "task", "sample_id", "request", "text", "truncated")} == {
        "model": "toy", "task": "capitals", "sample_id": "q1", "request": "Generate", "text": prompt, "truncated": False}
    words = toy.tokenizer()
    assert rendered["token_ids"] == words(prompt)["input_ids"]
    assert rendered["tokens"] == words.convert_ids_to_tokens(rendered["token_ids"])
    said = harness("validate", str(project), "--render", *cache).out
    assert "what toy is handed: capitals, sample q1 (Generate)" in said
    ids = rendered["token_ids"]
    assert f"{len(ids)} tokens:" in said
    assert f"0 <s>  {ids[1]} Q  {ids[2]} :" in said
    assert "rendered" not in harness("validate", str(project), "--json", *cache).json


def test_render_leaves_the_middle_of_a_long_prompt_to_json_and_says_what_is_cut(
    harness: Harness, project: Path, tmp_path: Path
) -> None:
    local_model(project, tmp_path, max_length="2256")
    task = Path("tasks/capitals.yaml")
    task.write_text(task.read_text().replace("Q: {{ question }}", "ZYXWV" * 500 + "{{ question }}"))
    words = ("validate", str(project), "--render", "--cache-dir", str(tmp_path / "cache"))
    assert len(harness(*words, "--json").json["rendered"][0]["tokens"]) == 2000
    said = harness(*words).out
    assert "2000 tokens (cut to what the model can read):" in said
    assert "… 1880 more …" in said


def test_render_says_so_where_no_model_can_be_inspected(harness: Harness, project: Path) -> None:
    said = harness("validate", str(project), "--render")
    assert (said.code, harness("validate", str(project), "--render", "--json").json["rendered"]) == (0, [])
    assert "no model of this run can say what it would be handed" in said.out
