"""Data format ``beir``: a retrieval data set as a folder, as BEIR and MTEB lay it out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from harness.data.corpus import DocumentCorpus
from harness.data.jsonl import read_jsonl
from harness.data.trec import read_qrels
from harness.errors import DataError, did_you_mean
from harness.types import Document


@dataclass(frozen=True, slots=True)
class RetrievalCounts:
    """Queries that are asked, queries left out because the split judges none of their documents, judged ids without a query."""

    queries: int
    unjudged: int
    unknown: int


@dataclass(frozen=True)
class Beir:
    """A folder ``path`` with ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/<split>.tsv``, each plain or ``.gz``.

    The rows are the queries that have judgements in that split, in the order of the file.
    """

    name: ClassVar[str] = "beir"
    summary: ClassVar[str] = "a BEIR folder: corpus.jsonl, queries.jsonl, qrels/<split>.tsv"

    path: Path
    split_: str = "test"

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """``{"id", "text", "qrels": {document: grade}}`` and the query's other fields. Raises DataError."""
        file = self._file("queries.jsonl")
        qrels = read_qrels(self._qrels_file())
        for line, row in read_jsonl(file):
            id_, text = _identified(row, file, line)
            if id_ in qrels:
                yield {**row, "id": id_, "text": text, "qrels": qrels[id_]}

    def corpus(self) -> DocumentCorpus:
        """The documents of ``corpus.jsonl``."""
        file = self._file("corpus.jsonl")
        return DocumentCorpus(lambda: _documents(file), str(file))

    def split(self, name: str) -> Beir:
        """The same folder with the judgements of another split. Raises DataError if there are none."""
        other = dataclasses.replace(self, split_=name)
        other._qrels_file()
        return other

    def counts(self) -> RetrievalCounts:
        """How queries and judgements fit together."""
        file, qrels = self._file("queries.jsonl"), read_qrels(self._qrels_file())
        ids = [_identified(row, file, line)[0] for line, row in read_jsonl(file)]
        asked = sum(id_ in qrels for id_ in ids)
        return RetrievalCounts(asked, len(ids) - asked, len(qrels.keys() - set(ids)))

    def _file(self, name: str) -> Path:
        for path in (self.path / name, self.path / f"{name}.gz"):
            if path.is_file():
                return path
        shape = "a BEIR folder has corpus.jsonl, queries.jsonl, qrels/"
        raise DataError(f"{self.path}: no {name} or {name}.gz in this folder; {shape}")

    def _qrels_file(self) -> Path:
        try:
            return self._file(f"qrels/{self.split_}.tsv")
        except DataError:
            known = sorted(path.name.split(".tsv")[0] for path in self.path.glob("qrels/*.tsv*"))
            raise DataError(f"{self.path}: no split {self.split_!r} in qrels/{did_you_mean(self.split_, known)}") from None


def _documents(file: Path) -> Iterator[Document]:
    for line, row in read_jsonl(file):
        id_, text = _identified(row, file, line)
        yield Document(id_, text, str(row.get("title") or ""))


def _identified(row: Mapping[str, Any], file: Path, line: int) -> tuple[str, str]:
    """Id and text of a query or document."""
    id_ = row.get("_id", row.get("id"))
    if id_ is None or "text" not in row:
        missing = "text" if id_ is not None else "_id"
        raise DataError(f"{file}:{line}: no field {missing!r}; the fields are: {', '.join(sorted(row))}")
    return str(id_), str(row["text"])
