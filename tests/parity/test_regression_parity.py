"""Metrics of numbers against scikit-learn and scipy, on judgements of dialogues and on made numbers."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import MetricError
from harness.metrics.correlation import kendall, pearson, spearman
from harness.metrics.determination import explained_variance, r2
from harness.metrics.forecasting import mape, pinball
from harness.metrics.regression import huber, mae, max_error, medae, mse, rmse, rmsle
from harness.plugins import metric
from harness.types import Key, Number, Output, Sample

sklearn = pytest.importorskip("sklearn.metrics")
stats = pytest.importorskip("scipy.stats")
special = pytest.importorskip("scipy.special")

PLAIN = {
    mae: sklearn.mean_absolute_error, mse: sklearn.mean_squared_error, rmse: sklearn.root_mean_squared_error,
    medae: sklearn.median_absolute_error, r2: sklearn.r2_score, explained_variance: sklearn.explained_variance_score,
}
CORRELATIONS = {pearson: stats.pearsonr, spearman: stats.spearmanr, kendall: stats.kendalltau}
scales = st.sampled_from([0.0, 1e6, -1e6])
rows = st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4), st.integers(1, 3)), min_size=2, max_size=20)


@pytest.fixture(scope="module")
def judged(shared_data):
    """Human and automatic scores of 235 summaries."""
    found = json.loads(shared_data("qags/qags_cnndm_result.json").read_text(encoding="utf-8"))
    return tuple(np.array([row[key]["consistency"] for row in found]) for key in ("scores", "predict_scores"))


def assert_equal(y, p, weight=None, tolerance=1e-9):
    for ours, theirs in PLAIN.items():
        expected = theirs(y, p, sample_weight=weight)
        assert ours(y, p, sample_weight=weight) == pytest.approx(expected, rel=tolerance, abs=tolerance), ours.__name__
    assert max_error(y, p) == sklearn.max_error(y, p)
    for q in (0.0, 0.3, 1.0):
        expected = sklearn.mean_pinball_loss(y, p, alpha=q, sample_weight=weight)
        assert pinball(y, p, q=q, sample_weight=weight) == pytest.approx(expected, rel=tolerance, abs=tolerance)
    expected = np.average(special.huber(0.7, np.asarray(y) - p), weights=weight)
    assert huber(y, p, delta=0.7, sample_weight=weight) == pytest.approx(expected, rel=tolerance, abs=tolerance)


def test_errors_on_real_judgements(judged):
    assert_equal(*judged)
    assert_equal(*judged, weight=np.random.default_rng(0).integers(1, 4, len(judged[0])))
    y, p = judged
    assert mape(y + 0.1, p) == pytest.approx(sklearn.mean_absolute_percentage_error(y + 0.1, p), abs=1e-9)
    assert rmsle(y, p) == pytest.approx(sklearn.root_mean_squared_log_error(y, p), abs=1e-9)


def test_correlations_on_real_judgements(judged):
    for ours, theirs in CORRELATIONS.items():
        assert ours(*judged) == pytest.approx(theirs(*judged).statistic, abs=1e-12)


@given(rows=rows, shift=scales)
@settings(max_examples=60, deadline=None)
def test_errors_on_made_numbers(rows, shift):
    y, p, weight = (np.array(column, dtype=float) for column in zip(*rows))
    if len(set(y)) > 1:
        assert_equal(y + shift, p + shift, weight)
    positive = np.abs(y) + 1, np.abs(p)
    assert mape(*positive) == pytest.approx(sklearn.mean_absolute_percentage_error(*positive), abs=1e-9)
    assert rmsle(*positive) == pytest.approx(sklearn.root_mean_squared_log_error(*positive), abs=1e-9)


@given(rows=rows, shift=scales, scale=st.sampled_from([1.0, 0.1, 1e6]))
@settings(max_examples=60, deadline=None)
def test_correlations_on_made_numbers(rows, shift, scale):
    x, y, _ = (np.array(column, dtype=float) for column in zip(*rows))
    x, y = x * scale + shift, y - shift
    for ours, theirs in CORRELATIONS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scipy warns of series that do not vary
            expected = theirs(x, y).statistic
        assert ours(x, y) == pytest.approx(expected, abs=1e-9, nan_ok=True), ours.__name__


# ── where we differ on purpose: both values ─────────────────────────────────────────────────────────────────────────


def test_equal_targets_scikit_learn_gives_one_or_zero():
    assert (sklearn.r2_score([2.0, 2.0], [2.0, 2.0]), sklearn.r2_score([2.0, 2.0], [2.0, 3.0])) == (1.0, 0.0)
    assert (sklearn.explained_variance_score([2.0, 2.0], [2.0, 2.0])) == 1.0
    assert math.isnan(r2([2.0, 2.0], [2.0, 2.0]))
    assert math.isnan(r2([2.0, 2.0], [2.0, 3.0]))
    assert math.isnan(explained_variance([2.0, 2.0], [2.0, 2.0]))


def test_a_target_of_zero_scikit_learn_divides_by_epsilon():
    assert sklearn.mean_absolute_percentage_error([0.0, 2.0], [1.0, 1.0]) > 1e15
    with pytest.raises(MetricError, match="a target of 0 has no percentage error"):
        mape([0.0, 2.0], [1.0, 1.0])
    samples = [Sample("1", target=0.0), Sample("2", target=2.0)]
    scores = metric("mape").score(samples, [Output(Key(sample.id), Number(1.0)) for sample in samples])
    assert scores.missing == {0: "a target of 0 has no percentage error"}
    assert scores.stats[1].tolist() == [0.5, 1.0]


def test_numbers_without_a_logarithm_scikit_learn_refuses_the_lot():
    with pytest.raises(ValueError, match="less than or equal to -1"):
        sklearn.root_mean_squared_log_error([1.0, 1.0], [1.0, -1.0])
    samples = [Sample(str(i), target=1.0) for i in range(2)]
    outputs = [Output(Key("0"), Number(1.0)), Output(Key("1"), Number(-1.0))]
    assert metric("rmsle").score(samples, outputs).missing == {1: "a number that is not above -1 has no log error"}
    assert rmsle([1.0], [-0.5]) == pytest.approx(sklearn.root_mean_squared_log_error([1.0], [-0.5]), abs=1e-12)
