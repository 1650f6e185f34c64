"""Several token sequences in one row of a batch: tokens that they begin with together stand there, and are computed, once.

A row is a trie of its sequences; each token has the position that it has in its sequence, and a 4-D attention mask lets it
see itself and the tokens before it in that sequence, nothing else. What all rows begin with may have been read before: the
row's sequences then are what remains of each, and every token sees all of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_BRANCHES = 512
"""Tokens that a row may have beyond its longest sequence: attention costs the square of a row's length."""

_TURN = 2048
"""The length at which attention costs as much as the rest of a layer, about six times the width of a model's states: here that
of a small model, so that a larger one gains more by sharing than is counted on."""

_FILL = 256
"""Rows up to this length take in whatever fits: less padding for little more attention."""

_OPEN = 32
"""So many of the last rows are looked at for one that has room."""

_WINDOWS = ("sliding_window", "attention_chunk_size", "attention_window_size", "window_size")
"""Names in configurations for how far back a layer looks. A 4-D mask replaces the window in some architectures, and others
measure it along the row, so that a row must be no longer than the shortest."""


@dataclass(slots=True)
class Row:
    """Token sequences in one row. ``places[k][j]``: where token j of sequence k stands in ``tokens``.

    ``members[k]``: the number of that sequence among all that were put into rows.
    """

    tokens: list[int] = field(default_factory=list)
    places: list[list[int]] = field(default_factory=list)
    members: list[int] = field(default_factory=list)
    _children: dict[tuple[int, int], int] = field(default_factory=dict, repr=False)
    _longest: int = 0

    def __len__(self) -> int:
        return len(self.tokens)

    def add(self, sequence: Sequence[int], member: int) -> None:
        """Put a sequence in: along the tokens that are there already as far as they agree, then as a branch of its own."""
        place, places = -1, []
        for token in sequence:
            place = self._children.setdefault((place, token), len(self.tokens))
            if place == len(self.tokens):
                self.tokens.append(token)
            places.append(place)
        self.places.append(places)
        self.members.append(member)
        self._longest = max(self._longest, len(sequence))

    def shared(self, sequence: Sequence[int]) -> int:
        """How many of the sequence's tokens, from the first on, the row holds already."""
        place = -1
        for index, token in enumerate(sequence):
            if (place, token) not in self._children:
                return index
            place = self._children[place, token]
        return len(sequence)

    def takes(self, length: int, added: int, limits: Limits, longest: int) -> bool:
        """Whether ``added`` tokens may come in, of sequences that by themselves are ``length`` tokens, ``longest`` at most."""
        after = len(self) + added
        if after > limits.of_row(max(self._longest, longest)):
            return False
        # Longer than the others, a row makes all of them longer: only for what is there already for the most part.
        return after <= _FILL or (2 * added < length and limits.work(after) < limits.work(len(self)) + limits.work(length))


@dataclass(frozen=True, slots=True)
class Limits:
    """How long rows may become.

    ``budget``: padded tokens of a batch, kept to as long as each sequence by itself does. ``widest``: tokens of a row of
    several sequences; 0 where each must have a row of its own. ``past``: tokens that have been read before every row, which
    count in ``widest``.
    """

    budget: int
    widest: int
    past: int = 0

    def of_row(self, longest: int) -> int:
        """The most tokens that a row may have whose longest sequence has ``longest``."""
        # Where one sequence alone breaks the budget, branches may take another budget: apart, each would break it again.
        spare = self.budget - longest if longest <= self.budget else self.budget
        return min(longest + min(_BRANCHES, spare), self.widest - self.past)

    def work(self, length: int) -> float:
        """What a row costs, in tokens without attention."""
        return length * (1 + (length + self.past) / _TURN)


def rows_of(groups: Sequence[Sequence[Sequence[int]]], limits: Limits) -> list[Row]:
    """Rows that hold the sequences, together where that is less work than apart.

    A group is the sequences of one request, which stay together in a row if they fit; if not, its rows hold nothing else.
    Groups join the row that holds most of their beginning, so that it is best if neighbours begin alike. Sequences are
    numbered through all groups.
    """
    rows: list[Row] = []
    open_rows: list[Row] = []
    member = 0
    for group in groups:
        pieces = _pieces(group, member, limits)
        member += len(group)
        row = _roomiest(open_rows[-_OPEN:], pieces[0], group[0], limits) if len(pieces) == 1 else None
        if row is None:
            rows += pieces
            open_rows += pieces if len(pieces) == 1 else []
        else:
            for sequence, number in zip(group, pieces[0].members):
                row.add(sequence, number)
    return rows


def _pieces(group: Sequence[Sequence[int]], member: int, limits: Limits) -> list[Row]:
    rows: list[Row] = []
    for sequence in group:
        length = len(sequence)
        if not rows or not rows[-1].takes(length, length - rows[-1].shared(sequence), limits, length):
            rows.append(Row())
        rows[-1].add(sequence, member)
        member += 1
    return rows


def _roomiest(rows: Sequence[Row], piece: Row, first: Sequence[int], limits: Limits) -> Row | None:
    """The row that a piece adds least to, and of those the fullest; None if none may take it."""
    best, least = None, (0, 0)
    for row in rows:
        # More may be shared, by other sequences of the piece than its first; the row only comes out shorter.
        added = len(piece) - row.shared(first)
        if row.takes(len(piece), added, limits, piece._longest) and (best is None or (added, -len(row)) < least):
            best, least = row, (added, -len(row))
    return best


def model_inputs(rows: Sequence[Row], dtype: Any, device: Any, past: int = 0) -> dict[str, Any]:
    """``input_ids`` and ``position_ids``, ``int64[rows, widest]``, and ``attention_mask``,
    ``dtype[rows, 1, widest, past + widest]``.

    The mask is added to the attention scores: 0 where a token may look, the lowest number of ``dtype`` where not. That is
    read alike by every attention that takes a 4-D mask at all. Padding stands on the right and sees itself and the past.
    """
    import torch

    width = max(map(len, rows))
    ids, positions = np.zeros((2, len(rows), width), dtype=np.int64)
    visible = np.zeros((len(rows), width, past + width), dtype=bool)
    visible[:, :, :past] = True
    visible[:, range(width), range(past, past + width)] = True
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row.tokens
        for places in row.places:
            positions[index, places] = np.arange(len(places))
            visible[index][np.ix_(places, [past + place for place in places])] |= np.tri(len(places), dtype=bool)
    mask = torch.zeros(visible.shape, dtype=dtype, device=device)
    mask.masked_fill_(torch.from_numpy(~visible).to(device), torch.finfo(dtype).min)
    return {"input_ids": torch.from_numpy(ids).to(device), "position_ids": torch.from_numpy(positions + past).to(device),
            "attention_mask": mask[:, None]}


def shortest_window(config: Any) -> int | None:
    """The fewest tokens that a layer of this model looks back over, None where every layer sees all."""
    windows = [value for value in (getattr(config.get_text_config(), name, None) for name in _WINDOWS)
               if isinstance(value, int) and value > 0]
    return min(windows, default=None)
