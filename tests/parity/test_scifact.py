"""BEIR SciFact through ``harness run``: BM25 and all-MiniLM-L6-v2 give the numbers that others got (SOURCES.md, scifact)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.real import Ended, download, harness
from tests.models.real import MINILM

# bm25s 0.2, lucene, k1=1.2, b=0.75, stop words + Porter2, title + abstract, 1,000 documents deep, through trec_eval.
BM25 = {"ndcg@10": 0.6791, "map": 0.6386, "recall@100": 0.9127, "mrr@10": 0.6431}
MINILM_NDCG = 0.645  # the model's entry in MTEB

TASK = """\
task: scifact
suite: retrieval
data:
  format: collection
  queries: {folder}/queries.jsonl
  corpus: {{path: {folder}/corpus_train.csv.gz, id: "{{{{ doc_id }}}}", text: "{{{{ abstract | literal | join(' ') }}}}"}}
  qrels: {folder}/qrels/test.tsv
k: 1000
metrics: [{metrics}]
"""


def run(config: str, metrics: str, data: Path, project: Path, *options: str) -> dict[str, float]:
    """Values of the metrics over the 300 test queries."""
    (project / "scifact.yaml").write_text(TASK.format(folder=data.as_posix(), metrics=metrics), encoding="utf-8")
    (project / "run.yaml").write_text(f"{config}tasks: [scifact.yaml]\n", encoding="utf-8")
    done: Ended = harness("run", "run.yaml", "--json", *options, cwd=project)
    assert {(estimate["n"], estimate["n_missing"]) for estimate in done.document["estimates"]} == {(300, 0)}
    return {metric: value for (_, _, metric), value in done.values.items()}


@pytest.mark.slow
def test_bm25(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    data = shared_data("scifact/corpus_train.csv.gz").parent
    values = run("models: {bm25: {backend: bm25}}\n", ", ".join(BM25), data, tmp_path, "--cache-dir", "cache")
    assert values == pytest.approx(BM25, abs=0.0002)


@pytest.mark.slow
def test_minilm(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    """The embeddings of the corpus come from the user's cache where they have been made before; the answers do not."""
    download(MINILM, "sentence_transformers", "faiss")
    data = shared_data("scifact/corpus_train.csv.gz").parent
    config = (
        "models: {minilm: {backend: dense}}\n"
        f'roles: {{encoder: {{backend: sentence_encoder, source: "{MINILM}", device: cpu, threads: 1}}}}\n'
    )
    values = run(config, "ndcg@10", data, tmp_path, "--no-cache")
    assert values["ndcg@10"] == pytest.approx(MINILM_NDCG, abs=0.005)
