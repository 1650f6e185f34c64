"""Group fairness, bias and robustness: hand-worked cases, fairlearn, and what is undefined."""

from __future__ import annotations

import csv
import dataclasses
import math

import numpy as np
import pytest
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    demographic_parity_ratio,
    equal_opportunity_difference,
    equal_opportunity_ratio,
    equalized_odds_difference,
    equalized_odds_ratio,
    false_positive_rate,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score, roc_curve

from harness import score
from harness.errors import MetricError
from harness.metrics.bias import bias_amplification
from harness.metrics.fairness import (
    DemographicParity,
    demographic_parity,
    equal_opportunity,
    equalized_odds,
    predictive_equality,
)
from harness.metrics.outofdistribution import fpr_at_95_tpr, ood_auroc
from harness.plugins import metric
from harness.types import Key, Label, Number, Output, Sample


def _people(n=400, seed=0):
    rng = np.random.default_rng(seed)
    groups = rng.choice(["a", "b", "c"], n)
    targets = (rng.random(n) < np.where(groups == "a", 0.6, 0.4)).astype(int)
    predictions = np.where(rng.random(n) < 0.7, targets, 1 - targets)
    return targets.tolist(), predictions.tolist(), groups.tolist()


def _scored(spec, targets, predictions, groups):
    samples = [Sample(str(i), target=str(t), slices={"who": g}) for i, (t, g) in enumerate(zip(targets, groups))]
    outputs = [Output(Key(str(i)), Label(str(p))) for i, p in enumerate(predictions)]
    [result] = score(spec, outputs, samples)
    return result


PAIRS = [
    ("demographic_parity", demographic_parity, "difference", demographic_parity_difference),
    ("demographic_parity", demographic_parity, "ratio", demographic_parity_ratio),
    ("equal_opportunity", equal_opportunity, "difference", equal_opportunity_difference),
    ("equal_opportunity", equal_opportunity, "ratio", equal_opportunity_ratio),
    ("equalized_odds", equalized_odds, "difference", equalized_odds_difference),
    ("equalized_odds", equalized_odds, "ratio", equalized_odds_ratio),
    ("predictive_equality", predictive_equality, "difference",
     lambda t, p, sensitive_features: MetricFrame(metrics=false_positive_rate, y_true=t, y_pred=p,
                                                  sensitive_features=sensitive_features).difference()),
]


@pytest.mark.parametrize(("name", "plain", "measure", "reference"), PAIRS)
def test_equals_fairlearn(name, plain, measure, reference):
    targets, predictions, groups = _people()
    expected = reference(targets, predictions, sensitive_features=groups)
    assert plain(targets, predictions, groups, measure=measure) == pytest.approx(expected, abs=1e-12)
    result = _scored(f"{name}(by=who,measure={measure})", targets, predictions, groups)
    assert result.value == pytest.approx(expected, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.sampled_from("xyz")), min_size=1, max_size=30))
def test_equals_fairlearn_where_every_group_has_its_rates(rows):
    targets, predictions, groups = (list(column) for column in zip(*rows))
    if len(set(targets) | set(predictions)) < 2:
        return
    cells = {(g, t) for t, _, g in rows}
    if len(set(groups)) > 1:
        expected = demographic_parity_difference(targets, predictions, sensitive_features=groups)
        assert demographic_parity(targets, predictions, groups) == pytest.approx(expected, abs=1e-12)
    if len(set(groups)) > 1 and all((g, t) in cells for g in set(groups) for t in (0, 1)):
        expected = equalized_odds_difference(targets, predictions, sensitive_features=groups)
        assert equalized_odds(targets, predictions, groups) == pytest.approx(expected, abs=1e-12)


def test_a_group_without_positives_has_no_rate_where_fairlearn_gives_it_zero():
    targets, predictions, groups = [1, 1, 0, 0], [1, 1, 0, 0], ["a", "a", "b", "b"]
    assert equal_opportunity_difference(targets, predictions, sensitive_features=groups) == 1.0
    assert math.isnan(equal_opportunity(targets, predictions, groups))
    result = _scored("equal_opportunity(by=who)", targets, predictions, groups)
    assert result.value is None
    assert "undefined" in result.estimate.reason


def test_the_table_of_groups_holds_the_rates():
    result = _scored("equalized_odds(by=who)", [1, 1, 0, 0, 1, 0], [1, 0, 1, 0, 1, 0], list("aaaabb"))
    assert result.tables["groups"].rows == (("a", 0.5, 0.5, 0.5, 4), ("b", 0.5, 1.0, 0.0, 2))
    assert result.value == 0.5


def test_group_gap_and_worst_group_equal_metric_frame():
    targets, predictions, groups = _people(seed=3)
    frame = MetricFrame(metrics=f1_score, y_true=targets, y_pred=predictions, sensitive_features=groups)
    gap = _scored('group_gap(f1(average=binary,positive="1"),by=who)', targets, predictions, groups)
    worst = _scored('worst_group(f1(average=binary,positive="1"),by=who)', targets, predictions, groups)
    assert gap.value == pytest.approx(frame.difference(), abs=1e-12)
    assert worst.value == pytest.approx(frame.group_min(), abs=1e-12)
    assert worst.estimate.low <= worst.value <= worst.estimate.high


def test_worst_group_of_a_loss_is_the_highest():
    rows = [Output(Key(str(i)), Number(value)) for i, value in enumerate([1.0, 1.0, 5.0, 7.0])]
    samples = [Sample(str(i), target=1.0, slices={"who": g}) for i, g in enumerate("aabb")]
    [result] = score("worst_group(mae)", rows, samples)
    assert result.value == 5.0
    assert metric("worst_group(mae)").higher_is_better is False
    assert metric("worst_group(mae,by=who)").spec == "worst_group(by=who,metric=mae)"


def test_a_sample_without_its_slice_is_missing():
    slices = [{"who": "a"}, {}, {"who": "b"}]
    samples = [Sample(i, target=t, slices=s) for i, t, s in zip("123", "100", slices)]
    outputs = [Output(Key(s.id), Label("1")) for s in samples]
    [result] = score("demographic_parity(by=who)", outputs, samples)
    assert result.estimate.n_missing == 1
    assert result.samples.missing[1] == "the sample has no slice or field 'who'"


def test_bad_parameters_are_refused():
    with pytest.raises(MetricError, match="demographic_parity: measure must be one of difference, ratio, got 'gap'"):
        DemographicParity(measure="gap")
    with pytest.raises(MetricError, match="worst_group: metric must be one of which more or less is better"):
        metric("worst_group(length_stats)")
    with pytest.raises(MetricError, match="positive must be given unless there are two labels, got 3"):
        demographic_parity([0, 1, 2], [0, 1, 2], ["a", "b", "a"])


# ── variants ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _variants():
    rows = [("1", "q1", "original", "yes", "yes"), ("2", "q1", "typo", "yes", "yes"), ("3", "q1", "negation", "no", "yes"),
            ("4", "q2", "original", "no", "no"), ("5", "q2", "typo", "yes", "no"), ("6", None, "original", "no", "no")]
    samples = [Sample(i, input={"text": f"{k} {i}"}, group=g, slices={"kind": k}, target=t) for i, g, k, _, t in rows]
    return samples, [Output(Key(i), Label(label)) for i, _, _, label, _ in rows]


@pytest.mark.parametrize(("spec", "value"), [
    ("counterfactual_flip_rate", 2 / 3),          # 3 and 5 flip, 2 does not
    ("consistency_under(typo,by=kind)", 1 / 2),   # 2 stays, 5 does not
    ("consistency_under", 1 / 3),
    ("prompt_sensitivity", (1 / 2 + 1 / 2 + 1 + 1 + 1) / 5),
    ("attack_success_rate", 2 / 3),               # both originals right; 3 and 5 wrong
])
def test_variants_by_hand(spec, value):
    samples, outputs = _variants()
    [result] = score(spec, outputs, samples)
    assert result.value == pytest.approx(value, abs=1e-12)
    assert result.estimate.n_missing == 1
    assert result.estimate.low <= result.value <= result.estimate.high


def test_originals_may_be_named_by_their_slice():
    samples, outputs = _variants()
    order = [2, 0, 1, 4, 3, 5]
    [named] = score("counterfactual_flip_rate(by=kind)", [outputs[i] for i in order], [samples[i] for i in order])
    assert named.value == pytest.approx(2 / 3)


def test_an_attack_on_a_wrong_answer_is_no_success():
    samples = [Sample("1", group="g", target="a"), Sample("2", group="g", target="a"),
               Sample("3", group="h", target="a"), Sample("4", group="h", target="a")]
    outputs = [Output(Key(i), Label(x)) for i, x in zip("1234", "bbab")]
    [result] = score("attack_success_rate", outputs, samples)
    assert result.value == 1.0


def test_perturbation_size_is_the_share_of_characters():
    samples = [Sample("1", {"text": "abcd"}, group="g"), Sample("2", {"text": "abcx"}, group="g")]
    [result] = score("perturbation_size", [Output(Key(i), Label("a")) for i in "12"], samples)
    assert result.value == 0.25


def test_accuracy_drop_pairs_by_id():
    samples = {"1": "a", "2": "b", "3": "a"}
    first = [Output(Key(i), Label(x)) for i, x in zip("123", "aba")]
    found = metric("accuracy_drop")
    others = {Key(i): Output(Key(i), Label(x)) for i, x in zip("312", "bab")}
    paired = dataclasses.replace(found, others=others)
    scores = paired.score([Sample(i, target=t) for i, t in samples.items()], first)
    assert paired.aggregate(scores.stats, np.ones((1, 3)))[0] == pytest.approx(1 / 3)


# ── bias, stereotypes, confidence ───────────────────────────────────────────────────────────────────────────────────


def test_bias_amplification_by_hand():
    # cook: 3 of 4 are f (.75 > .5), predicted 3 of 3: +.25. drive: 2 of 3 are m (2/3 > .5), predicted 3 of 4: +.0833.
    targets = ["cook"] * 4 + ["drive"] * 3
    groups = ["f", "f", "f", "m", "m", "m", "f"]
    predictions = ["cook", "cook", "cook", "drive", "drive", "drive", "drive"]
    assert bias_amplification(targets, predictions, groups) == pytest.approx((0.25 + (0.75 - 2 / 3)) / 2)
    result = _scored("bias_amplification(by=who)", targets, predictions, groups)
    assert result.value == pytest.approx((0.25 + (0.75 - 2 / 3)) / 2)


def test_stereotype_preference_counts_crows_pairs_as_its_authors_do(shared_data):
    with shared_data("crows_pairs/crows_pairs_anonymized.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    outputs, stereo, anti = [], 0, 0
    for number, row in enumerate(rows):
        more, less = -float(len(row["sent_more"])), -float(len(row["sent_less"]))
        outputs.append(Output(Key(str(number)), Label(None, logprobs=(more, less))))
        # the published script: in antistereotypical rows the roles of first and second sentence are swapped, then swapped back
        first, second = (more, less) if row["stereo_antistereo"] == "stereo" else (less, more)
        stereo += row["stereo_antistereo"] == "stereo" and first > second
        anti += row["stereo_antistereo"] == "antistereo" and second > first
    [result] = score("stereotype_preference", outputs)
    assert len(rows) == 1508
    assert result.value == pytest.approx((stereo + anti) / len(rows), abs=1e-12)
    assert result.estimate.method == "wilson"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.lists(st.integers(0, 9), min_size=1, max_size=30))
def test_confidence_equals_sklearn(inside, outside):
    truth = [1] * len(inside) + [0] * len(outside)
    scores = [value / 10 for value in (*inside, *outside)]
    assert ood_auroc(scores[:len(inside)], scores[len(inside):]) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    fpr, tpr, _ = roc_curve(truth, scores, drop_intermediate=False)
    expected = fpr[np.argmax(tpr >= 0.95 - 1e-9)]
    assert fpr_at_95_tpr(scores[:len(inside)], scores[len(inside):]) == pytest.approx(expected, abs=1e-12)


def test_confidence_of_one_kind_only_is_undefined():
    assert math.isnan(ood_auroc([0.5], []))
    assert math.isnan(fpr_at_95_tpr([], [0.5]))
    samples = [Sample(i, slices={"from": s}) for i, s in zip("1234", ["id", "id", "ood", "ood"])]
    outputs = [Output(Key(i), Label("a", {"a": p, "b": 1 - p})) for i, p in zip("1234", [0.9, 0.6, 0.7, 0.5])]
    [result] = score("ood_auroc", outputs, samples)
    assert result.value == 0.75
