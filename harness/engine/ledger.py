"""What a run has spent, and when it must stop: a signal, a budget, or the time that it was given."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

from harness.config import Budget
from harness.types import Output

_NO_BUDGET_LEFT = 4
_FEW = 4
"""So many are begun with a budget before one has told what it takes; where none of four times as many did, none will."""


Limit: TypeAlias = Literal["max_cost", "max_tokens", "max_seconds"]


class Stopped(Exception):
    """The run is to stop; everything that was answered is in the journal. ``limit`` is what ran out, None for a signal."""

    def __init__(self, reason: str = "", exit_code: int | None = None, limit: Limit | None = None) -> None:
        super().__init__(reason)
        self.reason, self.exit_code, self.limit = reason, exit_code, limit


class Ledger:
    """Counts what outputs took; :meth:`checkpoint` raises Stopped once the run may not go on."""

    def __init__(self, budget: Budget, signal: Callable[[], int | None] = lambda: None) -> None:
        self._budget, self._signal = budget, signal
        self._began = time.monotonic()
        self.cost = 0.0
        self.tokens = 0
        self.outputs = 0
        self._told = 0
        self._waiting: tuple[int, Callable[[], None]] | None = None

    @contextmanager
    def while_waiting(self, act: Callable[[], None]) -> Iterator[None]:
        """Within, ``act`` is called at each checkpoint of this thread: whoever waits for a service comes by now and then."""
        self._waiting = (threading.get_ident(), act)
        try:
            yield
        finally:
            self._waiting = None

    def add(self, output: Output) -> None:
        """An output that was asked for in this run, now or before it was stopped; not one from the cache."""
        self.outputs += 1
        if output.usage is not None:
            self._told += 1
            self.tokens += output.usage.input_tokens + output.usage.output_tokens
            self.cost += output.usage.cost or 0.0

    def checkpoint(self, pending: int = 0) -> bool:
        """Raise Stopped after a signal, or where what is spent and what ``pending`` requests will take is all there is.

        Whether a new request may be begun: with a budget, few are before it is known what one takes.
        """
        waiting = self._waiting
        if waiting is not None and waiting[0] == threading.get_ident():
            waiting[1]()
        if self._signal() is not None:
            raise Stopped
        limit = self._reached(pending)
        if limit is not None:
            raise Stopped(self.words(limit), _NO_BUDGET_LEFT, limit)
        return self._knows_enough() or pending < _FEW

    def _knows_enough(self) -> bool:
        """An output has told what it took; or none of many has, so that none will."""
        is_counted = self._budget.max_cost is not None or self._budget.max_tokens is not None
        return not is_counted or self._told > 0 or self.outputs >= _FEW * _FEW

    def words(self, limit: Limit) -> str:
        """How much of a limit is used by now: what was under way when it was reached may have come in since."""
        budget, seconds = self._budget, time.monotonic() - self._began
        return {
            "max_cost": f"budget.max_cost is {budget.max_cost or 0:g} and {self.cost:.4g} is spent",
            "max_tokens": f"budget.max_tokens is {budget.max_tokens or 0:,} and {self.tokens:,} are used",
            "max_seconds": f"budget.max_seconds is {budget.max_seconds or 0:g} and {seconds:.0f} s have passed",
        }[limit]

    def _reached(self, pending: int) -> Limit | None:
        budget = self._budget
        share = 1 + pending / self._told if self._told else 1.0
        if budget.max_cost is not None and self.cost * share >= budget.max_cost:
            return "max_cost"
        if budget.max_tokens is not None and self.tokens * share >= budget.max_tokens:
            return "max_tokens"
        if budget.max_seconds is not None and time.monotonic() - self._began >= budget.max_seconds:
            return "max_seconds"
        return None
