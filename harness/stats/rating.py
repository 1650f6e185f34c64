"""Ratings of items out of comparisons of two at a time. Arrays in, numbers out.

``left`` and ``right`` are ``int64[n]`` codes of items 0..K-1, ``outcome`` is ``float64[n]``: 1 where the left one won, 0 where
the right one did, 0.5 for a tie. ``weights`` is ``float64[B, n]``, a row a weighting (a weight of 2 counts twice). A rating
is ``float64[B, K]``, higher is better; a comparison of an item with itself raises UsageError.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.errors import UsageError
from harness.stats.bootstrap import IntArray, percentile_interval, resample_weights
from harness.types import FloatArray

Kind = Literal["counting", "average_win_rate", "elo", "bradley_terry", "newman", "eigen", "pagerank"]

_TOLERANCE = 1e-13
_MOST_SWEEPS = 10_000
_BLOCK_BYTES = 16 * 2**20


def win_matrices(
    left: IntArray, right: IntArray, outcome: FloatArray, weights: FloatArray, n_items: int
) -> tuple[FloatArray, FloatArray]:
    """Wins of the row's item over the column's and ties of the two (on both sides), ``float64[B, K, K]`` each.

    Raises UsageError for codes outside 0..K-1, for outcomes other than 0, 0.5 and 1, and for an item against itself.
    """
    _check(left, right, outcome, n_items)
    wins, ties = (np.zeros((len(weights), n_items * n_items)) for _ in range(2))
    winner, loser = np.where(outcome == 1.0, left, right), np.where(outcome == 1.0, right, left)
    decided, cell = outcome != 0.5, winner * n_items + loser
    for row, weight in enumerate(weights):
        wins[row] = np.bincount(cell[decided], weight[decided], minlength=n_items * n_items)
        ties[row] = np.bincount(cell[~decided], weight[~decided], minlength=n_items * n_items)
    shape = (len(weights), n_items, n_items)
    one_sided = ties.reshape(shape)
    return wins.reshape(shape), one_sided + one_sided.swapaxes(1, 2)


def counting(wins: FloatArray, ties: FloatArray) -> FloatArray:
    """Wins, ties as half a win."""
    return np.asarray((wins + ties / 2).sum(axis=2))


def average_win_rate(wins: FloatArray, ties: FloatArray) -> FloatArray:
    """The mean over opponents of the share of points against each; NaN for an item without comparisons."""
    points = wins + ties / 2
    played = points + points.swapaxes(1, 2)
    rates = np.divide(points, played, out=np.zeros_like(points), where=played > 0)
    opponents = (played > 0).sum(axis=2)
    mean = np.divide(rates.sum(axis=2), opponents, out=np.full(opponents.shape, np.nan), where=opponents > 0)
    return np.asarray(mean)


def elo(
    left: IntArray, right: IntArray, outcome: FloatArray, weights: FloatArray, n_items: int, *, k: float = 4.0,
    initial: float = 1000.0, scale: float = 400.0,
) -> FloatArray:
    """Elo ratings after all comparisons in their order (Elo 1978): each moves both by ``k`` · (points − expected points).

    Expected points of the left one are 1 / (1 + 10^((right − left) / scale)). The order matters: shuffled comparisons give
    other ratings. A weight multiplies the move.
    """
    _check(left, right, outcome, n_items)
    ratings = np.full((n_items, len(weights)), initial)
    steps = np.ascontiguousarray((k * weights).T)
    for one, other, points, step in zip(left.tolist(), right.tolist(), outcome.tolist(), steps):
        expected = 1.0 / (1.0 + 10.0 ** ((ratings[other] - ratings[one]) / scale))
        move = step * (points - expected)
        ratings[one] += move
        ratings[other] -= move
    return np.asarray(ratings.T)


def bradley_terry(wins: FloatArray, ties: FloatArray) -> FloatArray:
    """Maximum-likelihood strengths that sum to 1: item i beats j with probability s_i / (s_i + s_j); a tie is half a win each.

    Newman's iteration (2023), to relative changes below 1e-13. NaN for a weighting in which the items are not all connected by
    chains of wins (or ties) both ways: the likelihood has no maximum then (Ford 1957). Bradley and Terry 1952, Biometrika 39.
    """
    points = wins + ties / 2

    def sweep(strengths: FloatArray) -> None:
        for item in range(strengths.shape[1]):
            sums = strengths[:, item, None] + strengths
            over = (points[:, item, :] * strengths / sums).sum(axis=1)
            strengths[:, item] = over / (points[:, :, item] / sums).sum(axis=1)

    strengths = _fixed_point(points, sweep)
    return np.asarray(strengths / strengths.sum(axis=1, keepdims=True))


def newman(wins: FloatArray, ties: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Strengths and the tendency v to tie, ``float64[B, K]`` and ``float64[B]``; a tie is a third outcome (Davidson 1970).

    i beats j with probability s_i / (s_i + s_j + 2 v √(s_i s_j)). Maximum likelihood by Newman's iteration
    (2023, J. Mach. Learn. Res. 24), the geometric mean of the strengths is 1. NaN as in :func:`bradley_terry`, and where
    nothing but ties was seen.
    """
    points = wins + ties / 2
    tendency = np.full(len(wins), 0.5)

    def sweep(strengths: FloatArray) -> None:
        for item in range(strengths.shape[1]):
            own = strengths[:, item, None]
            root, v = np.sqrt(own * strengths), tendency[:, None]
            under = own + strengths + 2 * v * root
            over = (points[:, item, :] * (strengths + v * root) / under).sum(axis=1)
            strengths[:, item] = over / (points[:, :, item] * (1 + v * np.sqrt(strengths / own)) / under).sum(axis=1)
        roots, sums = _pair_terms(strengths)
        under = sums + 2 * tendency[:, None, None] * roots
        tied, decided = (ties * sums / under).sum(axis=(1, 2)), 4 * (wins * roots / under).sum(axis=(1, 2))
        tendency[:] = np.divide(tied, decided, out=np.zeros_like(decided), where=decided > 0)

    strengths = _fixed_point(points, sweep, also=(wins.sum(axis=(1, 2)) > 0))
    return strengths, np.where(np.isnan(strengths[:, 0]), np.nan, tendency)


def eigen(wins: FloatArray, ties: FloatArray) -> FloatArray:
    """The leading left eigenvector of the matrix of points (row took from column), of length 1.

    As evalica 0.4.2 defines it: rating flows from the item that took points to the one that gave them, and so an item is high
    that was compared often, strong or not; :func:`pagerank` runs the other way. Power iteration from equal ratings; NaN where
    it does not settle. Bonacich 1987.
    """
    points = (wins + ties / 2).swapaxes(1, 2)
    return _power_iteration(points, _lengths)


def pagerank(wins: FloatArray, ties: FloatArray, *, damping: float = 0.85) -> FloatArray:
    """PageRank of the graph in which each item links to those that took points from it; the ratings sum to 1.

    An item that gave no points links to all. Brin and Page 1998.
    """
    points = wins + ties / 2
    n = points.shape[1]
    given = points.sum(axis=1, keepdims=True)
    shares = np.divide(points, given, out=np.full(points.shape, 1 / max(n, 1)), where=given > 0)
    return _power_iteration(damping * shares + (1 - damping) / max(n, 1), _sums)


def connected(points: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether every item can be reached from every other along points taken, for each weighting: ``bool[B]``."""
    reach = (points > 0) | np.eye(points.shape[1], dtype=np.bool_)
    for _ in range(max(points.shape[1] - 1, 1).bit_length()):
        reach = np.matmul(reach.astype(np.float32), reach.astype(np.float32)) > 0
    return np.asarray(reach.all(axis=(1, 2)))


# ── intervals ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class RatingIntervals:
    """Ratings of K items with percentile intervals, ``float64[K]`` each, NaN where undefined.

    ``rank_probability float64[K, K]``: the share of resamplings in which the row's item is 1st, 2nd, …; items that tie share
    the better rank. ``undefined`` is the share of resamplings that leave a rating undefined: they have no ranks. ``drawn`` are
    the ratings in every resampling, ``float64[B, K]``, so that two items can be compared in the same ones.
    """

    values: FloatArray
    low: FloatArray
    high: FloatArray
    rank_probability: FloatArray
    undefined: float
    drawn: FloatArray


def rating_intervals(
    kind: Kind, left: IntArray, right: IntArray, outcome: FloatArray, n_items: int, *, clusters: IntArray | None = None,
    level: float = 0.95, n_bootstrap: int = 1000, rng: np.random.Generator,
) -> RatingIntervals:
    """The ratings of a ``kind`` (the functions above, their defaults) with intervals, by resampling comparisons.

    ``clusters int64[n]`` (who compared, say) has whole clusters resampled: one worker's comparisons are not independent, and
    resampling them one by one makes intervals too narrow. Resamplings in which an item lost (or won) everything leave
    likelihood ratings undefined; where ``undefined`` is large, intervals are too narrow at the end that is missing. Of ``elo``
    a comparison that is drawn twice moves twice. Low <= value <= high always. One cluster or comparison, and a rating
    that resampling does not move: no interval.

    Raises UsageError for an unknown kind, clusters that are not as many as the comparisons, and as the ratings do.
    """
    if kind not in _RATINGS:
        raise UsageError(f"rating_intervals: kind must be one of {', '.join(_RATINGS)}, got {kind!r}")
    if clusters is not None and len(clusters) != len(left):
        raise UsageError(f"rating_intervals: {len(left)} comparisons need as many clusters, got {len(clusters)}")
    rate = _RATINGS[kind]
    values = rate(left, right, outcome, np.ones((1, len(left))), n_items)[0]
    units = np.arange(len(left)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    n_units = int(units.max(initial=-1)) + 1
    if n_units < 2:
        nothing = np.full(n_items, np.nan)
        return RatingIntervals(values, nothing, nothing, np.full((n_items, n_items), np.nan), 0.0, np.zeros((0, n_items)))
    blocks = resample_weights(n_units, n_bootstrap, rng, block_bytes=max(1, _BLOCK_BYTES * n_units // len(left)))
    drawn = np.concatenate([rate(left, right, outcome, block[:, units], n_items) for block in blocks])
    ends = np.array([percentile_interval(column, level) for column in drawn.T]).T
    defined = drawn[np.isfinite(drawn).all(axis=1)]
    low, high = np.fmin(ends[0], values), np.fmax(ends[1], values)
    low, high = (np.where(high - low > _TOLERANCE * np.abs(values), end, np.nan) for end in (low, high))
    return RatingIntervals(values, low, high, _rank_shares(defined, n_items), 1 - len(defined) / n_bootstrap, drawn)


def _rank_shares(drawn: FloatArray, n_items: int) -> FloatArray:
    if not len(drawn):
        return np.full((n_items, n_items), np.nan)
    better = np.stack([n_items - np.searchsorted(np.sort(row), row, side="right") for row in drawn])
    return np.stack([np.bincount(column, minlength=n_items) / len(drawn) for column in better.T])


def _from_matrices(rate: Callable[[FloatArray, FloatArray], FloatArray]) -> Rate:
    return lambda left, right, outcome, weights, n_items: rate(*win_matrices(left, right, outcome, weights, n_items))


# ── shared steps ────────────────────────────────────────────────────────────────────────────────────────────────────


def _check(left: IntArray, right: IntArray, outcome: FloatArray, n_items: int) -> None:
    if not len(left) == len(right) == len(outcome):
        lengths = f"{len(left)}, {len(right)} and {len(outcome)}"
        raise UsageError(f"ratings: left, right and outcome must be equally many, got {lengths}")
    for codes in (left, right):
        if len(codes) and not 0 <= codes.min() <= codes.max() < n_items:
            raise UsageError(f"ratings: items must be codes from 0 to {n_items - 1}, got {codes.min()} to {codes.max()}")
    if not np.isin(outcome, (0.0, 0.5, 1.0)).all():
        raise UsageError("ratings: an outcome must be 1 (left won), 0 (right won) or 0.5 (a tie)")
    if (left == right).any():
        raise UsageError(f"ratings: an item cannot be compared with itself, got {left[left == right][0]}")


def _fixed_point(
    points: FloatArray, sweep: Callable[[FloatArray], None], also: np.ndarray[tuple[int], np.dtype[np.bool_]] | None = None
) -> FloatArray:
    """Sweeps over strengths, whose geometric mean is kept at 1, until none moves; NaN for weightings without a solution."""
    solvable = connected(points) if also is None else connected(points) & also
    strengths = np.ones(points.shape[:2])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # in weightings that have no solution
        for _ in range(_MOST_SWEEPS):
            before = strengths.copy()
            sweep(strengths)
            strengths /= np.exp(np.log(strengths).mean(axis=1, keepdims=True))
            if (np.abs(strengths / before - 1)[solvable] < _TOLERANCE).all():
                break
    strengths[~solvable] = np.nan
    return strengths


def _pair_terms(strengths: FloatArray) -> tuple[FloatArray, FloatArray]:
    """√(s_i s_j) and s_i + s_j, ``float64[B, K, K]`` each."""
    one, other = strengths[:, :, None], strengths[:, None, :]
    return np.sqrt(one * other), one + other


def _lengths(vectors: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt((vectors**2).sum(axis=1, keepdims=True)))


def _sums(vectors: FloatArray) -> FloatArray:
    return np.asarray(vectors.sum(axis=1, keepdims=True))


def _power_iteration(matrices: FloatArray, size: Callable[[FloatArray], FloatArray]) -> FloatArray:
    vectors = np.ones(matrices.shape[:2]) / max(matrices.shape[1], 1)
    vectors /= size(vectors)
    moved = np.full(len(matrices), np.inf)
    for _ in range(_MOST_SWEEPS):
        after = np.matmul(matrices, vectors[:, :, None])[:, :, 0]
        length = size(after)
        after = np.divide(after, length, out=np.zeros_like(after), where=length > 0)
        moved, vectors = np.abs(after - vectors).max(axis=1, initial=0.0), after
        if (moved < _TOLERANCE).all():
            break
    vectors[(moved > 1e-9) | ~vectors.any(axis=1)] = np.nan
    return np.asarray(vectors)


Rate = Callable[[IntArray, IntArray, FloatArray, FloatArray, int], FloatArray]

_RATINGS: dict[str, Rate] = {
    "counting": _from_matrices(counting), "average_win_rate": _from_matrices(average_win_rate), "elo": elo,
    "bradley_terry": _from_matrices(bradley_terry), "newman": _from_matrices(lambda wins, ties: newman(wins, ties)[0]),
    "eigen": _from_matrices(eigen), "pagerank": _from_matrices(pagerank),
}  # fmt: skip
"""Ratings from (left, right, outcome, weights, number of items)."""
