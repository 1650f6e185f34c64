"""The lines of a TREC run in columns: rankings that become objects only where they are asked for, judged all at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.data import compiled
from harness.types import Ranking

if TYPE_CHECKING:
    import pyarrow as pa

IntArray: TypeAlias = NDArray[np.int64]
Hashes: TypeAlias = NDArray[np.uint64]

_ODD = np.uint64(0x9E3779B97F4A7C15)
_ALSO_ODD = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class RunLines:
    """Query i has the lines ``bounds[i]:bounds[i + 1]``, by score descending in single precision; ties in any order.

    ``documents`` is an arrow array of strings, ``hashes`` has 64 bits of each, ``codes`` the number of each line's query;
    ``scores`` is ``float64[n]``, ``singles`` the same as ``float32``. ``memory`` is for what was last made of these lines, as
    several metrics want the same.
    """

    queries: list[str]
    bounds: IntArray
    documents: pa.StringArray | pa.LargeStringArray
    scores: NDArray[np.float64]
    singles: NDArray[np.float32]
    codes: NDArray[np.int32]
    hashes: Hashes
    memory: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_columns(cls, columns: compiled.RunColumns) -> RunLines:
        """Lines that are read already."""
        queries, codes, documents, scores, singles, known, is_sorted = columns
        if not is_sorted:
            order = np.lexsort((-singles, codes))
            codes, scores, singles, known = codes[order], scores[order], singles[order], known[order]
            documents = documents.take(order)
        return cls(queries, _bounds(codes, len(queries)), documents, scores, singles, codes, known)

    @classmethod
    def of(cls, queries: list[str], codes: NDArray[np.int32], documents: Any, scores: NDArray[np.float64]) -> RunLines:
        """Lines in the order of a file; ``codes[i]`` is the position in ``queries`` of line i's query."""
        with np.errstate(over="ignore"):
            singles = scores.astype(np.float32)
        if _falls(codes, singles):
            order = np.lexsort((-singles, codes))
            codes, scores, singles, documents = codes[order], scores[order], singles[order], documents.take(order)
        return cls(queries, _bounds(codes, len(queries)), documents, scores, singles, codes, hashes(documents))

    def has_repeats(self) -> bool:
        """Whether a document is there twice in a query."""
        if compiled.all_differ(self.hashes, self.bounds):
            return False
        lengths = np.diff(self.bounds)
        if (lengths == lengths[0]).all():
            ordered = np.sort(self.hashes.astype(np.uint32).reshape(len(lengths), -1), axis=1)
            suspects = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
        else:
            keys = np.sort(_keys(self.hashes, self.codes))
            suspects = np.arange(len(lengths)) if (keys[1:] == keys[:-1]).any() else np.arange(0)
        spans = ((int(self.bounds[row]), int(self.bounds[row + 1])) for row in suspects)
        return any(len(set(self._ids(first, last))) < last - first for first, last in spans)

    def rankings(self) -> Iterator[Ranking]:
        """One a query, as objects only when they are looked into."""
        return (StoredRanking(self, row) for row in range(len(self.queries)))

    def ranking(self, row: int) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """The documents and scores of a query, by score descending in single precision, then by id descending."""
        first, last = int(self.bounds[row]), int(self.bounds[row + 1])
        ids, values, singles = self._ids(first, last), self.scores[first:last].tolist(), self.singles[first:last]
        for a, b in _stretches(singles[1:] == singles[:-1]):
            tied = sorted(zip(ids[a:b], values[a:b]), reverse=True)
            ids[a:b], values[a:b] = [id_ for id_, _ in tied], [value for _, value in tied]
        return tuple(ids), tuple(values)

    def judged(self, rows: IntArray, qrels: Sequence[Mapping[str, int]]) -> tuple[IntArray, IntArray, IntArray] | None:
        """Where the judged documents of some queries stand: (position in ``rows``, rank from 1, grade), in this order.

        None if that cannot be told from hashes alone.
        """
        found = compiled.judged(self.hashes, self.bounds, self.documents, rows, qrels) or self._found(rows, qrels)
        if found is None:
            return None
        which, lines, grades = found
        ranks = self._ranks(lines, rows[which])
        arranged = np.argsort(which * (len(self.codes) + 1) + ranks)
        return which[arranged], ranks[arranged], grades[arranged]

    def _found(self, rows: IntArray, qrels: Sequence[Mapping[str, int]]) -> tuple[IntArray, IntArray, IntArray] | None:
        """The judged documents in any order: (position in ``rows``, line, grade)."""
        import pyarrow as pa
        import pyarrow.compute as pc

        which = np.repeat(np.arange(len(rows)), [len(grades) for grades in qrels])
        documents = pa.array([document for grades in qrels for document in grades], self.documents.type)
        grades = np.array([grade for grades in qrels for grade in grades.values()], dtype=np.int64)
        keys = _keys(hashes(documents), rows[which])
        order = np.argsort(keys)
        ordered = keys[order]
        if (ordered[1:] == ordered[:-1]).any():
            return None
        lines, places = self._members(ordered)
        wanted = order[places]
        if len(lines) and not pc.all(pc.equal(self.documents.take(lines), documents.take(wanted))).as_py():
            return None
        return which[wanted], lines, grades[wanted]

    def _members(self, ordered: Hashes) -> tuple[IntArray, IntArray]:
        """Lines whose keys are among some that ascend, and their places there: a table of a few bits leaves few to look up."""
        shift = np.uint64(64 - max(16, min(23, len(ordered).bit_length() + 5)))
        table = np.zeros(1 << (64 - int(shift)), dtype=bool)
        table[ordered >> shift] = True
        lines, places = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        for start in range(0, len(self.hashes), _BLOCK):
            block = slice(start, start + _BLOCK)
            keys = _keys(self.hashes[block], self.codes[block])
            maybe = np.flatnonzero(table[keys >> shift])
            at = np.searchsorted(ordered, keys[maybe])
            there = (at < len(ordered)) & (ordered[np.minimum(at, len(ordered) - 1)] == keys[maybe])
            lines.append(maybe[there] + start)
            places.append(at[there])
        return np.concatenate(lines), np.concatenate(places)

    def _ranks(self, lines: IntArray, rows: IntArray) -> IntArray:
        """Ranks of lines in their queries: their position, and among equal scores the place of their id."""
        ranks = lines - self.bounds[rows] + 1
        same = np.flatnonzero(self.singles[1:] == self.singles[:-1])
        tied = np.zeros(len(self.singles) + 1, dtype=bool)
        tied[same] = tied[same + 1] = True
        group: dict[tuple[int, int], dict[str, int]] = {}
        for at in np.flatnonzero(tied[lines]).tolist():
            first, last = self._tie(int(lines[at]), int(rows[at]))
            if (first, last) not in group:
                group[first, last] = {id_: place for place, id_ in enumerate(sorted(self._ids(first, last), reverse=True))}
            ranks[at] = first - self.bounds[rows[at]] + 1 + group[first, last][self.documents[int(lines[at])].as_py()]
        return ranks

    def _tie(self, line: int, row: int) -> tuple[int, int]:
        """Where the scores equal to that of a line begin and end in its query."""
        start, stop = int(self.bounds[row]), int(self.bounds[row + 1])
        rising, score = -self.singles[start:stop], -self.singles[line]
        return start + int(np.searchsorted(rising, score, "left")), start + int(np.searchsorted(rising, score, "right"))

    def _ids(self, first: int, last: int) -> list[str]:
        ids: list[str] = self.documents.slice(first, last - first).to_pylist()
        return ids


class StoredRanking(Ranking):
    """A ranking that is still lines of a run. ``lines`` and ``row`` tell a metric where to look without making objects."""

    __slots__ = ("lines", "row")

    lines: RunLines
    row: int

    def __init__(self, lines: RunLines, row: int) -> None:
        object.__setattr__(self, "lines", lines)
        object.__setattr__(self, "row", row)

    @property
    def documents(self) -> tuple[str, ...]:
        """Document ids, best first."""
        return self.lines.ranking(self.row)[0]

    @property
    def scores(self) -> tuple[float, ...]:
        """Their scores."""
        return self.lines.ranking(self.row)[1]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranking) and (self.documents, self.scores) == (other.documents, other.scores)

    def __hash__(self) -> int:
        return hash((self.documents, self.scores))

    def __repr__(self) -> str:
        return f"Ranking(documents={self.documents!r}, scores={self.scores!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Ranking, (self.documents, self.scores)


# ── hashes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def hashes(texts: pa.StringArray | pa.LargeStringArray) -> Hashes:
    """64 bits a text, ``uint64[n]``; equal texts have equal hashes."""
    out = np.empty(len(texts), dtype=np.uint64)
    for start in range(0, len(texts), _BLOCK):
        block = texts.slice(start, _BLOCK)
        out[start : start + len(block)] = _block_hashes(block)
    return out


def _block_hashes(texts: Any) -> Hashes:
    """Eight bytes at a time, read at every text's start, its ninth byte, …; what is past its end is masked."""
    _, offsets, data = texts.buffers()
    wide = np.int64 if "large" in str(texts.type) else np.int32
    edges = np.frombuffer(offsets, wide)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    first, last = (int(edges[0]), int(edges[-1])) if len(edges) else (0, 0)
    padded = np.zeros(last - first + 8, dtype=np.uint8)
    if last > first:
        padded[:-8] = np.frombuffer(data, np.uint8)[first:last]
    words = np.ndarray(len(padded) - 7, "<u8", padded, strides=(1,))
    starts, lengths = edges[:-1] - first, np.diff(edges)
    mixed = lengths.astype(np.uint64) * _ODD
    for at in range(0, int(lengths.max(initial=0)), 8):
        longer = slice(None) if at == 0 else np.flatnonzero(lengths > at)
        word = words[starts[longer] + at] & _MASKS[np.minimum(lengths[longer] - at, 8)]
        of_these = (mixed[longer] ^ word) * _ODD
        mixed[longer] = of_these ^ (of_these >> _HALF)
    return mixed


def _keys(texts: Hashes, codes: NDArray[Any]) -> Hashes:
    """Hashes of (text, code)."""
    mixed: Hashes = codes.astype(np.uint64)
    mixed *= _ALSO_ODD
    mixed += texts
    mixed *= _ODD
    return mixed


def _bounds(codes: NDArray[np.int32], n_queries: int) -> IntArray:
    """Where the lines of each query begin, and the end, in codes that ascend."""
    return np.searchsorted(codes, np.arange(n_queries + 1, dtype=codes.dtype))


def _falls(codes: NDArray[np.int32], singles: NDArray[np.float32]) -> bool:
    """Whether lines are out of order: a query that goes on after others, or a score that rises inside one."""
    step = codes[1:] - codes[:-1]
    return bool(((step < 0) | ((step == 0) & (singles[1:] > singles[:-1]))).any())


def _stretches(same_as_next: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Where stretches of equal neighbours begin and end."""
    edges = np.diff(np.concatenate(([0], same_as_next.astype(np.int8), [0])))
    yield from zip(np.flatnonzero(edges == 1).tolist(), (np.flatnonzero(edges == -1) + 1).tolist())
