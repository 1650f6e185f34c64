"""How long a model takes: quantiles of the latency and of the time to the first token."""

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

TOLERANCE = 1e-6
"""By how much sums of fractional weights may miss whole numbers."""


@dataclass(frozen=True, repr=False)
class Seconds(Metric):
    """Base of the quantiles of durations. A subclass gives :meth:`of_output`."""

    family: ClassVar[str] = "operations"
    needs: ClassVar[frozenset[str]] = frozenset({"timing"})
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    unit: ClassVar[str] = "s"
    columns: ClassVar[tuple[str, ...]] = ("seconds",)
    formula: ClassVar[str] = "q quantile of the seconds, linear between neighbours"
    reference: ClassVar[str] = "numpy.quantile"

    q: float = 0.5

    def __post_init__(self) -> None:
        self.require(0 <= self.q <= 1, "q", "between 0 and 1")

    def of_output(self, output: Output) -> float | str:
        """The seconds of this output, or the reason why they are not known."""
        raise NotImplementedError(f"{type(self).__name__}.of_output")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row an output: seconds."""
        values = map(self.of_output, outputs)
        return scores_of((value if isinstance(value, str) else (value,) for value in values), 1)

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """The quantile under each row of weights; sorts once, then O(B·n)."""
        order = np.argsort(stats[:, 0], kind="stable")
        values, is_whole = stats[order, 0], bool((weights == np.floor(weights)).all())
        return np.array([_quantile(values, np.take(row, order), self.q, is_whole) for row in weights], dtype=np.float64)

    def rows(self, stats: FloatArray) -> FloatArray:
        """The seconds of each output."""
        return stats[:, 0]


@dataclass(frozen=True, repr=False)
class Latency(Seconds):
    """The ``q`` quantile of the seconds from handing over a request to having its output; lower is better.

    Linear between neighbours, as ``numpy.quantile`` has it by default; a row of weight w counts as w rows. Undefined for no
    rows. Outputs without a timing are missing. Requests that ran in one batch all have the time of the batch.
    """

    name: ClassVar[str] = "latency"
    summary: ClassVar[str] = "quantile of the seconds that an answer takes"
    columns: ClassVar[tuple[str, ...]] = ("latency_s",)
    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "latency_p50": {"q": 0.5}, "latency_p90": {"q": 0.9}, "latency_p95": {"q": 0.95}, "latency_p99": {"q": 0.99},
    }

    def of_output(self, output: Output) -> float | str:
        return "the output has no timing" if output.timing is None else output.timing.latency_s


@dataclass(frozen=True, repr=False)
class TimeToFirstToken(Seconds):
    """The ``q`` quantile of the seconds from handing over a request to having its first token; lower is better.

    Quantiles as in ``latency``. Outputs without the time of a first token are missing: only backends that write text know it.
    """

    name: ClassVar[str] = "time_to_first_token"
    summary: ClassVar[str] = "quantile of the seconds until the first token"
    columns: ClassVar[tuple[str, ...]] = ("first_token_s",)
    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "time_to_first_token_p50": {"q": 0.5}, "time_to_first_token_p90": {"q": 0.9},
        "time_to_first_token_p95": {"q": 0.95}, "time_to_first_token_p99": {"q": 0.99},
    }

    def of_output(self, output: Output) -> float | str:
        first = None if output.timing is None else output.timing.first_token_s
        return "the time of the first token is not known" if first is None else first


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


def time_to_first_token(seconds: Sequence[float], *, q: float = 0.5) -> float:
    """The ``q`` quantile of the times to the first token, as ``latency`` has it. NaN for none.

    >>> time_to_first_token([0.1, 0.3])
    0.2
    """
    return latency(seconds, q=q)


def _quantile(values: FloatArray, weights: FloatArray, q: float, is_whole: bool) -> float:
    """The quantile of ascending values under weights; NaN where they sum to nothing."""
    ends = np.cumsum(weights)
    if not len(ends) or ends[-1] <= 0:
        return math.nan
    if not is_whole:
        # Weights of repeats (thirds, say) are whole numbers of copies when the smallest is taken as one copy.
        ends /= weights[weights > 0].min()
    position = q * max(ends[-1] - 1, 0.0)
    below = math.floor(position + TOLERANCE)
    # The value at position p is that of the first row whose copies end after p.
    at = np.searchsorted(ends, [below + TOLERANCE, below + 1 + TOLERANCE], side="right")
    low, high = values[np.minimum(at, len(values) - 1)]
    return float(low + (high - low) * max(position - below, 0.0))
