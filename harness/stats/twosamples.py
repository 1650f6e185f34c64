"""Two samples of a population: how far apart their means, shares, quantiles and distributions are, and how sure that is.

What is paired goes through ``contrast``; here the two need not have a unit in common, and distributions are compared as wholes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from harness.errors import UsageError
from harness.stats.bootstrap import Aggregate, Finish, IntArray, replicates, resample_weights
from harness.stats.onesided import FewDiffer, OneSided, Strictest, Student
from harness.types import FloatArray

Distance: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]
"""``shares float64[B, K], shares float64[B, K] -> float64[B]``: how far each row of the first is from that of the second."""

_BLOCK_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Apart:
    """A difference or a distance, its standard error, its permutation p-value where there is one, and the tests of it."""

    value: float
    error: float
    tests: OneSided
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """Statistics ``float64[n, d]``; each row's vote (1 / repeats) and its cluster ``0..G-1``. None: 1, and each by itself."""

    stats: FloatArray
    weights: FloatArray | None = None
    clusters: IntArray | None = None

    @property
    def n_clusters(self) -> int:
        return len(self.stats) if self.clusters is None else int(self.clusters.max(initial=-1)) + 1


# ── differences ─────────────────────────────────────────────────────────────────────────────────────────────────────


def difference_of_shares(hits_b: float, n_b: float, hits_a: float, n_a: float) -> Apart:
    """hits_b / n_b - hits_a / n_a of independent units, by the interval of Agresti and Caffo (2000, American Statistician 54).

    One hit and one miss are added to either side before the error is taken, so that it is never 0. Raises UsageError where
    a side has no unit, or more hits than units.
    """
    if not (0 <= hits_b <= n_b and 0 <= hits_a <= n_a and n_a > 0 and n_b > 0):
        raise UsageError(f"difference_of_shares: hits must be at most n > 0, got {hits_b} of {n_b} and {hits_a} of {n_a}")
    shares = [(hits + 1) / (n + 2) for hits, n in ((hits_b, n_b), (hits_a, n_a))]
    error = math.sqrt(sum(p * (1 - p) / (n + 2) for p, n in zip(shares, (n_b, n_a))))
    return Apart(hits_b / n_b - hits_a / n_a, error, Student(shares[0] - shares[1], error, math.inf))


def difference_of_values(
    b: Rows, a: Rows, aggregate: Aggregate, *, finish: Finish | None = None, n_bootstrap: int = 1000, rng: np.random.Generator
) -> Apart:
    """value(b) - value(a) of two sets of rows without a unit in common, with the bootstrap's error.

    Raises UsageError for fewer than two clusters on a side.
    """
    values, variance = [], 0.0
    for side in (b, a):
        if side.n_clusters < 2:
            raise UsageError(f"difference_of_values: needs two units on either side at least, got {side.n_clusters}")
        weights = np.ones(len(side.stats)) if side.weights is None else side.weights
        values.append(float(np.asarray(aggregate(side.stats, weights[None, :]))[0]))
        drawn = replicates(aggregate, side.stats, groups=side.clusters, weights=side.weights, finish=finish,
                           n_bootstrap=n_bootstrap, rng=rng)  # fmt: skip
        variance += float(np.nanvar(drawn, ddof=1))
    value = values[0] - values[1]
    return Apart(value, math.sqrt(variance), Student(value, math.sqrt(variance), b.n_clusters + a.n_clusters - 2.0))


# ── distances of distributions ──────────────────────────────────────────────────────────────────────────────────────


def distance_of_shares(
    b: Any, a: Any, distance: Distance, *, is_paired: bool, reach: float | None, n_bootstrap: int = 200,
    n_permutations: int = 499, rng: np.random.Generator,
) -> Apart:  # fmt: skip
    """How far the distribution of counts of ``b`` is from that of ``a``: rows are independent units, columns what is counted.

    Parameters
    ----------
    b, a : ``float64[n, K]`` and ``float64[m, K]``, dense or scipy.sparse CSR. ``is_paired``: row i of both is the same unit.
    distance : of two distributions, 0 for equal ones. It is 0 to ``reach`` × (the share of mass that differs); None: no such
        bound is known.

    Two samples of one population are never quite alike, so that the distance that is seen is too large: the bootstrap says
    by how much, and that is taken off (never below 0). ``error`` is the bootstrap's. The p-value is of H0 "one population", by
    exchanging units (the two rows of a pair, where paired) at random, add-one. Nothing is certain that chance makes too.

    Raises UsageError for a side without counts, and for pairs of different numbers of rows.
    """
    if is_paired and b.shape != a.shape:
        raise UsageError(f"distance_of_shares: pairs must have one shape, got {b.shape} and {a.shape}")
    if not b.sum() > 0 or not a.sum() > 0:
        raise UsageError("distance_of_shares: both sides must count something")
    seen = float(distance(_shares(_totals(b)[None, :]), _shares(_totals(a)[None, :]))[0])
    drawn = np.concatenate([distance(_shares(x), _shares(y)) for x, y in _resampled(b, a, is_paired, n_bootstrap, rng)])
    null = np.concatenate([distance(_shares(x), _shares(y)) for x, y in _exchanged(b, a, is_paired, n_permutations, rng)])
    value, error = max(2 * seen - float(drawn.mean()), 0.0), float(drawn.std(ddof=1))
    p_value = float((1 + (null >= seen * (1 - 1e-12)).sum()) / (1 + len(null)))
    units = min(b.shape[0], a.shape[0])
    tests: tuple[OneSided, ...] = (Student(value, error, max(units - 1.0, 1.0)), _beyond_chance(seen, null))
    if is_paired:
        differing = int((abs(b - a).sum(axis=1) > 0).sum())
        tests = (*tests, FewDiffer(differing, units, reach))
    elif not error:  # all units alike, as far as these few can say
        tests = (*tests, FewDiffer(0, units, reach))
    return Apart(value, error, Strictest(tests) if units > 1 else Strictest(()), p_value)


def mean_discrepancy(kernel: FloatArray, n: int, *, n_permutations: int = 499, rng: np.random.Generator) -> Apart:
    """The unbiased squared maximum mean discrepancy of the first ``n`` units of a kernel ``float64[N, N]`` from the rest.

    Its error is that of its linear part together with its spread under exchange, which gives the p-value (add-one). Gretton
    et al. 2012, Journal of Machine Learning Research 13. Raises UsageError for fewer than two units on a side.
    """
    m = len(kernel) - n
    if n < 2 or m < 2:
        raise UsageError(f"mean_discrepancy: needs two units on either side at least, got {n} and {m}")
    off = kernel - np.diag(np.diag(kernel))
    first = (np.arange(n + m) < n).astype(np.float64)
    is_b = np.concatenate([first[None, :], rng.permuted(np.tile(first, (n_permutations, 1)), axis=1)])
    of_b = is_b @ off
    within_b, across = (of_b * is_b).sum(axis=1), (of_b * (1 - is_b)).sum(axis=1)
    within_a = float(off.sum()) - within_b - 2 * across
    values = within_b / (n * (n - 1)) + within_a / (m * (m - 1)) - 2 * across / (n * m)
    seen, null = float(values[0]), values[1:]
    near_b, near_a = off[:, :n].sum(axis=1), off[:, n:].sum(axis=1)
    linear = near_b[:n] / (n - 1) - near_a[:n] / m, near_a[n:] / (m - 1) - near_b[n:] / n
    variance = sum(4 * float(side.var(ddof=1)) / len(side) for side in linear) + float(null.var(ddof=1))
    tests = Strictest((Student(seen, math.sqrt(variance), min(n, m) - 1.0), _beyond_chance(seen, null)))
    return Apart(seen, math.sqrt(variance), tests, float((1 + (null >= seen).sum()) / (1 + len(null))))


@dataclass(frozen=True, slots=True)
class BeyondChance:
    """A distance that chance alone makes as large is above no margin, whatever its error: the tail of a normal distribution."""

    p_value: float

    def p_above(self, margin: float) -> float:
        return self.p_value if margin >= 0 else 0.0

    def p_below(self, margin: float) -> float:
        return 0.0

    def lower(self, alpha: float) -> float:
        return math.inf if self.p_value < alpha else 0.0

    def upper(self, alpha: float) -> float:
        return -math.inf


@dataclass(frozen=True, slots=True)
class Size:
    """How large a signed difference is, whichever way it points: the tests of \\|difference\\| from those of the difference."""

    tests: OneSided

    def p_above(self, margin: float) -> float:
        """Of H0 "it is at most ``margin``": either side may be the one."""
        return min(1.0, 2 * min(self.tests.p_above(margin), self.tests.p_below(-margin))) if margin >= 0 else 0.0

    def p_below(self, margin: float) -> float:
        """Of H0 "it is at least ``margin``": both sides must be excluded."""
        return max(self.tests.p_below(margin), self.tests.p_above(-margin)) if margin > 0 else 1.0

    def lower(self, alpha: float) -> float:
        return max(0.0, self.tests.lower(alpha / 2), -self.tests.upper(alpha / 2))

    def upper(self, alpha: float) -> float:
        return max(self.tests.upper(alpha), -self.tests.lower(alpha), 0.0)


def _beyond_chance(seen: float, null: FloatArray) -> BeyondChance:
    spread = float(null.std(ddof=1))
    if not spread:
        return BeyondChance(1.0 if seen <= float(null.mean()) * (1 + 1e-12) else 0.0)
    return BeyondChance(0.5 * math.erfc((seen - float(null.mean())) / spread / math.sqrt(2)))


def _totals(counts: Any) -> FloatArray:
    return np.asarray(counts.sum(axis=0), dtype=np.float64).ravel()


def _shares(counts: FloatArray) -> FloatArray:
    """Rows that sum to 1; a row without counts, of a resampling that drew none, is the same everywhere."""
    sums = counts.sum(axis=1, keepdims=True)
    return np.where(sums > 0, counts / np.where(sums > 0, sums, 1.0), 1.0 / counts.shape[1])


def _resampled(b: Any, a: Any, is_paired: bool, n: int, rng: np.random.Generator) -> Iterator[tuple[FloatArray, FloatArray]]:
    step = _rows_at_once(max(b.shape[1], b.shape[0] + a.shape[0]))
    for start in range(0, n, step):
        rows = min(step, n - start)
        of_b = _weights(b.shape[0], rows, rng)
        yield np.asarray(of_b @ b), np.asarray((of_b if is_paired else _weights(a.shape[0], rows, rng)) @ a)


def _exchanged(b: Any, a: Any, is_paired: bool, n: int, rng: np.random.Generator) -> Iterator[tuple[FloatArray, FloatArray]]:
    total_a, total = _totals(a), _totals(a) + _totals(b)
    step = _rows_at_once(max(b.shape[1], b.shape[0] + a.shape[0]))
    for start in range(0, n, step):
        rows = min(step, n - start)
        if is_paired:
            first = total_a + np.asarray(rng.integers(0, 2, size=(rows, b.shape[0])).astype(np.float64) @ (b - a))
        else:
            is_b = np.zeros((rows, b.shape[0] + a.shape[0]))
            is_b[:, : b.shape[0]] = 1.0
            is_b = rng.permuted(is_b, axis=1)
            first = np.asarray(is_b[:, : b.shape[0]] @ b) + np.asarray(is_b[:, b.shape[0] :] @ a)
        first = np.maximum(first, 0.0)
        yield first, np.maximum(total - first, 0.0)


def _rows_at_once(width: int) -> int:
    return max(1, _BLOCK_BYTES // (8 * max(width, 1)))


def _weights(n_units: int, n_rows: int, rng: np.random.Generator) -> FloatArray:
    return np.concatenate(list(resample_weights(n_units, n_rows, rng)))
