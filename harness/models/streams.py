"""Server-sent events: the lines of a body that is still being written, as JSON values."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Protocol

from harness.models.openaianswers import parsed

_LAST = b"[DONE]"
_AFTER_LAST_S = 0.2


class Body(Protocol):
    """The body of an answer, as aiohttp has it."""

    def iter_any(self) -> AsyncIterator[bytes]: ...

    async def readany(self) -> bytes: ...


async def events(body: Body) -> AsyncIterator[Any]:
    """The values behind ``data:``, as they come, up to ``[DONE]`` (None stands for it) or the end of the body.

    A body that is one JSON document (a service that does not stream) is the one value. Raises Trouble for what is no JSON.
    """
    line, is_first = b"", True
    async for chunk in body.iter_any():
        if is_first and (line + chunk).lstrip().startswith(b"{"):
            line += chunk
            continue
        is_first = False
        *lines, line = (line + chunk).split(b"\n")
        for one in lines:
            data = _data(one)
            if data == _LAST:
                await _rest(body)
                yield None
                return
            if data:
                yield parsed(data)
    last = line.strip() if is_first else _data(line)
    if last == _LAST:
        yield None
    elif last:
        yield parsed(last)


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
