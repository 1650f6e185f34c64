"""Metrics of the log-likelihood that a language model gives to whole texts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from harness.errors import MetricError
from harness.metrics.rows import Row, ratio, scores_of, wrong_kind
from harness.protocols import Metric
from harness.types import FloatArray, Likelihoods, Output, Sample, Scores

Unit = Literal["token", "word", "byte"]
UNITS: tuple[str, ...] = ("token", "word", "byte")


@dataclass(frozen=True, repr=False)
class Perplexity(Metric):
    """exp(-Σ ln p / N) over all texts together; from 1 upwards, lower is better; undefined for no units.

    N counts tokens, words or bytes (``unit``): values for tokens compare only between models with one tokeniser, those for
    words and bytes between all. The form with binary logarithms, 2^(-1/N Σ log2 p), is the same number. The value of a corpus
    is not the mean of the values of its texts: each text weighs with its length. Rows are missing where the text has no unit or
    its log-probability is not finite or positive.
    """

    name: ClassVar[str] = "perplexity"
    family: ClassVar[str] = "likelihood"
    summary: ClassVar[str] = "exponential of the mean negative log-likelihood a token, word or byte"
    needs: ClassVar[frozenset[str]] = frozenset({"likelihoods"})
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (1.0, None)
    columns: ClassVar[tuple[str, ...]] = ("nll", "units")

    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "word_perplexity": {"unit": "word"}, "byte_perplexity": {"unit": "byte"},
    }

    # The parameter is also what the class variable of this name wants to know: the value is one a token, a word or a byte.
    unit: Unit = "token"  # type: ignore[misc]

    def __post_init__(self) -> None:
        self.require(self.unit in UNITS, "unit", f"one of {', '.join(UNITS)}")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a text: negative log-likelihood in nats, number of units."""
        return scores_of(map(self._row, outputs), 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """exp(nll / units); infinite beyond the range of float64."""
        with np.errstate(over="ignore"):
            values: FloatArray = np.exp(ratio(totals[..., 0], totals[..., 1]))
        return values

    def _row(self, output: Output) -> Row:
        answer = output.answer
        if not isinstance(answer, Likelihoods):
            return wrong_kind(output, "Likelihoods")
        if len(answer.logprobs) != 1:
            return f"likelihoods of {len(answer.logprobs)} continuations, not of one whole text"
        if not -math.inf < answer.logprobs[0] <= 0:
            return f"a log-probability must be finite and not positive, got {answer.logprobs[0]}"
        units = {"token": answer.n_tokens[0], "word": answer.n_words, "byte": answer.n_bytes}[self.unit]
        if not units:
            return f"the number of {self.unit}s is not known" if units is None else f"the text has no {self.unit}"
        return -answer.logprobs[0], float(units)


def perplexity(logprobs: Sequence[float], units: Sequence[int], *, sample_weight: Sequence[float] | None = None) -> float:
    """Perplexity of texts from their summed natural log-probabilities and their numbers of tokens, words or bytes.

    >>> perplexity([math.log(0.25), math.log(0.25)], [1, 1])
    4.0

    NaN for no units. Raises MetricError for lists of different lengths.
    """
    n = len(logprobs)
    weights = np.ones(n) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if len(units) != n or weights.shape != (n,):
        raise MetricError(f"perplexity: units and weights must be one a text ({n}), got {len(units)} and shape {weights.shape}")
    stats = np.column_stack([-np.asarray(logprobs, dtype=np.float64), np.asarray(units, dtype=np.float64)])
    return float(Perplexity().aggregate(stats, weights[None, :])[0])
