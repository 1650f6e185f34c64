"""ARC-Easy, 0-shot, through ``harness run``: what lm-eval 0.4.13 gives with the same weights in float32."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.real import download, harness
from tests.models.real import SMOLLM2

N_QUESTIONS = 200
# lm-eval 0.4.13, --model hf, dtype float32, the same GGUF file; acc_norm divides by the characters of the choice.
LM_EVAL = {"acc": 0.510, "acc_norm": 0.465}

TASK = """\
task: arc_easy
suite: classification
data: {format: jsonl, path: arc_easy.jsonl}
sample: {id: "{{ id }}", choices: "{{ choices }}", target: "{{ gold }}"}
prompt: {text: "{{ query }}"}
answer: likelihood
metrics: [acc, acc_norm]
"""
CONFIG = f"""\
models:
  smollm2: {{backend: transformers, source: "{SMOLLM2}", dtype: float32, device: cpu, threads: 1}}
tasks: [arc_easy.yaml]
"""


@pytest.mark.slow
def test_accuracies_equal_lm_eval(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    download(SMOLLM2, "transformers", "gguf", "accelerate")
    docs = itertools.islice(questions(shared_data("arc/arc_easy_test_rc_5shot.requests.jsonl.gz")), N_QUESTIONS)
    (tmp_path / "arc_easy.jsonl").write_text("".join(json.dumps(doc) + "\n" for doc in docs), encoding="utf-8", newline="\n")
    (tmp_path / "arc_easy.yaml").write_text(TASK, encoding="utf-8")
    (tmp_path / "run.yaml").write_text(CONFIG, encoding="utf-8")
    done = harness("run", "run.yaml", "--no-cache", "--json", cwd=tmp_path)
    assert {metric: value for (_, _, metric), value in done.values.items()} == LM_EVAL
    assert {(estimate["n"], estimate["n_missing"]) for estimate in done.document["estimates"]} == {(N_QUESTIONS, 0)}


def questions(path: Path) -> Iterator[dict[str, Any]]:
    """The questions in file order: one row a choice, and rows from doc_id 1,000,000 on repeat them for another purpose."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = (row for row in map(json.loads, file) if row["doc_id"] < 1_000_000)
        for _, group in itertools.groupby(rows, key=lambda row: row["doc_id"]):
            yield next(group)["doc"]
