"""What explains a comparison: the samples that were won and lost, the slices that moved, what else is different."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.compare import CompareOptions, compare_runs, flip_metric, flips, paired_tasks
from harness.compare.provenance import KINDS
from tests.compare.projects import Project, StoredRow, answered, questions, write_run


def test_flips_are_the_lost_samples_first_with_both_answers(project: Project) -> None:
    a, b = [True, True, False, True, None], [True, False, True, False, True]
    runs = [project.run(name, questions(5), answered(hits)) for name, hits in (("a", a), ("b", b))]
    [pair] = paired_tasks(*runs)
    assert flip_metric(pair) == "exact_match"
    lost, also_lost, won = flips(pair, "exact_match")
    assert [(flip.id, flip.won, flip.a, flip.b) for flip in (lost, also_lost, won)] == [
        ("q1", False, 1.0, 0.0), ("q3", False, 1.0, 0.0), ("q2", True, 0.0, 1.0),
    ]  # fmt: skip
    assert (lost.prompt, lost.answer_a, lost.answer_b, lost.wanted) == (
        "question 1:", "yes 1", "no 1", {"references": ["yes 1"]},
    )  # fmt: skip
    assert [flip.id for flip in flips(pair, "exact_match", 1)] == ["q1", "q2"]
    assert [flip.id for flip in flips(pair, "exact_match", 0)] == ["q1", "q3", "q2"]


def test_the_answers_are_those_of_the_sample_whatever_the_order(tmp_path: Path) -> None:
    a = [StoredRow(name, repeat, 1.0) for name in "wxyz" for repeat in (0, 1)]
    b = [StoredRow(name, repeat, float(name in "xz")) for repeat in (0, 1, 2) for name in "zyxv"]
    [pair] = paired_tasks(write_run(tmp_path / "a", a), write_run(tmp_path / "b", b))
    [lost] = flips(pair, "exact_match")
    assert (lost.id, lost.answer_a, lost.answer_b) == ("y", "y says 1.0", "y says 0.0")


def test_the_furthest_moved_come_first(project: Project) -> None:
    rows = [{"id": f"q{i}", "q": "?", "a": "one two three four"} for i in range(4)]
    texts = ["x y z v", "one y z v", "one two z v", "one two three v"]
    runs = [project.run(name, rows, [{"id": f"q{i}", "text": t} for i, t in enumerate(of)], task={"metrics": ["token_f1"]})
            for name, of in (("a", ["one two three four"] * 3 + ["x y z v"]), ("b", [texts[2], texts[0], texts[1], texts[3]]))]
    [pair] = paired_tasks(*runs)
    assert [(flip.id, flip.a, flip.b) for flip in flips(pair, "token_f1")] == [
        ("q1", 1.0, 0.0), ("q2", 1.0, 0.25), ("q0", 1.0, 0.5), ("q3", 0.0, 0.75),
    ]  # fmt: skip


def test_a_metric_of_the_whole_has_no_flips_of_its_own(project: Project) -> None:
    rows = [{"id": f"c{i}", "t": f"text {i}", "y": "ab"[i % 2]} for i in range(6)]
    task = {"suite": "classification", "sample": {"id": "{{ id }}", "target": "{{ y }}"}, "choices": ["a", "b"],
            "prompt": {"text": "{{ t }}:"}, "metrics": ["macro_f1", "accuracy"], "primary": "macro_f1"}  # fmt: skip
    runs = [project.run(name, rows, [{"id": f"c{i}", "label": label} for i, label in enumerate(labels)], task=task)
            for name, labels in (("a", "ababab"), ("b", "abaaab"))]  # fmt: skip
    [count] = compare_runs(*runs).flips
    assert (count.metric, count.won, count.lost, count.equal) == ("accuracy", 0, 1, 5)


def test_less_is_won_where_lower_is_better(project: Project) -> None:
    runs = [project.run(name, questions(3), answered(hits), task={"metrics": ["wer"]})
            for name, hits in (("a", [False, True, True]), ("b", [True, True, False]))]  # fmt: skip
    [pair] = paired_tasks(*runs)
    assert [(flip.id, flip.won) for flip in flips(pair, "wer")] == [("q2", False), ("q0", True)]


def test_the_slice_that_moved(project: Project) -> None:
    """Of 40 hard samples 15 are lost, of 40 easy ones none: McNemar's exact p is 2 · 0.5^15, and twice that for two slices."""
    rows = [{**row, "level": "hard" if i % 2 else "easy"} for i, row in enumerate(questions(80))]
    task = {"sample": {"id": "{{ id }}", "references": ["{{ a }}"], "slices": {"level": "{{ level }}"}}}
    hits = {"a": [True] * 80, "b": [not (i % 2 and i < 30) for i in range(80)]}
    report = compare_runs(*(project.run(name, rows, answered(of), task=task) for name, of in hits.items()))
    hard, easy = report.slices
    assert (hard.slice, hard.n_pairs, hard.verdict) == ("level=hard", 40, "worse")
    assert hard.difference.value == pytest.approx(-15 / 40)
    assert hard.p_value == pytest.approx(2 * 0.5**15)
    assert hard.p_adjusted == pytest.approx(4 * 0.5**15)
    assert (easy.slice, easy.p_value, easy.verdict) == ("level=easy", 1.0, "unclear")
    [pair] = paired_tasks(*report.runs)
    assert pair.slices == ("level=easy", "level=hard")
    assert pair.contrast("exact_match", "level=hard").hits == (25, 0, 15, 0)


def test_what_else_is_different_is_told_field_by_field(project: Project) -> None:
    first = project.run("a", questions(4), answered([True] * 4), seeds=[0])
    second = project.run("b", questions(4), answered([False] * 4), task={"decoding": {"max_tokens": 8}}, seeds=[1], level=0.9)
    [changes] = compare_runs(first, second).provenance
    told = {(change.kind, change.field): (change.a, change.b) for change in changes}
    assert told[("decoding", "decoding.max_tokens")] == (None, 8)
    assert told[("seeds", "seeds")] == ([0], [1])
    assert told[("config", "name")] == ("a", "b")
    assert told[("config", "level")] == (None, 0.9)
    assert {("model", "content")} <= told.keys()
    assert ("data", "fingerprint") not in told
    assert [KINDS.index(change.kind) for change in changes] == sorted(KINDS.index(change.kind) for change in changes)


def test_packages_and_commits_of_the_records(project: Project) -> None:
    import json

    paths = [project.run(name, questions(2), answered([True, True])) for name in "ab"]
    record = json.loads((paths[1] / "run.json").read_text())
    record["environment"]["packages"]["numpy"] = "1.0"
    record["environment"]["git_commit"] = "abc+"
    was = json.loads((paths[0] / "run.json").read_text())["environment"]
    (paths[1] / "run.json").write_text(json.dumps(record))
    [changes] = compare_runs(*paths).provenance
    told = {(change.kind, change.field): (change.a, change.b) for change in changes}
    assert told[("package", "numpy")] == (was["packages"]["numpy"], "1.0")
    assert told[("code", "git_commit")] == (was["git_commit"], "abc+")


def test_data_that_only_one_side_has_is_counted(project: Project) -> None:
    a = project.run("a", questions(4), answered([True] * 4))
    b = project.run("b", questions(6)[1:], [row for row in answered([True] * 6) if row["id"] != "q0"])
    report = compare_runs(a, b)
    [facts] = report.pairing
    assert (facts.n_pairs, facts.added, facts.removed, facts.n_changed) == (3, ("q4", "q5"), ("q0",), 0)
    data: dict[str, Any] = {change.field: (change.a, change.b) for change in report.provenance[0] if change.kind == "data"}
    assert data["n"] == (4, 5)


def test_what_only_one_run_has_is_told(project: Project) -> None:
    task = {"metrics": ["exact_match", "bleu"], "primary": "exact_match"}
    a = project.run("a", questions(3), answered([True] * 3), task=task)
    b = project.run_models("b", questions(3), {"m": answered([True] * 3), "n": answered([False] * 3)})
    notes = compare_runs(a, b).notes
    assert notes == (f"n on qa is only in {b.name}", f"bleu on qa is only in {a.name}")


def test_only_the_wanted_metrics(project: Project) -> None:
    task = {"metrics": ["exact_match", "token_f1"], "primary": "exact_match"}
    runs = [project.run(name, questions(4), answered([True, hit, hit, False]), task=task) for name, hit in (("a", 1), ("b", 0))]
    report = compare_runs(*runs, CompareOptions(metrics=("token_f1",)))
    assert [found.metric for found in report.comparisons] == ["token_f1"]
    assert [(count.metric, count.lost) for count in report.flips] == [("token_f1", 2)]
