"""What the engine tells whoever watches a run; the terminal display and the log are two listeners."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class RunStarted:
    run_id: str
    path: Path
    resumed: bool
    units: int


@dataclass(frozen=True, slots=True)
class UnitStarted:
    entry: str
    task: str
    total: int


@dataclass(frozen=True, slots=True)
class UnitProgress:
    """``done`` rows of ``total`` are answered, as far as is known: a play of several steps counts from its first answer on.

    ``missing`` rows failed; ``cached`` answers came from the cache, ``resumed`` ones from the journal.
    """

    entry: str
    task: str
    done: int
    total: int
    missing: int
    cached: int
    resumed: int


@dataclass(frozen=True, slots=True)
class UnitFinished:
    entry: str
    task: str
    done: int
    missing: int
    cached: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the user should know and need not act on."""

    message: str


Event: TypeAlias = RunStarted | UnitStarted | UnitProgress | UnitFinished | Note
Listener: TypeAlias = Callable[[Event], None]
