"""What a graded judgement is worth, and the best order that the judgements of a query permit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.metrics.judgements import IntArray, Judged, until
from harness.types import FloatArray

_PAIR = re.compile(r"\s*(\d+)\s*=\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*")
KINDS = "linear, exp, or pairs such as 1=3,2=9,4=4.5"


def pairs_of(gain: str) -> Mapping[int, float] | None:
    """The gains of ``"1=3,2=9"`` by grade, empty for ``linear`` and ``exp``; None if it is neither.

    >>> pairs_of("1=3,2=9.5")
    {1: 3.0, 2: 9.5}
    """
    if gain in ("linear", "exp"):
        return {}
    matches = [_PAIR.fullmatch(part) for part in gain.split(",")]
    found = {int(match[1]): float(match[2]) for match in matches if match}
    return found if len(found) == len(matches) else None


def gains_of(grades: IntArray, gain: str) -> FloatArray:
    """The gain of each grade: the grade itself, 2^grade - 1, or what the pairs say of it (else the grade); 0 below 0."""
    positive = np.maximum(grades, 0).astype(np.float64)
    if gain == "exp":
        return np.exp2(positive) - 1.0
    for grade, value in (pairs_of(gain) or {}).items():
        positive[grades == grade] = value
    return positive


@dataclass(frozen=True, slots=True)
class Best:
    """The judged documents with a positive gain in the best order: by query and by gain descending.

    query, rank : ``int64[b]``. gain : ``float64[b]``. n : ``int64[n]``, how many a query has.
    """

    query: IntArray
    rank: IntArray
    gain: FloatArray
    n: IntArray

    @classmethod
    def of(cls, judged: Judged, gain: str) -> Best:
        gains = gains_of(judged.judged_grade, gain)
        query, gains = judged.judged_query[gains > 0], gains[gains > 0]
        order = np.lexsort((-gains, query))
        query, gains = query[order], gains[order]
        n = np.bincount(query, minlength=judged.n)
        rank = np.arange(len(query)) - (np.cumsum(n) - n)[query] + 1
        return cls(query, rank, gains, n)

    @property
    def discounted(self) -> FloatArray:
        """Gain / log2(rank + 1)."""
        return discounted(self.gain, self.rank)

    def until(self, values: FloatArray, query: IntArray, rank: IntArray) -> FloatArray:
        """For pairs of a query and a rank the sum of the values of the query's best documents down to that rank."""
        return until(self.query, self.rank, values, query, rank)


def discounted(gains: FloatArray, ranks: IntArray) -> FloatArray:
    """Gain / log2(rank + 1)."""
    values: FloatArray = gains / np.log2(ranks + 1.0)
    return values
