"""Metrics of a whole ranking for which a document is relevant or not: where the relevant ones stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.metrics.judgements import BoolArray, Judged
from harness.metrics.ranking import Aliases, GeometricMetric, Qrels, RelevanceMetric, Run, value_of
from harness.metrics.rows import ratio
from harness.types import FloatArray

_BUCKLEY = "Buckley and Voorhees 2004, Retrieval Evaluation with Incomplete Information"
_EPSILON = 1e-5


def average_precision(judged: Judged, relevant: BoolArray, n_relevant: FloatArray) -> FloatArray:
    """By query: precision at each relevant document that was found, summed, over all relevant ones; 0 without any."""
    return ratio(judged.sums(relevant * judged.running(relevant) / judged.rank), n_relevant, empty=0.0)


def binary_preference(judged: Judged, level: int) -> FloatArray:
    """``float64[n]``: see BPref."""
    relevant, rejected = judged.grade >= level, (judged.grade >= 0) & (judged.grade < level)
    n_relevant, n_rejected = judged.n_judged(level), judged.n_judged(0, level)
    before = judged.running(rejected)
    most = np.minimum(n_relevant, n_rejected)[judged.query]
    lost = ratio(np.minimum(before, n_relevant[judged.query]), most, empty=0.0)
    return ratio(judged.sums(relevant * (1.0 - lost)), n_relevant, empty=0.0)


@dataclass(frozen=True, repr=False)
class MRR(RelevanceMetric):
    """1 / rank of the first relevant document, 0 if there is none; ``recip_rank`` of trec_eval."""

    name: ClassVar[str] = "mrr"
    function: ClassVar[str] = "mean_reciprocal_rank"
    summary: ClassVar[str] = "mean reciprocal rank of the first relevant document"
    formula: ClassVar[str] = "1 / rank of the first relevant document"
    reference: ClassVar[str] = "pytrec_eval recip_rank"
    paper: ClassVar[str] = "Voorhees 1999, The TREC-8 Question Answering Track Report"
    aliases: ClassVar[Aliases] = {"recip_rank": {}}

    def values(self, judged: Judged) -> FloatArray:
        relevant = self.relevant(judged)
        return judged.sums((relevant & (judged.running(relevant) == 1)) / judged.rank)


@dataclass(frozen=True, repr=False)
class MRRAtK(MRR):
    """:class:`MRR` over the first k documents; ``recip_rank`` of trec_eval with ``-M k``."""

    name: ClassVar[str] = "mrr@k"
    function: ClassVar[str] = "mean_reciprocal_rank"
    summary: ClassVar[str] = "mean reciprocal rank of the first relevant document among the first k"
    formula: ClassVar[str] = "1 / rank of the first relevant document if that is at most k, else 0"
    aliases: ClassVar[Aliases] = {"recip_rank@k": {}}

    k: int

    def values(self, judged: Judged) -> FloatArray:
        return super().values(judged.first(self.k))


@dataclass(frozen=True, repr=False)
class MAP(RelevanceMetric):
    """Precision at the rank of each relevant document, summed, over all relevant ones; ``map`` of trec_eval."""

    name: ClassVar[str] = "map"
    function: ClassVar[str] = "mean_average_precision"
    summary: ClassVar[str] = "mean average precision"
    formula: ClassVar[str] = "Σ over relevant documents found (precision at their rank) / relevant"
    reference: ClassVar[str] = "pytrec_eval map"
    paper: ClassVar[str] = "Buckley and Voorhees 2000, Evaluating Evaluation Measure Stability"

    def values(self, judged: Judged) -> FloatArray:
        return average_precision(judged, self.relevant(judged), self.n_relevant(judged))


@dataclass(frozen=True, repr=False)
class MAPAtK(MAP):
    """:class:`MAP` over the first k documents, still over all relevant ones; ``map_cut_k`` of trec_eval."""

    name: ClassVar[str] = "map@k"
    function: ClassVar[str] = "mean_average_precision"
    summary: ClassVar[str] = "mean average precision over the first k documents"
    formula: ClassVar[str] = "Σ over relevant documents among the first k (precision at their rank) / relevant"
    reference: ClassVar[str] = "pytrec_eval map_cut"
    aliases: ClassVar[Aliases] = {"map_cut@k": {}}

    k: int

    def values(self, judged: Judged) -> FloatArray:
        return super().values(judged.first(self.k))


@dataclass(frozen=True, repr=False)
class GMAP(GeometricMetric):
    """Geometric mean of average precision, which is taken as 0.00001 where it is less; ``gm_map`` of trec_eval."""

    name: ClassVar[str] = "gm_map"
    function: ClassVar[str] = "geometric_map"
    summary: ClassVar[str] = "geometric mean of average precision"
    formula: ClassVar[str] = "exp(mean of log(max(average precision, 0.00001)))"
    reference: ClassVar[str] = "trec_eval gm_map"
    paper: ClassVar[str] = "Robertson 2006, On GMAP and other transformations"

    def linear(self, judged: Judged) -> FloatArray:
        return average_precision(judged, self.relevant(judged), self.n_relevant(judged))


@dataclass(frozen=True, repr=False)
class BPref(RelevanceMetric):
    """Of the pairs of a relevant and one of the first R judged irrelevant documents, the share in the right order.

    R is the number of relevant documents. Documents without a judgement, and with a negative one, do not count at all.
    """

    name: ClassVar[str] = "bpref"
    summary: ClassVar[str] = "binary preference: relevant before judged irrelevant documents"
    formula: ClassVar[str] = "1/R Σ over relevant documents found (1 - min(irrelevant before, R) / min(R, irrelevant))"
    reference: ClassVar[str] = "pytrec_eval bpref"
    paper: ClassVar[str] = _BUCKLEY

    def values(self, judged: Judged) -> FloatArray:
        return binary_preference(judged, self.level)


@dataclass(frozen=True, repr=False)
class GMBPref(GeometricMetric):
    """Geometric mean of :class:`BPref`, which is taken as 0.00001 where it is less; ``gm_bpref`` of trec_eval."""

    name: ClassVar[str] = "gm_bpref"
    function: ClassVar[str] = "geometric_bpref"
    summary: ClassVar[str] = "geometric mean of binary preference"
    formula: ClassVar[str] = "exp(mean of log(max(bpref, 0.00001)))"
    reference: ClassVar[str] = "trec_eval gm_bpref"
    paper: ClassVar[str] = _BUCKLEY

    def linear(self, judged: Judged) -> FloatArray:
        return binary_preference(judged, self.level)


@dataclass(frozen=True, repr=False)
class InfAP(RelevanceMetric):
    """Average precision inferred from a sample of judgements: documents of the pool that were not judged have a negative grade.

    A document without any grade was not in the pool and is taken as irrelevant; one with a negative grade is taken to be
    relevant as often as the judged ones above. Equal to ``map`` if all of the pool was judged.
    """

    name: ClassVar[str] = "infap"
    function: ClassVar[str] = "inferred_ap"
    summary: ClassVar[str] = "average precision inferred from sampled judgements"
    formula: ClassVar[str] = "1/R Σ over relevant found (1 + pooled before · (relevant before + ε)/(judged before + 2ε)) / rank"
    reference: ClassVar[str] = "pytrec_eval infAP"
    paper: ClassVar[str] = "Yilmaz and Aslam 2006, Estimating Average Precision with Incomplete and Imperfect Judgments"
    aliases: ClassVar[Aliases] = {"infAP": {}}

    def values(self, judged: Judged) -> FloatArray:
        relevant = self.relevant(judged)
        hits = judged.running(relevant) - relevant
        pooled = judged.running(np.ones(len(relevant), dtype=np.int64)) - 1
        n_judged = judged.running(judged.grade >= 0) - (judged.grade >= 0)
        inferred = (1.0 + pooled * (hits + _EPSILON) / (n_judged + 2 * _EPSILON)) / judged.rank
        return ratio(judged.sums(relevant * inferred), self.n_relevant(judged), empty=0.0)


@dataclass(frozen=True, repr=False)
class BinaryG(RelevanceMetric):
    """A relevant document is worth less for every irrelevant one before it, not for its rank; ``binG`` of trec_eval."""

    name: ClassVar[str] = "binary_g"
    summary: ClassVar[str] = "relevant documents, discounted by the irrelevant ones before them"
    formula: ClassVar[str] = "1/R Σ over relevant documents found 1 / log2(2 + irrelevant before)"
    reference: ClassVar[str] = "pytrec_eval binG"
    paper: ClassVar[str] = "Buckley 2008, trec_eval 9"
    aliases: ClassVar[Aliases] = {"binG": {}}

    def values(self, judged: Judged) -> FloatArray:
        relevant = self.relevant(judged)
        before = judged.rank - judged.running(relevant)
        return ratio(judged.sums(relevant / np.log2(2.0 + before)), self.n_relevant(judged), empty=0.0)


# ── plain functions: qrels query -> document -> grade, run query -> document -> score; see ranking.value_of ───────────────────


def mean_reciprocal_rank(qrels: Qrels, run: Run, k: int | None = None, *, level: int = 1) -> float:
    """Mean reciprocal rank of the first relevant document (among the first k); see MRR.

    >>> mean_reciprocal_rank({"q": {"a": 1}}, {"q": {"b": 2.0, "a": 1.0}})
    0.5
    """
    return value_of(MRR(level=level) if k is None else MRRAtK(k, level=level), qrels, run)


def mean_average_precision(qrels: Qrels, run: Run, k: int | None = None, *, level: int = 1) -> float:
    """Mean average precision (over the first k documents); see MAP.

    >>> mean_average_precision({"q": {"a": 1, "c": 1}}, {"q": {"a": 3.0, "b": 2.0, "c": 1.0}})
    0.8333333333333333
    """
    return value_of(MAP(level=level) if k is None else MAPAtK(k, level=level), qrels, run)


def geometric_map(qrels: Qrels, run: Run, *, level: int = 1) -> float:
    """Geometric mean of average precision; see GMAP.

    >>> round(geometric_map({"q": {"a": 1}, "r": {"a": 1}}, {"q": {"a": 1.0}, "r": {"b": 2.0, "a": 1.0}}), 9)
    0.707106781
    """
    return value_of(GMAP(level=level), qrels, run)


def bpref(qrels: Qrels, run: Run, *, level: int = 1) -> float:
    """Mean binary preference; see BPref.

    >>> bpref({"q": {"a": 1, "b": 0, "c": 1, "d": 0}}, {"q": {"a": 3.0, "b": 2.0, "c": 1.0}})
    0.75
    """
    return value_of(BPref(level=level), qrels, run)


def geometric_bpref(qrels: Qrels, run: Run, *, level: int = 1) -> float:
    """Geometric mean of binary preference; see GMBPref.

    >>> round(geometric_bpref({"q": {"a": 1}}, {"q": {"a": 3.0}}), 9)
    1.0
    """
    return value_of(GMBPref(level=level), qrels, run)


def inferred_ap(qrels: Qrels, run: Run, *, level: int = 1) -> float:
    """Mean inferred average precision; see InfAP.

    >>> inferred_ap({"q": {"a": 1, "b": -1}}, {"q": {"b": 2.0, "a": 1.0}})  # b counts as half relevant
    0.75
    """
    return value_of(InfAP(level=level), qrels, run)


def binary_g(qrels: Qrels, run: Run, *, level: int = 1) -> float:
    """Mean of relevant documents discounted by the irrelevant ones before them; see BinaryG.

    >>> binary_g({"q": {"a": 1}}, {"q": {"b": 3.0, "c": 2.0, "a": 1.0}})
    0.5
    """
    return value_of(BinaryG(level=level), qrels, run)
