"""Many tests at once: p-values adjusted so that they can be held against the same alpha as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from harness.errors import UsageError
from harness.types import FloatArray

Adjustment = Literal["holm", "bh", "by", "bonferroni", "none"]


def adjust(p: Sequence[float], method: Adjustment = "holm") -> FloatArray:
    """The adjusted p-values, ``float64[m]`` in the order of ``p``: below alpha means rejected.

    ``bonferroni``: m · p. ``holm``: never larger, the same promise (Holm 1979): the chance of any false rejection is at most
    alpha, however the tests depend on each other. ``bh``: the expected share of false rejections among all is at most alpha,
    for tests that are independent or positively dependent (Benjamini and Hochberg 1995). ``by``: the same for any dependence,
    at the price of a factor 1 + 1/2 + … + 1/m (Benjamini and Yekutieli 2001). No p-values, no adjusted ones.

    >>> [round(float(q), 6) for q in adjust([0.01, 0.04, 0.03], "holm")]
    [0.03, 0.06, 0.06]

    Raises UsageError for an unknown method or a p-value that is no number in [0, 1]: what could not be tested is left out by
    the caller, and does not count.
    """
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise UsageError(f"adjust: p-values must be numbers between 0 and 1, got {np.asarray(p).tolist()!r}")
    m = len(values)
    if method == "none" or m == 0:
        return values.copy()
    if method == "bonferroni":
        return np.minimum(values * m, 1.0)
    order = np.argsort(values, kind="stable")
    ascending, rank = values[order], np.arange(1, m + 1)
    if method == "holm":
        stepped = np.maximum.accumulate(ascending * (m + 1 - rank))
    elif method in ("bh", "by"):
        factor = float((1 / rank).sum()) if method == "by" else 1.0
        stepped = np.minimum.accumulate((ascending * (m / rank) * factor)[::-1])[::-1]
    else:
        raise UsageError(f"adjust: method must be holm, bh, by, bonferroni or none, got {method!r}")
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
