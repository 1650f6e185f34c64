"""Class counts from coded targets and predictions: what every metric of the confusion matrix is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.codec import digest
from harness.metrics.rows import ratio
from harness.types import FloatArray, Table

PER_COLUMN = 24
"""Labels that one column of packed statistics holds, two bits each: exact in float64, and a third of a byte a label and bit."""

_SMALL = 4096
"""Up to so many cells a matrix product is faster than counting row by row."""

_SHIFTS = 2 * np.arange(PER_COLUMN)


@dataclass(frozen=True)
class ClassCounts:
    """Weighted counts a class under each of B weightings: ``float64[B, K + O]`` each, the O classes of ``others`` (codes of
    labels that were predicted and are no target's) last; ``unlabelled`` (predictions of no class) and ``rows`` are
    ``float64[B]``."""

    hits: FloatArray
    targets: FloatArray
    predictions: FloatArray
    unlabelled: FloatArray
    rows: FloatArray
    others: FloatArray = field(default_factory=lambda: np.zeros(0))

    @property
    def rejections(self) -> FloatArray:
        """Rows that are not of a class and were not predicted as it (true negatives), ``float64[B, K]``."""
        return np.maximum(self.rows[:, None] - self.targets - self.predictions + self.hits, 0.0)


@dataclass(frozen=True)
class Cells:
    """The pairs of target and prediction that occur (numbers of classes; -1: a prediction of no class), and their weights
    ``float64[B, C]``. The ``n_classes`` are the label set and then ``others``, the codes of labels outside it."""

    target: NDArray[np.intp]
    prediction: NDArray[np.intp]
    counts: FloatArray
    n_classes: int
    others: FloatArray


def code_outside(label: str) -> float:
    """The code of a label outside the label set: a number below -1 that depends on nothing but the label (51 bits of a hash).

    >>> code_outside("a") == code_outside("a") < -1
    True
    """
    return float(-2 - (int(digest(label.encode("utf-8", "surrogatepass"), size=8), 16) >> 13))


def cells_of(codes: FloatArray, weights: FloatArray, n_labels: int) -> Cells:
    """Weighted counts of the pairs in ``float64[n, 2]`` codes (of the label set, -1, or :func:`code_outside`) under
    ``float64[B, n]`` weights; O(B·n) whatever the label set."""
    outside = codes[:, 1] < -1
    others, number = np.unique(codes[outside, 1], return_inverse=True)
    target, prediction = codes[:, 0].astype(np.intp), codes[:, 1].astype(np.intp)
    prediction[outside] = n_labels + number
    n_classes = n_labels + len(others)
    cells, cell_of_row = np.unique(target * (n_classes + 1) + prediction + 1, return_inverse=True)
    counts = _sum_by(cell_of_row, weights, len(cells))
    return Cells(cells // (n_classes + 1), cells % (n_classes + 1) - 1, counts, n_classes, others)


def class_counts(codes: FloatArray, weights: FloatArray, n_labels: int) -> ClassCounts:
    """Counts a class of single labels."""
    cells = cells_of(codes, weights, n_labels)
    hit = cells.target == cells.prediction
    predictions = _sum_by(cells.prediction + 1, cells.counts, cells.n_classes + 1)
    return ClassCounts(
        hits=_sum_by(cells.target[hit], cells.counts[:, hit], cells.n_classes),
        targets=_sum_by(cells.target, cells.counts, cells.n_classes),
        predictions=predictions[:, 1:],
        unlabelled=predictions[:, 0],
        rows=cells.counts.sum(axis=1),
        others=cells.others,
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
    """``float64[K, K + O + 1]``: a row a target, a column a predicted label (the O outside the label set in the order of
    ``Cells.others``), the last one for none of them."""
    cells = cells_of(stats, weights[None, :], n_labels)
    matrix = np.zeros((n_labels, cells.n_classes + 1))
    matrix[cells.target, cells.prediction] = cells.counts[0]
    return matrix


def matrix_table(matrix: FloatArray, labels: Sequence[str]) -> Table:
    """A confusion matrix as a table; undefined shares are None, counts whole numbers. ``labels`` name the columns, and the
    first of them the rows."""
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
