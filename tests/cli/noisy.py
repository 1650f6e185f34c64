"""A metric that prints wherever it can: for tests of what reaches standard output."""

from __future__ import annotations

import atexit
import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from harness.metrics.text import ExactMatch
from harness.types import Output, Sample, Scores

EVERYWHERE = ("print", "held", "descriptor", "child", *(() if os.name == "nt" else ("c",)))


@dataclass(frozen=True, repr=False)
class Noisy(ExactMatch):
    """Prints when it is made for a task and when it scores; ``everywhere``: not by way of ``sys.stdout`` alone."""

    name: ClassVar[str] = "noisy"
    summary: ClassVar[str] = "exact match, aloud"
    everywhere: bool = False

    def for_language(self, language: str) -> Noisy:
        self.shout("for a task")
        return self

    def warnings(self) -> tuple[str, ...]:
        return ("it is loud",)

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        self.shout("scoring")
        return super().score(samples, outputs, answers)

    def shout(self, when: str) -> None:
        print(f"NOISE print {when}")
        if self.everywhere:
            print(f"NOISE held {when}", file=sys.__stdout__)
            os.write(1, f"NOISE descriptor {when}\n".encode())
            subprocess.run([sys.executable, "-S", "-c", f"print('NOISE child {when}')"], check=True)
            if "c" in EVERYWHERE:
                ctypes.CDLL(None).puts(f"NOISE c {when}".encode())
            atexit.register(print, "NOISE at the end")
