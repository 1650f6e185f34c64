"""A metric that does to its process what a text says: for tests of what becomes of the run."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.protocols import Metric
from harness.types import FloatArray, Output, Sample, Scores, Text

EXPLODES = re.compile("(a+)+$")


@dataclass(frozen=True, repr=False)
class Dangerous(Metric):
    """The length of every text. HANG, EXIT, SEGV, RAISE, PRINT and SLEEP do what they say; an empty text is missing."""

    name: ClassVar[str] = "dangerous"
    summary: ClassVar[str] = "length of the text"
    needs: ClassVar[frozenset[str]] = frozenset({"text"})
    columns: ClassVar[tuple[str, ...]] = ("length", "n")
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)

    @property
    def may_hang(self) -> bool:
        return True

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        texts = [output.answer.text for output in outputs if isinstance(output.answer, Text)]
        for text in texts:
            obey(text)
        stats = np.array([[len(text), 1.0] for text in texts], dtype=np.float64).reshape(len(texts), 2)
        return Scores(stats, {row: "an empty text" for row, text in enumerate(texts) if not text})

    def finish(self, totals: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(totals[..., 0] / totals[..., 1])

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray]:
        return np.array([0.0, 1.0]), np.array([len(sample.references[0]), 1.0])


def obey(text: str) -> None:
    if text == "HANG":
        EXPLODES.match("a" * 60 + "b")
    elif text == "EXIT":
        os._exit(3)
    elif text == "SEGV":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif text == "RAISE":
        raise LookupError("what the metric raises")
    elif text == "PRINT":
        print("printed by a metric")
        sys.stdout.flush()
        os.write(1, b"written by a metric\n")
    elif text.startswith("SLEEP"):
        time.sleep(float(text.removeprefix("SLEEP")))


@dataclass(frozen=True, repr=False)
class NeverEmpty(Dangerous):
    """It cannot score no rows."""

    name: ClassVar[str] = "never_empty"

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        np.stack([np.zeros(2) for _ in samples])
        return super().score(samples, outputs, answers)


@dataclass(frozen=True, repr=False)
class Namesake(Dangerous):
    """Another metric than the one of the package that has its name."""

    name: ClassVar[str] = "chrf"
    factor: int = 1

    @property
    def may_hang(self) -> bool:
        return False

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        found = super().score(samples, outputs, answers)
        return Scores(found.stats * [self.factor, 1.0], found.missing)
