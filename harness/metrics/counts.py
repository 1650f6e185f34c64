"""Class counts from coded targets and predictions: what every metric of the confusion matrix is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.metrics.rows import ratio
from harness.types import FloatArray, Table

PER_COLUMN = 24
"""Labels that one column of packed statistics holds, two bits each: exact in float64, and a third of a byte a label and bit."""

_SMALL = 4096
"""Up to so many cells a matrix product is faster than counting row by row."""

_SHIFTS = 2 * np.arange(PER_COLUMN)


@dataclass(frozen=True)
class ClassCounts:
    """Weighted counts a class under each of B weightings: ``float64[B, K]`` each; ``unlabelled`` (predictions outside the label
    set) and ``rows`` are ``float64[B]``."""

    hits: FloatArray
    targets: FloatArray
    predictions: FloatArray
    unlabelled: FloatArray
    rows: FloatArray

    @property
    def rejections(self) -> FloatArray:
        """Rows that are not of a class and were not predicted as it (true negatives), ``float64[B, K]``."""
        return np.maximum(self.rows[:, None] - self.targets - self.predictions + self.hits, 0.0)


@dataclass(frozen=True)
class Cells:
    """The pairs of target and prediction that occur (codes; -1: a prediction outside the label set), and their weights
    ``float64[B, C]``."""

    target: NDArray[np.intp]
    prediction: NDArray[np.intp]
    counts: FloatArray


def cells_of(codes: FloatArray, weights: FloatArray, n_labels: int) -> Cells:
    """Weighted counts of the pairs in ``float64[n, 2]`` codes under ``float64[B, n]`` weights; O(B·n) whatever the label
    set."""
    target, prediction = codes[:, 0].astype(np.intp), codes[:, 1].astype(np.intp)
    cells, cell_of_row = np.unique(target * (n_labels + 1) + prediction + 1, return_inverse=True)
    return Cells(cells // (n_labels + 1), cells % (n_labels + 1) - 1, _sum_by(cell_of_row, weights, len(cells)))


def class_counts(codes: FloatArray, weights: FloatArray, n_labels: int) -> ClassCounts:
    """Counts a class of single labels."""
    cells = cells_of(codes, weights, n_labels)
    hit = cells.target == cells.prediction
    predictions = _sum_by(cells.prediction + 1, cells.counts, n_labels + 1)
    return ClassCounts(
        hits=_sum_by(cells.target[hit], cells.counts[:, hit], n_labels),
        targets=_sum_by(cells.target, cells.counts, n_labels),
        predictions=predictions[:, 1:],
        unlabelled=predictions[:, 0],
        rows=cells.counts.sum(axis=1),
    )


# ── multi-label rows ────────────────────────────────────────────────────────────────────────────────────────────────


def packed_width(n_labels: int) -> int:
    """The number of columns that :func:`packed` makes (one at least)."""
    return max(1, -(-n_labels // PER_COLUMN))


def packed(targets: Iterable[int], predictions: Iterable[int], n_labels: int) -> list[float]:
    """One multi-label row from the codes of its labels: bit 2k of the columns, taken together, says that label k is a target,
    bit 2k + 1 that it is a prediction.

    >>> packed([0], [0, 1], 2)
    [11.0]
    """
    columns = [0] * packed_width(n_labels)
    for bit, codes in enumerate((targets, predictions)):
        for code in codes:
            columns[code // PER_COLUMN] |= 1 << (2 * (code % PER_COLUMN) + bit)
    return [float(column) for column in columns]


def unpacked(stats: FloatArray, n_labels: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """For every column of packed rows its first label and ``int64[n, labels of it]``: 1 target, 2 prediction, 3 both."""
    for column in range(packed_width(n_labels)):
        first = column * PER_COLUMN
        bits = stats[:, column].astype(np.int64)
        yield first, (bits[:, None] >> _SHIFTS[None, : n_labels - first]) & 3


def label_counts(stats: FloatArray, weights: FloatArray, n_labels: int) -> ClassCounts:
    """Counts a class of multi-label rows (:func:`packed`)."""
    hits, targets, predictions = np.zeros((3, len(weights), n_labels))
    for first, bits in unpacked(stats, n_labels):
        here = slice(first, first + bits.shape[1])
        hits[:, here] = weights @ (bits == 3)
        targets[:, here] = weights @ (bits & 1)
        predictions[:, here] = weights @ (bits >> 1)
    return ClassCounts(hits, targets, predictions, np.zeros(len(weights)), weights.sum(axis=1))


def row_counts(stats: FloatArray, n_labels: int) -> ClassCounts:
    """Counts a row of multi-label rows: ``float64[n, 1]``, as if a row were a weighting and all labels one class. ``rows`` is
    the number of labels."""
    hits, targets, predictions = np.zeros((3, len(stats), 1))
    for _, bits in unpacked(stats, n_labels):
        hits[:, 0] += (bits == 3).sum(axis=1)
        targets[:, 0] += (bits & 1).sum(axis=1)
        predictions[:, 0] += (bits >> 1).sum(axis=1)
    n = len(stats)
    return ClassCounts(hits, targets, predictions, np.zeros(n), np.full(n, float(n_labels)))


# ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def per_class(counts: ClassCounts, labels: Sequence[str]) -> Table:
    """Precision, recall, F1 (None where undefined), targets and predictions of each class, under the first weighting."""
    hits, targets, predictions = counts.hits[0], counts.targets[0], counts.predictions[0]
    values = zip(ratio(hits, predictions), ratio(hits, targets), ratio(2 * hits, targets + predictions))
    rows = [
        (label, *(None if np.isnan(value) else float(value) for value in row), int(targets[code]), int(predictions[code]))
        for code, (label, row) in enumerate(zip(labels, values))
    ]
    return Table(("label", "precision", "recall", "f1", "targets", "predictions"), tuple(rows))


def matrix_of(stats: FloatArray, weights: FloatArray, n_labels: int) -> FloatArray:
    """``float64[K, K + 1]``: a row a target, a column a predicted label, the last one for none of the labels."""
    cells = cells_of(stats, weights[None, :], n_labels)
    matrix = np.zeros((n_labels, n_labels + 1))
    matrix[cells.target, cells.prediction] = cells.counts[0]
    return matrix


def matrix_table(matrix: FloatArray, labels: Sequence[str]) -> Table:
    """A confusion matrix as a table; undefined shares are None, counts whole numbers."""
    whole = bool((np.nan_to_num(matrix) == np.floor(np.nan_to_num(matrix))).all())
    rows = tuple(
        (label, *(None if np.isnan(value) else int(value) if whole else value for value in row))
        for label, row in zip(labels, matrix.tolist())
    )
    return Table(("target", *labels, "none of them"), rows)


def _sum_by(bins: NDArray[np.intp], weights: FloatArray, size: int) -> FloatArray:
    if len(bins) * size <= _SMALL:
        return np.asarray(weights @ (bins[:, None] == np.arange(size)), dtype=np.float64)
    sums = [np.bincount(bins, row, minlength=size) for row in weights]
    return np.array(sums, dtype=np.float64).reshape(len(weights), size)
