"""BM25 on BEIR SciFact: nDCG@10 0.6791 (bm25s, lucene, k1=1.2, b=0.75, stop words + Porter2, title + abstract)."""

import ast
import csv
import gzip
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.protocols import Resources, TaskView
from harness.retrieval.bm25 import Bm25
from harness.types import Call, Document, Key, Rank, Ranking


def sentences(printed: str) -> list[str]:
    """The abstract is a list as numpy prints it: one string a line, without commas."""
    found: list[str] = ast.literal_eval(re.sub(r"""(['"])\n (['"])""", r"\1,\n \2", printed))
    return found


class SciFact:
    fingerprint = "scifact"

    def __init__(self, path: Path) -> None:
        csv.field_size_limit(2**24)
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            self.documents = [
                Document(row["doc_id"], " ".join(sentences(row["abstract"])), row["title"])
                for row in csv.DictReader(file)
            ]

    def __len__(self) -> int:
        return len(self.documents)

    def __iter__(self) -> Iterator[Document]:
        return iter(self.documents)


def test_ndcg_at_10(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    corpus = SciFact(shared_data("scifact/corpus_train.csv.gz"))
    assert len(corpus) == 5183
    queries = {row["_id"]: row["text"] for row in map(json.loads, shared_data("scifact/queries.jsonl").open(encoding="utf-8"))}
    qrels: dict[str, dict[str, int]] = defaultdict(dict)
    with shared_data("scifact/qrels/test.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            qrels[row["query-id"]][row["corpus-id"]] = int(row["score"])

    backend = Bm25()
    backend.open(Resources(cache_dir=tmp_path))
    backend.start_task(TaskView("scifact", corpus))
    calls = [Call(Key(query), Rank(queries[query], 100, "scifact")) for query in qrels]
    run = {}
    for batch in backend.batches(calls):
        for output in backend.run(batch):
            assert isinstance(output.answer, Ranking)
            run[output.key.sample_id] = dict(zip(output.answer.documents, output.answer.scores))
    evaluator = pytrec_eval.RelevanceEvaluator(dict(qrels), {"ndcg_cut.10", "recall.100"})
    scores = evaluator.evaluate(run).values()
    assert len(scores) == 300
    ndcg, recall = (sum(row[name] for row in scores) / 300 for name in ("ndcg_cut_10", "recall_100"))
    assert ndcg == pytest.approx(0.6791, abs=0.005)
    assert recall == pytest.approx(0.9127, abs=0.005)
