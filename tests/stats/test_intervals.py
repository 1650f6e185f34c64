import pytest

from harness.errors import UsageError
from harness.stats.intervals import normal_quantile, wilson

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
