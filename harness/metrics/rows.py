"""How the metrics that are scored row by row put their rows together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from harness.types import FloatArray, Output, Scores

Row: TypeAlias = Sequence[float] | str
"""The statistics of one row, or the reason why it has none."""


def scores_of(rows: Iterable[Row], width: int) -> Scores:
    """Scores with ``width`` columns; a row that is a reason is NaN and missing. No rows give a ``(0, width)`` array.

    >>> scores_of([(1.0, 1.0), "no target"], 2).missing
    {1: 'no target'}
    """
    missing: dict[int, str] = {}
    values: list[Sequence[float]] = []
    blank = (np.nan,) * width
    for index, row in enumerate(rows):
        if isinstance(row, str):
            missing[index] = row
            row = blank
        values.append(row)
    return Scores(np.array(values, dtype=np.float64).reshape(len(values), width), missing)


def wrong_kind(output: Output, kind: str) -> str:
    """Why an answer that is not of that kind gives no row."""
    return f"the answer is {type(output.answer).__name__}, not {kind}"


def ratio(numerator: FloatArray, denominator: FloatArray, *, empty: float = np.nan) -> FloatArray:
    """``numerator / denominator`` element by element, ``empty`` where the denominator is not positive."""
    out: FloatArray = np.full(np.broadcast_shapes(np.shape(numerator), np.shape(denominator)), empty)
    np.divide(numerator, denominator, out=out, where=np.asarray(denominator) > 0)
    return out
