"""How often the default 95 % interval covers the truth: ``python -m tests.bench.coverage [--draws 2000] [--only auroc]``.

Each cell draws samples of a population whose value is known and makes their interval as a run does: harness.stats.estimate,
with the metric's own declaration and 1,000 replicates. Hits and misses need no draws: their coverage is summed over the
binomial distribution, and averaged over shares within 0.02 of p, as it saws up and down with p. The standard error of the
others is half a point with 2,000 draws. A draw without a value or an interval (one class only) covers nothing: "none" counts
them. Wanted: 93 % at least from n = 50 on; at most 97 % for proportions with n·p·(1 - p) of 5 or more.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from harness.engine.scoring import aggregate_of, finish_of
from harness.metrics.averaged import F1
from harness.metrics.bleu import Bleu
from harness.metrics.classification import Accuracy
from harness.metrics.probabilities import RocAuc
from harness.protocols import Metric
from harness.stats.estimate import estimate
from harness.types import Estimate, Key, Output, Sample, Text
from tests.bench.wmt17 import DATA

SIZES = (20, 50, 200, 1000)
Array = np.ndarray[Any, Any]
Random = np.random.Generator


@dataclass(frozen=True)
class Population:
    """``draw(n, rng)`` gives the rows of n samples and, of clusters, the cluster of each."""

    name: str
    metric: Metric
    truth: float
    draw: Callable[[int, Random], tuple[Array, Array | None]]
    bounds: tuple[float | None, float | None] = (0.0, 1.0)

    def interval(self, n: int, rng: Random) -> Estimate:
        """The estimate of one draw."""
        stats, groups = self.draw(n, rng)
        return made(self.metric, stats, self.bounds, rng, groups)


def made(
    metric: Metric, stats: Array, bounds: tuple[float | None, float | None], rng: Random, groups: Array | None = None
) -> Estimate:
    """The estimate that a run makes of these rows."""
    return estimate(
        stats, aggregate_of(metric), finish=finish_of(metric), method=metric.interval, groups=groups, bounds=bounds, rng=rng
    )


@dataclass(frozen=True)
class Covered:
    """Shares of all draws: covered, the truth below the interval, the truth above it, no interval; and the mean width."""

    share: float
    below: float = 0.0
    above: float = 0.0
    none: float = 0.0
    width: float = math.nan
    method: str = ""


def simulated(population: Population, n: int, draws: int, seed: int) -> Covered:
    """Coverage over that many draws."""
    rng, truth = np.random.default_rng([seed, n]), population.truth
    found = [population.interval(n, rng) for _ in range(draws)]
    there = [(each.low, each.high) for each in found if each.low is not None and each.high is not None]
    methods = [each.method for each in found]
    return Covered(
        share=sum(low <= truth <= high for low, high in there) / draws,
        below=sum(truth < low for low, _ in there) / draws, above=sum(truth > high for _, high in there) / draws,
        none=1 - len(there) / draws, width=float(np.mean([high - low for low, high in there])),
        method=max(sorted(set(methods)), key=methods.count),
    )  # fmt: skip


def of_hits(p: float, n: int) -> Covered:
    """Of accuracy, exactly: the mean over shares within 0.02 of p."""
    rng = np.random.default_rng(0)
    ends = [made(Accuracy(), hits(k, n), (0.0, 1.0), rng) for k in range(n + 1)]
    low, high = np.array([(each.low, each.high) for each in ends], dtype=np.float64).T
    shares = [share for share in np.linspace(p - 0.02, p + 0.02, 81) if 0 < share < 1]
    k = np.arange(n + 1)
    choices = np.array([math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in k])
    covered: list[list[float]] = []
    for share in shares:
        chance = np.exp(choices + k * math.log(share) + (n - k) * math.log1p(-share))
        covered.append([chance[(low <= share) & (share <= high)].sum(), chance[share < low].sum(), chance[share > high].sum(),
                        chance @ (high - low)])
    covers, below, above, width = np.mean(covered, axis=0).tolist()
    return Covered(covers, below, above, width=width, method="wilson")


def hits(k: int, n: int) -> Array:
    return np.column_stack([np.arange(n) < k, np.ones(n)]).astype(np.float64)


# ── populations ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, repr=False)
class _Mean(Metric):
    """A mean of values, as most metrics of texts are."""

    def finish(self, totals: Array) -> Array:
        return np.asarray(totals[..., 0] / totals[..., 1])


def populations() -> Iterator[Population]:
    """All but hits and misses."""
    half = (0.0, None)
    yield Population("lognormal(0, 1), mean", _Mean(), math.exp(0.5), partial(_values, lambda n, r: r.lognormal(0, 1, n)), half)
    yield Population("exponential, mean", _Mean(), 1.0, partial(_values, lambda n, r: r.exponential(1, n)), half)
    yield Population("F1-like: 60 % 0, 5 % 1, mean", _Mean(), 0.35 * 0.5 + 0.05, partial(_values, _zero_inflated))
    yield Population("F1-like: 85 % 0, mean .04", _Mean(), 0.15 * 0.25, partial(_values, _mostly_zero))
    yield Population("F1-like: half 1, mean .94", _Mean(), 1 - 0.5 / 9, partial(_values, _mostly_one))
    for p in (0.7, 0.9):
        yield Population(f"clustered hits p={p}, ICC .3", Accuracy(), p, partial(_beta_binomial, p))
    table = np.array([[0.72, 0.08], [0.06, 0.14]])
    of_b = F1(average="binary", labels=("a", "b"))
    yield Population("F1 of a class, prevalence .2", of_b, 0.28 / 0.42, partial(_codes, table))
    table = np.array([[0.42, 0.05, 0.03], [0.06, 0.20, 0.04], [0.02, 0.03, 0.15]])
    f1 = 2 * np.diag(table) / (table.sum(axis=0) + table.sum(axis=1))
    macro = F1(average="macro", labels=("a", "b", "c"))
    yield Population("macro F1, 3 classes", macro, float(f1.mean()), partial(_codes, table))
    for prevalence, apart in ((0.5, 1.2), (0.1, 1.2), (0.1, 2.5)):
        area = NormalDist().cdf(apart / math.sqrt(2))
        yield Population(f"AUROC {area:.2f}, prevalence {prevalence}", RocAuc(labels=("0", "1")), area,
                         partial(_binormal, prevalence, apart))
    for system in ("uedin-nmt.4722", "SYSTRAN.4847"):
        yield _wmt17(system)


def _values(values: Callable[[int, Random], Array], n: int, rng: Random) -> tuple[Array, None]:
    return np.column_stack([values(n, rng), np.ones(n)]), None


def _zero_inflated(n: int, rng: Random) -> Array:
    kind = rng.random(n)
    return np.where(kind < 0.6, 0.0, np.where(kind > 0.95, 1.0, rng.beta(2, 2, n)))


def _mostly_zero(n: int, rng: Random) -> Array:
    return np.where(rng.random(n) < 0.85, 0.0, rng.beta(1, 3, n))


def _mostly_one(n: int, rng: Random) -> Array:
    return np.where(rng.random(n) < 0.5, 1.0, 1 - rng.beta(1, 8, n))


def _beta_binomial(p: float, n: int, rng: Random) -> tuple[Array, Array]:
    """Clusters of 1 to 9 samples, whose shares of hits vary as a beta distribution with an intraclass correlation of 0.3."""
    sizes = rng.integers(1, 10, n)
    cluster = np.repeat(np.arange(n), sizes)[:n]
    share = rng.beta(p * 0.7 / 0.3, (1 - p) * 0.7 / 0.3, n)
    return np.column_stack([rng.random(n) < share[cluster], np.ones(n)]).astype(np.float64), cluster


def _codes(table: Array, n: int, rng: Random) -> tuple[Array, None]:
    """Pairs of target and prediction."""
    drawn = rng.choice(table.size, size=n, p=table.ravel())
    return np.column_stack(np.divmod(drawn, len(table))).astype(np.float64), None


def _binormal(prevalence: float, apart: float, n: int, rng: Random) -> tuple[Array, None]:
    positive = rng.random(n) < prevalence
    return np.column_stack([positive, rng.normal(size=n) + apart * positive]), None


def _wmt17(system: str) -> Population:
    """The population is a system's translation of newstest2017; samples of it are drawn with replacement."""
    metric, folder = Bleu(), DATA / "wmt17_ende"
    samples = [Sample(id=str(i), references=(text,)) for i, text in enumerate(_lines(folder / "reference.de.txt"))]
    texts = _lines(folder / f"newstest2017.{system}.en-de.txt")
    stats = metric.score(samples, [Output(Key(str(i)), Text(text)) for i, text in enumerate(texts)]).stats
    truth = float(metric.finish(stats.sum(axis=0)))
    return Population(f"BLEU {truth:.1f} of {len(stats):,} (WMT17)", metric, truth,
                      lambda n, rng: (stats[rng.integers(0, len(stats), n)], None), metric.bounds)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


# ── the table ───────────────────────────────────────────────────────────────────────────────────────────────────────


def verdict(found: Covered, n: int, spread: float | None) -> str:
    """What is wrong with the coverage, if anything; ``spread`` is n·p·(1 - p) of a proportion."""
    if n >= 50 and found.share < 0.93:
        return "LOW"
    return "HIGH" if spread is not None and spread >= 5 and found.share > 0.97 else ""


def line(name: str, n: int, found: Covered, spread: float | None = None) -> None:
    """A row of the table."""
    cells = (f"{found.share:.3f}", f"{found.below:.3f}", f"{found.above:.3f}", f"{found.none:.3f}", f"{found.width:.4g}",
             found.method, verdict(found, n, spread))
    print(f"{name:<31} | {n:>5} | " + " | ".join(f"{cell:>7}" for cell in cells).rstrip(" |"), flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--only", default="", help="populations whose names hold this")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    print(f"{'population':<31} | {'n':>5} | covered |  below |  above |   none |   width | method")
    for p in (0.02, 0.1, 0.5, 0.9, 0.99):
        for n in chosen.sizes if chosen.only in f"hits p={p}" else ():
            line(f"hits p={p} ± .02, accuracy", n, of_hits(p, n), n * p * (1 - p))
    for population in populations():
        for n in chosen.sizes if chosen.only in population.name else ():
            line(population.name, n, simulated(population, n, chosen.draws, chosen.seed))


if __name__ == "__main__":
    main()
