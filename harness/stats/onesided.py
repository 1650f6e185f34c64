"""One-sided tests of a difference at any margin, each with the bounds that follow from it: what a contrast is made of.

For all of them ``p_above(margin)`` is the p-value of H0 "the difference is at most the margin", ``p_below(margin)`` of H0 "it
is at least the margin", and the bounds are their inverse: ``lower(alpha) > margin`` exactly where ``p_above(margin) < alpha``,
and ``upper(alpha) < margin`` where ``p_below(margin) < alpha``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol

from harness.stats.proportions import Side, highest_share, tango_limit, tango_p

_FEW = 6
_FAR = 1e100
"""Beyond every quantile, and its cube a number."""


class OneSided(Protocol):
    """A family of one-sided tests and its bounds."""

    def p_above(self, margin: float) -> float: ...

    def p_below(self, margin: float) -> float: ...

    def lower(self, alpha: float) -> float: ...

    def upper(self, alpha: float) -> float: ...


@dataclass(frozen=True, slots=True)
class Strictest:
    """Several at once: the largest p-value, the furthest bound. None at all: nothing is ever certain."""

    tests: Sequence[OneSided]

    def p_above(self, margin: float) -> float:
        return max((test.p_above(margin) for test in self.tests), default=1.0)

    def p_below(self, margin: float) -> float:
        return max((test.p_below(margin) for test in self.tests), default=1.0)

    def lower(self, alpha: float) -> float:
        return min((test.lower(alpha) for test in self.tests), default=-math.inf)

    def upper(self, alpha: float) -> float:
        return max((test.upper(alpha) for test in self.tests), default=math.inf)


@dataclass(frozen=True, slots=True)
class Hits:
    """Tango's score test of hits and misses on the same ``n`` units, with a continuity correction that fades.

    With few discordant units, m, the score is coarse: m = 5 expected among 50, two ways to one, it rejects 8.7 % at a nominal
    5 %. Taking 5 / (10 + m) of a unit off keeps that at 4.7 % and costs nothing where there are many.
    """

    only_b: int
    only_a: int
    n: int

    def p_above(self, margin: float) -> float:
        return _outside(margin) if abs(margin) > 1 else self._p(margin, "above")

    def p_below(self, margin: float) -> float:
        return _outside(-margin) if abs(margin) > 1 else self._p(margin, "below")

    def lower(self, alpha: float) -> float:
        return tango_limit(self.only_b, self.only_a, self.n, NormalDist().inv_cdf(1 - alpha), continuity=self._continuity)

    def upper(self, alpha: float) -> float:
        return -tango_limit(self.only_a, self.only_b, self.n, NormalDist().inv_cdf(1 - alpha), continuity=self._continuity)

    @property
    def _continuity(self) -> float:
        return 5 / (10 + self.only_b + self.only_a) if self.only_b + self.only_a else 0.0

    def _p(self, margin: float, side: Side) -> float:
        return tango_p(self.only_b, self.only_a, self.n, margin, side, continuity=self._continuity)


@dataclass(frozen=True, slots=True)
class Student:
    """(difference - margin) / error against Student's t, after Hall's cubic transformation has taken its skewness out.

    ``skew`` is the skewness of the clusters' contributions over the root of their number; 0 is the plain t test. The
    transformed statistic T + skew · T² / 3 + skew² · T³ / 27 + skew / 6 rises with T, so that bounds are its inverse (Hall
    1992, Journal of the Royal Statistical Society B 54:221).
    """

    difference: float
    error: float
    dof: float
    skew: float = 0.0

    def p_above(self, margin: float) -> float:
        return _t_cdf(self.dof, -self._statistic(margin)) if self.difference != margin or self.error else 1.0

    def p_below(self, margin: float) -> float:
        return _t_cdf(self.dof, self._statistic(margin)) if self.difference != margin or self.error else 1.0

    def lower(self, alpha: float) -> float:
        return self.difference - self.error * self._inverse(_t_quantile(self.dof, 1 - alpha))

    def upper(self, alpha: float) -> float:
        return self.difference - self.error * self._inverse(_t_quantile(self.dof, alpha))

    def _statistic(self, margin: float) -> float:
        over = self.difference - margin
        if self.error == 0:
            return math.copysign(math.inf, over)
        t = max(-_FAR, min(over / self.error, _FAR))
        skewed = self.skew * t
        return t * (1 + skewed / 3 + skewed * skewed / 27) + self.skew / 6

    def _inverse(self, transformed: float) -> float:
        if abs(self.skew) < 1e-9:
            return transformed
        return 3 / self.skew * (math.cbrt(1 + self.skew * (transformed - self.skew / 6)) - 1)


@dataclass(frozen=True, slots=True)
class FewDiffer:
    """What can be said if only ``differing`` of ``n`` clusters differ at all, however steady those few are.

    That all of them point one way has the probability 0.5^differing if chance alone decides: no p-value is smaller, and for
    fewer than six, whose 2 · 0.5^differing would convince no two-sided test at 0.05, it is twice that. But where a difference
    as large as the margin needs more differing clusters than there are, it is excluded by their number: ``reach`` is the
    difference that all clusters together could make, so that ``distance / reach`` of them must differ, and the exact binomial
    test says how likely it is to see so few. ``without`` is the difference if none differ. It is what lets a thousand equal
    pairs exclude a drop, and lets twenty exclude nothing. ``reach`` None: unknown. ``fall`` and ``rise``: how far it can go
    that way, where that is less (what is near its lower bound cannot fall far).
    """

    differing: int
    n: int
    reach: float | None
    without: float = 0.0
    fall: float | None = None
    rise: float | None = None

    def p_above(self, margin: float) -> float:
        return self._p(self.without - margin, self._down)

    def p_below(self, margin: float) -> float:
        return self._p(margin - self.without, self._up)

    def lower(self, alpha: float) -> float:
        return self.without - self._distance(alpha, self._down)

    def upper(self, alpha: float) -> float:
        return self.without + self._distance(alpha, self._up)

    def p_two_sided(self) -> float:
        """How likely it is that all that differ point to one side, whichever."""
        return min(1.0, 2 * 0.5**self.differing)

    def needed_n(self, margin: float, alpha: float) -> int | None:
        """Clusters needed to exclude ``margin`` if the same share of them differs, each as it pleases; None if unknown."""
        distance = abs(self.without - margin)
        reach = self._down if margin < self.without else self._up
        if not distance or (self.differing == 0 and reach is None):
            return None
        factor = 1.0
        while self._grown(factor)._p(distance, reach) >= alpha:
            factor *= 1.02
            if self.differing == 0 and factor * self.n > 2**53:
                return None
        return math.ceil(self.n * factor)

    def _grown(self, factor: float) -> FewDiffer:
        return FewDiffer(math.ceil(self.differing * factor), math.ceil(self.n * factor), self.reach)

    @property
    def _down(self) -> float | None:
        return self.reach if self.fall is None else self.fall

    @property
    def _up(self) -> float | None:
        return self.reach if self.rise is None else self.rise

    def _p(self, distance: float, reach: float | None) -> float:
        if distance <= 0 or reach is None:
            return self._floor()
        if distance > reach:
            return 0.0
        from scipy.special import bdtr

        return min(self._floor(), float(bdtr(self.differing, self.n, distance / reach)))

    def _distance(self, alpha: float, reach: float | None) -> float:
        if self._floor() < alpha:
            return -math.inf
        return math.inf if reach is None else reach * highest_share(self.differing, self.n, alpha)

    def _floor(self) -> float:
        return 0.5**self.differing if self.differing >= _FEW else self.p_two_sided()


def _outside(margin: float) -> float:
    return 1.0 if margin > 0 else 0.0


def _t_cdf(dof: float, t: float) -> float:
    from scipy.special import stdtr

    return float(stdtr(dof, t))


def _t_quantile(dof: float, p: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(dof, p))
