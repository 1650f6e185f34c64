"""Longest common subsequences of many pairs of texts at once: their lengths, and the union of lines' that ROUGE-Lsum counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.metrics.ngrams import clipped_matches
from harness.metrics.tokenize import IntArray, Tokens
from harness.types import FloatArray

Bits: TypeAlias = NDArray[np.uint64]

_WORD = 64
"""Positions that a machine word has a bit for; longer lines are worked out one by one."""
_ONE = np.uint64(1)
_CELLS = 1 << 22
"""Words of references times words of predictions that are worked on at once."""


def lcs_lengths(tokens: Tokens) -> FloatArray:
    """Length of the longest common subsequence of segments i and n + i, ``float64[n]`` for 2 n segments."""
    from rapidfuzz.distance import LCSseq
    from rapidfuzz.process import cpdist

    texts = _as_sequences(tokens)
    n = len(texts) // 2
    lengths: NDArray[Any] = cpdist(texts[:n], texts[n:], scorer=LCSseq.similarity, dtype=np.int64)
    return lengths.astype(np.float64)


def union_lcs_matches(tokens: Tokens, lines: IntArray, lengths: FloatArray) -> FloatArray:
    """Words of each reference that ROUGE-Lsum counts as found in the prediction, ``float64[n]``.

    ``tokens`` : 2 n texts, the predictions first; ``lines`` : the line of each word. For each line of the reference the
    positions of its longest common subsequences with all lines of the prediction are united, and a word counts no more often
    than the prediction has it. Of one line with one line that is the ``lengths`` of :func:`lcs_lengths`.

    Of several subsequences of the greatest length it is the one that rouge-score reads out of its table.
    """
    n = len(tokens.lengths) // 2
    text = np.repeat(np.arange(2 * n), tokens.lengths)
    n_lines = np.bincount(text[np.flatnonzero(np.diff(lines, prepend=-1))], minlength=2 * n)
    several = np.maximum(n_lines[:n], n_lines[n:]) > 1
    cells = np.cumsum(np.where(several, tokens.lengths[:n] * tokens.lengths[n:], 0))
    found = np.zeros(len(text), dtype=np.bool_)
    for rows in np.split(np.arange(n), np.flatnonzero(np.diff(cells // _CELLS)) + 1):
        chosen = np.zeros(n, dtype=np.bool_)
        chosen[rows] = several[rows]
        there = np.flatnonzero(np.repeat(np.tile(chosen, 2), tokens.lengths))
        if len(there):
            found[there] = _found(_lines(tokens.ids[there], lines[there], text[there], n))
    kept = (text < n) | found
    words = Tokens(tokens.ids[kept], np.bincount(text[kept], minlength=2 * n))
    matches = clipped_matches(words, np.tile(np.arange(n), 2), n, 1)[:, 0]
    return np.where(several, matches, lengths)


def _as_sequences(tokens: Tokens) -> list[Any]:
    """Each segment as a string with one character a token, which rapidfuzz compares fastest (lists beyond Unicode's range)."""
    ends = np.cumsum(tokens.lengths)
    bounds = zip((ends - tokens.lengths).tolist(), ends.tolist())
    if tokens.ids.max(initial=0) > 0x10FFFF:
        return [tokens.ids[start:end].tolist() for start, end in bounds]
    letters = tokens.ids.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
    return [letters[start:end] for start, end in bounds]


# ── lines against lines ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Lines:
    """Lines with at least one word, those of predictions first. For each word: what it is, where. For each line: the rest."""

    ids: IntArray
    line: IntArray
    position: IntArray
    starts: IntArray
    lengths: IntArray
    row: IntArray
    n_predicted: int


def _lines(ids: IntArray, lines: IntArray, text: IntArray, n: int) -> _Lines:
    starts = np.flatnonzero(np.diff(lines, prepend=-1))
    lengths = np.diff(np.append(starts, len(ids)))
    line = np.repeat(np.arange(len(starts)), lengths)
    of_text = text[starts]
    return _Lines(ids, line, np.arange(len(ids)) - starts[line], starts, lengths, of_text % n, int((of_text < n).sum()))


def _found(table: _Lines) -> NDArray[np.bool_]:
    """Which words of the references are in a common subsequence of their line with any line of the prediction."""
    united = np.zeros(len(table.starts), dtype=np.uint64)
    short = table.lengths <= _WORD
    reference = table.n_predicted + np.flatnonzero(short[table.n_predicted:])
    predicted = table.row[:table.n_predicted]
    first = np.searchsorted(predicted, table.row[reference], side="left")
    counts = np.searchsorted(predicted, table.row[reference], side="right") - first
    if counts.any():
        combined = _Combined(reference, first, counts)
        np.bitwise_or.at(united, np.repeat(reference, counts), _machine_word_lcs(table, combined))
    in_word = np.minimum(table.position, _WORD - 1).astype(np.uint64)
    found = (united[table.line] >> in_word & _ONE).astype(np.bool_) & short[table.line]
    for line in (table.n_predicted + np.flatnonzero(~short[table.n_predicted:])).tolist():
        for other in np.flatnonzero(predicted == table.row[line]).tolist():
            bits = _one_lcs(_line(table, line), _line(table, other))
            found[table.starts[line] + np.array(_bits(bits), dtype=np.int64)] = True
    return found


def _line(table: _Lines, line: int) -> list[int]:
    words: list[int] = table.ids[table.starts[line]:table.starts[line] + table.lengths[line]].tolist()
    return words


@dataclass(frozen=True, slots=True)
class _Combined:
    """Line ``reference[k]`` with each of the lines ``first[k] … first[k] + counts[k] - 1`` of its prediction."""

    reference: IntArray
    first: IntArray
    counts: IntArray


def _machine_word_lcs(table: _Lines, combined: _Combined) -> Bits:
    """For each combination the positions (bits) of the reference's line that :func:`_one_lcs` has, all side by side.

    Words of the prediction's lines are taken one after the other, the combinations with the longest lines first.
    """
    lengths = table.lengths[_expanded(combined.first, combined.counts)]
    order = np.argsort(-lengths, kind="stable")
    active = np.searchsorted(-lengths[order], -np.arange(int(lengths.max())), side="left")  # how many have a word j
    ends = np.cumsum(active)
    matches = np.split(_match_bits(table, combined, order, ends - active, int(ends[-1])), ends[:-1])
    level, rises = np.full(len(order), ~np.uint64(0)), []
    for match in matches:
        now = level[:len(match)]
        common = now & match
        level[:len(match)] = (now + common) | (now - common)
        rises.append(~now)
    size = np.repeat(table.lengths[combined.reference], combined.counts)[order].astype(np.uint64)
    below, chosen = ~np.uint64(0) >> (np.uint64(_WORD) - size), np.zeros(len(order), dtype=np.uint64)
    for match, rise in zip(reversed(matches), reversed(rises)):
        under = _filled((match | rise) & below[:len(match)])
        taken = under & ~(under >> _ONE) & match
        chosen[:len(match)] |= taken
        below[:len(match)] = under ^ taken
    bits = np.empty_like(chosen)
    bits[order] = chosen
    return bits


def _match_bits(table: _Lines, combined: _Combined, order: IntArray, offsets: IntArray, size: int) -> Bits:
    """The positions of the reference's line that equal word j of the prediction's, at ``offsets[j]`` + rank of combination."""
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    base = np.zeros(len(table.starts), dtype=np.int64)  # combination of a reference's line with line 0
    base[combined.reference] = np.cumsum(combined.counts) - combined.counts - combined.first
    in_prediction, in_reference = _equal_words(table)
    line = table.line[in_reference]
    index = offsets[table.position[in_prediction]] + rank[base[line] + table.line[in_prediction]]
    matches = np.zeros(size, dtype=np.uint64)
    np.bitwise_or.at(matches, index, _ONE << table.position[in_reference].astype(np.uint64))
    return matches


def _equal_words(table: _Lines) -> tuple[IntArray, IntArray]:
    """All pairs of a word in a prediction and an equal one in a line of its reference that fits into a machine word."""
    words = np.flatnonzero((table.lengths <= _WORD)[table.line] | (table.line < table.n_predicted))
    bits = len(table.ids).bit_length()
    group = table.row[table.line[words]] * (int(table.ids.max()) + 1) + table.ids[words]
    packed = np.sort(group << bits | words)
    group, words = packed >> bits, packed & ((1 << bits) - 1)
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    sizes = np.diff(np.append(starts, len(words)))
    theirs = np.add.reduceat((table.line[words] >= table.n_predicted).astype(np.int64), starts)
    ours, count = sizes - theirs, (sizes - theirs) * theirs
    within = _expanded(np.zeros_like(count), count)
    theirs, first = np.repeat(theirs, count), np.repeat(starts, count)
    return words[first + within // theirs], words[first + np.repeat(ours, count) + within % theirs]


def _expanded(first: IntArray, counts: IntArray) -> IntArray:
    """``first[k], first[k] + 1, …``, so many as ``counts[k]``, for one k after the other."""
    return np.arange(int(counts.sum())) + np.repeat(first - np.cumsum(counts) + counts, counts)


def _filled(bits: Bits) -> Bits:
    """All bits up to the highest one of each."""
    for shift in (1, 2, 4, 8, 16, 32):
        bits = bits | bits >> np.uint64(shift)
    return bits


# ── one line against one line ───────────────────────────────────────────────────────────────────────────────────────


def _one_lcs(sentence: Sequence[int], other: Sequence[int]) -> int:
    """Positions (bits) of the longest common subsequence that rouge-score reads out of its table; there may be others.

    With L[i][j] the table, bit i - 1 of ``rises[j - 1]`` says that L[i][j] > L[i-1][j] (bit-parallel, Hyyrö 2004). From (i, j)
    rouge-score steps to (i-1, j-1) on a match, to (i, j-1) if L[i][j-1] > L[i-1][j], which without a match is the same as a
    rise, and else to (i-1, j): hence for each j only the highest position with a match or a rise matters.
    """
    where: dict[int, int] = {}
    for position, token in enumerate(sentence):
        where[token] = where.get(token, 0) | 1 << position
    matches = [where.get(token, 0) for token in other]
    full = (1 << len(sentence)) - 1
    level, rises = full, []
    for match in matches:
        common = level & match
        level = ((level + common) | (level - common)) & full
        rises.append(full & ~level)
    chosen, below = 0, full
    for match, rise in zip(reversed(matches), reversed(rises)):
        top = ((match | rise) & below).bit_length()
        below = (1 << top) - 1
        if top and match >> (top - 1) & 1:
            chosen |= 1 << (top - 1)
            below >>= 1
    return chosen


def _bits(mask: int) -> list[int]:
    """The positions of the ones, lowest first."""
    positions = []
    while mask:
        lowest = mask & -mask
        positions.append(lowest.bit_length() - 1)
        mask ^= lowest
    return positions
