"""How often the gate is wrong: simulated nights through its own decisions; ``python -m tests.bench.rates`` has the tables."""

from __future__ import annotations

import pytest

from tests.bench.rates import alarms, power, streams

pytestmark = pytest.mark.slow


def test_family_wise_alarms_stay_below_alpha() -> None:
    """No change, 30 metrics, nothing allowed to drop: the case where a false alarm is likeliest."""
    found = alarms(500, max_drop=0.0, nights=600, seed=1)
    assert found.regressed <= 0.05
    assert found.naive > 0.9, "the rule of one point"


def test_with_a_margin_false_alarms_are_rare_and_enough_samples_pass() -> None:
    found = alarms(2000, max_drop=0.05, nights=60, seed=2)
    assert (found.regressed, found.passed) == (0.0, 1.0)


@pytest.mark.parametrize("n", [1000, 5000, 20000])
def test_a_planted_drop_is_found_as_often_as_predicted(n: int) -> None:
    found = power(n, drop=0.02, max_drop=0.005, nights=3000, seed=3)
    assert found.detected == pytest.approx(found.predicted, abs=0.03)


def test_sixty_nights_in_a_row() -> None:
    found = list(streams(1000, 0.0, 40, seed=4))
    assert max(stream.sequential for stream in found) <= 1
    assert sum(stream.same_alpha for stream in found) > 40, "alpha every night: more than one alarm in sixty nights"


def test_the_power_that_is_left() -> None:
    """A drop of two points from night 30 on, at the level of one night of sixty."""
    found = list(streams(20000, 0.005, 10, nights=34, drop=0.02, since=30, kinds=("hit",), seed=5))
    assert all(stream.found is not None and stream.found <= 2 for stream in found)
