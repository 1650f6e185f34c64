"""The compiled part of reading and judging runs. It is optional: what it does is written in Python too, with equal results."""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

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


def judged(
    hashes: Hashes, bounds: IntArray, documents: Any, rows: IntArray, qrels: Sequence[Mapping[str, int]]
) -> tuple[IntArray, IntArray, IntArray] | None:
    """Of the documents of stretch ``rows[i]`` those in ``qrels[i]``: (i, line, grade), by i and then by line.

    ``documents`` is an arrow array of strings. None where it is not compiled, and where that cannot be told in this way.
    """
    if not IS_THERE or documents.offset or str(documents.type) != "string":
        return None
    _, offsets, ids = documents.buffers()
    n_judgements = sum(map(len, qrels))
    which, lines, grades = (np.empty(n_judgements, np.int64) for _ in range(3))
    n = _hashes.judged(hashes, bounds, offsets, b"" if ids is None else ids, rows, list(qrels), which, lines, grades)
    return None if n < 0 else (which[:n], lines[:n], grades[:n])
