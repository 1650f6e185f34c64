"""Drawing the next token: how often each comes when the random numbers run evenly through [0, 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from harness.models.drawing import draw, sample
from harness.types import Decoding


@dataclass
class Drawer:
    """A row without a constraint that always draws the same number."""

    decoding: Decoding
    constraint: None = None

    def uniform(self) -> float:
        return 0.5


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


@pytest.mark.parametrize("decoding", [
    Decoding(), Decoding(temperature=1.0), Decoding(temperature=0.5, top_p=0.5, logprobs=True)])
def test_what_is_drawn_by_logits_that_are_no_numbers_is_marked(decoding: Decoding) -> None:
    torch = pytest.importorskip("torch")
    logits = torch.zeros(6, 5)
    logits[0, 3] = math.nan
    logits[1, 2] = math.inf
    logits[2] = -math.inf
    # Tokens that never come are no fault.
    logits[3, :4] = -math.inf
    logits[4, 0] = 80.0
    drawn = draw(logits, [Drawer(decoding)] * 6)
    assert [one.is_sound for one in drawn] == [False, False, False, True, True, True]
    assert [drawn[3].token, drawn[4].token] == [4, 0]
