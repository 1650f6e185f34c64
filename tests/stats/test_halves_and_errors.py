"""Standard errors and spreads against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from harness.stats.estimate import estimate
from harness.stats.halves import half_scale, half_values


def _mean(stats, weights):
    return (weights @ stats[:, 0]) / weights.sum(axis=1)


def _ratio(totals):
    return totals[..., 0] / totals[..., 1]


def error_of(values, method, groups=None):
    """The error that a Student's interval without bounds was made of."""
    stats = np.column_stack(values) if isinstance(values, tuple) else np.column_stack([values, np.ones(len(values))])
    finish = _ratio if method == "delta" else None
    found = estimate(stats, lambda s, w: _ratio(w @ s), finish=finish, method=method, groups=groups,
                     rng=np.random.default_rng(0))
    assert found.method == f"{'' if groups is None else 'cluster '}t({method})"
    return found


def half(error, contributions):
    """Half the interval: Student's quantile, of the degrees of freedom that the kurtosis leaves, times the error."""
    apart, n = contributions - contributions.mean(), len(contributions)
    dof = max(1.0, min(n - 1, 2 * n / (np.mean(apart**4) / np.mean(apart**2) ** 2 - 1)))
    return error * scipy_stats.t(dof).ppf(0.975)


@pytest.mark.parametrize("method", ["jackknife", "delta"])
def test_the_error_of_a_mean_is_its_standard_error(method):
    values = np.random.default_rng(1).normal(size=37)
    found = error_of(values, method)
    expected = half(values.std(ddof=1) / np.sqrt(37), values)
    assert (found.high - found.value, found.value - found.low) == pytest.approx((expected, expected), rel=1e-6)


@pytest.mark.parametrize("method", ["jackknife", "delta"])
def test_clusters_are_taken_whole(method):
    values, clusters = np.array([1.0, 1.0, 5.0, 5.0, 9.0, 9.0, 2.0, 2.0]), np.array([0, 0, 1, 1, 2, 2, 3, 3])
    found = error_of(values, method, clusters)
    assert found.high - found.value == pytest.approx(half(np.std(values[::2], ddof=1) / 2, values[::2]), rel=1e-6)


def test_the_delta_method_of_a_ratio_is_its_linearised_standard_error():
    rng = np.random.default_rng(2)
    x, y = rng.gamma(2, size=50), 1 + rng.gamma(3, size=50)
    residuals = (x - x.sum() / y.sum() * y) / y.sum()
    found = error_of((x, y), "delta")
    assert found.high - found.value == pytest.approx(half(np.sqrt(50 / 49 * (residuals**2).sum()), residuals), rel=1e-5)


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
    ("method", "label"), [("jackknife", "score(jackknife)"), ("delta", "score(delta)"), ("subsample", "subsample(halves, 200)")]
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


def test_ends_beyond_the_bounds_are_cut_off():
    """The size of a mean near 0: its error is no proportion's, and a Student's interval reaches below 0."""
    rng = np.random.default_rng(0)
    stats = np.column_stack([rng.normal(size=40), np.ones(40)])
    found = estimate(stats, lambda s, w: np.abs(_ratio(w @ s)), finish=lambda t: np.abs(_ratio(t)), method="delta",
                     bounds=(0.0, 5.0), rng=np.random.default_rng(0))
    assert found.method == "t(delta)"
    assert found.low == 0.0
    assert found.value < found.high < 0.6


def test_a_jackknife_that_leaves_nothing_says_so():
    stats = np.column_stack([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]])
    found = estimate(stats, lambda s, w: np.where(w @ s[:, 1] > 0, w @ s[:, 0], np.nan), method="jackknife",
                     rng=np.random.default_rng(0))
    assert (found.value, found.low, found.reason) == (6.0, None, "a sample less leaves the value undefined")
