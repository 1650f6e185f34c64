"""One gating, with what it leaves behind: the baseline found or set, the verdict in the log of its stream."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from harness.compare import ALLOWED
from harness.config import load_gate
from harness.errors import StoreError, Unwritable, UsageError, did_you_mean, nearest
from harness.gate.evaluate import evaluate
from harness.gate.policy import Policy, policy_of_run
from harness.gate.stream import stream_of, write_decision
from harness.gate.verdict import Verdict
from harness.store import find_run, is_run_id, read_record
from harness.store.baselines import baseline_of, baselines, set_baseline
from harness.store.files import locked
from harness.store.gatelog import decisions
from harness.types import RunRecord


@dataclasses.dataclass(frozen=True, slots=True)
class Gating:
    """What is asked of a gate. ``baseline`` (a name or a run) and ``policy`` (a file) go over those of the run's config.

    ``init``: where the name of the baseline is new, this run becomes it. ``update``: a run that passes becomes it. ``by`` and
    ``note`` are for the log of baselines.
    """

    baseline: str | None = None
    policy: Path | None = None
    init: bool = False
    update: bool = False
    allow: Collection[str] = ()
    by: str | None = None


def gate_run(run: str, results: Path, asked: Gating) -> tuple[Verdict, Policy]:
    """The verdict on a run, and the policy that it was held against.

    Raises UsageError where there is no policy or no baseline, and what :func:`harness.gate.evaluate.evaluate` raises.
    """
    for wrong in sorted(set(asked.allow) - set(ALLOWED)):
        raise UsageError(f"gate: allow takes {', '.join(ALLOWED)}, got {wrong!r}{did_you_mean(wrong, ALLOWED)}")
    folder = find_run(results, run)
    record = read_record(folder)
    policy = policy_of(record, asked.policy)
    name = asked.baseline or policy.baseline or (record.config.get("gate") or {}).get("baseline")
    if name is None and (policy.needs_baseline or asked.init or asked.update):
        raise UsageError("gate: which baseline? Give --baseline NAME, or write baseline: NAME under gate: in the config")
    with _one_at_a_time(results, must_write=asked.init or asked.update or policy.sequential):
        return _decided(results, folder, record, policy, name, run, asked), policy


@contextlib.contextmanager
def _one_at_a_time(results: Path, *, must_write: bool) -> Iterator[None]:
    """Two gates at once would take the same alpha, or both be the first; a folder that cannot be written has no stream."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(results / "gate"))
        except Unwritable:
            if must_write:
                raise
        yield


def _decided(
    results: Path, folder: Path, record: RunRecord, policy: Policy, name: str | None, run: str, asked: Gating
) -> Verdict:
    base = None if name is None else _found(results, name, run, asked.init)
    with _with_remedy(results, folder, base, name):
        return _decided_against(results, folder, record, base, policy, name, asked)


@contextlib.contextmanager
def _with_remedy(results: Path, folder: Path, base: Path | None, name: str | None) -> Iterator[None]:
    """Within, what is wrong with a file of the baseline says what to do."""
    try:
        yield
    except StoreError as error:
        is_of_base = base is not None and base.resolve() != folder.resolve() and f"{base}{os.sep}" in str(error)
        if type(error) is not StoreError or not is_of_base:
            raise
        if name in baselines(results):
            remedy = f"it is of baseline {name!r}: set another one with harness baseline set {name} RUN"
        else:
            remedy = "it is of the run that this one is held against: name another one with --baseline"
        raise StoreError(f"{error}; {remedy}") from error


def _decided_against(
    results: Path, folder: Path, record: RunRecord, base: Path | None, policy: Policy, name: str | None, asked: Gating
) -> Verdict:
    if base is not None and (base.resolve() == folder.resolve() or read_record(base).run_id == record.run_id):
        if not asked.init:
            raise UsageError(f"gate: run {record.run_id} is the baseline {name!r} itself: there is nothing to compare; "
                             f"gate the next one, which harness run makes")
        base = None
    verdict = evaluate(folder, base, policy, results=results, allow=asked.allow)
    verdict = _logged(results, verdict, policy)
    if name is not None and base is None and asked.init:
        verdict = _first(results, name, verdict, asked)
    elif name is not None and asked.update:
        verdict = _updated(results, name, verdict, asked)
    return verdict


def policy_of(record: RunRecord, file: Path | None) -> Policy:
    """The policy of a file, or of the run's config. Raises UsageError where there is neither, ConfigError for a wrong one."""
    policy = policy_of_run(record) if file is None else Policy.of(load_gate(file))
    if policy is None:
        raise UsageError(f"gate: run {record.run_id} has no policy: write gate: into its config, or give --policy FILE, YAML "
                         f"with its keys: rules: [{{metric: \"*\", max_drop: 0.02}}]")
    return policy


def _found(results: Path, name: str, run: str, init: bool) -> Path | None:
    """The folder of the baseline; None where its name is new and shall be set."""
    known = baselines(results)
    if name in known:
        return results / baseline_of(results, name)
    if name.startswith(("latest", "baseline:")) or is_run_id(name) or Path(name).is_dir():
        return find_run(results, name)
    if init:
        return None
    guess = nearest(name, known)
    meant = f"did you mean {guess!r}? Or " if guess else ""
    raise UsageError(f"gate: there is no baseline {name!r} in {results}: {meant}make this run it: harness gate {run} "
                     f"--baseline {name} --init; or another one: harness baseline set {name} RUN")


def _logged(results: Path, verdict: Verdict, policy: Policy) -> Verdict:
    """With the decision in the log. Alpha that is not written down is spent twice; without a stream it is a note."""
    if not verdict.rules:
        return verdict
    before = _gated_before(results, verdict)
    if before is not None:
        verdict = _noted(verdict, f"this run was held against this baseline before, at {before}")
    try:
        write_decision(results, verdict)
    except Unwritable as error:
        if policy.sequential:
            raise
        return _noted(verdict, f"the verdict is not in the log: {error}")
    return verdict


def _gated_before(results: Path, verdict: Verdict) -> str | None:
    """When it was: the run of a night that never finished is not there, and the newest is that of the night before."""
    try:
        known = decisions(results, stream_of(verdict.config, verdict.baseline))
    except StoreError:
        return None  # a stream was read already; without one the log is for people
    return next((str(line.get("at")) for line in known if line["run"] == verdict.run_id), None)


def _first(results: Path, name: str, verdict: Verdict, asked: Gating) -> Verdict:
    """The first night: this run is the baseline, unless it is broken or breaks a rule by itself."""
    if verdict.verdict in ("infrastructure", "regressed"):
        return _noted(verdict, f"{verdict.run_id} does not become baseline {name!r}: it is {verdict.verdict}")
    set_baseline(results, name, verdict.run_id, by=asked.by, note="gate --init")
    return _noted(verdict, f"this is the first night: {verdict.run_id} is baseline {name!r} from now on")


def _updated(results: Path, name: str, verdict: Verdict, asked: Gating) -> Verdict:
    if verdict.verdict != "passed":
        return _noted(verdict, f"baseline {name!r} stays: only a run that passed becomes it")
    if name not in baselines(results):
        raise StoreError(f"gate: --update: {name!r} is a run and no name of a baseline, so that it cannot be moved")
    set_baseline(results, name, verdict.run_id, by=asked.by, note="gate --update")
    return _noted(verdict, f"baseline {name!r} is {verdict.run_id} from now on")


def _noted(verdict: Verdict, note: str) -> Verdict:
    return dataclasses.replace(verdict, notes=(*verdict.notes, note))
