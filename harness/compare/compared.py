"""Runs against a base, whole: every metric of every task they share, with what explains it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.compare.comparable import ALLOWED, NotComparable
from harness.compare.flips import FlipCount, flip_count, flip_metric
from harness.compare.omnibus import Omnibus, omnibus
from harness.compare.provenance import Change, provenance
from harness.compare.runs import StoredRun
from harness.compare.slices import SliceMove, corrected, slice_moves
from harness.compare.tasks import PairedTask, Resampling, paired_tasks, unpaired
from harness.compare.verdicts import Compared, Correction, Test, Testing, compared, concluded
from harness.errors import HarnessError, StoreError, UsageError, did_you_mean
from harness.frames import frame_of_rows
from harness.stats.contrast import Contrast
from harness.types import Comparison

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """What is compared and how. No tasks or metrics: all that the runs share. See ``Testing`` for the last four."""

    tasks: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    allow: frozenset[str] = frozenset()
    test: Test = "auto"
    alpha: float = 0.05
    correction: Correction = "holm"
    margin: float | None = None
    n_bootstrap: int = 1000
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in sorted(self.allow):
            if name not in ALLOWED:
                raise UsageError(f"compare: allow takes {', '.join(ALLOWED)}, got {name!r}{did_you_mean(name, ALLOWED)}")
        if self.n_bootstrap < 1:
            raise UsageError(f"compare: n_bootstrap must be positive, got {self.n_bootstrap}")

    @property
    def testing(self) -> Testing:
        return Testing(self.test, self.alpha, self.correction, self.margin)

    @property
    def resampling(self) -> Resampling:
        """The interval has the level that belongs to alpha."""
        return Resampling(1 - self.alpha, self.n_bootstrap, self.seed)


@dataclass(frozen=True, slots=True)
class PairFacts:
    """The samples of one entry on one task, counted: in both, only in ``b``, only in ``a``, of other content; some ids."""

    task: str
    entry: str
    base_entry: str
    run: str
    n_pairs: int
    n_added: int
    n_removed: int
    n_changed: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What comparing found. ``rows`` are the comparisons with what they are made of, in the order of the base's tasks.

    ``refused`` says what must not be compared and why; ``notes`` what only one side has. ``provenance`` has the changes of each
    candidate against the base, ``runs`` the base first.
    """

    runs: tuple[StoredRun, ...]
    options: CompareOptions
    rows: tuple[Compared, ...]
    pairing: tuple[PairFacts, ...]
    flips: tuple[FlipCount, ...]
    slices: tuple[SliceMove, ...]
    provenance: tuple[tuple[Change, ...], ...]
    omnibus: tuple[Omnibus, ...] = ()
    refused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    pairs: tuple[PairedTask, ...] = field(default=(), repr=False)

    def __repr__(self) -> str:
        ids = [run.record.run_id for run in self.runs]
        verdicts = Counter(row.comparison.verdict for row in self.rows)
        found = ", ".join(f"{n} {verdict}" for verdict, n in verdicts.most_common()) or "nothing compared"
        return f"<Report of {', '.join(ids[1:])} against {ids[0]}: {found}>"

    def to_pandas(self) -> pd.DataFrame:
        """The comparisons as a data frame, a row each; its columns are those of ``harness compare --json``.

        Raises MissingDependency if pandas is not installed.
        """
        rows = [row.fields() for row in self.rows]  # there is no report of none
        return frame_of_rows(rows, list(rows[0]))

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        return tuple(row.comparison for row in self.rows)

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        return tuple(row.contrast for row in self.rows)


def compare_runs(
    a: Path | StoredRun,
    b: Path | StoredRun,
    options: CompareOptions = CompareOptions(),
    others: Sequence[Path | StoredRun] = (),
) -> Report:
    """Compare ``b``, and ``others``, with the base ``a``, all corrected together.

    Raises StoreError for what is no finished run or is damaged, UsageError for unknown tasks and metrics, and NotComparable
    where nothing at all may be compared, with the first reason.
    """
    base, *candidates = (run if isinstance(run, StoredRun) else StoredRun.open(run) for run in (a, b, *others))
    testing = options.testing
    everything = [(run, list(paired_tasks(base, run, options.allow, options.resampling))) for run in candidates]
    pairs = _selected([pair for _, found in everything for pair in found], base, candidates, options)
    work = _Work(options, testing)
    for pair in pairs:
        work.add(pair)
    if not work.rows:
        raise NotComparable(_nothing(work.refused, base, candidates))
    return Report(
        runs=(base, *candidates),
        options=options,
        rows=concluded(work.rows, testing),
        pairing=tuple(_facts(pair) for pair in work.comparable),
        flips=tuple(work.flips),
        slices=corrected(work.slices, testing),
        provenance=tuple(
            provenance(base, run, [(pair.a, pair.b) for pair in work.comparable if pair.b.run is run]) for run in candidates
        ),
        omnibus=tuple(omnibus(work.comparable)) if len(_candidates(work.comparable)) > 1 else (),
        refused=tuple(dict.fromkeys(work.refused)),
        notes=tuple(dict.fromkeys(_notes(base, candidates))),
        pairs=tuple(work.comparable),
    )


class _Work:
    """Pair by pair: one pair's rows are in memory at a time, and one metric's beside those of the flips."""

    def __init__(self, options: CompareOptions, testing: Testing) -> None:
        self.options, self.testing = options, testing
        self.rows: list[Compared] = []
        self.flips: list[FlipCount] = []
        self.slices: list[SliceMove] = []
        self.refused: list[str] = []
        self.comparable: list[PairedTask] = []

    def add(self, pair: PairedTask) -> None:
        if pair.refusals:
            self.refused += pair.refusals
            return
        done = [name for name in self._metrics(pair) if self._compare(pair, name)]
        if not done:
            return
        self.comparable.append(pair)
        flipping = flip_metric(pair, done if self.options.metrics else ())
        if flipping is not None:
            self.flips.append(flip_count(pair, flipping))
        moving = done if self.options.metrics else [name for name in done if name == pair.primary] or done[:1]
        for name in moving:
            self.slices += slice_moves(pair, name)
        for name in pair.metrics:
            pair.forget(name)

    def _metrics(self, pair: PairedTask) -> list[str]:
        """The primary one first."""
        names = [name for name in pair.metrics if not self.options.metrics or name in self.options.metrics]
        return sorted(names, key=lambda name: name != pair.primary)

    def _compare(self, pair: PairedTask, metric: str) -> bool:
        refusal = pair.refusal(metric)
        if refusal is not None:
            self.refused.append(refusal)
            return False
        try:
            self.rows.append(compared(pair, metric, self.testing))
        except StoreError:
            raise
        except HarnessError as error:
            self.refused.append(f"task {pair.task}: metric {metric} cannot be scored again: {error}")
            return False
        finally:
            if metric != pair.primary:
                pair.forget(metric)
        return True


def _selected(
    pairs: Sequence[PairedTask], base: StoredRun, candidates: Sequence[StoredRun], options: CompareOptions
) -> list[PairedTask]:
    """Those of the tasks that are wanted. Raises UsageError for names that no pair has."""
    if not pairs:
        raise NotComparable(_nothing((), base, candidates))
    tasks = list(dict.fromkeys(pair.task for pair in pairs))
    for task in options.tasks:
        if task not in tasks:
            raise UsageError(f"compare: these runs have no task {task!r} in common{did_you_mean(task, tasks)}")
    chosen = [pair for pair in pairs if not options.tasks or pair.task in options.tasks]
    metrics = list(dict.fromkeys(name for pair in chosen for name in pair.metrics))
    for metric in options.metrics:
        if metric not in metrics:
            raise UsageError(f"compare: these runs have no metric {metric!r} in common{did_you_mean(metric, metrics)}")
    return [pair for pair in chosen if not options.metrics or set(options.metrics) & set(pair.metrics)]


def _nothing(refused: Sequence[str], base: StoredRun, candidates: Sequence[StoredRun]) -> str:
    """Why there is nothing to compare."""
    if refused:
        more = len(set(refused)) - 1
        return f"{refused[0]}{f' (and {more} more)' if more else ''}"
    ours, theirs = base.tasks, list(dict.fromkeys(task for run in candidates for task in run.tasks))
    if not set(ours) & set(theirs):
        return (f"nothing to compare: no task is in both ({base.record.run_id}: {', '.join(ours)}; "
                f"{candidates[0].record.run_id}: {', '.join(theirs)})")
    return (f"nothing to compare: no entry is in both ({', '.join(base.entries)} and {', '.join(candidates[0].entries)}): "
            f"name one of each, as RUN#ENTRY")


def _candidates(pairs: Iterable[PairedTask]) -> set[tuple[str, str]]:
    return {(pair.b.run.record.run_id, pair.b.entry) for pair in pairs}


def _facts(pair: PairedTask, most: int = 20) -> PairFacts:
    found = pair.pairing
    return PairFacts(
        pair.task, pair.entry, pair.a.entry, pair.b.run.record.run_id, found.n, len(found.added), len(found.removed),
        len(found.changed), found.added[:most], found.removed[:most], found.changed[:most],
    )  # fmt: skip


def _notes(base: StoredRun, candidates: Sequence[StoredRun]) -> Iterator[str]:
    for run in candidates:
        if run.path == base.path and run.entry == base.entry:
            yield f"{run.record.run_id} is compared with itself"
        else:
            yield from unpaired(base, run)
