"""How hard a service is asked, and the ways in which an attempt fails."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from harness.errors import ConfigError, ServiceDown
from harness.types import Usage

TroubleKind: TypeAlias = Literal["transport", "rate_limit", "format"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard and how long a service is asked.

    ``concurrency`` is the most requests under way at once: fewer are where the service throttles or fails. ``timeout_s`` is
    how long one attempt may take, in seconds. ``deadline_s`` is how long a request may take with all its attempts and the
    waits between them, in seconds. ``transport_retries`` is how often a request is tried again after connections that break,
    time-outs and 5xx. ``rate_limit_retries`` is how often it is tried again after "too many requests". ``format_retries`` is
    how often it is tried again after answers that cannot be read. ``backoff_s`` is the longest wait before the first retry,
    in seconds: it doubles with every further one, up to 30 s, and how long is waited is drawn at random below it.
    """

    concurrency: int = 64
    timeout_s: float = 120.0
    deadline_s: float = 600.0
    transport_retries: int = 5
    rate_limit_retries: int = 20
    format_retries: int = 2
    backoff_s: float = 0.5

    def __post_init__(self) -> None:
        _require(self.concurrency >= 1, "concurrency", "a positive integer", self.concurrency)
        for key in ("timeout_s", "deadline_s"):
            _require(0 < getattr(self, key) < math.inf, key, "a number of seconds > 0", getattr(self, key))
        for key in ("transport_retries", "rate_limit_retries", "format_retries"):
            _require(getattr(self, key) >= 0, key, "an integer ≥ 0", getattr(self, key))
        _require(0 <= self.backoff_s < math.inf, "backoff_s", "a number of seconds ≥ 0", self.backoff_s)


def _require(ok: bool, key: str, constraint: str, value: object) -> None:
    if not ok:
        raise ConfigError(f"limits.{key} must be {constraint}, got {value!r}")


class Trouble(Exception):
    """An attempt failed in a way that may pass: it is tried again. Its text ends up in errors: no secret in it.

    ``kind``: "transport" (no connection, time-out, 5xx), "rate_limit" (429) or "format" (an answer that cannot be read): each
    has a budget of its own. ``retry_after_s``: how long the service asks to be left alone, by everybody who asks this model.
    ``unreachable``: there is nobody to connect to, so that no other request can fare better. ``usage``: what it took all the
    same.
    """

    def __init__(
        self, kind: TroubleKind, reason: str, retry_after_s: float | None = None, *, unreachable: bool = False,
        usage: Usage | None = None,
    ) -> None:  # fmt: skip
        super().__init__(reason)
        self.kind, self.reason, self.retry_after_s, self.unreachable = kind, reason, retry_after_s, unreachable
        self.usage = usage


class Refused(Exception):
    """This request will never be answered: its output has this error. No secret in it. ``usage``: what it took all the same."""

    def __init__(self, reason: str, usage: Usage | None = None) -> None:
        super().__init__(reason)
        self.reason, self.usage = reason, usage


class OutOfCredit(ServiceDown):
    """Nobody is answered until the account has something left; what is on its way may be answered still."""
