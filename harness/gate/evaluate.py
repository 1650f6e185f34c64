"""A run, its baseline and a policy -> a verdict. Reads files, writes none."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from harness.compare import paired_tasks
from harness.errors import StoreError, UsageError
from harness.gate.decide import Decision, decide
from harness.gate.evidence import Case, Runs, cases
from harness.gate.matching import Asked, Subject, asked, is_idle, subjects
from harness.gate.policy import Policy
from harness.gate.stream import Night, night_of
from harness.gate.verdict import EXIT_CODES, RuleResult, Verdict, Word, worst
from harness.store import RECORD, read_record
from harness.store.noise import read_noise
from harness.types import RunRecord


def evaluate(
    run: Path, baseline: Path | None, policy: Policy, *, results: Path, allow: Collection[str] = ()
) -> Verdict:
    """What the policy says of a run; ``results`` holds the log of nights and the noise between runs.

    ``baseline`` None: rules that need one are left out, and a note says so. ``allow`` as in ``compare_runs``: what may differ
    from the baseline all the same. A run that lacks more than ``max_missing`` of some unit's outputs gets no verdict but
    *infrastructure*.

    Raises UsageError for a rule that checks nothing, NotComparable where the baseline must not be compared with, StoreError
    for damaged files.
    """
    record = read_record(run)
    base = None if baseline is None else read_record(baseline)
    runs = Runs(run, baseline, record, read_noise(results, record.name), allow)
    night = night_of(results, record, base, policy)
    wanted, notes = asked(policy, record), []
    broken = _broken(run, record, _max_missing(policy, record))
    if broken:
        return _verdict([_unjudged(one, broken) for one in wanted], policy, runs, night, [*broken.values()])
    if base is None:
        notes += [f"rule {n} ({rule}) was not checked: there is no baseline"
                  for n, rule in enumerate(policy.rules, 1) if rule.needs_baseline]
        wanted = [one for one in wanted if not one.needs_baseline]
    found, without, left_out = cases(wanted, runs)
    _check_all_rules(found, without, base)
    notes += [*_idle(wanted, record), *_notes(found, without, runs, base), *left_out]
    return _verdict(_results(found, base, policy, runs, night), policy, runs, night, notes)


def _max_missing(policy: Policy, record: RunRecord) -> float:
    """The policy's, else that of the run's config."""
    written = record.config.get("max_missing", 0.01)
    return policy.max_missing if policy.max_missing is not None else float(written)


def _broken(run: Path, record: RunRecord, max_missing: float) -> dict[str, str]:
    """Units that lack too many outputs, with a sentence each."""
    units: Any = record.counts.get("units")
    known = isinstance(units, dict) and all(isinstance(u, dict) and {"missing", "rows"} <= u.keys() for u in units.values())
    if not known:
        raise StoreError(f"{run / RECORD} is damaged: counts does not say how many outputs each unit lacks")
    return {
        name: f"{name}: {unit['missing']} of {unit['rows']} outputs are missing, more than max_missing {max_missing:g}"
        for name, unit in units.items() if unit["missing"] > max_missing * unit["rows"]
    }  # fmt: skip


def _unjudged(one: Asked, broken: Collection[str]) -> RuleResult:
    """No verdict on any rule of a run that is broken."""
    subject = one.subject
    reason = None if f"{subject.entry} × {subject.task}" in broken else "another unit is broken"
    return _result(one, "infrastructure", value=subject.value, n=subject.n, reason=reason)


def _check_all_rules(found: Sequence[Case], without: Sequence[Asked], base: RunRecord | None) -> None:
    """A rule of which nothing is left to check must not pass."""
    checked = {case.asked.number for case in found}
    for one in without:
        if one.number not in checked:
            subject = one.subject
            what = f"{subject.metric} of {subject.entry} on {subject.task}{f' [{subject.slice}]' if subject.slice else ''}"
            name = "its baseline" if base is None else f"baseline {base.run_id}"
            raise UsageError(f"gate: rule {one.number} ({one.rule}) has nothing to compare with: {name} has no {what}; "
                             f"set a new baseline with harness baseline set NAME RUN")


def _idle(wanted: Sequence[Asked], record: RunRecord) -> list[str]:
    """Where a pattern reached a metric that cannot break its limit."""
    idle = dict.fromkeys(f"{one.limit} of {one.subject.metric}" for one in wanted if is_idle(one, record))
    return [f"holds whatever the value is: {_listed(idle)}"] if idle else []


def _notes(found: Sequence[Case], without: Sequence[Asked], runs: Runs, base: RunRecord | None) -> list[str]:
    """What the rules do not say: what only one of both runs has, and where noise was added."""
    notes = []
    new = dict.fromkeys(f"{one.subject.entry} × {one.subject.task}: {one.subject.metric}" for one in without)
    if new:
        notes.append(f"new since the baseline, and not compared: {_listed(new)}")
    if base is not None:
        gone = _gone(runs, base)
        notes += [f"in the baseline, and not in this run: {_listed(gone)}"] if gone else []
        if {runs.record.run_id, runs.record.parent} & {base.run_id, base.parent} - {None}:
            notes.append("one of both runs was scored again from the other: the answers are the same")
    noisy = sum(case.has_noise for case in found)
    if noisy:
        notes.append(f"the noise between runs (harness noise) is counted in {noisy} of {len(found)} checks")
    return notes


def _gone(runs: Runs, base: RunRecord) -> list[str]:
    """Entries, and metrics of entries, that only the baseline has."""
    pairs = {(theirs, task): ours for (ours, task), theirs in _bases(runs).items()}
    here = {_place(one) for one in subjects(runs.record)}
    found = dict[str, None]()
    for one in subjects(base):
        ours = pairs.get((one.entry, one.task))
        if ours is None:
            found[f"{one.entry} × {one.task}"] = None
        elif (ours, one.task, one.metric) not in here:
            found[f"{one.task}: {one.metric}"] = None
    return list(found)


def _bases(runs: Runs) -> dict[tuple[str, str], str]:
    """(entry, task) of the run -> the entry of the baseline that it is compared with, whatever that is called."""
    if runs.baseline is None:
        return {}
    return {(pair.entry, pair.task): pair.a.entry for pair in paired_tasks(runs.baseline, runs.run, runs.allow)}


def _listed(names: Collection[str]) -> str:
    shown = list(names)[:5]
    return ", ".join(shown) + (f", … {len(names) - 5} more" if len(names) > 5 else "")


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _results(
    found: Sequence[Case], base: RunRecord | None, policy: Policy, runs: Runs, night: Night
) -> list[RuleResult]:
    """Decided together, but for metrics that lost their values since the baseline: what is missing says nothing."""
    lossy = _lossy(runs, base, _max_missing(policy, runs.record))
    sound = [case for case in found if _place(case.asked.subject) not in lossy]
    decisions = decide([case.question for case in sound], alpha=policy.alpha, correction=policy.correction, level=night.level)
    decided = {id(case): decision for case, decision in zip(sound, decisions)}
    return [_judged(case, decided.get(id(case)), policy.alpha) for case in found]


def _lossy(runs: Runs, base: RunRecord | None, max_missing: float) -> set[tuple[str, str, str]]:
    """Entry, task and metric of what lacks more values than in the baseline, as a whole: one of a small slice is many there."""
    before = {} if base is None else {_place(one): one for one in subjects(base) if one.slice is None}
    bases, found = _bases(runs), set()
    for one in subjects(runs.record):
        then = before.get((bases.get((one.entry, one.task), ""), one.task, one.metric))
        if one.slice is None and then is not None and _missing_share(one) - _missing_share(then) > max_missing:
            found.add(_place(one))
    return found


def _judged(case: Case, decision: Decision | None, alpha: float) -> RuleResult:
    subject = case.asked.subject
    if decision is None:
        reason = f"{subject.n_missing} of {subject.n + subject.n_missing} samples have no value any more"
        return _result(case.asked, "infrastructure", value=case.value, baseline=case.baseline, n=case.n, reason=reason)
    low, high = (decision.low, decision.high) if case.shown is None else (case.shown.lower(alpha), case.shown.upper(alpha))
    if case.sign < 0 and low is not None and high is not None:
        low, high = -high, -low
    return _result(
        case.asked, decision.verdict, allowed=case.allowed, value=case.value, baseline=case.baseline,
        drop=None if case.difference is None else case.sign * case.difference + 0.0, low=_finite(low), high=_finite(high),
        p_value=decision.p_value, p_adjusted=decision.p_adjusted, n=case.n, needed_n=decision.needed_n, test=case.test,
        reason=case.reason or _why_never(case, decision),
    )  # fmt: skip


def _why_never(case: Case, decision: Decision) -> str | None:
    """Why no number of samples would decide it, where that is known."""
    if decision.verdict != "inconclusive" or decision.needed_n is not None or case.question.evidence is None:
        return None
    if case.asked.is_drop and case.allowed == 0:
        return "no number of samples shows that nothing dropped at all: allow some drop"
    return "no number of samples decides it: the noise between runs is too large" if case.has_noise else None


def _result(one: Asked, verdict: Word, *, allowed: float | None = None, **found: Any) -> RuleResult:
    subject, limit = one.subject, one.limit
    return RuleResult(
        rule=one.number, asked=str(one.rule), entry=subject.entry, task=subject.task, metric=subject.metric,
        slice=subject.slice, limit=limit.kind, allowed=limit.amount if allowed is None else allowed, verdict=verdict,
        share=limit.amount * 100 if limit.is_relative else None, **found,
    )  # fmt: skip


def _verdict(rules: Sequence[RuleResult], policy: Policy, runs: Runs, night: Night, notes: Sequence[str]) -> Verdict:
    word: Word = worst([rule.verdict for rule in rules]) if rules else "passed"
    code = EXIT_CODES[word]
    empty = [rule.name for rule in rules if rule.verdict == "inconclusive" and rule.p_value is None]
    if word == "inconclusive" and policy.on_inconclusive == "pass" and empty:
        notes = [*notes, f"on_inconclusive: pass is not for what could not be checked at all: {_listed(empty)}"]
    elif word == "inconclusive" and policy.on_inconclusive is not None:
        code = 0 if policy.on_inconclusive == "pass" else 1
        notes = [*notes, f"on_inconclusive: {policy.on_inconclusive}: exit code {code}"]
    return Verdict(
        word, code, runs.record.run_id, runs.record.name, None if runs.baseline is None else runs.baseline.name, tuple(rules),
        policy.alpha, night.level, policy.correction, night.number if policy.sequential else None, tuple(notes),
    )


def _place(subject: Subject) -> tuple[str, str, str]:
    """Of a slice: that of the whole."""
    return subject.entry, subject.task, subject.metric


def _missing_share(subject: Subject) -> float:
    total = subject.n + subject.n_missing
    return subject.n_missing / total if total else 0.0


def _finite(value: float | None) -> float | None:
    return value if value is not None and abs(value) != float("inf") else None
