"""An open causal language model, with what everybody who asks it must know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.models.inputs import Inputs, Truncation
from harness.models.precision import ComputedIn
from harness.models.prompts import Prompts
from harness.types import Call, Output

TOO_LITTLE_MEMORY = "out of memory on {device}, even alone in its batch"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The model, its prompts and its limits; ``ends`` are the tokens that end a text, ``batch_tokens`` padded tokens."""

    model: Any
    prompts: Prompts
    identity: str
    device: str
    threads_before: int
    max_length: int
    batch_tokens: int
    ends: frozenset[int]
    truncation: Truncation = "left"
    dtype: ComputedIn = "float32"

    @property
    def inputs(self) -> Inputs:
        """What turns requests into this model's token ids."""
        return Inputs(self.prompts, self.max_length, self.truncation)


def failed(call: Call, reason: str) -> Output:
    """The output of a call that cannot be answered."""
    return Output(call.key, None, error=reason, finish_reason="error")


def order(call: Call) -> tuple[str, int, str, int]:
    """What calls are sorted by first, so that the order in which they arrive does not show."""
    return (call.key.sample_id, call.key.repeat, call.key.arm, call.key.step)
