"""Correlation of answers with targets: Pearson's, and by ranks Spearman's and Kendall's tau-b.

The ``weighted_…`` functions take many weightings at once; a weight of 2 is two copies of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.metrics.numbers import NumberMetric, Weights, centred, size_exponent, spreads
from harness.types import FloatArray

IntArray: TypeAlias = NDArray[np.int64]

_BLOCK_NUMBERS = 2**18


@dataclass(frozen=True, repr=False)
class CorrelationMetric(NumberMetric):
    """−1 to 1, higher is better; undefined (NaN) for fewer than two rows and where one side does not vary."""

    bounds: ClassVar[tuple[float | None, float | None]] = (-1.0, 1.0)


@dataclass(frozen=True, repr=False)
class Pearson(CorrelationMetric):
    """The linear correlation of answers and targets; −1 to 1, higher is better. ``scipy.stats.pearsonr``.

    Undefined (NaN) for fewer than two rows and where one side does not vary, as in scipy.
    """

    name: ClassVar[str] = "pearson"
    summary: ClassVar[str] = "linear correlation of answers and targets"
    formula: ClassVar[str] = "Σ (y − ȳ)(ŷ − ŷ̄) / √(Σ (y − ȳ)² Σ (ŷ − ŷ̄)²)"
    reference: ClassVar[str] = "scipy.stats.pearsonr"
    paper: ClassVar[str] = "Pearson 1895, Note on regression and inheritance in the case of two parents"

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """From weighted sums of products."""
        return weighted_pearson(stats[:, 0], stats[:, 1], weights)


@dataclass(frozen=True, repr=False)
class Spearman(CorrelationMetric):
    """The linear correlation of the ranks, ties with their mean rank; −1 to 1, higher is better. ``scipy.stats.spearmanr``."""

    name: ClassVar[str] = "spearman"
    summary: ClassVar[str] = "correlation of the ranks of answers and targets"
    formula: ClassVar[str] = "Pearson's correlation of the mean ranks"
    reference: ClassVar[str] = "scipy.stats.spearmanr"
    paper: ClassVar[str] = "Spearman 1904, The proof and measurement of association between two things"

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """From weighted ranks."""
        return weighted_spearman(stats[:, 0], stats[:, 1], weights)


@dataclass(frozen=True, repr=False)
class Kendall(CorrelationMetric):
    """Kendall's tau-b: concordant less discordant pairs, corrected for ties on both sides; −1 to 1, higher is better.

    ``scipy.stats.kendalltau``. O(n log n) a weighting.
    """

    name: ClassVar[str] = "kendall"
    summary: ClassVar[str] = "concordant less discordant pairs of answers and targets (tau-b)"
    formula: ClassVar[str] = "(C − D) / √((n₀ − ties of y)(n₀ − ties of ŷ)), n₀ = n (n − 1) / 2"
    reference: ClassVar[str] = "scipy.stats.kendalltau"
    paper: ClassVar[str] = "Kendall 1945, The treatment of ties in ranking problems; Knight 1966"

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """From weighted counts of pairs."""
        return weighted_kendall(stats[:, 0], stats[:, 1], weights)


# ── many weightings at once ─────────────────────────────────────────────────────────────────────────────────────────


def weighted_pearson(x: FloatArray, y: FloatArray, weights: FloatArray) -> FloatArray:
    """Pearson's correlation of ``float64[n]`` with ``float64[n]`` under each row of ``float64[B, n]`` weights, ``float64[B]``.

    NaN where undefined.
    """
    if len(x) < 2:
        return np.full(len(weights), np.nan)
    x, y = (centred(np.ldexp(series, -size_exponent(series))) for series in (x, y))
    x, y = (np.ldexp(series, -size_exponent(series)) for series in (x, y))
    total = weights.sum(axis=1)
    products = weights @ (x * y)
    shift = np.divide((weights @ x) * (weights @ y), total, out=np.zeros_like(total), where=total > 0)
    return _clipped(products - shift, spreads(x, weights), spreads(y, weights))


def weighted_spearman(x: FloatArray, y: FloatArray, weights: FloatArray) -> FloatArray:
    """Spearman's correlation under each row of weights, shapes as in :func:`weighted_pearson`."""
    if len(x) < 2:
        return np.full(len(weights), np.nan)
    groups = _Groups.of(x), _Groups.of(y)
    return _in_blocks(lambda block: _rank_correlation(*groups, block), weights)


def weighted_kendall(x: FloatArray, y: FloatArray, weights: FloatArray) -> FloatArray:
    """Kendall's tau-b under each row of weights, shapes as in :func:`weighted_pearson`."""
    if len(x) < 2:
        return np.full(len(weights), np.nan)
    by_x, by_y = _Groups.of(x), _Groups.of(y)
    both = _Groups.of(by_x.of_row * (by_y.of_row.max() + 1) + by_y.of_row)
    levels = list(_bit_levels(by_y.of_row[both.order]))

    def values(block: FloatArray) -> FloatArray:
        pairs = block.sum(axis=1) ** 2
        x_ties, y_ties, both_ties = ((groups.sums(block) ** 2).sum(axis=1) for groups in (by_x, by_y, both))
        discordant = _inversions(levels, block[:, both.order])
        surplus = (pairs - x_ties - y_ties + both_ties) / 2 - 2 * discordant
        tolerance = 1e-12 * pairs
        untied = [np.where(pairs - ties > tolerance, pairs - ties, 0.0) / 2 for ties in (x_ties, y_ties)]
        return _clipped(surplus, *untied)

    return _in_blocks(values, weights)


@dataclass(frozen=True, slots=True)
class _Groups:
    """Equal numbers: the rows in ascending order, where each group of equal ones begins there, and the group of each row."""

    order: IntArray
    starts: IntArray
    of_row: IntArray

    @classmethod
    def of(cls, series: NDArray[np.float64] | IntArray) -> _Groups:
        order = np.argsort(series, kind="stable")
        ascending = series[order]
        starts = np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]]))
        of_row = np.empty(len(series), dtype=np.int64)
        of_row[order] = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(series))))
        return cls(order, starts, of_row)

    def sums(self, weights: FloatArray) -> FloatArray:
        """The weight of each group, ``float64[B, groups]``."""
        return np.add.reduceat(weights[:, self.order], self.starts, axis=1)

    def ranks(self, weights: FloatArray) -> FloatArray:
        """The mean rank of each row less the mean of all ranks, ``float64[B, n]``."""
        of_group = self.sums(weights)
        reached = np.cumsum(of_group, axis=1)
        return np.asarray((reached - of_group / 2 - reached[:, -1:] / 2)[:, self.of_row])


def _rank_correlation(by_x: _Groups, by_y: _Groups, weights: FloatArray) -> FloatArray:
    # The weighted mean of the ranks is 0 by their definition, so that sums of products are covariances.
    x, y = by_x.ranks(weights), by_y.ranks(weights)
    over = (weights * x * y).sum(axis=1)
    x_spread, y_spread = (weights * x * x).sum(axis=1), (weights * y * y).sum(axis=1)
    least = 1e-13 * weights.sum(axis=1) ** 3
    return _clipped(over, np.where(x_spread > least, x_spread, 0.0), np.where(y_spread > least, y_spread, 0.0))


def _bit_levels(codes: IntArray) -> Iterator[tuple[IntArray, NDArray[np.bool_], IntArray]]:
    """For each bit of the codes, highest first: positions sorted by the higher bits (in their order else), whether the bit is
    set there, and where the group with the same higher bits begins.

    Two positions whose codes first differ in a bit meet in that level, in one group: there inversions can be counted with sums.
    They depend on the codes alone, and serve any number of weightings.
    """
    for bit in reversed(range(int(codes.max(initial=0)).bit_length())):
        prefix = codes >> (bit + 1)
        order = np.argsort(prefix, kind="stable")
        ascending = prefix[order]
        first = np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]]))
        begins = np.repeat(first, np.diff(np.append(first, len(codes))))
        yield order, (codes[order] >> bit & 1).astype(bool), begins


def _inversions(levels: list[tuple[IntArray, NDArray[np.bool_], IntArray]], weights: FloatArray) -> FloatArray:
    """The weight of the pairs whose first code is the higher one, ``float64[B]``."""
    total = np.zeros(len(weights))
    for order, is_set, begins in levels:
        there = weights[:, order]
        before = np.zeros((len(weights), len(order) + 1))
        np.cumsum(np.where(is_set, there, 0.0), axis=1, out=before[:, 1:])
        zeros = np.flatnonzero(~is_set)
        total += (there[:, zeros] * (before[:, zeros] - before[:, begins[zeros]])).sum(axis=1)
    return total


def _clipped(over: FloatArray, x_spread: FloatArray, y_spread: FloatArray) -> FloatArray:
    under = np.sqrt(x_spread * y_spread)
    value = np.divide(over, under, out=np.full_like(over, np.nan), where=under > 0)
    return np.asarray(np.clip(value, -1.0, 1.0))


def _in_blocks(function: Callable[[FloatArray], FloatArray], weights: FloatArray) -> FloatArray:
    """A few weightings at a time: working memory stays small, and in the processor's cache."""
    rows = max(1, _BLOCK_NUMBERS // max(weights.shape[1], 1))
    blocks = [function(weights[start : start + rows]) for start in range(0, len(weights), rows)]
    return np.concatenate(blocks) if blocks else np.zeros(0)


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────
#
# ``y_true`` and ``y_pred`` are equally long series of finite numbers; NaN is returned where undefined. All raise MetricError
# for other arguments.


def pearson(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: Weights = None) -> float:
    """Pearson's correlation.

    >>> round(pearson([1.0, 2.0, 3.0], [1.0, 3.0, 2.0]), 12)
    0.5
    """
    return Pearson().over(y_true, y_pred, sample_weight)


def spearman(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: Weights = None) -> float:
    """Spearman's rank correlation.

    >>> spearman([1.0, 2.0, 3.0], [1.0, 8.0, 27.0])
    1.0
    """
    return Spearman().over(y_true, y_pred, sample_weight)


def kendall(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: Weights = None) -> float:
    """Kendall's tau-b.

    >>> round(kendall([1.0, 2.0, 3.0], [1.0, 3.0, 2.0]), 12)
    0.333333333333
    """
    return Kendall().over(y_true, y_pred, sample_weight)
