"""How good and how dear an approximate index is: recall against exact search, speed, size."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np

from harness.errors import MetricError
from harness.metrics.judgements import Judged
from harness.metrics.ranking import Qrels, RankingMetric, Run, value_of
from harness.metrics.rows import ratio
from harness.types import FloatArray

T = TypeVar("T")


@dataclass(frozen=True, repr=False)
class RecallVsExactAtK(RankingMetric):
    """Of the k nearest documents by exact search the share that is among the first k of an approximate one.

    The judgements hold the exact ranking and no opinion: a document's grade is the higher the nearer it is, and the k highest
    positive grades are the exact k (:func:`exact_qrels` makes them from a run). Where the k-th and the next grade are equal,
    any of them will do, k at most. Undefined for a query without a positive grade.
    """

    name: ClassVar[str] = "recall_vs_exact@k"
    summary: ClassVar[str] = "share of the exact k nearest documents that an approximate index found"
    formula: ClassVar[str] = "|first k ∩ exact k| / min(k, exact)"
    reference: ClassVar[str] = "hand-worked; the definition of ann-benchmarks"
    paper: ClassVar[str] = "Aumüller, Bernhardsson and Faithfull 2020, ANN-Benchmarks"

    k: int

    def values(self, judged: Judged) -> FloatArray:
        positive = judged.judged_grade > 0
        query, grade = judged.judged_query[positive], judged.judged_grade[positive]
        n_exact = np.bincount(query, minlength=judged.n)
        starts = np.cumsum(n_exact) - n_exact
        last = np.full(judged.n, np.iinfo(np.int64).max)
        there = n_exact > 0
        last[there] = grade[(starts + np.minimum(self.k, n_exact) - 1)[there]]
        near = judged.sums((judged.grade >= last[judged.query]) & (judged.rank <= self.k))
        wanted = np.minimum(self.k, n_exact).astype(np.float64)
        return ratio(np.minimum(near, wanted), wanted)

    def why_missing(self) -> str:
        return "the exact ranking of the query is empty"


def recall_vs_exact(exact: Run, approximate: Run, k: int) -> float:
    """Mean share of the exact k nearest documents among the first k of an approximate ranking; see RecallVsExactAtK.

    >>> recall_vs_exact({"q": {"a": 3.0, "b": 2.0, "c": 1.0}}, {"q": {"c": 3.0, "a": 2.0}}, k=2)
    0.5
    """
    return value_of(RecallVsExactAtK(k), exact_qrels(exact), approximate)


def exact_qrels(run: Run) -> Qrels:
    """An exact ranking as judgements: of n documents the nearest has grade n, the farthest 1; of equal scores the ids decide.

    >>> exact_qrels({"q": {"a": 3.0, "b": 5.0}})
    {'q': {'b': 2, 'a': 1}}
    """
    return {query: _places(scores) for query, scores in run.items()}


def _places(scores: Mapping[str, float]) -> dict[str, int]:
    with np.errstate(over="ignore"):
        singles = np.fromiter(scores.values(), np.float32, len(scores)).tolist()
    ordered = sorted(zip(singles, scores), reverse=True)
    return {document: len(ordered) - place for place, (_, document) in enumerate(ordered)}


# ── what an index costs ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class IndexCost:
    """build_s: seconds to build it. queries_per_s: queries answered a second. Bytes are None where they were not asked for."""

    build_s: float
    queries_per_s: float
    disk_bytes: int | None = None
    memory_bytes: int | None = None


def index_cost(
    build: Callable[[], T],
    search: Callable[[T, Sequence[str]], object],
    queries: Sequence[str],
    *,
    path: Path | None = None,
    memory_of: Callable[[T], int] | None = None,
    rounds: int = 3,
) -> tuple[T, IndexCost]:
    """Build an index and search it: the index, and what that cost.

    ``search`` is handed the index and all queries, once to warm up and then ``rounds`` times, of which the fastest counts.
    ``path`` is the file or folder of the index, ``memory_of`` tells its bytes in memory; :func:`held_bytes` is another way.
    Raises MetricError without queries or rounds.
    """
    if not queries or rounds < 1:
        raise MetricError(f"index_cost: needs at least one query and one round, got {len(queries)} and {rounds}")
    start = time.perf_counter()
    built = build()
    build_s = time.perf_counter() - start
    search(built, queries)
    seconds = min(_seconds(lambda: search(built, queries)) for _ in range(rounds))
    on_disk, held = None if path is None else disk_bytes(path), None if memory_of is None else memory_of(built)
    return built, IndexCost(build_s, len(queries) / max(seconds, 1e-9), on_disk, held)


def held_bytes(build: Callable[[], object]) -> int:
    """The bytes that Python holds for what ``build`` returns: objects and numpy arrays, not the memory of other libraries."""
    import tracemalloc

    was_tracing = tracemalloc.is_tracing()
    if not was_tracing:
        tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        built = build()
        held = tracemalloc.get_traced_memory()[0] - before
        del built
    finally:
        if not was_tracing:
            tracemalloc.stop()
    return held


def disk_bytes(path: Path) -> int:
    """Bytes of a file, or of all files in a folder. Raises MetricError if it is not there."""
    if not path.exists():
        raise MetricError(f"disk_bytes: {path} does not exist")
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
