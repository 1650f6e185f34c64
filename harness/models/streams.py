"""Server-sent events: the lines of a body that is still being written, as JSON values."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from harness.models.limits import Refused
from harness.models.openaianswers import parsed

_LAST = b"[DONE]"
_MARK = b"\xef\xbb\xbf"
"""Of UTF-8, where a service begins with one."""
_LONGEST = 64 * 2**20
_AFTER_LAST_S = 0.2


class Body(Protocol):
    """The body of an answer, as aiohttp has it."""

    def iter_any(self) -> AsyncIterator[bytes]: ...

    async def readany(self) -> bytes: ...


async def events(body: Body, hide: Callable[[str], str]) -> AsyncIterator[Any]:
    """The values behind ``data:``, as they come, up to ``[DONE]`` (None stands for it) or the end of the body.

    A body that is one JSON document (a service that does not stream) is the one value. ``hide`` takes secrets out of what is
    shown in errors. Raises Trouble for what is no JSON, Refused for what is longer than any answer.
    """
    line, is_first, length = b"", True, 0
    async for chunk in body.iter_any():
        length += len(chunk)
        if length > _LONGEST:
            raise Refused(f"the answer is longer than {_LONGEST >> 20} MiB")
        if is_first and _may_be_a_document(line + chunk):
            line += chunk
            continue
        if is_first:
            line, chunk = b"", (line + chunk).removeprefix(_MARK)
        is_first = False
        *lines, line = (line + chunk).split(b"\n")
        for one in lines:
            data = _data(one)
            if data == _LAST:
                await _rest(body)
                yield None
                return
            if data:
                yield parsed(data, hide)
    last = line.strip() if is_first else _data(line)
    if last == _LAST:
        yield None
    elif last:
        yield parsed(last, hide)


def _may_be_a_document(begun: bytes) -> bool:
    begun = begun.removeprefix(_MARK).lstrip()
    return begun.startswith(b"{") or _MARK.startswith(begun)


def _data(line: bytes) -> bytes:
    return line[5:].strip() if line.startswith(b"data:") else b""


async def _rest(body: Body) -> None:
    """Read on to the end, which is close if the service means well: only then can the connection be used again."""
    try:
        async with asyncio.timeout(_AFTER_LAST_S):
            while await body.readany():
                pass
    except TimeoutError:
        pass
