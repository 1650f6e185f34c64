"""Data format ``conll``: a token a line with its tag, an empty line after each sentence (CoNLL-2003, WNUT-17)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from harness.data.files import FileFormat, Source, decode, name_of, numbered_lines
from harness.errors import DataError

DOCUMENT_START = "-DOCSTART-"


@dataclass(frozen=True)
class Conll(FileFormat):
    """Rows ``{"tokens": […], "tags": […]}``, a sentence each.

    Columns are parted by tabs where a line has one, else by spaces. ``token`` and ``tag`` say which columns hold the words and
    their tags, counted from 0, or from the end with -1. A line that is empty or white space ends a sentence; a ``-DOCSTART-``
    line is no sentence. Nothing is a comment: a token may be ``#``.
    """

    name: ClassVar[str] = "conll"
    summary: ClassVar[str] = "a token and its tag a line, an empty line between sentences (CoNLL, WNUT)"

    token: int = 0
    tag: int = -1

    def rows(self) -> Iterator[dict[str, Any]]:
        """The sentences. Raises DataError ``file:line: message``."""
        for _, row in read_conll(self.path, token=self.token, tag=self.tag):
            yield row


def read_conll(source: Source, *, token: int = 0, tag: int = -1) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number of its first line and the row of each sentence of a file or a stream, as :class:`Conll` reads them.

    Raises DataError ``file:line: message``: a line without one of the columns, with more or fewer than the first, not UTF-8.
    """
    first, tokens, tags, width = 0, list[str](), list[str](), 0
    for number, raw in numbered_lines(source):
        line = decode(raw, source, number).rstrip("\r\n")
        if not line.strip():
            if tokens:
                yield first, {"tokens": tokens, "tags": tags}
                tokens, tags = [], []
            continue
        columns = line.split("\t") if "\t" in line else line.split()
        if columns[0] == DOCUMENT_START:
            continue
        width = width or len(columns)
        _check(columns, width, (token, tag), f"{name_of(source)}:{number}")
        first = first if tokens else number
        tokens.append(columns[token])
        tags.append(columns[tag].strip())
    if tokens:
        yield first, {"tokens": tokens, "tags": tags}


def _check(columns: list[str], width: int, wanted: tuple[int, int], where: str) -> None:
    if len(columns) != width:
        raise DataError(f"{where}: expected {width} columns as on the lines before, got {len(columns)}")
    for column in wanted:
        if not -len(columns) <= column < len(columns):
            raise DataError(f"{where}: expected a column {column} (from 0), got {len(columns)}: a token and its tag a line")
    if len(columns) == 1 or wanted[0] % width == wanted[1] % width:
        raise DataError(f"{where}: token and tag must be two columns, got {wanted[0]} and {wanted[1]} of {width}")
    if not columns[wanted[1]].strip():
        raise DataError(f"{where}: the tag is empty")
