"""Dynamic time warping: the distance of two series when either may be stretched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from harness.errors import MetricError
from harness.metrics.embeddingpairs import MeanOfRows
from harness.metrics.numbers import far_exponent, scaled
from harness.types import FloatArray, Output, Sample, Vectors

Cost = Literal["absolute", "squared"]


@dataclass(frozen=True, repr=False)
class DynamicTimeWarping(MeanOfRows):
    """The least sum of costs along a path of steps (1, 0), (0, 1), (1, 1) through two series; the mean over samples.

    A series is the one vector of the answer and a list of numbers as target, or several vectors (a point each) and a list of
    lists. ``cost``: absolute (the euclidean distance of two points, for numbers their absolute difference) or squared.
    ``window``: how far the path may leave the diagonal (Sakoe and Chiba); at least the difference of the lengths is always
    allowed. 0 upwards, lower is better; samples with an empty series are missing. O(n · m) time, O(n + m) memory for the path.
    """

    name: ClassVar[str] = "dtw"
    family: ClassVar[str] = "features"
    summary: ClassVar[str] = "dynamic time warping distance of a series from its target"
    needs: ClassVar[frozenset[str]] = frozenset({"vectors", "target"})
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    formula: ClassVar[str] = "min over warping paths of Σ cost(x_i, y_j)"
    reference: ClassVar[str] = "recursion over all warping paths"
    paper: ClassVar[str] = "Sakoe and Chiba 1978, IEEE Transactions on Acoustics, Speech, and Signal Processing 26"

    cost: Cost = "absolute"
    window: int | None = None

    def __post_init__(self) -> None:
        self.require(self.cost in ("absolute", "squared"), "cost", "one of absolute, squared")
        self.require(self.window is None or self.window >= 0, "window", "an integer ≥ 0 or none")

    def row(self, sample: Sample, output: Output) -> float | str:
        if not isinstance(output.answer, Vectors):
            return f"the answer is {type(output.answer).__name__}, not Vectors"
        vectors = output.answer.vectors
        try:
            true = np.asarray(sample.target, dtype=np.float64)
            given = np.asarray(vectors[0] if len(vectors) == 1 and true.ndim == 1 else vectors, dtype=np.float64)
        except (TypeError, ValueError):
            return f"the target must be a series of numbers, got {sample.target!r:.40}"
        fault = _fault(given, true)
        if fault is not None:
            return fault
        distance = self.distance(given, true)
        return distance if np.isfinite(distance) else "the distance is beyond float64"

    def distance(self, first: FloatArray, second: FloatArray) -> float:
        """Of two series ``float64[n]`` or ``float64[n, d]``, neither empty."""
        if first.ndim == 1:
            first, second = first[:, None], second[:, None]
        exponent = far_exponent(first, second)
        cheapest = _cheapest(np.ldexp(first, -exponent), np.ldexp(second, -exponent), self.cost, self.window)
        return scaled(cheapest, exponent if self.cost == "absolute" else 2 * exponent)


def _fault(first: FloatArray, second: FloatArray) -> str | None:
    if first.ndim not in (1, 2) or first.ndim != second.ndim or first.shape[1:] != second.shape[1:]:
        return f"both series must be numbers, or points of one dimension, got shapes {first.shape} and {second.shape}"
    if not first.size or not second.size:
        return "a series is empty"
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return "a series has a number that is not finite"
    return None


def _cheapest(first: FloatArray, second: FloatArray, cost: Cost, window: int | None) -> float:
    """Antidiagonal after antidiagonal: cells of one depend on the two before alone."""
    n, m = len(first), len(second)
    reach = max(n, m) if window is None else max(window, abs(n - m))
    before = np.full(n + 1, np.inf)  # index i + 1: the cell of row i; 0: outside
    last = before.copy()
    for diagonal in range(n + m - 1):
        low, high = max(0, diagonal - m + 1), min(n - 1, diagonal)
        low, high = max(low, -((reach - diagonal) // 2)), min(high, (diagonal + reach) // 2)
        here = np.full(n + 1, np.inf)
        if low <= high:
            rows = np.arange(low, high + 1)
            steps = np.minimum(np.minimum(last[rows], last[rows + 1]), before[rows])
            if diagonal == 0:
                steps = np.zeros(1)
            squared = ((first[rows] - second[diagonal - rows]) ** 2).sum(axis=1)
            here[rows + 1] = steps + (squared if cost == "squared" else np.sqrt(squared))
        before, last = last, here
    return float(last[n])


def dtw(first: Sequence[Any] | FloatArray, second: Sequence[Any] | FloatArray, *, cost: Cost = "absolute",
        window: int | None = None) -> float:
    """Dynamic time warping distance of two series of numbers, or of points ``(n, d)``; NaN if one is empty.

    >>> dtw([0.0, 1.0, 2.0], [0.0, 0.0, 1.0, 3.0])
    1.0

    Raises MetricError for points of different dimensions and numbers that are not finite.
    """  # fmt: skip
    metric = DynamicTimeWarping(cost, window)
    try:
        a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MetricError(f"dtw: series must be numbers, or points of one dimension: {error}") from None
    if not a.size or not b.size:
        return float("nan")
    fault = _fault(a, b)
    if fault is not None:
        raise MetricError(f"dtw: {fault}")
    return metric.distance(a, b)
