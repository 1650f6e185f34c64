"""``score`` where the input is not what it seems: pipes, broken JSON, other tokens, scores for labels, ids that are none."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from harness import score
from harness.api import Reading
from harness.errors import DataError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def only(found):
    [result] = found
    return result


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_read_once_and_whole(tmp_path):
    pipe, lines = tmp_path / "pipe", "".join(f"{i}\n" for i in range(600))
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(lines,))
    writer.start()
    result = only(score("mae", pipe, write(tmp_path / "r.txt", lines)))
    writer.join()
    assert (result.estimate.n, result.value) == (600, 0.0)


def test_a_broken_line_near_the_top_does_not_make_it_plain_text(tmp_path):
    path = write(tmp_path / "p.jsonl", '{"id": 1, "text": "a"}\n{"id": 2, "text": \n{"id": 3, "text": "c"}\n')
    with pytest.raises(DataError, match=r"p\.jsonl:2"):
        score("exact_match", path, write(tmp_path / "r.txt", "a\nb\nc\n"))


def test_a_list_of_objects_is_read(tmp_path):
    path = write(tmp_path / "p.json", json.dumps([{"id": 1, "value": 1.0, "target": 2.0}, {"id": 2, "value": 2, "target": 2}]))
    assert only(score("mae", path)).value == 0.5


def test_other_tokens_are_an_error(tmp_path):
    gold, guess = write(tmp_path / "g", "Anna\tB-per\nleft\tO\n"), write(tmp_path / "p", "Anna\tB-per\nwent\tO\n")
    with pytest.raises(DataError, match=r"p:2: token 'went', .*g has 'left'"):
        score("ner_f1", guess, gold)


def test_a_column_of_items_is_no_rater_and_the_raters_are_named(tmp_path):
    path = write(tmp_path / "r.csv", "item,r1,r2\n7,1,1\n8,5,5\n9,2,2\n")
    result = only(score("krippendorff_alpha", path))
    assert result.value == pytest.approx(1.0)
    assert result.notes == ("raters: r1, r2 (others can be named with --field)",)


def test_ids_that_are_none_can_be_left_out_of_account(tmp_path):
    path = write(tmp_path / "p.csv", "id,left,right,winner\n0,a,b,left\n0,b,a,right\n0,a,c,tie\n")
    with pytest.raises(DataError, match=r"id '0' is there twice: .*--no-ids"):
        score("elo(of=a)", path, reading=Reading(label="winner"))
    assert only(score("elo(of=a)", path, reading=Reading(ids=False))).estimate.n == 3


def test_a_byte_order_mark_in_front_of_texts_is_told(tmp_path):
    path = write(tmp_path / "p.txt", "\ufeffa\nb\n")
    result = only(score("exact_match", path, write(tmp_path / "r.txt", "a\nb\n")))
    assert result.value == 0.5
    assert "begins with a byte-order mark" in result.notes[0]


def test_labels_in_memory_are_the_same_however_they_are_written():
    for given in ([True, False], [1, 0], [1.0, 0.0], np.array([1.0, 0.0]), np.array([True, False]), ["1", "0"]):
        for wanted in ([1, 0], [True, False], np.array([1.0, 0.0]), ["1", "0"]):
            assert only(score("accuracy", given, wanted)).value == 1.0


def test_scores_where_labels_are_wanted_are_told(tmp_path):
    result = only(score("accuracy", write(tmp_path / "p", "0.9\n0.2\n"), write(tmp_path / "r", "1\n0\n")))
    assert result.notes == ("no predicted label is one of the targets (0, 1); the first is '0.9'",)


@pytest.mark.parametrize(("spec", "given", "wanted", "words"), [
    ("ndcg@10", {"q": {"a": 1.0}}, {"q": {"a": 0.9}}, "grades must be whole numbers, got 0.9"),
    ("ndcg@10", {"q": {"a": "x"}}, {"q": {"a": 1}}, "scores and probabilities must be numbers, got 'x'"),
    ("roc_auc", [{"a": "x", "b": 0.5}], ["a"], "scores and probabilities must be numbers, got 'x'"),
    ("silhouette(k=2)", [[1.0, "x"], [3.0, 2.0]], None, "vectors must be lists of numbers"),
    ("accuracy", ["a"], [float("nan")], "a label must not be NaN"),
])
def test_what_is_no_number_is_said(spec, given, wanted, words):
    with pytest.raises(DataError, match=words):
        score(spec, given, wanted)


def test_ratings_in_memory():
    assert only(score("likert_mean", [[1, 2], [3, 4]])).value == 2.5


def test_one_class_with_scores_of_it(tmp_path):
    path = write(tmp_path / "s.csv", "y,s\n1,.9\n1,.8\n")
    found = score(["roc_auc", "log_loss"], path, reading=Reading(target="y", score="s", positive="1"))
    assert found[0].value is None
    assert "class" in found[0].estimate.reason


def test_numbers_beyond_floating_point_are_no_warnings(tmp_path):
    path = write(tmp_path / "n.csv", "value,target\n1e308,-1e308\n1,1\n")
    result = only(score("mae", path))
    assert result.value is None or np.isfinite(result.value)


def test_the_label_column_is_the_target_where_only_scores_are_measured(tmp_path):
    path = write(tmp_path / "s.csv", "label,score\n1,.9\n0,.2\n1,.7\n0,.8\n")
    assert only(score("roc_auc", path)).value == 0.75
