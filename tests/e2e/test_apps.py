"""``harness run`` on a user's own app: a function in a file, and a service on loopback, as a user types it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import api
from harness.cli import main
from harness.store import samples_table
from tests.faults.server import FaultyServer, said

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-planted-0123456789"

RAG = """
import asyncio, json, pathlib, sys, time

LOG = pathlib.Path("asked.txt")
ANSWERS = {"capital of France?": "Paris", "capital of Italy?": "Rome", "capital of Spain?": "Madrid"}

def answer(fields):
    question = fields["question"]
    print("asked:", question)
    with LOG.open("a") as log:
        log.write(question + "\\n")
    if "raise" in question:
        raise ValueError("no such index")
    if "hang" in question:
        time.sleep(60)
    if "rubbish" in question:
        return 17.5
    return {"answer": ANSWERS[question], "contexts": ["An atlas."], "citations": [0],
            "usage": {"input_tokens": 10, "output_tokens": 2, "cost": 0.25}}

async def answer_later(fields):
    await asyncio.sleep(0)
    return answer(fields)

def answer_slowly(fields):
    time.sleep(0.1)
    return answer(fields)

def tonight(fields):
    answer(fields)
    return pathlib.Path("tonight.txt").read_text()

def label(fields):
    return {"label": fields["choices"][len(fields["text"]) % 2], "answer": "because"}

def price(fields):
    return len(fields["text"]) / 2

def search(fields):
    return ["d2", "d1"]
"""

QA = """\
task: qa
suite: generation
data: {path: qa.jsonl}
sample: {id: "{{ id }}", references: ["{{ answer }}"]}
prompt: {user: "{{ question }}"}
metrics: ["exact_match(normalize=none)"]
"""


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Project:
    root: Path
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def ask(self, *questions: str) -> None:
        """What is asked, and the right answer (Paris)."""
        rows = [{"id": f"s{i}", "question": question, "answer": "Paris"} for i, question in enumerate(questions)]
        (self.root / "tasks" / "qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def configure(self, model: str, more: str = "", task: str = "qa") -> None:
        text = f"models:\n  app: {model}\ntasks: [tasks/{task}.yaml]\nn_bootstrap: 20\n{more}\n"
        (self.root / "configs" / "run.yaml").write_text(text, encoding="utf-8")

    def words(self, *more: str) -> list[str]:
        config, cache, results = (str(self.root / name) for name in ("configs/run.yaml", "cache", "results"))
        return ["run", config, "--json", "--cache-dir", cache, "--results", results, *more]

    def run(self, *more: str, cwd: str = ".", environment: Mapping[str, str] | None = None) -> Ended:
        """``harness run`` in this process, which forgets the app afterwards."""
        with self.monkeypatch.context() as patch:
            patch.chdir(self.root / cwd)
            for name, value in (environment or {}).items():
                patch.setenv(name, value)
            self.capsys.readouterr()
            code = main(self.words(*more))
        sys.modules.pop("rag", None)
        return Ended(code, *self.capsys.readouterr())

    def run_alone(self) -> Ended:
        """The same in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "harness.cli", *self.words()], cwd=self.root, capture_output=True, text=True, timeout=60,
            encoding="utf-8", env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)

    def rows(self, ended: Ended) -> list[dict[str, Any]]:
        """The samples of a run, in the order of the task; its stdout must be JSON and nothing else."""
        rows: list[dict[str, Any]] = samples_table(Path(json.loads(ended.out)["path"])).to_pylist()
        return rows

    def asked(self) -> list[str]:
        """The questions that reached the app, and forget them."""
        log = self.root / "asked.txt"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return sorted(lines)


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Project:
    for folder in ("configs", "tasks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "rag.py").write_text(RAG, encoding="utf-8")
    (tmp_path / "tasks" / "qa.yaml").write_text(QA, encoding="utf-8")
    made = Project(tmp_path, capsys, monkeypatch)
    made.ask("capital of France?", "capital of Italy?", "capital of Spain?")
    return made


def texts(rows: list[dict[str, Any]]) -> list[str | None]:
    return [json.loads(row["answer"])["text"] if row["answer"] else None for row in rows]


# ── python ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("function", ["answer", "answer_later"])
def test_an_app_that_answers(project: Project, function: str) -> None:
    project.configure(f'{{backend: python, app: "rag:{function}"}}')
    ended = project.run(cwd="tasks")
    assert ended.code == 0, ended.err
    rows = project.rows(ended)
    assert texts(rows) == ["Paris", "Rome", "Madrid"]
    assert [json.loads(row["answer"])["contexts"] for row in rows] == [["An atlas."]] * 3
    assert [(row["input_tokens"], row["output_tokens"]) for row in rows] == [(10, 2)] * 3
    assert [e["value"] for e in json.loads(ended.out)["estimates"]] == [pytest.approx(1 / 3)]
    assert "asked: capital of France?" in ended.err


def test_an_app_that_fails_in_every_way_costs_those_samples_and_the_process_ends(project: Project) -> None:
    project.ask("capital of France?", "raise", "hang", "rubbish", "capital of Italy?")
    project.configure('{backend: python, app: "rag:answer", limits: {timeout_s: 1}}')
    started = time.monotonic()
    ended = project.run_alone()
    assert time.monotonic() - started < 30
    assert ended.code == 4, ended.err
    rows = project.rows(ended)
    assert texts(rows) == ["Paris", None, None, None, "Rome"]
    assert [row["error"] for row in rows] == [
        None,
        "the app raised ValueError: no such index (rag.py, line 13)",
        "the app did not return within 1 s (limits.timeout_s)",
        "the app returned no answer: expected a text, or a mapping with answer, label, value, …, got 17.5",
        None,
    ]
    [estimate] = json.loads(ended.out)["estimates"]
    assert (estimate["value"], estimate["n"], estimate["n_missing"]) == (0.5, 2, 3)
    assert project.asked() == sorted(["capital of France?", "raise", "hang", "rubbish", "capital of Italy?"])


def test_answers_of_an_app_are_never_those_of_another_night(project: Project) -> None:
    project.configure('{backend: python, app: "rag:tonight"}')
    seen = []
    for night in ("Monday", "Tuesday"):
        (project.root / "tonight.txt").write_text(night)
        seen.append(texts(project.rows(project.run())))
        assert len(project.asked()) == 3
    assert seen == [["Monday"] * 3, ["Tuesday"] * 3]


def test_unless_the_config_gives_its_state_a_name(project: Project) -> None:
    seen = []
    for night, version in (("Monday", "v1"), ("Tuesday", "v1"), ("Wednesday", "v2")):
        project.configure('{backend: python, app: "rag:tonight"}', more=f"cache: {{version: {version}}}")
        (project.root / "tonight.txt").write_text(night)
        seen.append((texts(project.rows(project.run()))[0], len(project.asked())))
    assert seen == [("Monday", 3), ("Monday", 0), ("Wednesday", 3)]


def test_a_run_that_was_stopped_asks_nothing_twice(project: Project) -> None:
    entry = '{backend: python, app: "rag:answer_slowly", limits: {concurrency: 1}}'
    project.configure(entry, more="budget: {max_cost: 0.2}")
    stopped = project.run()
    assert stopped.code == 4, stopped.err
    first = project.asked()
    assert 1 <= len(first) < 3
    assert f"budget.max_cost is 0.2 and {0.25 * len(first):g} is spent" in stopped.err, "what was under way is told too"
    project.configure(entry, more="budget: {max_cost: 10}")
    ended = project.run()
    assert ended.code == 0, ended.err
    assert texts(project.rows(ended)) == ["Paris", "Rome", "Madrid"]
    assert sorted(first + project.asked()) == ["capital of France?", "capital of Italy?", "capital of Spain?"]


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("rag:anwser", "rag has no function 'anwser'; did you mean 'answer'?"),
        ("rga:answer", "no module 'rga'; did you mean 'rag'?"),
        ("rag.answer", "app must have the form package.module:function, got 'rag.answer'"),
    ],
)
def test_a_name_that_is_wrong(project: Project, app: str, said: str) -> None:
    project.configure(f'{{backend: python, app: "{app}"}}')
    ended = project.run()
    assert (ended.code, json.loads(ended.out)["exit_code"]) == (2, 2)
    assert said in ended.err
    assert said in json.loads(ended.out)["error"]
    assert project.asked() == []


def test_labels_numbers_and_rankings_of_an_app(project: Project) -> None:
    tasks = project.root / "tasks"
    rows = [{"id": "1", "text": "four", "label": "a", "price": 2}, {"id": "2", "text": "seven", "label": "b", "price": 3}]
    (tasks / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tasks / "queries.jsonl").write_text('{"_id": "q", "text": "t"}\n')
    (tasks / "corpus.jsonl").write_text('{"_id": "d1", "text": "x"}\n{"_id": "d2", "text": "y"}\n')
    (tasks / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\td1\t1\n")
    data = "data: {path: rows.jsonl}\nsample: {id: '{{ id }}', input: {text: '{{ text }}'}, "
    (tasks / "labels.yaml").write_text(
        f"suite: classification\nanswer: scores\nchoices: [a, b]\n{data}target: '{{{{ label }}}}'}}\nmetrics: [accuracy]\n"
        "models: [label]\ntask: labels\n"
    )
    (tasks / "prices.yaml").write_text(
        f"suite: regression\nanswer: number\n{data}target: '{{{{ price }}}}'}}\nmetrics: [mae]\nmodels: [price]\ntask: prices\n"
    )
    (tasks / "search.yaml").write_text(
        "suite: retrieval\ndata: {queries: queries.jsonl, corpus: corpus.jsonl, qrels: qrels.tsv}\nmetrics: [mrr]\n"
        "models: [search]\ntask: search\n"
    )
    models = "".join(f'  {name}: {{backend: python, app: "rag:{name}"}}\n' for name in ("label", "price", "search"))
    (project.root / "configs" / "run.yaml").write_text(f"models:\n{models}tasks: [tasks/*s.yaml, tasks/search.yaml]\n")
    ended = project.run()
    assert ended.code == 0, ended.err
    values = {(e["task"], e["metric"]): e["value"] for e in json.loads(ended.out)["estimates"]}
    # labels: "four" (4) is a, "seven" (5) is b; prices: 4 / 2 and 5 / 2 against 2 and 3; the one relevant document is second
    assert values == {("labels", "accuracy"): 1.0, ("prices", "mae"): 0.25, ("search", "mrr"): 0.5}


def test_inside_a_running_loop(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.configure('{backend: python, app: "rag:answer_later"}')
    monkeypatch.chdir(project.root)

    async def notebook() -> api.Run:
        return api.run("configs/run.yaml", cache_dir="cache")

    try:
        run = asyncio.run(notebook())
    finally:
        sys.modules.pop("rag", None)
    assert texts(run.to_arrow().to_pylist()) == ["Paris", "Rome", "Madrid"]


# ── http ────────────────────────────────────────────────────────────────────────────────────────────────────────────

PATHS = 'answer: $.answer, contexts: "$.contexts", citations: $.citations, usage_input: $.usage.input_tokens'


def test_a_service_that_answers(project: Project) -> None:
    with FaultyServer(api_key=KEY) as server:
        headers = '{Authorization: "Bearer ${RAG_KEY}"}'
        project.configure(f'{{backend: http, url: "{server.ask_url}", {PATHS}, headers: {headers}}}')
        ended = project.run(environment={"RAG_KEY": KEY})
        assert ended.code == 0, ended.err
        rows = project.rows(ended)
        assert texts(rows) == [said(f"capital of {country}?") for country in ("France", "Italy", "Spain")]
        assert json.loads(rows[0]["answer"])["contexts"] == ["capital of France?"]
        assert [row["input_tokens"] for row in rows] == [3, 3, 3]
        assert sorted(server.counts.values()) == [1, 1, 1]
        files = [path for path in project.root.rglob("*") if path.is_file()]
        assert len(files) > 5
        assert [path for path in files if KEY.encode() in path.read_bytes()] == []
        refused = project.run("--new", environment={"RAG_KEY": "sk-another-0123456789"})
        assert (refused.code, json.loads(refused.out)["exit_code"]) == (2, 2)
        assert "the service refuses the key in the environment variable RAG_KEY" in refused.err
        assert "sk-another" not in refused.err + refused.out


def test_a_service_that_fails_now_and_then(project: Project) -> None:
    questions = [f"word{i}" for i in range(60)]
    project.ask(*questions)
    faults = {"500": 0.1, "429_seconds": 0.1, "reset": 0.05, "half_json": 0.05, "no_choices": 0.05, "empty": 0.05}
    with FaultyServer(faults, seed=3) as server:
        limits = "{backoff_s: 0.01, timeout_s: 2, format_retries: 5}"
        project.configure(f'{{backend: http, url: "{server.ask_url}", {PATHS}, limits: {limits}}}')
        ended = project.run()
        assert ended.code == 0, ended.err
        assert texts(project.rows(ended)) == [said(question) for question in questions]
        assert sum(server.injected.values()) > 75
        assert server.injected[""] == 60
