"""States of prefixes: the same as without them, computed only where the next departs from the last."""

from __future__ import annotations

from typing import Any

import pytest

from harness.models.prefixes import PrefixCache, common
from tests.models.tiny import FIT, ROTARY, passes, scarce, tiny, torch


def logits_after(model: Any, states: Any, past: int, ids: list[list[int]]) -> Any:
    positions = torch.arange(past, past + len(ids[0])).expand(len(ids), -1)
    with torch.inference_mode():
        return model(input_ids=torch.tensor(ids), past_key_values=states, position_ids=positions, use_cache=True).logits[:, -1]


def logits(model: Any, tokens: list[int]) -> Any:
    with torch.inference_mode():
        return model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1]


@pytest.mark.parametrize("architecture", FIT)
def test_reading_on_from_a_prefix_is_reading_the_whole(architecture: str) -> None:
    model = tiny(architecture, **FIT[architecture])
    cache = PrefixCache(model)
    first, other = list(range(10, 30)), [*range(10, 18), *range(50, 60)]
    for prefix in (first, first[:5], other, first):
        with torch.inference_mode():
            states = cache.states(prefix, rows=2)
        both = logits_after(model, states, len(prefix), [[5, 6], [7, 8]])
        assert both[0].tolist() == pytest.approx(logits(model, [*prefix, 5, 6]).tolist(), abs=1e-4)
        assert both[1].tolist() == pytest.approx(logits(model, [*prefix, 7, 8]).tolist(), abs=1e-4)


def test_only_what_is_new_is_run_and_readers_change_nothing() -> None:
    model = tiny("Llama", **FIT["Llama"])
    cache = PrefixCache(model)
    with torch.inference_mode(), passes(model) as run:
        cache.states(range(10, 30))
        states = cache.states(range(10, 30), rows=3)
        logits_after(model, states, 20, [[5], [6], [7]])
        assert run == [(1, 20), (3, 1)]
        assert cache.states(range(10, 30)).get_seq_length() == 20
        assert cache.held([*range(10, 25), 70, 71]) == 15
        cache.states([*range(10, 25), 70, 71])
        # A part of what is there needs no pass, and the longer one stays.
        cache.states(range(10, 14))
        cache.states([*range(10, 25), 70])
        assert run[2:] == [(1, 2)]
        cache.clear()
        assert cache.held(range(10, 30)) == 0
        cache.states(range(10, 14))
        assert run[3:] == [(1, 4)]


def test_a_prefix_too_long_for_memory_leaves_the_states_as_they_were() -> None:
    model = tiny("Llama", **FIT["Llama"])
    cache = PrefixCache(model)
    with torch.inference_mode():
        cache.states(range(10, 30))
        with scarce(model, 24), pytest.raises(RuntimeError, match="not enough memory"):
            cache.states(range(10, 40))
        assert cache.held(range(10, 40)) == 20
        with passes(model) as run:
            states = cache.states(range(10, 28))
        assert run == []
    got = logits_after(model, states, 18, [[5]])
    assert got[0].tolist() == pytest.approx(logits(model, [*range(10, 28), 5]).tolist(), abs=1e-4)


def test_layers_that_keep_something_else_are_refused() -> None:
    with torch.inference_mode(), pytest.raises(TypeError, match="its layers do not keep the states of every token"):
        PrefixCache(tiny("Mistral", **ROTARY, sliding_window=40)).states([3, 4])


@pytest.mark.parametrize(("one", "other", "n"), [
    ([], [1], 0), ([1, 2], [1, 2], 2), ([1, 2, 3], [1, 2], 2), ([1, 2, 3, 4], [1, 2, 4], 2), ([2], [1], 0),
    (list(range(100)), [*range(63), 0, *range(64, 100)], 63)])
def test_common_tokens(one: list[int], other: list[int], n: int) -> None:
    assert common(one, other) == common(other, one) == n
