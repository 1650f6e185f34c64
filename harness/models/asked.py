"""One request on its way to a service: what it went through, and how long to wait before it is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from harness.models.limits import Limits, Trouble, TroubleKind
from harness.types import Call, Output, Usage

_LONGEST_BACKOFF_S = 30.0


@dataclass(slots=True)
class Health:
    """When a service last answered anybody, on the clock of its event loop, and whether that loop is ending."""

    last_answer: float = float("-inf")
    is_over: bool = False


@dataclass(slots=True)
class Asked:
    """A request that is under way since ``began``. ``last`` is what went wrong last; ``unreachable``, that nobody was there;
    ``because``, why there is to be no further attempt, where the retries are not used up; ``usage``, what its attempts took."""

    call: Call
    limits: Limits
    began: float
    attempts: int = 0
    first_failure: float = float("inf")
    last: str = ""
    unreachable: bool = False
    because: str = ""
    usage: Usage | None = None
    failures: dict[TroubleKind, int] = field(default_factory=dict)

    @property
    def deadline(self) -> float:
        """When it is given up, on the clock of ``began``."""
        return self.began + self.limits.deadline_s

    def wait(self, trouble: Trouble, now: float) -> float | None:
        """Note the trouble of an attempt: seconds to wait before the next one, None where there is to be none.

        They are what the service asks for, or drawn below a bound that doubles with every failure of that kind.
        """
        self.last, self.unreachable = trouble.reason, trouble.unreachable
        self.take(trouble.usage)
        self.first_failure, self.because = min(self.first_failure, now), ""
        failures = self.failures[trouble.kind] = self.failures.get(trouble.kind, 0) + 1
        if failures > self._retries(trouble.kind):
            return None
        wait = trouble.retry_after_s
        if wait is None:
            bound = min(_LONGEST_BACKOFF_S, self.limits.backoff_s * 2 ** (failures - 1))
            wait = random.Random(f"{self.call.seed} {self.call.key} {self.attempts}").uniform(0, bound)
        elif now + wait >= self.deadline:
            self.because = f", for it asks to wait {wait:.0f} s and limits.deadline_s is {self.limits.deadline_s:g}"
            return None
        self.because = f", at the end of limits.deadline_s = {self.limits.deadline_s:g}"
        return wait if now + wait < self.deadline else None

    def take(self, usage: Usage | None) -> Usage | None:
        """What all attempts took, this one among them; None where none of them tells."""
        if usage is not None:
            before = self.usage or Usage()
            costs = [cost for cost in (before.cost, usage.cost) if cost is not None]
            self.usage = Usage(before.input_tokens + usage.input_tokens, before.output_tokens + usage.output_tokens,
                               sum(costs) if costs else None)
        return self.usage

    @property
    def epitaph(self) -> str:
        """Why there is no answer; without what is measured, so that reports can count those who ended alike."""
        tried = f"{self.attempts} attempt{'s' * (self.attempts > 1)}"
        return f"given up after {tried}{self.because}; last: {self.last}"

    def failed(self, error: str, usage: Usage | None = None) -> Output:
        """Its output where it has no answer; ``usage`` is what its last attempt took."""
        return Output(self.call.key, None, error=error, finish_reason="error", usage=self.take(usage))

    def _retries(self, kind: TroubleKind) -> int:
        match kind:
            case "transport":
                return self.limits.transport_retries
            case "rate_limit":
                return self.limits.rate_limit_retries
            case _:
                return self.limits.format_retries


@dataclass(frozen=True, slots=True)
class Held:
    """A request that was given up: an error only if the service turns out to be there."""

    output: Output
    asked: Asked
