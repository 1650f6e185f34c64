"""Whether raters agree: with one another as a whole, and each with all others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.metrics.association import CohenKappa
from harness.ratings.judgements import Judgements
from harness.stats.agreement import fleiss_kappa, gwet_ac1, icc, krippendorff_alpha
from harness.stats.bootstrap import IntArray, percentile_interval, resample_weights
from harness.types import FloatArray, Key, Label, Output, Sample

FEWEST = 10
"""Ratings beside those of others that a rater must have given before anything is said of them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How intervals are made."""

    level: float = 0.95
    n_bootstrap: int = 500
    seed: int = 0

    def rng(self) -> np.random.Generator:
        """A fresh generator: whatever is resampled draws the same units."""
        return np.random.default_rng(self.seed)


@dataclass(frozen=True, slots=True)
class Agreement:
    """A coefficient with its interval over resampled units (items); None with the reason where the ratings do not admit it."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n_units: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class RaterLine:
    """One rater against all others on the same units.

    ``agreement`` is 1 − (the mean disagreement with another rater) / (that of two ratings at random): 1 agrees, 0 is chance;
    squared differences of numbers, 0 or 1 of categories. ``severity`` is the mean of their ratings minus that of the others'.
    ``stands_alone``: no better than chance, and beyond doubt worse than all raters together.
    """

    rater: str
    n: int
    n_shared: int
    agreement: float | None
    low: float | None
    high: float | None
    severity: float | None
    stands_alone: bool


def agreements(judgements: Judgements, settings: Settings, levels: Sequence[str]) -> list[Agreement]:
    """Krippendorff's alpha at each level, Fleiss' kappa, Gwet's AC1, Cohen's kappa of two raters, ICC of complete tables."""
    table, clusters = _compact(judgements)
    if table.shape[1] < 2:
        return [Agreement("krippendorff_alpha", None, reason="nothing was rated by two raters")]
    found = [_resampled(f"krippendorff_alpha({level})", table, clusters, settings,
                        lambda x, w, level=level: krippendorff_alpha(x, w, level)) for level in levels]  # type: ignore[misc]
    sizes = np.isfinite(table).sum(axis=1)
    if (sizes == sizes[0]).all():
        found.append(_resampled("fleiss_kappa", table, clusters, settings, fleiss_kappa))
    else:
        why = f"units have {sizes.min()} to {sizes.max()} ratings, and it needs as many of each"
        found.append(Agreement("fleiss_kappa", None, reason=why))
    found.append(_resampled("gwet_ac1", table, clusters, settings, gwet_ac1))
    return [*found, *_of_known_raters(judgements, settings)]


def _of_known_raters(judgements: Judgements, settings: Settings) -> Iterator[Agreement]:
    """Those for which it matters who rated."""
    if judgements.raters is None:
        yield Agreement("icc", None, reason="it needs to know who rated: no rater column")
        return
    n_units, n_raters = int(judgements.units.max(initial=-1)) + 1, len(judgements.raters.all)
    is_complete = len(judgements.values) == n_units * n_raters
    if n_raters == 2:
        table = _full(judgements)
        both = np.isfinite(table).all(axis=1)
        yield _resampled("cohen_kappa", table[both], judgements.clusters[both], settings, _cohen)
    if not judgements.is_numeric:
        return
    if not is_complete:
        why = f"it needs every rater to rate everything: {len(judgements.values)} of {n_units * n_raters} are there"
        yield Agreement("icc", None, reason=why)
        return
    table = _full(judgements)
    yield _resampled("icc(2)", table, judgements.clusters, settings, lambda x, w: icc(x, w, "2"))
    yield _resampled("icc(2k)", table, judgements.clusters, settings, lambda x, w: icc(x, w, "2k"))


def _compact(judgements: Judgements) -> tuple[FloatArray, IntArray]:
    """``float64[units, most ratings of one]``, whoever gave them, and the clusters of the units."""
    order = np.argsort(judgements.units, kind="stable")
    units = judgements.units[order]
    starts = np.searchsorted(units, np.arange(int(units.max(initial=-1)) + 1))
    place = np.arange(len(units)) - starts[units]
    table = np.full((len(starts), int(place.max(initial=-1)) + 1), np.nan)
    table[units, place] = judgements.values[order]
    return table, judgements.clusters


def _full(judgements: Judgements) -> FloatArray:
    """``float64[units, raters]``; of a rater who rates a unit again, the last rating."""
    assert judgements.raters is not None
    table = np.full((len(judgements.clusters), len(judgements.raters.all)), np.nan)
    table[judgements.units, judgements.raters.codes] = judgements.values
    return table


def _resampled(
    name: str, table: FloatArray, clusters: IntArray, settings: Settings, of: Callable[[FloatArray, FloatArray], FloatArray]
) -> Agreement:
    """The coefficient of a table, and its interval by resampling clusters of units."""
    n_units = int((np.isfinite(table).sum(axis=1) > 1).sum())
    value = float(of(table, np.ones((1, len(table))))[0]) if len(table) else math.nan
    if not math.isfinite(value):
        return Agreement(name, None, n_units=n_units, reason="undefined: no two ratings differ, or none are of the same")
    codes = np.unique(clusters, return_inverse=True)[1]
    n_clusters = int(codes.max(initial=-1)) + 1
    if n_clusters < 2:
        return Agreement(name, value, n_units=n_units, reason="one unit: no interval")
    blocks = resample_weights(n_clusters, settings.n_bootstrap, settings.rng())
    drawn = np.concatenate([of(table, block[:, codes]) for block in blocks])
    low, high = percentile_interval(drawn, settings.level)
    if not max(high, value) > min(low, value):
        return Agreement(name, value, n_units=n_units, reason="resampling does not move it")
    return Agreement(name, value, min(low, value), max(high, value), n_units)


def _cohen(table: FloatArray, weights: FloatArray) -> FloatArray:
    samples = [Sample(str(row), target=repr(pair[0])) for row, pair in enumerate(table.tolist())]
    outputs = [Output(Key(str(row)), Label(repr(pair[1]))) for row, pair in enumerate(table.tolist())]
    known = {repr(value): None for value in np.unique(table[np.isfinite(table)]).tolist()}
    whole = [*samples, *(Sample(f"label {label}", target=label) for label in known)]  # labels of the second rater alone too
    metric = CohenKappa().prepare(whole)
    return np.asarray(metric.aggregate(metric.score(samples, outputs).stats, weights))


# ── one rater against all others ────────────────────────────────────────────────────────────────────────────────────


def rater_lines(judgements: Judgements, settings: Settings) -> list[RaterLine]:
    """Every rater, those who agree least with the others first; none where nobody says who rated, or nothing is shared."""
    if judgements.raters is None:
        return []
    shared = np.bincount(judgements.units)[judgements.units] > 1
    if not shared.any():
        return []
    units, values, raters = judgements.units[shared], judgements.values[shared], judgements.raters.codes[shared]
    distance, expected, others = _disagreement(units, values, judgements.is_numeric)
    n_raters = len(judgements.raters.all)
    clusters = np.unique(judgements.clusters[units], return_inverse=True)[1]
    n_clusters = int(clusters.max()) + 1
    ends = np.full((2, n_raters), np.nan)
    whole = 1 - float(distance.mean()) / expected if expected > 0 else math.nan
    if n_clusters > 1 and expected > 0:
        drawn = [1 - _means(distance, weights[clusters], raters, n_raters) / expected
                 for block in resample_weights(n_clusters, settings.n_bootstrap, settings.rng()) for weights in block]
        ends = np.array([percentile_interval(column, settings.level) for column in np.array(drawn).T]).T
    own = 1 - _means(distance, np.ones(len(values)), raters, n_raters) / (expected if expected > 0 else math.nan)
    severity = _means(values - others, np.ones(len(values)), raters, n_raters)
    n, n_shared = np.bincount(judgements.raters.codes, minlength=n_raters), np.bincount(raters, minlength=n_raters)
    lines = []
    for code, name in enumerate(judgements.raters.all):
        low, high = np.fmin(ends[0][code], own[code]), np.fmax(ends[1][code], own[code])
        if not high > low:
            low = high = math.nan
        is_alone = bool(n_shared[code] >= FEWEST and own[code] <= 0 and high < whole)
        is_of_numbers = judgements.is_numeric
        lines.append(RaterLine(
            name, int(n[code]), int(n_shared[code]), _shown(float(own[code])), _shown(float(low)), _shown(float(high)),
            _shown(float(severity[code])) if is_of_numbers else None, is_alone,
        ))  # fmt: skip
    return sorted(lines, key=lambda line: (math.inf if line.agreement is None else line.agreement, line.rater))


def _disagreement(units: IntArray, values: FloatArray, is_numeric: bool) -> tuple[FloatArray, float, FloatArray]:
    """For each rating its mean disagreement with the others of its unit; the expected one of two ratings; the others' mean."""
    m, n = np.bincount(units)[units] - 1.0, len(values)
    middle = values - values.mean()
    sums, squares = np.bincount(units, middle)[units], np.bincount(units, middle**2)[units]
    others = (sums - middle) / m + values.mean()
    if is_numeric:
        distance = middle**2 + ((squares - middle**2) - 2 * middle * (sums - middle)) / m
        return distance, 2 * float(n * (middle**2).sum() - middle.sum() ** 2) / (n * (n - 1)), others
    codes = np.unique(values, return_inverse=True)[1]
    width = int(codes.max()) + 1
    alike = np.bincount(units * width + codes)[units * width + codes] - 1.0
    counts = np.bincount(codes).astype(np.float64)
    return 1 - alike / m, 1 - float((counts * (counts - 1)).sum()) / (n * (n - 1)), others


def _means(values: FloatArray, weights: FloatArray, raters: IntArray, n_raters: int) -> FloatArray:
    total = np.bincount(raters, weights, minlength=n_raters)
    sums = np.bincount(raters, weights * values, minlength=n_raters)
    return np.asarray(np.divide(sums, total, out=np.full(n_raters, np.nan), where=total > 0))


def _shown(value: float) -> float | None:
    return value if math.isfinite(value) else None
