"""ROUGE by hand, its tokenisers, several references, and what the statistics promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness import plugins
from harness.errors import MetricError
from harness.metrics.rouge import Rouge, rouge, rouge_scores
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


@pytest.mark.parametrize(("prediction", "reference"), [("b\na", "a b"), ("b a", "a\nb"), ("\nb\n\na", "a b")])
def test_lines_are_compared_one_by_one(prediction, reference):
    assert rouge([prediction], [reference], type="Lsum") == 1.0
    assert rouge([prediction], [reference], type="L") == 0.5
    assert rouge([prediction, "b a"], [reference, "a b"], type="Lsum") == 0.75


def test_a_token_counts_no_more_often_than_the_prediction_has_it():
    assert Rouge("Lsum").over(["a"], ["a\na\na"]).stats[0, 3] == 1.0
    assert Rouge("Lsum").over(["a\na"], ["a\na\na"]).stats[0, 3] == 2.0


@pytest.mark.parametrize("n", [1, 62, 63, 64, 65, 66, 150])
def test_lines_around_the_length_of_a_machine_word(n):
    line = " ".join(f"w{i}" for i in range(n))
    assert rouge([f"x y\n{line}"], [f"{line}\nz"], type="Lsum", measure="r") == pytest.approx(n / (n + 1))
    assert Rouge("Lsum").over(["hit\nx"], [f"{line} hit\nz"]).stats[0, 3] == 1.0  # the last word alone
    assert Rouge("Lsum").over(["hit\nx"], [f"hit {line}\nz"]).stats[0, 3] == 1.0
    assert Rouge("Lsum").over([f"{line} hit\nx"], ["hit\nz"]).stats[0, 3] == 1.0


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


@pytest.mark.parametrize("kind", ["1", "2", "L", "Lsum", "S", "SU", "W"])
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


@pytest.mark.parametrize("metric", [
    Rouge(), Rouge("2"), Rouge("SU", skip=4), Rouge("W", weight=1.5), Rouge("Lsum", True, "r", "unicode")])
def test_spec_parses_back(metric):
    assert plugins.metric(metric.spec) == metric


def test_aliases_and_signature():
    names = ("rouge_1", "rouge_2", "rouge_l", "rouge_lsum", "rouge_s", "rouge_su", "rouge_w")
    assert [plugins.metric(name) for name in names] == [
        Rouge("1"), Rouge("2"), Rouge("L"), Rouge("Lsum"), Rouge("S"), Rouge("SU"), Rouge("W")]
    assert Rouge(2) == Rouge("2")
    assert plugins.metric("rouge_2(stemmer=true)") == Rouge("2", stemmer=True)
    assert Rouge("1").signature() == "rouge(measure=f,skip=none,stemmer=false,tokenize=ascii,type=1,weight=1.2)#v1"


@pytest.mark.parametrize(("spec", "message"), [
    ("rouge(type=0)", "rouge: type must be one of 1, 2, 3, 4, 5, 6, 7, 8, 9, L, Lsum, S, SU, W, got '0'"),
    ("rouge(measure=x)", "rouge: measure must be one of f, p, r, got 'x'"),
    ("rouge(type=L,skip=4)", "rouge: skip must be none with type=L, got 4"),
    ("rouge_su(skip=-1)", "rouge: skip must be none or an integer of at least 0, got -1"),
    ("rouge_l(weight=2)", "rouge: weight must be 1.2, the default, with type=L, got 2"),
    ("rouge_w(weight=0.5)", "rouge: weight must be at least 1 and finite, got 0.5"),
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
    assert warning.startswith("rouge: tokenize=ascii deletes 25% of the letters")
    assert Rouge(tokenize="unicode").prepare([Sample("3", references=("ü",))]).warnings() == ()


# ── Lin's S, SU and W ───────────────────────────────────────────────────────────────────────────────────────────────

POLICE = "police killed the gunman"


@pytest.mark.parametrize(("prediction", "s", "su"), [
    ("police kill the gunman", 3 / 6, 6 / 10), ("the gunman kill police", 1 / 6, 4 / 10),
    ("the gunman police killed", 2 / 6, 6 / 10), ("gunman the killed police", 0, 4 / 10)])
def test_skip_bigrams_as_in_the_paper(prediction, s, su):
    # Lin 2004, section 5.1: .500, .167, .333; 5.2: a sentence in reverse order has only its words in common
    for kind, expected in (("S", s), ("SU", su)):
        assert rouge([prediction], [POLICE], type=kind) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(("skip", "counts"), [
    (0, (1, 4, 3)),      # ab of ab bx xc cd, and ab bd dc
    (1, (2, 7, 5)),      # ab bc of those and ax bc xd, and of those and ad bc
    (2, (4, 9, 6)),      # ab bc ac bd of those and ac bd, and of those and ac
    (None, (5, 10, 6))])  # and ad
def test_skip_distance_by_hand(skip, counts):
    assert tuple(Rouge("S", skip=skip).over(["a b x c d"], ["a b d c"]).stats[0, 3:6]) == counts


def test_a_skip_bigram_counts_as_often_as_both_have_it():
    # "a a b": aa, ab, ab; "a b b": ab, ab, bb
    row = Rouge("S").over(["a a b"], ["a b b"]).stats[0]
    assert tuple(row[3:6]) == (2, 3, 3)
    assert tuple(Rouge("SU").over(["a a b"], ["a b b"]).stats[0, 3:6]) == (4, 6, 6)


@pytest.mark.parametrize(("prediction", "expected"), [("a b c d h i k", 4 / 7), ("a h b k c i d", 2 / 7)])
def test_consecutive_matches_are_worth_more(prediction, expected):
    # Lin 2004, section 4: f(k) = k^2; both have a longest common subsequence of 4, ROUGE-W is .571 and .286
    assert rouge([prediction], ["a b c d e f g"], type="W", weight=2.0) == pytest.approx(expected, abs=1e-15)
    assert rouge([prediction], ["a b c d e f g"], type="W", weight=1) == rouge([prediction], ["a b c d e f g"]) == 4 / 7


def test_weight_by_hand():
    # "a b" in a row is worth 2^1.2, precision (2^1.2 / 3^1.2)^(1/1.2) = 2/3, recall 2/4
    metric = Rouge("W")
    row = metric.over(["a b x"], ["y a b z"]).stats[0]
    assert row[:6].tolist() == pytest.approx([2 / 3, 1 / 2, 4 / 7, 2 ** 1.2, 3 ** 1.2, 4 ** 1.2])
    assert metric.over(["a x b"], ["a b"]).stats[0, 3] == 2.0  # two runs of one


# ── several types at once ───────────────────────────────────────────────────────────────────────────────────────────


def test_types_together_by_hand():
    found = rouge_scores([PREDICTION], [REFERENCE], ["1", "2", "L", "S"], measure="p")
    assert {kind: found[kind].value for kind in found} == pytest.approx({"1": 6 / 7, "2": 4 / 6, "L": 6 / 7, "S": 15 / 21})
    assert rouge_scores([], [], ["1"])["1"].per_item.shape == (0,)
    assert rouge_scores([PREDICTION], [REFERENCE], []) == {}
    with pytest.raises(MetricError, match="predictions and references must have the same length, got 1 and 0"):
        rouge_scores(["a"], [])
