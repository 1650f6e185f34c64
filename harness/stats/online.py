"""Tests that come one after the other without an end: levels for each, and intervals that hold at every moment.

Every night is a new hypothesis. Tested at 0.05 each, 60 nights without a change raise 3 alarms. A *stream* is what is tested
against one baseline under one policy; p-values of a night are combined before (Holm: the smallest adjusted p).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.errors import UsageError
from harness.types import FloatArray

Series = Literal["plateau", "equal", "square", "slow"]


# ── levels ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Lond:
    """Levels based on the number of discoveries (Javanmard and Montanari 2015): test t has the level beta_t · (D + 1).

    ``beta_t`` is the share of ``alpha`` that :func:`spending_share` gives test t, D counts the discoveries before it. While
    nothing was discovered LOND is an alpha-spending plan: the probability of a first false alarm, ever, is at most ``alpha``,
    **whatever the dependence** of the p-values. Each discovery raises the levels that follow, and what is held is the false
    discovery rate (proven for independent p-values and, by Zrnic, Ramdas and Jordan 2021, for positively dependent ones).

    Nights share the samples and the baseline, so their p-values are positively dependent; of equally noisy runs two nights'
    differences correlate 0.5. That makes a first false alarm rarer than with independent nights, never likelier. But the
    baseline's luck stays: a baseline that was measured too well looks regressed night after night, so that false alarms come
    in runs. 200,000 simulated streams of 60 nights without a change, alpha 0.05, the default series: at least one false
    alarm in 2.4 % of them if nights were independent, in 1.5 % if they correlate 0.5, in 0.3 % at 0.9; two or more in 0.06 %,
    0.59 % and 0.26 %; on average 0.02, 0.04 and 0.09 alarms. (Every night at 0.05: at least one in 96 %, 50 % of the streams
    that correlate 0.5, 3.0 on average.) The remedy for a run of alarms is a new baseline, which is a new stream.
    """

    alpha: float = 0.05
    horizon: int = 60
    series: Series = "plateau"

    def __post_init__(self) -> None:
        _check(self.alpha, self.horizon)

    def level(self, n_tests: int, n_discoveries: int = 0) -> float:
        """The level of the next test, after ``n_tests`` with ``n_discoveries`` among them; at most ``alpha``.

        >>> [round(Lond().level(*before), 6) for before in ((0, 0), (59, 0), (59, 1), (119, 0))]
        [0.000418, 0.000418, 0.000837, 0.000105]

        Raises UsageError unless 0 <= n_discoveries <= n_tests.
        """
        _check_counts(n_tests, n_discoveries)
        share = spending_share(n_tests + 1, self.series, self.horizon)
        return min(self.alpha, self.alpha * share * (n_discoveries + 1))


@dataclass(frozen=True, slots=True)
class Spending:
    """An alpha-spending plan: the levels of all tests sum to ``alpha``, whatever was discovered.

    The family-wise error rate over the whole endless stream is at most ``alpha``, for any dependence of the p-values
    (Bonferroni's inequality). It is :class:`Lond` that never raises its levels: for a gate whose alarms are dear.
    """

    alpha: float = 0.05
    horizon: int = 60
    series: Series = "plateau"

    def __post_init__(self) -> None:
        _check(self.alpha, self.horizon)

    def level(self, n_tests: int, n_discoveries: int = 0) -> float:
        """The level of the next test after ``n_tests``; ``n_discoveries`` is taken, as :meth:`Lond.level` does, and ignored."""
        _check_counts(n_tests, n_discoveries)
        return self.alpha * spending_share(n_tests + 1, self.series, self.horizon)


@dataclass(frozen=True, slots=True)
class Lord:
    """LORD++ (Ramdas, Yang, Wainwright and Jordan 2017): every discovery earns level for the tests after it.

    The level of test t is w_0 · gamma_t + (alpha - w_0) · gamma_{t - T1} + alpha · Σ_j gamma_{t - Tj} over the discoveries
    j >= 2 at T1 < T2 < …, with the initial wealth w_0 = alpha / 2. The false discovery rate is at most alpha for *independent*
    p-values only: nights on the same baseline are not, and so it is here for streams of unrelated tests.
    """

    alpha: float = 0.05
    horizon: int = 60
    series: Series = "slow"

    def __post_init__(self) -> None:
        _check(self.alpha, self.horizon)

    def level(self, discovered: Sequence[bool]) -> float:
        """The level of the next test, given for each test before it whether it was a discovery."""
        t, wealth = len(discovered) + 1, self.alpha / 2
        found = [place + 1 for place, is_found in enumerate(discovered) if is_found]
        level = wealth * spending_share(t, self.series, self.horizon)
        for order, time in enumerate(found):
            earned = self.alpha - wealth if order == 0 else self.alpha
            level += earned * spending_share(t - time, self.series, self.horizon)
        return level


def spending_share(t: int, series: Series = "plateau", horizon: int = 60) -> float:
    """The share of alpha that test ``t`` (1, 2, …) gets; the shares of all tests sum to 1 (over the horizon, if ``equal``).

    ``plateau`` (the default): as much for each of the first ``horizon`` tests, later ones as 1 / t². ``equal``: 1 / horizon
    each and nothing after them. ``square``: as 1 / t². ``slow``: as log(max(t, 2)) / (t · exp(sqrt(log t))), the series of
    Javanmard and Montanari 2018 (Annals of Statistics 46, eq. 31) and the default of the R package onlineFDR, with its
    constant (they sum to 0.976).

    Why plateau: the power that is left, at alpha 0.05 before any discovery, in **one** night's one-sided test against a drop of
    2, 3 and 4 standard errors (horizon 60), and the power to find a drop of 3 that stays within seven nights (nights that
    correlate 0.5, simulated 40,000 times):

    =======  ==================  ==================  ==================  ==================
    series   2, night 10 30 60   3, night 10 30 60   4, night 10 30 60   3, week from 10 30 53
    =======  ==================  ==================  ==================  ==================
    plateau  .09  .09  .09       .37  .37  .37       .75  .75  .75       .77  .77  .77
    equal    .13  .13  .13       .44  .44  .44       .80  .80  .80       .83  .84  .83
    square   .08  .02  .01       .33  .16  .10       .72  .51  .38       .68  .47  .35
    slow     .06  .04  .02       .29  .21  .16       .68  .58  .51       .66  .56  .49
    =======  ==================  ==================  ==================  ==================

    ``square`` is blind in the second month, ``slow`` keeps half of alpha for the nights after the 200,000th, and ``equal`` has
    nothing left when its horizon ends; ``plateau`` costs .06 of power beside it and goes on: .62 and .41 against a drop of 4 on
    night 120 and 365. (Of thirty rules, Holm-adjusted, with a drop in one: .01, .12, .42 and .79 against 2, 3, 4 and 5.)

    Raises UsageError for t < 1, an unknown series, or a horizon below 1.
    """
    if t < 1:
        raise UsageError(f"spending_share: tests are numbered from 1, got {t!r}")
    _check(0.5, horizon)
    if series == "equal":
        return 1 / horizon if t <= horizon else 0.0
    if series == "square":
        return 6 / (math.pi * t) ** 2
    if series == "plateau":
        return (1.0 if t <= horizon else (horizon / t) ** 2) / (horizon + horizon**2 * _squares_after(horizon))
    if series == "slow":
        return _SLOW * math.log(max(t, 2)) / (t * math.exp(math.sqrt(math.log(t))))
    raise UsageError(f"spending_share: series must be plateau, equal, square or slow, got {series!r}")


_SLOW = 0.07720838
"""Of onlineFDR; a little below 1 / Σ log(max(t, 2)) / (t exp(sqrt(log t)))."""


def _squares_after(n: int) -> float:
    """Σ 1 / t² over t > n: by Euler and Maclaurin, to 1e-12 from 20 on, the terms before one by one."""
    start = max(n, 20)
    tail = 1 / start - 1 / (2 * start**2) + 1 / (6 * start**3) - 1 / (30 * start**5) + 1 / (42 * start**7)
    return tail + sum(1 / t**2 for t in range(n + 1, start + 1))


def _check(alpha: float, horizon: int) -> None:
    if not 0 < alpha < 1:
        raise UsageError(f"online: alpha must lie strictly between 0 and 1, got {alpha!r}")
    if horizon < 1:
        raise UsageError(f"online: horizon must be a positive number of tests, got {horizon!r}")


def _check_counts(n_tests: int, n_discoveries: int) -> None:
    if not 0 <= n_discoveries <= n_tests:
        raise UsageError(f"online: needs 0 <= discoveries <= tests, got {n_discoveries!r} of {n_tests!r}")


# ── intervals for every moment ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ConfidenceSequence:
    """An interval after every value, ``float64[n]`` each; with probability ``level`` **all** of them hold the mean."""

    low: FloatArray
    high: FloatArray
    level: float


def confidence_sequence(
    values: FloatArray, *, bounds: tuple[float, float] = (0.0, 1.0), level: float = 0.95, n_planned: int | None = None
) -> ConfidenceSequence:
    """The predictable plug-in empirical Bernstein confidence sequence of a mean of bounded values.

    Looking after every value, and stopping whenever one likes, leaves the coverage as it is: P(mean in [low_t, high_t] for all
    t) >= ``level``, for any distribution on ``bounds`` with a constant conditional mean. Each interval is the intersection of
    all so far. ``n_planned`` tunes the bets for one moment (still valid at all). O(n). Waudby-Smith and Ramdas 2024, JRSS B
    86, theorem 2; as ``predmix_empbern_cs`` of their package confseq.

    If a mean is impossible (the intersection is empty, which happens with probability at most 1 - level), both ends are the
    first one that was contradicted. No values: empty arrays. Raises UsageError for values outside ``bounds`` or NaN.
    """
    lower, upper = bounds
    if not (math.isfinite(lower) and math.isfinite(upper) and lower < upper):
        raise UsageError(f"confidence_sequence: bounds must be two finite numbers, the lower first, got {bounds!r}")
    if not 0 < level < 1:
        raise UsageError(f"confidence_sequence: level must lie strictly between 0 and 1, got {level!r}")
    if values.ndim != 1 or not ((values >= lower) & (values <= upper)).all():
        raise UsageError(f"confidence_sequence: values must be a row of numbers between {lower!r} and {upper!r}")
    unit = (values - lower) / (upper - lower)
    alpha = (1 - level) / 2
    low = np.maximum.accumulate(np.maximum(_lower_ends(unit, alpha, n_planned), 0.0))
    high = np.minimum.accumulate(np.minimum(1 - _lower_ends(1 - unit, alpha, n_planned), 1.0))
    crossed = low > high
    if crossed.any():
        first = int(np.argmax(crossed))
        low[first:] = high[first:] = high[first - 1] if low[first] > low[first - 1] else low[first - 1]
    return ConfidenceSequence(lower + low * (upper - lower), lower + high * (upper - lower), level)


def _lower_ends(values: FloatArray, alpha: float, n_planned: int | None) -> FloatArray:
    """Σ λx / Σ λ less (log(1/alpha) + Σ (x - mean before)² ψ(λ)) / Σ λ, after each value in [0, 1]."""
    times = np.arange(1, len(values) + 1)
    means = np.cumsum(values) / times
    before = np.concatenate([[0.0], means[:-1]])[: len(values)]
    moderate = (0.5 + np.cumsum(values)) / (times + 1)
    variances = (0.25 + np.cumsum((values - moderate) ** 2)) / (times + 1)
    known = np.concatenate([[0.25], variances[:-1]])[: len(values)]
    pace = times * np.log1p(times) if n_planned is None else float(n_planned)
    bets = np.minimum(np.sqrt(2 * math.log(1 / alpha) / (pace * known)), 0.5)
    spent = np.cumsum((values - before) ** 2 * (-np.log1p(-bets) - bets))
    return np.asarray((np.cumsum(bets * values) - math.log(1 / alpha) - spent) / np.cumsum(bets))


def normal_mixture_bound(variance: FloatArray | float, *, alpha: float = 0.05, best_at: float) -> FloatArray:
    """How far a sum of independent errors may stray from 0, at any time, with probability 1 - ``alpha`` (two-sided).

    sqrt((v + rho) · log((v + rho) / (rho · alpha²))) for the variance v of the sum so far (a known one: sub-Gaussian errors;
    with an estimate it holds asymptotically), narrowest about v = ``best_at``. A sequence of nightly differences d_t with
    standard errors s_t has Σ d_t ± bound(Σ s_t²). Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon 2021, Annals of
    Statistics 49, eq. 14, with their rule for rho.

    >>> round(float(normal_mixture_bound(100.0, best_at=100.0)), 5)
    30.35209

    Raises UsageError for an alpha outside (0, 1) or a ``best_at`` that is not positive.
    """
    _check(alpha, 1)
    if not best_at > 0:
        raise UsageError(f"normal_mixture_bound: best_at must be a positive variance, got {best_at!r}")
    rho = best_at / (2 * math.log(1 / alpha) + math.log1p(2 * math.log(1 / alpha)))
    grown = np.asarray(variance, dtype=np.float64) + rho
    return np.asarray(np.sqrt(grown * (np.log(grown / rho) + 2 * math.log(1 / alpha))))
