"""How long outputs are: the mean, and a table of quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from harness.metrics.rows import Row, ratio, scores_of
from harness.metrics.wording import Scheme, WordMetric, checked_texts, texts_of, words
from harness.types import FloatArray, Output, Sample, Scores, Table

LengthUnit = Literal["word", "character", "byte"]
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True, repr=False)
class LengthStats(WordMetric):
    """The mean length of the outputs in words, characters (code points) or bytes (UTF-8); neither direction is better.

    Table ``lengths``: number, mean, standard deviation (divided by n), and the quantiles 0, 5, 25, 50, 75, 95, 100 %, linear
    between neighbours as ``numpy.quantile`` has them. An empty output has length 0. Undefined for no outputs.
    """

    # The parameter is also what the class variable of this name wants to know.
    unit: LengthUnit = "word"  # type: ignore[misc]

    name: ClassVar[str] = "length_stats"
    summary: ClassVar[str] = "mean length of the outputs, with quantiles"
    higher_is_better: ClassVar[bool | None] = None
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    columns: ClassVar[tuple[str, ...]] = ("length", "n")
    formula: ClassVar[str] = "Σ length / n"
    reference: ClassVar[str] = "numpy.mean, numpy.quantile"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.unit in get_args(LengthUnit), "unit", f"one of {', '.join(get_args(LengthUnit))}")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row an output: its length, 1."""
        texts, missing = texts_of(outputs)
        lengths = iter(self.of_texts(texts))
        rows: list[Row] = [missing[row] if row in missing else (next(lengths), 1.0) for row in range(len(outputs))]
        return scores_of(rows, 2)

    def of_texts(self, texts: Sequence[str]) -> list[float]:
        """The length of each text."""
        if self.unit == "character":
            return [float(len(text)) for text in texts]
        if self.unit == "byte":
            return [float(len(text.encode("utf-8", "surrogatepass"))) for text in texts]
        return [float(length) for length in words(texts, self.scheme).lengths]

    def finish(self, totals: FloatArray) -> FloatArray:
        """The weighted mean."""
        return ratio(totals[..., 0], totals[..., 1])

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """The distribution of the lengths; no table for no rows."""
        if not len(stats):
            return {}
        lengths = stats[:, 0]
        values = [float(len(lengths)), float(lengths.mean()), float(lengths.std()), *np.quantile(lengths, _QUANTILES).tolist()]
        names = ["n", "mean", "sd", *(f"{100 * q:g} %" for q in _QUANTILES)]
        return {"lengths": Table(("statistic", "value"), tuple(zip(names, values)))}


def length_stats(texts: Sequence[str], *, unit: LengthUnit = "word", tokenize: Scheme = "ascii") -> dict[str, float]:
    """Number, mean, standard deviation and quantiles of the lengths of texts; see :class:`LengthStats`. Empty for no texts.

    >>> length_stats(["one", "one two three"])["mean"]
    2.0
    """
    metric = LengthStats(unit, tokenize=tokenize)
    lengths = metric.of_texts(checked_texts(metric.name, texts))
    table = metric.tables(np.array([(length, 1.0) for length in lengths]))
    return dict(table["lengths"].rows) if table else {}
