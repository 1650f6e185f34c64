"""Metrics of running a model: how long it takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.errors import MetricError
from harness.metrics.rows import scores_of
from harness.protocols import Metric
from harness.types import FloatArray, Output, Sample, Scores


@dataclass(frozen=True, repr=False)
class Latency(Metric):
    """The ``q`` quantile of the seconds from handing over a request to having its output; lower is better.

    Linear between neighbours, as ``numpy.quantile`` has it by default; a row of weight w counts as w rows. Undefined for no
    rows. Outputs without a timing are missing. Requests that ran in one batch all have the time of the batch.
    """

    name: ClassVar[str] = "latency"
    family: ClassVar[str] = "operations"
    summary: ClassVar[str] = "quantile of the seconds that an answer takes"
    needs: ClassVar[frozenset[str]] = frozenset({"timing"})
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    unit: ClassVar[str] = "s"
    columns: ClassVar[tuple[str, ...]] = ("latency_s",)
    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "latency_p50": {"q": 0.5}, "latency_p90": {"q": 0.9}, "latency_p95": {"q": 0.95}, "latency_p99": {"q": 0.99},
    }

    q: float = 0.5

    def __post_init__(self) -> None:
        self.require(0 <= self.q <= 1, "q", "between 0 and 1")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row an output: seconds."""
        rows = ("the output has no timing" if o.timing is None else (o.timing.latency_s,) for o in outputs)
        return scores_of(rows, 1)

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """The quantile under each row of weights; sorts once, then O(B·n)."""
        order = np.argsort(stats[:, 0], kind="stable")
        return _quantiles(stats[order, 0], weights[:, order], self.q)

    def rows(self, stats: FloatArray) -> FloatArray:
        """The latency of each output."""
        return stats[:, 0]


def latency(seconds: Sequence[float], *, q: float = 0.5, sample_weight: Sequence[float] | None = None) -> float:
    """The ``q`` quantile of latencies; see Latency. NaN for none.

    >>> latency([0.1, 0.2, 0.4, 0.3])
    0.25

    Raises MetricError unless there are as many weights as latencies.
    """
    weights = np.ones(len(seconds)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (len(seconds),):
        raise MetricError(f"latency: sample_weight must be one number a latency ({len(seconds)}), got shape {weights.shape}")
    stats = np.asarray(seconds, dtype=np.float64).reshape(len(seconds), 1)
    return float(Latency(q).aggregate(stats, weights[None, :])[0])


def _quantiles(values: FloatArray, weights: FloatArray, q: float) -> FloatArray:
    """``float64[B]`` quantiles of ascending values under each row of weights; NaN where they sum to nothing."""
    out = np.full(len(weights), np.nan)
    for index, row in enumerate(weights):
        counts = _as_counts(row)
        ends = np.cumsum(counts)
        if not len(ends) or ends[-1] <= 0:
            continue
        position = q * max(ends[-1] - 1, 0.0)
        below = math.floor(position + 1e-9)
        # The value at position p is the first whose copies end after p; weights that are fractions of one another may miss
        # the whole numbers by rounding.
        at = np.searchsorted(ends, [below + 1e-9, below + 1 + 1e-9], side="right")
        low, high = values[np.minimum(at, len(values) - 1)]
        out[index] = low + (high - low) * max(position - below, 0.0)
    return out


def _as_counts(weights: FloatArray) -> FloatArray:
    """Weights as numbers of copies: those of repeats (thirds, say) become whole when the smallest is taken as one copy."""
    positive = weights[weights > 0]
    if not len(positive) or (weights == np.floor(weights)).all():
        return weights
    return weights / positive.min()
