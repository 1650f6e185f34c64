"""Agreement of raters: worked examples of the papers, slow twins, weights as copies, shifts that must not matter."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.stats.agreement import fleiss_kappa, gwet_ac1, icc, krippendorff_alpha

NAN = np.nan
# Krippendorff 2011, section D: four observers, twelve units.
KRIPPENDORFF = np.array([
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN], [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
]).T
SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)


def ones(ratings):
    return np.ones((1, len(ratings)))


@pytest.mark.parametrize(("level", "printed"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)])
def test_alpha_of_krippendorffs_example(level, printed):
    assert round(krippendorff_alpha(KRIPPENDORFF, ones(KRIPPENDORFF), level)[0], 3) == printed


def alpha_twin(ratings, distance):
    units = [[value for value in row if value == value] for row in ratings.tolist()]
    units = [unit for unit in units if len(unit) > 1]
    values = [value for unit in units for value in unit]
    observed = sum(distance(a, b, values) / (len(unit) - 1) for unit in units for a, b in itertools.permutations(unit, 2))
    expected = sum(distance(a, b, values) for a, b in itertools.permutations(values, 2))
    return 1 - observed * (len(values) - 1) / expected if expected else NAN


def ordinal(a, b, values):
    low, high = min(a, b), max(a, b)
    between = sum(low <= value <= high for value in values)
    return (between - (values.count(a) + values.count(b)) / 2) ** 2


DISTANCES = {
    "nominal": lambda a, b, _: a != b, "ordinal": ordinal, "interval": lambda a, b, _: (a - b) ** 2,
    "ratio": lambda a, b, _: ((a - b) / (a + b)) ** 2 if a + b else 0.0,
}
ratings = st.lists(st.lists(st.sampled_from([NAN, 0.0, 1.0, 2.0, 5.0]), min_size=3, max_size=3), min_size=1, max_size=8)


@pytest.mark.parametrize("level", DISTANCES)
@given(rows=ratings, weights=st.lists(st.integers(0, 2), min_size=8, max_size=8))
@settings(max_examples=40, deadline=None)
def test_alpha_equals_the_slow_twin_under_weights(level, rows, weights):
    matrix, weight = np.array(rows), np.array(weights[:len(rows)], dtype=float)
    copies = np.repeat(matrix, weight.astype(int), axis=0)
    ours = krippendorff_alpha(matrix, weight[None], level)[0]
    assert ours == pytest.approx(alpha_twin(copies, DISTANCES[level]), abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_a_large_mean_costs_no_digits(level):
    plain, moved = (krippendorff_alpha(r, ones(r), level)[0] for r in (KRIPPENDORFF, KRIPPENDORFF + 2.0**40))
    assert moved == pytest.approx(plain, abs=1e-12)
    assert icc(SHROUT_FLEISS + 2.0**40, ones(SHROUT_FLEISS))[0] == pytest.approx(icc(SHROUT_FLEISS, ones(SHROUT_FLEISS))[0])


def test_fleiss_example():
    # Fleiss 1971 as worked on Wikipedia: 10 subjects, 14 raters, 5 categories.
    counts = [[0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1], [7, 7, 0, 0, 0],
              [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]]
    rows = np.array([np.repeat(np.arange(5.0), row) for row in counts])
    assert round(fleiss_kappa(rows, ones(rows))[0], 3) == 0.210
    with pytest.raises(UsageError, match=r"same number of ratings, two or more, got 1 to 2$"):
        fleiss_kappa(np.array([[1.0, 2.0], [1.0, NAN]]), np.ones((1, 2)))


@pytest.mark.parametrize(("kind", "printed"), [("1", 0.17), ("2", 0.29), ("3", 0.71), ("1k", 0.44), ("2k", 0.62), ("3k", 0.91)])
def test_icc_of_the_paper(kind, printed):
    assert round(icc(SHROUT_FLEISS, ones(SHROUT_FLEISS), kind)[0], 2) == printed


@pytest.mark.parametrize("kind", ["1", "2", "3", "1k", "2k", "3k"])
def test_icc_under_weights_is_that_of_copies(kind):
    weights = np.array([[2.0, 1.0, 0.0, 1.0, 3.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]])
    copies = np.repeat(SHROUT_FLEISS, weights[0].astype(int), axis=0)
    both = icc(SHROUT_FLEISS, weights, kind)
    apart = [icc(rows, ones(rows), kind)[0] for rows in (copies, SHROUT_FLEISS)]
    assert both.tolist() == pytest.approx(apart)


def test_nothing_to_agree_on():
    flat = np.ones((4, 3))
    assert np.isnan(icc(flat, ones(flat))).all()
    assert np.isnan(icc(SHROUT_FLEISS[:1], np.ones((1, 1)))).all()
    assert np.isnan(fleiss_kappa(flat, ones(flat))).all()
    assert np.isnan(krippendorff_alpha(np.zeros((0, 3)), np.ones((1, 0)))).all()
    with pytest.raises(UsageError, match=r"^icc: every rater must have rated every item"):
        icc(KRIPPENDORFF, ones(KRIPPENDORFF))


# ── Gwet's AC1 and AC2 ──────────────────────────────────────────────────────────────────────────────────────────────

# Gwet, Handbook of Inter-Rater Reliability: four raters, twelve units (raw_4raters of irrCAC).
GWET = np.array([
    [1, 1, NAN, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4], [4, 4, 4, 4], [1, 1, 2, 1],
    [2, 2, 2, 2], [NAN, 5, 5, 5], [NAN, NAN, 1, 1], [NAN, NAN, 3, NAN],
])  # fmt: skip


@pytest.mark.parametrize(("distance", "printed"), [("none", 0.77544), ("linear", 0.85874), ("quadratic", 0.914)])
def test_gwets_example(distance, printed):
    # irrCAC 0.4.4: CAC(raw_4raters(), weights=…).gwet()["est"]["coefficient_value"].
    assert round(gwet_ac1(GWET, ones(GWET), distance)[0], 5) == printed


def gwet_twin(rows, distance):
    units = [[value for value in row if value == value] for row in rows.tolist()]
    values = sorted({value for unit in units for value in unit})
    if len(values) < 2:
        return NAN
    apart = {"none": lambda a, b: float(a != b), "linear": lambda a, b: abs(a - b) / (values[-1] - values[0]),
             "quadratic": lambda a, b: ((a - b) / (values[-1] - values[0])) ** 2}[distance]
    agreed = [np.mean([1 - apart(a, b) for a, b in itertools.permutations(unit, 2)]) for unit in units if len(unit) > 1]
    shares = [np.mean([unit.count(value) / len(unit) for unit in units if unit]) for value in values]
    total = sum(1 - apart(a, b) for a in values for b in values)
    chance = total * sum(share * (1 - share) for share in shares) / (len(values) * (len(values) - 1))
    return (np.mean(agreed) - chance) / (1 - chance) if agreed else NAN


@pytest.mark.parametrize("distance", ["none", "linear", "quadratic"])
@given(rows=ratings, weights=st.lists(st.integers(0, 2), min_size=8, max_size=8))
@settings(max_examples=30, deadline=None)
def test_ac1_equals_the_slow_twin_under_weights(distance, rows, weights):
    matrix, weight = np.array(rows), np.array(weights[:len(rows)], dtype=float)
    weight[0] = max(weight[0], 1.0)
    copies = np.repeat(matrix, weight.astype(int), axis=0)
    # The categories are those of all items, drawn or not: the twin is asked where the copies have them all.
    if set(copies[np.isfinite(copies)]) == set(matrix[np.isfinite(matrix)]):
        ours = gwet_ac1(matrix, weight[None], distance)[0]
        assert ours == pytest.approx(gwet_twin(copies, distance), abs=1e-12, nan_ok=True)


def test_ac1_does_not_collapse_where_one_category_is_rare():
    """Gwet 2008's reason: 118 of 125 items are agreed on, and kappa is near 0."""
    rows = np.array([[1.0, 1.0]] * 118 + [[1.0, 2.0]] * 5 + [[2.0, 1.0]] * 2)
    assert gwet_ac1(rows, ones(rows))[0] == pytest.approx(0.9408, abs=5e-4)
    assert abs(fleiss_kappa(rows, ones(rows))[0]) < 0.03
    assert np.isnan(gwet_ac1(np.ones((4, 2)), np.ones((1, 4)))).all()
    assert np.isnan(gwet_ac1(np.array([[1.0, NAN], [NAN, 2.0]]), np.ones((1, 2)))).all()
    with pytest.raises(UsageError, match=r"^gwet_ac1: ratings must be an \(items, raters\) array, got shape \(3,\)$"):
        gwet_ac1(np.zeros(3), np.ones((1, 3)))
