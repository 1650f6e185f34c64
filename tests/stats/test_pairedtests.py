"""Paired tests beside slow twins that go through every assignment one after the other."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.stats.bootstrap import Once
from harness.stats.pairedtests import paired_bootstrap_test, permutation_test, randomization_test, sign_test, t_test, wilcoxon
from harness.types import FloatArray


def ratio(totals: FloatArray) -> FloatArray:
    return np.asarray(totals[..., 0] / totals[..., 1])


def of_rows(rows: FloatArray, weights: FloatArray) -> FloatArray:
    return ratio(weights @ rows)


def spread(rows: FloatArray, weights: FloatArray) -> FloatArray:
    """The variance: a value that sums of these rows do not give."""
    total = weights.sum(axis=1)
    mean = weights @ rows[:, 0] / total
    return np.asarray(weights @ rows[:, 0] ** 2 / total - mean**2)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def series(n: int, seed: int) -> FloatArray:
    draw = rng(seed)
    return np.stack([draw.integers(0, 6, n).astype(float), draw.integers(3, 9, n).astype(float)], axis=1)


# ── randomisation ───────────────────────────────────────────────────────────────────────────────────────────────────


def every_swap(b: FloatArray, a: FloatArray, clusters: list[list[int]], value: object) -> float:
    """The share of all swaps of whole clusters that leave the systems as far apart: written out."""
    observed = abs(value(b) - value(a))  # type: ignore[operator]
    far = 0
    for swaps in itertools.product([False, True], repeat=len(clusters)):
        one, other = b.copy(), a.copy()
        for rows, swap in zip(clusters, swaps):
            if swap:
                one[rows], other[rows] = a[rows], b[rows]
        far += abs(value(one) - value(other)) >= observed - 1e-12  # type: ignore[operator]
    return float(far / 2 ** len(clusters))


@settings(max_examples=40)
@given(st.integers(1, 7), st.integers(0, 10_000))
def test_few_units_are_swapped_in_every_way(n: int, seed: int) -> None:
    b, a = series(n, seed), series(n, seed + 1)
    found = randomization_test(b, a, of_rows, finish=ratio, rng=rng())
    slow = every_swap(b, a, [[i] for i in range(n)], lambda rows: rows[:, 0].sum() / rows[:, 1].sum())
    assert found.is_exact
    assert found.p_value == pytest.approx(slow)
    assert found.difference == pytest.approx(float(of_rows(b, np.ones((1, n)))[0] - of_rows(a, np.ones((1, n)))[0]))
    assert randomization_test(b, a, of_rows, rng=rng()).p_value == pytest.approx(slow)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_whole_clusters_are_swapped(seed: int) -> None:
    b, a = series(9, seed), series(9, seed + 1)
    clusters = np.array([5, 5, 7, 7, 7, 1, 2, 2, 2])
    groups = [[0, 1], [2, 3, 4], [5], [6, 7, 8]]
    found = randomization_test(b, a, spread, clusters=clusters, rng=rng())
    assert found.p_value == pytest.approx(every_swap(b, a, groups, lambda rows: rows[:, 0].var()))
    once = Once(lambda rows: lambda weights: spread(rows, weights))
    assert randomization_test(b, a, once, clusters=clusters, rng=rng()).p_value == found.p_value


def test_repeats_share_the_vote_of_their_unit() -> None:
    b, a = series(6, 1), series(6, 2)
    twice_b, thrice_a = np.repeat(b, 2, axis=0), np.repeat(a, 3, axis=0)
    units, units_a = np.repeat(np.arange(6), 2), np.repeat(np.arange(6), 3)
    expected = randomization_test(b, a, of_rows, finish=ratio, rng=rng())
    for finish in (ratio, None):
        found = randomization_test(twice_b, thrice_a, of_rows, finish=finish, units=units, units_a=units_a, rng=rng())
        assert (found.p_value, found.difference) == (expected.p_value, pytest.approx(expected.difference))


@pytest.mark.parametrize("additive", [True, False])
def test_many_units_are_swapped_at_random(additive: bool) -> None:
    draw = rng(3)
    a = np.stack([draw.normal(size=60), np.ones(60)], axis=1)
    b = a + np.stack([draw.normal(0.25, 1, 60), np.zeros(60)], axis=1)
    found = randomization_test(b, a, of_rows, finish=ratio if additive else None, n_resamples=4000, rng=rng(1))
    assert (found.is_exact, found.n_resamples) == (False, 4000)
    # For a mean it is the permutation of signs, which is close to the t test here.
    assert found.p_value == pytest.approx(t_test(b[:, 0] - a[:, 0]), abs=0.02)
    again = randomization_test(b, a, of_rows, finish=ratio if additive else None, n_resamples=4000, rng=rng(1))
    assert found == again


def test_a_difference_beyond_all_swaps_has_the_least_p() -> None:
    a = np.stack([np.zeros(40), np.ones(40)], axis=1)
    found = randomization_test(a + np.array([1.0, 0.0]), a, of_rows, finish=ratio, n_resamples=999, rng=rng())
    assert found.p_value == 1 / 1000


def test_only_differing_units_are_swapped() -> None:
    a = np.stack([np.arange(500.0), np.ones(500)], axis=1)
    b = a.copy()
    b[:5, 0] += 1
    found = randomization_test(b, a, of_rows, finish=ratio, n_resamples=1000, rng=rng())
    assert (found.is_exact, found.n_resamples, found.p_value) == (True, 32, 2 / 32)
    same = randomization_test(a, a, of_rows, finish=ratio, rng=rng())
    assert (same.p_value, same.difference, same.is_exact) == (1.0, 0.0, True)


def test_swaps_that_leave_a_value_undefined_count_as_extreme() -> None:
    def positives(rows: FloatArray, weights: FloatArray) -> FloatArray:
        return np.where(weights @ rows[:, 0] > 0, weights @ rows[:, 1] / np.maximum(weights @ rows[:, 0], 1), np.nan)

    # One system has a positive in unit 0 only, the other in unit 1 only: after one swap one has both and one has none.
    b, a = np.array([[1.0, 1], [0, 0]]), np.array([[0.0, 0], [1, 0]])
    assert randomization_test(b, a, positives, rng=rng()).p_value == 1.0


def test_undefined_values_and_no_units_have_p_1() -> None:
    empty = np.zeros((0, 2))
    assert randomization_test(empty, empty, of_rows, finish=ratio, rng=rng()).p_value == 1.0
    assert paired_bootstrap_test(empty, empty, of_rows, finish=ratio, rng=rng()).p_value == 1.0
    with pytest.raises(UsageError, match="n_resamples must be positive"):
        randomization_test(empty, empty, of_rows, n_resamples=0, rng=rng())
    with pytest.raises(UsageError, match="n_resamples must be positive"):
        permutation_test(np.arange(30.0), n_resamples=-1, rng=rng())
    with pytest.raises(UsageError, match="n_bootstrap must be positive"):
        paired_bootstrap_test(empty, empty, of_rows, n_bootstrap=0, rng=rng())


# ── the paired bootstrap ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_paired_bootstrap_counts_what_the_worse_one_wins() -> None:
    """Five units: all 5⁵ resamples, one after the other."""
    b, a = np.array([3.13, 1.29, 3.41, 1.07, 4.91]), np.array([2.0, 2.3, 1.57, 1.83, 3.3])
    apart = np.array([np.mean((b - a)[list(drawn)]) for drawn in itertools.product(range(5), repeat=5)])
    difference = float(np.mean(b - a))
    rows_b, rows_a = np.stack([b, np.ones(5)], axis=1), np.stack([a, np.ones(5)], axis=1)
    found = paired_bootstrap_test(rows_b, rows_a, of_rows, finish=ratio, n_bootstrap=40_000, rng=rng())
    assert found.difference == pytest.approx(difference)
    assert found.wins_against == pytest.approx(np.mean(apart <= 1e-12), abs=0.01)
    assert found.p_value == pytest.approx(np.mean(np.abs(apart - apart.mean()) >= difference), abs=0.01)
    assert found.folded == pytest.approx(np.mean(np.abs(apart) - np.abs(apart).mean() >= difference), abs=0.01)


def test_the_paired_bootstrap_pairs_and_mirrors() -> None:
    draw = rng(5)
    a = np.stack([draw.normal(size=200), np.ones(200)], axis=1)
    b = a + np.stack([draw.normal(0.02, 0.1, 200), np.zeros(200)], axis=1)
    found = paired_bootstrap_test(b, a, of_rows, finish=ratio, n_bootstrap=4000, rng=rng(2))
    mirrored = paired_bootstrap_test(a, b, of_rows, n_bootstrap=4000, rng=rng(2))
    assert found.p_value == pytest.approx(mirrored.p_value)
    assert found.wins_against == pytest.approx(mirrored.wins_against)
    assert found.p_value == pytest.approx(t_test(b[:, 0] - a[:, 0]), abs=0.02)  # unpaired it would be 0.8
    same = paired_bootstrap_test(a, a, of_rows, finish=ratio, rng=rng())
    assert (same.p_value, same.wins_against, same.folded) == (1.0, 1.0, 1.0)


# ── differences ─────────────────────────────────────────────────────────────────────────────────────────────────────

numbers = st.lists(st.sampled_from([-3.0, -2, -1, -0.5, 0, 0.5, 1, 2, 4]), min_size=1, max_size=9)


@given(numbers)
def test_the_permutation_test_goes_through_all_signs(differences: list[float]) -> None:
    d = np.array(differences)
    sums = np.array([float(np.dot(signs, d)) for signs in itertools.product([1, -1], repeat=len(d))])
    observed = d.sum()
    for alternative, share in (("two-sided", np.mean(np.abs(sums) >= abs(observed) - 1e-9)),
                               ("greater", np.mean(sums >= observed - 1e-9)),
                               ("less", np.mean(sums <= observed + 1e-9))):  # fmt: skip
        found = permutation_test(d, alternative=alternative, rng=rng())  # type: ignore[arg-type]
        assert found.p_value == pytest.approx(share)
        assert found.difference == pytest.approx(d.mean())


def test_many_signs_are_drawn() -> None:
    d = rng(7).normal(0.3, 1, 50)
    found = permutation_test(d, n_resamples=5000, rng=rng())
    assert (found.is_exact, found.n_resamples) == (False, 5000)
    assert found.p_value == pytest.approx(t_test(d), abs=0.02)
    assert permutation_test(np.full(50, 0.1), n_resamples=999, rng=rng()).p_value == 1 / 1000


@given(numbers, st.sampled_from(["wilcox", "pratt"]))
def test_wilcoxon_goes_through_all_signs_of_its_ranks(differences: list[float], zeros: str) -> None:
    d = np.array(differences)
    ranked = d[d != 0] if zeros == "wilcox" else d
    sizes = np.abs(ranked)
    ranks = np.array([np.mean(np.flatnonzero(np.sort(sizes) == size)) + 1 for size in sizes])[ranked != 0]
    observed = ranks[ranked[ranked != 0] > 0].sum()
    sums = np.array([float(np.dot(signs, ranks)) for signs in itertools.product([0, 1], repeat=len(ranks))])
    less, greater = np.mean(sums <= observed + 1e-9), np.mean(sums >= observed - 1e-9)
    for alternative, share in (("less", less), ("greater", greater), ("two-sided", min(1.0, 2 * min(less, greater)))):
        found = wilcoxon(d, zeros=zeros, alternative=alternative)  # type: ignore[arg-type]
        assert found == pytest.approx(share if len(ranks) else 1.0)


def test_no_differences_are_no_evidence() -> None:
    for d in (np.zeros(0), np.zeros(5)):
        assert permutation_test(d, rng=rng()).p_value == wilcoxon(d) == t_test(d) == sign_test(d) == 1.0
    assert math.isnan(t_test(np.full(4, 2.0)))
    assert sign_test(np.array([1.0, 2, 0, -1, 3, 1])) == pytest.approx(2 * (1 + 5) / 32)


@pytest.mark.parametrize("call", [
    lambda: wilcoxon(np.ones((2, 2))), lambda: t_test(np.array([1.0, np.nan])), lambda: wilcoxon(np.ones(3), zeros="drop"),
    lambda: permutation_test(np.ones(3), alternative="up", rng=rng()),
])  # fmt: skip
def test_what_does_not_fit_is_refused(call: object) -> None:
    with pytest.raises(UsageError):
        call()  # type: ignore[operator]
