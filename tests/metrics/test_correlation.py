"""Correlations: hand-worked values, slow twins, weights as copies, undefined cases."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.metrics.correlation import (
    kendall,
    pearson,
    spearman,
    weighted_kendall,
    weighted_pearson,
    weighted_spearman,
)

FUNCTIONS = {pearson: weighted_pearson, spearman: weighted_spearman, kendall: weighted_kendall}


def pearson_twin(x, y):
    n = len(x)
    dx, dy = [a - sum(x) / n for a in x], [b - sum(y) / n for b in y]
    return sum(a * b for a, b in zip(dx, dy)) / math.sqrt(sum(a * a for a in dx) * sum(b * b for b in dy))


def spearman_twin(x, y):
    def ranks(series):
        return [sum(b < a for b in series) + (sum(b == a for b in series) + 1) / 2 for a in series]

    return pearson_twin(ranks(x), ranks(y))


def kendall_twin(x, y):
    concordant = discordant = x_untied = y_untied = 0
    for (a, b), (c, d) in itertools.combinations(zip(x, y), 2):
        sign = np.sign(a - c) * np.sign(b - d)
        concordant, discordant = concordant + (sign > 0), discordant + (sign < 0)
        x_untied, y_untied = x_untied + (a != c), y_untied + (b != d)
    return (concordant - discordant) / math.sqrt(x_untied * y_untied)


TWINS = {pearson: pearson_twin, spearman: spearman_twin, kendall: kendall_twin}
small = st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 3), st.integers(0, 3)), min_size=2, max_size=12)


@pytest.mark.parametrize("function", FUNCTIONS)
@given(rows=small)
@settings(max_examples=60, deadline=None)
def test_weights_are_copies_and_values_those_of_the_slow_twin(function, rows):
    x, y, weights = (np.array(column, dtype=float) for column in zip(*rows))
    copies = [np.repeat(series, weights.astype(int)).tolist() for series in (x, y)]
    ours = function(x, y, sample_weight=weights)
    if len(set(copies[0])) < 2 or len(set(copies[1])) < 2:
        assert math.isnan(ours)
    else:
        assert ours == pytest.approx(TWINS[function](*copies), abs=1e-12)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_many_weightings_at_once_are_each_by_itself(function):
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=700).round(1), rng.normal(size=700).round(1)
    weights = rng.integers(0, 3, (400, 700)).astype(float)
    together = FUNCTIONS[function](x, y, weights)
    assert together[:5].tolist() == pytest.approx([function(x, y, sample_weight=w) for w in weights[:5]], abs=1e-13)
    assert together[-1] == pytest.approx(function(x, y, sample_weight=weights[-1]), abs=1e-13)
    assert together.shape == (400,)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_ends_of_the_scale(function):
    x = np.array([1.0, 2.0, 5.0, 7.0])
    assert function(x, 3 * x + 1) == pytest.approx(1.0, abs=1e-15)
    assert function(x, -x) == pytest.approx(-1.0, abs=1e-15)
    assert function(x, -x) >= -1.0
    assert function(x, x) <= 1.0


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(("x", "y"), [([], []), ([1.0], [2.0]), ([0.1] * 5, [1.0, 2, 3, 4, 5]), ([1.0, 2.0, 3.0], [0.3] * 3)])
def test_what_does_not_vary_has_no_correlation(function, x, y):
    assert math.isnan(function(x, y))


def test_tau_b_counts_ties_on_both_sides():
    # 10 pairs; (1,1) tied in x once, y tied once: concordant 7, discordant 1, so 6 / 9.
    x, y = [1, 1, 2, 3, 4], [1, 2, 2, 5, 4]
    assert kendall(x, y) == pytest.approx(6 / 9)


def test_a_large_mean_costs_no_digits():
    x, y = np.array([0.0, 1.0, 2.0, 5.0]), np.array([1.0, 0.0, 2.0, 4.0])
    assert pearson(x + 2.0**45, y - 2.0**45) == pytest.approx(pearson(x, y), abs=1e-13)
    assert pearson(x * 1e300, y * 1e-300) == pytest.approx(pearson(x, y), abs=1e-13)


def test_resamplings_of_one_row_are_undefined():
    x, y = np.array([0.1, 0.7, 0.9]), np.array([0.3, 0.2, 0.6])
    weights = np.array([[3.0, 0.0, 0.0]])
    assert all(math.isnan(function(x, y, weights)[0]) for function in FUNCTIONS.values())
