"""Exact limits, McNemar, Tango's score test: published values, and the likelihood maximised by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.stats.intervals import normal_quantile
from harness.stats.proportions import clopper_pearson, highest_share, mcnemar, tango_interval, tango_limit, tango_p

# Fagerland, Lydersen and Laake: airway hyper-responsiveness (Bentur 2009), 21 pairs, and complete response (Cavo 2012), 161.
AIRWAY, RESPONSE = (1, 7, 21), (6, 16, 161)


def test_mcnemar_has_the_published_values() -> None:
    # BMC Medical Research Methodology 13:91 (2013): asymptotic, exact, mid-p.
    assert [round(mcnemar(*AIRWAY[:2], method), 3) for method in ("chi2", "exact", "mid-p")] == [0.034, 0.070, 0.039]
    assert [round(mcnemar(*RESPONSE[:2], method), 3) for method in ("chi2", "exact", "mid-p")] == [0.033, 0.052, 0.035]


def test_tangos_interval_has_the_published_ends() -> None:
    # Fagerland, Lydersen and Laake 2014, Statistics in Medicine 33:2850: airway data, asymptotic score interval.
    assert [round(end, 3) for end in tango_interval(*AIRWAY)] == [-0.517, -0.026]


def test_a_share_of_nothing_or_of_everything() -> None:
    # 1 - (alpha / 2)^(1 / n): the closed form at the ends.
    low, high = clopper_pearson(0, 20)
    assert (low, high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 20), rel=1e-12))
    assert clopper_pearson(20, 20) == (pytest.approx(0.025 ** (1 / 20), rel=1e-12), 1.0)
    assert clopper_pearson(0, 0) == (0.0, 1.0)
    assert highest_share(0, 20, 0.05) == pytest.approx(1 - 0.05 ** (1 / 20), rel=1e-12)
    assert mcnemar(0, 0, "mid-p") == mcnemar(0, 0) == mcnemar(0, 0, "chi2") == 1.0


@given(st.integers(0, 40), st.integers(0, 40), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_clopper_pearson_inverts_the_binomial_tails(hits: int, misses: int, level: float) -> None:
    n, tail = hits + misses, (1 - level) / 2
    low, high = clopper_pearson(hits, n, level)
    if hits:
        assert sum(_binomial(k, n, low) for k in range(hits, n + 1)) == pytest.approx(tail, rel=1e-6)
    if misses:
        assert sum(_binomial(k, n, high) for k in range(hits + 1)) == pytest.approx(tail, rel=1e-6)


def _binomial(k: int, n: int, p: float) -> float:
    return math.comb(n, k) * p**k * (1 - p) ** (n - k)


@given(st.integers(0, 30), st.integers(0, 30))
def test_mcnemar_is_the_binomial_test_written_out(only_b: int, only_a: int) -> None:
    n = only_b + only_a
    chances = [_binomial(k, n, 0.5) for k in range(n + 1)]
    far = max(only_b, only_a)
    exact = min(1.0, 2 * sum(chances[far:]))
    assert mcnemar(only_b, only_a) == pytest.approx(exact, rel=1e-9)
    if n:  # half of what was seen, on each of the two sides; where there is but one middle, half of it (ibid.)
        mid = exact - chances[far] if only_b != only_a else 1 - chances[far] / 2
        assert mcnemar(only_b, only_a, "mid-p") == pytest.approx(mid, rel=1e-9)


@given(st.integers(0, 15), st.integers(0, 15), st.integers(0, 15), st.floats(-0.9, 0.9))
def test_tangos_score_is_that_of_the_likeliest_shares(only_b: int, only_a: int, others: int, margin: float) -> None:
    n = only_b + only_a + others
    if n == 0:
        return
    share = _likeliest(only_b, only_a, others, margin)
    variance = (2 * share + margin - margin**2) / n
    over = (only_b - only_a) / n - margin
    if variance < 1e-9 or abs(over) < 1e-9:
        return
    z = over / math.sqrt(variance)
    above, below = (tango_p(only_b, only_a, n, margin, side) for side in ("above", "below"))
    assert above == pytest.approx(math.erfc(z / math.sqrt(2)) / 2, rel=1e-3, abs=1e-6)
    assert above + below == pytest.approx(1.0)


def _likeliest(only_b: int, only_a: int, others: int, margin: float) -> float:
    """The share of "only a" that maximises the likelihood if "only b" has ``margin`` more: a golden-section search."""
    low, high = max(0.0, -margin), (1 - margin) / 2
    if high <= low:
        return low

    def likelihood(q: float) -> float:
        shares = ((q + margin, only_b), (q, only_a), (1 - margin - 2 * q, others))
        return sum(count * (math.log(share) if share > 0 else -1e9) for share, count in shares if count)

    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(80):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if likelihood(left) > likelihood(right):
            high = right
        else:
            low = left
    return (low + high) / 2


@given(st.integers(0, 25), st.integers(0, 25), st.integers(0, 50), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_ends_of_the_interval_are_where_the_test_turns(only_b: int, only_a: int, others: int, level: float) -> None:
    n = only_b + only_a + others
    if n == 0:
        assert tango_interval(0, 0, 0) == (-1.0, 1.0)
        return
    low, high = tango_interval(only_b, only_a, n, level)
    assert -1 <= low <= (only_b - only_a) / n <= high <= 1
    assert low < high
    alpha = (1 - level) / 2
    if low > -1 + 1e-9:
        assert tango_p(only_b, only_a, n, low - 1e-6, "above") < alpha < tango_p(only_b, only_a, n, low + 1e-6, "above")
    if high < 1 - 1e-9:
        assert tango_p(only_b, only_a, n, high + 1e-6, "below") < alpha < tango_p(only_b, only_a, n, high - 1e-6, "below")


def test_a_continuity_correction_takes_away_from_the_excess() -> None:
    # n = 50, 10 against 2, margin 0: z = (8 - c) / sqrt(12).
    for c in (0.0, 0.25, 0.5):
        z = (8 - c) / math.sqrt(12)
        assert tango_p(10, 2, 50, 0.0, "above", continuity=c) == pytest.approx(math.erfc(z / math.sqrt(2)) / 2)
    z = normal_quantile(0.95)
    limits = [tango_limit(10, 2, 50, z, continuity=c) for c in (0.0, 0.25, 0.5)]
    assert limits == sorted(limits, reverse=True)
    assert len(set(limits)) == 3


@pytest.mark.parametrize("call", [
    lambda: clopper_pearson(3, 2), lambda: clopper_pearson(1, 2, 1.0), lambda: mcnemar(1, 2, "fisher"),  # type: ignore[arg-type]
    lambda: tango_p(3, 3, 5, 0.0, "above"), lambda: tango_p(1, 1, 5, 1.5, "above"), lambda: tango_interval(-1, 0, 5),
])  # fmt: skip
def test_what_cannot_be_is_refused(call: object) -> None:
    with pytest.raises(UsageError):
        call()  # type: ignore[operator]


def test_many_units_are_no_trouble() -> None:
    # Wald's interval is the limit: (b - a)/n ± 1.96 sqrt(b + a - (b - a)²/n)/n.
    b, a, n = 51_000, 50_000, 1_000_000
    half = normal_quantile(0.95) * np.sqrt(b + a - (b - a) ** 2 / n) / n
    assert tango_interval(b, a, n) == (pytest.approx(0.001 - half, abs=1e-6), pytest.approx(0.001 + half, abs=1e-6))
    assert mcnemar(b, a, "mid-p") == pytest.approx(mcnemar(b, a, "chi2"), rel=1e-3)
