"""Is it as good, or is it the same? A large p-value of "no difference" answers neither; these tests do."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.errors import UsageError
from harness.stats.onesided import OneSided, Student
from harness.types import FloatArray

_ROUNDING = 1e-12
"""Share of the values' size up to which a spread may be what rounding leaves of equal differences."""


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Two one-sided tests: ``p_value``, the larger of both, below alpha means that the difference lies between the margins."""

    p_value: float
    p_above_low: float
    p_below_high: float


def equivalence(difference: OneSided, low: float, high: float) -> Equivalence:
    """TOST of a difference between ``low`` and ``high`` (Schuirmann 1987, Journal of Pharmacokinetics 15:657).

    ``difference`` is a :class:`~harness.stats.contrast.Contrast` or anything else with ``p_above`` and ``p_below``, as
    :func:`student`. At alpha it finds what the 1 - 2 · alpha interval of the difference being within the margins says.

    Raises UsageError unless ``low < high``.
    """
    if not low < high:
        raise UsageError(f"equivalence: the lower margin must lie below the upper one, got {low!r} and {high!r}")
    above, below = difference.p_above(low), difference.p_below(high)
    return Equivalence(max(above, below), above, below)


def non_inferiority(difference: OneSided, margin: float, *, higher_is_better: bool = True) -> float:
    """The p-value of H0 "b is worse than a by ``margin`` or more": small, and b is not inferior.

    ``difference`` is b - a, ``margin`` >= 0 how much worse may be. Raises UsageError for a negative margin.
    """
    if not margin >= 0:
        raise UsageError(f"non_inferiority: the margin must not be negative, got {margin!r}")
    return difference.p_above(-margin) if higher_is_better else difference.p_below(margin)


def student(difference: float, error: float, dof: float = math.inf) -> OneSided:
    """A difference that is known by its standard error alone; infinite ``dof``: the normal distribution.

    Raises UsageError for a negative error or ``dof`` that is not positive.
    """
    if not (error >= 0 and dof > 0):
        raise UsageError(f"student: needs an error >= 0 and dof > 0, got {error!r} and {dof!r}")
    return Student(difference, error, dof)


def tost_paired(b: FloatArray, a: FloatArray, low: float, high: float) -> Equivalence:
    """TOST of the mean of ``b - a``, ``float64[n]`` each, by the paired t test.

    NaN where all differences are equal: there is no spread to hold the margins against, however few they are.
    Raises UsageError unless both are as many, two or more, and ``low < high``.
    """
    if b.shape != a.shape or b.ndim != 1 or len(b) < 2:
        raise UsageError(f"tost_paired: needs two series of the same length, two or more, got {b.shape} and {a.shape}")
    apart = b - a
    error = float(np.std(apart, ddof=1)) / math.sqrt(len(apart))
    if error <= _ROUNDING * max(float(np.abs(b).max()), float(np.abs(a).max())):
        return Equivalence(math.nan, math.nan, math.nan)
    return equivalence(student(float(apart.mean()), error, len(apart) - 1.0), low, high)
