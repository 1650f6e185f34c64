"""What an experiment can see: power, the smallest effect that it detects, the sample size that an effect wants.

Numbers in, numbers out. Errors are standard errors of a difference in the metric's own scale. Tests are one-sided unless said
otherwise, because a gate asks one question ("did it drop by more than the margin?").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Literal

from harness.errors import UsageError

Sided = Literal["one", "two"]

_MOST = 2**53
"""From here on whole numbers of units cannot be told apart in float64."""
_MOST_STEPS = 5_000


# ── power and detectable effects ────────────────────────────────────────────────────────────────────────────────────


def power_of(
    difference: float, error: float, *, margin: float = 0.0, alpha: float = 0.05, dof: float = math.inf, sided: Sided = "one",
) -> float:
    """The probability that a test rejects "the effect is at most ``margin``", if the effect is ``difference``.

    One-sided: P(t > t_{1 - alpha}) with t noncentral, of noncentrality (difference - margin) / error and ``dof`` degrees of
    freedom (infinite: the normal distribution). Two-sided: that |t| exceeds t_{1 - alpha/2}. For a drop hand over the drop as
    a positive number. ``error`` 0 decides at once: 1.0 beyond the margin, 0.0 up to it. Cohen 1988, Statistical Power
    Analysis, ch. 2; equals statsmodels' ``TTestPower`` and ``NormalIndPower``.

    >>> round(power_of(0.02, discordance_error(0.1, 1546)), 3)
    0.8

    Raises UsageError for an ``error`` below 0, an alpha outside (0, 1) or ``dof`` that is not positive.
    """
    _check(alpha=alpha, error=error, dof=dof, sided=sided)
    distance = difference - margin
    if error == 0.0:
        return float(distance > 0 or (sided == "two" and distance != 0))
    return _rejects(distance / error, _critical(alpha, dof, sided), dof, sided)


def mde(error: float, *, alpha: float = 0.05, power: float = 0.8, dof: float = math.inf, sided: Sided = "one") -> float:
    """The minimum detectable effect: how far beyond the margin an effect must lie to be found with probability ``power``.

    With infinite ``dof`` one-sided (z_{1-alpha} + z_{power}) · error = 2.486 · error at the defaults. Bloom 1995, Evaluation
    Review 19. 0 for an ``error`` of 0; infinite where so few degrees of freedom (some hundredths) reject nothing.

    >>> round(mde(0.0224), 4), round(mde(0.0224, sided="two"), 4)
    (0.0557, 0.0628)

    Raises UsageError as :func:`power_of` does, and unless alpha < power < 1.
    """
    _check(alpha=alpha, error=error, dof=dof, sided=sided, power=power)
    critical = _critical(alpha, dof, sided)
    if error == 0.0 or critical > _MOST:
        return math.inf if error else 0.0
    if math.isinf(dof) and sided == "one":
        return (critical + NormalDist().inv_cdf(power)) * error
    return error * _root(lambda shift: _rejects(shift, critical, dof, sided) - power, critical)


def _rejects(shift: float, critical: float, dof: float, sided: Sided) -> float:
    """Beyond ``critical``, given the noncentrality ``shift``."""
    normal = NormalDist()
    if math.isinf(dof):
        upper = normal.cdf(shift - critical)
        return upper + normal.cdf(-shift - critical) if sided == "two" else upper
    from scipy.special import nctdtr

    # 1 - nctdtr would lose what lies in the far tail, and mirrored it does not; of less than 1e-15 it makes NaN, and of shifts
    # from some 1e9 on.
    shifts = (shift, -shift) if sided == "two" else (shift,)
    tails = [(float(nctdtr(dof, -towards, -critical)), towards) for towards in shifts]
    return sum(float(towards > critical) if math.isnan(tail) else tail for tail, towards in tails)


def _critical(alpha: float, dof: float, sided: Sided) -> float:
    tail = alpha / 2 if sided == "two" else alpha
    if math.isinf(dof):
        return -NormalDist().inv_cdf(tail)
    from scipy.special import stdtrit

    return -float(stdtrit(dof, tail))


def _root(function: Callable[[float], float], guess: float) -> float:
    """Where an increasing function of a number >= 0 crosses 0."""
    from scipy.optimize import brentq

    high = max(1.0, guess)
    while function(high) < 0:
        high *= 2
    return float(brentq(function, 0.0, high, xtol=1e-12, rtol=1e-13, maxiter=_MOST_STEPS))


# ── sample sizes ────────────────────────────────────────────────────────────────────────────────────────────────────


def needed_n(
    sd: float, margin: float, alpha: float = 0.05, power: float = 0.8, *, assumed: float = 0.0, sided: Sided = "one",
    exact: bool = False,
) -> int | None:
    """Units that a test of a mean needs to tell ``assumed`` from ``margin``: sd² · ((z_{1-alpha} + z_power) / distance)².

    ``sd`` is the standard deviation of one unit: of the paired differences where two systems answer the same samples. With
    ``sided="two"`` the z is that of alpha / 2. ``exact`` asks Student's noncentral t (n - 1 degrees of freedom) in place of
    the normal distribution, which adds one or two units. At least 2. None where no n will do (``assumed`` equals ``margin``,
    or more than 2**53 units).

    >>> needed_n(0.1**0.5, 0.02)
    1546

    Raises UsageError for a negative ``sd``, an alpha outside (0, 1), a power not between alpha and 1.
    """
    _check(alpha=alpha, error=sd, sided=sided, power=power)
    distance = abs(assumed - margin)
    if distance == 0.0 or not math.isfinite(sd):
        return None
    tail = alpha / 2 if sided == "two" else alpha
    normal = NormalDist()
    root = sd / distance * (normal.inv_cdf(power) - normal.inv_cdf(tail))
    n = root * root
    if not n <= _MOST:
        return None
    n = max(2, math.ceil(n * (1 - 1e-12)))
    while exact and power_of(distance, sd / math.sqrt(n), alpha=alpha, dof=n - 1, sided=sided) < power:
        n += 1
    return n


def needed_n_paired_proportions(
    discordance: float, margin: float, alpha: float = 0.05, power: float = 0.8, *, assumed: float = 0.0, sided: Sided = "one"
) -> int | None:
    """Pairs of hits and misses that are needed, if two systems differ on the share ``discordance`` of the samples.

    The variance of one pair's difference is discordance - assumed² (Miettinen 1968, Biometrics 24): as :func:`needed_n`.
    The normal approximation needs some 10 discordant pairs. None where no n will do.

    >>> needed_n_paired_proportions(0.1, 0.02)
    1546

    Raises UsageError unless |assumed| <= discordance <= 1, and as :func:`needed_n` does.
    """
    if not abs(assumed) <= discordance <= 1:
        raise UsageError(f"needed_n: discordance must lie between |assumed| = {abs(assumed)!r} and 1, got {discordance!r}")
    return needed_n(math.sqrt(discordance - assumed**2), margin, alpha, power, assumed=assumed, sided=sided)


def needed_n_two_proportions(
    first: float, second: float, alpha: float = 0.05, power: float = 0.8, *, margin: float = 0.0, sided: Sided = "one"
) -> int | None:
    """Samples in **each** of two independent groups with the shares ``first`` and ``second`` (not paired: an A/B test).

    ((z_{1-alpha} + z_power) / distance)² · (first (1 - first) + second (1 - second)), without pooling (Fleiss, Levin and Paik
    2003, ch. 4). ``margin`` bounds second - first under the hypothesis. None where no n will do.

    >>> needed_n_two_proportions(0.5, 0.55, sided="two")
    1562

    Raises UsageError for shares outside [0, 1], and as :func:`needed_n` does.
    """
    for share in (first, second):
        if not 0 <= share <= 1:
            raise UsageError(f"needed_n: a share must lie between 0 and 1, got {share!r}")
    sd = math.sqrt(first * (1 - first) + second * (1 - second))
    return needed_n(sd, margin, alpha, power, assumed=second - first, sided=sided)


def discordance_error(share: float, n: float, *, difference: float = 0.0) -> float:
    """The standard error of the difference of two hit rates on the same ``n`` samples that differ on a ``share`` of them.

    sqrt((share - difference²) / n): 10 % discordance and 200 samples leave 2.2 points. Miettinen 1968; Agresti 2013, § 11.1.

    >>> round(discordance_error(0.1, 200), 4)
    0.0224

    Raises UsageError unless |difference| <= share <= 1 and n is positive.
    """
    if not (abs(difference) <= share <= 1 and n > 0):
        raise UsageError("discordance_error: needs |difference| <= share <= 1 and n > 0, "
                         f"got difference {difference!r}, share {share!r}, n {n!r}")
    return math.sqrt((share - difference**2) / n)


def _check(*, alpha: float, error: float, sided: str, dof: float = math.inf, power: float | None = None) -> None:
    if not 0 < alpha < 1:
        raise UsageError(f"power: alpha must lie strictly between 0 and 1, got {alpha!r}")
    if not error >= 0:
        raise UsageError(f"power: a standard error or deviation must be a number >= 0, got {error!r}")
    if not dof > 0:
        raise UsageError(f"power: degrees of freedom must be positive, got {dof!r}")
    if sided not in ("one", "two"):
        raise UsageError(f"power: sided must be one or two, got {sided!r}")
    if power is not None and not alpha < power < 1:
        raise UsageError(f"power: the wanted power must lie between alpha ({alpha!r}) and 1, got {power!r}")
