"""What the metrics of ranked documents against relevance judgements share: the rules of trec_eval.

Documents are ordered by score descending, then by id descending; the order in which they were given does not count, and scores
are compared in single precision, as pytrec_eval 0.5 compares them. Documents without a judgement and with a
negative one are not relevant. A query without judgements is missing; one whose judgements hold no relevant document scores 0,
and so does a query for which nothing was found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import numpy as np

from harness.errors import MetricError
from harness.metrics.judgements import BoolArray, Judged, ideal, judged_of
from harness.metrics.rows import ratio
from harness.protocols import Metric
from harness.types import FloatArray, Key, Output, Ranking, Sample, Scores

Aliases: TypeAlias = Mapping[str, Mapping[str, Any]]
Qrels: TypeAlias = Mapping[str, Mapping[str, int]]
"""query -> document -> grade"""
Run: TypeAlias = Mapping[str, Mapping[str, float]]
"""query -> document -> score"""


@dataclass(frozen=True, repr=False)
class RankingMetric(Metric):
    """A value a query, 0 to 1, higher is better, averaged over the queries; undefined for no queries.

    A subclass gives :meth:`values`. Those with a field ``k`` look at no more than the first ``k`` documents.
    """

    family: ClassVar[str] = "ranking"
    needs: ClassVar[frozenset[str]] = frozenset({"ranking", "qrels"})
    columns: ClassVar[tuple[str, ...]] = ("value", "queries")
    reference: ClassVar[str] = "pytrec_eval"

    def __post_init__(self) -> None:
        if hasattr(self, "k"):
            self.require(isinstance(self.k, int) and not isinstance(self.k, bool) and self.k >= 1, "k", "a positive integer")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a query: value, 1."""
        judged, rows, missing = judged_of(samples, outputs)
        stats = np.full((len(samples), 2), np.nan)
        stats[rows, 0] = values = self.values(judged)
        stats[rows, 1] = 1.0
        missing |= {int(row): self.why_missing() for row in rows[np.isnan(values)]}
        return Scores(stats, missing)

    def finish(self, totals: FloatArray) -> FloatArray:
        """The mean over the queries."""
        return ratio(totals[..., 0], totals[..., 1])

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        """0, and the value of the best ranking that the judgements permit; None for a query without judgements."""
        if not sample.qrels:
            return None
        return np.array([0.0, 1.0]), np.array([self.values(ideal(list(sample.qrels.values())))[0], 1.0])

    def values(self, judged: Judged) -> FloatArray:
        """``float64[n]``: the value of every query; NaN where it has none."""
        raise NotImplementedError(f"{type(self).__name__}.values")

    def why_missing(self) -> str:
        """Why a query has no value."""
        return "undefined on this query"


@dataclass(frozen=True, repr=False)
class RelevanceMetric(RankingMetric):
    """A ranking metric for which a document is relevant or not: from grade ``level`` on (``-l`` of trec_eval)."""

    level: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.level >= 1, "level", "a positive integer")

    def relevant(self, judged: Judged) -> BoolArray:
        """Of the judged documents that were found, ``bool[m]``."""
        return judged.grade >= self.level

    def n_relevant(self, judged: Judged) -> FloatArray:
        """Relevant documents of every query, found or not, ``float64[n]``."""
        return judged.n_judged(self.level)


@dataclass(frozen=True, repr=False)
class TotalMetric(RelevanceMetric):
    """A count, summed over the queries as trec_eval prints it; says how large a run or its judgements are, not how good."""

    higher_is_better = None
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    unit: ClassVar[str] = "count"
    interval = "none"

    def finish(self, totals: FloatArray) -> FloatArray:
        """The sum over the queries; NaN if there are none."""
        sums: FloatArray = np.where(totals[..., 1] > 0, totals[..., 0], np.nan)
        return sums

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        """None: a missing query could have had any number of documents."""
        return None


FLOOR = 1e-5
"""What geometric means take in place of smaller values, as in trec_eval."""


@dataclass(frozen=True, repr=False)
class GeometricMetric(RelevanceMetric):
    """exp of the mean over the queries of log(max(value, 0.00001)): poor queries weigh more than in a mean."""

    columns: ClassVar[tuple[str, ...]] = ("log_value", "queries")

    def values(self, judged: Judged) -> FloatArray:
        """The logarithm of each query's value, which is at least 0.00001."""
        logs: FloatArray = np.log(np.maximum(self.linear(judged), FLOOR))
        return logs

    def linear(self, judged: Judged) -> FloatArray:
        """The value of each query, of which the geometric mean is taken."""
        raise NotImplementedError(f"{type(self).__name__}.linear")

    def finish(self, totals: FloatArray) -> FloatArray:
        """The geometric mean over the queries."""
        means: FloatArray = np.exp(super().finish(totals))
        return means

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        found = super().extremes(sample)
        return None if found is None else (np.array([np.log(FLOOR), 1.0]), found[1])


def value_of(metric: RankingMetric, qrels: Qrels, run: Run) -> float:
    """The metric over ``qrels`` (query → document → grade) and ``run`` (query → document → score); the plain functions call it.

    It is taken over the queries of the run that have judgements, as trec_eval does without ``-c``; a query with an empty
    ranking counts 0. NaN if there are none. Raises MetricError for a score that is not a number.
    """
    queries = [query for query in run if qrels.get(query)]
    samples = [Sample(query, qrels=qrels[query]) for query in queries]
    answers: Iterable[Ranking] = (Ranking(tuple(run[query]), tuple(run[query].values())) for query in queries)
    scores = metric.score(samples, [Output(Key(query), answer) for query, answer in zip(queries, answers)])
    for index, reason in scores.missing.items():
        raise MetricError(f"{metric.name}: query {queries[index]!r}: {reason}")
    return float(metric.finish(scores.stats.sum(axis=0)))
