"""How often the gate is wrong, and how often it sees: nights without a change, a planted drop, sixty nights in a row.

``python -m tests.bench.rates [nights]`` prints the tables (2,000 nights each by default). Everything is decided by
``harness.gate.decide`` on contrasts of arrays; only the arrays are made up. Baseline and tonight answer the same items, whose
difficulty makes their answers correlate, and the metrics of one item correlate among each other.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from harness.gate.decide import Question, decide
from harness.gate.stream import night_after
from harness.gate.verdict import worst
from harness.stats.contrast import Contrast, contrast
from harness.stats.power import discordance_error, power_of
from harness.types import FloatArray

KINDS = ("hit", "mean", "f1")
NAIVE = 0.01
"""The rule that people write: red where any number dropped by more than a point."""


def ratio(totals: FloatArray) -> FloatArray:
    """Micro-F1 of totals (true positives, predicted and true)."""
    return 2 * totals[..., 0] / totals[..., 1]


def mean(totals: FloatArray) -> FloatArray:
    return totals[..., 0] / totals[..., 1]


FINISH: dict[str, Callable[[FloatArray], FloatArray]] = {"hit": mean, "mean": mean, "f1": ratio}


@dataclass(frozen=True)
class World:
    """``n`` items of 30 metrics, ten of each kind. ``own``: the share of an answer that is luck of the run and not the item's.
    """

    n: int
    kinds: tuple[str, ...] = tuple(kind for kind in KINDS for _ in range(10))
    own: float = 0.15

    def items(self, rng: np.random.Generator) -> FloatArray:
        """``float64[n, metrics]``: how hard each item is, mostly the same for all metrics."""
        return np.asarray(0.8 * rng.standard_normal((self.n, 1)) + 0.6 * rng.standard_normal((self.n, len(self.kinds))))

    def run(self, items: FloatArray, rng: np.random.Generator, drop: float = 0.0) -> list[FloatArray]:
        """One run's statistics, ``float64[n, 2]`` a metric; ``drop`` lowers the share of hits and the means by so much."""
        luck = rng.standard_normal(items.shape)
        skill = np.sqrt(1 - self.own) * items + np.sqrt(self.own) * luck
        return [_statistics(kind, skill[:, k], drop, rng) for k, kind in enumerate(self.kinds)]


def _statistics(kind: str, skill: FloatArray, drop: float, rng: np.random.Generator) -> FloatArray:
    one = np.ones(len(skill))
    if kind == "hit":
        return np.stack([(skill < NormalDist().inv_cdf(0.7 - drop)).astype(float), one], axis=1)
    if kind == "mean":
        return np.stack([1 / (1 + np.exp(-(skill + 0.5))) - drop, one], axis=1)
    wanted = 1 + (np.abs(skill) * 3).astype(np.int64) % 5
    hits = rng.binomial(wanted, np.clip(1 / (1 + np.exp(-(skill + 0.8))) - drop, 0, 1))
    extra = rng.poisson(0.4, len(skill))
    return np.stack([hits, hits + extra + wanted], axis=1).astype(float)


def questions(b: Sequence[FloatArray], a: Sequence[FloatArray], kinds: Sequence[str], max_drop: float) -> list[Question]:
    """What a gate asks of two runs: that no metric is worse by more than ``max_drop``."""
    rng = np.random.default_rng(0)
    made: list[Contrast] = [
        contrast(b_k, a_k, None, finish=FINISH[kind], bounds=(0.0, 1.0), rng=rng)  # type: ignore[arg-type]
        for b_k, a_k, kind in zip(b, a, kinds)
    ]
    return [Question(found, -max_drop, "above", found.difference.value, found.n_units) for found in made]


def verdict_of(asked: Sequence[Question], level: float | None = None) -> str:
    return worst([decision.verdict for decision in decide(asked, alpha=0.05, level=level)])


def is_naively_worse(asked: Sequence[Question]) -> bool:
    return any(question.seen is not None and question.seen < -NAIVE for question in asked)


# ── false alarms ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Alarms:
    """Shares of nights without a change: called regressed, passed; and called worse by the naive rule."""

    nights: int
    regressed: float
    passed: float
    naive: float


def alarms(n: int, max_drop: float, nights: int, seed: int = 0, kinds: Sequence[str] | None = None) -> Alarms:
    """Each night a new baseline and a new run of the same model on the same items."""
    world = World(n) if kinds is None else World(n, tuple(kinds))
    rng = np.random.default_rng(seed)
    words, naive = [], 0
    for _ in range(nights):
        items = world.items(rng)
        asked = questions(world.run(items, rng), world.run(items, rng), world.kinds, max_drop)
        words.append(verdict_of(asked))
        naive += is_naively_worse(asked)
    return Alarms(nights, words.count("regressed") / nights, words.count("passed") / nights, naive / nights)


# ── power ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Seen:
    """The share of planted drops that are called regressed, and the power that was predicted before."""

    n: int
    detected: float
    predicted: float
    discordance: float
    inconclusive: float


def power(n: int, drop: float, max_drop: float, nights: int, seed: int = 0) -> Seen:
    """One rule on a share of hits that really dropped by ``drop``; predicted from the discordance of a large sample."""
    share = _discordance(drop)
    predicted = power_of(drop, discordance_error(share, n, difference=drop), margin=max_drop, alpha=0.05)
    rng, world = np.random.default_rng(seed), World(n, ("hit",))
    words = []
    for _ in range(nights):
        items = world.items(rng)
        words.append(verdict_of(questions(world.run(items, rng, drop), world.run(items, rng), world.kinds, max_drop)))
    return Seen(n, words.count("regressed") / nights, predicted, share, words.count("inconclusive") / nights)


def _discordance(drop: float) -> float:
    rng, world = np.random.default_rng(99), World(1_000_000, ("hit",))
    items = world.items(rng)
    return float((world.run(items, rng)[0][:, 0] != world.run(items, rng, drop)[0][:, 0]).mean())


# ── nights ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Stream:
    """One stream of nights against one baseline: the number of alarms of each gate, and the night at which a drop was found."""

    sequential: int
    same_alpha: int
    naive: int
    found: int | None = None


def streams(
    n: int, max_drop: float, count: int, *, nights: int = 60, drop: float = 0.0, since: int = 0,
    kinds: Sequence[str] = KINDS, seed: int = 0,
) -> Iterator[Stream]:
    """Nights of the same items against a fixed baseline; ``drop`` is planted from night ``since`` on (0: the first)."""
    for index in range(count):
        rng, world = np.random.default_rng([seed, index]), World(n, tuple(kinds))
        items = world.items(rng)
        base = world.run(items, rng)
        words: list[str] = []
        same_alpha = naive = 0
        for night in range(nights):
            tonight = world.run(items, rng, drop if night >= since else 0.0)
            asked = questions(tonight, base, world.kinds, max_drop)
            words.append(verdict_of(asked, night_after(words, 0.05).level))
            same_alpha += verdict_of(asked) == "regressed"
            naive += is_naively_worse(asked)
        later = [night for night, word in enumerate(words) if word == "regressed" and night >= since]
        found = later[0] - since + 1 if drop and later else None
        yield Stream(words.count("regressed"), same_alpha, naive, found)


# ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def main(nights: int = 2000) -> None:
    print(f"False alarms: {nights} nights without a change, 30 metrics (10 shares of hits, 10 means, 10 micro-F1)")
    print(f"{'n':>6} {'max_drop':>8} {'regressed':>10} {'passed':>8} {'naive: any drop > .01':>22}")
    for n, max_drop in ((200, 0.0), (500, 0.0), (2000, 0.0), (500, 0.01), (2000, 0.02)):
        began = time.monotonic()
        got = alarms(n, max_drop, nights)
        seconds = time.monotonic() - began
        print(f"{n:6} {max_drop:8} {got.regressed:10.2%} {got.passed:8.1%} {got.naive:22.1%}   ({seconds:.0f} s)")
    print(f"\nPower: a planted drop of .02 in a share of hits, max_drop .005, {nights} nights")
    print(f"{'n':>6} {'detected':>9} {'predicted':>10} {'discordance':>12}")
    for n in (1000, 5000, 20000):
        seen = power(n, 0.02, 0.005, nights)
        print(f"{n:6} {seen.detected:9.1%} {seen.predicted:10.1%} {seen.discordance:12.1%}")
    count = max(20, nights // 10)
    print(f"\nNights: {count} streams of 60 nights against one baseline without a change, n = 1,000, 3 metrics, max_drop 0")
    made = list(streams(1000, 0.0, count))
    for name in ("sequential", "same_alpha", "naive"):
        found = np.array([getattr(stream, name) for stream in made])
        print(f"{name:>12}: {found.mean():.2f} alarms in 60 nights, none in {np.mean(found == 0):.1%} of the streams, "
              f"at most one in {np.mean(found <= 1):.1%}, most {found.max()}")
    print("\nPower left: a drop of .02 from night 30 on, max_drop .005, one share of hits")
    for n in (1000, 5000, 20000):
        made = list(streams(n, 0.005, count // 4, nights=60, drop=0.02, since=30, kinds=("hit",)))
        first = np.mean([stream.found == 1 for stream in made])
        week = np.mean([stream.found is not None and stream.found <= 7 for stream in made])
        error, level = discordance_error(_discordance(0.02), n, difference=0.02), night_after(["passed"] * 30, 0.05).level
        alone = power_of(0.02, error, margin=0.005, alpha=level)
        print(f"{n:6}: found in the first night {first:.1%} (predicted {alone:.1%}), within a week {week:.1%}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
