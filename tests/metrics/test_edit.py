"""levenshtein, edit_similarity, wer, cer: hand-worked counts, several references, undefined rows, parameters."""

from __future__ import annotations

import math

import pytest

from harness import plugins
from harness.errors import MetricError
from harness.metrics.edit import (
    CharacterErrorRate,
    EditSimilarity,
    LevenshteinDistance,
    WordErrorRate,
    cer,
    edit_similarity,
    levenshtein,
    wer,
)
from harness.types import Key, Label, Output, Sample, Text


@pytest.mark.parametrize(("options", "prediction", "references", "distance"), [
    ({}, "kitten", ["sitting"], 3),
    ({}, "kitten", ["sitting", "mitten"], 1),
    ({}, "", ["abc"], 3),
    ({}, "", [""], 0),
    ({}, "Straße", ["strasse"], 3),
    ({"normalize": "lower"}, "A  b", ["a b"], 0),
    ({"level": "word"}, "the cat sat", ["a cat sat down"], 2),
    ({"level": "word", "normalize": "squad"}, "the cat sat", ["a cat sat down"], 1),
])
def test_levenshtein_by_hand(options, prediction, references, distance):
    assert levenshtein([prediction], [references], **options) == distance


@pytest.mark.parametrize(("prediction", "references", "similarity"), [
    ("kitten", ["sitting"], 1 - 3 / 7), ("ab", ["cd", "axxx"], .25), ("", [""], 1.0), ("", ["a"], 0.0),
])
def test_similarity_by_hand(prediction, references, similarity):
    assert edit_similarity([prediction], [references]) == pytest.approx(similarity, abs=1e-15)


def test_means_and_extremes():
    assert LevenshteinDistance().over(["a", "abc"], ["b", "a"]).per_item.tolist() == [1.0, 2.0]
    assert LevenshteinDistance().extremes(Sample("1", references=("a",))) is None
    worst, best = EditSimilarity().extremes(Sample("1", references=("a",)))
    assert (EditSimilarity().finish(worst), EditSimilarity().finish(best)) == (0.0, 1.0)


def test_word_errors_by_hand():
    measured = WordErrorRate().over(["the cat sat", "a dog barks loudly"], ["the bat sat down", "dog barks"])
    assert measured.stats.tolist() == [[1, 1, 0, 4], [0, 0, 2, 2]]
    assert measured.value == pytest.approx(4 / 6)
    assert measured.per_item.tolist() == [.5, 1.0]
    assert WordErrorRate().tables(measured.stats)["edits"].rows == (
        ("substitutions", 1, 1 / 6), ("deletions", 1, 1 / 6), ("insertions", 2, 2 / 6))


def test_the_reference_with_the_lowest_rate_counts():
    """One edit of two words, two edits of five: the second."""
    assert WordErrorRate().over(["a b c"], [["a c", "a b c d e"]]).stats.tolist() == [[0, 2, 0, 5]]


def test_no_words_in_the_references_is_missing():
    samples = [Sample("1", references=(" ",)), Sample("2", references=("", "a b")), Sample("3"), Sample("4", references=("a",))]
    outputs = [Output(Key(sample.id), Text("a")) for sample in samples[:3]] + [Output(Key("4"), Label("a"))]
    scores = WordErrorRate().score(samples, outputs)
    assert dict(scores.missing) == {0: "the references have no word", 2: "no references", 3: "the answer is Label, not Text"}
    assert scores.stats[1].tolist() == [0, 1, 0, 2]
    assert math.isnan(wer([""], [""]))
    assert math.isnan(cer(["a"], [" "]))
    assert math.isnan(wer([], []))


def test_characters_of_every_script_and_white_space():
    assert CharacterErrorRate().over([" hallo welt "], ["hello welt"]).stats.tolist() == [[1, 0, 0, 10]]
    assert cer(["a b"], ["ab"]) == .5
    assert cer(["日本誤"], ["日本語"]) == pytest.approx(1 / 3)


def test_language_decides_what_a_word_is():
    chinese = WordErrorRate().for_language("zh")
    assert chinese.over(["我喜欢猫"], ["我喜欢狗"]).value == .25
    assert WordErrorRate().over(["我喜欢猫"], ["我喜欢狗"]).value == 1.0
    assert WordErrorRate().for_language("de") == WordErrorRate()
    assert WordErrorRate().signature() == "wer(normalize=none,tokenize=space)#v1"
    assert wer(["A, b."], ["a b"]) == 1.0
    assert wer(["A, b."], ["a b"], tokenize="ascii") == 0.0


@pytest.mark.parametrize("metric", [LevenshteinDistance("word"), EditSimilarity(normalize="squad"), WordErrorRate("lower"),
                                    CharacterErrorRate("none"), WordErrorRate(tokenize="zh")])
def test_spec_parses_back(metric):
    assert plugins.metric(metric.spec) == metric


@pytest.mark.parametrize(("call", "message"), [
    (lambda: LevenshteinDistance("line"), "levenshtein: level must be one of char, word, got 'line'"),
    (lambda: CharacterErrorRate("x"), "cer: normalize must be one of squad, lower, whitespace, strip, none, got 'x'"),
    (lambda: WordErrorRate(tokenize="x"), "wer: tokenize must be one of ascii, unicode, char, zh, ja, space, got 'x'"),
    (lambda: wer(["a"], []), "wer: both lists must have the same length, got 1 and 0"),
    (lambda: cer([1], ["a"]), "cer: item 0 must be a text, got 1"),
    (lambda: cer(["a"], [[]]), r"cer: item 0 must have a text or at least one text beside it, got \[\]"),
])
def test_bad_input_says_what_and_where(call, message):
    with pytest.raises(MetricError, match=message):
        call()


@pytest.mark.parametrize("space", ["\u00a0", "\u2003", "\u3000", "\t"])
def test_every_white_space_separates_words_where_jiwer_wants_a_space_or_two(space):
    jiwer = pytest.importorskip("jiwer")
    assert wer([f"a{space}b"], ["a b"]) == 0.0
    assert jiwer.wer("a b", f"a{space}b") == 1.0
    assert jiwer.wer("a b", f"a{space}{space}b") == 0.0
