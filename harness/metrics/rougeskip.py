"""What ROUGE-S, ROUGE-SU and ROUGE-W count: skip-bigrams and the weighted longest common subsequence (Lin 2004)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.metrics.tokenize import IntArray, Tokens
from harness.types import FloatArray

_AT_ONCE = 1 << 21
"""Skip-bigrams, or cells of the tables, that are held at once."""


def skip_bigrams(tokens: Tokens, skip: int | None, *, unigrams: bool) -> tuple[FloatArray, FloatArray]:
    """Skip-bigrams shared by segments i and n + i, each as often as in both, and how many each segment has.

    ``float64[n], float64[2 n]`` for 2 n segments. A skip-bigram is two words in their order with at most ``skip`` words between
    them (None: any number); with ``unigrams`` single words count as well (ROUGE-SU).
    """
    n = len(tokens.lengths) // 2
    reach = int(tokens.lengths.max(initial=1)) if skip is None else skip + 1
    within = np.minimum(np.maximum(tokens.lengths - 1, 0), reach)
    totals = within * (tokens.lengths - 1) - within * (within - 1) // 2 + unigrams * tokens.lengths
    overlap = np.zeros(n)
    for rows in _blocks(totals[:n] + totals[n:]):
        overlap[rows] = _shared(_pick(tokens, rows, n), reach, unigrams=unigrams)
    return overlap, totals.astype(np.float64)


def weighted_lcs(tokens: Tokens, weight: float) -> FloatArray:
    """Weighted longest common subsequence of segments i and n + i, ``float64[n]`` for 2 n segments.

    A run of k consecutive matches is worth k ** ``weight``; Lin's dynamic programme, which extends a run wherever words match.
    """
    n = len(tokens.lengths) // 2
    worth = np.zeros(n)
    size = tokens.lengths[:n] + tokens.lengths[n:]
    order = np.argsort(size, kind="stable")
    for rows in _blocks(size[order]):
        worth[order[rows]] = _weighted(_pick(tokens, order[rows], n), weight)
    return worth


def _blocks(sizes: IntArray) -> Iterator[IntArray]:
    """Successive rows, so many at a time as fit, at least one."""
    block = np.cumsum(sizes) // _AT_ONCE
    yield from np.split(np.arange(len(sizes)), np.flatnonzero(np.diff(block)) + 1)


def _pick(tokens: Tokens, rows: IntArray, n: int) -> Tokens:
    """The segments of these rows and of their partners."""
    segments = np.concatenate([rows, n + rows])
    lengths = tokens.lengths[segments]
    starts = (np.cumsum(tokens.lengths) - tokens.lengths)[segments]
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return Tokens(tokens.ids[np.repeat(starts, lengths) + within], lengths)


def _shared(tokens: Tokens, reach: int, *, unigrams: bool) -> FloatArray:
    n = len(tokens.lengths) // 2
    segment = np.repeat(np.arange(2 * n), tokens.lengths)
    row, reference = segment % max(n, 1), segment // max(n, 1)
    span = int(tokens.ids.max(initial=0)) + 2
    keys = [((row * span + tokens.ids) * span + span - 1) * 2 + reference] if unigrams else []
    for distance in range(1, min(reach, int(tokens.lengths.max(initial=0)) - 1) + 1):
        first = np.flatnonzero(segment[:-distance] == segment[distance:])
        keys.append(((row[first] * span + tokens.ids[first]) * span + tokens.ids[first + distance]) * 2 + reference[first])
    if not keys:
        return np.zeros(n)
    key = np.sort(np.concatenate(keys))
    starts = np.flatnonzero(np.diff(key >> 1, prepend=-1))
    sizes = np.diff(np.append(starts, len(key)))
    in_reference = np.add.reduceat(key & 1, starts) if len(key) else starts
    shared = np.minimum(in_reference, sizes - in_reference)
    return np.bincount((key[starts] >> 1) // (span * span), weights=shared, minlength=n).astype(np.float64)


def _weighted(tokens: Tokens, weight: float) -> FloatArray:
    """All tables side by side, one antidiagonal after the other: cell (i, d - i) of each is column i of diagonal d."""
    n = len(tokens.lengths) // 2
    xs, ys = tokens.lengths[:n], tokens.lengths[n:]
    x, y = _padded(tokens, 0, n, -1), _padded(tokens, n, 2 * n, -2)[:, ::-1]
    height, width = x.shape[1], y.shape[1]
    gain = np.diff(np.arange(height + 2, dtype=np.float64) ** weight)  # of the (k+1)-th word of a run
    worth = np.zeros(n)
    before, last = np.zeros((n, height + 1)), np.zeros((n, height + 1))
    run_before, run_last = np.zeros((n, height + 1), dtype=np.int64), np.zeros((n, height + 1), dtype=np.int64)
    for d in range(2, height + width + 1):
        low, high = max(1, d - width), min(height, d - 1)  # i runs from low to high, j = d - i
        equal = x[:, low - 1:high] == y[:, width - d + low:width - d + high + 1]
        run, cell = run_before[:, low - 1:high], before[:, low - 1:high]
        now, run_now = np.zeros_like(last), np.zeros_like(run_last)
        now[:, low:high + 1] = np.where(equal, cell + gain[run], np.maximum(last[:, low - 1:high], last[:, low:high + 1]))
        run_now[:, low:high + 1] = np.where(equal, run + 1, 0)
        done = np.flatnonzero((xs + ys == d) & (xs > 0) & (ys > 0))
        worth[done] = now[done, xs[done]]
        before, last, run_before, run_last = last, now, run_last, run_now
    return worth


def _padded(tokens: Tokens, first: int, stop: int, filler: int) -> IntArray:
    """``int64[stop - first, longest]``: the words of each segment."""
    lengths = tokens.lengths[first:stop]
    inside = np.arange(int(lengths.max(initial=0))) < lengths[:, None]
    padded = np.full(inside.shape, filler)
    before = int(tokens.lengths[:first].sum())
    padded[inside] = tokens.ids[before:before + int(lengths.sum())]
    return padded
