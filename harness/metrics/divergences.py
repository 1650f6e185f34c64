"""Divergences of the probabilities that a model gives from those that are true: cross-entropy, KL, Jensen-Shannon, Hellinger.

A target is a mapping from labels to probabilities, or one label, which has probability 1 then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.errors import MetricError
from harness.metrics.embeddingpairs import MeanOfRows
from harness.metrics.labels import checked_weights, true_label
from harness.metrics.rows import wrong_kind
from harness.types import FloatArray, Label, Output, Sample

_SUMS_TO_1 = 1e-3
"""How far from 1 the sum of probabilities may be: files hold rounded ones. They are scaled to it."""


@dataclass(frozen=True, repr=False)
class DivergenceMetric(MeanOfRows):
    """Base: the mean over samples of a divergence of two distributions over labels. A subclass gives :meth:`divergence`.

    Labels that one side does not name have probability 0 there. Probabilities are scaled to sum 1; a sample whose
    probabilities are negative, not finite or further than 0.001 from sum 1 is missing.
    """

    family: ClassVar[str] = "divergences"
    needs: ClassVar[frozenset[str]] = frozenset({"target", "probabilities"})
    higher_is_better: ClassVar[bool | None] = False

    def divergence(self, true: FloatArray, given: FloatArray) -> FloatArray:
        """``float64[n, K], float64[n, K] -> float64[n]``; infinite where it is."""
        raise NotImplementedError(f"{type(self).__name__}.divergence")

    def row(self, sample: Sample, output: Output) -> float | str:
        if not isinstance(output.answer, Label):
            return wrong_kind(output, "Label")
        if output.answer.probabilities is None:
            return "the answer has no probabilities"
        if sample.target is None:
            return "the sample has no target"
        true = sample.target if isinstance(sample.target, Mapping) else {true_label(sample): 1.0}
        given = output.answer.probabilities
        labels = dict.fromkeys([*true, *given])
        for what, side in (("target", true), ("answer", given)):
            fault = _fault(list(side.values()))
            if fault:
                return f"the probabilities of the {what} {fault}"
        rows = [np.array([[float(side.get(label, 0.0)) for label in labels]]) for side in (true, given)]
        value = float(self.divergence(rows[0] / rows[0].sum(), rows[1] / rows[1].sum())[0])
        return value if math.isfinite(value) else "infinite: the answer gives probability 0 to what the target does not"

    def over(self, true: Any, given: Any, sample_weight: Any) -> float:
        """The weighted mean over the rows of two ``(n, K)`` arrays (or of one distribution each)."""
        rows = [_distributions(self.name, side) for side in (true, given)]
        if rows[0].shape != rows[1].shape:
            raise MetricError(f"{self.name}: distributions must have one shape, got {rows[0].shape} and {rows[1].shape}")
        weights = checked_weights(self.name, list(rows[0]), list(rows[1]), sample_weight)[0]
        if not len(weights) or not weights.sum() > 0:
            return float("nan")
        values = self.divergence(*rows)
        return float((values * weights)[weights > 0].sum() / weights.sum())


def _fault(values: Sequence[Any]) -> str | None:
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        return "are no numbers"
    if not numbers or not all(0 <= number < math.inf for number in numbers):
        return "must be finite and not negative"
    return None if abs(sum(numbers) - 1) <= _SUMS_TO_1 else f"sum to {sum(numbers):g}, not to 1"


def _distributions(name: str, rows: Any) -> FloatArray:
    try:
        array = np.atleast_2d(np.asarray(rows, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise MetricError(f"{name}: probabilities must be rows of numbers of one length: {error}") from None
    if not array.size:
        return np.zeros((0, 1))
    if array.ndim != 2 or not np.isfinite(array).all() or (array < 0).any():
        raise MetricError(f"{name}: probabilities must be finite, not negative and of shape (n, K), got shape {array.shape}")
    sums = array.sum(axis=1, keepdims=True)
    if (np.abs(sums - 1) > _SUMS_TO_1).any():
        raise MetricError(f"{name}: probabilities must sum to 1, got {float(sums[np.abs(sums - 1).argmax(), 0]):g}")
    return np.asarray(array / sums)


@dataclass(frozen=True, repr=False)
class CrossEntropy(DivergenceMetric):
    """-Σ p log q, in nats, p the target and q the answer; 0 upwards, lower is better; the mean over samples.

    q below ``floor`` counts as ``floor``, as ``log_loss`` does it, so that a certain and wrong answer costs 36 nats and not
    infinitely many; with ``floor=0`` such a sample is missing. For a label as target it is the log loss. Equals
    ``torch.nn.functional.cross_entropy`` of log q, and ``scipy.stats.entropy(p) + entropy(p, q)``.
    """

    name: ClassVar[str] = "cross_entropy"
    summary: ClassVar[str] = "cross-entropy of the probabilities given, under the true ones"
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    unit: ClassVar[str] = "nats"
    formula: ClassVar[str] = "-Σ p log q"
    reference: ClassVar[str] = "torch.nn.functional.cross_entropy"
    paper: ClassVar[str] = "Shannon 1948, A Mathematical Theory of Communication"

    floor: float = float(np.finfo(np.float64).eps)

    def __post_init__(self) -> None:
        self.require(0 <= self.floor < 1, "floor", "a number of at least 0 and below 1")

    def divergence(self, true: FloatArray, given: FloatArray) -> FloatArray:
        return -1.0 * _weighted_logs(true, np.maximum(given, self.floor))


@dataclass(frozen=True, repr=False)
class KullbackLeibler(DivergenceMetric):
    """Σ p log(p / q), in nats, p the target and q the answer; 0 upwards, lower is better; the mean over samples.

    q below ``floor`` counts as ``floor`` (see ``cross_entropy``). Equals ``scipy.stats.entropy(p, q)``.
    """

    name: ClassVar[str] = "kl"
    summary: ClassVar[str] = "Kullback-Leibler divergence of the probabilities given from the true ones"
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    unit: ClassVar[str] = "nats"
    formula: ClassVar[str] = "Σ p log(p / q)"
    reference: ClassVar[str] = "scipy.stats.entropy, torch.nn.functional.kl_div"
    paper: ClassVar[str] = "Kullback and Leibler 1951, On Information and Sufficiency"

    floor: float = float(np.finfo(np.float64).eps)

    def __post_init__(self) -> None:
        self.require(0 <= self.floor < 1, "floor", "a number of at least 0 and below 1")

    def divergence(self, true: FloatArray, given: FloatArray) -> FloatArray:
        return np.asarray(np.maximum(_relative_entropy(true, np.maximum(given, self.floor)), 0.0))


@dataclass(frozen=True, repr=False)
class JensenShannon(DivergenceMetric):
    """[KL(p | m) + KL(q | m)] / 2 with m = (p + q) / 2, in logarithms to ``base``; 0 to 1, lower is better; mean over samples.

    It is the divergence: ``scipy.spatial.distance.jensenshannon`` gives its square root, by default to base e.
    """

    name: ClassVar[str] = "js"
    summary: ClassVar[str] = "Jensen-Shannon divergence of the probabilities given from the true ones"
    formula: ClassVar[str] = "[KL(p | m) + KL(q | m)] / 2, m = (p + q) / 2"
    reference: ClassVar[str] = "scipy.spatial.distance.jensenshannon ** 2"
    paper: ClassVar[str] = "Lin 1991, Divergence Measures Based on the Shannon Entropy"

    base: float = 2.0

    def __post_init__(self) -> None:
        self.require(2 <= self.base < math.inf, "base", "a finite number ≥ 2")

    def divergence(self, true: FloatArray, given: FloatArray) -> FloatArray:
        middle = (true + given) / 2
        nats = (_relative_entropy(true, middle) + _relative_entropy(given, middle)) / 2
        return np.asarray(np.clip(nats / math.log(self.base), 0.0, 1.0))


@dataclass(frozen=True, repr=False)
class Hellinger(DivergenceMetric):
    """sqrt(Σ (√p - √q)² / 2); 0 to 1, lower is better; the mean over samples."""

    name: ClassVar[str] = "hellinger"
    summary: ClassVar[str] = "Hellinger distance of the probabilities given from the true ones"
    formula: ClassVar[str] = "sqrt(Σ (√p - √q)² / 2)"
    reference: ClassVar[str] = "scipy.spatial.distance.euclidean(√p, √q) / √2"
    paper: ClassVar[str] = "Hellinger 1909, Journal für die reine und angewandte Mathematik 136"

    def divergence(self, true: FloatArray, given: FloatArray) -> FloatArray:
        return np.asarray(np.clip(np.sqrt(((np.sqrt(true) - np.sqrt(given)) ** 2).sum(axis=1) / 2), 0.0, 1.0))


def _weighted_logs(weights: FloatArray, values: FloatArray) -> FloatArray:
    """Σ w log v over each row, 0 · log 0 = 0; -infinite where a positive w meets a v of 0."""
    logs = np.log(values, out=np.full_like(values, -np.inf), where=values > 0)
    return np.asarray(np.multiply(weights, logs, out=np.zeros_like(logs), where=weights > 0).sum(axis=1))


def _relative_entropy(true: FloatArray, given: FloatArray) -> FloatArray:
    logs = np.log(true, out=np.zeros_like(true), where=true > 0)
    under = np.log(given, out=np.full_like(given, -np.inf), where=given > 0)
    return np.asarray(np.multiply(true, logs - under, out=np.zeros_like(true), where=true > 0).sum(axis=1))


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────
#
# ``true`` and ``given`` are ``(n, K)`` arrays of probabilities, or one distribution each; the (weighted) mean over rows, NaN
# for no rows. All raise MetricError for other shapes, negative or infinite numbers and rows that do not sum to 1.


def cross_entropy(true: Any, given: Any, *, floor: float = CrossEntropy.floor, sample_weight: Any = None) -> float:
    """Cross-entropy in nats.

    >>> round(cross_entropy([1.0, 0.0], [0.5, 0.5]), 4)
    0.6931
    """
    return CrossEntropy(floor).over(true, given, sample_weight)


def kl(true: Any, given: Any, *, floor: float = 0.0, sample_weight: Any = None) -> float:
    """Kullback-Leibler divergence in nats; infinite where ``given`` has 0 and ``true`` not, unless there is a ``floor``.

    >>> round(kl([0.5, 0.5], [0.25, 0.75]), 4)
    0.1438
    """
    return KullbackLeibler(floor).over(true, given, sample_weight)


def js(true: Any, given: Any, *, base: float = 2.0, sample_weight: Any = None) -> float:
    """Jensen-Shannon divergence.

    >>> js([1.0, 0.0], [0.0, 1.0])
    1.0
    """
    return JensenShannon(base).over(true, given, sample_weight)


def hellinger(true: Any, given: Any, *, sample_weight: Any = None) -> float:
    """Hellinger distance.

    >>> hellinger([1.0, 0.0], [0.0, 1.0])
    1.0
    """
    return Hellinger().over(true, given, sample_weight)
