"""Weighted counts of pairs: how often a positive scores above, or beside, a negative. What AUC and concordance are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.metrics.rows import ratio
from harness.types import FloatArray


@dataclass(frozen=True, slots=True)
class PairSums:
    """Weights of pairs of a positive and a negative under B weightings, ``float64[B]`` each: all of them, those where the
    positive scores higher, those where both score the same."""

    total: FloatArray
    above: FloatArray
    tied: FloatArray


def pair_sums(scores: FloatArray, positive: NDArray[np.bool_], negative: NDArray[np.bool_]) -> SortedPairs:
    """The pairs of rows that are ``positive`` and rows that are ``negative`` (no row is both; some may be neither), sorted by
    ``scores`` ``float64[n]``, which hold no NaN."""
    run_of_row = np.zeros(len(scores), dtype=np.intp)
    rows = np.flatnonzero(positive | negative)
    if not len(rows):
        return SortedPairs(run_of_row, None, 0)
    order = rows[np.argsort(scores[rows])]
    is_up = positive[order]
    rises = scores[order[1:]] != scores[order[:-1]]
    if rises.all():
        cell = np.cumsum(np.append(True, is_up[:-1] & ~is_up[1:])) - 1
        is_tied = None
    else:
        cell, is_tied = _cells_with_ties(is_up, np.cumsum(np.append(False, rises)))
    run_of_row[order] = 2 * cell + 1 + is_up
    return SortedPairs(run_of_row, is_tied, int(cell[-1]) + 1)


@dataclass(frozen=True, slots=True)
class SortedPairs:
    """Rows by ascending score as n cells of some negatives and then some positives: those of one score, if it has both, or as
    many neighbours as there are with the negatives below the positives. Cell c has the runs 2c + 1 (its negatives) and 2c + 2
    (its positives); run 0 is the rows that are neither. ``is_tied`` is 1 for cells of one score; None: there is none."""

    run_of_row: NDArray[np.intp]
    is_tied: FloatArray | None
    n: int

    def sums(self, weights: FloatArray) -> PairSums:
        """Sums under ``float64[B, n]`` weights, O(B·n); integer weights are summed without rounding."""
        sums = np.zeros((3, len(weights)))
        for column, row in zip(sums.T, weights):
            of_runs = np.bincount(self.run_of_row, row, minlength=2 * self.n + 1)
            downs, ups = of_runs[1::2], of_runs[2::2]
            below = np.cumsum(downs)
            # einsum, not @: a product of long vectors would start threads, which lose several times over on a busy machine.
            tied = 0.0 if self.is_tied is None else float(np.einsum("i,i,i->", ups, downs, self.is_tied))
            column[:] = below[-1:].sum() * ups.sum(), np.einsum("i,i->", ups, below) - tied, tied
        return PairSums(*sums)

    def area(self, weights: FloatArray) -> FloatArray:
        """The area under the ROC curve; NaN where there are no pairs."""
        sums = self.sums(weights)
        return np.minimum(ratio(sums.above + sums.tied / 2, sums.total), 1.0)


def _cells_with_ties(is_up: NDArray[np.bool_], score: NDArray[np.intp]) -> tuple[NDArray[np.intp], FloatArray]:
    """The cell of each row, in order of scores (numbered by ``score``), and which cells are ties."""
    has_up = np.bincount(score[is_up], minlength=score[-1] + 1) > 0
    has_down = np.bincount(score[~is_up], minlength=score[-1] + 1) > 0
    is_mixed = has_up & has_down
    begins = np.append(True, is_mixed[1:] | is_mixed[:-1] | (has_down[1:] & has_up[:-1]))
    return (np.cumsum(begins) - 1)[score], is_mixed[begins].astype(np.float64)
