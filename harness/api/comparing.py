"""Runs against one another: comparison, gate, baselines, history, drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from harness.api.runs import Run, cache_folder
from harness.compare import CompareOptions, Report, compare_runs, named_runs
from harness.compare.verdicts import Correction, Test
from harness.drift import Drift
from harness.drift import drift as find_drift
from harness.errors import StoreError
from harness.gate.gating import Gating, gate_run
from harness.gate.policy import Policy
from harness.gate.verdict import Verdict
from harness.history import History, Selection
from harness.history import history as find_history
from harness.store import baselines as names
from harness.store import find_run, read_record, run_before


def compare(
    a: str | Path,
    *others: str | Path,
    results: str | Path = "results",
    tasks: Sequence[str] = (),
    metrics: Sequence[str] = (),
    allow: Sequence[str] = (),
    test: str = "auto",
    alpha: float = 0.05,
    correction: str = "holm",
    margin: float | None = None,
) -> Report:
    """Compare runs with the base ``a`` on the samples that they share.

    Parameters
    ----------
    a, others : runs as :func:`load` takes them, or ``RUN#ENTRY`` for an entry; ``a`` alone: its entries with its first.
    tasks, metrics : only these; none: all that they share.
    allow : what may differ all the same: ``data`` (samples of one id with other content), ``prompt``, ``task`` (its version).
    test : ``randomization``, ``bootstrap``, ``t`` (McNemar's for hits and misses of independent samples), or ``auto``: that for
        hits, randomisation up to 20,000 samples, else t.
    alpha : better or worse is what an adjusted p-value below it says; the intervals have the level 1 - alpha.
    correction : ``holm``, ``bh``, ``by`` or ``none``, over all comparisons that are made here.
    margin : a difference within plus or minus this is the same, where both one-sided tests say so.

    The report has ``comparisons``, one a task, metric and candidate; ``contrasts``, ``pairing``, ``flips``, ``slices``,
    ``provenance`` (what else is different) and ``refused`` (what must not be compared, and why). Raises NotComparable where
    nothing may be compared, UsageError for unknown names, StoreError for runs that are not there, unfinished or damaged.
    """
    named: list[str] = [str(run) for run in (a, *others)]
    base, candidate, *rest = named_runs(named, Path(results))
    options = CompareOptions(
        tasks=tuple(tasks), metrics=tuple(metrics), allow=frozenset(allow), test=cast(Test, test), alpha=alpha,
        correction=cast(Correction, correction), margin=margin,
    )  # fmt: skip
    return compare_runs(base, candidate, options, rest)


def gate(
    run: str | Path = "latest",
    *,
    baseline: str | Path | None = None,
    policy: str | Path | None = None,
    results: str | Path = "results",
    init: bool = False,
    update: bool = False,
    allow: Sequence[str] = (),
    by: str | None = None,
) -> Verdict:
    """Hold a run against the policy of its config, or of a file: has anything become worse than the baseline?

    Parameters
    ----------
    run : as :func:`load` takes it.
    baseline : the name of a baseline, or a run; None: what the policy says.
    policy : a YAML file with the keys of ``gate:``; None: that of the run's config.
    init : where no run has the baseline's name yet, this one gets it.
    update : a run that passes becomes the baseline.
    allow : what may differ from the baseline all the same: ``data``, ``prompt``, ``task``.
    by : who it is, for the log of baselines.

    The verdict has ``exit_code``: 0 passed, 1 regressed, 3 inconclusive, 4 infrastructure. It is put down in the log of the
    results folder. Raises UsageError for a rule that checks nothing and where there is no policy or no baseline, NotComparable
    where the baseline must not be compared with, StoreError for runs that are not there or damaged.
    """
    return gate_with_policy(
        run, baseline=baseline, policy=policy, results=results, init=init, update=update, allow=allow, by=by
    )[0]


def gate_with_policy(
    run: str | Path = "latest",
    *,
    baseline: str | Path | None = None,
    policy: str | Path | None = None,
    results: str | Path = "results",
    init: bool = False,
    update: bool = False,
    allow: Sequence[str] = (),
    by: str | None = None,
) -> tuple[Verdict, Policy]:
    """What :func:`gate` gives, and the policy: whom it notifies of what."""
    name, file = None if baseline is None else str(baseline), None if policy is None else Path(policy)
    return gate_run(str(run), Path(results), Gating(name, file, init, update, allow, by))


@dataclass(frozen=True)
class NamedBaseline:
    """What :func:`set_baseline` did; ``warnings`` are what speaks against that run."""

    change: names.Change
    warnings: tuple[str, ...]


def set_baseline(
    name: str, run: str | Path = "latest", *, results: str | Path = "results", by: str | None = None, note: str | None = None
) -> NamedBaseline:
    """Give a finished run of ``results`` a name, under which others are compared with it; ``by`` whom, for the log.

    Raises StoreError for a name that cannot be one and a run that is not there, not finished or in another folder.
    """
    folder, place = find_run(Path(results), str(run)), Path(results)
    if folder.resolve().parent != place.resolve():
        raise StoreError(f"baseline {name!r}: {folder} is not in the results folder {place}: give that with --results")
    record = read_record(folder)
    allowed = float(record.config.get("max_missing", Run.max_missing))
    units = record.counts["units"].items()
    warnings = [f"{unit}: {counts['missing']} of {counts['rows']} outputs are missing, more than max_missing {allowed:g}"
                for unit, counts in units if counts["missing"] > allowed * counts["rows"]]  # fmt: skip
    return NamedBaseline(names.set_baseline(place, name, folder.name, by=by, note=note), tuple(warnings))


def remove_baseline(
    name: str, *, results: str | Path = "results", by: str | None = None, note: str | None = None
) -> names.Change:
    """Forget a name; its run stays. Raises StoreError for a name that is not there."""
    return names.remove_baseline(Path(results), name, by=by, note=note)


def baselines(*, results: str | Path = "results") -> dict[str, names.Baseline]:
    """Every name and its run, whether or not that is still there."""
    return names.baselines(Path(results))


def baseline(name: str, *, results: str | Path = "results") -> tuple[names.Baseline, tuple[names.Change, ...]]:
    """What a name stands for, and its log, oldest first. Raises StoreError for a name that is not there."""
    log = tuple(change for change in names.baseline_log(Path(results)) if change.name == name)
    return names.baseline_named(Path(results), name), log


def history(
    config: str | None = None, *, task: str | None = None, metric: str | None = None, entry: str | None = None, last: int = 50,
    results: str | Path = "results",
) -> History:  # fmt: skip
    """How the numbers of a config moved from run to run, with change points and what changed there.

    ``config`` None: that of the latest run. ``task``, ``metric`` and ``entry`` are names or patterns; by default every task's
    primary metric. ``last``: the newest so many runs, 0: all. Damaged runs are left out and named in the notes.
    """
    return find_history(Path(results), Selection(config, task, metric, entry, last))


def drift(
    run: str | Path = "latest", base: str | Path | None = None, *, measures: Sequence[str] | None = None,
    results: str | Path = "results", cache_dir: str | Path | None = None,
) -> tuple[Drift, ...]:  # fmt: skip
    """How far the inputs, outputs and service of a run are from those of another (None: the run of its config before it).

    ``measures``: names of ``harness.drift.MEASURES``; None: all that need no encoder. Raises UsageError for an unknown one and
    for runs without a task in common.
    """
    folder, other = drift_folders(run, base, results=results)
    return find_drift(folder, other, measures, cache_dir=cache_folder(cache_dir))


def drift_folders(run: str | Path, base: str | Path | None, *, results: str | Path = "results") -> tuple[Path, Path]:
    """The folders of a run and of what it is held against. Raises StoreError where there is none before it."""
    folder = find_run(Path(results), str(run))
    return folder, find_run(Path(results), str(base)) if base is not None else run_before(folder)
