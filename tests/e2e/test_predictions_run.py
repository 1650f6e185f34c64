"""The shipped config of stored numbers and tags, run as a user would, against scikit-learn and seqeval on the same files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.data.conll import read_conll

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def estimates(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    command = [sys.executable, "-m", "harness.cli", "run", "configs/predictions.yaml", "--results", str(results), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return {(row["task"], row["metric"]): row for row in json.loads(done.stdout)["estimates"]}


def lines(name):
    return [json.loads(line) for line in (ROOT / "tasks/data" / name).read_text(encoding="utf-8").splitlines()]


def test_numbers(estimates):
    metrics = pytest.importorskip("sklearn.metrics")
    days, stored = lines("library_loans.jsonl"), {row["id"]: row for row in lines("stored/loans.weekday_rule.jsonl")}
    true, predicted = [row["loans"] for row in days], [stored[row["id"]]["value"] for row in days]
    inside = [stored[row["id"]]["low"] <= row["loans"] <= stored[row["id"]]["high"] for row in days]
    expected = {"mae": metrics.mean_absolute_error(true, predicted), "r2": metrics.r2_score(true, predicted),
                "mape": metrics.mean_absolute_percentage_error(true, predicted), "interval_coverage": sum(inside) / 36}
    for metric, value in expected.items():
        row = estimates["loans", metric]
        assert row["value"] == pytest.approx(value, abs=1e-9)
        assert (row["n"], row["n_missing"]) == (36, 0)
        assert row["low"] < row["value"] < row["high"]


def test_tags(estimates):
    metrics = pytest.importorskip("seqeval.metrics")
    true = [row["tags"] for _, row in read_conll(ROOT / "tasks/data/library_names.conll")]
    predicted = [row["tags"] for row in lines("stored/names.capitals_rule.jsonl")]
    expected = {"ner_f1": metrics.f1_score(true, predicted), "token_accuracy": metrics.accuracy_score(true, predicted),
                "ner_f1(average=macro)": metrics.f1_score(true, predicted, average="macro")}
    for metric, value in expected.items():
        row = estimates["names", metric]
        assert row["value"] == pytest.approx(value, abs=1e-9)
        assert row["n"] == 20
        assert row["low"] < row["value"] < row["high"]
