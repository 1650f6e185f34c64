"""Differences and distances of two samples against references and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import sparse, stats

from harness.errors import UsageError
from harness.metrics.divergences import JensenShannon
from harness.metrics.populations import MaximumMeanDiscrepancy, mmd
from harness.stats.onesided import Student
from harness.stats.twosamples import (
    BeyondChance,
    Rows,
    Size,
    difference_of_shares,
    difference_of_values,
    distance_of_shares,
    mean_discrepancy,
)

JS = JensenShannon().divergence


def mean(stats: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return (weights @ stats[:, 0]) / weights.sum(axis=1)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_shares_have_the_interval_of_agresti_and_caffo() -> None:
    # statsmodels 0.14.6: confint_proportions_2indep(13, 60, 5, 70, method="agresti-caffo")
    from statsmodels.stats.proportion import confint_proportions_2indep

    low, high = confint_proportions_2indep(13, 60, 5, 70, method="agresti-caffo")
    found = difference_of_shares(13, 60, 5, 70)
    assert found.value == pytest.approx(13 / 60 - 5 / 70)
    assert (found.tests.lower(0.025), found.tests.upper(0.025)) == pytest.approx((low, high), abs=1e-12)


def test_no_hit_on_either_side_is_not_certain() -> None:
    found = difference_of_shares(0, 50, 0, 50)
    assert found.value == 0.0
    assert found.tests.upper(0.025) == pytest.approx(1.959964 * math.sqrt(2 * (1 / 52) * (51 / 52) / 52), rel=1e-6)


@pytest.mark.parametrize("given", [(3, 0, 1, 2), (-1, 4, 1, 2), (1, 4, 3, 2)])
def test_shares_that_are_none_are_refused(given: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="difference_of_shares: hits must be at most n > 0"):
        difference_of_shares(*given)


def test_a_difference_of_means_is_that_of_welch() -> None:
    b, a = rng(1).normal(3, 2, 400), rng(2).normal(2, 1, 300)
    found = difference_of_values(Rows(b[:, None]), Rows(a[:, None]), mean, n_bootstrap=4000, rng=rng())
    welch = stats.ttest_ind(b, a, equal_var=False)
    assert found.value == pytest.approx(b.mean() - a.mean())
    assert found.error == pytest.approx((b.mean() - a.mean()) / welch.statistic, rel=0.05)


def test_clusters_are_drawn_whole() -> None:
    """Ten copies of each unit in one cluster say no more than the units."""
    b, a = rng(1).normal(size=(60, 1)), rng(2).normal(size=(60, 1))
    alone = difference_of_values(Rows(b), Rows(a), mean, n_bootstrap=4000, rng=rng())
    copied = [Rows(np.repeat(side, 10, axis=0), None, np.repeat(np.arange(60), 10)) for side in (b, a)]
    together = difference_of_values(*copied, mean, n_bootstrap=4000, rng=rng())
    assert together.error == pytest.approx(alone.error, rel=0.06)
    with pytest.raises(UsageError, match="needs two units on either side at least, got 1"):
        difference_of_values(Rows(b, None, np.zeros(60, dtype=np.int64)), Rows(a), mean, rng=rng())


def test_the_size_of_a_difference_has_no_direction() -> None:
    up, down = Size(Student(0.3, 0.1, 1e9)), Size(Student(-0.3, 0.1, 1e9))
    z = stats.norm.sf
    for size in (up, down):
        assert size.p_above(0.1) == pytest.approx(2 * z(2.0))
        assert size.p_below(0.5) == pytest.approx(z(2.0))
        assert size.lower(0.1) == pytest.approx(0.3 - 1.644854 * 0.1, abs=1e-6)
        assert size.upper(0.05) == pytest.approx(0.3 + 1.644854 * 0.1, abs=1e-6)
        assert (size.p_above(-0.1), size.p_below(0.0)) == (0.0, 1.0)


def test_the_size_excludes_both_sides() -> None:
    size = Size(Student(0.0, 0.1, 1e9))
    assert size.p_below(0.2) == pytest.approx(stats.norm.sf(2.0))
    assert size.p_above(0.2) == 1.0
    assert size.lower(0.05) == 0.0


def counts(draws: np.ndarray, width: int) -> np.ndarray:
    """``(n, tokens)`` drawn ids as counts, a row a unit."""
    return np.stack([np.bincount(row, minlength=width) for row in draws]).astype(float)


def test_what_chance_makes_is_taken_off() -> None:
    """40 units of 20 words of 50: the divergence that is seen is more than twice what chance leaves of the true one (0)."""
    found, seen = [], []
    for seed in range(40):
        b, a = (counts(rng(1000 * side + seed).integers(0, 50, (40, 20)), 50) for side in (1, 2))
        seen.append(float(JS(b.sum(0)[None] / b.sum(), a.sum(0)[None] / a.sum())[0]))
        found.append(distance_of_shares(b, a, JS, is_paired=False, reach=1.0, n_bootstrap=60, n_permutations=60, rng=rng(seed)))
    assert np.mean(seen) > 0.010
    assert np.mean([apart.value for apart in found]) < 0.3 * np.mean(seen)
    assert np.mean([apart.p_value < 0.1 for apart in found]) < 0.25  # 4 expected of 40
    assert np.mean([apart.tests.p_above(0.0) < 0.05 for apart in found]) < 0.15


def test_a_true_divergence_is_found_with_its_size() -> None:
    """Words 0-19 against words 10-29: half of the mass is shared, so that the divergence is exactly 0.5 bits."""
    b, a = counts(rng(1).integers(0, 20, (400, 30)), 30), counts(rng(2).integers(10, 30, (500, 30)), 30)
    apart = distance_of_shares(b, a, JS, is_paired=False, reach=1.0, rng=rng())
    assert apart.value == pytest.approx(0.5, abs=0.01)
    assert apart.tests.lower(0.025) < 0.5 < apart.tests.upper(0.025)
    assert apart.p_value == pytest.approx(1 / 500)


def test_sparse_counts_are_the_same_as_dense_ones() -> None:
    b, a = counts(rng(1).integers(0, 20, (30, 5)), 20), counts(rng(2).integers(0, 20, (30, 5)), 20)
    for is_paired in (True, False):
        dense = distance_of_shares(b, a, JS, is_paired=is_paired, reach=1.0, rng=rng(3))
        thin = distance_of_shares(sparse.csr_matrix(b), sparse.csr_matrix(a), JS, is_paired=is_paired, reach=1.0, rng=rng(3))
        assert (thin.value, thin.error, thin.p_value) == pytest.approx((dense.value, dense.error, dense.p_value))


def differing_units() -> tuple[np.ndarray, np.ndarray]:
    """Units that are all about something else, one word of each replaced by word 0: a little, everywhere, in one direction."""
    b = np.zeros((40, 41))
    b[np.arange(40), np.arange(1, 41)] = rng(5).integers(5, 60, 40)
    a = b.copy()
    b[np.arange(40), np.arange(1, 41)] -= 1
    b[:, 0] += 1
    return b, a


def test_pairs_are_exchanged_within_themselves() -> None:
    b, a = differing_units()
    apart = distance_of_shares(b, a, JS, is_paired=True, reach=1.0, rng=rng())
    assert apart.p_value == pytest.approx(1 / 500)
    assert (distance_of_shares(b, a, JS, is_paired=False, reach=1.0, rng=rng()).p_value or 0) > 0.5


def test_pairs_are_drawn_together() -> None:
    """What the units are like is the same on both sides, and no error of the distance."""
    b, a = differing_units()
    errors = [distance_of_shares(b, a, JS, is_paired=is_paired, reach=1.0, rng=rng()).error for is_paired in (True, False)]
    assert errors[0] < errors[1] / 5


def test_equal_pairs_are_as_sure_as_they_are_many() -> None:
    """None of n differing: the share of mass that differs is below 1 - 0.05^(1/n) (exact binomial)."""
    for n in (20, 300):
        rows = counts(rng(1).integers(0, 20, (n, 5)), 20)
        apart = distance_of_shares(rows, rows, JS, is_paired=True, reach=1.0, rng=rng())
        assert (apart.value, apart.p_value) == (0.0, 1.0)
        assert apart.tests.upper(0.05) == pytest.approx(1 - 0.05 ** (1 / n))


def test_counts_that_do_not_fit_are_refused() -> None:
    one = np.ones((3, 2))
    with pytest.raises(UsageError, match=r"pairs must have one shape, got \(3, 2\) and \(4, 2\)"):
        distance_of_shares(one, np.ones((4, 2)), JS, is_paired=True, reach=1.0, rng=rng())
    with pytest.raises(UsageError, match="both sides must count something"):
        distance_of_shares(one, np.zeros((3, 2)), JS, is_paired=True, reach=1.0, rng=rng())


def kernel(b: np.ndarray, a: np.ndarray) -> np.ndarray:
    return MaximumMeanDiscrepancy().kernel(b, a)


def test_the_mean_discrepancy_is_that_of_the_metric() -> None:
    b, a = rng(1).normal(size=(31, 3)), rng(2).normal(0.4, 1, size=(45, 3))
    assert mean_discrepancy(kernel(b, a), 31, rng=rng()).value == pytest.approx(mmd(b, a), abs=1e-12)


def test_the_mean_discrepancy_tells_populations_apart() -> None:
    apart = mean_discrepancy(kernel(rng(1).normal(size=(80, 2)), rng(2).normal(1, 1, size=(80, 2))), 80, rng=rng())
    assert apart.p_value == pytest.approx(1 / 500)
    assert apart.tests.p_above(0.0) < 0.001
    alike = [mean_discrepancy(kernel(rng(s).normal(size=(30, 2)), rng(s + 100).normal(size=(30, 2))), 30, n_permutations=99,
                              rng=rng(s)) for s in range(60)]  # fmt: skip
    assert 0.02 <= np.mean([one.p_value <= 0.2 for one in alike]) <= 0.38  # 0.2 expected, ± 3.5 standard errors


def test_the_error_of_the_mean_discrepancy_is_its_spread() -> None:
    found = []
    for seed in range(80):
        b, a = rng(seed).normal(size=(60, 2)), rng(seed + 500).normal(1, 1, size=(60, 2))
        found.append(mean_discrepancy(kernel(b, a), 60, n_permutations=50, rng=rng(seed)))
    assert np.mean([one.error for one in found]) == pytest.approx(np.std([one.value for one in found]), rel=0.3)


def test_two_units_a_side_are_needed() -> None:
    with pytest.raises(UsageError, match="needs two units on either side at least, got 1 and 2"):
        mean_discrepancy(np.ones((3, 3)), 1, rng=rng())


def test_beyond_chance_says_nothing_of_how_far() -> None:
    sure, unsure = BeyondChance(0.001), BeyondChance(0.4)
    assert (sure.p_above(0.5), unsure.p_above(0.5), sure.p_below(0.5)) == (0.001, 0.4, 0.0)
    assert (sure.lower(0.05), unsure.lower(0.05)) == (math.inf, 0.0)
