"""A row of values as a row of characters, one a value."""

from __future__ import annotations

from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"
_PLAIN = "_.:-=+*#"
_ABSENT = "·"
_ABSENT_PLAIN = " "


def sparkline(values: Sequence[float | None], *, plain: bool = False) -> str:
    """The lowest value is the lowest character, the highest the highest; None is a gap; equal values stand in the middle.

    ``plain``: ASCII, for files.

    >>> sparkline([0.1, 0.2, None, 0.8]), sparkline([0.1, 0.2, None, 0.8], plain=True), sparkline([3.0, 3.0])
    ('▁▂·█', '_. #', '▄▄')
    """
    levels, absent = (_PLAIN, _ABSENT_PLAIN) if plain else (_BLOCKS, _ABSENT)
    there = [value for value in values if value is not None]
    low, high = (min(there), max(there)) if there else (0.0, 0.0)
    return "".join(absent if value is None else levels[_level(value, low, high)] for value in values)


def _level(value: float, low: float, high: float) -> int:
    if not high > low:
        return 3
    return min(7, int(8 * ((value - low) / (high - low))))
