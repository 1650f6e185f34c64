"""Calibration errors by hand: bins, their edges, ties, weights; sharpness; risk against coverage; unsound probabilities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from harness.errors import MetricError
from harness.metrics import calibration, confidences
from harness.plugins import metric
from harness.types import Key, Label, Output, Sample


def measured(spec: str, targets: list[str], rows: list[dict[str, float]]) -> tuple[float, dict[str, Any]]:
    choices = tuple(dict.fromkeys(label for row in rows for label in row))
    samples = [Sample(str(i), target=t, choices=choices) for i, t in enumerate(targets)]
    outputs = [Output(Key(str(i)), Label(None, row)) for i, row in enumerate(rows)]
    m = metric(spec).prepare(samples)
    stats = m.score(samples, outputs).stats
    return float(m.aggregate(stats, np.ones((1, len(stats))))[0]), m.tables(stats)


def binary(scores: list[float]) -> list[dict[str, float]]:
    return [{"1": s, "0": 1 - s} for s in scores]


# bins of five: (.0, .2] .1 .2 | (.2, .4] .4 | (.8, 1] .9 1.
TARGETS, SCORES = ["0", "1", "0", "1", "1"], [0.1, 0.2, 0.4, 0.9, 1.0]


def test_ece_by_hand() -> None:
    gaps = [abs(1 / 2 - 0.15), 0.4, abs(1 - 0.95)]
    value, _ = measured("ece(bins=5)", TARGETS, binary(SCORES))
    assert value == pytest.approx((2 * gaps[0] + gaps[1] + 2 * gaps[2]) / 5, abs=1e-12)
    assert measured("mce(bins=5)", TARGETS, binary(SCORES))[0] == pytest.approx(0.4, abs=1e-12)
    value, tables = measured("reliability_curve(bins=5)", TARGETS, binary(SCORES))
    assert value == pytest.approx((2 * gaps[0] + gaps[1] + 2 * gaps[2]) / 5, abs=1e-12)
    table = tables["reliability_curve"]
    assert table.columns == ("from", "to", "rows", "confidence", "events", "gap")
    assert [row[2] for row in table.rows] == [2, 1, 2]  # empty bins are left out
    assert table.rows[0] == pytest.approx((0.0, 0.2, 2, 0.15, 0.5, 0.35))
    assert table.rows[1] == pytest.approx((0.2, 0.4, 1, 0.4, 0.0, 0.4))
    assert table.rows[2] == pytest.approx((0.8, 1.0, 2, 0.95, 1.0, 0.05))


@pytest.mark.parametrize(("score", "bin_"), [(0.0, 0), (0.25, 0), (0.2500001, 1), (0.5, 1), (0.75, 2), (1.0, 3)])
def test_a_bin_holds_its_upper_edge(score: float, bin_: int) -> None:
    found = calibration.binned(np.array([[score, 1.0]]), np.ones((1, 1)), 4, "uniform")
    assert found.weight[0].argmax() == bin_


def test_quantile_bins_keep_ties_together() -> None:
    # thirds of seven: edges at the 3rd and the 5th lowest: .2 and .5; the ties at .2 all go to the first bin
    stats = np.array([[s, 0.0] for s in (0.1, 0.2, 0.2, 0.2, 0.5, 0.6, 0.9)])
    found = calibration.binned(stats, np.ones((1, 7)), 3, "quantile")
    assert found.weight[0].tolist() == [4, 1, 2]
    doubled = calibration.binned(stats, np.full((1, 7), 2.0), 3, "quantile")
    assert doubled.weight[0].tolist() == [8, 2, 4]
    heavy = calibration.binned(stats, np.array([[6.0, 1, 1, 1, 1, 1, 1]]), 3, "quantile")
    assert heavy.weight[0].tolist() == [6, 2 + 1, 3]


def test_the_most_probable_label_of_three() -> None:
    rows = [{"a": 0.5, "b": 0.3, "c": 0.2}, {"a": 0.4, "b": 0.2, "c": 0.4}, {"a": 0.1, "b": 0.1, "c": 0.8}]
    # confidences .5 (right), .4 (a and c tie: the first, wrong), .8 (right): one bin
    value, _ = measured("ece(bins=1)", ["a", "c", "c"], rows)
    assert value == pytest.approx(abs(2 / 3 - 1.7 / 3), abs=1e-12)
    value, _ = measured("ece(bins=1,positive=b)", ["a", "c", "c"], rows)
    assert value == pytest.approx(0.6 / 3, abs=1e-12)
    own = Label("c", rows[1])
    assert confidences.top_label(rows[1], own) == "c"
    assert confidences.top_label(rows[1], Label("b", rows[1])) == "a"


def test_ace_by_hand() -> None:
    rows = [{"a": 0.5, "b": 0.3, "c": 0.2}, {"a": 0.4, "b": 0.2, "c": 0.4}, {"a": 0.1, "b": 0.1, "c": 0.8},
            {"a": 0.6, "b": 0.4}]  # fmt: skip
    # two bins a label: a .1 .4 | .5 .6, b .1 .2 | .3 .4, c 0 .2 | .4 .8; targets a c c b
    gaps = [abs(0 - 0.25), abs(1 / 2 - 0.55), abs(0 - 0.15), abs(1 / 2 - 0.35), abs(0 - 0.1), abs(1 - 0.6)]
    assert measured("ace(bins=2)", ["a", "c", "c", "b"], rows)[0] == pytest.approx(sum(gaps) / 6, abs=1e-12)
    table = [[row["a"], row["b"], row.get("c", 0.0)] for row in rows]
    assert calibration.ace([0, 2, 2, 1], table, bins=2) == pytest.approx(sum(gaps) / 6, abs=1e-12)


def test_sharpness() -> None:
    assert measured("sharpness", ["0", "1"], binary([0.0, 1.0]))[0] == 0.25
    assert measured("sharpness", ["0", "1", "1"], binary([0.7, 0.7, 0.7]))[0] == pytest.approx(0.0, abs=1e-12)


def test_risk_coverage_by_hand() -> None:
    # confidence .9 right, .8 wrong, .8 right, .75 right -> risk 0, 1/3, 1/3, 1/4 at the rows
    value, tables = measured("risk_coverage", ["1", "0", "1", "0"], binary([0.9, 0.8, 0.8, 0.25]))
    assert value == pytest.approx((0 + 1 / 3 + 1 / 3 + 1 / 4) / 4, abs=1e-12)
    table = tables["risk_coverage"]
    assert table.columns == ("threshold", "coverage", "risk")
    assert table.rows[0] == (0.9, 0.25, 0.0)
    assert table.rows[1:] == (pytest.approx((0.8, 0.75, 1 / 3)), pytest.approx((0.75, 1.0, 0.25)))
    assert metric("aurc") == metric("risk_coverage")
    assert confidences.risk_coverage([1, 0, 1, 1], [0.5] * 4) == pytest.approx(3 / 4)  # constant confidence: the error rate


CALIBRATIONS = ("ece", "mce", "ace", "reliability_curve", "sharpness", "risk_coverage", "brier", "log_loss")


@pytest.mark.parametrize("spec", CALIBRATIONS)
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"0": 0.5, "1": 0.4}, "the probabilities do not sum to 1"), ({}, "the answer has no probabilities"),
        ({"0": -0.5, "1": 1.5}, "a probability is not between 0 and 1"),
        ({"0": math.nan, "1": 1.0}, "a probability is not between 0 and 1"),
        ({"0": math.inf, "1": 0.0}, "a probability is not between 0 and 1"),
    ],
)  # fmt: skip
def test_unsound_probabilities_are_missing(spec: str, row: dict[str, float], reason: str) -> None:
    samples = [Sample("a", target="0"), Sample("b", target="1")]
    outputs = [Output(Key("a"), Label("0", row)), Output(Key("b"), Label("1", {"0": 0.25, "1": 0.75}))]
    scores = metric(spec).prepare(samples).score(samples, outputs)
    assert scores.missing == {0: reason}
    assert np.isnan(scores.stats[0]).all()


@pytest.mark.parametrize("spec", CALIBRATIONS)
def test_no_rows_and_one_class(spec: str) -> None:
    m = metric(spec).prepare([])
    assert np.isnan(m.aggregate(m.score([], []).stats, np.ones((2, 0)))).tolist() == [True, True]
    value, _ = measured(spec, ["1", "1"], [{"1": 1.0}, {"1": 1.0}])
    assert value == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("function", [calibration.ece, calibration.ace, confidences.sharpness, confidences.risk_coverage])
def test_plain_functions_refuse_what_are_no_probabilities(function: Any) -> None:
    with pytest.raises(MetricError, match="probabilities must be between 0 and 1"):
        function([0, 1], [0.5, 1.5])
    with pytest.raises(MetricError, match="probabilities must sum to 1 in every row"):
        function([0, 1, 2], [[0.5, 0.5, 0.5]] * 3)


def test_brier_by_hand() -> None:
    rows = [{"a": 0.5, "b": 0.3, "c": 0.2}, {"a": 0.9, "b": 0.1}, {"a": 0.0, "b": 0.0, "c": 1.0}]
    squares = [0.25 + 0.09 + 0.04, 0.81 + 0.81, 1 + 1]
    assert measured("brier", ["a", "b", "b"], rows)[0] == pytest.approx(sum(squares[:2]) / 3 + 2 / 3)
    assert measured("brier", ["1", "0"], binary([0.7, 0.2]))[0] == pytest.approx((0.09 + 0.04) / 2)
    assert measured("brier", ["b", "c"], [{"a": 1.0}, {"a": 0.5, "b": 0.5}])[0] == pytest.approx((2 + 1.5) / 2)  # c has 0
    assert metric("brier").prepare([Sample(t, target=t) for t in "abc"]).bounds == (0.0, 2.0)
    assert metric("brier").prepare([Sample(t, target=t) for t in "ab"]).bounds == (0.0, 1.0)
    worst, best = metric("brier").prepare([Sample(t, target=t) for t in "abc"]).extremes(Sample("1", target="a")) or ((), ())
    assert (list(worst), list(best)) == ([2.0, 1.0], [0.0, 1.0])
