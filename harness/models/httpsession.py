"""The HTTP client that services are asked with, and what goes wrong on the way to them."""

from __future__ import annotations

import asyncio
import re
import select
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from harness.errors import BackendError, ConfigError, MissingDependency
from harness.models.asking import Opening, Refused, Trouble

if TYPE_CHECKING:
    import aiohttp

_KEEP_ALIVE_S = 60.0
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LONGEST = 64 * 2**20
_REST_S = 0.001
"""How long a connection lies before it is used again, so that what follows an answer uncalled for has time to come. What comes
later still cannot be told from the next answer by any client: HTTP numbers nothing."""


def http_opening(who: str, headers: Mapping[str, str], url: str = "") -> Opening:
    """What an Asker opens: a session that keeps its connections, has no limit of its own (the asker has one), and goes through
    the proxy that the environment has for ``url``, if any. Raises MissingDependency, or BackendError for a proxy of another
    kind than HTTP."""
    try:
        import aiohttp  # noqa: F401
    except ImportError as error:
        raise MissingDependency(who, ["aiohttp"], "api") from error
    return partial(_session, dict(headers), _proxy(who, url))


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises ConfigError for a header that HTTP has not."""
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or any(not " " <= character <= "~" for character in value):
            raise ConfigError(f"headers.{name} must have a name and a value of plain ASCII, the name without a blank")


async def read_body(response: aiohttp.ClientResponse) -> bytes:
    """The body of an answer. Raises Refused where it is longer, when unpacked, than any answer is."""
    pieces, length = list[bytes](), 0
    async for piece in response.content.iter_any():
        length += len(piece)
        if length > _LONGEST:
            raise Refused(f"the answer is longer than {_LONGEST >> 20} MiB")
        pieces.append(piece)
    return b"".join(pieces)


def _proxy(who: str, url: str) -> str | None:
    """The proxy for an address. No password of a ``.netrc`` is looked for, as aiohttp does where it looks for proxies."""
    parts, proxies = urlsplit(url), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or not parts.hostname or proxy_bypass(parts.netloc):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not proxy.startswith(("http://", "https://")):
        raise BackendError(f"{who}: the environment has a proxy for {parts.hostname} that is not an HTTP one: unset it, or "
                           f"name {parts.hostname} in NO_PROXY")
    return proxy


@asynccontextmanager
async def _session(headers: Mapping[str, str], proxy: str | None) -> AsyncIterator[aiohttp.ClientSession]:
    import aiohttp

    async with aiohttp.ClientSession(
        connector=_connector(),
        timeout=aiohttp.ClientTimeout(total=None),
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        proxy=proxy,
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
    """Without the address, which may have a secret in it."""
    import aiohttp

    if isinstance(error, aiohttp.ClientResponseError):
        return f"{type(error).__name__}: {error.message or error.status}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
