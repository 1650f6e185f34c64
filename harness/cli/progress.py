"""What a person sees of a run while it goes: bars on a terminal, plain lines in a log; always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from harness.engine.events import Event, Listener, Note, RunStarted, UnitFinished, UnitProgress, UnitStarted

LINE_EVERY_S = 10.0
Clock = Callable[[], float]


@contextmanager
def watching(quiet: bool) -> Iterator[Listener]:
    """The listener that fits stderr; ``quiet`` shows nothing."""
    if quiet:
        yield lambda event: None
    elif sys.stderr.isatty():
        with Bars(Console(stderr=True, markup=False, highlight=False, emoji=False)) as bars:
            yield bars
    else:
        yield Lines(sys.stderr)


@dataclass(slots=True)
class Pace:
    """How fast a unit goes; what came from the journal or the cache does not count."""

    started: float
    counts: UnitProgress | None = None

    def rate(self, now: float) -> float | None:
        """Freshly answered samples per second; None before the first."""
        counts, elapsed = self.counts, now - self.started
        fresh = 0 if counts is None else counts.done - counts.resumed - counts.cached
        return fresh / elapsed if fresh > 0 and elapsed > 0 else None

    def remaining(self, now: float) -> float | None:
        """Seconds until the unit is done, if it goes on like this."""
        rate = self.rate(now)
        return None if rate is None or self.counts is None else (self.counts.total - self.counts.done) / rate


class Bars:
    """A bar for the unit that goes: rate, time left, missing, cached, resumed. Notes and finished units stand above it."""

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._progress = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}", style="dim", markup=False), console=console, refresh_per_second=5,
        )  # fmt: skip
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._paces: dict[tuple[str, str], Pace] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()
        self._progress.console.print()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Note):
            self._progress.console.print(Text(f"note: {event.message}", style="yellow"))
        elif isinstance(event, RunStarted):
            self._progress.console.print(Text(_opening(event), style="dim"), soft_wrap=True)
        elif isinstance(event, UnitStarted):
            key = (event.entry, event.task)
            self._tasks[key] = self._progress.add_task(_unit(event), total=event.total, facts="")
            self._paces[key] = Pace(self._clock())
        elif isinstance(event, UnitProgress):
            pace = self._paces[event.entry, event.task]
            pace.counts = event
            facts = ", ".join([*_speed(pace, self._clock()), *_sources(event.missing, event.cached, event.resumed)])
            self._progress.update(self._tasks[event.entry, event.task], completed=event.done, facts=facts)
        else:
            self._progress.remove_task(self._tasks.pop((event.entry, event.task)))
            self._progress.refresh()
            self._progress.console.print(Text(_ending(event, self._paces[event.entry, event.task])), soft_wrap=True)


class Lines:
    """Plain lines: the start and the end of every unit, and between them at most one line in ten seconds."""

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._paces: dict[tuple[str, str], Pace] = {}
        self._last: dict[tuple[str, str], float] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, Note):
            self._say(f"note: {event.message}")
        elif isinstance(event, RunStarted):
            self._say(_opening(event))
        elif isinstance(event, UnitStarted):
            self._paces[event.entry, event.task] = Pace(self._clock())
            self._last[event.entry, event.task] = self._clock()
            self._say(f"{_unit(event)}: {event.total} to answer")
        elif isinstance(event, UnitProgress):
            self._progress(event)
        else:
            self._say(_ending(event, self._paces[event.entry, event.task]))

    def _progress(self, event: UnitProgress) -> None:
        key, now = (event.entry, event.task), self._clock()
        self._paces[key].counts = event
        if now - self._last[key] < LINE_EVERY_S:
            return
        self._last[key] = now
        facts = [*_speed(self._paces[key], now), *_sources(event.missing, event.cached, event.resumed)]
        self._say(", ".join([f"{_unit(event)}: {event.done}/{event.total}", *facts]))

    def _say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


def _opening(event: RunStarted) -> str:
    return f"{'going on with' if event.resumed else 'run'} {event.run_id} in {event.path}"


def _ending(event: UnitFinished, pace: Pace) -> str:
    sources = _sources(event.missing, event.cached, pace.counts.resumed if pace.counts else 0)
    return ", ".join([f"{_unit(event)}: {event.done} done in {duration(event.seconds)}", *sources])


def _unit(event: UnitStarted | UnitProgress | UnitFinished) -> str:
    return f"{event.entry} × {event.task}"


def _speed(pace: Pace, now: float) -> list[str]:
    rate, remaining = pace.rate(now), pace.remaining(now)
    if rate is None or remaining is None:
        return []
    return [f"{rate:.3g}/s" if rate < 1000 else f"{rate:.0f}/s", *([f"{duration(remaining)} left"] if remaining else [])]


def _sources(missing: int, cached: int, resumed: int) -> list[str]:
    named = ((missing, "missing"), (cached, "from the cache"), (resumed, "resumed"))
    return [f"{count} {name}" for count, name in named if count]


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3:05 min``, ``2:03 h``"""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02} h"
