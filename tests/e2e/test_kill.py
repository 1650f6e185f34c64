"""A run on real models that is killed, and started again each time, ends as one that was left alone."""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.store import JOURNAL, samples_table
from tests.e2e.real import ROOT, cache_without_answers, download, harness, start
from tests.models.real import MINILM, SMOLLM2

pytestmark = pytest.mark.slow

SEED = 20
N = 24
DATA = ROOT / "tasks" / "data"
LABELS = ["opening hours", "renew a loan", "reserve a book", "lost item", "membership card", "room booking"]
PATIENCE_S = 120

CONFIG = f"""\
models:
  smollm2: {{backend: transformers, source: "{SMOLLM2}", device: cpu, threads: 1, batch_tokens: 160, max_length: 512}}
  bm25: {{backend: bm25}}
  minilm: {{backend: dense, batch_size: 4}}
roles:
  encoder: {{backend: sentence_encoder, source: "{MINILM}", device: cpu, threads: 1}}
tasks: [questions.yaml, requests.yaml, passages.yaml]
max_missing: 0.1
"""
TASKS = {
    "questions": f"""\
suite: generation
data: {{format: jsonl, path: {(DATA / "solar_system" / "questions.jsonl").as_posix()}}}
sample: {{id: "{{{{ id }}}}", references: "{{{{ answers }}}}"}}
prompt: {{text: "Question: {{{{ question }}}}\\nAnswer:"}}
decoding: {{max_tokens: 8}}
metrics: [token_f1, rouge_l, bleu]
limit: {N}
""",
    "requests": """\
suite: classification
data: {format: jsonl, path: requests.jsonl}
sample: {id: "{{ id }}", target: "{{ label }}", choices: "{{ choices }}"}
prompt: {text: "Message: {{ text }}\\nTopic:"}
metrics: [accuracy, acc_norm, log_loss]
""",
    "passages": f"""\
suite: retrieval
data: {{format: beir, path: {(DATA / "solar_system").as_posix()}}}
k: 20
metrics: [ndcg@10, recall@5]
limit: {N}
""",
}
TOO_LONG = "word " * 600
"""A choice that is longer than the model's context: that request fails, in every run alike."""


@dataclass(frozen=True)
class Project:
    """A folder with the config, and each run's results and cache of answers."""

    root: Path

    def words(self, name: str) -> list[object]:
        return ["run", "run.yaml", "--results", name, "--cache-dir", self.root / f"cache of {name}"]

    def only_run(self, name: str) -> Path:
        (folder,) = (self.root / name).iterdir()
        return folder

    def journal_lines(self, name: str) -> int | None:
        """How many outputs are in the journal; None while there is no journal."""
        journals = list((self.root / name).glob(f"*/{JOURNAL}"))
        return sum(line.startswith('{"a"') or '"error"' in line for line in journals[0].read_text().splitlines()) if journals else None


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    download(SMOLLM2, "transformers", "gguf", "accelerate")
    download(MINILM, "sentence_transformers", "faiss")
    root = tmp_path_factory.mktemp("kill")
    (root / "run.yaml").write_text(CONFIG, encoding="utf-8")
    for name, text in TASKS.items():
        (root / f"{name}.yaml").write_text(f"task: {name}\n{text}", encoding="utf-8")
    lines = (DATA / "library_requests.jsonl").read_text(encoding="utf-8").splitlines()[:N]
    rows = [{**json.loads(line), "choices": LABELS} for line in lines]
    rows[7]["choices"] = [rows[7]["label"], TOO_LONG]
    (root / "requests.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for name in ("unbroken", "killed", "stopped"):
        cache_without_answers(root / f"cache of {name}")
    return Project(root)
