"""Metrics of the first k documents for which a document is relevant or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.metrics.judgements import Judged
from harness.metrics.ranking import Aliases, Qrels, RankingMetric, RelevanceMetric, Run, value_of
from harness.metrics.rows import ratio
from harness.types import FloatArray, Sample

MANNING = "Manning, Raghavan, Schütze 2008, Introduction to Information Retrieval, ch. 8"


@dataclass(frozen=True, repr=False)
class CutMetric(RelevanceMetric):
    """Base of the metrics that count relevant documents among the first k."""

    paper: ClassVar[str] = MANNING

    k: int

    def n_hits(self, judged: Judged) -> FloatArray:
        """Relevant documents among the first k of every query, ``float64[n]``."""
        return judged.sums(self.relevant(judged) & (judged.rank <= self.k))


@dataclass(frozen=True, repr=False)
class RecallAtK(CutMetric):
    """Relevant documents among the first k, over all relevant ones; ``recall_k`` of trec_eval. ``recall`` is for labels."""

    name: ClassVar[str] = "recall@k"
    function: ClassVar[str] = "recall_at"
    summary: ClassVar[str] = "share of the relevant documents among the first k"
    formula: ClassVar[str] = "relevant in the first k / relevant"
    reference: ClassVar[str] = "pytrec_eval recall"

    def values(self, judged: Judged) -> FloatArray:
        return ratio(self.n_hits(judged), self.n_relevant(judged), empty=0.0)


@dataclass(frozen=True, repr=False)
class PrecisionAtK(CutMetric):
    """Relevant documents among the first k, over k even where fewer were found; ``P_k`` of trec_eval."""

    name: ClassVar[str] = "precision@k"
    function: ClassVar[str] = "precision_at"
    summary: ClassVar[str] = "share of the first k documents that are relevant"
    formula: ClassVar[str] = "relevant in the first k / k"
    reference: ClassVar[str] = "pytrec_eval P"
    aliases: ClassVar[Aliases] = {"P@k": {}}

    def values(self, judged: Judged) -> FloatArray:
        return self.n_hits(judged) / self.k


@dataclass(frozen=True, repr=False)
class F1AtK(CutMetric):
    """Harmonic mean of precision@k and recall@k."""

    name: ClassVar[str] = "f1@k"
    function: ClassVar[str] = "f1_at"
    summary: ClassVar[str] = "harmonic mean of precision and recall of the first k documents"
    formula: ClassVar[str] = "2 · relevant in the first k / (k + relevant)"
    reference: ClassVar[str] = "harmonic mean of pytrec_eval P and recall"

    def values(self, judged: Judged) -> FloatArray:
        return 2.0 * self.n_hits(judged) / (self.k + self.n_relevant(judged))


@dataclass(frozen=True, repr=False)
class HitAtK(CutMetric):
    """1 if one of the first k documents is relevant; ``success_k`` of trec_eval."""

    name: ClassVar[str] = "hit@k"
    function: ClassVar[str] = "hit_at"
    summary: ClassVar[str] = "whether a relevant document is among the first k"
    formula: ClassVar[str] = "1 if a relevant document is among the first k, else 0"
    reference: ClassVar[str] = "pytrec_eval success"
    interval = "wilson"
    aliases: ClassVar[Aliases] = {"success@k": {}}

    def values(self, judged: Judged) -> FloatArray:
        return np.minimum(self.n_hits(judged), 1.0)


@dataclass(frozen=True, repr=False)
class RelativePrecisionAtK(CutMetric):
    """Precision@k over the best that is possible: precision up to the number of relevant documents, recall from there on.

    ``relative_P_k`` of trec_eval, which divides by zero where there is no relevant document; 0 here.
    """

    name: ClassVar[str] = "relative_precision@k"
    function: ClassVar[str] = "relative_precision_at"
    summary: ClassVar[str] = "relevant documents among the first k, over the most that could be there"
    formula: ClassVar[str] = "relevant in the first k / min(k, relevant)"
    reference: ClassVar[str] = "pytrec_eval relative_P"
    aliases: ClassVar[Aliases] = {"relative_P@k": {}}

    def values(self, judged: Judged) -> FloatArray:
        return ratio(self.n_hits(judged), np.minimum(self.k, self.n_relevant(judged)), empty=0.0)


@dataclass(frozen=True, repr=False)
class JudgedAtK(RankingMetric):
    """How many of the first k documents have a judgement (a grade from 0 on), over those that are there; not a quality.

    Undefined where nothing was found. Low values say that other metrics know little of this run.
    """

    name: ClassVar[str] = "judged@k"
    function: ClassVar[str] = "judged_at"
    summary: ClassVar[str] = "share of the first k documents that have a judgement"
    formula: ClassVar[str] = "judged in the first k / min(k, found)"
    reference: ClassVar[str] = "hand-worked; trec_eval unj where k were found"
    paper: ClassVar[str] = "Sakai 2007, Alternatives to Bpref"
    higher_is_better = None

    k: int

    def values(self, judged: Judged) -> FloatArray:
        n = judged.sums((judged.grade >= 0) & (judged.rank <= self.k))
        return ratio(n, np.minimum(self.k, judged.n_found).astype(np.float64))

    def why_missing(self) -> str:
        return "nothing was found"

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        return None if not sample.qrels else (np.array([0.0, 1.0]), np.array([1.0, 1.0]))


@dataclass(frozen=True, repr=False)
class UnjudgedAtK(RankingMetric):
    """How many of the first k documents have no judgement, over k; ``unj_k`` of trec_eval. A negative grade is none."""

    name: ClassVar[str] = "unjudged@k"
    function: ClassVar[str] = "unjudged_at"
    summary: ClassVar[str] = "documents without a judgement among the first k, over k"
    formula: ClassVar[str] = "unjudged in the first k / k"
    reference: ClassVar[str] = "trec_eval unj"
    paper: ClassVar[str] = "Soboroff 2023, trec_eval 10"
    higher_is_better = None
    aliases: ClassVar[Aliases] = {"unj@k": {}}

    k: int

    def values(self, judged: Judged) -> FloatArray:
        n_judged = judged.sums((judged.grade >= 0) & (judged.rank <= self.k))
        return (np.minimum(self.k, judged.n_found) - n_judged) / self.k

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        return None if not sample.qrels else (np.array([0.0, 1.0]), np.array([1.0, 1.0]))


# ── plain functions: qrels query -> document -> grade, run query -> document -> score; see ranking.value_of ───────────────────


def recall_at(qrels: Qrels, run: Run, k: int, *, level: int = 1) -> float:
    """Mean recall among the first k documents; see RecallAtK.

    >>> recall_at({"q": {"a": 1, "b": 1}}, {"q": {"a": 2.0, "c": 1.0}}, k=2)
    0.5
    """
    return value_of(RecallAtK(k, level=level), qrels, run)


def precision_at(qrels: Qrels, run: Run, k: int, *, level: int = 1) -> float:
    """Mean precision among the first k documents; see PrecisionAtK.

    >>> precision_at({"q": {"a": 1, "b": 1}}, {"q": {"a": 2.0, "c": 1.0}}, k=2)
    0.5
    """
    return value_of(PrecisionAtK(k, level=level), qrels, run)


def f1_at(qrels: Qrels, run: Run, k: int, *, level: int = 1) -> float:
    """Mean F1 of the first k documents; see F1AtK.

    >>> f1_at({"q": {"a": 1}}, {"q": {"a": 2.0, "c": 1.0}}, k=3)
    0.5
    """
    return value_of(F1AtK(k, level=level), qrels, run)


def hit_at(qrels: Qrels, run: Run, k: int, *, level: int = 1) -> float:
    """Share of queries with a relevant document among the first k; see HitAtK.

    >>> hit_at({"q": {"a": 1}}, {"q": {"b": 2.0, "a": 1.0}}, k=1)
    0.0
    """
    return value_of(HitAtK(k, level=level), qrels, run)


def relative_precision_at(qrels: Qrels, run: Run, k: int, *, level: int = 1) -> float:
    """Mean precision among the first k documents over the best possible; see RelativePrecisionAtK.

    >>> relative_precision_at({"q": {"a": 1}}, {"q": {"a": 2.0, "c": 1.0}}, k=2)
    1.0
    """
    return value_of(RelativePrecisionAtK(k, level=level), qrels, run)


def judged_at(qrels: Qrels, run: Run, k: int) -> float:
    """Mean share of the first k documents that have a judgement; see JudgedAtK. Raises MetricError for an empty ranking.

    >>> judged_at({"q": {"a": 0}}, {"q": {"a": 2.0, "c": 1.0}}, k=5)
    0.5
    """
    return value_of(JudgedAtK(k), qrels, run)


def unjudged_at(qrels: Qrels, run: Run, k: int) -> float:
    """Mean number of documents without a judgement among the first k, over k; see UnjudgedAtK.

    >>> unjudged_at({"q": {"a": 0}}, {"q": {"a": 2.0, "c": 1.0}}, k=4)
    0.25
    """
    return value_of(UnjudgedAtK(k), qrels, run)
