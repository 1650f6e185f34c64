"""``score`` on every kind of answer: numbers, tags, ratings, vectors, several labels, two systems, clusters, slices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from harness import score
from harness.api import Reading
from harness.errors import DataError, UsageError
from harness.plugins import metric_names
from harness.types import Key, Label, Output


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def jsonl(path: Path, *rows: dict) -> Path:
    return write(path, "".join(json.dumps(row) + "\n" for row in rows))


def only(found):
    [result] = found
    return result


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_numbers_in_a_table_and_cells_that_hold_none(tmp_path):
    path = write(tmp_path / "n.csv", "value,target\n1.5,1\nnan,2\n3,2.5\n,4\n")
    result = only(score("mae", path))
    assert (result.value, result.estimate.n, result.estimate.n_missing) == (0.5, 2, 2)
    assert result.samples.missing == {1: "no value", 3: "no value"}


def test_numbers_in_lines(tmp_path):
    predictions, targets = write(tmp_path / "p.txt", "1\n2\n"), write(tmp_path / "t.txt", "3\n2\n")
    assert only(score("mae", predictions, targets)).value == 1.0


def test_a_line_that_is_no_number_is_named(tmp_path):
    predictions, targets = write(tmp_path / "p.txt", "1\nfour\n"), write(tmp_path / "t.txt", "3\n2\n")
    with pytest.raises(DataError, match=r"p\.txt:2: the number must be a number, got 'four'"):
        score("mae", predictions, targets)


def test_numbers_with_the_ends_of_their_intervals(tmp_path):
    path = jsonl(tmp_path / "n.jsonl", {"id": 1, "value": 3, "low": 2, "high": 4, "target": 3.5},
                 {"id": 2, "value": 3, "low": 2, "high": 4, "target": 9})
    assert only(score("interval_coverage", path)).value == 0.5
    with pytest.raises(DataError, match="low must not be above high"):
        score("interval_coverage", jsonl(tmp_path / "m.jsonl", {"id": 1, "value": 3, "low": 5, "high": 4, "target": 3.5}))


def test_numbers_in_memory():
    assert only(score("rmse", [1.0, 2.0], [1.0, 4.0])).value == pytest.approx(2**0.5)


# ── tags ────────────────────────────────────────────────────────────────────────────────────────────────────────────

GOLD = "Anna\tB-per\nleft\tO\n\nParis\tB-loc\n\n"


def test_tags_in_two_files(tmp_path):
    gold, guess = write(tmp_path / "gold", GOLD), write(tmp_path / "guess", GOLD.replace("B-loc", "O"))
    result = only(score("ner_f1", guess, gold))
    assert result.value == pytest.approx(2 / 3)
    assert result.estimate.n == 2


def test_tags_in_one_file_with_gold_before_them(tmp_path):
    path = write(tmp_path / "both", "Anna B-per B-per\nleft O O\n\nParis B-loc O\n")
    assert only(score("ner_f1", path)).value == pytest.approx(2 / 3)


def test_tags_as_objects_and_in_memory(tmp_path):
    path = jsonl(tmp_path / "t.jsonl", {"id": 1, "tags": ["B-x", "O"], "target": ["B-x", "O"]})
    assert only(score("ner_f1", path)).value == 1.0
    assert only(score("ner_f1", [["B-x", "O"]], [["B-x", "B-x"]])).value == pytest.approx(2 / 3)


# ── vectors ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_vectors_in_an_array_and_a_file_to_compare_with(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "fake.npy", rng.normal(size=(60, 3)))
    np.save(tmp_path / "real.npy", rng.normal(size=(80, 3)))
    near = only(score("fid", tmp_path / "fake.npy", tmp_path / "real.npy"))
    same = only(score("fid", tmp_path / "fake.npy", tmp_path / "fake.npy"))
    assert near.value > same.value == pytest.approx(0, abs=1e-6)
    assert "real.npy#sha256:" in near.signature


def test_an_array_of_another_shape_is_refused(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros(5))
    with pytest.raises(DataError, match=r"flat\.npy: vectors must be an array of numbers \(n, dim\)"):
        score("uniformity", tmp_path / "flat.npy")


def test_pairs_of_vectors_or_similarities_against_gold(tmp_path):
    pairs = jsonl(tmp_path / "v.jsonl", *({"id": i, "vectors": [[1, 0], [np.cos(a), np.sin(a)]], "target": 3 - a}
                                          for i, a in enumerate([0.1, 0.5, 1.0, 1.4])))
    numbers = jsonl(tmp_path / "s.jsonl", *({"id": i, "value": float(np.cos(a)), "target": 3 - a}
                                            for i, a in enumerate([0.1, 0.5, 1.0, 1.4])))
    assert only(score("sts_pearson", pairs)).value == pytest.approx(only(score("sts_pearson", numbers)).value, abs=1e-9)


def test_vectors_of_unequal_length_in_one_row_are_refused(tmp_path):
    with pytest.raises(DataError, match="vectors of one row must be equally long"):
        score("sts_pearson", jsonl(tmp_path / "v.jsonl", {"id": 1, "vectors": [[1, 0], [1]], "target": 1}))


# ── ratings, several labels, log-probabilities ──────────────────────────────────────────────────────────────────────


def test_ratings_in_a_table_a_column_a_rater(tmp_path):
    path = write(tmp_path / "r.csv", "id,ann,bob,cyd\n1,1,1,\n2,2,2,2\n3,3,3,3\n")
    assert only(score("krippendorff_alpha(level=nominal)", path)).value == pytest.approx(1.0)
    chosen = only(score("krippendorff_alpha(level=nominal)", path, reading=Reading(field="ann,bob")))
    assert chosen.value == pytest.approx(1.0)


def test_several_labels_at_once(tmp_path):
    rows = [{"id": 1, "labels": ["a", "b"], "target": ["a"]}, {"id": 2, "labels": ["b"], "target": ["b"]}]
    path = jsonl(tmp_path / "l.jsonl", *rows)
    assert only(score("hamming", path)).value == pytest.approx(0.25)


def test_log_probabilities_of_whole_texts(tmp_path):
    path = jsonl(tmp_path / "p.jsonl", {"id": 1, "logprob": -4.0, "n_tokens": 2}, {"id": 2, "token_logprobs": [-1.0, -1.0]})
    assert only(score("perplexity", path)).value == pytest.approx(np.exp(6 / 4))
    with pytest.raises(DataError, match="logprob needs n_tokens"):
        score("perplexity", jsonl(tmp_path / "q.jsonl", {"id": 1, "logprob": -4.0}))


# ── two systems, clusters, slices, models ───────────────────────────────────────────────────────────────────────────


def test_two_systems_are_paired_by_id(tmp_path):
    first = jsonl(tmp_path / "a.jsonl", {"id": "x", "label": "1", "target": "1"}, {"id": "y", "label": "1", "target": "1"},
                  {"id": "z", "label": "1", "target": "0"})
    second = jsonl(tmp_path / "b.jsonl", {"id": "y", "label": "0"}, {"id": "x", "label": "1"})
    result = only(score("accuracy_drop", first, second))
    assert (result.value, result.estimate.n) == (0.5, 2)
    assert result.notes == ("1 outputs left out: the other system has none with that id",)


def test_two_rankings(tmp_path):
    first = write(tmp_path / "a.run", "1 Q0 a 1 3 t\n1 Q0 b 2 2 t\n")
    assert only(score("rbo", first, first)).value == pytest.approx(1.0)
    with pytest.raises(UsageError, match="rbo compares two systems"):
        score("rbo", first)


def test_a_pair_metric_stands_alone(tmp_path):
    rows = jsonl(tmp_path / "a.jsonl", {"id": "x", "label": "1", "target": "1"})
    with pytest.raises(UsageError, match="accuracy does not: score it in a call of its own"):
        score(["accuracy_drop", "accuracy"], rows, rows)


def test_clusters_are_resampled_only_where_they_are_named(tmp_path):
    path = jsonl(tmp_path / "c.jsonl", *({"id": i, "label": "1", "target": str(i % 2), "doc": f"d{i // 4}"} for i in range(16)))
    assert only(score("accuracy", path)).estimate.method == "wilson"
    clustered = only(score("accuracy", path, reading=Reading(group="doc"))).estimate
    assert clustered.n_groups == 4
    assert clustered.method.startswith("cluster bootstrap")


def test_groups_of_people_come_from_slices_or_from_a_column(tmp_path):
    csv = write(tmp_path / "g.csv", "prediction,target,sex\n1,1,f\n0,1,f\n1,1,m\n1,0,m\n")
    assert only(score("demographic_parity(by=sex)", csv)).value == pytest.approx(0.5)
    rows = jsonl(tmp_path / "g.jsonl", *({"id": i, "label": p, "target": t, "slices": {"sex": s}}
                                         for i, (p, t, s) in enumerate(zip("1011", "1110", "ffmm"))))
    assert only(score("demographic_parity", rows)).value == pytest.approx(0.5)


def test_contexts_stand_beside_the_texts(tmp_path):
    path = jsonl(tmp_path / "s.jsonl", {"id": 1, "text": "the cat sat", "contexts": ["the cat sat on the mat"]})
    assert only(score("support(n=1)", path)).value == 1.0


def test_a_metric_that_needs_a_model_says_how_to_give_one():
    with pytest.raises(UsageError, match=r"embedding_similarity needs a model for the role 'encoder': give its source"):
        score("embedding_similarity", ["a"], ["b"])


def test_kinds_that_no_file_can_hold_together_are_refused():
    with pytest.raises(UsageError, match="mae needs numbers and bleu needs texts: score them in two calls"):
        score(["mae", "bleu"], ["a"], ["b"])


def test_every_metric_has_a_kind_that_score_can_read():
    from harness.engine.wants import wants_of
    from harness.plugins import example_spec, metric
    from harness.protocols import Metric

    for name, (cls, _) in metric_names().items():
        if issubclass(cls, Metric):
            spec = example_spec(name)
            assert wants_of({spec: metric(spec)}, lambda families: families[0]).forms


def test_failed_rows_stay_missing(tmp_path):
    outputs = [Output(Key("1"), Label("1")), Output(Key("2"), None, error="timeout")]
    result = only(score("accuracy", outputs, {"1": "1", "2": "1"}))
    assert (result.value, result.estimate.n, result.estimate.n_missing) == (1.0, 1, 1)
