"""Edit distances and alignments of many pairs at once, bit-parallel, for references of at most 64 words.

Myers 1999, "A fast bit-vector algorithm for approximate string matching based on dynamic programming", in the form of Hyyrö
2003. With D the table of the distances of prefixes (rows: the hypothesis, columns: the reference), three words of bits a row
say for every column j: ``same`` D[i][j] = D[i-1][j-1]; ``rise`` D[i][j] = D[i-1][j] + 1; ``match`` the words are equal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.metrics.alignment import Alignment, Pairs, WordArray
from harness.metrics.beam import BEAM
from harness.metrics.tokenize import IntArray

Bits = NDArray[np.uint64]

MAX_REFERENCE = 64
_ONE, _ALL = np.uint64(1), np.uint64(2**64 - 1)
_LOW = np.array([(1 << n) - 1 for n in range(65)], dtype=np.uint64)
_BIT = np.array([0, *(1 << n for n in range(64))], dtype=np.uint64)
_HALVES = [(np.uint64(1 << n), np.uint64((2**64 - 1) // ((1 << (1 << n)) + 1))) for n in range(6)]
"""For n = 0 … 5: 2^n, and the bits of every other group of 2^n, so that neighbouring groups can be added up."""


class BitAligner:
    """Aligns pairs whose references have 1 to 64 words; the pairs come with the longest hypothesis first."""

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs
        width = int(pairs.n_ref.max(initial=0))
        self._equal = pairs.hyp[:, :pairs.width, None] == pairs.ref[:, None, :width]
        packed = np.packbits(self._equal, axis=2, bitorder="little")
        padded = np.zeros((*packed.shape[:2], 8), dtype=np.uint8)
        padded[:, :, :packed.shape[2]] = packed
        self._masks: Bits = padded.view("<u8")[:, :, 0].astype(np.uint64, copy=False)

    def align(self) -> Alignment:
        """Distance and alignment of each pair: of equally good steps a diagonal one, then one without a reference word."""
        pairs, match = self._pairs, np.ascontiguousarray(self._masks.T)
        same, rise = np.zeros_like(match), np.zeros_like(match)
        distance = _distances(match, pairs.n_hyp, pairs.n_ref, same, rise)
        n_ref, counts = pairs.n_ref, _still_going(pairs.n_hyp)
        column = n_ref.copy()
        levels = np.tile(n_ref, (pairs.width, 1))
        right_hyp = np.zeros((len(pairs.n_hyp), pairs.width), dtype=bool)
        right_ref = np.zeros(len(n_ref), dtype=np.uint64)
        for i in range(len(counts) - 1, -1, -1):
            k = counts[i]
            diagonal = match[i, :k] | ~same[i, :k]
            stops = (diagonal | rise[i, :k]) & _LOW[column[:k]]
            # no two ones beside each other: rounding to a float then keeps the highest
            stop = np.frexp((stops & ~(stops >> _ONE)).astype(np.float64))[1]
            bit = _BIT[stop]
            right = match[i, :k] & bit
            right_ref[:k] |= right
            right_hyp[:k, i] = right != 0
            column[:k] = stop - ((diagonal & bit) != 0)
            levels[i, :k] = column[:k]
        return Alignment(distance, _positions(levels, n_ref), right_hyp, _unpacked(right_ref, int(n_ref.max(initial=0))),
                         _inside_beam(levels, pairs.n_hyp, n_ref))

    def matches(self, rows: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Pair, position in the hypothesis and in the reference of all equal words of these pairs."""
        chosen = self._equal[rows]
        cell, ref = np.divmod(np.flatnonzero(chosen), max(chosen.shape[2], 1))
        pair, hyp = np.divmod(cell, max(chosen.shape[1], 1))
        return rows[pair], hyp, ref

    def distances(self, pair: IntArray, source: WordArray) -> IntArray:
        """Distances of rearranged hypotheses; candidate c has word ``source[c, i]`` of ``pair[c]`` at i, and ``pair`` rises."""
        masks = self._masks[pair[:, None], source[:, :self._pairs.width]]
        return _distances(np.ascontiguousarray(masks.T), self._pairs.n_hyp[pair], self._pairs.n_ref[pair])


def _distances(match: Bits, n_hyp: IntArray, n_ref: IntArray, same: Bits | None = None, rise: Bits | None = None) -> IntArray:
    """Distances by pair; ``match[i, p]`` marks the words of reference p equal to word i of hypothesis p; longest first."""
    up, down = np.full(len(n_hyp), _ALL), np.zeros(len(n_hyp), dtype=np.uint64)
    for i, k in enumerate(_still_going(n_hyp)):
        m, p, n = match[i, :k], up[:k], down[:k]
        d0 = (((m & p) + p) ^ p) | m | n
        hp = n | ~(d0 | p)
        hn = p & d0
        if same is not None and rise is not None:
            same[i, :k], rise[i, :k] = d0, hp
        hp = (hp << _ONE) | _ONE
        up[:k] = (hn << _ONE) | ~(d0 | hp)
        down[:k] = hp & d0
    low = _LOW[n_ref]
    return n_hyp + _ones(up & low) - _ones(down & low)


def _still_going(n_hyp: IntArray) -> list[int]:
    """How many hypotheses, longest first, have a word at position 0, 1, …"""
    longest = int(n_hyp.max(initial=0))
    counts: list[int] = np.searchsorted(-n_hyp, -np.arange(longest), side="left").tolist()
    return counts


def _ones(words: Bits) -> IntArray:
    for shift, mask in _HALVES:
        words = (words & mask) + ((words >> shift) & mask)
    return words.astype(np.int64)


def _unpacked(words: Bits, width: int) -> NDArray[np.bool_]:
    octets = words.astype("<u8").view(np.uint8).reshape(len(words), 8)
    return np.unpackbits(octets, axis=1, bitorder="little")[:, :width].astype(bool)


def _positions(levels: IntArray, n_ref: IntArray) -> IntArray:
    """For each reference word the position in the hypothesis at which it is used up, -1 before the first.

    ``levels[i, p]`` are the reference words used up by the first i words of hypothesis p.
    """
    n, width = len(n_ref), int(n_ref.max(initial=0))
    cells = np.bincount((np.arange(n) * (width + 1) + levels).ravel(), minlength=n * (width + 1))
    position: IntArray = np.cumsum(cells.reshape(n, width + 1), axis=1)[:, :width] - 1
    return position


def _inside_beam(levels: IntArray, n_hyp: IntArray, n_ref: IntArray) -> NDArray[np.bool_]:
    """Whether the alignments, ``levels`` as above, keep to the beam (a bit of it: where it is wider is left out)."""
    row = np.arange(len(levels))[:, None] + 1
    middle = np.minimum(np.floor(row * (n_ref / n_hyp)).astype(np.int64), n_ref)
    after = np.concatenate([levels[1:], n_ref[None]])
    inside: NDArray[np.bool_] = np.all((levels >= middle - BEAM) & ((after < middle + BEAM) | (row >= n_hyp)), axis=0)
    return inside
