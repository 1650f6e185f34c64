"""Metrics of the log-likelihood that a language model gives to whole texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from harness.errors import MetricError
from harness.metrics.rows import Row, ratio, scores_of
from harness.protocols import Metric
from harness.types import FloatArray, Likelihoods, Output, Sample, Scores

Unit = Literal["token", "word", "byte"]


@dataclass(frozen=True, repr=False)
class Perplexity(Metric):
    """exp(-Σ ln p / N) over all texts together; from 1 upwards, lower is better; undefined for no units.

    N counts tokens, words or bytes (``unit``): values for tokens compare only between models with one tokeniser, those for words
    and bytes between all. The form with binary logarithms, 2^(-1/N Σ log2 p), is the same number. The value of a corpus is
    not the mean of the values of its texts: each text weighs with its length. Rows are missing where the text has no unit or
    its log-probability is not finite or positive.
    """

    name: ClassVar[str] = "perplexity"
    family: ClassVar[str] = "likelihood"
    summary: ClassVar[str] = "exponential of the mean negative log-likelihood a token, word or byte"
    needs: ClassVar[frozenset[str]] = frozenset({"likelihoods"})
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (1.0, None)
    columns: ClassVar[tuple[str, ...]] = ("nll", "units")

    unit_of_text: ClassVar[str] = "likelihoods of one whole text"

    per: Unit = "token"

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a text: negative log-likelihood in nats, number of units."""
        return scores_of((self._row(o) for o in outputs), 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """exp(nll / units)."""
        with np.errstate(over="ignore"):
            return np.exp(ratio(totals[..., 0], totals[..., 1]))
