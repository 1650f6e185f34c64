"""Two systems against each other on the same units: the one place where a difference gets its error, its p-value, its bounds.

Additive statistics need no resampling: the value is linearised in the sums of both systems, and each cluster's contribution to
the difference is one number. Whatever else is resampled, both systems alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from harness.errors import UsageError
from harness.stats import power as sizes
from harness.stats.bootstrap import Aggregate, Finish, IntArray
from harness.stats.onesided import FewDiffer, Hits, OneSided, Strictest, Student
from harness.stats.pairs import Pairs, differing
from harness.stats.proportions import mcnemar
from harness.stats.spread import Function, Resample, Spread, spread_of
from harness.types import Estimate, FloatArray

Counts: TypeAlias = tuple[int, int, int, int]
"""Units that both hit, only b, only a, neither."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """``value(b) - scale · value(a)`` with all that can be asked of it; made by :func:`contrast`.

    ``p_value`` is two-sided, of no difference; 1.0 where all pairs are equal or nothing can be said. ``error`` is the standard
    error of the difference, run-to-run noise included (infinite where there is none to be had; ``difference.reason`` says why),
    with ``dof`` degrees of freedom. ``n_differing`` counts clusters whose statistics differ. ``hits`` are the units that both
    hit, only b, only a, neither, where the metric is the share of hits among independent units.
    """

    a: float | None
    b: float | None
    difference: Estimate
    error: float
    dof: float
    p_value: float
    test: str
    n_units: int
    n_clusters: int
    n_differing: int
    hits: Counts | None = None
    noise: float = 0.0
    _tests: Strictest = field(default=Strictest(()), repr=False)
    _few: FewDiffer | None = field(default=None, repr=False)
    _limits: tuple[float, float] = field(default=(-math.inf, math.inf), repr=False)
    _of_one: float = field(default=0.0, repr=False)

    def p_above(self, margin: float) -> float:
        """The p-value of H0 "the difference is at most ``margin``"; small: it lies above."""
        return self._tests.p_above(margin)

    def p_below(self, margin: float) -> float:
        """The p-value of H0 "the difference is at least ``margin``"; small: it lies below."""
        return self._tests.p_below(margin)

    def lower(self, alpha: float) -> float:
        """The one-sided lower bound: above ``margin`` exactly where ``p_above(margin) < alpha``; -inf if there is none."""
        return self._tests.lower(_checked(alpha))

    def upper(self, alpha: float) -> float:
        """The one-sided upper bound: below ``margin`` exactly where ``p_below(margin) < alpha``; inf if there is none."""
        return self._tests.upper(_checked(alpha))

    def with_noise(self, variance: float, dof: float) -> Contrast:
        """With the ``variance`` of the difference between two runs of one and the same system, estimated with ``dof``.

        Added to error² with Satterthwaite's degrees of freedom; nothing becomes more certain than it was without. Raises
        UsageError for a negative variance or ``dof`` that is not positive.
        """
        if not (variance >= 0 and dof > 0):
            raise UsageError(f"with_noise: needs a variance >= 0 and dof > 0, got {variance!r} and {dof!r}")
        if variance == 0 or self.difference.value is None or not math.isfinite(self.error):
            return self
        error = math.hypot(self.error, math.sqrt(variance))
        own, added = (self.error / error) ** 2, variance / error / error
        joint = 1 / (own**2 / self.dof + added**2 / dof)
        noisy = Student(self.difference.value, error, joint)
        tests = Strictest((self._tests, noisy))
        return replace(
            self, error=error, dof=joint, p_value=max(self.p_value, _two_sided(noisy)), test=f"{self.test} + noise",
            difference=_with_interval(self.difference, tests, self._limits), noise=self.noise + variance, _tests=tests,
        )

    def mde(self, alpha: float = 0.05, power: float = 0.8) -> float | None:
        """The smallest true difference that a two-sided test at ``alpha`` finds with that ``power``; None if none is known.

        Where few clusters differ, no less than what their number excludes: equal pairs do not find everything.
        """
        if not math.isfinite(self.error) or self._few is None:
            return None
        by_number = self._few.upper(alpha / 2) - self._few.without
        smallest = max(sizes.mde(self.error, alpha=alpha, power=power, dof=self.dof, sided="two"), by_number)
        return smallest if math.isfinite(smallest) else None

    def needed_n(self, margin: float, *, alpha: float, power: float = 0.8, assumed: float | None = None) -> int | None:
        """Units needed so that the bound excludes ``margin`` with that ``power``, if the true difference is ``assumed``.

        ``assumed`` None: both systems are equal. The lower bound where ``margin`` lies below ``assumed``, else the upper one.
        Units are taken to vary, to differ and to hang together as these do; hits and misses by their discordance (one of n at
        least). None where no n will do: nothing lies between, the noise between runs is too large, or nothing is known of the
        units' spread.
        """
        if not math.isfinite(self.error) or self._few is None:
            return None
        assumed = self._few.without if assumed is None else assumed
        distance, z = abs(assumed - margin), sizes.mde(1.0, alpha=alpha, power=power)
        if distance <= z * math.sqrt(self.noise):
            return None
        wanted = math.sqrt(distance * distance - z * z * self.noise)
        by_spread = sizes.needed_n(self._unit_deviation(assumed), wanted, alpha, power)
        by_number = self._few.needed_n(margin, alpha)
        if by_spread is None or by_number is None:
            return None
        return max(by_spread, math.ceil(by_number * self.n_units / self.n_clusters))

    def _unit_deviation(self, assumed: float) -> float:
        if self.hits is None:
            one = 0.0 if self.n_differing else self._of_one**2 / self.n_clusters  # as if one of them differed
            return math.sqrt(max(self.error * self.error - self.noise, 0.0) * self.n_units + one)
        share = max(self.n_differing, 1) / self.n_units
        return math.sqrt(max(max(share, abs(assumed)) - assumed * assumed, 0.0))


_FEWEST_ROWS = 20
"""From so many on, what the values of single rows are is taken to be known."""


def contrast(
    b: FloatArray,
    a: FloatArray,
    aggregate: Aggregate,
    *,
    finish: Finish | None = None,
    units: IntArray | None = None,
    units_a: IntArray | None = None,
    clusters: IntArray | None = None,
    scale: float = 1.0,
    bounds: tuple[float | None, float | None] = (None, None),
    level: float = 0.95,
    n_bootstrap: int = 1000,
    resample: Resample = "bootstrap",
    rng: np.random.Generator,
) -> Contrast:
    """Test ``value(b) - scale · value(a)`` of two systems on the same units.

    Parameters
    ----------
    b, a : ``float64[n, d]``, the statistics of the candidate and of the base; a row with a NaN is not there.
    aggregate, finish : the metric's; ``finish`` only where its statistics are additive.
    units : row -> unit ``0..U-1``, of ``b`` and, unless ``units_a`` is given, of ``a``. Rows of one unit share one vote. None:
        row i of both is unit i. Units that one side has no row of are left out (``difference.n_missing``).
    clusters : unit -> cluster, any integers: units that hang together. None: each by itself.
    scale : 1 - drop, to ask for a relative drop: value(b) - 0.98 · value(a) is above 0 where b lost less than 2 %.
    bounds : closed range of one system's value, None where there is none.
    resample : ``halves`` for values that duplicates distort (see ``halves``), where statistics are not additive.
    rng : for what is resampled; both systems get the same resamplings.

    How: hits and misses of independent units with scale 1 by McNemar's mid-p test and Tango's score bounds. Else Student's t
    with clusters - 1 degrees of freedom on a cluster-robust error (see ``spread``), and where the contributions of the clusters
    are known also Hall's transformed t: the stricter of both counts, because the first alarms too often for skewed differences,
    and the second for heavy tails without skewness. On top of each, few differing clusters are never certain
    (:class:`~harness.stats.onesided.FewDiffer`).

    False alarms of the one-sided tests at 5 % (``python -m tests.bench.alarms``): hits that differ on 10 % of the units 0.4 %
    and less at n = 20, 1.1 to 4.4 % at 50, 4.4 to 5.2 % at 200; differences with heavy tails on both sides 4.4 to 5.2 %; skewed
    ones up to 6.2 % (exponential, n = 20) and 10.2, 7.7, 6.6, 5.1 % (lognormal, n = 20, 50, 200, 1,000), where the plain t test
    has 17.6, 13.4, 9.8 and 7.6 %.

    Raises UsageError for arrays or settings that do not fit each other.
    """
    if not 0 < level < 1 or not math.isfinite(scale):
        raise UsageError(f"contrast: needs a level in (0, 1) and a finite scale, got {level!r} and {scale!r}")
    pairs = Pairs.of(b, a, units, units_a, clusters)
    sums, function = pairs.sums(), Function(aggregate, finish, resample, n_bootstrap)
    b_value, a_value = (
        function.value(side, own) if pairs.n_units else math.nan for side, own in zip((pairs.b, pairs.a), sums)
    )
    work = _Work(pairs, b_value, a_value, scale, bounds, level)
    hits = _hits(pairs, finish, b_value, a_value) if finish is not None and scale == 1.0 else None
    reason = work.unknown()
    if reason is None and hits is not None:
        return work.of_hits(hits)
    n_differing = len(differing(*sums))
    if reason is not None:
        return work.nothing(reason, n_differing, hits)
    return work.of_spread(spread_of(function, pairs, sums, scale, rng), n_differing, _rows(pairs, finish, a_value))


@dataclass(frozen=True, slots=True)
class _Work:
    """What the values of both systems, ``b`` and ``a``, become."""

    pairs: Pairs
    b: float
    a: float
    scale: float
    bounds: tuple[float | None, float | None]
    level: float

    def unknown(self) -> str | None:
        """Why nothing can be said of the difference."""
        if not self.pairs.n_units:
            return "no sample was scored in both"
        for value, which in ((self.b, "second"), (self.a, "first")):
            if not math.isfinite(value):
                return f"the value of the {which} is {'infinite' if math.isinf(value) else 'undefined'} on these samples"
        if self.pairs.n_clusters == 1:
            return "one sample" if self.pairs.n_units == 1 else "one group"
        return None

    def nothing(self, reason: str, n_differing: int, hits: Counts | None) -> Contrast:
        difference = self.b - self.scale * self.a
        estimate = self._estimate(difference if math.isfinite(difference) else None, "none", reason)
        return Contrast(
            _finite(self.a), _finite(self.b), estimate, math.inf, max(self.pairs.n_clusters - 1.0, 0.0), 1.0, "none",
            self.pairs.n_units, self.pairs.n_clusters, n_differing, hits,
        )

    def of_hits(self, hits: Counts) -> Contrast:
        n, (_, only_b, only_a, _) = self.pairs.n_units, hits
        few = FewDiffer(only_b + only_a, n, 1.0)
        tests = Strictest((Hits(only_b, only_a, n), few))
        # Half a unit more in each cell: an error of 0 would be certain (Agresti and Min 2005, Statistics in Medicine 24:729).
        error = math.sqrt(only_b + only_a + 1 - (only_b - only_a) ** 2 / (n + 2)) / (n + 2)
        p = max(mcnemar(only_b, only_a, "mid-p"), few.p_two_sided())
        estimate = self._estimate((only_b - only_a) / n, "tango")
        return Contrast(
            self.a, self.b, _with_interval(estimate, tests, self._limits()), error, n - 1.0, p, "mcnemar(mid-p)", n, n,
            only_b + only_a, hits, 0.0, tests, few, self._limits(),
        )

    def of_spread(self, spread: Spread, n_differing: int, rows: FloatArray | None) -> Contrast:
        """``rows``: the value of each row of ``a``, where the value is their mean."""
        difference, n = self.b - self.scale * self.a, self.pairs.n_clusters
        reach = max(_width(self.bounds), 2 * spread.deviation)
        fall, rise = self._room(rows)
        few = FewDiffer(n_differing, n, reach or None, (1 - self.scale) * self.a, fall, rise)
        main: list[OneSided] = [Student(difference, spread.error, n - 1.0)]
        if spread.shape is not None:
            main.append(Student(difference, spread.error, spread.shape.dof, spread.shape.skew))
        tests = Strictest((*main, few) if math.isfinite(spread.error) else ())
        p = max(_two_sided(Strictest(main)), few.p_two_sided()) if self.scale == 1.0 and tests.tests else _two_sided(tests)
        estimate = self._estimate(difference, spread.method, spread.note or (None if n_differing else "all pairs are equal"))
        return Contrast(
            self.a, self.b, _with_interval(estimate, tests, self._limits()), spread.error, n - 1.0, p, spread.method,
            self.pairs.n_units, n, n_differing, None, 0.0, tests, few, self._limits(), math.sqrt(2) * spread.deviation,
        )

    def _estimate(self, value: float | None, method: str, reason: str | None = None) -> Estimate:
        pairs = self.pairs
        return Estimate(
            value=value, low=None, high=None, level=self.level, method=method, n=pairs.n_units, n_missing=pairs.n_missing,
            n_groups=pairs.n_clusters if pairs.is_clustered else None, reason=reason,
        )

    def _room(self, rows: FloatArray | None) -> tuple[float | None, float | None]:
        """How far a mean can fall and rise if all its rows went to the end of the range. One more row lies beyond those of
        ``a`` with the chance 1 / (n + 1), and may then be at the other end; of few rows nothing is concluded."""
        low, high = self.bounds
        if rows is None or low is None or high is None or len(rows) < _FEWEST_ROWS:
            return None, None
        beyond = (high - low) / (len(rows) + 1)
        seen = len(rows) / (len(rows) + 1)
        return seen * (float(rows.max()) - low) + beyond, seen * (high - float(rows.min())) + beyond

    def _limits(self) -> tuple[float, float]:
        """Of the difference, from those of the value."""
        low, high = self.bounds
        if low is None or high is None or self.scale < 0:
            return -math.inf, math.inf
        return low - self.scale * high, high - self.scale * low


def _rows(pairs: Pairs, finish: Finish | None, a: float) -> FloatArray | None:
    """The value of each row of ``a``, if its value is their mean and each row is a unit and a cluster."""
    if finish is None or not pairs.is_plain:
        return None
    rows = np.asarray(finish(pairs.a.stats))
    return rows if np.isfinite(rows).all() and math.isclose(rows.mean(), a, rel_tol=1e-9, abs_tol=1e-12) else None


def _hits(pairs: Pairs, finish: Finish, b: float, a: float) -> Counts | None:
    """Both, only b, only a, neither: if the values are shares of hits among independent units."""
    if not pairs.is_plain or not pairs.n_units:
        return None
    rows = [np.asarray(finish(side.stats)) for side in (pairs.b, pairs.a)]
    for values, value in zip(rows, (b, a)):
        if not ((values == 0) | (values == 1)).all():
            return None
        if not math.isclose(value, values.mean(), rel_tol=1e-12, abs_tol=1e-12):
            return None
    hit_b, hit_a = rows[0] == 1, rows[1] == 1
    both, of_b, of_a = int((hit_b & hit_a).sum()), int(hit_b.sum()), int(hit_a.sum())
    return both, of_b - both, of_a - both, pairs.n_units - of_b - of_a + both


def _with_interval(estimate: Estimate, tests: Strictest, limits: tuple[float, float]) -> Estimate:
    if estimate.value is None:
        return estimate
    alpha = (1 - estimate.level) / 2
    low, high = min(tests.lower(alpha), estimate.value), max(tests.upper(alpha), estimate.value)
    low, high = max(low, limits[0]), min(high, limits[1])
    known = math.isfinite(low) and math.isfinite(high)
    return replace(estimate, low=low if known else None, high=high if known else None)


def _two_sided(test: OneSided) -> float:
    return min(1.0, 2 * min(test.p_above(0.0), test.p_below(0.0)))


def _checked(alpha: float) -> float:
    if not 0 < alpha < 1:
        raise UsageError(f"contrast: alpha must lie strictly between 0 and 1, got {alpha!r}")
    return alpha


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _width(bounds: tuple[float | None, float | None]) -> float:
    low, high = bounds
    return high - low if low is not None and high is not None and math.isfinite(high - low) else 0.0
