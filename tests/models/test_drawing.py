"""Drawing the next token: how often each comes when the random numbers run evenly through [0, 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from harness.models.drawing import sample
from harness.types import Decoding


def shares(decoding: Decoding, probabilities: Sequence[float], n: int = 2000) -> list[float]:
    """How often each token is drawn when the random number runs evenly through [0, 1)."""
    torch = pytest.importorskip("torch")
    logits = torch.tensor([math.log(p) for p in probabilities]) + 3.0
    drawn = [sample(logits, decoding, (i + 0.5) / n) for i in range(n)]
    return [drawn.count(token) / n for token in range(len(probabilities))]


@pytest.mark.parametrize(("options", "wanted"), [
    ({"temperature": 1.0}, [0.1, 0.4, 0.2, 0.3]),
    ({"temperature": 0.5}, [1 / 30, 16 / 30, 4 / 30, 9 / 30]),
    ({"temperature": 1.0, "top_k": 2}, [0, 4 / 7, 0, 3 / 7]),
    ({"temperature": 1.0, "top_k": 9}, [0.1, 0.4, 0.2, 0.3]),
    # 0.4 + 0.3 does not reach 0.75, so the third is in.
    ({"temperature": 1.0, "top_p": 0.75}, [0, 4 / 9, 2 / 9, 3 / 9]),
    ({"temperature": 1.0, "top_p": 0.65}, [0, 4 / 7, 0, 3 / 7]),
    ({"temperature": 1.0, "top_p": 0.01}, [0, 1, 0, 0]),
    ({"temperature": 1.0, "top_k": 3, "top_p": 0.5}, [0, 4 / 7, 0, 3 / 7]),
])
def test_sampling_gives_each_token_its_probability(options: dict[str, Any], wanted: list[float]) -> None:
    assert shares(Decoding(**options), [0.1, 0.4, 0.2, 0.3]) == pytest.approx(wanted, abs=2e-3)
