"""Python values as Arrow arrays, without the pandas that ``pyarrow.array`` would import."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.types import FloatArray

_LARGEST_BLOCK = 2**31 - 1


def column_array(values: Sequence[Any], kind: Any) -> Any:
    """Values, None where there is none, as an Arrow array; ``pyarrow.array`` would import pandas first, where that is there."""
    import pyarrow as pa

    if kind == pa.string():
        return string_array(values)
    absent = [value is None for value in values]
    if any(absent):
        values = [0 if value is None else value for value in values]
    present = None if not any(absent) else bits(~np.array(absent))
    data = bits(np.array(values, dtype=bool)) if kind == pa.bool_() else pa.py_buffer(np.array(values, kind.to_pandas_dtype()))
    return pa.Array.from_buffers(kind, len(values), [present, data])


def string_array(values: Sequence[str | None]) -> Any:
    """Texts, None where there is none, as an Arrow array."""
    import pyarrow as pa

    n = len(values)
    if n and values.count(values[0]) == n and len(values[0] or "") * n * 4 < _LARGEST_BLOCK:
        return _constant_array(values[0], n)
    absent = [value is None for value in values] if None in values else None
    texts: Sequence[str] = values if absent is None else [value or "" for value in values]  # type: ignore[assignment]
    joined = "".join(texts)
    if joined.isascii():
        data, lengths = joined.encode(), map(len, texts)
    else:
        encoded = [text.encode() for text in texts]
        data, lengths = b"".join(encoded), map(len, encoded)
    if len(data) > _LARGEST_BLOCK:
        return pa.array(values, type=pa.string())  # in chunks
    offsets = np.zeros(n + 1, dtype=np.int32)
    np.cumsum(np.fromiter(lengths, dtype=np.int64, count=n), out=offsets[1:])
    present = None if absent is None else bits(~np.array(absent))
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(data), present)


def _constant_array(value: str | None, n: int) -> Any:
    """A column of one value: the model, the task, an error that nobody has."""
    import pyarrow as pa

    if value is None:
        return pa.nulls(n, pa.string())
    data = value.encode()
    offsets = np.arange(n + 1, dtype=np.int32) * np.int32(len(data))
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(data * n))


def bits(values: NDArray[np.bool_]) -> Any:
    """A bit a value, as Arrow packs them."""
    import pyarrow as pa

    return pa.py_buffer(np.packbits(values, bitorder="little"))


def float_array(values: FloatArray) -> Any:
    """NaN becomes null."""
    import pyarrow as pa

    flat = np.ascontiguousarray(values, dtype=np.float64)
    present = ~np.isnan(flat)
    return pa.Array.from_buffers(
        pa.float64(), len(flat), [None if present.all() else bits(present), pa.py_buffer(flat)]
    )
