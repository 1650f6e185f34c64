"""Markdown that reads well as it is: padded tables, and names that stay names."""

from __future__ import annotations

from collections.abc import Sequence


def grid(lines: Sequence[Sequence[str]]) -> str:
    """A table of cells, the first line its header. ``|`` in a cell is escaped."""
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    widths = [max(len(line[i]) for line in escaped) for i in range(len(escaped[0]))]
    header, *rows = [[cell.ljust(width) for cell, width in zip(line, widths)] for line in escaped]
    marks = ["-" * width for width in widths]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, marks, *rows))


def plain_text(text: str) -> str:
    """Text that Markdown leaves as it is: one line, no HTML, no emphasis or links out of names."""
    escaped = "".join(f"\\{char}" if char in "\\`*<>" else char for char in " ".join(text.split()))
    return escaped.replace("](", "]\\(")


def some(items: Sequence[str], most: int) -> str:
    """The first names, and how many more there are.

    >>> some(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
