import math

import pytest
from scipy import stats as scipy_stats

from harness.errors import UsageError
from harness.stats.intervals import normal_quantile, score_interval, student_quantile, student_tails, wilson

NEWCOMBE_1998 = [
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3 (score, no continuity correction), 95 %.
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
]


@pytest.mark.parametrize(("hits", "n", "low", "high"), NEWCOMBE_1998)
def test_published_values(hits: int, n: int, low: float, high: float) -> None:
    assert wilson(hits, n) == pytest.approx((low, high), abs=5e-5)


def test_the_ends_solve_the_score_equation() -> None:
    z = 1.959963984540054  # scipy.stats.norm.ppf(0.975)
    for end in wilson(7, 40):
        assert abs(7 / 40 - end) == pytest.approx(z * (end * (1 - end) / 40) ** 0.5, rel=1e-12)


def test_exact_and_open_at_the_bounds() -> None:
    z2 = 1.959963984540054**2
    assert wilson(0, 50) == (0.0, pytest.approx(z2 / (50 + z2)))
    assert wilson(50, 50) == (pytest.approx(50 / (50 + z2)), 1.0)
    assert wilson(0, 0) == (0.0, 1.0)


def test_level() -> None:
    assert normal_quantile(0.90) == pytest.approx(1.6448536269514722)  # scipy.stats.norm.ppf(0.95)
    assert wilson(5, 10, level=0.90)[0] > wilson(5, 10, level=0.99)[0]


@pytest.mark.parametrize(("hits", "n"), [(-1, 10), (11, 10)])
def test_refuses_impossible_counts(hits: int, n: int) -> None:
    with pytest.raises(UsageError, match="between 0 and n"):
        wilson(hits, n)


def test_refuses_levels_outside() -> None:
    with pytest.raises(UsageError, match="level"):
        wilson(1, 2, level=95)


# ── Student's quantile, and the score interval ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dof", [0.5, 1, 1.3, 2, 3, 4.7, 10, 99, 1e3, 9999, 10_001, 1e7])
@pytest.mark.parametrize("level", [0.1, 0.5, 0.9, 0.95, 0.99, 0.9999])
def test_student_quantile_equals_scipy(dof: float, level: float) -> None:
    assert student_quantile(level, dof) == pytest.approx(scipy_stats.t(dof).ppf((1 + level) / 2), rel=1e-9)
    assert student_tails(student_quantile(level, min(dof, 1e4)), min(dof, 1e4)) == pytest.approx(1 - level, rel=1e-9)


def test_student_quantile_of_many_is_the_normal_one() -> None:
    assert student_quantile(0.95, math.inf) == normal_quantile(0.95)
    assert student_tails(0.0, 5) == 1.0
    for dof in (0.0, -1.0, math.nan):
        with pytest.raises(UsageError, match="dof must be positive"):
            student_quantile(0.95, dof)


def test_score_interval_of_hits_is_wilsons() -> None:
    z, error = normal_quantile(0.95), math.sqrt(81 / 263 * (1 - 81 / 263) / 263)
    assert score_interval(81 / 263, error, z) == pytest.approx(wilson(81, 263), rel=1e-12)
    low, high = wilson(81, 263)
    stretched = score_interval(100 * 81 / 263 - 50, 100 * error, z, (-50.0, 50.0))
    assert stretched == pytest.approx((100 * low - 50, 100 * high - 50))


def test_score_interval_stays_inside() -> None:
    low, high = score_interval(0.999, 0.3, 12.7)
    assert 0.0 <= low < 0.01
    assert 0.999 < high <= 1.0
    for value, error in ((0.0, 0.1), (1.0, 0.1), (0.5, 0.0), (0.5, math.nan)):
        with pytest.raises(UsageError, match="score_interval"):
            score_interval(value, error, 1.96)
