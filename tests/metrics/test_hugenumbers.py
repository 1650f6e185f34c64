"""Numbers whose squares leave float64: what has no unit stays the same, what has one is scaled, nothing is silent."""

from __future__ import annotations

import dataclasses
import math
import warnings

import numpy as np
import pytest

from harness.metrics.agreement import icc, krippendorff_alpha
from harness.metrics.clusters import calinski_harabasz, davies_bouldin, inertia, silhouette
from harness.metrics.dtw import dtw
from harness.metrics.embeddingpairs import alignment, cosine, cross_modal_recall, triplet_accuracy
from harness.metrics.features import clip_score, ppl_path
from harness.metrics.fid import fid, kid
from harness.metrics.forecasting import MeanAbsolutePercentageError, interval_width, mape, pinball, smape
from harness.metrics.geometry import average_pairwise_distance, uniformity
from harness.metrics.losses import contrastive_loss, triplet_loss
from harness.metrics.modes import nearest_train_distance, uniqueness
from harness.metrics.people import LikertMean
from harness.metrics.populations import mmd, wasserstein
from harness.metrics.prdc import prdc
from harness.metrics.regression import HuberLoss, MaxError, MeanSquaredError, huber, mae, max_error, mse, rmse
from harness.metrics.sequencelogprob import SequenceLogprob
from harness.models.stored import row_key, row_output
from harness.types import Key, Number, Output, Ratings, Sample

RNG = np.random.default_rng(3)
X, Y, Z = RNG.normal(size=(12, 4)), RNG.normal(size=(12, 4)) + 0.5, RNG.normal(size=(12, 4))
CODES = [0, 1, 2] * 4
FACTORS = (2.0**600, 2.0**1000, 2.0**-600)


@pytest.fixture(autouse=True)
def _no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


UNITLESS = {
    "cosine": lambda f: cosine(X * f, Y * f),
    "alignment": lambda f: alignment(X * f, Y),
    "clip_score": lambda f: clip_score(X * f, Y * f),
    "cross_modal_recall": lambda f: cross_modal_recall(X * f, Y * f, 3),
    "triplet_accuracy": lambda f: triplet_accuracy(X * f, Y * f, Z * f),
    "triplet_accuracy, euclidean": lambda f: triplet_accuracy(X * f, Y * f, Z * f, distance="euclidean"),
    "contrastive_loss": lambda f: contrastive_loss(X * f, Y * f, [0, 1] * 6),
    "uniformity": lambda f: uniformity(X * f),
    "average_pairwise_distance, cosine": lambda f: average_pairwise_distance(X * f, distance="cosine"),
    "silhouette": lambda f: silhouette(X * f, CODES),
    "davies_bouldin": lambda f: davies_bouldin(X * f, CODES),
    "calinski_harabasz": lambda f: calinski_harabasz(X * f, CODES),
    "mmd": lambda f: mmd(X * f, Y * f),
    "mmd, bandwidth": lambda f: mmd(X * f, Y * f, bandwidth=1.5 * f),
    "prdc": lambda f: tuple(prdc(X * f, Y * f, k=2).values()),
    "uniqueness": lambda f: uniqueness(X * f, tolerance=1.5 * f),
    "icc": lambda f: icc((X * f).tolist()),
    "krippendorff_alpha, interval": lambda f: krippendorff_alpha((X * f).tolist(), level="interval"),
    "krippendorff_alpha, ratio": lambda f: krippendorff_alpha((np.abs(X) * f).tolist(), level="ratio"),
    "mape": lambda f: mape(X[:, 0] * f, Y[:, 0] * f),
    "smape": lambda f: smape(X[:, 0] * f, Y[:, 0] * f),
}
"""Value of data multiplied by f, which must not matter."""


@pytest.mark.parametrize("name", UNITLESS)
@pytest.mark.parametrize("factor", FACTORS)
def test_what_has_no_unit_does_not_depend_on_the_size(name, factor):
    assert UNITLESS[name](factor) == pytest.approx(UNITLESS[name](1.0), rel=1e-12)


LINEAR = {
    "average_pairwise_distance": lambda f: average_pairwise_distance(X * f),
    "wasserstein": lambda f: wasserstein(X[:, 0] * f, Y[:, 0] * f),
    "dtw": lambda f: dtw(X * f, Y * f),
    "nearest_train_distance": lambda f: nearest_train_distance(X * f, Y * f),
    "mae": lambda f: mae(X[:, 0] * f, Y[:, 0] * f),
    "pinball": lambda f: pinball(X[:, 0] * f, Y[:, 0] * f, q=0.3),
}


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("factor", FACTORS)
def test_distances_are_scaled(name, factor):
    assert LINEAR[name](factor) == pytest.approx(LINEAR[name](1.0) * factor, rel=1e-12)


def test_squares_beyond_float64_are_infinite_or_undefined_and_never_zero():
    assert fid(X * 2.0**450, Y * 2.0**450) == pytest.approx(fid(X, Y) * 2.0**900, rel=1e-9)
    assert fid(X * 2.0**600, Y * 2.0**600) == math.inf
    assert inertia(X * 2.0**600, CODES) == math.inf
    assert dtw([2.0**600], [0.0], cost="squared") == math.inf
    assert math.isnan(kid(X * 2.0**600, Y * 2.0**600))
    assert mae([1e308, 1e308], [0.0, 0.0]) == math.inf  # their sum
    assert interval_width([-1e308], [1e308]) == math.inf
    assert triplet_loss([[1e200]], [[1e200]], [[0.0]]) == 0.0


@pytest.mark.parametrize("function", [mse, rmse])
def test_functions_name_the_row_whose_square_is_too_large(function):
    with pytest.raises(Exception, match="the squared error is beyond float64: row 0"):
        function([1e200, 1.0], [0.0, 1.0])


def test_functions_name_the_row_whose_error_is_too_large():
    with pytest.raises(Exception, match="the error is beyond float64: row 1"):
        max_error([0.0, 1e308], [0.0, -1e308])
    with pytest.raises(Exception, match="the squared length is beyond float64: pair 0"):
        ppl_path([[1e200]], [[0.0]])
    assert huber([1e200], [0.0]) == 1e200
    assert max_error([1e308], [0.0]) == 1e308


def numbers(*pairs):
    samples = [Sample(str(row), target=target) for row, (target, _) in enumerate(pairs)]
    return samples, [Output(Key(str(row)), Number(value)) for row, (_, value) in enumerate(pairs)]


@pytest.mark.parametrize(("metric", "reason"), [
    (MeanSquaredError(), "the squared error is beyond float64"), (MaxError(), "the error is beyond float64"),
    (HuberLoss(), "the loss is beyond float64"), (MeanAbsolutePercentageError(), "the loss is beyond float64"),
])
def test_a_row_beyond_float64_is_missing_and_says_so(metric, reason):
    scores = metric.score(*numbers((1e308, -1e308), (1.0, 2.0)))
    assert scores.missing == {0: reason}
    assert np.isfinite(scores.stats[1]).all()


def test_ratings_whose_sum_is_beyond_float64():
    scores = LikertMean().score([Sample("a")], [Output(Key("a"), Ratings((1e308, 1e308)))])
    assert scores.missing == {0: "the sum of the ratings is beyond float64"}


def test_log_probabilities_whose_sum_is_beyond_float64_are_a_missing_row():
    row = {"id": "a", "token_logprobs": [-1e308, -1e308]}
    output = row_output(row, row_key(row))
    assert output.answer.logprobs == (-math.inf,)
    scores = SequenceLogprob().score([Sample("a")], [output])
    assert scores.missing == {0: "a log-probability must be finite and not positive, got -inf"}
    written = dataclasses.replace(output, answer=dataclasses.replace(output.answer, logprobs=(-1.0,)))
    assert SequenceLogprob().score([Sample("a")], [written]).missing == {}
