"""CIDEr and the captioners' ROUGE-L by hand, and what is learned from all samples before scoring."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness import plugins
from harness.errors import MetricError
from harness.metrics.cider import Cider, cider
from harness.metrics.cocorouge import CocoRougeL, coco_rouge_l
from harness.types import Key, Output, Sample, Text

REFERENCES = ["a b", "a c"]  # a is in both samples: no weight; b, c and what no reference has weigh log 2


@pytest.mark.parametrize(("variant", "second"), [("cider", 10), ("cider_d", 5)])
def test_unigrams_by_hand(variant, second):
    # "b x" with "a b": l·l / (√2·l · l); "c c" with "a c": 2l·l / (2l · l), clipped l·l / (2l · l)
    measured = Cider(1, variant=variant).over(["b x", "c c"], REFERENCES)
    assert measured.per_item.tolist() == pytest.approx([10 / math.sqrt(2), second])
    assert measured.value == pytest.approx((10 / math.sqrt(2) + second) / 2)


def test_length_by_hand():
    # words: clipped l·l / (3l · l); bigrams: nothing; three words with two: Δ = 1
    expected = 10 * (1 / 3 + 0) / 2 * math.exp(-1 / (2 * 3 ** 2))
    assert Cider(2, sigma=3).over(["b b b", ""], REFERENCES).per_item.tolist() == pytest.approx([expected, 0])
    assert Cider(1, sigma=3).over(["b b b", ""], REFERENCES).per_item[0] == pytest.approx(10 / 3 * math.exp(-1 / 18))
    assert Cider(2, variant="cider").over(["b b b", ""], REFERENCES).per_item[0] == pytest.approx(10 * 1 / 2)


def test_mean_over_references():
    # b is in one sample, whichever of its references has it; the other reference shares nothing
    assert cider(["b", "c"], [["b", "x"], ["c"]], n=1) == pytest.approx((5 + 10) / 2)


def test_one_sample_is_zero_and_no_rows_are_nan():
    assert cider(["a b"], ["a b"]) == 0.0  # every n-gram is in all samples
    assert math.isnan(cider([], []))
    assert math.isnan(coco_rouge_l([], []))


def test_frequencies_are_those_of_all_samples_whatever_is_scored_at_once():
    references = [("a b c", "a b"), ("a c",), ("b d e f", "d"), ("e f a b",)]
    texts = ["a b", "c", "b d e", "e f"]
    samples = [Sample(str(i), references=item) for i, item in enumerate(references)]
    outputs = [Output(Key(str(i)), Text(text)) for i, text in enumerate(texts)]
    metric = Cider().prepare(samples)
    parts = [metric.score([sample], [output]).stats for sample, output in zip(samples, outputs)]
    assert np.array_equal(np.concatenate(parts), metric.score(samples, outputs).stats)
    assert np.array_equal(metric.score(samples, outputs).stats[:, 0], Cider().over(texts, references).per_item)
    assert np.array_equal(Cider().score(samples, outputs).stats, metric.score(samples, outputs).stats)
    assert (metric.spec, metric) == ("cider", Cider())
    worst, best = metric.extremes(samples[0])
    assert metric.finish(worst) == 0.0 < metric.finish(best)


def test_captioners_rouge_by_hand():
    # against "the cat sat down": LCS 2, P 2/3, R 2/4; against "a cat": LCS 2, P 2/3, R 1; the best of each counts
    row = CocoRougeL().over(["a cat sat"], [["the cat sat down", "a cat"]]).stats[0]
    assert row.tolist() == pytest.approx([2.44 * (2 / 3) / (1 + 1.44 * 2 / 3), 2 / 3, 1, 1])
    assert coco_rouge_l(["a x"], ["b a"], beta=0) == 0.5
    assert coco_rouge_l(["a", "", "A"], ["b", "b", "a"]) == 0.0
    assert coco_rouge_l([""], [""]) == 1.0  # an empty text is one empty word, as in pycocoevalcap


@pytest.mark.parametrize(("spec", "message"), [
    ("cider(n=0)", "cider: n must be a positive integer, got 0"),
    ("cider(sigma=0)", "cider: sigma must be above 0 and finite, got 0"),
    ("cider(variant=d)", "cider: variant must be one of cider_d, cider, got 'd'"),
    ("coco_rouge_l(beta=-1)", "coco_rouge_l: beta must be at least 0 and finite, got -1")])
def test_bad_parameters(spec, message):
    with pytest.raises(MetricError, match=message):
        plugins.metric(spec)


def test_signature():
    assert Cider().signature() == "cider(n=4,sigma=6,variant=cider_d)#v1"
    assert plugins.metric("cider(variant=cider,n=2)") == Cider(2, variant="cider")
