"""Data formats ``csv`` and ``tsv``: a row a record, every value text, the names in the header or in ``columns``."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from harness.data.files import FileFormat, Source, decode, name_of, numbered_lines, open_binary
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

Quoting = Literal["minimal", "none"]
_FIELD_LIMIT = 2**31 - 1  # whole documents stand in fields; the csv module's own limit is 128 KiB


@dataclass(frozen=True)
class Csv(FileFormat):
    """Comma-separated; ``quoting: minimal`` reads "…" fields, line ends in them too; ``none`` takes quotes as they are."""

    name: ClassVar[str] = "csv"
    summary: ClassVar[str] = "comma-separated values with a header (or `columns`)"

    delimiter: str = ","
    quoting: Quoting = "minimal"
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.delimiter) != 1:
            raise DataError(f"{self.name}: delimiter must be one character, got {self.delimiter!r}")

    def rows(self) -> Iterator[dict[str, Any]]:
        """The records as mappings. Raises DataError ``file:line: message`` for a record with the wrong number of fields."""
        for _, row in read_csv(self.path, self.delimiter, self.quoting, self.columns):
            yield row


@dataclass(frozen=True)
class Tsv(Csv):
    """Tab-separated, by default without quoting, as the data sets of the field are written."""

    name: ClassVar[str] = "tsv"
    summary: ClassVar[str] = "tab-separated values with a header (or `columns`), quotes taken as they are"

    delimiter: str = "\t"
    quoting: Quoting = "none"


def read_csv(
    source: Source, delimiter: str = ",", quoting: Quoting = "minimal", columns: tuple[str, ...] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and records of a file or a stream; without ``columns`` the first record names them. Empty lines are skipped.

    Raises DataError ``file:line: message``: a wrong number of fields, a broken quote, two columns of one name, not UTF-8.
    """
    records = _quoted(source, delimiter) if quoting == "minimal" else _unquoted(source, delimiter)
    names = list(columns)
    for line, record in records:
        if not names:
            names = record
            twice = [column for column, n in Counter(names).items() if n > 1]
            if twice:
                raise DataError(f"{name_of(source)}:{line}: two columns are called {twice[0]!r}")
            continue
        if len(record) != len(names):
            raise DataError(f"{name_of(source)}:{line}: expected {len(names)} fields ({', '.join(names)}), got {len(record)}")
        yield line, dict(zip(names, record))


def _unquoted(source: Source, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    for line, raw in numbered_lines(source):
        text = decode(raw, source, line).rstrip("\r\n")
        if text:
            yield line, text.split(delimiter)


def _quoted(source: Source, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(_FIELD_LIMIT)
    line = 1
    with open_binary(source) as stream:
        text = io.TextIOWrapper(cast("Any", stream), encoding="utf-8-sig", newline="")
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            for record in reader:
                if record:
                    yield line, record
                line = reader.line_num + 1
        except csv.Error as error:
            raise DataError(f"{name_of(source)}:{line}: {error}") from None
        except UnicodeDecodeError as error:
            raise DataError(f"{name_of(source)}: not UTF-8: {error.reason}, after line {line}") from None
        finally:
            text.detach()
