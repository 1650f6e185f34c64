"""Class counts from coded targets and predictions: what every metric of the confusion matrix is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.metrics.rows import ratio
from harness.types import FloatArray, Table


@dataclass(frozen=True)
class ClassCounts:
    """Weighted counts a class under each of B weightings: ``float64[B, K]`` each, ``unlabelled`` ``float64[B]``."""

    hits: FloatArray
    targets: FloatArray
    predictions: FloatArray
    unlabelled: FloatArray


def class_counts(codes: FloatArray, weights: FloatArray, n_labels: int) -> ClassCounts:
    """Weighted counts a class from ``float64[n, 2]`` codes under ``float64[B, n]`` weights; O(B·n) whatever the label set."""
    target, prediction = codes[:, 0].astype(np.intp), codes[:, 1].astype(np.intp)
    cells, cell_of_row = np.unique(target * (n_labels + 1) + prediction + 1, return_inverse=True)
    counts = _sum_by(cell_of_row, weights, len(cells))
    target, prediction = cells // (n_labels + 1), cells % (n_labels + 1) - 1
    hit = target == prediction
    predictions = _sum_by(prediction + 1, counts, n_labels + 1)
    return ClassCounts(
        hits=_sum_by(target[hit], counts[:, hit], n_labels),
        targets=_sum_by(target, counts, n_labels),
        predictions=predictions[:, 1:],
        unlabelled=predictions[:, 0],
    )


def per_class(counts: ClassCounts, labels: Sequence[str]) -> Table:
    """Precision, recall, F1 (None where undefined), targets and predictions of each class, under the first weighting."""
    hits, targets, predictions = counts.hits[0], counts.targets[0], counts.predictions[0]
    values = zip(ratio(hits, predictions), ratio(hits, targets), ratio(2 * hits, targets + predictions))
    rows = [
        (label, *(None if np.isnan(value) else float(value) for value in row), int(targets[code]), int(predictions[code]))
        for code, (label, row) in enumerate(zip(labels, values))
    ]
    return Table(("label", "precision", "recall", "f1", "targets", "predictions"), tuple(rows))


def confusion_matrix(stats: FloatArray, labels: Sequence[str]) -> Table:
    """A row a target, a column a predicted label and one for none of the labels; rows of ``stats`` count 1 each."""
    matrix = np.zeros((len(labels), len(labels) + 1), dtype=np.int64)
    np.add.at(matrix, (stats[:, 0].astype(np.intp), stats[:, 1].astype(np.intp)), 1)
    rows = tuple((label, *map(int, row)) for label, row in zip(labels, matrix))
    return Table(("target", *labels, "none of them"), rows)


def _sum_by(bins: NDArray[np.intp], weights: FloatArray, size: int) -> FloatArray:
    sums = [np.bincount(bins, row, minlength=size) for row in weights]
    return np.array(sums, dtype=np.float64).reshape(len(weights), size)
