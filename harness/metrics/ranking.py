"""Metrics of ranked documents against relevance judgements, by the rules of trec_eval.

Documents are ordered by score descending, then by id descending; the order in which they were given does not count, and scores
are compared in single precision, as pytrec_eval 0.5 compares them. Documents without a judgement and with a
negative one are not relevant. A query without judgements is missing; one whose judgements hold no relevant document scores 0,
and so does a query for which nothing was found.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from harness.errors import MetricError
from harness.metrics.rows import Row, ratio, scores_of, wrong_kind
from harness.protocols import Metric
from harness.types import FloatArray, Key, Output, Ranking, Sample, Scores

Gain = Literal["linear", "exp"]
Aliases: TypeAlias = Mapping[str, Mapping[str, Any]]
Qrels: TypeAlias = Mapping[str, Mapping[str, int]]
Run: TypeAlias = Mapping[str, Mapping[str, float]]


# ── what they share ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, repr=False)
class RankingMetric(Metric):
    """A value a query, 0 to 1, higher is better, averaged over the queries; undefined for no queries."""

    family: ClassVar[str] = "ranking"
    needs: ClassVar[frozenset[str]] = frozenset({"ranking", "qrels"})
    columns: ClassVar[tuple[str, ...]] = ("value", "queries")

    def __post_init__(self) -> None:
        if hasattr(self, "k"):
            self.require(isinstance(self.k, int) and self.k >= 1, "k", "a positive integer")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a query: value, 1."""
        return scores_of((self._row(s, o) for s, o in zip(samples, outputs, strict=True)), 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """The mean over the queries."""
        return ratio(totals[..., 0], totals[..., 1])

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        """0, and the value of the best ranking that the judgements permit; None for a query without judgements."""
        if not sample.qrels:
            return None
        ideal = sorted(sample.qrels.values(), reverse=True)
        return np.array([0.0, 1.0]), np.array([self.value(ideal[:self.depth], ideal), 1.0])

    @property
    def depth(self) -> int | None:
        """How many documents count; None for all."""
        return getattr(self, "k", None)

    def value(self, found: Sequence[int], judged: Sequence[int]) -> float:
        """The value of one query from the grades of its first ``depth`` documents, best first, and of all judged ones."""
        raise NotImplementedError(f"{type(self).__name__}.value")

    def _row(self, sample: Sample, output: Output) -> Row:
        if not sample.qrels:
            return "the query has no relevance judgements"
        ranking = output.answer
        if not isinstance(ranking, Ranking):
            return wrong_kind(output, "Ranking")
        fault = _fault(ranking)
        if fault is not None:
            return fault
        qrels = sample.qrels
        found = [qrels.get(document, 0) for document in _ranked(ranking)[:self.depth]]
        return self.value(found, list(qrels.values())), 1.0


@dataclass(frozen=True, repr=False)
class RelevanceMetric(RankingMetric):
    """A ranking metric for which a document is relevant or not: from grade ``level`` on."""

    level: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.level >= 1, "level", "a positive integer")

    def value(self, found: Sequence[int], judged: Sequence[int]) -> float:
        """0 without relevant documents, else :meth:`binary`."""
        n_relevant = sum(grade >= self.level for grade in judged)
        return self.binary([grade >= self.level for grade in found], n_relevant) if n_relevant else 0.0

    def binary(self, found: Sequence[bool], n_relevant: int) -> float:
        """The value of one query from the relevance of its documents, best first; ``n_relevant`` is positive."""
        raise NotImplementedError(f"{type(self).__name__}.binary")


def _fault(ranking: Ranking) -> str | None:
    if len(ranking.documents) != len(ranking.scores):
        return f"{len(ranking.documents)} documents with {len(ranking.scores)} scores"
    if len(set(ranking.documents)) < len(ranking.documents):
        seen: set[str] = set()
        twice = next(d for d in ranking.documents if d in seen or seen.add(d))  # type: ignore[func-returns-value]
        return f"document {twice!r} is ranked twice"
    if any(map(math.isnan, ranking.scores)):
        return "a score is not a number"
    return None


def _ranked(ranking: Ranking) -> Sequence[str]:
    """The documents by score descending, then id descending."""
    with np.errstate(over="ignore"):
        scores = np.asarray(ranking.scores, dtype=np.float32)
    order = np.argsort(-scores, kind="stable")
    in_order = scores[order]
    if (in_order[1:] == in_order[:-1]).any():
        pairs = sorted(zip(scores.tolist(), ranking.documents), reverse=True)
        return [document for _, document in pairs]
    return [ranking.documents[i] for i in order]


# ── metrics ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, repr=False)
class RecallAtK(RelevanceMetric):
    """Relevant documents among the first k, over all relevant ones; ``recall_k`` of trec_eval. ``recall`` is for labels."""

    name: ClassVar[str] = "recall@k"
    summary: ClassVar[str] = "share of the relevant documents among the first k"

    k: int

    def binary(self, found: Sequence[bool], n_relevant: int) -> float:
        return sum(found) / n_relevant


@dataclass(frozen=True, repr=False)
class PrecisionAtK(RelevanceMetric):
    """Relevant documents among the first k, over k even where fewer were found; ``P_k`` of trec_eval."""

    name: ClassVar[str] = "precision@k"
    summary: ClassVar[str] = "share of the first k documents that are relevant"
    aliases: ClassVar[Aliases] = {"P@k": {}}

    k: int

    def binary(self, found: Sequence[bool], n_relevant: int) -> float:
        return sum(found) / self.k


@dataclass(frozen=True, repr=False)
class HitAtK(RelevanceMetric):
    """1 if one of the first k documents is relevant; ``success_k`` of trec_eval."""

    name: ClassVar[str] = "hit@k"
    summary: ClassVar[str] = "whether a relevant document is among the first k"
    interval = "wilson"
    aliases: ClassVar[Aliases] = {"success@k": {}}

    k: int

    def binary(self, found: Sequence[bool], n_relevant: int) -> float:
        return float(any(found))


@dataclass(frozen=True, repr=False)
class MRR(RelevanceMetric):
    """1 / rank of the first relevant document, 0 if there is none; ``recip_rank`` of trec_eval."""

    name: ClassVar[str] = "mrr"
    summary: ClassVar[str] = "mean reciprocal rank of the first relevant document"
    aliases: ClassVar[Aliases] = {"recip_rank": {}}

    def binary(self, found: Sequence[bool], n_relevant: int) -> float:
        return next((1 / rank for rank, hit in enumerate(found, start=1) if hit), 0.0)


@dataclass(frozen=True, repr=False)
class MRRAtK(MRR):
    """:class:`MRR` over the first k documents; ``recip_rank`` of trec_eval with ``-M k``."""

    name: ClassVar[str] = "mrr@k"
    summary: ClassVar[str] = "mean reciprocal rank of the first relevant document among the first k"
    aliases: ClassVar[Aliases] = {"recip_rank@k": {}}

    k: int


@dataclass(frozen=True, repr=False)
class MAP(RelevanceMetric):
    """Precision at the rank of each relevant document, summed, over all relevant ones; ``map`` of trec_eval."""

    name: ClassVar[str] = "map"
    summary: ClassVar[str] = "mean average precision"

    def binary(self, found: Sequence[bool], n_relevant: int) -> float:
        ranks = [rank for rank, hit in enumerate(found, start=1) if hit]
        return math.fsum(n / rank for n, rank in enumerate(ranks, start=1)) / n_relevant


@dataclass(frozen=True, repr=False)
class MAPAtK(MAP):
    """:class:`MAP` over the first k documents, still over all relevant ones; ``map_cut_k`` of trec_eval."""

    name: ClassVar[str] = "map@k"
    summary: ClassVar[str] = "mean average precision over the first k documents"
    aliases: ClassVar[Aliases] = {"map_cut@k": {}}

    k: int


@dataclass(frozen=True, repr=False)
class NDCG(RankingMetric):
    """Discounted gain over that of the best order: Σ gain / log2(rank + 1) (Järvelin and Kekäläinen 2002).

    ``gain=linear`` is the grade, as in trec_eval's ``ndcg``; ``exp`` is 2^grade - 1 (Burges et al. 2005). Grades below 1 gain
    nothing. The best order has all judged documents, found or not.
    """

    name: ClassVar[str] = "ndcg"
    summary: ClassVar[str] = "normalised discounted cumulative gain"

    gain: Gain = field(default="linear", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.gain in ("linear", "exp"), "gain", "one of linear, exp")

    def value(self, found: Sequence[int], judged: Sequence[int]) -> float:
        """Gain of what was found over the gain of the best order; 0 if that is 0."""
        best = self._discounted(sorted((grade for grade in judged if grade > 0), reverse=True)[:self.depth])
        return self._discounted(found) / best if best else 0.0

    def _discounted(self, grades: Sequence[int]) -> float:
        ranked = ((rank, grade) for rank, grade in enumerate(grades, start=1) if grade > 0)
        if self.gain == "linear":
            return math.fsum(grade / math.log2(rank + 1) for rank, grade in ranked)
        return math.fsum((2.0**grade - 1) / math.log2(rank + 1) for rank, grade in ranked)


@dataclass(frozen=True, repr=False)
class NDCGAtK(NDCG):
    """:class:`NDCG` over the first k documents, against the first k of the best order; ``ndcg_cut_k`` of trec_eval."""

    name: ClassVar[str] = "ndcg@k"
    summary: ClassVar[str] = "normalised discounted cumulative gain over the first k documents"
    aliases: ClassVar[Aliases] = {"ndcg_cut@k": {}}

    k: int


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────
#
# ``qrels`` maps query -> document -> grade, ``run`` maps query -> document -> score. The mean is over the queries of the run
# that have judgements, as trec_eval takes it; a query with an empty ranking counts 0. NaN if there are none.


def recall_at(qrels: Qrels, run: Run, k: int, *, level: int = 1) -> float:
    """Mean recall among the first k documents; see RecallAtK.

    >>> recall_at({"q": {"a": 1, "b": 1}}, {"q": {"a": 2.0, "c": 1.0}}, k=2)
    0.5
    """
    return _mean(RecallAtK(k, level=level), qrels, run)


def precision_at(qrels: Qrels, run: Run, k: int, *, level: int = 1) -> float:
    """Mean precision among the first k documents; see PrecisionAtK.

    >>> precision_at({"q": {"a": 1, "b": 1}}, {"q": {"a": 2.0, "c": 1.0}}, k=2)
    0.5
    """
    return _mean(PrecisionAtK(k, level=level), qrels, run)


def hit_at(qrels: Qrels, run: Run, k: int, *, level: int = 1) -> float:
    """Share of queries with a relevant document among the first k; see HitAtK.

    >>> hit_at({"q": {"a": 1}}, {"q": {"b": 2.0, "a": 1.0}}, k=1)
    0.0
    """
    return _mean(HitAtK(k, level=level), qrels, run)


def mean_reciprocal_rank(qrels: Qrels, run: Run, k: int | None = None, *, level: int = 1) -> float:
    """Mean reciprocal rank of the first relevant document (among the first k); see MRR.

    >>> mean_reciprocal_rank({"q": {"a": 1}}, {"q": {"b": 2.0, "a": 1.0}})
    0.5
    """
    return _mean(MRR(level=level) if k is None else MRRAtK(k, level=level), qrels, run)


def mean_average_precision(qrels: Qrels, run: Run, k: int | None = None, *, level: int = 1) -> float:
    """Mean average precision (over the first k documents); see MAP.

    >>> mean_average_precision({"q": {"a": 1, "c": 1}}, {"q": {"a": 3.0, "b": 2.0, "c": 1.0}})
    0.8333333333333333
    """
    return _mean(MAP(level=level) if k is None else MAPAtK(k, level=level), qrels, run)


def ndcg(qrels: Qrels, run: Run, k: int | None = None, *, gain: Gain = "linear") -> float:
    """Mean normalised discounted cumulative gain (over the first k documents); see NDCG.

    >>> ndcg({"q": {"a": 1}}, {"q": {"b": 2.0, "c": 1.0, "a": 0.0}})
    0.5
    """
    return _mean(NDCG(gain=gain) if k is None else NDCGAtK(k, gain=gain), qrels, run)


def _mean(metric: RankingMetric, qrels: Qrels, run: Run) -> float:
    queries = [query for query in run if qrels.get(query)]
    samples = [Sample(query, qrels=qrels[query]) for query in queries]
    answers: Iterable[Ranking] = (Ranking(tuple(run[query]), tuple(run[query].values())) for query in queries)
    scores = metric.score(samples, [Output(Key(query), answer) for query, answer in zip(queries, answers)])
    for index, reason in scores.missing.items():
        raise MetricError(f"{metric.name}: query {queries[index]!r}: {reason}")
    return float(metric.finish(scores.stats.sum(axis=0)))
