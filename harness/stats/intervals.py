"""Intervals in closed form. Numbers in, numbers out; the resampled ones are in ``bootstrap``."""

from __future__ import annotations

from math import exp, lgamma, log, log1p, pi, sqrt
from statistics import NormalDist

from harness.errors import UsageError

_MANY_DOF = 1e4
"""Beyond so many degrees of freedom Student's quantile is expanded around the normal one (Abramowitz and Stegun 26.7.5)."""


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
    center, half = _score_center(hits / n, n, z)
    return (0.0 if hits == 0 else center - half), (1.0 if hits == n else center + half)


def score_interval(
    value: float, error: float, quantile: float, bounds: tuple[float, float] = (0.0, 1.0)
) -> tuple[float, float]:
    """Wilson's interval for any value between two bounds: its variance is taken to be proportional to (value - lower) ·
    (upper - value), as that of a proportion is, by a factor that ``error``, its standard error, tells.

    It is :func:`wilson` of as many trials as a proportion would need for that error (the effective sample size; Korn and
    Graubard 1998, Survey Methodology 24, for clusters). It stays inside the bounds and leans away from the nearer one.
    ``quantile`` is the normal or Student's (:func:`student_quantile`).

    Raises UsageError unless the value lies strictly between the bounds and ``error`` is positive.
    """
    lower, upper = bounds
    if not lower < value < upper or not error > 0:
        raise UsageError(f"score_interval: needs {lower} < value < {upper} and error > 0, got {value!r} and {error!r}")
    width = upper - lower
    share = (value - lower) / width
    trials = share * (1 - share) * (width / error) ** 2
    center, half = _score_center(share, trials, quantile)
    return max(lower, lower + width * (center - half)), min(upper, lower + width * (center + half))


def normal_quantile(level: float) -> float:
    """The z with ``level`` of the standard normal distribution between -z and z: 1.96 for 0.95.

    Raises UsageError unless ``0 < level < 1``.
    """
    if not 0 < level < 1:
        raise UsageError(f"level must lie strictly between 0 and 1, got {level!r}")
    return NormalDist().inv_cdf((1 + level) / 2)


def student_quantile(level: float, dof: float) -> float:
    """The t with ``level`` of Student's distribution between -t and t: 2.228 for 0.95 and 10 degrees of freedom.

    ``dof`` need not be whole; infinite ones are :func:`normal_quantile`. Newton's steps from there, which lies below: the tail
    is convex, so that no step goes too far. Raises UsageError unless ``0 < level < 1`` and ``dof > 0``.
    """
    t = normal_quantile(level)
    if not dof > 0:
        raise UsageError(f"student_quantile: dof must be positive, got {dof!r}")
    if dof > _MANY_DOF:
        return t + (t**3 + t) / (4 * dof) + (5 * t**5 + 16 * t**3 + 3 * t) / (96 * dof * dof)
    log_density = lgamma((dof + 1) / 2) - lgamma(dof / 2) - log(dof * pi) / 2
    for _ in range(200):
        too_much = student_tails(t, dof) - (1 - level)
        step = too_much / (2 * exp(log_density - (dof + 1) / 2 * log1p(t * t / dof)))
        t += step
        if abs(step) <= 1e-13 * t:
            break
    return t


def student_tails(t: float, dof: float) -> float:
    """The probability that Student's t is farther from 0 than ``t``: the incomplete beta function I(dof / (dof + t²); dof / 2,
    1/2), by its continued fraction (Abramowitz and Stegun 26.5.8)."""
    a, b, x = dof / 2, 0.5, dof / (dof + t * t)
    if x == 1.0:
        return 1.0
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(x, a, b) / a
    return 1.0 - front * _beta_fraction(1 - x, b, a) / b


def _score_center(share: float, trials: float, z: float) -> tuple[float, float]:
    """The center of the score interval and half its width: all of [0, 1] of no trials."""
    center = (share * trials + z * z / 2) / (trials + z * z)
    return center, z / (trials + z * z) * sqrt(share * (1 - share) * trials + z * z / 4)


def _beta_fraction(x: float, a: float, b: float) -> float:
    """Lentz's evaluation, until a step changes nothing; converges within a few √max(a, b) steps where x is small enough."""
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 20_000):
        before = value
        for term in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                     -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            d, c = 1 / (1 + term * d), 1 + term / c
            value *= c * d
        if abs(value - before) <= 1e-16 * abs(value):
            break
    return value
