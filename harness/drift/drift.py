"""The drift of a run from a base, measure by measure, each with an interval or a p-value."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.codec import digest
from harness.compare import StoredRun, paired_tasks
from harness.drift.distances import finish_distance, length_distance, number_distance, words_distance
from harness.drift.embedded import Encode, encoder_of, vectors_distance
from harness.drift.findings import Finding
from harness.drift.measures import MEASURES, chosen
from harness.drift.shares import latency, length, rate
from harness.drift.texts import TextPair, Texts
from harness.drift.units import BothRuns, both_runs
from harness.errors import UsageError
from harness.metrics.outcomes import ErrorRate, RefusalRate, TruncationRate
from harness.stats import power as sizes
from harness.stats.onesided import OneSided, Strictest

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Evidence:
    """How sure the size of a drift is (of a difference: its size either way): one-sided tests and bounds at any margin."""

    tests: OneSided
    error: float
    n: int

    def p_above(self, margin: float) -> float:
        """The p-value of H0 "the drift is at most ``margin``"."""
        return self.tests.p_above(margin)

    def p_below(self, margin: float) -> float:
        """The p-value of H0 "the drift is at least ``margin``"."""
        return self.tests.p_below(margin)

    def lower(self, alpha: float) -> float:
        """Above a margin exactly where ``p_above`` of it is below ``alpha``."""
        return self.tests.lower(alpha)

    def upper(self, alpha: float) -> float:
        """Below a margin exactly where ``p_below`` of it is below ``alpha``."""
        return self.tests.upper(alpha)

    def needed_n(self, margin: float, *, alpha: float, power: float = 0.8, assumed: float = 0.0) -> int | None:
        """Samples that would tell a drift of ``assumed`` from ``margin``, if they spread as these; None if unknown."""
        if self.n < 2 or not math.isfinite(self.error) or not self.error:
            return None
        return sizes.needed_n(self.error * math.sqrt(self.n), margin, alpha, power, assumed=assumed)


@dataclass(frozen=True, slots=True)
class Drift:
    """One measure of one entry on one task. For differences ``value`` is ``run`` - ``base``, signed; distances have neither and
    are 0 upwards. ``value`` None: undefined, because of ``reason``. ``low`` and ``high`` are a 95 % interval. ``p_value`` is
    two-sided, of no drift. ``n_run`` and ``n_base`` count the samples that were looked at.
    """

    task: str
    entry: str
    measure: str
    base: float | None
    run: float | None
    value: float | None
    low: float | None
    high: float | None
    p_value: float | None
    unit: str
    reason: str | None = None
    n_run: int = 0
    n_base: int = 0
    evidence: Evidence = field(default=Evidence(Strictest(()), math.inf, 0), repr=False, compare=False)
    """For rules ``{drift: NAME, max_value: …}``: tests of the drift's size."""


def drift(
    run: Path, base: Path, measures: Collection[str] | None = None, *, encode: Encode | None = None,
    cache_dir: Path | None = None,
) -> tuple[Drift, ...]:
    """How far the inputs, outputs and service of ``run`` are from those of ``base``, on the tasks that both have.

    Parameters
    ----------
    run, base : folders of finished runs. They need not have a sample in common; where they have the very same ones, these are
        paired.
    measures : names of ``MEASURES``; None: all that need no encoder.
    encode : texts -> ``float64[n, d]``, for the measures that embed; None: the run's own role ``encoder``, opened from
        ``cache_dir``.

    Raises UsageError for an unknown measure, runs without a task in common, and a measure that needs an encoder where the run
    has none; StoreError for a folder that is no finished run or is damaged.
    """
    names, stored = chosen(measures), (StoredRun.open(base), StoredRun.open(run))
    pairs = list(paired_tasks(*stored, allow=()))
    if not pairs:
        raise UsageError(f"drift: {run.name} and {base.name} have no entry on a task in common")
    embedding = [name for name in names if MEASURES[name].needs_encoder]
    with contextlib.ExitStack() as stack:
        if embedding and encode is None:
            encode = encoder_of(stored[1].record, embedding, stack, cache_dir)
        return tuple(found for pair in pairs for found in _of_unit(both_runs(pair.b, pair.a), names, encode))


def _of_unit(unit: BothRuns, names: Sequence[str], encode: Encode | None) -> list[Drift]:
    texts = Texts(unit)
    found = []
    for name in names:
        seed = int(digest(f"{unit.task}\n{unit.entry}\n{name}".encode(), size=8), 16)
        found.append(_drift(unit, name, _MEASURED[name](_Asked(unit, texts, encode, np.random.default_rng(seed)))))
    return found


def _drift(unit: BothRuns, name: str, finding: Finding) -> Drift:
    about, apart = MEASURES[name], finding.apart
    if apart is None:
        return Drift(unit.task, unit.entry, name, finding.base, finding.run, None, None, None, None, about.unit, finding.reason,
                     finding.n_run, finding.n_base)  # fmt: skip
    tail = (1 - LEVEL) / 2
    low, high = min(apart.tests.lower(tail), apart.value), max(apart.tests.upper(tail), apart.value)
    least, most = finding.bounds
    known = math.isfinite(low) and math.isfinite(high)
    return Drift(
        unit.task, unit.entry, name, finding.base, finding.run, apart.value, max(low, least) if known else None,
        min(high, most) if known else None, apart.p_value, about.unit, finding.reason, finding.n_run, finding.n_base,
        Evidence(finding.size, apart.error, min(finding.n_run, finding.n_base)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a measure may look at."""

    unit: BothRuns
    texts: Texts
    encode: Encode | None
    rng: np.random.Generator

    def vectors(self, texts: TextPair | str) -> Finding:
        assert self.encode is not None, "a measure that embeds is refused where there is no encoder"
        return vectors_distance(texts, self.encode, self.rng)


_MEASURED: Mapping[str, Callable[[_Asked], Finding]] = {
    "input_js": lambda its: words_distance(its.unit, its.texts.prompts, its.rng, are_inputs=True),
    "input_length": lambda its: length(its.unit, its.texts.prompts, its.rng, are_inputs=True),
    "input_mmd": lambda its: its.vectors(its.texts.prompts),
    "input_truncation_rate": lambda its: rate(its.unit, TruncationRate("input"), its.rng),
    "output_js": lambda its: words_distance(its.unit, its.texts.outputs, its.rng, are_inputs=False),
    "output_length": lambda its: length(its.unit, its.texts.outputs, its.rng, are_inputs=False),
    "output_length_psi": lambda its: length_distance(its.unit, its.texts.outputs, its.rng),
    "output_mmd": lambda its: its.vectors(its.texts.outputs),
    "number_psi": lambda its: number_distance(its.unit, its.rng),
    "refusal_rate": lambda its: rate(its.unit, RefusalRate(), its.rng),
    "truncation_rate": lambda its: rate(its.unit, TruncationRate(), its.rng),
    "finish_js": lambda its: finish_distance(its.unit, its.rng),
    "error_rate": lambda its: rate(its.unit, ErrorRate(), its.rng),
    "latency_p50": lambda its: latency(its.unit, 0.5, its.rng),
    "latency_p95": lambda its: latency(its.unit, 0.95, its.rng),
}
