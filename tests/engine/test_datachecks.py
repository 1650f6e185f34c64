"""A task that does not fit its data is refused, and what is left out is counted, before any model is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.config import load_run
from harness.engine.plan import Plan, make_plan
from harness.errors import ConfigError
from harness.types import Decoding

RETRIEVAL = """\
task: find
suite: retrieval
data: {queries: queries.jsonl, corpus: corpus.jsonl, qrels: qrels.tsv}
k: 3
metrics: [METRIC]
"""
QA = """\
task: qa
suite: generation
data: {format: jsonl, path: rows.jsonl}
sample: {references: "{{ answers }}"}
prompt: {text: "{{ q }}"}
metrics: [exact_match]
"""


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def plan(folder: Path, task: str, model: str) -> Plan:
    (folder / "task.yaml").write_text(task)
    (folder / "run.yaml").write_text(f"models: {{m: {model}}}\ntasks: [task.yaml]\n")
    return make_plan(load_run(folder / "run.yaml"))


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    (tmp_path / "queries.jsonl").write_text(lines(*({"_id": f"q{i}", "text": "cat"} for i in range(3))))
    (tmp_path / "corpus.jsonl").write_text(lines({"_id": "d1", "text": "cat"}, {"_id": "d2", "text": "dog"}))
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td1\t1\nq1\tgone\t1\nq9\td1\t1\nq8\td2\t1\n")
    return tmp_path


def test_what_a_retrieval_task_leaves_out_is_counted(collection: Path) -> None:
    found = plan(collection, RETRIEVAL.replace("METRIC", "ndcg@3"), "{backend: bm25}")
    assert found.notes == (
        "find: not asked, without judgements in this split: 1 query",
        "find: judgements ignored, of queries that are not there: 2 queries",
        "find: judged, but not in the corpus, so that no retriever can find it: 1 document",
    )


def test_a_metric_that_looks_deeper_than_the_ranking_is_refused(collection: Path) -> None:
    with pytest.raises(ConfigError, match=r"task\.yaml:5:11: metric recall@10 looks deeper than the task's ranking, k: 3"):
        plan(collection, RETRIEVAL.replace("METRIC", "recall@10"), "{backend: bm25}")


def test_references_that_are_all_empty_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(lines({"id": "1", "q": "?", "answers": []}, {"id": "2", "q": "?", "answers": None}))
    with pytest.raises(ConfigError, match=r"task\.yaml:6:11: metric exact_match needs references, which no sample of task"):
        plan(tmp_path, QA, "{backend: 'null'}")
    (tmp_path / "rows.jsonl").write_text(lines({"id": "1", "q": "?", "answers": []}, {"id": "2", "q": "?", "answers": "a"}))
    assert plan(tmp_path, QA, "{backend: 'null'}").notes == ()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_tokens": 0}, "max_tokens must be a positive integer, got 0"),
        ({"temperature": -0.1}, "temperature must be a number ≥ 0, got -0.1"),
        ({"temperature": float("nan")}, "temperature must be a number ≥ 0, got nan"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1, got 0.0"),
        ({"top_k": 0}, "top_k must be a positive integer or null, got 0"),
        ({"stop": ("\n", "")}, "stop must be strings that are not empty, got ['\\n', '']"),
    ],
)
def test_decoding_that_cannot_be(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        Decoding(**values)  # type: ignore[arg-type]
    assert str(error.value) == message
