"""A verdict told to a web address. It never changes the verdict: what goes wrong is a sentence, for a warning."""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from harness.codec import dumps
from harness.gate.policy import Notify

TIMEOUT_S = 10.0
RETRIES = 2
_WAIT_S = 0.5
_NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def tell(
    notify: Notify, document: Mapping[str, Any], environ: Mapping[str, str], *, timeout_s: float = TIMEOUT_S,
    wait_s: float = _WAIT_S,
) -> str | None:
    """POST the document as JSON. None if it was taken (any 2xx), else what went wrong, without the values of the environment.

    ``${NAME}`` in the address and the headers is taken from ``environ``. A refused connection, a timeout, 429 and 5xx are tried
    ``RETRIES`` times more; redirections are not followed, since headers may hold a secret.
    """
    lacking = [name for text in (notify.url, *notify.headers.values()) for name in _NAME.findall(text) if name not in environ]
    if lacking:
        return f"notify: the environment has no {', '.join(dict.fromkeys(lacking))}"
    url = _filled(notify.url, environ)
    if not url.startswith(("http://", "https://")):
        return f"notify: {notify.url} is no http:// or https:// address"
    headers = {name: _filled(text, environ) for name, text in notify.headers.items()}
    try:
        request = urllib.request.Request(url, dumps(document), {"Content-Type": "application/json", **headers}, method="POST")
    except ValueError:
        return f"notify: {notify.url} is no address"
    fault = ""
    for attempt in range(1 + RETRIES):
        time.sleep(attempt * wait_s)
        fault, is_final = _posted(request, timeout_s)
        if is_final:
            break
    return f"notify: {notify.url}: {fault}" if fault else None


def _filled(text: str, environ: Mapping[str, str]) -> str:
    return _NAME.sub(lambda found: environ[found.group(1)], text)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _posted(request: urllib.request.Request, timeout_s: float) -> tuple[str, bool]:
    """What went wrong ("" if nothing did), and whether trying again is of no use."""
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout_s):
            return "", True
    except urllib.error.HTTPError as error:
        error.close()
        return f"HTTP {error.code}", error.code != 429 and error.code < 500
    except urllib.error.URLError as error:
        return _why(error.reason), False
    except (OSError, ValueError, http.client.HTTPException) as error:
        return _why(error), False


def _why(reason: Any) -> str:
    """The kind of the fault; its text may hold the address with what the environment put in."""
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return "timed out" if isinstance(reason, TimeoutError) else type(reason).__name__
