"""Equivalence and non-inferiority: two t tests by scipy, and what they say of a contrast."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.errors import UsageError
from harness.stats.equivalence import equivalence, non_inferiority, student, tost_paired
from tests.stats.test_contrast import means


def test_tost_is_two_t_tests() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=40)
    b = a + rng.normal(0.02, 0.2, 40)
    found = tost_paired(b, a, -0.1, 0.15)
    above = stats.ttest_rel(b, a + -0.1, alternative="greater").pvalue
    below = stats.ttest_rel(b, a + 0.15, alternative="less").pvalue
    assert (found.p_above_low, found.p_below_high) == (pytest.approx(above), pytest.approx(below))
    assert found.p_value == max(found.p_above_low, found.p_below_high)


def test_equal_differences_have_no_spread_to_hold_margins_against() -> None:
    a = np.array([0.1, 0.2])
    for b in (a, a + 0.3):
        assert math.isnan(tost_paired(b, a, -1.0, 1.0).p_value)


def test_a_known_error_is_a_z_test() -> None:
    # (0.01 + 0.05) / 0.02 = 3 and (0.01 - 0.05) / 0.02 = -2
    found = equivalence(student(0.01, 0.02), -0.05, 0.05)
    assert found.p_above_low == pytest.approx(stats.norm.sf(3))
    assert found.p_value == pytest.approx(stats.norm.sf(2))


def test_the_same_systems_are_equivalent_if_there_are_enough_samples() -> None:
    for n, certain in ((50, False), (2000, True)):
        hits = np.ones(n)
        hits[: n // 20] = 0
        found = means(hits, hits, bounds=(0.0, 1.0))
        assert (equivalence(found, -0.01, 0.01).p_value < 0.05) is certain


def test_worse_respects_the_direction() -> None:
    difference = student(-0.03, 0.01)
    assert non_inferiority(difference, 0.05) == pytest.approx(stats.norm.sf(2))
    assert non_inferiority(difference, 0.05, higher_is_better=False) == pytest.approx(stats.norm.cdf(-8))
    assert non_inferiority(student(0.03, 0.01), 0.0) == pytest.approx(stats.norm.sf(3))
    assert math.isclose(non_inferiority(student(0.0, 0.01), 0.0), 0.5)


@pytest.mark.parametrize("call", [
    lambda: equivalence(student(0.0, 1.0), 0.1, 0.1), lambda: non_inferiority(student(0.0, 1.0), -0.1),
    lambda: student(0.0, -1.0), lambda: tost_paired(np.ones(1), np.ones(1), -1, 1), lambda: student(0.0, 1.0, 0),
])  # fmt: skip
def test_what_does_not_fit_is_refused(call: object) -> None:
    with pytest.raises(UsageError):
        call()  # type: ignore[operator]
