"""Where the level of a series changed: PELT, with the noise that runs of this history have from one to the next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.stats.changes import pelt
from harness.stats.intervals import normal_quantile
from harness.store.noise import RunNoise
from harness.types import FloatArray

_ESTIMATED = "with the noise estimated from successive differences"
_LEAST = 4
"""Values, from which on a change can be told where the noise is known."""
_LEAST_UNKNOWN = 10
_PENALTY_UNKNOWN = 5.0
"""And where it is estimated from the same values, with this penalty per log n in place of PELT's 3: of steady series of 10
normal values 6 % then have a change, of 20 3 % (16 % and 12 % with 3)."""


@dataclass(frozen=True, slots=True)
class Shift:
    """The level was ``before`` and is ``after`` from the point ``at`` (counted from 0) on; ``error`` of the difference."""

    at: int
    before: float
    after: float
    size: float
    error: float


@dataclass(frozen=True, slots=True)
class Levels:
    """The change points of a series, and what they were told from."""

    shifts: tuple[Shift, ...]
    is_long_enough: bool
    note: str


def find_levels(rows: Sequence[Mapping[str, Any]], is_same_data: bool, noise: RunNoise | None) -> Levels:
    """The change points of the values of these estimates.

    Runs on the same samples share what those are like, so that their sampling error is no noise of the history. Their errors
    are what ``harness noise`` has measured, else they are estimated from successive differences. Where the data changed from
    run to run the sampling errors of the estimates count.
    """
    values = np.array([math.nan if row["value"] is None else row["value"] for row in rows])
    errors, note = _errors(rows, is_same_data, noise)
    there = np.isfinite(values) if errors is None else np.isfinite(values) & np.isfinite(errors)
    least = _LEAST_UNKNOWN if errors is None else _LEAST
    if there.sum() < least:
        return Levels((), False, f"{note}, {least} runs are needed to tell a change, there are {int(there.sum())}")
    penalty = _PENALTY_UNKNOWN * math.log(int(there.sum())) if errors is None else None
    found = pelt(values, errors=errors, penalty=penalty)
    return Levels(tuple(Shift(p.at, p.before, p.after, p.size, p.error) for p in found), True, note)


def _errors(rows: Sequence[Mapping[str, Any]], is_same_data: bool, noise: RunNoise | None) -> tuple[FloatArray | None, str]:
    measured = noise.sd if noise is not None else 0.0
    if is_same_data:
        if measured > 0:
            return np.full(len(rows), measured), "with the noise that harness noise measured"
        return None, _ESTIMATED
    sampling = np.array([_standard_error(row) for row in rows])
    if not np.isfinite(sampling).any():
        return None, _ESTIMATED
    return np.hypot(sampling, measured), "with the sampling errors: the data changed between runs"


def _standard_error(row: Mapping[str, Any]) -> float:
    """From the interval, as if it were a normal one; NaN where there is none or it has no width."""
    low, high = row["low"], row["high"]
    if low is None or high is None or not high > low:
        return math.nan
    return float(high - low) / (2 * normal_quantile(row.get("level") or 0.95))
