"""Who stands where on each task: ranks by the primary metric, where models that cannot be told apart share a rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.engine.scoring import Settings, aggregate_of, finish_of
from harness.protocols import Metric
from harness.stats.bootstrap import IntArray, replicates
from harness.stats.ranks import higher_by_hits, higher_by_replicates, mean_ranks, ranks_with_ties
from harness.types import Estimate, FloatArray

Mask: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Contender:
    """One entry on one task, with the rows of the task's primary metric (NaN where missing)."""

    entry: str
    task: str
    metric_name: str
    metric: Metric
    stats: FloatArray
    samples: Sequence[str]
    groups: Sequence[str] | None
    estimate: Estimate
    failed_share: float = 0.0


def standings(contenders: Sequence[Contender], settings: Settings) -> dict[str, Any]:
    """``{"tasks": [{task, metric, entries: [{entry, value, low, high, n, n_missing, rank}]}], "mean_rank": {entry: …}}``.

    A rank is 1 + the number of entries that are better beyond doubt. Entries are compared pair by pair, each pair on the
    samples that both answered, so that an entry with many gaps makes doubtful only its own comparisons. Where both values are
    means of hits and misses of independent samples, the test is McNemar's; else the samples (repeats averaged inside each,
    whole groups where groups are declared) are resampled together, and both must differ on enough of them to be told apart
    (:mod:`harness.stats.ranks`). The rank is None where the value is undefined, where more than ``max_missing`` of an entry's
    outputs failed, of an entry that is alone, and of all where neither direction is better. Listed by rank, those that share
    one by value, best first.
    """
    tasks = list(dict.fromkeys(contender.task for contender in contenders))
    entries = list(dict.fromkeys(contender.entry for contender in contenders))
    listed, ranks = [], []
    for task in tasks:
        group = [contender for contender in contenders if contender.task == task]
        ranked = dict(zip([contender.entry for contender in group], _ranks(group, settings)))
        ranks.append([ranked.get(entry) for entry in entries])
        rows = [_row(contender, ranked[contender.entry]) for contender in group]
        listed.append({"task": task, "metric": group[0].metric_name, "entries": sorted(rows, key=_order(group[0].metric))})
    means = mean_ranks(ranks) if ranks else []
    counts = [sum(row[i] is not None for row in ranks) for i in range(len(entries))]
    mean_rank = {entry: {"mean_rank": mean, "tasks": n} for entry, mean, n in zip(entries, means, counts)}
    return {"tasks": listed, "mean_rank": mean_rank}


def _row(contender: Contender, rank: int | None) -> dict[str, Any]:
    value = contender.estimate
    return {
        "entry": contender.entry, "rank": rank, "value": value.value, "low": value.low, "high": value.high, "n": value.n,
        "n_missing": value.n_missing, "worst_case": value.worst_case, "best_case": value.best_case, "reason": value.reason,
    }  # fmt: skip


def _order(metric: Metric) -> Any:
    sign = -1.0 if metric.higher_is_better is False else 1.0

    def key(row: dict[str, Any]) -> tuple[float, float, str]:
        rank, value = row["rank"], row["value"]
        return (inf if rank is None else rank, inf if value is None else -sign * value, row["entry"])

    return key


def _ranks(group: Sequence[Contender], settings: Settings) -> list[int | None]:
    metric = group[0].metric
    defined = [
        i for i, contender in enumerate(group)
        if contender.estimate.value is not None and contender.failed_share <= settings.max_missing
    ]  # fmt: skip
    if len(defined) < 2 or metric.higher_is_better is None:
        return [None] * len(group)
    sign = 1 if metric.higher_is_better else -1
    pairs = _Pairs([group[i] for i in defined], settings)
    ranks = ranks_with_ties(range(len(defined)), lambda one, other: sign * pairs.higher(one, other))
    found = dict(zip(defined, ranks))
    return [found.get(i) for i in range(len(group))]


# ── one against another ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Side:
    """The rows of one entry that are there. Samples are numbered alike on all sides."""

    contender: Contender
    stats: FloatArray  # float64[rows, d]
    units: IntArray  # row -> its sample's number
    has: Mask  # by sample: whether there is a row
    means: FloatArray  # float64[samples, d]: over the repeats of each sample; NaN where there is none

    @classmethod
    def of(cls, contender: Contender, number: dict[str, int]) -> _Side:
        present = np.flatnonzero(~np.isnan(contender.stats).any(axis=1))
        stats = contender.stats[present]
        units = np.array([number[sample] for sample in contender.samples], dtype=np.int64)[present]
        repeats = np.bincount(units, minlength=len(number))
        has = repeats > 0
        means = np.full((len(number), stats.shape[1]), np.nan)
        means[has] = _summed(stats, units, len(number))[has] / repeats[has, None]
        return cls(contender, stats, units, has, means)


class _Pairs:
    """The entries of one task that have a value, two at a time. Samples are numbered by name: no entry's order matters."""

    def __init__(self, contenders: Sequence[Contender], settings: Settings) -> None:
        names = sorted({sample for contender in contenders for sample in contender.samples})
        number = {name: i for i, name in enumerate(names)}
        self._settings = settings
        self._sides = [_Side.of(contender, number) for contender in contenders]
        self._clusters = _clusters(contenders, names)
        self._replicates: dict[tuple[int, bytes], FloatArray] = {}

    def higher(self, one: int, other: int) -> int:
        """Which value is higher beyond doubt on the common samples: 1, -1, or 0 for neither."""
        a, b = self._sides[one], self._sides[other]
        level, common = self._settings.level, a.has & b.has
        if not common.any():
            return 0
        if a.contender.estimate.method == b.contender.estimate.method == "wilson":  # one row a sample, hit or miss, no groups
            hits, others = (side.contender.metric.rows(side.means[common]) for side in (a, b))
            return higher_by_hits(hits, others, level)
        n_differing = self._n_differing(a, b, common)
        return higher_by_replicates(self._drawn(one, common), self._drawn(other, common), n_differing, level)

    def _n_differing(self, a: _Side, b: _Side, common: Mask) -> int:
        """The clusters on which two entries' statistics differ: their sums, where only sums count, else any sample's."""
        clusters = np.unique(self._clusters[common], return_inverse=True)[1]
        ours, theirs = a.means[common], b.means[common]
        if a.contender.metric.is_additive:
            n_clusters = int(clusters.max()) + 1
            ours, theirs = _summed(ours, clusters, n_clusters), _summed(theirs, clusters, n_clusters)
            clusters = np.arange(n_clusters)
        differ = ~np.isclose(ours, theirs, rtol=1e-9, atol=1e-12).all(axis=1)
        return len(np.unique(clusters[differ]))

    def _drawn(self, index: int, common: Mask) -> FloatArray:
        """The replicates of one entry on these samples; the same samples are always resampled alike."""
        key = (index, common.tobytes())
        if key not in self._replicates:
            side = self._sides[index]
            kept = common[side.units]
            units, metric = side.units[kept], side.contender.metric
            self._replicates[key] = replicates(
                aggregate_of(metric), side.stats[kept],
                groups=np.unique(self._clusters[units], return_inverse=True)[1].astype(np.int64),
                weights=1.0 / np.bincount(units)[units], finish=finish_of(metric),
                n_bootstrap=self._settings.n_bootstrap, rng=self._settings.generator("bootstrap"),
            )  # fmt: skip
        return self._replicates[key]


def _clusters(contenders: Sequence[Contender], names: Sequence[str]) -> IntArray:
    """The cluster of each sample, by number: its group, else the sample itself."""
    group_of: dict[str, str] = {}
    for contender in contenders:
        if contender.groups is not None:
            group_of.update(zip(dict.fromkeys(contender.samples), contender.groups))
    if not group_of:
        return np.arange(len(names))
    return np.unique([group_of.get(name, name) for name in names], return_inverse=True)[1].astype(np.int64)


def _summed(values: FloatArray, places: IntArray, n: int) -> FloatArray:
    """``float64[rows, d] -> float64[n, d]``: the sums of the rows of each place."""
    return np.stack([np.bincount(places, weights=column, minlength=n) for column in values.T], axis=1)
