"""10,000 bootstrap replicates of accuracy, BLEU, AUROC and MCC at n = 10,000: ``python -m tests.bench.stats``.

Ours: harness.stats.patterns.lone_replicates on the rows that scoring left behind. lm-eval's way: the worker of its
``bootstrap_stderr``, which draws a Python list and calls the aggregation on it. scipy's: ``scipy.stats.bootstrap`` with the
statistic that one would hand it, vectorised over resamples where numpy has it so (accuracy, MCC). Both are extrapolated from
the replicates named in the last column. Before the clock runs: the values of lm-eval's own resamples are ours to 1e-9, and the
standard errors agree within what so few replicates can tell.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import sacrebleu
from lm_eval.api.metrics import _bootstrap_internal, bleu, matthews_corrcoef, mean
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score

from harness.engine.scoring import aggregate_of, finish_of
from harness.metrics.association import MCC
from harness.metrics.bleu import Bleu
from harness.metrics.classification import Accuracy
from harness.metrics.probabilities import RocAuc
from harness.protocols import Metric
from harness.stats.patterns import lone_replicates
from tests.bench.timing import HEADER, Race, line
from tests.bench.wmt17 import one_after_the_other

N, REPLICATES = 10_000, 10_000
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """One metric: its rows, and what the peers are handed. ``lm_eval`` and ``scipy`` are the replicates that they make."""

    name: str
    metric: Metric
    stats: Array
    items: Sequence[Any]
    aggregation: Callable[[Any], float]
    data: tuple[Array, ...]
    statistic: Callable[..., Any]
    is_vectorised: bool
    lm_eval: int
    scipy: int
    at_least: float = 50

    def ours(self, _: object = None) -> Array:
        """All replicates."""
        return lone_replicates(aggregate_of(self.metric), self.stats, finish=finish_of(self.metric), n_bootstrap=REPLICATES,
                               rng=np.random.default_rng(1))

    def by_lm_eval(self, _: object = None) -> list[float]:
        """Some of lm-eval's."""
        found: list[float] = _bootstrap_internal(self.aggregation, self.lm_eval)((0, self.items))
        return found

    def by_scipy(self, _: object = None) -> Array:
        """Some of scipy's."""
        found = bootstrap(self.data, self.statistic, n_resamples=self.scipy, method="percentile", paired=len(self.data) > 1,
                          vectorized=self.is_vectorised, batch=min(self.scipy, 100), rng=np.random.default_rng(2))
        return np.asarray(found.bootstrap_distribution)

    def check(self) -> None:
        """Equal values on equal resamples, equal standard errors."""
        ours, theirs = self.ours(), np.array(self.by_lm_eval())
        drawn = random.Random()
        drawn.seed(0)
        for value in theirs[:3]:
            weights = np.bincount(drawn.choices(range(N), k=N), minlength=N).astype(np.float64)
            assert abs(np.asarray(self.metric.aggregate(self.stats, weights[None, :]))[0] - value) < 1e-9 * max(1, abs(value))
        for few in (theirs, self.by_scipy()):
            assert abs(few.std(ddof=1) / ours.std() - 1) < 4 / math.sqrt(2 * len(few) - 2), self.name
            assert abs(few.mean() - ours.mean()) < 4.5 * ours.std() / math.sqrt(len(few)), self.name


def cases() -> Iterator[Case]:
    rng = np.random.default_rng(0)
    hits = (rng.random(N) < 0.7).astype(np.float64)
    rows = np.column_stack([hits, np.ones(N)])
    yield Case("accuracy", Accuracy(), rows, hits.tolist(), mean, (hits,), np.mean, True, 200, 500)
    target = rng.integers(0, 2, N)
    prediction = np.where(rng.random(N) < 0.8, target, 1 - target)
    codes = np.column_stack([target, prediction])
    yield Case("MCC", MCC(labels=("0", "1")), codes.astype(np.float64), codes.tolist(), matthews_corrcoef, (target, prediction),
               _vectorised_mcc, True, 30, 200)
    scores = rng.normal(size=N) + target
    yield Case("AUROC", RocAuc(labels=("0", "1")), np.column_stack([target, scores]).astype(np.float64),
               list(zip(target.tolist(), scores.tolist())), _auroc_of_items, (target, scores), roc_auc_score, False, 40, 40)
    metric = Bleu()
    ours, theirs = one_after_the_other(N)

    def bleu_of_lines(lines: Array) -> float:
        return float(sacrebleu.corpus_bleu([ours[i] for i in lines], [[theirs[i] for i in lines]]).score)

    yield Case("BLEU", metric, metric.over(ours, theirs).stats, list(zip(theirs, ours)), bleu, (np.arange(N),), bleu_of_lines,
               False, 8, 8)


def _auroc_of_items(items: Sequence[tuple[int, float]]) -> float:
    """What a task of lm-eval would write for it, which has no AUROC: as its ``matthews_corrcoef``."""
    golds, scores = zip(*items)
    return float(roc_auc_score(golds, scores))


def _vectorised_mcc(target: Array, prediction: Array, axis: int = -1) -> Array:
    """Of many resamples at once; scikit-learn's takes one."""
    both, n = (target & prediction).sum(axis=axis), target.shape[axis]
    t, p = target.sum(axis=axis), prediction.sum(axis=axis)
    return np.asarray((n * both - t * p) / np.sqrt(1.0 * t * (n - t) * p * (n - p)))


def races() -> Iterator[Race]:
    for case in cases():
        case.check()
        for peer, made, call in (("lm-eval", case.lm_eval, case.by_lm_eval), ("scipy", case.scipy, case.by_scipy)):
            yield Race(f"{case.name}, against {peer}", f"n={N:,}, {REPLICATES:,} replicates", case.ours, partial(call),
                       case.at_least, extrapolated=REPLICATES / made, note=f"peer extrapolated from {made}")


def main() -> None:
    line(*HEADER)
    for race in races():
        race.run()


if __name__ == "__main__":
    main()
