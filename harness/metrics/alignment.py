"""Pairs of word sequences and their alignments, as arrays: what the search for shifts works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.metrics.tokenize import IntArray, Tokens

WordArray: TypeAlias = NDArray[np.int32]
MARGIN = 10
"""Columns of padding, so that a block of that many words may be looked up from any position."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """n hypotheses with their references, words as numbers.

    ``hyp`` : ``int32[n, width + MARGIN]``, -1 after the end; ``ref`` likewise, -2 after the end. ``n_hyp``, ``n_ref`` :
    ``int64[n]`` words.
    """

    hyp: WordArray
    ref: WordArray
    n_hyp: IntArray
    n_ref: IntArray

    @property
    def width(self) -> int:
        """Words of the longest hypothesis."""
        return int(self.hyp.shape[1]) - MARGIN

    def take(self, rows: IntArray) -> Pairs:
        """Some of the pairs, padded no more than they need."""
        n_hyp, n_ref = self.n_hyp[rows], self.n_ref[rows]
        hyp = self.hyp[rows, :int(n_hyp.max(initial=0)) + MARGIN]
        return Pairs(hyp, self.ref[rows, :int(n_ref.max(initial=0)) + MARGIN], n_hyp, n_ref)


@dataclass(frozen=True, slots=True)
class Alignment:
    """``distance`` : ``int64[n]``. ``position`` : ``int64[n, words]``, for each reference word the last position of the
    hypothesis that is used up with it, -1 before the first. ``right_hyp``, ``right_ref`` : which words are aligned with an
    equal one. ``inside`` : ``bool[n]``, whether the alignment keeps to tercom's beam.
    """

    distance: IntArray
    position: IntArray
    right_hyp: NDArray[np.bool_]
    right_ref: NDArray[np.bool_]
    inside: NDArray[np.bool_]


def padded(tokens: Tokens, rows: IntArray, filler: int) -> WordArray:
    """Some segments as rows of one array."""
    lengths = tokens.lengths[rows]
    starts = (np.cumsum(tokens.lengths) - tokens.lengths)[rows]
    table = np.full((len(rows), int(lengths.max(initial=0)) + MARGIN), filler, dtype=np.int32)
    place = np.arange(table.shape[1])
    inside = place < lengths[:, None]
    table[inside] = tokens.ids[(starts[:, None] + place)[inside]]
    return table
