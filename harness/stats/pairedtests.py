"""Tests of "no difference" between two systems on the same units, each by its usual name.

Those of differences (one number a unit): permutation, sign, Wilcoxon, t. Those of any metric: randomisation, which swaps the
two systems, and the paired bootstrap. All give p-values only; bounds and margins are in ``contrast``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.stats.bootstrap import Aggregate, Finish, IntArray, Once, replicates
from harness.stats.pairs import Pairs, differing
from harness.stats.ranks import sign_test as sign_test_of_counts
from harness.stats.spread import Function
from harness.types import FloatArray

Bits: TypeAlias = NDArray[np.uint8]
Alternative = Literal["two-sided", "greater", "less"]
Zeros = Literal["wilcox", "pratt"]

MOST_ENUMERATED = 20
"""Up to so many differences that are not 0 all signs are gone through."""

_MOST_RANKED = 50
_BLOCK_BYTES = 2 * 2**20
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Tested:
    """A p-value that came from ``n_resamples`` assignments, all that there are if ``is_exact``."""

    p_value: float
    difference: float
    n_resamples: int
    is_exact: bool


@dataclass(frozen=True, slots=True)
class BootstrapTested:
    """The paired bootstrap, in the three ways that go by this name.

    ``p_value``: two-sided, the share of resamples whose difference strays from its mean by as much as the difference itself
    (add-one; Efron and Tibshirani 1993, § 16.4). ``wins_against``: the share in which the system that is worse on the whole is
    not worse (Koehn 2004): one-sided, 0 at best. ``folded``: the share whose absolute difference exceeds the mean of absolute
    differences by as much as the difference, which the script of Moses prints since it follows Riezler and Maxwell 2005.
    """

    p_value: float
    wins_against: float
    folded: float
    difference: float
    n_resamples: int


# ── any metric ──────────────────────────────────────────────────────────────────────────────────────────────────────


def randomization_test(
    b: FloatArray,
    a: FloatArray,
    aggregate: Aggregate,
    *,
    finish: Finish | None = None,
    units: IntArray | None = None,
    units_a: IntArray | None = None,
    clusters: IntArray | None = None,
    n_resamples: int = 10_000,
    rng: np.random.Generator,
) -> Tested:
    """Approximate randomisation, two-sided (Noreen 1989; Riezler and Maxwell 2005).

    Were the two systems' answers swapped at random, how often would their values lie as far apart as they do?

    The parameters are those of :func:`~harness.stats.contrast.contrast`; whole clusters are swapped. Clusters that do not
    differ cannot matter: if the others allow at most ``n_resamples`` assignments all are gone through and p is exact, else p is
    (1 + as extreme) / (1 + drawn) and never 0. With ``finish`` an assignment costs one row of a matrix product, else the value
    of twice as many rows. An assignment that leaves a value undefined counts as extreme. Where a value is undefined the
    difference is NaN and p 1; without differing clusters p is 1.

    Raises UsageError for arrays that do not fit each other or ``n_resamples`` below 1.
    """
    _check_positive("randomization_test: n_resamples", n_resamples)
    pairs = Pairs.of(b, a, units, units_a, clusters)
    swap = _Swap.of(pairs, aggregate, finish)
    k = len(swap.where)
    exact = k < 60 and 2**k <= n_resamples
    if not pairs.n_units:
        return Tested(1.0, math.nan, 1, True)
    value_b, value_a = (float(value[0]) for value in swap.values(np.zeros((1, k), dtype=np.uint8)))
    observed = value_b - value_a
    if not math.isfinite(observed) or k == 0:
        return Tested(1.0, observed, 1, True)
    far, drawn = 0, 0
    least = abs(observed) - _ROUNDING * max(abs(value_b), abs(value_a))
    for swapped in _assignments(k, n_resamples, exact, rng, swap.block_rows):
        first, second = swap.values(swapped)
        far += int((~(np.abs(first - second) < least)).sum())
        drawn += len(swapped)
    return Tested(far / drawn if exact else (1 + far) / (1 + drawn), observed, drawn, exact)


def paired_bootstrap_test(
    b: FloatArray,
    a: FloatArray,
    aggregate: Aggregate,
    *,
    finish: Finish | None = None,
    units: IntArray | None = None,
    units_a: IntArray | None = None,
    clusters: IntArray | None = None,
    n_bootstrap: int = 1000,
    rng: np.random.Generator,
) -> BootstrapTested:
    """The paired bootstrap: both systems' values on the same resamples of the units.

    The parameters are those of :func:`~harness.stats.contrast.contrast`; whole clusters are drawn. Resamples that leave a value
    undefined are left out; all p-values are 1 where a value is undefined or no resample has one.

    Raises UsageError for arrays that do not fit each other or ``n_bootstrap`` below 1.
    """
    _check_positive("paired_bootstrap_test: n_bootstrap", n_bootstrap)
    pairs = Pairs.of(b, a, units, units_a, clusters)
    if not pairs.n_units:
        return BootstrapTested(1.0, 1.0, 1.0, math.nan, 0)
    function = Function(aggregate, finish, "bootstrap", n_bootstrap)
    generators, everything, observed = (rng, copy.deepcopy(rng)), [], []
    for side, own in zip((pairs.b, pairs.a), generators):
        everything.append(replicates(
            aggregate, side.stats, groups=side.clusters, weights=side.weights, finish=finish, n_bootstrap=n_bootstrap, rng=own))
        observed.append(function.value(side, side.sums(pairs.n_clusters)))
    difference, apart = observed[0] - observed[1], everything[0] - everything[1]
    apart = apart[np.isfinite(apart)]
    if not len(apart) or not math.isfinite(difference):
        return BootstrapTested(1.0, 1.0, 1.0, difference, 0)
    least = abs(difference) - _ROUNDING * max(abs(value) for value in observed)
    far = int(np.count_nonzero(np.abs(apart - apart.mean()) >= least))
    against = float((apart * math.copysign(1.0, difference) <= abs(difference) - least).mean())
    folded = float((np.abs(apart) - np.abs(apart).mean() >= least).mean())
    return BootstrapTested((1 + far) / (1 + len(apart)), against, folded, difference, len(apart))


@dataclass(frozen=True, slots=True)
class _Swap:
    """Two systems whose answers may be swapped in each of the clusters ``where`` they differ."""

    pairs: Pairs
    aggregate: Aggregate
    finish: Finish | None
    where: IntArray
    total: FloatArray
    apart: FloatArray

    @classmethod
    def of(cls, pairs: Pairs, aggregate: Aggregate, finish: Finish | None) -> _Swap:
        b, a = pairs.sums()
        where = differing(b, a)
        return cls(pairs, aggregate, finish, where, b.sum(axis=0) + a.sum(axis=0), b[where] - a[where])

    @property
    def block_rows(self) -> int:
        row = len(self.where) if self.finish is not None else 4 * (len(self.pairs.b.stats) + len(self.pairs.a.stats))
        return max(1, _BLOCK_BYTES // (8 * max(row, 1)))

    def values(self, swapped: Bits) -> tuple[FloatArray, FloatArray]:
        """Of both systems, where ``swapped`` ``uint8[B, k]`` is 1 for a cluster whose answers change sides."""
        if self.finish is not None:
            moved = self.apart.sum(axis=0) - 2 * (swapped.astype(np.float64) @ self.apart)
            return np.asarray(self.finish((self.total + moved) / 2)), np.asarray(self.finish((self.total - moved) / 2))
        b, a = self.pairs.b, self.pairs.a
        as_it_was = np.ones((len(swapped), self.pairs.n_clusters))
        as_it_was[:, self.where] = 1.0 - swapped
        of_b, of_a = as_it_was[:, b.all_clusters()], as_it_was[:, a.all_clusters()]
        votes, rows = np.concatenate([b.all_weights(), a.all_weights()]), np.concatenate([b.stats, a.stats])
        first = votes * np.concatenate([of_b, 1 - of_a], axis=1)
        second = votes * np.concatenate([1 - of_b, of_a], axis=1)
        of_weights = self.aggregate.over(rows) if isinstance(self.aggregate, Once) else partial(self.aggregate, rows)
        return np.asarray(of_weights(first)), np.asarray(of_weights(second))


def _assignments(k: int, n: int, exact: bool, rng: np.random.Generator, rows: int) -> Iterator[Bits]:
    """Blocks of rows of 0 and 1: every assignment of k once, or n random ones."""
    count = 2**k if exact else n
    for start in range(0, count, rows):
        size = min(rows, count - start)
        if exact:
            yield ((np.arange(start, start + size)[:, None] >> np.arange(k)) & 1).astype(np.uint8)
        else:
            drawn = np.frombuffer(rng.bytes(size * -(-k // 8)), dtype=np.uint8).reshape(size, -1)
            yield np.unpackbits(drawn, axis=1, count=k)


# ── differences ─────────────────────────────────────────────────────────────────────────────────────────────────────


def permutation_test(
    differences: FloatArray,
    *,
    alternative: Alternative = "two-sided",
    n_resamples: int = 10_000,
    rng: np.random.Generator,
) -> Tested:
    """Were the signs of the ``differences``, ``float64[n]``, a matter of chance, how often would their sum lie as far out?

    Fisher 1935, The Design of Experiments, § 21. Zeros do not matter; up to 20 others all signs are gone through, else p is
    (1 + as extreme) / (1 + drawn). ``difference`` is the mean of all. Nothing but zeros, or nothing at all, is no evidence: 1.

    >>> permutation_test(np.array([1.0, 2, 3, 4, 5, 6]), rng=np.random.default_rng(0)).p_value
    0.03125
    """
    _check(differences, alternative)
    _check_positive("permutation_test: n_resamples", n_resamples)
    mean = float(differences.mean()) if len(differences) else math.nan
    there = differences[differences != 0]
    if not len(there):
        return Tested(1.0, mean, 1, True)
    rounding, observed = _ROUNDING * float(np.abs(there).sum()), float(there.sum())
    if len(there) <= MOST_ENUMERATED:
        sums = np.zeros(1)
        for size in there:
            sums = np.concatenate([sums + size, sums - size])
        return Tested(_as_extreme(sums, observed, rounding, alternative) / len(sums), mean, len(sums), True)
    far, rows = 0, max(1, _BLOCK_BYTES // (8 * len(there)))
    for turned in _assignments(len(there), n_resamples, False, rng, rows):
        far += _as_extreme(observed - 2 * (turned.astype(np.float64) @ there), observed, rounding, alternative)
    return Tested((1 + far) / (1 + n_resamples), mean, n_resamples, False)


def _as_extreme(sums: FloatArray, observed: float, rounding: float, alternative: Alternative) -> int:
    if alternative == "two-sided":
        return int(np.count_nonzero(np.abs(sums) >= abs(observed) - rounding))
    direction = 1.0 if alternative == "greater" else -1.0
    return int(np.count_nonzero(direction * sums >= direction * observed - rounding))


def sign_test(differences: FloatArray) -> float:
    """The exact two-sided p-value of as many differences above 0 as below; zeros do not count."""
    _check(differences, "two-sided")
    return sign_test_of_counts(int((differences > 0).sum()), int((differences < 0).sum()))


def t_test(differences: FloatArray, *, alternative: Alternative = "two-sided") -> float:
    """The paired t test: of a mean of 0 among the ``differences``, ``float64[n]``.

    Fewer than two, or nothing but zeros, is no evidence: 1. Where all are equal and not 0 there is no spread to hold them
    against: NaN.
    """
    from scipy.special import stdtr

    _check(differences, alternative)
    n = len(differences)
    if n < 2 or not differences.any():
        return 1.0
    mean, error = float(differences.mean()), float(differences.std(ddof=1)) / math.sqrt(n)
    if error <= _ROUNDING * abs(mean):
        return math.nan
    t = mean / error
    if alternative == "two-sided":
        return float(2 * stdtr(n - 1, -abs(t)))
    return float(stdtr(n - 1, -t if alternative == "greater" else t))


def wilcoxon(differences: FloatArray, *, zeros: Zeros = "wilcox", alternative: Alternative = "two-sided") -> float:
    """Wilcoxon's signed-rank test of differences that are symmetric around 0 (Wilcoxon 1945, Biometrics Bulletin 1).

    ``zeros``: ``wilcox`` leaves them out, ``pratt`` lets them have their ranks first (Pratt 1959). Ties share the mean rank. Up
    to 50 ranked differences the p-value is exact, given the ties; above it is normal, with the variance that the ties leave
    and without continuity correction. Nothing but zeros is no evidence: 1.

    >>> wilcoxon(np.array([1.0, 2, 3, 4, 5, 6]))
    0.03125
    """
    _check(differences, alternative)
    if zeros not in ("wilcox", "pratt"):
        raise UsageError(f"wilcoxon: zeros must be wilcox or pratt, got {zeros!r}")
    ranked = differences[differences != 0] if zeros == "wilcox" else differences
    signs, ranks = np.sign(ranked), _twice_mean_ranks(np.abs(ranked))
    ranks = ranks[signs != 0]
    positive = int(ranks[signs[signs != 0] > 0].sum())
    if not len(ranks):
        return 1.0
    if len(ranks) <= _MOST_RANKED:
        below, above = _exact_tails(ranks, positive)
    else:
        z = (positive - ranks.sum() / 2) / math.sqrt(float((ranks.astype(np.float64) ** 2).sum()) / 4)
        below, above = math.erfc(-z / math.sqrt(2)) / 2, math.erfc(z / math.sqrt(2)) / 2
    return {"less": below, "greater": above, "two-sided": min(1.0, 2 * min(below, above))}[alternative]


def _twice_mean_ranks(sizes: FloatArray) -> IntArray:
    """Twice the ranks, ties sharing their mean: whole numbers."""
    _, inverse, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((2 * last - counts + 1)[inverse], dtype=np.int64)


def _exact_tails(ranks: IntArray, positive: int) -> tuple[float, float]:
    """P(sum <= positive) and P(sum >= positive), each rank counted or not by a fair coin."""
    chances = np.zeros(int(ranks.sum()) + 1)
    chances[0] = 1.0
    for rank in ranks:
        moved = chances[: len(chances) - rank]
        chances = chances / 2
        chances[rank:] += moved / 2
    return float(chances[: positive + 1].sum()), float(chances[positive:].sum())


def _check_positive(what: str, n: int) -> None:
    if n < 1:
        raise UsageError(f"{what} must be positive, got {n}")


def _check(differences: FloatArray, alternative: str) -> None:
    if differences.ndim != 1 or not np.isfinite(differences).all():
        raise UsageError(f"paired test: differences must be a series of finite numbers, got shape {differences.shape}"
                         f"{'' if np.isfinite(differences).all() else ' with NaN or infinity'}")
    if alternative not in ("two-sided", "greater", "less"):
        raise UsageError(f"paired test: alternative must be two-sided, greater or less, got {alternative!r}")
