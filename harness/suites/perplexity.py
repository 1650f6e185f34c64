"""Perplexity: how well a language model predicts whole texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from harness.errors import ConfigError
from harness.protocols import Play, TaskData
from harness.suites.prompting import rendered
from harness.templates import compile_template
from harness.types import Likelihoods, Perplexity, Sample


@dataclass(frozen=True)
class PerplexitySuite:
    """Each text is scored token by token, in windows where it is longer than what is read at once.

    text : template of the text that is scored; its words (pieces between white space) and bytes (UTF-8) are those that
        ``word_perplexity`` and ``bits_per_byte`` divide by, whatever the model's tokens are.
    max_length : tokens that the model reads at once; by default as many as it can.
    stride : tokens by which windows move on, from 1 to ``max_length``. Small: each token is scored with nearly ``max_length``
        tokens before it, at the price of max_length / stride passes. By default windows share one token, as in
        lm-evaluation-harness: ``max_length`` tokens are scored at a time, the first of them with one token before it.
        ``max_length: 1023, stride: 512`` are the windows of the transformers documentation with its 1024 and 512 (there the
        last token, which is only predicted, counts).
    bos : whether a beginning-of-sequence token is read before the text. ``true``, and ``auto`` in models that have one: the
        first token of the text is scored after it. ``auto`` in models without one: after the end-of-text token, as
        lm-evaluation-harness does. ``false``: the text is read as it stands; its first token is not scored and not counted
        (words and bytes still count whole). A text that begins with that token itself does not get it twice.
    token_logprobs : keep the log-probability and the entropy of every token, for ``min_token_logprob``, ``token_entropy`` and
        ``perplexity_variance(over=token)``. Outputs then take some 20 bytes a token instead of 100 a text.
    """

    name: ClassVar[str] = "perplexity"
    summary: ClassVar[str] = "how well a language model predicts whole texts"

    text: str = "{{ text }}"
    stride: int | None = None
    max_length: int | None = None
    bos: bool | Literal["auto"] = "auto"
    token_logprobs: bool = False

    def __post_init__(self) -> None:
        for key in ("stride", "max_length"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise ConfigError(f"{key} must be a positive integer, got {value!r}")
        if self.stride is not None and self.max_length is not None and self.stride > self.max_length:
            raise ConfigError(f"stride must be at most max_length, {self.max_length}, got {self.stride!r}")
        if self.bos not in (True, False, "auto"):
            raise ConfigError(f"bos must be true, false or auto, got {self.bos!r}")

    def needs(self) -> frozenset[type]:
        return frozenset({Perplexity})

    def gives(self) -> frozenset[str]:
        return frozenset({"likelihoods", "timing", "usage"})

    def prepare(self, data: TaskData) -> PerplexitySuite:
        return self

    def play(self, sample: Sample) -> Play:
        text = rendered(compile_template(self.text), sample, "text")
        output = yield Perplexity(text, self.stride, self.max_length, self.bos, self.token_logprobs)
        answer = output.answer
        if not isinstance(answer, Likelihoods):
            raise TypeError(f"perplexity expects likelihoods, got {type(answer).__name__.lower()}")
        return answer
