"""What must not be compared, and what says so: the field, both values, and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.compare import CompareOptions, NotComparable, StoredRun, compare_runs, paired_tasks
from harness.errors import StoreError, UsageError
from tests.compare.projects import Project, StoredRow, answered, questions, write_run


def changed_record(path: Path, **values: Any) -> None:
    """Put other values into a run's record."""
    record = json.loads((path / "run.json").read_text())
    record.update(values)
    (path / "run.json").write_text(json.dumps(record))


@pytest.fixture
def two(project: Project) -> list[Path]:
    return [project.run(name, questions(4), answered([True, True, hit, False])) for name, hit in (("a", True), ("b", False))]


def test_no_common_samples(tmp_path: Path) -> None:
    a, b = write_run(tmp_path / "a", [StoredRow("x"), StoredRow("y")]), write_run(tmp_path / "b", [StoredRow("z")])
    words = r"^task t: no common samples: a has 2, b has 1, and no id is in both; harness drift needs none in common$"
    with pytest.raises(NotComparable, match=words):
        compare_runs(a, b)


def test_no_common_task(project: Project, two: list[Path]) -> None:
    other = project.run("c", questions(2), answered([True, True]), task={"task": "other"})
    with pytest.raises(NotComparable, match=r"nothing to compare: no task is in both \(.*-a-.*: qa; .*-c-.*: other\)"):
        compare_runs(two[0], other)


def test_changed_samples_name_themselves_and_the_way_out(project: Project, two: list[Path]) -> None:
    rows = [dict(row) for row in questions(4)]
    rows[1]["a"], rows[3]["q"] = "another answer", "another question"
    other = project.run("c", rows, answered([True, True, True, False]))
    with pytest.raises(NotComparable, match=r"task qa: data: 2 samples have other content in .*-c-.* \(q1, q3\).*--allow data"):
        compare_runs(two[0], other)
    report = compare_runs(two[0], other, CompareOptions(allow=frozenset({"data"})))
    assert report.comparisons[0].n_pairs == 4
    assert report.pairing[0].changed == ("q1", "q3")


def test_another_version_of_the_task(project: Project, two: list[Path]) -> None:
    other = project.run("c", questions(4), answered([True] * 4), task={"version": 2})
    with pytest.raises(NotComparable, match=r"task qa: version is 1 in .* and 2 in .*; .*--allow task"):
        compare_runs(two[0], other)
    assert compare_runs(two[0], other, CompareOptions(allow=frozenset({"task"}))).comparisons[0].n_pairs == 4


def test_another_prompt(project: Project, two: list[Path]) -> None:
    other = project.run("c", questions(4), answered([True] * 4), task={"prompt": {"text": "Say {{ q }}:"}})
    with pytest.raises(NotComparable, match=r'task qa: prompt is {"text":"{{ q }}:"} in .* and {"text":"Say .*--allow prompt'):
        compare_runs(two[0], other)
    report = compare_runs(two[0], other, CompareOptions(allow=frozenset({"prompt"})))
    [change] = [change for change in report.provenance[0] if change.kind == "prompt"]
    assert (change.field, change.a, change.b) == ("prompt.text", "{{ q }}:", "Say {{ q }}:")


def test_prompts_of_a_matrix_are_meant_to_differ(project: Project) -> None:
    matrix = {"prompt": [{"text": "{{ q }}:"}, {"text": "Say {{ q }}:"}]}
    path = project.run("a", questions(4), answered([True, True, False, False]), matrix=matrix)
    run = StoredRun.open(path)
    first, second = (StoredRun(path, run.record, entry) for entry in run.entries)
    assert compare_runs(first, second).comparisons[0].n_pairs == 4


def test_a_prompt_of_a_matrix_that_was_written_anew(project: Project) -> None:
    """The config names the prompt's file; only what was asked shows that another one is in it."""
    (project.root / "p.yaml").write_text('text: "{{ q }}:"\n')
    runs = [project.run("a", questions(4), answered([True] * 4), matrix={"prompt": ["../p.yaml"]})]
    runs.append(project.run("b", questions(4), answered([True] * 4), matrix={"prompt": ["../p.yaml"]}))
    (project.root / "p.yaml").write_text('text: "Say {{ q }}:"\n')
    runs.append(project.run("c", questions(4), answered([True] * 4), matrix={"prompt": ["../p.yaml"]}))
    assert compare_runs(runs[0], runs[1]).comparisons[0].verdict == "same"
    with pytest.raises(NotComparable, match=r"task qa: prompt: sample q0 was asked in other words in .*-c-.*--allow prompt"):
        compare_runs(runs[0], runs[2])
    assert compare_runs(runs[0], runs[2], CompareOptions(allow=frozenset({"prompt"}))).comparisons[0].n_pairs == 4


def test_other_few_shot_examples_are_another_prompt(project: Project) -> None:
    """The config names the split that they come from; only what was asked shows that something else is in it."""
    train, shots = project.root / "train.jsonl", {"from": "train", "n": 1, "seed": 0}
    task = {"data": {"format": "jsonl", "path": "rows.jsonl", "splits": {"train": "../train.jsonl"}},
            "prompt": {"text": "{{ q }}:", "shots": shots}}  # fmt: skip
    runs = []
    for name, shown in (("a", "yes"), ("b", "yes"), ("c", "no")):
        train.write_text(json.dumps({"id": "t", "q": "an example", "a": shown}) + "\n")
        runs.append(project.run(name, questions(4), answered([True] * 4), task=task))
    assert compare_runs(runs[0], runs[1]).comparisons[0].verdict == "same"
    with pytest.raises(NotComparable, match=r"task qa: prompt: sample q0 was asked in other words in .*-c-.*--allow prompt"):
        compare_runs(runs[0], runs[2])


def test_another_version_of_a_metric_is_never_compared(two: list[Path]) -> None:
    record = json.loads((two[1] / "run.json").read_text())
    estimates = [{**row, "signature": row["signature"].replace("#v1", "#v2")} for row in record["estimates"]]
    changed_record(two[1], estimates=estimates)
    everything = CompareOptions(allow=frozenset({"data", "prompt", "task"}))
    wanted = rf"metric exact_match is .*#v1 in .* and .*#v2 in .*: score again .* harness rescore {two[0].name}$"
    with pytest.raises(NotComparable, match=wanted):
        compare_runs(*two, everything)


def test_the_rest_is_compared_and_what_is_not_is_told(project: Project) -> None:
    task = {"metrics": ["exact_match", "token_f1"], "primary": "exact_match"}
    runs = [project.run(name, questions(4), answered([True, False] * 2), task=task) for name in "ab"]
    record = json.loads((runs[1] / "run.json").read_text())
    record["estimates"][1]["signature"] = "token_f1(extract=none,normalize=squad)#v2"
    changed_record(runs[1], estimates=record["estimates"])
    report = compare_runs(*runs)
    assert [found.metric for found in report.comparisons] == ["exact_match"]
    assert len(report.refused) == 1
    assert "metric token_f1 is" in report.refused[0]
    [pair] = paired_tasks(*runs)
    assert pair.refusals == ()
    with pytest.raises(NotComparable, match="token_f1"):
        pair.contrast("token_f1")


def test_a_refused_task_gives_no_contrast(project: Project, two: list[Path]) -> None:
    other = project.run("c", questions(4), answered([True] * 4), task={"version": 2})
    [pair] = paired_tasks(two[0], other)
    assert len(pair.refusals) == 1
    with pytest.raises(NotComparable, match="version is 1"):
        pair.contrast("exact_match")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": ("qaa",)}, "no task 'qaa' in common; did you mean 'qa'?"),
        ({"metrics": ("exact_mach",)}, "no metric 'exact_mach' in common; did you mean 'exact_match'?"),
    ],
)
def test_misspelt_names(two: list[Path], options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        compare_runs(*two, CompareOptions(**options))


def test_unknown_names_of_a_pair(two: list[Path]) -> None:
    [pair] = paired_tasks(*two)
    with pytest.raises(UsageError, match="no metric 'bleu' in common; known: exact_match"):
        pair.contrast("bleu")
    with pytest.raises(UsageError, match="task qa: there is no slice 'level=hard'"):
        pair.contrast("exact_match", "level=hard")


def test_a_run_with_itself_is_the_same(two: list[Path]) -> None:
    report = compare_runs(two[0], two[0])
    assert [found.verdict for found in report.comparisons] == ["same"]
    assert report.notes == (f"{two[0].name} is compared with itself",)
    assert report.provenance == ((),)


def test_a_broken_record_and_an_unfinished_run(two: list[Path]) -> None:
    (two[1] / "run.json").write_text('{"schema": 1, "run_id": ')
    with pytest.raises(StoreError, match=r"run\.json is damaged"):
        compare_runs(*two)
    (two[1] / "run.json").unlink()
    with pytest.raises(StoreError, match="is not a finished run"):
        compare_runs(*two)


def test_a_metric_that_cannot_be_scored_again_is_left_out_with_the_reason(project: Project) -> None:
    """A pool metric, whose answers cannot be read any more."""
    task = {"metrics": ["exact_match", "distinct(n=1)"], "primary": "exact_match"}
    runs = [project.run(name, questions(3), answered([True, False, True]), task=task) for name in "ab"]
    record = json.loads((runs[0] / "run.json").read_text())
    for path in runs:
        record = json.loads((path / "run.json").read_text())
        for row in record["estimates"]:
            row["signature"] = row["signature"].replace("distinct(n=1", "distinct(m=1")
        changed_record(path, estimates=record["estimates"])
    report = compare_runs(*runs)
    assert [found.metric for found in report.comparisons] == ["exact_match"]
    assert report.refused == ("task qa: metric distinct(n=1) cannot be scored again: " + report.refused[0].split("again: ")[1],)
    assert "has no parameter 'm'" in report.refused[0]
