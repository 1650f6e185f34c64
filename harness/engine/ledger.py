"""What a run has spent, and when it must stop: a signal, a budget, or the time that it was given."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from harness.config import Budget
from harness.types import Output

_NO_BUDGET_LEFT = 4


class Stopped(Exception):
    """The run is to stop; everything that was answered is in the journal. ``reason`` is what ran out, "" for a signal."""

    def __init__(self, reason: str = "", exit_code: int | None = None) -> None:
        super().__init__(reason)
        self.reason, self.exit_code = reason, exit_code


class Ledger:
    """Counts what outputs took; :meth:`checkpoint` raises Stopped once the run may not go on."""

    def __init__(self, budget: Budget, signal: Callable[[], int | None] = lambda: None) -> None:
        self._budget, self._signal = budget, signal
        self._began = time.monotonic()
        self.cost = 0.0
        self.tokens = 0
        self.outputs = 0
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
            self.tokens += output.usage.input_tokens + output.usage.output_tokens
            self.cost += output.usage.cost or 0.0

    def checkpoint(self, pending: int = 0) -> None:
        """Raise Stopped after a signal, or where what is spent and what ``pending`` requests will take is all there is."""
        waiting = self._waiting
        if waiting is not None and waiting[0] == threading.get_ident():
            waiting[1]()
        if self._signal() is not None:
            raise Stopped
        reason = self._spent(pending)
        if reason is not None:
            raise Stopped(reason, _NO_BUDGET_LEFT)

    def _spent(self, pending: int) -> str | None:
        budget = self._budget
        share = 1 + pending / self.outputs if self.outputs else 1.0
        if budget.max_cost is not None and self.cost * share >= budget.max_cost:
            return f"budget.max_cost is {budget.max_cost:g} and {self.cost:.4g} is spent"
        if budget.max_tokens is not None and self.tokens * share >= budget.max_tokens:
            return f"budget.max_tokens is {budget.max_tokens:,} and {self.tokens:,} are used"
        seconds = time.monotonic() - self._began
        if budget.max_seconds is not None and seconds >= budget.max_seconds:
            return f"budget.max_seconds is {budget.max_seconds:g} and {seconds:.0f} s have passed"
        return None
