"""Precision at points that depend on the number of relevant documents: R-precision, interpolated precision at recall."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from harness.metrics.judgements import Judged
from harness.metrics.ranking import Aliases, Qrels, RelevanceMetric, Run, value_of
from harness.metrics.rows import ratio
from harness.types import FloatArray

ELEVEN = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
Rounding = Literal["nearest", "up"]
_ADDED: Mapping[str, float] = {"nearest": 0.5, "up": 0.9}
_SALTON = "Salton and McGill 1983, Introduction to Modern Information Retrieval"


@dataclass(frozen=True, repr=False)
class RPrecision(RelevanceMetric):
    """Precision among the first R documents, where R of all are relevant; ``Rprec`` of trec_eval."""

    name: ClassVar[str] = "r_precision"
    summary: ClassVar[str] = "precision among as many documents as are relevant"
    formula: ClassVar[str] = "relevant in the first R / R"
    reference: ClassVar[str] = "pytrec_eval Rprec"
    paper: ClassVar[str] = "Buckley and Voorhees 2000, Evaluating Evaluation Measure Stability"
    aliases: ClassVar[Aliases] = {"Rprec": {}}

    def values(self, judged: Judged) -> FloatArray:
        return self.precision_at(judged, self.n_relevant(judged))

    def precision_at(self, judged: Judged, depth: FloatArray) -> FloatArray:
        """By query the precision among the first ``depth`` documents, ``float64[n]``; 0 where that is 0."""
        return ratio(judged.sums(self.relevant(judged) & (judged.rank <= depth[judged.query])), depth, empty=0.0)


@dataclass(frozen=True, repr=False)
class RPrecisionAt(RPrecision):
    """Precision among the first k · R documents, k a multiple such as 0.2 or 1.5; ``Rprec_mult_k`` of trec_eval.

    The number of documents is cut to a whole one after 0.9 was added, as trec_eval does.
    """

    name: ClassVar[str] = "r_precision@k"
    summary: ClassVar[str] = "precision among a multiple of as many documents as are relevant"
    formula: ClassVar[str] = "relevant in the first ⌊k·R + 0.9⌋ / ⌊k·R + 0.9⌋"
    reference: ClassVar[str] = "pytrec_eval Rprec_mult"
    paper: ClassVar[str] = "Buckley 2008, trec_eval 9"
    aliases: ClassVar[Aliases] = {"Rprec_mult@k": {}}

    k: float

    def __post_init__(self) -> None:
        self.require(0 < self.k < np.inf, "k", "a positive number")
        self.require(self.level >= 1, "level", "a positive integer")

    def values(self, judged: Judged) -> FloatArray:
        return self.precision_at(judged, np.floor(self.k * self.n_relevant(judged) + 0.9))


@dataclass(frozen=True, repr=False)
class InterpolatedPrecision(RelevanceMetric):
    """The highest precision at any rank from which on the recall is at least k, 0 to 1; 0 where it is never reached.

    ``iprec_at_recall_k`` of trec_eval. The recall stands for a whole number of relevant documents: ``rounding=nearest`` rounds
    k · R as trec_eval 10 does, ``up`` cuts k · R + 0.9 as it did up to version 9, and as pytrec_eval does.
    """

    name: ClassVar[str] = "iprec@k"
    function: ClassVar[str] = "interpolated_precision"
    summary: ClassVar[str] = "interpolated precision at a recall"
    formula: ClassVar[str] = "max over ranks r with at least ⌊k·R + 0.5⌋ relevant documents of precision@r"
    example: ClassVar[str] = "iprec@0.1"
    reference: ClassVar[str] = "trec_eval 10 iprec_at_recall; rounding=up: pytrec_eval"
    paper: ClassVar[str] = _SALTON
    aliases: ClassVar[Aliases] = {"iprec_at_recall@k": {}}

    k: float
    rounding: Rounding = field(default="nearest", kw_only=True)

    def __post_init__(self) -> None:
        self.require(0 <= self.k <= 1, "k", "a recall between 0 and 1")
        self.require(self.level >= 1, "level", "a positive integer")
        self.require(self.rounding in _ADDED, "rounding", "nearest or up")

    def values(self, judged: Judged) -> FloatArray:
        return _interpolated(judged, self.level, (self.k,), _ADDED[self.rounding])


@dataclass(frozen=True, repr=False)
class InterpolatedAverage(RelevanceMetric):
    """The mean of :class:`InterpolatedPrecision` at some recalls, by default at 0, 0.1, …, 1; ``11pt_avg`` of trec_eval."""

    name: ClassVar[str] = "iprec_avg"
    function: ClassVar[str] = "interpolated_average"
    summary: ClassVar[str] = "interpolated precision, averaged over eleven recalls"
    formula: ClassVar[str] = "1/11 Σ over recalls 0, 0.1, …, 1 of iprec"
    reference: ClassVar[str] = "trec_eval 10 11pt_avg; rounding=up: pytrec_eval"
    paper: ClassVar[str] = _SALTON
    aliases: ClassVar[Aliases] = {"11pt_avg": {}}

    recalls: tuple[float, ...] = ELEVEN
    rounding: Rounding = field(default="nearest", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(len(self.recalls) > 0 and all(0 <= r <= 1 for r in self.recalls), "recalls", "recalls between 0 and 1")
        self.require(self.rounding in _ADDED, "rounding", "nearest or up")

    def values(self, judged: Judged) -> FloatArray:
        return _interpolated(judged, self.level, self.recalls, _ADDED[self.rounding])


def _interpolated(judged: Judged, level: int, recalls: tuple[float, ...], added: float) -> FloatArray:
    """The mean over recalls of the interpolated precision of every query."""
    relevant, n_relevant = judged.grade >= level, judged.n_judged(level)
    n_so_far = judged.running(relevant)
    precision = relevant * n_so_far / judged.rank
    total = np.zeros(judged.n)
    for recall in recalls:
        reached = n_so_far >= np.floor(recall * n_relevant + added)[judged.query]
        best = np.zeros(judged.n)
        np.maximum.at(best, judged.query[reached], precision[reached])
        total += best
    return total / len(recalls)


# ── plain functions: qrels query -> document -> grade, run query -> document -> score; see ranking.value_of ───────────────────


def r_precision(qrels: Qrels, run: Run, multiple: float | None = None, *, level: int = 1) -> float:
    """Mean precision among the first R documents, or among ``multiple`` · R; see RPrecision.

    >>> r_precision({"q": {"a": 1, "b": 1}}, {"q": {"a": 3.0, "c": 2.0, "b": 1.0}})
    0.5
    """
    return value_of(RPrecision(level=level) if multiple is None else RPrecisionAt(multiple, level=level), qrels, run)


def interpolated_precision(qrels: Qrels, run: Run, recall: float, *, level: int = 1) -> float:
    """Mean interpolated precision at a recall; see InterpolatedPrecision.

    >>> interpolated_precision({"q": {"a": 1, "b": 1}}, {"q": {"c": 3.0, "a": 2.0, "b": 1.0}}, 0.5)
    0.6666666666666666
    """
    return value_of(InterpolatedPrecision(recall, level=level), qrels, run)


def interpolated_average(qrels: Qrels, run: Run, recalls: tuple[float, ...] = ELEVEN, *, level: int = 1) -> float:
    """Mean interpolated precision at several recalls; see InterpolatedAverage.

    >>> interpolated_average({"q": {"a": 1}}, {"q": {"c": 3.0, "a": 2.0}})
    0.5
    """
    return value_of(InterpolatedAverage(recalls, level=level), qrels, run)
