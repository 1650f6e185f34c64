"""What an approximate index finds and costs."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from harness.api import score
from harness.errors import MetricError
from harness.metrics.indexquality import disk_bytes, exact_qrels, held_bytes, index_cost, recall_vs_exact
from harness.plugins import metric
from harness.types import Key, Output, Ranking, Sample

EXACT = {"1": {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}, "2": {"a": 1.0}}
APPROXIMATE = {"1": {"b": 9.0, "d": 8.0, "a": 7.0, "x": 6.0}, "2": {"a": 0.5, "b": 0.1}}


@pytest.mark.parametrize(("k", "first", "second"), [(1, 0.0, 1.0), (2, 1 / 2, 1.0), (3, 2 / 3, 1.0), (9, 3 / 4, 1.0)])
def test_recall_by_hand(k: int, first: float, second: float) -> None:
    assert recall_vs_exact(EXACT, APPROXIMATE, k) == pytest.approx((first + second) / 2)
    assert recall_vs_exact(EXACT, EXACT, k) == 1.0


def test_equal_to_a_set_of_faiss_neighbours() -> None:
    """Exact neighbours by numpy, those of an index that looks into some of its cells by faiss: overlap counted with sets."""
    faiss = pytest.importorskip("faiss")
    rng = np.random.default_rng(0)
    base, queries = (rng.normal(size=(n, 8)).astype(np.float32) for n in (500, 30))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(8), 8, 16, faiss.METRIC_INNER_PRODUCT)
    index.train(base)
    index.add(base)
    scores, found = index.search(queries, 20)
    exact = {str(q): {str(d): float(s) for d, s in enumerate(row)} for q, row in enumerate(queries @ base.T)}
    run = {str(q): {str(d): float(s) for d, s in zip(ids, row) if d >= 0} for q, (ids, row) in enumerate(zip(found, scores))}
    nearest = np.argsort(-(queries @ base.T), axis=1, kind="stable")[:, :10]
    shares = [len(set(map(str, near)) & set(list(run[str(q)])[:10])) / 10 for q, near in enumerate(nearest)]
    assert recall_vs_exact(exact, run, 10) == pytest.approx(float(np.mean(shares)))
    assert 0.1 < float(np.mean(shares)) < 0.9


def test_ties_at_the_end_count_k_at_most() -> None:
    qrels = {"a": 2, "b": 1, "c": 1, "d": 1, "e": 0}
    outputs = [Output(Key("q"), Ranking(("b", "c", "d"), (3.0, 2.0, 1.0)))]
    assert metric("recall_vs_exact@2").score([Sample("q", qrels=qrels)], outputs).stats[0, 0] == 1.0
    assert metric("recall_vs_exact@1").score([Sample("q", qrels=qrels)], outputs).stats[0, 0] == 0.0
    missing = metric("recall_vs_exact@2").score([Sample("q", qrels={"e": 0})], outputs).missing
    assert missing == {0: "the exact ranking of the query is empty"}


def test_exact_ranking_as_judgements() -> None:
    assert exact_qrels({"q": {"a": 1.0, "c": 1.0 + 1e-12, "b": 2.0}}) == {"q": {"b": 3, "c": 2, "a": 1}}


def test_score_takes_two_runs() -> None:
    exact, found = (
        io.BytesIO("".join(f"{q} Q0 {d} 1 {s} t\n" for q, docs in run.items() for d, s in docs.items()).encode())
        for run in (EXACT, APPROXIMATE)
    )
    [two, four] = score(["recall_vs_exact@2", "recall_vs_exact@4"], found, exact)
    assert (two.value, four.value) == pytest.approx((3 / 4, 7 / 8))


def test_cost_of_an_index(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "sub" / "b").write_bytes(b"123")
    calls = []

    def search(index: dict[str, int], queries: Sequence[str]) -> list[int]:
        calls.append(len(queries))
        return [index[query] for query in queries]

    built, cost = index_cost(lambda: {"a": 1}, search, ["a"] * 50, path=tmp_path, memory_of=len, rounds=2)
    assert built == {"a": 1}
    assert (calls, cost.disk_bytes, cost.memory_bytes) == ([50, 50, 50], 8, 1)
    assert cost.build_s >= 0
    assert 0 < cost.queries_per_s < math.inf
    assert disk_bytes(tmp_path / "a") == 5
    with pytest.raises(MetricError, match="does not exist"):
        disk_bytes(tmp_path / "none")
    with pytest.raises(MetricError, match="index_cost: needs at least one query and one round, got 0 and 3"):
        index_cost(dict, search, [])


def test_bytes_that_an_index_holds() -> None:
    assert held_bytes(lambda: np.ones(1_000_000)) == pytest.approx(8_000_000, rel=0.01)
