"""One-sided tests and their bounds: each bound is where its p-value crosses alpha; each p-value from its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.stats.onesided import FewDiffer, Hits, OneSided, Strictest, Student

FAMILIES: dict[str, OneSided] = {
    "t": Student(0.3, 0.2, 7.0),
    "skewed left": Student(0.3, 0.2, 40.0, -0.4),
    "skewed right": Student(-1.0, 0.5, 12.5, 0.6),
    "hits": Hits(12, 3, 60),
    "hits, all equal": Hits(0, 0, 60),
    "few differ": FewDiffer(3, 80, 1.5),
    "none differs, and the base is moved": FewDiffer(0, 80, 1.5, 0.1),
    "many differ": FewDiffer(30, 80, 1.5),
    "nothing is known": Strictest(()),
    "the strictest": Strictest((Student(0.3, 0.2, 7.0), FewDiffer(4, 40, 2.0))),
}


@pytest.mark.parametrize("name", FAMILIES)
@given(alpha=st.sampled_from([0.9, 0.2, 0.05, 0.025, 0.001]))
def test_a_bound_is_where_its_p_value_crosses_alpha(name: str, alpha: float) -> None:
    family = FAMILIES[name]
    lower, upper = family.lower(alpha), family.upper(alpha)
    assert lower <= upper or alpha > 0.5 or (lower, upper) == (math.inf, -math.inf)  # no word against any margin
    if math.isfinite(lower):
        assert family.p_above(lower - 1e-6) < alpha <= family.p_above(lower + 1e-6)
    if math.isfinite(upper):
        assert family.p_below(upper + 1e-6) < alpha <= family.p_below(upper - 1e-6)
    if lower == -math.inf:
        assert min(family.p_above(margin) for margin in (-1e9, -1.0, 0.0)) >= alpha
    if lower == math.inf:
        assert max(family.p_above(margin) for margin in (0.0, 1.0, 1e9)) < alpha


@pytest.mark.parametrize("name", FAMILIES)
def test_p_values_rise_and_fall_with_the_margin(name: str) -> None:
    family, margins = FAMILIES[name], np.linspace(-3, 3, 121)
    above, below = [family.p_above(m) for m in margins], [family.p_below(m) for m in margins]
    assert (np.diff(above) >= -1e-12).all()
    assert (np.diff(below) <= 1e-12).all()
    assert min(above + below) >= 0
    assert max(above + below) <= 1


def test_student_is_the_t_test() -> None:
    x = np.random.default_rng(4).normal(0.4, 1.0, 15)
    family = Student(float(x.mean()), float(x.std(ddof=1) / math.sqrt(15)), 14.0)
    for margin in (-0.5, 0.0, 0.7):
        assert family.p_above(margin) == pytest.approx(stats.ttest_1samp(x, margin, alternative="greater").pvalue)
        assert family.p_below(margin) == pytest.approx(stats.ttest_1samp(x, margin, alternative="less").pvalue)
    low, high = stats.ttest_1samp(x, 0).confidence_interval(0.9)
    assert (family.lower(0.05), family.upper(0.05)) == (pytest.approx(low), pytest.approx(high))


def test_halls_transformation_has_its_published_form() -> None:
    # Hall 1992: g(W) = W + a·γ·W² + a²γ²·W³/3 + b·γ/n with a = 1/3, b = 1/6, W = (mean - margin) / sd; the root of n times it.
    gamma, n, mean, sd = 2.0, 25, 1.4, 3.0
    family = Student(mean, sd / math.sqrt(n), n - 1.0, gamma / math.sqrt(n))
    for margin in (-1.0, 1.0, 2.0):
        w = (mean - margin) / sd
        g = w + gamma * w**2 / 3 + gamma**2 * w**3 / 27 + gamma / (6 * n)
        assert family.p_above(margin) == pytest.approx(stats.t.sf(math.sqrt(n) * g, n - 1))


def test_skewed_differences_alarm_less_on_the_side_of_the_short_tail() -> None:
    # The mean of few lognormal numbers lies below its expectation more often than the t test thinks.
    plain, halls = Student(1.0, 0.3, 19.0), Student(1.0, 0.3, 19.0, 0.5)
    assert halls.p_below(1.7) > plain.p_below(1.7)
    assert halls.p_above(0.3) < plain.p_above(0.3)


def test_no_error_is_certain_but_where_the_margin_is_met() -> None:
    family = Student(0.1, 0.0, 9.0)
    assert [family.p_above(m) for m in (0.0, 0.1, 0.2)] == [0.0, 1.0, 1.0]
    assert [family.p_below(m) for m in (0.0, 0.1, 0.2)] == [1.0, 1.0, 0.0]


def test_a_margin_that_no_share_can_reach() -> None:
    hits = Hits(5, 5, 20)
    assert (hits.p_above(1.2), hits.p_above(-1.2), hits.p_below(1.2), hits.p_below(-1.2)) == (1.0, 0.0, 0.0, 1.0)


def test_margins_beyond_all_numbers() -> None:
    for test in (Student(0.1, 1e-200, 9.0), Student(0.1, 1e-200, 9.0, 0.4), Student(0.1, 0.1, 9.0, -0.4)):
        for margin in (1e200, 1e308):
            assert (test.p_above(margin), test.p_below(margin)) == (1.0, 0.0)
            assert (test.p_above(-margin), test.p_below(-margin)) == (0.0, 1.0)


def test_few_differing_clusters_are_never_certain() -> None:
    # All m one way: 0.5^m, and twice that below six.
    for m, floor in ((0, 1.0), (1, 1.0), (5, 0.0625), (6, 0.015625), (7, 0.0078125)):
        assert FewDiffer(m, 1000, None).p_above(0.0) == floor
        assert FewDiffer(m, 1000, 1.0).p_below(0.0) == floor


def test_equal_pairs_exclude_what_would_show() -> None:
    # A drop of 0.02 needs 2 % differing units if none can lose more than 1: not one among n has the chance 0.98^n.
    for n in (20, 200, 1000):
        assert FewDiffer(0, n, 1.0).p_above(-0.02) == pytest.approx(0.98**n)
    assert FewDiffer(2, 100, 0.5).p_above(-0.02) == pytest.approx(stats.binom.cdf(2, 100, 0.04))
    assert FewDiffer(0, 100, None).p_above(-5.0) == 1.0
    # log(0.05) / log(0.98) = 148.3
    assert FewDiffer(0, 20, 1.0).needed_n(-0.02, 0.05) in range(149, 153)
    assert FewDiffer(0, 20, None).needed_n(-0.02, 0.05) is None
    assert FewDiffer(0, 20, 1.0).needed_n(0.0, 0.05) is None
    # 3 of 100 differ: with 167 and more, 6 would.
    assert FewDiffer(3, 100, None).needed_n(-0.02, 0.05) in range(167, 175)


def test_what_is_low_cannot_fall_far() -> None:
    few = FewDiffer(0, 36, 1.0, fall=0.25, rise=0.9)
    share = 1 - 0.05 ** (1 / 36)  # of the population may differ, none of 36 having done so
    assert few.lower(0.05) == pytest.approx(-0.25 * share)
    assert few.upper(0.05) == pytest.approx(0.9 * share)
    assert few.p_above(-0.05) == pytest.approx((1 - 0.05 / 0.25) ** 36)
    assert few.p_below(0.05) == pytest.approx((1 - 0.05 / 0.9) ** 36)
    assert few.p_above(-0.3) == 0.0
    assert few.needed_n(-0.05, 0.05) == 36
    assert few.needed_n(0.02, 0.05) in range(133, 139)
    assert FewDiffer(3, 36, 1.0, fall=0.0).p_above(-1e-9) == 0.0  # what is at its lower bound cannot fall at all
    assert FewDiffer(3, 36, 1.0, fall=0.0).lower(0.05) == 0.0
