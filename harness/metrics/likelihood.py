"""Metrics of the log-likelihood that a language model gives to whole texts: perplexity, bits per byte, their spread."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from harness.errors import MetricError
from harness.metrics.numbers import finite_series
from harness.metrics.rows import Row, ratio, scores_of, wrong_kind
from harness.protocols import Metric
from harness.types import FloatArray, Likelihoods, Output, Sample, Scores

Unit = Literal["token", "word", "byte"]
UNITS: tuple[str, ...] = ("token", "word", "byte")


@dataclass(frozen=True, repr=False)
class TextLikelihood(Metric):
    """Base of the metrics of texts' summed log-likelihoods and sizes. A subclass says by :attr:`counted` what it divides by.

    Statistics: negative log-likelihood in nats, tokens, words, bytes; a size that is not known and not needed is 0. Rows are
    missing where the text has none of the units that are needed or its log-probability is not finite or positive.
    """

    family: ClassVar[str] = "likelihood"
    needs: ClassVar[frozenset[str]] = frozenset({"likelihoods"})
    higher_is_better: ClassVar[bool | None] = False
    columns: ClassVar[tuple[str, ...]] = ("nll", "tokens", "words", "bytes")

    @property
    def counted(self) -> str:
        """``token``, ``word`` or ``byte``."""
        return "token"

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a text: negative log-likelihood in nats, tokens, words, bytes."""
        return scores_of(map(self._row, outputs), 4)

    def per_unit(self, totals: FloatArray) -> FloatArray:
        """Nats a unit, ``float64[..., 4] -> float64[...]``; NaN for no units."""
        return ratio(totals[..., 0], totals[..., 1 + UNITS.index(self.counted)])

    def _row(self, output: Output) -> Row:
        answer = whole_text(output)
        if isinstance(answer, str):
            return answer
        sizes = {"token": answer.n_tokens[0], "word": answer.n_words, "byte": answer.n_bytes}
        size = sizes[self.counted]
        if not size:
            return f"the number of {self.counted}s is not known" if size is None else f"the text has no {self.counted}"
        return (-answer.logprobs[0], *(float(sizes[unit] or 0) for unit in UNITS))


def whole_text(output: Output) -> Likelihoods | str:
    """The likelihood of one whole text, or the reason why this output is none."""
    answer = output.answer
    if not isinstance(answer, Likelihoods):
        return wrong_kind(output, "Likelihoods")
    if len(answer.logprobs) != 1:
        return f"likelihoods of {len(answer.logprobs)} continuations, not of one whole text"
    if not -math.inf < answer.logprobs[0] <= 0:
        return f"a log-probability must be finite and not positive, got {answer.logprobs[0]}"
    return answer


@dataclass(frozen=True, repr=False)
class Perplexity(TextLikelihood):
    """exp(-Σ ln p / N) over all texts together; from 1 upwards, lower is better; undefined for no units.

    N counts tokens, words or bytes (``unit``): values for tokens compare only between models with one tokeniser, those for
    words and bytes between all. The form with binary logarithms, 2^(-1/N Σ log2 p), is the same number. The value of a corpus
    is not the mean of the values of its texts: each text weighs with its length. Rows are missing where the text has no unit or
    its log-probability is not finite or positive.
    """

    name: ClassVar[str] = "perplexity"
    summary: ClassVar[str] = "exponential of the mean negative log-likelihood a token, word or byte"
    bounds: ClassVar[tuple[float | None, float | None]] = (1.0, None)
    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "word_perplexity": {"unit": "word"}, "byte_perplexity": {"unit": "byte"},
    }
    formula: ClassVar[str] = "exp(-Σ ln p / N) = 2^(-Σ log2 p / N)"
    reference: ClassVar[str] = "the sliding-window loop of the transformers documentation"
    paper: ClassVar[str] = "Jelinek et al. 1977, Perplexity: a measure of the difficulty of speech recognition tasks"

    # The parameter is also what the class variable of this name wants to know: the value is one a token, a word or a byte.
    unit: Unit = "token"  # type: ignore[misc]

    def __post_init__(self) -> None:
        self.require(self.unit in UNITS, "unit", f"one of {', '.join(UNITS)}")

    @property
    def counted(self) -> str:
        return self.unit

    def finish(self, totals: FloatArray) -> FloatArray:
        """exp(nll / units); infinite beyond the range of float64."""
        with np.errstate(over="ignore"):
            values: FloatArray = np.exp(self.per_unit(totals))
        return values


@dataclass(frozen=True, repr=False)
class BitsPerByte(TextLikelihood):
    """-Σ log2 p / bytes over all texts together; from 0 upwards, lower is better; undefined for no bytes.

    Bytes are those of the texts in UTF-8, so that models of any tokeniser compare: 2^(value) is ``byte_perplexity``. What a
    model as a compressor would need for a byte.
    """

    name: ClassVar[str] = "bits_per_byte"
    summary: ClassVar[str] = "bits that the model needs for a byte of text"
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    unit: ClassVar[str] = "bits/byte"
    formula: ClassVar[str] = "-Σ log2 p / Σ bytes"
    reference: ClassVar[str] = "hand-worked; log2 of byte_perplexity"
    paper: ClassVar[str] = "Gao et al. 2020, The Pile: An 800GB Dataset of Diverse Text for Language Modeling"

    @property
    def counted(self) -> str:
        return "byte"

    def finish(self, totals: FloatArray) -> FloatArray:
        """nll / (ln 2 · bytes)."""
        return self.per_unit(totals) / math.log(2)


@dataclass(frozen=True, repr=False)
class PerplexityVariance(Metric):
    """How unevenly texts, or tokens, are predicted; from 0 upwards, lower is more even.

    ``over=text`` : the variance of the texts' perplexities exp(-ln p / tokens), each text one vote.
    ``over=token`` : the variance of the surprisals -ln p of all tokens of all texts together, in nats² (a token's own
    perplexity 1 / p has no useful variance). It needs ``token_logprobs`` in the answers: the suite ``perplexity`` asks for
    them with ``token_logprobs: true``.
    Divided by their number, as ``numpy.var`` does; undefined for fewer than two (where numpy has 0). Statistics: number, mean
    and sum of squared deviations of each text, which combine without loss at any scale.
    """

    over: Literal["text", "token"] = "text"

    name: ClassVar[str] = "perplexity_variance"
    family: ClassVar[str] = "likelihood"
    summary: ClassVar[str] = "variance of the perplexities of texts, or of the surprisals of tokens"
    needs: ClassVar[frozenset[str]] = frozenset({"likelihoods"})
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    columns: ClassVar[tuple[str, ...]] = ("count", "mean", "squares")
    formula: ClassVar[str] = "Σ (x - mean)² / N, x = perplexity of a text, or -ln p of a token"
    reference: ClassVar[str] = "numpy.var"

    def __post_init__(self) -> None:
        self.require(self.over in ("text", "token"), "over", "one of text, token")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a text: how many values, their mean, Σ (value - mean)²."""
        return scores_of(map(self._row, outputs), 3)

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """Each row of weights counts every row of ``stats`` so often."""
        counts = weights * stats[:, 0]
        totals = counts.sum(axis=1)
        # Deviations from a fixed centre: squares of the values themselves would cancel.
        centred = stats[:, 1] - (stats[:, 1].mean() if len(stats) else 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            means = np.nan_to_num(ratio(counts @ centred, totals))
            squares = weights @ stats[:, 2] + counts @ centred**2 - totals * means**2
        variance = np.maximum(ratio(squares, totals), 0.0)
        seen = (counts > 0) @ stats[:, 0]
        return np.where(seen >= 2, variance, np.nan)

    def _row(self, output: Output) -> Row:
        answer = whole_text(output)
        if isinstance(answer, str):
            return answer
        if self.over == "text":
            if not answer.n_tokens[0]:
                return "the text has no token"
            mean = -answer.logprobs[0] / answer.n_tokens[0]
            return (1.0, math.exp(mean), 0.0) if mean < 700 else "the perplexity of the text is beyond the range of float64"
        if not answer.token_logprobs:
            return NO_TOKENS if answer.token_logprobs is None else "the text has no token"
        surprisals = -np.array(answer.token_logprobs)
        if not np.isfinite(surprisals).all():
            return "a log-probability of a token is not finite"
        return float(len(surprisals)), float(surprisals.mean()), float(((surprisals - surprisals.mean()) ** 2).sum())


NO_TOKENS = "the answer has no log-probabilities of tokens (a task asks for them with token_logprobs: true)"


# ── over lists ──────────────────────────────────────────────────────────────────────────────────────────────────────


def perplexity(logprobs: Sequence[float], units: Sequence[int], *, sample_weight: Sequence[float] | None = None) -> float:
    """Perplexity of texts from their summed natural log-probabilities and their numbers of tokens, words or bytes.

    >>> perplexity([math.log(0.25), math.log(0.25)], [1, 1])
    4.0

    NaN for no units. Raises MetricError for lists of different lengths, a
    log-probability that is positive or not finite and a number of units that is negative or not finite.
    """
    with np.errstate(over="ignore"):
        return float(np.exp(_per_unit("perplexity", logprobs, units, sample_weight)))


def bits_per_byte(logprobs: Sequence[float], n_bytes: Sequence[int], *, sample_weight: Sequence[float] | None = None) -> float:
    """Bits a byte of texts from their summed natural log-probabilities and their numbers of bytes.

    >>> bits_per_byte([math.log(1 / 16)], [2])
    2.0

    NaN for no bytes. Raises MetricError for lists of different lengths, a
    log-probability that is positive or not finite and a number of units that is negative or not finite.
    """
    return _per_unit("bits_per_byte", logprobs, n_bytes, sample_weight) / math.log(2)


def perplexity_variance(logprobs: Sequence[float], n_tokens: Sequence[int], *,
                        sample_weight: Sequence[float] | None = None) -> float:
    """Variance of the perplexities of texts; see :class:`PerplexityVariance`.

    >>> perplexity_variance([-math.log(2), -math.log(4)], [1, 1])  # of 2 and 4
    1.0

    NaN for fewer than two texts. Raises MetricError for lists of different lengths, a
    log-probability that is positive or not finite and a number of units that is negative or not finite.
    """
    nll, units, weights = _checked("perplexity_variance", logprobs, n_tokens, sample_weight)
    with np.errstate(over="ignore"):
        values = np.exp(ratio(nll, units))
    stats = np.column_stack([np.ones(len(values)), values, np.zeros(len(values))])
    return float(PerplexityVariance().aggregate(stats, weights[None, :])[0])


def _per_unit(name: str, logprobs: Sequence[float], units: Sequence[int], sample_weight: Sequence[float] | None) -> float:
    nll, sizes, weights = _checked(name, logprobs, units, sample_weight)
    with np.errstate(over="ignore"):
        return float(ratio(np.array([weights @ nll]), np.array([weights @ sizes]))[0])


def _checked(
    name: str, logprobs: Sequence[float], units: Sequence[int], sample_weight: Sequence[float] | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Negative log-likelihoods, units and weights, ``float64[n]`` each."""
    summed, sizes = finite_series(name, "logprobs", logprobs), finite_series(name, "units", units)
    weights = np.ones(len(summed)) if sample_weight is None else finite_series(name, "sample_weight", sample_weight)
    if not len(summed) == len(sizes) == len(weights):
        raise MetricError(f"{name}: units and weights must be one a text ({len(summed)}), got {len(sizes)} and {len(weights)}")
    for what, series, constraint in (("logprobs", -summed, "not positive"), ("units", sizes, "not negative"),
                                     ("sample_weight", weights, "not negative")):  # fmt: skip
        if (series < 0).any():
            row = int(np.argmax(series < 0))
            got = -series[row] if what == "logprobs" else series[row]
            raise MetricError(f"{name}: {what} must be {constraint}, got {got:g} in row {row}")
    return -summed, sizes, weights
