"""Two systems against each other: values worked out by hand, and the promises that compare and gate build on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from harness.errors import UsageError
from harness.stats.bootstrap import IntArray
from harness.stats.contrast import Contrast, contrast
from harness.stats.proportions import mcnemar, tango_p
from harness.types import FloatArray


def mean(totals: FloatArray) -> FloatArray:
    return np.divide(totals[..., 0], totals[..., 1], out=np.full(totals.shape[:-1], np.nan), where=totals[..., 1] > 0)


def of_rows(rows: FloatArray, weights: FloatArray) -> FloatArray:
    return mean(weights @ rows)


def rows(values: object) -> FloatArray:
    values = np.asarray(values, dtype=np.float64)
    return np.stack([values, np.ones(len(values))], axis=1)


def means(b: object, a: object, *, additive: bool = True, **settings: object) -> Contrast:
    """Of the means of two series."""
    settings.setdefault("rng", np.random.default_rng(0))
    return contrast(rows(b), rows(a), of_rows, finish=mean if additive else None, **settings)  # type: ignore[arg-type]


def median(stats_: FloatArray, weights: FloatArray) -> FloatArray:
    order = np.argsort(stats_[:, 0])
    passed = np.cumsum(weights[:, order], axis=1)
    return np.asarray(stats_[order[(passed >= passed[:, -1:] / 2).argmax(axis=1)], 0])


# ── hits and misses ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_hits_are_counted_and_tested_by_mcnemar_and_tango() -> None:
    b = [1] * 40 + [1] * 10 + [0] * 30 + [0] * 20
    a = [1] * 40 + [0] * 10 + [1] * 30 + [0] * 20
    found = means(b, a, bounds=(0.0, 1.0))
    assert found.hits == (40, 10, 30, 20)
    assert (found.a, found.b) == (0.7, 0.5)
    assert found.difference.value == pytest.approx(-0.2)
    assert (found.n_units, found.n_clusters, found.n_differing) == (100, 100, 40)
    assert (found.test, found.difference.method) == ("mcnemar(mid-p)", "tango")
    assert found.p_value == mcnemar(10, 30, "mid-p")
    # Tango's score with 5 / (10 + 40) of a unit taken off.
    assert found.p_below(-0.05) == tango_p(10, 30, 100, -0.05, "below", continuity=0.1)
    low, high = found.difference.low, found.difference.high
    assert low is not None
    assert high is not None
    assert tango_p(10, 30, 100, low, "above", continuity=0.1) == pytest.approx(0.025, abs=1e-6)
    assert tango_p(10, 30, 100, high, "below", continuity=0.1) == pytest.approx(0.025, abs=1e-6)


def test_repeats_and_clusters_of_hits_go_the_general_way() -> None:
    rng = np.random.default_rng(5)
    b, a = (rng.random(60) < 0.6) * 1.0, (rng.random(60) < 0.6) * 1.0
    for settings in ({"units": np.arange(60) // 2}, {"clusters": np.arange(60) // 3}, {"scale": 0.9}):
        found = means(b, a, **settings)
        assert found.hits is None
        assert found.test == "t(linear)"


def test_clusters_of_one_unit_each_are_no_clusters() -> None:
    b, a = [1, 1, 1, 1, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0, 1]
    # Six one way: the exact 2 · 0.5⁶, of which mid-p would take half.
    assert means(b, a, clusters=np.arange(8)[::-1] * 10).p_value == means(b, a).p_value == 2 * 0.5**6


def test_needed_n_of_ten_percent_discordance() -> None:
    # (1.6449 + 0.8416)² · 0.1 / 0.02² = 1545.6
    b = np.r_[np.zeros(10), np.ones(10), np.ones(180)]
    a = np.r_[np.ones(10), np.zeros(10), np.ones(180)]
    found = means(b, a, bounds=(0.0, 1.0))
    assert found.error == pytest.approx(math.sqrt(21) / 202)
    assert found.needed_n(-0.02, alpha=0.05) == 1546
    assert found.needed_n(0.02, alpha=0.05) == 1546
    # to find a true drop of 0.02 beyond 0.005: (2.4865 / 0.015)² · (0.1 - 0.02²)
    assert found.needed_n(-0.005, alpha=0.05, assumed=-0.02) == math.ceil((2.486475 / 0.015) ** 2 * (0.1 - 0.0004))
    assert found.needed_n(0.0, alpha=0.05) is None


def test_equal_hits_exclude_a_drop_only_if_there_are_many() -> None:
    for n, certain in ((20, False), (200, True)):
        found = means(np.ones(n), np.ones(n), bounds=(0.0, 1.0))
        assert found.p_value == 1.0
        assert (found.p_above(-0.02) < 0.05) is certain
        assert (found.lower(0.05) > -0.02) is certain
        assert found.needed_n(-0.02, alpha=0.05) is not None
    assert found.difference.low is not None
    assert found.difference.low < 0 < found.difference.high  # type: ignore[operator]


# ── differences of means ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_symmetric_difference_of_means_is_the_paired_t_test() -> None:
    # Symmetric differences have no skewness to correct, and lighter tails than the normal distribution.
    apart = np.array([-3.0, -2, -1, 1, 2, 3]) + 0.7
    a = np.linspace(0, 5, 6)
    found = means(a + apart, a)
    reference = stats.ttest_rel(a + apart, a)
    assert found.difference.value == pytest.approx(0.7)
    assert found.error == pytest.approx(stats.sem(apart))
    assert found.dof == 5.0
    # g(T) = T without skewness
    assert found.p_value == pytest.approx(reference.pvalue, rel=1e-6)
    low, high = reference.confidence_interval(0.95)
    assert (found.difference.low, found.difference.high) == (pytest.approx(low, rel=1e-6), pytest.approx(high, rel=1e-6))


@pytest.mark.parametrize("additive", [True, False])
def test_clusters_give_the_cluster_robust_error(additive: bool) -> None:
    rng = np.random.default_rng(8)
    clusters = rng.integers(0, 12, 80)
    a = rng.normal(size=80)
    b = a + 0.3 + rng.normal(size=12)[clusters] + rng.normal(size=80)
    found = means(b, a, clusters=clusters, additive=additive)
    # Sums of the clusters' residuals (Liang and Zeger 1986), with G / (G - 1).
    residuals = [float((b - a - (b - a).mean())[clusters == g].sum()) for g in range(12)]
    expected = math.sqrt(12 / 11 * sum(r * r for r in residuals)) / 80
    # Resampled clusters of unequal size vary a little more.
    assert found.error == pytest.approx(expected, rel=1e-6 if additive else 0.15)
    assert (found.n_units, found.n_clusters, found.difference.n_groups, found.dof) == (80, 12, 12, 11.0)


def test_a_ratio_of_sums_is_linearised_in_both_systems() -> None:
    # Taylor: (x_i - R n_i) / mean(n), twice, subtracted row by row (Cochran 1977, § 6.4).
    rng = np.random.default_rng(9)
    b = np.stack([rng.poisson(3, 50), rng.integers(3, 9, 50)], axis=1).astype(float)
    a = np.stack([rng.poisson(3, 50), rng.integers(3, 9, 50)], axis=1).astype(float)
    found = contrast(b, a, of_rows, finish=mean, rng=rng)
    residuals = [(side[:, 0] - side[:, 0].sum() / side[:, 1].sum() * side[:, 1]) / side[:, 1].mean() for side in (b, a)]
    assert found.error == pytest.approx(np.std(residuals[0] - residuals[1], ddof=1) / math.sqrt(50), rel=1e-6)


@given(st.integers(2, 25), st.integers(0, 10_000), st.integers(1, 3), st.sampled_from([1.0, 0.9]))
def test_the_error_of_a_mean_is_that_of_the_units_means(n: int, seed: int, repeats: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    units = np.repeat(np.arange(n), repeats)
    b, a = rng.exponential(size=n * repeats), rng.normal(size=n * repeats)
    found = means(b, a, units=units, scale=scale)
    slow = b.reshape(n, repeats).mean(axis=1) - scale * a.reshape(n, repeats).mean(axis=1)
    assert found.difference.value == pytest.approx(slow.mean(), abs=1e-12)
    assert found.error == pytest.approx(slow.std(ddof=1) / math.sqrt(n), rel=1e-5, abs=1e-9)
    # The stricter of the t test, and of Hall's with the degrees of freedom that the tails leave.
    moments = ((slow - slow.mean()) ** k for k in (2, 3, 4))
    second, third, fourth = (float(moment.mean()) for moment in moments)
    skew, dof = third / second**1.5 / math.sqrt(n), 1 / (1 / (n - 1) + max(fourth / second**2 - 3, 0) / (2 * n))
    for margin in (-1.0, 0.0, 0.5):
        t = (slow.mean() - margin) / (slow.std(ddof=1) / math.sqrt(n))
        halls = t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / 6
        expected = max(stats.t.sf(t, n - 1), stats.t.sf(halls, dof))
        if n >= 20:  # or few units differ
            assert found.p_above(margin) == pytest.approx(expected, rel=1e-3, abs=1e-5)
        assert found.p_above(margin) >= expected * (1 - 1e-3)


def test_the_order_of_rows_and_the_numbers_of_units_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    units, a_units = np.repeat(np.arange(20), 2), np.repeat(np.arange(20), 3)
    b, a = rng.normal(size=40), rng.normal(size=60)
    expected = means(b, a, units=units, units_a=a_units)
    mixed_b, mixed_a = rng.permutation(40), rng.permutation(60)
    found = means(b[mixed_b], a[mixed_a], units=7 * units[mixed_b], units_a=7 * a_units[mixed_a])
    assert found.difference.value == pytest.approx(expected.difference.value)
    assert found.p_value == pytest.approx(expected.p_value)
    assert found.n_units == 20
    slow = b.reshape(20, 2).mean(axis=1) - a.reshape(20, 3).mean(axis=1)
    assert found.difference.value == pytest.approx(slow.mean())
    assert found.error == pytest.approx(stats.sem(slow), rel=1e-6)


def test_hits_pair_by_unit_and_not_by_row() -> None:
    b, a = np.array([1.0, 0, 0, 1, 1, 1]), np.array([1.0, 0, 0, 1, 1, 0])
    order = np.array([2, 1, 0, 5, 4, 3])
    found = means(b[order], a, units=order, units_a=np.arange(6))
    assert found.hits == means(b, a).hits == (3, 1, 0, 2)


def test_rows_of_a_unit_share_one_vote() -> None:
    b, units = [1.0, 0, 0, 1, 0.5, 1], [0, 0, 0, 1, 2, 3]  # 1/3, 1, 1/2, 1
    a, units_a = [0.0, 0, 1, 1, 0, 1, 1], [0, 1, 1, 1, 2, 3, 3]  # 0, 2/3, 0, 1
    apart = np.array([1 / 3, 1 / 3, 1 / 2, 0.0])
    for additive in (True, False):
        found = means(b, a, units=np.array(units), units_a=np.array(units_a), additive=additive, n_bootstrap=4000)
        assert (found.b, found.a) == (pytest.approx(2.8333333333333335 / 4), pytest.approx(1.6666666666666667 / 4))
        assert found.error == pytest.approx(stats.sem(apart), rel=1e-6 if additive else 0.05)
        assert found.n_differing == 3


def test_a_unit_that_one_side_misses_is_left_out_and_counted() -> None:
    b, a = np.array([1.0, 2, np.nan, 4, 5, 3]), np.array([2.0, 2, 3, np.nan, 1, 1])
    found = means(b, a)
    there = np.array([-1.0, 0, 4, 2])
    assert (found.n_units, found.difference.n, found.difference.n_missing) == (4, 4, 2)
    assert found.difference.value == pytest.approx(there.mean())
    assert found.error == pytest.approx(stats.sem(there), rel=1e-6)
    # a repeat less is no unit less
    two = means(np.r_[b, b], np.r_[a, 2, 2, 3, 9, 1, 1], units=np.r_[np.arange(6), np.arange(6)])
    assert (two.n_units, two.difference.n_missing) == (5, 1)


# ── other values ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_additive_statistics_both_are_resampled_alike() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=1000)
    b = a + 0.1 + 0.1 * rng.normal(size=1000)
    found = means(b, a, additive=False, n_bootstrap=400)
    assert found.test == "t(bootstrap, 400)"
    assert found.error == pytest.approx(0.1 / math.sqrt(1000), rel=0.15)  # unpaired it would be 14 times that
    halves = means(b, a, additive=False, n_bootstrap=400, resample="halves")
    assert halves.test == "t(halves, 200)"
    assert halves.error == pytest.approx(0.1 / math.sqrt(1000), rel=0.2)


def test_a_bend_at_the_totals_is_not_linearised() -> None:
    def at_most_one(totals: FloatArray) -> FloatArray:
        return np.minimum(mean(totals), 1.0)

    b, a = rows([0.5, 1.5, 0.8, 1.2]), rows([0.1, 0.2, 0.3, 0.4])  # b's mean lies at the bend
    found = contrast(b, a, lambda r, w: at_most_one(w @ r), finish=at_most_one, rng=np.random.default_rng(0))
    assert found.test == "t(bootstrap, 1000)"


def test_the_median_of_many_units() -> None:
    # The standard error of a median is 1.2533 · sd / sqrt(n) for normal numbers; the two are independent.
    rng = np.random.default_rng(6)
    b, a = rows(rng.normal(size=2000)), rows(rng.normal(size=2000))
    found = contrast(b, a, median, n_bootstrap=500, rng=rng)
    assert found.error == pytest.approx(1.2533 * math.sqrt(2 / 2000), rel=0.15)
    assert contrast(b, b, median, rng=rng).p_value == 1.0


def test_the_same_rng_gives_the_same_answer() -> None:
    rng = np.random.default_rng(2)
    b, a = rows(rng.normal(size=300)), rows(rng.normal(size=300))
    first, second, third = (contrast(b, a, median, n_bootstrap=200, rng=np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert first == second
    assert first.error != third.error


# ── what nothing can be said of ─────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_certain_of_one_unit_or_one_cluster() -> None:
    one = means([1.0], [0.0], bounds=(0.0, 1.0))
    group = means([1.0, 1, 1], [0.0, 0, 0], clusters=np.zeros(3, dtype=int))
    for found, reason in ((one, "one sample"), (group, "one group")):
        assert found.difference.value == 1.0
        assert (found.difference.low, found.difference.high, found.difference.reason) == (None, None, reason)
        assert found.p_value == found.p_above(-5.0) == found.p_below(5.0) == 1.0
        assert (found.lower(0.05), found.upper(0.05)) == (-math.inf, math.inf)
        assert (found.mde(), found.needed_n(-0.1, alpha=0.05)) == (None, None)
        assert found.with_noise(0.1, 3) == found


def test_undefined_values_say_why() -> None:
    nothing = means([], [])
    assert (nothing.a, nothing.b, nothing.difference.value, nothing.p_value) == (None, None, None, 1.0)
    assert nothing.difference.reason == "no sample was scored in both"
    apart = means([np.nan, 1.0], [1.0, np.nan])
    assert (apart.difference.reason, apart.difference.n_missing) == ("no sample was scored in both", 2)
    b = np.zeros((3, 2))
    undefined = contrast(b, rows([1.0, 2, 3]), of_rows, finish=mean, rng=np.random.default_rng(0))
    assert (undefined.a, undefined.b) == (2.0, None)
    assert undefined.difference.reason == "the value of the second is undefined on these samples"
    assert undefined.p_above(-1e9) == 1.0


@pytest.mark.parametrize("additive", [True, False])
def test_equal_pairs_are_said_and_have_p_1(additive: bool) -> None:
    values = np.random.default_rng(0).normal(size=50)
    found = means(values, values, additive=additive)
    assert (found.p_value, found.n_differing, found.error) == (1.0, 0, 0.0)
    assert found.difference.reason == "all pairs are equal"
    assert found.p_above(0.0) == found.p_below(0.0) == 1.0
    # Two standard deviations are as far as a unit goes, and 50 equal units leave 5.8 % that may differ (0.05^(1/50)).
    assert found.lower(0.05) == pytest.approx(-2 * values.std() * (1 - 0.05 ** (1 / 50)), rel=1e-5 if additive else 0.1)
    assert found.needed_n(-0.02, alpha=0.05) is not None
    assert found.mde() == pytest.approx(2 * values.std() * (1 - 0.025 ** (1 / 50)), rel=1e-5 if additive else 0.1)


def test_five_equal_differences_are_no_verdict_and_six_are() -> None:
    for k, certain in ((5, False), (6, True)):
        b = np.zeros(40)
        b[:k] = 1.0
        for size, settings in ((1.0, {}), (0.5, {}), (1.0, {"units": np.arange(40)}), (0.5, {"additive": False})):
            found = means(size * b, np.zeros(40), **settings)
            assert found.n_differing == k
            assert (found.hits is not None) == (size == 1.0)
            assert (found.p_above(0.0) < 0.05) is certain
            assert (found.lower(0.05) > 0) is certain
            assert (found.p_value < 0.05) is False if not certain else found.p_value >= 2 * 0.5**6


def test_a_constant_difference_is_bounded_by_the_sign_test() -> None:
    a = np.arange(12.0)
    found = means(a - 1.0, a)
    assert found.error < 1e-9
    assert found.p_below(0.0) == pytest.approx(0.5**12)
    assert found.p_value == pytest.approx(2 * 0.5**12)


def test_a_relative_drop_is_asked_for_by_scale() -> None:
    rng = np.random.default_rng(11)
    a = rng.random(2000) + 0.5
    same = means(a, a, scale=0.98, bounds=(0.0, 2.0))
    assert same.difference.value == pytest.approx(0.02 * a.mean())
    # equal pairs: 2 % of 1 is excluded by 2,000 of which none differs, if a unit falls by no more than the largest value
    assert same.p_above(0.0) == pytest.approx((1 - 0.02 * a.mean() / ((2000 * a.max() + 2) / 2001)) ** 2000, rel=1e-3)
    few = means(a[:40], a[:40], scale=0.98, bounds=(0.0, 2.0))
    assert few.p_above(0.0) > 0.5
    assert few.needed_n(0.0, alpha=0.05) is not None
    dropped = means(0.95 * a, a, scale=0.98, bounds=(0.0, 2.0))
    assert dropped.p_below(0.0) < 1e-6
    assert dropped.p_above(0.0) > 0.999


# ── noise, sizes, agreement of bounds ───────────────────────────────────────────────────────────────────────────────


def test_noise_adds_up_and_never_makes_more_certain() -> None:
    rng = np.random.default_rng(12)
    for b, a in (((rng.random(400) < 0.7) * 1.0, (rng.random(400) < 0.6) * 1.0), (rng.normal(size=90), rng.normal(size=90))):
        plain = means(b, a)
        noisy = plain.with_noise(0.03**2, 4)
        assert noisy.error == pytest.approx(math.hypot(plain.error, 0.03))
        # Satterthwaite
        e, v = plain.error**2, 0.03**2
        assert noisy.dof == pytest.approx((e + v) ** 2 / (e**2 / plain.dof + v**2 / 4))
        assert noisy.difference.value == plain.difference.value
        assert noisy.p_value > plain.p_value
        assert noisy.lower(0.05) < plain.lower(0.05)
        assert noisy.upper(0.05) > plain.upper(0.05)
        t = (plain.difference.value + 0.01) / noisy.error  # type: ignore[operator]
        assert noisy.p_above(-0.01) == pytest.approx(max(plain.p_above(-0.01), stats.t.sf(t, noisy.dof)))
        assert noisy.mde() > plain.mde()  # type: ignore[operator]
        twice = noisy.with_noise(0.04**2, 9)
        assert twice.noise == pytest.approx(0.03**2 + 0.04**2)
        assert plain.with_noise(0.0, 4) == plain
        assert plain.with_noise(1e-300, 4).dof == pytest.approx(plain.dof)
    equal = means(np.full(30, 0.3), np.full(30, 0.3)).with_noise(1e-200, 1e-4)  # whose squares are 0
    assert (equal.error, equal.dof, equal.mde()) == (pytest.approx(1e-100), pytest.approx(1e-4), None)


@pytest.mark.parametrize("size", [1e-300, 1e-100, 1e100, 1e153])
def test_the_unit_of_the_values_does_not_matter(size: float) -> None:
    rng = np.random.default_rng(14)
    b, a = rng.normal(size=30), rng.normal(size=30)
    plain, scaled = means(b, a), means(b * size, a * size)
    assert scaled.p_value == pytest.approx(plain.p_value)
    assert scaled.error == pytest.approx(plain.error * size)


def test_values_too_far_apart_for_a_standard_error() -> None:
    far = 1.7e308 * np.array([1.0, -1.0, 1.0, -1.0])
    found = means(far, -far)
    assert (found.difference.low, found.p_value, found.p_above(-1.0)) == (None, 1.0, 1.0)
    assert found.difference.reason == "the values lie too far apart for a standard error"
    assert found.needed_n(-1.0, alpha=0.05) is None


def test_noise_that_no_number_of_units_outweighs() -> None:
    rng = np.random.default_rng(13)
    found = means(rng.normal(size=100), rng.normal(size=100)).with_noise(0.1**2, 50)
    assert found.needed_n(-0.2, alpha=0.05) is None  # 2.4865 · 0.1 > 0.2
    needed = found.needed_n(-0.3, alpha=0.05)
    unit = (found.error**2 - 0.1**2) * 100
    assert needed == math.ceil(unit / ((0.3 / 2.486475) ** 2 - 0.1**2))


def test_the_smallest_difference_that_would_be_found() -> None:
    rng = np.random.default_rng(14)
    found = means(rng.normal(size=30), rng.normal(size=30))
    found_by = found.mde()
    assert found_by is not None
    # The two-sided t test with 29 degrees of freedom has 80 % power there.
    t = stats.t.ppf(0.975, 29)
    power = stats.nct.sf(t, 29, found_by / found.error) + stats.nct.cdf(-t, 29, found_by / found.error)
    assert power == pytest.approx(0.8, abs=1e-6)


def test_needed_n_counts_units_where_clusters_are_drawn() -> None:
    rng = np.random.default_rng(15)
    clusters = np.arange(120) // 4
    found = means(rng.normal(size=120), rng.normal(size=120), clusters=clusters)
    expected = (2.486475 * found.error / 0.1) ** 2 * 120
    assert found.needed_n(-0.1, alpha=0.05) == pytest.approx(expected, abs=1)


series = arrays(np.float64, st.shared(st.integers(2, 30), key="n"), elements=st.sampled_from([0.0, 0.0, 0.25, 1.0, 7.5]))


@given(series, series, st.sampled_from([1.0, 0.9]), st.sampled_from([0.2, 0.05, 0.01]), st.booleans(), st.booleans())
def test_bounds_and_p_values_agree(b: FloatArray, a: FloatArray, scale: float, alpha: float, hit: bool, noisy: bool) -> None:
    if hit:
        b, a = (b > 0.5) * 1.0, (a > 0.5) * 1.0
    found = means(b, a, scale=scale, bounds=(0.0, 1.0 if hit else 7.5))
    found = found.with_noise(0.01, 5) if noisy else found
    lower, upper = found.lower(alpha), found.upper(alpha)
    for margin in (-8.0, -1.0, -0.3, -0.02, 0.0, 0.02, 0.3, 1.0):
        above, below = found.p_above(margin), found.p_below(margin)
        assert 0 <= min(above, below) <= 1
        if min(abs(lower - margin), abs(upper - margin), abs(above - alpha), abs(below - alpha)) > 1e-7:
            assert (lower > margin) == (above < alpha)
            assert (upper < margin) == (below < alpha)
    value, low, high = found.difference.value, found.difference.low, found.difference.high
    if low is not None and value is not None and high is not None:
        assert low <= value <= high
        if low > -scale * (1.0 if hit else 7.5):
            assert found.p_above(low - 1e-6) < 0.025 + 1e-9
    swapped = means(a, b, bounds=(0.0, 1.0 if hit else 7.5))
    mirrored = means(b, a, bounds=(0.0, 1.0 if hit else 7.5))
    assert swapped.p_above(0.1) == pytest.approx(mirrored.p_below(-0.1), rel=1e-6, abs=1e-12)
    assert swapped.p_value == pytest.approx(mirrored.p_value, rel=1e-6)


def test_what_does_not_fit_is_refused() -> None:
    rng = np.random.default_rng(0)
    short: IntArray = np.zeros(2, dtype=np.int64)
    with pytest.raises(UsageError, match="same d"):
        contrast(np.ones((3, 2)), np.ones((3, 1)), of_rows, rng=rng)
    with pytest.raises(UsageError, match=r"each of the 4 rows of a"):
        contrast(np.ones((3, 2)), np.ones((4, 2)), of_rows, rng=rng)
    with pytest.raises(UsageError, match=r"each of the 3 rows of b"):
        means([1, 2, 3], [1, 2, 3], units=short)
    with pytest.raises(UsageError, match="cluster of each of the 3 units"):
        means([1, 2, 3], [1, 2, 3], clusters=short)
    found = means([1, 2, 4], [1, 3, 3])
    for call in (lambda: found.lower(0.0), lambda: found.with_noise(-1.0, 3), lambda: found.with_noise(1.0, 0),
                 lambda: means([1, 2], [1, 2], level=1.0), lambda: means([1, 2], [1, 2], scale=math.nan)):  # fmt: skip
        with pytest.raises(UsageError):
            call()


def test_equal_pairs_with_low_values_exclude_a_drop_that_they_cannot_make() -> None:
    values = np.linspace(0.0, 0.26, 36)
    stats = np.column_stack([values, np.ones(36)])
    found = contrast(
        stats, stats, lambda rows, weights: mean(weights @ rows), finish=mean, bounds=(0.0, 1.0), rng=np.random.default_rng(0)
    )
    share = 1 - 0.05 ** (1 / 36)
    # one in 37 may be higher than all that were seen, and fall by 1
    assert found.lower(0.05) == pytest.approx(-(36 * 0.26 + 1) / 37 * share)
    assert found.upper(0.05) == pytest.approx(1.0 * share)


def test_two_equal_pairs_exclude_nothing_however_low_they_are() -> None:
    found = means([0.01, 0.02], [0.01, 0.02], bounds=(0.0, 1.0))
    assert found.p_above(-0.05) > 0.5
    assert found.p_above(-0.5) == pytest.approx(0.25)  # none of two differs, if half of all do


def test_a_relative_drop_needs_no_fewer_units_than_the_same_absolute_one() -> None:
    """Where nothing differs, one of the units is taken to, whichever way the drop is asked for."""
    hits = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    absolute = means(hits, hits, bounds=(0.0, 1.0)).needed_n(-0.02 / 6, alpha=0.05)
    relative = means(hits, hits, scale=0.98, bounds=(0.0, 1.0)).needed_n(0.0, alpha=0.05)
    wider = means(hits, hits, bounds=(0.0, 1.0)).needed_n(-0.01, alpha=0.05)
    assert absolute is not None
    assert relative is not None
    assert wider is not None
    assert wider < min(absolute, relative)
    assert 0.2 < relative / absolute < 1.0  # one unit in six may change by as much as two of them are apart
