"""A service on loopback that answers what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Asked:
    path: str
    document: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: a value that is sent as JSON, or the bytes themselves."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Loopback:
    """Runs ``answer`` for every request, from entering to leaving its context, in a thread of its own."""

    def __init__(self, answer: Callable[[Asked], Said]) -> None:
        self._answer = answer
        self.asked: list[Asked] = []
        self.url = ""

    def __enter__(self) -> Loopback:
        started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._live(started)), daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(10)
        self._loop.close()

    async def _live(self, started: threading.Event) -> None:
        self._closing = asyncio.Event()
        app = web.Application()
        app.router.add_post("/{path:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        started.set()
        await self._closing.wait()
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        asked = Asked(request.path, await request.json(), dict(request.headers))
        self.asked.append(asked)
        said = self._answer(asked)
        body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
        return web.Response(body=body, status=said.status, headers={"Content-Type": "application/json", **said.headers})
