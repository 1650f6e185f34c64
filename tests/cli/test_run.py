"""``harness run``: what it prints, what it writes, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.noisy import EVERYWHERE
from tests.cli.projects import OUT_OF_MEMORY, Harness, write_lines

# exact_match by hand: good 3 of 4, poor 1 of 3 with one missing; their Wilson intervals by the formula
GOOD = {"value": 0.75, "low": 0.3006, "high": 0.9544, "n": 4, "n_missing": 0}
POOR = {"value": 1 / 3, "low": 0.0615, "high": 0.7923, "n": 3, "n_missing": 1}


def test_json_has_the_promised_shape_and_values(harness: Harness, project: Path) -> None:
    said = harness("run", str(project), "--json")
    document = said.json
    assert said.code == 0
    assert (document["schema"], document["exit_code"]) == (1, 0)
    assert Path(document["path"]) == Path("results") / document["run_id"]
    assert (Path(document["path"]) / "run.json").is_file()
    found = {(e["model"], e["task"], e["metric"]): e for e in document["estimates"]}
    assert set(found) == {(model, "capitals", metric) for model in ("good", "poor") for metric in ("exact_match", "token_f1")}
    for model, expected in (("good", GOOD), ("poor", POOR)):
        estimate = found[model, "capitals", "exact_match"]
        assert {key: estimate[key] for key in expected} == pytest.approx(expected, abs=5e-5)


def test_the_leaderboard_and_the_next_command_are_printed(harness: Harness, project: Path) -> None:
    said = harness("run", str(project))
    assert said.code == 0
    assert re.search(r"^good +0\.75 \[0\.30, 0\.95\] \(1\)$", said.out, re.MULTILINE)
    assert re.search(r"^poor +0\.33 \[0\.06, 0\.79\] \(1\)$", said.out, re.MULTILINE)
    assert "Brackets are 95 % intervals: wilson." in said.out
    assert (
        "poor on capitals: 1 of 4 samples missing; 0.25 if all of them were as bad as can be, 0.50 if as good." in said.out
    )
    run_id = next(Path("results").iterdir()).name
    assert said.out.splitlines()[-1] == f"next: harness show {run_id} --samples --failed"
    assert "samples.parquet" in said.out


def test_the_files_of_the_run_are_listed_without_hidden_ones(harness: Harness, project: Path) -> None:
    answers = Path("configs/poor.jsonl")
    whole = answers.read_text()
    answers.write_text("{broken\n")
    assert harness("run", str(project)).code == 2
    (folder,) = Path("results").iterdir()
    (folder / ".left").touch()
    answers.write_text(whole)
    out = harness("run", str(project)).out
    (listed,) = [line.removeprefix(f"{folder}: ") for line in out.splitlines() if line.startswith(f"{folder}: ")]
    names = {path.name + ("/" if path.is_dir() else "") for path in folder.iterdir()}
    assert ".left" in names
    assert set(listed.split(", ")) == {name for name in names if not name.startswith(".")} >= {"run.json", "samples.parquet"}


def test_progress_goes_to_stderr_in_plain_lines(harness: Harness, project: Path) -> None:
    lines = harness("run", str(project)).err.splitlines()
    assert re.fullmatch(r"run \S+-capitals-\w+ in results/\S+", lines[0].replace("\\", "/"))
    assert lines[1] == "good × capitals: 4 to answer"
    assert re.fullmatch(r"good × capitals: 4 done in \S+ s", lines[2])
    assert re.fullmatch(r"poor × capitals: 4 done in \S+ s, 1 missing", lines[4])


def test_quiet_says_nothing(harness: Harness, project: Path) -> None:
    said = harness("run", str(project), "--quiet")
    assert (said.code, said.out, said.err) == (0, "", "")
    assert len(list(Path("results").iterdir())) == 1


def test_too_many_missing_outputs_exit_4(harness: Harness, project: Path) -> None:
    said = harness("run", str(project), "--set", "max_missing=0.1", "--json")
    assert said.code == said.json["exit_code"] == 4
    assert said.err.splitlines()[-2:] == [
        f"poor × capitals: 1 of 4 outputs missing: {OUT_OF_MEMORY}",
        "too many outputs are missing (more than max_missing): exit code 4",
    ]


def test_the_leaderboard_files_are_written(harness: Harness, project: Path) -> None:
    harness("run", str(project), "--results", "elsewhere", "--quiet")
    folder = next(Path("elsewhere").iterdir())
    document = json.loads((folder / "leaderboard.json").read_text())
    assert (document["schema"], document["run_id"]) == (1, folder.name)
    assert [row["entry"] for row in document["tasks"][0]["entries"]] == ["good", "poor"]
    assert "| good  | 0.75 [0.30, 0.95] (1) " in (folder / "leaderboard.md").read_text(encoding="utf-8")


def test_results_elsewhere_are_named_in_the_next_command(harness: Harness, project: Path) -> None:
    said = harness("run", str(project), "--results", "else where")
    assert said.out.splitlines()[-1].endswith("--samples --failed --results 'else where'")


# ── which config ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_only_config_is_the_default(harness: Harness, project: Path) -> None:
    assert harness("run", "--quiet").code == 0


def test_run_yaml_is_the_default_of_several(harness: Harness, project: Path) -> None:
    (project.parent / "run.yaml").write_text(project.read_text())
    assert harness("run", "--json").json["run_id"].split("-")[1] == "run"


def test_several_configs_are_listed(harness: Harness, project: Path) -> None:
    (project.parent / "b.yaml").write_text(project.read_text())
    said = harness("run")
    assert (said.code, said.out) == (2, "")
    assert said.err == "error: harness run: which config? configs/ has b.yaml, capitals.yaml: harness run configs/b.yaml\n"


def test_no_config_at_all(harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = harness("run", "--json")
    assert said.refusal == ["harness run: there is no config in configs/: name one, or write one with harness init"]


def test_a_config_that_is_not_there(harness: Harness, project: Path) -> None:
    said = harness("run", "configs/nope.yaml", "--json")
    assert said.refusal == ["configs/nope.yaml: no such file"]


def test_every_fault_of_a_config_is_told_with_its_place(harness: Harness, project: Path) -> None:
    project.write_text(project.read_text().replace("tasks:", "taks:").replace("max_missing: 0.3", "max_missing: lots"))
    said = harness("run", str(project))
    assert (said.code, said.out) == (2, "")
    assert re.search(r"^error: .*capitals\.yaml:4:1: .*'taks'.*did you mean 'tasks'", said.err, re.MULTILINE)
    assert re.search(r"^error: .*capitals\.yaml:5:14: .*lots", said.err, re.MULTILINE)


def test_a_damaged_data_file_is_told_with_its_line(harness: Harness, project: Path) -> None:
    data = Path("tasks/questions.jsonl")
    data.write_text(data.read_text() + "{not json\n")
    said = harness("run", str(project))
    assert (said.code, said.out) == (2, "")
    assert re.search(r"questions\.jsonl:5\b", said.err)


# ── going on ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_that_stopped_is_gone_on_with_unless_new(harness: Harness, project: Path) -> None:
    """A missing answers file stops the second model after the first has been answered and journalled."""
    answers = Path("configs/poor.jsonl")
    rows = [json.loads(line) for line in answers.read_text().splitlines()]
    answers.write_text("{broken\n")
    stopped = harness("run", str(project))
    assert stopped.code == 2
    folder = next(Path("results").iterdir())
    assert (folder / "journal.jsonl").is_file()
    write_lines(answers, rows)
    resumed = harness("run", str(project), "--json")
    assert resumed.code == 0, resumed.err
    assert resumed.json["run_id"] == folder.name
    assert f"going on with {folder.name}" in resumed.err
    again = harness("run", str(project), "--new", "--json")
    assert again.json["run_id"] != folder.name


def test_cells_of_a_matrix_stand_under_their_own_names(harness: Harness, project: Path) -> None:
    project.write_text(project.read_text() + "matrix: {decoding.max_tokens: [8, 16]}\n")
    document = harness("run", str(project), "--json").json
    assert {estimate["model"] for estimate in document["estimates"]} == {
        "good [max_tokens=8]", "good [max_tokens=16]", "poor [max_tokens=8]", "poor [max_tokens=16]",
    }  # fmt: skip
    assert {estimate["base_model"] for estimate in document["estimates"]} == {"good", "poor"}
    assert "good [max_tokens=16]  0.75 [0.30, 0.95] (1)" in harness("leaderboard").out
    assert len(harness("show", "latest", "--samples", "--json", "--entry", "poor [max_tokens=8]").json["samples"]) == 4


# ── JSON and nothing else ───────────────────────────────────────────────────────────────────────────────────────────

ROOT = Path(__file__).resolve().parents[2]


def test_what_a_metric_prints_anywhere_is_not_on_stdout(project: Path) -> None:
    """A process of its own: the descriptor, C's buffer, child processes and the end of the interpreter are real there."""
    spec = '"tests.cli.noisy:Noisy(everywhere=true)"'
    task = Path("tasks/capitals.yaml")
    task.write_text(task.read_text().replace("[exact_match,", f"[exact_match, {spec},"))
    command = [sys.executable, "-m", "harness.cli", "run", str(project), "--json"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    env.pop("PYTHONUNBUFFERED", None)
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    values = {e["model"]: e["value"] for e in json.loads(ended.stdout)["estimates"] if "Noisy" in e["metric"]}
    assert values == {"good": 0.75, "poor": pytest.approx(1 / 3)}
    for way in EVERYWHERE:
        for when in ("for a task", "scoring"):
            assert f"NOISE {way} {when}\n" in ended.stderr
    assert "NOISE at the end\n" in ended.stderr


def test_what_a_metric_prints_is_not_on_stdout_of_other_commands(harness: Harness, project: Path) -> None:
    task = Path("tasks/capitals.yaml")
    task.write_text(task.read_text().replace("[exact_match,", '[exact_match, "tests.cli.noisy:Noisy",'))
    Path("said.txt").write_text("Lima\n")
    assert "NOISE print scoring\n" in harness("run", str(project)).out, "only JSON has stdout for itself"
    for words, when in (
        (("run", str(project), "--dry-run"), "for a task"),
        (("run", str(project), "--new"), "scoring"),
        (("rescore", "latest"), "scoring"),
        (("score", "tests.cli.noisy:Noisy", "-p", "said.txt", "-r", "said.txt"), "scoring"),
    ):
        said = harness(*words, "--json")
        assert said.json["schema"] == 1
        assert f"NOISE print {when}\n" in said.err
