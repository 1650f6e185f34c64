"""The compiled part of reading and judging runs. It is optional: what it does is written in Python too, with the same results."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

try:
    from harness.data import _hashes, _trec

    IS_THERE = True
except ImportError:
    IS_THERE = False

IntArray: TypeAlias = NDArray[np.int64]
Hashes: TypeAlias = NDArray[np.uint64]

_MANY = 2**31 - 1
_SHORTEST = len("q Q d r s t\n")


class RunColumns(NamedTuple):
    """The lines of a run in the order of the file, see :class:`harness.data.runlines.RunLines`.

    ``is_sorted``: the lines of every query stand together, by score descending in single precision.
    """

    queries: list[str]
    codes: NDArray[np.int32]
    documents: pa.StringArray
    scores: NDArray[np.float64]
    singles: NDArray[np.float32]
    hashes: Hashes
    is_sorted: bool


def run_columns(data: bytes | mmap.mmap) -> RunColumns | None:
    """The columns of a run; None where it is not compiled, and for a file that is at fault or out of the ordinary."""
    if not IS_THERE:
        return None
    import pyarrow

    room = (len(data) + 1) // _SHORTEST
    codes, scores, singles = np.empty(room, np.int32), np.empty(room, np.float64), np.empty(room, np.float32)
    hashes, offsets, ids = np.empty(room, np.uint64), np.empty(room + 1, np.int32), np.empty(min(len(data), _MANY), np.uint8)
    found = _trec.read_lines(data, codes, offsets, ids, scores, singles, hashes)
    if found is None:
        return None
    queries, n, n_bytes, falls, is_ascii = found
    for column, size in ((codes, n), (scores, n), (singles, n), (hashes, n), (offsets, n + 1), (ids, n_bytes)):
        column.resize(size, refcheck=False)
    documents = pyarrow.StringArray.from_buffers(n, pyarrow.py_buffer(offsets), pyarrow.py_buffer(ids))
    try:
        documents.validate(full=not is_ascii)
    except pyarrow.ArrowInvalid:
        return None
    return RunColumns(list(queries), codes, documents, scores, singles, hashes, not falls)


def all_differ(hashes: Hashes, bounds: IntArray) -> bool:
    """Whether no two hashes of a stretch ``bounds[i]:bounds[i + 1]`` are equal; False too where it is not compiled."""
    return IS_THERE and _hashes.all_differ(hashes, bounds)


def members(
    hashes: Hashes, bounds: IntArray, rows: IntArray, asked: Hashes, asked_bounds: IntArray
) -> tuple[IntArray, IntArray] | None:
    """Of stretch ``rows[i]`` of the hashes the positions of those that are in stretch i of ``asked``, and their positions there.

    By i and then by position; None where it is not compiled, if hashes in a stretch of ``asked`` are equal, and if many are of the
    others.
    """
    if not IS_THERE:
        return None
    at, places = np.empty(len(asked), np.int64), np.empty(len(asked), np.int64)
    n = _hashes.members(hashes, bounds, rows, asked, asked_bounds, at, places)
    return None if n < 0 else (at[:n], places[:n])
