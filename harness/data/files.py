"""What the file formats share: opening a path or a stream (gzip recognised by its content), lines, splits, error prefixes."""

from __future__ import annotations

import dataclasses
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self, TypeAlias, cast

from harness.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from harness.types import Corpus

Source: TypeAlias = Path | BinaryIO
"""A file, or an open binary stream (standard input)."""

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class FileFormat:
    """Base of the formats that are one file a split: ``path``, and in ``splits`` the files of others (few-shot examples)."""

    path: Path
    splits: Mapping[str, Path] = field(default_factory=dict, kw_only=True)

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """The rows, read afresh."""
        raise NotImplementedError(f"{type(self).__name__}.rows")

    def corpus(self) -> Corpus | None:
        """None: a table has no corpus."""
        return None

    def split(self, name: str) -> Self:
        """The same format on the file of another split. Raises DataError where ``splits`` does not name it."""
        if name not in self.splits:
            hint = f"{did_you_mean(name, self.splits)}; name its file: splits: {{{name}: …}}"
            raise DataError(f"{self.path}: no split {name!r}{hint}")
        return dataclasses.replace(self, path=self.splits[name])


def name_of(source: Source) -> str:
    """How errors call a source."""
    return str(source) if isinstance(source, Path) else str(getattr(source, "name", "<stream>"))


@contextmanager
def open_binary(source: Source) -> Iterator[BinaryIO]:
    """The bytes of a path or stream, decompressed where they are gzip; a stream that was handed in is left open.

    Raises DataError naming the source where it cannot be opened or is damaged.
    """
    try:
        opened = source.open("rb") if isinstance(source, Path) else source
        buffered = cast("io.BufferedReader", opened if hasattr(opened, "peek") else io.BufferedReader(cast("Any", opened)))
        try:
            zipped = buffered.peek(2)[:2] == _GZIP
            yield cast("BinaryIO", gzip.GzipFile(fileobj=buffered) if zipped else buffered)
        finally:
            if isinstance(source, Path):
                buffered.close()
            elif buffered is not opened:
                buffered.detach()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name_of(source)}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def numbered_lines(source: Source) -> Iterator[tuple[int, bytes]]:
    """Every line with its number from 1, its line end on it, without a byte-order mark."""
    with open_binary(source) as stream:
        for number, line in enumerate(stream, 1):
            yield number, line.removeprefix(_BOM) if number == 1 else line


def decode(raw: bytes, source: Source, line: int) -> str:
    """UTF-8 text. Raises DataError naming the line."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{name_of(source)}:{line}: not UTF-8: {error.reason} (byte {error.start + 1} of the line)") from None
