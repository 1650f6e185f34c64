"""Ratings by comparisons: hand-worked values, likelihood equations, weights, what has no solution."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import UsageError
from harness.stats.bootstrap import resample_weights
from harness.stats.rating import (
    average_win_rate,
    bradley_terry,
    connected,
    counting,
    eigen,
    elo,
    newman,
    pagerank,
    rating_intervals,
    win_matrices,
)

LEFT, RIGHT = np.array([0, 1, 2, 0, 1]), np.array([1, 2, 0, 2, 0])
POINTS = np.array([1.0, 0.5, 1.0, 0.0, 0.0])
ONE = np.ones((1, 5))


def random_comparisons(seed, n_items=5, n=200):
    rng = np.random.default_rng(seed)
    left = rng.integers(0, n_items, n)
    right = (left + rng.integers(1, n_items, n)) % n_items
    strength = np.arange(1.0, n_items + 1)
    won = rng.random(n) < strength[left] / (strength[left] + strength[right])
    points = np.where(rng.random(n) < 0.2, 0.5, won.astype(float))
    return left, right, points


def test_wins_and_ties_by_hand():
    wins, ties = win_matrices(LEFT, RIGHT, POINTS, ONE, 3)
    assert wins[0].tolist() == [[0, 2, 0], [0, 0, 0], [2, 0, 0]]
    assert ties[0].tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert counting(wins, ties)[0].tolist() == [2.0, 0.5, 2.5]
    assert average_win_rate(wins, ties)[0].tolist() == [0.5, 0.25, 0.75]


def test_a_weight_of_two_is_two_comparisons():
    weights = np.array([[2.0, 0.0, 1.0, 3.0, 1.0]])
    copies = np.repeat(np.arange(5), weights[0].astype(int))
    weighted = win_matrices(LEFT, RIGHT, POINTS, weights, 3)
    copied = win_matrices(LEFT[copies], RIGHT[copies], POINTS[copies], np.ones((1, 7)), 3)
    assert all((a == b).all() for a, b in zip(weighted, copied))


def test_bradley_terry_solves_the_likelihood_equations():
    left, right, points = random_comparisons(1)
    wins, ties = win_matrices(left, right, points, np.ones((1, len(left))), 5)
    strengths = bradley_terry(wins, ties)[0]
    share = strengths[:, None] / (strengths[:, None] + strengths)
    taken = (wins + ties / 2)[0]
    # Every item has taken the points that it was expected to take.
    assert taken.sum(axis=1) == pytest.approx(((taken + taken.T) * share).sum(axis=1), rel=1e-10)
    assert strengths.sum() == pytest.approx(1.0)


def test_newman_solves_the_likelihood_equations_of_davidson():
    left, right, points = random_comparisons(2)
    wins, ties = win_matrices(left, right, points, np.ones((1, len(left))), 5)
    strengths, v = (found[0] for found in newman(wins, ties))
    roots = np.sqrt(np.outer(strengths, strengths))
    under = strengths[:, None] + strengths + 2 * v * roots
    played = (wins + wins.swapaxes(1, 2) + ties)[0]
    assert ties.sum() == pytest.approx((played * 2 * v * roots / under).sum(), rel=1e-9)
    expected = (played * (strengths[:, None] + v * roots) / under).sum(axis=1)
    assert (wins + ties / 2)[0].sum(axis=1) == pytest.approx(expected, rel=1e-9)
    assert np.log(strengths).mean() == pytest.approx(0.0, abs=1e-12)


def test_weightings_do_not_see_each_other():
    left, right, points = random_comparisons(3)
    weights = np.random.default_rng(4).integers(0, 3, (6, len(left))).astype(float)
    weights[2, points != 1.0] = 0.0
    weights[2, left < right] = 0.0  # nobody can have beaten a stronger one: no solution here
    together = win_matrices(left, right, points, weights, 5)
    for function in (bradley_terry, lambda *m: newman(*m)[0], eigen, pagerank):
        alone = [function(*win_matrices(left, right, points, row[None], 5))[0] for row in weights]
        assert np.allclose(function(*together), alone, rtol=1e-9, atol=1e-12, equal_nan=True)
    assert np.isnan(bradley_terry(*together)[2]).all()
    assert not np.isnan(np.delete(bradley_terry(*together), 2, axis=0)).any()


def test_islands_have_no_common_scale():
    left, right, points = np.array([0, 0, 2, 2]), np.array([1, 1, 3, 3]), np.array([1.0, 0.0, 1.0, 0.0])
    wins, ties = win_matrices(left, right, points, np.ones((1, 4)), 4)
    assert np.isnan(bradley_terry(wins, ties)).all()
    assert np.isnan(newman(wins, ties)[0]).all()
    bridged = win_matrices(np.append(left, 1), np.append(right, 2), np.append(points, 0.5), np.ones((1, 5)), 4)
    assert bradley_terry(*bridged)[0].tolist() == pytest.approx([0.25] * 4)


def test_connected_means_both_ways():
    chain = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    ring = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    assert connected(np.stack([chain, ring, np.zeros((3, 3))])).tolist() == [False, True, False]
    long = np.roll(np.eye(40), 1, axis=1)
    assert connected(np.stack([long, np.triu(long)])).tolist() == [True, False]


def test_elo_is_zero_sum_and_ordered():
    left, right, points = random_comparisons(5)
    ratings = elo(left, right, points, np.ones((1, len(left))), 5, k=16)
    assert ratings.sum() == pytest.approx(5000)
    backwards = elo(left[::-1], right[::-1], points[::-1], np.ones((1, len(left))), 5, k=16)
    assert np.abs(ratings - backwards).max() > 1


def test_a_power_iteration_that_does_not_settle_is_undefined():
    # Two items that only beat each other's opposite: the vector goes round.
    wins = np.array([[[0.0, 3.0], [1.0, 0.0]]])
    assert np.isnan(eigen(wins, np.zeros((1, 2, 2)))).all()
    assert pagerank(wins, np.zeros((1, 2, 2)))[0].tolist() == pytest.approx([0.5, 0.5])
    assert np.isnan(eigen(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)))).all()


@pytest.mark.parametrize(("left", "right", "points", "message"), [
    ([0], [0], [1.0], "an item cannot be compared with itself, got 0"),
    ([0], [3], [1.0], "items must be codes from 0 to 2, got 3 to 3"),
    ([0], [1], [0.7], "an outcome must be 1"),
    ([0, 1], [1], [1.0], "left, right and outcome must be equally many, got 2, 1 and 1"),
])
def test_bad_input_is_refused(left, right, points, message):
    with pytest.raises(UsageError, match=f"^ratings: {message}"):
        elo(np.array(left), np.array(right), np.array(points), np.ones((1, len(points))), 3)


# ── intervals ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_intervals_are_those_of_copied_comparisons():
    left, right, points = random_comparisons(6, n_items=3, n=60)
    found = rating_intervals("newman", left, right, points, 3, n_bootstrap=50, rng=np.random.default_rng(1))
    (weights,) = resample_weights(60, 50, np.random.default_rng(1))
    drawn = []
    for row in weights:
        copies = np.repeat(np.arange(60), row.astype(int))
        drawn.append(newman(*win_matrices(left[copies], right[copies], points[copies], np.ones((1, 60)), 3))[0][0])
    assert np.allclose(found.low, np.minimum(np.quantile(drawn, 0.025, axis=0), found.values))
    assert np.allclose(found.high, np.maximum(np.quantile(drawn, 0.975, axis=0), found.values))
    first = np.mean([row.argmax() == 2 for row in np.array(drawn)])
    assert found.rank_probability[2, 0] == pytest.approx(first)
    assert found.rank_probability.sum(axis=1) == pytest.approx([1.0] * 3)


def test_whole_workers_are_resampled():
    """Each worker says the same eight times: as many independent comparisons as workers, and intervals for so many."""
    left, right, points = random_comparisons(7, n_items=3, n=40)
    eightfold, workers = (np.repeat(x, 8) for x in (left, right, points)), np.repeat(np.arange(40), 8) * 10 - 7
    copies = tuple(eightfold)
    single = rating_intervals("bradley_terry", left, right, points, 3, n_bootstrap=400, rng=np.random.default_rng(2))
    whole = rating_intervals("bradley_terry", *copies, 3, clusters=workers, n_bootstrap=400, rng=np.random.default_rng(2))
    each = rating_intervals("bradley_terry", *copies, 3, n_bootstrap=400, rng=np.random.default_rng(2))
    assert np.allclose(whole.low, single.low)
    assert np.allclose(whole.high, single.high)
    assert ((each.high - each.low) < 0.6 * (whole.high - whole.low)).all()


def test_intervals_hold_the_strengths():
    rng = np.random.default_rng(3)
    strengths, held = np.array([0.5, 0.3, 0.2]), 0
    for _ in range(60):
        left = rng.integers(0, 3, 150)
        right = (left + rng.integers(1, 3, 150)) % 3
        won = (rng.random(150) < strengths[left] / (strengths[left] + strengths[right])).astype(float)
        found = rating_intervals("bradley_terry", left, right, won, 3, level=0.9, n_bootstrap=150, rng=rng)
        held += int(((found.low <= strengths) & (strengths <= found.high)).sum())
    assert held / 180 == pytest.approx(0.9, abs=0.06)


@pytest.mark.parametrize("kind", ["counting", "average_win_rate", "elo", "bradley_terry", "newman", "eigen", "pagerank"])
def test_every_kind_has_intervals_around_its_values(kind):
    left, right, points = random_comparisons(8, n_items=4, n=120)
    found = rating_intervals(kind, left, right, points, 4, n_bootstrap=60, rng=np.random.default_rng(4))
    of_elo = elo(left, right, points, np.ones((1, 120)), 4)[0]
    matrices = win_matrices(left, right, points, np.ones((1, 120)), 4)
    expected = {"elo": of_elo, "newman": newman(*matrices)[0][0]}.get(kind)
    plain = {"counting": counting, "average_win_rate": average_win_rate, "bradley_terry": bradley_terry, "eigen": eigen,
             "pagerank": pagerank}
    assert found.values.tolist() == pytest.approx((plain[kind](*matrices)[0] if expected is None else expected).tolist())
    assert (found.low < found.values).all()
    assert (found.values < found.high).all()


def test_what_resampling_leaves_undefined():
    left, right, points = np.array([0, 1, 0, 1]), np.array([1, 0, 1, 0]), np.array([1.0, 1.0, 1.0, 0.0])
    found = rating_intervals("bradley_terry", left, right, points, 2, n_bootstrap=2_000, rng=np.random.default_rng(5))
    # Undefined unless both have won: 1 - (3/4)^4 - (1/4)^4 of the resamplings are defined.
    assert found.undefined == pytest.approx(0.75**4 + 0.25**4, abs=0.03)
    lost = rating_intervals("bradley_terry", left[:3], right[:3], np.array([1.0, 0, 1]), 2, rng=np.random.default_rng(5))
    assert np.isnan(lost.values).all()
    assert np.isnan(lost.rank_probability).all()
    assert lost.undefined == 1.0
    one = rating_intervals("elo", left, right, points, 2, clusters=np.zeros(4, dtype=int), rng=np.random.default_rng(5))
    assert np.isnan(one.low).all()
    assert np.isfinite(one.values).all()
    with pytest.raises(UsageError, match=r"^rating_intervals: kind must be one of counting, .*, got 'glicko'$"):
        rating_intervals("glicko", left, right, points, 2, rng=np.random.default_rng(5))
    with pytest.raises(UsageError, match=r"^rating_intervals: 4 comparisons need as many clusters, got 3$"):
        rating_intervals("elo", left, right, points, 2, clusters=np.zeros(3, dtype=int), rng=np.random.default_rng(5))
