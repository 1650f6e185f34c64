"""Proper scores of probabilities: logarithmic loss and Brier score; which probabilities can be scored at all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from harness.errors import MetricError
from harness.metrics.labels import LabelList, Weights, checked_weights, known_labels, label_facts, named_labels, true_label
from harness.metrics.rows import Row, ratio, scores_of, wrong_kind
from harness.metrics.scores import score_table
from harness.protocols import Metric
from harness.types import FloatArray, Label, Output, Sample, Scores

EPSILON = float(np.finfo(np.float64).eps)
"""Probabilities are clipped to [EPSILON, 1 - EPSILON] before their logarithm, as scikit-learn clips those in float64."""

SUM_TOLERANCE = 0.01
"""By how much the probabilities of an answer may miss 1."""


@dataclass(frozen=True, repr=False)
class LogLoss(Metric):
    """The mean of -ln p(target) in nats (binary and categorical cross-entropy); lower is better, 0 at best; undefined for no
    rows.

    Equals ``sklearn.metrics.log_loss``: probabilities are clipped to [ε, 1 - ε] with ε = 2.2e-16, so that a row costs at most
    36.04, and are not normalised. A target that the answer gives no probability has 0 where all samples share their choices;
    where they do not, nothing says what it has, and the row is missing. So are rows with probabilities outside [0, 1] or a sum
    that is off by more than 0.01.
    """

    name: ClassVar[str] = "log_loss"
    version: ClassVar[int] = 2
    family: ClassVar[str] = "classification"
    summary: ClassVar[str] = "mean negative log-probability of the target label"
    needs: ClassVar[frozenset[str]] = frozenset({"target", "probabilities"})
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    unit: ClassVar[str] = "nats"
    columns: ClassVar[tuple[str, ...]] = ("loss", "rows")
    formula: ClassVar[str] = "-mean ln p(target)"
    reference: ClassVar[str] = "sklearn.metrics.log_loss"
    paper: ClassVar[str] = "Good 1952, Rational decisions"

    is_open: bool = field(default=False, repr=False, kw_only=True)

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """A copy that knows whether the samples share their choices."""
        return replace(self, is_open=label_facts(samples).is_open)

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: loss, 1."""
        return scores_of((self._row(s, o) for s, o in zip(samples, outputs, strict=True)), 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """Summed loss over rows."""
        return ratio(totals[..., 0], totals[..., 1])

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray]:
        """Probability 0 and probability 1, clipped."""
        return np.array([_loss(0.0), 1.0]), np.array([_loss(1.0), 1.0])

    def _row(self, sample: Sample, output: Output) -> Row:
        target, probabilities = true_label(sample), sound_probabilities(sample, output, is_open=self.is_open)
        if isinstance(probabilities, str) or target is None:
            return str(probabilities)
        return _loss(probabilities.get(target, 0.0)), 1.0


def _loss(probability: float) -> float:
    return -math.log(min(max(probability, EPSILON), 1 - EPSILON))


@dataclass(frozen=True, repr=False)
class Brier(Metric):
    """The mean squared difference between the probabilities and what happened; lower is better, 0 at best; undefined for no
    rows.

    The sum over the labels of (p - [label is the target])². Two labels would both give the same square, so that theirs is
    halved, as ``sklearn.metrics.brier_score_loss`` has it (``scale_by_half="auto"``): then it is (p - y)² of the positive
    label, at most 1; with more labels it is at most 2. ``half`` true or false overrides that. The labels are those of the
    targets, the choices, and where the samples do not share these also those that the answers name. A label that the answer
    gives no probability has 0; see LogLoss for a target of that kind. Rows with probabilities outside [0, 1] or a sum that is
    off by more than 0.01 are missing.
    """

    name: ClassVar[str] = "brier"
    family: ClassVar[str] = "classification"
    summary: ClassVar[str] = "mean squared error of the probabilities"
    needs: ClassVar[frozenset[str]] = frozenset({"target", "probabilities"})
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, 2.0)
    columns: ClassVar[tuple[str, ...]] = ("squares", "rows")
    formula: ClassVar[str] = "mean Σ (p(label) - [label = target])², halved for two labels"
    reference: ClassVar[str] = "sklearn.metrics.brier_score_loss"
    paper: ClassVar[str] = "Brier 1950, Verification of forecasts expressed in terms of probability"

    half: bool | None = None
    labels: tuple[str, ...] = field(default=(), repr=False, kw_only=True)
    is_open: bool = field(default=False, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bounds", (0.0, 2 * self._scale()))

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """A copy that knows the label set."""
        facts = label_facts(samples)
        return replace(self, labels=facts.labels, is_open=facts.is_open)

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: sum of squares, 1. Bound to a copy that knows the labels which these answers name."""
        scores = scores_of((self._row(s, o) for s, o in zip(samples, outputs, strict=True)), 2)
        if not self.is_open:
            return scores
        return replace(scores, bound=replace(self, labels=named_labels(self.labels, outputs)))

    def finish(self, totals: FloatArray) -> FloatArray:
        """Summed squares over rows, halved for two labels."""
        return ratio(totals[..., 0], totals[..., 1]) * self._scale()

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray]:
        """All on a wrong label, all on the target."""
        return np.array([2.0, 1.0]), np.array([0.0, 1.0])

    def _scale(self) -> float:
        return 0.5 if self.half or (self.half is None and len(self.labels) <= 2) else 1.0

    def _row(self, sample: Sample, output: Output) -> Row:
        target, probabilities = true_label(sample), sound_probabilities(sample, output, is_open=self.is_open)
        if isinstance(probabilities, str) or target is None:
            return str(probabilities)
        squares = math.fsum((p - (label == target)) ** 2 for label, p in probabilities.items())
        return squares + (target not in probabilities), 1.0


def sound_probabilities(sample: Sample, output: Output, *, is_open: bool = False) -> Mapping[str, float] | str:
    """The probabilities of an answer, or why they cannot be scored: each must be in [0, 1], their sum 1 ± 0.01, and in an open
    label set the target must be among them."""
    if sample.target is None:
        return "the sample has no target"
    if not isinstance(output.answer, Label):
        return wrong_kind(output, "Label")
    probabilities = output.answer.probabilities
    if not probabilities:
        return "the answer has no probabilities"
    if not all(0 <= p <= 1 for p in probabilities.values()):
        return "a probability is not between 0 and 1"
    if abs(math.fsum(probabilities.values()) - 1) > SUM_TOLERANCE:
        return "the probabilities do not sum to 1"
    if is_open and true_label(sample) not in probabilities:
        return f"no probability for its label {true_label(sample)!r}"
    return probabilities


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def log_loss(
    y_true: LabelList, y_proba: Any, *, labels: LabelList | None = None, sample_weight: Weights = None
) -> float:
    """The mean of -ln p(target); see LogLoss. NaN for no rows. Arguments as of :func:`brier`.

    >>> round(log_loss(["spam", "ham", "ham", "spam"], [[.1, .9], [.9, .1], [.8, .2], [.35, .65]]), 5)
    0.21616
    """
    codes, table, weights = probability_table("log_loss", y_true, y_proba, labels, sample_weight)
    losses = [_loss(row[code]) for row, code in zip(table.tolist(), codes)]
    return float(ratio(weights @ np.array(losses), weights.sum(axis=1))[0])


def brier(
    y_true: LabelList, y_proba: Any, *, half: bool | None = None, labels: LabelList | None = None, sample_weight: Weights = None
) -> float:
    """The mean squared error of the probabilities; see Brier. NaN for no rows.

    ``y_proba`` holds the probabilities of the label that sorts last, ``(n,)``, or a column for each of the sorted labels,
    ``(n, K)``; ``labels`` is the label set, by default what occurs among the targets.

    >>> brier([0, 1, 1, 0], [0.25, 0.75, 1.0, 0.5])
    0.09375

    Raises MetricError for shapes that do not fit and for probabilities outside [0, 1] or that do not sum to 1 ± 0.01.
    """
    codes, table, weights = probability_table("brier", y_true, y_proba, labels, sample_weight)
    squares = ((table - np.eye(table.shape[1])[codes]) ** 2).sum(axis=1)
    scale = Brier(half, labels=tuple(map(str, range(table.shape[1]))))._scale()
    return float(ratio(weights @ squares, weights.sum(axis=1))[0]) * scale


def probability_table(
    name: str, y_true: LabelList, y_proba: Any, labels: LabelList | None, weight: Weights
) -> tuple[list[int], FloatArray, FloatArray]:
    """Codes of the targets, a column of probabilities a label, weights of the rows."""
    weights = checked_weights(name, y_true, y_proba, weight)
    known = known_labels(name, y_true, (), labels)
    table = score_table(name, y_proba, len(known), len(y_true))
    if not ((table >= 0) & (table <= 1)).all():
        raise MetricError(f"{name}: probabilities must be between 0 and 1")
    if len(known) > 1 and (np.abs(table.sum(axis=1) - 1) > SUM_TOLERANCE).any():
        raise MetricError(f"{name}: probabilities must sum to 1 in every row")
    code = {label: number for number, label in enumerate(known)}
    return [code[target] for target in y_true], table, weights
