"""Two runs, task by task: which entries belong together, and the contrast of any metric on any slice, made when asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from harness.compare.comparable import NotComparable, metric_refusal, sample_refusals, task_refusals
from harness.compare.losses import Lost, lost
from harness.compare.pairing import Pairing, pair
from harness.compare.runs import StoredRun, StoredUnit
from harness.compare.statistics import Statistics, statistics
from harness.engine.scoring import aggregate_of, finish_of, make_settings
from harness.errors import UsageError, did_you_mean
from harness.stats.bootstrap import IntArray
from harness.stats.contrast import Contrast, contrast
from harness.types import FloatArray

WHOLE = None
"""No slice: all samples."""


@dataclass(frozen=True, slots=True)
class Resampling:
    """How contrasts are made. ``seed`` None: that of the base."""

    level: float = 0.95
    n_bootstrap: int = 1000
    seed: int | None = None


@dataclass(frozen=True, eq=False)
class PairedTask:
    """An entry of two runs on one task. Nothing is read before it is asked for, and then kept; see :meth:`forget`."""

    a: StoredUnit
    b: StoredUnit
    allow: frozenset[str] = frozenset()
    resampling: Resampling = Resampling()

    @property
    def task(self) -> str:
        return self.b.task

    @property
    def entry(self) -> str:
        """The candidate's name on the leaderboard."""
        return self.b.entry

    @property
    def model(self) -> str:
        """The candidate's model, without its matrix cell."""
        return self.b.model

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that both have, comparable or not, in the order of the candidate."""
        return tuple(name for name in self.b.estimates if name in self.a.estimates)

    @property
    def primary(self) -> str | None:
        """The candidate's primary metric."""
        return self.b.primary

    @cached_property
    def refusals(self) -> tuple[str, ...]:
        """Why the task must not be compared, each naming the field; empty where it may be."""
        early = tuple(task_refusals(self.a, self.b, self.allow))
        return early or tuple(sample_refusals(self.a, self.b, self._pairing, self.allow))

    @property
    def pairing(self) -> Pairing:
        """Raises NotComparable where the task must not be compared."""
        if self.refusals:
            raise NotComparable(self.refusals[0])
        return self._pairing

    @property
    def slices(self) -> tuple[str, ...]:
        """``level=hard``, …: every breakdown that the base's samples declare."""
        return tuple(self.pairing.slices)

    def refusal(self, metric: str) -> str | None:
        """Why this metric of the task must not be compared, None where it may be. Raises UsageError for an unknown one."""
        if metric not in self.metrics:
            where = "these runs have" if self.a.run.path != self.b.run.path else "this run has"
            raise UsageError(f"task {self.task}: {where} no metric {metric!r} in common{did_you_mean(metric, self.metrics)}")
        return self.refusals[0] if self.refusals else metric_refusal(self.a, self.b, metric)

    def facts(self, metric: str) -> Mapping[str, Any]:
        """Direction, bounds and unit of a metric, as the candidate's record has them."""
        return self.b.run.record.metric_signatures.get(metric, {})

    def statistics(self, metric: str) -> Statistics:
        """The rows of a metric on both sides. Raises NotComparable where it must not be compared."""
        refusal = self.refusal(metric)
        if refusal is not None:
            raise NotComparable(refusal)
        if metric not in self._statistics:
            self._statistics[metric] = statistics(self.a, self.b, self.pairing, metric)
        return self._statistics[metric]

    def forget(self, metric: str) -> None:
        """Free the rows of a metric."""
        self._statistics.pop(metric, None)

    def rows(self, metric: str, slice: str | None = WHOLE) -> Rows:  # noqa: A002
        """The rows of a metric on the samples of a slice. Raises UsageError for an unknown slice."""
        found, pairing = self.statistics(metric), self.pairing
        rows = Rows(found.b, found.a, pairing.b_units, pairing.a_units, pairing.clusters, pairing.is_plain)
        if slice is None:
            return rows
        if slice not in pairing.slices:
            raise UsageError(f"task {self.task}: there is no slice {slice!r}{did_you_mean(slice, pairing.slices)}")
        return rows.of(pairing.slices[slice], pairing.n)

    def contrast(self, metric: str, slice: str | None = WHOLE, scale: float = 1.0) -> Contrast:  # noqa: A002
        """``value(b) - scale · value(a)`` of a metric on the samples that both have, or on those of a slice (``level=hard``).

        Raises NotComparable where it must not be compared, UsageError for an unknown metric or slice, and what the metric
        raises where it has to score again and cannot.
        """
        rows, metric_made = self.rows(metric, slice), self.statistics(metric).metric
        plain = rows.is_plain
        seed = self.a.run.record.seeds[0] if self.resampling.seed is None else self.resampling.seed
        settings = make_settings(seed, self.resampling.level, self.resampling.n_bootstrap)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return contrast(
                rows.b, rows.a, aggregate_of(metric_made), finish=finish_of(metric_made),
                units=None if plain else rows.b_units, units_a=None if plain else rows.a_units, clusters=rows.clusters,
                scale=scale, bounds=metric_made.bounds, level=settings.level, n_bootstrap=settings.n_bootstrap,
                resample="halves" if metric_made.interval == "subsample" else "bootstrap", rng=settings.generator("bootstrap"),
            )  # fmt: skip

    def lost(self, metric: str) -> Lost:
        """The samples that one side or both could not score, and how far they might move the difference."""
        return lost(self.statistics(metric), self.pairing, self.a, self.b)

    @cached_property
    def _pairing(self) -> Pairing:
        return pair(self.a, self.b, keep_changed="data" in self.allow)

    @cached_property
    def _statistics(self) -> dict[str, Statistics]:
        return {}


@dataclass(frozen=True, eq=False)
class Rows:
    """What a contrast is made of: statistics, NaN where missing, and the sample of each row; ``clusters`` by sample."""

    b: FloatArray
    a: FloatArray
    b_units: IntArray
    a_units: IntArray
    clusters: IntArray | None
    is_plain: bool

    def of(self, units: IntArray, n: int) -> Rows:
        """The rows of some of the ``n`` samples, which are numbered anew."""
        numbers = np.full(n, -1)
        numbers[units] = np.arange(len(units))
        kept_b, kept_a = numbers[self.b_units] >= 0, numbers[self.a_units] >= 0
        return replace(
            self, b=self.b[kept_b], a=self.a[kept_a], b_units=numbers[self.b_units[kept_b]],
            a_units=numbers[self.a_units[kept_a]], clusters=None if self.clusters is None else self.clusters[units],
        )  # fmt: skip


def paired_tasks(
    a: Path | StoredRun, b: Path | StoredRun, allow: Collection[str] = (), resampling: Resampling = Resampling()
) -> Iterator[PairedTask]:
    """The entries of two runs on the tasks that both have, in the order of the base; nothing but the records is read yet.

    Entries pair by name; where each run has exactly one on a task they pair whatever their names. A task that must not be
    compared has ``refusals``. Raises StoreError for a folder that is no finished run.
    """
    base, candidate = (run if isinstance(run, StoredRun) else StoredRun.open(run) for run in (a, b))
    for task in base.tasks:
        ours = [unit for unit in base.units if unit.task == task]
        theirs = [unit for unit in candidate.units if unit.task == task]
        if len(ours) == len(theirs) == 1:
            pairs = [(ours[0], theirs[0])]
        else:
            named = {unit.entry: unit for unit in theirs}
            pairs = [(unit, named[unit.entry]) for unit in ours if unit.entry in named]
        for one, other in pairs:
            yield PairedTask(one, other, frozenset(allow), resampling)


def unpaired(a: StoredRun, b: StoredRun) -> list[str]:
    """What only one of two runs has, in words."""
    pairs = list(paired_tasks(a, b))
    known = {id(unit) for one in pairs for unit in (one.a, one.b)}
    found = []
    for run, other in ((a, b), (b, a)):
        for unit in run.units:
            if id(unit) not in known:
                what = f"task {unit.task}" if unit.task not in other.tasks else f"{unit.entry} on {unit.task}"
                found.append(f"{what} is only in {run.record.run_id}")
    for one in pairs:
        for ours, theirs in ((one.a, one.b), (one.b, one.a)):
            found += [f"{name} on {one.task} is only in {ours.run.record.run_id}"
                      for name in ours.estimates if name not in theirs.estimates]  # fmt: skip
    return list(dict.fromkeys(found))
