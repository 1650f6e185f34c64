"""How many requests a service bears at once: found by additive increase and multiplicative decrease."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Literal, TypeAlias

Ending: TypeAlias = Literal["answered", "failed", "throttled", "cancelled"]

_START = 32
_STEPS = 16
_CLOCK_S = 0.001
"""Timers may fire this much early."""


class Gate:
    """Lets requests through, at most ``limit`` of them at once. Belongs to one event loop.

    ``under_way`` are there now, ``let_through`` counts all there ever were.

    It begins with 32 (or ``most``, if that is less). Until something fails it grows by one with every answer, which doubles it
    in a round trip; from then on by a sixteenth of ``most`` a round trip. A 429 halves it, once a round trip; other failures
    take half of their share in a round trip from it (all failed: half of it; one in twenty: a fortieth), so that a service
    that loses an answer now and then is still asked at full width, and one that is down is asked by one request at a time. A
    round trip ends with the first request to end that was let through after the one before had ended.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(min(most, _START))
        self.under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.let_through = 0
        self._closed_until = 0.0
        self._is_growing_fast = True
        self._is_full = self._was_full = False
        self._answered = self._failed = 0
        self._round_began = self._halved = 0

    async def enter(self) -> int:
        """Wait for one's turn; the ticket is for :meth:`leave`."""
        if self._waiting or not self._is_open():
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            self._admit()
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.under_way -= 1
                self._admit()
                raise
        else:
            self._let_in()
        self.let_through += 1
        return self.let_through

    def leave(self, ticket: int, ending: Ending) -> None:
        """A request has ended; the limit follows from how."""
        self.under_way -= 1
        if ending == "answered":
            self._answered += 1
            if ticket > self._halved and (self._is_full or self._was_full):
                step = 1.0 if self._is_growing_fast else max(1.0, self.most / _STEPS) / self.limit
                self.limit = min(float(self.most), self.limit + step)
        elif ending == "throttled" and ticket > self._halved:
            self._shrink(0.5)
            self._halved = self.let_through
        elif ending == "failed":
            self._failed += 1
        if ticket > self._round_began:
            self._end_round()
        self._admit()

    def close_for(self, seconds: float) -> None:
        """Let nobody through for so long."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if until > self._closed_until:
            self._closed_until = until
            loop.call_at(until, self._admit)

    def _is_open(self) -> bool:
        return self.under_way < int(self.limit) and asyncio.get_running_loop().time() + _CLOCK_S >= self._closed_until

    def _admit(self) -> None:
        while self._waiting and self._is_open():
            turn = self._waiting.popleft()
            if not turn.done():
                self._let_in()
                turn.set_result(None)

    def _let_in(self) -> None:
        self.under_way += 1
        self._is_full = self._is_full or self.under_way >= int(self.limit)

    def _end_round(self) -> None:
        if self._failed:
            self._shrink(1 - 0.5 * self._failed / (self._failed + self._answered))
        self._answered = self._failed = 0
        self._was_full, self._is_full = self._is_full, self.under_way >= int(self.limit)
        self._round_began = self.let_through

    def _shrink(self, factor: float) -> None:
        self.limit = max(1.0, self.limit * factor)
        self._is_growing_fast = False
