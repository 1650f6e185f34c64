"""Paired significance of BLEU on WMT17: our p-values beside those that Moses and multeval published for the same outputs.

Moses resampled 30,000 times and multeval swapped 10,000 times. Allowed: four standard errors of the two Monte-Carlo runs, and
0.005 on top for the tools' own rounding (both read scores off their own BLEU).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.parity.significance import PUBLISHED, compared

N = 5_000


def _allowed(p: float, theirs: int) -> float:
    return 4 * math.sqrt(p * (1 - p) * (1 / N + 1 / theirs)) + 0.005


@pytest.mark.slow
@pytest.mark.parametrize("system", PUBLISHED)
def test_p_values_against_lium_nmt_are_the_published_ones(system: str, shared_data: Callable[[str], Path]) -> None:
    moses, multeval = PUBLISHED[system]
    row = compared(system, shared_data("wmt17_ende/reference.de.txt").parent, N)
    assert row.bootstrap.folded == pytest.approx(moses, abs=_allowed(moses, 30_000))
    assert row.randomization.p_value == pytest.approx(multeval, abs=_allowed(multeval, 10_000))
    for p, theirs in ((row.bootstrap.folded, moses), (row.randomization.p_value, multeval)):
        if abs(theirs - 0.05) > 0.01:
            assert (p < 0.05) == (theirs < 0.05)
    # The other forms answer the two-sided question of the randomisation, or half of it.
    assert row.bootstrap.p_value == pytest.approx(multeval, abs=0.02)
    assert row.bootstrap.wins_against == pytest.approx(multeval / 2, abs=0.015)
    assert row.t == pytest.approx(multeval, abs=0.02)
