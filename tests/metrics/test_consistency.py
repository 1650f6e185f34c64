"""support and the consistency of names, numbers and quotations: hand-worked cases, what is found, undefined rows."""

from __future__ import annotations

import math

import pytest

from harness import plugins
from harness.errors import MetricError
from harness.metrics.consistency import (
    EntityConsistency,
    NumberConsistency,
    QuoteConsistency,
    Support,
    entity_consistency,
    names,
    number_consistency,
    quotations,
    quote_consistency,
    support,
)
from harness.types import Key, Output, Sample, Text


@pytest.mark.parametrize(("n", "answer", "contexts", "value"), [
    (1, "the tower is blue", ["The tower is tall.", "Blue!"], 1.0),
    (1, "the tower is blue", ["The tower is tall."], 3 / 4),
    (2, "the tower is blue", ["The tower is tall.", "Blue!"], 2 / 3),
    (2, "a b", ["a", "b"], 0.0),                                     # not across contexts
    (1, "blue blue red", ["blue"], 2 / 3),                           # each occurrence counts, not clipped
    (1, "a", [""], 0.0),
])
def test_support_by_hand(n, answer, contexts, value):
    assert support([answer], [contexts], n=n) == pytest.approx(value)


def test_contexts_that_came_with_the_answer_go_first():
    samples = [Sample("1", contexts=("red",)), Sample("2", contexts=("red",)), Sample("3"), Sample("4", contexts=("x",))]
    outputs = [Output(Key("1"), Text("blue", contexts=("blue",))), Output(Key("2"), Text("blue")), Output(Key("3"), Text("a")),
               Output(Key("4"), Text("…"))]
    scores = Support().score(samples, outputs)
    assert scores.stats[:2, 0].tolist() == [1.0, 0.0]
    assert dict(scores.missing) == {2: "no contexts", 3: "the answer has fewer than 1 words"}


@pytest.mark.parametrize(("text", "found"), [
    ("", []), ("nothing here", []), ("Nothing here", []), ("Paris is nice.", []), ("I love Paris", ["paris"]),
    ("Marie Curie was born in Warsaw", ["marie curie", "warsaw"]), ("The Louvre is old", ["louvre"]), ("In France", ["france"]),
    ("NASA flew. NASA landed", ["nasa", "nasa"]), ("the Bank of England of old", ["bank of england"]),
    ("It is Ludwig van Beethoven's house", ["ludwig van beethoven"]), ("met Bob's friend Al", ["bob", "al"]),
    ("met Smith, Jones and Lee", ["smith", "jones", "lee"]), ("at Smith & Wesson", ["smith wesson"]),
    ("met Dr. Watson. He left", ["dr watson"]), ("by J. R. Cash", ["j r cash"]), ("it ended. Then Éric came", ["éric"]),
    ("said “Hello there” to Ann", ["ann"]), ("- Über uns\n- Wir", []), ("I'm here, I am Al", ["al"]), ("東京です", []),
])
def test_names(text, found):
    assert [" ".join(name) for name in names(text)] == found


@pytest.mark.parametrize(("answer", "contexts", "value"), [
    ("It was Gustave Eiffel in Paris", ["GUSTAVE EIFFEL lived.", "in Paris's east"], 1.0),
    ("It was Gustave Eiffel", ["Eiffel, Gustave"], 0.0),
    ("He met Ann", ["Annabel"], 0.0),
    ("He met Ann", ["Joann"], 0.0),
    ("He met Ann and Bob", ["ann came"], .5),
])
def test_entities_in_contexts(answer, contexts, value):
    assert entity_consistency([answer], [contexts]) == value


@pytest.mark.parametrize(("answer", "contexts", "value"), [
    ("324 m and 1,000.0 men", ["1000 at 324"], 1.0), ("324 m, 1887", ["324"], .5), ("12", ["2012"], 0.0), ("½", ["0.5"], 1.0),
    ("7 7 8", ["7"], 2 / 3),
])
def test_numbers_in_contexts(answer, contexts, value):
    assert number_consistency([answer], [contexts]) == pytest.approx(value)


@pytest.mark.parametrize(("text", "found"), [
    ('He said "I came." and "…"', ["i came"]), ("“A  b”, „C“, «D», »E«, 「東京」『x』", ["a b", "c", "d", "e", "東京", "x"]),
    ("it's 'mine'", []), ('one " alone', []),
])
def test_quotations(text, found):
    assert list(quotations(text)) == found


def test_quotations_in_contexts():
    assert quote_consistency(['"I  CAME," "I won"'], [["Then: i came,\nI saw"]]) == .5
    assert quote_consistency(["「東京」"], [["これは東京です"]]) == 1.0


def test_answers_that_mention_nothing_are_missing():
    samples = [Sample("1", contexts=("a",))]
    outputs = [Output(Key("1"), Text("nothing here"))]
    for metric, kind in ((EntityConsistency(), "names"), (NumberConsistency(), "numbers"), (QuoteConsistency(), "quotations")):
        assert dict(metric.score(samples, outputs).missing) == {0: f"the answer has no {kind}"}
        assert math.isnan(metric.over(["nothing"], ["a"]).value)
        assert metric.over(["nothing", 'in 7 at Ann "ann"'], ["a", "ann 7"]).value == 1.0
        assert plugins.metric(metric.spec) == metric


def test_family_needs_and_parameters():
    for metric in (Support(), EntityConsistency(), NumberConsistency(), QuoteConsistency()):
        assert metric.family == "groundedness"
        assert metric.needs == {"text", "contexts"}
        assert metric.extremes(Sample("1")) is None
        assert [float(metric.finish(row)) for row in metric.extremes(Sample("1", contexts=("a",)))] == [0.0, 1.0]
    with pytest.raises(MetricError, match="support: n must be a positive integer, got 0"):
        Support(0)
    assert plugins.metric("support(n=2)") == Support(2)
    assert Support().for_language("zh").over(["我爱猫"], ["我爱狗"]).value == pytest.approx(2 / 3)
