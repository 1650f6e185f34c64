"""Label metrics: hand-worked values, missing rows, label sets, and weights as repeated rows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import MetricError
from harness.metrics import association, averaged, classification, labels, probabilities
from harness.plugins import metric
from harness.protocols import Metric
from harness.types import Key, Label, Output, Sample, Text

SPECS = (
    "accuracy", "acc_norm", "balanced_accuracy", "precision", "recall(average=micro)", "f1", "macro_f1", "weighted_f1",
    "f1(average=binary,positive=b)", "f_beta(beta=0.5)", "jaccard_score", "specificity", "fpr", "fnr", "npv", "mcc",
    "cohen_kappa", "cohen_kappa(weights=quadratic)", "hamming", "confusion_matrix", "cost", "top_k_accuracy", "choice_margin",
    "roc_auc", "roc_auc(multi_class=ovo,average=weighted)", "roc_auc(positive=b)", "roc_auc(average=micro)", "gini",
    "average_precision", "pr_auc(average=weighted)", "roc_curve(positive=b)", "pr_curve(positive=b)", "ks(positive=b)",
    "gain_lift(bins=3,positive=b)", "concordance(positive=b)", "auc_grade", "best_threshold(positive=b)", "log_loss", "brier",
    "ece", "ece(scheme=quantile,bins=3)", "mce", "ace(bins=3)", "reliability_curve(positive=b)", "sharpness", "risk_coverage",
)
LABELS = ("a", "b", "c")


def rows(
    targets: Sequence[Any], labels: Sequence[Label | None], choices: tuple[str, ...] = ()
) -> tuple[list[Sample], list[Output]]:
    samples = [Sample(str(i), target=t, choices=choices) for i, t in enumerate(targets)]
    return samples, [Output(Key(str(i)), label) for i, label in enumerate(labels)]


def evaluate(m: Metric, targets: Sequence[Any], labels: Sequence[str | None], choices: tuple[str, ...] = ()) -> float:
    samples, outputs = rows(targets, [Label(label) for label in labels], choices)
    scores = m.prepare(samples).score(samples, outputs)
    return float(m.prepare(samples).aggregate(scores.stats, np.ones((1, len(samples))))[0])


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────────

TARGETS = ["a", "a", "a", "b", "b", "c"]
ANSWERS = ["a", "a", "b", "b", None, "x"]  # None: none of the labels; x: a label that no target has
# class a: 2 hits of 3 targets, 2 predictions · b: 1 of 2, 2 predictions · c: 0 of 1, 0 predictions · x: no target, 1 prediction


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ("accuracy", 3 / 6),
        ("balanced_accuracy", (2 / 3 + 1 / 2 + 0) / 3),
        ("precision", (1 + 1 / 2 + 0 + 0) / 4),
        ("recall", (2 / 3 + 1 / 2 + 0 + 0) / 4),
        ("f1", (4 / 5 + 2 / 4 + 0 + 0) / 4),
        ("precision(average=micro)", 3 / 5),
        ("recall(average=micro)", 3 / 6),
        ("micro_f1", 6 / 11),
        ("weighted_f1", (3 * 4 / 5 + 2 * 2 / 4) / 6),
        ("precision(average=binary,positive=a)", 1.0),
        ("f1(average=binary,positive=b)", 1 / 2),
        # covariance 3·6 - (3·2 + 2·2 + 1·0), variances 36 - 14 and 36 - (4 + 4 + 0 + 1 + 1)
        ("mcc", 8 / math.sqrt(22 * 26)),
    ],
)
def test_values_worked_by_hand(spec: str, value: float) -> None:
    assert evaluate(metric(spec), TARGETS, ANSWERS) == pytest.approx(value, abs=1e-12)


def test_undefined_ratio_is_nan_alone_and_zero_inside_an_average() -> None:
    """scikit-learn 1.9 gives 0 for all three of these; one ratio that is 0/0 is missing here."""
    never_b = (["a", "b"], ["a", "a"])
    assert math.isnan(evaluate(metric("precision(average=binary,positive=b)"), *never_b))
    assert evaluate(metric("precision"), *never_b) == pytest.approx((1 / 2 + 0) / 2)
    assert math.isnan(evaluate(metric("precision(average=micro)"), ["a", "b"], [None, None]))
    assert evaluate(metric("f1(average=binary,positive=b)"), *never_b) == 0


def test_classes_that_do_not_occur_leave_the_macro_average() -> None:
    assert evaluate(metric("macro_f1"), ["a", "b"], ["a", "b"], choices=("a", "b", "c")) == 1.0
    assert evaluate(metric("macro_f1"), ["a", "b"], ["a", "c"], choices=("a", "b", "c")) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("targets", "answers", "value"),
    [
        (["a", "b"], ["a", "a"], 0.0), (["a", "a"], ["a", "a"], math.nan), (["a", "a", "b"], [None, None, None], 0.0),
        ([], [], math.nan),
    ],
)
def test_mcc_without_variance(targets: list[str], answers: list[str | None], value: float) -> None:
    assert evaluate(metric("mcc"), targets, answers) == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize("spec", ["accuracy", "f1", "balanced_accuracy", "mcc", "roc_auc"])
def test_no_rows_is_undefined(spec: str) -> None:
    m = metric(spec)
    assert m.score([], []).stats.shape == (0, len(m.columns))
    assert np.isnan(m.aggregate(np.zeros((0, len(m.columns))), np.ones((3, 0)))).tolist() == [True] * 3


def test_integer_target_is_an_index_into_the_choices() -> None:
    assert evaluate(metric("acc"), [1, 0], ["no", "no"], choices=("yes", "no")) == 0.5
    assert evaluate(metric("acc"), [1, 0], ["1", "0"]) == 1.0
    with pytest.raises(MetricError, match="target must be an index into its 2 choices, got 2"):
        evaluate(metric("acc"), [2], ["no"], choices=("yes", "no"))


def test_choices_may_differ_from_sample_to_sample_for_accuracy() -> None:
    samples = [Sample("1", target=0, choices=("Paris", "Rome")), Sample("2", target=1, choices=("four", "five", "six"))]
    outputs = [Output(Key("1"), Label("Paris")), Output(Key("2"), Label("six"))]
    assert classification.Accuracy().score(samples, outputs).stats.tolist() == [[1.0, 1.0], [0.0, 1.0]]
    assert labels.label_set(samples) == ("Paris", "five")


def test_label_set_takes_shared_choices() -> None:
    samples = [Sample("1", target="b", choices=("b", "c", "a")), Sample("2", target="b", choices=("b", "c", "a"))]
    assert averaged.F1().prepare(samples).labels == ("a", "b", "c")


def test_acc_norm_divides_by_characters_of_the_choice() -> None:
    # per character: -2/2 = -1 and -5/10 = -0.5; the second wins, the first has the higher log-probability
    samples = [Sample("1", target=1, choices=("no", "absolutely"))]
    outputs = [Output(Key("1"), Label("no", logprobs=(-2.0, -5.0)))]
    assert metric("acc_norm").score(samples, outputs).stats.tolist() == [[1.0, 1.0]]
    assert metric("accuracy").score(samples, outputs).stats.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize(
    ("logprobs", "choices", "reason"),
    [
        ((-1.0,), ("a", "b"), "1 log-probabilities for 2 choices"),
        ((), (), "0 log-probabilities for 0 choices"),
        ((-1.0, -math.inf), ("a", "b"), "a log-probability is not finite"),
        ((-1.0, -2.0), ("a", ""), "a choice is empty"),
    ],
)
def test_acc_norm_says_why_a_row_is_missing(logprobs: tuple[float, ...], choices: tuple[str, ...], reason: str) -> None:
    samples, outputs = rows(["a"], [Label("a", logprobs=logprobs)], choices)
    scores = metric("acc_norm").score(samples, outputs)
    assert scores.missing == {0: reason}
    assert np.isnan(scores.stats).all()


@pytest.mark.parametrize(
    ("probabilities_", "loss"),
    [({"a": 0.25, "b": 0.75}, math.log(4)), ({"b": 1.0}, 52 * math.log(2)), ({"a": 1.0}, 0.0)],
)
def test_log_loss_of_one_row(probabilities_: dict[str, float], loss: float) -> None:
    scores = metric("log_loss").score([Sample("1", target="a")], [Output(Key("1"), Label("a", probabilities_))])
    assert scores.stats[0, 0] == pytest.approx(loss, abs=1e-12)  # eps is 2^-52


@pytest.mark.parametrize(
    ("given_probabilities", "reason"),
    [
        (None, "the answer has no probabilities"),
        ({"a": 1.5, "b": -0.5}, "a probability is not between 0 and 1"),
        ({"a": math.nan, "b": 0.5}, "a probability is not between 0 and 1"),
        ({"a": 0.5, "b": 0.4}, "the probabilities do not sum to 1"),
    ],
)
def test_log_loss_says_why_a_row_is_missing(given_probabilities: dict[str, float] | None, reason: str) -> None:
    scores = metric("log_loss").score([Sample("1", target="a")], [Output(Key("1"), Label("a", given_probabilities))])
    assert scores.missing == {0: reason}


@pytest.mark.parametrize("spec", SPECS)
def test_rows_without_target_or_label_are_missing(spec: str) -> None:
    samples = [Sample("1", target="a"), Sample("2", target="b"), Sample("3"), Sample("4", target="b")]
    label = Label("a", {"a": 0.5, "b": 0.5}, logprobs=(-1.0, -2.0))
    samples = [dataclasses.replace(sample, choices=("a", "b")) for sample in samples]
    outputs = [Output(Key("1"), label), Output(Key("2"), label), Output(Key("3"), label), Output(Key("4"), Text("a"))]
    scores = metric(spec).prepare(samples).score(samples, outputs)
    assert scores.missing == {2: "the sample has no target", 3: "the answer is Text, not Label"}
    assert np.flatnonzero(np.isnan(scores.stats).any(axis=1)).tolist() == [2, 3]


def test_roc_auc_counts_ties_half() -> None:
    # positives .8 and .5 against negatives .5 and .1: wins 1 + 1, 1/2 + 1 of 4
    assert probabilities.roc_auc([1, 0, 1, 0], [0.8, 0.5, 0.5, 0.1]) == pytest.approx(3.5 / 4)
    assert math.isnan(probabilities.roc_auc([1, 1], [0.8, 0.5]))


def test_roc_auc_needs_scores_of_its_labels() -> None:
    samples, outputs = rows(["a", "b"], [Label("a", {"A": 1.0, "B": 0.0}), Label("b", {"b": 1.0})])
    scores = metric("roc_auc").prepare(samples).score(samples, outputs)
    assert scores.missing == {0: "the probabilities name none of the labels"}
    assert scores.stats[1].tolist() == [1.0, 1.0]


# ── messages ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("f1(average=macros)", "average must be one of binary, micro, macro, weighted, samples, got 'macros'"),
        ("f1(positive=a)", "f1: positive must be left out unless average=binary, got 'a'"),
        ("roc_auc(average=sample)", "average must be one of macro, micro, weighted, samples, got 'sample'"),
        ("roc_auc(multi_class=ovo,average=micro)", "average must be macro or weighted with multi_class=ovo, got 'micro'"),
        ("f_beta(beta=0)", "f_beta: beta must be a number above 0, got 0.0"),
        ("top_k_accuracy(k=0)", "top_k_accuracy: k must be a positive integer, got 0"),
        ("gain_lift(bins=1)", "gain_lift: bins must be an integer of at least 2, got 1"),
        ("ece(bins=0)", "ece: bins must be a positive integer, got 0"),
        ("ece(scheme=equal)", "scheme must be one of uniform, quantile, got 'equal'"),
        ("cohen_kappa(weights=cubic)", "weights must be one of none, linear, quadratic, got 'cubic'"),
        ("cost(matrix=[[0,1],[2]])", "cost: matrix must be as many rows as columns, of finite numbers, such as"),
        ("cost([0,1,5,0])", r"cost: matrix must be as many rows as columns, of finite numbers, such as \[\[0,1\],\[5,0\]\]"),
        ("best_threshold(log_loss)", "best_threshold: metric must be a metric of target and label that has a better direction"),
    ],
)
def test_bad_parameters(spec: str, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        metric(spec)


def test_positive_class_must_be_clear() -> None:
    three, two = [Sample(t, target=t) for t in "abc"], [Sample(t, target=t) for t in ("ham", "spam")]
    with pytest.raises(MetricError, match="f1: positive must be given unless there are two labels, got 3 labels"):
        metric("f1(average=binary)").prepare(three)
    with pytest.raises(MetricError, match=r"f1: positive must be one of the labels, got 'span'; did you mean 'spam'\?"):
        metric("f1(average=binary,positive=span)").prepare(two)
    assert evaluate(metric("recall(average=binary)"), ["ham", "spam", "spam"], ["ham", "ham", "spam"]) == 0.5


def test_unprepared_metric_says_what_to_do() -> None:
    samples, outputs = rows(["a"], [Label("a")])
    with pytest.raises(MetricError, match=r"call prepare\(samples\) first"):
        metric("f1").score(samples, outputs)


def test_plain_functions_refuse_unequal_lengths() -> None:
    with pytest.raises(MetricError, match="f1: targets and predictions must be equally many, got 2 and 1"):
        averaged.f1(["a", "b"], ["a"])
    with pytest.raises(MetricError, match="accuracy: sample_weight must be one number a row"):
        classification.accuracy(["a"], ["a"], sample_weight=[1, 2])
    with pytest.raises(MetricError, match="mcc: labels must hold every target, got 'b'"):
        association.mcc(["a", "b"], ["a", "b"], labels=["a"])


# ── contracts ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("spec", SPECS)
def test_spec_round_trip(spec: str) -> None:
    m = metric(spec)
    assert metric(m.spec) == m
    prepared = m.prepare([Sample("1", target="a"), Sample("2", target="b")])
    assert prepared.signature() == m.signature()


def test_aliases_and_signature() -> None:
    assert metric("macro_f1") == metric("f1") == averaged.F1()
    assert metric("micro_f1").spec == "f1(average=micro)"
    assert metric("acc").signature() == "accuracy#v1"
    assert metric("f1").signature() == "f1(average=macro,positive=none)#v2"


answers = st.lists(
    st.tuples(
        st.sampled_from(LABELS), st.sampled_from((*LABELS, None, "x")),
        st.lists(st.integers(0, 3), min_size=3, max_size=3), st.integers(0, 3),
    ),
    min_size=1, max_size=12,
)


def _made(items: Any) -> tuple[list[Sample], list[Output]]:
    samples, outputs = [], []
    for index, (target, label, scores, _) in enumerate(items):
        p = [(s + 1) / (sum(scores) + 3) for s in scores]
        samples.append(Sample(str(index), target=target, choices=LABELS))
        outputs.append(Output(Key(str(index)), Label(label, dict(zip(LABELS, p)), logprobs=tuple(map(math.log, p)))))
    return samples, outputs


@settings(max_examples=60, deadline=None)
@given(answers)
def test_weights_equal_repeated_rows(items: Any) -> None:
    samples, outputs = _made(items)
    counts = [count for *_, count in items]
    weights = np.array([counts, np.ones(len(items))], dtype=np.float64)
    for spec in SPECS:
        m = metric(spec).prepare(samples)
        stats = m.score(samples, outputs).stats
        repeated = np.repeat(stats, counts, axis=0)
        literal = m.aggregate(repeated, np.ones((1, len(repeated))))
        assert m.aggregate(stats, weights)[0] == pytest.approx(literal[0], abs=1e-12, nan_ok=True), spec
        assert m.aggregate(stats, weights / 3)[0] == pytest.approx(literal[0], abs=1e-9, nan_ok=True), spec


@settings(max_examples=30, deadline=None)
@given(answers, st.integers(0, 12))
def test_batches_do_not_matter(items: Any, at: int) -> None:
    samples, outputs = _made(items)
    for spec in SPECS:
        m = metric(spec).prepare(samples)
        whole = m.score(samples, outputs).stats
        parts = [m.score(samples[:at], outputs[:at]).stats, m.score(samples[at:], outputs[at:]).stats]
        assert whole.shape == (len(items), len(m.columns))
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_tables() -> None:
    samples, outputs = rows(TARGETS, [Label(label) for label in ANSWERS])
    m = averaged.F1().prepare(samples)
    tables = m.tables(m.score(samples, outputs).stats)
    assert tables["per_class"].rows[1:] == (("b", 1 / 2, 1 / 2, 1 / 2, 2, 2), ("c", None, 0.0, 0.0, 1, 0),
                                           ("x", 0.0, None, 0.0, 0, 1))  # fmt: skip
    assert tables["confusion"].columns == ("target", "a", "b", "c", "x", "none of them")
    assert tables["confusion"].rows == (("a", 2, 1, 0, 0, 0), ("b", 0, 1, 0, 0, 1), ("c", 0, 0, 0, 1, 0))


def test_extremes() -> None:
    sample = Sample("1", target="a")
    for spec in ("accuracy", "acc_norm"):
        worst, best = metric(spec).extremes(sample) or ((), ())
        assert (list(worst), list(best)) == ([0.0, 1.0], [1.0, 1.0])
    worst, best = metric("log_loss").extremes(sample) or ((), ())
    assert worst[0] == pytest.approx(36.04365338911715)
    assert best[0] == pytest.approx(0, abs=1e-15)
    assert metric("f1").extremes(sample) is None
