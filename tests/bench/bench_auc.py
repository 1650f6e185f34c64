"""ROC-AUC with a 95 % bootstrap interval against scikit-learn in a loop of resamples: ``python -m tests.bench.bench_auc [N]``.

Equal values come first: the area of all rows, and those of single resamples. scikit-learn's 1,000 resamples are extrapolated
from 50. Our side is the whole public path, harness.stats.estimate; best of 3, scikit-learn best of 2, by turns in one process.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from harness.metrics.probabilities import RocAuc
from harness.stats.bootstrap import Once, replicates, resample_weights
from harness.stats.estimate import estimate
from harness.types import Estimate

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


def timed(function: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(f"{'what':34} | {'sizes':26} | {'ours s':>16} | {'peer s':>16} | ratio (wall, CPU)")
    for name, decimals in (("scores all different", None), ("scores of two decimals", 2)):
        stats = made(n, decimals)
        check(stats)
        best: dict[str, list[tuple[float, float]]] = {"once": [], "plain": [], "peer": []}
        for turn in range(4):
            best["once"].append(timed(partial(ours, stats, True)))
            best["plain"].append(timed(partial(ours, stats, False)))
            if turn < 3:
                wall, cpu = timed(partial(theirs, stats))
                best["peer"].append((wall * RESAMPLES / TIMED, cpu * RESAMPLES / TIMED))
        peer = [min(times) for times in zip(*best["peer"])]
        for kind, words in (("once", "sorted once"), ("plain", "sorted a block")):
            mine = [min(times) for times in zip(*best[kind])]
            print(f"{'ROC-AUC + interval, ' + words:34} | {f'n={n:,}, {name}':26} | {mine[0]:7.2f} / {mine[1]:6.2f} | "
                  f"{peer[0]:7.1f} / {peer[1]:6.1f} | {peer[0] / mine[0]:.1f}, {peer[1] / mine[1]:.1f}")
    print(f"seconds are wall / CPU; the peer's are extrapolated from {TIMED} to {RESAMPLES:,} resamples")


if __name__ == "__main__":
    main()
