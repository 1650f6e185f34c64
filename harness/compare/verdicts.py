"""A contrast as a comparison: the test that was asked for, the p-values corrected together, and the word for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from harness.compare.losses import Lost
from harness.compare.tasks import PairedTask
from harness.engine.scoring import aggregate_of, finish_of, make_settings
from harness.errors import UsageError
from harness.stats.contrast import Contrast
from harness.stats.multiple import adjust
from harness.stats.pairedtests import paired_bootstrap_test, randomization_test
from harness.types import Change, Comparison, Estimate

Test = Literal["auto", "randomization", "bootstrap", "t"]
TESTS: tuple[str, ...] = ("auto", "randomization", "bootstrap", "t")
Correction = Literal["holm", "bh", "by", "none"]
CORRECTIONS: tuple[str, ...] = ("holm", "bh", "by", "none")

MOST_RANDOMIZED, MOST_RECOMPUTED = 20_000, 5_000
"""Up to so many samples the systems are swapped at random; the second where each swap costs a value of all rows."""
_RESAMPLES, _FEWER_RESAMPLES = 10_000, 2_000
_ALL_EQUAL, _NO_DIRECTION = "all pairs are equal", "neither more nor less of it is better"


@dataclass(frozen=True, slots=True)
class Compared:
    """One comparison with what it was made of. ``run``: the candidate's; ``base_entry``: what it was compared with."""

    comparison: Comparison
    contrast: Contrast
    run: str
    base_entry: str
    is_primary: bool
    higher_is_better: bool | None
    lost: Lost
    p_same: float | None = None
    p_same_adjusted: float | None = None

    def fields(self) -> dict[str, Any]:
        """All of it, flat, for programs. ``n_differing`` counts pairs whose statistics differ: one wrong answer for another is
        no other accuracy, but may be another F1."""
        found, difference = self.comparison, self.comparison.difference
        return {
            "task": found.task, "metric": found.metric, "entry": found.entry, "base_entry": self.base_entry, "run": self.run,
            "primary": self.is_primary, "higher_is_better": self.higher_is_better, "a": found.a, "b": found.b,
            "difference": difference.value, "low": difference.low, "high": difference.high, "level": difference.level,
            "p_value": found.p_value, "p_adjusted": found.p_adjusted, "test": found.test, "p_same": self.p_same,
            "p_same_adjusted": self.p_same_adjusted, "mde": found.mde, "n": found.n_pairs, "n_groups": difference.n_groups,
            "n_differing": self.contrast.n_differing, "missing_a": self.lost.only_a, "missing_b": self.lost.only_b,
            "missing_both": self.lost.both, "worst_case": difference.worst_case, "best_case": difference.best_case,
            "verdict": found.verdict, "reason": difference.reason,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Testing:
    """How comparisons are tested. ``margin``: up to which a difference does not matter, in the metric's own scale."""

    test: Test = "auto"
    alpha: float = 0.05
    correction: Correction = "holm"
    margin: float | None = None

    def __post_init__(self) -> None:
        _one_of("test", self.test, TESTS)
        _one_of("correction", self.correction, CORRECTIONS)
        if not 0 < self.alpha < 1:
            raise UsageError(f"compare: alpha must lie strictly between 0 and 1, got {self.alpha!r}")
        if self.margin is not None and not 0 < self.margin < float("inf"):
            raise UsageError(f"compare: margin must be a positive number, got {self.margin!r}")


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UsageError(f"compare: {name} must be one of {', '.join(known)}, got {value!r}")


def compared(pair: PairedTask, metric: str, testing: Testing) -> Compared:
    """One metric of a pair, not yet corrected: ``p_adjusted`` is the p-value, and nothing is better or worse yet.

    Raises what ``PairedTask.contrast`` raises.
    """
    found, lost = pair.contrast(metric), pair.lost(metric)
    p_value, test = _tested(pair, metric, found, testing.test)
    difference = replace(found.difference, worst_case=lost.worst, best_case=lost.best, reason=_reason(found))
    comparison = Comparison(
        task=pair.task, metric=metric, entry=pair.entry, a=found.a, b=found.b, difference=difference, p_value=p_value,
        p_adjusted=p_value, test=test, n_pairs=found.n_units, verdict="unclear",
        mde=None if p_value is None else _mde(pair, metric, found, testing.alpha),
    )  # fmt: skip
    direction = pair.facts(metric).get("higher_is_better")
    p_same = None
    if testing.margin is not None and p_value is not None:
        p_same = max(found.p_above(-testing.margin), found.p_below(testing.margin))
    return Compared(comparison, found, pair.b.run.record.run_id, pair.a.entry, metric == pair.primary, direction, lost, p_same)


def concluded(rows: Sequence[Compared], testing: Testing) -> tuple[Compared, ...]:
    """All comparisons that were made together, corrected together, each with its verdict."""
    adjusted = _adjusted([row.comparison.p_value for row in rows], testing)
    same = _adjusted([row.p_same for row in rows], testing)
    done = []
    for row, p_adjusted, p_same in zip(rows, adjusted, same):
        verdict = _verdict(row, p_adjusted, p_same, testing.alpha)
        comparison = replace(row.comparison, p_adjusted=p_adjusted, verdict=verdict)
        if row.higher_is_better is None and p_adjusted is not None and p_adjusted < testing.alpha and verdict == "unclear":
            comparison = replace(comparison, difference=_noted(comparison.difference, _NO_DIRECTION))
        done.append(replace(row, comparison=comparison, p_same_adjusted=p_same))
    return tuple(done)


def _adjusted(p_values: Sequence[float | None], testing: Testing) -> list[float | None]:
    """Corrected for all of them together; what could not be tested does not count."""
    adjusted = iter(adjust([p for p in p_values if p is not None], testing.correction).tolist())
    return [None if p is None else next(adjusted) for p in p_values]


def _verdict(row: Compared, p_adjusted: float | None, p_same: float | None, alpha: float) -> Change:
    value = row.comparison.difference.value
    if p_adjusted is None or value is None:
        return "unclear"
    if row.contrast.n_differing == 0 or (p_same is not None and p_same < alpha):
        return "same"
    if p_adjusted >= alpha or row.higher_is_better is None:
        return "unclear"
    return "better" if (value > 0) == row.higher_is_better else "worse"


# ── tests ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _tested(pair: PairedTask, metric: str, found: Contrast, wanted: Test) -> tuple[float | None, str]:
    """The two-sided p-value of no difference, and the test that gave it; None where there is nothing to test."""
    if found.difference.value is None or found.test == "none":
        return None, "none"
    if found.n_differing == 0:
        return 1.0, found.test
    chosen = _chosen(pair, metric, found) if wanted == "auto" else wanted
    if chosen == "t":
        return found.p_value, found.test
    p_value, test, finest = _resampled(pair, metric, chosen)
    if wanted == "auto" and p_value <= finest and found.p_value < p_value:
        return found.p_value, found.test  # no draw was as extreme: how small p is, only t can tell, and corrections ask
    return p_value, test


def _chosen(pair: PairedTask, metric: str, found: Contrast) -> Literal["randomization", "t"]:
    """Hits are tested exactly as they are; few samples by randomisation; else t, which is as good there, and quick."""
    made = pair.statistics(metric).metric
    most = MOST_RANDOMIZED if made.is_additive else MOST_RECOMPUTED
    by_contrast = found.hits is not None or made.interval == "subsample" or found.n_units > most
    return "t" if by_contrast else "randomization"


def _resampled(pair: PairedTask, metric: str, test: Literal["randomization", "bootstrap"]) -> tuple[float, str, float]:
    """The p-value, the test, and the smallest p-value that so many draws can give; 0 where all were gone through."""
    rows, made = pair.rows(metric), pair.statistics(metric).metric
    seed = pair.a.run.record.seeds[0] if pair.resampling.seed is None else pair.resampling.seed
    rng = make_settings(seed, pair.resampling.level, pair.resampling.n_bootstrap).generator(test)
    finish, aggregate = finish_of(made), aggregate_of(made)
    units, units_a = (None, None) if rows.is_plain else (rows.b_units, rows.a_units)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if test == "bootstrap":
            drawn = paired_bootstrap_test(
                rows.b, rows.a, aggregate, finish=finish, units=units, units_a=units_a, clusters=rows.clusters,
                n_bootstrap=pair.resampling.n_bootstrap, rng=rng,
            )  # fmt: skip
            return drawn.p_value, f"paired bootstrap({drawn.n_resamples})", 1 / (1 + drawn.n_resamples)
        tested = randomization_test(
            rows.b, rows.a, aggregate, finish=finish, units=units, units_a=units_a, clusters=rows.clusters,
            n_resamples=_RESAMPLES if made.is_additive else _FEWER_RESAMPLES, rng=rng,
        )  # fmt: skip
    if tested.is_exact:
        return tested.p_value, "randomization(exact)", 0.0
    return tested.p_value, f"randomization({tested.n_resamples})", 1 / (1 + tested.n_resamples)


def _mde(pair: PairedTask, metric: str, found: Contrast, alpha: float) -> float | None:
    """None where no difference that the metric can have would be found, and where nothing is known of its spread."""
    mde = found.mde(alpha)
    low, high = pair.facts(metric).get("bounds") or (None, None)
    beyond = mde is not None and low is not None and high is not None and mde > high - low
    return None if not mde or beyond else mde


def _reason(found: Contrast) -> str | None:
    reason = found.difference.reason
    if found.n_differing or found.difference.value is None or found.test == "none" or (reason and _ALL_EQUAL in reason):
        return reason
    return _ALL_EQUAL if reason is None else f"{_ALL_EQUAL}; {reason}"


def _noted(estimate: Estimate, note: str) -> Estimate:
    return replace(estimate, reason=note if estimate.reason is None else f"{estimate.reason}; {note}")
