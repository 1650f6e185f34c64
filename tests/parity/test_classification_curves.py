"""Metrics of scores and probabilities equal scikit-learn, scipy and brute force on real labels and on made ones."""

from __future__ import annotations

import csv
import itertools
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from harness.metrics import calibration, curves, probabilities, proper, ranked, thresholds
from harness.plugins import metric
from harness.types import Key, Label, Labels, Output, Sample

SharedData = Callable[[str], Path]
Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def grounded(shared_data: SharedData) -> tuple[list[str], list[float]]:
    """Human labels of 3,601 dialogue responses, and as score the share of a response's words that its source has (many
    ties)."""
    path = shared_data("begin_wow/begin_test_wow.tsv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if row["begin_label"] != "Generic"]
    targets, scores = [], []
    for row in rows:
        words, source = row["response"].lower().split(), set(row["knowledge"].lower().split())
        targets.append("yes" if row["begin_label"].startswith("Fully") else "no")
        scores.append(sum(word in source for word in words) / max(len(words), 1))
    assert (targets.count("yes"), targets.count("no")) == (1392, 2209)
    return targets, scores


def through_the_metric(spec: str, targets: list[str], scores: list[float]) -> float:
    samples = [Sample(str(i), target=t) for i, t in enumerate(targets)]
    outputs = [Output(Key(str(i)), Label(None, {"yes": s, "no": 1 - s})) for i, s in enumerate(scores)]
    prepared = metric(spec).prepare(samples)
    return float(prepared.aggregate(prepared.score(samples, outputs).stats, np.ones((1, len(samples))))[0])


def test_groundedness_labels(grounded: tuple[list[str], list[float]]) -> None:
    targets, scores = grounded
    y, s = np.array([t == "yes" for t in targets]), np.array(scores)
    precision, recall, _ = sk.precision_recall_curve(y, s)
    expected = {
        "roc_auc": sk.roc_auc_score(y, s), "roc_curve": sk.roc_auc_score(y, s), "auc_grade": sk.roc_auc_score(y, s),
        "gini": 2 * sk.roc_auc_score(y, s) - 1, "average_precision": sk.average_precision_score(y, s),
        "pr_curve": sk.average_precision_score(y, s), "pr_auc": sk.auc(recall, precision),
        "ks": scipy_stats.ks_2samp(s[y], s[~y], method="asymp").statistic, "log_loss": sk.log_loss(y, s),
        "brier": sk.brier_score_loss(y, s),
        "sharpness": s.var(),
    }  # fmt: skip
    for spec, value in expected.items():
        assert through_the_metric(spec, targets, scores) == pytest.approx(value, abs=1e-9), spec
    assert 0.6 < expected["roc_auc"] < 0.99
    for ours, theirs in zip(curves.roc_curve(targets, scores), sk.roc_curve(y, s)):
        assert ours == pytest.approx(theirs, abs=1e-12)
    for ours, theirs in zip(curves.pr_curve(targets, scores), sk.precision_recall_curve(y, s)):
        assert ours == pytest.approx(theirs, abs=1e-12)
    for scheme, n_bins in (("uniform", 15), ("uniform", 10), ("quantile", 13)):
        events, confidence, _ = calibration.reliability_curve(targets, scores, bins=n_bins, scheme=scheme)
        theirs = calibration_curve(y, s, n_bins=n_bins, strategy=scheme)
        assert events == pytest.approx(theirs[0], abs=1e-12)
        assert confidence == pytest.approx(theirs[1], abs=1e-12)


def test_classes_one_against_the_rest(shared_data: SharedData) -> None:
    with shared_data("banking77/test.csv").open(encoding="utf-8", newline="") as file:
        targets = [row["category"] for row in csv.DictReader(file)]
    labels = sorted(set(targets))
    scores = np.random.default_rng(5).dirichlet(np.full(77, 0.3), size=len(targets)).round(3)
    scores[np.arange(len(targets)), [labels.index(t) for t in targets]] += 0.05
    scores /= scores.sum(axis=1, keepdims=True)
    hot = np.array(targets)[:, None] == np.array(labels)[None, :]
    for average in ("macro", "micro", "weighted"):
        expected = sk.average_precision_score(hot, scores, average=average)
        assert curves.average_precision(targets, scores, average=average) == pytest.approx(expected, abs=1e-9)
    expected = sk.roc_auc_score(targets, scores, multi_class="ovr", average="micro")
    assert probabilities.roc_auc(targets, scores, average="micro") == pytest.approx(expected, abs=1e-9)
    assert proper.brier(targets, scores) == pytest.approx(sk.brier_score_loss(targets, scores), abs=1e-9)


# ── made input ──────────────────────────────────────────────────────────────────────────────────────────────────────

scored = st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 3), st.integers(1, 3)), min_size=1, max_size=25)
scale = st.sampled_from([1e-6, 1.0, 1e6])


def both_classes(items: Any, by: float) -> tuple[Array, Array, Array]:
    targets, scores, weights = (np.array(column) for column in zip(*items))
    assume(0 < targets.sum() < len(targets))
    return targets, scores * by, weights


@settings(max_examples=60, deadline=None)
@given(scored, scale)
def test_areas(items: Any, by: float) -> None:
    targets, scores, weights = both_classes(items, by)
    area = sk.roc_auc_score(targets, scores, sample_weight=weights)
    precision, recall, _ = sk.precision_recall_curve(targets, scores, sample_weight=weights)
    assert probabilities.roc_auc(targets.tolist(), scores, sample_weight=weights) == pytest.approx(area, abs=1e-12)
    assert probabilities.gini(targets.tolist(), scores, sample_weight=weights) == pytest.approx(2 * area - 1, abs=1e-12)
    value = curves.average_precision(targets.tolist(), scores, sample_weight=weights)
    assert value == pytest.approx(sk.average_precision_score(targets, scores, sample_weight=weights), abs=1e-12)
    value = curves.pr_auc(targets.tolist(), scores, sample_weight=weights)
    assert value == pytest.approx(sk.auc(recall, precision), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(scored, scale, st.booleans())
def test_points(items: Any, by: float, drop: bool) -> None:
    targets, scores, weights = both_classes(items, by)
    ours = curves.roc_curve(targets.tolist(), scores, drop_intermediate=drop, sample_weight=weights)
    theirs = sk.roc_curve(targets, scores, drop_intermediate=drop, sample_weight=weights)
    assert [len(column) for column in ours] == [len(column) for column in theirs]
    for mine, other in zip(ours, theirs):
        assert mine == pytest.approx(other, abs=1e-12)
    ours = curves.pr_curve(targets.tolist(), scores, sample_weight=weights)
    for mine, other in zip(ours, sk.precision_recall_curve(targets, scores, sample_weight=weights)):
        assert mine == pytest.approx(other, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(scored)
def test_ks_and_concordance(items: Any) -> None:
    targets, scores, weights = both_classes(items, 1.0)
    repeated_t, repeated_s = np.repeat(targets, weights), np.repeat(scores, weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its p-values
        expected = scipy_stats.ks_2samp(repeated_s[repeated_t == 1], repeated_s[repeated_t == 0]).statistic
    assert ranked.ks(targets.tolist(), scores, sample_weight=weights) == pytest.approx(expected, abs=1e-12)
    pairs = list(itertools.product(repeated_s[repeated_t == 1], repeated_s[repeated_t == 0]))
    found = ranked.concordance(targets.tolist(), scores, sample_weight=weights)
    assert found["pairs"] == len(pairs)
    assert found["concordant"] == pytest.approx(sum(a > b for a, b in pairs) / len(pairs), abs=1e-12)
    assert found["discordant"] == pytest.approx(sum(a < b for a, b in pairs) / len(pairs), abs=1e-12)
    assert found["tied"] == pytest.approx(sum(a == b for a, b in pairs) / len(pairs), abs=1e-12)


def brute_gain(targets: Array, scores: Array, share: float) -> float:
    """The mean over all orders of rows of equal score, by drawing whole and parts of rows."""
    order = np.argsort(-scores, kind="stable")
    left, gained = share * len(targets), 0.0
    for _, group in itertools.groupby(order, key=lambda row: scores[row]):
        rows = list(group)
        taken = min(left, len(rows))
        gained += taken / len(rows) * targets[rows].sum()
        left -= taken
    return gained / targets.sum()


@settings(max_examples=60, deadline=None)
@given(scored, st.integers(2, 10))
def test_lift_by_brute_force(items: Any, bins: int) -> None:
    targets, scores, _ = both_classes(items, 1.0)
    expected = brute_gain(targets, scores, 1 / bins) * bins
    assert ranked.gain_lift(targets.tolist(), scores, bins=bins) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(scored, st.sampled_from(["f1(average=binary)", "mcc", "accuracy", "cost(matrix=[[0,1],[5,0]])", "balanced_accuracy"]))
def test_best_threshold_by_brute_force(items: Any, spec: str) -> None:
    targets, scores, _ = both_classes(items, 1.0)
    inner = metric(spec)
    found = []
    for t in sorted({*scores.tolist(), float(np.nextafter(scores.max(), math.inf))}, reverse=True):
        samples = [Sample(str(i), target=str(y)) for i, y in enumerate(targets)]
        outputs = [Output(Key(str(i)), Label(str(int(s >= t)))) for i, s in enumerate(scores)]
        prepared = inner.prepare(samples)
        value = prepared.aggregate(prepared.score(samples, outputs).stats, np.ones((1, len(samples))))[0]
        found.append((value if inner.higher_is_better else -value, t))
    best = max(value for value, _ in found if not math.isnan(value))
    expected = next(t for value, t in found if value >= best - 1e-12)
    assert thresholds.best_threshold(targets.tolist(), scores, metric=inner) == expected


chances = st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(0, 3), min_size=3, max_size=3), st.integers(1, 3)),
                   min_size=3, max_size=20)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(chances)
def test_brier(items: Any) -> None:
    targets, weights = [t for t, _, _ in items], [w for *_, w in items]
    table = np.array([row for _, row, _ in items]) + 0.25
    table /= table.sum(axis=1, keepdims=True)
    for half in (None, True, False):
        expected = sk.brier_score_loss(
            targets, table, labels=[0, 1, 2], sample_weight=weights, scale_by_half="auto" if half is None else half
        )
        value = proper.brier(targets, table, labels=[0, 1, 2], half=half, sample_weight=weights)
        assert value == pytest.approx(expected, abs=1e-12)
    binary = [int(t > 0) for t in targets]
    expected = sk.brier_score_loss(binary, table[:, 0], labels=[0, 1], sample_weight=weights)
    assert proper.brier(binary, table[:, 0], labels=[0, 1], sample_weight=weights) == pytest.approx(expected, abs=1e-12)


sets = st.lists(st.tuples(st.sets(st.integers(0, 2), max_size=3), st.lists(st.integers(0, 4), min_size=3, max_size=3)),
                min_size=4, max_size=20)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(sets, st.sampled_from(["macro", "micro", "weighted"]))
def test_multilabel_scores(items: Any, average: str) -> None:
    samples = [Sample(str(i), target=[f"c{t}" for t in ts]) for i, (ts, _) in enumerate(items)]
    table = np.array([row for _, row in items]) / 4
    outputs = [Output(Key(str(i)), Labels((), {f"c{k}": p for k, p in enumerate(row)})) for i, row in enumerate(table.tolist())]
    hot = np.array([[k in ts for k in range(3)] for ts, _ in items])
    assume(hot.any(axis=0).all() and not hot.all(axis=0).any())
    for spec, function in (("roc_auc", sk.roc_auc_score), ("average_precision", sk.average_precision_score)):
        prepared = metric(f"{spec}(average={average})").prepare(samples)
        value = prepared.aggregate(prepared.score(samples, outputs).stats, np.ones((1, len(samples))))[0]
        assert value == pytest.approx(function(hot, table, average=average), abs=1e-12), spec


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=1, max_size=40), st.integers(1, 12))
def test_bins(items: Any, n_bins: int) -> None:
    targets, scores = [t for t, _ in items], np.array([s for _, s in items]) / 20
    events, confidence, rows = calibration.reliability_curve(targets, scores, bins=n_bins, labels=[0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = calibration_curve(np.append(targets, [0, 1]), np.append(scores, [0.0, 1.0]), n_bins=n_bins)
        plain = calibration_curve(targets, scores, n_bins=n_bins) if len(set(targets)) == 2 else None
    if plain is not None:
        assert events == pytest.approx(plain[0], abs=1e-12)
        assert confidence == pytest.approx(plain[1], abs=1e-12)
        value = calibration.ece(targets, scores, bins=n_bins)
        assert value == pytest.approx(float((rows * np.abs(plain[0] - plain[1])).sum() / rows.sum()), abs=1e-12)
        assert calibration.mce(targets, scores, bins=n_bins) == pytest.approx(np.abs(plain[0] - plain[1]).max(), abs=1e-12)
    assert rows.sum() == len(items)
    assert len(theirs[0]) >= len(events)


def test_undefined_here_and_a_number_there() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = (sk.average_precision_score([0, 0], [0.1, 0.2]), sk.roc_auc_score([0, 0], [0.1, 0.2]))
    assert theirs[0] == 0.0
    assert math.isnan(theirs[1])
    assert math.isnan(curves.average_precision([0, 0], [0.1, 0.2], labels=[0, 1]))
    assert math.isnan(probabilities.roc_auc([0, 0], [0.1, 0.2], labels=[0, 1]))
    assert curves.average_precision([1, 1], [0.1, 0.2], labels=[0, 1]) == sk.average_precision_score([1, 1], [0.1, 0.2]) == 1.0
