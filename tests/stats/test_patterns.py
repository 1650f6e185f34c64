"""Rows of few distinct values, drawn as a multinomial: the distribution of literal resampling, not its draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from harness.stats.bootstrap import Once, replicates
from harness.stats.patterns import Patterns, lone_replicates

Array = np.ndarray


def codes(n: int = 400, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 3, size=(n, 2)).astype(float)


def agreement(stats: Array, weights: Array) -> Array:
    """The share of pairs of equal codes among rows whose first code is 1: not additive for the caller."""
    ones = stats[:, 0] == 1
    return (weights * (ones & (stats[:, 1] == 1))).sum(axis=1) / (weights * ones).sum(axis=1)


def test_patterns_are_the_distinct_rows() -> None:
    rows = codes()
    found = Patterns.of(rows)
    assert found is not None
    assert len(found.rows) == 9
    assert np.array_equal(found.rows[found.pattern_of_row], rows)
    assert sorted(zip(found.rows.tolist(), found.counts)) == sorted(
        ([a, b], int(((rows == (a, b)).all(axis=1)).sum())) for a in range(3) for b in range(3)
    )


def test_many_values_have_no_patterns() -> None:
    rng = np.random.default_rng(1)
    assert Patterns.of(rng.normal(size=(400, 1))) is None
    assert Patterns.of(np.zeros((10, 1))) is None  # too few rows to be worth while
    late = np.r_[np.zeros(9000), rng.normal(size=9000)][:, None]
    assert Patterns.of(late) is None


def test_rows_of_one_projection_are_told_apart() -> None:
    """The rows are looked for in one direction; rows that fall together there must not be taken for one."""
    direction = np.random.default_rng(0).random(2)
    one = np.ones(2)
    other = one + np.array([direction[1], -direction[0]]) * 2.0**-40
    rows = np.repeat([one, other], 100, axis=0)
    found = Patterns.of(rows)
    assert found is None or np.array_equal(found.rows[found.pattern_of_row], rows)


@pytest.mark.parametrize("aggregate", [agreement, Once(lambda s: lambda w: agreement(s, w))])
def test_the_distribution_is_that_of_resampled_rows(aggregate) -> None:
    rows = codes()
    fast = lone_replicates(aggregate, rows, n_bootstrap=4000, rng=np.random.default_rng(3))
    slow = [agreement(rows[drawn], np.ones((1, 400)))[0] for drawn in np.random.default_rng(4).integers(0, 400, (4000, 400))]
    assert scipy_stats.ks_2samp(fast, slow).pvalue > 0.01
    assert fast.std() == pytest.approx(np.std(slow), rel=0.06)
    assert fast.mean() == pytest.approx(np.mean(slow), abs=4 * np.std(slow) / np.sqrt(2000))


def test_additive_rows_too() -> None:
    rows = np.column_stack([np.arange(200) < 60, np.ones(200)]).astype(float)
    drawn = lone_replicates(agreement, rows, finish=lambda t: t[..., 0], n_bootstrap=5000, rng=np.random.default_rng(3))
    observed = np.bincount(drawn.astype(int), minlength=201)
    expected = scipy_stats.binom(200, 0.3).pmf(np.arange(201)) * 5000
    often = expected > 20
    assert scipy_stats.chisquare([*observed[often], observed[~often].sum()],
                                 [*expected[often], expected[~often].sum()]).pvalue > 0.01


def test_clusters_weights_and_many_values_are_drawn_row_by_row() -> None:
    rows, groups = codes(), np.arange(400) // 4
    for settings in ({"groups": groups}, {"groups": groups, "weights": np.full(400, 0.25)}):
        ours = lone_replicates(agreement, rows, n_bootstrap=5, rng=np.random.default_rng(1), **settings)
        assert ours.tolist() == replicates(agreement, rows, n_bootstrap=5, rng=np.random.default_rng(1), **settings).tolist()


def test_leaving_one_row_of_a_pattern_out_is_the_jackknife() -> None:
    rows = codes(160)
    patterns = Patterns.of(rows)
    assert patterns is not None
    fast = agreement(patterns.rows, patterns.without_one())[patterns.pattern_of_row]
    slow = [agreement(np.delete(rows, i, axis=0), np.ones((1, 159)))[0] for i in range(160)]
    assert fast == pytest.approx(slow, rel=1e-12)
