"""Plain functions refuse what their metrics do, as a MetricError that names function, argument and value."""

from __future__ import annotations

import math

import pytest

from harness.errors import MetricError
from harness.metrics.bias import stereotype_preference
from harness.metrics.clusters import silhouette
from harness.metrics.correlation import pearson
from harness.metrics.divergences import kl
from harness.metrics.dtw import dtw
from harness.metrics.embeddingpairs import cosine
from harness.metrics.likelihood import bits_per_byte, perplexity, perplexity_variance
from harness.metrics.losses import contrastive_loss, hinge
from harness.metrics.masks import dice, iou
from harness.metrics.populations import psi, wasserstein
from harness.metrics.regression import mae
from harness.metrics.similarity import sts_pearson

RAGGED = [[1.0, 2.0], [3.0]]
NAN = math.nan

BAD = {
    "perplexity: logprobs must be not positive, got 1 in row 0": lambda: perplexity([1.0], [2]),
    "perplexity: units must be not negative, got -2 in row 1": lambda: perplexity([-1.0, -1.0], [1, -2]),
    "perplexity: sample_weight must be not negative": lambda: perplexity([-1.0], [1], sample_weight=[-1.0]),
    "perplexity: logprobs.0. must be finite, got -inf": lambda: perplexity([-math.inf], [2]),
    "bits_per_byte: units.0. must be finite, got inf": lambda: bits_per_byte([-1.0], [math.inf]),
    "perplexity_variance: logprobs must be not positive": lambda: perplexity_variance([-1.0, 0.5], [1, 1]),
    "perplexity: units must be one series of numbers": lambda: perplexity([-1.0], ["many"]),
    "iou: item 0: a mask must be of finite numbers, got nan": lambda: iou([[0, 1, 1]], [[NAN, 0.2, 0.3]]),
    "iou: item 0: a box must be of finite numbers": lambda: iou([[0, 0, 1, math.inf]], [[0, 0, 1, 1]], kind="box"),
    "iou: item 0: the area of a box is beyond float64": lambda: iou([[0, 0, 1e200, 1e200]], [[0, 0, 1, 1]], kind="box"),
    "dice: item 0: a mask must be an array of numbers": lambda: dice([RAGGED], [[1, 1, 0]]),
    "stereotype_preference: log-probabilities must be numbers, got NaN in row 1":
        lambda: stereotype_preference([-1.0, NAN], [-2.0, -3.0]),
    "mae: y_true must be one series of numbers": lambda: mae(RAGGED, [1.0, 2.0]),
    "mae: y_pred must be one series of numbers": lambda: mae([1.0], ["one"]),
    "pearson: y_true must be one series of numbers": lambda: pearson(RAGGED, RAGGED),
    "kl: probabilities must be rows of numbers of one length": lambda: kl(RAGGED, RAGGED),
    "kl: probabilities must be rows of numbers": lambda: kl(["a"], ["b"]),
    "cosine: vectors must be rows of numbers of one length": lambda: cosine(RAGGED, RAGGED),
    "silhouette: vectors must be rows of numbers of one length": lambda: silhouette(RAGGED, [0, 1]),
    "dtw: series must be numbers": lambda: dtw(RAGGED, [1.0]),
    "wasserstein: first must be one series": lambda: wasserstein(RAGGED, [1.0]),
    "psi: expected.0. must be finite": lambda: psi([1.0], [NAN]),
    "sts_pearson: similarities must be one series": lambda: sts_pearson(RAGGED, [1.0, 2.0]),
    "hinge: targets must be 1, -1 or 0, got 3": lambda: hinge([3.0], [1.0]),
    "hinge: scores must be one series": lambda: hinge([1.0], ["x"]),
    "contrastive_loss: targets must be one series": lambda: contrastive_loss([[1.0]], [[1.0]], ["x"]),
}


@pytest.mark.parametrize("message", BAD)
def test_what_a_function_does_not_take_is_a_metric_error_that_says_why(message):
    with pytest.raises(MetricError, match=message):
        BAD[message]()


def test_minus_infinity_is_less_likely_than_anything_else():
    assert stereotype_preference([-math.inf, -1.0], [-2.0, -math.inf]) == 0.5
