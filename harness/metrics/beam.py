"""Edit distance and alignment of one pair of any length within a beam around the diagonal, as sacrebleu's TER has it.

Row by row over the hypothesis, only columns near ``row · reference words / hypothesis words`` are looked at, so that the time
grows with the length and not with its square; a distance may be above the true one where the two hardly resemble.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from harness.metrics.alignment import Alignment, Pairs, WordArray
from harness.metrics.tokenize import IntArray

MAX_MOVE = 50
BEAM = 25
_FAR = 1 << 29
_AT_ONCE = 256


class BeamAligner:
    """Aligns a single pair, both sides with at least one word."""

    def __init__(self, pairs: Pairs) -> None:
        self._n_hyp, self._n_ref = int(pairs.n_hyp[0]), int(pairs.n_ref[0])
        self._hyp, self._ref = pairs.hyp[0, :self._n_hyp], pairs.ref[0, :self._n_ref]

    def align(self) -> Alignment:
        """Distance and alignment: of equally good steps a diagonal one, then one without a reference word."""
        rows = list(self._rows(self._hyp[None]))
        right_hyp, right_ref = np.zeros((1, self._n_hyp), dtype=bool), np.zeros((1, self._n_ref), dtype=bool)
        position = np.empty((1, self._n_ref), dtype=np.int64)
        i, j = self._n_hyp, self._n_ref
        while i > 0 or j > 0:
            here = _value(rows, i, j)
            equal = i > 0 and j > 0 and self._hyp[i - 1] == self._ref[j - 1]
            if i > 0 and j > 0 and here == _value(rows, i - 1, j - 1) + (not equal):
                right_hyp[0, i - 1] = right_ref[0, j - 1] = equal
                position[0, j - 1] = i - 1
                i, j = i - 1, j - 1
            elif i > 0 and here == _value(rows, i - 1, j) + 1:
                i -= 1
            else:
                position[0, j - 1] = i - 1
                j -= 1
        return Alignment(np.array([_value(rows, self._n_hyp, self._n_ref)]), position, right_hyp, right_ref,
                         np.ones(1, dtype=bool))

    def matches(self, rows: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Pair (0), position in the hypothesis and in the reference of equal words at most 50 positions apart."""
        far = np.full(MAX_MOVE, -1)
        near = np.lib.stride_tricks.sliding_window_view(np.concatenate([far, self._ref, far]), 2 * MAX_MOVE + 1)
        hyp, move = np.nonzero(near[:self._n_hyp] == self._hyp[:len(near), None])
        return np.zeros_like(hyp), hyp, hyp + move - MAX_MOVE

    def distances(self, pair: IntArray, source: WordArray) -> IntArray:
        """Distances of rearranged hypotheses; candidate c has word ``source[c, i]`` at position i."""
        distances = [np.empty(0, dtype=np.int64)]
        for start in range(0, len(source), _AT_ONCE):
            *_, (_, last) = self._rows(self._hyp[source[start:start + _AT_ONCE, :self._n_hyp]])
            distances.append(last[:, -1].astype(np.int64))
        return np.concatenate(distances)

    def _rows(self, hyps: WordArray) -> Iterator[tuple[int, NDArray[np.int32]]]:
        """First column and distances of every row of the table, for n hypotheses of equal length: ``int32[n, columns]``."""
        before_first = 0
        before = np.tile(np.arange(self._n_ref + 1, dtype=np.int32), (len(hyps), 1))
        yield before_first, before
        words = np.concatenate([[-2], self._ref])
        for i in range(1, self._n_hyp + 1):
            first, end = self._window(i)
            near = np.full((len(hyps), end - first + 1), _FAR, dtype=np.int32)  # columns first - 1 to end - 1 of the row before
            low, high = max(first - 1, before_first), min(end, before_first + before.shape[1])
            near[:, low - first + 1:high - first + 1] = before[:, low - before_first:high - before_first]
            row = np.minimum(near[:, :-1] + (hyps[:, i - 1, None] != words[first:end]), near[:, 1:] + 1)
            steps = np.arange(end - first, dtype=np.int32)
            before = np.minimum.accumulate(row - steps, axis=1) + steps
            before_first = first
            yield before_first, before

    def _window(self, i: int) -> tuple[int, int]:
        ratio = self._n_ref / self._n_hyp
        width = math.ceil(ratio / 2 + BEAM) if ratio / 2 > BEAM else BEAM
        middle = math.floor(i * ratio)
        end = self._n_ref + 1 if i == self._n_hyp else min(self._n_ref + 1, middle + width)
        return max(0, middle - width), end


def _value(rows: list[tuple[int, NDArray[np.int32]]], i: int, j: int) -> int:
    first, row = rows[i]
    return int(row[0, j - first]) if 0 <= j - first < row.shape[1] else _FAR
