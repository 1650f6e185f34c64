"""Metrics of single answers that need no label set: accuracy, by length-normalised log-likelihood, among the k best, margins.

The choices may differ from sample to sample. What follows from class counts is in ``confusion``, what needs scores in
``scores``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from harness.errors import MetricError
from harness.metrics.labels import LabelList, Weights, is_several, known_labels, number_array, true_label, true_labels
from harness.metrics.labels import checked_weights as checked_weights
from harness.metrics.labels import label_set as label_set
from harness.metrics.rows import Row, ratio, scores_of, wrong_kind
from harness.protocols import Metric
from harness.types import FloatArray, Key, Label, Labels, Output, Sample, Scores

# ── accuracy ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, repr=False)
class HitMetric(Metric):
    """The share of rows that are hits; 0 to 1, higher is better; undefined for no rows."""

    family: ClassVar[str] = "classification"
    interval = "wilson"
    columns: ClassVar[tuple[str, ...]] = ("hits", "rows")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: hit (0 or 1), 1."""
        return scores_of((self.row(s, o) for s, o in zip(samples, outputs, strict=True)), 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """Hits over rows."""
        return ratio(totals[..., 0], totals[..., 1])

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray]:
        """A miss and a hit."""
        return np.array([0.0, 1.0]), np.array([1.0, 1.0])

    def row(self, sample: Sample, output: Output) -> Row:
        """Hit (0 or 1) and 1, or why there is neither."""
        raise NotImplementedError(f"{type(self).__name__}.row")


@dataclass(frozen=True, repr=False)
class Accuracy(HitMetric):
    """The share of answers whose label is the target; 0 to 1, higher is better; undefined for no rows.

    An answer with none of the labels is wrong. Where the target is a list of labels (multi-label), the answer's labels must be
    exactly these, in any order. Equals ``sklearn.metrics.accuracy_score``.
    """

    name: ClassVar[str] = "accuracy"
    summary: ClassVar[str] = "share of answers that are the target label"
    formula: ClassVar[str] = "hits / rows"
    reference: ClassVar[str] = "sklearn.metrics.accuracy_score"
    needs: ClassVar[frozenset[str]] = frozenset({"target", "label"})
    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {"acc": {}}

    def row(self, sample: Sample, output: Output) -> Row:
        if sample.target is None:
            return "the sample has no target"
        if isinstance(output.answer, Labels):
            return float(true_labels(sample) == frozenset(output.answer.labels)), 1.0
        if not isinstance(output.answer, Label):
            return wrong_kind(output, "Label")
        if is_several(sample.target):
            return wrong_kind(output, "Labels")
        return float(output.answer.label == true_label(sample)), 1.0


@dataclass(frozen=True, repr=False)
class AccNorm(HitMetric):
    """The share of samples whose target is the choice with the highest log-probability per character of its text.

    As lm-eval defines it: the length is ``len(choice)``, without the delimiter that joins it to the prompt; of equal choices
    the first wins. 0 to 1, higher is better; undefined for no rows. Rows without finite log-probabilities for all choices, and
    rows with an empty choice, are missing.
    """

    name: ClassVar[str] = "acc_norm"
    summary: ClassVar[str] = "accuracy of the choice with the highest log-probability per character"
    needs: ClassVar[frozenset[str]] = frozenset({"target", "choices", "logprobs"})
    formula: ClassVar[str] = "share of rows whose target is argmax log p(choice) / len(choice)"
    reference: ClassVar[str] = "lm-eval's acc_norm"

    def row(self, sample: Sample, output: Output) -> Row:
        target = true_label(sample)
        logprobs = _choice_logprobs(sample, output)
        if isinstance(logprobs, str):
            return logprobs
        if not all(sample.choices):
            return "a choice is empty"
        per_character = [logprob / len(choice) for logprob, choice in zip(logprobs, sample.choices)]
        return float(sample.choices[per_character.index(max(per_character))] == target), 1.0


@dataclass(frozen=True, repr=False)
class TopKAccuracy(HitMetric):
    """The share of rows whose target is among the ``k`` labels with the highest probabilities; 0 to 1, higher is better.

    Of labels with equal probabilities those that sort last come first, as in ``sklearn.metrics.top_k_accuracy_score``; a target
    without a probability has 0, and so has every label that the answer does not name. Undefined for no rows; rows without
    finite probabilities are missing.
    """

    name: ClassVar[str] = "top_k_accuracy"
    paper: ClassVar[str] = "Russakovsky et al. 2015, ImageNet Large Scale Visual Recognition Challenge"
    summary: ClassVar[str] = "share of answers with the target among the k most probable labels"
    needs: ClassVar[frozenset[str]] = frozenset({"target", "probabilities"})
    formula: ClassVar[str] = "share of rows with rank of the target ≤ k"
    reference: ClassVar[str] = "sklearn.metrics.top_k_accuracy_score"

    k: int = 2

    def __post_init__(self) -> None:
        self.require(self.k >= 1, "k", "a positive integer")

    def row(self, sample: Sample, output: Output) -> Row:
        target = true_label(sample)
        if target is None:
            return "the sample has no target"
        if not isinstance(output.answer, Label):
            return wrong_kind(output, "Label")
        probabilities = output.answer.probabilities
        if not probabilities:
            return "the answer has no probabilities"
        if not all(map(math.isfinite, probabilities.values())):
            return "a probability is not finite"
        if target not in probabilities and all(p > 0 for p in probabilities.values()):
            return float(len(probabilities) < self.k), 1.0
        own = (probabilities.get(target, 0.0), target)
        return float(sum((p, label) > own for label, p in probabilities.items()) < self.k), 1.0


@dataclass(frozen=True, repr=False)
class ChoiceMargin(Metric):
    """How much more likely the target is than the best other choice, in nats; higher is better, above 0 where the target wins.

    The mean of log p(target) - max log p(other choice). ``per=character`` divides each log-probability by the characters of its
    choice first, as ``acc_norm`` does. Undefined for no rows; rows without finite log-probabilities for all choices, with one
    choice, or whose target is none of them are missing.
    """

    name: ClassVar[str] = "choice_margin"
    family: ClassVar[str] = "classification"
    summary: ClassVar[str] = "log-probability of the target choice above the best other one"
    needs: ClassVar[frozenset[str]] = frozenset({"target", "choices", "logprobs"})
    bounds: ClassVar[tuple[float | None, float | None]] = (None, None)
    unit: ClassVar[str] = "nats"
    columns: ClassVar[tuple[str, ...]] = ("margin", "rows")
    formula: ClassVar[str] = "mean of log p(target) - max log p(other)"
    reference: ClassVar[str] = "hand-worked"

    per: Literal["choice", "character"] = "choice"

    def __post_init__(self) -> None:
        self.require(self.per in ("choice", "character"), "per", "one of choice, character")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: margin, 1."""
        return scores_of((self._row(s, o) for s, o in zip(samples, outputs, strict=True)), 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """Summed margins over rows."""
        return ratio(totals[..., 0], totals[..., 1])

    def _row(self, sample: Sample, output: Output) -> Row:
        target = true_label(sample)
        logprobs = _choice_logprobs(sample, output)
        if isinstance(logprobs, str):
            return logprobs
        if target not in sample.choices:
            return "the target is none of the choices"
        if self.per == "character":
            if not all(sample.choices):
                return "a choice is empty"
            logprobs = [logprob / len(choice) for logprob, choice in zip(logprobs, sample.choices)]
        others = [logprob for logprob, choice in zip(logprobs, sample.choices) if choice != target]
        if not others:
            return "there is no other choice"
        return max(lp for lp, choice in zip(logprobs, sample.choices) if choice == target) - max(others), 1.0


def _choice_logprobs(sample: Sample, output: Output) -> Sequence[float] | str:
    """The log-probabilities of the sample's choices, or why they are not there."""
    if sample.target is None:
        return "the sample has no target"
    if not isinstance(output.answer, Label):
        return wrong_kind(output, "Label")
    logprobs = output.answer.logprobs
    if len(logprobs) != len(sample.choices) or not logprobs:
        return f"{len(logprobs)} log-probabilities for {len(sample.choices)} choices"
    if not all(map(math.isfinite, logprobs)):
        return "a log-probability is not finite"
    return logprobs


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def accuracy(y_true: LabelList, y_pred: LabelList, *, sample_weight: Weights = None) -> float:
    """The share of equal pairs (of lists of labels: with the same labels); NaN for none.

    >>> accuracy(["a", "b", "a"], ["a", "a", "a"])
    0.6666666666666666
    """
    weights = checked_weights("accuracy", y_true, y_pred, sample_weight)
    pairs = ((frozenset(a), frozenset(b)) if is_several(a) and is_several(b) else (a, b) for a, b in zip(y_true, y_pred))
    hits = np.array([[float(a == b), 1.0] for a, b in pairs]).reshape(len(y_true), 2)
    return float(Accuracy().aggregate(hits, weights)[0])


def acc_norm(
    y_true: Sequence[int], choices: Sequence[Sequence[str]], logprobs: Sequence[Sequence[float]], *,
    sample_weight: Weights = None,
) -> float:
    """Accuracy of the choice with the highest log-probability per character; ``y_true`` holds indices into the choices.

    >>> acc_norm([0, 1], [["no", "certainly"], ["no", "certainly"]], [[-3.0, -9.0], [-3.0, -9.0]])
    0.5

    Raises MetricError for lists of different lengths and for rows that cannot be scored. NaN for no rows.
    """
    return _of_choices(AccNorm(), y_true, choices, logprobs, sample_weight)


def choice_margin(
    y_true: Sequence[int], choices: Sequence[Sequence[str]], logprobs: Sequence[Sequence[float]], *,
    per: Literal["choice", "character"] = "choice", sample_weight: Weights = None,
) -> float:
    """How much more likely the target is than the best other choice; see ChoiceMargin. Arguments as in :func:`acc_norm`.

    >>> choice_margin([0, 1], [["no", "certainly"], ["no", "certainly"]], [[-3.0, -9.0], [-3.0, -9.0]])
    0.0
    """
    return _of_choices(ChoiceMargin(per), y_true, choices, logprobs, sample_weight)


def top_k_accuracy(
    y_true: LabelList, y_score: Any, *, k: int = 2, labels: LabelList | None = None, sample_weight: Weights = None
) -> float:
    """The share of rows whose target is among the k best; see TopKAccuracy. ``y_score`` is ``(n, K)``, a column for each of the
    sorted labels (``labels``, by default what occurs among the targets).

    >>> top_k_accuracy([0, 1, 2], [[0.5, 0.2, 0.2], [0.3, 0.4, 0.2], [0.7, 0.2, 0.1]], k=2)
    0.6666666666666666

    Raises MetricError for shapes that do not fit, an unknown target and scores that are not finite. NaN for no rows.
    """
    weights = checked_weights("top_k_accuracy", y_true, y_score, sample_weight)
    known = known_labels("top_k_accuracy", y_true, (), labels)
    given = number_array("top_k_accuracy", "scores", y_score)
    scores = given.reshape(len(y_true), -1) if len(y_true) else np.zeros((0, len(known)))
    if scores.shape[1] != len(known):
        raise MetricError(f"top_k_accuracy: scores must have a column for each of the {len(known)} labels, got {scores.shape}")
    if not np.isfinite(scores).all():
        raise MetricError("top_k_accuracy: scores must be finite")
    metric, column = TopKAccuracy(k), np.arange(len(known))
    number = {label: place for place, label in enumerate(known)}
    code = np.array([number[target] for target in y_true], dtype=np.intp)
    own = scores[np.arange(len(code)), code][:, None]
    rank = ((scores > own) | ((scores == own) & (column > code[:, None]))).sum(axis=1)
    stats = np.column_stack([(rank < metric.k).astype(np.float64), np.ones(len(rank))])
    return float(metric.aggregate(stats, weights)[0])


def _of_choices(
    metric: Metric, y_true: Sequence[int], choices: Sequence[Sequence[str]], logprobs: Sequence[Sequence[float]],
    weight: Weights,
) -> float:
    weights = checked_weights(metric.name, y_true, choices, weight)
    checked_weights(metric.name, y_true, logprobs, weight)
    samples = [Sample(str(i), choices=tuple(c), target=int(t)) for i, (t, c) in enumerate(zip(y_true, choices))]
    outputs = [Output(Key(str(i)), Label(None, logprobs=tuple(row))) for i, row in enumerate(logprobs)]
    scores = metric.score(samples, outputs)
    for index, reason in scores.missing.items():
        raise MetricError(f"{metric.name}: row {index}: {reason}")
    return float(metric.aggregate(scores.stats, weights)[0])
