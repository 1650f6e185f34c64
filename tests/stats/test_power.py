"""Power and sample sizes: worked values, the round trip through each other, simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.stats.power import (
    discordance_error,
    mde,
    needed_n,
    needed_n_paired_proportions,
    needed_n_two_proportions,
    power_of,
)


def test_the_gates_own_example():
    # 10 % discordance: 2.24 points at 200 samples; (1.6449 + 0.8416)² · 0.1 / 0.02² = 1545.6.
    assert discordance_error(0.1, 200) == pytest.approx(0.02236, abs=1e-5)
    assert needed_n(math.sqrt(0.1), 0.02) == needed_n_paired_proportions(0.1, 0.02) == 1546
    assert power_of(0.02, discordance_error(0.1, 1546)) == pytest.approx(0.8, abs=1e-4)
    assert power_of(0.02, discordance_error(0.1, 200)) == pytest.approx(0.2264, abs=5e-4)  # Φ(0.8944 - 1.6449)


def test_published_sample_sizes():
    # Fleiss, Levin and Paik 2003, without continuity: 0.5 against 0.55, two-sided .05, power .8 (unpooled: 1562).
    assert needed_n_two_proportions(0.5, 0.55, sided="two") == 1562
    # Cohen 1988, table 2.4.1: d = 0.5 paired, two-sided .05, power .8: 34 pairs.
    assert needed_n(1.0, 0.5, sided="two", exact=True) == 34
    assert needed_n(1.0, 0.5, sided="two") == 32
    assert mde(1.0) == pytest.approx(1.6449 + 0.8416, abs=1e-4)
    assert mde(1.0, sided="two") == pytest.approx(1.9600 + 0.8416, abs=1e-4)


@given(error=st.floats(1e-4, 10), alpha=st.floats(0.001, 0.2), power=st.floats(0.3, 0.99),
       dof=st.sampled_from([3.0, 20.0, math.inf]), sided=st.sampled_from(["one", "two"]))
@settings(max_examples=60, deadline=None)
def test_the_detectable_effect_has_the_power_that_was_asked_for(error, alpha, power, dof, sided):
    found = mde(error, alpha=alpha, power=power, dof=dof, sided=sided)
    assert power_of(found, error, alpha=alpha, dof=dof, sided=sided) == pytest.approx(power, abs=1e-6)
    assert power_of(found + 0.3, error, margin=0.3, alpha=alpha, dof=dof, sided=sided) == pytest.approx(power, abs=1e-6)


@given(sd=st.floats(0.01, 3), margin=st.floats(0.01, 1), assumed=st.floats(-0.5, 0.5), power=st.floats(0.2, 0.95),
       exact=st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_needed_n_is_the_smallest_that_will_do(sd, margin, assumed, power, exact):
    n = needed_n(sd, margin, 0.05, power, assumed=assumed, exact=exact)
    distance = abs(margin - assumed)
    if n is None:
        assert distance < 1e-6
        return

    def has(size):
        dof = size - 1 if exact else math.inf
        return power_of(distance, sd / math.sqrt(size), dof=dof) >= power - 1e-9

    assert has(n)
    assert n == 2 or not has(n - 1)


def test_size_and_edges():
    assert power_of(0.3, 0.1, margin=0.3) == pytest.approx(0.05)
    assert power_of(0.0, 0.1, dof=4, alpha=0.01, sided="two") == pytest.approx(0.01)
    assert [power_of(x, 0.0) for x in (-1.0, 0.0, 1.0)] == [0.0, 0.0, 1.0]
    assert mde(0.0) == mde(0.0, dof=1e-4) == 0.0
    assert mde(0.1, dof=1e-4) == math.inf  # t has no quantile that a shift could pass
    # scipy's noncentral t gives up from shifts of some 1e9 on
    assert power_of(0.02, 1e-12, dof=99) == power_of(0.02, 1e-12, dof=99, sided="two") == 1.0
    assert power_of(-0.02, 1e-12, dof=99) == 0.0
    assert needed_n(1e200, 0.1) is None
    assert needed_n(0.0, 0.02) == 2
    assert needed_n(0.3, 0.02, assumed=0.02) is None
    assert needed_n(1e9, 1e-9) is None
    assert needed_n_paired_proportions(0.1, 0.02, assumed=0.02) is None
    # What is assumed takes from the variance of a pair.
    assert needed_n_paired_proportions(0.1, 0.0, assumed=0.1) == math.ceil((0.1 - 0.01) * 6.18256 / 0.01)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: power_of(1.0, -1.0), "a standard error or deviation must be a number >= 0, got -1.0"),
    (lambda: power_of(1.0, math.nan), "a standard error or deviation must be a number >= 0, got nan"),
    (lambda: mde(1.0, alpha=1.0), "alpha must lie strictly between 0 and 1, got 1.0"),
    (lambda: mde(1.0, power=0.05), r"the wanted power must lie between alpha \(0.05\) and 1, got 0.05"),
    (lambda: mde(1.0, dof=0), "degrees of freedom must be positive, got 0"),
    (lambda: mde(1.0, sided="left"), "sided must be one or two, got 'left'"),
])
def test_bad_input_is_refused(call, message):
    with pytest.raises(UsageError, match=rf"^power: {message}"):
        call()
    with pytest.raises(UsageError, match=r"^needed_n: discordance must lie between \|assumed\| = 0.2 and 1, got 0.1$"):
        needed_n_paired_proportions(0.1, 0.02, assumed=0.2)
    with pytest.raises(UsageError, match=r"^discordance_error: needs"):
        discordance_error(0.1, 0)


def test_simulated_t_tests_reject_as_often():
    rng = np.random.default_rng(3)
    n, shift = 12, 0.7
    drawn = rng.standard_normal((20_000, n)) + shift
    t = drawn.mean(axis=1) / (drawn.std(axis=1, ddof=1) / math.sqrt(n))
    # One-sided t_{0.95, 11} = 1.795885.
    assert (t > 1.795885).mean() == pytest.approx(power_of(shift, 1 / math.sqrt(n), dof=n - 1), abs=0.01)
