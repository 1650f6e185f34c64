"""From a request to the token ids that a causal language model reads, cut to its context; no weights are needed for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.errors import BackendError
from harness.models.prompts import Prompts, Unanswerable
from harness.models.scoring import TokenPair, rolling_windows
from harness.types import Call, Generate, LogLikelihood, Perplexity

Truncation = Literal["error", "skip", "left", "right"]
"""What is done with a prompt that is longer than what the model can read. left: its beginning is lost, as in
lm-evaluation-harness; right: its end; skip: the sample is missing, with the reason; error: the run stops."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The token ids of requests for one tokenizer and one length of context."""

    prompts: Prompts
    max_length: int
    truncation: Truncation = "left"

    def prompt(self, call: Call) -> tuple[list[int], bool]:
        """What is read before a text is written, with room for its ``max_tokens``, and whether anything was cut.

        Raises Unanswerable, or BackendError where a prompt is too long and ``truncation`` is error.
        """
        assert isinstance(call.request, Generate)
        wanted = call.request.decoding.max_tokens
        if not 1 <= wanted < self.max_length:
            most = self.max_length - 1
            raise Unanswerable(f"max_tokens must be from 1 to {most} (one less than the context), got {wanted}")
        tokens = self.prompts.encode(self.prompts.render(call.request.prompt)) or [self.prompts.prefix_token]
        return self._room(call, tokens, self.max_length - wanted, f"the model's context of {self.max_length} less max_tokens")

    def pairs(self, call: Call) -> tuple[list[TokenPair], bool]:
        """The token sequences that a call asks to have scored, and whether a prefix had to be cut.

        Raises Unanswerable, or BackendError where a prefix is too long and ``truncation`` is error.
        """
        if isinstance(call.request, Perplexity):
            return self._windows(call.request), False
        assert isinstance(call.request, LogLikelihood)
        pairs = self.prompts.pairs(self.prompts.render(call.request.prefix), call.request.continuations)
        fitted = [self._fit(call, pair) for pair in pairs]
        return [pair for pair, _ in fitted], any(cut for _, cut in fitted)

    def _fit(self, call: Call, pair: TokenPair) -> tuple[TokenPair, bool]:
        context, continuation = pair
        if len(continuation) > self.max_length:
            raise Unanswerable(f"a continuation of {len(continuation)} tokens is longer than the model's context of "
                               f"{self.max_length}")
        # The last token is only predicted, never read: a sequence may be one token longer than the context.
        room = self.max_length + 1 - len(continuation)
        kept, cut = self._room(call, context, room, f"the model's context of {self.max_length} less the continuation")
        return (kept, continuation), cut

    def _room(self, call: Call, tokens: Sequence[int], limit: int, why: str) -> tuple[list[int], bool]:
        """The tokens, cut to ``limit`` (at least 1) by the policy, and whether that took any away."""
        if len(tokens) <= limit:
            return list(tokens), False
        if self.truncation in ("left", "right"):
            return list(tokens[-limit:] if self.truncation == "left" else tokens[:limit]), True
        reason = f"a prompt of {len(tokens)} tokens is longer than the {limit} that it may have ({why})"
        if self.truncation == "skip":
            raise Unanswerable(f"{reason}, and truncation is skip")
        raise BackendError(f"transformers backend: sample {call.key.sample_id!r}: {reason}; truncation is error: write "
                           "truncation: left (the beginning is lost), right (the end is lost) or skip (the sample is missing)")

    def _windows(self, request: Perplexity) -> list[TokenPair]:
        length = self.max_length if request.max_length is None else request.max_length
        if not 1 <= length <= self.max_length:
            raise Unanswerable(f"max_length must be from 1 to {self.max_length}, the model's context, got {length}")
        if request.stride is not None and not 1 <= request.stride <= length:
            raise Unanswerable(f"stride must be from 1 to {length}, the tokens that are read at once, got {request.stride}")
        tokens, first = self.prompts.bare(request.text), self.prompts.prefix_token
        if request.bos is True and self.prompts.tokenizer.bos_token_id is None:
            raise Unanswerable("bos is true, but the model's tokenizer has no beginning-of-sequence token: write bos: auto, "
                               "which reads the end-of-text token in its place")
        # A text that brings the token along does not get it twice.
        is_bare = request.bos is False or tokens[:1] == [first]
        return rolling_windows(tokens, None if is_bare else first, length, request.stride)
