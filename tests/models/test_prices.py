from __future__ import annotations

import math

import pytest

from harness.errors import ConfigError
from harness.models.prices import Prices
from harness.types import Usage


def test_a_million_tokens_read_and_written_cost_their_prices() -> None:
    assert Prices(input=2.5, output=10.0).cost(Usage(1_000_000, 1_000_000)) == 12.5
    # 1,234 tokens at 0.15 and 567 at 0.60 a million, by hand: 0.0001851 + 0.0003402
    assert Prices(input=0.15, output=0.6).cost(Usage(1234, 567)) == pytest.approx(0.0005253, rel=1e-12)
    assert Prices().cost(Usage(10, 10)) == 0.0


@pytest.mark.parametrize("price", [-0.01, math.inf, math.nan])
def test_prices_are_numbers_from_zero_on(price: float) -> None:
    with pytest.raises(ConfigError, match=r"prices\.output must be a number ≥ 0, a price of a million tokens"):
        Prices(output=price)
