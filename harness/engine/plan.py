"""From a validated config to what will be done: units (model × task × cell), their data, and the hash that resuming goes by."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.codec import digest, dumps
from harness.config import Cell, ModelConfig, RunConfig, TaskConfig
from harness.config.yamltree import shown
from harness.data.dataset import DataFacts, Dataset, SampleMapping
from harness.engine.datachecks import data_notes, data_problems
from harness.engine.roles import is_source
from harness.errors import ConfigError, HarnessError, did_you_mean
from harness.plugins import catalogue
from harness.protocols import Metric, lacking
from harness.types import Ask, Corpus, Request, Sample

PLAN_SCHEMA = 1
ANSWER_NEEDS = frozenset(
    {"text", "label", "probabilities", "logprobs", "likelihoods", "ranking", "number", "vectors", "tags", "ratings", "outcomes",
     "timing", "usage"}
)
"""Those words of ``Metric.needs`` that an answer, not a sample, has to satisfy."""


def answer_needs(metric: Metric) -> frozenset[str]:
    """Those of its needs that an answer has to satisfy; ``a|b`` may be satisfied by either."""
    return frozenset(need for need in metric.needs if ANSWER_NEEDS & set(need.split("|")))


_SAMPLE_NEEDS = ("references", "target", "choices")
"""Those that a sample has only where its task says so."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One model on one task in one cell of the matrix. ``cell`` is "" where no axis touches it."""

    index: int
    model: ModelConfig
    task: TaskConfig
    cell: str

    @property
    def entry(self) -> str:
        """The name under which it stands on the leaderboard."""
        return f"{self.model.name} [{self.cell}]" if self.cell else self.model.name


@dataclass(frozen=True, slots=True)
class LoadedData:
    """The samples of a task, read once to be counted and hashed; every iteration reads them afresh."""

    dataset: Dataset
    facts: DataFacts
    documents: Corpus | None

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.dataset)

    def split(self, split: str) -> Iterable[Sample]:
        return self.dataset.split(split)

    def corpus(self) -> Corpus | None:
        return self.documents

    def fingerprint(self) -> str:
        """The hash of the samples and, where there is one, of the corpus."""
        return self.facts.fingerprint + ("" if self.documents is None else f"+{self.documents.fingerprint}")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a run is going to do, before any model is loaded."""

    config: RunConfig
    units: tuple[Unit, ...]
    data: Mapping[str, LoadedData]
    plan_hash: str
    notes: tuple[str, ...] = ()

    def task_data(self, task: TaskConfig) -> LoadedData:
        return self.data[_data_key(task)]


def make_plan(config: RunConfig) -> Plan:
    """Pair models with tasks, read all data once, ask every task for its first request, and hash what determines the answers.

    Raises ConfigError where a task finds no model, a model no task or a metric not what it needs, where examples or fields of
    a prompt are not there; DataError for the data.
    """
    units = _units(config)
    _check(config, units)
    data: dict[str, LoadedData] = {}
    for unit in units:
        key = _data_key(unit.task)
        if key not in data:
            dataset = open_dataset(unit.task)
            data[key] = LoadedData(dataset, dataset.scan(), dataset.corpus())
    _check_requests(units, data)
    notes = (*_check_data(units, data), *_unpriced(config, units))
    return Plan(config, units, data, _plan_hash(config, units, data), notes)


def open_dataset(task: TaskConfig) -> Dataset:
    """The samples of a task, not yet read. The task's choices are those of every sample that has none of its own, and the unit
    of an experiment is its samples' cluster."""
    fields = dict(task.sample)
    if _choices(task):
        fields.setdefault("choices", list(_choices(task)))
    if getattr(task.suite, "unit", ""):
        fields.setdefault("group", task.suite.unit)  # type: ignore[attr-defined]
    return Dataset(task.source, SampleMapping(fields), task.limit, task.name)


def first_request(task: TaskConfig, data: LoadedData) -> tuple[Sample, Request | None]:
    """The first sample of a task, and what it is asked first; None where the suite answers by itself or fails on it.

    Raises a HarnessError for examples or fields of its prompt that are not there.
    """
    sample = next(iter(data))
    play = task.suite.prepare(data).play(sample)
    try:
        return sample, next(play, None)
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError):
        return sample, None  # in a run this sample is missing, with the reason


def providers(request_types: Iterable[type]) -> list[str]:
    """The names of the backends that provide all of these request types."""
    wanted = set(request_types)
    return [name for name, cls in catalogue("backend").items() if wanted <= set(getattr(cls, "provides", ()))]


def request_name(request_type: type[Request] | type) -> str:
    return request_type.__name__


# ── pairing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _units(config: RunConfig) -> tuple[Unit, ...]:
    seen: dict[bytes, Unit] = {}
    relevant: dict[tuple[str, str], tuple[str, ...]] = {}
    model_names = list(config.cells[0].models)
    for name in model_names:
        for cell in config.cells:
            for task in cell.tasks:
                model = cell.models[name]
                if not _takes(task, model):
                    continue
                pair = (name, task.name)
                if pair not in relevant:
                    relevant[pair] = _relevant_axes(config.cells, name, task.name)
                identity = _identity(model, task)
                if identity not in seen:
                    seen[identity] = Unit(len(seen), model, task, cell_label(cell.axes, relevant[pair]))
    return tuple(_by_model(seen.values()))


def _by_model(units: Iterable[Unit]) -> list[Unit]:
    """Units in an order that loads every model once, renumbered."""
    groups: dict[bytes, list[Unit]] = {}
    for unit in units:
        groups.setdefault(dumps([unit.model.name, unit.model.options]), []).append(unit)
    ordered = [unit for group in groups.values() for unit in group]
    return [Unit(index, unit.model, unit.task, unit.cell) for index, unit in enumerate(ordered)]


def _takes(task: TaskConfig, model: ModelConfig) -> bool:
    if task.models is not None:
        return model.name in task.models
    return task.suite.needs() <= model.backend.provides


def _relevant_axes(cells: Sequence[Cell], model: str, task_name: str) -> tuple[str, ...]:
    """The axes along which this pair changes; the others would only repeat it."""
    changed = set()
    points = [(cell.axes, _identity(cell.models[model], _task(cell, task_name))) for cell in cells]
    for axes, identity in points:
        for other_axes, other_identity in points:
            different = [axis for axis in axes if dumps(axes[axis]) != dumps(other_axes[axis])]
            if len(different) == 1 and identity != other_identity:
                changed.add(different[0])
    return tuple(axis for axis in (cells[0].axes if cells else ()) if axis in changed)


def _task(cell: Cell, name: str) -> TaskConfig:
    return next(task for task in cell.tasks if task.name == name)


def _identity(model: ModelConfig, task: TaskConfig) -> bytes:
    return dumps([model.name, model.options, task.document])


def cell_label(axes: Mapping[str, Any], shown: Sequence[str]) -> str:
    """``temperature=0.7, prompt=terse``: the last part of each axis and its value."""
    return ", ".join(f"{axis.rsplit('.', 1)[-1]}={_axis_value(axes[axis])}" for axis in shown)


def _axis_value(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value).decode()


# ── checks ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _check(config: RunConfig, units: Sequence[Unit]) -> None:
    problems = []
    for cell in config.cells:
        for task in cell.tasks:
            problems += [*_model_problems(task, cell.models), *_metric_problems(task)]
    for name, model in config.cells[0].models.items():
        if not any(unit.model.name == name for unit in units) and not problems:
            what = f"model {name!r} (backend {model.backend_name}) can answer none of the tasks"
            problems.append(f"{model.place or shown(config.path)}: {what}")
    for cell in config.cells:
        for role_user in [*cell.models.values(), *config.roles.values()]:
            problems += _role_problems(config, role_user)
        for task in cell.tasks:
            problems += _metric_role_problems(config, task)
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))


def _check_requests(units: Sequence[Unit], data: Mapping[str, LoadedData]) -> None:
    problems = []
    for task in {id(unit.task): unit.task for unit in units}.values():
        loaded = data[_data_key(task)]
        try:
            first_request(task, loaded)
            if not loaded.facts.alike:
                _check_every_request(task, loaded)
        except HarnessError as error:
            problems.append(f"{_request_place(task, str(error))}: {error}")
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))


def _check_data(units: Sequence[Unit], data: Mapping[str, LoadedData]) -> tuple[str, ...]:
    """Raise what keeps a task from fitting its data; return what is worth a note."""
    problems: list[str] = []
    notes: list[str] = []
    for task in {id(unit.task): unit.task for unit in units}.values():
        loaded = data[_data_key(task)]
        problems += data_problems(task, loaded.facts.has, loaded)
        notes += data_notes(task, loaded, loaded.corpus())
    for unit in units:
        if Ask in unit.task.suite.needs() and "input" not in unit.task.sample and unit.model.backend.cacheable != "never":
            what = f"model {unit.model.name!r} would be handed the whole row, the answer among it"
            problems.append(f"{unit.task.where('sample')}: {what}: name the fields that it may see under sample.input")
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return tuple(dict.fromkeys(notes))


def _unpriced(config: RunConfig, units: Sequence[Unit]) -> list[str]:
    """Models that a budget in money cannot see."""
    if config.budget is None or config.budget.max_cost is None:
        return []
    names = dict.fromkeys(unit.model.name for unit in units if getattr(unit.model.backend, "prices", ...) is None)
    unseen = "has no prices; only what it tells of its cost itself is counted"
    return [f"budget.max_cost: model {name!r} {unseen}" for name in names]


def _request_place(task: TaskConfig, message: str) -> str:
    """Where the key is written that a message speaks of: "prompt.text: no …", "prompt.shots: n must …" (``prompt.shots.n``)."""
    spoken = re.search(r"\b(prompt\.\w+): (\w+)", message)
    keys = (f"{spoken[1]}.{spoken[2]}", spoken[1]) if spoken else ()
    return task.where(*keys, "prompt", "query", "text", "suite")


def _check_every_request(task: TaskConfig, data: LoadedData) -> None:
    """Where rows have different fields, the first one's prompt says nothing of the others': ask for all of them."""
    suite = task.suite.prepare(data)
    for sample in data:
        with contextlib.suppress(TypeError, ValueError, LookupError, AttributeError, ArithmeticError):
            next(suite.play(sample), None)


def _model_problems(task: TaskConfig, models: Mapping[str, ModelConfig]) -> list[str]:
    problems = []
    needed = task.suite.needs()
    names = " and ".join(sorted(request_name(t) for t in needed))
    could = f"backends that could: {', '.join(providers(needed)) or 'none is installed'}"
    if not any(_takes(task, model) for model in models.values()):
        what = f"task {task.name!r} (suite {task.suite_name}) needs {names}"
        if Ask in needed and getattr(task.suite, "prompt", "") is None:
            what += ", since it has no prompt"
        problems.append(f"{task.where('suite')}: {what}; no model of this run gives it; {could}")
    for name in task.models or ():
        backend = models[name].backend
        if not needed <= backend.provides:
            lacking = " and ".join(sorted(request_name(t) for t in needed - backend.provides))
            what = f"model {name!r} (backend {backend.name}) does not give it"
            problems.append(f"{task.where('models')}: task {task.name!r} needs {lacking}; {what}; {could}")
    return problems


def _metric_problems(task: TaskConfig) -> list[str]:
    problems, gives = [], task.suite.gives()
    has = {key for key in _SAMPLE_NEEDS if task.sample.get(key) is not None} | ({"choices"} if _choices(task) else set())
    for spec, metric in zip(task.metric_specs, task.metrics):
        where = task.where(f"metrics.{spec}")
        lacking_kinds = lacking(answer_needs(metric), gives)
        if lacking_kinds:
            needs = f"metric {spec} needs {' and '.join(lacking_kinds).replace('|', ' or ')}"
            problems.append(f"{where}: {needs}; suite {task.suite_name} gives {', '.join(sorted(gives))}")
        for need in _SAMPLE_NEEDS:
            if need in metric.needs and need not in has:
                what = f"metric {spec} needs {need}, which no sample of task {task.name!r} has"
                problems.append(f"{where}: {what}: add {need}: under sample:")
    return problems


def _metric_role_problems(config: RunConfig, task: TaskConfig) -> list[str]:
    problems = []
    for spec, metric in zip(task.metric_specs, task.metrics):
        for role, request_type in metric.needs_roles().items():
            served_by, where = config.roles.get(role), task.where(f"metrics.{spec}")
            if served_by is None and not is_source(role):
                hint = did_you_mean(role, config.roles)
                problems.append(f"{where}: metric {spec} needs the role {role!r}: add it under roles:{hint}")
            elif served_by is not None and request_type not in served_by.backend.provides:
                what = f"backend {served_by.backend.name} does not"
                problems.append(f"{where}: metric {spec}: role {role!r} must give {request_name(request_type)}; {what}")
    return problems


def _role_problems(config: RunConfig, user: ModelConfig) -> list[str]:
    problems = []
    for role, request_type in user.backend.needs_roles().items():
        served_by = config.roles.get(role)
        if served_by is None:
            where = user.place or shown(config.path)
            problems.append(f"{where}: model {user.name!r} needs the role {role!r}: add it under roles:")
        elif request_type not in served_by.backend.provides:
            what = f"backend {served_by.backend.name} does not"
            where = served_by.place or shown(config.path)
            problems.append(f"{where}: role {role!r} must give {request_name(request_type)}; {what}")
    return problems


# ── hashing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _what_answers(model: ModelConfig) -> dict[str, Any]:
    """The keys of a model's entry but for those that only say how fast it answers."""
    return {key: value for key, value in model.options.items() if key not in model.backend.tuning}


def _data_key(task: TaskConfig) -> str:
    """What decides which samples a task has: the source with its paths found, the mapping, the choices, the limit."""
    source = task.source
    return digest(dumps([type(source).__qualname__, source, task.sample, _choices(task), task.limit]))


def _choices(task: TaskConfig) -> Sequence[str]:
    """The task's own choices, for samples that have none."""
    choices: Sequence[str] = getattr(task.suite, "choices", ())
    return choices


_NOT_ANSWERS = frozenset({"metrics", "primary", "models", "version", "language"})


def _plan_hash(config: RunConfig, units: Sequence[Unit], data: Mapping[str, LoadedData]) -> str:
    """Models, tasks, data, prompts, decoding, seeds: what the answers depend on, and nothing else."""
    parts = [
        {
            "model": [unit.model.name, _what_answers(unit.model)],
            "task": {key: value for key, value in unit.task.document.items() if key not in _NOT_ANSWERS},
            "data": data[_data_key(unit.task)].fingerprint(),
        }
        for unit in units
    ]
    roles = {name: _what_answers(role) for name, role in config.roles.items()}
    return digest(dumps({"schema": PLAN_SCHEMA, "units": parts, "roles": roles, "seeds": config.seeds}))


