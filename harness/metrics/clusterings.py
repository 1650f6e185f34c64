"""How well predicted clusters agree with classes: V-measure, adjusted Rand index, normalised mutual information."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from harness.errors import MetricError
from harness.metrics.kmeans import Codes, k_means
from harness.metrics.labels import true_label
from harness.metrics.pooled import PooledMetric
from harness.metrics.tokenize import IntArray
from harness.metrics.vectors import gathered, stacked
from harness.types import FloatArray, Label, Output, Sample, Vectors

Mean = Literal["arithmetic", "geometric", "min", "max"]


@dataclass(frozen=True, repr=False)
class AgreementMetric(PooledMetric):
    """Base: classes that targets name against the labels that were answered, or against a k-means of the vectors answered.

    k is the number of classes then, and all vectors are clustered once: slices and intervals are of that clustering. An
    answer with none of the labels is a cluster of its own kind. A subclass gives :meth:`of_codes`.
    """

    family: ClassVar[str] = "embeddings"
    needs: ClassVar[frozenset[str]] = frozenset({"target", "label|vectors"})

    seed: int = 0

    def gather(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[Any, Mapping[int, str]]:
        """``int64[m]`` classes and ``int64[m]`` clusters."""
        targets = [true_label(sample) for sample in samples]
        missing = {row: "the sample has no target" for row, target in enumerate(targets) if target is None}
        there = [row for row in range(len(outputs)) if row not in missing]
        if any(isinstance(outputs[row].answer, Vectors) for row in there):
            vectors, reasons = gathered([outputs[row] for row in there])
            missing.update({there[index]: reason for index, reason in reasons.items()})
            classes = codes_of([targets[there[index]] for index in vectors])
            k = int(classes.max(initial=-1)) + 1
            clusters = k_means(stacked(vectors), k, seed=self.seed).labels if k else classes
            return (classes, clusters), missing
        for row in there:
            if not isinstance(outputs[row].answer, Label):
                missing[row] = f"the answer is {type(outputs[row].answer).__name__}, not Label or Vectors"
        kept = [row for row in there if row not in missing]
        return (codes_of([targets[row] for row in kept]), codes_of([_label(outputs[row]) for row in kept])), missing

    def of_rows(self, rows: IntArray) -> float:
        classes, clusters = self.pool
        return self.of_codes(classes[rows], clusters[rows])

    def of_codes(self, classes: Codes, clusters: Codes) -> float:
        """The value; NaN for no rows."""
        raise NotImplementedError(f"{type(self).__name__}.of_codes")

    def over(self, y_true: Sequence[Hashable], y_pred: Sequence[Hashable]) -> float:
        """The metric over two lists of labels."""
        if len(y_true) != len(y_pred):
            raise MetricError(f"{self.name}: classes and clusters must be equally many, got {len(y_true)} and {len(y_pred)}")
        return self.of_codes(codes_of(y_true), codes_of(y_pred))


def _label(output: Output) -> str | None:
    assert isinstance(output.answer, Label)
    return output.answer.label


def codes_of(labels: Sequence[Hashable]) -> Codes:
    """A number 0.. for each different label, ``int64[n]``."""
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    return np.array([numbers[label] for label in labels], dtype=np.int64)


@dataclass(frozen=True, repr=False)
class VMeasure(AgreementMetric):
    """(1 + β) · h · c / (β · h + c): homogeneity h = 1 - H(class | cluster) / H(class), completeness c the other way round.

    0 to 1, higher is better, whatever the clusters are called. As in ``sklearn.metrics.v_measure_score``, h is 1 where there is
    one class and c is 1 where there is one cluster; undefined for no rows (there 1).
    """

    name: ClassVar[str] = "v_measure"
    summary: ClassVar[str] = "harmonic mean of homogeneity and completeness of clusters"
    formula: ClassVar[str] = "(1 + β) h c / (β h + c)"
    reference: ClassVar[str] = "sklearn.metrics.v_measure_score"
    paper: ClassVar[str] = "Rosenberg and Hirschberg 2007, V-Measure, EMNLP"

    beta: float = 1.0

    def __post_init__(self) -> None:
        self.require(self.beta > 0, "beta", "a number > 0")

    def of_codes(self, classes: Codes, clusters: Codes) -> float:
        if not len(classes):
            return float("nan")
        mutual, of_class, of_cluster = _information(classes, clusters)
        homogeneity = mutual / of_class if of_class > 0 else 1.0
        completeness = mutual / of_cluster if of_cluster > 0 else 1.0
        if homogeneity + completeness == 0:
            return 0.0
        return (1 + self.beta) * homogeneity * completeness / (self.beta * homogeneity + completeness)


@dataclass(frozen=True, repr=False)
class NormalizedMutualInformation(AgreementMetric):
    """Mutual information of classes and clusters over a mean (``average``) of their entropies; 0 to 1, higher is better.

    As in ``sklearn.metrics.normalized_mutual_info_score``: 1 for one class and one cluster, 0 without any information.
    Undefined for no rows (there 1).
    """

    name: ClassVar[str] = "nmi"
    summary: ClassVar[str] = "mutual information of classes and clusters over the mean of their entropies"
    formula: ClassVar[str] = "I(class; cluster) / mean(H(class), H(cluster))"
    reference: ClassVar[str] = "sklearn.metrics.normalized_mutual_info_score"
    paper: ClassVar[str] = "Vinh, Epps and Bailey 2010, Journal of Machine Learning Research 11"

    average: Mean = "arithmetic"

    def __post_init__(self) -> None:
        self.require(self.average in ("arithmetic", "geometric", "min", "max"), "average",
                     "one of arithmetic, geometric, min, max")  # fmt: skip

    def of_codes(self, classes: Codes, clusters: Codes) -> float:
        if not len(classes):
            return float("nan")
        mutual, *entropies = _information(classes, clusters)
        if max(entropies) == 0:
            return 1.0
        if mutual <= np.finfo(np.float64).eps:
            return 0.0
        means = {"arithmetic": sum(entropies) / 2, "geometric": float(np.sqrt(entropies[0] * entropies[1])),
                 "min": min(entropies), "max": max(entropies)}  # fmt: skip
        return min(mutual / means[self.average], 1.0)


@dataclass(frozen=True, repr=False)
class AdjustedRand(AgreementMetric):
    """Share of pairs of samples that classes and clusters treat alike, less what chance gives; -0.5 to 1, higher is better.

    0 for clusters by chance, 1 for the same partition (also where both have one group, or a group a sample, as in
    ``sklearn.metrics.adjusted_rand_score``). Undefined for no rows (there 1).
    """

    name: ClassVar[str] = "ari"
    summary: ClassVar[str] = "adjusted Rand index of clusters against classes"
    bounds: ClassVar[tuple[float | None, float | None]] = (-0.5, 1.0)
    formula: ClassVar[str] = "(RI - E[RI]) / (max RI - E[RI])"
    reference: ClassVar[str] = "sklearn.metrics.adjusted_rand_score"
    paper: ClassVar[str] = "Hubert and Arabie 1985, Comparing Partitions, Journal of Classification 2"

    def of_codes(self, classes: Codes, clusters: Codes) -> float:
        n = len(classes)
        if not n:
            return float("nan")
        together, of_class, of_cluster = (_squares(counts) for counts in _counts(classes, clusters))
        both, only_class, only_cluster = together - n, of_class - together, of_cluster - together
        neither = n * n - of_class - of_cluster + together
        if only_class == only_cluster == 0:
            return 1.0
        chance = (both + only_class) * (only_class + neither) + (both + only_cluster) * (only_cluster + neither)
        return 2 * (both * neither - only_class * only_cluster) / chance


def _squares(counts: Codes) -> int:
    return sum(count * count for count in counts.tolist())


def _counts(classes: Codes, clusters: Codes) -> tuple[Codes, Codes, Codes]:
    """Rows of each pair of class and cluster, of each class, of each cluster; groups without a row are left out."""
    pairs = classes * (int(clusters.max()) + 1) + clusters
    both, of_class, of_cluster = (np.unique(codes, return_counts=True)[1] for codes in (pairs, classes, clusters))
    return both, of_class, of_cluster


def _information(classes: Codes, clusters: Codes) -> tuple[float, float, float]:
    """Mutual information and the two entropies, in nats."""
    both, of_class, of_cluster = (_entropy(counts / len(classes)) for counts in _counts(classes, clusters))
    return max(of_class + of_cluster - both, 0.0), of_class, of_cluster


def _entropy(shares: FloatArray) -> float:
    return 0.0 if len(shares) == 1 else float(-(shares * np.log(shares)).sum())


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────
#
# Two equally long lists of labels (anything hashable); NaN for empty ones. All raise MetricError for different lengths.


def v_measure(y_true: Sequence[Hashable], y_pred: Sequence[Hashable], *, beta: float = 1.0) -> float:
    """V-measure.

    >>> round(v_measure("aabb", "xxyz"), 4)
    0.8
    """
    return VMeasure(beta=beta).over(y_true, y_pred)


def nmi(y_true: Sequence[Hashable], y_pred: Sequence[Hashable], *, average: Mean = "arithmetic") -> float:
    """Normalised mutual information.

    >>> round(nmi("aabb", "xxyz"), 4)
    0.8
    """
    return NormalizedMutualInformation(average=average).over(y_true, y_pred)


def ari(y_true: Sequence[Hashable], y_pred: Sequence[Hashable]) -> float:
    """Adjusted Rand index.

    >>> round(ari("aabb", "xxyz"), 4)
    0.5714
    """
    return AdjustedRand().over(y_true, y_pred)
