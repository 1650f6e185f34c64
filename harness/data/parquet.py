"""Data format ``parquet``: one Parquet file, or a folder of them, read batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from harness.data.files import FileFormat
from harness.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BATCH = 1024


@dataclass(frozen=True)
class Parquet(FileFormat):
    """A Parquet file, or every ``*.parquet`` of a folder in the order of their names; ``columns`` leaves the others unread."""

    name: ClassVar[str] = "parquet"
    summary: ClassVar[str] = "a Parquet file, or a folder of them"

    columns: tuple[str, ...] = ()

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows as plain Python values. Raises DataError naming the file."""
        for path in self._files():
            yield from self._rows_of(path)

    def _files(self) -> list[Path]:
        if not self.path.is_dir():
            return [self.path]
        files = sorted(self.path.glob("*.parquet"))
        if not files:
            raise DataError(f"{self.path}: no *.parquet in this folder")
        return files

    def _rows_of(self, path: Path) -> Iterator[dict[str, Any]]:
        import pyarrow
        import pyarrow.parquet

        try:
            with pyarrow.parquet.ParquetFile(path) as file:
                known = file.schema_arrow.names
                for column in self.columns:
                    if column not in known:
                        raise DataError(f"{path}: columns: no column {column!r}{did_you_mean(column, known)}")
                for batch in file.iter_batches(batch_size=_BATCH, columns=list(self.columns) or None):
                    yield from batch.to_pylist()
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{path}: cannot be read as Parquet: {error}") from error
