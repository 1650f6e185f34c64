"""Who stands where on each task: ranks by the primary metric, where models that cannot be told apart share a rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.engine.scoring import Settings, aggregate_of, finish_of
from harness.protocols import Metric
from harness.stats.bootstrap import replicates
from harness.stats.ranks import mean_ranks, ranks_with_ties
from harness.types import Estimate, FloatArray


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


def standings(contenders: Sequence[Contender], settings: Settings) -> dict[str, Any]:
    """``{"tasks": [{task, metric, entries: [{entry, value, low, high, n, n_missing, rank}]}], "mean_rank": {entry: …}}``.

    Entries are compared on the samples that all of them answered, resampled together. Best first.
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

    def key(row: dict[str, Any]) -> tuple[int, float, str]:
        value = row["value"]
        return (row["rank"] or 10**9, 0.0 if value is None else -sign * value, row["entry"])

    return key


def _ranks(group: Sequence[Contender], settings: Settings) -> list[int | None]:
    defined = [contender for contender in group if contender.estimate.value is not None]
    if len(defined) < 2:
        return [None] * len(group)  # alone, there is nobody to be better or worse than
    common = _common(defined)
    values = np.array([contender.estimate.value for contender in defined], dtype=np.float64)
    draws = np.stack([_replicates(contender, common, settings) for contender in defined])
    found = dict(zip(map(id, defined), ranks_with_ties(draws, values, group[0].metric.higher_is_better, settings.level)))
    return [found.get(id(contender)) for contender in group]


def _common(contenders: Sequence[Contender]) -> dict[str, int]:
    answered = []
    for contender in contenders:
        present = _present(contender)
        answered.append({sample for sample, there in zip(contender.samples, present) if there})
    shared = set.intersection(*answered)
    ordered = dict.fromkeys(sample for sample in contenders[0].samples if sample in shared)
    return {sample: index for index, sample in enumerate(ordered)}


def _present(contender: Contender) -> list[bool]:
    """Which rows are there."""
    present: list[bool] = np.asarray(~np.isnan(contender.stats).any(axis=1)).tolist()
    return present


def _replicates(contender: Contender, common: dict[str, int], settings: Settings) -> FloatArray:
    present = _present(contender)
    rows = [i for i, sample in enumerate(contender.samples) if present[i] and sample in common]
    units = np.array([common[contender.samples[i]] for i in rows], dtype=np.int64)
    clusters = units
    if contender.groups is not None:
        names = list(dict.fromkeys(contender.samples))
        group_of = dict(zip(names, contender.groups))
        per_unit = [group_of[sample] for sample in common]
        clusters = np.unique(per_unit, return_inverse=True)[1].astype(np.int64)[units]
    if not clusters.any():  # at most one cluster: resampling cannot move it, so that it says nothing
        return np.full(settings.n_bootstrap, np.nan)
    metric = contender.metric
    return replicates(
        aggregate_of(metric), contender.stats[rows], groups=clusters, weights=1.0 / np.bincount(units)[units],
        finish=finish_of(metric), n_bootstrap=settings.n_bootstrap, rng=settings.generator("bootstrap"),
    )  # fmt: skip
