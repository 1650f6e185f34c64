"""Relative errors, quantile loss and prediction intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.errors import MetricError
from harness.metrics.forecasting import interval_coverage, interval_width, mape, pinball, smape
from harness.plugins import metric
from harness.types import Key, Number, Output, Sample, Text


def scored(spec, rows):
    """Rows are (target, answer)."""
    samples = [Sample(str(i), target=target) for i, (target, _) in enumerate(rows)]
    return metric(spec).score(samples, [Output(Key(s.id), answer) for s, (_, answer) in zip(samples, rows)])


def test_mape_is_a_share_of_the_target():
    assert mape([10.0, -20.0], [9.0, -26.0]) == pytest.approx((0.1 + 0.3) / 2)


def test_a_target_of_zero_has_no_percentage_error():
    scores = scored("mape", [(0.0, Number(1.0)), (2.0, Number(1.0))])
    assert scores.missing == {0: "a target of 0 has no percentage error"}
    with pytest.raises(MetricError, match=r"^mape: a target of 0 has no percentage error: row 0, y_true 0.0 and y_pred 1.0$"):
        mape([0.0, 2.0], [1.0, 1.0])


def test_smape_is_the_one_up_to_two():
    # |1 - 3| over the mean size 2; opposite signs are as wrong as can be; two zeros are exact.
    assert smape([1.0], [3.0]) == 1.0
    assert smape([5.0], [-5.0]) == 2.0
    assert smape([0.0], [0.0]) == 0.0
    assert smape([0.0], [1e-9]) == 2.0
    # 100 and 120 as in Makridakis' example: 20 / 110.
    assert smape([100.0], [120.0]) == pytest.approx(20 / 110)


def test_pinball_costs_q_below_and_the_rest_above():
    assert pinball([10.0], [7.0], q=0.9) == pytest.approx(2.7)
    assert pinball([7.0], [10.0], q=0.9) == pytest.approx(0.3)
    assert pinball([7.0, 7.0], [10.0, 3.0]) == pytest.approx((1.5 + 2.0) / 2)


def test_the_best_constant_for_pinball_is_the_quantile():
    y = np.arange(1.0, 12.0)
    losses = [pinball(y, np.full(11, value), q=0.8) for value in y]
    assert y[int(np.argmin(losses))] == 9.0


def test_ends_belong_to_the_interval():
    assert interval_coverage([1.0, 3.0, 3.5, 0.5], [1.0] * 4, [3.0] * 4) == 0.5
    assert interval_width([1.0, 0.0], [3.0, 0.5]) == 1.25
    assert math.isnan(interval_coverage([], [], []))
    assert math.isnan(interval_width([], []))


@pytest.mark.parametrize(("answer", "reason"), [
    (Number(1.0), "the answer has no interval"),
    (Number(1.0, low=0.0), "the answer has no interval"),
    (Number(1.0, 2.0, 1.0), "the answer's interval is upside down: 2 to 1"),
    (Number(1.0, -math.inf, 1.0), "the answer's interval is not finite"),
    (Text("1"), "no number in the answer"),
])
@pytest.mark.parametrize("spec", ["interval_coverage", "interval_width"])
def test_answers_without_an_interval_are_missing(spec, answer, reason):
    scores = scored(spec, [(1.0, Number(1.0, 0.0, 2.0)), (1.0, answer)])
    assert scores.missing == {1: reason}
    assert scores.stats[0].tolist() == [1.0 if spec == "interval_coverage" else 2.0, 1.0]


def test_coverage_needs_a_target_and_width_does_not():
    row = [(None, Number(1.0, 0.0, 2.0))]
    assert scored("interval_coverage", row).missing == {0: "the sample has no target"}
    assert scored("interval_width", row).missing == {}


@pytest.mark.parametrize(("call", "message"), [
    (lambda: pinball([1.0], [1.0], q=1.5), "pinball: q must be a number from 0 to 1, got 1.5"),
    (lambda: interval_width([2.0], [1.0]), "interval_width: low must be at most high, got 2.0 and 1.0 in row 0"),
    (lambda: interval_width([2.0], [1.0, 3.0]), "interval_width: low and high must be equally many, got 1 and 2"),
    (lambda: interval_coverage([1.0], [], []), "interval_coverage: targets and intervals must be equally many, got 1 and 0"),
])
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(MetricError, match=f"^{message}$"):
        call()
