"""Leaderboards of what people rated: means on a scale, or strengths from comparisons, with intervals and ranks with ties."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from harness.errors import UsageError
from harness.metrics.rows import ratio
from harness.ratings.judgements import Comparisons, Ratings
from harness.ratings.raters import Settings
from harness.stats.bootstrap import IntArray
from harness.stats.components import components_of_cells
from harness.stats.contrast import contrast
from harness.stats.estimate import estimate
from harness.stats.ranks import higher_by_replicates, ranks_with_ties, sign_test
from harness.stats.rating import RatingIntervals, newman, rating_intervals, win_matrices
from harness.types import FloatArray

By: TypeAlias = Literal["bradley_terry", "newman", "elo", "average_win_rate"]
METHODS: tuple[By, ...] = get_args(By)
_WITH_INTERVALS: tuple[By, ...] = ("bradley_terry", "elo", "average_win_rate")
"""Those that are resampled whatever the board is ranked by; the other one takes several times as long."""


@dataclass(frozen=True, slots=True)
class Value:
    """A number with its interval."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class LikertRow:
    """One system: ``rank`` is 1 + the number of systems that are better beyond doubt; ``n`` ratings of ``items`` items."""

    system: str
    rank: int | None
    mean: Value
    n: int
    items: int


@dataclass(frozen=True, slots=True)
class LikertBoard:
    """Systems, best first. ``rater_sd`` is how far apart raters' levels are (a standard deviation), ``item_sd`` items and
    ``residual_sd`` what is left; None where the ratings cannot tell. ``error`` is the standard error of the mean of all if
    raters are a sample of raters too, which the intervals over items do not take into account."""

    rows: tuple[LikertRow, ...]
    item_sd: float | None = None
    rater_sd: float | None = None
    residual_sd: float | None = None
    error: float | None = None


@dataclass(frozen=True, slots=True)
class PairwiseRow:
    """One system: ratings by method, ``first`` the share of resamplings in which it is the best, what was counted."""

    system: str
    rank: int | None
    ratings: dict[str, Value]
    first: float | None
    n: int
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True, slots=True)
class PairwiseBoard:
    """Systems, best first by ``by``. ``tie_tendency`` is Newman's v. ``left_wins`` of ``decided`` comparisons were won by the
    left one, ``left_p`` is the sign test's p-value that the side does not matter. ``undefined``: share of resamplings in which
    not all systems are connected by wins, so that ``by`` has no value."""

    by: By
    rows: tuple[PairwiseRow, ...]
    tie_tendency: float | None
    left_wins: int
    decided: int
    left_p: float
    clustered_by: str | None
    undefined: float


# ── ratings on a scale ──────────────────────────────────────────────────────────────────────────────────────────────


def likert_board(ratings: Ratings, settings: Settings) -> LikertBoard:
    """Every system's mean of all its ratings, with intervals clustered by item; systems are compared on the items that both
    have, paired. Nothing of categories, which have no mean."""
    if ratings.categories:
        return LikertBoard(())
    names = ("all",) if ratings.systems is None else ratings.systems.all
    codes = np.zeros(len(ratings.values), dtype=np.int64) if ratings.systems is None else ratings.systems.codes
    means = [_by_item(ratings, codes == code) for code in range(len(names))]
    ranks = _likert_ranks(means, settings)
    rows = []
    for code, name in enumerate(names):
        own = codes == code
        found = estimate(
            np.column_stack([ratings.values[own], np.ones(int(own.sum()))]), _weighted_mean, finish=_mean, method="delta",
            groups=ratings.items.codes[own], level=settings.level, n_bootstrap=settings.n_bootstrap, rng=settings.rng(),
        )  # fmt: skip
        items = int(np.isfinite(means[code]).sum())
        rows.append(LikertRow(name, ranks[code], Value(found.value, found.low, found.high), int(own.sum()), items))
    ordered = sorted(rows, key=lambda row: (row.rank or 1, -(row.mean.value or -math.inf), row.system))
    return LikertBoard(tuple(ordered), *_spread(ratings))


def _by_item(ratings: Ratings, own: np.ndarray) -> FloatArray:
    """``float64[items]``: the mean of each item's ratings, NaN of an item without."""
    n_items = len(ratings.items.all)
    n = np.bincount(ratings.items.codes[own], minlength=n_items).astype(np.float64)
    sums = np.bincount(ratings.items.codes[own], ratings.values[own], minlength=n_items)
    return ratio(np.asarray(sums, dtype=np.float64), n)


def _likert_ranks(means: Sequence[FloatArray], settings: Settings) -> list[int | None]:
    if len(means) < 2:
        return [None] * len(means)

    def better(one: int, other: int) -> int:
        both = np.isfinite(means[one]) & np.isfinite(means[other])
        if both.sum() < 2:
            return 0
        stats = [np.column_stack([means[code][both], np.ones(int(both.sum()))]) for code in (one, other)]
        found = contrast(stats[0], stats[1], _weighted_mean, finish=_mean, level=settings.level, rng=settings.rng())
        if found.difference.value is None or not found.p_value < 1 - settings.level:
            return 0
        return 1 if found.difference.value > 0 else -1

    return list(ranks_with_ties(range(len(means)), better))


def _spread(ratings: Ratings) -> tuple[float | None, float | None, float | None, float | None]:
    """Standard deviations of items (of systems), raters and the rest, and the error with raters as a sample."""
    if ratings.raters is None or len(ratings.raters.all) < 2:
        return None, None, None, None
    judgements = ratings.judgements()
    shape = len(judgements.clusters), len(ratings.raters.all)
    found = components_of_cells(ratings.values, (judgements.units, ratings.raters.codes), shape)
    item, rater, rest = (None if math.isnan(x) else math.sqrt(x) for x in (found.item, found.repeat, found.residual))
    return item, rater, rest, None if math.isnan(found.error) else found.error


def _mean(totals: FloatArray) -> FloatArray:
    return ratio(totals[..., 0], totals[..., 1])


def _weighted_mean(stats: FloatArray, weights: FloatArray) -> FloatArray:
    return _mean(weights @ stats)


# ── comparisons ─────────────────────────────────────────────────────────────────────────────────────────────────────


def pairwise_board(comparisons: Comparisons, by: By, settings: Settings) -> PairwiseBoard:
    """Every system's ratings, with intervals by resampling comparisons, whole workers where they are known.

    Ranks: two systems are told apart where the interval of their difference, resampled together, does not hold 0. Raises
    UsageError for an unknown method.
    """
    if by not in METHODS:
        raise UsageError(f"ratings: by must be one of {', '.join(METHODS)}, got {by!r}")
    left, right, outcome, k = comparisons.left, comparisons.right, comparisons.outcome, len(comparisons.names)
    clusters = None if comparisons.workers is None or len(comparisons.workers.all) < 2 else comparisons.workers.codes
    found = {
        method: rating_intervals(method, left, right, outcome, k, clusters=clusters, level=settings.level,
                                 n_bootstrap=settings.n_bootstrap, rng=settings.rng())
        for method in METHODS if method in _WITH_INTERVALS or method == by
    }  # fmt: skip
    wins, ties = win_matrices(left, right, outcome, np.ones((1, len(left))), k)
    values = {method: [_value(found[method], code) for code in range(k)] for method in found}
    strengths, tendency = newman(wins, ties)
    if "newman" not in values:
        values["newman"] = [Value(_shown(float(strength))) for strength in strengths[0]]
    ranks = _pairwise_ranks(comparisons, found[by], clusters)
    first = found[by].rank_probability[:, 0] if k else np.zeros(0)
    rows = [
        PairwiseRow(name, ranks[code], {method: values[method][code] for method in METHODS}, _shown(float(first[code])),
                    *_counts(wins[0], ties[0], code))
        for code, name in enumerate(comparisons.names)
    ]  # fmt: skip
    rows.sort(key=lambda row: (_last(row.rank), -_last(row.ratings[by].value, -math.inf), row.system))
    decided = outcome != 0.5
    n_left, n_decided = int((outcome == 1).sum()), int(decided.sum())
    return PairwiseBoard(by, tuple(rows), _shown(float(tendency[0])), n_left, n_decided, sign_test(n_left, n_decided - n_left),
                         None if clusters is None else "worker", found[by].undefined)  # fmt: skip


def _pairwise_ranks(comparisons: Comparisons, found: RatingIntervals, clusters: IntArray | None) -> list[int | None]:
    """Ranks among the systems that have a value; None for the others, and where nothing could be resampled."""
    defined = np.flatnonzero(np.isfinite(found.values)).tolist()
    ranks: list[int | None] = [None] * len(comparisons.names)
    if len(defined) < 2 or not len(found.drawn):
        return ranks
    units = np.arange(len(comparisons.left)) if clusters is None else clusters
    n_units = int(units.max()) + 1
    takes_part = np.zeros((len(comparisons.names), n_units), dtype=bool)
    for side in (comparisons.left, comparisons.right):
        takes_part[side, units] = True

    def better(one: int, other: int) -> int:
        n_differing = int((takes_part[one] | takes_part[other]).sum())
        return higher_by_replicates(found.drawn[:, one], found.drawn[:, other], n_differing)

    for code, rank in zip(defined, ranks_with_ties(defined, better)):
        ranks[code] = rank
    return ranks


def _value(found: RatingIntervals, code: int) -> Value:
    return Value(*(_shown(float(column[code])) for column in (found.values, found.low, found.high)))


def _counts(wins: FloatArray, ties: FloatArray, code: int) -> tuple[int, int, int, int]:
    won, tied, lost = int(wins[code].sum()), int(ties[code].sum()), int(wins[:, code].sum())
    return won + tied + lost, won, tied, lost


def _shown(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _last(value: float | None, absent: float = math.inf) -> float:
    return absent if value is None else value
