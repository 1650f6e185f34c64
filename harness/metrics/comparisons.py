"""Which of two people prefer: win rates and ratings of items by comparisons of two at a time.

A comparison is a sample whose input names the two items and whose answer is the Label ``left``, ``right`` or ``tie``. Who won
against whom is counted in ``harness.stats.rating``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from harness.errors import MetricError, did_you_mean
from harness.metrics.rows import ratio, scores_of, wrong_kind
from harness.protocols import Metric, Scope
from harness.stats import rating
from harness.stats.bootstrap import IntArray, percentile_interval, resample_weights
from harness.types import FloatArray, Key, Label, Output, Sample, Scores, Table

OUTCOMES: Mapping[str | None, float] = {"left": 1.0, "right": 0.0, "tie": 0.5}
TABLE_RESAMPLES = 200
"""Resamplings behind the intervals in the table of all items; that of the value itself has as many as the run says."""


@dataclass(frozen=True, repr=False)
class ComparisonMetric(Metric):
    """Base of the ratings of items by comparisons; rows are (code of the left item, of the right one, points of the left one).

    ``left`` and ``right`` are the fields of the input that name the items. The value is the rating of ``of``, or of the item
    that is rated highest on all comparisons that were scored: it stays that item in every resampling. Comparisons are what
    is resampled. A row is missing if an item is not named, if both are the same, or if the answer is none of the three words.
    """

    family: ClassVar[str] = "people"
    needs: ClassVar[frozenset[str]] = frozenset({"label"})
    columns: ClassVar[tuple[str, ...]] = ("left", "right", "points")
    scope: ClassVar[Scope] = "corpus"

    of: str | None = None
    left: str = "left"
    right: str = "right"
    items: tuple[str, ...] = field(default=(), repr=False, compare=False, kw_only=True)
    chosen: int = field(default=-1, repr=False, compare=False, kw_only=True)

    def ratings(self, left: IntArray, right: IntArray, points: FloatArray, weights: FloatArray) -> FloatArray:
        """The rating of every item, ``float64[B, K]``; NaN where undefined."""
        raise NotImplementedError(f"{type(self).__name__}.ratings")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a comparison. Bound to a copy that knows the items and which one the value is of."""
        read = [self._read(sample, output) for sample, output in zip(samples, outputs, strict=True)]
        items = tuple(sorted({name for row in read if not isinstance(row, str) for name in row[:2] if name is not None}))
        codes: dict[str | None, float] = {name: float(code) for code, name in enumerate(items)}
        rows = (row if isinstance(row, str) else (codes.get(row[0], -1.0), codes.get(row[1], -1.0), row[2]) for row in read)
        scores = scores_of(rows, 3)
        bound = dataclasses.replace(self, items=items)
        there = np.delete(scores.stats, list(scores.missing), axis=0)
        return dataclasses.replace(scores, bound=dataclasses.replace(bound, chosen=bound._choose(there)))

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """The rating of the chosen item under each row of weights."""
        if self.chosen < 0:
            return np.full(len(weights), np.nan)
        return self.ratings(*_columns(stats), weights)[:, self.chosen]

    def why_undefined(self, stats: FloatArray) -> str | None:
        if self.chosen < 0 and self.of is None:
            return "no comparison can be scored" if not len(stats) else None
        name = self.items[self.chosen] if self.chosen >= 0 else self.of
        taken = np.isin(stats[:, :2], self.chosen).any(axis=1)
        if not taken.any():
            return f"{name!r} takes part in no comparison of these samples"
        return f"the comparisons do not tie {name!r} to the other items: its rating has no finite value"

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """``ratings``: every item, highest first: rating, 95 % interval over resampled comparisons, what was counted."""
        if not self.items:
            return {}
        left, right, points = _columns(stats)
        values = self.ratings(left, right, points, np.ones((1, len(stats))))[0]
        blocks = resample_weights(len(stats), TABLE_RESAMPLES, np.random.default_rng(0))
        drawn = np.concatenate([self.ratings(left, right, points, weights) for weights in blocks])
        rows = []
        for code, name in enumerate(self.items):
            taken = np.concatenate([points[left == code], 1.0 - points[right == code]])
            counts = [int((taken == kind).sum()) for kind in (1.0, 0.5, 0.0)]
            low, high = percentile_interval(drawn[:, code])
            ends = min(low, values[code]), max(high, values[code])
            rows.append((name, *map(_shown, (values[code], *ends)), len(taken), *counts))
        rows.sort(key=lambda row: (-math.inf if row[1] is None else row[1]), reverse=True)
        return {"ratings": Table(("item", "rating", "low", "high", "comparisons", "wins", "ties", "losses"), tuple(rows))}

    def over(self, left: Sequence[str], right: Sequence[str], winners: Sequence[str]) -> dict[str, float]:
        """The rating of every item, highest first. Raises MetricError for lists that do not fit and other words."""
        if not len(left) == len(right) == len(winners):
            lengths = f"{len(left)}, {len(right)} and {len(winners)}"
            raise MetricError(f"{self.name}: left, right and winners must be equally many, got {lengths}")
        samples = [Sample(str(row), {self.left: one, self.right: other}) for row, (one, other) in enumerate(zip(left, right))]
        scores = self.score(samples, [Output(Key(str(row)), Label(winner)) for row, winner in enumerate(winners)])
        for row, reason in scores.missing.items():
            raise MetricError(f"{self.name}: comparison {row}: {reason}")
        if not samples:
            return {}
        values = scores.bound.ratings(*_columns(scores.stats), np.ones((1, len(samples))))[0]
        return dict(sorted(zip(scores.bound.items, map(float, values)), key=lambda pair: -pair[1]))

    def _read(self, sample: Sample, output: Output) -> tuple[str | None, str | None, float] | str:
        if not isinstance(output.answer, Label):
            return wrong_kind(output, "Label")
        if output.answer.label not in OUTCOMES:
            return f"the answer is {output.answer.label!r:.40}, not left, right or tie"
        names: list[str] = []
        for side in (self.left, self.right):
            if sample.input.get(side) is None:
                return f"the input has no field {side!r}"
            names.append(str(sample.input[side]))
        if names[0] == names[1]:
            return f"both sides are {names[0]!r:.40}"
        return names[0], names[1], OUTCOMES[output.answer.label]

    def _choose(self, stats: FloatArray) -> int:
        if self.of is not None and self.items:
            if self.of not in self.items:
                guess = did_you_mean(self.of, self.items)
                raise MetricError(f"{self.name}: of must be an item of the comparisons, got {self.of!r}{guess}")
            return self.items.index(self.of)
        if not len(stats) or not self.items:
            return -1
        values = self.ratings(*_columns(stats), np.ones((1, len(stats))))[0]
        return int(np.argmax(np.where(np.isnan(values), -np.inf, values)))


@dataclass(frozen=True, repr=False)
class PairwiseWinRate(ComparisonMetric):
    """The share of its comparisons that an item wins, a tie is half; 0 to 1. Without ``of``: of whatever is on the left.

    The items need no names then. A comparison without ``of`` counts for nothing. Undefined for no comparisons.
    """

    name: ClassVar[str] = "pairwise_win_rate"
    summary: ClassVar[str] = "share of comparisons won, ties as half"
    formula: ClassVar[str] = "(wins + ties / 2) / comparisons"
    reference: ClassVar[str] = "hand-worked"

    def ratings(self, left: IntArray, right: IntArray, points: FloatArray, weights: FloatArray) -> FloatArray:
        """The win rate of every item."""
        rates = [ratio(weights @ won, weights @ played) for won, played in (_played(left, right, points, code)
                                                                            for code in range(len(self.items)))]
        return np.stack(rates, axis=1)

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """The win rate of the item, or of the left side."""
        won, played = self._own(stats)
        return ratio(weights @ won, weights @ played)

    def rows(self, stats: FloatArray) -> FloatArray:
        """The points of every comparison; NaN of one without the item."""
        won, played = self._own(stats)
        return ratio(won, played)

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        """Lost and won; None where the item has to be looked up."""
        return None if self.of is not None else (np.array([-1.0, -1.0, 0.0]), np.array([-1.0, -1.0, 1.0]))

    def _own(self, stats: FloatArray) -> tuple[FloatArray, FloatArray]:
        if self.of is None:
            return stats[:, 2], np.ones(len(stats))
        return _played(*_columns(stats), self.chosen)

    def _read(self, sample: Sample, output: Output) -> tuple[str | None, str | None, float] | str:
        is_named = self.of is not None or {self.left, self.right} & sample.input.keys()
        if not is_named and isinstance(output.answer, Label) and output.answer.label in OUTCOMES:
            return None, None, OUTCOMES[output.answer.label]
        return super()._read(sample, output)

    def _choose(self, stats: FloatArray) -> int:
        return -1 if self.of is None else super()._choose(stats)


@dataclass(frozen=True, repr=False)
class Elo(ComparisonMetric):
    """The Elo rating after all comparisons in the order of the samples; every item starts at ``initial``. Higher is better.

    Each comparison moves the two by ``k`` · (points − expected points); 400 (``scale``) more mean ten times the odds. **The
    order matters**: it suits players that change; :class:`BradleyTerry` does not depend on it. Equals evalica's, defaults
    included.
    """

    name: ClassVar[str] = "elo"
    summary: ClassVar[str] = "Elo rating from comparisons in their order"
    order_matters: ClassVar[bool] = True
    bounds: ClassVar[tuple[float | None, float | None]] = (None, None)
    formula: ClassVar[str] = "r ← r + k (points − 1 / (1 + 10^((r_other − r) / scale)))"
    reference: ClassVar[str] = "evalica.elo"
    paper: ClassVar[str] = "Elo 1978, The rating of chessplayers, past and present"

    k: float = 4.0
    initial: float = 1000.0
    scale: float = 400.0

    def __post_init__(self) -> None:
        self.require(0 < self.k < math.inf, "k", "a positive number")
        self.require(math.isfinite(self.initial), "initial", "a finite number")
        self.require(0 < self.scale < math.inf, "scale", "a positive number")

    def ratings(self, left: IntArray, right: IntArray, points: FloatArray, weights: FloatArray) -> FloatArray:
        """The rating of every item."""
        options = {"k": self.k, "initial": self.initial, "scale": self.scale}
        return rating.elo(left, right, points, weights, len(self.items), **options)


@dataclass(frozen=True, repr=False)
class BradleyTerry(ComparisonMetric):
    """The strength of an item by maximum likelihood; all strengths sum to 1, i beats j with s_i / (s_i + s_j), a tie is half.

    The order of the comparisons does not matter. Undefined (NaN) unless chains of wins or ties lead from every item to every
    other: an item that never lost has no finite strength. Equals evalica's, normalised.
    """

    name: ClassVar[str] = "bradley_terry"
    summary: ClassVar[str] = "strength from comparisons by maximum likelihood (sums to 1)"
    formula: ClassVar[str] = "argmax Π s_winner / (s_winner + s_loser), Σ s = 1"
    reference: ClassVar[str] = "evalica.bradley_terry"
    paper: ClassVar[str] = "Bradley and Terry 1952, Rank analysis of incomplete block designs I; Newman 2023"

    def ratings(self, left: IntArray, right: IntArray, points: FloatArray, weights: FloatArray) -> FloatArray:
        """The strength of every item."""
        return rating.bradley_terry(*rating.win_matrices(left, right, points, weights, len(self.items)))


def _columns(stats: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    return stats[:, 0].astype(np.int64), stats[:, 1].astype(np.int64), stats[:, 2]


def _played(left: IntArray, right: IntArray, points: FloatArray, item: int) -> tuple[FloatArray, FloatArray]:
    """Points that the item took in each comparison, and whether it was in it."""
    is_left, is_right = (left == item).astype(np.float64), (right == item).astype(np.float64)
    return is_left * points + is_right * (1.0 - points), is_left + is_right


def _shown(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────
#
# ``winners`` holds left, right or tie for each comparison. MetricError is raised for other words and for lists that do not fit.


def pairwise_win_rate(left: Sequence[str], right: Sequence[str], winners: Sequence[str]) -> dict[str, float]:
    """The win rate of every item, highest first.

    >>> pairwise_win_rate(["a", "a", "b"], ["b", "c", "c"], ["left", "tie", "right"])
    {'a': 0.75, 'c': 0.75, 'b': 0.0}
    """
    return PairwiseWinRate().over(left, right, winners)


def elo(
    left: Sequence[str], right: Sequence[str], winners: Sequence[str], *, k: float = 4.0, initial: float = 1000.0,
    scale: float = 400.0,
) -> dict[str, float]:
    """The Elo rating of every item, highest first; see Elo.

    >>> elo(["a"], ["b"], ["left"])
    {'a': 1002.0, 'b': 998.0}
    """
    return Elo(k=k, initial=initial, scale=scale).over(left, right, winners)


def bradley_terry(left: Sequence[str], right: Sequence[str], winners: Sequence[str]) -> dict[str, float]:
    """The strength of every item, highest first; see BradleyTerry.

    >>> strengths = bradley_terry(["a"] * 4, ["b"] * 4, ["left", "left", "left", "right"])
    >>> {item: round(strength, 9) for item, strength in strengths.items()}
    {'a': 0.75, 'b': 0.25}
    """
    return BradleyTerry().over(left, right, winners)
