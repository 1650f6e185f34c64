"""Metrics of what was found as a set, and counts: how much there is of it, and of judgements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.metrics.judgements import Judged
from harness.metrics.ranking import Aliases, Qrels, RelevanceMetric, Run, TotalMetric, value_of
from harness.metrics.rows import ratio
from harness.types import FloatArray, Sample

_RIJSBERGEN = "van Rijsbergen 1979, Information Retrieval, ch. 7"


@dataclass(frozen=True, repr=False)
class SetMetric(RelevanceMetric):
    """Base of the metrics of a set; the order of the documents does not count."""

    paper: ClassVar[str] = _RIJSBERGEN

    def n_hits(self, judged: Judged) -> FloatArray:
        """Relevant documents that were found, ``float64[n]``."""
        return judged.sums(self.relevant(judged))


@dataclass(frozen=True, repr=False)
class SetPrecision(SetMetric):
    """Relevant documents over all that were found; 0 where nothing was. ``set_P`` of trec_eval."""

    name: ClassVar[str] = "set_p"
    function: ClassVar[str] = "set_precision"
    summary: ClassVar[str] = "share of what was found that is relevant"
    formula: ClassVar[str] = "relevant found / found"
    reference: ClassVar[str] = "pytrec_eval set_P"
    aliases: ClassVar[Aliases] = {"set_P": {}}

    def values(self, judged: Judged) -> FloatArray:
        return ratio(self.n_hits(judged), judged.n_found.astype(np.float64), empty=0.0)


@dataclass(frozen=True, repr=False)
class SetRecall(SetMetric):
    """Relevant documents that were found over all relevant ones; ``set_recall`` of trec_eval."""

    name: ClassVar[str] = "set_r"
    function: ClassVar[str] = "set_recall"
    summary: ClassVar[str] = "share of the relevant documents that was found"
    formula: ClassVar[str] = "relevant found / relevant"
    reference: ClassVar[str] = "pytrec_eval set_recall"
    aliases: ClassVar[Aliases] = {"set_recall": {}}

    def values(self, judged: Judged) -> FloatArray:
        return ratio(self.n_hits(judged), self.n_relevant(judged), empty=0.0)


@dataclass(frozen=True, repr=False)
class SetF(SetMetric):
    """Weighted harmonic mean of :class:`SetPrecision` and :class:`SetRecall`; recall counts ``beta`` times as much.

    trec_eval's parameter of ``set_F`` is beta²: ``set_F.4`` is ``set_f(2)``.
    """

    name: ClassVar[str] = "set_f"
    summary: ClassVar[str] = "F measure of what was found as a set"
    formula: ClassVar[str] = "(1 + beta²) · relevant found / (beta² · relevant + found)"
    reference: ClassVar[str] = "pytrec_eval set_F"
    aliases: ClassVar[Aliases] = {"set_F": {}}

    beta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(0 < self.beta < np.inf, "beta", "a positive number")

    def values(self, judged: Judged) -> FloatArray:
        weight = self.beta**2
        return ratio((1.0 + weight) * self.n_hits(judged), weight * self.n_relevant(judged) + judged.n_found, empty=0.0)


@dataclass(frozen=True, repr=False)
class SetMAP(SetMetric):
    """Precision times recall of the set; ``set_map`` of trec_eval."""

    name: ClassVar[str] = "set_map"
    summary: ClassVar[str] = "precision times recall of what was found as a set"
    formula: ClassVar[str] = "relevant found² / (found · relevant)"
    reference: ClassVar[str] = "pytrec_eval set_map"

    def values(self, judged: Judged) -> FloatArray:
        return ratio(self.n_hits(judged) ** 2, judged.n_found * self.n_relevant(judged), empty=0.0)


@dataclass(frozen=True, repr=False)
class SetRelativePrecision(SetMetric):
    """:class:`SetPrecision` over the best that is possible for that many documents; ``set_relative_P`` of trec_eval."""

    name: ClassVar[str] = "set_relative_p"
    function: ClassVar[str] = "set_relative_precision"
    summary: ClassVar[str] = "relevant documents found, over the most that so many could hold"
    formula: ClassVar[str] = "relevant found / min(found, relevant)"
    reference: ClassVar[str] = "pytrec_eval set_relative_P"
    aliases: ClassVar[Aliases] = {"set_relative_P": {}}

    def values(self, judged: Judged) -> FloatArray:
        return ratio(self.n_hits(judged), np.minimum(judged.n_found, self.n_relevant(judged)), empty=0.0)


@dataclass(frozen=True, repr=False)
class Utility(SetMetric):
    """What the four kinds of documents are worth, summed; averaged over the queries. ``utility`` of trec_eval.

    ``rejected`` counts documents of the collection that are neither found nor relevant and needs ``documents``, its size.
    """

    name: ClassVar[str] = "utility"
    summary: ClassVar[str] = "worth of relevant and irrelevant documents, found and not found"
    formula: ClassVar[str] = "relevant · found and relevant + irrelevant · found and not + missed · not found but relevant + …"
    reference: ClassVar[str] = "pytrec_eval utility"
    paper: ClassVar[str] = "Hull 1997, The TREC-6 Filtering Track"
    bounds: ClassVar[tuple[float | None, float | None]] = (None, None)

    relevant_found: float = 1.0
    irrelevant_found: float = -1.0
    missed: float = 0.0
    rejected: float = 0.0
    documents: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.documents > 0 or self.rejected == 0, "documents", "positive where rejected is not 0")

    def values(self, judged: Judged) -> FloatArray:
        hits, n_relevant = self.n_hits(judged), self.n_relevant(judged)
        rest = self.documents + hits - judged.n_found - n_relevant
        return (self.relevant_found * hits + self.irrelevant_found * (judged.n_found - hits)
                + self.missed * (n_relevant - hits) + (self.rejected * rest if self.rejected else 0.0))

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        """None: a ranking can hold any number of irrelevant documents."""
        return None


# ── counts ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, repr=False)
class NumQueries(TotalMetric):
    """Queries that were scored; ``num_q`` of trec_eval."""

    name: ClassVar[str] = "num_q"
    function: ClassVar[str] = "counts"
    summary: ClassVar[str] = "number of queries"
    formula: ClassVar[str] = "Σ 1"
    reference: ClassVar[str] = "trec_eval num_q"

    def values(self, judged: Judged) -> FloatArray:
        return np.ones(judged.n)


@dataclass(frozen=True, repr=False)
class NumRetrieved(TotalMetric):
    """Documents that were found; ``num_ret`` of trec_eval."""

    name: ClassVar[str] = "num_ret"
    function: ClassVar[str] = "counts"
    summary: ClassVar[str] = "number of documents found"
    formula: ClassVar[str] = "Σ found"
    reference: ClassVar[str] = "pytrec_eval num_ret"

    def values(self, judged: Judged) -> FloatArray:
        return judged.n_found.astype(np.float64)


@dataclass(frozen=True, repr=False)
class NumRelevant(TotalMetric):
    """Relevant documents, found or not; ``num_rel`` of trec_eval."""

    name: ClassVar[str] = "num_rel"
    function: ClassVar[str] = "counts"
    summary: ClassVar[str] = "number of relevant documents"
    formula: ClassVar[str] = "Σ relevant"
    reference: ClassVar[str] = "pytrec_eval num_rel"

    def values(self, judged: Judged) -> FloatArray:
        return self.n_relevant(judged)


@dataclass(frozen=True, repr=False)
class NumRelevantRetrieved(TotalMetric):
    """Relevant documents that were found; ``num_rel_ret`` of trec_eval."""

    name: ClassVar[str] = "num_rel_ret"
    function: ClassVar[str] = "counts"
    summary: ClassVar[str] = "number of relevant documents found"
    formula: ClassVar[str] = "Σ relevant found"
    reference: ClassVar[str] = "pytrec_eval num_rel_ret"

    def values(self, judged: Judged) -> FloatArray:
        return judged.sums(self.relevant(judged))


@dataclass(frozen=True, repr=False)
class NumIrrelevantRetrieved(TotalMetric):
    """Documents that were found and judged irrelevant; ``num_nonrel_judged_ret`` of trec_eval."""

    name: ClassVar[str] = "num_nonrel_judged_ret"
    function: ClassVar[str] = "counts"
    summary: ClassVar[str] = "number of documents found that were judged irrelevant"
    formula: ClassVar[str] = "Σ found with a grade from 0 on and below the level"
    reference: ClassVar[str] = "pytrec_eval num_nonrel_judged_ret"

    def values(self, judged: Judged) -> FloatArray:
        return judged.sums((judged.grade >= 0) & ~self.relevant(judged))


# ── plain functions: qrels query -> document -> grade, run query -> document -> score; see ranking.value_of ───────────────────


def set_precision(qrels: Qrels, run: Run, *, level: int = 1) -> float:
    """Mean share of what was found that is relevant; see SetPrecision.

    >>> set_precision({"q": {"a": 1}}, {"q": {"a": 1.0, "b": 0.5}})
    0.5
    """
    return value_of(SetPrecision(level=level), qrels, run)


def set_recall(qrels: Qrels, run: Run, *, level: int = 1) -> float:
    """Mean share of the relevant documents that was found; see SetRecall.

    >>> set_recall({"q": {"a": 1, "c": 1}}, {"q": {"a": 1.0, "b": 0.5}})
    0.5
    """
    return value_of(SetRecall(level=level), qrels, run)


def set_f(qrels: Qrels, run: Run, beta: float = 1.0, *, level: int = 1) -> float:
    """Mean F measure of the set; see SetF.

    >>> set_f({"q": {"a": 1}}, {"q": {"a": 1.0, "b": 0.5, "c": 0.1}})
    0.5
    """
    return value_of(SetF(beta, level=level), qrels, run)


def set_map(qrels: Qrels, run: Run, *, level: int = 1) -> float:
    """Mean product of precision and recall of the set; see SetMAP.

    >>> set_map({"q": {"a": 1, "c": 1}}, {"q": {"a": 1.0, "b": 0.5}})
    0.25
    """
    return value_of(SetMAP(level=level), qrels, run)


def set_relative_precision(qrels: Qrels, run: Run, *, level: int = 1) -> float:
    """Mean precision of the set over the best possible; see SetRelativePrecision.

    >>> set_relative_precision({"q": {"a": 1}}, {"q": {"a": 1.0, "b": 0.5}})
    1.0
    """
    return value_of(SetRelativePrecision(level=level), qrels, run)


def utility(qrels: Qrels, run: Run, weights: tuple[float, float, float] = (1.0, -1.0, 0.0), *, level: int = 1) -> float:
    """Mean worth of relevant found, irrelevant found and missed documents; see Utility.

    >>> utility({"q": {"a": 1, "d": 1}}, {"q": {"a": 1.0, "b": 0.5, "c": 0.1}}, (3.0, -1.0, -0.5))
    0.5
    """
    return value_of(Utility(*weights, level=level), qrels, run)


def counts(qrels: Qrels, run: Run, *, level: int = 1) -> dict[str, int]:
    """The five counts of trec_eval over all queries of the run that have judgements.

    >>> counts({"q": {"a": 1, "b": 0}}, {"q": {"a": 1.0, "b": 0.5, "c": 0.1}})
    {'num_q': 1, 'num_ret': 3, 'num_rel': 1, 'num_rel_ret': 1, 'num_nonrel_judged_ret': 1}
    """
    metrics = (NumQueries, NumRetrieved, NumRelevant, NumRelevantRetrieved, NumIrrelevantRetrieved)
    found = {cls.name: value_of(cls(level=level), qrels, run) for cls in metrics}
    return {name: 0 if np.isnan(value) else int(value) for name, value in found.items()}
