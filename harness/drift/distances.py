"""Distances of distributions: of words, of lengths and numbers in bins, of finish reasons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.drift.findings import EXACTLY_NONE, Finding, undefined, votes_of
from harness.drift.texts import TextPair
from harness.drift.units import BothRuns
from harness.metrics.divergences import JensenShannon
from harness.metrics.populations import PopulationStability
from harness.stats.bootstrap import IntArray
from harness.stats.twosamples import Apart, Distance, distance_of_shares
from harness.types import FloatArray

_STABILITY = PopulationStability()


@dataclass(frozen=True, slots=True)
class Counted:
    """What is counted of each row: row i has the next ``lengths[i]`` of ``ids`` (0..K-1); ``units``: whose row it is."""

    ids: IntArray
    lengths: IntArray
    units: IntArray


def words_distance(unit: BothRuns, texts: TextPair | str, rng: np.random.Generator, *, are_inputs: bool) -> Finding:
    """Jensen-Shannon divergence, in bits, of the words of all texts."""
    if isinstance(texts, str):
        return undefined(texts)
    run, base = texts.side_tokens()
    sides = Counted(run.ids, run.lengths, texts.run_units), Counted(base.ids, base.lengths, texts.base_units)
    return _distance(unit, sides, JensenShannon().divergence, 1.0, rng, are_inputs=are_inputs)


def length_distance(unit: BothRuns, texts: TextPair | str, rng: np.random.Generator) -> Finding:
    """Population stability index of the numbers of words."""
    if isinstance(texts, str):
        return undefined(texts)
    lengths = [tokens.lengths.astype(np.float64) for tokens in texts.side_tokens()]
    return _stability(unit, (lengths[0], lengths[1]), (texts.run_units, texts.base_units), rng)


def number_distance(unit: BothRuns, rng: np.random.Generator) -> Finding:
    """Population stability index of the numbers answered."""
    if any(rows.kind != "number" for rows in unit.sides):
        return undefined("the answers are not numbers")
    found = []
    for rows in unit.sides:
        numbers = [(row, float(text)) for row, text in enumerate(rows.column("text")) if text is not None]
        kept = [(row, number) for row, number in numbers if math.isfinite(number)]
        found.append((np.array([number for _, number in kept]), rows.units[[row for row, _ in kept]]))
    return _stability(unit, (found[0][0], found[1][0]), (found[0][1], found[1][1]), rng)


def finish_distance(unit: BothRuns, rng: np.random.Generator) -> Finding:
    """Jensen-Shannon divergence, in bits, of the finish reasons of all outputs that have one."""
    numbers: dict[str, int] = {}
    sides = []
    for rows in unit.sides:
        reasons = rows.column("finish_reason")
        kept = [row for row, reason in enumerate(reasons) if reason is not None]
        ids = np.array([numbers.setdefault(reasons[row], len(numbers)) for row in kept], dtype=np.int64)
        sides.append(Counted(ids, np.ones(len(ids), dtype=np.int64), rows.units[kept]))
    return _distance(unit, (sides[0], sides[1]), JensenShannon().divergence, 1.0, rng, are_inputs=False)


def _stability(
    unit: BothRuns, numbers: tuple[FloatArray, FloatArray], units: tuple[IntArray, IntArray], rng: np.random.Generator
) -> Finding:
    if not len(numbers[0]) or not len(numbers[1]):
        return undefined("nothing to measure in one of the runs")
    cuts = _STABILITY.cuts(numbers[1])
    run, base = (
        Counted(np.searchsorted(cuts, side, side="left"), np.ones(len(side), dtype=np.int64), mine)
        for side, mine in zip(numbers, units)
    )
    return _distance(unit, (run, base), _STABILITY.of_shares, -2 * math.log(_STABILITY.floor), rng, are_inputs=False)


def _distance(
    unit: BothRuns, sides: tuple[Counted, Counted], distance: Distance, reach: float, rng: np.random.Generator, *,
    are_inputs: bool,
) -> Finding:  # fmt: skip
    """``reach``: the distance per share of mass that differs; the Jensen-Shannon divergence in bits is at most that share
    (Lin 1991), a population stability index at most 2 |ln floor| of it."""
    if not all(side.lengths.sum() for side in sides):
        return undefined("nothing to measure in one of the runs")
    if unit.is_paired:
        sides = _common(sides)
    n = [len(np.unique(side.units)) for side in sides]
    width = 1 + max(int(side.ids.max(initial=0)) for side in sides)
    run, base = _matrices(unit, sides, width)
    if not (run.sum() and base.sum()):
        return undefined("no sample has something to measure in both runs")
    if are_inputs and unit.is_paired and not (run != base).nnz:
        return Finding(Apart(0.0, 0.0, EXACTLY_NONE, 1.0), EXACTLY_NONE, None, None, "the inputs are the same", n[0], n[1])
    apart = distance_of_shares(run, base, distance, is_paired=unit.is_paired, reach=reach, rng=rng)
    return Finding(apart, apart.tests, None, None, "one sample" if min(n) < 2 else None, n[0], n[1], (0.0, reach))


def _common(sides: tuple[Counted, Counted]) -> tuple[Counted, Counted]:
    """The rows of units that have one on both sides."""
    first, second = (_of_units(side, other.units) for side, other in (sides, sides[::-1]))
    return first, second


def _of_units(side: Counted, units: IntArray) -> Counted:
    kept = np.isin(side.units, units)
    return Counted(side.ids[np.repeat(kept, side.lengths)], side.lengths[kept], side.units[kept])


def _matrices(unit: BothRuns, sides: Sequence[Counted], width: int) -> tuple[Any, Any]:
    """A row a cluster, ``float64[G, K]``, sparse; the same clusters in the same rows where paired."""
    from scipy.sparse import csr_matrix

    made = []
    for side in sides:
        _, rows = np.unique(unit.cluster_of(side.units), return_inverse=True)
        data = np.repeat(votes_of(side.units), side.lengths)
        shape = (int(rows.max(initial=-1)) + 1, width)
        made.append(csr_matrix((data, (np.repeat(rows, side.lengths), side.ids)), shape=shape))
    return made[0], made[1]
