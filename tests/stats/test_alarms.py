"""False alarms of a contrast where nothing is to be found, at a nominal 5 %: simulated, with a ceiling for every kind.

``python -m tests.bench.alarms`` prints the table that the ceilings come from; 4 standard errors of this simulation are on top.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.bench.alarms import KINDS, rates

REPLICATIONS = 1000
SIZES = (20, 50, 200)

# Means of few skewed numbers: as often as that even after Hall's correction (plain t: 17.6, 13.4, 9.8 % for lognormal ones).
CEILINGS = {
    "exponential": (0.062, 0.059, 0.05), "lognormal(0, 1)": (0.102, 0.077, 0.066), "lognormal on 10 %": (0.05, 0.05, 0.059),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_false_alarms_stay_below_what_is_promised(kind: str) -> None:
    for n, ceiling in zip(SIZES, CEILINGS.get(kind, (0.052, 0.052, 0.052))):
        above, below = rates(kind, n, REPLICATIONS, np.random.default_rng(n))
        assert max(above, below) <= ceiling + 4 * np.sqrt(ceiling * (1 - ceiling) / REPLICATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hits p=.9, true drop .02", "lognormal - lognormal", "same, two repeats each"])
def test_a_nominal_five_percent_is_used_where_there_are_enough_units(kind: str) -> None:
    above, below = rates(kind, 200, 1500, np.random.default_rng(0))
    assert min(above, below) > 0.03
