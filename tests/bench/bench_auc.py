"""ROC-AUC with a 95 % bootstrap interval against scikit-learn in a loop of resamples.

Equal values come first: the area of all rows, and those of single resamples. scikit-learn's 1,000 resamples are extrapolated
from 50. Our side is what a run does with the rows of the metric: harness.stats.estimate.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from harness.metrics.probabilities import RocAuc
from harness.stats.bootstrap import Once, replicates, resample_weights
from harness.stats.estimate import estimate
from harness.types import Estimate
from tests.bench.timing import Race

RESAMPLES, TIMED = 1000, 50
METRIC = RocAuc(labels=("0", "1"))
Array = np.ndarray[Any, Any]


def made(n: int, decimals: int | None) -> Array:
    rng = np.random.default_rng(0)
    target = (rng.random(n) < 0.3).astype(float)
    score = rng.normal(size=n) + target
    return np.column_stack([target, score if decimals is None else score.round(decimals)])


def ours(stats: Array, once: bool) -> Estimate:
    aggregate = Once(METRIC.for_weights) if once else METRIC.aggregate
    return estimate(stats, aggregate, bounds=(0.0, 1.0), n_bootstrap=RESAMPLES, rng=np.random.default_rng(1))


def theirs(stats: Array) -> list[float]:
    rng, n = np.random.default_rng(1), len(stats)
    target, score = stats[:, 0], stats[:, 1]
    areas = []
    for _ in range(TIMED):
        rows = rng.integers(0, n, n)
        areas.append(float(roc_auc_score(target[rows], score[rows])))
    return areas


def check(stats: Array) -> None:
    assert abs(ours(stats, True).value - roc_auc_score(stats[:, 0], stats[:, 1])) < 1e-12  # type: ignore[operator]
    drawn = replicates(METRIC.aggregate, stats, n_bootstrap=3, rng=np.random.default_rng(7))
    weights = np.concatenate(list(resample_weights(len(stats), 3, np.random.default_rng(7))))
    for area, row in zip(drawn, weights):
        rows = np.repeat(np.arange(len(stats)), row.astype(int))
        assert abs(area - roc_auc_score(stats[rows, 0], stats[rows, 1])) < 1e-12
    mine, other = ours(stats, True), theirs(stats)
    assert mine.low is not None
    assert mine.high is not None
    assert mine.low < np.mean(other) < mine.high
    assert (mine.low, mine.high) == (ours(stats, False).low, ours(stats, False).high)


def races() -> Iterator[Race]:
    n = 100_000
    for name, decimals in (("scores all different", None), ("scores of two decimals", 2)):
        stats = made(n, decimals)
        check(stats)
        yield Race("ROC-AUC with a 95 % interval", f"n={n:,}, {name}", partial(ours, once=True), theirs, 35,
                   lambda decimals=decimals: made(n, decimals),
                   extrapolated=RESAMPLES / TIMED, note=f"peer extrapolated from {TIMED} to {RESAMPLES:,} resamples")
