"""Does a model's confidence tell inputs that it was made for from others? AUROC, and the false alarms at a fixed recall."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from harness.errors import MetricError
from harness.metrics.groups import checked_groups, group_of, no_group
from harness.metrics.rows import Row, ratio, scores_of, wrong_kind
from harness.protocols import Metric
from harness.types import FloatArray, Label, Number, Output, Sample, Scores


@dataclass(frozen=True, repr=False)
class ConfidenceMetric(Metric):
    """Base of the metrics of confidence: a Number is the confidence itself, of probabilities it is the highest one.

    ``by`` names the slice (or field of the input) that tells where a sample is from, ``ood`` its value for inputs that the
    model was not made for. Rows: confidence, 1 for in-distribution and 0 for others. Undefined unless there are both kinds.
    """

    family: ClassVar[str] = "robustness"
    needs: ClassVar[frozenset[str]] = frozenset({"number|probabilities", "slices"})
    columns: ClassVar[tuple[str, ...]] = ("confidence", "is_in")

    by: str = ""
    ood: str = "ood"

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """The same metric. Raises MetricError if no sample has the slice or field ``by``."""
        checked_groups(self.name, samples, self.by)
        return self

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample."""
        return scores_of((self._row(s, o) for s, o in zip(samples, outputs, strict=True)), 2)

    def why_undefined(self, stats: FloatArray) -> str | None:
        if stats[:, 1].all():
            return f"no sample is {self.ood!r}: say by ood= what the others are called"
        return f"every sample is {self.ood!r}" if not stats[:, 1].any() else None

    def _row(self, sample: Sample, output: Output) -> Row:
        source, answer = group_of(sample, self.by), output.answer
        if source is None:
            return no_group(self.by)
        if isinstance(answer, Label) and answer.probabilities:
            confidence = max(answer.probabilities.values())
        elif isinstance(answer, Number):
            confidence = answer.value
        else:
            return wrong_kind(output, "Number or Label with probabilities")
        return "the confidence is not a number" if np.isnan(confidence) else (confidence, float(source != self.ood))


@dataclass(frozen=True, repr=False)
class OodAuroc(ConfidenceMetric):
    """The chance that an in-distribution input gets a higher confidence than another, ties half; 0.5 is chance, 1 perfect."""

    name: ClassVar[str] = "ood_auroc"
    summary: ClassVar[str] = "AUROC of confidence for telling in-distribution from other inputs"
    formula: ClassVar[str] = "P(c_in > c_ood) + ½ P(c_in = c_ood)"
    reference: ClassVar[str] = "sklearn.metrics.roc_auc_score"
    paper: ClassVar[str] = "Hendrycks and Gimpel 2017, A Baseline for Detecting Misclassified and Out-of-Distribution Examples"

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        inside, outside = _by_score(stats, weights)
        below = np.cumsum(outside, axis=1) - outside
        wins = (inside * (below + outside / 2)).sum(axis=1)
        return ratio(wins, inside.sum(axis=1) * outside.sum(axis=1))


@dataclass(frozen=True, repr=False)
class FprAtTpr(ConfidenceMetric):
    """The share of out-of-distribution inputs that pass the highest threshold which lets 95 % of the others pass.

    0 to 1, lower is better; ``tpr`` is the share of the others. An input passes where its confidence is at least the threshold,
    which is one of the confidences.
    """

    name: ClassVar[str] = "fpr_at_95_tpr"
    summary: ClassVar[str] = "share of out-of-distribution inputs accepted where 95 % of the others are"
    higher_is_better: ClassVar[bool | None] = False
    formula: ClassVar[str] = "P(c_ood ≥ t), t the highest with P(c_in ≥ t) ≥ 0.95"
    reference: ClassVar[str] = "sklearn.metrics.roc_curve, first point with tpr ≥ 0.95"
    paper: ClassVar[str] = "Liang, Li and Srikant 2018, Enhancing the Reliability of Out-of-distribution Image Detection"

    tpr: float = 0.95

    def __post_init__(self) -> None:
        self.require(0 < self.tpr <= 1, "tpr", "above 0 and at most 1")

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        inside, outside = (found[:, ::-1] for found in _by_score(stats, weights))
        passed, alarms = np.cumsum(inside, axis=1), np.cumsum(outside, axis=1)
        all_in, all_out = inside.sum(axis=1), outside.sum(axis=1)
        if not passed.shape[1]:
            return np.full(len(weights), np.nan)
        at = np.argmax(passed >= (self.tpr * all_in)[:, None] - 1e-9, axis=1)
        found = ratio(np.take_along_axis(alarms, at[:, None], axis=1)[:, 0], all_out)
        return np.where(all_in > 0, found, np.nan)


def ood_auroc(inside: Sequence[float], outside: Sequence[float]) -> float:
    """AUROC of confidences on in-distribution inputs against those on others; NaN unless there are both.

    >>> ood_auroc([0.9, 0.8, 0.4], [0.5, 0.3])
    0.8333333333333334
    """
    return _evaluate(OodAuroc(), inside, outside)


def fpr_at_95_tpr(inside: Sequence[float], outside: Sequence[float], *, tpr: float = 0.95) -> float:
    """The share of ``outside`` that pass where a share ``tpr`` of ``inside`` does; NaN unless there are both.

    >>> fpr_at_95_tpr([0.9, 0.8, 0.4], [0.5, 0.3])
    0.5
    """
    return _evaluate(FprAtTpr(tpr=tpr), inside, outside)


def _evaluate(metric: ConfidenceMetric, inside: Sequence[float], outside: Sequence[float]) -> float:
    scores = np.concatenate([np.asarray(inside, dtype=np.float64), np.asarray(outside, dtype=np.float64)])
    if np.isnan(scores).any():
        raise MetricError(f"{metric.name}: confidences must be numbers, got NaN")
    stats = np.column_stack([scores, np.r_[np.ones(len(inside)), np.zeros(len(outside))]])
    return float(metric.aggregate(stats, np.ones((1, len(stats))))[0])


def _by_score(stats: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weights of the in-distribution and of the other rows at each different confidence, ascending: ``float64[B, m]`` each."""
    values, at = np.unique(stats[:, 0], return_inverse=True)
    places = np.zeros((len(stats), len(values))) if len(stats) * len(values) <= 4_000_000 else None
    if places is not None:
        places[np.arange(len(stats)), at] = 1.0
        return (weights * stats[:, 1]) @ places, (weights * (1 - stats[:, 1])) @ places
    inside = [np.bincount(at, row * stats[:, 1], len(values)) for row in weights]
    outside = [np.bincount(at, row * (1 - stats[:, 1]), len(values)) for row in weights]
    return np.array(inside, dtype=np.float64), np.array(outside, dtype=np.float64)
