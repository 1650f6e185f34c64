"""Power, detectable effects and sample sizes against statsmodels."""

from __future__ import annotations

import math

import pytest

from harness.stats.power import mde, needed_n, needed_n_two_proportions, power_of

power = pytest.importorskip("statsmodels.stats.power")
proportion = pytest.importorskip("statsmodels.stats.proportion")

SIDES = {"one": "larger", "two": "two-sided"}


@pytest.mark.parametrize("sided", SIDES)
@pytest.mark.parametrize(("effect", "n", "alpha"), [(0.2, 50, 0.05), (0.5, 12, 0.05), (0.05, 400, 0.01), (1.2, 5, 0.1),
                                                   (0, 30, 0.05)])
def test_power_of_t_and_z(effect, n, alpha, sided):
    error = 1 / math.sqrt(n)
    of_t = power.TTestPower().power(effect, n, alpha, alternative=SIDES[sided])
    assert power_of(effect, error, alpha=alpha, dof=n - 1, sided=sided) == pytest.approx(of_t, abs=1e-9)
    of_z = power.NormalIndPower(ddof=0).power(effect, n, alpha, ratio=0, alternative=SIDES[sided])
    assert power_of(effect, error, alpha=alpha, sided=sided) == pytest.approx(of_z, abs=1e-12)


@pytest.mark.parametrize("sided", SIDES)
@pytest.mark.parametrize(("n", "alpha", "wanted"), [(8, 0.05, 0.8), (40, 0.05, 0.9), (200, 0.01, 0.8)])
def test_detectable_effects(n, alpha, wanted, sided):
    effect = power.TTestPower().solve_power(nobs=n, alpha=alpha, power=wanted, alternative=SIDES[sided])
    ours = mde(1 / math.sqrt(n), alpha=alpha, power=wanted, dof=n - 1, sided=sided)
    assert ours == pytest.approx(effect, rel=1e-5)  # as far as statsmodels' solver goes


@pytest.mark.parametrize("sided", SIDES)
@pytest.mark.parametrize(("effect", "wanted"), [(0.1, 0.8), (0.4, 0.9), (0.8, 0.8)])
def test_sample_sizes(effect, wanted, sided):
    of_t = power.TTestPower().solve_power(effect, alpha=0.05, power=wanted, alternative=SIDES[sided])
    assert needed_n(1.0, effect, power=wanted, sided=sided, exact=True) == math.ceil(of_t)
    of_z = power.NormalIndPower(ddof=0).solve_power(effect, alpha=0.05, power=wanted, ratio=0, alternative=SIDES[sided])
    assert needed_n(1.0, effect, power=wanted, sided=sided) == math.ceil(of_z)


@pytest.mark.parametrize(("first", "second"), [(0.5, 0.55), (0.1, 0.13), (0.9, 0.85)])
def test_two_proportions_have_the_power_asked_for(first, second):
    n = needed_n_two_proportions(first, second, sided="two")
    found = proportion.power_proportions_2indep(second - first, first, n, alpha=0.05)
    assert found.power == pytest.approx(0.8, abs=0.01)  # statsmodels pools the variance under the hypothesis
