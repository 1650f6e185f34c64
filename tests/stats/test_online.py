"""Levels of a stream of tests, and confidence sequences: published constants, sums, twins, simulated streams."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.stats.online import Lond, Lord, Spending, confidence_sequence, normal_mixture_bound, spending_share
from harness.stats.power import power_of

SERIES = ("plateau", "equal", "square", "slow")


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("horizon", [1, 7, 60, 400])
def test_the_shares_of_an_endless_stream_sum_to_one(series, horizon):
    shares = [spending_share(t, series, horizon) for t in range(1, 50_001)]
    assert min(shares) >= 0
    # Those after the 50,000th as integrals: c / t; of the slow series, with s = sqrt(log t), 2 (s³ + 3s² + 6s + 6) exp(-s).
    s = math.sqrt(math.log(50_000.5))
    rest = shares[-1] * 50_000**2 / 50_000.5
    if series == "slow":
        rest = 0.07720838 * 2 * (s**3 + 3 * s**2 + 6 * s + 6) * math.exp(-s)
    assert sum(shares) + rest == pytest.approx(0.9763 if series == "slow" else 1.0, abs=1e-5)


def test_levels_worked_by_hand():
    # Horizon 2: 1, 1, 4/9, 1/4, … sum to 2 + 4 (pi²/6 - 1 - 1/4).
    total = 2 + 4 * (math.pi**2 / 6 - 1.25)
    plan = Spending(alpha=0.1, horizon=2)
    assert [plan.level(t) for t in range(4)] == pytest.approx([0.1 / total, 0.1 / total, 0.4 / 9 / total, 0.025 / total])
    assert plan.level(3, 2) == plan.level(3)
    lond = Lond(alpha=0.1, horizon=2)
    assert lond.level(3, 2) == pytest.approx(3 * 0.025 / total)
    assert Lond(alpha=0.05, horizon=1).level(1, 1) <= 0.05
    # 1/t² after one and before: never above alpha, however many the discoveries.
    assert Lond(alpha=0.05, horizon=60).level(1000, 1000) <= 0.05
    assert Spending(series="equal", horizon=30).level(29) == pytest.approx(0.05 / 30)
    assert Spending(series="equal", horizon=30).level(30) == 0.0


def test_lond_on_the_example_of_online_fdr():
    # onlineFDR 2.13: LOND(c(1e-07, 0.1, 6e-04)) rejects the first and the third (tests/testthat/test-LOND.R); its first level
    # is 0.07720838 · 0.05 · log 2.
    lond, found = Lond(series="slow"), []
    assert lond.level(0) == pytest.approx(0.0026758385, abs=1e-10)
    for t, p in enumerate((1e-07, 0.1, 6e-04)):
        found.append(p <= lond.level(t, sum(found)))
    assert found == [True, False, True]
    assert lond.level(2, 0) < 6e-04 < lond.level(2, 1)


def test_lord_earns_level_by_discoveries():
    lord, g = Lord(alpha=0.05), [0.0, *(spending_share(t, "slow") for t in range(1, 8))]
    assert lord.level([]) == pytest.approx(0.025 * g[1])
    assert lord.level([False, True]) == pytest.approx(0.025 * g[3] + 0.025 * g[1])
    assert lord.level([True, False, True, True, False]) == pytest.approx(0.025 * (g[6] + g[5]) + 0.05 * (g[3] + g[2]))


def alarms(lond, correlation, n_streams, rng):
    z = math.sqrt(1 - correlation) * rng.standard_normal((n_streams, 60))
    z += math.sqrt(correlation) * rng.standard_normal((n_streams, 1))
    found = np.zeros(n_streams, dtype=int)
    levels = np.array([[lond.level(t, min(d, t)) for d in range(61)] for t in range(60)])
    for t in range(60):
        limit = levels[t][found]
        found = found + (np.array([0.5 * math.erfc(x / math.sqrt(2)) for x in z[:, t]]) < limit)
    return found


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_sixty_nights_without_a_change(correlation):
    found = alarms(Lond(), correlation, 3_000, np.random.default_rng(11))
    # What the docstring says: 2.4 % and 1.5 % of the streams have an alarm; four standard errors of 3,000 streams are 1.1 %.
    assert (found >= 1).mean() == pytest.approx(0.024 if correlation == 0 else 0.015, abs=0.011)
    assert (found >= 2).mean() < 0.012


@pytest.mark.parametrize(("series", "powers"), [
    ("plateau", (0.367, 0.367, 0.367)), ("equal", (0.443, 0.443, 0.443)), ("square", (0.334, 0.162, 0.096)),
    ("slow", (0.292, 0.209, 0.164)),
])
def test_the_power_that_is_left(series, powers):
    """Against a drop of three standard errors on nights 10, 30 and 60, as the docstring of spending_share has it."""
    levels = [Lond(series=series).level(night - 1) for night in (10, 30, 60)]
    assert [power_of(3.0, 1.0, alpha=level) for level in levels] == pytest.approx(powers, abs=6e-4)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: Lond(alpha=0), "alpha must lie strictly between 0 and 1, got 0"),
    (lambda: Spending(horizon=0), "horizon must be a positive number of tests, got 0"),
    (lambda: Lord(alpha=2), "alpha must lie strictly between 0 and 1, got 2"),
    (lambda: Lond().level(3, 4), "needs 0 <= discoveries <= tests, got 4 of 3"),
    (lambda: Spending().level(-1), "needs 0 <= discoveries <= tests, got 0 of -1"),
])
def test_bad_input_is_refused(call, message):
    with pytest.raises(UsageError, match=rf"^online: {message}$"):
        call()
    with pytest.raises(UsageError, match=r"^spending_share: tests are numbered from 1, got 0$"):
        spending_share(0)
    with pytest.raises(UsageError, match="series must be plateau, equal, square or slow, got 'fast'"):
        spending_share(1, "fast")


# ── confidence sequences ────────────────────────────────────────────────────────────────────────────────────────────

SAW = np.array([((7 * i * i + 3 * i) % 11) / 10 for i in range(200)])


def test_the_sequence_of_confseq():
    # predmix_empbern_cs(SAW, alpha=0.05) of gostevehoward/confseq at commit 004ef1b, without running intersection.
    found = confidence_sequence(SAW)
    assert (found.low[49], found.high[49]) == pytest.approx((0.19795081303669607, 0.6057750741857021), abs=1e-12)
    assert found.high[99] == pytest.approx(0.5265754604523271, abs=1e-12)
    assert found.low[199] == pytest.approx(0.3147804017173679, abs=1e-12)
    assert (found.low[9], found.high[9]) == (0.0, 1.0)
    planned = confidence_sequence(SAW, n_planned=200)
    assert planned.high[-1] - planned.low[-1] < found.high[-1] - found.low[-1]


def test_the_mixture_of_confseq():
    # test/uniform_boundaries_unittest.cpp of confseq: TwoSidedNormalMixture(100, 0.05): best rho 12.60056, bound 30.35209.
    assert float(normal_mixture_bound(100.0, best_at=100.0)) == pytest.approx(30.35209, abs=1e-5)
    rho = 12.60056
    at_25 = math.sqrt((25 + rho) * math.log((25 + rho) / (rho * 0.05**2)))
    assert normal_mixture_bound(np.array([25.0]), best_at=100.0)[0] == pytest.approx(at_25, rel=1e-6)


@given(values=st.lists(st.floats(0, 1), max_size=60), scale=st.floats(0.1, 50), start=st.floats(-50, 50))
@settings(max_examples=60, deadline=None)
def test_sequences_narrow_and_follow_the_scale(values, scale, start):
    unit = confidence_sequence(np.array(values))
    assert len(unit.low) == len(values)
    assert (np.diff(unit.low) >= 0).all()
    assert (np.diff(unit.high) <= 0).all()
    assert (unit.low <= unit.high).all()
    moved = np.clip(start + scale * np.array(values), start, start + scale)
    wide = confidence_sequence(moved, bounds=(start, start + scale))
    assert np.allclose(wide.low, start + scale * unit.low, atol=1e-6 * (1 + abs(start) + scale))
    mirrored = confidence_sequence(1 - np.array(values))
    assert np.allclose(mirrored.low, 1 - unit.high, atol=1e-9)


def test_a_mean_that_moves_empties_the_sequence_where_it_was():
    values = np.concatenate([np.zeros(600), np.ones(600)])
    found = confidence_sequence(values)
    assert found.high[599] < 0.03
    assert found.low[-1] == found.high[-1] <= found.high[599]


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_it_holds_at_all_times(share):
    rng = np.random.default_rng(5)
    missed, naive = 0, 0
    for _ in range(300):
        hits = (rng.random(600) < share).astype(float)
        found = confidence_sequence(hits, level=0.9)
        missed += bool(((found.low > share) | (found.high < share)).any())
        means, n = np.cumsum(hits) / np.arange(1, 601), np.arange(1, 601)
        error = np.sqrt(np.maximum(means * (1 - means), 1e-9) / n)
        naive += bool((np.abs(means - share) > 1.645 * error)[30:].any())
    assert missed / 300 <= 0.1
    assert naive / 300 > 0.3  # looking every time at an interval for one look


def test_mixture_bound_holds_at_all_times():
    rng = np.random.default_rng(6)
    walks = np.cumsum(rng.standard_normal((1_000, 500)), axis=1)
    left = (np.abs(walks) > normal_mixture_bound(np.arange(1.0, 501.0), alpha=0.1, best_at=100.0)).any(axis=1)
    assert 0.02 < left.mean() <= 0.1 + 0.03


def test_values_out_of_bounds_are_refused():
    for values in (np.array([0.5, 1.1]), np.array([math.nan]), np.zeros((2, 2))):
        with pytest.raises(UsageError, match=r"^confidence_sequence: values must be a row of numbers between 0.0 and 1.0$"):
            confidence_sequence(values)
    with pytest.raises(UsageError, match="bounds must be two finite numbers"):
        confidence_sequence(np.zeros(2), bounds=(0.0, math.inf))
    with pytest.raises(UsageError, match="level must lie strictly between 0 and 1"):
        confidence_sequence(np.zeros(2), level=1.0)
    with pytest.raises(UsageError, match="best_at must be a positive variance"):
        normal_mixture_bound(1.0, best_at=0.0)
