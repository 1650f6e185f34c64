"""Curves as tables: hand-worked points, exact corners, thinning; KS, gains, concordance, grades."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from harness.errors import MetricError
from harness.metrics import curves, ranked
from harness.plugins import metric
from harness.types import Key, Label, Output, Sample, Table

# positives .8, .4 (tied with a negative); negatives .6, .4, .1
TARGETS, SCORES = ["1", "0", "1", "0", "0"], [0.8, 0.6, 0.4, 0.4, 0.1]


def measured(spec: str, targets: list[str] = TARGETS, scores: list[float] = SCORES) -> tuple[float, dict[str, Table]]:
    samples = [Sample(str(i), target=t) for i, t in enumerate(targets)]
    outputs = [Output(Key(str(i)), Label(None, {"1": s, "0": 1 - s})) for i, s in enumerate(scores)]
    m = metric(spec).prepare(samples)
    stats = m.score(samples, outputs).stats
    return float(m.aggregate(stats, np.ones((1, len(stats))))[0]), m.tables(stats)


def test_roc_curve() -> None:
    value, tables = measured("roc_curve")
    assert value == pytest.approx((3 + 1 + 0.5) / 6)
    assert tables["roc_curve"].columns == ("threshold", "fpr", "tpr")
    third = pytest.approx(1 / 3)
    two_thirds = pytest.approx(2 / 3)
    assert tables["roc_curve"].rows == (
        (None, 0.0, 0.0), (0.8, 0.0, 0.5), (0.6, third, 0.5), (0.4, two_thirds, 1.0), (0.1, 1.0, 1.0),
    )  # fmt: skip
    assert "shown" not in tables


def test_pr_curve() -> None:
    value, tables = measured("pr_curve")
    assert value == pytest.approx(0.5 * 1 + 0.5 * 2 / 4)
    assert tables["pr_curve"].columns == ("threshold", "recall", "precision")
    assert tables["pr_curve"].rows == (
        (None, 0.0, 1.0), (0.8, 0.5, 1.0), (0.6, 0.5, 0.5), (0.4, 1.0, 0.5), (0.1, 1.0, pytest.approx(0.4)),
    )  # fmt: skip
    assert measured("pr_auc")[0] == pytest.approx(0.5 + 0.5 * 0.5)  # trapezoids from (0, 1): 0.5·1, then 0.5·(0.5 + 0.5)/2


def test_ks() -> None:
    value, tables = measured("ks")
    assert value == pytest.approx(0.5)
    assert tables["ks"] == Table(("statistic", "threshold"), ((0.5, 0.8),))
    assert tables["ks_curve"].columns == ("threshold", "negatives", "positives")
    assert tables["ks_curve"].rows[:2] == ((None, 0.0, 0.0), (0.8, 0.0, 0.5))
    assert measured("ks", TARGETS, [1 - s for s in SCORES])[0] == pytest.approx(0.5)  # either way round


def test_gain_lift() -> None:
    value, tables = measured("gain_lift(bins=5)")
    assert value == pytest.approx(5 * 0.5)  # the best fifth, one row, holds half of the positives
    rows = tables["gain_lift"].rows
    # bins 3 and 4 share the tied pair, half a positive each
    assert [row[0] for row in rows] == [1, 2, 3, 4, 5]
    assert [row[1] for row in rows] == [0.8, 0.6, 0.4, 0.4, 0.1]
    assert [row[3] for row in rows] == pytest.approx([1, 0, 0.5, 0.5, 0])
    assert [row[5] for row in rows] == pytest.approx([2.5, 0, 1.25, 1.25, 0])
    assert [row[7] for row in rows] == pytest.approx([0.5, 0.5, 0.75, 1, 1])
    assert tables["gain_curve"].rows[-1] == (1.0, 1.0)
    assert tables["gain_lift"].columns[0] == "bin"
    assert sum(row[2] for row in rows) == pytest.approx(5)


def test_concordance() -> None:
    value, tables = measured("concordance")
    assert value == pytest.approx(4 / 6)
    columns, [row] = tables["concordance"].columns, tables["concordance"].rows
    assert columns == ("pairs", "concordant", "discordant", "tied")
    assert row == (6.0, pytest.approx(4 / 6), pytest.approx(1 / 6), pytest.approx(1 / 6))


@pytest.mark.parametrize(("area", "grade"), [(1.0, "A"), (0.9, "A"), (0.8999, "B"), (0.8, "B"), (0.75, "C"), (0.6, "D"),
                                             (0.5999, "F"), (0.0, "F")])  # fmt: skip
def test_grades(area: float, grade: str) -> None:
    assert ranked.auc_grade(area) == grade


def test_grade_table() -> None:
    value, tables = measured("auc_grade")
    assert tables["auc_grade"].rows == ((value, "C", "fair"),)
    assert [row[0] for row in tables["grades"].rows] == ["A", "B", "C", "D", "F"]


# ── what a table leaves out ─────────────────────────────────────────────────────────────────────────────────────────


def test_points_on_a_straight_line_are_left_out() -> None:
    x, y = np.array([0, 0, 0, 1, 2, 4, 4.0]), np.array([0, 1, 2, 2, 2, 2, 3.0])
    assert curves.corners_of(x, y).tolist() == [0, 2, 5, 6]
    assert curves.corners_of(x[:2], y[:2]).tolist() == [0, 1]


def test_thinning_keeps_the_ends_and_says_so() -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, 20_000)
    scores = (rng.normal(size=20_000) + targets).tolist()
    _, tables = measured("roc_curve", [str(t) for t in targets], scores)
    rows = tables["roc_curve"].rows
    [(name, points, shown)] = tables["shown"].rows
    assert (name, shown) == ("roc_curve", len(rows))
    assert 900 < shown <= 1000 < points
    assert rows[0] == (None, 0.0, 0.0)
    assert rows[-1][1:] == (1.0, 1.0)
    fpr, tpr, thresholds = curves.roc_curve(targets.tolist(), np.array(scores), drop_intermediate=False)
    whole = set(zip(fpr.tolist(), tpr.tolist()))
    assert all((x, y) in whole for _, x, y in rows)  # points of the curve, not between them
    at = np.interp(fpr, [x for _, x, _ in rows], [y for *_, y in rows])
    assert np.abs(at - tpr).max() < 0.005
    assert len(thresholds) == 20_001


# ── one class, nothing, bad input ───────────────────────────────────────────────────────────────────────────────────

BINARY = ("roc_auc", "gini", "roc_curve", "ks", "concordance", "auc_grade", "best_threshold", "gain_lift", "average_precision")


@pytest.mark.parametrize("spec", BINARY)
def test_one_class_is_undefined_and_has_no_table(spec: str) -> None:
    for targets in (["0", "0"], ["1", "1"]):
        value, tables = measured(spec, targets, [0.3, 0.4])
        assert math.isnan(value)
        assert tables == {}


@pytest.mark.parametrize("spec", BINARY)
def test_no_rows(spec: str) -> None:
    m = metric(spec).prepare([])
    assert np.isnan(m.aggregate(m.score([], []).stats, np.ones((2, 0)))).tolist() == [True, True]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("spec", BINARY)
def test_scores_that_are_not_finite_are_missing(spec: str, bad: float) -> None:
    samples = [Sample("a", target="0"), Sample("b", target="1")]
    outputs = [Output(Key("a"), Label(None, {"0": bad, "1": bad})), Output(Key("b"), Label(None, {"0": 0.5, "1": 0.5}))]
    scores = metric(spec).prepare(samples).score(samples, outputs)
    assert scores.missing == {0: "a score is not finite"}
    assert np.isnan(scores.stats[0]).all()


def test_three_labels_need_a_positive_one() -> None:
    samples = [Sample(t, target=t) for t in "abc"]
    with pytest.raises(MetricError, match="ks: positive must be given unless there are two labels, got 3 labels"):
        metric("ks").prepare(samples)
    with pytest.raises(MetricError, match="roc_curve: positive must be one of the labels, got 'd'"):
        metric("roc_curve(positive=d)").prepare(samples)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [0.1, math.nan]), "scores must be finite"), (([0, 1], [0.1]), "equally many, got 2 and 1"),
        (([0, 0], [0.1, 0.2]), "roc_curve: there must be two labels, got 1"), (([], []), "there must be two labels, got 0"),
    ],
)  # fmt: skip
def test_plain_functions_say_what_is_wrong(arguments: Any, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        curves.roc_curve(*arguments)


def test_constant_scores() -> None:
    values = {spec: measured(spec, TARGETS, [0.5] * 5)[0] for spec in ("roc_auc", "gini", "ks", "concordance", "gain_lift")}
    assert values == {"roc_auc": 0.5, "gini": 0.0, "ks": 0.0, "concordance": 0.0, "gain_lift": pytest.approx(1.0)}
    assert measured("average_precision", TARGETS, [0.5] * 5)[0] == pytest.approx(0.4)
