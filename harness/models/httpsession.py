"""The HTTP client that services are asked with, and what goes wrong on the way to them."""

from __future__ import annotations

import asyncio
import select
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

from harness.errors import MissingDependency
from harness.models.asking import Opening, Trouble

if TYPE_CHECKING:
    import aiohttp

_KEEP_ALIVE_S = 60.0
_REST_S = 0.001
"""How long a connection lies before it is used again, so that what follows an answer uncalled for has time to come."""


def http_opening(who: str, headers: Mapping[str, str]) -> Opening:
    """What an Asker opens: a session that keeps its connections, has no limit of its own (the asker has one), and goes through
    the proxies of the environment where there are any. Raises MissingDependency."""
    try:
        import aiohttp  # noqa: F401
    except ImportError as error:
        raise MissingDependency(who, ["aiohttp"], "api") from error
    return partial(_session, dict(headers))


@asynccontextmanager
async def _session(headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientSession]:
    import aiohttp

    # Looking for a proxy costs time in every request: only where the environment has one.
    async with aiohttp.ClientSession(
        connector=_connector(),
        timeout=aiohttp.ClientTimeout(total=None),
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=bool(getproxies()),
    ) as session:
        yield session


def _connector() -> aiohttp.TCPConnector:
    import aiohttp

    class Connector(aiohttp.TCPConnector):
        """Never uses a connection again on which anything came after its last answer: that would pass for the next one.

        Nor one that the service has closed, so that no attempt is lost to it.
        """

        async def connect(self, *args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(_REST_S)
            while True:
                connection = await super().connect(*args, **kwargs)
                if connection.protocol not in used or not _has_spoken(connection.protocol):
                    used.add(connection.protocol)
                    return connection
                connection.close()

    used: weakref.WeakSet[Any] = weakref.WeakSet()
    return Connector(limit=0, keepalive_timeout=_KEEP_ALIVE_S)


def _has_spoken(protocol: Any) -> bool:
    """Whether a connection that nothing is asked on has something to say, read already or still in its socket."""
    if protocol is None or protocol.should_close:
        return True
    connection = None if protocol.transport is None else protocol.transport.get_extra_info("socket")
    return connection is not None and _is_readable(connection.fileno())


def _is_readable(descriptor: int) -> bool:
    if descriptor < 0:
        return True
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([descriptor], [], [], 0)[0])


@contextmanager
def troubles() -> Iterator[None]:
    """What goes wrong between us and a service, as Trouble."""
    import aiohttp

    try:
        yield
    except aiohttp.ClientConnectorError as error:
        raise Trouble("transport", str(error), unreachable=True) from None
    except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, ConnectionError) as error:
        raise Trouble("transport", f"the connection broke: {_said(error)}") from None
    except (aiohttp.ClientError, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise Trouble("transport", _said(error)) from None


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
