"""Metrics of single answers to a choice: accuracy by label, and by length-normalised log-likelihood.

They need no label set, so the choices may differ from sample to sample. What follows from class counts is in ``confusion``,
what needs probabilities in ``probabilities``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.errors import MetricError
from harness.metrics.rows import Row, ratio, scores_of, wrong_kind
from harness.protocols import Metric
from harness.types import FloatArray, Key, Label, Output, Sample, Scores

# ── targets, answers, label sets ────────────────────────────────────────────────────────────────────────────────────


def true_label(sample: Sample) -> str | None:
    """The label that the target names; None without a target. With choices, an integer is an index into them.

    Raises MetricError for an index that is out of range.
    """
    target = sample.target
    if target is None:
        return None
    if isinstance(target, int) and not isinstance(target, bool) and sample.choices:
        if not 0 <= target < len(sample.choices):
            n = len(sample.choices)
            raise MetricError(f"sample {sample.id!r}: target must be an index into its {n} choices, got {target}")
        return sample.choices[target]
    return str(target)


def label_set(samples: Iterable[Sample]) -> tuple[str, ...]:
    """The labels of a task, sorted: all targets, and the choices if every sample has the same ones."""
    labels: set[str] = set()
    choices: set[tuple[str, ...]] = set()
    for sample in samples:
        target = true_label(sample)
        if target is not None:
            labels.add(target)
        if len(choices) < 2:
            choices.add(sample.choices)
    if len(choices) == 1:
        labels.update(choices.pop())
    return tuple(sorted(labels))


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

    An answer with none of the labels is wrong. Equals ``sklearn.metrics.accuracy_score``.
    """

    name: ClassVar[str] = "accuracy"
    summary: ClassVar[str] = "share of answers that are the target label"
    needs: ClassVar[frozenset[str]] = frozenset({"target", "label"})
    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {"acc": {}}

    def row(self, sample: Sample, output: Output) -> Row:
        target = true_label(sample)
        if target is None:
            return "the sample has no target"
        if not isinstance(output.answer, Label):
            return wrong_kind(output, "Label")
        return float(output.answer.label == target), 1.0


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

    def row(self, sample: Sample, output: Output) -> Row:
        target = true_label(sample)
        if target is None:
            return "the sample has no target"
        if not isinstance(output.answer, Label):
            return wrong_kind(output, "Label")
        logprobs = output.answer.logprobs
        if len(logprobs) != len(sample.choices) or not logprobs:
            return f"{len(logprobs)} log-probabilities for {len(sample.choices)} choices"
        if not all(map(math.isfinite, logprobs)):
            return "a log-probability is not finite"
        if not all(sample.choices):
            return "a choice is empty"
        per_character = [logprob / len(choice) for logprob, choice in zip(logprobs, sample.choices)]
        return float(sample.choices[per_character.index(max(per_character))] == target), 1.0


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def accuracy(y_true: Sequence[Any], y_pred: Sequence[Any], *, sample_weight: Sequence[float] | None = None) -> float:
    """The share of equal pairs; NaN for none.

    >>> accuracy(["a", "b", "a"], ["a", "a", "a"])
    0.6666666666666666
    """
    weights = checked_weights("accuracy", y_true, y_pred, sample_weight)
    hits = np.array([[float(a == b), 1.0] for a, b in zip(y_true, y_pred)]).reshape(len(y_true), 2)
    return float(Accuracy().aggregate(hits, weights)[0])


def acc_norm(
    y_true: Sequence[int], choices: Sequence[Sequence[str]], logprobs: Sequence[Sequence[float]], *,
    sample_weight: Sequence[float] | None = None,
) -> float:
    """Accuracy of the choice with the highest log-probability per character; ``y_true`` holds indices into the choices.

    >>> acc_norm([0, 1], [["no", "certainly"], ["no", "certainly"]], [[-3.0, -9.0], [-3.0, -9.0]])
    0.5

    Raises MetricError for lists of different lengths and for rows that cannot be scored. NaN for no rows.
    """
    weights = checked_weights("acc_norm", y_true, choices, sample_weight)
    checked_weights("acc_norm", y_true, logprobs, sample_weight)
    samples = [Sample(str(i), choices=tuple(c), target=int(t)) for i, (t, c) in enumerate(zip(y_true, choices))]
    outputs = [Output(Key(str(i)), Label(None, logprobs=tuple(row))) for i, row in enumerate(logprobs)]
    scores = AccNorm().score(samples, outputs)
    for index, reason in scores.missing.items():
        raise MetricError(f"acc_norm: row {index}: {reason}")
    return float(AccNorm().aggregate(scores.stats, weights)[0])


def checked_weights(name: str, y_true: Sequence[Any], y_pred: Sequence[Any], weight: Sequence[float] | None) -> FloatArray:
    """``float64[1, n]`` weights, ones unless given. Raises MetricError for lists of different lengths."""
    if len(y_true) != len(y_pred):
        raise MetricError(f"{name}: targets and predictions must be equally many, got {len(y_true)} and {len(y_pred)}")
    weights = np.ones(len(y_true)) if weight is None else np.asarray(weight, dtype=np.float64)
    if weights.shape != (len(y_true),):
        raise MetricError(f"{name}: sample_weight must be one number a row ({len(y_true)}), got shape {weights.shape}")
    return weights[None, :]
