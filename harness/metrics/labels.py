"""What all metrics of classes share: the labels of targets, the label set of a task, the positive class, weights of rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from harness.errors import MetricError, did_you_mean
from harness.protocols import Metric
from harness.types import FloatArray, Output, Sample

LabelList: TypeAlias = Sequence[Any]
"""A label a row, or (multi-label) a list of labels a row."""
Weights: TypeAlias = Sequence[float] | FloatArray | None


def is_several(target: Any) -> bool:
    """Whether a target is a list of labels (multi-label) and not one label."""
    return isinstance(target, list | tuple | set | frozenset)


def true_label(sample: Sample) -> str | None:
    """The label that the target names; None without a target. With choices, an integer is an index into them.

    Raises MetricError for an index that is out of range, and for a list of labels.
    """
    target = sample.target
    if target is None:
        return None
    if is_several(target):
        raise MetricError(f"sample {sample.id!r}: target must be one label for this metric, got a list: {target!r:.60}")
    return _named(target, sample)


def true_labels(sample: Sample) -> frozenset[str] | None:
    """The labels of a target that is one label or a list of them; None without a target."""
    target = sample.target
    if target is None:
        return None
    return frozenset(_named(one, sample) for one in (target if is_several(target) else (target,)))


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """The labels of a task, sorted; whether a target is a list of labels; ``is_open``: the samples do not share their choices,
    so that answers may bring more labels."""

    labels: tuple[str, ...]
    several: bool
    is_open: bool


def label_set(samples: Iterable[Sample]) -> tuple[str, ...]:
    """The labels of a task, sorted: all targets, and the choices if every sample has the same ones."""
    return label_facts(samples).labels


def label_facts(samples: Iterable[Sample]) -> LabelFacts:
    """The label set of samples, read once."""
    labels: set[str] = set()
    choices: set[tuple[str, ...]] = set()
    several = False
    for sample in samples:
        if is_several(sample.target):
            several = True
            labels |= true_labels(sample) or frozenset()
        elif (target := true_label(sample)) is not None:
            labels.add(target)
        if len(choices) < 2:
            choices.add(sample.choices)
    shared = choices.pop() if len(choices) == 1 else ()
    return LabelFacts(tuple(sorted(labels.union(shared))), several, not shared)


def with_positive(labels: tuple[str, ...], positive: str | None) -> tuple[str, ...]:
    """The label set; where the targets have one class alone, a positive class that is named is the other one."""
    return tuple(sorted({*labels, positive})) if positive is not None and len(labels) == 1 else labels


def last_of_two(labels: Sequence[str]) -> str | None:
    """Of two labels the positive one by default: that which sorts last, unless it is called "not" the other; else None."""
    if len(labels) != 2:
        return None
    return labels[0] if labels[1] == f"not {labels[0]}" else labels[1]


def named_labels(labels: Iterable[str], outputs: Iterable[Output]) -> tuple[str, ...]:
    """These labels and those that the probabilities of answers name, sorted."""
    found = set(labels)
    for output in outputs:
        found.update(getattr(output.answer, "probabilities", None) or ())
    return tuple(sorted(found))


def positive_code(metric: Metric, labels: Sequence[str], positive: str | None) -> int:
    """Which label is the positive class: ``positive``, or of two labels the one that sorts last (1 of 0 and 1).

    Raises MetricError where that is not defined.
    """
    if positive is None:
        if len(labels) != 2:
            raise MetricError(f"{metric.name}: positive must be given unless there are two labels, got {len(labels)} labels")
        return 1
    if positive not in labels:
        guess = did_you_mean(positive, labels)
        raise MetricError(f"{metric.name}: positive must be one of the labels, got {positive!r}{guess}")
    return labels.index(positive)


def unknown_target(metric: Metric, target: str) -> MetricError:
    """The error of a target outside the label set."""
    return MetricError(f"{metric.name}: the label set must hold every target, got {target!r}: call prepare(samples) first")


def checked_weights(name: str, y_true: Sequence[Any], y_pred: Sequence[Any], weight: Weights) -> FloatArray:
    """``float64[1, n]`` weights, ones unless given.

    Raises MetricError for lists of different lengths, and for weights that are negative or not finite.
    """
    if len(y_true) != len(y_pred):
        raise MetricError(f"{name}: targets and predictions must be equally many, got {len(y_true)} and {len(y_pred)}")
    weights = np.ones(len(y_true)) if weight is None else number_array(name, "sample_weight", weight)
    if weights.shape != (len(y_true),):
        raise MetricError(f"{name}: sample_weight must be one number a row ({len(y_true)}), got shape {weights.shape}")
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise MetricError(f"{name}: sample_weight must be finite and not negative")
    return weights[None, :]


def known_labels(name: str, y_true: LabelList, others: Iterable[Any], labels: LabelList | None) -> list[Any]:
    """The sorted label set: ``labels``, or what occurs among targets and ``others`` (None is no label). Labels that cannot be
    compared (numbers and texts) are sorted as texts. Raises MetricError for a target outside or None, and for NaN."""
    targets = _different(name, "targets", y_true)
    if None in targets:
        raise MetricError(f"{name}: every target must be a label, got None")
    predicted = _different(name, "predictions", others) - {None}
    if labels is None:
        return _in_order(targets | predicted)
    unknown = targets - set(labels)
    if unknown:
        raise MetricError(f"{name}: labels must hold every target, got {min(unknown, key=repr)!r}")
    return _in_order(_different(name, "labels", labels))


def number_array(name: str, what: str, values: Any) -> FloatArray:
    """``float64`` of any shape. Raises MetricError for what are no numbers (texts neither), and for rows of different
    lengths."""
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "US":
            return array.astype(np.float64)
    except (TypeError, ValueError):
        pass
    raise MetricError(f"{name}: {what} must be numbers, equally many in every row, got {values!r:.60}")


def _different(name: str, what: str, rows: Iterable[Any]) -> set[Any]:
    found = {one for row in rows for one in (row if is_several(row) else (row,))}
    if any(isinstance(one, float) and one != one for one in found):
        raise MetricError(f"{name}: {what} must be labels, got NaN")
    return found


def _in_order(labels: set[Any]) -> list[Any]:
    try:
        return sorted(labels)
    except TypeError:
        return sorted(labels, key=lambda label: (str(label), type(label).__name__))


def _named(target: Any, sample: Sample) -> str:
    if isinstance(target, int) and not isinstance(target, bool) and sample.choices:
        if not 0 <= target < len(sample.choices):
            n = len(sample.choices)
            raise MetricError(f"sample {sample.id!r}: target must be an index into its {n} choices, got {target}")
        return sample.choices[target]
    return str(target)
