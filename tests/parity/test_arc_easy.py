"""ARC-Easy, 0-shot, through the transformers backend: what lm-eval 0.4.13 gives with the same weights in float32."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.models.transformers import Transformers
from harness.types import Call, Key, Likelihoods, LogLikelihood
from tests.models.real import SMOLLM2, opened

N_QUESTIONS = 200
# lm-eval 0.4.13, --model hf, dtype float32, the same GGUF file; acc_norm divides by the characters of the choice.
LM_EVAL = {"acc": 0.510, "acc_norm": 0.465}


@pytest.fixture(scope="module")
def language_model() -> Iterator[Transformers]:
    model: Transformers = opened(Transformers(source=SMOLLM2, device="cpu", threads=1))
    yield model
    model.close()


@pytest.mark.slow
def test_arc_easy_accuracy_equals_lm_eval(language_model: Transformers, shared_data: Callable[[str], Path]) -> None:
    questions = list(itertools.islice(_questions(shared_data("arc/arc_easy_test_rc_5shot.requests.jsonl.gz")), N_QUESTIONS))
    calls = [Call(Key(doc["id"]), LogLikelihood(doc["query"], tuple(f" {choice}" for choice in doc["choices"])))
             for doc in questions]
    outputs = {out.key.sample_id: out for batch in language_model.batches(calls) for out in language_model.run(batch)}
    right, right_norm = 0, 0
    for doc in questions:
        answer = outputs[doc["id"]].answer
        assert isinstance(answer, Likelihoods)
        right += doc["gold"] == _best(answer.logprobs)
        right_norm += doc["gold"] == _best([lp / len(choice) for lp, choice in zip(answer.logprobs, doc["choices"])])
    assert {"acc": right / len(questions), "acc_norm": right_norm / len(questions)} == LM_EVAL


def _questions(path: Path) -> Iterator[Mapping[str, Any]]:
    """The questions in file order: one row a choice, and rows from doc_id 1,000,000 on repeat them for another purpose."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = (row for row in map(json.loads, file) if row["doc_id"] < 1_000_000)
        for _, group in itertools.groupby(rows, key=lambda row: row["doc_id"]):
            yield next(group)["doc"]


def _best(values: Any) -> int:
    return max(range(len(values)), key=values.__getitem__)
