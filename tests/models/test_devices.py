"""Batches under a token budget, and what happens when memory runs out."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import BackendError
from harness.models import devices
from harness.models.devices import batch_tokens, choose_device, free_ram, halving, pack, tokens_that_fit
from harness.models.scoring import rolling_windows

pytest.importorskip("torch")


def test_halving_answers_every_row_in_order_and_gives_up_only_on_single_ones() -> None:
    sizes: list[int] = []

    def answer(rows: Sequence[int]) -> list[int]:
        sizes.append(len(rows))
        if len(rows) > 3 or 13 in rows:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")
        return [row * row for row in rows]

    assert halving([1, 2, 3, 4, 5, 13, 7, 8, 9], answer) == [1, 4, 9, 16, 25, None, 49, 64, 81]
    assert sizes[0] == 9


def test_other_failures_are_not_taken_for_want_of_memory() -> None:
    def answer(rows: Sequence[int]) -> list[int]:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="multiplied"):
        halving([1, 2], answer)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 5))), st.integers(1, 200))
def test_packed_batches_hold_everything_once_within_the_budget(items: list[tuple[int, int]], budget: int) -> None:
    batches = pack([width for width, _ in items], [rows for _, rows in items], budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(items)))
    flat = [items[index][0] for batch in batches for index in batch]
    assert flat == sorted(flat, reverse=True)
    for batch, following in zip(batches, [*batches[1:], None]):
        widest, rows = max(items[i][0] for i in batch), sum(items[i][1] for i in batch)
        assert len(batch) == 1 or widest * rows <= budget
        if following is not None:
            assert widest * (rows + items[following[0]][1]) > budget


@given(st.integers(0, 60), st.integers(1, 20))
def test_windows_score_every_token_once_after_its_own_past(n: int, max_length: int) -> None:
    tokens = list(range(100, 100 + n))
    windows = rolling_windows(tokens, 1, max_length)
    assert [token for _, scored in windows for token in scored] == tokens
    text = [1, *tokens]
    for number, (context, scored) in enumerate(windows):
        start = text.index(scored[0])
        assert list(context) == text[start - len(context) : start]
        assert len(context) >= 1
        assert len(context) + len(scored) - 1 <= max_length
        # Only the last window may look further back than one token, and then as far as it can.
        is_last = number == len(windows) - 1
        assert len(context) == (1 if number == 0 or not is_last else max_length + 1 - len(scored))


SMALL = {"num_hidden_layers": 30, "hidden_size": 576, "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64,
         "intermediate_size": 1536, "vocab_size": 49152}
"""SmolLM2-135M: 2 · 30 · 3 · 64 keys and values, 8 · 576 + 4 · 1536 states and 49152 logits are 71,424 numbers a token."""


@pytest.mark.parametrize(("itemsize", "free", "most", "tokens"), [
    (4, 2 * 4 * 71_424 * 4096, 4096, 4096),
    (4, 2 * 4 * 71_424 * 4096 - 1, 4096, 2048),  # a power of two
    (2, 2 * 4 * 71_424 * 4096 - 1, 16384, 4096),  # half as many bytes
    (4, 10**12, 4096, 4096),
    (4, 10**6, 4096, 256),  # no less
    (4, 0, 4096, 256),
])
def test_as_many_tokens_as_half_of_the_free_memory_holds(itemsize: int, free: int, most: int, tokens: int) -> None:
    assert tokens_that_fit(SimpleNamespace(**SMALL), itemsize, free, most) == tokens


@pytest.mark.parametrize("config", [SimpleNamespace(), SimpleNamespace(num_key_value_heads=[8, 4], head_dim=None)])
def test_a_configuration_that_says_little_is_taken_for_that_of_7b_parameters(config: Any) -> None:
    # 32 layers of 4096: 2 · 32 · 4096 keys and values, 8 · 4096 + 4 · 16384 states, 50,000 logits.
    per_token = 2 * (2 * 32 * 4096 + 8 * 4096 + 4 * 16384 + 50_000)
    assert tokens_that_fit(config, 2, 2 * per_token * 1024, 4096) == 1024
    assert tokens_that_fit(config, 2, 2 * per_token * 1024 - 1, 4096) == 512


def test_batches_of_this_machine_are_bounded_by_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    config = SimpleNamespace(**SMALL)
    free = free_ram()
    assert free is None or 10**7 < free < 10**14
    for bytes_free, tokens in [(10**12, 4096), (2 * 4 * 71_424 * 1024, 1024), (None, 4096)]:
        monkeypatch.setattr(devices, "free_ram", lambda bytes_free=bytes_free: bytes_free)
        assert batch_tokens(config, 4, "cpu") == tokens
        assert batch_tokens(config, 4, "mps") == 16384


@pytest.mark.parametrize("device", ["cpu:abc", "cpu:-2", "cpu:1", "cuda:2", "cuda:x", "cuda0", "tpu", ""])
def test_devices_that_are_not_there_are_refused(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(BackendError, match=r"one that this machine has \(cuda"):
        choose_device(device)


def test_devices_that_are_there_keep_their_index(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    asked = ["cuda", "cuda:0", "cuda:1", "cpu", "cpu:0"]
    assert [choose_device(device) for device in asked] == asked
    assert choose_device("auto") == "cuda"
