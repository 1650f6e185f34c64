"""Metrics of a whole collection that duplicates distort: their rows number outputs that the metric holds itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from harness.metrics.tokenize import IntArray
from harness.protocols import Interval, Metric, Scope
from harness.types import FloatArray, Output, Sample, Scores


def pool_rows(stats: FloatArray) -> IntArray:
    """Which outputs of the pool these rows are, ``int64[n]``."""
    return stats[:, 0].astype(np.int64)


def too_few(stats: FloatArray, what: str) -> str | None:
    """Why a metric of pairs has no value of fewer than two rows."""
    return f"it takes two {what} or more, and {len(stats)} can be scored" if len(stats) < 2 else None


@dataclass(frozen=True, repr=False)
class PooledMetric(Metric):
    """Base of the metrics whose value is no function of sums over rows (distinct n-grams, clusters, distances between sets).

    A subclass gives :meth:`gather`, what it needs of the outputs, and :meth:`of_rows`, the value of some of them. Resampling
    with replacement would bring duplicates in, which is what such metrics measure: their intervals come from random halves
    (``interval = "subsample"``), and weights say which rows are in, not how often.
    """

    interval: ClassVar[Interval] = "subsample"
    scope: ClassVar[Scope] = "corpus"
    columns: ClassVar[tuple[str, ...]] = ("row",)

    pool: Any = field(default=None, repr=False, compare=False, kw_only=True)

    def gather(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[Any, Mapping[int, str]]:
        """What of_rows needs, for the rows that are not missing, in their order; and row -> reason for those that are."""
        raise NotImplementedError(f"{type(self).__name__}.gather")

    def of_rows(self, rows: IntArray) -> float:
        """The value of these rows of the pool (positions, each once); NaN where it is undefined."""
        raise NotImplementedError(f"{type(self).__name__}.of_rows")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row an output: its number in the pool. The scores are bound to a copy that holds the pool."""
        pool, missing = self.gather(samples, outputs)
        stats = np.full((len(samples), 1), np.nan)
        there = [row for row in range(len(samples)) if row not in missing]
        stats[there, 0] = np.arange(len(there))
        return Scores(stats, missing, bound=dataclasses.replace(self, pool=pool))

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """The value of the rows whose weight is positive, under each row of weights."""
        numbers = pool_rows(stats)
        return np.array([self.of_rows(np.unique(numbers[row > 0])) for row in weights], dtype=np.float64)
