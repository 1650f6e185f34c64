"""Two ways to the same numbers, timed by turns in one process: the best of some rounds, as a ratio."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HEADER = ("what", "sizes", "ours s (cpu)", "peer s (cpu)", "ratio (cpu)", "at least")
_WIDTHS = (46, 38, 17, 19, 19, 8)


@dataclass(frozen=True)
class Race:
    """``ours`` and ``peer`` are called with what ``fresh`` gives, anew each time, so that none lives on what it kept.

    ``at_least`` is the ratio that was asked for; ``extrapolated`` multiplies the peer's seconds where only a part of its work
    is done (``note`` says so). Equality of the results is asserted by whoever makes the race, before it is run.
    """

    what: str
    sizes: str
    ours: Callable[[Any], object]
    peer: Callable[[Any], object]
    at_least: float
    fresh: Callable[[], Any] = lambda: None
    rounds: int = 3
    peer_rounds: int = 2
    extrapolated: float = 1.0
    note: str = ""

    def run(self) -> None:
        """Alternating rounds; prints a line."""
        mine: list[tuple[float, float]] = []
        theirs: list[tuple[float, float]] = []
        for turn in range(max(self.rounds, self.peer_rounds)):
            if turn < self.rounds:
                mine.append(seconds(self.ours, self.fresh()))
            if turn < self.peer_rounds:
                theirs.append(seconds(self.peer, self.fresh()))
        wall, cpu = (min(times) for times in zip(*mine))
        peer_wall, peer_cpu = (min(times) * self.extrapolated for times in zip(*theirs))
        line(self.what, self.sizes, f"{wall:.3f} ({cpu:.3f})", f"{peer_wall:,.2f} ({peer_cpu:,.2f})",
             f"{_times(peer_wall / wall)} ({_times(peer_cpu / cpu)})", f"{self.at_least:,g}x", self.note)


def seconds(call: Callable[[Any], object], given: Any) -> tuple[float, float]:
    """Wall and processor seconds of one call."""
    gc.collect()
    wall, processor = time.perf_counter(), time.process_time()
    call(given)
    return time.perf_counter() - wall, time.process_time() - processor


def line(*cells: str) -> None:
    """A row of the table; what goes beyond its columns is a note."""
    shown = " | ".join(f"{cell:<{width}}" for cell, width in zip(cells, _WIDTHS))
    print(" | ".join([shown, *filter(None, cells[len(_WIDTHS):])]).rstrip(), flush=True)


def _times(ratio: float) -> str:
    return f"{ratio:.1f}x" if ratio < 100 else f"{ratio:,.0f}x"
