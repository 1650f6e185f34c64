"""Standard errors and spreads against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats.estimate import estimate
from harness.stats.halves import half_scale, half_values
from harness.stats.smooth import delta_error, jackknife_error


def _mean(stats, weights):
    return (weights @ stats[:, 0]) / weights.sum(axis=1)


def _ratio(totals):
    return totals[..., 0] / totals[..., 1]


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(1).normal(size=37)
    found = jackknife_error(_mean, values[:, None], np.ones(37), np.arange(37))
    assert found == pytest.approx(values.std(ddof=1) / np.sqrt(37), rel=1e-12)


def test_the_jackknife_leaves_out_whole_clusters():
    values, clusters = np.array([1.0, 1.0, 5.0, 5.0, 9.0, 9.0]), np.array([0, 0, 1, 1, 2, 2])
    found = jackknife_error(_mean, values[:, None], np.ones(6), clusters)
    assert found == pytest.approx(np.std([1, 5, 9], ddof=1) / np.sqrt(3), rel=1e-12)


def test_the_delta_method_of_a_ratio_is_its_linearised_standard_error():
    rng = np.random.default_rng(2)
    x, y = rng.gamma(2, size=50), 1 + rng.gamma(3, size=50)
    ratio = x.sum() / y.sum()
    residuals = (x - ratio * y) / y.sum()
    expected = np.sqrt(50 / 49 * (residuals**2).sum())
    found = delta_error(_ratio, np.column_stack([x, y]), np.ones(50), np.arange(50))
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("n", [40, 41])
def test_the_spread_of_halves_of_a_mean_is_its_standard_error(n):
    values = np.random.default_rng(3).normal(size=n)
    drawn = half_values(_mean, values[:, None], np.ones(n), np.arange(n), n_halves=4000, rng=np.random.default_rng(4))
    spread = drawn.std() * half_scale(n)
    assert spread == pytest.approx(values.std(ddof=1) / np.sqrt(n), rel=0.05)


def test_halves_hold_no_row_twice_and_keep_clusters_together():
    seen = []

    def note(stats, weights):
        seen.append(weights[0].copy())
        return np.array([0.0])

    clusters = np.array([0, 0, 1, 2, 2, 3])
    half_values(note, np.zeros((6, 1)), np.ones(6), clusters, n_halves=30, rng=np.random.default_rng(5))
    for weights in seen:
        assert set(weights) <= {0.0, 1.0}
        assert weights[0] == weights[1]
        assert weights[3] == weights[4]
        assert weights[0] + weights[2] + weights[3] + weights[5] == 2


@pytest.mark.parametrize(
    ("method", "label"), [("jackknife", "jackknife"), ("delta", "delta"), ("subsample", "subsample(halves, 200)")]
)
def test_estimates_say_their_method_and_are_as_wide_as_the_bootstrap(method, label):
    values = np.random.default_rng(6).uniform(size=400)
    stats = np.column_stack([values, np.ones(400)])
    common = {"finish": _ratio, "bounds": (0.0, 1.0)}
    found = estimate(stats, lambda s, w: _ratio(w @ s), method=method, rng=np.random.default_rng(7), **common)
    drawn = estimate(stats, lambda s, w: _ratio(w @ s), method="bootstrap", rng=np.random.default_rng(7), **common)
    assert found.method == label
    assert found.low < found.value == drawn.value < found.high
    assert found.high - found.low == pytest.approx(drawn.high - drawn.low, rel=0.2)


def test_normal_intervals_end_at_the_bounds():
    stats = np.column_stack([np.r_[np.ones(39), 0.5], np.ones(40)])
    found = estimate(stats, lambda s, w: _ratio(w @ s), finish=_ratio, method="delta", bounds=(0.0, 1.0),
                     rng=np.random.default_rng(0))
    assert found.high == 1.0
    assert found.low < found.value
