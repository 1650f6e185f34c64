"""Data format ``jsonl``: one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from harness.data.files import FileFormat, Source, name_of, numbered_lines
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Jsonl(FileFormat):
    """One JSON object a line; blank lines are skipped; ``.gz`` is read as it is."""

    name: ClassVar[str] = "jsonl"
    summary: ClassVar[str] = "one JSON object a line"

    def rows(self) -> Iterator[dict[str, Any]]:
        """The objects. Raises DataError ``file:line: message``."""
        for _, row in read_jsonl(self.path):
            yield row


def read_jsonl(source: Source) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and objects of a file or a stream.

    Raises DataError ``file:line: message`` for a line that is not JSON (NaN is not) or no object.
    """
    import orjson

    for number, line in numbered_lines(source):
        if line.isspace():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise DataError(f"{name_of(source)}:{number}: {_why_not_json(line, error)}") from None
        if type(row) is not dict:
            raise DataError(f"{name_of(source)}:{number}: expected a JSON object, got {_KINDS[type(row)]}")
        yield number, row


def _why_not_json(line: bytes, error: json.JSONDecodeError) -> str:
    constants: list[str] = []
    try:
        json.loads(line, parse_constant=constants.append)
    except ValueError:
        constants.clear()
    if constants:
        return f"{constants[0]} is not JSON: write null (column {line.decode().find(constants[0]) + 1})"
    return f"not JSON: {error.msg} (column {error.colno})"


_KINDS: dict[type, str] = {
    list: "a list", str: "a string", int: "a number", float: "a number", bool: "true or false", type(None): "null",
}  # fmt: skip
