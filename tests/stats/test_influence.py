"""Contributions of clusters: worked out by hand, and what has no slope."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats.influence import Shape, left_out_contributions, linear_contributions
from harness.stats.pairs import Side
from harness.types import FloatArray


def ratio(totals: FloatArray) -> FloatArray:
    return np.divide(totals[..., 0], totals[..., 1], out=np.full(totals.shape[:-1], np.nan), where=totals[..., 1] > 0)


SUMS = np.array([[3.0, 4], [1, 2], [0, 5], [6, 9]])


def test_a_ratio_contributes_its_residuals() -> None:
    # (x - R n) / N with R = 10 / 20
    found = linear_contributions(ratio, SUMS)
    assert found is not None
    assert found.tolist() == pytest.approx([1 / 20, 0.0, -2.5 / 20, 1.5 / 20], abs=1e-9)


def test_a_product_far_from_one_is_as_exact() -> None:
    # d(x y) = y dx + x dy
    found = linear_contributions(lambda totals: totals[..., 0] * totals[..., 1] * 1e12, SUMS)
    assert found is not None
    assert found == pytest.approx((SUMS @ np.array([20.0, 10.0])) * 1e12, rel=1e-9)


def test_what_is_bent_or_undefined_beside_the_totals_has_no_slope() -> None:
    assert linear_contributions(lambda totals: np.minimum(ratio(totals), 0.5), SUMS) is None
    assert linear_contributions(lambda totals: np.maximum(ratio(totals), 0.4), SUMS) is not None
    assert linear_contributions(lambda totals: np.where(totals[..., 0] > 10, np.nan, 1.0), SUMS) is None
    assert linear_contributions(ratio, np.zeros((3, 2))) is None


def test_leaving_out_moves_a_mean_by_its_distance() -> None:
    # mean without i = (n mean - x) / (n - 1), times -(n - 1) / n: (x - n mean) / n
    x = np.array([1.0, 4, 2, 9])
    side = Side(np.stack([x, np.ones(4)], axis=1), None, None)
    found = left_out_contributions(lambda rows, weights: ratio(weights @ rows), side, 4)
    assert found is not None
    assert found.tolist() == pytest.approx(((x - 16) / 4).tolist())
    alone = Side(np.array([[0.0, 1], [1, 0]]), None, None)
    assert left_out_contributions(lambda rows, weights: ratio(weights @ rows), alone, 2) is None


def test_the_shape_of_contributions() -> None:
    from scipy import stats

    x = np.random.default_rng(0).lognormal(size=30)
    shape = Shape.of(x / 30)
    assert shape.error == pytest.approx(stats.sem(x))
    assert shape.skew == pytest.approx(stats.skew(x) / np.sqrt(30))
    assert shape.dof == pytest.approx(1 / (1 / 29 + stats.kurtosis(x) / 60))
    flat = Shape.of(np.linspace(0, 1, 30))
    assert flat.dof == pytest.approx(29)  # light tails add none
    constant = Shape.of(np.full(5, 0.1))
    assert (constant.skew, constant.dof) == (0.0, 4.0)
