"""Real sentences and their vectors, embedded once in a test session."""

from __future__ import annotations

import csv
import functools
from pathlib import Path
from typing import Any

import numpy as np

from harness.models.sentence_encoder import SentenceEncoder
from harness.types import Key, Output, Sample, Vectors
from tests.models.real import MINILM, opened


@functools.cache
def encoder() -> SentenceEncoder:
    """all-MiniLM-L6-v2, open; skips where it cannot be had."""
    model: SentenceEncoder = opened(SentenceEncoder(MINILM, device="cpu", threads=1))
    return model


@functools.cache
def intents(path: Path, n: int = 300) -> tuple[np.ndarray, tuple[str, ...]]:
    """``float64[n, 384]`` vectors of banking questions, spread over the file, and their classes (some 60 of the 77)."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = [rows[i] for i in np.linspace(0, len(rows) - 1, n).astype(int)]
    vectors = encoder().encode([row["text"] for row in chosen]).astype(np.float64)
    return vectors, tuple(row["category"][:4] for row in chosen)


def outputs_of(vectors: Any, targets: Any = None) -> tuple[list[Sample], list[Output]]:
    """A sample and an output a row: ``(n, d)`` for one vector each, ``(n, m, d)`` for m."""
    rows = np.asarray(vectors)
    rows = rows[:, None, :] if rows.ndim == 2 else rows
    samples = [Sample(str(i), target=None if targets is None else targets[i]) for i in range(len(rows))]
    return samples, [Output(Key(str(i)), Vectors(tuple(map(tuple, row.tolist())))) for i, row in enumerate(rows)]


def value_of(metric: Any, samples: list[Sample], outputs: list[Output]) -> float:
    """The value of all rows, as an engine works it out."""
    prepared = metric.prepare(samples)
    scores = prepared.score(samples, outputs)
    kept = np.delete(scores.stats, sorted(scores.missing), axis=0)
    return float((scores.bound or prepared).aggregate(kept, np.ones((1, len(kept))))[0])
