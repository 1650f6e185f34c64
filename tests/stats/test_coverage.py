"""That the default interval covers what it says, on a few populations of tests/bench/coverage.py; seeds are fixed."""

from __future__ import annotations

import pytest

from tests.bench.coverage import Population, of_hits, populations, simulated


def population(name: str) -> Population:
    return next(found for found in populations() if found.name.startswith(name))


@pytest.mark.parametrize(("p", "n"), [(0.02, 50), (0.1, 50), (0.5, 50), (0.9, 200), (0.99, 200)])
def test_hits_are_covered_to_the_digit(p: float, n: int) -> None:
    """Brown, Cai and DasGupta 2001, Statistical Science 16, figure 5: Wilson's interval averages close to 95 %."""
    found = of_hits(p, n)
    assert 0.94 <= found.share <= 0.96
    assert found.share + found.below + found.above == pytest.approx(1.0, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "draws"), [
    ("lognormal", 1000),                # percentiles of the bootstrap: 0.885
    ("F1-like: 85 % 0", 1000),          # 0.890
    ("clustered hits p=0.9", 1000),     # 0.80
    ("AUROC 0.80, prevalence 0.1", 400),  # 0.84
])  # fmt: skip
def test_fifty_samples_are_enough(name: str, draws: int) -> None:
    found = simulated(population(name), 50, draws, seed=11)
    assert found.share >= 0.91
    assert found.none < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", ["F1 of a class", "F1-like: 60 % 0", "exponential"])
def test_two_hundred_samples_are_not_too_wide(name: str) -> None:
    assert 0.93 <= simulated(population(name), 200, 1000, seed=11).share <= 0.97
