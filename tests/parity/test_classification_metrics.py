"""Classification metrics equal scikit-learn 1.9 on real and on made labels, and the published accuracies of BIG-Bench-Hard."""

from __future__ import annotations

import csv
import json
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

from harness.metrics import association, averaged, classification, probabilities, proper
from harness.plugins import metric
from harness.types import Key, Label, Output, Sample

SharedData = Callable[[str], Path]
FUNCTIONS = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}
UNSEEN = "none of the labels"


@pytest.fixture(scope="module")
def intents(shared_data: SharedData) -> tuple[list[str], list[str]]:
    """Real targets of 77 classes, and predictions of which three in ten are made up, some outside the label set."""
    with shared_data("banking77/test.csv").open(encoding="utf-8", newline="") as file:
        targets = [row["category"] for row in csv.DictReader(file)]
    rng = np.random.default_rng(7)
    labels = sorted(set(targets))
    assert (len(targets), len(labels)) == (3080, 77)
    made = [labels[i] for i in rng.integers(0, 77, len(targets))]
    draw = rng.random(len(targets))
    return targets, [t if d < 0.7 else UNSEEN if d < 0.72 else m for t, m, d in zip(targets, made, draw)]


def through_the_metric(spec: str, targets: Sequence[str], predictions: Sequence[str]) -> float:
    samples = [Sample(str(i), target=t) for i, t in enumerate(targets)]
    outputs = [Output(Key(str(i)), Label(None if p == UNSEEN else p)) for i, p in enumerate(predictions)]
    prepared = metric(spec).prepare(samples)
    return float(prepared.aggregate(prepared.score(samples, outputs).stats, np.ones((1, len(samples))))[0])


def test_real_labels(intents: tuple[list[str], list[str]]) -> None:
    targets, predictions = intents
    labels = sorted(set(targets))
    expected = sk.accuracy_score(targets, predictions)
    assert through_the_metric("accuracy", targets, predictions) == pytest.approx(expected, abs=1e-12)
    for name, function in FUNCTIONS.items():
        for average in ("micro", "macro", "weighted"):
            expected = function(targets, predictions, labels=labels, average=average, zero_division=0)
            assert through_the_metric(f"{name}(average={average})", targets, predictions) == pytest.approx(expected, abs=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "y_pred contains classes not in y_true"
        expected = sk.balanced_accuracy_score(targets, predictions)
    assert through_the_metric("balanced_accuracy", targets, predictions) == pytest.approx(expected, abs=1e-12)
    expected = sk.matthews_corrcoef(targets, predictions)
    assert through_the_metric("mcc", targets, predictions) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("average", ["macro", "weighted"])
@pytest.mark.parametrize("multi_class", ["ovr", "ovo"])
def test_real_labels_with_probabilities(intents: tuple[list[str], list[str]], multi_class: str, average: str) -> None:
    labels = sorted(set(intents[0]))[:77 if multi_class == "ovr" else 20]  # all pairs of 77 take scikit-learn 10 seconds
    targets, predictions = zip(*((t, p if p in labels else UNSEEN) for t, p in zip(*intents) if t in labels))
    scores = np.random.default_rng(3).dirichlet(np.full(len(labels), 0.5), size=len(targets)).round(3)  # rounding makes ties
    scores[np.arange(len(targets)), [labels.index(p) if p != UNSEEN else 0 for p in predictions]] += 0.02
    scores /= scores.sum(axis=1, keepdims=True)
    samples = [Sample(str(i), target=t) for i, t in enumerate(targets)]
    outputs = [Output(Key(str(i)), Label(None, dict(zip(labels, row)))) for i, row in enumerate(scores.tolist())]
    area = metric(f"roc_auc(multi_class={multi_class},average={average})").prepare(samples)
    value = area.aggregate(area.score(samples, outputs).stats, np.ones((1, len(samples))))[0]
    assert value == pytest.approx(sk.roc_auc_score(targets, scores, multi_class=multi_class, average=average), abs=1e-9)
    loss = metric("log_loss")
    value = float(loss.finish(loss.score(samples, outputs).stats.sum(axis=0)))
    assert value == pytest.approx(sk.log_loss(targets, scores), abs=1e-9)


BBH = (
    "boolean_expressions", "causal_judgement", "date_understanding", "object_counting", "snarks", "sports_understanding",
    "word_sorting",
)


def last_answer(text: str) -> str:
    return text.split("the answer is ")[-1].split("\n")[0].strip().removesuffix(".")


@pytest.mark.parametrize("task", BBH)
@pytest.mark.parametrize(("kind", "read"), [("direct", str.strip), ("cot", last_answer)])
def test_published_accuracies(shared_data: SharedData, task: str, kind: str, read: Callable[[str], str]) -> None:
    folder = f"bbh/code-davinci-002-{kind}/{task}"
    published = json.loads(shared_data(f"{folder}_eval_metrics.jsonl").read_text())["accuracy"]
    outputs = json.loads(shared_data(f"{folder}.json").read_text())["outputs"]
    targets, predictions = [o["target"].strip() for o in outputs], [read(o["prediction"]) for o in outputs]
    assert 100 * classification.accuracy(targets, predictions) == pytest.approx(published, abs=1e-9)
    assert 100 * through_the_metric("accuracy", targets, predictions) == pytest.approx(published, abs=1e-9)


# ── made input ──────────────────────────────────────────────────────────────────────────────────────────────────────

pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(1, 3)), min_size=1, max_size=25)


@settings(max_examples=150, deadline=None)
@given(pairs, st.sampled_from(["micro", "macro", "weighted"]))
def test_averages_on_any_labels(items: list[tuple[int, int, int]], average: Any) -> None:
    targets, predictions, weights = map(list, zip(*items))
    for name, function in FUNCTIONS.items():
        expected = function(targets, predictions, average=average, sample_weight=weights, zero_division=0)
        value = getattr(averaged, name)(targets, predictions, average=average, sample_weight=weights)
        assert value == pytest.approx(expected, abs=1e-12), name


@settings(max_examples=150, deadline=None)
@given(pairs)
def test_balanced_accuracy_and_mcc_on_any_labels(items: list[tuple[int, int, int]]) -> None:
    targets, predictions, weights = map(list, zip(*items))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        expected = sk.balanced_accuracy_score(targets, predictions, sample_weight=weights)
        correlation = sk.matthews_corrcoef(targets, predictions, sample_weight=weights)
    assert association.balanced_accuracy(targets, predictions, sample_weight=weights) == pytest.approx(expected, abs=1e-12)
    value = association.mcc(targets, predictions, sample_weight=weights)
    if len(set(targets)) == 1:
        assert (correlation, math.isnan(value)) == (0.0, True)  # the one deviation: undefined is not 0
    else:
        assert value == pytest.approx(correlation, abs=1e-9)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=12))
def test_binary_averages(items: list[tuple[int, int]]) -> None:
    targets, predictions = map(list, zip(*items))
    for name, function in FUNCTIONS.items():
        value = getattr(averaged, name)(targets, predictions, average="binary", labels=[0, 1])
        expected = function(targets, predictions, zero_division=np.nan)
        assert value == pytest.approx(expected, abs=1e-12, nan_ok=True), name


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(1, 3)), min_size=2, max_size=25))
def test_binary_auc_with_ties(items: list[tuple[int, int, int]]) -> None:
    targets, scores, weights = map(list, zip(*items))
    value = probabilities.roc_auc(targets, scores, labels=[0, 1], sample_weight=weights)
    if len(set(targets)) == 1:
        assert math.isnan(value)
    else:
        assert value == pytest.approx(sk.roc_auc_score(targets, scores, sample_weight=weights), abs=1e-12)


tables = st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(0, 3), min_size=3, max_size=3)), min_size=3, max_size=25)


@settings(max_examples=150, deadline=None)
@given(tables, st.sampled_from(["ovr", "ovo"]), st.sampled_from(["macro", "weighted"]))
def test_averaged_auc_with_ties(items: Any, multi_class: Any, average: Any) -> None:
    targets = [target for target, _ in items]
    assume(len(set(targets)) == 3)
    scores = np.array([row for _, row in items]) + 1.0
    scores /= scores.sum(axis=1, keepdims=True)
    expected = sk.roc_auc_score(targets, scores, multi_class=multi_class, average=average)
    value = probabilities.roc_auc(targets, scores, multi_class=multi_class, average=average)
    assert value == pytest.approx(expected, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(tables, st.booleans())
def test_log_loss_with_certainty(items: Any, certain: bool) -> None:
    targets = [target for target, _ in items]
    scores = np.array([row for _, row in items], dtype=float) + (0 if certain else 0.1)
    scores[scores.sum(axis=1) == 0] = 1
    scores /= scores.sum(axis=1, keepdims=True)
    expected = sk.log_loss(targets, scores, labels=[0, 1, 2])
    assert proper.log_loss(targets, scores, labels=[0, 1, 2]) == pytest.approx(expected, abs=1e-9)
