"""Tests of many models on the same items at once, and which of them differ. Arrays in, numbers out.

``values`` is ``float64[n_items, k_models]``. Items with a NaN are left out where models are compared item by item.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.errors import UsageError
from harness.stats.multiple import Adjustment, adjust
from harness.stats.ranks import sign_test
from harness.types import FloatArray

_ROUNDING = 1e-12
"""Share of a sum of squares up to which it may be what rounding leaves of equal values."""


# ── analysis of variance ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Anova:
    """An F test of equal means. ``epsilon`` (of repeated measures: Greenhouse–Geisser) and ``p_corrected`` are for unequal
    correlations of models, else 1 and the p-value. All values equal: F 0 and p 1. Models that differ without any noise:
    F infinite, and p the chance that a shuffle would fall so (never 0)."""

    statistic: float
    p_value: float
    dof: tuple[float, float]
    epsilon: float
    p_corrected: float


def anova(values: FloatArray) -> Anova:
    """One-way analysis of variance (Fisher 1925): models as independent groups, each over its own items; NaN where none.

    Of models on the same items :func:`repeated_anova` sees far more. Equals ``scipy.stats.f_oneway``. Raises UsageError for
    fewer than two models, a model without values, or no more values than models.
    """
    _check(values, "anova", items=1)
    there = np.isfinite(values)
    sizes, n, k = there.sum(axis=0), int(there.sum()), values.shape[1]
    if sizes.min() < 1 or n <= k:
        raise UsageError(f"anova: every model needs values, and one of them two, got {sizes.tolist()}")
    moved = np.where(there, values - values[there][0], 0.0)  # equal values are 0 then, to the last digit
    means = moved.sum(axis=0) / sizes
    between = float((sizes * (means - moved.sum() / n) ** 2).sum())
    within = float((np.where(there, moved - means, 0.0) ** 2).sum())
    shuffles = math.lgamma(n + 1) - sum(math.lgamma(size + 1) for size in sizes)
    return _f_test(between, within, (k - 1.0, float(n - k)), 1.0, math.exp(-shuffles))


def repeated_anova(values: FloatArray) -> Anova:
    """Repeated-measures analysis of variance: models within items, so that easy and hard items do not count as noise.

    F has (k - 1, (k - 1)(n - 1)) degrees of freedom; it wants all differences of two models to vary alike, and where they do
    not, ``p_corrected`` has both multiplied by Greenhouse and Geisser's epsilon (1959, Psychometrika 24). Equals statsmodels'
    ``AnovaRM``. Raises UsageError for fewer than two models or two complete items.
    """
    known = _complete(values, "repeated_anova")
    n, k = known.shape
    moved = known - known[:, :1]  # the items' levels do not matter, and equal models are 0 then, to the last digit
    moved -= moved.mean()
    models, items = moved.mean(axis=0), moved.mean(axis=1)
    rest = moved - models - items[:, None]
    covariance = rest.T @ rest
    trace, squares = float(np.trace(covariance)), float((covariance**2).sum())
    epsilon = trace**2 / ((k - 1) * squares) if squares > 0 else 1.0
    dof = (k - 1.0, (k - 1.0) * (n - 1))
    return _f_test(n * float((models**2).sum()), float((rest**2).sum()), dof, epsilon, _all_alike(n, k))


def _f_test(between: float, within: float, dof: tuple[float, float], epsilon: float, by_chance: float) -> Anova:
    if between + within == 0.0:
        return Anova(0.0, 1.0, dof, epsilon, 1.0)
    if within <= _ROUNDING * between:
        return Anova(math.inf, by_chance, dof, epsilon, by_chance)
    from scipy.special import fdtrc

    first, second = dof
    statistic = (between / first) / (within / second)
    p_value, corrected = (float(fdtrc(first * e, second * e, statistic)) for e in (1.0, epsilon))
    return Anova(statistic, p_value, dof, epsilon, corrected)


def _all_alike(n: int, k: int) -> float:
    """The chance that n items shuffled by themselves put k models in one and the same order."""
    return math.exp((1 - n) * math.lgamma(k + 1))


# ── Friedman's test and what follows it ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Friedman:
    """``statistic`` and its chi-squared ``p_value``; ``f_statistic`` and ``f_p_value`` as Iman and Davenport have it, which is
    less conservative. ``mean_ranks`` has 1 for the highest value of an item; ``agreement`` is Kendall's W, 0 to 1."""

    statistic: float
    p_value: float
    f_statistic: float
    f_p_value: float
    mean_ranks: FloatArray
    agreement: float
    n_items: int


def friedman(values: FloatArray) -> Friedman:
    """Friedman's test that all models rank alike on the items (1937, JASA 32), with the correction for ties.

    Equals ``scipy.stats.friedmanchisquare``; F: Iman and Davenport 1980, Communications in Statistics 9. Every item a tie of
    all: statistic 0 and p 1. Raises UsageError for fewer than two models or two complete items.
    """
    ranks = _ranks(_complete(values, "friedman"))
    n, k = ranks.shape
    means = ranks.mean(axis=0)
    between, total = n * float(((means - (k + 1) / 2) ** 2).sum()), float(((ranks - (k + 1) / 2) ** 2).sum())
    if total == 0.0:
        return Friedman(0.0, 1.0, 0.0, 1.0, means, math.nan, n)
    from scipy.special import chdtrc, fdtrc

    statistic = n * (k - 1) * between / total
    rest = n * (k - 1) - statistic
    f = (n - 1) * statistic / rest if rest > _ROUNDING * statistic else math.inf
    f_p = float(fdtrc(k - 1, (k - 1) * (n - 1), f)) if math.isfinite(f) else _all_alike(n, k)
    return Friedman(statistic, float(chdtrc(k - 1, statistic)), f, f_p, means, statistic / (n * (k - 1)), n)


@dataclass(frozen=True, slots=True)
class PostHoc:
    """Every pair of models: ``p_values float64[k, k]``, symmetric, 1 on the diagonal, corrected for the number of pairs.

    Two models whose mean ranks are further apart than ``critical_difference`` differ at ``alpha`` (NaN of a method with
    step-wise correction, which has no such single number).
    """

    p_values: FloatArray
    mean_ranks: FloatArray
    critical_difference: float
    alpha: float


def nemenyi(values: FloatArray, *, alpha: float = 0.05) -> PostHoc:
    """Nemenyi's test of all pairs after Friedman's: mean ranks against the studentised range (Demšar 2006, JMLR 7).

    The critical difference is q(alpha; k, ∞) · sqrt(k (k + 1) / (12 n)). Ties are not corrected for, which makes it
    conservative. Raises UsageError as :func:`friedman` does, and for an alpha outside (0, 1).
    """
    _check_alpha(alpha, "nemenyi")
    ranks = _ranks(_complete(values, "nemenyi"))
    n, k = ranks.shape
    error = math.sqrt(k * (k + 1) / (12 * n))
    means = ranks.mean(axis=0)
    gaps = np.abs(means[:, None] - means) / error
    from scipy.stats import studentized_range

    upper = np.triu_indices(k, 1)
    p_values = np.ones((k, k))
    p_values[upper] = np.clip(studentized_range.sf(gaps[upper], k, np.inf), 0.0, 1.0)
    p_values.T[upper] = p_values[upper]
    return PostHoc(p_values, means, float(studentized_range.ppf(1 - alpha, k, np.inf)) * error, alpha)


def conover(values: FloatArray, *, alpha: float = 0.05, correction: Adjustment = "holm") -> PostHoc:
    """Conover's test of all pairs after Friedman's, ties included: t with (n - 1)(k - 1) degrees of freedom.

    More power than :func:`nemenyi`; ``correction`` is one of :func:`harness.stats.multiple.adjust`. Where every item ranks the
    models alike, nothing is left to measure noise by, and pairs get the sign test's p of n items that agree. Conover 1999,
    Practical Nonparametric Statistics, § 5.8. Raises UsageError as :func:`nemenyi` does.
    """
    _check_alpha(alpha, "conover")
    ranks = _ranks(_complete(values, "conover"))
    n, k = ranks.shape
    from scipy.special import stdtr

    sums = ranks.sum(axis=0)
    left = float((ranks**2).sum()) - float((sums**2).sum()) / n
    error = math.sqrt(2 * n * max(left, 0.0) / ((n - 1) * (k - 1)))
    upper = np.triu_indices(k, 1)
    gaps = np.abs(sums[:, None] - sums)[upper]
    is_noisy = left > _ROUNDING * float((ranks**2).sum())
    alone = 2 * stdtr((n - 1) * (k - 1), -gaps / error) if is_noisy else np.where(gaps > 0, sign_test(n, 0), 1.0)
    p_values = np.ones((k, k))
    p_values[upper] = adjust(alone.tolist(), correction)
    p_values.T[upper] = p_values[upper]
    return PostHoc(p_values, ranks.mean(axis=0), math.nan, alpha)


def _ranks(values: FloatArray) -> FloatArray:
    """Ranks within each row, 1 for the highest, ties sharing their mean."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(-values, axis=1))


def _complete(values: FloatArray, caller: str) -> FloatArray:
    _check(values, caller, items=2)
    known = values[np.isfinite(values).all(axis=1)]
    if len(known) < 2:
        raise UsageError(f"{caller}: needs at least two items with a value of every model, got {len(known)}")
    return known


def _check(values: FloatArray, caller: str, items: int) -> None:
    if values.ndim != 2 or values.shape[1] < 2 or values.shape[0] < items:
        raise UsageError(f"{caller}: values must be (items, models) of at least two models, got shape {values.shape}")


def _check_alpha(alpha: float, caller: str) -> None:
    if not 0 < alpha < 1:
        raise UsageError(f"{caller}: alpha must lie strictly between 0 and 1, got {alpha!r}")
