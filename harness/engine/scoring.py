"""From played rows to statistics, from statistics to estimates: the same code for a run and for a rescore."""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from harness.codec import digest
from harness.engine.blocks import Block, Extremes, joined_extremes, score_block
from harness.engine.rowindex import RowIndex
from harness.protocols import Backend, Metric
from harness.stats.bootstrap import Aggregate, Finish, InOrder, IntArray, Once
from harness.stats.estimate import estimate, missing_rows
from harness.store import MetricColumn
from harness.types import Estimate, FloatArray, Output, Sample, Table

Generator = Callable[[str], np.random.Generator]
"""Purpose -> a fresh generator: the same purpose gives the same stream, so that models are resampled alike."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How estimates are made."""

    level: float = 0.95
    n_bootstrap: int = 1000
    max_missing: float = 0.01
    generator: Generator = lambda purpose: np.random.default_rng(0)


def make_settings(seed: int, level: float, n_bootstrap: int, max_missing: float = 0.01) -> Settings:
    """Settings of a run: one SeedSequence, its generators spawned by name."""

    def generator(purpose: str) -> np.random.Generator:
        words = digest(purpose.encode(), size=8)
        return np.random.default_rng(np.random.SeedSequence([seed, int(words[:8], 16), int(words[8:], 16)]))

    return Settings(level, n_bootstrap, max_missing, generator)


class _Kept:
    """What is kept of one metric: its statistics, why rows are missing (by their number among all), and their extremes.

    All statistics are in one piece of memory that grows: a piece for each chunk would lie scattered among what chunks leave.
    """

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.n_rows = 0
        self._width = len(metric.columns)
        self._stats = array("d")
        self._view: FloatArray | None = None
        self._missing: dict[int, str] = {}
        self._left_out: list[int] = []
        self._extremes: list[Extremes] | None = []

    def add(self, block: Block, reasons: dict[str, str]) -> None:
        """The block of the next rows; ``reasons`` holds each reason once."""
        if block.bound is not None and not self.n_rows:
            self.metric = block.bound
        if self._view is not None:  # an array that somebody looks into cannot grow
            self._stats, self._view = array("d", self._stats), None
        self._stats.frombytes(block.stats.tobytes())
        self._width = block.stats.shape[1]
        for row, reason in block.missing.items():
            self._missing[row + self.n_rows] = reasons.setdefault(reason, reason)
        self._left_out += [row + self.n_rows for row in sorted(block.left_out)]
        self.n_rows += len(block.stats)
        if block.extremes is None:
            self._extremes = None
        elif self._extremes is not None and block.missing:
            self._extremes.append(block.extremes)

    def all(self) -> tuple[FloatArray, dict[int, str], Extremes | None]:
        """Statistics of all rows, reasons, worst and best rows of those that are missing, where they are known."""
        if self._view is None:
            flat = np.frombuffer(self._stats, dtype=np.float64) if self._stats else np.zeros(0)
            self._view = flat.reshape(self.n_rows, self._width)
        empty = np.empty((0, self._width))
        extremes = None if self._extremes is None else joined_extremes([(empty, empty), *self._extremes])
        return self._view, self._missing, extremes if self.n_rows else None

    def measured(self, rows: IntArray | None) -> IntArray | None:
        """Those of the rows (None: of all) that the metric does not leave out; None where that is all rows."""
        if not self._left_out:
            return rows
        return np.setdiff1d(np.arange(self.n_rows) if rows is None else rows, self._left_out)


class Scorer:
    """Scores the rows of one unit chunk by chunk; keeps statistics, never outputs (but for metrics of scope ``corpus``).

    ``metrics`` maps the name under which a value is reported to its metric; ``roles`` are the opened models that they ask for.
    """

    def __init__(
        self, metrics: Mapping[str, Metric], samples: Iterable[Sample], roles: Mapping[str, Backend] | None = None
    ) -> None:
        self.metrics = {name: metric.open(roles or {}).prepare(samples) for name, metric in metrics.items()}
        self.by_chunk = {name: metric for name, metric in self.metrics.items() if metric.scope == "sample"}
        self.warnings = list(dict.fromkeys(text for metric in self.metrics.values() for text in metric.warnings()))
        self._kept = {name: _Kept(metric) for name, metric in self.metrics.items()}
        self._reasons: dict[str, str] = {}
        self._rows = RowIndex()
        self.n_failed = 0
        self._held: tuple[list[Sample], list[Output]] = ([], [])

    @property
    def n_rows(self) -> int:
        return len(self._rows)

    @property
    def failed_share(self) -> float:
        """The share of rows whose output is an error."""
        return self.n_failed / self.n_rows if self.n_rows else 0.0

    def add(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> dict[str, MetricColumn]:
        """Score a block of rows (a sample stands once for every repeat); what ``samples.parquet`` keeps of each metric."""
        blocks = {name: score_block(metric, samples, outputs) for name, metric in self.by_chunk.items()}
        return self.take(samples, outputs, blocks)

    def take(
        self, samples: Sequence[Sample], outputs: Sequence[Output], blocks: Mapping[str, Block]
    ) -> dict[str, MetricColumn]:
        """The next rows, with the block of every metric that is scored chunk by chunk."""
        self._rows.add(samples)
        self.n_failed += sum(output.error is not None for output in outputs)
        for name in self.by_chunk:
            self._kept[name].add(blocks[name], self._reasons)
        if len(self.by_chunk) < len(self.metrics):
            self._held[0].extend(samples)
            self._held[1].extend(outputs)
        return {name: MetricColumn(blocks[name].values, blocks[name].stats, blocks[name].missing) for name in self.by_chunk}

    def estimates(self, settings: Settings) -> dict[str, Estimate]:
        """The value of every metric over all rows."""
        self.score_held()
        return {name: self._estimate(name, None, settings) for name in self.metrics}

    def slices(self, settings: Settings) -> list[tuple[str, str, str, Estimate]]:
        """(slice, value, metric, estimate) of every breakdown that the samples declare."""
        return [
            (key, value, name, self._estimate(name, rows, settings))
            for key, value, rows in self._rows.slices()
            for name in self.metrics
        ]

    def late_warnings(self) -> list[str]:
        """After :meth:`score_held`: what metrics that took all rows at once have to say of them, and did not say before."""
        late = [text for name in self.metrics if name not in self.by_chunk for text in self.bound(name).warnings()]
        return [text for text in dict.fromkeys(late) if text not in self.warnings]

    def tables(self) -> dict[str, dict[str, Table]]:
        """Curves and matrices of the metrics that have some."""
        found = {}
        self.score_held()
        for name in self.metrics:
            if type(self.bound(name)).tables is Metric.tables:
                continue
            stats, missing, _ = self._kept[name].all()
            kept = np.delete(stats, missing_rows(stats, missing), axis=0)
            with np.errstate(over="ignore", invalid="ignore"):
                tables = self.bound(name).tables(kept) if len(kept) else {}
            if tables:
                found[name] = tables
        return found

    def statistics(self, name: str) -> tuple[FloatArray, Sequence[str]]:
        """The rows of one metric (NaN where missing), and the sample of every row."""
        return self._kept[name].all()[0], self._rows.names()

    def bound(self, name: str) -> Metric:
        """The metric that the statistics are for: it may hold what their rows number."""
        return self._kept[name].metric

    def groups(self) -> list[str] | None:
        """The cluster of every sample, in the order of their first rows; None where no sample declares one."""
        return self._rows.groups()

    def score_held(self) -> None:
        """After the last block: score the metrics that need all rows at once, while the models that serve them are open."""
        for name, metric in self.metrics.items():
            if name not in self.by_chunk and not self._kept[name].n_rows and self.n_rows:
                self._kept[name].add(score_block(metric, *self._held), self._reasons)

    def _estimate(self, name: str, rows: np.ndarray[Any, np.dtype[np.int64]] | None, settings: Settings) -> Estimate:
        metric = self.bound(name)
        stats, missing, extremes = self._kept[name].all()
        rows = self._kept[name].measured(rows)
        units = self._rows.units()
        groups = self.groups()
        codes = None if groups is None else np.unique(groups, return_inverse=True)[1].astype(np.int64)
        if rows is not None:
            absent = sorted(missing)
            if extremes is not None:
                kept = np.isin(absent, rows)
                extremes = (extremes[0][kept], extremes[1][kept])
            position = {int(row): index for index, row in enumerate(rows)}
            missing = {position[row]: reason for row, reason in missing.items() if row in position}
            present, units = np.unique(units[rows], return_inverse=True)
            codes = None if codes is None else codes[present]
            stats = stats[rows]
        with np.errstate(over="ignore", invalid="ignore"):  # numbers beyond float64 are undefined values, not warnings
            found = estimate(
                stats, aggregate_of(metric), finish=finish_of(metric), method=metric.interval, units=units.astype(np.int64),
                groups=codes, missing=missing, extremes=extremes, bounds=metric.bounds, level=settings.level,
                n_bootstrap=settings.n_bootstrap, rng=settings.generator("bootstrap"),
            )  # fmt: skip
        return found if found.value is not None or not found.n else self._explained(found, metric, stats, missing)

    @staticmethod
    def _explained(found: Estimate, metric: Metric, stats: FloatArray, missing: Mapping[int, str]) -> Estimate:
        """An undefined value, with the reason that the metric knows."""
        kept = np.delete(stats, missing_rows(stats, missing), axis=0)
        why = metric.why_undefined(kept)
        return found if why is None else dataclasses.replace(found, reason=f"undefined: {why}")


def aggregate_of(metric: Metric) -> Aggregate:
    """Its aggregate; what does not depend on the weights is done once where the metric can tell it apart."""
    if metric.order_matters:
        return InOrder(metric.aggregate)
    return metric.aggregate if type(metric).for_weights is Metric.for_weights else Once(_prepared(metric))


def _prepared(metric: Metric) -> Callable[[FloatArray], Callable[[FloatArray], FloatArray]]:
    def over(stats: FloatArray) -> Callable[[FloatArray], FloatArray]:
        prepared = metric.for_weights(stats)
        return partial(metric.aggregate, stats) if prepared is None else prepared

    return over


def finish_of(metric: Metric) -> Finish | None:
    return metric.finish if metric.is_additive else None


def metric_facts(metric: Metric) -> dict[str, Any]:
    """What a record says of a metric, so that whoever reads it needs no metric code."""
    return {
        "name": metric.name,
        "family": metric.family,
        "higher_is_better": metric.higher_is_better,
        "bounds": list(metric.bounds),
        "unit": metric.unit,
        "columns": list(metric.columns),
    }


def estimate_fields(value: Estimate) -> dict[str, Any]:
    """An estimate as a JSON object."""
    return dataclasses.asdict(value)

