"""Confidences of answers and whether they came true: the rows of all calibration metrics; sharpness, risk against coverage."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from harness.metrics.curves import curve_table
from harness.metrics.labels import (
    LabelList,
    Weights,
    label_facts,
    last_of_two,
    named_labels,
    positive_code,
    true_label,
    unknown_target,
    with_positive,
)
from harness.metrics.proper import probability_table, sound_probabilities
from harness.metrics.rows import Row, ratio, scores_of
from harness.metrics.scores import Sweep
from harness.protocols import Metric
from harness.types import FloatArray, Label, Output, Sample, Scores, Table


@dataclass(frozen=True, repr=False)
class ConfidenceMetric(Metric):
    """Base: rows are a confidence and whether what it was given to came true (1 or 0).

    With two labels it is the probability of the positive one (``positive``, by default the one that sorts last), with more
    labels that of the label with the highest probability (Guo et al. 2017), unless ``positive`` picks one. Of labels that are
    equally probable it is the answer's own label, else the one that sorts first. The labels are those of the targets, the
    choices, and where the samples do not share these also those that the answers name; of two of which one is called "not" the
    other, that other one is positive. Rows with probabilities outside [0, 1] or a sum that is off by more than 0.01 are
    missing, and where the samples do not share their choices those without one for the target.
    """

    family: ClassVar[str] = "calibration"
    needs: ClassVar[frozenset[str]] = frozenset({"target", "probabilities"})
    columns: ClassVar[tuple[str, ...]] = ("confidence", "came_true")
    higher_is_better: ClassVar[bool | None] = False

    positive: str | None = field(default=None, kw_only=True)
    labels: tuple[str, ...] = field(default=(), repr=False, kw_only=True)
    is_open: bool = field(default=False, repr=False, kw_only=True)

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """A copy that knows the label set. Raises MetricError if ``positive`` is not in it."""
        facts = label_facts(samples)
        prepared = dataclasses.replace(self, labels=with_positive(facts.labels, self.positive), is_open=facts.is_open)
        if self.positive is not None:
            positive_code(prepared, prepared.labels, self.positive)
        return prepared

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: confidence, 1 or 0. Bound to a copy that knows the labels which these answers name."""
        bound = dataclasses.replace(self, labels=named_labels(self.labels, outputs)) if self.is_open else self
        watched = bound.watched()
        scores = scores_of((self._row(s, o, watched) for s, o in zip(samples, outputs, strict=True)), 2)
        return dataclasses.replace(scores, bound=bound if self.is_open else None)

    def watched(self) -> str | None:
        """The label whose probability is the confidence; None: the most probable one."""
        return self.positive or last_of_two(self.labels)

    def _row(self, sample: Sample, output: Output, watched: str | None) -> Row:
        probabilities = sound_probabilities(sample, output, is_open=self.is_open)
        if isinstance(probabilities, str):
            return probabilities
        target = true_label(sample)
        if target is not None and target not in self.labels:
            raise unknown_target(self, target)
        label = watched or top_label(probabilities, output.answer)
        return probabilities.get(label, 0.0), float(label == target)


def top_label(probabilities: Mapping[str, float], answer: Any = None) -> str:
    """The most probable label; of several the answer's own one, else the one that sorts first."""
    best = max(probabilities.values())
    own = answer.label if isinstance(answer, Label) else None
    if own is not None and probabilities.get(own) == best:
        return own
    return min(label for label, p in probabilities.items() if p == best)


@dataclass(frozen=True, repr=False)
class Sharpness(ConfidenceMetric):
    """The variance of the confidences: how far the probabilities are from always saying the same; 0 to 0.25.

    A property of the forecasts alone: higher is better only among forecasts that are calibrated. Undefined for no rows. Which
    probability is the confidence: see ConfidenceMetric.
    """

    name: ClassVar[str] = "sharpness"
    summary: ClassVar[str] = "variance of the confidences"
    columns: ClassVar[tuple[str, ...]] = ("confidence", "square", "rows")
    higher_is_better: ClassVar[bool | None] = None
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, 0.25)
    formula: ClassVar[str] = "mean (p - mean p)²"
    reference: ClassVar[str] = "numpy.var"
    paper: ClassVar[str] = "Murphy 1973; Gneiting et al. 2007, Probabilistic forecasts, calibration and sharpness"

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: confidence, its square, 1."""
        pairs = super().score(samples, outputs, answers)
        confidence = pairs.stats[:, 0]
        stats = np.column_stack([confidence, confidence**2, np.where(np.isnan(confidence), np.nan, 1.0)])
        return dataclasses.replace(pairs, stats=stats)

    def finish(self, totals: FloatArray) -> FloatArray:
        """Mean square less squared mean."""
        mean, square = ratio(totals[..., 0], totals[..., 2]), ratio(totals[..., 1], totals[..., 2])
        return np.clip(square - mean**2, 0.0, 0.25)

    def rows(self, stats: FloatArray) -> FloatArray:
        """One row alone has no variance."""
        return np.full(len(stats), np.nan)


@dataclass(frozen=True, repr=False)
class RiskCoverage(ConfidenceMetric):
    """Risk against coverage: the error rate among the most confident answers; its headline value is the area under it (AURC).

    Confidence is the highest probability of an answer, an error that its label is not the target; ``positive`` is not looked
    at. Answers of equal confidence are kept or dropped together: the area is the mean over the rows of the error rate among
    all answers that are at least as confident. 0 to 1, lower is better; with constant confidence it is the error rate.
    Undefined for no rows. Table ``risk_coverage``: threshold (the lowest confidence kept), coverage, risk.
    """

    name: ClassVar[str] = "risk_coverage"
    summary: ClassVar[str] = "error rate against the share of answers kept; its value is the area under it (AURC)"
    formula: ClassVar[str] = "mean over rows of errors / answers among those at least as confident"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = "El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017, Selective classification for deep networks"
    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {"aurc": {}}

    def watched(self) -> str | None:
        return None

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """The area under each row of weights; sorts once."""
        sweep, areas = Sweep.of(stats[:, 0], stats[:, 1] > 0), np.full(len(weights), np.nan)
        for place, row in enumerate(weights):
            right, wrong = (counts[0] for counts in sweep.counts(row[None, :]))
            kept = right + wrong
            if len(kept) and kept[-1] > 0:
                areas[place] = (np.diff(kept, prepend=0.0) @ ratio(wrong, kept, empty=0.0)) / kept[-1]
        return areas

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """``risk_coverage``: threshold, coverage, risk."""
        sweep = Sweep.of(stats[:, 0], stats[:, 1] > 0)
        right, wrong = (counts[0] for counts in sweep.counts(np.ones((1, len(stats)))))
        kept = right + wrong
        columns = ("threshold", "coverage", "risk")
        return curve_table("risk_coverage", columns, (sweep.thresholds, kept / kept[-1], wrong / kept))


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def sharpness(
    y_true: LabelList, y_proba: Any, *, labels: LabelList | None = None, sample_weight: Weights = None
) -> float:
    """The variance of the confidences; see Sharpness, and ``proper.brier`` for the arguments.

    >>> round(sharpness([0, 1, 1, 0], [0.2, 0.8, 0.8, 0.2]), 12)
    0.09
    """
    stats, weights = confidences("sharpness", y_true, y_proba, labels, sample_weight)
    rows = np.column_stack([stats[:, 0], stats[:, 0] ** 2, np.ones(len(stats))])
    return float(Sharpness().aggregate(rows, weights)[0])


def risk_coverage(y_true: LabelList, y_proba: Any, *, labels: LabelList | None = None, sample_weight: Weights = None) -> float:
    """The area under the risk-coverage curve of the most probable labels; see RiskCoverage.

    >>> risk_coverage([0, 1, 2, 0], [[0.9, 0.1, 0], [0.7, 0.2, 0.1], [0.2, 0.2, 0.6], [0.5, 0.25, 0.25]])
    0.2708333333333333
    """
    stats, weights = confidences("risk_coverage", y_true, y_proba, labels, sample_weight, top=True)
    return float(RiskCoverage().aggregate(stats, weights)[0])


def confidences(
    name: str, y_true: LabelList, y_proba: Any, labels: LabelList | None, weight: Weights, *, top: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Rows ``float64[n, 2]`` (confidence, whether it came true) and weights ``float64[1, n]`` of targets and probabilities: of
    two labels the one that sorts last (unless ``top``), of more the most probable one."""
    codes, table, weights = probability_table(name, y_true, y_proba, labels, weight)
    if table.shape[1] == 2 and not top:
        watched = np.ones(len(table), dtype=np.intp)
    else:
        watched = table.argmax(axis=1) if table.shape[1] else np.zeros(0, dtype=np.intp)
    confidence = table[np.arange(len(table)), watched]
    return np.column_stack([confidence, watched == np.array(codes, dtype=np.intp)]), weights
