"""How sure a model is of what it wrote or read, from the log-probabilities of the tokens: a number a text, then the mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.errors import MetricError
from harness.metrics.likelihood import NO_TOKENS, whole_text
from harness.metrics.numbers import exact_sum
from harness.metrics.rows import Row, ratio, scores_of, wrong_kind
from harness.protocols import Metric
from harness.types import FloatArray, Likelihoods, Output, Sample, Scores, Text

_PAPER = "Malinin and Gales 2021, Uncertainty Estimation in Autoregressive Structured Prediction"


@dataclass(frozen=True, repr=False)
class TokenMetric(Metric):
    """Base of the metrics of one text's tokens, written (Text) or read (Likelihoods of one whole text); the mean over texts.

    A subclass gives :meth:`of_answer`. Undefined for no texts.
    """

    family: ClassVar[str] = "likelihood"
    needs: ClassVar[frozenset[str]] = frozenset({"likelihoods|text"})
    bounds: ClassVar[tuple[float | None, float | None]] = (None, 0.0)
    columns: ClassVar[tuple[str, ...]] = ("value", "n")

    def of_answer(self, answer: Text | Likelihoods) -> float | str:
        """The number of this text, or the reason why it has none."""
        raise NotImplementedError(f"{type(self).__name__}.of_answer")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a text: its number, 1."""
        return scores_of(map(self._row, outputs), 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """The weighted mean."""
        return ratio(totals[..., 0], totals[..., 1])

    def _row(self, output: Output) -> Row:
        answer = output.answer
        if isinstance(answer, Likelihoods):
            whole = whole_text(output)
            value = whole if isinstance(whole, str) else self.of_answer(whole)
        else:
            value = self.of_answer(answer) if isinstance(answer, Text) else wrong_kind(output, "Text or Likelihoods")
        if isinstance(value, str):
            return value
        return (value, 1.0) if math.isfinite(value) else f"a value of the tokens is not finite, got {value}"


@dataclass(frozen=True, repr=False)
class SequenceLogprob(TokenMetric):
    """Σ ln p of the tokens of a text, the mean over texts; at most 0, higher is likelier. Longer texts have less.

    Missing without tokens, and where a written text comes without the log-probabilities of its tokens.
    """

    name: ClassVar[str] = "sequence_logprob"
    summary: ClassVar[str] = "log-probability of a whole text, mean over texts"
    unit: ClassVar[str] = "nats"
    formula: ClassVar[str] = "mean over texts of Σ ln p(token)"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = _PAPER

    def of_answer(self, answer: Text | Likelihoods) -> float | str:
        return _sum_and_count(answer, lambda total, n: total)


@dataclass(frozen=True, repr=False)
class MeanTokenLogprob(TokenMetric):
    """Σ ln p / tokens of a text, the mean over texts; at most 0, higher is likelier.

    Each text is one vote, unlike in ``perplexity``, where each token is: exp(-value) is the geometric mean of the texts' own
    perplexities. Missing as ``sequence_logprob``.
    """

    name: ClassVar[str] = "mean_token_logprob"
    summary: ClassVar[str] = "mean log-probability of the tokens of a text, mean over texts"
    unit: ClassVar[str] = "nats/token"
    formula: ClassVar[str] = "mean over texts of Σ ln p(token) / tokens"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = _PAPER

    def of_answer(self, answer: Text | Likelihoods) -> float | str:
        return _sum_and_count(answer, lambda total, n: total / n)


@dataclass(frozen=True, repr=False)
class MinTokenLogprob(TokenMetric):
    """The lowest ln p of a token of a text, the mean over texts; at most 0, higher is surer at the weakest place.

    Missing without the log-probabilities of the tokens.
    """

    name: ClassVar[str] = "min_token_logprob"
    summary: ClassVar[str] = "log-probability of the least likely token of a text, mean over texts"
    unit: ClassVar[str] = "nats"
    formula: ClassVar[str] = "mean over texts of min ln p(token)"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = "Manakul et al. 2023, SelfCheckGPT: Zero-Resource Black-Box Hallucination Detection (Max(-log p))"

    def of_answer(self, answer: Text | Likelihoods) -> float | str:
        return _over_tokens(answer.token_logprobs, min)


@dataclass(frozen=True, repr=False)
class TokenEntropy(TokenMetric):
    """Mean entropy, in nats, of the distributions that the tokens of a text were predicted by, the mean over texts; from 0 on.

    Neither direction is better: low is sure, rightly or not. Missing without the entropies of the tokens.
    """

    name: ClassVar[str] = "token_entropy"
    summary: ClassVar[str] = "mean entropy of the model's next-token distributions, mean over texts"
    higher_is_better: ClassVar[bool | None] = None
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    unit: ClassVar[str] = "nats/token"
    formula: ClassVar[str] = "mean over texts of the mean over tokens of -Σ p ln p"
    reference: ClassVar[str] = "hand-worked; scipy.stats.entropy of a direct transformers pass"
    paper: ClassVar[str] = _PAPER

    def of_answer(self, answer: Text | Likelihoods) -> float | str:
        return _over_tokens(answer.token_entropies, lambda values: exact_sum(values) / len(values))


# ── over lists ──────────────────────────────────────────────────────────────────────────────────────────────────────


def sequence_logprob(token_logprobs: Sequence[Sequence[float]]) -> float:
    """Mean over texts of the summed log-probabilities of their tokens; texts without a token are left out, NaN for none.

    >>> sequence_logprob([[-1.0, -2.0], [-5.0]])
    -4.0
    """
    return _mean_of("sequence_logprob", token_logprobs, exact_sum)


def mean_token_logprob(token_logprobs: Sequence[Sequence[float]]) -> float:
    """Mean over texts of the mean log-probability of their tokens; texts without a token are left out, NaN for none.

    >>> mean_token_logprob([[-1.0, -2.0], [-5.0]])
    -3.25
    """
    return _mean_of("mean_token_logprob", token_logprobs, lambda values: exact_sum(values) / len(values))


def min_token_logprob(token_logprobs: Sequence[Sequence[float]]) -> float:
    """Mean over texts of the lowest log-probability of a token; texts without a token are left out, NaN for none.

    >>> min_token_logprob([[-1.0, -2.0], [-5.0]])
    -3.5
    """
    return _mean_of("min_token_logprob", token_logprobs, min)


def token_entropy(distributions: Sequence[Sequence[Sequence[float]]]) -> float:
    """Mean over texts of the mean entropy, in nats, of the next-token distributions ``[texts][tokens][vocabulary]``.

    >>> round(token_entropy([[[0.5, 0.5], [1.0, 0.0]]]), 6)
    0.346574

    Texts without a token are left out, NaN for none. Raises MetricError for what is no distribution.
    """
    return _mean_of("token_entropy", [[_entropy(np.asarray(d, dtype=np.float64)) for d in text] for text in distributions],
                    lambda values: exact_sum(values) / len(values), most=math.inf)


def _mean_of(
    name: str, texts: Sequence[Sequence[float]], of: Callable[[Sequence[float]], float], *, most: float = 0.0
) -> float:
    wrong = [value for values in texts for value in values if not -math.inf < value <= most]
    if wrong:
        raise MetricError(f"{name}: a log-probability must be finite and not positive, got {wrong[0]}")
    numbers = [float(of(values)) for values in texts if len(values)]
    return exact_sum(numbers) / len(numbers) if numbers else math.nan


def _entropy(probabilities: FloatArray) -> float:
    if not ((probabilities >= 0).all() and math.isclose(float(probabilities.sum()), 1.0, abs_tol=1e-6)):
        raise MetricError(f"token_entropy: a distribution must be ≥ 0 and sum to 1, got {probabilities.tolist()[:8]}")
    there = probabilities[probabilities > 0]
    return max(0.0, -float((there * np.log(there)).sum()))


def _sum_and_count(answer: Text | Likelihoods, of: Callable[[float, int], float]) -> float | str:
    if isinstance(answer, Likelihoods):
        return float(of(answer.logprobs[0], answer.n_tokens[0])) if answer.n_tokens[0] else "the text has no token"
    return _over_tokens(answer.token_logprobs, lambda values: float(of(exact_sum(values), len(values))))


def _over_tokens(values: Sequence[float] | None, of: Callable[[Sequence[float]], float]) -> float | str:
    if not values:
        return NO_TOKENS if values is None else "the text has no token"
    return float(of(values))
