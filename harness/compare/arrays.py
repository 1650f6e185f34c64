"""Arrow columns as numpy arrays, without the pandas that ``Array.to_numpy`` would import."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.stats.bootstrap import IntArray
from harness.types import FloatArray


def one_array(column: Any) -> Any:
    """A chunked column as one array."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.nulls(0, column.type)])
    return column


def integers(column: Any) -> IntArray:
    """``int64[n]`` of an integer column; -1 where it is null."""
    array = one_array(column)
    values = _values(array, np.dtype(str(array.type))).astype(np.int64)
    if array.null_count:
        values[~_present(array)] = -1
    return values


def truths(column: Any) -> NDArray[np.bool_]:
    """``bool[n]`` of a boolean column; False where it is null."""
    import pyarrow as pa

    array = one_array(column)
    values = _values(array.cast(pa.uint8()), np.uint8).astype(np.bool_)
    return values & _present(array) if array.null_count else values


def floats(column: Any) -> FloatArray:
    """``float64[n]`` of a column of float64; NaN where it is null."""
    array = one_array(column)
    values = _values(array, np.float64).copy()
    if array.null_count:
        values[~_present(array)] = np.nan
    return values


def lists(column: Any) -> FloatArray:
    """``float64[n, d]`` of a column of lists that are equally long or null; a null list, and a null in one, are NaN.

    Raises ValueError for lists of different lengths.
    """
    array = one_array(column)
    offsets = _values(array.offsets, np.int32).astype(np.int64)
    present = _present(array)
    lengths = np.diff(offsets)[present]
    width = int(lengths.max(initial=0))
    if len(lengths) and lengths.min() != width:
        raise ValueError(f"lists of {lengths.min()} and of {width} numbers in one column")
    flat = floats(array.values)
    if present.all():
        return flat[offsets[0] : offsets[-1]].reshape(len(array), width)
    stats = np.full((len(array), width), np.nan)
    stats[present] = flat[offsets[:-1][present][:, None] + np.arange(width)]
    return stats


def _present(array: Any) -> NDArray[np.bool_]:
    return truths(array.is_valid()) if array.null_count else np.ones(len(array), dtype=np.bool_)


def _values(array: Any, dtype: Any) -> NDArray[Any]:
    """The buffer of values as it lies, whatever is null."""
    data = array.buffers()[1]
    if data is None or not len(array):
        return np.zeros(len(array), dtype=dtype)
    size = np.dtype(dtype).itemsize
    return np.frombuffer(data, dtype=dtype, count=len(array), offset=array.offset * size)
