"""The Python face of the harness: ``run``, ``rescore``, ``load``, ``score``. The commands call these and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness.compare import CompareOptions, Report, compare_runs, named_runs
from harness.compare.verdicts import Correction, Test
from harness.config import RunConfig, load_run
from harness.config.devices import on_device
from harness.drift import Drift
from harness.drift import drift as find_drift
from harness.engine.events import Listener
from harness.engine.forecast import Forecast
from harness.engine.forecast import forecast as make_forecast
from harness.engine.plan import Plan, make_plan
from harness.engine.preview import FirstPrompt, first_prompts
from harness.engine.rescore import rescore_run
from harness.engine.run import RunOptions, exit_code, run_plan
from harness.engine.score import Reading, ScoreResult, score
from harness.errors import ServiceDown, StoreError
from harness.gate.gating import Gating, gate_run
from harness.gate.policy import Policy
from harness.gate.verdict import Verdict
from harness.history import History, Selection
from harness.history import history as find_history
from harness.noise import measure_noise
from harness.report.leaderboard import write_leaderboard
from harness.store import baselines as names
from harness.store import find_run, is_finished, read_record, read_samples, run_before, run_folders, samples_table, slug
from harness.store.noise import Noise, RunNoise, write_noise
from harness.types import RunRecord

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Checked", "Forecast", "Reading", "Run", "ScoreResult", "baseline", "baselines", "check", "compare", "drift",
           "forecast", "gate", "history", "load", "rescore", "run", "score", "set_baseline"]  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A finished run: its record, and its samples when asked for."""

    record: RunRecord
    path: Path
    max_missing: float = 0.01

    @property
    def run_id(self) -> str:
        return self.record.run_id

    @property
    def estimates(self) -> tuple[Mapping[str, Any], ...]:
        """One mapping an entry × task × metric: value, low, high, level, n, n_missing, …"""
        return self.record.estimates

    @property
    def exit_code(self) -> int:
        """0, or 4 where more than ``max_missing`` of some unit's outputs are missing."""
        return exit_code(self.record, self.max_missing)

    def samples(
        self, columns: Sequence[str] | None = None, where: Mapping[str, str] | None = None
    ) -> Iterator[dict[str, list[Any]]]:
        """Blocks of rows as columns, streaming."""
        return read_samples(self.path, columns, where)

    def to_arrow(self) -> Any:
        """All samples as a pyarrow Table."""
        return samples_table(self.path)

    def to_pandas(self) -> pd.DataFrame:
        """All samples as a data frame, a row a model × task × sample × repeat; ``<metric>`` columns hold the values.

        Raises MissingDependency if pandas is not installed.
        """
        return _frame(self.to_arrow())


@dataclass(frozen=True)
class Checked:
    """What ``harness validate`` found out without loading a model."""

    config: RunConfig
    plan: Plan
    prompts: tuple[FirstPrompt, ...]
    warnings: tuple[str, ...] = ()


def run(
    config: str | Path,
    *,
    results: str | Path = "results",
    overrides: Sequence[str] = (),
    device: str | None = None,
    cache_dir: str | Path | None = None,
    use_cache: bool = True,
    new: bool = False,
    listener: Listener = lambda event: None,
    command: str | None = None,
) -> Run:
    """Do what a run config says, or go on with it where it was stopped; works inside a running event loop too.

    Parameters
    ----------
    config : the YAML file.
    results : the folder that gets the run's folder.
    overrides : ``"models.a.dtype=float32"``, as with ``--set``.
    device : where every model and role that runs here shall run: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
    cache_dir : where answers, weights and indexes are kept; None: the user's cache folder.
    use_cache : False asks every model anew (weights and indexes are still kept).
    new : start a new run even if an unfinished one has the same plan.
    listener : is called with the events of ``harness.engine.events``.

    Raises ConfigError, DataError, BackendError …: every one a HarnessError with its exit code; Interrupted on Ctrl-C.
    """
    loaded = on_device(load_run(Path(config), overrides), device)
    options = RunOptions(
        results=Path(results), cache_dir=cache_folder(cache_dir), use_cache=use_cache, new=new, listener=listener,
        command=command or f"harness run {config}",
    )  # fmt: skip
    record = run_plan(make_plan(loaded), options, write_leaderboard)
    return Run(record, options.results / record.run_id, loaded.max_missing)


def check(config: str | Path, overrides: Sequence[str] = ()) -> Checked:
    """Everything that can be known of a config without loading a model: its faults, its data, the first prompts, and the rules
    of its gate that so few samples cannot decide."""
    loaded = load_run(Path(config), overrides)
    plan = make_plan(loaded)
    return Checked(loaded, plan, tuple(first_prompts(plan)), tuple(_gate_warnings(loaded, plan)))


def forecast(
    config: str | Path,
    *,
    results: str | Path = "results",
    overrides: Sequence[str] = (),
    device: str | None = None,
    cache_dir: str | Path | None = None,
    use_cache: bool = True,
    new: bool = False,
) -> Forecast:
    """What :func:`run` with the same arguments would ask, read, write, cost and take. No model is loaded or asked."""
    loaded = on_device(load_run(Path(config), overrides), device)
    return make_forecast(make_plan(loaded), Path(results), cache_folder(cache_dir), use_cache=use_cache, new=new)


def rescore(
    run: str | Path, *, metrics: Sequence[str] = (), results: str | Path = "results", listener: Listener = lambda event: None
) -> Run:
    """Score the stored answers of a run again, with its own metrics or with others; the new run's ``parent`` is the old one.

    ``listener`` is called with a ``Note`` of ``harness.engine.events`` for each thing to know, such as a sample that is lost.
    """
    folder = find_run(Path(results), str(run))
    record = rescore_run(folder, Path(results), metrics, write_leaderboard, listener)
    return Run(record, Path(results) / record.run_id)


@dataclass(frozen=True)
class MeasuredNoise:
    """How much the numbers of a config move from run to run: entry → task → metric → :class:`harness.store.noise.RunNoise`."""

    config: str
    runs: tuple[str, ...]
    noise: Noise

    def rows(self) -> Iterator[tuple[str, str, str, RunNoise]]:
        """(entry, task, metric, noise), in the order of the runs' estimates."""
        for entry, tasks in self.noise.items():
            for task, metrics in tasks.items():
                for metric, found in metrics.items():
                    yield entry, task, metric, found


def noise(
    config: str | Path,
    *,
    repeats: int = 5,
    results: str | Path = "results",
    overrides: Sequence[str] = (),
    new: bool = False,
    cache_dir: str | Path | None = None,
    listener: Listener = lambda event: None,
) -> MeasuredNoise:
    """Run a config until there are ``repeats`` finished runs of its plan in ``results``/noise, each asking every model anew.

    What they say of the noise is kept in ``results``/noise.json, where the gate finds it. ``new`` leaves out the runs that are
    there already. Raises what :func:`run` raises, and ServiceDown where a run has more missing outputs than the config allows;
    such a run is kept, and left out.
    """
    loaded = load_run(Path(config), overrides)
    place, plan_hash = Path(results) / "noise" / slug(loaded.name), make_plan(loaded).plan_hash
    before = set(run_folders(place)) if new else set()

    def done() -> list[Path]:
        return [folder for folder in run_folders(place) if folder not in before and is_finished(folder)
                and (record := read_record(folder)).plan_hash == plan_hash and not exit_code(record, loaded.max_missing)]

    while len(done()) < repeats:
        made = run(config, results=place, overrides=overrides, cache_dir=cache_dir, use_cache=False, listener=listener,
                   command=f"harness noise {config} --repeats {repeats}")
        if made.exit_code:
            raise ServiceDown(f"noise: {made.path} has more missing outputs than max_missing allows, and is left out; "
                              "the same command goes on")
    folders = done()
    found = measure_noise(folders)
    write_noise(Path(results), loaded.name, [folder.name for folder in folders], found)
    return MeasuredNoise(loaded.name, tuple(folder.name for folder in folders), found)


def load(run: str | Path = "latest", *, results: str | Path = "results") -> Run:
    """A finished run: a path, an id or the beginning of one, ``latest``, ``latest~1``, ``latest:CONFIG``."""
    folder = find_run(Path(results), str(run))
    return Run(read_record(folder), folder)


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


def _gate_warnings(config: RunConfig, plan: Plan) -> list[str]:
    """Rules of the gate that the data are too few for."""
    if config.gate is None:
        return []
    from harness.gate.planned import PlannedTask, warnings

    tasks = {unit.task.name: unit.task for unit in plan.units}
    planned = [
        PlannedTask(
            name, plan.task_data(task).facts.n, dict(zip(task.metric_specs, task.metrics)),
            tuple((unit.entry, unit.model.name) for unit in plan.units if unit.task.name == name),
        )
        for name, task in tasks.items()
    ]  # fmt: skip
    return warnings(Policy.of(config.gate), planned)


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


def cache_folder(given: str | Path | None = None) -> Path:
    """The folder given, or the user's cache folder of this system."""
    if given is not None:
        return Path(given)
    import platformdirs

    return Path(platformdirs.user_cache_dir("harness-eval", appauthor=False))


def _frame(table: Any) -> pd.DataFrame:
    from harness.errors import MissingDependency

    try:
        import pandas as pd
    except ImportError as error:
        raise MissingDependency("to_pandas", ["pandas"], "notebook") from error
    columns: dict[str, Any] = {}
    for name in table.column_names:
        values = table.column(name).to_pylist()
        if name.startswith("metric."):
            columns[name.removeprefix("metric.")] = [None if value is None else value["value"] for value in values]
        else:
            columns[name] = values
    return pd.DataFrame(columns)
