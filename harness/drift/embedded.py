"""Texts as vectors of a sentence encoder, and how far two sets of them are apart."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from harness.drift.findings import Finding, undefined
from harness.drift.texts import TextPair
from harness.engine.roles import ENCODER, opened_encoder
from harness.errors import UsageError
from harness.metrics.populations import MaximumMeanDiscrepancy
from harness.stats.bootstrap import IntArray
from harness.stats.twosamples import mean_discrepancy
from harness.types import FloatArray, RunRecord

Encode: TypeAlias = Callable[[Sequence[str]], FloatArray]
"""Texts -> ``float64[n, d]``."""

_MOST = 1_000
"""Texts of each run that are embedded, at even steps: the kernel is of all their pairs."""
_ROLE = "encoder"


def vectors_distance(texts: TextPair | str, encode: Encode, rng: np.random.Generator) -> Finding:
    """The unbiased squared maximum mean discrepancy of the texts' vectors, one text a unit, with the kernel of ``mmd``."""
    if isinstance(texts, str):
        return undefined(texts)
    run, base = _chosen(texts.run, texts.run_units), _chosen(texts.base, texts.base_units)
    if len(run) < 2 or len(base) < 2:
        return undefined("fewer than two texts in one of the runs")
    kernel = MaximumMeanDiscrepancy().kernel(encode(run), encode(base))
    if np.isnan(kernel).any():
        return undefined("the vectors are all the same")
    apart = mean_discrepancy(kernel, len(run), rng=rng)
    return Finding(apart, apart.tests, None, None, None, len(run), len(base), (-2.0, 2.0))


def encoder_of(record: RunRecord, names: Sequence[str], stack: contextlib.ExitStack, cache_dir: Path | None) -> Encode:
    """The encoder of the run's own role, for the measures of these names; ``stack`` closes it.

    Raises UsageError where the run has no such role.
    """
    role = (record.config.get("roles") or {}).get(_ROLE) or {}
    if role.get("backend") != ENCODER or "source" not in role:
        raise UsageError(f"drift: {', '.join(names)} needs an encoder, and run {record.run_id} has no role {_ROLE!r} with the "
                         f"backend {ENCODER}: add it under roles: in the config")  # fmt: skip
    model: Any = opened_encoder(str(role["source"]), stack, cache_dir)
    return lambda texts: np.asarray(model.encode(texts), dtype=np.float64)


def _chosen(texts: Sequence[str], units: IntArray) -> list[str]:
    """The first text of each unit; of many, some at even steps."""
    first = np.unique(units, return_index=True)[1]
    if len(first) > _MOST:
        first = first[np.linspace(0, len(first) - 1, _MOST).astype(np.int64)]
    return [texts[row] for row in first]
