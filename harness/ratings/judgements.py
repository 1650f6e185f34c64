"""The rows of a file of ratings as arrays: who said what of what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.errors import DataError
from harness.ratings.reading import Columns, Line
from harness.stats.bootstrap import IntArray
from harness.types import FloatArray

_LEFT = frozenset({"left", "a", "1", "l", "model_a", "system_a", "first", "model_1"})
_RIGHT = frozenset({"right", "b", "2", "r", "model_b", "system_b", "second", "model_2"})
_TIE = frozenset({"tie", "ties", "draw", "equal", "both", "neither", "none", "same", "0", "no preference"})
"""What the winner of a comparison is called, besides the name of the winner itself."""


@dataclass(frozen=True, slots=True)
class Names:
    """Different texts, numbered as they sort."""

    all: tuple[str, ...]
    codes: IntArray

    @classmethod
    def of(cls, texts: Sequence[str]) -> Names:
        names = sorted(set(texts))
        code = {name: number for number, name in enumerate(names)}
        return cls(tuple(names), np.array([code[text] for text in texts], dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Judgements:
    """What raters say of the same units, for their agreement: ``values float64[n]`` (of categories, their codes).

    ``clusters`` are the clusters of units that are resampled together (an item of several systems), by unit. ``raters`` None:
    nobody says who rated.
    """

    units: IntArray
    values: FloatArray
    clusters: IntArray
    raters: Names | None
    is_numeric: bool


@dataclass(frozen=True, slots=True)
class Ratings:
    """Ratings on a scale. ``categories`` are the names of the codes where the ratings are no numbers."""

    items: Names
    systems: Names | None
    raters: Names | None
    values: FloatArray
    categories: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def judgements(self) -> Judgements:
        """A unit is an item of a system."""
        systems = np.zeros(len(self.values), dtype=np.int64) if self.systems is None else self.systems.codes
        n = int(systems.max(initial=0)) + 1
        pairs, units = np.unique(self.items.codes * n + systems, return_inverse=True)
        return Judgements(units.astype(np.int64), self.values, pairs // n, self.raters, not self.categories)


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Preferences between two: ``outcome float64[n]`` is 1 where the left one won, 0 where the right one did, 0.5 for a tie."""

    names: tuple[str, ...]
    left: IntArray
    right: IntArray
    outcome: FloatArray
    workers: Names | None
    items: Names | None
    notes: tuple[str, ...] = field(default=())

    def judgements(self) -> Judgements:
        """A unit is two systems on an item (where items are known), whichever stood on the left; the values are the points of
        the one that sorts first."""
        is_swapped = self.left > self.right
        low, high = np.where(is_swapped, self.right, self.left), np.where(is_swapped, self.left, self.right)
        items = np.zeros(len(self.outcome), dtype=np.int64) if self.items is None else self.items.codes
        k = len(self.names)
        pairs, units = np.unique((items * k + low) * k + high, return_inverse=True)
        points = np.where(is_swapped, 1.0 - self.outcome, self.outcome)
        return Judgements(units.astype(np.int64), points, np.arange(len(pairs)), self.workers, True)


# ── ratings on a scale ──────────────────────────────────────────────────────────────────────────────────────────────


def ratings_of(lines: Sequence[Line], columns: Columns) -> Ratings:
    """The ratings of all rows; an empty one is none, and counted in a note.

    Raises DataError ``file:line: …`` for text among numbers, an empty item, system or rater, and a rater who rates the same
    twice.
    """
    cells = list(_wide(lines, columns) if columns.raters else _long(lines, columns))
    given = [cell for cell in cells if cell.score]
    notes: tuple[str, ...] = (f"{len(cells) - len(given)} ratings are empty and left out",) if len(given) < len(cells) else ()
    if not given:
        raise DataError(f"{lines[0].file}: every rating is empty")
    _check_twice(given, columns)
    values, categories = _scores(given)
    systems = Names.of([cell.system for cell in given]) if columns.get("system") is not None else None
    has_raters = bool(columns.raters) or columns.get("rater") is not None
    raters = Names.of([cell.rater for cell in given]) if has_raters else None
    if raters is not None and columns.raters and not categories:
        notes += _of_another_scale(raters, values)
    return Ratings(Names.of([cell.item for cell in given]), systems, raters, values, categories, notes)


def _of_another_scale(raters: Names, values: FloatArray) -> tuple[str, ...]:
    """Columns whose numbers all lie above (or all below) those of every other one: a time stamp is no rater."""
    ends = [(float(own.min()), float(own.max())) for own in (values[raters.codes == code] for code in range(len(raters.all)))]
    notes = []
    for code, (name, (low, high)) in enumerate(zip(raters.all, ends)):
        others = ends[:code] + ends[code + 1 :]
        least, most = min((end for end, _ in others), default=low), max((end for _, end in others), default=high)
        if len(ends) > 2 and (low > most or high < least):
            notes.append(f"column {name!r} holds {low:g} to {high:g} where the others hold {least:g} to {most:g}: if it is no "
                         "rater, take it out of the file")  # fmt: skip
    return tuple(notes)


@dataclass(frozen=True, slots=True)
class _Cell:
    line: Line
    item: str
    system: str
    rater: str
    score: str


def _long(lines: Sequence[Line], columns: Columns) -> Iterable[_Cell]:
    for number, line in enumerate(lines, 1):
        item, system, rater = (None if (column := columns.get(role)) is None else line.required(column, f"the {role}")
                               for role in ("item", "system", "rater"))  # fmt: skip
        yield _Cell(line, item or f"row {number}", system or "", rater or "", line.text(columns.names["score"]))


def _wide(lines: Sequence[Line], columns: Columns) -> Iterable[_Cell]:
    for number, line in enumerate(lines, 1):
        item, system = (None if (column := columns.get(role)) is None else line.required(column, f"the {role}")
                        for role in ("item", "system"))  # fmt: skip
        for rater in columns.raters:
            yield _Cell(line, item or f"row {number}", system or "", rater, line.text(rater))


def _check_twice(cells: Sequence[_Cell], columns: Columns) -> None:
    if not columns.raters and (columns.get("rater") is None or columns.get("item") is None):
        return
    seen: dict[tuple[str, str, str], Line] = {}
    for cell in cells:
        first = seen.setdefault((cell.item, cell.system, cell.rater), cell.line)
        if first is not cell.line:
            of = f" of {cell.system!r}" if cell.system else ""
            raise cell.line.error(f"rater {cell.rater!r} rates {cell.item!r:.60}{of} a second time (first at "
                                  f"{first.file}:{first.number}): keep one, or name other columns")  # fmt: skip


def _scores(cells: Sequence[_Cell]) -> tuple[FloatArray, tuple[str, ...]]:
    """Numbers, or codes of categories with their names."""
    numbers = [_number(cell.score) for cell in cells]
    if all(number is None for number in numbers):  # "nan" and "inf" are no names of categories
        found = Names.of([cell.score for cell in cells])
        return found.codes.astype(np.float64), found.all
    for cell, number in zip(cells, numbers):
        if number is None or not np.isfinite(number):
            raise cell.line.error(f"the score must be a finite number, as others are, got {cell.score!r:.40}")
    return np.array(numbers, dtype=np.float64), ()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


# ── comparisons ─────────────────────────────────────────────────────────────────────────────────────────────────────


def comparisons_of(lines: Sequence[Line], columns: Columns) -> Comparisons:
    """The comparisons of all rows; one without a winner is none, and counted in a note.

    The winner is left or right (a or b, 1 or 2, model_a or model_b, the name of its column), tie (draw, equal, both, neither),
    or the name of one of the two. Raises DataError ``file:line: …`` for another word, an empty name, one and the same on both
    sides, and where all winners are 0 or 1.
    """
    sides = columns.names["left"], columns.names["right"]
    kept: list[Line] = []
    pairs: list[tuple[str, str]] = []
    outcomes: list[float] = []
    for line in lines:
        left, right = (line.required(column, f"the {role}") for role, column in zip(("left", "right"), sides))
        if left == right:
            raise line.error(f"both sides are {left!r:.60}")
        winner = line.text(columns.names["winner"])
        if winner:
            kept.append(line)
            pairs.append((left, right))
            outcomes.append(_outcome(line, winner, (left, right), sides))
    if not kept:
        raise DataError(f"{lines[0].file}: no comparison has a winner (column {columns.names['winner']!r})")
    _check_codes(kept, columns.names["winner"], pairs)
    notes = (f"{len(lines) - len(kept)} comparisons have no winner and are left out",) if len(kept) < len(lines) else ()
    names = Names.of([name for pair in pairs for name in pair])
    codes = names.codes.reshape(len(pairs), 2)
    workers, items = (None if (column := columns.get(role)) is None
                      else Names.of([line.required(column, f"the {role}") for line in kept])
                      for role in ("worker", "item"))  # fmt: skip
    return Comparisons(names.all, codes[:, 0], codes[:, 1], np.array(outcomes), workers, items, notes)


def _check_codes(lines: Sequence[Line], column: str, pairs: Sequence[tuple[str, str]]) -> None:
    """0 is a tie beside 1 and 2; beside 1 alone it may as well be the left one, or the right one."""
    words = {line.text(column) for line in lines}
    if "0" in words <= {"0", "1"} and not words & {name for pair in pairs for name in pair}:
        first = next(line for line in lines if line.text(column) == "0")
        raise first.error(f"a winner that is 0 or 1 in every row does not say which side is meant: write left, right and tie "
                          f"(column {column!r})")  # fmt: skip


def _outcome(line: Line, winner: str, pair: tuple[str, str], sides: tuple[str, str]) -> float:
    if winner in pair:
        return float(winner == pair[0])
    word = winner.lower()
    if word in _LEFT or word == sides[0].lower():
        return 1.0
    if word in _RIGHT or word == sides[1].lower():
        return 0.0
    if word in _TIE or word.startswith("tie"):
        return 0.5
    raise line.error(f"the winner must be left, right, tie or one of {pair[0]!r:.40} and {pair[1]!r:.40}, got {winner!r:.40}")
