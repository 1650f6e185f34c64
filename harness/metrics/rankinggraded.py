"""Metrics of graded relevance: discounted cumulative gain and its kin."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from harness.metrics.gains import KINDS, Best, discounted, gains_of, pairs_of
from harness.metrics.judgements import Judged, totals, until
from harness.metrics.ranking import Aliases, Qrels, RankingMetric, Run, value_of
from harness.metrics.rows import ratio
from harness.types import FloatArray

_JARVELIN = "Järvelin and Kekäläinen 2002, Cumulated gain-based evaluation of IR techniques"


@dataclass(frozen=True, repr=False)
class GainMetric(RankingMetric):
    """Base of the metrics of gains.

    ``gain=linear`` is the grade, as in trec_eval; ``exp`` is 2^grade - 1 (Burges et al. 2005); ``gain="1=3,2=9,4=4.5"`` gives
    grades other gains, as ``-m ndcg.1=3,2=9,4=4.5`` does, and leaves the grade where none is given. Negative grades gain
    nothing.
    """

    paper: ClassVar[str] = _JARVELIN

    gain: str = field(default="linear", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(pairs_of(self.gain) is not None, "gain", f"one of {KINDS}")

    def found(self, judged: Judged) -> FloatArray:
        """The gain of each judged document that was found, ``float64[m]``."""
        return gains_of(judged.grade, self.gain)


@dataclass(frozen=True, repr=False)
class DCG(GainMetric):
    """Discounted cumulative gain: Σ gain / log2(rank + 1). Not normalised, so without an upper bound."""

    name: ClassVar[str] = "dcg"
    summary: ClassVar[str] = "discounted cumulative gain"
    formula: ClassVar[str] = "Σ gain / log2(rank + 1)"
    reference: ClassVar[str] = "pytrec_eval ndcg · that of the best order"
    bounds: ClassVar[tuple[float | None, float | None]] = (None, None)

    def values(self, judged: Judged) -> FloatArray:
        return judged.sums(discounted(self.found(judged), judged.rank))


@dataclass(frozen=True, repr=False)
class DCGAtK(DCG):
    """:class:`DCG` of the first k documents."""

    name: ClassVar[str] = "dcg@k"
    summary: ClassVar[str] = "discounted cumulative gain of the first k documents"
    formula: ClassVar[str] = "Σ over the first k documents of gain / log2(rank + 1)"

    k: int

    def values(self, judged: Judged) -> FloatArray:
        return super().values(judged.first(self.k))


@dataclass(frozen=True, repr=False)
class NDCG(GainMetric):
    """Discounted gain over that of the best order: Σ gain / log2(rank + 1) (Järvelin and Kekäläinen 2002).

    The best order has all judged documents of a positive gain, found or not. 0 where there is none.
    """

    name: ClassVar[str] = "ndcg"
    summary: ClassVar[str] = "normalised discounted cumulative gain"
    formula: ClassVar[str] = "Σ gain / log2(rank + 1), over that sum in the best order"
    reference: ClassVar[str] = "pytrec_eval ndcg"

    def values(self, judged: Judged) -> FloatArray:
        best = Best.of(judged, self.gain)
        most = totals(best.query, best.discounted, judged.n)
        return ratio(judged.sums(discounted(self.found(judged), judged.rank)), most, empty=0.0)


@dataclass(frozen=True, repr=False)
class NDCGAtK(GainMetric):
    """:class:`NDCG` over the first k documents, against the first k of the best order; ``ndcg_cut_k`` of trec_eval."""

    name: ClassVar[str] = "ndcg@k"
    summary: ClassVar[str] = "normalised discounted cumulative gain over the first k documents"
    formula: ClassVar[str] = "Σ over the first k of gain / log2(rank + 1), over that sum in the best order"
    reference: ClassVar[str] = "pytrec_eval ndcg_cut"
    aliases: ClassVar[Aliases] = {"ndcg_cut@k": {}}

    k: int

    def values(self, judged: Judged) -> FloatArray:
        best, first = Best.of(judged, self.gain), judged.first(self.k)
        most = totals(best.query, best.discounted * (best.rank <= self.k), judged.n)
        return ratio(first.sums(discounted(self.found(first), first.rank)), most, empty=0.0)


@dataclass(frozen=True, repr=False)
class NDCGAtRelevant(GainMetric):
    """nDCG at the rank of every document with a gain, averaged over all such documents; ``ndcg_rel`` of trec_eval.

    For those that were not found it is the discounted gain of the whole ranking over that of the whole best order.
    """

    name: ClassVar[str] = "ndcg_rel"
    function: ClassVar[str] = "ndcg_at_relevant"
    summary: ClassVar[str] = "normalised discounted cumulative gain, averaged over the relevant documents"
    formula: ClassVar[str] = "mean over documents with a gain of ndcg@(their rank)"
    reference: ClassVar[str] = "pytrec_eval ndcg_rel"

    def values(self, judged: Judged) -> FloatArray:
        best, gains = Best.of(judged, self.gain), self.found(judged)
        own = discounted(gains, judged.rank)
        ideal = best.until(best.discounted, judged.query, judged.rank)
        at_found = judged.sums((gains > 0) * ratio(judged.running(own), ideal, empty=0.0))
        whole = ratio(judged.sums(own), best.until(best.discounted, np.arange(judged.n), best.n), empty=0.0)
        return ratio(at_found + (best.n - judged.sums(gains > 0)) * whole, best.n.astype(np.float64), empty=0.0)


@dataclass(frozen=True, repr=False)
class NDCGAtLevels(GainMetric):
    """nDCG at the ranks where the best order goes over to a lower gain, averaged; ``Rndcg`` of trec_eval.

    The last of them is the number of documents with a gain; the whole ranking counts as one more where it is longer than that
    by at least two.
    """

    name: ClassVar[str] = "r_ndcg"
    function: ClassVar[str] = "ndcg_at_levels"
    summary: ClassVar[str] = "normalised discounted cumulative gain, averaged over the levels of relevance"
    formula: ClassVar[str] = "mean of ndcg@r over the ranks r at which the best order changes its gain"
    reference: ClassVar[str] = "pytrec_eval Rndcg"
    aliases: ClassVar[Aliases] = {"Rndcg": {}}

    def values(self, judged: Judged) -> FloatArray:
        best, own = Best.of(judged, self.gain), discounted(self.found(judged), judged.rank)
        next_differs = np.ones(len(best.query), dtype=bool)
        next_differs[:-1] = (best.query[1:] != best.query[:-1]) | (best.gain[1:] != best.gain[:-1])
        longer = np.flatnonzero((judged.n_found > best.n + 1) & (best.n > 0))
        query = np.concatenate((best.query[next_differs], longer))
        rank = np.concatenate((best.rank[next_differs], judged.n_found[longer]))
        at = ratio(until(judged.query, judged.rank, own, query, rank), best.until(best.discounted, query, rank), empty=0.0)
        counts = np.bincount(query, minlength=judged.n).astype(np.float64)
        return ratio(totals(query, at, judged.n), counts, empty=0.0)


@dataclass(frozen=True, repr=False)
class GMetric(GainMetric):
    """A gain counts less for what the documents down to it lack to the best order, not for its rank; ``G`` of trec_eval."""

    name: ClassVar[str] = "normalised_g"
    summary: ClassVar[str] = "gain, discounted by what is lacking to the best order"
    formula: ClassVar[str] = "Σ gain / log2(2 + Σ down to it (max(best gain, 1) - gain)) / Σ best gain"
    reference: ClassVar[str] = "pytrec_eval G"
    paper: ClassVar[str] = "Buckley 2008, trec_eval 9"
    aliases: ClassVar[Aliases] = {"G": {}}

    def values(self, judged: Judged) -> FloatArray:
        best, gains = Best.of(judged, self.gain), self.found(judged)
        cost = best.until(np.maximum(best.gain, 1.0), judged.query, judged.rank)
        cost += np.maximum(judged.rank - best.n[judged.query], 0)
        own = gains / np.log2(2.0 + cost - judged.running(gains))
        return ratio(judged.sums(own), totals(best.query, best.gain, judged.n), empty=0.0)


# ── plain functions: qrels query -> document -> grade, run query -> document -> score; see ranking.value_of ───────────────────


def dcg(qrels: Qrels, run: Run, k: int | None = None, *, gain: str = "linear") -> float:
    """Mean discounted cumulative gain (of the first k documents); see DCG.

    >>> dcg({"q": {"a": 3}}, {"q": {"b": 2.0, "c": 1.0, "a": 0.0}})
    1.5
    """
    return value_of(DCG(gain=gain) if k is None else DCGAtK(k, gain=gain), qrels, run)


def ndcg(qrels: Qrels, run: Run, k: int | None = None, *, gain: str = "linear") -> float:
    """Mean normalised discounted cumulative gain (over the first k documents); see NDCG.

    >>> ndcg({"q": {"a": 1}}, {"q": {"b": 2.0, "c": 1.0, "a": 0.0}})
    0.5
    """
    return value_of(NDCG(gain=gain) if k is None else NDCGAtK(k, gain=gain), qrels, run)


def ndcg_at_relevant(qrels: Qrels, run: Run, *, gain: str = "linear") -> float:
    """Mean nDCG at the ranks of the relevant documents; see NDCGAtRelevant.

    >>> ndcg_at_relevant({"q": {"a": 1}}, {"q": {"b": 2.0, "c": 1.0, "a": 0.0}})
    0.5
    """
    return value_of(NDCGAtRelevant(gain=gain), qrels, run)


def ndcg_at_levels(qrels: Qrels, run: Run, *, gain: str = "linear") -> float:
    """Mean nDCG at the ranks where the best order changes its gain; see NDCGAtLevels.

    >>> ndcg_at_levels({"q": {"a": 1}}, {"q": {"b": 2.0, "c": 1.0, "a": 0.0}})  # 0 at rank 1, 0.5 at rank 3
    0.25
    """
    return value_of(NDCGAtLevels(gain=gain), qrels, run)


def normalised_g(qrels: Qrels, run: Run, *, gain: str = "linear") -> float:
    """Mean gain discounted by what is lacking to the best order; see GMetric.

    >>> normalised_g({"q": {"a": 1}}, {"q": {"b": 3.0, "c": 2.0, "a": 1.0}})
    0.5
    """
    return value_of(GMetric(gain=gain), qrels, run)
