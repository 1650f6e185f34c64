"""Errors of numbers and the determination coefficients: hand-worked values, undefined cases, bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.errors import MetricError
from harness.metrics.determination import adjusted_r2, explained_variance, r2
from harness.metrics.numbers import centred, finite_target, spreads
from harness.metrics.regression import (
    MaxError,
    huber,
    mae,
    max_error,
    medae,
    mse,
    rmse,
    rmsle,
    weighted_median,
)
from harness.plugins import metric
from harness.types import Key, Label, Number, Output, Sample, Text

Y, P = [3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0]


def scored(spec, targets, answers):
    samples = [Sample(str(i), target=target) for i, target in enumerate(targets)]
    outputs = [Output(Key(s.id), Number(a) if isinstance(a, float | int) else a) for s, a in zip(samples, answers)]
    return metric(spec).score(samples, outputs)


@pytest.mark.parametrize(("function", "expected"), [
    (mae, 0.5), (mse, 0.375), (rmse, math.sqrt(0.375)), (medae, 0.5), (max_error, 1.0),
    (r2, 1 - 1.5 / 29.1875), (explained_variance, 1 - (0.375 - 0.25**2) / (29.1875 / 4)),
])
def test_worked_by_hand(function, expected):
    assert function(Y, P) == pytest.approx(expected, abs=1e-15)


def test_huber_is_squared_up_to_delta_and_linear_beyond():
    assert huber([0.0], [2.0], delta=2.0) == 2.0
    assert huber([0.0], [3.0], delta=2.0) == 2.0 * (3.0 - 1.0)
    assert huber([0.0, 0.0], [-0.5, 3.0]) == (0.125 + 2.5) / 2


def test_adjusted_r2_pays_for_every_predictor():
    assert adjusted_r2([1, 2, 3, 4], [1, 2, 3, 3], k=2) == pytest.approx(1 - 0.2 * 3 / 1)
    assert adjusted_r2([1, 2, 3, 4], [1, 2, 3, 3], k=0) == pytest.approx(0.8)
    assert math.isnan(adjusted_r2([1, 2, 3, 4], [1, 2, 3, 3], k=3))


def test_an_even_number_of_errors_has_two_middle_ones():
    assert medae([0.0] * 4, [1.0, 2.0, 4.0, 9.0]) == 3.0
    assert medae([0.0] * 3, [1.0, 2.0, 9.0]) == 2.0


def test_a_weight_of_two_in_the_median_is_two_copies():
    values, weights = np.array([5.0, 1.0, 3.0]), np.array([[1.0, 1.0, 2.0], [3.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    assert weighted_median(values, weights).tolist()[:3] == [3.0, 5.0, 2.0]
    assert math.isnan(weighted_median(values, weights)[3])


def test_thirds_that_do_not_quite_make_a_whole_still_split_in_half():
    # Three repeats of one sample at 1/3 each against one of 1: the two middle values are 2 and 8.
    weights = np.array([[1 / 3, 1 / 3, 1 / 3, 1.0]])
    assert weighted_median(np.array([2.0, 2.0, 2.0, 8.0]), weights).tolist() == [5.0]


@pytest.mark.parametrize("function", [mae, mse, rmse, rmsle, huber, medae, max_error, r2, explained_variance, adjusted_r2])
def test_no_rows_have_no_value(function):
    assert math.isnan(function([], []))


@pytest.mark.parametrize("function", [r2, explained_variance, adjusted_r2])
def test_equal_targets_have_nothing_to_explain(function):
    assert math.isnan(function([0.1] * 7, [0.1] * 7))
    assert math.isnan(function([2.5], [2.5]))


def test_large_numbers_keep_their_digits():
    y = np.array([0.0, 1.0, 2.0, 4.0])
    p = np.array([0.0, 1.5, 2.0, 3.0])
    assert r2(y + 2.0**40, p + 2.0**40) == pytest.approx(r2(y, p), abs=1e-12)
    assert explained_variance(y, p + 2.0**40) == pytest.approx(explained_variance(y, p), abs=1e-12)
    assert r2(y * 1e200, p * 1e200) == pytest.approx(r2(y, p), abs=1e-12)


def test_resamplings_of_one_value_are_constant_whatever_rounding_says():
    series = centred(np.array([0.1, 0.2, 0.7]))
    assert spreads(series, np.array([[0.0, 7.0, 0.0], [1.0, 1.0, 1.0]])).tolist() == pytest.approx([0.0, 0.62 / 3], abs=1e-12)
    assert spreads(series, np.array([[0.0, 7.0, 0.0]])).tolist() == [0.0]


@pytest.mark.parametrize(("target", "answer", "reason"), [
    (None, 1.0, "the sample has no target"),
    ("many", 1.0, "the target 'many' is no number"),
    (True, 1.0, "the target True is no number"),
    (math.inf, 1.0, "the target is not finite"),
    (1.0, math.nan, "the answer is not finite"),
    (1.0, Text("about half"), "no number in the answer"),
    (1.0, Label("a"), "the answer is Label, not Number"),
])
@pytest.mark.parametrize("spec", ["mae", "r2", "medae"])
def test_rows_without_two_finite_numbers_are_missing(spec, target, answer, reason):
    scores = scored(spec, [2.0, target], [1.0, answer])
    assert scores.missing == {1: reason}
    assert np.isnan(scores.stats[1]).all()
    assert not np.isnan(scores.stats[0]).any()


def test_targets_may_be_text_as_tables_have_them():
    assert finite_target(Sample("1", target=" 1e3 ")) == 1000.0


def test_what_is_not_above_minus_one_has_no_log_error():
    reason = "a number that is not above -1 has no log error"
    assert scored("rmsle", [1.0, -1.5], [1.0, 2.0]).missing == {1: reason}
    assert rmsle([0.0], [math.e - 1]) == pytest.approx(1.0)
    with pytest.raises(MetricError, match=rf"^rmsle: {reason}: row 1, y_true 1.0 and y_pred -1.0$"):
        rmsle([1.0, 1.0], [1.0, -1.0])


def test_a_square_that_overflows_is_missing_not_infinite():
    assert scored("mse", [1e200], [-1e200]).missing == {0: "the squared error is beyond float64"}


@pytest.mark.parametrize(("call", "message"), [
    (lambda: mae([1.0], [1.0, 2.0]), "mae: targets and predictions must be equally many, got 1 and 2"),
    (lambda: r2([1.0, math.nan], [1.0, 2.0]), r"r2: y_true\[1\] must be finite, got nan"),
    (lambda: mae([[1.0]], [[1.0]]), r"mae: y_true must be one series of numbers, got shape \(1, 1\)"),
    (lambda: mae([1.0], [1.0], sample_weight=[-1.0]), "mae: sample_weight must be finite and not negative"),
    (lambda: huber([1.0], [1.0], delta=0.0), "huber: delta must be a positive number, got 0.0"),
    (lambda: adjusted_r2([1.0], [1.0], k=-1), "adjusted_r2: k must be an integer >= 0, got -1"),
])
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(MetricError, match=f"^{message}$"):
        call()


def test_the_largest_error_looks_at_rows_with_weight_only():
    stats = np.array([[5.0], [1.0], [3.0]])
    weights = np.array([[1.0, 1.0, 1.0], [0.0, 1.0, 2.0], [0.0, 0.0, 0.0]])
    assert MaxError().aggregate(stats, weights).tolist()[:2] == [5.0, 3.0]
    assert math.isnan(MaxError().aggregate(stats, weights)[2])


def test_a_root_of_means_is_not_a_mean_of_roots():
    scores = scored("rmse", [0.0, 0.0], [1.0, 7.0])
    assert metric("rmse").finish(scores.stats.sum(axis=0)) == 5.0
