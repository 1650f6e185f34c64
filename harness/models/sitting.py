"""One list of calls put to a service: each gets its attempts, its waits and its end."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from harness.errors import BackendError, HarnessError, ServiceDown
from harness.models.adaptive import Ending, Gate
from harness.models.asked import Asked
from harness.models.limits import Limits, Refused, Trouble, TroubleKind
from harness.protocols import Resources
from harness.types import Call, Output, Timing

Ask: TypeAlias = Callable[[Call], Awaitable[Output]]

_HAND_OVER_S = 0.005
_DOWN_AFTER = 3
"""So many requests given up, nobody answered since the first failure of each, and nobody of those who were still under way
then: the service is down."""


@dataclass(slots=True)
class Health:
    """When a service last answered anybody, on the clock of its event loop, and whether that loop is ending."""

    last_answer: float = float("-inf")
    is_over: bool = False


class Sitting:
    """The state of one list of calls. All of it but ``taken``, ``ready`` and ``over`` belongs to the event loop.

    ``ready`` hands lists of outputs over to the consumer's thread, and None at the end; ``taken`` is how many outputs the
    consumer is done with; ``over`` is set when nothing runs any more. ``ended_by``: why not every call has its output.
    """

    def __init__(
        self, who: str, limits: Limits, resources: Resources, gate: Gate, health: Health, calls: Sequence[Call]
    ) -> None:
        self.who, self.limits, self.resources, self.gate, self.health = who, limits, resources, gate, health
        self.ready: queue.SimpleQueue[list[Output] | None] = queue.SimpleQueue()
        self.over = threading.Event()
        self.taken = 0
        self.ended_by: BaseException | None = None
        self._calls: Iterator[Call] = iter(calls)
        self._workers = min(limits.concurrency, len(calls))
        self._begun = self._given = 0
        self._fresh: list[Output] = []
        self._held: list[_Held] = []
        self._under_way: set[int] = set()
        self._doubted_at: int | None = None
        self._waiting: set[asyncio.Task[None]] = set()
        self._attempts: set[asyncio.Task[None]] = set()
        self._running: asyncio.Task[None] | None = None

    def told_to_stop(self) -> BaseException | None:
        """What the checkpoint raises, if it does; called in either thread."""
        try:
            self.resources.checkpoint(self._begun - self.taken)
        except BaseException as stop:  # whatever it is, the consumer's thread raises it
            return stop
        return None

    def end(self, reason: BaseException) -> None:
        """Send nothing more. What is on its way is waited for, unless the service is down; what waits for its turn is not."""
        if self.ended_by is None:
            self.ended_by = reason
            self._held.clear()
            self._doubted_at = None
        for task in self._attempts if isinstance(self.ended_by, ServiceDown) else self._waiting:
            task.cancel()

    def start(self, ask: Ask) -> None:
        """Begin to answer all calls."""
        if self.health.is_over:
            self.ended_by = gone(self.who)
            self.over.set()
            self.ready.put(None)
            return
        self._running = asyncio.create_task(self._run(ask))

    def abandon(self) -> None:
        """Cancel whatever is under way."""
        if self._running is not None:
            self._running.cancel()

    async def _run(self, ask: Ask) -> None:
        tasks = self._attempts
        tasks.update(asyncio.create_task(self._work(ask)) for _ in range(self._workers))
        try:
            await asyncio.wait(tasks)
            self._settle()
        except asyncio.CancelledError:
            self.ended_by = self.ended_by or gone(self.who)
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._hand_over()
            self.ready.put(None)
            self.over.set()

    def _settle(self) -> None:
        """When all is done: a defect is raised, and what was held back is an error, unless there was nobody to ask."""
        for task in self._attempts:
            if not task.cancelled() and (defect := task.exception()) is not None and self.ended_by is None:
                self.ended_by = defect
        if self._held and self.ended_by is None:
            if all(held.asked.unreachable for held in self._held):
                self.end(self._down())
            else:
                self._release()

    async def _work(self, ask: Ask) -> None:
        while self.ended_by is None:
            await self._waited(self._room())
            call = next(self._calls, None)
            if call is None:
                return
            await self._answer(call, ask)

    async def _answer(self, call: Call, ask: Ask) -> None:
        """Attempts until one succeeds or the request is given up."""
        loop = asyncio.get_running_loop()
        ticket = await self._waited(self.gate.enter())
        asked = Asked(call, self.limits, loop.time())
        while True:
            trouble = await self._attempt(asked, ask, ticket)
            if trouble is None:
                return
            wait = asked.wait(trouble, loop.time())
            if wait is None:
                self._give_up(asked)
                return
            if self.ended_by is not None:
                return
            try:
                async with asyncio.timeout_at(asked.deadline):
                    await self._waited(asyncio.sleep(wait))
                    ticket = await self._waited(self.gate.enter())
            except TimeoutError:
                self._give_up(asked)
                return

    async def _attempt(self, asked: Asked, ask: Ask, ticket: int) -> Trouble | None:
        """One attempt; the trouble it had, or None where the request is done with (or the run stops)."""
        ending: Ending = "cancelled"
        try:
            stop = self.told_to_stop() if self.ended_by is None else self.ended_by
            if stop is not None:
                self.end(stop)
                return None
            if asked.attempts == 0:
                self._begun += 1
            asked.attempts += 1
            self._under_way.add(ticket)
            output = await self._in_time(asked, ask)
            ending = "answered"
            self._done(output)
        except Trouble as trouble:
            ending = _ENDINGS[trouble.kind]
            if trouble.retry_after_s is not None and trouble.retry_after_s <= self.limits.deadline_s:
                self.gate.close_for(trouble.retry_after_s)
            return trouble
        except HarnessError as error:
            self.end(error)
        except Refused as refused:
            ending = "answered"
            self._done(Output(asked.call.key, None, error=refused.reason, finish_reason="error"))
        except Exception as error:  # whoever is asked, what goes wrong with one request costs that request only
            reason = f"{type(error).__name__}: {error}"
            self._give(Output(asked.call.key, None, error=reason, finish_reason="error"))
        finally:
            self._under_way.discard(ticket)
            self.gate.leave(ticket, ending)
            self._lose_hope()
        return None

    async def _in_time(self, asked: Asked, ask: Ask) -> Output:
        """The output of an attempt that ends within its own time and that of its request. Raises what it raises, or Trouble."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        allowed = min(self.limits.timeout_s, asked.deadline - started)
        try:
            async with asyncio.timeout(allowed):
                output = await ask(asked.call)
        except TimeoutError:
            before = f" (before that: {asked.last})" if asked.last else ""
            raise Trouble("transport", f"no answer within {allowed:.3g} s{before}") from None
        return output if output.timing else replace(output, timing=Timing(loop.time() - started))

    def _done(self, output: Output) -> None:
        """Somebody was answered, so the service is there, and those who were not are errors."""
        self.health.last_answer = asyncio.get_running_loop().time()
        if self._held:
            self._release()
        self._give(output)

    def _give_up(self, asked: Asked) -> None:
        """No more attempts: the fault of the request if anybody is answered from now on, and else of the service."""
        if self.ended_by is not None:
            return
        now = asyncio.get_running_loop().time()
        self._held.append(_Held(Output(asked.call.key, None, error=asked.epitaph(now), finish_reason="error"), asked))
        if sum(held.asked.first_failure >= self.health.last_answer for held in self._held) >= _DOWN_AFTER:
            self._doubted_at = self.gate.let_through if self._doubted_at is None else self._doubted_at
            self._lose_hope()

    def _lose_hope(self) -> None:
        """End it once all who were under way when the service was first doubted have ended, and none of them well."""
        if self._doubted_at is not None and min(self._under_way, default=self._doubted_at + 1) > self._doubted_at:
            self.end(self._down())

    def _down(self) -> ServiceDown:
        given_up, last = len(self._held), self._held[-1].asked.last
        since = asyncio.get_running_loop().time() - min(held.asked.first_failure for held in self._held)
        many = f"{given_up} request{'s' * (given_up > 1)} had every attempt fail in {since:.3g} s, and nobody was answered"
        return ServiceDown(f"{self.who}: the service is down: {many}; last: {last}\nWhat was answered before is kept; the same "
                           "command goes on from there")

    def _release(self) -> None:
        held, self._held, self._doubted_at = self._held, [], None
        for one in held:
            self._give(one.output)

    def _give(self, output: Output) -> None:
        self._given += 1
        if not self._fresh:
            asyncio.get_running_loop().call_later(_HAND_OVER_S, self._hand_over)
        self._fresh.append(output)

    def _hand_over(self) -> None:
        if self._fresh:
            self.ready.put(self._fresh)
            self._fresh = []

    async def _room(self) -> None:
        """Wait while the consumer is far behind, so that what it has not taken stays small."""
        while self._given - self.taken > 4 * self.limits.concurrency + 256:
            await asyncio.sleep(2 * _HAND_OVER_S)

    async def _waited(self, waiting: Coroutine[Any, Any, Any]) -> Any:
        """The result of a wait that a stop of the run cuts short."""
        task = asyncio.current_task()
        assert task is not None
        self._waiting.add(task)
        try:
            return await waiting
        finally:
            self._waiting.discard(task)


_ENDINGS: dict[TroubleKind, Ending] = {"transport": "failed", "rate_limit": "throttled", "format": "answered"}


def gone(who: str) -> BackendError:
    """What is raised where the thread that asks has ended before its time."""
    return BackendError(f"{who}: the thread that asks the service has ended; nothing more can be answered")


@dataclass(frozen=True, slots=True)
class _Held:
    """A request that was given up: an error only if the service turns out to be there."""

    output: Output
    asked: Asked
