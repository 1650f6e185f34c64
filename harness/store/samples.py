"""``samples.parquet``: a row a model × task × sample × repeat, written and read block by block."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import StoreError
from harness.store.columns import bits, column_array, float_array, string_array
from harness.store.files import SAMPLES, SCHEMA, writing
from harness.types import FloatArray


@dataclass(frozen=True, slots=True)
class MetricColumn:
    """What one metric has to say of a block of rows: the value of each, its statistics, and why some are missing."""

    values: FloatArray
    stats: FloatArray
    missing: Mapping[int, str]


_STRINGS = ("model", "cell", "task", "arm", "sample_id", "sample_hash", "group", "sample", "prompt", "answer", "text", "error",
            "finish_reason", "slices")  # fmt: skip
_NUMBERS = {"repeat": "int32", "input_tokens": "int64", "output_tokens": "int64", "latency_s": "float64",
            "first_token_s": "float64", "truncated": "bool_", "cached": "bool_"}  # fmt: skip

PLAIN_COLUMNS: tuple[str, ...] = (*_STRINGS, *_NUMBERS)
"""The columns of ``samples.parquet`` but for the metrics'."""


class SampleWriter:
    """Writes ``samples.parquet`` block by block; the file appears, complete, when the writer is closed."""

    def __init__(self, folder: Path, metrics: Sequence[str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path = folder / SAMPLES
        self._temporary = folder / f".{SAMPLES}.tmp"
        self._metrics = tuple(metrics)
        fields = [pa.field(name, pa.string()) for name in _STRINGS]
        fields += [pa.field(name, getattr(pa, kind)()) for name, kind in _NUMBERS.items()]
        fields += [pa.field(f"metric.{spec}", _metric_type()) for spec in self._metrics]
        self._schema = pa.schema(fields, metadata={"harness_schema": str(SCHEMA)})
        with writing(self._path):
            self._writer = pq.ParquetWriter(self._temporary, self._schema, compression="zstd")

    def write(self, columns: Mapping[str, Sequence[Any]], metrics: Mapping[str, MetricColumn]) -> None:
        """One block of rows: every plain column, and those metrics that were scored on it."""
        import pyarrow as pa

        n = len(columns["sample_id"])
        arrays = [column_array(columns[field.name], field.type) for field in self._schema if field.name in columns]
        names = [field.name for field in self._schema if field.name in columns]
        for field in self._schema:
            if field.name in columns:
                continue
            spec = field.name.removeprefix("metric.")
            names.append(field.name)
            arrays.append(_metric_array(metrics[spec], n) if spec in metrics else pa.nulls(n, type=field.type))
        table = pa.Table.from_arrays(arrays, names=names).select(self._schema.names)
        with writing(self._path):
            self._writer.write_table(table.cast(self._schema))

    def close(self) -> None:
        with writing(self._path):
            self._writer.close()
            with self._temporary.open("r+b") as stream:
                os.fsync(stream.fileno())
            os.replace(self._temporary, self._path)

    def abort(self) -> None:
        """Leave nothing behind; the journal has everything. Says nothing of a full disk: whoever stops has said why."""
        with contextlib.suppress(OSError):
            self._writer.close()
        with contextlib.suppress(OSError):
            self._temporary.unlink(missing_ok=True)


def read_samples(
    folder: Path, columns: Sequence[str] | None = None, where: Mapping[str, str] | None = None
) -> Iterator[dict[str, list[Any]]]:
    """Blocks of rows of ``samples.parquet`` as columns, in the order in which they were written."""
    import pyarrow
    import pyarrow.dataset as ds

    path = _samples_path(folder)
    try:
        table = ds.dataset(str(path), format="parquet")
    except (pyarrow.ArrowException, OSError) as error:
        raise StoreError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    condition = None
    for name, value in (where or {}).items():
        clause = ds.field(name) == value
        condition = clause if condition is None else condition & clause
    wanted = None if columns is None else [name for name in columns if name in table.schema.names]
    for batch in table.to_batches(columns=wanted, filter=condition):
        if batch.num_rows:
            yield batch.to_pydict()


def samples_table(folder: Path) -> Any:
    """``samples.parquet`` as a pyarrow Table."""
    import pyarrow
    import pyarrow.parquet as pq

    path = _samples_path(folder)
    try:
        return pq.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise StoreError(f"{path} is damaged: {str(error).splitlines()[0]}") from error


def check_samples(folder: Path) -> None:
    """Read the footer of ``samples.parquet`` and no row. Raises StoreError where it is not there or damaged."""
    import pyarrow
    import pyarrow.parquet as pq

    path = _samples_path(folder)
    try:
        pq.ParquetFile(path).close()
    except (pyarrow.ArrowException, OSError) as error:
        raise StoreError(f"{path} is damaged: {str(error).splitlines()[0]}") from error


def _samples_path(folder: Path) -> Path:
    path = folder / SAMPLES
    if not path.is_file():
        raise StoreError(f"{folder} has no {SAMPLES}")
    return path


def _metric_type() -> Any:
    import pyarrow as pa

    return pa.struct([("value", pa.float64()), ("missing", pa.string()), ("stats", pa.list_(pa.float64()))])


def _metric_array(column: MetricColumn, n: int) -> Any:
    import pyarrow as pa

    width = column.stats.shape[1]
    values = float_array(column.values)
    reasons: list[str | None] = [None] * n
    for row, reason in column.missing.items():
        reasons[row] = reason
    offsets = np.arange(0, (n + 1) * width, width, dtype=np.int32) if width else np.zeros(n + 1, dtype=np.int32)
    present = np.ones(n, dtype=bool)
    present[list(column.missing)] = False
    buffers = [None if present.all() else bits(present), pa.py_buffer(offsets)]
    stats = pa.Array.from_buffers(pa.list_(pa.float64()), n, buffers, children=[float_array(column.stats.ravel())])
    return pa.StructArray.from_arrays([values, string_array(reasons), stats], names=["value", "missing", "stats"])
