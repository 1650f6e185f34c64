"""Cross-fitted metrics: what is measured was never fitted on; train, validation and test are kept apart; who is left out."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from harness.engine.scoring import Scorer, make_settings
from harness.errors import MetricError
from harness.metrics.averaged import F1
from harness.metrics.crossfitted import calibrated, thresholded
from harness.metrics.probabilities import RocAuc
from harness.metrics.thresholds import best_threshold
from harness.plugins import metric
from harness.types import Estimate, Key, Label, Output, Sample

SETTINGS = make_settings(seed=1, level=0.95, n_bootstrap=100)


def world(n: int = 60, seed: int = 0, groups: int | None = None, split: int | None = None) -> tuple[list[Sample], list[Output]]:
    """Binary rows with overlapping scores; every ``split``-th sample is dev."""
    rng = np.random.default_rng(seed)
    samples, outputs = [], []
    for row in range(n):
        target = "yes" if rng.random() < 0.4 else "no"
        score = float(np.clip(rng.normal(0.7 if target == "yes" else 0.5, 0.15), 0.01, 0.99))
        slices = {} if split is None else {"split": "test" if row % split else "dev"}
        samples.append(Sample(f"s{row:03}", target=target, slices=slices, group=None if groups is None else f"g{row % groups}"))
        outputs.append(Output(Key(f"s{row:03}"), Label("yes" if score > 0.5 else "no", {"no": 1 - score, "yes": score})))
    return samples, outputs


def estimates(spec: str, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[Estimate, Scorer]:
    scorer = Scorer({"m": metric(spec)}, samples)
    scorer.add(samples, outputs)
    return scorer.estimates(SETTINGS)["m"], scorer


def columns(samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[np.ndarray, np.ndarray]:
    scores = [output.answer.probabilities["yes"] for output in outputs]  # type: ignore[union-attr, index]
    return np.array([sample.target == "yes" for sample in samples]), np.array(scores)


def accuracy_at(threshold: float, truth: np.ndarray, scores: np.ndarray) -> float:
    return float(((scores >= threshold) == truth).mean())


def highest_best(truth: np.ndarray, scores: np.ndarray) -> float:
    """The highest threshold of the best accuracy, by trying all."""
    candidates = [*sorted(set(scores.tolist()), reverse=True)]
    candidates = [np.nextafter(candidates[0], 2), *candidates]
    return max(candidates, key=lambda t: (round(accuracy_at(t, truth, scores), 12), t))


def test_the_threshold_of_a_fold_is_chosen_on_the_others_alone() -> None:
    samples, outputs = world(80)
    found, scorer = estimates("thresholded(accuracy,folds=4)", samples, outputs)
    folds = np.array([scorer.metrics["m"].parts.of[sample.id][0] for sample in samples])  # type: ignore[attr-defined]
    truth, scores = columns(samples, outputs)
    hits, chosen = 0.0, {}
    for fold in range(4):
        others, own = folds != fold, folds == fold
        chosen[fold] = highest_best(truth[others], scores[others])
        hits += accuracy_at(chosen[fold], truth[own], scores[own]) * own.sum()
    assert len(set(chosen.values())) > 1  # or this would not tell them apart
    assert found.value == pytest.approx(hits / 80, abs=1e-12)
    table = scorer.tables()["m"]["fitted"]
    assert [row[1:4] for row in table.rows] == [(f, int((folds != f).sum()), int((folds == f).sum())) for f in range(4)]
    assert [row[4] for row in table.rows] == [f"threshold {chosen[fold]!r}" for fold in range(4)]
    assert found.method == "wilson"  # a mean of hits, as the metric inside


def test_a_threshold_that_is_chosen_on_dev_is_measured_on_the_rest_alone() -> None:
    samples, outputs = world(90, split=3)
    found, scorer = estimates('thresholded(accuracy,chosen_on="split=dev")', samples, outputs)
    truth, scores = columns(samples, outputs)
    dev = np.arange(90) % 3 == 0
    threshold = highest_best(truth[dev], scores[dev])
    assert found.value == pytest.approx(accuracy_at(threshold, truth[~dev], scores[~dev]), abs=1e-12)
    assert (found.n, found.n_missing) == (60, 0)
    assert found.worst_case == found.value  # nothing is missing
    by_slice = {value: estimate for _, value, _, estimate in scorer.slices(SETTINGS)}
    assert (by_slice["test"].value, by_slice["test"].n) == (found.value, 60)
    assert (by_slice["dev"].value, by_slice["dev"].n, by_slice["dev"].n_missing) == (None, 0, 0)


def test_a_failed_answer_of_dev_is_left_out_and_one_of_the_rest_is_missing() -> None:
    samples, outputs = world(90, split=3)
    for row in (0, 1):  # dev, test
        outputs[row] = Output(outputs[row].key, None, error="timeout")
    found, _ = estimates('thresholded(accuracy,chosen_on="split=dev")', samples, outputs)
    assert (found.n, found.n_missing) == (59, 1)


def test_blocks_that_are_scored_one_by_one_keep_who_is_left_out() -> None:
    samples, outputs = world(90, split=3)
    scorer = Scorer({"m": metric('thresholded(accuracy,chosen_on="split=dev")')}, samples)
    for start in range(0, 90, 25):
        scorer.add(samples[start : start + 25], outputs[start : start + 25])
    assert scorer.estimates(SETTINGS)["m"] == estimates('thresholded(accuracy,chosen_on="split=dev")', samples, outputs)[0]


def test_calibration_by_group_learns_nothing_from_the_group_itself() -> None:
    """Scores tell the group and nothing else: whoever fits on a sample's own group knows its label."""
    rng = random.Random(1)
    truth_of = {group: rng.random() < 0.5 for group in range(30)}
    rows = [(group, float(group) + 0.01 * i) for group in range(30) for i in range(6)]
    truth, scores = [int(truth_of[group]) for group, _ in rows], [score / 31 for _, score in rows]
    leaking = calibrated(RocAuc(), truth, scores, by="isotonic", folds=5)
    sealed = calibrated(RocAuc(), truth, scores, by="isotonic", folds=5, groups=[group for group, _ in rows])
    assert leaking > 0.65
    assert sealed < 0.6


def test_a_threshold_for_its_own_samples_flatters() -> None:
    """Scores say nothing: on the samples it was chosen on a threshold is better than chance, on others it is not."""
    rng = np.random.default_rng(4)
    flattering, honest = [], []
    for _ in range(30):
        truth, scores = rng.integers(0, 2, 40), rng.random(40)
        if 5 < truth.sum() < 35:
            own = best_threshold(truth.tolist(), scores, metric=metric("balanced_accuracy"))
            at = scores >= own
            flattering.append((at[truth == 1].mean() + (~at)[truth == 0].mean()) / 2)
            honest.append(thresholded(metric("balanced_accuracy"), truth.tolist(), scores))
    assert np.mean(flattering) > 0.57
    assert abs(np.mean(honest) - 0.5) < 0.04


def test_repeats_are_averaged() -> None:
    samples, outputs = world(60)
    whole, scorer = estimates("thresholded(accuracy,repeats=3,seed=7)", samples, outputs)
    each = [estimates(f"thresholded(accuracy,seed={7 + repeat})", samples, outputs)[0].value for repeat in range(3)]
    assert len(set(each)) > 1
    assert whole.value == pytest.approx(np.mean(each), abs=1e-12)  # type: ignore[arg-type]
    assert whole.low < whole.value < whole.high  # type: ignore[operator]
    assert len(scorer.tables()["m"]["fitted"].rows) == 15


def test_what_is_fitted_does_not_depend_on_the_order_to_the_last_digit() -> None:
    samples, outputs = world(60)
    whole, scorer = estimates("calibrated(brier)", samples, outputs)
    order = list(range(60))
    random.Random(2).shuffle(order)
    again, shuffled = estimates("calibrated(brier)", [samples[i] for i in order], [outputs[i] for i in order])
    values, others = (one.statistics("m")[0][:, 0] for one in (scorer, shuffled))
    assert values[order].tolist() == others.tolist()
    assert again.n == whole.n


def test_repeats_of_a_sample_stay_in_its_fold() -> None:
    samples, outputs = world(20)
    twice = [sample for sample in samples for _ in range(2)]
    answers = [dataclasses.replace(o, key=Key(o.key.sample_id, r)) for o in outputs for r in range(2)]
    doubled, scorer = estimates("thresholded(accuracy)", twice, answers)
    assert doubled.value == estimates("thresholded(accuracy)", samples, outputs)[0].value
    assert [row[2] for row in scorer.tables()["m"]["fitted"].rows] == [32] * 5


def test_temperature_leaves_the_labels_as_they_are_and_cools_what_is_too_sure() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(300, 3)) * 1.5
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = [int(rng.choice(3, p=row)) for row in chances]
    sure = np.exp(3 * logits) / np.exp(3 * logits).sum(axis=1, keepdims=True)
    assert calibrated(metric("accuracy"), truth, sure, by="temperature") == np.mean(sure.argmax(axis=1) == truth)
    after = calibrated(metric("log_loss"), truth, sure, by="temperature")
    before = -np.mean(np.log(sure[np.arange(300), truth]))
    best = -np.mean(np.log(chances[np.arange(300), truth]))
    assert best < after < best + 0.02 < before


def test_metrics_by_group_take_them_inside() -> None:
    samples, outputs = world(90, split=3)
    samples = [dataclasses.replace(s, slices={**s.slices, "part": "ab"[i % 2]}) for i, s in enumerate(samples)]
    found, _ = estimates('worst_group(thresholded(accuracy,chosen_on="split=dev"),by=part)', samples, outputs)
    other_way = 'thresholded(worst_group(accuracy,by=part),chosen_by=accuracy,chosen_on="split=dev")'
    inside, _ = estimates(other_way, samples, outputs)
    assert found.n == inside.n == 60
    assert found.value == inside.value


def test_groups_on_both_sides_of_a_split_are_told() -> None:
    samples, _ = world(30, groups=4, split=3)
    [warning] = metric('calibrated(brier,chosen_on="split=dev")').prepare(samples).warnings()
    assert warning.startswith("calibrated: 4 groups have samples inside and outside of split=dev ('g0', 'g1', 'g2', …)")


@pytest.mark.parametrize(("spec", "message"), [
    ("thresholded(bleu)", "metric must be one of label"), ("thresholded(brier)", "metric must be one of label"),
    ("calibrated(acc_norm)", "metric must be one of label or probabilities"),
    ("calibrated(calibrated(brier))", "metric must be"), ("calibrated(brier,folds=1)", "folds must be an integer of 2 or more"),
    ("calibrated(brier,by=beta)", "must be one of platt, isotonic, temperature"),
    ("calibrated(brier,repeats=0)", "repeats must be"), ("calibrated(brier,chosen_on=dev)", "chosen_on must be of the form"),
    ('calibrated(brier,repeats=2,chosen_on="split=dev")', "repeats must be 1 with chosen_on"),
    ("thresholded(accuracy,chosen_by=brier)", "chosen_by must be a metric of target and label"),
    ("thresholded(worst_group(accuracy))", "metric must be a metric of target and label"),
])  # fmt: skip
def test_what_cannot_be_cross_fitted_is_refused(spec: str, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        metric(spec)


def mistakes() -> dict[str, tuple[str, list[Sample]]]:
    of = [Sample(str(row), target="ab"[row % 2]) for row in range(8)]
    return {
        "folds must be at most the 8 samples": ("calibrated(brier,folds=9)", of),
        "single labels, sample '0' has a list": ("calibrated(brier)", [dataclasses.replace(s, target=["a"]) for s in of]),
        "got only 'a'": ("calibrated(brier)", [dataclasses.replace(s, target="a") for s in of]),
        "must be of two labels, got 3": ("thresholded(f1)", [*of, Sample("9", target="c"), Sample("10", target="c")]),
        "positive must be one of the labels, got 'B'; did you mean 'b'": ("thresholded(f1,positive=B)", of),
        "got 'split'": ('calibrated(brier,chosen_on="split=dev")', of),
    }


@pytest.mark.parametrize("message", mistakes())
def test_samples_that_do_not_fit_are_refused_before_anything_is_answered(message: str) -> None:
    spec, samples = mistakes()[message]
    with pytest.raises(MetricError, match=message):
        metric(spec).prepare(samples)


def test_answers_of_one_class_leave_nothing_to_fit_on_and_say_so() -> None:
    samples, outputs = world(20)
    failed = [Output(o.key, None, error="timeout") if s.target == "yes" else o for s, o in zip(samples, outputs)]
    found, _ = estimates("calibrated(brier)", samples, failed)
    assert found.value is None
    assert found.n_missing == 20
    no_fit = [o if s.target == "no" else failed[i] for i, (s, o) in enumerate(zip(samples, outputs))]
    _, scorer = estimates("calibrated(brier)", samples, no_fit)
    reasons = {scorer._kept["m"].all()[1][row] for row, sample in enumerate(samples) if sample.target == "no"}
    assert reasons == {"nothing could be fitted for it: the answers to the other samples are of fewer than two classes"}


def test_scores_that_are_no_probabilities_have_no_logits() -> None:
    samples, outputs = world(30)
    odd = dataclasses.replace(outputs[4], answer=Label("yes", {"no": -1.5, "yes": 2.5}))
    found, _ = estimates("calibrated(brier,by=temperature)", samples, [*outputs[:4], odd, *outputs[5:]])
    assert (found.n, found.n_missing) == (29, 1)
    assert estimates("calibrated(brier)", samples, [*outputs[:4], odd, *outputs[5:]])[0].n == 30


def test_the_function_and_the_metric_agree() -> None:
    samples, outputs = world(50)
    truth, scores = columns(samples, outputs)
    given: Any = [str(int(one)) for one in truth]
    assert 0 < thresholded(F1("binary"), given, scores, folds=3) <= 1
    with pytest.raises(MetricError, match="equally many, got 50, 49"):
        calibrated(metric("brier"), given, scores[:-1])
