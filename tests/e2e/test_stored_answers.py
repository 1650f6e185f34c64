"""Stored answers of every kind through ``harness run`` with the replay backend: no model, the suites' own metrics."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from harness import run

CASES = {
    "embedding": (
        {"kind": "pairs", "texts": ["{{ first }}", "{{ second }}"]}, "sts_spearman",
        [{"id": i, "first": "a", "second": "b", "score": score} for i, score in enumerate([1.0, 2.0, 4.0, 5.0])],
        {"target": "{{ score }}"},
        [{"id": i, "vectors": [[1, 0], [float(np.cos(a)), float(np.sin(a))]]} for i, a in enumerate([1.2, 0.9, 0.5, 0.1])], 1.0,
    ),
    "perplexity": (
        {"text": "{{ text }}"}, "perplexity", [{"id": 1, "text": "a b"}, {"id": 2, "text": "c"}], {},
        [{"id": 1, "logprob": -4.0, "n_tokens": 2}, {"id": 2, "logprob": -2.0, "n_tokens": 1}], float(np.exp(2)),
    ),
    "regression": (
        {"answer": "number"}, "mae", [{"id": 1, "rooms": 2, "price": 3.0}, {"id": 2, "rooms": 3, "price": 5.0}],
        {"input": {"rooms": "{{ rooms }}"}, "target": "{{ price }}"},
        [{"id": 1, "value": 4.0}, {"id": 2, "value": 5.0}], 0.5,
    ),
    "tagging": (
        {"answer": "tags"}, "ner_f1", [{"id": 1, "tokens": ["Anna", "left"], "gold": ["B-per", "O"]}],
        {"input": {"tokens": "{{ tokens }}"}, "target": "{{ gold }}"}, [{"id": 1, "tags": ["B-per", "O"]}], 1.0,
    ),
}


@pytest.mark.parametrize("suite", CASES)
def test_stored_answers_are_scored(suite: str, tmp_path: Path) -> None:
    keys, metric, rows, sample, answers, expected = CASES[suite]
    for name, lines in (("data", rows), ("answers", answers)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    task = {"task": "t", "version": 1, "suite": suite, "data": {"format": "jsonl", "path": "data.jsonl"},
            "sample": {"id": "{{ id }}", **sample}, "metrics": [metric], **keys}  # fmt: skip
    config = {"models": {"stored": {"backend": "replay", "path": "answers.jsonl"}}, "tasks": ["t.yaml"]}
    (tmp_path / "t.yaml").write_text(json.dumps(task))
    (tmp_path / "c.yaml").write_text(json.dumps(config))
    done = run(tmp_path / "c.yaml", results=tmp_path / "results", cache_dir=tmp_path / "cache")
    [estimate] = done.estimates
    assert estimate["value"] == pytest.approx(expected)
