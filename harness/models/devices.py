"""Where a model runs: the device, how much is computed at once, and what is done when memory runs out."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, Any, TypeVar

from harness.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Row = TypeVar("Row")
Result = TypeVar("Result")

_CPU_TOKENS, _ACCELERATOR_TOKENS = 4096, 16384
"""Padded tokens of a batch where memory does not bound them: more do not make it faster."""

_CUDA_TOKENS = 65536

_FEWEST_TOKENS = 256


def choose_device(device: str) -> str:
    """``device``, or for "auto" the first there is of cuda, mps and cpu. Raises BackendError for one that is not there."""
    if device == "cpu":
        return device
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, available in there.items() if available)
    if not there.get(device.partition(":")[0], False) or not _is_there(device):
        known = ", ".join(name for name, available in there.items() if available)
        raise BackendError(f"device must be auto or one that this machine has ({known}; an index as in cuda:0 may follow), "
                           f"got {device!r}")
    return device


def _is_there(device: str) -> bool:
    """Whether torch can read the name of a device of a kind that is there, and there are as many as its index says."""
    import torch

    try:
        index = torch.device(device).index
    except RuntimeError:
        return False
    return index is None or index < (torch.cuda.device_count() if device.startswith("cuda") else 1)


def batch_tokens(config: Any, itemsize: int, device: str) -> int:
    """Padded tokens that a batch may have on ``device``, by the memory that is free once the model is there.

    A power of two, so that a little more or less free memory forms the same batches.
    """
    kind = device.partition(":")[0]
    if kind == "cuda":
        import torch

        return tokens_that_fit(config, itemsize, int(torch.cuda.mem_get_info(device)[0]), _CUDA_TOKENS)
    free = free_ram() if kind == "cpu" else None
    most = _CPU_TOKENS if kind == "cpu" else _ACCELERATOR_TOKENS
    return most if free is None else tokens_that_fit(config, itemsize, free, most)


def tokens_that_fit(config: Any, itemsize: int, free: int, most: int) -> int:
    """The greatest power of two of tokens that a model of this configuration reads or writes in half of ``free`` bytes.

    From 256 to ``most``. A token's bytes are its keys and values in every layer, the states of one layer, and its logits.
    """
    layers, hidden = _number(config, "num_hidden_layers", 32), _number(config, "hidden_size", 4096)
    heads = _number(config, "num_attention_heads", 32)
    width = _number(config, "num_key_value_heads", heads) * _number(config, "head_dim", hidden // heads)
    states = 8 * hidden + 4 * _number(config, "intermediate_size", 4 * hidden)
    bytes_per_token = itemsize * (2 * layers * width + states + _number(config, "vocab_size", 50_000))
    fitting = max(1, free // 2 // bytes_per_token)
    return int(min(most, max(_FEWEST_TOKENS, 1 << (fitting.bit_length() - 1))))


def _number(config: Any, name: str, otherwise: int) -> int:
    """A positive number of the configuration; ``otherwise`` where it has none (or, a list, one a layer)."""
    value = getattr(config, name, None)
    return value if isinstance(value, int) and value > 0 else otherwise


def free_ram() -> int | None:
    """Bytes of memory that a process could still be given, or None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def halving(rows: Sequence[Row], answer: Callable[[Sequence[Row]], Sequence[Result]]) -> list[Result | None]:
    """``answer(rows)``, in halves and quarters where memory does not suffice; None for a row that alone is too much."""
    try:
        return list(answer(rows))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # Outside the handler: the traceback holds the tensors that have to go first.
    free_memory()
    if len(rows) == 1:
        return [None]
    middle = len(rows) // 2
    return halving(rows[:middle], answer) + halving(rows[middle:], answer)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch raised this for want of memory (it has a class for accelerators and only words for the CPU)."""
    import torch

    words = ("not enough memory", "can't allocate memory", "out of memory")
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or any(word in str(error) for word in words)


def free_memory() -> None:
    """Give back what torch keeps for reuse."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def pack(widths: Sequence[int], counts: Sequence[int], budget: int) -> list[list[int]]:
    """Indices of items in batches: widest first, as many as fit into ``budget`` padded tokens (at least one each).

    Item i has ``counts[i]`` rows of at most ``widths[i]`` tokens. Equal widths keep the order that they came in.
    """
    batches: list[list[int]] = []
    widest = rows = 0
    for index in sorted(range(len(widths)), key=lambda i: -widths[i]):
        rows += counts[index]
        if not batches or rows * widest > budget:
            batches.append([])
            widest, rows = widths[index], counts[index]
        batches[-1].append(index)
    return batches


def padded(rows: Sequence[Sequence[int]], side: str, device: Any) -> tuple[Any, Any]:
    """Token ids and attention mask, ``int64[rows, widest]`` each, padded with id 0 on one side ("left" or "right")."""
    import torch

    width = max(map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for index, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
        ids[index, place] = torch.tensor(row, dtype=torch.long)
        mask[index, place] = 1
    return ids.to(device), mask.to(device)
