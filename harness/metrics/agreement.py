"""Agreement of raters on items: Krippendorff's alpha, Fleiss' kappa, intraclass correlation."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.errors import MetricError
from harness.metrics.rows import wrong_kind
from harness.protocols import Metric, Scope
from harness.stats import agreement
from harness.stats.agreement import IccKind, Level
from harness.types import FloatArray, Key, Output, Ratings, Sample, Scores

Rating = float | str | None
Items = Sequence[Sequence[Rating]]

LEVELS: tuple[Level, ...] = ("nominal", "ordinal", "interval", "ratio")
ICC_KINDS: tuple[IccKind, ...] = ("1", "2", "3", "1k", "2k", "3k")


@dataclass(frozen=True, repr=False)
class AgreementMetric(Metric):
    """Base of the measures of agreement: rows number the items, and the scores are bound to a copy that holds the ratings.

    Higher is better. Items are resampled for the interval, never raters.
    """

    family: ClassVar[str] = "people"
    needs: ClassVar[frozenset[str]] = frozenset({"ratings"})
    bounds: ClassVar[tuple[float | None, float | None]] = (-1.0, 1.0)
    columns: ClassVar[tuple[str, ...]] = ("row",)
    scope: ClassVar[Scope] = "corpus"

    ratings: FloatArray | None = field(default=None, repr=False, compare=False, kw_only=True)

    @property
    def is_categorical(self) -> bool:
        """Whether ratings are names rather than numbers."""
        return False

    def unfit(self, rows: Sequence[Sequence[Rating]]) -> dict[int, str]:
        """Row -> why its ratings, all of them usable, cannot take part."""
        raise NotImplementedError(f"{type(self).__name__}.unfit")

    def value(self, ratings: FloatArray, weights: FloatArray) -> FloatArray:
        """``float64[n, m]`` ratings, NaN for none, under ``float64[B, n]`` weights: ``float64[B]``."""
        raise NotImplementedError(f"{type(self).__name__}.value")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row an item: its number among those that take part."""
        read = [self._read(output) for output in outputs]
        missing = {row: given for row, given in enumerate(read) if isinstance(given, str)}
        there = {row: given for row, given in enumerate(read) if not isinstance(given, str)}
        unfit = self.unfit(list(there.values()))
        missing |= {row: unfit[number] for number, row in enumerate(there) if number in unfit}
        kept = [row for row in there if row not in missing]
        stats = np.full((len(samples), 1), np.nan)
        stats[kept, 0] = np.arange(len(kept))
        bound = dataclasses.replace(self, ratings=self._matrix([there[row] for row in kept]))
        return Scores(stats, dict(sorted(missing.items())), bound=bound)

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """The agreement on the items of these rows."""
        if self.ratings is None:
            raise MetricError(f"{self.name}: needs the ratings: aggregate with Scores.bound")
        return self.value(self.ratings[stats[:, 0].astype(np.int64)], weights)

    def why_undefined(self, stats: FloatArray) -> str | None:
        if self.ratings is None or not len(stats):
            return None
        found = self.ratings[stats[:, 0].astype(np.int64)]
        given = found[~np.isnan(found)]
        if (given == given[:1]).all():
            return "all ratings are the same"
        return f"it takes two items or more, and {len(found)} can be scored" if len(found) < 2 else None

    def over(self, ratings: Items) -> float:
        """The value over a list of items. Raises MetricError for an item that cannot take part."""
        items = [Sample(str(row)) for row in range(len(ratings))]
        scores = self.score(items, [Output(Key(str(row)), Ratings(tuple(given))) for row, given in enumerate(ratings)])
        for row, reason in scores.missing.items():
            raise MetricError(f"{self.name}: ratings[{row}]: {reason}")
        return float(scores.bound.aggregate(scores.stats, np.ones((1, len(items))))[0])

    def _read(self, output: Output) -> Sequence[Rating] | str:
        if not isinstance(output.answer, Ratings):
            return wrong_kind(output, "Ratings")
        ratings: list[Rating] = []
        for rating in output.answer.ratings:
            if rating is None or self.is_categorical:
                ratings.append(rating)
                continue
            number = number_of(rating)
            if number is None:
                return f"the rating {rating!r:.40} is no finite number"
            ratings.append(number)
        return ratings

    def _matrix(self, rows: Sequence[Sequence[Rating]]) -> FloatArray:
        codes: dict[Any, float] = {}
        matrix: NDArray[np.float64] = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
        for row, ratings in enumerate(rows):
            for rater, rating in enumerate(ratings):
                if rating is not None:
                    matrix[row, rater] = codes.setdefault(rating, len(codes)) if self.is_categorical else float(rating)
        return matrix


def number_of(rating: Any) -> float | None:
    """A rating as a finite number, from text too; None if it is none."""
    try:
        number = math.nan if isinstance(rating, bool) else float(rating)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


@dataclass(frozen=True, repr=False)
class KrippendorffAlpha(AgreementMetric):
    """1 − observed / expected disagreement of pairs of ratings; 1 is full agreement, 0 what chance gives, below 0 worse.

    ``level`` says what ratings are: names (``nominal``), places in an order (``ordinal``), numbers of a scale (``interval``),
    of one with a zero (``ratio``). Raters may be missing; an item with fewer than two ratings is a missing row. Undefined
    where no two ratings differ. PyPI ``krippendorff``.
    """

    name: ClassVar[str] = "krippendorff_alpha"
    summary: ClassVar[str] = "agreement of any number of raters, on any level of measurement, with gaps"
    formula: ClassVar[str] = "1 − observed / expected disagreement"
    reference: ClassVar[str] = "krippendorff.alpha"
    paper: ClassVar[str] = "Krippendorff 2011, Computing Krippendorff's alpha-reliability"

    level: Level = "nominal"

    def __post_init__(self) -> None:
        self.require(self.level in LEVELS, "level", f"one of {', '.join(LEVELS)}")

    @property
    def is_categorical(self) -> bool:
        """Whether ratings are names."""
        return self.level == "nominal"

    def unfit(self, rows: Sequence[Sequence[Rating]]) -> dict[int, str]:
        """Items with fewer than two ratings."""
        return {n: "fewer than two raters rated it" for n, row in enumerate(rows) if len(row) - list(row).count(None) < 2}

    def value(self, ratings: FloatArray, weights: FloatArray) -> FloatArray:
        """Alpha."""
        return agreement.krippendorff_alpha(ratings, weights, self.level)


@dataclass(frozen=True, repr=False)
class FleissKappa(AgreementMetric):
    """Agreement on categories beyond chance, (P̄ − Pe) / (1 − Pe), of as many ratings for every item; 1 is full, 0 chance.

    The raters need not be the same ones. An item with another number of ratings than most have is a missing row. Undefined
    where all ratings are of one category. ``statsmodels.stats.inter_rater.fleiss_kappa``.
    """

    name: ClassVar[str] = "fleiss_kappa"
    summary: ClassVar[str] = "agreement of several raters on categories beyond chance"
    formula: ClassVar[str] = "(observed − chance) / (1 − chance), of pairs of ratings of one item"
    reference: ClassVar[str] = "statsmodels.stats.inter_rater.fleiss_kappa"
    paper: ClassVar[str] = "Fleiss 1971, Measuring nominal scale agreement among many raters"

    @property
    def is_categorical(self) -> bool:
        """True: ratings are names."""
        return True

    def unfit(self, rows: Sequence[Sequence[Rating]]) -> dict[int, str]:
        """Items with fewer than two ratings, or with another number than most."""
        return _odd_sizes([len(row) - list(row).count(None) for row in rows])

    def value(self, ratings: FloatArray, weights: FloatArray) -> FloatArray:
        """Kappa."""
        return agreement.fleiss_kappa(ratings, weights)


@dataclass(frozen=True, repr=False)
class IntraclassCorrelation(AgreementMetric):
    """Intraclass correlation of numbers: how much of their variance is between the items; at most 1, 0 or less is none.

    ``kind`` 1: other raters for every item, 2: raters drawn from many, whose level counts, 3: these raters only, whose level
    does not count; 1k, 2k, 3k: of the mean of all raters. An item that not all raters rated is a missing row. Undefined for
    fewer than two items or raters, and where nothing varies.
    """

    name: ClassVar[str] = "icc"
    summary: ClassVar[str] = "intraclass correlation of raters' numbers"
    bounds: ClassVar[tuple[float | None, float | None]] = (None, 1.0)
    formula: ClassVar[str] = "kind 2: (MSR − MSE) / (MSR + (k − 1) MSE + k (MSC − MSE) / n)"
    reference: ClassVar[str] = "the worked example of the paper"
    paper: ClassVar[str] = "Shrout and Fleiss 1979, Intraclass correlations: uses in assessing rater reliability"

    kind: IccKind = "2"

    def __post_init__(self) -> None:
        self.require(self.kind in ICC_KINDS, "kind", f"one of {', '.join(ICC_KINDS)}")

    def unfit(self, rows: Sequence[Sequence[Rating]]) -> dict[int, str]:
        """Items with a gap, or with another number of ratings than most."""
        sizes = [0 if None in row else len(row) for row in rows]
        reasons = _odd_sizes(sizes)
        return {n: "not every rater rated it" if sizes[n] == 0 else reason for n, reason in reasons.items()}

    def value(self, ratings: FloatArray, weights: FloatArray) -> FloatArray:
        """The intraclass correlation."""
        return agreement.icc(ratings, weights, self.kind)


def _odd_sizes(sizes: Sequence[int]) -> dict[int, str]:
    """Numbers of ratings below two, and those that differ from the one that most items have (the largest of several)."""
    counted = Counter(size for size in sizes if size >= 2)
    usual = max(counted, key=lambda size: (counted[size], size), default=2)
    few = {n: "fewer than two raters rated it" for n, size in enumerate(sizes) if size < 2}
    return few | {n: f"{size} ratings, most items have {usual}" for n, size in enumerate(sizes) if size >= 2 and size != usual}


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────
#
# ``ratings`` is a list of items, each a list of its ratings in the order of the raters, None where there is none. NaN is
# returned where undefined; MetricError is raised for an item that cannot take part.


def krippendorff_alpha(ratings: Items, *, level: Level = "nominal") -> float:
    """Krippendorff's alpha; items with fewer than two ratings are left out.

    >>> round(krippendorff_alpha([["a", "a"], ["b", "b"], ["a", "b"], ["a", None]]), 4)
    0.4444
    """
    kept = [row for row in ratings if len(row) - list(row).count(None) >= 2]
    return KrippendorffAlpha(level).over(kept)


def fleiss_kappa(ratings: Items) -> float:
    """Fleiss' kappa.

    >>> round(fleiss_kappa([["a", "a", "a"], ["b", "b", "a"]]), 4)
    0.25
    """
    return FleissKappa().over(ratings)


def icc(ratings: Items, *, kind: IccKind = "2") -> float:
    """The intraclass correlation.

    >>> round(icc([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], kind="2"), 2)
    0.29
    """
    return IntraclassCorrelation(kind).over(ratings)
