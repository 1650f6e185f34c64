"""One list of calls put to a service: each gets its attempts, its waits and its end."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from harness.errors import BackendError, HarnessError, ServiceDown
from harness.models.adaptive import Ending, Gate
from harness.models.asked import Asked, Health, Held
from harness.models.limits import Limits, OutOfCredit, Refused, Trouble, TroubleKind
from harness.protocols import Resources
from harness.types import Call, Output, Timing

Ask: TypeAlias = Callable[[Call], Awaitable[Output]]

_HAND_OVER_S = 0.005
_DOWN_AFTER = 3
"""So many requests given up, nobody answered since the first failure of each, and nobody of those who were still under way
then: the service is down."""


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
        self._n_calls = len(calls)
        self._workers = min(limits.concurrency, len(calls))
        self._patience = asyncio.Lock()
        self._begun = self._given = 0
        self._fresh: list[Output] = []
        self._held: list[Held] = []
        self._under_way: set[int] = set()
        self._doubted_at: int | None = None
        self._waiting: set[asyncio.Task[None]] = set()
        self._attempts: set[asyncio.Task[None]] = set()
        self._running: asyncio.Task[None] | None = None

    def told(self) -> BaseException | bool:
        """What the checkpoint raises, if it does, or else whether a new request may be begun; called in either thread."""
        try:
            return self.resources.checkpoint(self._begun - self.taken) is not False
        except BaseException as stop:  # whatever it is, the consumer's thread raises it
            return stop

    def end(self, reason: BaseException) -> None:
        """Send nothing more. What is on its way is waited for, unless the service is down; what waits for its turn is not."""
        if self.ended_by is None:
            self.ended_by = reason
            self._held.clear()
            self._doubted_at = None
        is_down = isinstance(self.ended_by, ServiceDown) and not isinstance(self.ended_by, OutOfCredit)
        for task in self._attempts if is_down else self._waiting:
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
        ticket = await self._first_turn()
        asked = Asked(call, self.limits, loop.time())
        while ticket is not None:
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
                    ticket = await self._turn()
            except TimeoutError:
                self._give_up(asked)
                return

    async def _first_turn(self) -> int | None:
        """The ticket of a request's first attempt, once it may be begun; None where the run stops."""
        while True:
            ticket: int = await self._waited(self.gate.enter())
            if self._may_begin():
                self._begun += 1
                return ticket
            self._leave(ticket, "cancelled")
            async with self._patience:  # one asks for all who wait
                while not self._may_begin():
                    if self.ended_by is not None:
                        return None
                    await self._waited(asyncio.sleep(_HAND_OVER_S))

    async def _turn(self) -> int | None:
        """The ticket of a further attempt; None where the run stops."""
        ticket: int = await self._waited(self.gate.enter())
        self._may_begin()
        if self.ended_by is None:
            return ticket
        self._leave(ticket, "cancelled")
        return None

    def _may_begin(self) -> bool:
        """What the checkpoint says of a new request. It may end everything."""
        told = self.told() if self.ended_by is None else self.ended_by
        if isinstance(told, BaseException):
            self.end(told)
            return False
        return told

    async def _attempt(self, asked: Asked, ask: Ask, ticket: int) -> Trouble | None:
        """One attempt; the trouble it had, or None where the request is done with (or the run stops)."""
        ending: Ending = "cancelled"
        try:
            asked.attempts += 1
            self._under_way.add(ticket)
            output = await self._in_time(asked, ask)
            ending = "answered"
            self._done(replace(output, usage=asked.take(output.usage)) if asked.usage else output)
        except Trouble as trouble:
            ending = _ENDINGS[trouble.kind]
            if trouble.kind == "format":
                self._somebody_answered()
            if trouble.retry_after_s is not None and trouble.retry_after_s <= self.limits.deadline_s:
                self.gate.close_for(trouble.retry_after_s)
            return trouble
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            ending = "failed"
            return Trouble("transport", "the attempt was cancelled, by whatever it waited for")
        except HarnessError as error:
            self.end(error)
        except Refused as refused:
            ending = "answered"
            self._done(asked.failed(refused.reason, refused.usage))
        except Exception as error:  # whoever is asked, what goes wrong with one request costs that request only
            self._give(asked.failed(f"{type(error).__name__}: {error}"))
        finally:
            self._under_way.discard(ticket)
            self._leave(ticket, ending)
        return None

    def _leave(self, ticket: int, ending: Ending) -> None:
        self.gate.leave(ticket, ending)
        self._lose_hope()

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
            within = f"within {allowed:g} s" if allowed == self.limits.timeout_s else "before the deadline"
            raise Trouble("transport", f"no answer {within}{before}") from None
        return output if output.timing else replace(output, timing=Timing(loop.time() - started))

    def _done(self, output: Output) -> None:
        self._somebody_answered()
        self._give(output)

    def _somebody_answered(self) -> None:
        """So the service is there, and those who were given up are errors."""
        self.health.last_answer = asyncio.get_running_loop().time()
        if self._held:
            self._release()

    def _give_up(self, asked: Asked) -> None:
        """No more attempts: the fault of the request if anybody is answered from now on, and else of the service."""
        if self.ended_by is not None:
            return
        self._held.append(Held(asked.failed(asked.epitaph), asked))
        if self._begun == self._n_calls:  # nobody is left to ask whether the service is there: _settle decides
            return
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
        if not self._fresh and self._given > 1:
            asyncio.get_running_loop().call_later(_HAND_OVER_S, self._hand_over)
        self._fresh.append(output)
        if self._given == 1:  # what an answer costs is waited for
            self._hand_over()

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


def _is_cancelled() -> bool:
    """Whether somebody has told the running task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def gone(who: str) -> BackendError:
    """What is raised where the thread that asks has ended before its time."""
    return BackendError(f"{who}: the thread that asks the service has ended; nothing more can be answered")
