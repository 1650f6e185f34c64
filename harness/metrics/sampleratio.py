"""Whether the units of an A/B test were split as they should have been, and what of its log can be used."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from harness.errors import MetricError
from harness.metrics.rows import wrong_kind
from harness.protocols import Interval, Metric, Scope
from harness.types import FloatArray, Outcomes, Output, Sample, Scores, Table

MISMATCH = 1e-3
"""Below this p-value the sizes of the variants are not what chance makes of the intended split."""


@dataclass(frozen=True, slots=True)
class Log:
    """What rows can be used, and why the others cannot; the unit and the answer of each that can."""

    rows: list[int]
    units: list[str]
    answers: list[Outcomes]
    missing: dict[int, str]
    n_mixed: int

    @classmethod
    def of(cls, samples: Sequence[Sample], outputs: Sequence[Output]) -> Log:
        """A unit is the sample's group, else the sample. Rows of a unit that is in two variants are missing."""
        missing = {row: wrong_kind(o, "Outcomes") for row, o in enumerate(outputs) if not isinstance(o.answer, Outcomes)}
        unit_of = [f"sample {s.id}" if s.group is None else f"group {s.group}" for s in samples]
        answers = {row: o.answer for row, o in enumerate(outputs) if isinstance(o.answer, Outcomes)}
        variants: dict[str, set[str]] = {}
        for row, answer in answers.items():
            variants.setdefault(unit_of[row], set()).add(answer.variant)
        mixed = {unit for unit, found in variants.items() if len(found) > 1}
        missing |= {row: "its unit is in two variants" for row in answers if unit_of[row] in mixed}
        rows = [row for row in answers if row not in missing]
        return cls(rows, [unit_of[row] for row in rows], [answers[row] for row in rows], missing, len(mixed))

    def sizes(self) -> dict[str, int]:
        """Units by variant."""
        pairs = {unit: answer.variant for unit, answer in zip(self.units, self.answers)}
        return dict(sorted(Counter(pairs.values()).items()))

    def shares(self) -> dict[str, float]:
        """The share that each variant was to get; empty where that is not said of all."""
        given = {answer.variant: answer.expected for answer in self.answers}
        return {} if None in given.values() else {name: share for name, share in given.items() if share is not None}


@dataclass(frozen=True, repr=False)
class SRM(Metric):
    """The p-value of the sample ratio: how likely chance makes the variants' numbers of units differ so much from the split.

    Pearson's chi-square over units (samples' groups), against the log's ``split``, or equal shares. A small value (below .001,
    which is told as a warning) means that units were lost or assigned in another way than intended: no difference between the
    variants can be trusted then. ``split``: shares of the variants as they sort, ``srm(split=[0.5,0.5])``. A unit in two
    variants is missing. Table ``units``.
    """

    name: ClassVar[str] = "srm"
    family: ClassVar[str] = "experiments"
    summary: ClassVar[str] = "p-value of the sample ratio of an A/B test (sample-ratio mismatch)"
    needs: ClassVar[frozenset[str]] = frozenset({"outcomes"})
    higher_is_better: ClassVar[bool | None] = None
    interval: ClassVar[Interval] = "none"
    scope: ClassVar[Scope] = "corpus"
    formula: ClassVar[str] = "P(χ² ≥ Σ (units − expected)² / expected), variants − 1 degrees of freedom"
    reference: ClassVar[str] = "scipy.stats.chisquare"
    paper: ClassVar[str] = "Fabijan et al. 2019, Diagnosing Sample Ratio Mismatch in Online Controlled Experiments"

    split: tuple[float, ...] = ()
    shares: tuple[tuple[str, float], ...] = field(default=(), repr=False, compare=False, kw_only=True)
    told: tuple[str, ...] = field(default=(), repr=False, compare=False, kw_only=True)

    def __post_init__(self) -> None:
        fits = not self.split or (len(self.split) > 1 and min(self.split) > 0 and math.isclose(sum(self.split), 1.0))
        self.require(fits, "split", "two shares or more above 0 that sum to 1")
        object.__setattr__(self, "columns", tuple(name for name, _ in self.shares))

    def warnings(self) -> tuple[str, ...]:
        """After scoring: a sample ratio that chance does not explain, units in two variants."""
        return self.told

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: under its variant 1 over the rows of its unit, 0 under the others."""
        log = Log.of(samples, outputs)
        shares = self._shares(log)
        place = {name: number for number, name in enumerate(shares)}
        n_rows, stats = Counter(log.units), np.full((len(samples), len(shares)), np.nan)
        stats[log.rows] = 0.0
        for row, unit, answer in zip(log.rows, log.units, log.answers):
            stats[row, place[answer.variant]] = 1.0 / n_rows[unit]
        bound = dataclasses.replace(self, shares=tuple(shares.items()), told=told_of(log, shares))
        return Scores(stats, log.missing, bound=bound)

    def finish(self, totals: FloatArray) -> FloatArray:
        """p of the counts of units; NaN for none, and for fewer than two variants."""
        return _p_values(totals, np.array([share for _, share in self.shares]))

    def why_undefined(self, stats: FloatArray) -> str | None:
        return "all units are of one variant, and nothing says that there are others" if len(self.shares) == 1 else None

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """``units``: units of each variant, and how many were to be expected."""
        totals = stats.sum(axis=0)
        rows = [(name, round(float(n), 6), share * float(totals.sum())) for (name, share), n in zip(self.shares, totals)]
        return {"units": Table(("variant", "units", "expected"), tuple(rows))} if rows else {}

    def _shares(self, log: Log) -> dict[str, float]:
        there = log.sizes()
        if self.split:
            if len(self.split) != len(there) and there:
                raise MetricError(f"{self.name}: split must have a share for each of the {len(there)} variants "
                                  f"({', '.join(there)}), got {len(self.split)}")
            return dict(zip(there, self.split))
        return _with_absent(log.shares()) or {name: 1 / len(there) for name in there}


def told_of(log: Log, shares: Mapping[str, float] | None = None) -> tuple[str, ...]:
    """What must be known before the numbers are believed; the same words whichever metric says them."""
    told = []
    sizes, expected = log.sizes(), _with_absent(log.shares()) if shares is None else shares
    counts = np.array([sizes.get(variant, 0) for variant in expected], dtype=np.float64)
    p = _p_values(counts, np.array(list(expected.values()))) if len(expected) > 1 else np.array(1.0)
    if p < MISMATCH:
        shown = ", ".join(f"{variant} {n:,.0f} of {share * counts.sum():,.0f}"
                          for (variant, share), n in zip(expected.items(), counts))  # fmt: skip
        told.append(f"sample-ratio mismatch: {shown} expected units, p = {float(p):.2g}: the comparison of the variants must "
                    "not be trusted until it is known why")  # fmt: skip
    if log.n_mixed:
        told.append(f"units in two variants: {log.n_mixed}; their rows are missing")
    return tuple(told)


def _with_absent(shares: Mapping[str, float]) -> dict[str, float]:
    """Where the shares that are there leave something, it was for variants without a single row."""
    rest = 1.0 - sum(shares.values())
    return {**shares, "(no rows)": rest} if shares and rest > 1e-9 else dict(shares)


def _p_values(counts: FloatArray, shares: FloatArray) -> FloatArray:
    """``float64[..., V] -> float64[...]``."""
    from scipy.special import chdtrc

    if len(shares) < 2:
        return np.full(counts.shape[:-1], np.nan)
    total = counts.sum(axis=-1, keepdims=True)
    expected = total * shares
    squares = np.divide((counts - expected) ** 2, expected, out=np.full(counts.shape, np.nan), where=expected > 0)
    return np.asarray(chdtrc(len(shares) - 1, squares.sum(axis=-1)))


def srm(units: Sequence[float], split: Sequence[float] | None = None) -> float:
    """The p-value of numbers of units by variant against shares (equal ones); see SRM. NaN for no units.

    >>> round(srm([5000, 5000]), 3), round(srm([5200, 4800]), 6)
    (1.0, 6.3e-05)
    """
    counts = np.asarray(units, dtype=np.float64)
    shares = np.full(len(counts), 1 / max(len(counts), 1)) if split is None else np.asarray(split, dtype=np.float64)
    if counts.shape != shares.shape or not math.isclose(float(shares.sum()), 1.0) or (shares <= 0).any():
        raise MetricError(f"srm: split must have a share above 0 for each variant that sum to 1, got {shares.tolist()}")
    return float(_p_values(counts, shares))
