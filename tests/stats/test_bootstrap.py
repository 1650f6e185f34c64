"""The fast bootstrap against literal resampling of rows with the same drawn indices."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats as scipy_stats

from harness.errors import UsageError
from harness.stats import bootstrap
from harness.stats.bootstrap import Once, percentile_interval, replicates, resample_weights

Array = np.ndarray


def drawn_indices(n_units: int, n_replicates: int, seed: int) -> Array:
    return np.random.default_rng(seed).integers(0, n_units, size=(n_replicates, n_units))


def mean(totals: Array) -> Array:
    return totals[..., 0] / totals[..., 1]


def weighted_median(stats: Array, weights: Array) -> Array:
    return np.array([np.median(np.repeat(stats[:, 0], row.astype(int))) for row in weights])


def test_weights_count_the_draws() -> None:
    weights = np.concatenate(list(resample_weights(7, 20, np.random.default_rng(3))))
    expected = [[list(row).count(unit) for unit in range(7)] for row in drawn_indices(7, 20, 3)]
    assert weights.tolist() == expected


@pytest.mark.parametrize("drawn_bytes", [8 * 10 * 3, 2**20])
def test_weights_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch, drawn_bytes: int) -> None:
    expected = [[list(row).count(unit) for unit in range(10)] for row in drawn_indices(10, 25, 1)]
    monkeypatch.setattr(bootstrap, "_DRAWN_BYTES", drawn_bytes)
    blocks = list(resample_weights(10, 25, np.random.default_rng(1), block_bytes=8 * 10 * 4))
    assert [len(block) for block in blocks] == [4, 4, 4, 4, 4, 4, 1]
    assert np.concatenate(blocks).tolist() == expected


MANY = 3000


def test_many_units_are_drawn_as_often_as_there_are_units() -> None:
    weights = np.concatenate(list(resample_weights(MANY, 20, np.random.default_rng(3))))
    assert weights.shape == (20, MANY)
    assert (weights.sum(axis=1) == MANY).all()
    assert (weights == np.floor(weights)).all()
    assert (weights >= 0).all()


def test_counts_of_many_units_are_multinomial() -> None:
    """Each count is binomial(n, 1/n), and two counts of a row have the multinomial's covariance -1/n."""
    weights = np.concatenate(list(resample_weights(MANY, 2000, np.random.default_rng(11))))
    observed = np.bincount(weights.astype(int).ravel(), minlength=8)
    expected = scipy_stats.binom(MANY, 1 / MANY).pmf(np.arange(len(observed))) * weights.size
    kept = expected > 50
    z = (observed - expected)[kept] / np.sqrt(expected[kept])
    assert np.abs(z).max() < 4.5
    assert kept.sum() >= 8  # counts of 0 to 7: the rare ones come from what is left over in the table
    assert np.abs(weights.mean(axis=0) - 1).max() < 5.5 / np.sqrt(2000)
    halves = weights[:, : MANY // 2].sum(axis=1)  # binomial(n, 1/2)
    assert halves.var() == pytest.approx(MANY / 4, rel=0.15)
    assert halves.mean() == pytest.approx(MANY / 2, abs=5 * np.sqrt(MANY / 4 / 2000))


def test_the_left_over_cells_keep_the_poisson_probabilities() -> None:
    """The table and what is left of each probability make the Poisson probabilities again, to rounding."""
    many = bootstrap._ManyUnits.of(MANY)
    mean = 1 - 6 / np.sqrt(MANY)
    whole = np.bincount(many.table, minlength=256)
    undecided = whole[255] / 2**16
    rest = np.diff(many.left_over, prepend=0.0)
    made = whole[:40] / 2**16 + undecided * rest
    assert made == pytest.approx(scipy_stats.poisson(mean).pmf(np.arange(40)), abs=1e-12)
    assert 0 < whole[255] < 40


def test_many_units_do_not_depend_on_the_blocks_and_pair() -> None:
    whole = np.concatenate(list(resample_weights(MANY, 7, np.random.default_rng(1))))
    parts = np.concatenate(list(resample_weights(MANY, 7, np.random.default_rng(1), block_bytes=8 * MANY * 2)))
    assert np.array_equal(whole, parts)
    assert not np.array_equal(whole[0], whole[1])
    stats = np.random.default_rng(0).normal(size=(MANY, 2))
    stats[:, 1] = 1.0
    additive = replicates(weighted_mean, stats, finish=mean, n_bootstrap=7, rng=np.random.default_rng(1))
    literal = [np.average(stats[:, 0], weights=row) for row in whole]
    assert additive == pytest.approx(literal, rel=1e-12)
    assert replicates(weighted_mean, stats, n_bootstrap=7, rng=np.random.default_rng(1)) == pytest.approx(literal, rel=1e-12)


@pytest.mark.parametrize("n", [21, MANY])
def test_once_sorts_once(n: int) -> None:
    stats, calls = np.random.default_rng(0).normal(size=(n, 1)), []

    def over(stats: Array) -> Callable[[Array], Array]:
        calls.append(len(stats))
        return lambda weights: weighted_median(stats, weights)

    once = replicates(Once(over), stats, n_bootstrap=40, rng=np.random.default_rng(5))
    plain = replicates(weighted_median, stats, n_bootstrap=40, rng=np.random.default_rng(5))
    assert once.tolist() == plain.tolist()
    assert calls == [n]
    assert Once(over)(stats, np.ones((1, n))).tolist() == [np.median(stats[:, 0])]


def test_values_that_are_views_of_the_weights_are_kept() -> None:
    """The blocks share their memory: what an aggregate returns is copied before the next one is drawn."""
    first = replicates(lambda s, w: w[:, 0], np.zeros((MANY, 1)), n_bootstrap=3000, rng=np.random.default_rng(1))
    whole = np.concatenate([block[:, 0] for block in resample_weights(MANY, 3000, np.random.default_rng(1))])
    assert first.tolist() == whole.tolist()


def test_additive_equals_literal_resampling() -> None:
    rng = np.random.default_rng(0)
    stats = np.stack([rng.normal(size=30), rng.integers(1, 4, size=30)], axis=1)
    fast = replicates(lambda s, w: mean(w @ s), stats, finish=mean, n_bootstrap=50, rng=np.random.default_rng(8))
    slow = [stats[row, 0].sum() / stats[row, 1].sum() for row in drawn_indices(30, 50, 8)]
    assert fast == pytest.approx(slow, rel=1e-12)


def test_aggregate_equals_literal_resampling() -> None:
    stats = np.random.default_rng(0).normal(size=(21, 1))
    fast = replicates(weighted_median, stats, n_bootstrap=40, rng=np.random.default_rng(5))
    slow = [np.median(stats[row, 0]) for row in drawn_indices(21, 40, 5)]
    assert fast == pytest.approx(slow, rel=1e-12)


@pytest.mark.parametrize("additive", [True, False])
def test_clusters_are_drawn_whole(additive: bool) -> None:
    groups = np.array([2, 0, 0, 1, 2, 2, 3])
    values = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
    stats = np.stack([values, np.ones(7)], axis=1)
    fast = replicates(
        lambda s, w: mean(w @ s), stats, groups=groups, finish=mean if additive else None,
        n_bootstrap=60, rng=np.random.default_rng(4),
    )
    members = {0: [2.0, 4.0], 1: [8.0], 2: [1.0, 16.0, 32.0], 3: [64.0]}
    slow = [np.mean([value for cluster in row for value in members[cluster]]) for row in drawn_indices(4, 60, 4)]
    assert fast == pytest.approx(slow, rel=1e-12)


@pytest.mark.parametrize("additive", [True, False])
def test_weights_inside_a_cluster(additive: bool) -> None:
    groups, weights = np.array([0, 0, 1, 2]), np.array([0.5, 0.5, 1.0, 1.0])
    stats = np.array([[2.0, 1.0], [4.0, 1.0], [5.0, 1.0], [9.0, 1.0]])
    fast = replicates(
        lambda s, w: mean(w @ s), stats, groups=groups, weights=weights, finish=mean if additive else None,
        n_bootstrap=30, rng=np.random.default_rng(2),
    )
    slow = [np.mean(np.array([3.0, 5.0, 9.0])[row]) for row in drawn_indices(3, 30, 2)]
    assert fast == pytest.approx(slow, rel=1e-12)


def test_same_generator_pairs_models() -> None:
    a, b = np.random.default_rng(1).normal(size=(2, 40, 1))
    first, second, difference = (
        replicates(weighted_mean, stats, n_bootstrap=30, rng=np.random.default_rng(9)) for stats in (a, b, a - b)
    )
    assert first - second == pytest.approx(difference, abs=1e-12)


def weighted_mean(stats: Array, weights: Array) -> Array:
    return weights @ stats[:, 0] / weights.sum(axis=1)


def test_percentile_interval_by_hand() -> None:
    assert percentile_interval(np.arange(101.0)[::-1], 0.9) == pytest.approx((5.0, 95.0))
    assert percentile_interval(np.array([np.nan, 1.0, 3.0, np.inf]), 0.5) == (1.5, 2.5)
    assert np.isnan(percentile_interval(np.array([np.nan]))).all()


def test_refuses_nothing_to_draw() -> None:
    with pytest.raises(UsageError, match="at least one"):
        next(resample_weights(0, 10, np.random.default_rng(0)))
