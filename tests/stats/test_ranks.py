import math
from fractions import Fraction

import numpy as np
import pytest

from harness.errors import UsageError
from harness.stats.ranks import higher_by_hits, higher_by_replicates, mean_ranks, ranks_with_ties, sign_test

NAN = math.nan


def outcomes(both: int, first: int, second: int, neither: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Hits of two models: as many units that both hit, only the first, only the second, neither."""
    one = [1.0] * (both + first) + [0.0] * (second + neither)
    other = [1.0] * both + [0.0] * first + [1.0] * second + [0.0] * neither
    return np.array(one), np.array(other)


# ── ranks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def ranks(n: int, *beaten: tuple[int, int]) -> list[int]:
    """Ranks of models 0..n-1, of which these (better, worse) pairs can be told apart."""

    def better(one: int, other: int) -> int:
        assert one < other, "each pair is asked for once"
        return ((one, other) in beaten) - ((other, one) in beaten)

    return ranks_with_ties(range(n), better)


def test_a_rank_counts_the_better_ones() -> None:
    assert ranks(3, (2, 0), (2, 1), (0, 1)) == [2, 3, 1]
    assert ranks(4, (0, 2), (0, 3), (1, 2), (1, 3)) == [1, 1, 3, 3]
    assert ranks(3) == [1, 1, 1]
    assert ranks(1) == [1]
    assert ranks(0) == []


def test_ties_are_not_transitive() -> None:
    assert ranks(3, (0, 2)) == [1, 1, 2]


def test_nor_need_being_better_be() -> None:
    assert ranks(3, (0, 1), (1, 2), (2, 0)) == [2, 2, 2]


def test_mean_ranks() -> None:
    assert mean_ranks([[1, 2, None], [1, 1, None], [4, None, None]]) == [2.0, 1.5, None]
    assert mean_ranks([]) == []
    with pytest.raises(UsageError, match="same models"):
        mean_ranks([[1, 2], [1]])


# ── the sign test ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (2, 0, 0.5), (4, 0, 0.125), (5, 0, 0.0625), (6, 0, 0.03125), (3, 3, 1.0), (4, 3, 1.0),
     (7, 1, 18 / 256), (8, 1, 20 / 512), (9, 2, 134 / 2048), (1, 9, 22 / 1024)],
)  # fmt: skip
def test_sign_test_by_hand(wins: int, losses: int, p: float) -> None:
    """2 · Σ C(n, k) / 2^n for k up to the smaller count: 7 against 1 is 2 · (1 + 8) / 256."""
    assert sign_test(wins, losses) == pytest.approx(p, rel=1e-12)


def test_sign_test_equals_exact_counting() -> None:
    sizes = [(wins, losses) for wins in range(0, 40, 3) for losses in range(0, 40, 4)] + [(1067, 933), (900, 1100), (1500, 0)]
    for wins, losses in sizes:
        n = wins + losses
        tail = sum(math.comb(n, k) for k in range(min(wins, losses) + 1))
        assert sign_test(wins, losses) == pytest.approx(float(min(Fraction(1), Fraction(2 * tail, 2**n))), rel=1e-9)


def test_sign_test_of_a_million_is_the_normal_tail() -> None:
    """1,000 more than half of 1,000,000 is two standard deviations; with the correction for continuity z = 1.999."""
    assert sign_test(501_000, 499_000) == pytest.approx(math.erfc(1.999 / math.sqrt(2)), rel=1e-4)


def test_sign_test_refuses_negative_counts() -> None:
    with pytest.raises(UsageError, match="got -1 and 2"):
        sign_test(-1, 2)


# ── hits and misses ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("first", "second", "verdict"), [(4, 0, 0), (5, 0, 0), (6, 0, 1), (0, 6, -1), (7, 1, 0), (8, 1, 1), (0, 0, 0), (20, 20, 0)]
)
def test_only_units_on_which_they_differ_count(first: int, second: int, verdict: int) -> None:
    """p = 0.125, 0.0625, 0.03125, 0.03125, 0.0703, 0.0391, 1, 1: whatever the units are that both hit or both miss."""
    for both, neither in [(0, 0), (200, 0), (3, 500)]:
        assert higher_by_hits(*outcomes(both, first, second, neither)) == verdict


def test_hits_at_another_level() -> None:
    assert higher_by_hits(*outcomes(10, 4, 0), level=0.8) == 1  # 0.125 < 0.2
    assert higher_by_hits(*outcomes(10, 6, 0), level=0.99) == 0
    assert higher_by_hits(*outcomes(10, 8, 0), level=0.99) == 1  # 2 / 256 < 0.01


def test_no_units_leave_doubt() -> None:
    assert higher_by_hits(np.zeros(0), np.zeros(0)) == 0


# ── replicates ──────────────────────────────────────────────────────────────────────────────────────────────────────

NOISE = np.linspace(-1, 1, 101)  # its 2.5 % percentile is -0.95, its 5 % percentile -0.9


def test_replicates_are_paired() -> None:
    """Both swing by ± 1 together: unpaired intervals overlap, the difference does not move at all."""
    assert higher_by_replicates(0.9 + NOISE, 0.8 + NOISE, 50) == 1
    assert higher_by_replicates(0.8 + NOISE, 0.9 + NOISE, 50) == -1
    assert higher_by_replicates(0.9 + NOISE, 0.9 + NOISE, 50) == 0


def test_a_difference_that_may_be_zero_leaves_doubt() -> None:
    still = np.zeros(101)
    assert higher_by_replicates(0.94 + NOISE, still, 50) == higher_by_replicates(still, 0.94 + NOISE, 50) == 0
    assert [higher_by_replicates(0.96 + NOISE, still, 50), higher_by_replicates(still, 0.96 + NOISE, 50)] == [1, -1]
    assert higher_by_replicates(0.94 + NOISE, still, 50, level=0.9) == 1


def test_few_units_leave_doubt_however_steady_the_difference_is() -> None:
    one, other = np.ones(101), np.zeros(101)
    assert [higher_by_replicates(one, other, n) for n in (0, 1, 2, 5, 6)] == [0, 0, 0, 0, 1]
    assert [higher_by_replicates(one, other, n, level=0.8) for n in (3, 4)] == [0, 1]  # 0.25, 0.125
    assert [higher_by_replicates(one, other, n, level=0.99) for n in (7, 8)] == [0, 1]  # 0.0156, 0.0078


def test_rounding_is_no_difference() -> None:
    one = np.full(101, 30.0)
    assert higher_by_replicates(np.nextafter(one, 31), one, 50) == higher_by_replicates(np.nextafter(one, 29), one, 50) == 0
    assert higher_by_replicates(one + 1e-6, one, 50) == 1


def test_replicates_that_one_leaves_undefined_are_left_out() -> None:
    """On the resamplings that both define the difference is 1; elsewhere it is none, or infinite."""
    one, other = np.ones(8), np.zeros(8)
    one[0], other[1], one[2], other[2] = NAN, NAN, np.inf, np.inf
    assert higher_by_replicates(one, other, 50) == 1
    assert higher_by_replicates(np.full(8, NAN), other, 50) == 0


def test_refuses_arrays_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match=r"got \(5,\) and \(4,\)"):
        higher_by_replicates(np.zeros(5), np.zeros(4), 9)
    with pytest.raises(UsageError, match=r"got \(5,\) and \(4,\)"):
        higher_by_hits(np.zeros(5), np.zeros(4))
