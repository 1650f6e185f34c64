"""How requests end: the shares of errors, timeouts, outputs that were cut off, refusals."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from harness.metrics.rows import Row, ratio, scores_of, wrong_kind
from harness.protocols import Interval, Metric
from harness.types import FloatArray, Key, Output, Sample, Scores, Text

_LOOKED_AT = 200
"""Characters at the beginning of an answer in which a refusal is looked for."""

_TIMEOUT = r"\btime[- ]?(?:d[- ]?)?outs?\b|\btimeout\w*|\w*timeout\b|deadline exceeded|\b(?:408|504)\b"

_REFUSAL = (
    r"\b(?:i|we) (?:can ?not|can't|could not|couldn't|(?:am|are) unable to|(?:am|are) not able to|won't|will not|must decline"
    r"|have to decline) (?:\w+ ){0,2}?(?:help|assist|answer|provide|comply|fulfill?|do that|do this|create|write|generate"
    r"|discuss|engage|support|share|give|offer|continue|determine|tell|respond)"
    r"|\b(?:i'?m|i am) (?:unable|not able) to\b|\b(?:i|we) must decline\b"
    r"|\bi (?:do not|don't) (?:know|have (?:enough )?(?:information|context))\b"
    r"|\b(?:i'?m|i am|we'?re) sorry,? (?:but )?(?:i|we|as an)\b|\bas an ai(?: language)?(?: model| assistant)?\b"
    r"|\bthe (?:context|text|passage|document)s? (?:does|do) not (?:contain|provide|mention|say|include)\b"
    r"|\b(?:can ?not|can't) be (?:answered|determined) (?:from|based on)\b"
)


@dataclass(frozen=True, repr=False)
class ShareOfOutputs(Metric):
    """Base of the shares of outputs of which something is true; 0–1, lower is better. A subclass gives :meth:`is_so`.

    Undefined for no outputs.
    """

    family: ClassVar[str] = "operations"
    higher_is_better: ClassVar[bool | None] = False
    interval: ClassVar[Interval] = "wilson"
    columns: ClassVar[tuple[str, ...]] = ("hit", "n")
    reference: ClassVar[str] = "hand-worked"

    def is_so(self, output: Output) -> bool | str:
        """Whether it is true of this output, or the reason why that is not known."""
        raise NotImplementedError(f"{type(self).__name__}.is_so")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row an output: 1 or 0, 1."""
        return scores_of(map(self._row, outputs), 2)

    def finish(self, totals: FloatArray) -> FloatArray:
        """The weighted share."""
        return ratio(totals[..., 0], totals[..., 1])

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        """True and false."""
        return np.array([1.0, 1.0]), np.array([0.0, 1.0])

    def _row(self, output: Output) -> Row:
        answer = self.is_so(output)
        return answer if isinstance(answer, str) else (float(answer), 1.0)


@dataclass(frozen=True, repr=False)
class ErrorRate(ShareOfOutputs):
    """Outputs with an error / outputs; 0–1, lower is better. The one metric, with ``timeout_rate``, that scores errors."""

    name: ClassVar[str] = "error_rate"
    summary: ClassVar[str] = "share of requests that failed"
    sees_errors: ClassVar[bool] = True
    formula: ClassVar[str] = "failed requests / requests"

    def is_so(self, output: Output) -> bool | str:
        return output.error is not None


@dataclass(frozen=True, repr=False)
class TimeoutRate(ShareOfOutputs):
    """Outputs whose error speaks of a timeout / outputs; 0–1, lower is better.

    Told by the words of the error: "timeout", "timed out", "deadline exceeded", or the HTTP status 408 or 504.
    """

    name: ClassVar[str] = "timeout_rate"
    summary: ClassVar[str] = "share of requests that failed with a timeout, by the words of the error"
    sees_errors: ClassVar[bool] = True
    formula: ClassVar[str] = "requests with a timeout / requests"

    def is_so(self, output: Output) -> bool | str:
        return output.error is not None and re.search(_TIMEOUT, output.error, re.IGNORECASE) is not None


@dataclass(frozen=True, repr=False)
class TruncationRate(ShareOfOutputs):
    """Outputs that were cut off / outputs; 0–1, lower is better.

    ``side=output`` : text that ended because ``max_tokens`` were written (finish reason ``length``); outputs without a finish
    reason are missing. ``side=input`` : the prompt lost its beginning, since it was longer than the model's context.
    """

    side: Literal["output", "input"] = "output"

    name: ClassVar[str] = "truncation_rate"
    summary: ClassVar[str] = "share of outputs that max_tokens cut off, or of prompts that lost their beginning"
    formula: ClassVar[str] = "outputs cut off / outputs"

    def __post_init__(self) -> None:
        self.require(self.side in ("output", "input"), "side", "one of output, input")

    def is_so(self, output: Output) -> bool | str:
        if self.side == "input":
            return output.truncated
        return "the output has no finish reason" if output.finish_reason is None else output.finish_reason == "length"


@dataclass(frozen=True, repr=False)
class RefusalRate(ShareOfOutputs):
    """Answers that refuse or say that they do not know / answers; 0–1; which direction is better depends on what was asked.

    By patterns of English phrases ("I cannot help with", "I'm sorry, but I", "As an AI language model", "I don't know", "the
    context does not contain") in the first 200 characters: an estimate that misses refusals in other words and languages and
    takes a quoted one for its own. ``pattern`` : a regular expression, matched without regard to case, instead of them. An
    empty answer is no refusal.
    """

    pattern: str | None = None
    _compiled: re.Pattern[str] = field(default=re.compile(_REFUSAL, re.IGNORECASE), init=False, repr=False, compare=False)

    name: ClassVar[str] = "refusal_rate"
    summary: ClassVar[str] = "share of answers that refuse, by patterns of English phrases"
    needs: ClassVar[frozenset[str]] = frozenset({"text"})
    higher_is_better: ClassVar[bool | None] = None
    formula: ClassVar[str] = "answers that match a pattern / answers"

    def __post_init__(self) -> None:
        if self.pattern is not None:
            self.require(_is_pattern(self.pattern), "pattern", "a regular expression")
            object.__setattr__(self, "_compiled", re.compile(self.pattern, re.IGNORECASE))

    @property
    def may_hang(self) -> bool:
        """The phrases' patterns always come to an end."""
        return self.pattern is not None

    def is_so(self, output: Output) -> bool | str:
        if not isinstance(output.answer, Text):
            return wrong_kind(output, "Text")
        text = output.answer.text.strip()[:_LOOKED_AT].replace("\u2019", "'")
        return self._compiled.search(text) is not None

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        """No end is the worse one."""
        return None


def error_rate(errors: Sequence[str | None]) -> float:
    """Share of requests that failed, from their errors (None: it did not). NaN for no requests.

    >>> error_rate([None, "HTTP 500", None, None])
    0.25
    """
    return _share(ErrorRate(), [Output(Key(""), None, error=error) for error in errors])


def timeout_rate(errors: Sequence[str | None]) -> float:
    """Share of requests that failed with a timeout, from their errors (None: it did not fail). NaN for no requests.

    >>> timeout_rate([None, "HTTP 500", "Read timed out", None])
    0.25
    """
    return _share(TimeoutRate(), [Output(Key(""), None, error=error) for error in errors])


def truncation_rate(finish_reasons: Sequence[Literal["stop", "length", "error"]]) -> float:
    """Share of texts that max_tokens cut off, from their finish reasons. NaN for none.

    >>> truncation_rate(["stop", "length"])
    0.5
    """
    return _share(TruncationRate(), [Output(Key(""), None, finish_reason=reason) for reason in finish_reasons])


def refusal_rate(texts: Sequence[str], *, pattern: str | None = None) -> float:
    """Share of texts that refuse; see :class:`RefusalRate`. NaN for no texts.

    >>> refusal_rate(["I'm sorry, but I can't help with that.", "It is in Paris."])
    0.5
    """
    return _share(RefusalRate(pattern), [Output(Key(""), Text(text)) for text in texts])


def _share(metric: ShareOfOutputs, outputs: Sequence[Output]) -> float:
    hits = [metric.is_so(output) for output in outputs]
    return sum(hit is True for hit in hits) / len(hits) if hits else math.nan


def _is_pattern(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True
