"""Plays samples: advances all of a chunk together, wave by wave, and answers each wave from journal, cache and backend."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.codec import decode_output, dumps, loads
from harness.engine.cache import Cache, cache_keys
from harness.engine.journal import Entry, Journal, entry_of, request_hash
from harness.engine.ledger import Ledger
from harness.engine.sound import sound_outputs
from harness.errors import BackendError, HarnessError
from harness.protocols import Backend, Play, Suite
from harness.types import (
    ANSWER_TYPES,
    Answer,
    Call,
    Generate,
    Key,
    LogLikelihood,
    Message,
    Output,
    Perplexity,
    Rank,
    Request,
    Sample,
    Timing,
    Usage,
)

_FLUSH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Row:
    """One played sample × repeat: what is scored and stored."""

    sample: Sample
    repeat: int
    output: Output
    prompt: str
    cached: bool


@dataclass(slots=True)
class Tally:
    """Counts of one unit, for the display and the record."""

    done: int = 0
    under_way: int = 0
    missing: int = 0
    cached: int = 0
    resumed: int = 0
    requests: int = 0


@dataclass(frozen=True, slots=True)
class Player:
    """Plays the samples of one unit. The ledger may stop it between batches; ``progress()`` is called as answers come."""

    suite: Suite
    backend: Backend
    journal: Journal
    unit: int
    seeds: Sequence[int]
    cache: Cache | None
    model_hash: str
    ledger: Ledger
    progress: Callable[[Tally], None]
    tally: Tally = field(default_factory=Tally)

    def play(self, chunk: int, samples: Sequence[Sample]) -> list[Row]:
        """Play every sample of a chunk under every seed to its end; rows in the order sample, then repeat."""
        journaled = self.journal.chunk(self.unit, chunk)
        plays = [_Play(self.suite, sample, repeat) for sample in samples for repeat in range(len(self.seeds))]
        active = [play for play in plays if play.request is not None]
        while active:
            calls = [play.call(self.seeds[play.repeat]) for play in active]
            answers = self._answer(chunk, calls, journaled)
            for play, call in zip(active, calls):
                play.receive(answers[call.key].output, answers[call.key].cached)
            active = [play for play in active if play.request is not None]
        rows = [play.row() for play in plays]
        self.tally.done += len(rows)
        self.tally.under_way = 0
        self.tally.missing += sum(row.output.error is not None for row in rows)
        self.progress(self.tally)
        return rows

    def _answer(self, chunk: int, calls: Sequence[Call], journaled: Mapping[Key, Entry]) -> dict[Key, Entry]:
        requests = {call.key: request_hash(call.request) for call in calls}
        known = {key: journaled[key] for key, asked in requests.items() if key in journaled and journaled[key].request == asked}
        self.tally.requests += len(calls)
        self.tally.resumed += len(known)
        for entry in known.values():
            if not entry.cached:
                self.ledger.add(entry.output)
        if self.cache is not None and (not known or self.backend.independent):
            # a wave asks the cache once, before its first batch, so that a resumed run batches alike
            cached = self._from_cache(self.cache, [call for call in calls if call.key not in known], requests)
            self.journal.write(self.unit, chunk, cached.values())
            self.tally.cached += len(cached)
            known |= cached
        for batch in self.backend.batches(self._to_ask(calls, known)):
            if all(call.key in known for call in batch):
                continue
            self.ledger.checkpoint()
            self._run(chunk, batch, known, requests)
        lost = [call.key for call in calls if call.key not in known]
        if lost:
            raise BackendError(f"backend {self.backend.name}: batches() left out {len(lost)} of {len(calls)} calls")
        return known

    def _to_ask(self, calls: Sequence[Call], known: Mapping[Key, Entry]) -> list[Call]:
        """What goes to the backend to be put into batches; where they matter, what was answered by it before too."""
        if self.backend.independent:
            return [call for call in calls if call.key not in known]
        return [call for call in calls if not (call.key in known and known[call.key].cached)]

    def _run(self, chunk: int, batch: Sequence[Call], known: dict[Key, Entry], requests: Mapping[Key, str]) -> None:
        """Run one batch and write what is new. A batch that a kill cut in two is run whole again: it is the same batch then."""
        calls = {call.key: call for call in batch}
        waiting: list[Entry] = []
        last_flush = time.monotonic()
        try:
            for output in sound_outputs(self.backend, batch):
                if output.key in known:
                    continue
                self.ledger.add(output)
                waiting.append(entry_of(output, requests[output.key]))
                if time.monotonic() - last_flush > _FLUSH_SECONDS:
                    done, waiting, last_flush = waiting, [], time.monotonic()
                    self._write(chunk, done, known, calls)
        except (Exception, KeyboardInterrupt):  # what a backend gave before it was stopped, or failed as a whole, counts
            self._write(chunk, waiting, known, calls)
            raise
        self._write(chunk, waiting, known, calls)

    def _write(self, chunk: int, entries: Sequence[Entry], known: dict[Key, Entry], calls: Mapping[Key, Call]) -> None:
        self.journal.write(self.unit, chunk, entries)
        known.update({entry.output.key: entry for entry in entries})
        if self.cache is not None:
            kept = [entry for entry in entries if entry.output.error is None]
            keys = cache_keys(self.model_hash, [(calls[entry.output.key], entry.request) for entry in kept])
            self.cache.put(zip(keys, [entry.line for entry in kept]))
        self.tally.under_way = max(self.tally.under_way, len(known))
        self.progress(self.tally)

    def _from_cache(self, cache: Cache, calls: Sequence[Call], requests: Mapping[Key, str]) -> dict[Key, Entry]:
        keys = cache_keys(self.model_hash, [(call, requests[call.key]) for call in calls])
        found = cache.get(keys)
        hits = {}
        for call, key in zip(calls, keys):
            if key in found:
                output = dataclasses.replace(decode_output(loads(found[key])), key=call.key)
                hits[call.key] = entry_of(output, requests[call.key], cached=True)
        return hits


class _Play:
    """One sample on its way through its suite."""

    __slots__ = ("_answer", "_cached", "_error", "_last", "_latency", "_play", "_prompt", "_truncated", "_usage", "repeat",
                 "request", "sample", "step")  # fmt: skip

    def __init__(self, suite: Suite, sample: Sample, repeat: int) -> None:
        self.sample, self.repeat, self.step = sample, repeat, 0
        self.request: Request | None = None
        self._play: Play = suite.play(sample)
        self._answer: Answer | None = None
        self._error: str | None = None
        self._last: Output | None = None
        self._usage: Usage | None = None
        self._latency: float | None = None
        self._truncated = False
        self._cached = True
        self._advance(None)
        self._prompt = describe(self.request) if self.request is not None else ""

    def call(self, seed: int) -> Call:
        assert self.request is not None
        return Call(Key(self.sample.id, self.repeat, "", self.step), self.request, seed)

    def receive(self, output: Output, cached: bool) -> None:
        self._last = output
        self._cached = self._cached and cached
        self._truncated = self._truncated or output.truncated
        if output.usage is not None:
            before, new = self._usage or Usage(), output.usage
            self._usage = Usage(before.input_tokens + new.input_tokens, before.output_tokens + new.output_tokens)
        if output.timing is not None:
            self._latency = (self._latency or 0.0) + output.timing.latency_s
        self.step += 1
        if output.error is not None:
            self._play.close()
            self.request, self._error = None, output.error
        else:
            self._advance(output)

    def row(self) -> Row:
        last, first_token = self._last, None
        if last is not None and last.timing is not None and self.step == 1:
            first_token = last.timing.first_token_s
        output = Output(
            key=Key(self.sample.id, self.repeat, "", max(0, self.step - 1)),
            answer=self._answer,
            error=self._error,
            finish_reason=last.finish_reason if last is not None else None,
            truncated=self._truncated,
            usage=self._usage,
            timing=None if self._latency is None else Timing(self._latency, first_token),
        )
        return Row(self.sample, self.repeat, output, self._prompt, self._cached and last is not None)

    def _advance(self, output: Output | None) -> None:
        try:
            self.request = next(self._play) if output is None else self._play.send(output)
        except StopIteration as end:
            self.request, self._answer = None, end.value
            if not isinstance(end.value, ANSWER_TYPES):
                self._answer, self._error = None, f"the suite gave no answer but {type(end.value).__name__}"
        except HarnessError:
            raise
        except Exception as error:  # the one place where a suite's failure on a sample becomes a missing row
            kind = "" if isinstance(error, TypeError | ValueError) else f"{type(error).__name__}: "
            self.request, self._error = None, f"the suite failed: {kind}{error}"


def describe(request: Request) -> str:
    """A request as a person reads it: the rendered prompt, the query, the text."""
    if isinstance(request, Generate):
        return _prompt_text(request.prompt)
    if isinstance(request, LogLikelihood):
        return _prompt_text(request.prefix)
    if isinstance(request, Rank):
        return request.query
    if isinstance(request, Perplexity):
        return request.text
    return dumps(request).decode()


def _prompt_text(prompt: str | tuple[Message, ...]) -> str:
    if isinstance(prompt, str):
        return prompt
    return "\n\n".join(f"[{message.role}]\n{message.content}" for message in prompt)
