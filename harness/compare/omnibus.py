"""Three systems and more at once: Friedman's test that none of them ranks above another, over the samples that all have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.compare.flips import flip_metric, unit_values
from harness.compare.tasks import PairedTask
from harness.stats.many import friedman


@dataclass(frozen=True, slots=True)
class Omnibus:
    """``ranks``: the mean rank of each of the ``systems`` (run, entry) over the samples, 1 for the best, the base first."""

    task: str
    metric: str
    systems: tuple[tuple[str, str], ...]
    ranks: tuple[float, ...]
    p_value: float
    agreement: float
    n: int


def omnibus(pairs: Sequence[PairedTask]) -> Iterator[Omnibus]:
    """One test for every base and task that two candidates or more are compared on, by the metric that samples are won by."""
    for key in dict.fromkeys((pair.task, pair.a.entry) for pair in pairs):
        group = [pair for pair in pairs if (pair.task, pair.a.entry) == key]
        metric = flip_metric(group[0])
        if len(group) < 2 or metric is None or any(metric not in pair.metrics or pair.refusal(metric) for pair in group):
            continue
        values = _values(group, metric)
        values = values[np.isfinite(values).all(axis=1)]
        if len(values) >= 2:
            higher = group[0].facts(metric).get("higher_is_better") is not False
            found = friedman(values if higher else -values)
            yield Omnibus(key[0], metric, _names(group), tuple(map(float, found.mean_ranks)), found.f_p_value, found.agreement,
                          found.n_items)  # fmt: skip


def _values(group: Sequence[PairedTask], metric: str) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """``float64[samples, systems]`` of the base's samples, NaN where a pair does not have one."""
    size = 1 + max(int(pair.pairing.first_rows.max(initial=-1)) for pair in group)
    values = np.full((size, 1 + len(group)), np.nan)
    for place, pair in enumerate(group, 1):
        a, b = unit_values(pair, metric)
        values[pair.pairing.first_rows, 0], values[pair.pairing.first_rows, place] = a, b
        pair.forget(metric)
    return values


def _names(group: Sequence[PairedTask]) -> tuple[tuple[str, str], ...]:
    units = [group[0].a, *(pair.b for pair in group)]
    return tuple((unit.run.record.run_id, unit.entry) for unit in units)
