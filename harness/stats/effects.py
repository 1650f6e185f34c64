"""How large a difference is, in units that do not depend on the metric's scale. Arrays in, numbers out.

``b`` is compared with ``a``: positive where values of ``b`` are larger. NaN values are left out, of pairs both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.errors import UsageError
from harness.stats.intervals import wilson
from harness.stats.proportions import tango_interval
from harness.types import FloatArray

_ROUNDING = 1e-12
"""Share of the values' size up to which a spread may be what rounding leaves of equal values."""


# ── standardised mean differences ───────────────────────────────────────────────────────────────────────────────────


def cohen_d(b: FloatArray, a: FloatArray) -> float:
    """(mean b - mean a) / pooled standard deviation, of two independent samples (Cohen 1988, § 2.2).

    NaN for fewer than three values in all, an empty sample, or no spread within the two.

    >>> round(cohen_d(np.array([3.0, 4, 5]), np.array([1.0, 2, 3])), 9)
    2.0
    """
    b, a = _known(b), _known(a)
    dof = len(b) + len(a) - 2
    if not len(b) or not len(a) or dof < 1:
        return math.nan
    squares = float(((b - b.mean()) ** 2).sum() + ((a - a.mean()) ** 2).sum())
    return _over(float(b.mean() - a.mean()), math.sqrt(squares / dof), b, a)


def cohen_dz(b: FloatArray, a: FloatArray) -> float:
    """mean(b - a) / standard deviation of b - a, of pairs (Cohen 1988, § 2.3.5): the paired t is sqrt(n) times it.

    It is not on the scale of :func:`cohen_d`: paired values that go together make it larger. NaN for fewer than two pairs and
    for differences without spread. Raises UsageError if they are not as many.
    """
    return _dz(*_pairs(b, a, "cohen_dz"))


def hedges_g(b: FloatArray, a: FloatArray) -> float:
    """:func:`cohen_d` without its bias in small samples: times Γ(m/2) / (sqrt(m/2) Γ((m-1)/2)), m = n_b + n_a - 2.

    The exact factor, not 1 - 3 / (4m - 1). NaN where cohen_d is, and for fewer than four values. Hedges 1981, Journal of
    Educational Statistics 6.
    """
    return cohen_d(b, a) * _unbiased(len(_known(b)) + len(_known(a)) - 2)


def hedges_gz(b: FloatArray, a: FloatArray) -> float:
    """:func:`cohen_dz` with the factor of :func:`hedges_g` for n - 1 degrees of freedom; NaN for fewer than three pairs."""
    b, a = _pairs(b, a, "hedges_gz")
    return _dz(b, a) * _unbiased(len(b) - 1)


def _dz(b: FloatArray, a: FloatArray) -> float:
    if len(b) < 2:
        return math.nan
    difference = b - a
    return _over(float(difference.mean()), float(difference.std(ddof=1)), b, a)


def _unbiased(dof: int) -> float:
    if dof < 2:
        return math.nan
    return math.exp(math.lgamma(dof / 2) - math.lgamma((dof - 1) / 2)) / math.sqrt(dof / 2)


def _over(difference: float, spread: float, b: FloatArray, a: FloatArray) -> float:
    size = max(float(np.abs(b).max()), float(np.abs(a).max()))
    return difference / spread if spread > _ROUNDING * size else math.nan


# ── order alone ─────────────────────────────────────────────────────────────────────────────────────────────────────


def cliffs_delta(b: FloatArray, a: FloatArray) -> float:
    """P(b > a) - P(b < a) of a value of each drawn at random, -1 to 1 (Cliff 1993, Psychological Bulletin 114).

    By sorting and searching, O((n + m) log m); ties count for neither. NaN where either has no values. The samples are taken as
    independent: of pairs, see :func:`win_loss_tie`.

    >>> cliffs_delta(np.array([2.0, 3, 4]), np.array([1.0, 2, 3]))
    0.5555555555555556
    """
    b, a = np.sort(_known(b)), np.sort(_known(a))  # both: a search in order stays in the cache
    if not len(b) or not len(a):
        return math.nan
    below, upto = np.searchsorted(a, b, side="left"), np.searchsorted(a, b, side="right")
    return int((below + upto - len(a)).sum()) / (len(b) * len(a))


def vargha_delaney_a(b: FloatArray, a: FloatArray) -> float:
    """P(b > a) + P(b = a) / 2: 0.5 where neither is larger (Vargha and Delaney 2000); the area under the ROC curve."""
    return (cliffs_delta(b, a) + 1) / 2


@dataclass(frozen=True, slots=True)
class WinLoss:
    """Pairs that ``b`` won, lost and tied.

    ``net`` is (wins - losses) / pairs with the interval ``low`` to ``high`` (Tango's); ``share`` is that of wins among the
    pairs that were decided, with Wilson's interval. NaN without pairs, or without decided ones; the intervals then say nothing.
    """

    wins: int
    losses: int
    ties: int
    net: float
    low: float
    high: float
    share: float
    share_low: float
    share_high: float


def win_loss_tie(b: FloatArray, a: FloatArray, *, tolerance: float = 0.0, level: float = 0.95) -> WinLoss:
    """How often b's value is larger than a's on the same item, smaller, or within ``tolerance`` of it.

    Items are taken as independent. Raises UsageError if they are not as many or for a negative tolerance.
    """
    if not tolerance >= 0:
        raise UsageError(f"win_loss_tie: tolerance must be a number >= 0, got {tolerance!r}")
    b, a = _pairs(b, a, "win_loss_tie")
    difference = b - a
    wins, losses = int((difference > tolerance).sum()), int((difference < -tolerance).sum())
    n, decided = len(b), wins + losses
    low, high = tango_interval(wins, losses, n, level)
    share_low, share_high = wilson(wins, decided, level)
    return WinLoss(
        wins, losses, n - decided, (wins - losses) / n if n else math.nan, low, high,
        wins / decided if decided else math.nan, share_low, share_high,
    )


def _known(values: FloatArray) -> FloatArray:
    return values[~np.isnan(values)]


def _pairs(b: FloatArray, a: FloatArray, caller: str) -> tuple[FloatArray, FloatArray]:
    if b.shape != a.shape or b.ndim != 1:
        raise UsageError(f"{caller}: both must have a value for each item, got shapes {b.shape} and {a.shape}")
    both = ~(np.isnan(b) | np.isnan(a))
    return b[both], a[both]
