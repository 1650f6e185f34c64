"""exact_match and token_f1: hand-worked values, several references, missing rows, parameters."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness import plugins
from harness.errors import MetricError
from harness.metrics.text import ExactMatch, TokenF1, exact_match, token_f1
from harness.types import Key, Label, Output, Sample, Text


def rows(*pairs: tuple[str, tuple[str, ...]]) -> tuple[list[Sample], list[Output]]:
    samples = [Sample(id=str(i), references=references) for i, (_, references) in enumerate(pairs)]
    return samples, [Output(Key(str(i)), Text(text)) for i, (text, _) in enumerate(pairs)]


@pytest.mark.parametrize(("normalize", "prediction", "reference", "hit"), [
    ("squad", "The  Eiffel-Tower!", "eiffeltower", 1.0),      # punctuation goes before articles and white space
    ("squad", "an apple a day", "apple day", 1.0),
    ("squad", "theory", "ory", 0.0),                          # articles are whole words
    ("squad", "“Paris”", "Paris", 0.0),                       # only ASCII punctuation goes
    ("squad", "the", "", 1.0),
    ("lower", " Paris,\tFRANCE ", "paris, france", 1.0),
    ("lower", "the Paris", "paris", 0.0),
    ("whitespace", "a  b\n", "a b", 1.0),
    ("whitespace", "A b", "a b", 0.0),
    ("strip", " a  b\n", "a  b", 1.0),
    ("strip", "a  b", "a b", 0.0),
    ("none", "a b ", "a b", 0.0),
    ("none", "a b", "a b", 1.0),
    ("squad", "ÉCOLE", "école", 1.0),
])
def test_exact_match_after_normalisation(normalize, prediction, reference, hit):
    assert exact_match([prediction], [reference], normalize=normalize) == hit


@pytest.mark.parametrize(("prediction", "references", "value"), [
    ("black cat", ["the black cat sat"], 0.8),                # P 2/2, R 2/3
    ("cat cat cat", ["cat dog"], 0.4),                        # bags: one shared; P 1/3, R 1/2
    ("dog", ["cat", "a hot dog", "dog house party"], 2 / 3),  # best of 0, 2·1·.5/1.5, 2·1·(1/3)/(4/3)
    ("", [""], 0.0),                                          # SQuAD v1.1: nothing shared
    ("", ["cat"], 0.0),
    ("the", ["a"], 0.0),
])
def test_token_f1_by_hand(prediction, references, value):
    assert token_f1([prediction], [references]) == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize(("extract", "text", "answer"), [
    ("answer_is", "So the answer is (A).", "(A)"),
    ("answer_is", "the answer is 1. No, the answer is 2..\nQ: the", "2."),
    ("answer_is", "No such words.\nSecond line", "No such words"),
    ("answer_is", "The answer is B", "The answer is B"),      # case matters, as in the published rule
    ("boxed", "\\boxed{1} so \\boxed{\\frac{1}{2}} and \\boxed{3", "\\frac{1}{2}"),
    ("boxed", "\\boxed{a\\}b}", "a\\}b"),
    ("boxed", "none", ""),
    ("hashes", "#### 1\nx #### 2 \ny", "2"),
    ("hashes", "none", ""),
    ("first_line", "\n  a \nb\n", "a"),
    ("last_line", "\n  a \nb\n \n", "b"),
    ("last_line", " ", ""),
    ("/[A-D]/", "A or B", "B"),
    (r"/answer: (\w+)|none/", "answer: yes", "yes"),
    (r"/answer: (\w+)|none/", "answer: yes, none", ""),
    ("/x/", "none", ""),
])
def test_extracted_answers(extract, text, answer):
    assert exact_match([text], [answer], normalize="none", extract=extract) == 1.0
    assert exact_match([text], [answer + "!"], normalize="none", extract=extract) == 0.0


def test_token_f1_of_the_extracted_answer():
    assert token_f1(["long talk. the answer is black cat."], ["black dog"], extract="answer_is") == .5


def test_value_is_the_mean_and_rows_are_the_items():
    measured = ExactMatch().over(["a cat", "dog", "bird"], [["cat"], ["cats", "dog"], ["fish"]])
    assert measured.value == pytest.approx(2 / 3)
    assert measured.per_item.tolist() == [1.0, 1.0, 0.0]


def test_weights_resample_rows():
    metric = TokenF1()
    stats = metric.over(["x", "y", "z"], ["x", "q", "z z"]).stats  # 1, 0, 2/3
    values = metric.aggregate(stats, np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 1.0], [0.0, 0.0, 0.0]]))
    assert values[:2] == pytest.approx([1.0, 2 / 9])
    assert math.isnan(values[2])


def test_nothing_to_score_is_nan():
    assert math.isnan(exact_match([], []))
    assert math.isnan(token_f1([], []))


def test_rows_without_references_or_text_are_missing_with_their_reason():
    samples, outputs = rows(("a", ("a",)), ("b", ()), ("c", ("c",)))
    outputs[2] = Output(Key("2"), Label("c"))
    scores = ExactMatch().score(samples, outputs)
    assert dict(scores.missing) == {1: "no references", 2: "the answer is Label, not Text"}
    assert scores.stats[0].tolist() == [1.0, 1.0]
    assert np.isnan(scores.stats[1:]).all()


def test_extremes_are_what_an_answer_could_have_had():
    for metric in (ExactMatch(), TokenF1()):
        worst, best = metric.extremes(Sample("1", references=("the", "a black cat")))
        assert metric.finish(worst) == 0.0
        assert metric.finish(best) == 1.0
    worst, best = TokenF1().extremes(Sample("1", references=("the",)))  # nothing is left of it: F1 can only be 0
    assert TokenF1().finish(best) == 0.0
    assert ExactMatch().extremes(Sample("1")) is None


@pytest.mark.parametrize("metric", [ExactMatch(), ExactMatch("none"), TokenF1(), TokenF1("lower"),
                                    ExactMatch(extract="/a (\\d+)/"), TokenF1(extract="boxed")])
def test_spec_parses_back(metric):
    assert plugins.metric(metric.spec) == metric


def test_signature_names_every_parameter():
    assert ExactMatch().signature() == "exact_match(extract=none,normalize=squad)#v1"


@pytest.mark.parametrize(("call", "message"), [
    (lambda: ExactMatch("squid"), "exact_match: normalize must be one of squad, lower, whitespace, strip, none, got 'squid'"),
    (lambda: ExactMatch(extract="box"), "exact_match: extract must be one of .*, got 'box'; did you mean 'boxed'"),
    (lambda: TokenF1(extract="/(/"), "token_f1: extract must be a regular expression between slashes, got '\\('"),
    (lambda: exact_match(["a"], []), "exact_match: predictions and references must have the same length, got 1 and 0"),
    (lambda: token_f1(["a", "b"], [["a"], []]), r"token_f1: references\[1\] must be a text or at least one text, got \[\]"),
    (lambda: token_f1(["a"], [["a", None]]), r"token_f1: references\[0\] must be a text or at least one text, got \['a', "),
    (lambda: token_f1([3], ["a"]), r"token_f1: predictions\[0\] must be a text, got 3"),
])
def test_bad_input_says_what_and_where(call, message):
    with pytest.raises(MetricError, match=message):
        call()
