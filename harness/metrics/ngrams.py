"""Exact counts of shared n-grams, for a whole chunk of segments at a time.

BLEU, chrF and ROUGE-N differ in what a token is and in what they make of the counts; the counting is here, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.metrics.tokenize import IntArray, Tokens
from harness.types import FloatArray


def clipped_matches(tokens: Tokens, rows: IntArray, n_rows: int, max_order: int) -> FloatArray:
    """How many n-grams of each prediction its references have too: ``float64[n_rows, max_order]`` for n = 1..max_order.

    The first ``n_rows`` segments of ``tokens`` are the predictions, row by row, the others are references; ``rows[s]`` is
    the row of segment ``s``. An n-gram counts at most as often as in the reference that has it most often (Papineni et al.
    2002). n-grams are compared by number, never by hash: the counts are exact.
    """
    bits = (int(tokens.ids.max(initial=0)) + 2).bit_length()
    fits = n_rows.bit_length() + max_order * bits + 1 <= 63
    if fits and len(tokens.ids) and np.array_equal(rows[n_rows:], rows[:n_rows]):
        return _pair_matches(tokens, n_rows, max_order, bits)
    return _row_matches(tokens, rows, n_rows, max_order)


def ngram_totals(lengths: IntArray, max_order: int) -> FloatArray:
    """How many n-grams segments of these lengths have: ``float64[n, max_order]``."""
    totals: FloatArray = np.maximum(lengths[:, None] - np.arange(max_order), 0).astype(np.float64)
    return totals


Int32s: TypeAlias = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class SharedNgrams:
    """The n-grams that at least two texts have.

    ``orders`` : for n = 1, 2, … a row for each n-gram and each text that has it, as columns: n-gram, text, count; sorted by
    n-gram and inside of one by count, highest first. ``lengths`` : tokens of each text.
    """

    orders: tuple[tuple[Int32s, Int32s, Int32s], ...]
    lengths: IntArray

    def matches(self, texts: IntArray) -> FloatArray:
        """How many n-grams of each of these texts the others of them have too: ``float64[len(texts), orders]``.

        An n-gram counts at most as often as in the other text that has it most often: the two highest counts of each n-gram
        tell that for every text, however many there are. ``texts`` are numbers, each once.
        """
        number = np.full(len(self.lengths), -1, dtype=np.int32)
        number[texts] = np.arange(len(texts))
        counts = np.empty((len(texts), len(self.orders)))
        for i, (ngram, text, count) in enumerate(self.orders):
            kept = np.flatnonzero(number[text] >= 0)
            ngram, count = ngram[kept], count[kept]
            starts, sizes = _groups(ngram)
            others = np.repeat(count[starts], sizes)
            second = np.append(count, 0)[starts + 1]
            others[starts] = np.where(sizes > 1, second, 0)
            np.minimum(count, others, out=count)
            counts[:, i] = np.bincount(number[text[kept]], count, len(texts))
        return counts


def shared_ngrams(tokens: Tokens, max_order: int) -> SharedNgrams:
    """The n-grams of order 1 to ``max_order`` that at least two segments have."""
    text = np.repeat(np.arange(len(tokens.lengths), dtype=np.int32), tokens.lengths)
    span = int(tokens.ids.max(initial=0)) + 1
    positions, keys = np.arange(len(text)), tokens.ids
    orders: list[tuple[Int32s, Int32s, Int32s]] = []
    for order in range(1, max_order + 1):
        keys, positions = sorted_together(keys, positions)
        starts, sizes = _groups(keys)
        rows, shared = _shared_runs(text[positions], starts)
        orders.append(rows)
        code = _codes(positions, sizes, shared, len(text))
        positions = np.flatnonzero((code[:-1] >= 0) & (code[1:] >= 0) & np.append(text[:-1] == text[1:], False))
        keys = code[positions] * span + tokens.ids[positions + order]
    return SharedNgrams(tuple(orders), tokens.lengths)


def _shared_runs(text: Int32s, starts: IntArray) -> tuple[tuple[Int32s, Int32s, Int32s], NDArray[np.bool_]]:
    """Of the n-grams that several texts have: n-gram, text and count, highest count first; and which n-grams those are.

    ``text`` is the text of each occurrence, ascending inside of one n-gram; n-gram i's start at ``starts[i]``.
    """
    bound = np.append(text[1:] != text[:-1], True)[:len(text)]
    bound[starts[1:] - 1] = True
    last = np.flatnonzero(bound)
    count = np.diff(last, prepend=-1).astype(np.int32)
    ngram = (np.searchsorted(starts, last, side="right") - 1).astype(np.int32)
    shared = np.bincount(ngram, minlength=len(starts)) > 1
    kept = np.flatnonzero(shared[ngram])
    if count[kept].max(initial=1) > 1:
        kept = kept[np.lexsort((-count[kept], ngram[kept]))]
    return (ngram[kept], text[last[kept]], count[kept]), shared


# ── one reference a row, and few enough different tokens ────────────────────────────────────────────────────────────


def _pair_matches(tokens: Tokens, n: int, max_order: int, bits: int) -> FloatArray:
    """One sort for all orders: in an array sorted by (row, n-gram of the highest order) every shorter n-gram is a run too.

    A run of an order is where the leading fields of the keys are equal; the lowest bit of a key tells a reference's.
    """
    keys = _packed(tokens, n, max_order, bits)
    keys.sort()
    differ = keys[1:] ^ keys[:-1]
    referenced = np.zeros(len(keys) + 1, dtype=np.int64)
    np.cumsum(keys & 1, out=referenced[1:])
    row_ends = np.cumsum(tokens.lengths[:n] + tokens.lengths[n:])
    bound = np.ones(len(keys) + 1, dtype=bool)
    counts = np.zeros((n, max_order))
    for order in range(1, max_order + 1):
        np.greater_equal(differ, 1 << (1 + bits * (max_order - order)), out=bound[1:-1])
        edges = np.flatnonzero(bound[:-1] != bound[1:])  # start, last, start, last, … of the runs of two and more
        edges[1::2] += 1
        before = referenced[edges]
        in_reference = before[1::2] - before[::2]
        matched = np.append(0, np.cumsum(np.minimum(in_reference, edges[1::2] - edges[::2] - in_reference)))
        counts[:, order - 1] = np.diff(matched[np.searchsorted(edges[::2], row_ends)], prepend=0)
    return counts


def _packed(tokens: Tokens, n: int, max_order: int, bits: int) -> IntArray:
    """For each token a number of fields, high to low: row, this token and those that follow, 1 in a reference.

    Tokens count from 1. What follows the last token of a segment is 0 in a prediction and the highest number in a
    reference, so that n-grams that are cut short never match.
    """
    numbers = tokens.ids + 1
    keys = numbers.copy()
    for ahead in range(1, max_order):
        keys <<= bits
        keys[:-ahead] |= numbers[ahead:]
    ends = np.cumsum(tokens.lengths)
    for left in range(1, max_order):
        beyond = (1 << bits * (max_order - left)) - 1
        cut_short = ends - left
        keys[cut_short[:n][tokens.lengths[:n] >= left]] &= ~beyond
        keys[cut_short[n:][tokens.lengths[n:] >= left]] |= beyond
    keys <<= 1
    keys[int(tokens.lengths[:n].sum()):] |= 1
    keys |= np.repeat(np.tile(np.arange(n, dtype=np.int64) << (max_order * bits + 1), 2), tokens.lengths)
    return keys


# ── any number of references and of tokens ──────────────────────────────────────────────────────────────────────────


def _row_matches(tokens: Tokens, rows: IntArray, n_rows: int, max_order: int) -> FloatArray:
    """An n-gram can only be shared where both of its (n-1)-grams are: every order looks at the survivors of the one before."""
    counts = np.zeros((n_rows, max_order))
    segment = np.repeat(np.arange(len(tokens.lengths)), tokens.lengths)
    row = rows[segment]
    n_predicted = int(tokens.lengths[:n_rows].sum())
    span = int(tokens.ids.max(initial=0)) + 1
    has_next = np.append(segment[:-1] == segment[1:], False)
    positions = np.arange(len(segment))
    keys = row * span + tokens.ids
    for order in range(1, max_order + 1):
        keys, positions = sorted_together(keys, positions)
        starts, sizes = _groups(keys)
        matched = _matched(positions, starts, sizes, n_predicted, segment, single=len(rows) == 2 * n_rows)
        counts[:, order - 1] = np.bincount(row[positions[starts]], weights=matched, minlength=n_rows)
        if order < max_order:
            code = _codes(positions, sizes, matched > 0, len(segment))
            positions = np.flatnonzero((code[:-1] >= 0) & (code[1:] >= 0) & has_next)
            keys = code[positions] * span + tokens.ids[positions + order]
    return counts


def sorted_together(keys: IntArray, positions: IntArray) -> tuple[IntArray, IntArray]:
    """Both sorted by key, then by position. ``positions`` ascend."""
    if len(keys) == 0:
        return keys, positions
    bits = int(positions[-1]).bit_length()
    if int(keys.max()).bit_length() + bits <= 63:  # one sort of plain integers is several times faster than an argsort
        packed = np.sort((keys << bits) | positions)
        return packed >> bits, packed & ((1 << bits) - 1)
    order = np.argsort(keys, kind="stable")
    return keys[order], positions[order]


def _groups(keys: IntArray | Int32s) -> tuple[IntArray, IntArray]:
    """Where each run of equal keys starts, and how long it is."""
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    return starts, np.diff(np.append(starts, len(keys)))


def _matched(positions: IntArray, starts: IntArray, sizes: IntArray, n_predicted: int, segment: IntArray, *,
             single: bool) -> IntArray:
    """For each group of one row's equal n-grams: min(in the prediction, most in any one reference)."""
    if len(starts) == 0:
        return np.zeros(0, dtype=np.int64)
    predicted = np.add.reduceat((positions < n_predicted).astype(np.int64), starts)
    if single:
        return np.minimum(predicted, sizes - predicted)
    group = np.repeat(np.arange(len(starts)), sizes)
    runs, run_sizes = _groups(group * (int(segment[-1]) + 1) + segment[positions])
    in_reference = np.where(positions[runs] < n_predicted, 0, run_sizes)
    most: IntArray = np.maximum.reduceat(in_reference, np.searchsorted(runs, starts))
    return np.minimum(predicted, most)


def _codes(positions: IntArray, sizes: IntArray, shared: NDArray[np.bool_], n: int) -> IntArray:
    """For each token the number of the shared n-gram that starts there, or -1; one more -1 at the end."""
    code = np.full(n + 1, -1)
    code[positions] = np.repeat(np.where(shared, np.arange(len(sizes)), -1), sizes)
    return code
