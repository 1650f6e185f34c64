"""How embeddings lie in space: mean distance over all pairs, uniformity on the sphere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from harness.metrics.numbers import far_exponent, scaled
from harness.metrics.pooled import too_few
from harness.metrics.tokenize import IntArray
from harness.metrics.vectors import VectorPool, gathered, matrix, mean_of_pairs, stacked, unit_length
from harness.types import FloatArray, Output, Sample

_FAMILY = "embeddings"

Distance = Literal["euclidean", "cosine"]


@dataclass(frozen=True, repr=False)
class AveragePairwiseDistance(VectorPool):
    """Mean distance over all pairs of different outputs; 0 upwards, higher is more diverse; undefined for fewer than two.

    ``distance``: euclidean, or cosine (1 - cosine; vectors of length 0 are missing). Outputs have one vector each. No array is
    larger than a block of rows against all, and cosine takes one pass: the mean cosine is (|Σ u|² - n) / (n (n - 1)).
    Equals the mean of ``scipy.spatial.distance.pdist``.
    """

    name: ClassVar[str] = "average_pairwise_distance"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "mean distance between the vectors of two outputs"
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    formula: ClassVar[str] = "2 / (n (n - 1)) Σ_{i<j} d(x_i, x_j)"
    reference: ClassVar[str] = "scipy.spatial.distance.pdist"

    distance: Distance = "euclidean"

    def why_undefined(self, stats: FloatArray) -> str | None:
        return too_few(stats, "vectors")

    def __post_init__(self) -> None:
        self.require(self.distance in ("euclidean", "cosine"), "distance", "one of euclidean, cosine")

    def gather(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[FloatArray, Mapping[int, str]]:
        return (_unit_pool if self.distance == "cosine" else _pool)(outputs)

    def of_rows(self, rows: IntArray) -> float:
        vectors = self.pool[rows]
        if self.distance == "euclidean" or len(rows) < 2:
            exponent = far_exponent(vectors)
            return scaled(mean_of_pairs(np.ldexp(vectors, -exponent), np.sqrt), exponent)
        n = len(rows)
        return float(1 - ((vectors.sum(axis=0) ** 2).sum() - n) / (n * (n - 1)))


@dataclass(frozen=True, repr=False)
class Uniformity(VectorPool):
    """How evenly unit vectors are spread over the sphere: log of the mean of exp(-t |u - v|²) over all pairs.

    -4t to 0, lower is more uniform; undefined for fewer than two outputs; vectors of length 0 are missing. No array is larger
    than a block of rows against all. Equals ``torch.pdist(x).pow(2).mul(-t).exp().mean().log()`` of unit vectors.
    """

    name: ClassVar[str] = "uniformity"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "log of the mean Gaussian potential between unit vectors"
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (None, 0.0)
    formula: ClassVar[str] = "log mean_{i<j} exp(-t |u_i - u_j|²)"
    reference: ClassVar[str] = "torch.pdist"
    paper: ClassVar[str] = "Wang and Isola 2020, Understanding Contrastive Representation Learning, ICML"

    t: float = 2.0

    def why_undefined(self, stats: FloatArray) -> str | None:
        return too_few(stats, "vectors")

    def __post_init__(self) -> None:
        self.require(self.t > 0, "t", "a number > 0")

    def gather(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[FloatArray, Mapping[int, str]]:
        return _unit_pool(outputs)

    def of_rows(self, rows: IntArray) -> float:
        mean = mean_of_pairs(self.pool[rows], lambda squared: np.exp(-self.t * squared))
        return float(np.log(mean)) if mean > 0 else float("nan")


def _pool(outputs: Sequence[Output]) -> tuple[FloatArray, dict[int, str]]:
    rows, missing = gathered(outputs)
    return stacked(rows), missing


def _unit_pool(outputs: Sequence[Output]) -> tuple[FloatArray, dict[int, str]]:
    rows, missing = gathered(outputs)
    for row in [row for row, vector in rows.items() if not vector.any()]:
        missing[row] = "the vector has length 0"
        del rows[row]
    return unit_length(stacked(rows)), missing


def average_pairwise_distance(vectors: Any, *, distance: Distance = "euclidean") -> float:
    """Mean distance over the pairs of rows of an ``(n, d)`` array; NaN for fewer than two.

    >>> average_pairwise_distance([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]])
    3.3333333333333335
    """
    rows = matrix("average_pairwise_distance", "vectors", vectors)
    pool = unit_length(rows[rows.any(axis=1)]) if distance == "cosine" else rows
    return AveragePairwiseDistance(distance, pool=pool).of_rows(np.arange(len(pool)))


def uniformity(vectors: Any, *, t: float = 2.0) -> float:
    """Uniformity of the rows of an ``(n, d)`` array, scaled to length 1; NaN for fewer than two.

    >>> round(uniformity([[1.0, 0.0], [0.0, 1.0]]), 12)
    -4.0
    """
    rows = matrix("uniformity", "vectors", vectors)
    pool = unit_length(rows[rows.any(axis=1)])
    return Uniformity(t, pool=pool).of_rows(np.arange(len(pool)))
