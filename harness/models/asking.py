"""Asks a service many requests at once: as many as it bears, again where that helps, and never for longer than is allowed."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from harness.errors import BackendError
from harness.models.adaptive import Gate
from harness.models.asked import Health
from harness.models.limits import Limits, OutOfCredit, Refused, Trouble, TroubleKind
from harness.models.sitting import Sitting, gone
from harness.protocols import Resources
from harness.types import Call, Output

__all__ = ["Asker", "Attempt", "Limits", "Opening", "OutOfCredit", "Refused", "Trouble", "TroubleKind"]

Opening: TypeAlias = Callable[[], AbstractAsyncContextManager[Any]]
Attempt: TypeAlias = Callable[[Any, Call], Awaitable[Output]]

_POLL_S = 0.25
_GOODBYE_S = 5.0


class Asker:
    """Puts calls to one service from an event loop of its own, in a thread of its own.

    ``who`` begins its messages ("openai backend"). ``opening()`` gives an async context manager (``aiohttp.ClientSession``,
    ``contextlib.nullcontext``) that :meth:`open` enters in that thread, once. ``attempt(session, call)`` makes one attempt and
    returns its Output (without ``timing`` it gets the time of that attempt), or raises Trouble, Refused, or a HarnessError,
    which is about the whole model and stops the run. It is cancelled after ``limits.timeout_s``.
    """

    def __init__(self, who: str, limits: Limits, resources: Resources, opening: Opening, attempt: Attempt) -> None:
        self.who, self.limits, self.resources = who, limits, resources
        self._opening, self._attempt = opening, attempt
        self._thread: threading.Thread | None = None
        self._open: _Open | None = None

    def open(self) -> None:
        """Start the thread and enter ``opening()``. Raises what that raises."""
        self.close()
        started: queue.SimpleQueue[_Open | BaseException] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._live, args=(started,), name=self.who, daemon=True)
        self._thread.start()
        found = started.get()
        if isinstance(found, BaseException):
            self.close()
            raise found
        self._open = found

    def close(self) -> None:
        """Leave ``opening()`` and end the thread. May be called twice."""
        if self._open is not None:
            with contextlib.suppress(BackendError):
                self._tell(self._open.loop, self._open.closing.set)
        if self._thread is not None:
            self._thread.join(_GOODBYE_S)
        self._thread = self._open = None

    def outputs(self, calls: Sequence[Call]) -> Iterator[Output]:
        """The outputs of these calls as they come, in any order.

        Raises ServiceDown where nobody is answered any more, the HarnessError of an attempt, and what
        ``resources.checkpoint`` raises, each after the answers that were on their way. Calls without an output stay unanswered.
        ``resources.checkpoint`` is called in the asker's thread, before every attempt, and in the caller's while it waits.
        """
        if self._open is None or self._thread is None:
            raise BackendError(f"{self.who}: open() it before asking it")
        if not calls:
            return
        opened, thread = self._open, self._thread
        sitting = Sitting(self.who, self.limits, self.resources, opened.gate, opened.health, calls)
        self._tell(opened.loop, sitting.start, partial(self._attempt, opened.session))
        try:
            while (outputs := self._next(sitting, opened.loop, thread)) is not None:
                for output in outputs:
                    yield output
                    sitting.taken += 1
        finally:
            if thread.is_alive() and not sitting.over.is_set():
                self._tell(opened.loop, sitting.abandon)
                sitting.over.wait(_GOODBYE_S)
        if sitting.ended_by is not None:
            raise sitting.ended_by

    def _next(self, sitting: Sitting, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> Sequence[Output] | None:
        """The outputs that have come since; None after the last. Looks now and then whether the run is to stop."""
        while True:
            try:
                return sitting.ready.get(timeout=_POLL_S)
            except queue.Empty:
                if not thread.is_alive():
                    raise gone(self.who) from None
                if isinstance(stop := sitting.told(), BaseException):
                    self._tell(loop, sitting.end, stop)

    def _tell(self, loop: asyncio.AbstractEventLoop, what: Callable[..., None], *arguments: Any) -> None:
        """Have the thread do something. Raises BackendError where it has ended."""
        try:
            loop.call_soon_threadsafe(what, *arguments)
        except RuntimeError:
            raise gone(self.who) from None

    def _live(self, started: queue.SimpleQueue[_Open | BaseException]) -> None:
        """The life of the thread."""
        try:
            asyncio.run(self._keep_open(started))
        except BaseException as error:  # open() raises what comes before it is open; outputs() sees that this thread is gone
            started.put(error)

    async def _keep_open(self, started: queue.SimpleQueue[_Open | BaseException]) -> None:
        health, closing = Health(), asyncio.Event()
        async with self._opening() as session:
            started.put(_Open(asyncio.get_running_loop(), session, closing, Gate(self.limits.concurrency), health))
            try:
                await closing.wait()
            finally:
                health.is_over = True


@dataclass(frozen=True, slots=True)
class _Open:
    """What lives as long as the thread."""

    loop: asyncio.AbstractEventLoop
    session: Any
    closing: asyncio.Event
    gate: Gate
    health: Health
