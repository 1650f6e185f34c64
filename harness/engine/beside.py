"""Scores the chunks of a unit in other processes while the model goes on with the next: what goes there, and what comes back.

What the numbers are does not depend on where they were made. A few chunks are under way at most, so that memory is bounded.
"""

from __future__ import annotations

import dataclasses
import io
import operator
import os
import pickle
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from harness.engine.blocks import Block, joined, lost_block, score_block
from harness.engine.scoring import Scorer
from harness.engine.worker import ROWS
from harness.engine.workers import Lost, Raised, Unfit, Worker, Workers
from harness.errors import MetricError
from harness.protocols import Metric
from harness.store import MetricColumn
from harness.types import ANSWER_TYPES, Key, Output, Sample, Timing, Usage

K = TypeVar("K")

MOST_LOST = 5
"""After so many lost samples in one chunk a metric leaves the rest of that chunk unscored."""
MOST_LOST_IN_ALL = 20
"""After so many lost samples in one unit a metric leaves the rest of the unit unscored."""

TIMEOUT_S = 60.0

_MEASURED_CHUNKS = 2
_WORTH_S = 1.0
_PAYS = 3.0
_POLL_S = 0.1
_UNSENT = "its rows cannot be sent to a worker"


@dataclass(frozen=True, slots=True)
class Rules:
    """How a run scores. ``workers``: processes beside this one, None: as it pays. ``timeout_s``: what one sample may take
    there. ``n_rows``: of the unit, where known. ``checkpoint`` is called while waiting, and raises if the run is to stop."""

    workers: int | None = None
    timeout_s: float = TIMEOUT_S
    n_rows: int | None = None
    say: Callable[[str], None] = lambda message: None
    checkpoint: Callable[[], None] = lambda: None


def make_workers(scoring: Mapping[str, Any]) -> Workers:
    """The workers of a run, none of them started: as many as its config says, by default what leaves the model a core."""
    given = scoring.get("workers")
    return Workers(max(1, min(2, _cores() - 1)) if given is None else int(given))


@dataclass(slots=True, eq=False)
class _Guard:
    """A metric that is scored beside, and what became of its samples so far."""

    metric: Metric
    slot: str
    data: bytes
    is_wary: bool = False
    lost: int = 0
    first_lost: str = ""
    is_told: bool = False


@dataclass(slots=True)
class _Chunk(Generic[K]):
    kept: K
    samples: Sequence[Sample]
    outputs: Sequence[Output]
    blocks: dict[str, Block]
    beside: Future[dict[str, Block | str]] | None
    guards: Mapping[str, _Guard]


class Beside(Generic[K]):
    """Takes the chunks of one unit in their order and gives each back, in that order, with its metrics' columns.

    A metric goes beside if it is of scope ``sample``, asks for no model and can be pickled: from the start if it may hang or
    the rules name a number of workers, else once the first chunks have shown that it takes longer than handing rows over.
    """

    def __init__(self, scorer: Scorer, workers: Workers, rules: Rules) -> None:
        self._scorer, self._workers, self._rules = scorer, workers, rules
        self._waiting: deque[_Chunk[K]] = deque()
        self._able = {name: guard for name, metric in scorer.by_chunk.items() if (guard := _guard(name, metric)) is not None}
        self._guards: dict[str, _Guard] = {}
        self._rows_seen = self._chunks_seen = 0
        self._costs: dict[str, float] = {}  # seconds a row, of metrics that are scored here
        if rules.workers == 0 or not workers.most:
            self._able = {}
        else:
            for name, metric in scorer.by_chunk.items():
                if metric.may_hang and name not in self._able:
                    rules.say(f"{metric.spec}: scored without a time limit, it cannot be sent to a worker")
        for name, guard in list(self._able.items()):
            if rules.workers is not None or guard.metric.may_hang:
                self._guards[name] = self._able.pop(name)
        if self._guards:
            workers.submit(_started)

    def add(self, samples: Sequence[Sample], outputs: Sequence[Output], kept: K) -> Iterator[tuple[K, dict[str, MetricColumn]]]:
        """Take a chunk, with what belongs to it; gives those that are done. To be exhausted before the next call."""
        future = self._sent(samples, outputs) if self._guards else None
        guards = {} if future is None else dict(self._guards)  # before others may join them
        blocks = self._scored_here(samples, outputs)
        self._waiting.append(_Chunk(kept, samples, outputs, blocks, future, guards))
        while self._waiting and (len(self._waiting) > self._workers.most + 1 or _is_done(self._waiting[0])):
            yield self._taken()

    def rest(self) -> Iterator[tuple[K, dict[str, MetricColumn]]]:
        """What is still under way."""
        while self._waiting:
            yield self._taken()

    def _sent(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> Future[dict[str, Block | str]] | None:
        try:
            data = pickled_rows(samples, outputs)
        except Exception:  # rows of the user's own making may hold anything
            for name in list(self._guards):
                self._unguard(name, why=_UNSENT)
            self._able.clear()
            return None
        guards, seconds = dict(self._guards), self._rules.timeout_s
        return self._workers.submit(lambda worker: _scored_there(worker, samples, outputs, data, guards, seconds))

    def _scored_here(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> dict[str, Block]:
        blocks = {}
        for name, metric in self._scorer.by_chunk.items():
            if name not in self._guards:
                clock = time.thread_time()
                blocks[name] = score_block(metric, samples, outputs)
                cost = (time.thread_time() - clock) / max(1, len(samples))
                self._costs[name] = min(cost, self._costs.get(name, cost))
        self._rows_seen += len(samples)
        self._chunks_seen += 1
        if self._chunks_seen == _MEASURED_CHUNKS:  # the first pays for imports
            self._decide(samples, outputs, sum(cost for name, cost in self._costs.items() if name in self._able))
        return blocks

    def _decide(self, samples: Sequence[Sample], outputs: Sequence[Output], cost: float) -> None:
        """Send the other metrics beside if scoring a row (``cost``, in seconds) takes several times as long as handing it
        over, and much is left."""
        rows_left = (self._rules.n_rows or 0) - self._rows_seen
        if _cores() < 2 or cost * rows_left < _WORTH_S or not samples:
            return
        clock = time.thread_time()
        try:
            pickled_rows(samples, outputs)
        except Exception:  # see _sent
            return
        handing_over = 0.0 if self._guards else (time.thread_time() - clock) / len(samples)
        if cost > _PAYS * handing_over:
            self._guards |= self._able
            self._able = {}

    def _taken(self) -> tuple[K, dict[str, MetricColumn]]:
        chunk = self._waiting[0]
        found: Mapping[str, Block | str] = {} if chunk.beside is None else self._waited_for(chunk.beside)
        for name, metric in self._scorer.by_chunk.items():
            if name in chunk.blocks:
                continue
            block = found.get(name, _UNSENT)
            self._tell(chunk.guards.get(name))
            if isinstance(block, str):
                self._unguard(name, why=block)
                block = score_block(metric, chunk.samples, chunk.outputs)
            chunk.blocks[name] = block
        self._waiting.popleft()
        return chunk.kept, self._scorer.take(chunk.samples, chunk.outputs, chunk.blocks)

    def _waited_for(self, future: Future[dict[str, Block | str]]) -> dict[str, Block | str]:
        while not future.done():
            wait([future], _POLL_S)
            self._rules.checkpoint()
        return future.result()

    def _unguard(self, name: str, why: str) -> None:
        """Where a worker cannot: from now on here. What the metric raises, it raises here as it always did."""
        guard = self._guards.pop(name, None)
        if guard is not None and guard.metric.may_hang:
            self._rules.say(f"{guard.metric.spec}: scored without a time limit, {why}")

    def _tell(self, guard: _Guard | None) -> None:
        if guard is not None and guard.lost and not guard.is_told:
            guard.is_told = True
            self._rules.say(f"{guard.metric.spec}: {guard.first_lost}: such samples are missing")


# ── in a worker's thread ────────────────────────────────────────────────────────────────────────────────────────────


def pickled_rows(samples: Sequence[Sample], outputs: Sequence[Output]) -> bytes:
    """The pickle of both. Frozen dataclasses pickle themselves field by field in Python; this is three times as fast."""
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, protocol=pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = _REDUCERS
    pickler.dump((samples, outputs))
    return stream.getvalue()


def _reducer(cls: type) -> Callable[[Any], tuple[type, tuple[Any, ...]]]:
    names = [f.name for f in dataclasses.fields(cls)]
    values: Callable[[Any], Any] = operator.attrgetter(*names)
    return (lambda item: (cls, values(item))) if len(names) > 1 else lambda item: (cls, (values(item),))


_REDUCERS: Mapping[type, Callable[[Any], Any]] = {
    cls: _reducer(cls) for cls in (Sample, Output, Key, Usage, Timing, *ANSWER_TYPES)
}  # fmt: skip


def _started(worker: Worker) -> None:
    """Have a process come up while the model is being asked for the first time."""
    try:
        worker.start()
    except Unfit:  # the first chunk is told
        return


def _scored_there(
    worker: Worker, samples: Sequence[Sample], outputs: Sequence[Output], data: bytes, guards: Mapping[str, _Guard],
    seconds: float,
) -> dict[str, Block | str]:  # fmt: skip
    """The block of every metric, or why it could not be made there."""
    task, found = _Task(worker, samples, outputs, data, seconds), dict[str, Block | str]()
    for name, guard in guards.items():
        try:
            found[name] = task.block(guard)
        except Unfit as unfit:
            found[name] = str(unfit)
    return found


@dataclass(frozen=True, slots=True)
class _Task:
    """The rows of one chunk, in the hands of a worker. A sample may take ``seconds``; all of them at once may too, and where
    that is not enough they are scored one by one."""

    worker: Worker
    samples: Sequence[Sample]
    outputs: Sequence[Output]
    data: bytes
    seconds: float
    key: object = field(default_factory=object)

    def block(self, guard: _Guard) -> Block:
        if not guard.is_wary and guard.lost < MOST_LOST_IN_ALL:
            try:
                return joined(list(self._blocks(guard, None)))
            except Lost:
                guard.is_wary = True
        return joined(self._one_by_one(guard))

    def _one_by_one(self, guard: _Guard) -> list[Block]:
        blocks: list[Block] = []
        n, lost = len(self.samples), 0
        while len(blocks) < n:
            if lost >= MOST_LOST or guard.lost >= MOST_LOST_IN_ALL:
                blocks.append(self._unscored(guard, len(blocks), lost))
                break
            try:
                for block in self._blocks(guard, len(blocks)):
                    blocks.append(block)  # noqa: PERF402 - those before a loss stay
            except Lost as loss:
                lost += 1
                blocks.append(self._lost(guard, len(blocks), str(loss)))
            except Raised as raised:
                sample = self.samples[len(blocks)]
                raise MetricError(f"{guard.metric.spec}: sample {sample.id!r} cannot be scored: {raised}") from raised
        return blocks

    def _blocks(self, guard: _Guard, start: int | None) -> Iterator[Block]:
        self.worker.hold(guard.slot, guard, guard.data)
        self.worker.hold(ROWS, self.key, self.data)
        return self.worker.score(guard.slot, len(self.samples), start, self.seconds)

    def _lost(self, guard: _Guard, row: int, how: str) -> Block:
        guard.lost += 1
        guard.first_lost = guard.first_lost or f"{how} on sample {self.samples[row].id!r}"
        rows = slice(row, row + 1)
        return lost_block(guard.metric, self.samples[rows], self.outputs[rows], f"{how} ({guard.metric.spec})")

    def _unscored(self, guard: _Guard, row: int, lost: int) -> Block:
        before = f"{lost} samples of its chunk" if lost >= MOST_LOST else f"{guard.lost} samples"
        reason = f"not scored: {before} before it took too long or ended their process ({guard.metric.spec})"
        return lost_block(guard.metric, self.samples[row:], self.outputs[row:], reason)


def _is_done(chunk: _Chunk[Any]) -> bool:
    return chunk.beside is None or chunk.beside.done()


def _guard(name: str, metric: Metric) -> _Guard | None:
    """None for a metric that cannot be sent: one that holds models, or is not what a pickle can name."""
    if metric.needs_roles() or type(metric).__module__ == "__main__":
        return None
    try:
        return _Guard(metric, f"metric {name}", pickle.dumps(metric, protocol=pickle.HIGHEST_PROTOCOL))
    except Exception:  # metrics of the user's own making may hold anything
        return None


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
