"""contains, regex_match, jaccard: hand-worked cases, patterns from references, undefined rows, parameters."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import plugins
from harness.errors import MetricError
from harness.metrics.overlap import Contains, Jaccard, RegexMatch, contains, jaccard, regex_match
from harness.types import Key, Output, Sample, Text


@pytest.mark.parametrize(("options", "prediction", "references", "hit"), [
    ({}, "It is in PARIS.", ["London", "Paris"], 1),
    ({}, "Pari s", ["paris"], 0),
    ({}, "new\n york", ["New York"], 1),
    ({"normalize": "none"}, "new york", ["New York"], 0),
    ({"normalize": "squad"}, "the U.S.A.", ["an usa"], 1),
    ({}, "in 2012", ["12"], 1),
    ({"whole_words": True}, "in 2012", ["12"], 0),
    ({"whole_words": True}, "in (12).", ["12"], 1),
    ({"whole_words": True}, "a+b", ["a+b"], 1),
    ({}, "anything", [""], 0),                                # nothing is left of the reference
    ({}, "", [""], 1),
    ({"normalize": "squad"}, "anything", ["the"], 0),
    ({"extract": "last_line"}, "Paris?\nNo, Lyon", ["Paris"], 0),
    ({"extract": "answer_is"}, "Paris? the answer is Lyon.", ["lyon"], 1),
])
def test_contains(options, prediction, references, hit):
    assert contains([prediction], [references], **options) == hit


@pytest.mark.parametrize(("pattern", "flags", "prediction", "hit"), [
    (r"\b[A-D]\b", "", "It is B.", 1), (r"^b$", "i", "B", 1), (r"^b$", "", "a\nb", 0), (r"^b$", "m", "a\nb", 1),
    (r"a.b", "", "a\nb", 0), (r"a.b", "s", "a\nb", 1), (r"a b", "x", "ab", 1), ("", "", "", 1),
])
def test_regex_of_the_parameter(pattern, flags, prediction, hit):
    assert regex_match([prediction], pattern=pattern, flags=flags) == hit


def test_regex_of_the_references():
    samples = [Sample("1", references=("x", r"\d+")), Sample("2", references=("(",)), Sample("3")]
    outputs = [Output(Key(sample.id), Text("in 1999")) for sample in samples]
    scores = RegexMatch().score(samples, outputs)
    assert scores.stats[0].tolist() == [1.0, 1.0]
    assert list(scores.missing) == [1, 2]
    assert scores.missing[1].startswith("a reference is no regular expression: missing ), unterminated subpattern")
    assert RegexMatch("1999").score(samples, outputs).missing == {}
    assert RegexMatch().needs == {"text", "references"}
    assert RegexMatch("a").needs == {"text"}


@pytest.mark.parametrize(("n", "prediction", "references", "value"), [
    (1, "a black cat", ["the black cat sat"], 2 / 5),
    (1, "cat cat cat", ["cat"], 1.0),                         # sets, not bags
    (2, "a b c", ["b c d", "x b c"], 1 / 3),
    (1, "a", ["b", "a c"], .5),
    (1, "", ["a"], 0.0),
    (2, "a", ["a b"], 0.0),
])
def test_jaccard_by_hand(n, prediction, references, value):
    assert jaccard([prediction], [references], n=n) == pytest.approx(value, abs=1e-15)


def test_jaccard_without_ngrams_is_missing():
    samples = [Sample("1", references=("b",)), Sample("2", references=("b", "a b"))]
    scores = Jaccard(2).score(samples, [Output(Key(sample.id), Text("a")) for sample in samples])
    assert dict(scores.missing) == {0: "neither the answer nor a reference has 2 words"}
    assert scores.stats[1].tolist() == [0.0, 1.0]
    measured = Jaccard(2).over(["a", "a b"], ["b", "a b"])
    assert math.isnan(measured.per_item[0])
    assert measured.value == 1.0
    assert math.isnan(jaccard([""], [""]))


letters = st.text(alphabet="abc ", max_size=12)


@settings(max_examples=60, deadline=None)
@given(letters, st.lists(letters, min_size=1, max_size=3), st.integers(1, 3))
def test_jaccard_written_out(text, references, n):
    def grams(words):
        return {tuple(words[i:i + n]) for i in range(len(words) - n + 1)}

    mine = grams(text.split())
    values = [len(mine & other) / len(mine | other) for other in (grams(r.split()) for r in references) if mine | other]
    found = Jaccard(n).over([text], [references]).value
    assert found == pytest.approx(max(values)) if values else math.isnan(found)


def test_unicode_words():
    assert Jaccard().for_language("de").over(["über Öl"], ["Über Öl"]).value == 1.0
    assert Jaccard(tokenize="zh").over(["我爱猫"], ["我爱狗"]).value == .5


def test_extremes():
    assert [float(Contains().finish(row)) for row in Contains().extremes(Sample("1", references=("a",)))] == [0.0, 1.0]
    assert RegexMatch().extremes(Sample("1")) is None
    assert [row.tolist() for row in RegexMatch("a").extremes(Sample("1"))] == [[0.0, 1.0], [1.0, 1.0]]


@pytest.mark.parametrize("metric", [Contains("squad", True), Contains(extract="/(\\d+) \"x\"/"), RegexMatch(r"\b[A-D]\b", "im"),
                                    Jaccard(3), Jaccard(tokenize="char")])
def test_spec_parses_back(metric):
    assert plugins.metric(metric.spec) == metric


@pytest.mark.parametrize(("call", "message"), [
    (lambda: RegexMatch("("), r"regex_match: pattern must be a regular expression, got '\(' \(missing \)"),
    (lambda: RegexMatch("a", "iz"), "regex_match: flags must be letters out of imsx, got 'iz'"),
    (lambda: regex_match(["a"]), "regex_match: a pattern or references must be given, got neither"),
    (lambda: Jaccard(0), "jaccard: n must be a positive integer, got 0"),
    (lambda: Contains(extract="anser_is"), "contains: extract must be one of answer_is, .* did you mean 'answer_is'"),
    (lambda: Contains("x"), "contains: normalize must be one of squad, lower, whitespace, strip, none, got 'x'"),
])
def test_bad_input_says_what(call, message):
    with pytest.raises(MetricError, match=message):
        call()


def test_weights():
    stats = Contains().over(["a", "b"], ["a", "a"]).stats
    assert Contains().aggregate(stats, np.array([[1.0, 3.0]])).tolist() == [.25]
