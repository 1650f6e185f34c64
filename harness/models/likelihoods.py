"""Answers LogLikelihood and Perplexity requests with an open causal language model."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from harness.models.devices import pack
from harness.models.loaded import TOO_LITTLE_MEMORY, Loaded, failed, order
from harness.models.prompts import Unanswerable
from harness.models.scoring import Scored, TokenPair, fit, layout, rolling_windows, score_sequences, widest_row
from harness.types import Call, Likelihoods, LogLikelihood, Output, Perplexity, Timing, Usage


class LikelihoodScorer:
    """Batches calls and scores them; made once for an open model, which it tries for whether sequences may share rows."""

    def __init__(self, loaded: Loaded, say: Callable[[str], None]) -> None:
        self.loaded = loaded
        self.widest_row = widest_row(loaded.model, loaded.max_length, say)

    def batches(self, calls: Sequence[Call]) -> list[list[Call]]:
        """Calls of one request type together, longest first, under the model's budget of padded tokens."""
        batches: list[list[Call]] = []
        for kind in (LogLikelihood, Perplexity):
            chosen = sorted((call for call in calls if isinstance(call.request, kind)), key=order)
            sizes = [self._size(call) for call in chosen]
            packed = pack([width for width, _ in sizes], [rows for _, rows in sizes], self.loaded.batch_tokens)
            batches += [[chosen[index] for index in batch] for batch in packed]
        return batches

    def outputs(self, calls: Sequence[Call]) -> Iterator[Output]:
        """Outputs of LogLikelihood and Perplexity calls; the sequences of all calls are batched together."""
        started = time.perf_counter()
        asked: list[tuple[Call, list[TokenPair], bool]] = []
        for call in calls:
            try:
                asked.append((call, *self._pairs(call)))
            except Unanswerable as error:
                yield failed(call, str(error))
        sequences = [pair for _, pairs, _ in asked for pair in pairs]
        by_token = any(_lists_tokens(call) for call, _, _ in asked)
        widest = min(self.widest_row, self.loaded.max_length)
        scored = iter(score_sequences(self.loaded.model, sequences, self.loaded.batch_tokens, widest, by_token=by_token))
        timing = Timing(time.perf_counter() - started)
        for call, pairs, truncated in asked:
            results = [next(scored) for _ in pairs]
            whole = [result for result in results if result is not None]
            if len(whole) < len(results):
                yield failed(call, TOO_LITTLE_MEMORY.format(device=self.loaded.device))
                continue
            usage = Usage(input_tokens=sum(len(context) + len(continuation) for context, continuation in pairs))
            yield Output(call.key, _likelihoods(call, pairs, whole), truncated=truncated, usage=usage, timing=timing)

    def _pairs(self, call: Call) -> tuple[list[TokenPair], bool]:
        """The token sequences that a call asks to have scored, and whether a prefix had to be cut."""
        if isinstance(call.request, Perplexity):
            return self._windows(call.request), False
        assert isinstance(call.request, LogLikelihood)
        pairs = self.loaded.prompts.pairs(self.loaded.prompts.render(call.request.prefix), call.request.continuations)
        fitted = [fit(pair, self.loaded.max_length) for pair in pairs]
        return [pair for pair, _ in fitted], any(cut for _, cut in fitted)

    def _windows(self, request: Perplexity) -> list[TokenPair]:
        length = self.loaded.max_length if request.max_length is None else request.max_length
        if not 1 <= length <= self.loaded.max_length:
            raise Unanswerable(f"max_length must be from 1 to {self.loaded.max_length}, the model's context, got {length}")
        if request.stride is not None and not 1 <= request.stride <= length:
            raise Unanswerable(f"stride must be from 1 to {length}, the tokens that are read at once, got {request.stride}")
        tokens, first = self.loaded.prompts.bare(request.text), self.loaded.prompts.prefix_token
        if request.bos is True and self.loaded.prompts.tokenizer.bos_token_id is None:
            raise Unanswerable("bos is true, but the model's tokenizer has no beginning-of-sequence token: write bos: auto, "
                               "which reads the end-of-text token in its place")
        # A text that brings the token along does not get it twice.
        is_bare = request.bos is False or tokens[:1] == [first]
        return rolling_windows(tokens, None if is_bare else first, length, request.stride)

    def _size(self, call: Call) -> tuple[int, int]:
        """The widest row of a call, in tokens, and its number of rows."""
        try:
            pairs, _ = self._pairs(call)
        except Unanswerable:
            return 0, 1
        return layout(pairs, self.loaded.batch_tokens, min(self.widest_row, self.loaded.max_length))


def _lists_tokens(call: Call) -> bool:
    return isinstance(call.request, Perplexity) and call.request.token_logprobs


def _likelihoods(call: Call, pairs: Sequence[TokenPair], scored: Sequence[Scored]) -> Likelihoods:
    lengths = [len(continuation) for _, continuation in pairs]
    if not isinstance(call.request, Perplexity):
        return Likelihoods(tuple(s.logprob for s in scored), tuple(lengths), tuple(s.is_greedy for s in scored))
    text, lists_tokens = call.request.text, call.request.token_logprobs
    return Likelihoods((sum(s.logprob for s in scored),), (sum(lengths),), (all(s.is_greedy for s in scored),),
                       n_words=_count_words(text), n_bytes=len(text.encode("utf-8")),
                       token_logprobs=tuple(chain.from_iterable(s.token_logprobs for s in scored)) if lists_tokens else None,
                       token_entropies=tuple(chain.from_iterable(s.token_entropies for s in scored)) if lists_tokens else None)


def _count_words(text: str) -> int:
    """Words as lm-evaluation-harness counts them: the pieces between runs of white space, empty ones too."""
    return len(re.split(r"\s+", text))
