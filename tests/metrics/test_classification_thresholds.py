"""Costs, best thresholds, kappa's order, margins: hand-worked."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.errors import MetricError
from harness.metrics import classification, thresholds
from harness.plugins import metric
from harness.types import Key, Label, Output, Sample


def value(spec: str, targets: list[str], answers: list[str | None]) -> float:
    samples = [Sample(str(i), target=t) for i, t in enumerate(targets)]
    outputs = [Output(Key(str(i)), Label(a)) for i, a in enumerate(answers)]
    m = metric(spec).prepare(samples)
    return float(m.aggregate(m.score(samples, outputs).stats, np.ones((1, len(samples))))[0])


def test_cost() -> None:
    targets, answers = ["ill", "ill", "well", "well"], ["well", "ill", "ill", None]
    assert value("cost", targets, answers) == 3 / 4
    assert value("cost(matrix=[[0,5],[1,0]])", targets, answers) == (5 + 0 + 1 + 1) / 4  # none of them: the dearest of its row
    assert value("cost(matrix=[[0,1],[5,0]],order=[well,ill])", targets, answers) == (5 + 0 + 1 + 1) / 4
    m = metric("cost(matrix=[[-2,5],[1,0]])").prepare([Sample("1", target="ill"), Sample("2", target="well")])
    assert m.bounds == (-2, 5)
    worst, best = m.extremes(Sample("1", target="ill")) or ((), ())
    assert (worst[0], best[0]) == (5, -2)
    assert metric(m.spec) == metric("cost(matrix=[[-2,5],[1,0]])")


@pytest.mark.parametrize(
    ("spec", "message"),
    [("cost(matrix=[[0,1],[1,0]])", "matrix must have a row for each of the 3 labels, got 2"),
     ("cost(order=[a,b])", r"order must name every label once \(a, b, c\), got \['a', 'b'\]")],
)  # fmt: skip
def test_a_matrix_that_does_not_fit(spec: str, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        metric(spec).prepare([Sample(t, target=t) for t in "abc"])


def test_best_threshold() -> None:
    targets, scores = [0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    # F1 at .3: 3 of 4 taken are right, none missed: 6/7; at .5: 4/5
    assert thresholds.best_threshold(targets, scores) == 0.3
    assert thresholds.best_threshold(targets, scores, metric=metric("cost(matrix=[[0,9],[1,0]])")) == 0.5  # alarms are dear
    assert thresholds.best_threshold(targets, scores, metric=metric("cost(matrix=[[0,1],[9,0]])")) == 0.3  # misses are dear
    flipped = thresholds.best_threshold(targets, [-s for s in scores], metric=metric("accuracy"))
    assert flipped > -0.1  # nothing is called positive


def test_best_threshold_of_many_scores() -> None:
    rng = np.random.default_rng(0)
    scores = rng.permutation(50_000) / 50_000
    targets = (scores > 0.7).astype(int) ^ (rng.random(50_000) < 0.1)
    found = thresholds.best_threshold(targets.tolist(), scores, metric=metric("accuracy"))
    assert found == pytest.approx(0.7, abs=0.002)


def test_best_threshold_of_a_named_class_among_three() -> None:
    samples = [Sample(str(i), target=t) for i, t in enumerate("abcab")]
    rows = [{"a": s, "b": 1 - s, "c": 0.0} for s in (0.9, 0.3, 0.2, 0.6, 0.5)]
    outputs = [Output(Key(str(i)), Label(None, row)) for i, row in enumerate(rows)]
    m = metric("best_threshold(positive=a)").prepare(samples)
    stats = m.score(samples, outputs).stats
    assert m.aggregate(stats, np.ones((1, 5))).tolist() == [0.6]
    tables = m.tables(stats)
    assert tables["best_threshold"].columns == ("threshold", "f1(average=binary)", "negatives", "positives")
    assert tables["best_threshold"].rows == ((0.6, 1.0, 0.0, 1.0),)
    assert [row[0] for row in tables["threshold_curve"].rows][1:] == [0.9, 0.6, 0.5, 0.3, 0.2]


def test_kappa_knows_the_order_of_numbers() -> None:
    targets, answers = ["2", "10", "2", "10", "1"], ["10", "10", "2", "2", "1"]
    # places 1, 2, 10 -> 0, 1, 2: observed Σ|i-j| = 2; expected Σ t p |i-j| / 5, t = p = (1, 2, 2), is (2·(1·2 + 2·2) + 2·4)/5
    assert value("cohen_kappa(weights=linear)", targets, answers) == pytest.approx(1 - 2 / (20 / 5))
    assert value("cohen_kappa(weights=linear,order=[1,10,2])", targets, answers) == pytest.approx(1 - 2 / (20 / 5))
    swapped = value("cohen_kappa(weights=linear,order=[2,1,10])", targets, answers)
    assert swapped == pytest.approx(1 - 4 / ((2 * (2 * 1 + 1 * 2) + 2 * (2 * 2 * 2)) / 5))
    # as text these sort 1 10 2 20 3; the answers 10 and 20 to 3 are one and two places off
    targets = ["1", "2", "3", "10", "20"]
    near, far = (value("cohen_kappa(weights=linear)", targets, ["1", "2", wrong, "10", "20"]) for wrong in ("10", "20"))
    assert near == pytest.approx(1 - 1 / ((11 + 8 + 7 + 6 + 9) / 5))  # Σ|i-j| to the answers at 0 1 3 3 4
    assert far == pytest.approx(1 - 2 / ((12 + 9 + 8 + 7 + 8) / 5))  # 0 1 4 3 4
    with pytest.raises(MetricError, match="cohen_kappa: order must name every label once; '1' is in one of both only"):
        value("cohen_kappa(order=[2,10])", targets, answers)


def test_kappa_of_answers_outside_the_label_set() -> None:
    # observed agreement 1/3; by chance (2·1 + 1·0)/9
    assert value("cohen_kappa", ["a", "a", "b"], ["a", None, "x"]) == pytest.approx((1 / 3 - 2 / 9) / (1 - 2 / 9))


def test_choice_margin() -> None:
    choices = [["no", "absolutely"], ["no", "absolutely"]]
    logprobs = [[-2.0, -5.0], [-1.0, -0.5]]
    assert classification.choice_margin([0, 1], choices, logprobs) == pytest.approx((3 + 0.5) / 2)
    expected = ((-1 + 0.5) + (-0.05 + 0.5)) / 2
    assert classification.choice_margin([0, 1], choices, logprobs, per="character") == pytest.approx(expected)
    samples = [Sample("1", target="yes", choices=("a", "b")), Sample("2", target="a", choices=("a", "a"))]
    outputs = [Output(Key(s.id), Label(None, logprobs=(-1.0, -2.0))) for s in samples]
    scores = metric("choice_margin").score(samples, outputs)
    assert scores.missing == {0: "the target is none of the choices", 1: "there is no other choice"}


def test_top_k_of_labels_that_were_not_named() -> None:
    samples = [Sample("1", target="d")]
    label = Label(None, {"a": 0.6, "b": 0.3, "c": 0.1})
    stats = [metric(f"top_k_accuracy(k={k})").score(samples, [Output(Key("1"), label)]).stats[0, 0] for k in (3, 4)]
    assert stats == [0.0, 1.0]
    bad = Label(None, {"a": math.nan, "b": 0.3})
    assert metric("top_k_accuracy").score(samples, [Output(Key("1"), bad)]).missing == {0: "a probability is not finite"}
