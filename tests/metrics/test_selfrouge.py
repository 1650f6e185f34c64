"""Self-ROUGE by hand, its sample of pairs, and its interval, which must not come from duplicates."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness import plugins
from harness.errors import MetricError
from harness.metrics import pairwise
from harness.metrics.selfrouge import SelfRouge, self_rouge
from harness.stats.estimate import estimate
from harness.types import Key, Output, Sample, Text, Vectors

TEXTS = ["a b c", "a b", "x", "c b a b"]
# abc/ab, abc/cbab, ab/cbab share so many words: 2, 3, 2; bigrams: ab, "bc" and "cb" differ: 1, 1, 1; words in order: 2, 2, 2


@pytest.mark.parametrize(("kind", "pairs"), [
    ("1", (4 / 5, 6 / 7, 4 / 6)), ("2", (2 / 3, 2 / 5, 2 / 4)), ("3", (0, 0, 0)), ("L", (4 / 5, 4 / 7, 4 / 6))])
def test_by_hand(kind, pairs):
    assert self_rouge(TEXTS, type=kind) == pytest.approx(sum(pairs) / 6, abs=1e-15)


def test_a_word_counts_as_often_as_both_have_it():
    assert self_rouge(["a a a b", "a a c"], type="1") == pytest.approx(2 * 2 / 7)


@pytest.mark.parametrize("kind", ["1", "2", "L"])
def test_the_same_thing_over_and_over_is_one(kind):
    assert self_rouge(["to be or not to be"] * 5, type=kind) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("kind", ["1", "L"])
def test_undefined_and_empty(kind):
    assert math.isnan(self_rouge([], type=kind))
    assert math.isnan(self_rouge(["a"], type=kind))
    assert math.isnan(self_rouge(["", "", "."], type=kind))


def test_stems_and_scripts():
    assert self_rouge(["running dogs", "run dog"], type="1", stemmer=True) == 1.0
    assert math.isnan(self_rouge(["日本", "日本"]))
    assert self_rouge(["日本", "日本"], tokenize="unicode") == 1.0
    assert SelfRouge().for_language("de").tokenize == "unicode"


def test_many_outputs_are_compared_by_a_sample_of_pairs(monkeypatch):
    texts = [f"{'a ' * (i % 7)}b {i}" for i in range(120)]
    exact = self_rouge(texts)
    monkeypatch.setattr(pairwise, "MOST_PAIRS", 2000)
    drawn = [self_rouge(texts, seed=seed) for seed in range(4)]
    assert drawn == pytest.approx([exact] * 4, abs=0.03)
    assert len(set(drawn)) == 4
    assert self_rouge(texts[::-1], seed=1) == pytest.approx(drawn[1], abs=1e-12)


@pytest.mark.parametrize("kind", ["1", "2", "L"])
def test_the_interval_holds_the_value_and_is_not_the_bootstraps(kind):
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{word}" for word in rng.integers(40, size=8)) for _ in range(80)]
    outputs = [Output(Key(str(i)), Text(text)) for i, text in enumerate(texts)]
    samples = [Sample(str(i)) for i in range(80)]
    scores = SelfRouge(kind).score(samples, outputs)
    metric = scores.bound
    found = estimate(scores.stats, metric.aggregate, method=metric.interval, bounds=metric.bounds, n_bootstrap=200,
                     rng=np.random.default_rng(1))
    assert found.value == pytest.approx(self_rouge(texts, type=kind), abs=1e-12)
    assert found.low <= found.value <= found.high
    naive = [self_rouge([texts[i] for i in rng.integers(80, size=80)], type=kind) for _ in range(30)]
    assert np.mean(naive) > found.high  # each output meets copies of itself


def test_what_is_no_text_is_missing():
    outputs = [Output(Key("a"), Text("a b")), Output(Key("b"), Vectors(((1.0,),))), Output(Key("c"), Text("a c"))]
    scores = SelfRouge("1").score([Sample(key) for key in "abc"], outputs)
    assert scores.missing == {1: "the answer is Vectors, not Text"}
    assert scores.bound.aggregate(scores.stats[[0, 2]], np.ones((1, 2))) == [0.5]
    with pytest.raises(MetricError, match=r"self_rouge: texts\[0\] must be a text, got 3"):
        self_rouge([3])


def test_spec():
    assert plugins.metric("self_rouge(type=2,stemmer=true)") == SelfRouge("2", stemmer=True)
    assert SelfRouge().signature() == "self_rouge(seed=0,stemmer=false,tokenize=ascii,type=L)#v1"
    with pytest.raises(MetricError, match="self_rouge: type must be one of 1, 2, 3, 4, 5, 6, 7, 8, 9, L, got 'Lsum'"):
        SelfRouge("Lsum")


@pytest.mark.parametrize("kind", ["1", "2", "L"])
def test_outputs_without_anything_to_compare_have_no_value(kind):
    assert math.isnan(self_rouge(["", ""], type=kind))
    assert self_rouge(["", "one and two"], type=kind) == 0.0
