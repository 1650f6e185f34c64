"""Rankings against judgements in arrays: the ranks and grades of what was found, of many queries at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from harness.metrics.rows import wrong_kind
from harness.types import FloatArray, Output, Ranking, Sample

IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of ``n`` queries.

    n_found : ``int64[n]``, how many documents each ranking has.
    query, rank, grade : ``int64[m]``, the judged documents that were found, by query and by rank in it, which counts from 1.
    judged_query, judged_grade : ``int64[j]``, all judgements, by query and by grade descending in it.
    """

    n_found: IntArray
    query: IntArray
    rank: IntArray
    grade: IntArray
    judged_query: IntArray
    judged_grade: IntArray

    @property
    def n(self) -> int:
        return len(self.n_found)

    def first(self, depth: int) -> Judged:
        """The same of rankings that end after ``depth`` documents (``-M`` of trec_eval)."""
        kept = self.rank <= depth
        return Judged(np.minimum(self.n_found, depth), self.query[kept], self.rank[kept], self.grade[kept],
                      self.judged_query, self.judged_grade)

    def sums(self, values: FloatArray | BoolArray | IntArray) -> FloatArray:
        """Sums by query of a value for each found document, ``float64[n]``."""
        return totals(self.query, values, self.n)

    def running(self, values: FloatArray | BoolArray | IntArray) -> FloatArray:
        """For each found document the sum of the values down to it, inside its query."""
        return running(self.query, values, self.n)

    def n_judged(self, low: int, high: int | None = None) -> FloatArray:
        """Judgements by query with a grade from ``low`` on, and below ``high``."""
        wanted = (self.judged_grade >= low) & (True if high is None else self.judged_grade < high)
        return np.bincount(self.judged_query[wanted], minlength=self.n).astype(np.float64)


def judged_of(samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[Judged, IntArray, dict[int, str]]:
    """The rankings that can be judged, their rows, and for the other rows the reason why not."""
    missing: dict[int, str] = {}
    rows: list[int] = []
    for row, (sample, output) in enumerate(zip(samples, outputs, strict=True)):
        fault = _fault(sample, output)
        if fault is None:
            rows.append(row)
        else:
            missing[row] = fault
    rankings = [cast("Ranking", outputs[row].answer) for row in rows]
    qrels = [samples[row].qrels or {} for row in rows]
    return judge(rankings, qrels), np.array(rows, dtype=np.int64), missing


def judge(rankings: Sequence[Ranking], qrels: Sequence[Mapping[str, int]]) -> Judged:
    """Find the judged documents in rankings without faults."""
    lines = _lines(rankings)
    if lines is None:
        return _with_judgements(_one_by_one(rankings, qrels), qrels)
    rows = [getattr(ranking, "row", -1) for ranking in rankings]
    asked = [*rows, *map(id, qrels)]
    if lines.memory.get("asked") != asked:
        parts = _in_lines(lines, np.array(rows, dtype=np.int64), qrels) or _one_by_one(rankings, qrels)
        lines.memory.update(asked=asked, qrels=qrels, judged=_with_judgements(parts, qrels))
    return cast("Judged", lines.memory["judged"])


def totals(query: IntArray, values: FloatArray | BoolArray | IntArray, n: int) -> FloatArray:
    """Sums of the values by query, ``float64[n]``."""
    return np.bincount(query, weights=values, minlength=n).astype(np.float64, copy=False)


def running(query: IntArray, values: FloatArray | BoolArray | IntArray, n: int) -> FloatArray:
    """Sums of the values down to each, inside its query; ``query`` ascends. What they are does not depend on other queries."""
    bounds = np.searchsorted(query, np.arange(n + 1))
    if values.dtype.kind != "f":
        total = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
        counts: FloatArray = total[1:] - total[bounds[query]]
        return counts
    sums = np.empty(len(values))
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist()):
        np.cumsum(values[first:last], out=sums[first:last])
    return sums


def until(
    query: IntArray, places: IntArray, values: FloatArray, wanted: IntArray, place: IntArray
) -> FloatArray:
    """For pairs of a query (``wanted``) and a place the sum of those of its values that stand at that place or before it.

    ``query`` ascends, and ``places`` do inside a query.
    """
    span = int(max(places.max(initial=0), place.max(initial=0))) + 1
    sums = running(query, values, int(max(query.max(initial=-1), wanted.max(initial=-1))) + 1)
    keys = query * span + places
    last = np.searchsorted(keys, wanted * span + place, "right") - 1
    is_there = (last >= 0) & (query[last] == wanted) if len(query) else np.zeros(len(wanted), dtype=bool)
    found = np.zeros(len(wanted))
    found[is_there] = sums[last[is_there]]
    return found


def ideal(grades: Sequence[int]) -> Judged:
    """One query whose ranking is all that is relevant, best first, and nothing else."""
    ordered = np.array(sorted(grades, reverse=True), dtype=np.int64)
    n_relevant = int((ordered > 0).sum())
    zeros = np.zeros(len(ordered), dtype=np.int64)
    found = np.array([n_relevant], dtype=np.int64)
    return Judged(found, zeros[:n_relevant], np.arange(1, n_relevant + 1), ordered[:n_relevant], zeros, ordered)


class _Lines(Protocol):
    """Rankings of a whole run that are not objects yet and can be judged as they are."""

    bounds: IntArray
    memory: dict[str, Any]

    def judged(self, rows: IntArray, qrels: Sequence[Mapping[str, int]]) -> tuple[IntArray, IntArray, IntArray] | None: ...


_Parts: TypeAlias = tuple[IntArray, IntArray, IntArray, IntArray]


def _lines(rankings: Sequence[Ranking]) -> _Lines | None:
    """The lines that all of the rankings that are not empty are rows of."""
    of_each = [getattr(ranking, "lines", None) for ranking in rankings]
    lines: _Lines | None = next((lines for lines in of_each if lines is not None), None)
    strangers = (ranking for ranking, own in zip(rankings, of_each) if own is not lines)
    return None if any(hasattr(ranking, "lines") or ranking.documents for ranking in strangers) else lines


def _in_lines(lines: _Lines, rows: IntArray, qrels: Sequence[Mapping[str, int]]) -> _Parts | None:
    """``rows`` are those of each query in the lines, -1 for an empty ranking."""
    there = np.flatnonzero(rows >= 0)
    found = lines.judged(rows[there], [qrels[position] for position in there.tolist()])
    if found is None:
        return None
    lengths = np.zeros(len(rows), dtype=np.int64)
    lengths[there] = np.diff(lines.bounds)[rows[there]]
    return lengths, there[found[0]], found[1], found[2]


def _with_judgements(parts: _Parts, qrels: Sequence[Mapping[str, int]]) -> Judged:
    query = np.repeat(np.arange(len(qrels)), [len(grades) for grades in qrels])
    grade = np.array([grade for grades in qrels for grade in grades.values()], dtype=np.int64)
    return Judged(*parts, query, grade[np.lexsort((-grade, query))])


def _one_by_one(rankings: Sequence[Ranking], qrels: Sequence[Mapping[str, int]]) -> _Parts:
    found = [_found(ranking, grades) for ranking, grades in zip(rankings, qrels)]
    query = np.repeat(np.arange(len(rankings)), [len(ranks) for ranks, _ in found])
    lengths = np.array([len(ranking.documents) for ranking in rankings], dtype=np.int64)
    return lengths, query, _joined([ranks for ranks, _ in found]), _joined([grades for _, grades in found])


def _found(ranking: Ranking, grades: Mapping[str, int]) -> tuple[list[int], list[int]]:
    """Ranks and grades of the judged documents: by score descending in single precision, then by id descending."""
    documents = ranking.documents
    hits = [place for place, document in enumerate(documents) if document in grades]
    if not hits:
        return [], []
    with np.errstate(over="ignore"):
        scores = np.asarray(ranking.scores, dtype=np.float32)
    ordered, own = np.sort(scores), scores[hits]
    left, right = np.searchsorted(ordered, own, "left"), np.searchsorted(ordered, own, "right")
    ranks = (len(scores) - right + 1).tolist()
    for at in np.flatnonzero(right - left > 1).tolist():
        tied = np.flatnonzero(scores == own[at]).tolist()
        ranks[at] += sum(documents[place] > documents[hits[at]] for place in tied)
    pairs = sorted(zip(ranks, (grades[documents[place]] for place in hits)))
    return [rank for rank, _ in pairs], [grade for _, grade in pairs]


def _fault(sample: Sample, output: Output) -> str | None:
    """Why a row cannot be judged."""
    if not sample.qrels:
        return "the query has no relevance judgements"
    ranking = output.answer
    if not isinstance(ranking, Ranking):
        return wrong_kind(output, "Ranking")
    if hasattr(ranking, "lines"):
        return None
    if len(ranking.documents) != len(ranking.scores):
        return f"{len(ranking.documents)} documents with {len(ranking.scores)} scores"
    if len(set(ranking.documents)) < len(ranking.documents):
        seen: set[str] = set()
        twice = next(d for d in ranking.documents if d in seen or seen.add(d))  # type: ignore[func-returns-value]
        return f"document {twice!r} is ranked twice"
    if any(map(math.isnan, ranking.scores)):
        return "a score is not a number"
    return None


def _joined(parts: Sequence[Sequence[int]]) -> IntArray:
    return np.array([value for part in parts for value in part], dtype=np.int64)
