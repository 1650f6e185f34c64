"""What two stored runs say about each thing that a policy asks: a question for :func:`harness.gate.decide.decide`, and the
numbers that are shown beside the answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.compare import PairedTask, paired_tasks
from harness.gate.decide import Evidence, Question, Share
from harness.gate.matching import Asked
from harness.stats import power as sizes
from harness.stats.contrast import Contrast
from harness.stats.onesided import Student
from harness.store.noise import Noise
from harness.types import RunRecord

if TYPE_CHECKING:
    from harness.drift import Drift

Side = Literal["above", "below"]


@dataclass(frozen=True, slots=True)
class Case:
    """A question with what is shown of it. ``shown`` has the bounds that people see: those of the plain difference, also where
    a relative drop is tested on another one. ``sign`` -1 turns a difference into a drop: of metrics where higher is better."""

    asked: Asked
    question: Question
    shown: Evidence | None
    value: float | None
    baseline: float | None
    difference: float | None
    allowed: float
    sign: float
    n: int
    test: str
    has_noise: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Runs:
    """The run that is gated and its baseline, with the noise between runs of the config, where it was measured."""

    run: Path
    baseline: Path | None
    record: RunRecord
    noise: Noise
    allow: Collection[str] = ()


def cases(asked: Iterable[Asked], runs: Runs) -> tuple[list[Case], list[Asked], list[str]]:
    """A case for everything that can be asked, in order; what the baseline has nothing for; which samples were left out.

    Each pair of units is read once. Raises NotComparable where the baseline must not be compared with, and StoreError for
    damaged files.
    """
    wanted = list(asked)
    drops = [one for one in wanted if one.is_drop]
    values = [one for one in wanted if not one.needs_baseline]
    drifts = [one for one in wanted if one.rule.drift is not None]
    made: dict[int, Case] = {}
    left_out: list[str] = []
    if drops:
        assert runs.baseline is not None, "rules on drops need a baseline"
        made |= _each(drops, runs.baseline, runs, lambda one, task: _drop(one, task, runs), left_out)
    if values:
        made |= _each(values, runs.run, runs, lambda one, task: _value(one, task))
    if drifts:
        made |= _drifts(drifts, runs)
    found = [made[id(one)] for one in wanted if id(one) in made]
    return found, [one for one in wanted if id(one) not in made], left_out


def _each(
    wanted: Iterable[Asked], base: Path, runs: Runs, case: Callable[[Asked, PairedTask], Case],
    left_out: list[str] | None = None,
) -> dict[int, Case]:
    """The cases of those units that both runs have, by the identity of what is asked; ``left_out`` is told of samples."""
    by_unit: dict[tuple[str, str], list[Asked]] = {}
    for one in wanted:
        by_unit.setdefault((one.subject.entry, one.subject.task), []).append(one)
    found = {}
    for task in paired_tasks(base, runs.run, allow=runs.allow):
        here = by_unit.get((task.entry, task.task), [])
        for metric in dict.fromkeys(one.subject.metric for one in here if one.subject.metric in task.metrics):
            for one in here:
                if one.subject.metric == metric and (one.subject.slice is None or one.subject.slice in task.slices):
                    found[id(one)] = case(one, task)
            task.forget(metric)
        whole = [found[id(one)] for one in here if one.subject.slice is None and id(one) in found]
        if left_out is not None and any(id(one) in found for one in here):
            left_out += _left_out(task, whole)
    return found


def _left_out(task: PairedTask, whole: Iterable[Case]) -> Iterator[str]:
    """What is not compared of a unit: samples that only one run has, and those without a value in either."""
    pairing, where = task.pairing, f"{task.entry} × {task.task}"
    changed = 0 if pairing.keeps_changed else len(pairing.changed)
    counts = ((len(pairing.removed), "only in the baseline"), (len(pairing.added), "only in this run"),
              (changed, "of other content"))  # fmt: skip
    told = [f"{n:,} {what}" for n, what in counts if n]
    if told:
        yield f"{where}: {pairing.n:,} sample{'' if pairing.n == 1 else 's'} in both; left out: {', '.join(told)}"
    fewer: dict[int, list[str]] = {}
    for one in whole:
        if one.n < pairing.n and one.asked.subject.metric not in fewer.setdefault(one.n, []):
            fewer[one.n].append(one.asked.subject.metric)
    for n, metrics in fewer.items():
        yield f"{where}: {', '.join(metrics)}: compared on {n:,} of {pairing.n:,} samples: the others lack a value in a run"


# ── drops ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _drop(one: Asked, task: PairedTask, runs: Runs) -> Case:
    """Worse than the baseline by at most so much: the difference lies above -allowed, or below it where lower is better."""
    subject, limit = one.subject, one.limit
    sign = 1.0 if runs.record.metric_signatures[subject.metric]["higher_is_better"] else -1.0
    plain = task.contrast(subject.metric, subject.slice)
    scale, allowed = 1.0, limit.amount
    if limit.is_relative and plain.a is not None:
        scale = relative_scale(limit.amount, plain.a, sign)
        allowed = limit.amount * abs(plain.a)
    noisy, has_noise = _with_noise(plain, one, runs.noise, 1.0)
    asked, _ = (noisy, False) if scale == 1.0 else _with_noise(
        task.contrast(subject.metric, subject.slice, scale=scale), one, runs.noise, scale)
    margin = 0.0 if limit.is_relative else -sign * limit.amount
    defined = plain.difference.value is not None
    question = Question(
        asked if defined else None, margin, "above" if sign > 0 else "below", asked.difference.value, asked.n_units
    )  # fmt: skip
    return Case(
        one, question, noisy if defined else None, plain.b, plain.a, plain.difference.value, allowed, -sign, plain.n_units,
        asked.test, has_noise, plain.difference.reason,
    )  # fmt: skip


def relative_scale(share: float, base: float, sign: float) -> float:
    """What the base's value is multiplied by, to be as bad as a drop of that share of it allows; of negative values too.

    >>> relative_scale(0.02, 0.8, 1.0), relative_scale(0.02, 5.0, -1.0), relative_scale(0.02, -5.0, 1.0)
    (0.98, 1.02, 1.02)
    """
    return 1 - sign * share * math.copysign(1.0, base)


def _with_noise(found: Contrast, one: Asked, noise: Noise, scale: float) -> tuple[Contrast, bool]:
    """With what moves whole runs: once for the run and once for the baseline. Of slices nothing is known."""
    subject = one.subject
    known = noise.get(subject.entry, {}).get(subject.task, {}).get(subject.metric)
    if known is None or subject.slice is not None or known.variance == 0:
        return found, False
    return found.with_noise(known.variance * (1 + scale**2), known.dof), True


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Value:
    """The value of one run by Student's t, where nothing else is known of how far it can be off."""

    value: float
    error: float
    dof: float
    n: int

    def p_above(self, margin: float) -> float:
        return self._student.p_above(margin)

    def p_below(self, margin: float) -> float:
        return self._student.p_below(margin)

    def lower(self, alpha: float) -> float:
        return self._student.lower(alpha)

    def upper(self, alpha: float) -> float:
        return self._student.upper(alpha)

    def needed_n(self, margin: float, *, alpha: float, power: float = 0.8, assumed: float | None = None) -> int | None:
        """Units that would tell ``assumed`` (None: the value itself) from ``margin``."""
        spread = self.error * math.sqrt(self.n)
        return sizes.needed_n(spread, margin, alpha, power, assumed=self.value if assumed is None else assumed)

    @property
    def _student(self) -> Student:
        return Student(self.value, self.error, self.dof)


def _value(one: Asked, task: PairedTask) -> Case:
    """The value of the run by itself, whatever the baseline: its pairing with itself."""
    subject, limit = one.subject, one.limit
    side: Side = "above" if limit.kind == "min_value" else "below"
    evidence, test, reason = _of_one_run(task, subject.metric, subject.slice)
    question = Question(evidence, limit.amount, side, subject.value, subject.n)
    return Case(
        one, question, evidence, subject.value, None, None, limit.amount, 1.0, subject.n, test,
        reason=reason,
    )


def _of_one_run(task: PairedTask, metric: str, part: str | None) -> tuple[Evidence | None, str, str | None]:
    """The exact binomial for hits and misses of independent samples; else the value alone as the difference from nothing."""
    with_itself = task.contrast(metric, part)
    if with_itself.difference.value is None:
        return None, "none", with_itself.difference.reason
    if with_itself.hits is not None:
        return Share(with_itself.hits[0], with_itself.n_units), "binomial", None
    alone = task.contrast(metric, part, scale=0.0)
    if alone.b is not None and 0 < alone.error < math.inf and math.isinf(alone.lower(0.05)):
        return _Value(alone.b, alone.error, alone.dof, alone.n_units), alone.test, None
    return alone, alone.test, None



# ── drift ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _drifts(wanted: Iterable[Asked], runs: Runs) -> dict[int, Case]:
    """How far the run is from the baseline by some measure, whichever way, by the identity of what is asked."""
    from harness.drift import drift

    asked = list(wanted)
    assert runs.baseline is not None, "rules on drift need a baseline"
    measures = list(dict.fromkeys(one.rule.drift for one in asked if one.rule.drift is not None))
    found = {(d.entry, d.task, d.measure): d for d in drift(runs.run, runs.baseline, measures)}
    here = ((one, found.get((one.subject.entry, one.subject.task, one.rule.drift or ""))) for one in asked)
    return {id(one): _drifted(one, measured) for one, measured in here if measured is not None}


def _drifted(one: Asked, found: Drift) -> Case:
    size, limit = None if found.value is None else abs(found.value), one.limit.amount
    evidence = None if size is None else found.evidence
    n = min(found.n_run, found.n_base)
    return Case(
        one, Question(evidence, limit, "below", size, n), evidence, size, found.base, None, limit, 1.0, n, "drift",
        reason=found.reason,
    )  # fmt: skip
