"""From played rows to statistics, from statistics to estimates: the same code for a run and for a rescore."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from harness.codec import digest
from harness.protocols import Backend, Metric
from harness.stats.bootstrap import Aggregate, Finish, Once
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


@dataclass(slots=True)
class _Block:
    """The rows of one chunk under one metric; ``worst`` and ``best`` hold a row for each missing one, or are None."""

    metric: Metric
    stats: FloatArray
    missing: dict[int, str]
    extremes: list[tuple[FloatArray, FloatArray]] | None


class Scorer:
    """Scores the rows of one unit chunk by chunk; keeps statistics, never outputs (but for metrics of scope ``corpus``).

    ``metrics`` maps the name under which a value is reported to its metric; ``roles`` are the opened models that they ask for.
    """

    def __init__(
        self, metrics: Mapping[str, Metric], samples: Iterable[Sample], roles: Mapping[str, Backend] | None = None
    ) -> None:
        self.metrics = {name: metric.open(roles or {}).prepare(samples) for name, metric in metrics.items()}
        self.warnings = list(dict.fromkeys(text for metric in self.metrics.values() for text in metric.warnings()))
        self._blocks: dict[str, list[_Block]] = {name: [] for name in self.metrics}
        self._units: list[int] = []
        self._unit_of: dict[str, int] = {}
        self._groups: list[str] = []
        self._slices: dict[str, list[str | None]] = {}
        self.n_failed = 0
        self._held: tuple[list[Sample], list[Output]] = ([], [])

    @property
    def n_rows(self) -> int:
        return len(self._units)

    @property
    def failed_share(self) -> float:
        """The share of rows whose output is an error."""
        return self.n_failed / self.n_rows if self.n_rows else 0.0

    def add(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> dict[str, MetricColumn]:
        """Score a block of rows (a sample stands once for every repeat); what ``samples.parquet`` keeps of each metric."""
        self._note_rows(samples)
        self.n_failed += sum(output.error is not None for output in outputs)
        columns = {}
        for name, metric in self.metrics.items():
            if metric.scope == "corpus":
                continue
            block = _score(metric, samples, outputs)
            self._blocks[name].append(block)
            columns[name] = MetricColumn(_values(block), block.stats, block.missing)
        if any(metric.scope == "corpus" for metric in self.metrics.values()):
            self._held[0].extend(samples)
            self._held[1].extend(outputs)
        return columns

    def estimates(self, settings: Settings) -> dict[str, Estimate]:
        """The value of every metric over all rows."""
        self.score_held()
        return {name: self._estimate(name, None, settings) for name in self.metrics}

    def slices(self, settings: Settings) -> list[tuple[str, str, str, Estimate]]:
        """(slice, value, metric, estimate) of every breakdown that the samples declare."""
        found = []
        for key, values in self._slices.items():
            codes = np.array(values, dtype=object)
            for value in sorted({value for value in values if value is not None}):
                rows = np.flatnonzero(codes == value)
                found += [(key, value, name, self._estimate(name, rows, settings)) for name in self.metrics]
        return found

    def tables(self) -> dict[str, dict[str, Table]]:
        """Curves and matrices of the metrics that have some."""
        found = {}
        self.score_held()
        for name in self.metrics:
            stats, missing, _ = self._all(name)
            kept = np.delete(stats, missing_rows(stats, missing), axis=0)
            with np.errstate(over="ignore", invalid="ignore"):
                tables = self.bound(name).tables(kept) if len(kept) else {}
            if tables:
                found[name] = tables
        return found

    def statistics(self, name: str) -> tuple[FloatArray, list[str]]:
        """The rows of one metric (NaN where missing), and the sample of every row."""
        names = list(self._unit_of)
        return self._all(name)[0], [names[unit] for unit in self._units]

    def bound(self, name: str) -> Metric:
        """The metric that the statistics are for: it may hold what their rows number."""
        blocks = self._blocks[name]
        return blocks[0].metric if blocks else self.metrics[name]

    def groups(self) -> list[str] | None:
        """The cluster of every sample, in the order of their first rows; None where no sample declares one."""
        return self._groups if any(group.startswith("group ") for group in self._groups) else None

    def _note_rows(self, samples: Sequence[Sample]) -> None:
        for sample in samples:
            unit = self._unit_of.get(sample.id)
            if unit is None:
                unit = self._unit_of[sample.id] = len(self._unit_of)
                self._groups.append(f"sample {sample.id}" if sample.group is None else f"group {sample.group}")
            self._units.append(unit)
        keys = dict.fromkeys(key for sample in samples for key in sample.slices)
        for key in keys:
            self._slices.setdefault(key, [None] * (len(self._units) - len(samples)))
        for key, values in self._slices.items():
            values.extend(sample.slices.get(key) for sample in samples)

    def score_held(self) -> None:
        """After the last block: score the metrics that need all rows at once, while the models that serve them are open."""
        for name, metric in self.metrics.items():
            if metric.scope == "corpus" and not self._blocks[name] and self._units:
                self._blocks[name].append(_score(metric, *self._held))

    def _all(self, name: str) -> tuple[FloatArray, dict[int, str], tuple[FloatArray, FloatArray] | None]:
        blocks = self._blocks[name]
        if not blocks:
            width = len(self.metrics[name].columns)
            return np.empty((0, width)), {}, None
        stats = np.concatenate([block.stats for block in blocks])
        missing: dict[int, str] = {}
        offset = 0
        for block in blocks:
            missing.update({row + offset: reason for row, reason in block.missing.items()})
            offset += len(block.stats)
        if any(block.extremes is None for block in blocks):
            return stats, missing, None
        pairs = [pair for block in blocks for pair in block.extremes or ()]
        width = stats.shape[1]
        worst = np.array([pair[0] for pair in pairs], dtype=np.float64).reshape(len(pairs), width)
        best = np.array([pair[1] for pair in pairs], dtype=np.float64).reshape(len(pairs), width)
        return stats, missing, (worst, best)

    def _estimate(self, name: str, rows: np.ndarray[Any, np.dtype[np.int64]] | None, settings: Settings) -> Estimate:
        metric = self.bound(name)
        stats, missing, extremes = self._all(name)
        units = np.asarray(self._units, dtype=np.int64)
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


def _score(metric: Metric, samples: Sequence[Sample], outputs: Sequence[Output]) -> _Block:
    good = [row for row, output in enumerate(outputs) if output.error is None or metric.sees_errors]
    missing = {} if metric.sees_errors else {row: o.error for row, o in enumerate(outputs) if o.error is not None}
    with np.errstate(over="ignore", invalid="ignore"):
        if len(good) == len(outputs):
            scores = metric.score(samples, outputs)
        else:
            scores = metric.score([samples[row] for row in good], [outputs[row] for row in good])
    stats = np.full((len(outputs), scores.stats.shape[1]), np.nan)
    stats[good] = scores.stats
    for row, reason in scores.missing.items():
        missing[good[row]] = reason
        stats[good[row]] = np.nan
    for row in missing_rows(stats, missing):
        missing.setdefault(int(row), "undefined on this sample")
    bound = metric if scores.bound is None else scores.bound
    return _Block(bound, stats, dict(sorted(missing.items())), _extremes(metric, [samples[row] for row in sorted(missing)]))


def _extremes(metric: Metric, samples: Sequence[Sample]) -> list[tuple[FloatArray, FloatArray]] | None:
    found = []
    for sample in samples:
        pair = metric.extremes(sample)
        if pair is None:
            return None
        found.append(pair)
    return found


def _values(block: _Block) -> FloatArray:
    values = np.full(len(block.stats), np.nan)
    good = np.delete(np.arange(len(block.stats)), list(block.missing))
    if len(good):
        with np.errstate(over="ignore", invalid="ignore"):
            values[good] = block.metric.rows(block.stats[good])
    return values
