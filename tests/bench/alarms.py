"""How often a contrast alarms where nothing is to be found: the actual size of its tests, as a table.

``python -m tests.bench.alarms [replications]``. A row a kind of difference; for each number of units the share of replications
with p_above(true difference) < .05 / with p_below(true difference) < .05, in percent: 5.0 is nominal, less is cautious.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from harness.stats.contrast import contrast
from harness.types import FloatArray

Pair = tuple[FloatArray, FloatArray]
Draw = Callable[[int, np.random.Generator], Pair]

SIZES = (20, 50, 200, 1000)


def hits(p: float, discordance: float, difference: float) -> Draw:
    """b and a: hits with the shares p + difference and p, that differ on the share ``discordance`` of the units."""
    only_b, only_a = (discordance + difference) / 2, (discordance - difference) / 2

    def draw(n: int, rng: np.random.Generator) -> Pair:
        u = rng.random(n)
        is_only_b, is_only_a = u < only_b, (u >= only_b) & (u < discordance)
        same = rng.random(n) < (p - only_a) / (1 - discordance)
        return np.where(is_only_b | (same & ~is_only_a), 1.0, 0.0), np.where(is_only_a | (same & ~is_only_b), 1.0, 0.0)

    return draw


def shifted(noise: Callable[[np.random.Generator, int], FloatArray], share: float = 1.0) -> Draw:
    """b - a is drawn by ``noise`` on a ``share`` of the units, and 0 on the others."""

    def draw(n: int, rng: np.random.Generator) -> Pair:
        a = rng.normal(size=n)
        return a + np.where(rng.random(n) < share, noise(rng, n), 0.0), a

    return draw


def lognormal(rng: np.random.Generator, n: int) -> FloatArray:
    return rng.lognormal(0.0, 1.0, n)


def both_tails(rng: np.random.Generator, n: int) -> FloatArray:
    return rng.lognormal(0.0, 1.0, n) - rng.lognormal(0.0, 1.0, n)


KINDS: dict[str, tuple[Draw, float, int]] = {
    "hits p=.1, discordance .1": (hits(0.1, 0.1, 0.0), 0.0, 1),
    "hits p=.5, discordance .1": (hits(0.5, 0.1, 0.0), 0.0, 1),
    "hits p=.9, discordance .1": (hits(0.9, 0.1, 0.0), 0.0, 1),
    "hits p=.9, true drop .02": (hits(0.9, 0.1, -0.02), -0.02, 1),
    "hits p=.9, true drop .06": (hits(0.9, 0.1, -0.06), -0.06, 1),
    "same, two repeats each": (hits(0.9, 0.1, -0.06), -0.06, 2),
    "exponential": (shifted(lambda rng, n: rng.exponential(size=n)), 1.0, 1),
    "lognormal(0, 1)": (shifted(lognormal), float(np.exp(0.5)), 1),
    "lognormal - lognormal": (shifted(both_tails), 0.0, 1),
    "lognormal on 10 %": (shifted(lognormal, 0.1), 0.1 * float(np.exp(0.5)), 1),
    "ln - ln on 10 %": (shifted(both_tails, 0.1), 0.0, 1),
}
"""name -> how b and a are drawn, the true difference, repeats (equal ones: only the way of computing differs)."""


def mean(totals: FloatArray) -> FloatArray:
    return np.asarray(totals[..., 0] / totals[..., 1])


def rates(kind: str, n: int, replications: int, rng: np.random.Generator, alpha: float = 0.05) -> tuple[float, float]:
    """The shares of alarms above and below the true difference."""
    draw, truth, repeats = KINDS[kind]
    units = np.repeat(np.arange(n), repeats) if repeats > 1 else None
    above = below = 0
    for _ in range(replications):
        b, a = (np.stack([np.repeat(side, repeats), np.ones(n * repeats)], axis=1) for side in draw(n, rng))
        found = contrast(b, a, lambda stats, weights: mean(weights @ stats), finish=mean, units=units, rng=rng)
        above += found.p_above(truth) < alpha
        below += found.p_below(truth) < alpha
    return above / replications, below / replications


def main(replications: int = 4000) -> None:
    print(f"{'alarms in %, ' + str(replications) + ' replications':32s}" + "".join(f"{f'n = {n}':>14s}" for n in SIZES))
    for row, kind in enumerate(KINDS):
        cells = (rates(kind, n, replications, np.random.default_rng([row, n])) for n in SIZES)
        print(f"{kind:32s}" + "".join(f"{f'{100 * above:.1f} / {100 * below:.1f}':>14s}" for above, below in cells), flush=True)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
