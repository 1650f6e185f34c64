"""Answers LogLikelihood and Perplexity requests with an open causal language model."""

from __future__ import annotations

import re
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from harness.models.loaded import TOO_LITTLE_MEMORY, Loaded, failed, order
from harness.models.prefixes import PrefixCache
from harness.models.prompts import Unanswerable
from harness.models.scoring import Scored, SequenceScorer
from harness.models.sharing import Batch, TokenPair, arrange
from harness.models.trial import sharing
from harness.types import Call, Key, Likelihoods, LogLikelihood, Output, Perplexity, Timing, Usage

_NOTHING_SCORED = "the text has no token to score: it is empty, or nothing is read before its only token"
"""lm-evaluation-harness gives such a text the log-probability 0, so that its word (an empty text counts as one) or bytes are
predicted for certain and lower the perplexity of the others."""


class LikelihoodScorer:
    """Batches calls and scores them; made once for an open model, which it tries for what sequences may share.

    Calls are turned into tokens when they are put into batches, and that is kept until they are answered or the next calls
    come.
    """

    def __init__(self, loaded: Loaded, say: Callable[[str], None]) -> None:
        self.loaded = loaded
        self.sharing = sharing(loaded.model, loaded.max_length, say)
        self._prefixes = PrefixCache(loaded.model) if self.sharing.stems else None
        self._planned: dict[tuple[Key, ...], _Planned] = {}

    def batches(self, calls: Sequence[Call]) -> list[list[Call]]:
        """Calls of one request type together, those that begin alike as neighbours, under the model's budget of tokens.

        Tokens that sequences share are counted once, as they are computed once.
        """
        planned = self._plan(calls)
        self._planned = {tuple(call.key for call in one.calls): one for one in planned}
        return [one.calls for one in planned]

    def outputs(self, calls: Sequence[Call]) -> Iterator[Output]:
        """Outputs of LogLikelihood and Perplexity calls; those of a batch are scored together."""
        known = self._planned.pop(tuple(call.key for call in calls), None)
        # Keys are not enough: the same may come again with another request.
        for one in [known] if known is not None and known.calls == list(calls) else self._plan(calls):
            yield from self._scored(one)
        if not self._planned and self._prefixes is not None:
            self._prefixes.clear()

    def _plan(self, calls: Sequence[Call]) -> list[_Planned]:
        planned: list[_Planned] = []
        for kind in (LogLikelihood, Perplexity):
            chosen = sorted((call for call in calls if isinstance(call.request, kind)), key=order)
            asked = [self._asked(call) for call in chosen]
            widest = min(self.sharing.widest_row, self.loaded.max_length)
            batches = arrange([one.pairs for one in asked], self.loaded.batch_tokens, widest, stems=self.sharing.stems)
            planned += [_Planned([asked[i] for i in batch.groups], batch) for batch in batches]
        return planned

    def _asked(self, call: Call) -> _Asked:
        try:
            pairs, truncated = self.loaded.inputs.pairs(call)
        except Unanswerable as error:
            return _Asked(call, [], False, str(error))
        if isinstance(call.request, Perplexity) and not pairs:
            return _Asked(call, [], False, _NOTHING_SCORED)
        return _Asked(call, _compact(pairs), truncated)

    def _scored(self, planned: _Planned) -> Iterator[Output]:
        started = time.perf_counter()
        by_token = any(_lists_tokens(one.call) for one in planned.asked)
        scorer = SequenceScorer(self.loaded.model, self.loaded.batch_tokens, self._prefixes)
        pairs = [pair for one in planned.asked for pair in one.pairs]
        scored = scorer.score(pairs, planned.batch.rows, planned.batch.stem, by_token=by_token)
        timing = Timing(time.perf_counter() - started)
        results = iter(scored[number] for number in range(len(pairs)))
        for one in planned.asked:
            yield self._output(one, [next(results) for _ in one.pairs], timing)

    def _output(self, one: _Asked, results: Sequence[Scored | None], timing: Timing) -> Output:
        if one.error is not None:
            return failed(one.call, one.error)
        whole = [result for result in results if result is not None]
        if len(whole) < len(results):
            return failed(one.call, TOO_LITTLE_MEMORY.format(device=self.loaded.device))
        usage = Usage(input_tokens=sum(len(context) + len(continuation) for context, continuation in one.pairs))
        return Output(one.call.key, _likelihoods(one.call, one.pairs, whole), truncated=one.truncated, usage=usage,
                      timing=timing)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call and the token sequences that it asks to have scored; ``error``: why it cannot be answered."""

    call: Call
    pairs: Sequence[TokenPair]
    truncated: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class _Planned:
    """A batch, with what its calls ask."""

    asked: Sequence[_Asked]
    batch: Batch

    @property
    def calls(self) -> list[Call]:
        return [one.call for one in self.asked]


def _compact(pairs: Sequence[TokenPair]) -> list[TokenPair]:
    """The same tokens in an eighth of the memory, each context once: those of many calls are kept at a time."""
    contexts: dict[bytes, array[int]] = {}
    found: list[TokenPair] = []
    for context, continuation in pairs:
        packed = array("i", context)
        found.append((contexts.setdefault(packed.tobytes(), packed), array("i", continuation)))
    return found


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
