"""chrF by hand, its word splitting, and what the statistics promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness import plugins
from harness.errors import MetricError
from harness.metrics.chrf import Chrf, chrf
from harness.types import Key, Output, Sample, Text


def test_by_hand():
    # ab c / abd without white space: unigrams a, b of 3 and 3; bigrams ab of 2 and 2; P = R = (2/3 + 1/2) / 2
    assert chrf(["ab c"], ["abd"], char_order=2) == pytest.approx(100 * (2 / 3 + 1 / 2) / 2, abs=1e-12)


def test_recall_weighs_beta_squared_times_more():
    # P = 1, R = 1/2
    assert chrf(["a"], ["ab"], char_order=1, beta=1) == pytest.approx(100 * 2 * 0.5 / 1.5, abs=1e-12)
    assert chrf(["a"], ["ab"], char_order=1, beta=2) == pytest.approx(100 * 5 * 0.5 / 4.5, abs=1e-12)


@pytest.mark.parametrize(("text", "words"), [
    ("(hi)", 2),       # (hi and ): the mark at the end goes first, and only one goes
    ("(hi", 2), ("hi!", 2), ("!", 1), ("!!", 2), ("h", 1), ("é.", 2), ("«é", 1), ("a-b c", 2), ("", 0), (" \u3000x\xa0y\n", 2),
])
def test_word_splitting(text, words):
    metric = Chrf(word_order=1)
    row = dict(zip(metric.columns, metric.over([text], [text]).stats[0].tolist()))
    assert row["word_1_hyp"] == row["word_1_ref"] == row["word_1_match"] == words


def test_statistics_of_the_best_reference():
    metric = Chrf(char_order=2)
    row = metric.over(["abc"], [["xbc", "abcd", "zzz"]]).stats[0]
    assert dict(zip(metric.columns, row.tolist())) == {
        "char_1_hyp": 3, "char_1_ref": 4, "char_1_match": 3, "char_2_hyp": 2, "char_2_ref": 3, "char_2_match": 2, "n": 1}


def test_the_first_of_equally_good_references():
    metric = Chrf(char_order=1)
    assert metric.over(["ab"], [["xy", "z"]]).stats[0].tolist() == [2.0, 2.0, 0.0, 1.0]


@pytest.mark.parametrize(("prediction", "reference", "value"), [("", "a", 0.0), ("a", "", 0.0), ("", "", 0.0), ("a", "b", 0.0)])
def test_nothing_in_common_is_zero(prediction, reference, value):
    assert chrf([prediction], [reference]) == value


def test_all_the_same_is_at_most_a_hundred():
    assert [chrf([text], [text]) for text in ("a b c d e", "x y z w v u", "Häuser am See, 3.5!")] == [100.0] * 3


def test_no_rows_is_nan():
    assert math.isnan(chrf([], []))


def test_white_space_and_case():
    assert chrf(["A  b"], ["ab"], lowercase=True) == pytest.approx(100.0)
    assert chrf(["a b"], ["ab"], char_order=1, whitespace=True) == pytest.approx(100 * 5 * (2 / 3) / (4 * 2 / 3 + 1), abs=1e-12)
    assert chrf(["a\nb"], ["a b"], char_order=1, whitespace=True) == pytest.approx(100 * 2 / 3)  # a newline is not a space


@pytest.mark.parametrize("size", [1, 7, 300])
def test_chunks_add_up(size):
    texts = ["the cat, the 3.5 mats", "", "ein Häuschen!", "the the the cat"] * 100
    references = [("the cat 3.5 mats", "cat"), ("x",), ("Häuser",), ("the cat",)] * 100
    samples = [Sample(str(i), references=item) for i, item in enumerate(references)]
    outputs = [Output(Key(str(i)), Text(text)) for i, text in enumerate(texts)]
    metric = Chrf(word_order=2)
    whole = metric.score(samples, outputs).stats
    parts = [metric.score(samples[i:i + size], outputs[i:i + size]).stats for i in range(0, len(samples), size)]
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("metric", [Chrf(), Chrf(4, 1, 3.5, True, True, True), Chrf(word_order=2)])
def test_spec_parses_back(metric):
    again = plugins.metric(metric.spec)
    assert again == metric
    assert again.columns == metric.columns


def test_alias_and_signature():
    assert plugins.metric("chrf_pp") == Chrf(word_order=2)
    assert Chrf().signature() == ("chrf(beta=2,char_order=6,eps_smoothing=false,lowercase=false,whitespace=false,word_order=0)"
                                  "#v1")


@pytest.mark.parametrize(("spec", "message"), [
    ("chrf(char_order=0)", "chrf: char_order must be a positive integer, got 0"),
    ("chrf(word_order=-1)", "chrf: word_order must be an integer of at least 0, got -1"),
    ("chrf(beta=0)", "chrf: beta must be a positive number, got 0.0"),
])
def test_bad_parameters(spec, message):
    with pytest.raises(MetricError, match=message):
        plugins.metric(spec)
