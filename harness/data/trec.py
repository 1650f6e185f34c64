"""TREC run files and relevance judgements, read as trec_eval reads them; judgements in BEIR's form too."""

from __future__ import annotations

import io
import math
import mmap
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from harness.data import compiled
from harness.data.files import Source, decode, name_of, open_binary
from harness.data.runlines import RunLines
from harness.errors import DataError
from harness.types import Ranking

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

_BLOCK = 1 << 22
_SCANNED = 1 << 18
_MANY = 2**31 - 1
_SPACE = 32
_HEAD = 64
_BOM = b"\xef\xbb\xbf"
_RUN_COLUMNS = ("query", "Q0", "document", "rank", "score", "tag")
_QRELS_COLUMNS = ("query", "iteration", "document", "grade")
_BEIR_COLUMNS = ("query", "document", "grade")


def read_run(source: Source) -> dict[str, Ranking]:
    """The rankings of a run file (``query Q0 document rank score tag``, white space between), by query in order of appearance.

    As in trec_eval words after the tag are ignored and the rank column counts for nothing: documents are ordered by score,
    descending and in single precision, and ties by document id, descending. The rankings stay columns of the file until they
    are looked into.

    Raises DataError ``file:line: message``: too few columns, a score that is no number, a document ranked twice.
    """
    with _mapped(source) as data:
        if not data or (data[:_HEAD].isspace() and data[:].isspace()):
            raise DataError(f"{name_of(source)}: no rankings in it")
        columns = compiled.run_columns(data)
        lines = _lines_by_arrow(data, source) if columns is None else RunLines.of_columns(columns)
        if lines.has_repeats():
            _raise_run_fault(data[:], source)
    return dict(zip(lines.queries, lines.rankings()))


def _lines_by_arrow(data: bytes | mmap.mmap, source: Source) -> RunLines:
    table = _run_table(data)
    if table is None or np.isnan(table["score"].to_numpy()).any():
        _raise_run_fault(data[:], source)
    queries, codes = _coded(table["query"])
    return RunLines.of(queries, codes, _whole(table["document"]), table["score"].to_numpy())


@contextmanager
def _mapped(source: Source) -> Iterator[bytes | mmap.mmap]:
    """The bytes of a source without a byte-order mark: where they lie on disk, if they are a file that is not compressed."""
    with open_binary(source) as stream:
        if isinstance(source, Path) and isinstance(stream, io.BufferedReader) and source.stat().st_size:
            data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            if hasattr(mmap, "MADV_SEQUENTIAL"):
                data.madvise(mmap.MADV_SEQUENTIAL)
            yield data[len(_BOM) :] if data[: len(_BOM)] == _BOM else data
            return
        yield stream.read().removeprefix(_BOM)


def _run_table(data: bytes | mmap.mmap) -> pa.Table | None:
    """The columns that count, or None if a line is not as it must be."""
    types = {"query": "code", "document": "text", "score": "number"}
    n_controls = _controls(data)
    if n_controls is not None:
        table = _table(data, _RUN_COLUMNS, types)
        if table is not None and n_controls == _line_ends(data, table.num_rows):
            return table
    spaced = _single_spaced(data[:])
    return _table(spaced, _RUN_COLUMNS, types) or _table(_first_six(spaced), _RUN_COLUMNS, types)


def _table(data: bytes | mmap.mmap, columns: Sequence[str], types: Mapping[str, str], delimiter: str = " ") -> pa.Table | None:
    """Columns of a file, or None if a line has another number of them or a value that is not of its type."""
    import pyarrow
    import pyarrow.csv

    arrow = {"code": pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), "text": pyarrow.string(),
             "number": pyarrow.float64(), "integer": pyarrow.int64()}
    convert = pyarrow.csv.ConvertOptions(
        include_columns=list(types), null_values=[], column_types={name: arrow[kind] for name, kind in types.items()}
    )
    try:
        return pyarrow.csv.read_csv(
            pyarrow.BufferReader(pyarrow.py_buffer(data)),
            read_options=pyarrow.csv.ReadOptions(column_names=columns, block_size=_BLOCK),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, quote_char=False),
            convert_options=convert,
        )
    except pyarrow.ArrowInvalid:
        return None


def _coded(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int32]]:
    """The different values in order of appearance, and the position of each row's value among them."""
    whole = column.unify_dictionaries().combine_chunks()
    return whole.dictionary.to_pylist(), whole.indices.to_numpy()


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """A column of text in one piece, with wide offsets where it is larger than 2 GB."""
    import pyarrow

    return (column if column.nbytes < _MANY else column.cast(pyarrow.large_string())).combine_chunks()


def _controls(data: bytes | mmap.mmap) -> int | None:
    """How many bytes are line ends, tabs and the like; None if white space stands at the beginning, beside other white space,
    or as a blank at the end.
    """
    codes, n_controls = np.frombuffer(data, np.uint8), 0
    if codes[0] <= _SPACE or codes[-1] == _SPACE:
        return None
    for start in range(0, len(codes), _SCANNED):
        block = codes[max(start - 1, 0) : start + _SCANNED]
        white = block <= _SPACE
        white[:-1] &= white[1:]
        if white[:-1].any():
            return None
        n_controls += int(np.count_nonzero(block[min(start, 1) :] < _SPACE))
    return n_controls


def _line_ends(data: bytes | mmap.mmap, n_lines: int) -> int:
    return n_lines if data[-1:] == b"\n" else n_lines - 1


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
    with open_binary(source) as stream:
        data = stream.read()
    data = data.removeprefix(_BOM)
    qrels = _clean_qrels(data) if data else None
    return _qrels_by_line(data, source) if qrels is None else qrels


def read_exact(source: Source) -> dict[str, dict[str, int]]:
    """The ranking that an approximate one is held against: a run, whose documents get the grades n to 1, or judgements as such.

    Raises DataError as :func:`read_run` and :func:`read_qrels` do.
    """
    with open_binary(source) as stream:
        held = _Held(stream.read())
    held.name = name_of(source)
    first = next((line for line in held if not line.isspace()), b"")
    held.seek(0)
    if len(first.split()) < len(_RUN_COLUMNS):
        return read_qrels(held)
    return {query: dict(zip(found.documents, range(len(found.documents), 0, -1))) for query, found in read_run(held).items()}


class _Held(io.BytesIO):
    name: str


def _clean_qrels(data: bytes) -> dict[str, dict[str, int]] | None:
    """The judgements of a file without comments, blank lines, odd spaces or contradictions; None for any other."""
    first = data[: data.find(b"\n") + 1] or data
    delimiter = "\t" if b"\t" in first else " "
    columns = _QRELS_COLUMNS if len(first.split()) == 4 else _BEIR_COLUMNS
    if len(first.split()) != len(columns):
        return None
    if columns == _BEIR_COLUMNS and not _is_integer(first.split()[-1]):
        data = data[len(first) :]
    n_controls = _controls(data) if data else None
    if n_controls is None or (delimiter == "\t" and b" " in data):
        return None
    table = _table(data, columns, {"query": "code", "document": "text", "grade": "integer"}, delimiter)
    n_tabs = 0 if table is None or delimiter == " " else table.num_rows * (len(columns) - 1)
    if table is None or n_controls != _line_ends(data, table.num_rows) + n_tabs:
        return None
    queries, codes = _coded(table["query"])
    documents, grades = table["document"].to_pylist(), table["grade"].to_pylist()
    if any(query.startswith("#") for query in queries):
        return None
    if (codes[1:] < codes[:-1]).any():
        order = np.argsort(codes, kind="stable").tolist()
        documents, grades = [documents[i] for i in order], [grades[i] for i in order]
    bounds = np.concatenate(([0], np.cumsum(np.bincount(codes)))).tolist()
    qrels = {query: dict(zip(documents[a:b], grades[a:b])) for query, a, b in zip(queries, bounds, bounds[1:])}
    return qrels if sum(map(len, qrels.values())) == len(documents) else None


def _is_integer(text: bytes) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


def _qrels_by_line(data: bytes, source: Source) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    name, is_beir = name_of(source), False
    for n, (number, line) in enumerate(_judgements(data, source)):
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


def _judgements(data: bytes, source: Source) -> Iterator[tuple[int, str]]:
    for number, raw in enumerate(io.BytesIO(data), 1):
        line = decode(raw, source, number).strip("\r\n ")
        if line and not line.startswith("#"):
            yield number, line
