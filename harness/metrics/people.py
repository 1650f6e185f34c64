"""Ratings that people give on a scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.errors import MetricError
from harness.metrics.agreement import number_of
from harness.metrics.numbers import exact_sum
from harness.metrics.rows import Row, ratio, scores_of, wrong_kind
from harness.protocols import Metric
from harness.types import FloatArray, Key, Number, Output, Ratings, Sample, Scores


@dataclass(frozen=True, repr=False)
class LikertMean(Metric):
    """The mean of all ratings, each counts once; items are what is resampled. Higher is better.

    ``low`` and ``high`` are the ends of the scale: an item with a rating outside them is a missing row, and so is one without a
    rating, or with one that is no number. A Number is one rating. Undefined for no ratings.
    """

    name: ClassVar[str] = "likert_mean"
    family: ClassVar[str] = "people"
    summary: ClassVar[str] = "mean rating on a scale"
    needs: ClassVar[frozenset[str]] = frozenset({"ratings|number"})
    bounds: ClassVar[tuple[float | None, float | None]] = (None, None)
    columns: ClassVar[tuple[str, ...]] = ("sum", "ratings")
    formula: ClassVar[str] = "Σ ratings / number of ratings"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = "Likert 1932, A technique for the measurement of attitudes"

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        both = self.low is not None and self.high is not None
        self.require(not both or float(self.low or 0) < float(self.high or 0), "high", f"above low ({self.low})")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row an item: sum of its ratings, their number."""
        return scores_of((self._row(output) for output in outputs), 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """The mean."""
        return ratio(totals[..., 0], totals[..., 1])

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        """One rating at either end of the scale, if its ends were given."""
        if self.low is None or self.high is None:
            return None
        return np.array([self.low, 1.0]), np.array([self.high, 1.0])

    def _row(self, output: Output) -> Row:
        answer = output.answer
        if isinstance(answer, Number):
            given: tuple[float | str | None, ...] = (answer.value,)
        elif isinstance(answer, Ratings):
            given = tuple(one for one in answer.ratings if one is not None)
        else:
            return wrong_kind(output, "Ratings")
        if not given:
            return "nobody rated it"
        numbers = [number_of(one) for one in given]
        for one, number in zip(given, numbers):
            if number is None:
                return f"the rating {one!r:.40} is no finite number"
            if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
                return f"the rating {number:g} is outside the scale"
        total = exact_sum(number for number in numbers if number is not None)
        return (total, float(len(numbers))) if math.isfinite(total) else "the sum of the ratings is beyond float64"


def likert_mean(ratings: Sequence[Sequence[float | None]], *, low: float | None = None, high: float | None = None) -> float:
    """The mean of all ratings of all items, None left out; NaN for none.

    >>> likert_mean([[4, 5], [2, None]])
    3.6666666666666665
    """
    metric = LikertMean(low, high)
    rated = [tuple(one for one in item if one is not None) for item in ratings]
    outputs = [Output(Key(str(row)), Ratings(item)) for row, item in enumerate(rated) if item]
    scores = metric.score([Sample(output.key.sample_id) for output in outputs], outputs)
    for row, reason in scores.missing.items():
        raise MetricError(f"likert_mean: ratings[{outputs[row].key.sample_id}]: {reason}")
    return float(metric.aggregate(scores.stats, np.ones((1, len(outputs))))[0])
