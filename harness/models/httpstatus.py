"""What an HTTP status other than success means for a request: try again, give it up, or give the whole model up."""

from __future__ import annotations

import email.utils
import math
import os
from collections.abc import Mapping
from datetime import UTC, datetime

from harness.errors import BackendError, HarnessError
from harness.models.asking import OutOfCredit, Refused, Trouble

_LONGEST_MESSAGE = 500


def failure(who: str, status: int, headers: Mapping[str, str], message: str, api_key_env: str | None) -> Exception:
    """What to raise for this status: Trouble (408, 409, 425, 429, 5xx), OutOfCredit (402), BackendError (redirects, 401, 403,
    404, 405), Refused (other 4xx).

    ``message`` is what the service says, without any secret. ``api_key_env`` is named where the key is the matter.
    """
    said = f"HTTP {status}" + (f": {shortened(message)}" if message.strip() else "")
    if status == 429:
        return Trouble("rate_limit", said, retry_after(headers))
    if status in (408, 409, 425) or status >= 500:
        return Trouble("transport", said, retry_after(headers), unreachable=status == 503)
    if status in (401, 402, 403, 404, 405) or status < 400:
        return _about_the_model(who, status, said, headers, api_key_env)
    return Refused(said)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds > 0 that ``Retry-After`` asks for; None without one that can be read.

    It is a number or an HTTP date. A date is taken against the answer's own ``Date``, so that no clock of ours need be right.
    """
    text = headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        then, now = _moment(text), _moment(headers.get("Date", "")) or datetime.now(UTC)
        seconds = (then - now).total_seconds() if then is not None else 0.0
    return seconds if 0 < seconds < math.inf else None


def shortened(message: str) -> str:
    """A message of a service on one line, and no longer than can be read."""
    line = " ".join(message.split())
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"


def _moment(date: str) -> datetime | None:
    try:
        moment = email.utils.parsedate_to_datetime(date)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _about_the_model(who: str, status: int, said: str, headers: Mapping[str, str], api_key_env: str | None) -> HarnessError:
    if status in (401, 403) and api_key_env:
        has = "the service refuses the key in" if os.environ.get(api_key_env) else "no key is given: set"
        return BackendError(f"{who}: {has} the environment variable {api_key_env} ({said})")
    if status < 400:
        where = headers.get("Location", "elsewhere").partition("?")[0]
        return BackendError(f"{who}: the service sends us on to {where}: write that address into the config ({said})")
    if status == 402:
        return OutOfCredit(f"{who}: the account has no credit ({said})")
    hints = {404: "no such model or address", 405: "no such address for questions"}
    return BackendError(f"{who}: {hints.get(status, 'the service refuses us')} ({said})")
