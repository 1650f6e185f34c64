"""Runs: doing one, looking at one, scoring one again, knowing beforehand, measuring their noise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config import RunConfig, load_run
from harness.config.devices import on_device
from harness.engine.events import Listener
from harness.engine.forecast import Forecast
from harness.engine.forecast import forecast as make_forecast
from harness.engine.plan import Plan, make_plan
from harness.engine.preview import FirstPrompt, first_prompts
from harness.engine.rescore import rescore_run
from harness.engine.run import RunOptions, exit_code, run_plan
from harness.errors import MetricError, ServiceDown
from harness.frames import frame_of_columns
from harness.noise import measure_noise
from harness.report.leaderboard import write_leaderboard
from harness.store import find_run, is_finished, read_record, read_samples, run_folders, samples_table, slug
from harness.store.noise import Noise, RunNoise, write_noise
from harness.types import RunRecord, Sample

if TYPE_CHECKING:
    import pandas as pd


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
        return frame_of_columns(_sample_columns(self.to_arrow()))


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
    _check_metrics(plan)
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


def load(run: str | Path = "latest", *, results: str | Path = "results") -> Run:
    """A finished run: a path, an id or the beginning of one, ``latest``, ``latest~1``, ``latest:CONFIG``."""
    folder = find_run(Path(results), str(run))
    return Run(read_record(folder), folder)


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


def cache_folder(given: str | Path | None = None) -> Path:
    """The folder given, or the user's cache folder of this system."""
    if given is not None:
        return Path(given)
    import platformdirs

    return Path(platformdirs.user_cache_dir("harness-eval", appauthor=False))


def _check_metrics(plan: Plan) -> None:
    """What a metric refuses of the samples, which it would say before the first answer too. Those that need a model wait."""
    for task in {unit.task.name: unit.task for unit in plan.units}.values():
        for spec, metric in zip(task.metric_specs, task.metrics):
            if metric.needs_roles():
                continue
            try:
                metric.prepare(plan.task_data(task))
            except MetricError as error:
                raise MetricError(f"task {task.name}, metric {spec}: {error}") from error


def _gate_warnings(config: RunConfig, plan: Plan) -> list[str]:
    """Rules of the gate that the data are too few for."""
    if config.gate is None:
        return []
    from harness.gate.planned import PlannedTask, warnings
    from harness.gate.policy import Policy

    tasks, policy = {unit.task.name: unit.task for unit in plan.units}, Policy.of(config.gate)
    counts_slices = any(rule.slice is not None for rule in policy.rules)
    planned = [
        PlannedTask(
            name, plan.task_data(task).facts.n, dict(zip(task.metric_specs, task.metrics)),
            tuple((unit.entry, unit.model.name) for unit in plan.units if unit.task.name == name),
            _slice_sizes(plan.task_data(task)) if counts_slices else {},
        )
        for name, task in tasks.items()
    ]  # fmt: skip
    return warnings(policy, planned)


def _slice_sizes(samples: Iterable[Sample]) -> Counter[str]:
    """``topic=law`` → its samples."""
    return Counter(f"{name}={value}" for sample in samples for name, value in sample.slices.items())


def _sample_columns(table: Any) -> dict[str, list[Any]]:
    """The columns of stored samples, of metrics the values."""
    columns: dict[str, list[Any]] = {}
    for name in table.column_names:
        values = table.column(name).to_pylist()
        if name.startswith("metric."):
            columns[name.removeprefix("metric.")] = [None if value is None else value["value"] for value in values]
        else:
            columns[name] = values
    return columns
