"""Label metrics, single and multi-label, equal scikit-learn on real labels and on made ones; where they deviate both are
shown."""

from __future__ import annotations

import csv
import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.preprocessing import MultiLabelBinarizer

from harness.metrics import association, averaged, classification
from harness.plugins import metric
from harness.types import Key, Label, Labels, Output, Sample

SharedData = Callable[[str], Path]
AVERAGES = ("micro", "macro", "weighted")
RATIOS: dict[str, Callable[..., float]] = {
    "precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score, "jaccard_score": sk.jaccard_score,
    "f_beta": lambda *a, **k: sk.fbeta_score(*a, beta=2.0, **k),
}  # fmt: skip


def specificities(targets: Any, predictions: Any, labels: Any, weights: Any = None) -> dict[str, list[float]]:
    """The four rates of what a class is not, from scikit-learn's matrices; NaN where undefined."""
    matrices = sk.multilabel_confusion_matrix(targets, predictions, labels=labels, sample_weight=weights)
    found: dict[str, list[float]] = {"specificity": [], "fpr": [], "fnr": [], "npv": []}
    for (tn, fp), (fn, tp) in matrices:
        for name, over, under in (("specificity", tn, tn + fp), ("fpr", fp, tn + fp), ("fnr", fn, fn + tp), ("npv", tn, tn +
        fn)):
            found[name].append(over / under if under else math.nan)
    return found


@pytest.fixture(scope="module")
def intents(shared_data: SharedData) -> tuple[list[str], list[str]]:
    """Real targets of 77 intents; predictions by a rule: the first intent whose every word but two is in the question, or the
    one before it by name."""
    with shared_data("banking77/test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    labels = sorted({row["category"] for row in rows})
    words = {label: set(label.lower().replace("?", "").split("_")) for label in labels}
    predictions = []
    for row in rows:
        question = set(row["text"].lower().replace("?", "").split())
        fit = {label: len(words[label] & question) / len(words[label]) for label in labels}
        predictions.append(max(labels, key=lambda label: (fit[label], label)))
    return [row["category"] for row in rows], predictions


def through_the_metric(spec: str, targets: Sequence[Any], answers: Sequence[Any]) -> float:
    samples = [Sample(str(i), target=t) for i, t in enumerate(targets)]
    outputs = [Output(Key(str(i)), Labels(tuple(a)) if isinstance(a, list) else Label(a)) for i, a in enumerate(answers)]
    prepared = metric(spec).prepare(samples)
    return float(prepared.aggregate(prepared.score(samples, outputs).stats, np.ones((1, len(samples))))[0])


def test_77_intents(intents: tuple[list[str], list[str]]) -> None:
    targets, predictions = intents
    accuracy = through_the_metric("accuracy", targets, predictions)
    assert accuracy == pytest.approx(sk.accuracy_score(targets, predictions), abs=1e-12)
    assert 0.1 < accuracy < 0.9  # the rule is neither blind nor perfect
    for name, function in RATIOS.items():
        for average in AVERAGES:
            expected = function(targets, predictions, average=average, zero_division=0)
            assert through_the_metric(f"{name}(average={average})", targets, predictions) == pytest.approx(expected, abs=1e-12)
    for name, values in specificities(targets, predictions, sorted(set(targets))).items():
        assert through_the_metric(name, targets, predictions) == pytest.approx(np.nanmean(values), abs=1e-12), name
    for weights in ("none", "linear", "quadratic"):
        expected = sk.cohen_kappa_score(targets, predictions, weights=None if weights == "none" else weights)
        assert through_the_metric(f"cohen_kappa(weights={weights})", targets, predictions) == pytest.approx(expected, abs=1e-9)
    expected = sk.hamming_loss(targets, predictions)
    assert through_the_metric("hamming", targets, predictions) == pytest.approx(expected, abs=1e-12)
    expected = sk.homogeneity_score(targets, predictions)
    assert through_the_metric("confusion_matrix", targets, predictions) == pytest.approx(expected, abs=1e-9)


def test_codes_and_not_columns(intents: tuple[list[str], list[str]]) -> None:
    """Macro-F1 over 77 classes keeps two numbers a row."""
    samples = [Sample(str(i), target=t) for i, t in enumerate(intents[0])]
    outputs = [Output(Key(str(i)), Label(p)) for i, p in enumerate(intents[1])]
    prepared = metric("macro_f1").prepare(samples)
    assert prepared.score(samples, outputs).stats.shape == (3080, 2)
    assert len(prepared.labels) == 77


def test_words_of_real_questions_as_labels(intents: tuple[list[str], list[str]]) -> None:
    """Multi-label: an intent stands for the set of its words; 100 and more labels, several columns of packed rows."""
    targets, predictions = ([label.lower().split("_") for label in side[::3]] for side in intents)
    binarizer = MultiLabelBinarizer().fit([*targets, *predictions])
    true, pred = binarizer.transform(targets), binarizer.transform(predictions)
    assert true.shape[1] > 100
    for name, function in RATIOS.items():
        for average in (*AVERAGES, "samples"):
            expected = function(true, pred, average=average, zero_division=0)
            value = through_the_metric(f"{name}(average={average})", targets, predictions)
            assert value == pytest.approx(expected, abs=1e-12), (name, average)
    assert through_the_metric("hamming", targets, predictions) == pytest.approx(sk.hamming_loss(true, pred), abs=1e-12)
    assert through_the_metric("accuracy", targets, predictions) == pytest.approx(sk.accuracy_score(true, pred), abs=1e-12)


# ── made input ──────────────────────────────────────────────────────────────────────────────────────────────────────

rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=25)
sets = st.lists(
    st.tuples(st.sets(st.integers(0, 30), max_size=4), st.sets(st.integers(0, 30), max_size=4), st.integers(1, 3)),
    min_size=1, max_size=15,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(rows, st.sampled_from(AVERAGES))
def test_ratios_on_any_labels(items: list[tuple[int, int, int]], average: Any) -> None:
    targets, predictions, weights = map(list, zip(*[(*item[:2], item[2] + 1) for item in items]))
    for name in ("f_beta", "jaccard_score"):
        extra = {"beta": 2.0} if name == "f_beta" else {}
        expected = RATIOS[name](targets, predictions, average=average, sample_weight=weights, zero_division=0)
        value = getattr(averaged, name)(targets, predictions, average=average, sample_weight=weights, **extra)
        assert value == pytest.approx(expected, abs=1e-12), name


@settings(max_examples=60, deadline=None)
@given(rows)
def test_rates_on_any_labels(items: list[tuple[int, int, int]]) -> None:
    targets, predictions, weights = map(list, zip(*[(*item[:2], item[2] + 1) for item in items]))
    labels = sorted({*targets, *predictions})
    for name, values in specificities(targets, predictions, labels, weights).items():
        function = getattr(averaged, name)
        macro = function(targets, predictions, sample_weight=weights)
        expected = math.nan if np.isnan(values).all() else np.nanmean(values)
        assert macro == pytest.approx(expected, abs=1e-12, nan_ok=True), name
        for label, value in zip(labels, values):
            one = function(targets, predictions, average="binary", positive=label, sample_weight=weights)
            assert one == pytest.approx(value, abs=1e-12, nan_ok=True), (name, label)


@settings(max_examples=60, deadline=None)
@given(rows, st.sampled_from(["none", "linear", "quadratic"]))
def test_kappa_on_any_labels(items: list[tuple[int, int, int]], weights: Any) -> None:
    targets, predictions, sample_weight = map(list, zip(*[(10 * t, 10 * p, w + 1) for t, p, w in items]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = sk.cohen_kappa_score(
            targets, predictions, weights=None if weights == "none" else weights, sample_weight=sample_weight
        )
    value = association.cohen_kappa(targets, predictions, weights=weights, sample_weight=sample_weight)
    assert value == pytest.approx(expected, abs=1e-9, nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(sets, st.sampled_from((*AVERAGES, "samples")))
def test_multilabel_on_any_sets(items: Any, average: Any) -> None:
    targets, predictions, weights = ([list(t) for t, _, _ in items], [list(p) for _, p, _ in items], [w for *_, w in items])
    binarizer = MultiLabelBinarizer(classes=list(range(31))).fit([])
    true, pred = binarizer.transform(targets), binarizer.transform(predictions)
    for name, function in RATIOS.items():
        extra = {"beta": 2.0} if name == "f_beta" else {}
        value = getattr(averaged, name)(
            targets, predictions, average=average, labels=list(range(31)), sample_weight=weights, **extra
        )
        used = (true | pred).any(axis=0) if average == "macro" else np.ones(31, dtype=bool)  # scikit-learn takes all columns
        if average == "micro" and not (true.any() and pred.any()):
            continue  # undefined: missing here, 0 there
        if average == "weighted" and not true.any():
            assert math.isnan(value)
            continue
        if not used.any():
            assert math.isnan(value)
            continue
        # One column by itself scikit-learn takes for the two classes 0 and 1: its mean over labels is then that of label 1.
        how = "binary" if average == "macro" and used.sum() == 1 else average
        expected = function(true[:, used], pred[:, used], average=how, sample_weight=weights, zero_division=0)
        assert value == pytest.approx(expected, abs=1e-12), name
    accuracy = classification.accuracy(targets, predictions, sample_weight=weights)
    assert accuracy == pytest.approx(sk.accuracy_score(true, pred, sample_weight=weights), abs=1e-12)
    loss = association.hamming(targets, predictions, labels=list(range(31)), sample_weight=weights)
    assert loss == pytest.approx(sk.hamming_loss(true, pred, sample_weight=weights), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(rows, st.sampled_from(["none", "true", "pred", "all"]))
def test_confusion_matrix_on_any_labels(items: list[tuple[int, int, int]], normalize: Any) -> None:
    targets, predictions, weights = map(list, zip(*items))
    assume(sum(weights) > 0)
    ours = association.confusion_matrix(targets, predictions, normalize=normalize, sample_weight=weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = sk.confusion_matrix(
            targets, predictions, normalize=None if normalize == "none" else normalize, sample_weight=weights,
            labels=sorted({*targets, *predictions}),
        )  # fmt: skip
    assert np.nan_to_num(ours) == pytest.approx(theirs, abs=1e-12)  # shares of nothing: NaN here, 0 there


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 3), min_size=4, max_size=4), st.integers(1, 3)),
                min_size=1, max_size=15), st.integers(1, 4))  # fmt: skip
def test_top_k_with_ties(items: Any, k: int) -> None:
    targets, scores, weights = [t for t, _, _ in items], np.array([s for _, s, _ in items]), [w for *_, w in items]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = sk.top_k_accuracy_score(targets, scores, k=k, labels=[0, 1, 2, 3], sample_weight=weights)
    value = classification.top_k_accuracy(targets, scores, k=k, labels=[0, 1, 2, 3], sample_weight=weights)
    assert value == pytest.approx(expected, abs=1e-12)
    samples = [Sample(str(i), target=str(t), choices=("0", "1", "2", "3")) for i, t in enumerate(targets)]
    outputs = [Output(Key(str(i)), Label(None, dict(zip("0123", row)))) for i, row in enumerate(scores.astype(float).tolist())]
    m = metric(f"top_k_accuracy(k={k})")
    row_values = m.aggregate(m.score(samples, outputs).stats, np.array([weights], dtype=float))
    assert row_values[0] == pytest.approx(expected, abs=1e-12)


def test_undefined_here_and_zero_with_a_warning_there() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = [
            sk.jaccard_score([0, 0], [0, 0], labels=[0, 1], average="binary", pos_label=1),
            sk.fbeta_score([0, 0], [0, 0], beta=2, labels=[0, 1], average="binary", pos_label=1),
            sk.homogeneity_score([0, 0], [0, 1]),
        ]
        kappa = sk.cohen_kappa_score([0, 0], [0, 0])
    ours = [
        averaged.jaccard_score([0, 0], [0, 0], labels=[0, 1], average="binary"),
        averaged.f_beta([0, 0], [0, 0], beta=2, labels=[0, 1], average="binary"),
        through_the_metric("confusion_matrix", ["0", "0"], ["0", "1"]),
    ]
    assert (theirs, [math.isnan(value) for value in ours]) == ([0.0, 0.0, 1.0], [True] * 3)
    assert math.isnan(kappa)
    assert math.isnan(association.cohen_kappa([0, 0], [0, 0]))
