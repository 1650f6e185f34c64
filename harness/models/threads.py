"""How many CPU threads torch is given: one or all, whichever a short measurement finds better."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from harness.errors import BackendError
from harness.models.sources import Say

_WORTH_IT = 1.2
"""All threads must beat one by this factor: a gain below it is noise, and a core that others need is not free."""

_SECONDS = 0.2
"""As long as measuring goes on, where it is not clear before."""

_AT_LEAST = 3
"""Bursts of each kind, however long they take: fewer have no median."""


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
        alone, together = _measured(before)
        threads = before if alone > _WORTH_IT * together else 1
        say(f"torch uses {threads} of {before} threads: a short test took {1e3 * alone:.1f} ms with 1 and "
            f"{1e3 * together:.1f} ms with {before}")
    torch.set_num_threads(threads or before)
    return before


@contextmanager
def threads_put_back_on_failure() -> Iterator[None]:
    """Where what is done within fails, torch's thread count is afterwards what it was before."""
    import torch

    before = torch.get_num_threads()
    try:
        yield
    except BaseException:
        torch.set_num_threads(before)
        raise


def _measured(threads: int) -> tuple[float, float]:
    """Median seconds of a burst of work with one thread and with all of them.

    They take turns, so that what else the machine does in the meantime falls on both, and the median forgets a single burst
    that was held up. Where two bursts of all threads were both slower than those of one there is nothing more to learn.
    """
    alone: list[float] = []
    together: list[float] = []
    _burst(threads)  # starts the threads
    started = time.perf_counter()
    while len(together) < 2 or (min(together) < max(alone) and _goes_on(len(together), started)):
        alone.append(_burst(1))
        together.append(_burst(threads))
    return median(alone), median(together)


def _goes_on(n_bursts: int, started: float) -> bool:
    return n_bursts < _AT_LEAST or time.perf_counter() - started < _SECONDS


def _burst(threads: int) -> float:
    """Seconds that a row of products of a small transformer's size takes; each ends at a barrier, as a layer's do."""
    import torch

    torch.set_num_threads(threads)
    states, weights = torch.ones(256, 576), torch.ones(576, 1536)
    started = time.perf_counter()
    for _ in range(2):
        states @ weights
    return time.perf_counter() - started
