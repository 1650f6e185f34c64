"""Files of human ratings: CSV, TSV, JSON lines or a JSON list, told apart by their content; what their columns mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from harness.data.csv import read_csv
from harness.data.files import numbered_lines
from harness.data.json import Json
from harness.data.jsonl import read_jsonl
from harness.engine.predictionrows import value_at
from harness.errors import DataError, UsageError, nearest

Kind: TypeAlias = Literal["likert", "pairwise"]

SIDES = (
    ("left", "right"), ("model_a", "model_b"), ("system_a", "system_b"), ("item_a", "item_b"), ("option_a", "option_b"),
    ("a", "b"), ("model_x", "model_y"), ("model_1", "model_2"), ("system_1", "system_2"), ("model1", "model2"),
    ("system1", "system2"), ("first", "second"),
)  # fmt: skip
WINNERS = ("winner", "preference", "preferred", "choice", "vote", "label", "outcome", "result")
RATERS = ("rater", "rater_id", "worker", "worker_id", "annotator", "annotator_id", "judge", "judge_id", "evaluator", "labeler",
          "user", "user_id", "participant")  # fmt: skip
SYSTEMS = ("system", "system_id", "model", "model_id", "model_name", "candidate")
SCORES = ("score", "rating", "grade", "value", "stars", "likert", "label")
ITEMS = ("item", "item_id", "sample", "sample_id", "prompt", "prompt_id", "question", "question_id", "source", "subject",
         "unit", "id")  # fmt: skip
"""What columns are called, the likeliest name first."""


@dataclass(frozen=True, slots=True)
class Named:
    """The columns that the user named; None: as they are recognised."""

    left: str | None = None
    right: str | None = None
    winner: str | None = None
    worker: str | None = None
    item: str | None = None
    rater: str | None = None
    system: str | None = None
    score: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a file and where it stands."""

    file: str
    number: int
    values: Mapping[str, Any]

    def error(self, message: str) -> DataError:
        return DataError(f"{self.file}:{self.number}: {message}")

    def text(self, column: str) -> str:
        """What stands in a column, without white space around it; "" for nothing. Raises DataError if there is none."""
        try:
            value = value_at(self.values, column)
        except DataError as error:
            raise self.error(str(error)) from None
        return "" if value is None else str(value).strip()

    def required(self, column: str, what: str) -> str:
        """The same, where it must not be empty. Raises DataError."""
        found = self.text(column)
        if not found:
            raise self.error(f"{what} must not be empty (column {column!r})")
        return found


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns mean. ``raters`` are those of a wide table, a row an item and a column a rater."""

    kind: Kind
    names: Mapping[str, str]
    raters: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = "comparisons of two" if self.kind == "pairwise" else "ratings on a scale"
        listed = [f"{role} = {name}" for role, name in self.names.items()]
        listed += [f"raters = {', '.join(self.raters)}"] if self.raters else []
        return f"{what}: {', '.join(listed)}"

    def get(self, role: str) -> str | None:
        return self.names.get(role)


def read_lines_of(files: Sequence[Path]) -> list[Line]:
    """The rows of all files, in their order. Raises DataError ``file:line: …``; of JSON lists the line is the row's number."""
    lines = [Line(str(file), number, row) for file in files for number, row in _rows(file)]
    if not lines:
        raise DataError(f"{', '.join(map(str, files))}: no ratings in it")
    return lines


def recognise(lines: Sequence[Line], named: Named) -> Columns:
    """What the columns mean, from the names that the user gave and from what they are called.

    Raises UsageError for names of both kinds, DataError for a column that is not there and where nothing is recognised.
    """
    there = _fields(lines)
    of_pairs = [name for name in ("left", "right", "winner", "worker") if getattr(named, name) is not None]
    of_scale = [name for name in ("item", "rater", "system", "score") if getattr(named, name) is not None]
    other_kind = [name for name in of_scale if name != "item"]
    if of_pairs and other_kind:
        raise UsageError(f"ratings: --{of_pairs[0]} is of comparisons and --{other_kind[0]} of a scale: give one kind")
    for name in (*of_pairs, *of_scale):
        column = getattr(named, name)
        if column not in there:
            guess = nearest(column, there)
            hint = "" if guess is None else f"; did you mean {guess!r}?"
            raise DataError(f"{lines[0].file} has no column {column!r}; its columns: {', '.join(there)}{hint}")
    if of_pairs or (not other_kind and _sides(there, named) and _first(there, WINNERS)):
        _check_one_kind(lines, of_pairs)
        return _of_pairs(lines[0].file, there, named)
    return _of_scale(lines, there, named)


def _check_one_kind(lines: Sequence[Line], named: Sequence[str]) -> None:
    """Columns that are recognised in all files together may be those of one of them."""
    for file in dict.fromkeys(line.file for line in lines) if not named else ():
        there = _fields([line for line in lines if line.file == file])
        if not (_sides(there, Named()) and _first(there, WINNERS)):
            raise DataError(f"{file} has no comparisons of two, as other files have: give files of one kind; "
                            f"its columns: {', '.join(there)}")


def _of_pairs(file: str, there: Sequence[str], named: Named) -> Columns:
    sides = _sides(there, named)
    if sides is None:
        missing = "left and right" if named.left is named.right is None else "right" if named.right is None else "left"
        raise DataError(f"{file}: which columns name the two that are compared? Give {missing} with --left and --right, "
                        f"two of {', '.join(there)}")  # fmt: skip
    winner = named.winner or _first(there, WINNERS)
    if winner is None:
        raise DataError(f"{file}: which column says who won? Name it with --winner, one of {', '.join(there)}")
    taken = {*sides, winner}
    worker = named.worker or _first([name for name in there if name not in taken], RATERS)
    item = named.item or _first([name for name in there if name not in taken | {worker}], ITEMS[:-1])
    found = {"left": sides[0], "right": sides[1], "winner": winner, "worker": worker, "item": item}
    return Columns("pairwise", {role: name for role, name in found.items() if name is not None})


def _of_scale(lines: Sequence[Line], there: Sequence[str], named: Named) -> Columns:
    score = named.score or _first(there, SCORES)
    system = named.system or _first(there, SYSTEMS)
    if score is None and (named.rater is not None or not _first(there, ITEMS)):
        raise _no_score(lines[0].file, there)
    item = named.item or _first([name for name in there if name not in (score, system)], ITEMS)
    taken = {score, system, item}
    if score is not None:
        rater = named.rater or _first([name for name in there if name not in taken], RATERS)
        found = {"item": item, "system": system, "rater": rater, "score": score}
        return Columns("likert", {role: name for role, name in found.items() if name is not None})
    wide = tuple(name for name in there if name not in taken and "." not in name and name not in (*ITEMS, *SYSTEMS))
    if len(wide) < 2 or not all(_is_number(line.text(name)) or not line.text(name) for line in lines for name in wide):
        raise _no_score(lines[0].file, there)
    return Columns("likert", {role: name for role, name in (("item", item), ("system", system)) if name is not None}, wide)


def _no_score(file: str, there: Sequence[str]) -> DataError:
    return DataError(f"{file}: neither comparisons (--left, --right, --winner) nor ratings (--score, or a column a rater) are "
                     f"recognised; its columns: {', '.join(there)}")


def _sides(there: Sequence[str], named: Named) -> tuple[str, str] | None:
    if named.left is not None and named.right is not None:
        return named.left, named.right
    lower = {name.lower(): name for name in there}
    for left, right in SIDES:
        if left in lower and right in lower:
            return named.left or lower[left], named.right or lower[right]
    return None


def _first(there: Iterable[str], candidates: Sequence[str]) -> str | None:
    """The column whose name, in any case, is the first of the candidates."""
    lower = {name.lower(): name for name in there}
    return next((lower[name] for name in candidates if name in lower), None)


def _fields(lines: Sequence[Line]) -> list[str]:
    """All columns, those of objects inside rows as ``a.b``."""
    found: dict[str, None] = {}
    for line in lines:
        for name, value in line.values.items():
            found[name] = None
            if isinstance(value, Mapping):
                found |= dict.fromkeys(f"{name}.{inner}" for inner in value)
    return list(found)


def _is_number(text: str) -> bool:
    try:
        return float(text) == float(text)
    except ValueError:
        return False


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _rows(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    head = next((line for _, line in numbered_lines(file) if not line.isspace()), b"").lstrip()
    if head.startswith(b"["):
        yield from enumerate(Json(file).rows(), 1)
    elif head.startswith(b"{"):
        yield from read_jsonl(file)
    else:
        is_tabbed = b"\t" in head and head.count(b"\t") > head.count(b",")
        reader = partial(read_csv, file, "\t", "none") if is_tabbed else partial(read_csv, file)
        yield from reader()
