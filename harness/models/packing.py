"""Several token sequences in one row of a batch: tokens that they begin with together stand there, and are computed, once.

A row is a trie of its sequences; each token has the position that it has in its sequence, and a 4-D attention mask lets it
see itself and the tokens before it in that sequence, nothing else.
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
"""Rows up to this length take in whatever comes next: less padding for little more attention."""

_WINDOWS = ("sliding_window", "attention_chunk_size", "attention_window_size", "window_size")
"""Names in configurations for how far back a layer looks. A 4-D mask replaces the window in some architectures, and others
measure it along the row, so that a row must be no longer than the shortest."""


@dataclass(slots=True)
class Row:
    """Token sequences in one row. ``places[k][j]``: where token j of sequence k stands in ``tokens``."""

    tokens: list[int] = field(default_factory=list)
    places: list[list[int]] = field(default_factory=list)
    _children: dict[tuple[int, int], int] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.tokens)

    def add(self, sequence: Sequence[int]) -> None:
        """Put a sequence in: along the tokens that are there already as far as they agree, then as a branch of its own."""
        place, places = -1, []
        for token in sequence:
            place = self._children.setdefault((place, token), len(self.tokens))
            if place == len(self.tokens):
                self.tokens.append(token)
            places.append(place)
        self.places.append(places)

    def missing(self, sequence: Sequence[int]) -> int:
        """How many tokens the row would grow by, were this sequence added."""
        place = -1
        for index, token in enumerate(sequence):
            if (place, token) not in self._children:
                return len(sequence) - index
            place = self._children[place, token]
        return 0


def rows_of(sequences: Sequence[Sequence[int]], budget: int, widest: int) -> list[Row]:
    """Rows that hold the sequences in their order, together where that is less work than apart.

    A row of several has at most ``widest`` tokens and keeps to ``budget`` as long as each sequence by itself does. With a
    ``widest`` of 0 every sequence has a row of its own.
    """
    rows: list[Row] = []
    longest = 0
    for sequence in sequences:
        longest = max(longest, len(sequence))
        if not rows or not _joins(rows[-1], sequence, _limit(longest, budget, widest)):
            rows.append(Row())
            longest = len(sequence)
        rows[-1].add(sequence)
    return rows


def _limit(longest: int, budget: int, widest: int) -> int:
    # Where one sequence alone breaks the budget, branches may take another budget: apart, each would break it again.
    spare = budget - longest if longest <= budget else budget
    return min(longest + min(_BRANCHES, spare), widest)


def _joins(row: Row, sequence: Sequence[int], limit: int) -> bool:
    length = len(row) + row.missing(sequence)
    return length <= limit and (length <= _FILL or _work(length) < _work(len(row)) + _work(len(sequence)))


def _work(length: int) -> float:
    return length * (1 + length / _TURN)


def model_inputs(rows: Sequence[Row], dtype: Any, device: Any) -> dict[str, Any]:
    """``input_ids`` and ``position_ids``, ``int64[rows, widest]``, and ``attention_mask``, ``dtype[rows, 1, widest, widest]``.

    The mask is added to the attention scores: 0 where a token may look, the lowest number of ``dtype`` where not. That is
    read alike by every attention that takes a 4-D mask at all. Padding stands on the right and sees itself alone.
    """
    import torch

    width = max(map(len, rows))
    ids, positions = np.zeros((2, len(rows), width), dtype=np.int64)
    visible = np.tile(np.eye(width, dtype=bool), (len(rows), 1, 1))
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row.tokens
        for places in row.places:
            positions[index, places] = np.arange(len(places))
            visible[index][np.ix_(places, places)] |= np.tri(len(places), dtype=bool)
    mask = torch.zeros(visible.shape, dtype=dtype, device=device)
    mask.masked_fill_(torch.from_numpy(~visible).to(device), torch.finfo(dtype).min)
    return {"input_ids": torch.from_numpy(ids).to(device), "position_ids": torch.from_numpy(positions).to(device),
            "attention_mask": mask[:, None]}


def shortest_window(config: Any) -> int | None:
    """The fewest tokens that a layer of this model looks back over, None where every layer sees all."""
    windows = [value for value in (getattr(config.get_text_config(), name, None) for name in _WINDOWS)
               if isinstance(value, int) and value > 0]
    return min(windows, default=None)
