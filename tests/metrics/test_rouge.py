"""ROUGE by hand, its tokenisers, several references, and what the statistics promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness import plugins
from harness.errors import MetricError
from harness.metrics.rouge import Rouge, rouge
from harness.types import Key, Output, Sample, Text

PREDICTION, REFERENCE = "the cat was found under the bed", "the cat was under the bed"


@pytest.mark.parametrize(("kind", "precision", "recall"), [
    ("1", 6 / 7, 6 / 6), ("2", 4 / 6, 4 / 5), ("3", 2 / 5, 2 / 4), ("L", 6 / 7, 6 / 6), ("Lsum", 6 / 7, 6 / 6), ("7", 0, 0)])
def test_by_hand(kind, precision, recall):
    f = 2 * precision * recall / (precision + recall) if precision else 0
    values = [rouge([PREDICTION], [REFERENCE], type=kind, measure=measure) for measure in ("p", "r", "f")]
    assert values == pytest.approx([precision, recall, f], abs=1e-15)


def test_order_matters_to_l_and_not_to_1():
    assert rouge(["b a"], ["a b"], type="1") == 1.0
    assert rouge(["b a"], ["a b"], type="L") == 0.5


def test_union_of_subsequences_by_hand():
    # Lin 2004, section 3.2: reference w1 w2 w3 w4 w5; lines w1 w2 w6 w7 w8 and w1 w3 w8 w9 w5: the union has w1 w2 w3 w5
    metric = Rouge("Lsum")
    row = metric.over(["w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5"], ["w1 w2 w3 w4 w5"]).stats[0]
    assert dict(zip(metric.columns, row.tolist())) == pytest.approx(
        {"precision": 4 / 10, "recall": 4 / 5, "f": 2 * 0.4 * 0.8 / 1.2, "overlap": 4, "hyp_total": 10, "ref_total": 5, "n": 1})


def test_a_token_counts_no_more_often_than_the_prediction_has_it():
    assert Rouge("Lsum").over(["a"], ["a\na\na"]).stats[0, 3] == 1.0
    assert Rouge("Lsum").over(["a\na"], ["a\na\na"]).stats[0, 3] == 2.0


def test_lines_longer_than_a_machine_word():
    line = " ".join(f"w{i}" for i in range(150))
    assert rouge([f"x y\n{line}"], [f"{line}\nz"], type="Lsum", measure="r") == pytest.approx(150 / 151)


def test_tokenisers():
    assert rouge(["Über-Maß 3"], ["ber ma 3"], type="1") == 1.0  # as rouge-score: everything beyond ASCII separates
    assert rouge(["Über-Maß 3"], ["über maß 3"], type="1", tokenize="unicode") == 1.0
    assert rouge(["हिन्दी भाषा"], ["हिन्दी"], type="1", tokenize="unicode", measure="p") == 0.5  # marks belong to words
    assert rouge(["日本"], ["日本"], type="1") == 0.0


def test_stemmer_takes_words_of_more_than_three_letters():
    assert rouge(["running dogs"], ["run dog"], type="1", stemmer=True) == 1.0
    assert rouge(["was"], ["wa"], type="1", stemmer=True) == 0.0
    assert rouge(["running"], ["run"], type="1") == 0.0


def test_the_reference_with_the_best_f_counts_for_every_measure():
    # "a": R = 1, P = 1/4, F = 0.4; "a b c x y z": P = 3/4, R = 1/2, F = 0.6
    references = [["a", "a b c x y z"]]
    assert rouge(["a b c d"], references, type="1", measure="r") == 0.5
    assert rouge(["a b c d"], references, type="1", measure="p") == 0.75


@pytest.mark.parametrize("kind", ["1", "2", "L", "Lsum"])
@pytest.mark.parametrize(("prediction", "reference"), [("", "a"), ("a", ""), ("", ""), ("\n", "\n\n"), ("?", "!")])
def test_an_empty_side_is_zero(kind, prediction, reference):
    assert rouge([prediction], [reference], type=kind) == 0.0


def test_no_rows_is_nan():
    assert math.isnan(rouge([], []))


@pytest.mark.parametrize("kind", ["2", "L", "Lsum"])
@pytest.mark.parametrize("size", [1, 7, 300])
def test_chunks_add_up(kind, size):
    texts = ["the cat, the 3.5 mats\nand a dog", "", "a dog-house!", "the the\nthe cat"] * 100
    references = [("the cat 3.5 mats\ndog", "cat"), ("x",), ("a dog house!",), ("the cat",)] * 100
    samples = [Sample(str(i), references=item) for i, item in enumerate(references)]
    outputs = [Output(Key(str(i)), Text(text)) for i, text in enumerate(texts)]
    metric = Rouge(kind)
    whole = metric.score(samples, outputs).stats
    parts = [metric.score(samples[i:i + size], outputs[i:i + size]).stats for i in range(0, len(samples), size)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_extremes_are_what_an_answer_could_have_had():
    metric = Rouge("2")
    worst, best = metric.extremes(Sample("a", references=("one", "two words")))
    assert (float(metric.finish(worst)), float(metric.finish(best))) == (0.0, 1.0)
    assert metric.finish(metric.extremes(Sample("a", references=("one",)))[1]) == 0.0  # it has no bigram to share


@pytest.mark.parametrize("metric", [Rouge(), Rouge("2"), Rouge("Lsum", True, "r", "unicode")])
def test_spec_parses_back(metric):
    assert plugins.metric(metric.spec) == metric


def test_aliases_and_signature():
    assert [plugins.metric(name) for name in ("rouge_1", "rouge_2", "rouge_l", "rouge_lsum")] == [
        Rouge("1"), Rouge("2"), Rouge("L"), Rouge("Lsum")]
    assert Rouge(2) == Rouge("2")
    assert plugins.metric("rouge_2(stemmer=true)") == Rouge("2", stemmer=True)
    assert Rouge("1").signature() == "rouge(measure=f,stemmer=false,tokenize=ascii,type=1)#v1"


@pytest.mark.parametrize(("spec", "message"), [
    ("rouge(type=0)", "rouge: type must be one of 1, 2, 3, 4, 5, 6, 7, 8, 9, L, Lsum, got '0'"),
    ("rouge(measure=x)", "rouge: measure must be one of f, p, r, got 'x'"),
])
def test_bad_parameters(spec, message):
    with pytest.raises(MetricError, match=message):
        plugins.metric(spec)


def test_the_language_of_the_task_chooses_the_alphabet_unless_it_is_given() -> None:
    assert Rouge().for_language("en-GB").tokenize == "ascii"
    assert Rouge().for_language("de").tokenize == "unicode"
    assert Rouge(tokenize="ascii").for_language("de").tokenize == "ascii"
    assert Rouge().signature() == Rouge().for_language("en").signature()


def test_it_warns_where_more_than_a_fifth_of_the_letters_vanish() -> None:
    samples = [Sample("1", references=("über äh",)), Sample("2", references=("abcde",))]  # 2 of 11 letters
    assert Rouge().prepare(samples).warnings() == ()
    (warning,) = Rouge().prepare([*samples, Sample("3", references=("ü",))]).warnings()  # 3 of 12
    assert warning.startswith("rouge: tokenize=ascii, rouge-score's own, deletes 25% of the letters")
    assert Rouge(tokenize="unicode").prepare([Sample("3", references=("ü",))]).warnings() == ()
