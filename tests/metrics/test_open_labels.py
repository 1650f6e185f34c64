"""Labels that answers bring and no target has: classes of their own where samples share no choices, outside where they do."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk
from sklearn.preprocessing import MultiLabelBinarizer

from harness.api import score
from harness.engine.scoring import Scorer, make_settings
from harness.errors import MetricError
from harness.metrics import association, averaged, calibration, classification, confidences, curves, proper, thresholds
from harness.metrics import probabilities as areas
from harness.metrics.calibrators import Platt
from harness.metrics.counts import code_outside
from harness.plugins import metric
from harness.types import Key, Label, Labels, Output, Sample

SETTINGS = make_settings(seed=1, level=0.95, n_bootstrap=20)
THREE = [{"a": 0.2, "b": 0.3, "c": 0.5}, {"a": 0.1, "b": 0.8, "c": 0.1}, {"a": 0.6, "b": 0.2, "c": 0.2}]


def scorer_of(spec: str, targets: Sequence[Any], answers: Sequence[Any], blocks: int = 1) -> Scorer:
    samples = [Sample(str(i), target=target) for i, target in enumerate(targets)]
    outputs = [Output(Key(str(i)), answer) for i, answer in enumerate(answers)]
    scorer = Scorer({"m": metric(spec)}, samples)
    for rows in np.array_split(np.arange(len(samples)), blocks):
        scorer.add([samples[i] for i in rows], [outputs[i] for i in rows])
    return scorer


def through(spec: str, targets: Sequence[Any], answers: Sequence[Any], blocks: int = 1) -> float:
    value = scorer_of(spec, targets, answers, blocks).estimates(SETTINGS)["m"].value
    return math.nan if value is None else value


# ── predicted labels that no target has ─────────────────────────────────────────────────────────────────────────────


def test_f1_of_the_command_is_that_of_the_function() -> None:
    # a: 1 of 2 targets, 1 prediction: 2/3; b: 1; c: no target, predicted once: 0
    [result] = score("f1", ["c", "b", "a"], ["a", "b", "a"])
    assert result.value == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert score("f1", ["a", "b"], ["a", "a"])[0].value == pytest.approx(averaged.f1(["a", "a"], ["a", "b"]))
    assert averaged.f1(["a", "a"], ["a", "b"]) == pytest.approx((2 / 3 + 0) / 2)
    assert result.tables["confusion"].columns == ("target", "a", "b", "c", "none of them")
    assert [row[0] for row in result.tables["per_class"].rows] == ["a", "b", "c"]


def test_shared_choices_close_the_label_set() -> None:
    samples = [Sample(str(i), target=t, choices=("a", "b")) for i, t in enumerate("aba")]
    outputs = [Output(Key(str(i)), Label(label)) for i, label in enumerate("cba")]
    m = metric("f1").prepare(samples)
    scores = m.score(samples, outputs)
    assert scores.stats[0].tolist() == [0.0, -1.0]
    assert m.aggregate(scores.stats, np.ones((1, 3)))[0] == pytest.approx((2 / 3 + 1) / 2)
    assert m.tables(scores.stats)["confusion"].columns == ("target", "a", "b", "none of them")


def sklearn_values(t: list[str], p: list[str]) -> dict[str, float]:
    ratios = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score, "jaccard_score": sk.jaccard_score}
    found = {f"{name}(average={average})": function(t, p, average=average, zero_division=0)
             for name, function in ratios.items() for average in ("macro", "micro", "weighted")}  # fmt: skip
    found["f_beta(0.5)"] = sk.fbeta_score(t, p, beta=0.5, average="macro", zero_division=0)
    found["hamming"] = sk.hamming_loss(t, p)
    if len(set(t)) > 1:
        found |= {"mcc": sk.matthews_corrcoef(t, p), "balanced_accuracy": sk.balanced_accuracy_score(t, p),
                  "confusion_matrix": sk.homogeneity_score(t, p)}  # fmt: skip
        for weights in ("linear", "quadratic", None):
            found[f"cohen_kappa(weights={weights or 'none'})"] = sk.cohen_kappa_score(t, p, weights=weights)
    return found


@pytest.mark.parametrize("seed", range(8))
def test_single_labels_as_scikit_learn_counts_them(seed: int) -> None:
    rng = random.Random(seed)
    targets = [rng.choice("bce") for _ in range(rng.randint(2, 12))]
    answers = [rng.choice("abcdeX") for _ in targets]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = sklearn_values(targets, answers)
    for spec, value in expected.items():
        for blocks in (1, 3):
            found = through(spec, targets, [Label(label) for label in answers], blocks)
            assert found == pytest.approx(value, abs=1e-12), (spec, blocks)


@pytest.mark.parametrize("seed", range(6))
def test_lists_of_labels_as_scikit_learn_counts_them(seed: int) -> None:
    rng = random.Random(seed)
    targets = [["a"], *(rng.sample("abc", rng.randint(0, 2)) for _ in range(5))]
    answers = [["a"], *(rng.sample("abcdx", rng.randint(0, 3)) for _ in range(5))]
    table = MultiLabelBinarizer().fit([*targets, *answers])
    t, p = table.transform(targets), table.transform(answers)
    outputs = [Labels(tuple(labels)) for labels in answers]
    for average in ("macro", "micro", "weighted", "samples"):
        expected = sk.f1_score(t, p, average=average, zero_division=0)
        assert through(f"f1(average={average})", targets, outputs, 3) == pytest.approx(expected, abs=1e-12), average
    assert through("hamming", targets, outputs, 2) == pytest.approx(sk.hamming_loss(t, p), abs=1e-12)


def test_a_code_depends_on_the_label_alone() -> None:
    codes = [code_outside(label) for label in ("c", "d", "", "\ud800", "é")]
    assert len(set(codes)) == 5
    assert all(code < -1 and code == int(code) and abs(code) < 2**52 for code in codes)
    samples = [Sample(str(i), target=t) for i, t in enumerate("ab")]
    m = metric("f1").prepare(samples)
    stats = [m.score([samples[i]], [Output(Key(str(i)), Label("zebra"))]).stats[0, 1] for i in (0, 1)]
    again = metric("f1").prepare(samples).score([samples[0]], [Output(Key("0"), Label("zebra"))])
    assert stats[0] == stats[1] == again.stats[0, 1]


def test_many_labels_that_no_target_has_are_one_column_of_a_table() -> None:
    answers = [Label(f"x{i}") for i in range(150)]
    tables = scorer_of("confusion_matrix", ["a", "b"] * 75, answers).tables()["m"]
    assert tables["confusion"].columns == ("target", "a", "b", "none of them")
    assert tables["confusion"].rows == (("a", 0, 0, 75), ("b", 0, 0, 75))
    assert len(tables["per_class"].rows) == 2


def test_the_order_of_a_scale_may_hold_levels_that_do_not_occur() -> None:
    value = through("cohen_kappa(weights=linear,order=[low,mid,high])", ["low", "high"], [Label("low"), Label("low")])
    assert value == pytest.approx(1 - 2 / ((2 * (1 * 0 + 1 * 2)) / 2))  # chance: both targets against two answers "low"


def test_a_positive_class_without_a_target() -> None:
    answers = [Label("0"), Label("1"), Label("0")]
    assert through("precision(average=binary,positive=1)", ["0", "0", "0"], answers) == 0.0
    assert math.isnan(through("recall(average=binary,positive=1)", ["0", "0", "0"], answers))
    assert metric("ece(positive=1)").prepare([Sample("x", target="0")]).labels == ("0", "1")


# ── labels that probabilities name ──────────────────────────────────────────────────────────────────────────────────


def test_three_probabilities_are_not_two_classes() -> None:
    answers, targets = [Label(None, row) for row in THREE], ["a", "b", "a"]
    squares = [0.64 + 0.09 + 0.25, 0.01 + 0.04 + 0.01, 0.16 + 0.04 + 0.04]
    assert through("brier", targets, answers) == pytest.approx(sum(squares) / 3)
    assert through("brier", targets, answers, blocks=3) == pytest.approx(sum(squares) / 3)
    assert scorer_of("brier", targets, answers).bound("m").bounds == (0.0, 2.0)
    # the most probable: c .5 wrong, b .8 right, a .6 right, each in a bin of its own
    assert through("ece", targets, answers) == pytest.approx((0.5 + 0.2 + 0.4) / 3)
    table = [list(row.values()) for row in THREE]
    for name in ("ece", "ace", "mce"):
        expected = getattr(calibration, name)(targets, table, labels=["a", "b", "c"])
        assert through(name, targets, answers) == pytest.approx(expected), name
        assert through(name, targets, answers, blocks=3) == pytest.approx(expected), name
    assert through("sharpness", targets, answers) == pytest.approx(np.var([0.5, 0.8, 0.6]))


def test_ace_where_a_later_block_brings_a_label() -> None:
    rows = [{"a": 0.75, "b": 0.25}, {"a": 0.5, "b": 0.5}, {"b": 0.25, "c": 0.75}]
    table = [[0.75, 0.25, 0], [0.5, 0.5, 0], [0, 0.25, 0.75]]
    expected = calibration.ace(["a", "b", "b"], table, bins=2, labels=["a", "b", "c"])
    assert through("ace(bins=2)", ["a", "b", "b"], [Label(None, row) for row in rows], blocks=3) == pytest.approx(expected)


@pytest.mark.parametrize("spec", ["log_loss", "brier", "ece", "ace", "sharpness", "risk_coverage"])
def test_a_target_without_a_probability(spec: str) -> None:
    row = Label("a", {"a": 0.5, "b": 0.5})
    samples = [Sample("1", target="a"), Sample("2", target="c")]
    outputs = [Output(Key("1"), row), Output(Key("2"), row)]
    assert metric(spec).prepare(samples).score(samples, outputs).missing == {1: "no probability for its label 'c'"}
    closed = [Sample(s.id, target=s.target, choices=("a", "b", "c")) for s in samples]
    assert metric(spec).prepare(closed).score(closed, outputs).missing == {}


def test_one_class_among_the_targets_and_a_score_of_it() -> None:
    answers = [Label(None, {"1": p, "not 1": 1 - p}) for p in (0.9, 0.65)]
    assert through("log_loss", ["1", "1"], answers) == pytest.approx(-(math.log(0.9) + math.log(0.65)) / 2)
    assert through("brier", ["1", "1"], answers) == pytest.approx((0.1**2 + 0.35**2) / 2)
    assert through("ece", ["1", "1"], answers) == pytest.approx((0.1 + 0.35) / 2)
    rows = scorer_of("reliability_curve", ["1", "1"], answers).tables()["m"]["reliability_curve"].rows
    assert [row[3:5] for row in rows] == [(0.65, 1.0), (0.9, 1.0)]  # confidences in "1", which came true
    undefined = scorer_of("roc_auc", ["1", "1"], answers).estimates(SETTINGS)["m"]
    assert (undefined.value, undefined.reason) == (None, "undefined: all targets are of one class, '1'")


# ── averages over rows ──────────────────────────────────────────────────────────────────────────────────────────────


def test_areas_averaged_over_rows() -> None:
    rng = np.random.default_rng(2)
    table = rng.random((9, 4)) < 0.5
    table[:, 0], table[:, 1] = True, False  # every row has labels and lacks some
    scores, weights = rng.integers(0, 5, (9, 4)) / 4, rng.integers(1, 4, 9).astype(float)
    targets = [[f"l{k}" for k in np.flatnonzero(row)] for row in table]
    names = [f"l{k}" for k in range(4)]
    for function, reference in ((areas.roc_auc, sk.roc_auc_score), (curves.average_precision, sk.average_precision_score)):
        expected = reference(table, scores, average="samples", sample_weight=weights)
        found = function(targets, scores, average="samples", labels=names, sample_weight=weights)
        assert found == pytest.approx(expected, abs=1e-12)
    with pytest.raises(MetricError, match="average must be macro, micro or weighted where targets are single labels"):
        areas.roc_auc(["a", "b"], [0.1, 0.2], average="samples")
    with pytest.raises(MetricError, match="average must be macro, micro or weighted where targets are single labels"):
        metric("average_precision(average=samples)").prepare([Sample("1", target="a"), Sample("2", target="b")])


# ── what is no label and what is no number ──────────────────────────────────────────────────────────────────────────

LABEL_FUNCTIONS = [averaged.f1, association.mcc, association.cohen_kappa, association.hamming, association.confusion_matrix,
                   thresholds.cost]  # fmt: skip


def test_none_is_no_label() -> None:
    assert averaged.f1(["a", "b"], ["a", None]) == pytest.approx((1 + 0) / 2)
    assert association.hamming(["a", "b"], ["a", None]) == 0.5
    assert thresholds.cost(["a", "b"], ["a", None], [[0, 1], [7, 0]]) == 3.5
    assert association.confusion_matrix(["a", "b"], ["a", None]).tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize("function", LABEL_FUNCTIONS)
def test_mixed_labels_and_nan(function: Any) -> None:
    mixed, texts = function([1, "b", "b", 1], [1, "b", 1, None]), function(["1", "b", "b", "1"], ["1", "b", "1", None])
    np.testing.assert_array_equal(mixed, texts)
    with pytest.raises(MetricError, match="targets must be labels, got NaN"):
        function(["a", math.nan], ["a", "a"])
    with pytest.raises(MetricError, match="predictions must be labels, got NaN"):
        function(["a", "b"], ["a", np.float64("nan")])
    with pytest.raises(MetricError, match="every target must be a label, got None"):
        function(["a", None], ["a", "a"])


@pytest.mark.parametrize("function", [
    calibration.ece, calibration.mce, calibration.ace, calibration.reliability_curve, confidences.sharpness,
    confidences.risk_coverage, proper.brier, proper.log_loss, areas.roc_auc, classification.top_k_accuracy,
])  # fmt: skip
@pytest.mark.parametrize("scores", [[[0.5, 0.5], [1.0]], ["high", "low"], ["0.5", "0.5"], [[{}, 1], [0, 1]]])
def test_scores_that_are_no_numbers(function: Any, scores: Any) -> None:
    with pytest.raises(MetricError, match="scores must be numbers, equally many in every row, got"):
        function([0, 1], scores)


def test_calibrators_and_weights_that_are_no_numbers() -> None:
    with pytest.raises(MetricError, match="platt: scores must be numbers"):
        Platt().fit([[1.0, 2.0], [1.0]], [0, 1])  # type: ignore[arg-type]
    with pytest.raises(MetricError, match="platt: targets must be numbers"):
        Platt().fit(np.array([1.0, 2.0]), ["a", "b"])
    fitted = Platt().fit(np.array([1.0, 2.0, 3.0]), [0, 1, 0])
    with pytest.raises(MetricError, match="platt: scores must be numbers"):
        fitted.apply(["x"])  # type: ignore[arg-type]
    with pytest.raises(MetricError, match="f1: sample_weight must be numbers"):
        averaged.f1(["a"], ["a"], sample_weight=["x"])  # type: ignore[list-item]


# ── parameters and bounds ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_first_parameter_is_the_metrics_own() -> None:
    assert metric("f_beta(0.5)") == metric("f_beta(beta=0.5)") == averaged.FBeta(0.5)
    assert metric("cost([[0,1],[5,0]])") == metric("cost(matrix=[[0,1],[5,0]])")
    for matrix in ([0, 1, 5, 0], [[0, 1]], [[0, 1], [5]]):
        with pytest.raises(MetricError, match="cost: matrix must"):
            thresholds.cost(["a", "b"], ["a", "b"], matrix)  # type: ignore[arg-type]


def test_the_interval_of_a_threshold_of_probabilities_is_one_of_probabilities() -> None:
    targets, scores = ["0", "1", "0", "1", "1", "0", "1"], [0.1, 0.05, 0.3, 0.9, 0.95, 0.2, 0.7]
    def answers(scale: float) -> list[Label]:
        return [Label(None, {"1": scale * s, "0": -scale * s}) for s in scores]

    estimate = scorer_of("best_threshold", targets, answers(1.0)).estimates(SETTINGS)["m"]
    assert estimate.low is not None
    assert estimate.high is not None
    assert 0 <= estimate.low <= estimate.high <= 1
    assert scorer_of("best_threshold", targets, answers(5.0)).bound("m").bounds == (None, None)
