"""Sentence BLEU by hand, and BLEU by NLTK's rules by hand."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from harness import plugins
from harness.errors import MetricError
from harness.metrics.nltkbleu import NltkBleu, nltk_bleu
from harness.metrics.sentencebleu import SentenceBleu, sentence_bleu
from harness.types import Sample


def test_sentence_bleu_by_hand():
    # "a b" of "a b c": 2 of 2, 1 of 1, no longer n-grams; penalty exp(1 - 3/2). "x" of "x": 100. Mean of the two.
    assert sentence_bleu(["a b", "x"], ["a b c", "x"]) == pytest.approx((100 * math.exp(-0.5) + 100) / 2, abs=1e-12)


def test_every_order_counts_without_effective_order():
    # bigrams and longer: no n-grams at all, which makes the score 0
    assert sentence_bleu(["x"], ["x"], effective_order=False) == 0.0


def test_a_missing_sample_is_between_zero_and_the_reference_itself():
    worst, best = SentenceBleu().extremes(Sample("a", references=("the cat sat", "a cat")))
    assert (worst.tolist(), best.tolist()) == ([0.0, 1.0], [100.0, 1.0])


def test_no_match_and_no_rows():
    assert sentence_bleu(["", "y"], ["x", "z"]) == 0.0
    assert math.isnan(sentence_bleu([], []))
    assert math.isnan(nltk_bleu([], []))


# matches 2 of 3, 1 of 2, 0 of 1 and, of at least one n-gram, 0 of 1; five-grams 0 of 1
PREDICTION, REFERENCE = "a b x", "a b c"
P1, P2 = 2 / 3, 1 / 2
SMOOTHED = {
    0: (P1, P2, 2.2250738585072014e-308, 2.2250738585072014e-308),
    1: (P1, P2, 0.1, 0.1),
    2: (P1, 2 / 3, 1 / 2, 1 / 2),
    3: (P1, P2, 1 / 2, 1 / 4),
    4: (P1, P2, math.log(3) / 10, math.log(3) / 20),
    5: ((P1 + 1 + P1 + P2) / 3, ((P1 + 1 + P1 + P2) / 3 + P2) / 3, ((P1 + 1 + P1 + P2) / 3 + P2) / 9,
        ((P1 + 1 + P1 + P2) / 3 + P2) / 27),
}


@pytest.mark.parametrize("smoothing", SMOOTHED)
def test_nltk_bleu_by_hand(smoothing):
    expected = math.exp(sum(math.log(p) for p in SMOOTHED[smoothing]) / 4)
    assert nltk_bleu([PREDICTION], [REFERENCE], smoothing=smoothing) == pytest.approx(expected, rel=1e-12)


def test_method_6_by_hand():
    # 3 of 4, 2 of 3, 1 of 2, 0 of 1; the prior of trigrams (2/3)^2 / (3/4) = 16/27, alpha 5
    third = (1 + 5 * 16 / 27) / (2 + 5)
    fourth = (0 + 5 * third**2 / (2 / 3)) / (1 + 5)
    expected = (3 / 4 * 2 / 3 * third * fourth) ** 0.25
    assert nltk_bleu(["a b c x"], ["a b c d"], smoothing=6) == pytest.approx(expected, rel=1e-12)


def test_method_6_is_undefined_without_a_trigram():
    assert math.isnan(nltk_bleu([PREDICTION], [REFERENCE], smoothing=6))  # nltk: AssertionError


def test_texts_without_ngrams_of_an_order_count_as_one():
    """NLTK's denominator is at least 1 a text: sacrebleu has 1 of 1 bigrams here, NLTK 1 of 2."""
    stats = dict(zip(NltkBleu(max_order=2).columns, NltkBleu(max_order=2).over(["a b", "c"], ["a b", "c"]).stats.sum(axis=0)))
    assert (stats["match_2"], stats["ngrams_2"], stats["total_2"]) == (1, 1, 2)
    assert nltk_bleu(["a b", "c"], ["a b", "c"], max_order=2) == pytest.approx(math.sqrt(1 / 2), rel=1e-12)


def test_an_empty_order_of_a_word_is_left_out_by_method_4():
    assert nltk_bleu(["a"], ["a"], smoothing=4) == 1.0


def test_methods_5_and_7_may_exceed_one():
    metric = NltkBleu(smoothing=5)
    assert 1 < metric.over(["a b c d e f"], ["a b c d e f"]).value < metric.bounds[1] == 4 / 3
    assert NltkBleu(smoothing=1).bounds == (0.0, 1.0)


def test_statistics_of_rows_add_up():
    metric = NltkBleu(smoothing=7)
    predictions, references = ["a b c", "", "x y z q"], [["a b d", "a b"], ["x"], ["x y q z"]]
    whole = metric.over(predictions, references).stats
    parts = [metric.over(predictions[i:i + 1], references[i:i + 1]).stats for i in range(3)]
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("metric", [SentenceBleu(), SentenceBleu(2, "intl", "add-k", 0.5, True, False), NltkBleu(),
                                    NltkBleu(7, 3, "char")])
def test_spec_parses_back(metric):
    again = plugins.metric(metric.spec)
    assert again == metric
    assert again.columns == metric.columns


@pytest.mark.parametrize(("spec", "message"), [
    ("sentence_bleu(smooth_value=0.5)", "sentence_bleu: smooth_value must be none with smooth=exp, got 0.5"),
    ("nltk_bleu(smoothing=8)", "nltk_bleu: smoothing must be an integer from 0 to 7, got 8"),
    ("nltk_bleu(smoothing=6,max_order=2)", "nltk_bleu: max_order must be at least 3 with smoothing=6, got 2"),
    ("nltk_bleu(max_order=0)", "nltk_bleu: max_order must be a positive integer, got 0"),
])
def test_bad_parameters(spec, message):
    with pytest.raises(MetricError, match=re.escape(message)):
        plugins.metric(spec)
