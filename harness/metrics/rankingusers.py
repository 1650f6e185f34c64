"""Metrics that follow a reader down the ranking: expected reciprocal rank, rank-biased precision."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np

from harness.errors import MetricError
from harness.metrics.gains import gains_of
from harness.metrics.judgements import Judged
from harness.metrics.ranking import Aliases, Qrels, RankingMetric, Run, value_of
from harness.metrics.rankinggraded import GainMetric
from harness.types import FloatArray, Sample

_MOFFAT = "Moffat and Zobel 2008, Rank-Biased Precision for Measurement of Retrieval Effectiveness"


@dataclass(frozen=True, repr=False)
class ERRAtK(RankingMetric):
    """Expected reciprocal rank: a reader stops at a document with probability (2^grade - 1) / 2^largest grade.

    The largest grade is that of the task's judgements unless ``max_grade`` is given (gdeval has 4). Raises MetricError for a
    grade above ``max_grade``.
    """

    name: ClassVar[str] = "err@k"
    function: ClassVar[str] = "err_at"
    summary: ClassVar[str] = "expected reciprocal rank at which a reader is satisfied, among the first k"
    formula: ClassVar[str] = "Σ over the first k of 1/r · p_r · Π over i < r of (1 - p_i), p = (2^grade - 1) / 2^largest grade"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = "Chapelle, Metzler, Zhang and Grinspan 2009, Expected Reciprocal Rank for Graded Relevance"

    k: int
    max_grade: int | None = field(default=None, kw_only=True)
    largest: int = field(default=0, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.max_grade is None or self.max_grade >= 1, "max_grade", "a positive integer or none")

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """A copy that knows the largest grade of the task."""
        grades = (grade for sample in samples for grade in (sample.qrels or {}).values())
        return dataclasses.replace(self, largest=max(grades, default=0))

    def values(self, judged: Judged) -> FloatArray:
        top = self.max_grade or max(self.largest, int(judged.judged_grade.max(initial=0)))
        highest = int(judged.judged_grade.max(initial=0))
        if highest > top:
            raise MetricError(f"err@k: max_grade must be at least the largest grade, {highest}, got {top}")
        first = judged.first(self.k)
        stops = np.exp2(np.maximum(first.grade, 0) - float(top)) - np.exp2(-float(top))
        gone_on = first.running(np.log1p(-stops)) - np.log1p(-stops)
        return first.sums(np.exp(gone_on) * stops / first.rank)


@dataclass(frozen=True, repr=False)
class RBP(GainMetric):
    """Rank-biased precision: a reader goes on to the next document with probability p, and gains from each.

    A document's gain is its own over the largest of its query's judgements where that is above 1, as in trec_eval; a negative
    one counts as 0.
    """

    name: ClassVar[str] = "rbp"
    summary: ClassVar[str] = "rank-biased precision of a reader who goes on with probability p"
    formula: ClassVar[str] = "(1 - p) Σ over documents found of gain / max(1, largest gain) · p^(rank - 1)"
    reference: ClassVar[str] = "trec_eval rbp"
    paper: ClassVar[str] = _MOFFAT

    p: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(0 < self.p < 1, "p", "between 0 and 1")

    def values(self, judged: Judged) -> FloatArray:
        largest = np.ones(judged.n)
        np.maximum.at(largest, judged.judged_query, gains_of(judged.judged_grade, self.gain))
        gains = np.maximum(self.found(judged), 0.0) / largest[judged.query]
        return (1.0 - self.p) * judged.sums(gains * self.p ** (judged.rank - 1.0))


@dataclass(frozen=True, repr=False)
class RBPResidual(RankingMetric):
    """What :class:`RBP` could gain at most if all unjudged documents, and all that follow, were relevant; ``rbp_resid``.

    0 where every document that was found has a judgement, as in trec_eval. A negative grade is no judgement.
    """

    name: ClassVar[str] = "rbp_residual"
    summary: ClassVar[str] = "how much rank-biased precision is not known for want of judgements"
    formula: ClassVar[str] = "1 - (1 - p) Σ over judged documents found of p^(rank - 1)"
    reference: ClassVar[str] = "trec_eval rbp_resid"
    paper: ClassVar[str] = _MOFFAT
    higher_is_better = None
    aliases: ClassVar[Aliases] = {"rbp_resid": {}}

    p: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(0 < self.p < 1, "p", "between 0 and 1")

    def values(self, judged: Judged) -> FloatArray:
        has_judgement = judged.grade >= 0
        known = (1.0 - self.p) * judged.sums(has_judgement * self.p ** (judged.rank - 1.0))
        all_judged = judged.sums(has_judgement) == judged.n_found
        values: FloatArray = np.where(all_judged, 0.0, 1.0 - known)
        return values

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        return None if not sample.qrels else (np.array([0.0, 1.0]), np.array([1.0, 1.0]))


# ── plain functions: qrels query -> document -> grade, run query -> document -> score; see ranking.value_of ───────────────────


def err_at(qrels: Qrels, run: Run, k: int, *, max_grade: int | None = None) -> float:
    """Mean expected reciprocal rank among the first k documents; see ERRAtK.

    >>> err_at({"q": {"a": 1, "b": 1}}, {"q": {"a": 2.0, "b": 1.0}}, 5)  # 1/2 + 1/2 · 1/2 · 1/2
    0.625
    """
    metric = ERRAtK(k, max_grade=max_grade)
    return value_of(metric.prepare(Sample(query, qrels=grades) for query, grades in qrels.items()), qrels, run)


def rbp(qrels: Qrels, run: Run, p: float = 0.9, *, gain: str = "linear") -> float:
    """Mean rank-biased precision; see RBP.

    >>> rbp({"q": {"a": 1, "b": 1}}, {"q": {"a": 2.0, "b": 1.0}}, 0.5)
    0.75
    """
    return value_of(RBP(p, gain=gain), qrels, run)


def rbp_residual(qrels: Qrels, run: Run, p: float = 0.9) -> float:
    """Mean of what is not known of rank-biased precision; see RBPResidual.

    >>> rbp_residual({"q": {"a": 1}}, {"q": {"a": 2.0, "b": 1.0}}, 0.5)
    0.5
    """
    return value_of(RBPResidual(p), qrels, run)
