"""Where the spread of scores comes from: items, repeats (seeds), judges, and what is left. Arrays in, numbers out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import UsageError
from harness.stats.bootstrap import IntArray
from harness.types import FloatArray

_AXES = ("item", "repeat", "judge")

Facets = frozenset[int]
"""Axes that an effect belongs to: {0, 2} is the interaction of items and judges."""


# ── variance components ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Components:
    """Variance components of scores. NaN where the design does not have the effect or the data cannot tell it.

    ``residual`` is the interaction of everything together with pure noise. ``truncated`` names the estimates that came out
    below 0 and were set to 0; ``mean`` is that of the cells, and ``error`` its standard error with items, repeats and judges
    all taken as samples of more, from these components and the cells that were there.
    """

    item: float
    repeat: float
    judge: float
    item_repeat: float
    item_judge: float
    repeat_judge: float
    residual: float
    truncated: tuple[str, ...]
    mean: float
    error: float

    def error_with(self, items: int, repeats: int = 1, judges: int = 1) -> float:
        """The standard error that the mean of a full table of that size would have: what more of each would buy.

        A judge or a repeat that all items share does not average out over items. Components that are NaN count as 0.
        Brennan 2001, Generalizability Theory, ch. 4. Raises UsageError for a size below 1.
        """
        size = _sizes(items, repeats, judges)
        return math.sqrt(sum(variance / math.prod(size[axis] for axis in facets) for facets, variance in self._parts()))

    def generalizability(self, repeats: int = 1, judges: int = 1) -> float:
        """The share of item variance in the variance of items' means over so many repeats and judges, 0 to 1.

        The relative coefficient (Eρ²): it asks how well items (or whatever the first axis holds) are put in order, so that
        effects which all items share do not count; for one facet it is Cronbach's alpha and ICC(3, k). NaN if nothing varies.
        """
        size = _sizes(1, repeats, judges)
        own = sum(variance / math.prod(size[axis] for axis in facets) for facets, variance in self._parts() if 0 in facets)
        return self.item / own if own > 0 else math.nan

    def dependability(self, repeats: int = 1, judges: int = 1) -> float:
        """As :meth:`generalizability`, of the items' level itself (Φ): shared effects count as error; ICC(2, k)."""
        everything = self.error_with(1, repeats, judges) ** 2
        return self.item / everything if everything > 0 else math.nan

    def _parts(self) -> list[tuple[Facets, float]]:
        found = [(facets, getattr(self, _name(facets))) for facets in _effects((0, 1, 2))[:-1]]
        parts = [(facets, variance) for facets, variance in found if not math.isnan(variance)]
        axes = frozenset().union(*(facets for facets, _ in parts)) if parts else frozenset({0})
        return [*parts, (axes, self.residual)]


def variance_components(values: FloatArray) -> Components:
    """Components of ``values float64[items, repeats]`` or ``[items, repeats, judges]``, NaN where a cell is missing.

    Axes are crossed: repeat 2 of every item has the same seed, judge 1 judges all items. An axis of length 1 is left out.
    Half the mean squared difference of two cells, over all pairs that share the same axes, estimates the sum of the components
    that they do not share; the components follow by inclusion and exclusion (Koch 1968, Technometrics 10). No distribution is
    assumed; unbiased before the truncation at 0; for complete tables equal to the ANOVA estimators, and, where none is
    truncated, to REML. O(cells).

    Fewer than two items, or two cells: every component is NaN. Raises UsageError for other than two or three axes.
    """
    if values.ndim not in (2, 3):
        raise UsageError("variance_components: values must be (items, repeats) or (items, repeats, judges), "
                         f"got shape {values.shape}")
    there = np.isfinite(values)
    return components_of_cells(values[there], np.nonzero(there), values.shape)


def components_of_cells(values: FloatArray, levels: Sequence[IntArray], shape: Sequence[int]) -> Components:
    """The same of the cells that are there, ``float64[n]``, and the level of each on every axis, ``int64[n]`` each: of a
    table that is nearly empty, such as a crowd's ratings. No two cells may have the same levels."""
    axes = tuple(axis for axis, size in enumerate(shape) if size > 1)
    n = len(values)
    mean = float(values.mean()) if n else math.nan
    if 0 not in axes or n < 2:
        return _components({}, (), mean, math.nan)
    cells = {facets: _margin(values - mean, [levels[axis] for axis in sorted(facets)])
             for facets in [frozenset[int](), *_effects(axes)]}  # fmt: skip
    semivariances = _semivariances(cells)
    rounding = 1e-12 * max((value for value in semivariances.values() if not math.isnan(value)), default=0.0)
    raw = {facets: 0.0 if abs(value) <= rounding else value for facets, value in _solved(semivariances, axes).items()}
    names = {facets: "residual" if facets == frozenset(axes) else _name(facets) for facets in raw}
    truncated = tuple(names[facets] for facets, variance in raw.items() if variance < 0)
    kept = {names[facets]: max(variance, 0.0) for facets, variance in raw.items()}
    error = math.sqrt(sum(kept[names[facets]] * _concentration(cells[facets][0]) for facets in raw))
    return _components(kept, truncated, mean, error)


def _components(kept: Mapping[str, float], truncated: tuple[str, ...], mean: float, error: float) -> Components:
    item, repeat, judge, item_repeat, item_judge, repeat_judge, _ = (kept.get(_name(f), math.nan) for f in _effects((0, 1, 2)))
    residual = kept.get("residual", math.nan)
    return Components(item, repeat, judge, item_repeat, item_judge, repeat_judge, residual, truncated, mean, error)


def _effects(axes: tuple[int, ...]) -> list[Facets]:
    """Every effect of a crossed design, main effects first, the residual last."""
    return [frozenset(chosen) for size in range(1, len(axes) + 1) for chosen in itertools.combinations(axes, size)]


def _name(facets: Facets) -> str:
    return "_".join(_AXES[axis] for axis in sorted(facets))


def _margin(values: FloatArray, levels: Sequence[IntArray]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """How many cells share these levels, their sum and their sum of squares, of every combination that there is."""
    codes = np.zeros(len(values), dtype=np.int64)
    for level in levels:
        codes = np.unique(codes * (int(level.max()) + 1) + level, return_inverse=True)[1]
    counts = np.bincount(codes).astype(np.float64)
    return counts, np.asarray(np.bincount(codes, values)), np.asarray(np.bincount(codes, values**2))


def _semivariances(cells: Mapping[Facets, tuple[FloatArray, FloatArray, FloatArray]]) -> dict[Facets, float]:
    """Half the mean squared difference of two cells that share exactly these axes; NaN where no two do."""
    shared = list(cells)
    half, pairs = {}, {}
    for facets, (counts, sums, squares) in cells.items():  # first of cells that share at least these
        half[facets] = float((counts * squares - sums**2).sum())
        pairs[facets] = float((counts**2).sum())
    for facets in reversed(shared):  # from the most shared: less what those have that share more
        for more in shared:
            if facets < more:
                half[facets] -= half[more]
                pairs[facets] -= pairs[more]
    return {facets: half[facets] / pairs[facets] if pairs[facets] > 0 else math.nan for facets in shared[:-1]}


def _solved(semivariances: dict[Facets, float], axes: tuple[int, ...]) -> dict[Facets, float]:
    """The components: each effect is shared by two cells only if they share all its axes."""
    everything = frozenset(axes)
    of = {**semivariances, everything: 0.0}
    solved = {}
    for facets in _effects(axes):
        inner = [part for part in of if part <= facets]
        solved[facets] = -sum((-1) ** (len(facets) - len(part)) * of[part] for part in inner)
    return solved


def _concentration(counts: FloatArray) -> float:
    """Σ (share of cells)² over the levels of an effect: what of its variance stays in the mean of the cells."""
    return float((counts**2).sum() / counts.sum() ** 2)


def _sizes(items: int, repeats: int, judges: int) -> tuple[int, int, int]:
    if min(items, repeats, judges) < 1:
        raise UsageError(f"components: sizes must be at least 1, got {items} items, {repeats} repeats, {judges} judges")
    return items, repeats, judges


# ── noise from run to run ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class RunVariance:
    """How much the mean over items varies from run to run of the same thing.

    ``variance`` is the *excess*, of one run's mean, beyond ``expected``, which independent noise of each item gives (and a
    paired standard error holds already): ``total`` - ``expected``, at least 0. The difference of two runs has twice of it.
    ``dof`` are its Satterthwaite degrees of freedom, at most runs - 1; runs - 1 where the excess is 0.
    """

    variance: float
    dof: float
    total: float
    expected: float
    n_runs: int
    n_items: int


def run_noise(values: FloatArray) -> RunVariance:
    """The run-to-run variance of the mean from ``values float64[runs, items]``: repeated runs of one system on the same items.

    Two-way analysis of variance without replication: ``total`` = mean square of runs / items, ``expected`` = residual mean
    square / items. A run whose items are noisy each by itself has no excess; one that is better or worse as a whole (a seed,
    a busy server, another batch size) has. Of few runs it is a rough number: with 5 runs and no excess at all some 40 % of
    the estimates are above 0, and that is why ``dof`` goes with it. Items that are missing (NaN) in any run are left out.
    Satterthwaite 1946, Biometrics Bulletin 2; Searle, Casella and McCulloch 1992, ch. 4.

    All runs equal: 0. Fewer than two items in common: NaN. Raises UsageError for fewer than two runs.
    """
    if values.ndim != 2 or len(values) < 2:
        raise UsageError(f"run_noise: values must be (runs, items) of at least two runs, got shape {values.shape}")
    common = values[:, np.isfinite(values).all(axis=0)]
    runs, items = common.shape
    if items < 2:
        return RunVariance(math.nan, math.nan, math.nan, math.nan, runs, items)
    moved = common - common[0]  # equal runs are 0 then, to the last digit
    moved -= moved.mean(axis=0)
    means = moved.mean(axis=1)
    of_runs = items * float((means**2).sum()) / (runs - 1)
    left = float(((moved - means[:, None]) ** 2).sum()) / ((runs - 1) * (items - 1))
    excess = of_runs - left
    if excess <= 1e-12 * of_runs:
        return RunVariance(0.0, runs - 1.0, of_runs / items, left / items, runs, items)
    dof = excess**2 / (of_runs**2 / (runs - 1) + left**2 / ((runs - 1) * (items - 1)))
    return RunVariance(excess / items, dof, of_runs / items, left / items, runs, items)
