"""What outputs use: tokens, tokens and answers a second, money."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from harness.errors import MetricError
from harness.metrics.numbers import exact_sum
from harness.metrics.rows import Row, ratio, scores_of
from harness.protocols import Metric
from harness.types import FloatArray, Output, Sample, Scores, Table, Usage

Side = Literal["input", "output", "total"]


@dataclass(frozen=True, repr=False)
class RatioOfSums(Metric):
    """Base of the metrics Σ a / Σ b over outputs. A subclass gives :meth:`of_output`; undefined where Σ b is 0."""

    family: ClassVar[str] = "operations"
    needs: ClassVar[frozenset[str]] = frozenset({"usage"})
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    reference: ClassVar[str] = "hand-worked"

    def of_output(self, output: Output) -> Row:
        """``(a, b)``, or the reason why they are not known."""
        raise NotImplementedError(f"{type(self).__name__}.of_output")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row an output: a, b."""
        return scores_of(map(self.of_output, outputs), 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """Σ a / Σ b."""
        return ratio(totals[..., 0], totals[..., 1])


@dataclass(frozen=True, repr=False)
class TokensUsed(RatioOfSums):
    """Tokens an answer takes, the mean over answers: those read (``input``), written (``output``) or both (``total``).

    Neither direction is better. Outputs without a usage are missing. Table ``tokens``: the sum over all outputs.
    """

    side: Side = "total"

    name: ClassVar[str] = "tokens"
    summary: ClassVar[str] = "tokens read or written an answer"
    higher_is_better: ClassVar[bool | None] = None
    unit: ClassVar[str] = "tokens"
    columns: ClassVar[tuple[str, ...]] = ("tokens", "n")
    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {"tokens_in": {"side": "input"}, "tokens_out": {"side": "output"}}
    formula: ClassVar[str] = "Σ tokens / answers"

    def __post_init__(self) -> None:
        self.require(self.side in get_args(Side), "side", f"one of {', '.join(get_args(Side))}")

    def of_output(self, output: Output) -> Row:
        return _NO_USAGE if output.usage is None else (_tokens(output.usage, self.side), 1.0)

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        return {"tokens": Table(("outputs", "tokens"), ((len(stats), float(stats[:, 0].sum())),))}


@dataclass(frozen=True, repr=False)
class TokensPerSecond(RatioOfSums):
    """Tokens written a second of latency: Σ tokens / Σ seconds over answers; higher is better.

    What one caller sees. Requests that ran in one batch all have the time of the batch, so that the machine as a whole writes
    more. ``side`` : ``output``, ``input`` or ``total``. Outputs without usage or timing are missing; undefined for no seconds.
    """

    side: Side = "output"

    name: ClassVar[str] = "tokens_per_second"
    summary: ClassVar[str] = "tokens written a second of latency, as one caller sees it"
    needs: ClassVar[frozenset[str]] = frozenset({"usage", "timing"})
    unit: ClassVar[str] = "tokens/s"
    columns: ClassVar[tuple[str, ...]] = ("tokens", "seconds")
    formula: ClassVar[str] = "Σ tokens / Σ latency"

    def __post_init__(self) -> None:
        self.require(self.side in get_args(Side), "side", f"one of {', '.join(get_args(Side))}")

    def of_output(self, output: Output) -> Row:
        if output.usage is None:
            return _NO_USAGE
        return _NO_TIMING if output.timing is None else (_tokens(output.usage, self.side), output.timing.latency_s)


@dataclass(frozen=True, repr=False)
class SamplesPerSecond(RatioOfSums):
    """Answers a second of latency: answers / Σ seconds; higher is better.

    What one caller who waits for each answer sees, one over the mean latency; batches and parallel requests make a run as a
    whole faster (its own seconds are in the run record). Outputs without a timing are missing; undefined for no seconds.
    """

    name: ClassVar[str] = "samples_per_second"
    summary: ClassVar[str] = "answers a second of latency, as one caller sees it"
    needs: ClassVar[frozenset[str]] = frozenset({"timing"})
    unit: ClassVar[str] = "samples/s"
    columns: ClassVar[tuple[str, ...]] = ("n", "seconds")
    formula: ClassVar[str] = "answers / Σ latency"

    def of_output(self, output: Output) -> Row:
        return _NO_TIMING if output.timing is None else (1.0, output.timing.latency_s)


@dataclass(frozen=True, repr=False)
class TokenCost(RatioOfSums):
    """Price of an answer, the mean over answers, in the currency of the prices; lower is better.

    (tokens read · ``input_price`` + tokens written · ``output_price``) / 1,000,000. Outputs without a usage are missing. Table
    ``cost``: the sum over all outputs.
    """

    input_price: float
    output_price: float

    name: ClassVar[str] = "token_cost"
    summary: ClassVar[str] = "price of an answer, from prices of a million tokens read and written"
    higher_is_better: ClassVar[bool | None] = False
    columns: ClassVar[tuple[str, ...]] = ("cost", "n")
    example: ClassVar[str] = "token_cost(input_price=1,output_price=4)"
    formula: ClassVar[str] = "Σ (input tokens · input_price + output tokens · output_price) / 10⁶ / answers"

    def __post_init__(self) -> None:
        for price in ("input_price", "output_price"):
            self.require(0 <= getattr(self, price) < math.inf, price, "a finite number ≥ 0")

    def of_output(self, output: Output) -> Row:
        usage = output.usage
        if usage is None:
            return _NO_USAGE
        return (usage.input_tokens * self.input_price + usage.output_tokens * self.output_price) / 1e6, 1.0

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        return {"cost": Table(("outputs", "cost"), ((len(stats), float(stats[:, 0].sum())),))}


_NO_USAGE = "the output does not say how many tokens it took"
_NO_TIMING = "the output has no timing"


# ── over lists ──────────────────────────────────────────────────────────────────────────────────────────────────────


def tokens(input_tokens: Sequence[int], output_tokens: Sequence[int], *, side: Side = "total") -> float:
    """Mean number of tokens an answer takes; see :class:`TokensUsed`. NaN for no answers.

    >>> tokens([100, 300], [10, 30])
    220.0

    Raises MetricError for lists of different lengths or negative numbers.
    """
    _check("tokens", input_tokens, output_tokens)
    used = [_tokens(Usage(read, written), TokensUsed(side).side) for read, written in zip(input_tokens, output_tokens)]
    return exact_sum(used) / len(used) if used else math.nan


def tokens_per_second(tokens: Sequence[float], seconds: Sequence[float]) -> float:
    """Σ tokens / Σ seconds; NaN for no seconds. Raises MetricError for lists of different lengths or negative numbers.

    >>> tokens_per_second([10, 30], [1.0, 1.0])
    20.0
    """
    _check("tokens_per_second", tokens, seconds)
    return float(ratio(np.array(exact_sum(tokens)), np.array(exact_sum(seconds))))


def samples_per_second(seconds: Sequence[float]) -> float:
    """Answers / Σ seconds; NaN for no seconds. Raises MetricError for negative numbers.

    >>> samples_per_second([0.5, 1.5])
    1.0
    """
    _check("samples_per_second", seconds, seconds)
    return float(ratio(np.array(float(len(seconds))), np.array(exact_sum(seconds))))


def token_cost(input_tokens: Sequence[int], output_tokens: Sequence[int], *, input_price: float, output_price: float) -> float:
    """Mean price of an answer; prices are those of a million tokens. NaN for no answers.

    >>> token_cost([1000, 3000], [500, 500], input_price=1.0, output_price=4.0)
    0.004

    Raises MetricError for lists of different lengths or negative numbers.
    """
    _check("token_cost", input_tokens, output_tokens)
    metric = TokenCost(input_price, output_price)
    read, written = exact_sum(input_tokens) * metric.input_price, exact_sum(output_tokens) * metric.output_price
    return (read + written) / 1e6 / len(input_tokens) if len(input_tokens) else math.nan


def _tokens(usage: Usage, side: Side) -> float:
    return float((side != "output") * usage.input_tokens + (side != "input") * usage.output_tokens)


def _check(name: str, one: Sequence[float], other: Sequence[float]) -> None:
    if len(one) != len(other):
        raise MetricError(f"{name}: the lists must have the same length, got {len(one)} and {len(other)}")
    wrong = [value for value in (*one, *other) if not 0 <= value < math.inf]
    if wrong:
        raise MetricError(f"{name}: values must be finite and ≥ 0, got {wrong[0]}")
