"""What metrics share that set each text beside others of its own (references, contexts) and may be undefined for some."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.errors import MetricError
from harness.metrics.references import Measured
from harness.metrics.rows import Row, ratio, scores_of, wrong_kind
from harness.protocols import Metric
from harness.types import FloatArray, Key, Output, Sample, Scores, Text


@dataclass(frozen=True, repr=False)
class TextRows(Metric):
    """Base of such metrics. A subclass gives :meth:`compare`, and :meth:`beside` if it is not the references.

    The value is the weighted sum of the first column over that of the last one: a mean over the rows that are defined, or a
    rate over the corpus. Rows that are not defined are missing, with the reason.
    """

    family: ClassVar[str] = "text"
    needs: ClassVar[frozenset[str]] = frozenset({"text", "references"})
    columns: ClassVar[tuple[str, ...]] = ("value", "n")

    def compare(self, texts: Sequence[str], others: Sequence[Sequence[str]]) -> Iterable[Row]:
        """A row a text: its statistics, or why it has none. Each text has at least one other."""
        raise NotImplementedError(f"{type(self).__name__}.compare")

    def beside(self, sample: Sample, output: Output) -> Sequence[str] | str:
        """The texts that belong to a text, or why there are none."""
        return sample.references or "no references"

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row an output: its ``columns``."""
        found = [self._pair(sample, output) for sample, output in zip(samples, outputs)]
        there = [pair for pair in found if not isinstance(pair, str)]
        rows = iter(self.compare([text for text, _ in there], [others for _, others in there]))
        return scores_of([pair if isinstance(pair, str) else next(rows) for pair in found], len(self.columns))

    def over(self, texts: Sequence[str], others: Sequence[str] | Sequence[Sequence[str]]) -> Measured:
        """The metric over lists; rows that are not defined are NaN and left out of the value.

        Raises MetricError if the lists differ in length or an item is no text or has none beside it.
        """
        if len(texts) != len(others):
            raise MetricError(f"{self.name}: both lists must have the same length, got {len(texts)} and {len(others)}")
        several: list[Sequence[str]] = [(item,) if isinstance(item, str) else item for item in others]
        for index, (text, item) in enumerate(zip(texts, several)):
            if not isinstance(text, str):
                raise MetricError(f"{self.name}: item {index} must be a text, got {text!r}")
            if not isinstance(item, list | tuple) or not item or not set(map(type, item)) <= {str}:
                raise MetricError(f"{self.name}: item {index} must have a text or at least one text beside it, got {item!r}")
        scores = scores_of(self.compare(texts, several), len(self.columns))
        there = ~np.isnan(scores.stats).any(axis=1)
        value = self.aggregate(scores.stats[there], np.ones((1, int(there.sum()))))
        return Measured(float(value[0]), self.rows(scores.stats), scores.stats)

    def finish(self, totals: FloatArray) -> FloatArray:
        return ratio(totals[..., 0], totals[..., -1])

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        """The ends of the range of means between 0 and 1; unknown for rates over the corpus and where neither end is better."""
        if self.bounds != (0.0, 1.0) or self.columns[-1] != "n" or self.higher_is_better is None:
            return None
        if isinstance(self.beside(sample, Output(Key(sample.id), None)), str):
            return None
        ends = [np.append(np.full(len(self.columns) - 1, end), 1.0) for end in (0.0, 1.0)]
        return (ends[0], ends[1]) if self.higher_is_better else (ends[1], ends[0])

    def _pair(self, sample: Sample, output: Output) -> tuple[str, Sequence[str]] | str:
        if not isinstance(output.answer, Text):
            return wrong_kind(output, "Text")
        others = self.beside(sample, output)
        return others if isinstance(others, str) else (output.answer.text, others)
