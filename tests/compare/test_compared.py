"""Comparisons of real runs, against values worked out elsewhere."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.compare import CompareOptions, Report, StoredRun, compare_runs, paired_tasks
from tests.compare.projects import Project, StoredRow, answered, questions, write_run


def only(report: Report, metric: str | None = None) -> Any:
    [found] = [row for row in report.rows if metric in (None, row.comparison.metric)]
    return found


def test_hits_are_tested_as_statsmodels_tests_them(project: Project) -> None:
    """13 samples won, 3 lost, 20 as before: statsmodels 0.14.6 mcnemar([[10, 3], [13, 10]], exact=True) says 0.021270751953125;
    mid-p takes half the probability of the table itself off each side: 0.0212707… - C(16, 3) / 2^16 = 0.0127258…"""
    a = [True] * 10 + [False] * 10 + [False] * 13 + [True] * 3
    b = [True] * 10 + [False] * 10 + [True] * 13 + [False] * 3
    runs = [project.run(name, questions(36), answered(hits)) for name, hits in (("a", a), ("b", b))]
    row = only(compare_runs(*runs))
    found = row.comparison
    assert found.p_value == pytest.approx(0.021270751953125 - math.comb(16, 3) / 2**16, abs=1e-12)
    assert (found.a, found.b) == pytest.approx((13 / 36, 23 / 36))
    assert found.difference.value == pytest.approx(10 / 36)
    assert row.contrast.hits == (10, 13, 3, 10)
    assert found.verdict == "better"
    assert found.n_pairs == 36
    [flips] = compare_runs(*runs).flips
    assert (flips.won, flips.lost, flips.equal) == (13, 3, 20)


def test_small_means_are_tested_by_every_swap(project: Project) -> None:
    """token_f1 of six samples, all better: of the 2^6 assignments of signs two are as extreme, p = 2 / 64."""
    rows = [{"id": f"q{i}", "q": "?", "a": "one two three four"} for i in range(6)]
    answers = [[{"id": f"q{i}", "text": text} for i in range(6)] for text in ("one x y z", "one two y z")]
    runs = [project.run(name, rows, of, task={"metrics": ["token_f1"]}) for name, of in zip("ab", answers)]
    found = only(compare_runs(*runs)).comparison
    assert found.p_value == pytest.approx(2 / 64)
    assert found.test == "randomization(exact)"
    assert (found.a, found.b) == pytest.approx((0.25, 0.5))


def test_t_is_the_paired_t_test(project: Project) -> None:
    rng = random.Random(5)
    rows = [{"id": f"q{i}", "q": "?", "a": "a b c d e f g h"} for i in range(60)]
    before = [rng.randint(2, 5) for _ in rows]
    counts = [before, [n + rng.choice([-2, -1, 0, 1, 1, 2]) for n in before]]
    answers = [[{"id": f"q{i}", "text": " ".join("bcdefgh"[:n] + "zzzzzzzz"[n:])} for i, n in enumerate(of)] for of in counts]
    runs = [project.run(name, rows, of, task={"metrics": ["token_f1"]}) for name, of in zip("ab", answers)]
    found = only(compare_runs(*runs, CompareOptions(test="t"))).comparison
    [pair] = paired_tasks(*runs)
    stats = pair.statistics("token_f1")
    apart = stats.b[:, 0] - stats.a[:, 0]
    t = float(apart.mean()) / (float(apart.std(ddof=1)) / math.sqrt(60))
    from scipy.special import stdtr

    assert found.difference.value == pytest.approx(float(apart.mean()))
    assert found.p_value == pytest.approx(2 * stdtr(59, -abs(t)), rel=0.1)  # but for the correction for skewness
    assert found.test.startswith("t(")


def test_repeats_are_averaged_inside_a_sample(tmp_path: Path) -> None:
    """Means over repeats: a 0.5, 0, 1; b 1, 0.5, 1: the difference is 1/3, not that of rows that happen to be many."""
    a = [StoredRow("x", 0, 1.0), StoredRow("x", 1, 0.0), StoredRow("y", 0, 0.0), StoredRow("y", 1, 0.0), StoredRow("z", 0, 1.0),
         StoredRow("z", 1, None)]  # fmt: skip
    b = [StoredRow("x", 0, 1.0), StoredRow("x", 1, 1.0), StoredRow("y", 0, 0.0), StoredRow("y", 1, 1.0), StoredRow("z", 0, 1.0),
         StoredRow("z", 1, 1.0)]  # fmt: skip
    row = only(compare_runs(write_run(tmp_path / "a", a), write_run(tmp_path / "b", b)))
    assert (row.comparison.a, row.comparison.b) == pytest.approx((1.5 / 3, 2.5 / 3))
    assert row.comparison.n_pairs == 3
    assert row.lost.n == 0


def test_different_numbers_of_repeats(tmp_path: Path) -> None:
    """One answer each against three each: sample by sample, 1 and 0 against 2/3 and 1/3."""
    a = [StoredRow("x", 0, 1.0), StoredRow("y", 0, 0.0)]
    b = [StoredRow(name, repeat, hit) for name, hits in (("y", (0.0, 1.0, 0.0)), ("x", (1.0, 1.0, 0.0)))
         for repeat, hit in enumerate(hits)]  # fmt: skip
    found = only(compare_runs(write_run(tmp_path / "a", a), write_run(tmp_path / "b", b))).comparison
    assert (found.a, found.b) == pytest.approx((0.5, 0.5))
    assert found.n_pairs == 2


def test_clusters_make_it_less_sure(tmp_path: Path) -> None:
    """40 samples, 10 won in 2 documents of 5: as samples 10 wins to 0, as documents only 2 of 8 differ."""
    for name, grouped in (("alone", False), ("grouped", True)):
        folder = tmp_path / name
        rows = [[StoredRow(f"s{i}", 0, float(side and i < 10), group=f"d{i // 5}" if grouped else None) for i in range(40)]
                for side in (0, 1)]  # fmt: skip
        runs = [write_run(folder / side, of) for side, of in zip("ab", rows)]
        found = only(compare_runs(*runs)).comparison
        assert found.difference.value == pytest.approx(0.25)
        assert found.difference.n_groups == (8 if grouped else None)
        if grouped:
            assert found.verdict == "unclear"
            assert found.p_value == pytest.approx(2 * 0.5**2)  # two documents, all assignments
        else:
            assert found.p_value == pytest.approx(2 * 0.5**10)  # ten samples that all point one way
            assert found.verdict == "better"


def test_missing_samples_are_counted_by_side_and_bounded(project: Project) -> None:
    """a: 3 of 4 answered, all right; b: 3 of 4, two right; both answered q0 and q1."""
    runs = [project.run("a", questions(4), answered([True, True, True, None])),
            project.run("b", questions(4), answered([True, False, None, True]))]  # fmt: skip
    row = only(compare_runs(*runs))
    assert (row.lost.only_a, row.lost.only_b, row.lost.both) == (1, 1, 0)
    assert row.comparison.n_pairs == 2
    assert row.comparison.difference.value == pytest.approx(-0.5)
    assert row.comparison.difference.worst_case == pytest.approx(2 / 4 - 4 / 4)  # b's missing one wrong, a's right
    assert row.comparison.difference.best_case == pytest.approx(3 / 4 - 3 / 4)


def test_bleu_is_the_difference_of_corpus_scores(project: Project) -> None:
    import sacrebleu

    rng = random.Random(3)
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "dog", "ran", "to", "house", "by", "river"]
    references = [" ".join(rng.choices(words, k=9)) for _ in range(40)]
    rows = [{"id": f"q{i}", "q": "?", "a": text} for i, text in enumerate(references)]
    texts = []
    for wrong in (2, 4):
        swapped = [text.split() for text in references]
        for line in swapped:
            for place in rng.sample(range(9), wrong):
                line[place] = rng.choice(words)
        texts.append([" ".join(line) for line in swapped])
    runs = [project.run(name, rows, [{"id": f"q{i}", "text": t} for i, t in enumerate(of)], task={"metrics": ["bleu"]})
            for name, of in zip("ab", texts)]  # fmt: skip
    row = only(compare_runs(*runs))
    scores = [sacrebleu.corpus_bleu(of, [references]).score for of in texts]
    assert (row.comparison.a, row.comparison.b) == pytest.approx(tuple(scores), abs=1e-9)
    assert row.comparison.difference.value == pytest.approx(scores[1] - scores[0], abs=1e-9)
    assert row.comparison.verdict == "worse"


def macro_f1(targets: list[str], labels: list[str]) -> float:
    """The mean over all labels that occur, as scikit-learn has it."""
    values = []
    for label in set(targets) | set(labels):
        right = sum(target == predicted == label for target, predicted in zip(targets, labels))
        values.append(2 * right / (targets.count(label) + labels.count(label)))
    return sum(values) / len(values)


def classified(
    project: Project, answers: dict[str, list[str]], targets: list[str], metrics: list[str], *, backwards: bool = False
) -> list[Path]:
    """Runs named by the keys, of labels as they are given; the samples do not share their choices."""
    rows = [{"id": f"c{i}", "t": f"text {i}", "y": y, "k": "xy"[i % 2], "c": ["a", "b", "c", "n", "p", "z"][: 6 - i % 2]}
            for i, y in enumerate(targets)]  # fmt: skip
    sample = {"id": "{{ id }}", "target": "{{ y }}", "choices": "{{ c }}", "slices": {"kind": "{{ k }}"}}
    document = {"suite": "classification", "sample": sample, "prompt": {"text": "{{ t }}:"}, "metrics": metrics}
    rows = rows[::-1] if backwards else rows
    return [project.run(name, rows, [{"id": f"c{i}", "label": label} for i, label in enumerate(labels)], task=document)
            for name, labels in answers.items()]  # fmt: skip


def test_a_label_that_only_one_run_names_counts_in_that_run_alone(project: Project) -> None:
    """Without choices a predicted label is a class of its own, in macro F1 as in scikit-learn."""
    targets = list("aabbbccc") * 5
    answers = {"a": list("aabbbccc")[::-1] * 5, "b": list("aabzbccz") * 5}
    runs = classified(project, answers, targets, ["macro_f1"])
    found = only(compare_runs(*runs)).comparison
    wanted = [macro_f1(targets, labels) for labels in answers.values()]
    assert (found.a, found.b) == pytest.approx(tuple(wanted))


def test_label_codes_of_other_data_are_not_mixed_up(project: Project) -> None:
    """The second run, the other way round, has a sample of another class that sorts first: its stored codes are one off. Scored
    again they agree, sample by sample."""
    targets = list("bbccbbcc")
    a = classified(project, {"a": list("bcccbbcb")}, targets, ["macro_f1", "mcc"])
    b = classified(project, {"b": [*list("bcccbbcb"), "a"]}, [*targets, "a"], ["macro_f1", "mcc"], backwards=True)
    report = compare_runs(a[0], b[0])
    for row in report.rows:
        assert row.comparison.a == pytest.approx(row.comparison.b)
        assert row.contrast.n_differing == 0
        assert row.comparison.verdict == "same"
    [facts] = report.pairing
    assert (facts.n_pairs, facts.n_added, facts.added) == (8, 1, ("c8",))


def test_a_target_that_only_the_changed_data_has(project: Project) -> None:
    """Compared all the same: the second run's sample c0 now wants a label that the first run's data do not know."""
    targets, labels = list("bbccbbcc"), list("bcccbbcb")
    [a] = classified(project, {"a": labels}, targets, ["macro_f1"])
    [b] = classified(project, {"b": ["z", *labels[1:]]}, ["z", *targets[1:]], ["macro_f1"])
    found = only(compare_runs(a, b, CompareOptions(allow=frozenset({"data"})))).comparison
    assert found.a == pytest.approx(macro_f1(targets, labels))
    assert found.b == pytest.approx(macro_f1(["z", *targets[1:]], ["z", *labels[1:]]))


def test_metrics_by_group_know_the_groups(project: Project) -> None:
    """Accuracy by kind: a 3/4 and 4/4, b 1/4 and 4/4: the worst group falls from 0.75 to 0.25."""
    answers = {"a": list("pppppnpp"), "b": list("npnpnpnp")}
    answers["a"][0] = "n"
    answers["a"][5] = "p"
    answers["b"][0] = "p"
    runs = classified(project, answers, ["p"] * 8, metrics=["worst_group(accuracy,by=kind)"])
    found = only(compare_runs(*runs)).comparison
    assert (found.a, found.b) == pytest.approx((0.75, 0.25))


def test_entities_are_scored_again_together(project: Project) -> None:
    """Values: seqeval 1.2.2, f1_score(…, average=micro and macro)."""
    rng = random.Random(4)
    sentences = [[rng.choice(["B-per", "B-loc", "I-loc", "O"]) for _ in range(6)] for _ in range(12)]
    given = {name: [[tag if rng.random() < right else rng.choice(["O", "B-per", only]) for tag in tags] for tags in sentences]
             for name, right, only in (("a", 0.9, "B-org"), ("b", 0.6, "B-misc"))}  # fmt: skip
    rows = [{"id": f"s{i}", "words": ["w"] * 6, "tags": tags} for i, tags in enumerate(sentences)]
    task = {"suite": "tagging", "sample": {"id": "{{ id }}", "target": "{{ tags }}"}, "prompt": None,
            "metrics": ["ner_f1", "ner_f1(average=macro)"]}  # fmt: skip
    runs = []
    for name, tags in given.items():
        answers = [{"id": f"s{i}", "tags": of} for i, of in enumerate(tags)]
        runs.append(project.run(name, rows, answers, task=task))
    report = compare_runs(*runs)
    for metric, wanted in (("ner_f1", (0.8247422680412372, 0.5825242718446602)),
                           ("ner_f1(average=macro)", (0.5766035227650382, 0.42933083176985615))):  # fmt: skip
        row = only(report, metric)
        assert (row.comparison.a, row.comparison.b) == pytest.approx(wanted)
        assert row.comparison.n_pairs == 12


def test_pools_are_scored_again_together(project: Project) -> None:
    """distinct(n=1): different words over words: 4 of 8, and 2 of 8."""
    rows = [{"id": f"q{i}", "q": "?", "a": "x"} for i in range(4)]
    texts = {"a": ["one two", "three four"] * 2, "b": ["one one", "two two"] * 2}
    runs = [project.run(name, rows, [{"id": f"q{i}", "text": t} for i, t in enumerate(of)], task={"metrics": ["distinct(n=1)"]})
            for name, of in texts.items()]  # fmt: skip
    row = only(compare_runs(*runs))
    assert (row.comparison.a, row.comparison.b) == (0.5, 0.25)
    assert row.contrast.n_differing == 4


def test_what_is_stored_is_not_scored_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [project.run(name, questions(3), answered([True, hit, False]), task={"metrics": ["exact_match", "bleu", "token_f1"]})
            for name, hit in (("a", True), ("b", False))]  # fmt: skip
    monkeypatch.setattr("harness.compare.statistics._scored_again", None)
    report = compare_runs(*runs)
    assert [row.comparison.metric for row in report.rows] == ["exact_match", "bleu", "token_f1"]


def test_many_candidates_are_corrected_together_and_ranked(project: Project) -> None:
    rng = np.random.default_rng(1)
    shares = {"a": 0.9, "b": 0.6, "c": 0.88}
    hits = {name: (rng.random(120) < share).tolist() for name, share in shares.items()}
    paths = [project.run(name, questions(120), answered(of)) for name, of in hits.items()]
    report = compare_runs(paths[0], paths[1], CompareOptions(), [paths[2]])
    first, second = report.comparisons
    assert first.p_value is not None
    assert first.p_adjusted == pytest.approx(2 * first.p_value)
    assert second.p_adjusted == second.p_value
    assert (first.verdict, second.verdict) == ("worse", "unclear")
    [omnibus] = report.omnibus
    better = [sum(one > other for other in of) for of in zip(*hits.values()) for one in of]
    equal = [sum(one == other for other in of) for of in zip(*hits.values()) for one in of]
    ranks = np.array([4 - 1 - won - (tied - 1) / 2 for won, tied in zip(better, equal)]).reshape(-1, 3).mean(axis=0)
    assert omnibus.ranks == pytest.approx(tuple(ranks))
    # scipy 1.17.1: friedmanchisquare(…).statistic is 49.43333333333309; Iman and Davenport's F of it has (2, 238)
    assert omnibus.agreement == pytest.approx(49.43333333333309 / 240)
    assert omnibus.p_value == pytest.approx(1.2035047208665894e-12, rel=1e-6)
    assert [run for run, _ in omnibus.systems] == [path.name for path in paths]


def test_the_entries_of_one_run(project: Project) -> None:
    path = project.run_models("a", questions(4), {"m": answered([True] * 4), "n": answered([True, False, False, True])})
    run = StoredRun.open(path)
    report = compare_runs(StoredRun(path, run.record, "m"), StoredRun(path, run.record, "n"))
    row = only(report)
    assert (row.base_entry, row.comparison.entry) == ("m", "n")
    assert row.comparison.difference.value == pytest.approx(-0.5)
    assert [(change.a, change.b) for change in report.provenance[0] if change.field == "name"] == [("m", "n")]


def test_entries_pair_by_name_and_whatever_their_names_where_there_is_one(project: Project) -> None:
    two = project.run_models("two", questions(2), {"m": answered([True, True]), "n": answered([False, False])})
    other = project.run_models("other", questions(2), {"n": answered([True, False]), "o": answered([False, False])})
    one = project.run_models("one", questions(2), {"p": answered([False, True])})
    single = project.run_models("single", questions(2), {"q": answered([False, True])})
    assert [(pair.a.entry, pair.b.entry) for pair in paired_tasks(two, other)] == [("n", "n")]
    assert [(pair.a.entry, pair.b.entry) for pair in paired_tasks(one, single)] == [("p", "q")]
    assert list(paired_tasks(two, single)) == []


def test_perplexity_is_that_of_all_tokens(project: Project) -> None:
    """exp(6 / 4) and exp(9 / 4), not the mean of the texts' own."""
    rows = [{"id": f"t{i}", "text": f"some words {i}"} for i in range(2)]
    task = {"suite": "perplexity", "sample": {"id": "{{ id }}"}, "prompt": None, "metrics": ["perplexity"]}
    runs = []
    for name, sums in (("a", (-1.0, -5.0)), ("b", (-1.0, -8.0))):
        answers = [{"id": f"t{i}", "answer": {"type": "likelihoods", "logprobs": [total], "n_tokens": [1 + 2 * i], "n_words": 3,
                                              "n_bytes": 12}} for i, total in enumerate(sums)]  # fmt: skip
        runs.append(project.run(name, rows, answers, task=task))
    row = only(compare_runs(*runs))
    assert (row.comparison.a, row.comparison.b) == pytest.approx((math.exp(6 / 4), math.exp(9 / 4)))
    assert row.comparison.difference.value == pytest.approx(math.exp(9 / 4) - math.exp(6 / 4))
    assert row.higher_is_better is False


def test_a_notebook_shows_a_report_in_a_line(tmp_path: Path) -> None:
    rows = [StoredRow("x", 0, 1.0), StoredRow("y", 0, 0.0)]
    report = compare_runs(write_run(tmp_path / "a", rows), write_run(tmp_path / "b", rows))
    assert repr(report) == "<Report of b against a: 1 same>"
