"""Which requests stand together in a batch: those that begin alike are neighbours, and what they share is computed once.

Two things share: a row, which holds common tokens of its sequences once (``packing``), and a stem, which is read once before
all rows of a batch and whose states stay for the next batch (``prefixes``). Which it is follows from the sequences alone.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import TypeAlias

from harness.models.devices import pack
from harness.models.packing import Limits, Row, rows_of
from harness.models.prefixes import common

TokenPair: TypeAlias = tuple[Sequence[int], Sequence[int]]
"""Context ids (at least one) and the ids that are scored after it (at least one)."""

_SHORTEST_STEM = 32
"""Fewer tokens are not worth a pass of their own."""

_PASS = 16
"""A pass of its own costs as much as this part of a full batch: it must save more tokens than that."""

_ROW = 256
"""Tokens in a row, to say how many rows would read a stem again."""

_KEPT = 4
"""Keys and values of the stem are copied for every row: so many budgets of them, with the rows' own, are in a batch at most."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests that are scored together: ``groups`` are their numbers.

    ``rows[i]``: which sequences row i holds, numbered through ``groups`` in that order. ``stem``: how many tokens all of them
    begin with that are read before the rows.
    """

    groups: tuple[int, ...]
    rows: tuple[tuple[int, ...], ...]
    stem: int = 0


def read(pair: TokenPair) -> array[int]:
    """What the model reads of a pair: the last token is only predicted."""
    context, continuation = pair
    return array("i", context) + array("i", continuation[:-1])


def arrange(groups: Sequence[Sequence[TokenPair]], budget: int, widest: int, *, stems: bool) -> list[Batch]:
    """Batches of the requests whose pairs these are, one group each; a group without pairs is in a batch, but in no row.

    ``widest``: the most tokens that a row of several sequences may have, a stem included (0: a row each). A batch keeps to
    ``budget`` padded tokens, as long as each of its groups does. ``stems``: whether the model can read a stem first.
    """
    reads = [[read(pair) for pair in group] for group in groups]
    paths = [_path(group, sequences) for group, sequences in zip(groups, reads)]
    order = sorted(range(len(groups)), key=lambda index: paths[index])
    batches: list[Batch] = []
    for stem, places in _stems([paths[i] for i in order], [_size(reads[i]) for i in order], budget if stems else None):
        members = [order[place] for place in places]
        rows = rows_of([[sequence[stem:] for sequence in reads[i]] for i in members], Limits(budget, widest, stem))
        owners = [i for i in members for _ in reads[i]]
        batches += _batches(rows, owners, stem, budget)
    empty = tuple(index for index, group in enumerate(groups) if not group)
    return [*batches, Batch(empty, ())] if empty else batches


def width(length: int, stem: int) -> int:
    """What a row counts as in the budget of a batch: its tokens, or what its keys and values with the stem's take."""
    return max(length, -(-(length + stem) // _KEPT))


def _batches(rows: Sequence[Row], owners: Sequence[int], stem: int, budget: int) -> list[Batch]:
    """Rows put into batches. A row may hold several groups, or a group have several rows, which stay in one batch.

    ``owners[n]``: the group of sequence n; those of a group are neighbours.
    """
    items: list[tuple[list[int], list[Row]]] = []
    for row in rows:
        groups = list(dict.fromkeys(owners[member] for member in row.members))
        if items and items[-1][0] == groups:
            items[-1][1].append(row)
        else:
            items.append((groups, [row]))
    widths = [width(max(map(len, many)), stem) for _, many in items]
    firsts = dict(zip(reversed(owners), range(len(owners) - 1, -1, -1)))
    counts = Counter(owners)
    batches = []
    for batch in pack(widths, [len(many) for _, many in items], budget):
        groups = list(chain.from_iterable(items[i][0] for i in batch))
        starts = dict(zip(groups, chain([0], accumulate(counts[group] for group in groups))))
        held = (row for i in batch for row in items[i][1])
        batches.append(Batch(tuple(groups), tuple(
            tuple(starts[owners[member]] + member - firsts[owners[member]] for member in row.members) for row in held), stem))
    return batches


# ── stems ──


def _path(group: Sequence[TokenPair], reads: Sequence[array[int]]) -> array[int]:
    """The tokens that all sequences of a group begin with and no score is made at: what a stem may take."""
    if not reads:
        return array("i")
    shared = min([len(context) - 1 for context, _ in group] + [common(reads[0], other) for other in reads[1:]])
    return reads[0][:shared]


def _size(reads: Sequence[array[int]]) -> int:
    """The tokens of a group, with common beginnings counted once."""
    ordered = sorted(reads)
    return sum(map(len, ordered)) - sum(common(a, b) for a, b in pairwise(ordered))


def _stems(paths: Sequence[array[int]], sizes: Sequence[int], budget: int | None) -> list[tuple[int, list[int]]]:
    """The length of the stem and the places of the groups that are read after it, for paths in their order."""
    if budget is None or not paths:
        return [(0, list(range(len(paths))))]
    alike = [0, *(common(a, b) for a, b in pairwise(paths))]
    # Tokens of the groups up to each, with what a path shares with the one before it counted once.
    totals = [0, *accumulate(size - shared for size, shared in zip(sizes, alike))]
    root: tuple[int, list[int]] = (0, [])
    found = [root]
    waiting = [(0, len(paths), root)]
    while waiting:
        first, end, above = waiting.pop()
        depth = len(paths[first]) if end - first == 1 else common(paths[first], paths[end - 1])
        tokens = totals[end] - totals[first] + alike[first] - depth
        stem = above
        if _pays(depth - above[0], tokens, budget):
            stem = (depth, [])
            found.append(stem)
        bounds = [first, *(i for i in range(first + 1, end) if alike[i] == depth), end]
        for low, high in pairwise(bounds):
            within = totals[high] - totals[low] + alike[low] - stem[0]
            # A part in which no stem could pay for itself is not looked into.
            if high - low < end - first and _pays(_SHORTEST_STEM, within, 0):
                waiting.append((low, high, stem))
            else:
                stem[1].extend(range(low, high))
    return sorted(((depth, sorted(places)) for depth, places in found if places), key=lambda one: one[1][0])


def _pays(depth: int, tokens: int, budget: int) -> bool:
    """Whether ``depth`` tokens should be read once for all, before rows of ``tokens`` tokens in all."""
    again = -(-tokens // _ROW) - 1
    return depth >= _SHORTEST_STEM and again * depth > budget // _PASS
