"""Variance components: analysis of variance written out, unbiasedness with gaps, what cannot be told."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.stats.agreement import icc
from harness.stats.components import run_noise, variance_components

NAMES = ("item", "repeat", "judge", "item_repeat", "item_judge", "repeat_judge", "residual")
TRUE = (1.0, 0.25, 0.49, 0.09, 0.16, 0.04, 0.36)


def drawn(rng, items, repeats, judges):
    shapes = [(items, 1, 1), (1, repeats, 1), (1, 1, judges), (items, repeats, 1), (items, 1, judges), (1, repeats, judges),
              (items, repeats, judges)]
    return sum(math.sqrt(variance) * rng.standard_normal(shape) for variance, shape in zip(TRUE, shapes))


def mean_squares(y):
    """The expected mean squares of a full table, solved (Brennan 2001, table 3.3)."""
    i, r, j = y.shape
    m = y.mean()
    over = {axes: y.mean(axis=tuple(a for a in range(3) if a not in axes), keepdims=True) - m
            for axes in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2))}
    mi, mr, mj = (y.size / y.shape[a] * (over[(a,)] ** 2).sum() / (y.shape[a] - 1) for a in range(3))
    mir, mij, mrj = (y.size / (y.shape[a] * y.shape[b]) * ((over[a, b] - over[(a,)] - over[(b,)]) ** 2).sum()
                     / ((y.shape[a] - 1) * (y.shape[b] - 1)) for a, b in ((0, 1), (0, 2), (1, 2)))
    rest = y - m - over[0, 1] - over[0, 2] - over[1, 2] + over[(0,)] + over[(1,)] + over[(2,)]
    e = (rest**2).sum() / ((i - 1) * (r - 1) * (j - 1))
    return ((mi - mir - mij + e) / (r * j), (mr - mir - mrj + e) / (i * j), (mj - mij - mrj + e) / (i * r), (mir - e) / j,
            (mij - e) / r, (mrj - e) / i, e)


@given(seed=st.integers(0, 10_000), shape=st.tuples(st.integers(2, 6), st.integers(2, 4), st.integers(2, 4)))
@settings(max_examples=40, deadline=None)
def test_full_tables_give_the_anova_estimators(seed, shape):
    values = drawn(np.random.default_rng(seed), *shape)
    found, expected = variance_components(values), mean_squares(values)
    assert [getattr(found, name) for name in NAMES] == pytest.approx([max(x, 0.0) for x in expected], abs=1e-9)
    assert set(found.truncated) == {name for name, x in zip(NAMES, expected) if x < -1e-12}
    assert found.error == pytest.approx(found.error_with(*shape))


def test_two_facets_by_hand():
    values = np.array([[1.0, 3.0], [5.0, 9.0]])
    # Cells of one item differ by 2 and 4 (half squares: mean 5), of one repeat by 4 and 6 (13), of neither by 8 and 2 (17).
    found = variance_components(values)
    assert (found.item, found.repeat, found.residual) == pytest.approx((17 - 5, 17 - 13, 5 + 13 - 17))
    assert found.error == pytest.approx(math.sqrt(12 / 2 + 4 / 2 + 1 / 4))
    assert found.error_with(10, 1) == pytest.approx(math.sqrt(12 / 10 + 4 + 1 / 10))
    assert found.generalizability(4) == pytest.approx(12 / (12 + 1 / 4))
    assert found.dependability(4) == pytest.approx(12 / (12 + 4 / 4 + 1 / 4))
    assert math.isnan(found.judge)
    gap = variance_components(np.array([[1.0, 3.0], [5.0, np.nan]]))
    # Pairs left: 2 (half square 2), 4 (8), and of neither 2 (2).
    assert (gap.item, gap.repeat, gap.residual) == pytest.approx((0.0, 0.0, 8.0))
    assert gap.truncated == ("repeat",)


def test_gaps_bring_no_bias():
    rng = np.random.default_rng(7)
    found = []
    for _ in range(400):
        values = drawn(rng, 20, 5, 4)
        values[rng.random(values.shape) < 0.3] = np.nan
        components = variance_components(values)
        found.append([getattr(components, name) for name in NAMES])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / 20
    # 0.01: what setting estimates below 0 to 0 adds to the small ones.
    assert (np.abs(mean - TRUE) < 4 * error + 0.01).all()


def test_coefficients_are_the_intraclass_correlations():
    values = drawn(np.random.default_rng(1), 12, 6, 1)[:, :, 0]
    found, ones = variance_components(values), np.ones((1, 12))
    for repeats, kinds in ((1, "32"), (6, ("3k", "2k"))):
        both = found.generalizability(repeats), found.dependability(repeats)
        assert both == pytest.approx([icc(values, ones, kind)[0] for kind in kinds], rel=1e-9)


def test_a_large_mean_costs_no_digits():
    values = np.random.default_rng(1).integers(0, 9, (6, 3)).astype(float)
    plain, moved = variance_components(values), variance_components(values + 2.0**30)
    assert (moved.item, moved.residual) == pytest.approx((plain.item, plain.residual), rel=1e-6)


def test_what_cannot_be_told():
    one = variance_components(np.array([[1.0, 2.0, 4.0]]))
    assert math.isnan(one.item)
    assert math.isnan(one.error)
    assert one.mean == pytest.approx(7 / 3)
    nothing = variance_components(np.full((3, 2), np.nan))
    assert math.isnan(nothing.mean)
    flat = variance_components(np.full((4, 3), 0.1 + 0.2))
    assert (flat.item, flat.repeat, flat.residual, flat.truncated) == (0.0, 0.0, 0.0, ())
    assert math.isnan(flat.generalizability())
    assert math.isnan(flat.dependability())
    # One repeat only: items and noise cannot be told apart, their sum is the residual.
    single = variance_components(np.array([[1.0], [2.0], [4.0]]))
    assert math.isnan(single.item)
    assert single.residual == pytest.approx(np.var([1, 2, 4], ddof=1))
    assert single.error == pytest.approx(math.sqrt(single.residual / 3))
    with pytest.raises(UsageError, match=r"^variance_components: values must be .* got shape \(3,\)$"):
        variance_components(np.zeros(3))
    with pytest.raises(UsageError, match=r"^components: sizes must be at least 1, got 0 items"):
        flat.error_with(0)


# ── noise from run to run ───────────────────────────────────────────────────────────────────────────────────────────


def test_run_noise_by_hand():
    # Means of the runs 2.5, 2.5 and 4, of the items 1 and 5.
    found = run_noise(np.array([[0.0, 5.0], [2.0, 3.0], [1.0, 7.0]]))
    assert found.total == pytest.approx(np.var([2.5, 2.5, 4.0], ddof=1))
    rest = np.array([[0, 5], [2, 3], [1, 7]]) - np.array([[2.5], [2.5], [4]]) - np.array([[-2, 2]])
    assert found.expected == pytest.approx((rest**2).sum() / 2 / 2)
    assert (found.variance, found.dof) == (0.0, 2.0)
    assert (found.n_runs, found.n_items) == (3, 2)


def test_run_noise_finds_what_runs_share():
    rng = np.random.default_rng(12)
    variance, covered = [], []
    for _ in range(600):
        values = rng.standard_normal((1, 200)) + 0.5 * rng.standard_normal((6, 200)) + 0.2 * rng.standard_normal((6, 1))
        found = run_noise(values)
        variance.append(found.variance)
        assert 0 < found.dof <= 5
        covered.append(found.expected)
    assert np.mean(variance) == pytest.approx(0.04, rel=0.1)
    assert np.mean(covered) == pytest.approx(0.25 / 200, rel=0.02)
    # The Satterthwaite dof: var(estimate) = 2 E² / dof; with 0.04 against 0.00125 nearly runs - 1.
    assert np.var(variance) == pytest.approx(2 * 0.04**2 / 4.7, rel=0.25)


def test_run_noise_of_independent_items_is_small():
    rng = np.random.default_rng(13)
    found = [run_noise(rng.standard_normal((5, 100))) for _ in range(800)]
    assert np.mean([noise.variance > 0 for noise in found]) == pytest.approx(0.40, abs=0.05)
    assert np.mean([noise.variance for noise in found]) < 0.5 / 100


def test_run_noise_edges():
    same = run_noise(np.tile([0.1, 0.2, 0.7], (3, 1)))
    assert (same.variance, same.dof, same.total) == (0.0, 2.0, 0.0)
    shifted = run_noise(np.array([[1.0, 2, 3], [2, 3, 4]]))
    assert (shifted.variance, shifted.dof, shifted.expected) == pytest.approx((0.5, 1.0, 0.0))
    gappy = run_noise(np.array([[1.0, 2, np.nan, 3], [2, 3, 5, 4]]))
    assert (gappy.variance, gappy.n_items) == (pytest.approx(0.5), 3)
    assert math.isnan(run_noise(np.array([[1.0, np.nan], [2.0, 1.0]])).variance)
    with pytest.raises(UsageError, match=r"^run_noise: values must be \(runs, items\) of at least two runs, got"):
        run_noise(np.zeros((1, 4)))
