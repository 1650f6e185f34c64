"""What a service charges for tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.errors import ConfigError
from harness.types import Usage

_TOKENS_PRICED = 1_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of a service, in any one currency.

    ``input`` is what a million tokens read cost. ``output`` is what a million tokens written cost.
    """

    input: float = 0.0
    output: float = 0.0

    def __post_init__(self) -> None:
        for key, price in (("input", self.input), ("output", self.output)):
            if not 0 <= price < math.inf:
                raise ConfigError(f"prices.{key} must be a number ≥ 0, a price of a million tokens, got {price!r}")

    def cost(self, usage: Usage) -> float:
        """What these tokens cost.

        >>> Prices(input=2.5, output=10).cost(Usage(input_tokens=400, output_tokens=100))
        0.002
        """
        return (usage.input_tokens * self.input + usage.output_tokens * self.output) / _TOKENS_PRICED
