"""The leaderboard as rich tables. rich is imported when a table is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.report.blocks import Block, Cell, blocks
from harness.types import RunRecord

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_GAP = 2


def leaderboard_tables(record: RunRecord, width: int | None = None) -> list[Table]:
    """The standings, a table for each group of entries that share tasks.

    ``width`` is that of the terminal in columns: where a table is wider, intervals go below their values, and where that is
    not enough, its tasks are spread over several tables. None: no limit.
    """
    return [_table(part, stacked) for block in blocks(record) for part, stacked in _fitted(block, width)]


def _fitted(block: Block, width: int | None) -> list[tuple[Block, bool]]:
    if width is None or _width(block, stacked=False) <= width:
        return [(block, False)]
    parts: list[list[int]] = [[]]
    for index in range(len(block.columns)):
        if parts[-1] and _width(_part(block, [*parts[-1], index]), stacked=True) > width:
            parts.append([])
        parts[-1].append(index)
    return [(block if len(parts) == 1 else _part(block, indices), True) for indices in parts]


def _part(block: Block, indices: Sequence[int]) -> Block:
    """Some columns of a block; the mean rank stands with the first."""
    rows = [replace(row, cells=tuple(row.cells[i] for i in indices)) for row in block.rows]
    return Block(tuple(block.columns[i] for i in indices), tuple(rows), block.shows_mean_rank and 0 in indices)


def _width(block: Block, stacked: bool) -> int:
    widths = [max(len("entry"), *(len(row.entry) for row in block.rows))]
    for index, column in enumerate(block.columns):
        cells = [_lines(row.cells[index], stacked) for row in block.rows]
        lines = [*_header(column.task, column.measure, column.n), *(line for cell in cells for line in cell)]
        widths.append(max(map(len, lines)))
    if block.shows_mean_rank:
        widths.append(max(len("mean rank"), *(len(row.mean_rank_text(with_count=not block.is_even)) for row in block.rows)))
    return sum(widths) + _GAP * len(widths)


def _header(task: str, measure: str, n: int) -> list[str]:
    return [task, measure, f"n = {n}"]


def _lines(cell: Cell, stacked: bool) -> list[str]:
    if not stacked:
        return [cell.text]
    return [line for line in (Cell(cell.value, rank=cell.rank).text, cell.interval) if line]


def _table(block: Block, stacked: bool) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="")
    table.add_column(Text("entry", style="bold"), overflow="fold")
    for column in block.columns:
        task, *rest = _header(column.task, column.measure, column.n)
        table.add_column(Text.assemble((task, "bold"), "\n", ("\n".join(rest), "dim")), no_wrap=True)
    if block.shows_mean_rank:
        table.add_column(Text("mean rank", style="bold"), no_wrap=True)
    for row in block.rows:
        cells = [_cell_text(cell, stacked) for cell in row.cells]
        means = [row.mean_rank_text(with_count=not block.is_even)] if block.shows_mean_rank else []
        table.add_row(Text(row.entry), *cells, *means)
    return table


def _cell_text(cell: Cell, stacked: bool) -> Text:
    from rich.text import Text

    text = Text("\n".join(_lines(cell, stacked)))
    text.highlight_words([cell.interval] if cell.interval else [], "dim")
    text.stylize("bold" if cell.rank == 1 else "", 0, len(cell.value))
    return text

