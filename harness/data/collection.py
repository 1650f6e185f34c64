"""Data format ``collection``: a retrieval data set of three files, each in a format of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from harness.data.beir import RetrievalCounts
from harness.data.corpus import DocumentCorpus
from harness.data.csv import Csv, Tsv
from harness.data.files import FileFormat, open_binary
from harness.data.json import Json
from harness.data.jsonl import Jsonl
from harness.data.parquet import Parquet
from harness.data.trec import read_qrels
from harness.errors import DataError, HarnessError
from harness.templates import MissingField, Render, compile_template
from harness.types import Document

_FORMATS: Mapping[str, type[FileFormat]] = {"jsonl": Jsonl, "json": Json, "csv": Csv, "tsv": Tsv, "parquet": Parquet}


@dataclass(frozen=True)
class Records:
    """A file of queries or documents: ``path``, ``format`` (by default told by the content), and templates for its fields.

    ``id`` is by default the field ``_id``, else ``id``; ``text`` and ``title`` are the fields of these names. Templates see
    ``row_number`` (from 1), for judgements that number the queries. ``delimiter``, ``quoting``, ``columns`` go to the format.
    """

    path: Path
    format: Literal["jsonl", "json", "csv", "tsv", "parquet"] | None = None
    id: str | None = None
    text: str = "{{ text }}"
    title: str | None = None
    delimiter: str | None = None
    quoting: Literal["minimal", "none"] | None = None
    columns: tuple[str, ...] | None = None

    def read(self) -> Iterator[tuple[Document, Mapping[str, Any]]]:
        """Each record as id, title and text, and as its row. Raises DataError ``file: row n: <key>: what``."""
        renders = {
            "id": compile_template(self.id) if self.id is not None else _own_id,
            "text": compile_template(self.text),
            "title": compile_template(self.title) if self.title is not None else _own_title,
        }
        for number, row in enumerate(self._format().rows(), 1):
            values = {key: self._value(key, render, row, number) for key, render in renders.items()}
            yield Document(**values), row

    def _value(self, key: str, render: Render, row: Mapping[str, Any], number: int) -> str:
        try:
            value = render({"row": row, "row_number": number, **row})
        except MissingField as error:
            shown = MissingField(error.field, row) if "row_number" in error.available else error
            raise DataError(f"{self.path}: row {number}: {key}: {shown}") from error
        except HarnessError as error:
            raise DataError(f"{self.path}: row {number}: {key}: {error}") from error
        if value is None or (key == "id" and value == ""):
            raise DataError(f"{self.path}: row {number}: {key}: is empty")
        if isinstance(value, (list, dict)):
            raise DataError(f"{self.path}: row {number}: {key}: must be text, got a {type(value).__name__}; try `| join(' ')`")
        return str(value)

    def _format(self) -> FileFormat:
        name = self.format or detect_format(self.path)
        cls = _FORMATS[name]
        given = {key: value for key in ("delimiter", "quoting", "columns") if (value := getattr(self, key)) is not None}
        unknown = given.keys() - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise DataError(f"{self.path}: format {name} takes no {' or '.join(sorted(unknown))}")
        return cls(self.path, **given)


@dataclass(frozen=True)
class Collection:
    """``queries`` and ``corpus``, each a path or a mapping, and the path of ``qrels`` in BEIR's or TREC's form.

    The rows are the queries that have judgements, in the order of their file.
    """

    name: ClassVar[str] = "collection"
    summary: ClassVar[str] = "queries, corpus and qrels in three files"

    queries: Path | Records
    corpus_: Path | Records
    qrels: Path

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """``{"id", "text", "qrels": {document: grade}}`` and the query's other fields. Raises DataError."""
        qrels = read_qrels(self.qrels)
        for query, row in _records(self.queries).read():
            if query.id in qrels:
                yield {**row, "id": query.id, "text": query.text, "qrels": qrels[query.id]}

    def corpus(self) -> DocumentCorpus:
        """The documents."""
        records = _records(self.corpus_)
        return DocumentCorpus(lambda: (document for document, _ in records.read()), str(records.path))

    def split(self, name: str) -> Collection:
        """Raises DataError: three files are one split."""
        raise DataError(f"{self.qrels}: a collection of three files has no split {name!r}; a beir folder has")

    def counts(self) -> RetrievalCounts:
        """How queries and judgements fit together."""
        qrels, ids = read_qrels(self.qrels), [query.id for query, _ in _records(self.queries).read()]
        asked = sum(id_ in qrels for id_ in ids)
        return RetrievalCounts(asked, len(ids) - asked, len(qrels.keys() - set(ids)))


def detect_format(path: Path) -> str:
    """The format of a file by its first bytes: Parquet's mark, ``{`` or ``[``, else a tab in the first line or none."""
    with open_binary(path) as stream:
        start = stream.read(1 << 16)
    if start.startswith(b"PAR1"):
        return "parquet"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith((b"{", b"[")):
        return "jsonl" if text.startswith(b"{") else "json"
    return "tsv" if b"\t" in text.partition(b"\n")[0] else "csv"


def _records(given: Path | Records) -> Records:
    return given if isinstance(given, Records) else Records(Path(given))


def _own_id(row: Mapping[str, Any]) -> Any:
    return compile_template("{{ _id }}" if "_id" in row else "{{ id }}")(row)


def _own_title(row: Mapping[str, Any]) -> Any:
    return row.get("title") or ""
