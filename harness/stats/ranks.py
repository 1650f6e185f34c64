"""Ranks that know about doubt: two models are compared pair by pair, and those that cannot be told apart share a rank.

A paired test sees only the units on which two models differ. If chance alone decided which of them is ahead there, m such
units would all agree with probability 2 · 0.5^m: 0.125 for 4, 0.03125 for 6. No test is surer than that, and so neither of
the two here is, however steady the resamplings of a few units look.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from harness.errors import UsageError
from harness.stats.bootstrap import percentile_interval
from harness.types import FloatArray

T = TypeVar("T")

_ROUNDING = 1e-9
"""Share of the values' size up to which a difference of replicates may be the rounding of sums."""


def ranks_with_ties(models: Sequence[T], better: Callable[[T, T], int]) -> list[int]:
    """The rank of each model: 1 + the number of models that are better beyond doubt.

    ``better(one, other)`` is asked once for each pair: 1 if the first is better, -1 if the second is, 0 if there is doubt.
    Being tied is not transitive: 1, 1, 2 may mean that the second is tied with both. Nor need being better be, where each
    pair is compared on other samples: three models that each beat the next are all 2nd.
    """
    ranks = [1] * len(models)
    for i in range(len(models)):
        for j in range(i + 1, len(models)):
            verdict = better(models[i], models[j])
            ranks[i] += verdict < 0
            ranks[j] += verdict > 0
    return ranks


def mean_ranks(ranks: Sequence[Sequence[int | None]]) -> list[float | None]:
    """The mean rank of each model over the tasks that rank it; None where none does.

    ``ranks[task][model]``, every task with the same models in the same order. Raises UsageError if they are not as many.
    """
    if len({len(row) for row in ranks}) > 1:
        raise UsageError(f"mean_ranks: every task must rank the same models, got {[len(row) for row in ranks]} ranks")
    columns = [[rank for rank in column if rank is not None] for column in zip(*ranks)]
    return [sum(column) / len(column) if column else None for column in columns]


def higher_by_hits(one: FloatArray, other: FloatArray, level: float = 0.95) -> int:
    """Which of two series of hits and misses on the same independent units has more hits: 1, -1, or 0 for doubt.

    McNemar's test in its exact form: :func:`sign_test` of the units that one hit and the other missed; there is doubt unless
    p < 1 - ``level``. ``one`` and ``other`` are ``float64[n]`` of 1 and 0, unit by unit; no units leave doubt.

    Raises UsageError if they are not as many. McNemar 1947, Psychometrika 12.
    """
    if one.shape != other.shape:
        raise UsageError(f"higher_by_hits: both must be on the same units, got {one.shape} and {other.shape}")
    wins, losses = int((one > other).sum()), int((one < other).sum())
    if sign_test(wins, losses) >= 1 - level:
        return 0
    return 1 if wins > losses else -1


def higher_by_replicates(one: FloatArray, other: FloatArray, n_differing: int, level: float = 0.95) -> int:
    """Which of two values is higher, from paired replicates of a resampling: 1, -1, or 0 for doubt.

    There is doubt where the ``level`` percentile interval of the paired differences touches 0 (or comes as near as the
    rounding of sums would), and always where the units on which the two differ are too few: where even a sign test that all
    ``n_differing`` of them pass would not give p < 1 - ``level``; at 0.95 that is fewer than 6. Without the second rule few
    units that all point one way would be certain, because resampling them cannot change the sign of the difference.

    ``one`` and ``other`` are ``float64[B]`` from the same resamplings; they are compared where both are finite, and none
    leave doubt. ``n_differing`` counts resampled units (clusters, where whole clusters are drawn).

    Raises UsageError if the replicates are not as many.
    """
    if one.shape != other.shape:
        raise UsageError(f"higher_by_replicates: both must have the same resamplings, got {one.shape} and {other.shape}")
    if sign_test(n_differing, 0) >= 1 - level:
        return 0
    both = np.isfinite(one) & np.isfinite(other)
    low, high = percentile_interval(one[both] - other[both], level)
    rounding = _ROUNDING * np.abs(one[both]).max(initial=0.0)
    return int(low > rounding) - int(high < -rounding)


def sign_test(wins: int, losses: int) -> float:
    """The exact two-sided p-value of a sign test: how likely a fair coin falls at least as unevenly as ``wins : losses``.

    >>> round(sign_test(4, 0), 9), round(sign_test(6, 0), 9), round(sign_test(1, 9), 9)
    (0.125, 0.03125, 0.021484375)

    Nothing observed is no evidence: 1. Raises UsageError for a negative count.
    """
    if wins < 0 or losses < 0:
        raise UsageError(f"sign_test: counts must not be negative, got {wins} and {losses}")
    n, fewer = wins + losses, min(wins, losses)
    # From the largest term of the lower tail down, each by its ratio to the one before: exact counts are slow for large n.
    total, term = 0.0, 1.0
    for k in range(fewer, -1, -1):
        total += term
        term *= k / (n - k + 1)
        if term < 1e-17 * total:
            break
    largest = math.lgamma(n + 1) - math.lgamma(fewer + 1) - math.lgamma(n - fewer + 1) - n * math.log(2)
    return min(1.0, 2 * total * math.exp(largest))
