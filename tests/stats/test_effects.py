"""Effect sizes: worked values, twins that look at every pair, what has no size."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.stats.effects import cliffs_delta, cohen_d, cohen_dz, hedges_g, hedges_gz, vargha_delaney_a, win_loss_tie

B, A = np.array([3.0, 5.0, 4.0, 7.0]), np.array([2.0, 2.0, 5.0, 3.0])


def test_standardised_differences_by_hand():
    # Means 4.75 and 3; squares 8.75 and 6 over 6 degrees of freedom.
    assert cohen_d(B, A) == pytest.approx(1.75 / math.sqrt(14.75 / 6))
    # Differences 1, 3, -1, 4: mean 1.75, squares 14.75 over 3.
    assert cohen_dz(B, A) == pytest.approx(1.75 / math.sqrt(14.75 / 3))
    # J(m) of Hedges 1981: J(6) = Γ(3) / (√3 Γ(2.5)) = 2 / (√3 · 1.32934).
    assert hedges_g(B, A) == pytest.approx(cohen_d(B, A) * 2 / (math.sqrt(3) * 1.329340388))
    # J(3) = Γ(1.5) / (√1.5 Γ(1)) = 0.886227 / √1.5.
    assert hedges_gz(B, A) == pytest.approx(cohen_dz(B, A) * 0.8862269255 / math.sqrt(1.5))
    many = np.arange(1000.0)
    assert hedges_g(many + 1, many) == pytest.approx(cohen_d(many + 1, many), rel=1e-3)


def test_hedges_g_has_no_bias():
    rng = np.random.default_rng(2)
    drawn = rng.standard_normal((4_000, 2, 4))
    biased, unbiased = np.mean([(cohen_d(b + 1, a), hedges_g(b + 1, a)) for b, a in drawn], axis=0)
    assert unbiased == pytest.approx(1.0, abs=0.04)
    assert biased > 1.1


values = st.lists(st.integers(-3, 3).map(float), max_size=8).map(np.array)


@given(b=values, a=values)
@settings(max_examples=80, deadline=None)
def test_cliffs_delta_looks_at_every_pair(b, a):
    pairs = [(x, y) for x in b.tolist() for y in a.tolist()]
    twin = sum((x > y) - (x < y) for x, y in pairs) / len(pairs) if pairs else math.nan
    superior = sum((x > y) + (x == y) / 2 for x, y in pairs) / len(pairs) if pairs else math.nan
    assert cliffs_delta(b, a) == pytest.approx(twin, nan_ok=True)
    assert vargha_delaney_a(b, a) == pytest.approx(superior, nan_ok=True)
    assert cliffs_delta(a, b) == pytest.approx(-twin, nan_ok=True)


def test_cliffs_delta_of_many_values():
    b, a = np.arange(500_000.0), np.arange(500_000.0) - 0.5
    # Pairs (x, y - 1/2): x >= y wins: n (n + 1) / 2 of them.
    n = 500_000
    assert cliffs_delta(b, a) == pytest.approx((2 * (n * (n + 1) // 2) - n * n) / (n * n), rel=1e-12)


def test_wins_losses_ties():
    b, a = np.array([1.0, 2.0, 3.0, 3.0, np.nan, 0.52]), np.array([0.0, 2.0, 4.0, 1.0, 5.0, 0.5])
    found = win_loss_tie(b, a)
    assert (found.wins, found.losses, found.ties) == (3, 1, 1)
    assert (found.net, found.share) == (0.4, 0.75)
    assert win_loss_tie(b, a, tolerance=0.05).wins == 2
    known = win_loss_tie(np.array([1.0] * 12 + [0.0] * 2 + [1.0] * 36), np.array([0.0] * 12 + [1.0] * 2 + [1.0] * 36))
    assert (known.wins, known.losses, known.ties, known.net) == (12, 2, 36, 0.2)
    # At both ends e of Tango's interval the score of 10 - 50 e is 1.96, with the likeliest shares that differ by e.
    for end in (known.low, known.high):
        p21 = np.linspace(max(0.0, -end), min(1.0, (1 - end) / 2), 200_001)[1:-1]
        p12 = p21 + end
        likeliest = int(np.argmax(12 * np.log(p12) + 2 * np.log(p21) + 36 * np.log(1 - p12 - p21)))
        z = (10 - 50 * end) / math.sqrt(50 * (p12[likeliest] + p21[likeliest] - end**2))
        assert abs(z) == pytest.approx(1.959964, abs=1e-3)
    assert (known.share_low, known.share_high) == (pytest.approx(0.6006, abs=5e-4), pytest.approx(0.9599, abs=5e-4))


def test_what_has_no_size():
    flat, nothing = np.full(4, 0.1 + 0.2), np.zeros(0)
    assert all(math.isnan(x) for x in (
        cohen_d(flat, flat), cohen_dz(flat + 1, flat), cohen_d(nothing, B), cohen_d(B[:1], A[:1]), cohen_dz(B[:1], A[:1]),
        hedges_gz(B[:2], A[:2]), hedges_g(B[:2], A[:1]), cliffs_delta(nothing, B), vargha_delaney_a(B, nothing)))
    empty = win_loss_tie(nothing, nothing)
    assert math.isnan(empty.net)
    assert math.isnan(empty.share)
    assert (empty.low, empty.high, empty.share_low, empty.share_high) == (-1.0, 1.0, 0.0, 1.0)
    assert cohen_d(np.append(B, np.nan), A) == cohen_d(B, A)
    assert cohen_dz(np.append(B, np.nan), np.append(A, 1.0)) == cohen_dz(B, A)


def test_bad_input_is_refused():
    for function in (cohen_dz, hedges_gz, win_loss_tie):
        with pytest.raises(UsageError, match=rf"^{function.__name__}: both must have a value for each item, got shapes \(4,\)"):
            function(B, A[:3])
    with pytest.raises(UsageError, match=r"^win_loss_tie: tolerance must be a number >= 0, got -1$"):
        win_loss_tie(B, A, tolerance=-1)
