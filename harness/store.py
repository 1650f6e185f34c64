"""Run folders: where they are, what is in them, written atomically and read back by version.

``run.json`` appears last and by rename: a folder that has it is finished and never written again by the code.

Schema history of ``run.json`` and ``samples.parquet``: 1 (0.1.0) the first.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.codec import dumps, loads
from harness.errors import StoreError, Unwritable, did_you_mean
from harness.types import FloatArray, RunRecord

SCHEMA = 1
RECORD, SAMPLES, JOURNAL = "run.json", "samples.parquet", "journal.jsonl"
_TUPLES = ("seeds", "estimates", "tables")
_KINDS: Mapping[str, type] = {
    "run_id": str, "name": str, "plan_hash": str, "config": dict, "seeds": list, "data_fingerprints": dict,
    "model_signatures": dict, "metric_signatures": dict, "environment": dict, "estimates": list, "standings": dict,
    "tables": list, "timings": dict, "counts": dict,
}  # fmt: skip
_RUN_ID = re.compile(r"(\d{8}T\d{6}\.\d{3}Z)-.+-[0-9a-f]{4}")
_STAMP = "%Y%m%dT%H%M%S.%fZ"
_ESTIMATE = {"entry", "task", "metric", "value", "low", "high", "n", "n_missing"}


# ── folders ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def slug(text: str) -> str:
    """A name that is safe in a path on every system."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "run"


def create_run(results: Path, name: str) -> Path:
    """A new folder under ``results``; its name sorts by time and says the config's name."""
    try:
        results.mkdir(parents=True, exist_ok=True)
        path = results / f"{_stamp(results)}-{slug(name)}-{secrets.token_hex(2)}"
        path.mkdir()
    except (FileExistsError, NotADirectoryError) as error:
        raise StoreError(f"the results folder {results} is a file, or below one") from error
    except OSError as error:
        raise Unwritable(f"cannot write to the results folder {results}: {error.strerror}") from error
    return path


def _stamp(results: Path) -> str:
    """The time in UTC to the millisecond, later than that of every run that is there, whatever the clock does."""
    ids = [found.group(1) for path in results.iterdir() if (found := _RUN_ID.fullmatch(path.name))]
    last = datetime.datetime.strptime(max(ids), _STAMP).replace(tzinfo=datetime.UTC) if ids else None
    now = datetime.datetime.now(datetime.UTC)
    later = now if last is None else max(now, last + datetime.timedelta(milliseconds=1))
    return later.strftime("%Y%m%dT%H%M%S.") + f"{later.microsecond // 1000:03}Z"


def is_run_id(name: str) -> bool:
    """Whether a name is of the form that :func:`create_run` gives."""
    return _RUN_ID.fullmatch(name) is not None


def run_folders(results: Path) -> list[Path]:
    """Every run folder, oldest first, finished or not; none where there is no such folder yet. StoreError for a file."""
    if results.exists() and not results.is_dir():
        raise StoreError(f"{results} is a file, not a results folder")
    if not results.is_dir():
        return []
    return sorted(p for p in results.iterdir() if (p / RECORD).is_file() or (p / JOURNAL).is_file())


def is_finished(folder: Path) -> bool:
    return (folder / RECORD).is_file()


def find_run(results: Path, name: str) -> Path:
    """The folder of a finished run: its path, its id or the beginning of one, ``latest``, ``latest~2``, ``latest:CONFIG``.

    Raises StoreError naming what there is.
    """
    direct = Path(name)
    if (direct / RECORD).is_file():
        return direct
    finished = [folder for folder in run_folders(results) if is_finished(folder)]
    match = re.fullmatch(r"latest(?:~(\d+))?(?::(.+))?", name)
    if match:
        return _nth_latest(finished, match, results)
    found = [folder for folder in finished if folder.name == name] or [f for f in finished if f.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise StoreError(f"{name!r} stands for several runs: {', '.join(f.name for f in found)}")
    if (results / name / JOURNAL).is_file():
        raise StoreError(f"run {name!r} is not finished: start it again with harness run")
    raise StoreError(f"no run {name!r} in {results}{did_you_mean(name, [f.name for f in finished])}")


def _nth_latest(finished: Sequence[Path], match: re.Match[str], results: Path) -> Path:
    name, back, config = match.group(0), int(match.group(1) or 0), match.group(2)
    if config is not None:
        finished = [folder for folder in finished if read_record(folder).name == config]
    if len(finished) <= back:
        of = f" of {config!r}" if config else ""
        n = len(finished)
        count = {0: "are no finished runs", 1: "is only one finished run"}.get(n, f"are only {n} finished runs")
        raise StoreError(f"{name!r}: there {count}{of} in {results}")
    return finished[-1 - back]


# ── the record ──────────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Within, what keeps ``path`` from being written (a full disk, a folder that must not be) is an Unwritable naming it."""
    try:
        yield
    except OSError as error:
        raise Unwritable(f"{path} cannot be written: {os.strerror(error.errno) if error.errno else error}") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write to a neighbour, sync, rename: readers see the old file or the new one, never half of it. One writer at a time."""
    temporary = path.with_name(f".{path.name}.tmp")
    with writing(path):
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make renames in a folder last through a power cut, where the system lets a folder be synced."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_record(folder: Path, record: RunRecord) -> None:
    """Write ``run.json``; with it the run is finished."""
    values = {f.name: getattr(record, f.name) for f in dataclasses.fields(record) if f.name != "path"}
    write_atomically(folder / RECORD, pretty(values))


def pretty(value: Any) -> bytes:
    """Indented JSON for files that people read too. NaN never gets in: it is null."""
    import orjson

    return orjson.dumps(loads(dumps(value)), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def read_record(folder: Path) -> RunRecord:
    """The record of a finished run. Raises StoreError for a damaged file or one of a newer schema."""
    path = folder / RECORD
    try:
        values = loads(path.read_bytes())
    except FileNotFoundError as error:
        raise StoreError(f"{folder} is not a finished run: it has no {RECORD}") from error
    except ValueError as error:
        raise StoreError(f"{path} is damaged: {error}") from error
    if not isinstance(values, dict) or not isinstance(values.get("schema"), int):
        raise StoreError(f"{path} is not a run record")
    if values["schema"] > SCHEMA:
        raise StoreError(f"{path} has schema {values['schema']}, this harness reads up to {SCHEMA}: upgrade harness-eval")
    names = [f.name for f in dataclasses.fields(RunRecord) if f.name != "path"]
    missing = [name for name in names if name not in values]
    if missing:
        raise StoreError(f"{path} is damaged: it lacks {', '.join(missing)}")
    wrong = [name for name, kind in _KINDS.items() if not isinstance(values[name], kind)]
    if wrong or not all(isinstance(row, dict) and row.keys() >= _ESTIMATE for row in values["estimates"]):
        raise StoreError(f"{path} is damaged: {', '.join(wrong) or 'estimates'} is not what it must be")
    kept: dict[str, Any] = {name: tuple(values[name]) if name in _TUPLES else values[name] for name in names}
    return RunRecord(**kept, path=folder)


# ── samples ─────────────────────────────────────────────────────────────────────────────────────────────────────────


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


def _samples_path(folder: Path) -> Path:
    path = folder / SAMPLES
    if not path.is_file():
        raise StoreError(f"{folder} has no {SAMPLES}")
    return path


def column_array(values: Sequence[Any], kind: Any) -> Any:
    """Values, None where there is none, as an Arrow array; ``pyarrow.array`` would import pandas first, where that is there."""
    import pyarrow as pa

    if kind == pa.string():
        return _string_array(values)
    absent = [value is None for value in values]
    if any(absent):
        values = [0 if value is None else value for value in values]
    present = None if not any(absent) else _bits(~np.array(absent))
    data = _bits(np.array(values, dtype=bool)) if kind == pa.bool_() else pa.py_buffer(np.array(values, kind.to_pandas_dtype()))
    return pa.Array.from_buffers(kind, len(values), [present, data])


def _string_array(values: Sequence[str | None]) -> Any:
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
    present = None if absent is None else _bits(~np.array(absent))
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(data), present)


_LARGEST_BLOCK = 2**31 - 1


def _constant_array(value: str | None, n: int) -> Any:
    """A column of one value: the model, the task, an error that nobody has."""
    import pyarrow as pa

    if value is None:
        return pa.nulls(n, pa.string())
    data = value.encode()
    offsets = np.arange(n + 1, dtype=np.int32) * np.int32(len(data))
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(data * n))


def _bits(values: NDArray[np.bool_]) -> Any:
    import pyarrow as pa

    return pa.py_buffer(np.packbits(values, bitorder="little"))


def _float_array(values: FloatArray) -> Any:
    """NaN becomes null."""
    import pyarrow as pa

    flat = np.ascontiguousarray(values, dtype=np.float64)
    present = ~np.isnan(flat)
    return pa.Array.from_buffers(
        pa.float64(), len(flat), [None if present.all() else _bits(present), pa.py_buffer(flat)]
    )


def _metric_type() -> Any:
    import pyarrow as pa

    return pa.struct([("value", pa.float64()), ("missing", pa.string()), ("stats", pa.list_(pa.float64()))])


def _metric_array(column: MetricColumn, n: int) -> Any:
    import pyarrow as pa

    width = column.stats.shape[1]
    values = _float_array(column.values)
    reasons: list[str | None] = [None] * n
    for row, reason in column.missing.items():
        reasons[row] = reason
    offsets = np.arange(0, (n + 1) * width, width, dtype=np.int32) if width else np.zeros(n + 1, dtype=np.int32)
    present = np.ones(n, dtype=bool)
    present[list(column.missing)] = False
    buffers = [None if present.all() else _bits(present), pa.py_buffer(offsets)]
    stats = pa.Array.from_buffers(pa.list_(pa.float64()), n, buffers, children=[_float_array(column.stats.ravel())])
    return pa.StructArray.from_arrays([values, _string_array(reasons), stats], names=["value", "missing", "stats"])
