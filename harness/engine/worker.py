"""A process that scores beside the run. It reads requests from its standard input and writes blocks to its standard output.

Whoever starts it sends pickles, each after its length in eight bytes: ``("hold", slot, pickle)`` to keep a metric, or the rows
that are to be scored (a pair of samples and outputs); ``("score", slot, start, seconds)`` to score all rows with a metric at
once (``start`` None) or one by one from row ``start`` on. It ends when its standard input does, in the middle of its work too.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import signal
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, BinaryIO

ROWS = "rows"
"""The slot of the rows; every other one holds a metric."""

_LENGTH = struct.Struct("<Q")
_LONGEST = 2**40
_GRACE_S = 10.0
_LONGEST_S = 1e6


def serve() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started this process, who then ends it
    requests, replies = _channels()
    try:
        with open(os.devnull, "w") as nowhere:
            _answer(requests, replies, _Limits(requests, nowhere))
    except BrokenPipeError:
        os._exit(1)  # what is still to be written has no reader


def write_message(stream: BinaryIO, message: Any) -> None:
    """Send a message. Raises BrokenPipeError where nobody reads."""
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def read_message(stream: BinaryIO) -> Any:
    """The next message, None at the end of the stream. Raises ValueError where something else writes into it."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > _LONGEST:
        raise ValueError(f"not a message: {head!r}")
    data = stream.read(length)
    return pickle.loads(data) if len(data) == length else None


def _channels() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output, out of the reach of whatever else reads or prints in this process."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, replies


def _answer(requests: BinaryIO, replies: BinaryIO, limits: _Limits) -> None:
    write_message(replies, ("ready",))
    held: dict[str, Any] = {}
    while (request := read_message(requests)) is not None:
        if request[0] == "hold":
            write_message(replies, _hold(held, *request[1:]))
        else:
            for reply in _score(held, limits, *request[1:]):
                write_message(replies, reply)


def _hold(held: dict[str, Any], slot: str, data: bytes) -> tuple[Any, ...]:
    try:
        held[slot] = pickle.loads(data)
    except Exception as error:  # modules of the user's may raise anything
        return ("failed", f"{type(error).__name__}: {error}")
    return ("held",)


def _score(held: dict[str, Any], limits: _Limits, slot: str, start: int | None, seconds: float) -> Iterator[tuple[Any, ...]]:
    from harness.engine.blocks import score_block

    metric, (samples, outputs) = held[slot], held[ROWS]
    pieces = [(0, len(samples))] if start is None else [(row, row + 1) for row in range(start, len(samples))]
    yield ("began",)
    for first, last in pieces:
        try:
            with limits.ending_this(seconds):
                block = score_block(metric, samples[first:last], outputs[first:last])
        except Exception as error:  # the run raises it, from scoring the same rows itself
            yield ("failed", f"{type(error).__name__}: {error}")
            return
        yield ("block", block)


@dataclass(frozen=True, slots=True)
class _Limits:
    """What ends this process by the system's hand: an expression that never ends lets no line of Python run."""

    requests: BinaryIO
    nowhere: IO[str]

    @contextlib.contextmanager
    def ending_this(self, seconds: float) -> Iterator[None]:
        """Within, the process ends when the other side does, and if this takes much longer than it may: it is the other side
        that keeps the time, if it is there."""
        faulthandler.dump_traceback_later(min(seconds + _GRACE_S, _LONGEST_S), exit=True, file=self.nowhere)
        try:
            with self._ending_with_the_other_side() if sys.platform == "linux" else contextlib.nullcontext():
                yield
        finally:
            faulthandler.cancel_dump_traceback_later()

    @contextlib.contextmanager
    def _ending_with_the_other_side(self) -> Iterator[None]:
        """SIGIO comes at whatever happens to the pipe, and ends the process: nothing but its end may happen while scoring."""
        import fcntl

        fcntl.fcntl(self.requests, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(self.requests, fcntl.F_GETFL)
        fcntl.fcntl(self.requests, fcntl.F_SETFL, flags | os.O_ASYNC)
        try:
            yield
        finally:
            fcntl.fcntl(self.requests, fcntl.F_SETFL, flags)
