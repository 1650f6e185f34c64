"""Agreement of raters. Arrays in, numbers out.

``ratings`` is ``float64[n, m]``: n items rated by m raters, NaN where one did not; of categories, any numbers that stand for
them. ``weights`` is ``float64[B, n]``, a row a weighting (a weight of 2 is two such items). Values are ``float64[B]``, NaN
where undefined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from harness.errors import UsageError
from harness.types import FloatArray

Level = Literal["nominal", "ordinal", "interval", "ratio"]
IccKind = Literal["1", "2", "3", "1k", "2k", "3k"]
Distance = Literal["none", "linear", "quadratic"]


# ── Krippendorff's alpha ────────────────────────────────────────────────────────────────────────────────────────────


def krippendorff_alpha(ratings: FloatArray, weights: FloatArray, level: Level = "nominal") -> FloatArray:
    """1 − observed / expected disagreement of pairs of ratings (Krippendorff 2011); 1 is full agreement, 0 chance.

    Items with fewer than two ratings take no part. Undefined where no two ratings differ. The distance of two values is 0 or 1
    (``nominal``), the ranks between them (``ordinal``), their difference (``interval``), or that over their sum (``ratio``),
    squared. O(n · m² + B · n · values) and, of ``ratio``, the square of the number of values.
    """
    counts, values = _counts(_pairable(ratings))
    total = weights @ counts
    if level == "ordinal":
        ranks = np.cumsum(total, axis=1) - total / 2
        blocks = [_alpha_of_squares(counts, row[None], rank, of) for row, rank, of in zip(weights, ranks, total)]
        return np.concatenate(blocks) if blocks else np.zeros(0)
    if level == "interval":
        values = _moderate(values)
        middle = values - (values[0] if len(values) else 0.0)
        return _alpha_of_squares(counts, weights, middle - (middle.mean() if len(values) else 0.0), total)
    distance = _ratio_distance(_moderate(values)) if level == "ratio" else 1.0 - np.eye(len(values))
    paired = counts @ distance
    observed = weights @ _per_partner((counts * paired).sum(axis=1), counts)
    return _alpha(observed, ((total @ distance) * total).sum(axis=1), total.sum(axis=1))


def _pairable(ratings: FloatArray) -> FloatArray:
    if ratings.ndim != 2:
        raise UsageError(f"agreement: ratings must be an (items, raters) array, got shape {ratings.shape}")
    few = np.isfinite(ratings).sum(axis=1) < 2
    return np.where(few[:, None], np.nan, ratings)


def _counts(ratings: FloatArray) -> tuple[FloatArray, FloatArray]:
    """How often each item got each value, ``float64[n, V]``, and the values, ascending."""
    there = np.isfinite(ratings)
    values, code = np.unique(ratings[there], return_inverse=True)
    counts = np.zeros((len(ratings), len(values)))
    np.add.at(counts, (np.nonzero(there)[0], code), 1.0)
    return counts, values


def _alpha_of_squares(counts: FloatArray, weights: FloatArray, scale: FloatArray, total: FloatArray) -> FloatArray:
    """Alpha where the distance is a squared difference on a scale: sums of all pairs follow from sums and sums of squares."""
    first, second, sizes = counts @ scale, counts @ scale**2, counts.sum(axis=1)
    observed = weights @ _per_partner(2 * (sizes * second - first**2), counts)
    total = np.atleast_2d(total)
    n = total.sum(axis=1)
    squares = n * (total @ scale**2)
    return _alpha(observed, 2 * _positive(squares - (total @ scale) ** 2, squares), n)


def _per_partner(pairs: FloatArray, counts: FloatArray) -> FloatArray:
    partners = counts.sum(axis=1) - 1
    return np.asarray(np.divide(pairs, partners, out=np.zeros_like(pairs), where=partners > 0))


def _alpha(observed: FloatArray, expected_pairs: FloatArray, n: FloatArray) -> FloatArray:
    share = np.divide(observed * (n - 1), expected_pairs, out=np.full_like(observed, np.nan), where=expected_pairs > 0)
    return 1.0 - share


def _ratio_distance(values: FloatArray) -> FloatArray:
    over, under = values[:, None] - values, values[:, None] + values
    return np.asarray(np.divide(over, under, out=np.zeros_like(over), where=under != 0) ** 2)


# ── Fleiss' kappa ───────────────────────────────────────────────────────────────────────────────────────────────────


def fleiss_kappa(ratings: FloatArray, weights: FloatArray) -> FloatArray:
    """(observed − chance agreement) / (1 − chance agreement) of categories (Fleiss 1971); 1 is full agreement, 0 chance.

    Every item must have the same number of ratings, at least two; the raters need not be the same ones. Undefined where all
    ratings are of one category. Raises UsageError for items with different numbers of ratings.
    """
    counts, _ = _counts(ratings)
    sizes = counts.sum(axis=1)
    m = float(sizes[0]) if len(sizes) else 0.0
    if len(sizes) and (m < 2 or (sizes != m).any()):
        raise UsageError(f"fleiss_kappa: every item must have the same number of ratings, two or more, "
                         f"got {int(sizes.min())} to {int(sizes.max())}")
    agreed = ((counts**2).sum(axis=1) - m) / (m * (m - 1)) if m else np.zeros(0)
    n = weights.sum(axis=1)
    share = np.divide(weights @ counts, (n * m)[:, None], out=np.full((len(weights), counts.shape[1]), np.nan),
                      where=(n > 0)[:, None])
    chance = (share**2).sum(axis=1)
    observed = np.divide(weights @ agreed, n, out=np.full_like(n, np.nan), where=n > 0)
    kappa = np.divide(observed - chance, 1 - chance, out=np.full_like(n, np.nan), where=1 - chance > 1e-12)
    return np.asarray(kappa)


# ── Gwet's AC1 and AC2 ──────────────────────────────────────────────────────────────────────────────────────────────


def gwet_ac1(ratings: FloatArray, weights: FloatArray, distance: Distance = "none") -> FloatArray:
    """(observed - chance agreement) / (1 - chance agreement), chance being ratings at random of items that are hard to rate.

    AC1 (Gwet 2008, British Journal of Mathematical and Statistical Psychology 61): unlike the kappas it does not collapse where
    nearly all ratings are of one category. ``linear`` and ``quadratic``: AC2, disagreement costs the distance of the two
    numbers over that of the farthest two, or its square. Missing ratings are allowed: items with one count for the categories'
    shares, items with two or more for agreement. The categories are the values that occur. As ``irrCAC`` computes it.

    Undefined for fewer than two categories, and where no item has two ratings.
    """
    if ratings.ndim != 2:
        raise UsageError(f"gwet_ac1: ratings must be an (items, raters) array, got shape {ratings.shape}")
    counts, values = _counts(ratings)
    q, sizes = len(values), counts.sum(axis=1)
    if q < 2:
        return np.full(len(weights), np.nan)
    alike = _alikeness(values, distance)
    rated, paired = (sizes > 0).astype(np.float64), (sizes > 1).astype(np.float64)
    agreed = _divided((counts * (counts @ alike - 1)).sum(axis=1), sizes * (sizes - 1))
    observed = _divided(weights @ np.where(sizes > 1, agreed, 0.0), weights @ paired)
    shares = _divided(weights @ (counts / np.maximum(sizes, 1.0)[:, None]), (weights @ rated)[:, None])
    chance = alike.sum() * (shares * (1 - shares)).sum(axis=1) / (q * (q - 1))
    return _divided(observed - chance, np.where(np.isfinite(chance), 1 - chance, 0.0))


def _alikeness(values: FloatArray, distance: Distance) -> FloatArray:
    """1 for the same category, 0 for the farthest two; values ascend."""
    if distance == "none":
        return np.eye(len(values))
    apart = np.abs(values[:, None] - values) / (values[-1] - values[0])
    return np.asarray(1.0 - (apart if distance == "linear" else apart**2))


# ── intraclass correlation ──────────────────────────────────────────────────────────────────────────────────────────


def icc(ratings: FloatArray, weights: FloatArray, kind: IccKind = "2") -> FloatArray:
    """Intraclass correlation (Shrout and Fleiss 1979) of n items, each rated by all m raters.

    ``1``: every item has raters of its own; ``2``: the raters are a sample of raters, whose levels count; ``3``: these raters
    and no others, whose levels do not count (consistency). With ``k``: of the mean of the m ratings, not of a single one. At
    most 1; undefined for fewer than two items or raters, and where nothing varies. Raises UsageError for missing ratings.
    """
    if ratings.ndim != 2 or not np.isfinite(ratings).all():
        raise UsageError("icc: every rater must have rated every item: ratings must be an (items, raters) array without gaps")
    n, m = weights.sum(axis=1), ratings.shape[1]
    if m < 2 or len(ratings) < 2:
        return np.full(len(weights), np.nan)
    squares = _mean_squares(_moderate(ratings), weights)
    return _ICC[kind](*squares, float(m), n)


def _mean_squares(ratings: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Mean squares between items, within items, between raters, of what is left over: ``float64[B]`` each."""
    n, m = weights.sum(axis=1), ratings.shape[1]
    moved = ratings - ratings[0, 0]
    moved = moved - moved.mean()
    means = moved.mean(axis=1)
    within = weights @ ((moved - means[:, None]) ** 2).sum(axis=1)
    level = _divided(weights @ means, n)
    between = m * _positive(weights @ means**2 - n * level**2, weights @ means**2)
    raters = n * ((_divided(weights @ moved, n[:, None]) - level[:, None]) ** 2).sum(axis=1)
    rest = _positive(within - raters, within)
    return (_divided(between, n - 1), _divided(within, n * (m - 1)), raters / (m - 1), _divided(rest, (n - 1) * (m - 1)))


def _moderate(ratings: FloatArray) -> FloatArray:
    """By a power of two where squares would leave float64: no agreement depends on the unit."""
    exponent = int(np.frexp(np.abs(ratings).max(initial=0.0))[1])
    return np.asarray(np.ldexp(ratings, -exponent)) if abs(exponent) > 400 else ratings


def _positive(difference: FloatArray, of: FloatArray) -> FloatArray:
    """A sum of squares as a difference of sums: what is below their rounding is 0."""
    return np.where(difference > 1e-13 * of, difference, 0.0)


def _divided(over: FloatArray, under: FloatArray) -> FloatArray:
    shape = np.broadcast_shapes(over.shape, under.shape)
    return np.asarray(np.divide(over, under, out=np.full(shape, np.nan), where=np.broadcast_to(under > 0, shape)))


_ICC: dict[str, Callable[..., FloatArray]] = {
    "1": lambda b, w, j, e, m, n: _divided(b - w, b + (m - 1) * w),
    "2": lambda b, w, j, e, m, n: _divided(b - e, b + (m - 1) * e + m * (j - e) / np.maximum(n, 1.0)),
    "3": lambda b, w, j, e, m, n: _divided(b - e, b + (m - 1) * e),
    "1k": lambda b, w, j, e, m, n: _divided(b - w, b),
    "2k": lambda b, w, j, e, m, n: _divided(b - e, b + (j - e) / np.maximum(n, 1.0)),
    "3k": lambda b, w, j, e, m, n: _divided(b - e, b),
}  # fmt: skip
"""From mean squares between items, within items, between raters, left over; raters; items."""
