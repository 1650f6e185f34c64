"""Calls a function of the user's where nobody has to wait for it: in daemon threads, or in an event loop of its own.

A thread cannot be ended from outside. A call that hangs is left behind, and neither the run nor the end of the process waits
for it, which both would for the threads of ``concurrent.futures``.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

App: TypeAlias = Callable[[dict[str, Any]], Any]

_SECONDS_TO_CLOSE = 1.0
_SECONDS_TO_RESPOND = 1.0


class Hung(Exception):
    """A call did not return in time and was left behind."""


@dataclass(frozen=True, slots=True)
class Raised:
    """What a call raised, whatever it was: ``SystemExit`` too."""

    error: BaseException


class AppThread(threading.Thread):
    """A thread in which code of the user's runs."""

    def __init__(self, target: Callable[[], None], title: str) -> None:
        super().__init__(target=target, name=title, daemon=True)


class AppCalls:
    """Calls ``app``: a coroutine function in one event loop, any other in as many threads as there are calls under way."""

    def __init__(self, app: App, title: str) -> None:
        self._app, self._title = app, title
        self._workers = Workers(title)
        self._loop: _Loop | None = None
        self._left: list[_Loop] = []

    async def answer(self, fields: dict[str, Any], timeout_s: float) -> Any:
        """What the app returns for ``fields``, or Raised; may be awaited in any event loop. Raises Hung after ``timeout_s``."""
        loop = self._running_loop() if is_async(self._app) else None
        work = self._workers.submit(self._called, fields) if loop is None else loop.submit(self._awaited(fields))
        waiting = asyncio.wrap_future(work)
        try:
            done, _ = await asyncio.wait([waiting], timeout=timeout_s)
        finally:
            if not waiting.done():
                waiting.cancel()
        if done:
            return Raised(asyncio.CancelledError()) if waiting.cancelled() else waiting.result()
        if loop is not None and not await loop.responds():
            self._leave(loop)
        raise Hung

    def close(self) -> None:
        """Let go of everything that is not hanging. May be called twice."""
        for loop in self._left:
            loop.stop()
        if self._loop is not None:
            self._loop.stop()
            self._loop.join()
            self._left.append(self._loop)
            self._loop = None
        self._workers.close()

    @property
    def has_left_behind(self) -> bool:
        """Whether a call that did not return in time is still going."""
        return self._workers.busy > 0 or any(loop.is_alive() for loop in self._left)

    def _called(self, fields: dict[str, Any]) -> Any:
        try:
            value = self._app(fields)
            return asyncio.run(_settled(value)) if inspect.isawaitable(value) else value
        except BaseException as error:  # code of the user's may raise anything, and only its own answer may suffer
            return Raised(error)

    async def _awaited(self, fields: dict[str, Any]) -> Any:
        try:
            return await self._app(fields)
        except BaseException as error:  # the same
            return Raised(error)

    def _running_loop(self) -> _Loop:
        if self._loop is None:
            self._loop = _Loop(self._workers, self._title)
        return self._loop

    def _leave(self, loop: _Loop) -> None:
        """A coroutine blocks its loop, as one that calls ``time.sleep`` does: what comes next gets another."""
        if self._loop is loop:
            self._left.append(loop)
            self._loop = None


def is_async(app: App) -> bool:
    """Whether a call of it gives a coroutine: an ``async def``, one behind ``partial``, an object whose ``__call__`` is one."""
    while isinstance(app, functools.partial):
        app = app.func
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(getattr(app, "__call__", None))  # noqa: B004


async def _settled(value: Any) -> Any:
    return await value


class Workers:
    """Threads that take one call at a time each. One more is started where all are busy, those that hang among them."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._lock = threading.Lock()
        self._idle: list[_Inbox] = []
        self._closed = False
        self.busy = 0

    def submit(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Future[Any]:
        """Begin a call at once; the future has its result."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            self.busy += 1
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = queue.SimpleQueue()
            AppThread(functools.partial(self._work, inbox), self._title).start()
        inbox.put(_Job(future, functools.partial(function, *arguments, **named)))
        return future

    def close(self) -> None:
        """End the idle threads now, and those that hang when they return, if ever."""
        with self._lock:
            self._closed, idle = True, self._idle
            self._idle = []
        for inbox in idle:
            inbox.put(None)

    def _work(self, inbox: _Inbox) -> None:
        while (job := inbox.get()) is not None:
            value, error = job.done()
            with self._lock:
                self.busy -= 1
                closed = self._closed
                if not closed:
                    self._idle.append(inbox)  # before anybody is told, so that who asks again at once gets this thread
            if error is not None:
                job.future.set_exception(error)
            else:
                job.future.set_result(value)
            if closed:
                return


@dataclass(frozen=True, slots=True)
class _Job:
    future: Future[Any]
    function: Callable[[], Any]

    def done(self) -> tuple[Any, BaseException | None]:
        try:
            return self.function(), None
        except BaseException as error:  # it is the caller's
            return None, error


_Inbox: TypeAlias = queue.SimpleQueue[_Job | None]


class _DaemonExecutor(ThreadPoolExecutor):
    """What ``asyncio.to_thread`` runs in: threads that the end of the process does not wait for."""

    def __init__(self, workers: Workers) -> None:
        super().__init__(max_workers=1)
        self._daemons = workers

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        return self._daemons.submit(function, *arguments, **named)


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self, workers: Workers, title: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(_DaemonExecutor(workers))
        self._thread = AppThread(self._go, title)
        self._thread.start()

    def submit(self, coroutine: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    async def responds(self) -> bool:
        """Whether the loop still does anything; awaited in another one."""
        probe = asyncio.wrap_future(self.submit(asyncio.sleep(0)))
        done, _ = await asyncio.wait([probe], timeout=_SECONDS_TO_RESPOND)
        probe.cancel()
        return bool(done)

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """End it, once it does anything again."""
        with contextlib.suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._loop.stop)

    def join(self) -> None:
        """Wait for its end, but not for long."""
        self._thread.join(_SECONDS_TO_CLOSE)

    def _go(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            if left:
                self._loop.run_until_complete(asyncio.wait(left, timeout=_SECONDS_TO_CLOSE / 2))
        finally:
            self._loop.close()
