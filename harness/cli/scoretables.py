"""The tables of metrics (curves, matrices, breakdowns) on a terminal: what matters of the long ones, columns that fit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from harness.cli.output import add_rows, table
from harness.report.numbers import decimals, number
from harness.types import Table

MOST_CLASSES, MOST_CONFUSIONS = 12, 10
MOST_ROWS, POINTS = 20, 11
_NONE = "none of them"
_GAP = 2


def print_tables(out: Console, found: Sequence[tuple[str, Mapping[str, Table]]], *, whole: bool) -> None:
    """The tables of each metric; one that several share once, under all their names. ``whole``: with every row."""
    shown: list[tuple[str, Table, list[str]]] = []
    for metric, tables in found:
        for name, made in tables.items():
            same = next((sharers for known, other, sharers in shown if known == name and other == made), None)
            if same is not None:
                same.append(metric)
            elif made.rows:
                shown.append((name, made, [metric]))
    for name, made, metrics in shown:
        made, note = (_without_nothing(made), "") if whole else shortened(made)
        out.print()
        out.print(Text(f"{', '.join(metrics)}: {name.replace('_', ' ')}", style="bold"))
        _print(out, made)
        if note:
            out.print(Text(f"{note}: --tables prints all", style="dim"), soft_wrap=True)


def shortened(made: Table) -> tuple[Table, str]:
    """What is shown of a table where not all is asked for, and what that is ("" if nothing is left out)."""
    made = _without_nothing(made)
    n = len(made.rows)
    if _is_matrix(made) and n > MOST_CLASSES:
        return _confusions(made)
    if n <= MOST_ROWS:
        return made, ""
    if all(value is None or isinstance(value, int | float) for row in made.rows for value in row):
        places = sorted({round(at * (n - 1) / (POINTS - 1)) for at in range(POINTS)})
        return Table(made.columns, tuple(made.rows[at] for at in places)), f"{len(places)} of {n:,} rows"
    return Table(made.columns, made.rows[:MOST_ROWS]), f"the first {MOST_ROWS} of {n:,} rows"


def _is_matrix(made: Table) -> bool:
    labels = [column for column in made.columns[1:] if column != _NONE]
    return made.columns[0] == "target" and [row[0] for row in made.rows if row[0] != _NONE] == labels


def _without_nothing(made: Table) -> Table:
    """A matrix without the column, or the row, of answers that are none of the labels, where there is no such answer."""
    if not _is_matrix(made):
        return made
    rows = tuple(row for row in made.rows if row[0] != _NONE or any(row[1:]))
    if made.columns[-1] == _NONE and not any(row[-1] for row in rows):
        return Table(made.columns[:-1], tuple(row[:-1] for row in rows))
    return Table(made.columns, rows)


def _confusions(matrix: Table) -> tuple[Table, str]:
    """The cells off the diagonal that hold most."""
    cells = [(row[0], label, value) for row in matrix.rows for label, value in zip(matrix.columns[1:], row[1:])
             if label != row[0] and value]  # fmt: skip
    cells.sort(key=lambda cell: -cell[2])
    of = "count" if all(isinstance(value, int) for *_, value in cells) else "share"
    note = f"the {min(len(cells), MOST_CONFUSIONS)} largest of {len(cells):,} kinds of confusion of {len(matrix.rows)} classes"
    return Table(("true", "predicted", of), tuple(cells[:MOST_CONFUSIONS])), note


# ── columns ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _print(out: Console, made: Table) -> None:
    """The table; where it is too wide, in parts that repeat its first column."""
    columns = [column_texts([row[at] for row in made.rows]) for at in range(len(made.columns))]
    widths = [max(map(len, (name, *texts))) + _GAP for name, texts in zip(made.columns, columns)]
    for number_of_part, part in enumerate(_parts(widths, out.width + _GAP)):
        if number_of_part:
            out.print()
        shown = table(*(made.columns[at] for at in part))
        for column, at in zip(shown.columns, part):
            column.overflow = "fold"
            column.justify = "right" if _are_numbers([row[at] for row in made.rows]) else "left"
        out.print(add_rows(shown, zip(*(columns[at] for at in part))))


def _parts(widths: Sequence[int], room: int) -> Iterator[list[int]]:
    part, used = [0], widths[0]
    for at in range(1, len(widths)):
        if len(part) > 1 and used + widths[at] > room:
            yield part
            part, used = [0], widths[0]
        part.append(at)
        used += widths[at]
    yield part


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(value is None or isinstance(value, int | float) for value in values)


def column_texts(values: Sequence[Any]) -> list[str]:
    """The cells of one column: whole numbers as such, others with the same decimals.

    >>> column_texts([15.0, 10]), column_texts([15.0, 0.25]), column_texts(["a", None]), column_texts([2e-05, 1e-05])
    (['15', '10'], ['15.00', '0.25'], ['a', '–'], ['0.0000200', '0.0000100'])
    """
    there = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    finite = [value for value in there if math.isfinite(value)]
    if all(math.isclose(value, round(value), rel_tol=1e-12, abs_tol=1e-9) for value in finite):
        places = 0 if not any(0 < abs(value) < 1e-6 for value in finite) else 9
    else:
        largest = max(map(abs, finite))
        places = max(4 if largest <= 1 else 2, decimals(largest))
    return ["–" if value is None else value if isinstance(value, str) else str(value) if value not in finite
            else number(value, places) for value in values]  # fmt: skip
