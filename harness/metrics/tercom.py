"""Edits of TER: insertions, deletions, substitutions and shifts of blocks of words, found by tercom's greedy search.

All pairs of a chunk go through the search together, as arrays; pairs that the bit vectors do not fit go one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from harness.metrics.alignment import Alignment, Pairs, WordArray, padded
from harness.metrics.beam import MAX_MOVE, BeamAligner
from harness.metrics.myers import MAX_REFERENCE, BitAligner
from harness.metrics.tokenize import IntArray, Tokens

_MAX_BLOCK = 10
_MAX_TRIES = 1000
_MAX_TOGETHER = 256
_AT_ONCE = 512


class Aligner(Protocol):
    """Distances and alignments of the hypotheses of some pairs, and of rearrangements of them."""

    def align(self) -> Alignment: ...

    def matches(self, rows: IntArray) -> tuple[IntArray, IntArray, IntArray]: ...

    def distances(self, pair: IntArray, source: WordArray) -> IntArray: ...


def edits(hypotheses: Tokens, references: Tokens) -> IntArray:
    """Least edits that tercom's search finds, ``int64[n]``; words are numbers ≥ 0, equal on both sides for equal words.

    As in sacrebleu: in every round the shift is made that lessens the edit distance most (then the longest block, then the
    first, then the leftmost target), until none does or 1,000 shifts have been tried; the distance is looked for in a beam of
    25 words around the diagonal. The bit vectors know no beam: where an alignment leaves it, the pair is searched alone. Where
    the alignments stay inside the beam changes nothing: it can only worsen the distances of shifts that are not chosen.
    """
    n_hyp, n_ref = hypotheses.lengths, references.lengths
    result = np.where(n_ref == 0, n_hyp, n_ref)
    some = (n_hyp > 0) & (n_ref > 0)
    fits = (n_hyp <= _MAX_TOGETHER) & (n_ref <= MAX_REFERENCE)
    together = np.flatnonzero(some & fits)
    together = together[np.argsort(-n_hyp[together], kind="stable")]
    alone = [np.flatnonzero(some & ~fits)]
    result[together] = _search(_pairs(hypotheses, references, together), BitAligner)
    alone.append(together[result[together] < 0])
    for row in np.concatenate(alone).tolist():
        result[row] = _search(_pairs(hypotheses, references, np.array([row])), BeamAligner)[0]
    return result


def _pairs(hypotheses: Tokens, references: Tokens, rows: IntArray) -> Pairs:
    """Some rows as tables: only so wide as the longest of these."""
    return Pairs(padded(hypotheses, rows, -1), padded(references, rows, -2), hypotheses.lengths[rows], references.lengths[rows])


def _search(pairs: Pairs, aligner_of: type[BitAligner] | type[BeamAligner]) -> IntArray:
    """Edits by pair; -1 where an alignment left the beam. Changes the hypotheses."""
    n = len(pairs.n_hyp)
    result, tries, shifts = np.full(n, -1), np.zeros(n, dtype=np.int64), 0
    rows = np.arange(n)
    while len(rows):
        shifted = []
        for start in range(0, len(rows), _AT_ONCE):
            chunk = rows[start:start + _AT_ONCE]
            some = pairs.take(chunk)
            aligner: Aligner = aligner_of(some)
            alignment = aligner.align()
            result[chunk] = np.where(alignment.inside, alignment.distance + shifts, -1)
            blocks = _blocks(some, alignment, aligner.matches(np.flatnonzero(alignment.inside & (alignment.distance > 0))))
            tries[chunk] += np.bincount(blocks.pair, weights=blocks.tries, minlength=len(chunk)).astype(np.int64)
            best, source = _best_shifts(some, alignment, aligner, blocks.take(tries[chunk][blocks.pair] < _MAX_TRIES))
            pairs.hyp[chunk[best], :some.width] = np.take_along_axis(some.hyp[best], source, axis=1)
            shifted.append(chunk[best])
        rows, shifts = np.concatenate(shifted), shifts + 1
    return result


# ── what may be shifted ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Blocks of words that a hypothesis and its reference share at different places; ``tries``: targets of each."""

    pair: IntArray
    hyp: IntArray
    ref: IntArray
    length: IntArray
    tries: IntArray

    def take(self, chosen: NDArray[np.bool_]) -> _Blocks:
        return _Blocks(self.pair[chosen], self.hyp[chosen], self.ref[chosen], self.length[chosen], self.tries[chosen])


def _blocks(pairs: Pairs, alignment: Alignment, matches: tuple[IntArray, IntArray, IntArray]) -> _Blocks:
    """Blocks of 1 to 10 words with an error on both sides whose counterpart is not aligned into the block itself."""
    pair, hyp, ref = matches
    position = alignment.position
    wrong_hyp, wrong_ref = _running(~alignment.right_hyp), _running(~alignment.right_ref)
    targets = _running(_new_target(alignment))
    kept = (abs(hyp - ref) <= MAX_MOVE) & (position[pair, ref] != hyp)
    pair, hyp, ref = pair[kept], hyp[kept], ref[kept]
    found = []
    for length in range(1, _MAX_BLOCK + 1):
        if len(pair) == 0:
            break
        aligned = position[pair, ref]
        wrong = (wrong_hyp[pair, hyp + length] > wrong_hyp[pair, hyp]) & (wrong_ref[pair, ref + length] > wrong_ref[pair, ref])
        fits = wrong & ((aligned < hyp) | (aligned >= hyp + length))
        p, h, r = pair[fits], hyp[fits], ref[fits]
        found.append(_Blocks(p, h, r, np.full(len(p), length), 1 + targets[p, r + length] - targets[p, r]))
        longer = pairs.hyp[pair, hyp + length] == pairs.ref[pair, ref + length]
        pair, hyp, ref = pair[longer], hyp[longer], ref[longer]
    if not found:
        return _Blocks(*[np.empty(0, dtype=np.int64)] * 5)
    return _Blocks(*(np.concatenate([getattr(part, column) for part in found])
                     for column in ("pair", "hyp", "ref", "length", "tries")))


def _new_target(alignment: Alignment) -> IntArray:
    """Whether the place behind each reference word's counterpart differs from the place behind the one before."""
    before = np.concatenate([np.full((len(alignment.position), 1), -1), alignment.position[:, :-1]], axis=1)
    changed: IntArray = (alignment.position != before).astype(np.int64)
    return changed


def _running(flags: IntArray | NDArray[np.bool_]) -> IntArray:
    sums = np.zeros((flags.shape[0], flags.shape[1] + 1), dtype=np.int64)
    np.cumsum(flags, axis=1, out=sums[:, 1:])
    return sums


# ── where to ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _best_shifts(pairs: Pairs, alignment: Alignment, aligner: Aligner, blocks: _Blocks) -> tuple[IntArray, WordArray]:
    """The pairs that a shift brings nearer to their references, and for each where its words come from after the best."""
    block, target = _targets(alignment, blocks)
    pair, start, length = blocks.pair[block], blocks.hyp[block], blocks.length[block]
    first, middle, end = _rotation(start, length, target, pairs.n_hyp[pair])
    base = pairs.width + 2
    code, where = np.unique(((pair * base + first) * base + middle) * base + end, return_inverse=True)
    rest, end = code // base, code % base
    rest, middle = rest // base, rest % base
    which, first = rest // base, rest % base
    source = _sources(pairs.width, first, middle, end)
    distances = aligner.distances(which, source)
    gain = (alignment.distance[which] - distances)[where]
    order = np.lexsort((-target, -start, length, gain, pair))
    order = order[np.append(np.diff(pair[order]) != 0, True)[:len(order)]]
    order = order[gain[order] > 0]
    return pair[order], source[where[order]]


def _targets(alignment: Alignment, blocks: _Blocks) -> tuple[IntArray, IntArray]:
    """Index of the block and place in the hypothesis, for all places that sacrebleu tries."""
    block = np.repeat(np.arange(len(blocks.pair)), blocks.length + 1)
    ends = np.cumsum(blocks.length + 1)
    ref = blocks.ref[block] + np.arange(len(block)) - np.repeat(ends - blocks.length - 1, blocks.length + 1) - 1
    place = np.where(ref < 0, 0, alignment.position[blocks.pair[block], ref] + 1)
    fresh = np.ones(len(block), dtype=bool)
    fresh[1:] = (block[1:] != block[:-1]) | (place[1:] != place[:-1])
    return block[fresh], place[fresh]


def _rotation(start: IntArray, length: IntArray, target: IntArray, n_hyp: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """A shift as a swap of the neighbouring blocks [first, middle) and [middle, end).

    A target inside the block counts from the end of the block, as in sacrebleu.
    """
    left = target < start
    inside = target <= start + length
    first = np.where(left, target, start)
    middle = np.where(left, start, start + length)
    end = np.where(left, start + length, np.where(inside, np.minimum(length + target, n_hyp), target))
    return first, middle, end


def _sources(width: int, first: IntArray, middle: IntArray, end: IntArray) -> WordArray:
    """``int32[n, width]``: which word stands at each place after the swap."""
    place = np.arange(width, dtype=np.int32)
    low, mid, high = (bound.astype(np.int32)[:, None] for bound in (first, middle, end))
    swapped = np.where(place < low + high - mid, place + mid - low, place - (high - mid))
    return np.where((place >= low) & (place < high), swapped, place)
