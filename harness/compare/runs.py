"""What a finished run has stored: its units (an entry on a task), and the columns of their rows as Arrow tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.store import SAMPLES, column_array, read_record
from harness.types import RunRecord

IDENTITY = ("sample_id", "sample_hash", "arm", "repeat", "group", "slices")
"""The columns that say which rows belong together."""


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A finished run on disk; ``entry``: the only one that is meant, if one was named."""

    path: Path
    record: RunRecord
    entry: str | None = None

    @classmethod
    def open(cls, path: Path, entry: str | None = None) -> StoredRun:
        """Raises StoreError where there is no finished run, and where its record is damaged."""
        return cls(path, read_record(path), entry)

    @cached_property
    def units(self) -> tuple[StoredUnit, ...]:
        """Every entry on every task, in the order of the run."""
        found: dict[tuple[str, str], StoredUnit] = {}
        for row in self.record.estimates:
            key = (row["entry"], row["task"])
            if key not in found and self.entry in (None, row["entry"]):
                found[key] = StoredUnit(self, row["entry"], row.get("model", row["entry"]), row.get("cell", ""), row["task"])
        return tuple(found.values())

    @property
    def entries(self) -> tuple[str, ...]:
        """The names on its leaderboard."""
        return tuple(dict.fromkeys(row["entry"] for row in self.record.estimates))

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(unit.task for unit in self.units))

    @cached_property
    def schema(self) -> Any:
        """The Arrow schema of its rows."""
        with self._file() as file:
            return file.schema_arrow

    def table(self, columns: Sequence[str], where: Mapping[str, str]) -> Any:
        """A pyarrow Table of these columns of the rows that have these values, in the order in which they were written."""
        import pyarrow as pa

        kinds = pa.schema([self.schema.field(name) for name in columns])
        return pa.Table.from_batches(list(self.batches(columns, where)), kinds)

    def batches(self, columns: Sequence[str], where: Mapping[str, str]) -> Iterator[Any]:
        """The same as record batches, one after the other. ``pyarrow.dataset`` would import pandas, where that is there."""
        with self._file() as file:
            groups = [n for n in range(file.num_row_groups) if _may_have(file.metadata.row_group(n), where)]
            for batch in file.iter_batches(columns=[*columns, *where], row_groups=groups):
                chosen = _chosen(batch, where).select(list(columns))
                if chosen.num_rows:
                    yield chosen

    @contextlib.contextmanager
    def _file(self) -> Iterator[Any]:
        """Within, ``samples.parquet`` is open; what Arrow says of a broken one is a StoreError naming it."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.path / SAMPLES
        if not path.is_file():
            raise StoreError(f"{self.path} has no {SAMPLES}")
        try:
            with pq.ParquetFile(path) as file:
                yield file
        except (pa.ArrowException, OSError) as error:
            raise StoreError(f"{path} is damaged: {str(error).splitlines()[0]}") from error

    def has_one_unit(self) -> bool:
        """Whether all rows belong to one entry on one task, so that none need be picked."""
        return len(self.record.counts.get("units") or ()) == len({(e["entry"], e["task"]) for e in self.record.estimates}) == 1


@dataclass(frozen=True, eq=False)
class StoredUnit:
    """An entry of a run on one task."""

    run: StoredRun
    entry: str
    model: str
    cell: str
    task: str

    @cached_property
    def estimates(self) -> Mapping[str, Mapping[str, Any]]:
        """What the record says of each metric, by the name under which it is reported."""
        rows = self.run.record.estimates
        return {row["metric"]: row for row in rows if row["entry"] == self.entry and row["task"] == self.task}

    @property
    def primary(self) -> str | None:
        return next((name for name, row in self.estimates.items() if row.get("primary")), None)

    @property
    def config(self) -> Mapping[str, Any]:
        """The task as the run's config has it; empty where that does not name it."""
        tasks = self.run.record.config.get("tasks") or ()
        return next((task for task in tasks if isinstance(task, Mapping) and task.get("task") == self.task), {})

    @property
    def data(self) -> Mapping[str, Any]:
        """Fingerprint, n, version and language of its data."""
        return self.run.record.data_fingerprints.get(self.task, {})

    def table(self, *columns: str) -> Any:
        """A pyarrow Table of columns of its rows. Raises StoreError where the file is damaged or lacks one."""
        lacking = [name for name in columns if name not in self.run.schema.names]
        if lacking:
            raise StoreError(f"{self.run.path / SAMPLES} is damaged: it has no column {lacking[0]!r}")
        return self.run.table(columns, self._where())

    def batches(self, *columns: str) -> Iterator[Any]:
        """Record batches of columns of its rows, in their order."""
        return self.run.batches(columns, self._where())

    def _where(self) -> dict[str, str]:
        return {} if self.run.has_one_unit() else {"model": self.model, "cell": self.cell, "task": self.task}

    def __str__(self) -> str:
        return f"{self.entry} of run {self.run.record.run_id}"


def _may_have(group: Any, where: Mapping[str, str]) -> bool:
    """Whether a row group may have rows with these values, by the smallest and largest that it has."""
    for place in range(group.num_columns if where else 0):
        column = group.column(place)
        wanted, known = where.get(column.path_in_schema), column.statistics
        if wanted is not None and known is not None and known.has_min_max and not known.min <= wanted <= known.max:
            return False
    return True


def _chosen(batch: Any, where: Mapping[str, str]) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    condition = None
    for name, value in where.items():
        clause = pc.equal(batch.column(name), column_array([value], pa.string())[0])
        condition = clause if condition is None else pc.and_(condition, clause)
    return batch if condition is None else batch.filter(condition)
