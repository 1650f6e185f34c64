"""Proportions of hits: exact limits of one, and tests and limits of the difference of two that were seen on the same units.

Two systems on the same units are told apart by the discordant units alone: ``only_b`` that the second hit and the first
missed, ``only_a`` the other way round. The difference is (only_b - only_a) / n.
"""

from __future__ import annotations

import math
from typing import Literal

from harness.errors import UsageError
from harness.stats.intervals import normal_quantile
from harness.stats.ranks import sign_test

McNemar = Literal["exact", "mid-p", "chi2"]
Side = Literal["above", "below"]

_HALVINGS = 60


def clopper_pearson(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion (Clopper and Pearson 1934, Biometrika 26): it never covers less than ``level``.

    With no hits the low end is 0, with only hits the high end is 1, and the other end then uses half of ``1 - level`` as
    always. Nothing observed (``n`` 0) says nothing: (0, 1).

    >>> [round(end, 4) for end in clopper_pearson(2, 10)]
    [0.0252, 0.5561]

    Raises UsageError unless ``0 <= hits <= n`` and ``0 < level < 1``.
    """
    if not 0 < level < 1:
        raise UsageError(f"clopper_pearson: level must lie strictly between 0 and 1, got {level!r}")
    tail = (1 - level) / 2
    return 1 - highest_share(n - hits, n, tail), highest_share(hits, n, tail)


def highest_share(hits: int, n: int, alpha: float = 0.05) -> float:
    """The one-sided exact upper limit: the largest share with which ``hits`` or fewer of ``n`` have the probability ``alpha``.

    >>> round(highest_share(0, 100), 4)  # the "rule of three": about 3 / n
    0.0295
    """
    from scipy.special import betaincinv

    if not 0 <= hits <= n:
        raise UsageError(f"highest_share: hits must lie between 0 and n, got {hits!r} of {n!r}")
    return 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, 1 - alpha))


def mcnemar(only_b: int, only_a: int, method: McNemar = "exact") -> float:
    """The two-sided p-value of equal proportions on the same units (McNemar 1947, Psychometrika 12).

    ``exact``: a fair coin for each discordant unit, never too small, often far too large; ``mid-p``: half of the probability
    of what was seen is taken off on each side (Fagerland, Lydersen and Laake 2013, BMC Medical Research Methodology 13),
    close to its level and nearly never above; ``chi2``: (b - a)² / (b + a) without continuity correction. No discordant unit
    is no evidence: 1.

    >>> round(mcnemar(1, 9), 9), round(mcnemar(1, 9, "mid-p"), 9)
    (0.021484375, 0.01171875)

    Raises UsageError for negative counts or an unknown method.
    """
    exact = sign_test(only_b, only_a)
    n, fewer = only_b + only_a, min(only_b, only_a)
    if method == "exact" or (n == 0 and method in ("mid-p", "chi2")):
        return exact
    if method == "mid-p":
        seen = math.exp(math.lgamma(n + 1) - math.lgamma(fewer + 1) - math.lgamma(n - fewer + 1) - n * math.log(2))
        return 1 - seen / 2 if only_b == only_a else exact - seen
    if method == "chi2":
        return math.erfc(abs(only_b - only_a) / math.sqrt(2 * n))
    raise UsageError(f"mcnemar: method must be exact, mid-p or chi2, got {method!r}")


def tango_p(only_b: int, only_a: int, n: int, margin: float, side: Side, *, continuity: float = 0.0) -> float:
    """The one-sided p-value of Tango's score test (Tango 1998, Statistics in Medicine 17:891).

    ``above``: of H0 "the difference is at most ``margin``"; ``below``: of H0 "it is at least ``margin``". The variance is that
    of the likeliest shares with exactly this difference, so that the test has one even without discordant units; with
    margin 0 it is McNemar's chi2. ``continuity`` is taken off the excess of discordant units, half a unit at most; 0 is
    Tango's. Without any unit there is no evidence: 1.

    >>> round(tango_p(0, 0, 200, -0.02, "above"), 4)  # 200 equal pairs: hardly a drop of 2 points
    0.0217

    Raises UsageError for counts that do not fit each other, or a margin outside [-1, 1].
    """
    _check(only_b, only_a, n)
    if not -1 <= margin <= 1:
        raise UsageError(f"tango_p: a difference of shares lies between -1 and 1, got the margin {margin!r}")
    if n == 0:
        return 1.0
    z = _score(only_b, only_a, n, margin, continuity)
    return 0.5 * math.erfc((z if side == "above" else -z) / math.sqrt(2))


def tango_interval(only_b: int, only_a: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Tango's score interval of the difference (only_b - only_a) / n of two shares on the same ``n`` units.

    The differences that :func:`tango_p` does not reject, (1 - ``level``) / 2 on either side. It never closes up: no
    discordant unit among 100 leaves -0.037 to 0.037. Nothing observed (``n`` 0) says nothing: (-1, 1).

    >>> [round(end, 4) for end in tango_interval(0, 0, 100)]
    [-0.037, 0.037]

    Raises UsageError for counts that do not fit each other or a level outside (0, 1).
    """
    z = normal_quantile(level)
    return tango_limit(only_b, only_a, n, z), -tango_limit(only_a, only_b, n, z)


def tango_limit(only_b: int, only_a: int, n: int, z: float, *, continuity: float = 0.0) -> float:
    """The lower limit: the margins below it have a score above ``z``; the upper one is that of the mirror image."""
    _check(only_b, only_a, n)
    if n == 0:
        return -1.0
    low, high = -1.0, 1.0
    for _ in range(_HALVINGS):  # the score falls as the margin grows
        middle = (low + high) / 2
        if _score(only_b, only_a, n, middle, continuity) > z:
            low = middle
        else:
            high = middle
    return low


def _score(only_b: int, only_a: int, n: int, margin: float, continuity: float) -> float:
    """(only_b - only_a - n · margin) over its standard error among shares that differ by ``margin``, at their likeliest."""
    over = only_b - only_a - n * margin
    half = (-only_b - only_a + (2 * n - only_b + only_a) * margin) / 2
    share = (math.sqrt(max(half * half + 2 * n * only_a * margin * (1 - margin), 0.0)) - half) / (2 * n)
    variance = n * (2 * share + margin * (1 - margin))
    over = math.copysign(max(abs(over) - continuity, 0.0), over)
    if over == 0:
        return 0.0
    return over / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, over)


def _check(only_b: int, only_a: int, n: int) -> None:
    if only_b < 0 or only_a < 0 or only_b + only_a > n:
        raise UsageError(f"tango: discordant units must be counted among the n units, got {only_b} and {only_a} of {n}")
