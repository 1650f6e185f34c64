"""Intervals from replicates, against scipy on the same resamples and against the published formulas written out."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy import stats as scipy_stats

from harness.stats.bootstrap import replicates
from harness.stats.resampled import basic_interval, bca_interval, expanded_interval

Array = np.ndarray


def skewed(n: int = 40, seed: int = 1) -> Array:
    return np.random.default_rng(seed).exponential(size=n)


def means(values: Array, n_bootstrap: int = 2000, seed: int = 5) -> Array:
    """The replicates that ``replicates`` makes and those that scipy makes of the same generator are the same resamples."""
    stats = np.column_stack([values, np.ones(len(values))])
    return replicates(None, stats, finish=lambda t: t[..., 0] / t[..., 1], n_bootstrap=n_bootstrap,  # type: ignore[arg-type]
                      rng=np.random.default_rng(seed))


def of_scipy(values: Array, method: str, statistic=np.mean, level: float = 0.95, **settings: object):
    return scipy_stats.bootstrap((values,), statistic, n_resamples=settings.pop("n_resamples", 0), method=method,
                                 confidence_level=level, **settings)


def of_these(values: Array, drawn: Array, method: str, level: float = 0.95) -> tuple[float, float]:
    """scipy's interval of replicates that it is handed."""
    before = of_scipy(values, "percentile", n_resamples=2, rng=np.random.default_rng(0))
    before.bootstrap_distribution = drawn
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = of_scipy(values, method, level=level, bootstrap_result=before).confidence_interval
    return float(found.low), float(found.high)


def acceleration(values: Array) -> float:
    """Efron 1987, (6.6): a sixth of the skewness of the jackknife values, over √n."""
    left_out = np.array([np.delete(values, i).mean() for i in range(len(values))])
    apart = left_out.mean() - left_out
    return float((apart**3).sum() / (6 * (apart**2).sum() ** 1.5))


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_basic_and_bca_equal_scipy_on_the_same_replicates(level: float) -> None:
    values = skewed()
    drawn = means(values)
    assert basic_interval(drawn, values.mean(), level) == pytest.approx(of_these(values, drawn, "basic", level), rel=1e-12)
    ours = bca_interval(drawn, values.mean(), acceleration(values), level)
    assert ours == pytest.approx(of_these(values, drawn, "BCa", level), rel=1e-9)


@pytest.mark.parametrize(("method", "ours"), [
    ("basic", lambda d, v: basic_interval(d, v.mean())), ("BCa", lambda d, v: bca_interval(d, v.mean(), acceleration(v))),
])
def test_whole_way_is_scipys_within_the_noise_of_resampling(method, ours) -> None:
    values = skewed()
    theirs = of_scipy(values, method, n_resamples=20_000, rng=np.random.default_rng(3)).confidence_interval
    noise = 0.1 * values.std() / math.sqrt(len(values))
    assert ours(means(values, 20_000, seed=8), values) == pytest.approx((theirs.low, theirs.high), abs=noise)


def test_bca_without_bias_or_acceleration_is_the_percentile_interval() -> None:
    drawn = np.linspace(-1, 1, 2001)
    assert bca_interval(drawn, 0.0, 0.0) == pytest.approx((-0.95, 0.95), abs=1e-12)
    assert bca_interval(drawn, 0.0, 0.0, quantile=2.5758293035489) == pytest.approx((-0.99, 0.99), abs=1e-9)
    low, high = bca_interval(drawn, 0.0, 0.05)
    assert low > -0.95
    assert high > 0.95


def test_replicates_on_one_side_of_the_value_give_their_end() -> None:
    drawn = np.arange(10.0)
    assert bca_interval(drawn, 100.0, 0.0)[1] == pytest.approx(9.0, abs=1e-3)
    assert bca_interval(drawn, -5.0, 0.0)[0] == pytest.approx(0.0, abs=1e-3)
    assert bca_interval(drawn, 4.5, 0.9) == (pytest.approx(2.1, abs=0.3), 9.0)  # beyond the pole of the acceleration


def test_values_that_are_not_finite_are_left_out() -> None:
    drawn = np.r_[np.linspace(0, 1, 101), np.nan, np.inf]
    assert bca_interval(drawn, 0.5, 0.0) == bca_interval(drawn[:-2], 0.5, 0.0)
    assert all(map(math.isnan, bca_interval(np.array([np.nan]), 0.5, 0.0)))
    assert all(map(math.isnan, expanded_interval(np.array([np.nan]), 10)))


def test_expanded_percentiles_of_hesterberg() -> None:
    """Hesterberg 2015, The American Statistician 69, table: 95 % intervals of n = 10 take the 0.0086 and 0.9914 quantiles."""
    drawn = np.linspace(0, 1, 100_001)
    assert expanded_interval(drawn, 10) == pytest.approx((0.0086, 0.9914), abs=1e-4)
    assert expanded_interval(drawn, 10**6) == pytest.approx((0.025, 0.975), abs=1e-4)
