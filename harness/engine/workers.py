"""Processes that score beside the run: started when they are needed, ended by their id when they take too long or the run ends.

They are plain children of this interpreter and import nothing of the script or notebook that started the run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any, TypeVar

from harness.engine.blocks import Block
from harness.engine.worker import read_message, write_message

T = TypeVar("T")

_START_S = 120.0
_END_S = 5.0


class Lost(Exception):
    """A worker was ended or died over the rows in hand. The text says which, and goes before the metric's name."""


class Unfit(Exception):
    """The work cannot be done in a worker: it cannot be started, or cannot load the metric."""


class Raised(Unfit):
    """The metric raised an exception over the rows in hand."""


class Workers:
    """At most ``most`` workers; with 0 of them, or where Python cannot be started, there are none. Use it as a context."""

    def __init__(self, most: int) -> None:
        self.most = most if sys.executable else 0
        self._threads = ThreadPoolExecutor(max(1, self.most), "scoring")
        self._all: list[Worker] = []
        self._idle: list[Worker] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def submit(self, work: Callable[[Worker], T]) -> Future[T]:
        """Do this with a worker, when one is free."""
        return self._threads.submit(self._with_worker, work)

    def close(self) -> None:
        """End all of them at once, whatever they are doing."""
        with self._lock:
            workers = list(self._all)
        for worker in workers:
            worker.close()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in self._all:
            worker.close()

    def _with_worker(self, work: Callable[[Worker], T]) -> T:
        with self._lock:
            if not self._idle:
                self._idle.append(Worker())
                self._all.append(self._idle[-1])
            worker = self._idle.pop()
        try:
            return work(worker)
        finally:
            with self._lock:
                self._idle.append(worker)


class Worker:
    """One process at a time: when it is lost the next request starts another. Used by one thread at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._held: dict[str, object] = {}
        self._lock = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """Start the process, if there is none. Raises Unfit where that fails."""
        if self._process is not None:
            return
        with self._lock:
            if self._closed:
                raise Unfit("the run is ending")
            try:
                self._process = subprocess.Popen(
                    _command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    start_new_session=True,  # out of the reach of the terminal's Ctrl-C
                )  # fmt: skip
            except OSError as error:
                raise Unfit(f"no process can be started: {error}") from error
        try:
            self._receive(_START_S)
        except Lost as lost:
            raise Unfit(f"a worker does not start: {lost}") from lost

    def hold(self, slot: str, key: object, data: bytes) -> None:
        """Have it keep what this pickle holds; nothing is sent twice under the same key. Raises Unfit if it cannot."""
        self.start()
        if self._held.get(slot) == key:
            return
        self._send(("hold", slot, data))
        try:
            reply = self._receive(_START_S)
        except Lost as lost:
            raise Unfit(f"a worker cannot take it: {lost}") from lost
        if reply[0] == "failed":
            raise Unfit(f"a worker cannot take it: {reply[1]}")
        self._held[slot] = key

    def score(self, slot: str, n: int, start: int | None, seconds: float) -> Iterator[Block]:
        """Blocks of the n rows that it holds, scored with the metric of a slot: all at once, or from ``start`` on one by one.

        Raises Lost where a block takes more than ``seconds`` or the process dies over it, Raised where the metric raises.
        """
        self._send(("score", slot, start, seconds))
        self._receive(_START_S)
        process = self._process
        assert process is not None
        watch = _Watch(process, seconds)
        try:
            for _ in range(1 if start is None else n - start):
                reply = self._reply(process, watch)
                if reply[0] == "failed":
                    raise Raised(reply[1])
                watch.stop() if start is None else watch.restart()
                yield reply[1]
        finally:
            watch.stop()

    def close(self) -> None:
        """End the process and start no other."""
        with self._lock:
            self._closed = True
            self._end()

    def _send(self, message: object) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise Lost("scoring was ended with the run")
        try:
            write_message(process.stdin, message)  # type: ignore[arg-type]
        except (OSError, ValueError) as error:
            raise self._lost(process, None) from error

    def _receive(self, seconds: float) -> Any:
        process = self._process
        if process is None:
            raise Lost("scoring was ended with the run")
        watch = _Watch(process, seconds)
        try:
            return self._reply(process, watch)
        finally:
            watch.stop()

    def _reply(self, process: subprocess.Popen[bytes], watch: _Watch) -> Any:
        try:
            message = read_message(process.stdout)  # type: ignore[arg-type]
        except (OSError, ValueError):  # closed by another thread, or written into by something else
            message = None
        if message is None or watch.fired:
            raise self._lost(process, watch)
        return message

    def _lost(self, process: subprocess.Popen[bytes], watch: _Watch | None) -> Lost:
        """End what is left of the process; the error says how it came to its end."""
        if watch is not None and watch.fired:
            how = f"scoring took longer than {watch.seconds:g} s"
        else:
            how = f"scoring {_how_it_ended(process)}"
        with self._lock:
            if self._process is process:
                self._end()
        return Lost(how)

    def _end(self) -> None:
        process, self._process = self._process, None
        self._held.clear()
        if process is None:
            return
        _kill(process)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                _close(stream)


class _Watch:
    """Ends a process when so many seconds have passed since the last restart of the watch, unless it is stopped before."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self.fired = False
        self.seconds = seconds
        self._process, self._longest = process, min(seconds, threading.TIMEOUT_MAX)
        self._deadline = time.monotonic() + self._longest
        self._stopped, self._lock = threading.Event(), threading.Lock()
        threading.Thread(target=self._look, name="scoring-watch", daemon=True).start()

    def restart(self) -> None:
        with self._lock:
            self._deadline = time.monotonic() + self._longest

    def stop(self) -> None:
        with self._lock:
            self._stopped.set()

    def _look(self) -> None:
        while not self._stopped.wait(max(0.0, self._deadline - time.monotonic())):
            with self._lock:
                if not self._stopped.is_set() and time.monotonic() >= self._deadline:
                    self.fired = True
                    _kill(self._process)
                    return


def _command() -> list[str]:
    """Not ``-m``: that looks for modules in the working folder first, and not where this process found them."""
    path = [entry for entry in sys.path if isinstance(entry, str)]
    return [sys.executable, "-c", f"import sys; sys.path[:] = {path!r}; from harness.engine.worker import serve; serve()"]


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process, and with it what a metric started in it: they are a group of their own."""
    if process.poll() is not None:
        return
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _close(stream: IO[bytes]) -> None:
    with contextlib.suppress(OSError):  # what was not yet sent to a process that is gone
        stream.close()


def _how_it_ended(process: subprocess.Popen[bytes]) -> str:
    """Its own doing: it has closed its side of the pipe, or is gone."""
    try:
        code = process.wait(_END_S)
    except subprocess.TimeoutExpired:
        return "closed the pipe that its result was to come by"
    return f"was ended by signal {-code}" if code < 0 else f"ended its process with exit code {code}"
