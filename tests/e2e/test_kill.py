"""A run on real models that is killed, and started again each time, ends as one that was left alone."""

from __future__ import annotations

import json
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.store import JOURNAL, RECORD, read_record, samples_table
from tests.e2e.real import ROOT, cache_without_answers, download, harness, start
from tests.models.real import MINILM, SMOLLM2

pytestmark = [
    pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to stop a process with")
]  # fmt: skip

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
prompt: {{text: "Question: {{{{ question }}}}\\nAnswer:", shots: {{from: self, n: 2}}}}
decoding: {{max_tokens: 8, stop: ["\\n"]}}
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

N_ROWS = 4 * N
N_ESTIMATES = 3 + 3 + 2 * 2
FILES = {"run.json", "samples.parquet", "leaderboard.md", "leaderboard.json", "log.jsonl", "runs"}
MEASURED = ("latency_s", "first_token_s")
TOLERANCE = 1e-4




@dataclass(frozen=True)
class Project:
    """A folder with the config; every run in it has its own results and its own cache of answers, both by its name."""

    root: Path

    def words(self, name: str) -> list[object]:
        return ["run", "run.yaml", "--cache-dir", f"cache of {name}", "--results", name]

    def folder(self, name: str) -> Path:
        (folder,) = (self.root / name).iterdir()
        return folder

    def journaled(self, name: str) -> int | None:
        """How many outputs are whole in the journal; None while there is no journal."""
        journals = list((self.root / name).glob(f"*/{JOURNAL}"))
        return sum(b'"k":' in line for line in journals[0].read_bytes().split(b"\n")[:-1]) if journals else None

    def start_until(self, name: str, n: int, delay_s: float) -> subprocess.Popen[str]:
        """Start or go on, and wait until ``n`` outputs are in the journal (0: until it is there), and then for the delay."""
        with (self.root / f"{name}.log").open("a", encoding="utf-8") as log:
            process = start(*self.words(name), cwd=self.root, out=subprocess.DEVNULL, err=log)
        deadline = time.monotonic() + PATIENCE_S
        while (count := self.journaled(name)) is None or count < n:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                said = (self.root / f"{name}.log").read_text(encoding="utf-8")
                pytest.fail(f"{name}: {count} outputs in the journal, waited for {n}; exit code {process.wait()}\n{said}")
            time.sleep(0.005)
        time.sleep(delay_s)
        return process


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
    (root / "requests.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8", newline="\n")
    for name in ("unbroken", "killed", "stopped"):
        cache_without_answers(root / f"cache of {name}")
    return Project(root)


@pytest.fixture(scope="module")
def unbroken(project: Project) -> Path:
    done = harness(*project.words("unbroken"), cwd=project.root)
    assert done.code == 0, done.err
    return project.folder("unbroken")


def test_killed_five_times(project: Project, unbroken: Path) -> None:
    draw = random.Random(SEED)
    moments = [  # while SmolLM2 is loaded; among texts, twice; among likelihoods; while MiniLM is loaded
        (0, draw.uniform(0, 2)),
        (draw.randint(1, N // 2), draw.uniform(0, 0.3)),
        (draw.randint(N // 2 + 1, N), draw.uniform(0, 0.3)),
        (draw.randint(N + 1, 2 * N - 10), draw.uniform(0, 0.1)),
        (3 * N, draw.uniform(0, 1)),
    ]
    in_journal = 0
    for n, delay_s in moments:
        process = project.start_until("killed", n, delay_s)
        process.kill()
        assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
        found = project.journaled("killed")
        assert found is not None
        assert found >= in_journal
        in_journal = found
        assert not (project.folder("killed") / RECORD).exists()
    done = harness(*project.words("killed"), cwd=project.root)
    assert done.code == 0, done.err
    assert f"going on with {project.folder('killed').name}" in done.err
    assert sum(map(int, re.findall(r"done in .* (\d+) resumed", done.err))) == in_journal, done.err
    assert_the_same(project.folder("killed"), unbroken)


def test_terminated_once(project: Project, unbroken: Path) -> None:
    draw = random.Random(SEED)
    process = project.start_until("stopped", draw.randint(5, 40), draw.uniform(0, 0.3))
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 143
    said = (project.root / "stopped.log").read_text(encoding="utf-8").splitlines()
    folder = project.folder("stopped")
    assert said[-2] == f"stopped; everything answered so far is in {folder.relative_to(project.root)}"
    program, *words = shlex.split(said[-1].removeprefix("go on with: "))
    assert (program, words) == ("harness", list(map(str, project.words("stopped"))))
    in_journal = project.journaled("stopped")
    done = harness(*words, cwd=project.root)
    assert done.code == 0, done.err
    assert sum(map(int, re.findall(r"done in .* (\d+) resumed", done.err))) == in_journal, done.err
    assert_the_same(project.folder("stopped"), unbroken)


# ── what is the same ────────────────────────────────────────────────────────────────────────────────────────────────


def assert_the_same(folder: Path, unbroken: Path) -> None:
    """Two finished runs: files, rows in their order, answers, metric columns, estimates."""
    assert {path.name for path in folder.iterdir()} == FILES
    assert {path.name for path in unbroken.iterdir()} == FILES
    rows, expected = (samples_table(run).to_pylist() for run in (folder, unbroken))
    keys = [(row["model"], row["task"], row["sample_id"]) for row in rows]
    assert len(set(keys)) == len(keys) == N_ROWS
    assert [row["sample_id"] for row in rows if row["error"]] == [row["sample_id"] for row in expected if row["error"]] != []
    for row, wanted in zip(rows, expected, strict=True):
        assert_same_row(row, wanted)
    for file in (unbroken / "runs").iterdir():
        assert placed(folder / "runs" / file.name) == placed(file)
    assert_same_estimates(read_record(folder).estimates, read_record(unbroken).estimates)


def assert_same_row(row: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    metrics = [name for name in wanted if name.startswith("metric.")]
    plain = [name for name in wanted if name not in {"answer", *MEASURED, *metrics}]
    assert {name: row[name] for name in plain} == {name: wanted[name] for name in plain}
    answer, wanted_answer = (json.loads(r["answer"]) if r["answer"] else None for r in (row, wanted))
    assert furthest_apart(answer, wanted_answer) <= TOLERANCE
    if answer == wanted_answer:
        assert {name: row[name] for name in metrics} == {name: wanted[name] for name in metrics}
    else:
        assert all(furthest_apart(row[name], wanted[name]) <= 10 * TOLERANCE for name in metrics)


def furthest_apart(one: Any, other: Any) -> float:
    """The largest difference between two floats in the same place; everything else has to be equal."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other)
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return max((furthest_apart(value, other[key]) for key, value in one.items()), default=0.0)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return max(map(furthest_apart, one, other), default=0.0)
    assert one == other
    return 0.0


def placed(path: Path) -> list[tuple[str, ...]]:
    """Query, document and rank of every line of a TREC run."""
    return [(words[0], words[2], words[3]) for words in map(str.split, path.read_text(encoding="utf-8").splitlines())]


def assert_same_estimates(estimates: Sequence[Mapping[str, Any]], expected: Sequence[Mapping[str, Any]]) -> None:
    assert len(estimates) == len(expected) == N_ESTIMATES
    for estimate, wanted in zip(estimates, expected):
        assert furthest_apart(dict(estimate), dict(wanted)) <= (10 * TOLERANCE if wanted["metric"] == "log_loss" else 0)
