"""Data format ``json``: one JSON document with a list of objects in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from harness.data.files import FileFormat, open_binary
from harness.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Json(FileFormat):
    """A list of objects: the whole document, or what is at ``field`` (dotted, as in ``data.examples``). Read at once."""

    name: ClassVar[str] = "json"
    summary: ClassVar[str] = "a JSON document with a list of objects, at `field` if it is not the whole"

    field: str | None = None

    def rows(self) -> Iterator[dict[str, Any]]:
        """The objects of the list. Raises DataError naming the file and what is wrong in it."""
        import orjson

        with open_binary(self.path) as stream:
            try:
                value = orjson.loads(stream.read().removeprefix(b"\xef\xbb\xbf"))
            except orjson.JSONDecodeError as error:
                raise DataError(f"{self.path}:{error.lineno}: not JSON: {error.msg} (column {error.colno})") from None
        for key in self.field.split(".") if self.field else ():
            if not isinstance(value, dict) or key not in value:
                hint = did_you_mean(key, value) if isinstance(value, dict) else ""
                raise DataError(f"{self.path}: field: nothing at {self.field!r}{hint}")
            value = value[key]
        where = f"{self.path}: {self.field}" if self.field else str(self.path)
        if not isinstance(value, list):
            fields = f"; name the list with `field:`, one of {', '.join(value)}" if isinstance(value, dict) else ""
            raise DataError(f"{where}: expected a list of objects{fields}")
        for number, row in enumerate(value, 1):
            if not isinstance(row, dict):
                raise DataError(f"{where}: row {number}: expected a JSON object, got {row!r:.60}")
            yield row
