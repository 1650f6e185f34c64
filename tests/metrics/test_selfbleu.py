"""Self-BLEU by hand, its rows as a pool, and what it refuses."""

from __future__ import annotations

import math
import re
import time

import numpy as np
import pytest

from harness import plugins
from harness.errors import MetricError
from harness.metrics.selfbleu import SelfBleu, closest_others, self_bleu
from harness.types import Key, Label, Output, Sample, Text


def test_by_hand():
    # of "a b c" 2 of 3 words and 1 of 2 bigrams are in "a b", whose words and bigram are all in "a b c" but which is shorter
    expected = (math.sqrt(2 / 3 * 1 / 2) + math.exp(1 - 3 / 2)) / 2
    assert self_bleu(["a b c", "a b"], max_order=2) == pytest.approx(expected, rel=1e-12)


def test_the_shorter_of_two_equally_close_lengths():
    # beside "q" the closest length to "a b" is 1 and no longer 3: nothing is taken off; "q" matches nothing
    assert self_bleu(["a b c", "a b", "q"], max_order=2) == pytest.approx((math.sqrt(2 / 3 * 1 / 2) + 1 + 0) / 3, rel=1e-12)


def test_as_often_as_in_the_other_output_that_has_most():
    # "b b b": one of three, since the second "b" is nowhere else; "a a": both, length 2 of 3; "a a b": all three
    assert self_bleu(["a a", "a a b", "b b b"], max_order=1) == pytest.approx((math.exp(1 - 3 / 2) + 1 + 1 / 3) / 3, rel=1e-12)


@pytest.mark.parametrize(("lengths", "closest"), [
    ([3, 5, 8], [5, 3, 5]), ([3, 5, 7], [5, 3, 5]), ([4, 4, 9], [4, 4, 4]), ([2, 0], [0, 2]), ([0, 0, 1], [0, 0, 0]),
])
def test_closest_length_among_the_others(lengths, closest):
    assert closest_others(np.array(lengths)).tolist() == closest


def test_fewer_than_two_is_undefined():
    assert math.isnan(self_bleu([]))
    assert math.isnan(self_bleu(["a b"]))


def test_empty_outputs_score_nothing():
    assert self_bleu(["", ""]) == 0.0
    assert self_bleu(["", "a b c d", "a b c d"]) == pytest.approx(2 / 3, rel=1e-12)


def test_duplicates_raise_it():
    texts = ["the cat sat on the mat", "a dog lay in the sun", "birds sing at dawn"]
    assert self_bleu(texts) < self_bleu([*texts, texts[0]]) < self_bleu([*texts, *texts]) == 1.0


def test_rows_are_a_pool():
    texts = ["a b c d e", "a b c d f", "x", "a b c d e g", "a b"]
    outputs = [Output(Key(str(i)), Text(text)) for i, text in enumerate(texts)]
    outputs.insert(2, Output(Key("odd"), Label("a")))
    scores = SelfBleu().score([Sample(str(i)) for i in range(6)], outputs)
    assert dict(scores.missing) == {2: "the answer is Label, not Text"}
    there = scores.stats[[0, 1, 3, 4, 5]]
    weights = np.array([[1.0, 1, 1, 1, 1], [1, 1, 0, 1, 0], [0, 0, 1, 0, 0]])
    values = scores.bound.aggregate(there, weights)
    assert values[:2].tolist() == [self_bleu(texts), self_bleu([texts[0], texts[1], texts[3]])]
    assert math.isnan(values[2])


def test_the_number_of_outputs_does_not_matter_squared():
    rng = np.random.default_rng(0)
    texts = [" ".join(map(str, row)) for row in rng.zipf(1.5, size=(10_000, 12)).tolist()]
    start = time.process_time()
    assert 0 < self_bleu(texts) < 1
    assert time.process_time() - start < 10  # comparing all pairs takes hours


def test_spec_and_signature():
    assert plugins.metric("self_bleu(max_order=3,smoothing=7)") == SelfBleu(3, 7)
    assert SelfBleu().signature() == "self_bleu(max_order=4,smoothing=1,tokenize=none)#v1"
    assert SelfBleu().for_language("ja").tokenizer == "char"


def test_refuses():
    with pytest.raises(MetricError, match=re.escape("self_bleu: smoothing must be 0, 1, 2, 3, 4, 5 or 7, got 6")):
        plugins.metric("self_bleu(smoothing=6)")
    with pytest.raises(MetricError, match=re.escape("self_bleu: texts[1] must be a text, got 3")):
        self_bleu(["a", 3])
