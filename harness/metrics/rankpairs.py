"""How alike two systems rank the same queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.errors import MetricError
from harness.metrics.rows import Row, ratio, scores_of, wrong_kind
from harness.protocols import PairMetric
from harness.types import FloatArray, Output, Ranking, Sample, Scores


@dataclass(frozen=True, repr=False)
class RBO(PairMetric):
    """Rank-biased overlap of two rankings, extrapolated (RBO_ext), averaged over the queries; 0 to 1, 1 for equal rankings.

    A reader goes on to the next rank with probability p; at each depth the share of documents that both have there counts.
    Beyond their ends the rankings are taken to agree as much as they did. Documents are ordered by score descending, in single
    precision, then by id descending, as trec_eval does: ties are broken, not averaged over. An empty ranking agrees with none
    (0); of two empty ones there is nothing to say (missing).
    """

    name: ClassVar[str] = "rbo"
    family: ClassVar[str] = "ranking"
    summary: ClassVar[str] = "rank-biased overlap of two systems' rankings"
    needs: ClassVar[frozenset[str]] = frozenset({"ranking"})
    columns: ClassVar[tuple[str, ...]] = ("value", "queries")
    higher_is_better = None
    formula: ClassVar[str] = "(1-p)/p (Σ_d X_d/d p^d + Σ_(d>s) X_s (d-s)/(s d) p^d) + ((X_l - X_s)/l + X_s/s) p^l"
    reference: ClassVar[str] = "hand-worked; a sum over depths of the rankings continued"
    paper: ClassVar[str] = "Webber, Moffat and Zobel 2010, A Similarity Measure for Indefinite Rankings, eq. 32"

    p: float = 0.9

    def __post_init__(self) -> None:
        self.require(0 < self.p < 1, "p", "between 0 and 1")

    def score_pair(self, samples: Sequence[Sample], outputs: Sequence[Output], others: Sequence[Output]) -> Scores:
        """One row a query: value, 1."""
        return scores_of(map(self._row, outputs, others), 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """The mean over the queries."""
        return ratio(totals[..., 0], totals[..., 1])

    def _row(self, output: Output, other: Output) -> Row:
        for one in (output, other):
            if not isinstance(one.answer, Ranking):
                return wrong_kind(one, "Ranking")
        first, second = in_order(output.answer), in_order(other.answer)  # type: ignore[arg-type]
        if not first and not second:
            return "both rankings are empty"
        if any(len(set(ids)) < len(ids) for ids in (first, second)):
            return "a document is ranked twice"
        return rbo(first, second, self.p), 1.0


def in_order(ranking: Ranking) -> list[str]:
    """The documents by score descending in single precision, then by id descending."""
    with np.errstate(over="ignore"):
        scores = np.asarray(ranking.scores, dtype=np.float32).tolist()
    return [document for _, document in sorted(zip(scores, ranking.documents), reverse=True)]


def rbo(first: Sequence[str], second: Sequence[str], p: float = 0.9) -> float:
    """Extrapolated rank-biased overlap of two lists of ids, best first; see RBO. NaN for two empty ones.

    >>> rbo(["a", "b", "c"], ["a", "b", "c"])
    1.0
    >>> round(rbo(["a", "b"], ["b", "a"], p=0.5), 9)
    0.5

    Raises MetricError unless p lies between 0 and 1 and no id stands twice in a list.
    """
    if not 0 < p < 1:
        raise MetricError(f"rbo: p must be between 0 and 1, got {p!r}")
    for ids in (first, second):
        if len(set(ids)) < len(ids):
            raise MetricError("rbo: ids must be different from each other in each ranking")
    short, long = sorted((list(first), list(second)), key=len)
    if not long:
        return float("nan")
    if short == long:
        return 1.0
    overlap = _overlaps(short, long)
    s, n = len(short), len(long)
    depth = np.arange(1, n + 1)
    weights = p**depth
    at_short = overlap[s - 1] if s else 0.0
    agreed = float((overlap / depth * weights).sum())
    beyond = float((at_short * (depth[s:] - s) / (max(s, 1) * depth[s:]) * weights[s:]).sum())
    rest = ((overlap[-1] - at_short) / n + at_short / max(s, 1)) * p**n
    return min(1.0, float((1 - p) / p * (agreed + beyond) + rest))


def _overlaps(short: Sequence[str], long: Sequence[str]) -> FloatArray:
    """For each depth of the longer list how many ids both have down to it."""
    place = {id_: at for at, id_ in enumerate(short)}
    shared = [max(at, place[id_]) for at, id_ in enumerate(long) if id_ in place]
    return np.cumsum(np.bincount(shared, minlength=len(long))).astype(np.float64)
