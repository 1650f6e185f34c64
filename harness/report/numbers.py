"""Numbers for people: as many digits as their interval warrants, and never more than four that mean something."""

from __future__ import annotations

import math

MOST_DIGITS = 4
WITHOUT_INTERVAL = 3


def decimals(value: float, low: float | None = None, high: float | None = None) -> int:
    """Digits after the point: two of the interval's half width, at most four significant ones of the largest number shown
    (after a zero: four decimals).

    Without an interval, or with one of no width: three significant digits, and three decimals for all of 0 and 0.1 … 9.99, so
    that 0, 0.5 and 1 stand in line.

    >>> decimals(0.512, 0.47, 0.55), decimals(28.3, 27.1, 29.6), decimals(0.5), decimals(12345.6, 11000.0, 13900.0)
    (3, 1, 3, 0)
    """
    if low is None or high is None or not high > low:
        exponent = _exponent(value) if value else 0
        return WITHOUT_INTERVAL if exponent == 0 else max(0, WITHOUT_INTERVAL - 1 - exponent)
    warranted = 1 - _exponent((high - low) / 2)
    meaningful = MOST_DIGITS - 1 - _exponent(max(abs(value), abs(low), abs(high))) if value else MOST_DIGITS
    return max(0, min(warranted, meaningful))


def number(value: float, places: int) -> str:
    """A value with that many decimals; a negative number that rounds to zero loses its sign.

    >>> number(0.51234, 3), number(-0.0001, 2)
    ('0.512', '0.00')
    """
    text = f"{value:.{places}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def with_interval(value: float, low: float | None, high: float | None) -> tuple[str, str]:
    """``("0.512", "[0.470, 0.550]")``; the second is empty where there is no interval."""
    places = decimals(value, low, high)
    if low is None or high is None:
        return number(value, places), ""
    return number(value, places), f"[{number(low, places)}, {number(high, places)}]"


def plain(value: float | None) -> str:
    """A number by itself, with three significant digits; ``n/a`` for None."""
    return "n/a" if value is None else number(value, decimals(value))


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value)))
