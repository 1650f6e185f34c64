"""Designs as a user types them: an A/B log that no model answers, thresholds and calibrators fitted on other samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.projects import Harness, write_lines

LOG_TASK = """\
task: checkout
suite: ab
data: {format: csv, path: log.csv}
unit: "{{ user }}"
variant: "{{ variant }}"
outcomes: {revenue: "{{ revenue }}"}
covariates: {before: "{{ before }}"}
control: A
split: {A: 0.5, B: 0.5}
metrics: ["ab_difference(revenue)", "ab_difference(revenue,cuped=true)", "ab_lift(revenue)", srm]
"""
LOG_CONFIG = """\
models: {log: {backend: "null"}}
tasks: [tasks/checkout.yaml]
"""


def log(n_a: int, n_b: int) -> str:
    rng = np.random.default_rng(5)
    lines = ["user,variant,revenue,before"]
    for variant, n in (("A", n_a), ("B", n_b)):
        for user in range(n):
            before = rng.gamma(2.0, 5.0)
            spent = before + 1.0 * (variant == "B") + rng.normal(size=1 + user % 2)  # every other user came twice
            lines += [f"{variant}{user},{variant},{revenue:.4f},{before:.4f}" for revenue in spent]
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("tasks", "configs"):
        (tmp_path / name).mkdir()
    (tmp_path / "tasks" / "checkout.yaml").write_text(LOG_TASK)
    (tmp_path / "configs" / "ab.yaml").write_text(LOG_CONFIG)
    return tmp_path


def test_an_ab_log_is_run_without_a_request_and_scored_again(harness: Harness, folder: Path) -> None:
    (folder / "tasks" / "log.csv").write_text(log(300, 300))
    assert harness("validate", "configs/ab.yaml").code == 0
    said = harness("run", "configs/ab.yaml", "--json", "--quiet")
    assert (said.code, said.err) == (0, "")
    plain, cuped, lift, ratio = said.json["estimates"]
    assert ratio["value"] == 1.0
    assert cuped["low"] < 1.0 < cuped["high"]
    assert cuped["high"] - cuped["low"] < 0.2 * (plain["high"] - plain["low"])  # ρ is about 0.99
    assert lift["value"] == pytest.approx(plain["value"] / 10, rel=0.1)  # users spend 10 on average
    again = harness("rescore", said.json["run_id"], "--json")
    assert again.code == 0
    assert [(e["value"], e["low"]) for e in again.json["estimates"]] == [(e["value"], e["low"]) for e in said.json["estimates"]]
    shown = harness("show", said.json["run_id"])
    assert shown.code == 0
    assert "ab_difference" in shown.out


def test_a_split_that_is_not_the_intended_one_is_told_by_run_score_and_rescore(harness: Harness, folder: Path) -> None:
    (folder / "tasks" / "log.csv").write_text(log(400, 280))
    said = harness("run", "configs/ab.yaml")
    words = "sample-ratio mismatch: A 400 of 340, B 280 of 340 expected units"
    assert said.code == 0
    assert words in said.out + said.err
    again = harness("rescore", "latest")
    assert words in again.out + again.err
    scored = harness("score", "srm", "-p", "tasks/log.csv", "--label", "variant", "--group", "user", "--json")
    assert scored.json["results"][0]["value"] < 1e-5
    assert scored.json["notes"][0].startswith("sample-ratio mismatch")


def test_a_log_with_rows_that_cannot_be_read_has_missing_samples(harness: Harness, folder: Path) -> None:
    (folder / "tasks" / "log.csv").write_text(log(40, 40) + "A900,C,1.0,2.0\n")
    said = harness("run", "configs/ab.yaml", "--json", "--quiet")
    assert said.code == 0  # one of 121 rows, and 1 % may be missing
    assert said.json["estimates"][0]["n_missing"] == 1


def test_a_threshold_chosen_on_dev_is_measured_on_test_in_a_run_and_a_rescore(harness: Harness, folder: Path) -> None:
    rng = np.random.default_rng(3)
    questions, answers = [], []
    for row in range(120):
        target = "yes" if rng.random() < 0.5 else "no"
        p = float(np.clip(rng.normal(0.6 if target == "yes" else 0.4, 0.15), 0.01, 0.99))
        questions.append({"id": str(row), "text": "?", "truth": target, "split": "dev" if row < 50 else "test"})
        answers.append({"id": str(row), "label": "yes", "probabilities": {"yes": p, "no": 1 - p}})
    write_lines(folder / "tasks" / "q.jsonl", questions)
    write_lines(folder / "configs" / "a.jsonl", answers)
    (folder / "tasks" / "t.yaml").write_text(
        'task: t\nsuite: classification\ndata: {path: q.jsonl}\nanswer: scores\nchoices: ["no", "yes"]\n'
        'sample: {target: "{{ truth }}", slices: {split: "{{ split }}"}, input: {text: "{{ text }}"}}\n'
        "metrics: [accuracy, 'thresholded(accuracy,chosen_on=\"split=dev\")', 'calibrated(log_loss,folds=4)']\n"
    )
    (folder / "configs" / "c.yaml").write_text("models: {m: {backend: replay, path: a.jsonl}}\ntasks: [tasks/t.yaml]\n")
    said = harness("run", "configs/c.yaml", "--json", "--quiet")
    assert (said.code, said.err) == (0, "")
    accuracy, thresholded, calibrated = said.json["estimates"]
    assert (accuracy["n"], thresholded["n"], thresholded["n_missing"], calibrated["n"]) == (120, 70, 0, 120)
    scores = np.array([answer["probabilities"]["yes"] for answer in answers])  # type: ignore[index]
    truth = np.array([question["truth"] == "yes" for question in questions])
    best = max(sorted(scores[:50]), key=lambda t: (((scores[:50] >= t) == truth[:50]).mean(), t))
    assert thresholded["value"] == pytest.approx(((scores[50:] >= best) == truth[50:]).mean())
    again = harness("rescore", said.json["run_id"], "--json")
    assert [(e["value"], e["n"]) for e in again.json["estimates"]] == [(e["value"], e["n"]) for e in said.json["estimates"]]


def test_two_systems_are_fitted_one_by_one_when_they_are_compared(harness: Harness, folder: Path) -> None:
    rng = np.random.default_rng(6)
    questions, lines = [], {"a": [], "b": []}  # type: ignore[var-annotated]
    for row in range(150):
        target = "yes" if rng.random() < 0.5 else "no"
        questions.append({"id": str(row), "truth": target, "split": "dev" if row < 50 else "test"})
        for name, spread in (("a", 0.1), ("b", 0.3)):
            p = float(np.clip(rng.normal(0.6 if target == "yes" else 0.4, spread), 0.01, 0.99))
            lines[name].append({"id": str(row), "label": "yes", "probabilities": {"yes": p, "no": 1 - p}})
    write_lines(folder / "tasks" / "q.jsonl", questions)
    for name, answers in lines.items():
        write_lines(folder / "configs" / f"{name}.jsonl", answers)
    (folder / "tasks" / "t.yaml").write_text(
        'task: t\nsuite: classification\ndata: {path: q.jsonl}\nanswer: scores\nchoices: ["no", "yes"]\n'
        'sample: {target: "{{ truth }}", slices: {split: "{{ split }}"}, input: {}}\n'
        "metrics: ['calibrated(roc_auc)', 'thresholded(accuracy,chosen_on=\"split=dev\")']\n"
    )
    models = ", ".join(f"{name}: {{backend: replay, path: {name}.jsonl}}" for name in lines)
    (folder / "configs" / "c.yaml").write_text(f"models: {{{models}}}\ntasks: [tasks/t.yaml]\n")
    run = harness("run", "configs/c.yaml", "--json", "--quiet").json
    values = {(e["model"], e["metric"]): e["value"] for e in run["estimates"]}
    compared = harness("compare", "latest", "--json")
    assert compared.code == 0
    for row in compared.json["comparisons"]:
        assert (row["a"], row["b"]) == (values["a", row["metric"]], values["b", row["metric"]])
    assert "not scored" not in harness("compare", "latest").out  # what was chosen on is not missing


def test_a_slice_that_is_not_there_stops_the_run_before_anything_is_asked(harness: Harness, folder: Path) -> None:
    rows = [{"id": "1", "truth": "a", "split": "dev"}, {"id": "2", "truth": "b", "split": "x"}]
    write_lines(folder / "tasks" / "q.jsonl", rows)
    (folder / "tasks" / "t.yaml").write_text(
        "task: t\nsuite: classification\ndata: {path: q.jsonl}\nanswer: scores\n"
        'sample: {target: "{{ truth }}", slices: {split: "{{ split }}"}, input: {}}\n'
        "metrics: ['thresholded(f1,chosen_on=\"split=test\")']\n"
    )
    (folder / "configs" / "c.yaml").write_text('models: {m: {backend: "null"}}\ntasks: [tasks/t.yaml]\n')
    said = harness("run", "configs/c.yaml")
    assert said.code == 2
    assert "thresholded: chosen_on must name samples that there are, and none has split 'test'; known: dev, x" in said.err


def test_folds_go_by_group_in_score_too(harness: Harness, folder: Path) -> None:
    rows = ["who,target,score"] + [f"g{row % 4},{row // 4 % 2},{row / 41:.4f}" for row in range(40)]
    (folder / "s.csv").write_text("\n".join(rows) + "\n")
    said = harness("score", "calibrated(brier,folds=5)", "-p", "s.csv", "--group", "who", "--json")
    assert said.code == 2
    assert "folds must be at most the 4 groups that have a target, got 5" in said.err
    fine = harness("score", "calibrated(brier,folds=4)", "-p", "s.csv", "--group", "who", "--json")
    fitted = fine.json["results"][0]["tables"]["fitted"]["rows"]
    assert [row[2:4] for row in fitted] == [[30, 10]] * 4
