"""Intervals from replicates of a value: numbers in, two ends out. They do not look at how the replicates were drawn.

Of B replicates those that are not finite are left out; (NaN, NaN) if none is left.
"""

from __future__ import annotations

from math import nan, sqrt
from statistics import NormalDist

import numpy as np

from harness.stats.bootstrap import percentile_interval
from harness.stats.intervals import normal_quantile, student_quantile
from harness.types import FloatArray

NORMAL = NormalDist()


def basic_interval(replicates: FloatArray, value: float, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval mirrored at the value: what the replicates stray from it, it strays from the truth (Davison and
    Hinkley 1997, 5.2). It may leave the bounds of the value."""
    low, high = percentile_interval(replicates, level)
    return 2 * value - high, 2 * value - low


def expanded_interval(replicates: FloatArray, n: int, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval, at percentiles that make up for what n resampled units vary too little (Hesterberg 2015, The
    American Statistician 69): those of the normal distribution at √(n / (n - 1)) times Student's quantile of n - 1. The k-th of
    B replicates is taken for the quantile k / (B + 1), as there, so that few replicates do not make it narrower. (NaN, NaN) for
    n = 1."""
    finite = replicates[np.isfinite(replicates)]
    if n < 2 or not len(finite):
        return nan, nan
    z = sqrt(n / (n - 1)) * student_quantile(level, n - 1)
    low, high = np.quantile(finite, [NORMAL.cdf(-z), NORMAL.cdf(z)], method="weibull")
    return float(low), float(high)


def bca_interval(
    replicates: FloatArray, value: float, acceleration: float, level: float = 0.95, *, quantile: float | None = None
) -> tuple[float, float]:
    """The bias-corrected and accelerated interval (Efron 1987, JASA 82): percentiles that are moved by the share of replicates
    below the value (those equal to it count half) and by ``acceleration``, how fast the error grows with the value: a sixth
    of the skewness of what the units contribute to it, over the root of their number.

    ``quantile`` takes the place of the normal quantile of ``level``: a larger one makes up for small numbers, as in
    :func:`expanded_interval`. Equals ``scipy.stats.bootstrap(method="BCa")`` on the same replicates.
    """
    finite = replicates[np.isfinite(replicates)]
    if not len(finite):
        return nan, nan
    z = normal_quantile(level) if quantile is None else quantile
    below = (np.count_nonzero(finite < value) + np.count_nonzero(finite == value) / 2) / len(finite)
    bias = NORMAL.inv_cdf(min(max(below, 0.5 / len(finite)), 1 - 0.5 / len(finite)))
    low, high = np.quantile(finite, [_moved(bias, bias + end, acceleration) for end in (-z, z)])
    return float(low), float(high)


def _moved(bias: float, end: float, acceleration: float) -> float:
    """The share of replicates below an end of the BCa interval. Beyond its pole the acceleration would turn back."""
    shrink = 1 - acceleration * end
    if shrink <= 0:
        return 1.0 if end > 0 else 0.0
    return NORMAL.cdf(bias + end / shrink)

