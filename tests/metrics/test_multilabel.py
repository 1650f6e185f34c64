"""Lists of labels: hand-worked averages, packing, label sets, what a metric of single labels says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from harness.errors import MetricError
from harness.metrics import association, averaged
from harness.metrics.counts import label_counts, packed, packed_width, unpacked
from harness.plugins import metric
from harness.types import Key, Label, Labels, Output, Sample

# row 1: a b | a c -> 1 hit of 2 and 2;  row 2: b | b -> 1 of 1;  row 3: c | nothing;  row 4: nothing | x (outside)
TARGETS = [["a", "b"], ["b"], ["c"], []]
ANSWERS = [("a", "c"), ("b",), (), ("x",)]


def made() -> tuple[list[Sample], list[Output]]:
    samples = [Sample(str(i), target=t) for i, t in enumerate(TARGETS)]
    return samples, [Output(Key(str(i)), Labels(a)) for i, a in enumerate(ANSWERS)]


def value(spec: str) -> float:
    samples, outputs = made()
    m = metric(spec).prepare(samples)
    scores = m.score(samples, outputs)
    return float((scores.bound or m).aggregate(scores.stats, np.ones((1, 4)))[0])


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        # a: 1 hit, 1 target, 1 prediction; b: 1, 2, 1; c: 0, 1, 1; x: 0, 0, 1
        ("precision", (1 + 1 + 0 + 0) / 4), ("recall", (1 + 1 / 2 + 0 + 0) / 4), ("f1", (1 + 2 / 3 + 0 + 0) / 4),
        ("micro_f1", 4 / 8), ("weighted_f1", (1 + 2 * 2 / 3 + 0) / 4), ("jaccard_score", (1 + 1 / 2 + 0 + 0) / 4),
        ("f1(average=samples)", (1 / 2 + 1 + 0 + 0) / 4), ("recall(average=samples)", (1 / 2 + 1 + 0 + 0) / 4),
        ("f1(average=binary,positive=b)", 2 / 3),
        # negatives: a 3 rows, all rejected; b 2 of 2; c 2 of 3; x 3 of 4
        ("specificity", (1 + 1 + 2 / 3 + 3 / 4) / 4), ("fpr", (0 + 0 + 1 / 3 + 1 / 4) / 4), ("fnr", (0 + 1 / 2 + 1) / 3),
        ("npv", (3 / 3 + 2 / 3 + 2 / 3 + 3 / 3) / 4),
        ("fnr(average=samples)", (1 / 2 + 0 + 1) / 3),  # the row without targets has none to miss
        ("hamming", 4 / 16), ("accuracy", 1 / 4),
    ],
)  # fmt: skip
def test_values_worked_by_hand(spec: str, expected: float) -> None:
    assert value(spec) == pytest.approx(expected, abs=1e-12)


def test_packed_rows_hold_24_labels_a_column() -> None:
    assert [packed_width(n) for n in (0, 1, 24, 25, 77)] == [1, 1, 1, 2, 4]
    row = packed([0, 23, 24, 76], [0, 76], 77)
    found = {first + k: int(bit) for first, bits in unpacked(np.array([row]), 77) for k, bit in enumerate(bits[0]) if bit}
    assert found == {0: 3, 23: 1, 24: 1, 76: 3}
    counts = label_counts(np.array([row, row]), np.array([[1.0, 0.5]]), 77)
    assert counts.targets[0, [0, 23, 24, 25, 76]].tolist() == [1.5, 1.5, 1.5, 0, 1.5]
    assert counts.predictions.sum() == 3.0
    samples = [Sample("1", target=[str(n) for n in range(77)])]
    assert metric("f1").prepare(samples).columns == ("labels0", "labels1", "labels2", "labels3")


@pytest.mark.parametrize("spec", ["mcc", "balanced_accuracy", "cohen_kappa", "confusion_matrix"])
def test_metrics_of_single_labels_refuse_lists(spec: str) -> None:
    with pytest.raises(MetricError, match=f"{spec}: targets must be single labels, got lists of labels"):
        metric(spec).prepare(made()[0])


def test_samples_average_is_for_lists() -> None:
    with pytest.raises(MetricError, match="f1: average must be binary, micro, macro or weighted where targets are single"):
        metric("f1(average=samples)").prepare([Sample("1", target="a"), Sample("2", target="b")])


@pytest.mark.parametrize(("spec", "reason"), [("f1", "not Labels"), ("accuracy", "not Labels"), ("roc_auc", "not Labels")])
def test_a_single_label_is_no_answer_to_a_list(spec: str, reason: str) -> None:
    samples, _ = made()
    outputs = [Output(Key(sample.id), Label("a", {"a": 1.0})) for sample in samples]
    scores = metric(spec).prepare(samples).score(samples, outputs)
    assert list(scores.missing) == [0, 1, 2, 3]
    assert all(reason in why for why in scores.missing.values())


def test_an_unknown_target_says_what_to_do() -> None:
    samples, outputs = made()
    m = metric("f1").prepare(samples)
    with pytest.raises(MetricError, match=r"must hold every target, got 'z': call prepare\(samples\) first"):
        m.score([Sample("9", target=["a", "z"])], outputs[:1])


def test_tables_and_no_targets() -> None:
    samples, outputs = made()
    m = metric("f1").prepare(samples)
    tables = m.tables(m.score(samples, outputs).stats)
    assert list(tables) == ["per_class"]
    assert tables["per_class"].rows[1] == ("b", 1.0, 0.5, pytest.approx(2 / 3), 2, 1)
    assert m.score([Sample("9")], outputs[:1]).missing == {0: "the sample has no target"}


def test_undefined() -> None:
    assert math.isnan(averaged.f1([[], []], [[], []]))
    assert math.isnan(averaged.precision([["a"]], [[]], average="micro"))
    assert math.isnan(association.hamming([], []))


def test_mixed_lists_and_labels_are_refused() -> None:
    bad: Any = ["a"]
    with pytest.raises(MetricError, match="f1: targets and predictions must all be lists of labels, or none of them"):
        averaged.f1([["a"]], bad)
