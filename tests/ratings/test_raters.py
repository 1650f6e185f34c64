"""Agreement: the coefficients that ratings admit, and raters who disagree with everybody."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from harness.ratings.judgements import Judgements, Names
from harness.ratings.raters import Agreement, Settings, agreements, rater_lines
from tests.ratings.files import scale_of, written

SETTINGS = Settings(n_bootstrap=200)


def by_name(found: list[Agreement]) -> dict[str, Agreement]:
    return {one.name: one for one in found}


def judgements(table: np.ndarray, *, is_numeric: bool = True) -> Judgements:
    """Of units × raters, NaN where there is none."""
    units, raters = np.nonzero(np.isfinite(table))
    names = Names(tuple(f"r{code:02}" for code in range(table.shape[1])), raters.astype(np.int64))
    return Judgements(units.astype(np.int64), table[units, raters], np.arange(len(table)), names, is_numeric)


SHROUT = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)
"""Shrout and Fleiss 1979, table 2: ICC(2,1) .29, ICC(2,4) .62."""


def test_a_complete_table_has_intraclass_correlations() -> None:
    found = by_name(agreements(judgements(SHROUT), SETTINGS, ["interval"]))
    assert found["icc(2)"].value == pytest.approx(0.29, abs=0.005)
    assert found["icc(2k)"].value == pytest.approx(0.62, abs=0.005)
    assert found["icc(2)"].low is not None
    assert found["icc(2)"].low <= found["icc(2)"].value <= found["icc(2)"].high  # type: ignore[operator]


def test_what_the_ratings_do_not_admit_says_why() -> None:
    gaps = SHROUT.copy()
    gaps[0, 0] = np.nan
    found = by_name(agreements(judgements(gaps), SETTINGS, ["nominal"]))
    assert found["icc"].reason == "it needs every rater to rate everything: 23 of 24 are there"
    assert found["fleiss_kappa"].reason == "units have 3 to 4 ratings, and it needs as many of each"
    nobody = agreements(Judgements(np.arange(4), np.arange(4.0), np.arange(4), None, True), SETTINGS, ["nominal"])
    assert [one.reason for one in nobody] == ["nothing was rated by two raters"]
    same = by_name(agreements(judgements(np.full((5, 2), 3.0)), SETTINGS, ["nominal"]))
    assert same["krippendorff_alpha(nominal)"].value is None


def test_two_raters_have_cohens_kappa() -> None:
    """Cohen 1960's way by hand: 20 + 15 of 50 agree, 25 and 30 said yes: (.7 − .5) / (1 − .5) = .4."""
    pairs = [(1.0, 1.0)] * 20 + [(1.0, 0.0)] * 5 + [(0.0, 1.0)] * 10 + [(0.0, 0.0)] * 15
    found = by_name(agreements(judgements(np.array(pairs)), SETTINGS, ["nominal"]))
    assert found["cohen_kappa"].value == pytest.approx(0.4)


def crowd(n_units: int = 40, n_raters: int = 6) -> np.ndarray:
    """Five who agree but for noise, and a last one who says the opposite."""
    rng = np.random.default_rng(1)
    truth = rng.integers(1, 6, n_units).astype(float)
    table = np.clip(np.round(truth[:, None] + rng.normal(0, 0.6, (n_units, n_raters))), 1, 5)
    table[:, -1] = 6 - truth
    return table


def test_a_rater_who_disagrees_with_everybody_is_named() -> None:
    lines = rater_lines(judgements(crowd()), SETTINGS)
    assert lines[0].rater == "r05"
    assert [line.rater for line in lines if line.stands_alone] == ["r05"]
    assert lines[0].agreement is not None
    assert lines[0].agreement < -0.3


def test_agreement_of_a_rater_by_hand() -> None:
    """Squared distance to each other rater, over that of two ratings at random."""
    table = crowd(12, 4)
    [own] = [line for line in rater_lines(judgements(table), SETTINGS) if line.rater == "r01"]
    apart = [(table[u, 1] - table[u, other]) ** 2 for u in range(12) for other in (0, 2, 3)]
    pooled = table.ravel()
    chance = np.mean([(a - b) ** 2 for a, b in itertools.permutations(pooled.tolist(), 2)])
    assert own.agreement == pytest.approx(1 - np.mean(apart) / chance)
    assert own.severity == pytest.approx(np.mean(table[:, 1] - table[:, [0, 2, 3]].mean(axis=1)))


def test_agreement_of_a_rater_on_categories_by_hand() -> None:
    table = crowd(12, 4)
    [own] = [line for line in rater_lines(judgements(table, is_numeric=False), SETTINGS) if line.rater == "r01"]
    differs = [table[u, 1] != table[u, other] for u in range(12) for other in (0, 2, 3)]
    chance = np.mean([a != b for a, b in itertools.permutations(table.ravel().tolist(), 2)])
    assert own.agreement == pytest.approx(1 - np.mean(differs) / chance)
    assert own.severity is None


def test_few_ratings_name_nobody() -> None:
    assert not any(line.stands_alone for line in rater_lines(judgements(crowd(9)), SETTINGS))


def test_a_harsh_rater_has_a_level_below_the_others() -> None:
    table = crowd()[:, :5]
    table[:, 0] -= 2
    [harsh] = [line for line in rater_lines(judgements(table), SETTINGS) if line.rater == "r00"]
    assert harsh.severity == pytest.approx(-2, abs=0.3)


def test_items_are_what_is_resampled(tmp_path: Path) -> None:
    """Ten systems that say the same of an item are no more evidence than one: intervals do not shrink."""
    table = crowd(20, 3)
    rows = [(u, "s0", f"r{r}", table[u, r]) for u in range(20) for r in range(3)]
    more = [(u, f"s{s}", f"r{r}", table[u, r]) for u in range(20) for r in range(3) for s in range(10)]
    widths = []
    for which in (rows, more):
        text = "item,system,rater,score\n" + "".join(f"i{u:02},{s},{r},{v}\n" for u, s, r, v in which)
        found = by_name(agreements(scale_of(written(tmp_path, text)).judgements(), Settings(n_bootstrap=1000), ["interval"]))
        alpha = found["krippendorff_alpha(interval)"]
        widths.append(alpha.high - alpha.low)  # type: ignore[operator]
    assert widths[1] == pytest.approx(widths[0], rel=0.1)
