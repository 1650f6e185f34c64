"""Intervals in closed form. Numbers in, numbers out; the resampled ones are in ``bootstrap``."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

from harness.errors import UsageError


def wilson(hits: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a proportion, without continuity correction (Wilson 1927, JASA 22).

    Both ends lie in [0, 1]. With no hits the low end is exactly 0 and with only hits the high end exactly 1, and the
    other end never closes up: ``wilson(0, 10)`` ends at 0.278. Nothing observed (``n`` 0) says nothing: (0, 1).
    ``hits`` and ``n`` may be fractions (effective counts).

    >>> [round(end, 4) for end in wilson(81, 263)]
    [0.2553, 0.3662]

    Raises UsageError unless ``0 <= hits <= n`` and ``0 < level < 1``.
    """
    if not 0 <= hits <= n:
        raise UsageError(f"wilson: hits must lie between 0 and n, got {hits!r} of {n!r}")
    z = normal_quantile(level)
    if n == 0:
        return 0.0, 1.0
    share = hits / n
    denominator = 1 + z * z / n
    center = (share + z * z / (2 * n)) / denominator
    half = z / denominator * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (0.0 if hits == 0 else center - half), (1.0 if hits == n else center + half)


def normal_quantile(level: float) -> float:
    """The z with ``level`` of the standard normal distribution between -z and z: 1.96 for 0.95.

    Raises UsageError unless ``0 < level < 1``.
    """
    if not 0 < level < 1:
        raise UsageError(f"level must lie strictly between 0 and 1, got {level!r}")
    return NormalDist().inv_cdf((1 + level) / 2)
