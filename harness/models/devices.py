"""Where a model runs: the device, the number of CPU threads, and what is done when memory runs out."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any, TypeVar

from harness.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.models.sources import Say

Row = TypeVar("Row")
Result = TypeVar("Result")

_WORTH_IT = 1.2
"""All threads must beat one by this factor: a gain below it is noise, and a core that others need is not free."""


def choose_device(device: str) -> str:
    """``device``, or for "auto" the first there is of cuda, mps and cpu. Raises BackendError for one that is not there."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, available in there.items() if available)
    if not there.get(device.partition(":")[0], False):
        known = ", ".join(name for name, available in there.items() if available)
        raise BackendError(f"device must be auto or one that this machine has ({known}), got {device!r}")
    return device


def set_threads(threads: int | None, device: str, say: Say) -> int:
    """Set torch's thread count for a model on ``device``; give what it was before.

    ``None`` chooses by measurement between one thread and all: where the other cores are busy, every operation waits for the
    slowest of its threads and more of them can be several times slower than one.
    """
    import torch

    before = int(torch.get_num_threads())
    if threads is not None and threads < 1:
        raise BackendError(f"threads must be at least 1, got {threads}")
    if threads is None and device == "cpu" and before > 1:
        alone, together = _seconds(1), _seconds(before)
        threads = before if alone > _WORTH_IT * together else 1
        say(f"torch uses {threads} of {before} threads: a short test took {1e3 * alone:.0f} ms with 1 and "
            f"{1e3 * together:.0f} ms with {before}")
    torch.set_num_threads(threads or before)
    return before


def _seconds(threads: int) -> float:
    """Seconds that a row of products of a small transformer's size takes; each ends at a barrier, as a layer's do."""
    import torch

    torch.set_num_threads(threads)
    states, weights = torch.ones(256, 576), torch.ones(576, 1536)
    for _ in range(3):
        states @ weights
    started = time.perf_counter()
    for _ in range(40):
        states @ weights
    return time.perf_counter() - started


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
