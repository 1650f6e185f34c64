"""Answers against what their publishers say of them: GSM8K's is_correct, BBH's accuracies, BEGIN's human labels."""

from __future__ import annotations

import json

import numpy as np
import pytest

from harness.metrics.consistency import EntityConsistency, NumberConsistency, Support
from harness.metrics.numeric import NumericMatch
from harness.metrics.text import exact_match

# SOURCES.md, gsm8k: share of is_correct in the file, percent
GSM8K = {"6b_finetuning": 21.683, "6b_verification": 39.045, "175b_finetuning": 34.723, "175b_verification": 56.255}
# SOURCES.md, bbh: published accuracies of code-davinci-002, direct and chain of thought, percent
BBH = {
    "boolean_expressions": (88.4, 92.8), "causal_judgement": (63.636, 54.011), "date_understanding": (63.6, 87.2),
    "object_counting": (45.2, 93.2), "snarks": (61.236, 59.551), "sports_understanding": (72.8, 97.6),
    "word_sorting": (50.4, 40.4),
}


@pytest.mark.parametrize("system", GSM8K)
def test_gsm8k_solutions_one_by_one(shared_data, system):
    lines = shared_data("gsm8k/example_model_solutions.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    measured = NumericMatch().over([row[system]["solution"] for row in rows], [row["ground_truth"] for row in rows])
    assert measured.per_item.tolist() == [float(row[system]["is_correct"]) for row in rows]
    assert round(100 * measured.value, 3) == GSM8K[system]


def test_gsm8k_answers_after_hashes_are_those_of_the_solutions(shared_data):
    solutions = shared_data("gsm8k/example_model_solutions.jsonl").read_text("utf-8").splitlines()
    answers = {row["question"]: row["answer"] for row in map(
        json.loads, shared_data("gsm8k/test.jsonl").read_text("utf-8").splitlines())}
    rows = [json.loads(line) for line in solutions]
    assert NumericMatch().over([row["ground_truth"] for row in rows], [answers[row["question"]] for row in rows]).value == 1.0


@pytest.mark.parametrize("arm", ["direct", "cot"])
@pytest.mark.parametrize("task", BBH)
def test_bbh_accuracies(shared_data, task, arm):
    outputs = json.loads(shared_data(f"bbh/code-davinci-002-{arm}/{task}.json").read_text("utf-8"))["outputs"]
    printed = json.loads(shared_data(f"bbh/code-davinci-002-{arm}/{task}_eval_metrics.jsonl").read_text("utf-8"))["accuracy"]
    predictions, targets = [row["prediction"] for row in outputs], [row["target"] for row in outputs]
    if arm == "direct":
        value = exact_match(predictions, targets, normalize="strip")
    else:
        value = exact_match(predictions, targets, normalize="none", extract="answer_is")
    assert 100 * value == pytest.approx(printed, abs=1e-9)
    assert round(100 * value, 3) == BBH[task][arm == "cot"]


@pytest.fixture(scope="module")
def begin(shared_data):
    """Responses, the snippets that they were to be grounded in, and whether people found them fully attributable."""
    lines = shared_data("begin_wow/begin_test_wow.tsv").read_text("utf-8").split("\n")[1:]
    rows = [line.split("\t") for line in lines if line]
    rows = [row for row in rows if row[5].endswith("attributable")]
    assert [sum(row[5].startswith(kind) for row in rows) for kind in ("Fully", "Not")] == [1392, 2209]
    return [row[4] for row in rows], [row[2] for row in rows], np.array([row[5].startswith("Fully") for row in rows])


@pytest.mark.parametrize(("metric", "defined", "auroc"), [
    (Support(), 3601, .936), (Support(2), 3601, .912), (EntityConsistency(), 752, .655), (NumberConsistency(), 763, .621),
])
def test_consistency_tells_attributable_responses_from_others(begin, metric, defined, auroc):
    """AUROC of the value of a response; where it is undefined the response is left out. Measured here, not published."""
    sklearn = pytest.importorskip("sklearn.metrics")
    responses, snippets, attributable = begin
    values = metric.over(responses, snippets).per_item
    there = ~np.isnan(values)
    assert int(there.sum()) == defined
    found = sklearn.roc_auc_score(attributable[there], values[there])
    assert found == pytest.approx(auroc, abs=.005)
