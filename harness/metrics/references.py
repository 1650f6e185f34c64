"""What all metrics of a text against its references share: taking texts out of outputs, checks, several references."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np

from harness.errors import MetricError
from harness.metrics.tokenize import IntArray
from harness.protocols import Metric
from harness.types import FloatArray, Output, Sample, Scores, Text

References: TypeAlias = Sequence[str] | Sequence[Sequence[str]]
"""One reference an item, or several; item i's are ``references[i]``."""

_ROW_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric over lists: its value, the value of every item by itself, and the statistics that both come from.

    ``per_item`` : ``float64[n]``. ``stats`` : ``float64[n, d]``, the metric's ``columns``.
    """

    value: float
    per_item: FloatArray
    stats: FloatArray


@dataclass(frozen=True, repr=False)
class ReferenceMetric(Metric):
    """Base of the metrics that compare a text with one or more references. A subclass gives :meth:`statistics`.

    The last column of the statistics is 1 in every row: its weighted sum tells "no rows" (undefined, NaN) from a value
    of 0. A sample without references is a missing row.
    """

    family: ClassVar[str] = "text"
    needs: ClassVar[frozenset[str]] = frozenset({"text", "references"})
    _block_characters: ClassVar[int] = 2**17

    def statistics(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        """``float64[n, d]`` for n predictions, each with at least one reference."""
        raise NotImplementedError(f"{type(self).__name__}.statistics")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        stats = np.full((len(samples), len(self.columns)), np.nan)
        missing: dict[int, str] = {}
        texts: list[str] = []
        for row, (sample, output) in enumerate(zip(samples, outputs)):
            if not sample.references:
                missing[row] = "no references"
            elif not isinstance(output.answer, Text):
                missing[row] = f"the answer is {type(output.answer).__name__}, not Text"
            else:
                texts.append(output.answer.text)
        scored = [row for row in range(len(samples)) if row not in missing]
        stats[scored] = self._in_blocks(texts, [samples[row].references for row in scored])
        return Scores(stats, missing)

    def over(self, predictions: Sequence[str], references: References) -> Measured:
        """The metric over lists.

        Raises MetricError if the lists differ in length or an item is no text or has no reference.
        """
        stats = self._in_blocks(predictions, self._checked(predictions, references))
        value = self.aggregate(stats, np.ones((1, len(stats))))
        return Measured(float(value[0]), self.rows(stats), stats)

    def _in_blocks(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        """Block by block: working memory does not grow with the number of texts, and fits into the processor's cache.

        Rows with the same references (several systems, repeats) are put into the same block, which tokenises them once.
        """
        stats = np.empty((len(predictions), len(self.columns)))
        for rows in _blocks(predictions, references, self._block_characters):
            stats[rows] = self.statistics(list(map(predictions.__getitem__, rows)), list(map(references.__getitem__, rows)))
        return stats

    def _checked(self, predictions: Sequence[str], references: References) -> list[Sequence[str]]:
        if len(predictions) != len(references):
            raise MetricError(f"{self.name}: predictions and references must have the same length, "
                              f"got {len(predictions)} and {len(references)}")
        if {*map(type, predictions), *map(type, references)} <= {str}:
            return [(item,) for item in references if isinstance(item, str)]
        several: list[Sequence[str]] = [(item,) if isinstance(item, str) else item for item in references]
        for index, (prediction, item) in enumerate(zip(predictions, several)):
            if not isinstance(prediction, str):
                raise MetricError(f"{self.name}: predictions[{index}] must be a text, got {prediction!r}")
            if not isinstance(item, list | tuple) or not item or not set(map(type, item)) <= {str}:
                raise MetricError(f"{self.name}: references[{index}] must be a text or at least one text, got {item!r}")
        return several


def _blocks(predictions: Sequence[str], references: Sequence[Sequence[str]], characters: int) -> Iterator[list[int]]:
    """Row numbers of each block, rows with the same references together, of about so many characters."""
    items = list(map(tuple, references))
    number = dict(zip(dict.fromkeys(items), itertools.count()))
    order = np.arange(len(items))
    if len(number) < len(items):
        order = np.argsort(np.fromiter(map(number.__getitem__, items), dtype=np.int64), kind="stable")
    ends = np.cumsum(_sizes(predictions, references)[order])
    last = np.flatnonzero(np.diff(ends // characters)) + 1
    for rows in np.split(order, last) if items else []:
        yield rows.tolist()


def _sizes(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> IntArray:
    """Characters of each row's texts, and some for the row itself."""
    several = np.fromiter(map(len, references), dtype=np.int64, count=len(references))
    sizes = np.fromiter(map(len, itertools.chain.from_iterable(references)), dtype=np.int64, count=int(several.sum()))
    before = np.append(0, np.cumsum(sizes))
    last = np.cumsum(several)
    predicted = np.fromiter(map(len, predictions), dtype=np.int64, count=len(predictions))
    total: IntArray = predicted + before[last] - before[last - several] + _ROW_CHARACTERS
    return total


@dataclass(frozen=True, repr=False)
class MeanOverReferences(ReferenceMetric):
    """Base of the metrics whose value is the mean of a value per sample, 0 at worst; ``value_column`` names it."""

    @property
    def value_column(self) -> str:
        return self.columns[0]

    def finish(self, totals: FloatArray) -> FloatArray:
        sums, weights = totals[..., self.columns.index(self.value_column)], totals[..., -1]
        return np.divide(sums, weights, out=np.full_like(weights, np.nan), where=weights > 0)

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        """Nothing right, and the best that an answer equal to one of the references would have had."""
        if not sample.references:
            return None
        echoes = self.statistics(sample.references, [sample.references] * len(sample.references))
        worst = np.zeros(len(self.columns))
        worst[-1] = 1.0
        return worst, echoes[int(np.argmax(self.finish(echoes)))]


def pair_up(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[list[str], list[str], IntArray]:
    """A prediction for each reference, the references in one list, and where each item's pairs start."""
    repeated = [prediction for prediction, item in zip(predictions, references) for _ in item]
    return repeated, flat(references), np.cumsum([0, *map(len, references)])[:-1]


@dataclass(frozen=True, slots=True)
class Stacked:
    """Predictions and references as one list of texts, in which references that a row shares with the row before come once.

    ``several`` : how many references each row has. ``targets`` : of row after row, where its references are in ``texts``;
    row i's prediction is ``texts[i]``.
    """

    texts: list[str]
    several: IntArray
    targets: IntArray

    @property
    def rows(self) -> IntArray:
        """The row of every prediction and then of every reference."""
        n = np.arange(len(self.several))
        return np.concatenate([n, np.repeat(n, self.several)])

    @property
    def starts(self) -> IntArray:
        """Where each row's references start among all."""
        first: IntArray = np.cumsum(self.several) - self.several
        return first


def stacked(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Stacked:
    """The texts of some rows, ready to be tokenised together."""
    several = np.fromiter(map(len, references), dtype=np.int64, count=len(references))
    new = [True, *map(operator.ne, references[1:], references)][:len(references)]
    sizes = several[new]
    first = (len(predictions) + np.cumsum(sizes) - sizes)[np.cumsum(new) - 1]
    targets = np.repeat(first - np.cumsum(several) + several, several) + np.arange(several.sum())
    return Stacked([*predictions, *flat(itertools.compress(references, new))], several, targets)


def flat(references: Iterable[Sequence[str]]) -> list[str]:
    """All references in one list."""
    return list(itertools.chain.from_iterable(references))


def first_best(values: FloatArray, starts: IntArray) -> IntArray:
    """For each item the index of its first highest value; item i's values are ``values[starts[i]:starts[i + 1]]``."""
    if len(starts) == len(values):
        return np.arange(len(values))
    item = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(values))))
    best = np.flatnonzero(values == np.maximum.reduceat(values, starts)[item])
    _, first = np.unique(item[best], return_index=True)
    return best[first]
