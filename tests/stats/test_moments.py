"""What an error says of itself, against the moments of known distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.stats.moments import Moments, in_pieces


def hits(k: int, n: int) -> np.ndarray:
    return (np.arange(n) < k) / n


def test_hits_leave_nothing_open() -> None:
    """The error of a proportion follows from the proportion: normal quantiles, as Wilson has them."""
    p, n = 0.1, 200
    found = Moments.of(hits(20, n), n)
    assert found.error == pytest.approx(math.sqrt(p * (1 - p) / (n - 1)), rel=1e-12)
    assert found.acceleration == pytest.approx((1 - 2 * p) / math.sqrt(p * (1 - p)) / 6 / math.sqrt(n), rel=1e-12)
    assert found.dof == pytest.approx(2 * n / ((1 - 3 * p * (1 - p)) / (p * (1 - p)) - 1), rel=1e-9)  # kurtosis of Bernoulli
    assert found.dof_beyond(1 / p - 1 / (1 - p)) == n - 1


def test_normal_values_have_a_degree_of_freedom_each() -> None:
    values = np.random.default_rng(1).normal(size=5000) / 5000
    found = Moments.of(values, 5000)
    assert found.dof == pytest.approx(5000, rel=0.1)
    assert found.acceleration == pytest.approx(0.0, abs=0.001)


def test_heavy_tails_have_fewer_and_at_least_one() -> None:
    one_counts = np.zeros(1000)
    one_counts[0] = 1.0
    assert Moments.of(one_counts, 1000).dof == pytest.approx(2, rel=0.01)
    assert Moments.of(np.array([0.0, 1.0]), 2).dof == 1.0


def test_pieces_keep_the_cumulants_of_units() -> None:
    rng = np.random.default_rng(2)
    units = rng.exponential(size=50_000) / 50_000
    piece = in_pieces(len(units), 500, rng)
    whole, pieces = Moments.of(units, 50_000), Moments.of(np.bincount(piece, weights=units), 50_000)
    assert np.bincount(piece).tolist() == [100] * 500
    assert pieces.error == pytest.approx(whole.error, rel=0.15)
    assert pieces.acceleration == pytest.approx(whole.acceleration, abs=0.002)
    assert whole.dof == pytest.approx(2 * 50_000 / 8, rel=0.2)  # the kurtosis of the exponential distribution is 9
    assert in_pieces(5, 200, rng).tolist() == [0, 1, 2, 3, 4]


def test_a_slope_that_the_contributions_belie_is_refused() -> None:
    """A gap of 0.02 whose error does not shrink near 0, between bounds 0 and 1."""
    values = np.random.default_rng(3).normal(size=400) / 400
    found = Moments.of(values, 400)
    assert found.dof_beyond(1 / 0.02 - 1 / 0.98) is None
    assert found.dof_beyond(0.0) == pytest.approx(found.dof)
    assert found.dof_beyond(1 / 0.4 - 1 / 0.6) == pytest.approx(400, rel=0.5)


@pytest.mark.parametrize("unit", [1e-180, 1e180])
def test_huge_and_tiny_contributions_have_the_shape_of_others(unit: float) -> None:
    values = np.random.default_rng(4).exponential(size=50)
    plain, scaled = Moments.of(values, 50), Moments.of(values * unit, 50)
    assert scaled.error == pytest.approx(plain.error * unit, rel=1e-9)
    assert (scaled.acceleration, scaled.dof) == pytest.approx((plain.acceleration, plain.dof), rel=1e-9)
    nothing = Moments.of(np.full(9, 0.25), 9)
    assert (nothing.error, nothing.acceleration, nothing.dof) == (0.0, 0.0, 8.0)
