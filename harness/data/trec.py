"""TREC run files and relevance judgements, read as trec_eval reads them; judgements in BEIR's form too."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from harness.data.files import Source, decode, name_of, numbered_lines, open_binary
from harness.errors import DataError
from harness.types import Ranking

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_BLOCK = 1 << 24
_RUN_COLUMNS = ("query", "Q0", "document", "rank", "score", "tag")


def read_run(source: Source) -> dict[str, Ranking]:
    """The rankings of a run file (``query Q0 document rank score tag``, white space between), by query in order of appearance.

    As in trec_eval words after the tag are ignored and the rank column counts for nothing: documents are ordered by score,
    descending and in single precision, and ties by document id, descending.

    Raises DataError ``file:line: message``: too few columns, a score that is no number, a document ranked twice.
    """
    with open_binary(source) as stream:
        data = stream.read()
    if not data or data.isspace():
        raise DataError(f"{name_of(source)}: no rankings in it")
    columns = _columns(data) or _columns(_first_six(data))
    if columns is None or np.isnan(columns.scores).any():
        _raise_run_fault(data, source)
    rankings = _rankings(columns)
    if any(len(set(ranking.documents)) != len(ranking.documents) for ranking in rankings.values()):
        _raise_run_fault(data, source)
    return rankings


@dataclass(frozen=True, slots=True)
class _Columns:
    """The lines of a run: ``codes[i]`` is the position in ``queries`` of line i's query."""

    queries: list[str]
    codes: NDArray[np.int32]
    documents: Any
    scores: NDArray[np.float64]


def _columns(data: bytes) -> _Columns | None:
    """The columns that count, or None if a line is not as it must be."""
    import pyarrow
    import pyarrow.csv

    text, number = pyarrow.string(), pyarrow.float64()
    types = {"query": pyarrow.dictionary(pyarrow.int32(), text), "document": text, "score": number}
    try:
        table = pyarrow.csv.read_csv(
            pyarrow.BufferReader(_single_spaced(data)),
            read_options=pyarrow.csv.ReadOptions(column_names=_RUN_COLUMNS, block_size=_BLOCK),
            parse_options=pyarrow.csv.ParseOptions(delimiter=" ", quote_char=False),
            convert_options=pyarrow.csv.ConvertOptions(include_columns=list(types), null_values=[], column_types=types),
        )
    except pyarrow.ArrowInvalid:
        return None
    queries = table["query"].unify_dictionaries().combine_chunks()
    scores, documents = table["score"].to_numpy(), table["document"].combine_chunks()
    return _Columns(queries.dictionary.to_pylist(), queries.indices.to_numpy(), documents, scores)


def _single_spaced(data: bytes) -> bytes:
    """The same lines with one space between columns."""
    if any(mark in data for mark in (b"\t", b"\r", b"\v", b"\f")):
        data = data.translate(bytes.maketrans(b"\t\r\v\f", b"    "))
    while b"  " in data:
        data = data.replace(b"  ", b" ")
    if b" \n" in data or b"\n " in data:
        data = data.replace(b" \n", b"\n").replace(b"\n ", b"\n")
    return data.strip(b" ")


def _first_six(data: bytes) -> bytes:
    """The same lines without what stands after the tag."""
    return b"\n".join(b" ".join(line.split()[:6]) for line in data.split(b"\n"))


def _rankings(columns: _Columns) -> dict[str, Ranking]:
    """One ranking a query, in order."""
    codes, scores, documents = columns.codes, columns.scores, columns.documents
    with np.errstate(over="ignore"):
        singles = scores.astype(np.float32)
    rises = (codes[1:] < codes[:-1]) | ((codes[1:] == codes[:-1]) & (singles[1:] > singles[:-1]))
    if rises.any():
        order = np.lexsort((-singles, codes))
        codes, scores, singles, documents = codes[order], scores[order], singles[order], documents.take(order)
    ids, values = documents.to_pylist(), scores.tolist()
    for first, last in _runs((codes[1:] == codes[:-1]) & (singles[1:] == singles[:-1])):
        tied = sorted(zip(ids[first:last], values[first:last]), reverse=True)
        ids[first:last], values[first:last] = [id_ for id_, _ in tied], [value for _, value in tied]
    bounds = np.searchsorted(codes, np.arange(len(columns.queries) + 1, dtype=codes.dtype)).tolist()
    return {name: Ranking(tuple(ids[a:b]), tuple(values[a:b])) for name, a, b in zip(columns.queries, bounds, bounds[1:])}


def _runs(same_as_next: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Where stretches of equal neighbours begin and end."""
    edges = np.diff(np.concatenate(([0], same_as_next.astype(np.int8), [0])))
    yield from zip(np.flatnonzero(edges == 1).tolist(), (np.flatnonzero(edges == -1) + 1).tolist())


def _raise_run_fault(data: bytes, source: Source) -> NoReturn:
    """Look for the line that is at fault, one by one."""
    name, seen = name_of(source), dict[tuple[str, str], int]()
    for number, line in enumerate(data.split(b"\n"), 1):
        columns = decode(line, source, number).split()
        if columns and len(columns) < 6:
            raise DataError(f"{name}:{number}: expected 6 columns ({' '.join(_RUN_COLUMNS)}), got {len(columns)}")
        if columns and not _is_number(columns[4]):
            raise DataError(f"{name}:{number}: the score must be a number, got {columns[4]!r}")
        key = (columns[0], columns[2]) if columns else ("", "")
        if columns and key in seen:
            raise DataError(f"{name}:{number}: document {key[1]!r} of query {key[0]!r} is on line {seen[key]} already")
        seen[key] = number
    raise DataError(f"{name}: cannot be read as a TREC run")


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def write_run(path: Path, rankings: Mapping[str, Ranking], tag: str) -> None:
    """A run file: ``query Q0 document rank score tag``, ranks from 1. Raises DataError for white space in an id or the tag."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for query, ranking in rankings.items():
            file.writelines(run_lines(query, ranking, tag))


def run_lines(query: str, ranking: Ranking, tag: str) -> list[str]:
    """The lines of one query in a run file. Raises DataError for white space in an id or the tag, which they cannot hold."""
    lines = []
    for rank, (document, score) in enumerate(zip(ranking.documents, ranking.scores), 1):
        columns = (query, "Q0", document, str(rank), repr(score), tag)
        line = " ".join(columns)
        if tuple(line.split()) != columns:
            given = f"query {query!r}, document {document!r}, tag {tag!r}"
            raise DataError(f"TREC runs take no empty id and no white space in ids: {given}")
        lines.append(line + "\n")
    return lines


# ── judgements ──────────────────────────────────────────────────────────────────────────────────────────────────────


def read_qrels(source: Source) -> dict[str, dict[str, int]]:
    """Grades by query and document: TREC's ``query iteration document grade`` or BEIR's ``query TAB document TAB grade``.

    The form follows from the first line: three columns are BEIR's, whose header may be there or not. Empty lines and lines that
    begin with ``#`` are skipped, as trec_eval does. Grades may be negative.

    Raises DataError ``file:line: message``: a wrong number of columns, a grade that is no integer, two grades for one pair.
    """
    qrels: dict[str, dict[str, int]] = {}
    name, is_beir = name_of(source), False
    for n, (number, line) in enumerate(_judgements(source)):
        if n == 0:
            is_beir = line.count("\t") == 2 or len(line.split()) == 3
        columns = (line.split("\t") if "\t" in line else line.split()) if is_beir else line.split()
        if len(columns) != (3 if is_beir else 4):
            shape = "3 columns (query document grade)" if is_beir else "4 columns (query iteration document grade)"
            raise DataError(f"{name}:{number}: expected {shape}, got {len(columns)}")
        query, document, written = columns[0], columns[-2], columns[-1]
        try:
            grade = int(written)
        except ValueError:
            if n == 0 and is_beir:
                continue
            raise DataError(f"{name}:{number}: the grade must be an integer, got {written!r}") from None
        grades = qrels.setdefault(query, {})
        if grades.setdefault(document, grade) != grade:
            raise DataError(f"{name}:{number}: document {document!r} of query {query!r} has grade {grades[document]} already")
    if not qrels:
        raise DataError(f"{name}: no judgements in it")
    return qrels


def _judgements(source: Source) -> Iterator[tuple[int, str]]:
    for number, raw in numbered_lines(source):
        line = decode(raw, source, number).strip("\r\n ")
        if line and not line.startswith("#"):
            yield number, line
