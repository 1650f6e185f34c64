"""A/B metrics: units, variants, CUPED, lost units; hand-worked, and by simulation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from harness.engine.scoring import Scorer, make_settings
from harness.errors import MetricError
from harness.metrics.arms import adjusted_means, arm_rows
from harness.metrics.experiments import ab_difference, ab_lift
from harness.metrics.sampleratio import srm
from harness.plugins import metric
from harness.stats.estimate import estimate
from harness.types import Estimate, Key, Outcomes, Output, Sample

SETTINGS = make_settings(seed=1, level=0.95, n_bootstrap=100)
Row = tuple[str, str, Mapping[str, float | None]]


def scored(spec: str, rows: Sequence[Row], **about: Any) -> tuple[Estimate, Scorer]:
    """Rows are (unit, variant, outcomes)."""
    samples = [Sample(f"s{i}", group=unit) for i, (unit, _, _) in enumerate(rows)]
    expected = about.pop("expected", {})
    outputs = [Output(Key(f"s{i}"), Outcomes(variant, values, expected=expected.get(variant), **about))
               for i, (_, variant, values) in enumerate(rows)]
    scorer = Scorer({"m": metric(spec)}, samples)
    scorer.add(samples, outputs)
    return scorer.estimates(SETTINGS)["m"], scorer


HAND: list[Row] = [
    ("u1", "control", {"y": 1.0, "views": 2.0}), ("u1", "control", {"y": 3.0, "views": 2.0}),  # a mean of 2
    ("u2", "control", {"y": 4.0, "views": 1.0}), ("u3", "new", {"y": 6.0, "views": 3.0}),
    ("u4", "new", {"y": 8.0, "views": 1.0}), ("u4", "new", {"y": 8.0, "views": 4.0}), ("u4", "new", {"y": 8.0, "views": 0.0}),
]  # fmt: skip


def test_rows_of_a_unit_are_averaged() -> None:
    found, scorer = scored("ab_difference(outcome=y)", HAND)
    assert found.value == pytest.approx((6 + 8) / 2 - (2 + 4) / 2)  # 4, where rows would give 7.5 - 8/3
    assert found.n_groups == 4
    assert scorer.tables()["m"]["arms"].rows == (("control", 2.0, 3.0, 3.0), ("new", 2.0, 7.0, 7.0))
    assert scored("ab_lift(outcome=y)", HAND)[0].value == pytest.approx(4 / 3)


def test_a_ratio_metric_divides_sums() -> None:
    found, _ = scored("ab_difference(y,per=views)", HAND)
    assert found.value == pytest.approx(30 / 8 - 8 / 5)


def test_the_error_is_that_of_two_means_over_units() -> None:
    rng = np.random.default_rng(0)
    control, new = rng.normal(0, 1, 500), rng.normal(0.3, 3, 300)
    rows = [(f"c{i}", "control", {"y": y}) for i, y in enumerate(control)]
    rows += [(f"n{i}", "new", {"y": y}) for i, y in enumerate(new)]
    found, _ = scored("ab_difference(y)", rows)
    error = math.sqrt(control.var(ddof=1) / 500 + new.var(ddof=1) / 300)
    assert found.high - found.value == pytest.approx(1.96 * error, rel=0.01)  # type: ignore[operator]
    assert found.value - found.low == pytest.approx(1.96 * error, rel=0.01)  # type: ignore[operator]
    assert "delta" in found.method
    doubled, _ = scored("ab_difference(y)", [row for row in rows for _ in range(2)])  # a unit that is logged twice is one unit
    assert (doubled.value, doubled.low) == (pytest.approx(found.value), pytest.approx(found.low))


@pytest.mark.parametrize("rows_of_one", [1, 3])
def test_an_arm_of_one_unit_has_no_interval(rows_of_one: int) -> None:
    """Its own spread is unknown: that of the other arm alone would be a narrow lie."""
    y = np.random.default_rng(0).normal(size=1000).tolist()
    rows: list[Row] = [(f"c{i}", "control", {"y": value}) for i, value in enumerate(y)]
    rows += [("n", "new", {"y": 4.0 + i}) for i in range(rows_of_one)]
    found, _ = scored("ab_difference(y)", rows)
    assert found.value is not None
    assert (found.low, found.high, found.reason) == (None, None, "a sample less leaves the value undefined")


def world(n: int, rho: float, rng: np.random.Generator, effect: float = 0.2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcome, covariate and arm; the outcome's variance is 1 within arms and ρ² of it is the covariate's."""
    x = rng.normal(size=n)
    y = rho * x + math.sqrt(1 - rho**2) * rng.normal(size=n)
    is_treated = rng.random(n) < 0.5
    return y + effect * is_treated, 50 + 7 * x, is_treated


def of_arms(y: np.ndarray, is_treated: np.ndarray, covariates: np.ndarray) -> Estimate:
    stats = arm_rows(y, is_treated, np.arange(len(y)), covariates, None)

    def finish(totals: np.ndarray) -> np.ndarray:
        control, treatment = adjusted_means(totals)
        return treatment - control

    return estimate(stats, lambda s, w: finish(w @ s), finish=finish, method="delta", rng=np.random.default_rng(0))


def test_cuped_covers_and_is_narrower_by_the_root_of_what_the_covariate_leaves() -> None:
    """600 experiments; covered 95 of 100 times within 3 standard errors of that share (2.7 points)."""
    rng, rho, effect, n_worlds = np.random.default_rng(11), 0.8, 0.2, 600
    covered, plain_covered, shares, away = 0, 0, [], []
    for _ in range(n_worlds):
        y, x, is_treated = world(300, rho, rng, effect)
        plain, cuped = of_arms(y, is_treated, np.zeros((300, 0))), of_arms(y, is_treated, x[:, None])
        assert None not in (plain.low, plain.high, cuped.low, cuped.high, cuped.value)
        covered += cuped.low <= effect <= cuped.high  # type: ignore[operator]
        plain_covered += plain.low <= effect <= plain.high  # type: ignore[operator]
        shares.append((cuped.high - cuped.low) / (plain.high - plain.low))  # type: ignore[operator]
        away.append(cuped.value - effect)  # type: ignore[operator]
    assert np.mean(shares) == pytest.approx(math.sqrt(1 - rho**2), abs=0.01)
    assert 0.923 <= covered / n_worlds <= 0.977
    assert 0.923 <= plain_covered / n_worlds <= 0.977
    assert abs(np.mean(away)) < 3 * np.std(away) / math.sqrt(n_worlds)


def test_several_covariates_and_covariates_that_say_the_same() -> None:
    rng = np.random.default_rng(2)
    a, b, is_treated = rng.normal(size=400), rng.normal(size=400), rng.random(400) < 0.5
    y = a - 2 * b + rng.normal(size=400) * 0.1 + is_treated
    both = of_arms(y, is_treated, np.column_stack([a, b]))
    assert both.value == pytest.approx(1.0, abs=0.05)
    same = of_arms(y, is_treated, np.column_stack([a, b, 3 * b - 1]))
    assert same.value == pytest.approx(both.value, abs=1e-9)
    assert of_arms(y, is_treated, np.ones((400, 1))).value == pytest.approx(of_arms(y, is_treated, np.zeros((400, 0))).value)


def test_a_unit_without_a_covariate_has_the_mean_of_the_others() -> None:
    rng = np.random.default_rng(3)
    y, x, is_treated = world(200, 0.7, rng)
    filled = x.copy()
    filled[:20] = x[20:].mean()
    x[:20] = np.nan
    assert of_arms(y, is_treated, x[:, None]).value == pytest.approx(of_arms(y, is_treated, filled[:, None]).value, abs=1e-9)


def test_where_the_numbers_lie_does_not_matter() -> None:
    y, x, is_treated = world(300, 0.7, np.random.default_rng(4))
    near, far = of_arms(y, is_treated, x[:, None]), of_arms(3 * (1e5 + y), is_treated, 1e8 + 1e3 * x[:, None])
    assert far.value == pytest.approx(3 * near.value, rel=1e-7)  # type: ignore[operator]
    assert far.high == pytest.approx(3 * near.high, rel=1e-4)  # type: ignore[operator]


THREE: list[Row] = [(f"{v}{i}", v, {"y": float(i + b)}) for v, b in (("a", 0), ("b", 1), ("c", 5)) for i in range(10)]


def test_further_variants_are_left_out_and_neither_scored_nor_missing() -> None:
    found, _ = scored("ab_difference(y,control=a,treatment=c)", THREE)
    assert found.value == pytest.approx(5.0)
    assert (found.n, found.n_missing) == (20, 0)


def test_units_in_two_variants_are_missing_and_told() -> None:
    rows = [*HAND, ("u1", "new", {"y": 100.0, "views": 1.0})]
    found, scorer = scored("ab_difference(y)", rows)
    assert found.value == pytest.approx(7.0 - 4.0)
    assert found.n_missing == 3
    assert scorer.late_warnings() == ["units in two variants: 1; their rows are missing"]


def test_a_row_without_the_outcome_is_missing() -> None:
    found, _ = scored("ab_difference(y)", [*HAND, ("u9", "new", {"y": None, "views": 1.0})])
    assert (found.value, found.n_missing) == (pytest.approx(4.0), 1)


def lopsided(n: int, m: int) -> list[Row]:
    return [(f"{v}{i}", v, {"y": float(i % 7)}) for v, size in (("control", n), ("new", m)) for i in range(size)]


def test_a_sample_ratio_that_chance_does_not_explain_is_told_by_every_metric_of_the_log() -> None:
    split = {"control": 0.5, "new": 0.5}
    words = ("sample-ratio mismatch: control 600 of 525, new 450 of 525 expected units, p = 3.7e-06: the comparison of the "
             "variants must not be trusted until it is known why")  # fmt: skip
    for spec in ("srm", "ab_difference(y)", "ab_lift(y)"):
        _, scorer = scored(spec, lopsided(600, 450), expected=split)
        assert scorer.late_warnings() == [words]
    assert scored("ab_difference(y)", lopsided(600, 450))[1].late_warnings() == []  # nobody said what the split was to be
    assert scored("srm", lopsided(600, 450), expected={"control": 4 / 7, "new": 3 / 7})[1].late_warnings() == []
    assert scored("srm", lopsided(530, 520), expected=split)[1].late_warnings() == []


def test_the_sample_ratio_counts_units_and_not_rows() -> None:
    rows = [(unit, variant, values) for unit, variant, values in lopsided(50, 50) for _ in range(1 + 9 * (variant == "new"))]
    found, scorer = scored("srm", rows)
    assert found.value == pytest.approx(1.0)
    assert [row[1] for row in scorer.tables()["m"]["units"].rows] == [50.0, 50.0]


def test_a_variant_that_never_came_counts_where_it_was_expected() -> None:
    found, scorer = scored("srm", lopsided(60, 40), expected={"control": 0.5, "new": 0.3})
    assert found.value == pytest.approx(srm([60, 40, 0], [0.5, 0.3, 0.2]))
    assert "(no rows) 0 of 20" in scorer.late_warnings()[0]


def test_undefined_values_say_why() -> None:
    nothing = [(unit, variant, {"y": None, "z": 1.0}) for unit, variant, _ in HAND]
    with pytest.raises(MetricError, match="outcome must be an outcome of the log, got 'y'"):
        scored("ab_difference(y)", nothing)
    zero = [(u, v, {"y": 0.0 if v == "control" else 1.0}) for u, v, _ in HAND]
    assert scored("ab_lift(y)", zero)[0].value is None
    why = "undefined: all units are of one variant, and nothing says that there are others"
    assert scored("srm", lopsided(10, 0))[0].reason == why
    assert math.isnan(ab_difference([], [], control="a"))


@pytest.mark.parametrize(("spec", "message"), [
    ("ab_difference(y)", "control must be given; its variants: a, b, c"),
    ("ab_difference(y,control=A)", "control must be a variant of the log, got 'A'; did you mean 'a'?"),
    ("ab_difference(y,control=a)", "treatment must be given unless there is one beside 'a', got b, c"),
    ("ab_difference(y,control=a,treatment=d)", "treatment must be another variant of the log, got 'd'"),
    ("ab_difference(why,control=a,treatment=b)", "outcome must be an outcome of the log, got 'why'"),
    ("ab_difference(y,control=a,treatment=b,cuped=true)", "cuped needs a covariate, and the log declares none"),
    ("ab_difference(y,control=a,treatment=b,cuped=true,covariates=[z])", "covariates must be of the log, got 'z'"),
    ("srm(split=[0.5,0.5])", "split must have a share for each of the 3 variants"),
])  # fmt: skip
def test_names_that_are_not_there_are_refused(spec: str, message: str) -> None:
    with pytest.raises(MetricError, match=message.replace("?", r"\?")):
        scored(spec, THREE)


@pytest.mark.parametrize(("spec", "message"), [
    ("ab_difference(y,cuped=true,per=views)", "per must be left out with cuped=true"),
    ("ab_difference(y,covariates=[x])", "covariates must be left out unless cuped=true"),
    ("ab_difference(y,control=a,treatment=a)", "treatment must be another variant than control"),
    ("srm(split=[0.5,0.6])", "split must be two shares or more above 0 that sum to 1"),
])  # fmt: skip
def test_parameters_that_contradict_each_other_are_refused(spec: str, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        metric(spec)


def test_the_plain_functions() -> None:
    y, variant, units = [1.0, 3.0, 4.0, 6.0, 8.0], ["a", "a", "a", "b", "b"], ["u", "u", "v", "w", "x"]
    assert ab_difference(y, variant, control="a", units=units) == pytest.approx(7 - 3)
    assert ab_lift(y, variant, control="a", units=units) == pytest.approx(4 / 3)
    with pytest.raises(MetricError, match="equally many, got 5, 4"):
        ab_difference(y, variant[:-1], control="a")
    with pytest.raises(MetricError, match="split must have a share above 0 for each variant"):
        srm([10, 12], [1.0])
