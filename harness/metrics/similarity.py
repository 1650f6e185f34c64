"""Semantic textual similarity: correlations of the similarities of pairs with gold scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.metrics.correlation import weighted_pearson, weighted_spearman
from harness.metrics.labels import checked_weights
from harness.metrics.numbers import finite_series, finite_target, no_variation, number_pair
from harness.metrics.rows import Row, scores_of
from harness.metrics.vectors import cosines, vectors_of
from harness.protocols import Metric
from harness.types import FloatArray, Number, Output, Sample, Scores


@dataclass(frozen=True, repr=False)
class _Sts(Metric):
    """Base: the similarity of every pair of texts beside its gold score."""

    family: ClassVar[str] = "embeddings"
    needs: ClassVar[frozenset[str]] = frozenset({"vectors|number", "target"})
    bounds: ClassVar[tuple[float | None, float | None]] = (-1.0, 1.0)
    columns: ClassVar[tuple[str, ...]] = ("similarity", "gold")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a pair: cosine of its two vectors (or the number that the model gave), gold score."""
        return scores_of((_similarity_row(s, o) for s, o in zip(samples, outputs, strict=True)), 2)

    def why_undefined(self, stats: FloatArray) -> str | None:
        return no_variation(stats, ("similarity", "gold score"))


def _similarity_row(sample: Sample, output: Output) -> Row:
    if isinstance(output.answer, Number):
        pair = number_pair(sample, output)
        return pair if isinstance(pair, str) else (pair[1], pair[0])
    target = finite_target(sample)
    if isinstance(target, str):
        return target
    found = vectors_of(output, 2)
    if isinstance(found, str):
        return found
    cosine = float(cosines(found[0], found[1]))
    return "a vector has length 0: no cosine" if np.isnan(cosine) else (cosine, target)


@dataclass(frozen=True, repr=False)
class StsPearson(_Sts):
    """Pearson correlation of similarities with gold scores: cov(s, g) / (σ_s · σ_g).

    -1 to 1, higher is better. The similarity of a sample is the cosine of its two vectors, or the answer if that is a number.
    Undefined for fewer than two samples and where all similarities or all gold scores are equal; samples without a gold score,
    and pairs with a vector of length 0, are missing. Equals ``scipy.stats.pearsonr``.
    """

    name: ClassVar[str] = "sts_pearson"
    summary: ClassVar[str] = "Pearson correlation of the similarities of pairs with their gold scores"
    formula: ClassVar[str] = "cov(s, g) / (σ_s σ_g), s = cos(u, v)"
    reference: ClassVar[str] = "scipy.stats.pearsonr"
    paper: ClassVar[str] = "Agirre et al. 2016, SemEval-2016 Task 1: Semantic Textual Similarity"

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """Correlations under each row of weights, O(B·n)."""
        return weighted_pearson(stats[:, 0], stats[:, 1], weights)


@dataclass(frozen=True, repr=False)
class StsSpearman(_Sts):
    """Spearman correlation of similarities with gold scores: Pearson correlation of their ranks, ties at their middle.

    -1 to 1, higher is better; missing and undefined as for ``sts_pearson``. Under bootstrap weights the ranks are those of the
    resample. Equals ``scipy.stats.spearmanr``.
    """

    name: ClassVar[str] = "sts_spearman"
    summary: ClassVar[str] = "Spearman rank correlation of the similarities of pairs with their gold scores"
    formula: ClassVar[str] = "pearson(rank(s), rank(g)), s = cos(u, v)"
    reference: ClassVar[str] = "scipy.stats.spearmanr"
    paper: ClassVar[str] = "Reimers, Beyer and Gurevych 2016, Task-Oriented Intrinsic Evaluation of Semantic Textual Similarity"

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """Correlations under each row of weights; sorts once, then O(B·n)."""
        return weighted_spearman(stats[:, 0], stats[:, 1], weights)


def sts_pearson(
    similarities: Sequence[float], targets: Sequence[float], *, sample_weight: Sequence[float] | None = None
) -> float:
    """Pearson correlation; NaN for fewer than two pairs and for constant lists.

    >>> round(sts_pearson([0.9, 0.5, 0.1], [5.0, 3.0, 0.0]), 4)
    0.9934

    Raises MetricError for lists of different lengths or numbers that are not finite.
    """
    return float(weighted_pearson(*_pair_of_lists("sts_pearson", similarities, targets, sample_weight))[0])


def sts_spearman(
    similarities: Sequence[float], targets: Sequence[float], *, sample_weight: Sequence[float] | None = None
) -> float:
    """Spearman correlation; NaN for fewer than two pairs and for constant lists.

    >>> round(sts_spearman([0.9, 0.5, 0.1], [5.0, 0.0, 3.0]), 12)
    0.5

    Raises MetricError for lists of different lengths or numbers that are not finite.
    """
    return float(weighted_spearman(*_pair_of_lists("sts_spearman", similarities, targets, sample_weight))[0])


def _pair_of_lists(name: str, first: Any, second: Any, weight: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    a, b = finite_series(name, "similarities", first), finite_series(name, "targets", second)
    return a, b, checked_weights(name, list(b), list(a), weight)
