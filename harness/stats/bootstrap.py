"""The bootstrap over sufficient statistics: multinomial weights instead of copies of rows, in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import floor, sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.types import FloatArray

IntArray: TypeAlias = NDArray[np.int64]
Aggregate: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]
"""``stats float64[n, d], weights float64[B, n] -> values float64[B]``; NaN where undefined."""
Values: TypeAlias = Callable[[FloatArray], FloatArray]
"""``weights float64[B, n] -> values float64[B]``, over statistics that it holds."""
Finish: TypeAlias = Callable[[FloatArray], FloatArray]
"""``totals float64[..., d] -> values float64[...]``: the shortcut of additive statistics."""

BLOCK_BYTES = 64 * 2**20
"""Size of one block of weights that is handed to an aggregate."""

_DRAWN_BYTES = 2**20
_SUMMED_BYTES = 2**21

_MANY_UNITS = 2048
"""From so many units on, counts are drawn directly, unit by unit, and not counted from draws."""

_UNDECIDED = 255


@dataclass(frozen=True, slots=True)
class Once:
    """An aggregate that does what does not depend on the weights (sorting, say) once: ``over(stats)`` does it."""

    over: Callable[[FloatArray], Values]

    def __call__(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        return self.over(stats)(weights)


@dataclass(frozen=True, slots=True)
class InOrder:
    """An aggregate to which the order of the rows matters (Elo): equal rows must not be put together."""

    aggregate: Aggregate

    def __call__(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        return self.aggregate(stats, weights)


def resample_weights(
    n_units: int, n_replicates: int, rng: np.random.Generator, *, strata: IntArray | None = None, block_bytes: int = BLOCK_BYTES
) -> Iterator[FloatArray]:
    """How often each unit is drawn in each replicate of ``n_units`` draws with replacement.

    Yields blocks ``float64[b, n_units]`` of ``block_bytes`` (one row at least) whose rows sum to ``n_units``,
    ``n_replicates`` rows in all. The rows are drawn in sequence, so that they depend on ``rng`` alone and not on the size of
    the blocks: the same seed and number of units give the same weights for every metric and model. Few units are drawn and
    counted; the counts of many are drawn as Poisson numbers and topped up, which is several times as fast (see _ManyUnits).

    With ``strata``, the stratum of each unit, ``0..S-1``, units are drawn inside each: as many as it has, by a generator of its
    own that ``rng`` spawns.

    Raises UsageError unless ``n_units`` and ``n_replicates`` are positive and every unit has a stratum.
    """
    if n_units < 1 or n_replicates < 1:
        raise UsageError(f"resample_weights: needs at least one unit and one replicate, got {n_units} and {n_replicates}")
    if strata is not None and (strata.shape != (n_units,) or strata.min() < 0):
        raise UsageError(f"resample_weights: strata must give a number >= 0 for each of {n_units} units, got {strata.shape}")
    for block in _drawn(n_units, n_replicates, rng, block_bytes, strata):
        yield block.copy()


def replicates(
    aggregate: Aggregate,
    stats: FloatArray,
    *,
    groups: IntArray | None = None,
    weights: FloatArray | None = None,
    strata: IntArray | None = None,
    finish: Finish | None = None,
    n_bootstrap: int = 1000,
    rng: np.random.Generator,
) -> FloatArray:
    """The values of ``n_bootstrap`` resamplings, ``float64[n_bootstrap]``; NaN where a resampling leaves them undefined.

    ``groups`` gives each row the number of its cluster, ``0..G-1`` with none left out: whole clusters are drawn, as many
    as there are; None draws rows. ``weights`` are the rows' weights inside one cluster (1 / repeats), None: 1. ``strata``, the
    stratum of each cluster (row), draws inside each (:func:`resample_weights`). With ``finish`` the rows are summed to clusters
    once and a replicate costs one row of a matrix product.

    Two systems with the same clusters and generators in the same state get paired replicates: their differences are the
    paired bootstrap.
    """
    n_units = len(stats) if groups is None else int(groups.max(initial=-1)) + 1
    if finish is not None:
        sums = _group_sums(stats, groups, weights, n_units)
        blocks = (finish(drawn @ sums) for drawn in _drawn(n_units, n_bootstrap, rng, _SUMMED_BYTES, strata))
    else:
        values = aggregate.over(stats) if isinstance(aggregate, Once) else partial(aggregate, stats)
        size = (_DRAWN_BYTES if isinstance(aggregate, Once) else BLOCK_BYTES) * n_units // max(len(stats), 1)
        blocks = (values(_row_weights(drawn, groups, weights)) for drawn in _drawn(n_units, n_bootstrap, rng, size, strata))
    return np.concatenate([np.array(block, dtype=np.float64) for block in blocks])  # copies: a block is written over


def percentile_interval(values: FloatArray, level: float = 0.95) -> tuple[float, float]:
    """The central ``level`` of the finite values (linear interpolation, numpy's default); (NaN, NaN) if there are none."""
    if not 0 < level < 1:
        raise UsageError(f"level must lie strictly between 0 and 1, got {level!r}")
    finite = values[np.isfinite(values)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _drawn(
    n_units: int, n_replicates: int, rng: np.random.Generator, block_bytes: int, strata: IntArray | None
) -> Iterator[FloatArray]:
    """The blocks of :func:`resample_weights`, each valid until the next."""
    if strata is None:
        yield from _blocks(n_units, n_replicates, rng, block_bytes)
        return
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    rows = max(1, min(block_bytes // (8 * n_units), n_replicates))
    parts = [_blocks(len(each), n_replicates, own, rows * 8 * len(each)) for each, own in zip(members, rng.spawn(len(members)))]
    for drawn in zip(*parts):
        block = np.empty((len(drawn[0]), n_units))
        for each, part in zip(members, drawn):
            block[:, each] = part
        yield block


def _blocks(n_units: int, n_replicates: int, rng: np.random.Generator, block_bytes: int) -> Iterator[FloatArray]:
    """The blocks of :func:`resample_weights`, each in the memory of the one before: new memory costs as much as drawing."""
    rows = max(1, min(block_bytes // (8 * n_units), n_replicates))
    many = _ManyUnits.of(n_units) if n_units >= _MANY_UNITS else None
    room = np.empty((rows, n_units))
    for start in range(0, n_replicates, rows):
        block = room[: n_replicates - start]
        if many is None:
            _draw_and_count(block, rng)
        else:
            many.draw(block, rng)
        yield block


def _draw_and_count(block: FloatArray, rng: np.random.Generator) -> None:
    """Drawn and counted a few rows at a time: counting 1 MB is more than twice as fast as counting 64 MB."""
    n_units = block.shape[1]
    rows = max(1, _DRAWN_BYTES // (8 * n_units))
    for start in range(0, len(block), rows):
        part = block[start : start + rows]
        drawn = rng.integers(0, n_units, size=part.shape)
        drawn += np.arange(0, part.size, n_units)[:, None]
        part[:] = np.bincount(drawn.ravel(), minlength=part.size).reshape(part.shape)


@dataclass(frozen=True, slots=True)
class _ManyUnits:
    """Multinomial counts without counting draws one by one.

    Independent Poisson counts are, given their sum S, the multinomial counts of S draws, and they stay so if rows are thrown
    away for their S alone. Their mean is set a little below 1, so that S <= n but for one row in 10⁹, which is drawn again;
    n - S further draws make them the counts of n draws. A Poisson count is looked up by 16 random bits: of 65,536 cells each
    count has as many whole cells as its probability fills, and the few cells that are left over are decided by what is left of
    each probability.
    """

    n_units: int
    table: NDArray[np.uint8]
    left_over: FloatArray

    @classmethod
    def of(cls, n_units: int) -> _ManyUnits:
        mean = 1 - 6 / sqrt(n_units)
        counts = np.arange(1, 40)
        probabilities = np.exp(-mean) * np.concatenate([[1.0], np.cumprod(mean / counts)])
        cells = np.array([floor(2**16 * p) for p in probabilities])
        table = np.full(2**16, _UNDECIDED, dtype=np.uint8)
        table[: cells.sum()] = np.repeat(np.arange(40, dtype=np.uint8), cells)
        rest = np.cumsum(probabilities - cells / 2**16)
        return cls(n_units, table, rest / rest[-1])

    def draw(self, block: FloatArray, rng: np.random.Generator) -> None:
        """Fill every row with the counts of ``n_units`` draws with replacement."""
        for row in block:
            drawn = self._poisson(rng)
            while (total := int(drawn.sum(dtype=np.uint64))) > self.n_units:
                drawn = self._poisson(rng)
            row[:] = drawn
            np.add.at(row, rng.integers(0, self.n_units, size=self.n_units - total), 1.0)

    def _poisson(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        bits = rng.integers(0, 2**64, size=-(-self.n_units // 4), dtype=np.uint64).astype("<u8", copy=False)
        drawn = np.take(self.table, bits.view("<u2")[: self.n_units])
        undecided = np.flatnonzero(drawn == _UNDECIDED)
        drawn[undecided] = np.searchsorted(self.left_over, rng.random(len(undecided)), side="right")
        return drawn


def _group_sums(stats: FloatArray, groups: IntArray | None, weights: FloatArray | None, n_units: int) -> FloatArray:
    weighted = stats if weights is None else stats * weights[:, None]
    if groups is None:
        return weighted
    columns = [np.bincount(groups, weights=column, minlength=n_units) for column in weighted.T]
    return np.stack(columns, axis=1) if columns else np.zeros((n_units, 0))


def _row_weights(drawn: FloatArray, groups: IntArray | None, weights: FloatArray | None) -> FloatArray:
    expanded = drawn if groups is None else drawn[:, groups]
    return expanded if weights is None else expanded * weights
