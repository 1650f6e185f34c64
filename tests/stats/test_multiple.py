"""Adjusted p-values: worked out by hand, beside their definitions by steps, and what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.stats.multiple import Adjustment, adjust

ps = st.lists(st.sampled_from([0.0, 0.001, 0.01, 0.0125, 0.02, 0.03, 0.04, 0.05, 0.2, 0.9, 1.0]), min_size=1, max_size=12)


def test_four_p_values_by_hand() -> None:
    p = [0.01, 0.04, 0.03, 0.005]
    assert adjust(p, "bonferroni").tolist() == pytest.approx([0.04, 0.16, 0.12, 0.02])
    assert adjust(p, "holm").tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjust(p, "bh").tolist() == pytest.approx([0.02, 0.04, 0.04, 0.02])
    by = 1 + 1 / 2 + 1 / 3 + 1 / 4
    assert adjust(p, "by").tolist() == pytest.approx([0.02 * by, 0.04 * by, 0.04 * by, 0.02 * by])
    assert adjust(p, "none").tolist() == p
    assert adjust([], "holm").tolist() == []


@given(ps, st.sampled_from([0.05, 0.01, 0.2]))
def test_holm_rejects_step_by_step(p: list[float], alpha: float) -> None:
    order, rejected = sorted(range(len(p)), key=p.__getitem__), set()
    for step, index in enumerate(order):
        if not p[index] * (len(p) - step) < alpha:
            break
        rejected.add(index)
    assert set(np.flatnonzero(adjust(p, "holm") < alpha)) == rejected


@given(ps, st.sampled_from(["bh", "by"]))
def test_benjamini_rejects_up_to_the_last_that_passes(p: list[float], method: Adjustment) -> None:
    alpha, m = 0.05, len(p)
    factor = sum(1 / k for k in range(1, m + 1)) if method == "by" else 1.0
    order = sorted(range(m), key=p.__getitem__)
    passing = [rank for rank, index in enumerate(order, start=1) if p[index] * (m / rank) * factor < alpha]
    rejected = set(order[: max(passing, default=0)])
    assert set(np.flatnonzero(adjust(p, method) < alpha)) == rejected


@given(ps)
def test_they_are_ordered_among_each_other_and_like_the_p_values(p: list[float]) -> None:
    bonferroni, holm, bh, by = (adjust(p, method) for method in ("bonferroni", "holm", "bh", "by"))  # type: ignore[arg-type]
    assert (np.array(p) <= bh + 1e-15).all()
    assert (bh <= holm + 1e-15).all()
    assert (holm <= bonferroni + 1e-15).all()
    assert (bh <= by + 1e-15).all()
    order = np.argsort(p, kind="stable")
    for adjusted in (bonferroni, holm, bh, by):
        assert (np.diff(adjusted[order]) >= -1e-15).all()
        assert adjusted.max() <= 1


@pytest.mark.parametrize(("p", "method"), [([0.1, float("nan")], "holm"), ([1.5], "bh"), ([-0.1], "none"), ([0.1], "sidak")])
def test_what_is_no_p_value_or_no_method_is_refused(p: list[float], method: str) -> None:
    with pytest.raises(UsageError):
        adjust(p, method)  # type: ignore[arg-type]
