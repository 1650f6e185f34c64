"""Plays samples: advances all of a chunk together, wave by wave, and answers each wave from journal, cache and backend."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.codec import dumps
from harness.engine.cache import Cache, cache_keys
from harness.engine.garbage import no_collections
from harness.engine.journal import Entry, Journal, entry_from_cache, entry_of
from harness.engine.ledger import Ledger
from harness.engine.sound import sound_outputs
from harness.engine.wave import Wave
from harness.errors import HarnessError
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

_FLUSH_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Row:
    """One played sample × repeat: what is scored and stored. ``answer_json``: its answer as JSON, where that is at hand."""

    sample: Sample
    repeat: int
    output: Output
    prompt: str
    cached: bool
    answer_json: bytes | None = field(default=None, repr=False)


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
        with no_collections():
            plays = [_Play(self.suite, sample, repeat) for sample in samples for repeat in range(len(self.seeds))]
        active = [play for play in plays if play.request is not None]
        while active:
            with no_collections():
                wave = Wave([play.call(self.seeds[play.repeat]) for play in active])
            entries = self._answer(chunk, wave, journaled)
            with no_collections():
                for play, entry in zip(active, entries):
                    play.receive(entry)
            active = [play for play in active if play.request is not None]
        with no_collections():
            rows = [play.row() for play in plays]
        self.tally.done += len(rows)
        self.tally.under_way = 0
        self.tally.missing += sum(row.output.error is not None for row in rows)
        self.progress(self.tally)
        return rows

    def _answer(self, chunk: int, wave: Wave, journaled: Mapping[Key, Entry]) -> Sequence[Entry]:
        """An entry a call, in their order."""
        self.tally.requests += len(wave.calls)
        if journaled:
            self.tally.resumed += wave.take_journaled(journaled, self.ledger)
        if self.cache is not None and (not wave.n_known or self.backend.independent):
            # a wave asks the cache once, before its first batch, so that a resumed run batches alike
            with no_collections():
                self._from_cache(self.cache, chunk, wave)
        for batch in self.backend.batches(wave.to_ask(self.backend.independent)):
            if not wave.knows_all(batch):
                self.ledger.checkpoint()
                self._run(chunk, batch, wave)
        return wave.answered(self.backend.name)

    def _run(self, chunk: int, batch: Sequence[Call], wave: Wave) -> None:
        """Run one batch and write what is new. A batch that a kill cut in two is run whole again: it is the same batch then."""
        came = _Came(lambda entries: self._write(chunk, entries, wave))
        with self.ledger.while_waiting(came.write_if_due):
            try:
                for output in sound_outputs(self.backend, batch):
                    position = wave.position[output.key]
                    if wave.entries[position] is None and position not in came.entries:
                        self.ledger.add(output)
                        came.entries[position] = entry_of(output, wave.requests[position])
                        came.write_if_due()
            except (Exception, KeyboardInterrupt):  # what a backend gave before it was stopped, or failed as a whole, counts
                came.write()
                raise
        came.write()

    def _write(self, chunk: int, entries: Mapping[int, Entry], wave: Wave) -> None:
        self.journal.write(self.unit, chunk, entries.values())
        wave.note(entries)
        if self.cache is not None:
            kept = {position: entry for position, entry in entries.items() if entry.output.error is None}
            keys = cache_keys(self.model_hash, [(wave.calls[position], entry.request) for position, entry in kept.items()])
            self.cache.put(zip(keys, [entry.line for entry in kept.values()]))
        self.tally.under_way = max(self.tally.under_way, wave.n_known)
        self.progress(self.tally)

    def _from_cache(self, cache: Cache, chunk: int, wave: Wave) -> None:
        asked = [position for position, entry in enumerate(wave.entries) if entry is None]
        keys = cache_keys(self.model_hash, [(wave.calls[position], wave.requests[position]) for position in asked])
        found, hits = cache.get(keys), dict[int, Entry]()
        for position, key in zip(asked, keys) if found else ():
            entry = entry_from_cache(found[key], wave.calls[position].key, wave.requests[position]) if key in found else None
            if entry is not None:
                hits[position] = entry
        self.journal.write(self.unit, chunk, hits.values())
        wave.note(hits)
        self.tally.cached += len(hits)


class _Came:
    """Outputs that came and are not written yet, of a fraction of a second."""

    __slots__ = ("_last", "_write", "entries")

    def __init__(self, write: Callable[[Mapping[int, Entry]], None]) -> None:
        self.entries: dict[int, Entry] = {}
        self._write, self._last = write, time.monotonic()

    def write_if_due(self) -> None:
        if time.monotonic() - self._last > _FLUSH_SECONDS:
            self.write()

    def write(self) -> None:
        entries, self.entries, self._last = self.entries, {}, time.monotonic()
        if entries:
            self._write(entries)


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
        self._last: Entry | None = None
        self._usage: Usage | None = None
        self._latency: float | None = None
        self._truncated = False
        self._cached = True
        self._advance(None)
        self._prompt = describe(self.request) if self.request is not None else ""

    def call(self, seed: int) -> Call:
        assert self.request is not None
        return Call(Key(self.sample.id, self.repeat, "", self.step), self.request, seed)

    def receive(self, entry: Entry) -> None:
        output = entry.output
        self._last = entry
        self._cached = self._cached and entry.cached
        self._truncated = self._truncated or output.truncated
        if output.usage is not None:
            self._usage = output.usage if self._usage is None else _added(self._usage, output.usage)
        if output.timing is not None:
            self._latency = (self._latency or 0.0) + output.timing.latency_s
        self.step += 1
        if output.error is not None:
            self._play.close()
            self.request, self._error = None, output.error
        else:
            self._advance(output)

    def row(self) -> Row:
        if self._last is None:
            output = Output(Key(self.sample.id, self.repeat), self._answer, error=self._error)
            return Row(self.sample, self.repeat, output, self._prompt, cached=False)
        last = self._last.output
        answer_json = self._last.answer if self._answer is last.answer else None
        if self.step == 1 and self._answer is last.answer and self._error == last.error:
            output = last
        else:
            first_token = last.timing.first_token_s if last.timing is not None and self.step == 1 else None
            output = Output(
                key=Key(self.sample.id, self.repeat, "", self.step - 1),
                answer=self._answer,
                error=self._error,
                finish_reason=last.finish_reason,
                truncated=self._truncated,
                usage=self._usage,
                timing=None if self._latency is None else Timing(self._latency, first_token),
            )
        return Row(self.sample, self.repeat, output, self._prompt, self._cached, answer_json)

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


def _added(before: Usage, new: Usage) -> Usage:
    """What two steps of one play took together."""
    cost = None if before.cost is None and new.cost is None else (before.cost or 0.0) + (new.cost or 0.0)
    return Usage(before.input_tokens + new.input_tokens, before.output_tokens + new.output_tokens, cost)


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
