"""Long lists of texts in blocks of bounded size, for metrics that keep something from one block to the next."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

_CHARACTERS = 1 << 20


def row_blocks(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Iterator[slice]:
    """Successive rows, about a million characters of pairs at a time, at least one row; no rows: one empty block."""
    sizes = [len(prediction) * len(item) + sum(map(len, item)) + 1 for prediction, item in zip(predictions, references)]
    block = np.cumsum(sizes) // _CHARACTERS
    bounds = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(sizes)]
    yield from itertools.starmap(slice, itertools.pairwise(bounds))
