"""Metrics of calibrated probabilities and of decisions at a chosen threshold, where neither is made on the samples measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from harness.errors import MetricError, did_you_mean
from harness.metrics.calibrators import Isotonic, Platt, Temperature
from harness.metrics.crossfit import Applied, CrossFitted, Rows, fold_values
from harness.metrics.probabilities import RocAuc
from harness.metrics.scores import ScoreMetric
from harness.metrics.thresholds import BestThreshold
from harness.protocols import Metric
from harness.types import FloatArray, Label

By = Literal["platt", "isotonic", "temperature"]
On = Literal["score", "logit"]
_SMALLEST = 1e-15
"""Probabilities are kept this far from 0 and 1 before their logarithms are taken."""


@dataclass(frozen=True, repr=False)
class Calibrated(CrossFitted):
    """A metric of probabilities (or of labels) after calibration that never saw the sample: ``calibrated(ece)``,
    ``calibrated(brier,by=isotonic)``, ``calibrated(log_loss,by=temperature,chosen_on="split=dev")``.

    ``by``: ``platt`` and ``isotonic`` take the score of the label that sorts last, of more labels each against the rest;
    ``temperature`` takes logits. ``on=logit`` hands Platt's and isotonic regression the logits too. The label that an answer
    has afterwards is that of the highest calibrated probability, of equal ones the first. Each part of the samples is measured
    under the calibrator that was fitted on the others, by default 5 folds, by group where samples have groups; see CrossFitted
    for ``folds``, ``repeats``, ``seed`` and ``chosen_on``. Table ``fitted``: the parameters for each part.

    Undefined, with the reason, where the answers to the other samples are of one class; scores that are no probabilities are
    missing where logits are wanted. Equals ``sklearn.calibration.CalibratedClassifierCV`` fitted on each training part.
    """

    name: ClassVar[str] = "calibrated"
    summary: ClassVar[str] = "a metric of probabilities that were calibrated on other samples"
    formula: ClassVar[str] = "metric(c₋ₖ(score) for the samples of fold k), c₋ₖ fitted on the other folds"
    example: ClassVar[str] = "calibrated(brier)"
    reference: ClassVar[str] = "sklearn CalibratedClassifierCV(FrozenEstimator) on each training part, hand-worked folds"
    paper: ClassVar[str] = "Platt 1999; Stone 1974, Cross-validatory choice and assessment of statistical predictions"

    by: By = "platt"
    on: On = "score"

    def __post_init__(self) -> None:
        self.require(self.by in _CALIBRATORS, "by", f"one of {', '.join(_CALIBRATORS)}")
        self.require(self.on in ("score", "logit"), "on", "one of score, logit")
        super().__post_init__()

    def made(self) -> frozenset[str]:
        return frozenset({"label", "probabilities"})

    def reading(self) -> ScoreMetric:
        return RocAuc()

    def fitted(self, rows: Rows) -> Applied:
        """The calibrator on the scores (or logits) of these rows."""
        calibrator: Any = _CALIBRATORS[self.by]().fit(self._inputs(rows.scores), rows.codes)

        def apply(scores: FloatArray) -> list[Label]:
            probabilities = calibrator.apply(self._inputs(scores))
            table = np.column_stack([1 - probabilities, probabilities]) if probabilities.ndim == 1 else probabilities
            best = table.argmax(axis=1).tolist()
            return [Label(rows.labels[code], dict(zip(rows.labels, row))) for code, row in zip(best, table.tolist())]

        return apply, _parameters(calibrator)

    def fault(self, scores: FloatArray) -> str | None:
        is_score = self.on == "score" and self.by != "temperature"
        return None if is_score or ((scores >= 0) & (scores <= 1)).all() else "its scores are no probabilities"

    def _inputs(self, scores: FloatArray) -> FloatArray:
        """What the calibrator takes: ``float64[n]`` of two labels, ``float64[n, K]`` of more."""
        if self.on == "score" and self.by != "temperature":
            return scores[:, 0] if scores.shape[1] == 1 else scores
        kept = np.clip(scores, _SMALLEST, 1 - _SMALLEST)
        return np.log(kept[:, 0]) - np.log1p(-kept[:, 0]) if kept.shape[1] == 1 else np.log(kept)


_CALIBRATORS: dict[By, Callable[[], Any]] = {"platt": Platt, "isotonic": Isotonic, "temperature": Temperature}


def _parameters(calibrator: Any) -> str:
    """What was found, in words."""
    if isinstance(calibrator, Platt):
        return "; ".join(f"A {a:.6g}, B {b:.6g}" for a, b in calibrator.coefficients)
    return f"T {calibrator.value:.6g}" if isinstance(calibrator, Temperature) else "a step function"


@dataclass(frozen=True, repr=False)
class Thresholded(CrossFitted):
    """A metric of labels where the label follows from a threshold of the score that was chosen on other samples:
    ``thresholded(f1)``, ``thresholded(accuracy,chosen_by=cost(matrix=[[0,1],[5,0]]))``,
    ``thresholded(f1,chosen_on="split=dev")``.

    Two labels; an answer is ``positive`` (by default the label that sorts last) if its score is the threshold or more. The
    threshold is the one at which ``chosen_by`` (by default the metric itself) is best on the other samples, of several best
    ones the highest; see BestThreshold. Each part of the samples is measured under the threshold of the others, by default 5
    folds, by group where samples have groups; see CrossFitted for ``folds``, ``repeats``, ``seed`` and ``chosen_on``. Table
    ``fitted``: the threshold for each part.

    A threshold that is chosen on the samples it is measured on flatters: this is what it is worth on new ones. Undefined, with
    the reason, where the answers to the other samples are of one class.
    """

    name: ClassVar[str] = "thresholded"
    summary: ClassVar[str] = "a metric of labels at a threshold of the score that was chosen on other samples"
    formula: ClassVar[str] = "metric(score ≥ t₋ₖ for the samples of fold k), t₋ₖ best on the other folds"
    example: ClassVar[str] = "thresholded(f1)"
    reference: ClassVar[str] = "brute force over thresholds on each training part, hand-worked folds"
    paper: ClassVar[str] = "Stone 1974, Cross-validatory choice and assessment of statistical predictions"

    chosen_by: Metric | None = None
    positive: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        chosen, what = self._chosen_by(), "metric" if self.chosen_by is None else "chosen_by"
        is_one = chosen.needs <= {"target", "label"} and chosen.higher_is_better is not None
        self.require(is_one, what, "a metric of target and label that has a better direction" +
                     ("" if what == "chosen_by" else "; another one can be given as chosen_by"))  # fmt: skip

    def made(self) -> frozenset[str]:
        return frozenset({"label"})

    def reading(self) -> ScoreMetric:
        return BestThreshold(self._chosen_by(), positive=self.positive)

    def check_labels(self, labels: Sequence[str]) -> None:
        if labels and len(labels) != 2:
            raise MetricError(f"{self.name}: the targets and choices must be of two labels, got {len(labels)}")
        if labels and self.positive is not None and self.positive not in labels:
            raise MetricError(f"{self.name}: positive must be one of the labels, got {self.positive!r}"
                              f"{did_you_mean(self.positive, labels)}")

    def fitted(self, rows: Rows) -> Applied:
        """The threshold that is best on these rows."""
        stats = np.column_stack([rows.codes, rows.scores])
        threshold = float(self.reader.aggregate(stats, np.ones((1, len(stats))))[0])
        positive = rows.labels[self.reader.scored()[0]]
        negative = next(label for label in rows.labels if label != positive)

        def apply(scores: FloatArray) -> list[Label]:
            return [Label(positive if score >= threshold else negative) for score in scores[:, 0].tolist()]

        return apply, f"threshold {threshold!r}"

    def _chosen_by(self) -> Metric:
        return self.metric if self.chosen_by is None else self.chosen_by


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def calibrated(
    metric: Metric, y_true: Sequence[Any], y_score: Any, *, by: By = "platt", on: On = "score", folds: int = 5,
    repeats: int = 1, seed: int = 0, groups: Sequence[Any] | None = None,
) -> float:
    """A metric of probabilities that were calibrated on the other folds; see Calibrated.

    ``y_score`` are scores of the label that sorts last, ``(n,)``, or of all sorted labels, ``(n, K)``; no two folds share one
    of ``groups``.

    >>> from harness.metrics.proper import Brier
    >>> round(calibrated(Brier(), [0, 1] * 20, [0.2, 0.8] * 20), 3)
    0.003

    Raises MetricError for lists of different lengths and for folds that cannot be made.
    """
    return fold_values(Calibrated(metric, by, on, folds=folds, repeats=repeats, seed=seed), y_true, y_score, groups)


def thresholded(
    metric: Metric, y_true: Sequence[Any], y_score: Any, *, chosen_by: Metric | None = None, folds: int = 5,
    repeats: int = 1, seed: int = 0, groups: Sequence[Any] | None = None,
) -> float:
    """A metric of labels at the threshold that is best on the other folds; see Thresholded.

    >>> from harness.metrics.averaged import F1
    >>> thresholded(F1("binary"), [0, 1] * 20, [0.2, 0.8] * 20)
    1.0

    Raises MetricError for lists of different lengths and for folds that cannot be made.
    """
    whole = Thresholded(metric, chosen_by, folds=folds, repeats=repeats, seed=seed)
    return fold_values(whole, y_true, y_score, groups)
