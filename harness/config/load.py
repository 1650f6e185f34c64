"""Config files -> RunConfig: trees read and merged, every part built, the cells of the matrix put together."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.config import Budget, Cell, ModelConfig, RunConfig, TaskConfig, slug
from harness.config.build import Builder
from harness.config.explain import check
from harness.config.matrix import Axis, Point, Trees, points, read_axes, touching, tree_at
from harness.config.schema import GateDocument, RunDocument
from harness.config.tree import Files, TaskTree, override_run, override_tasks, parse_overrides
from harness.config.yamltree import Node, Place, Problems, plain, shown
from harness.errors import ConfigError, did_you_mean

_OF_A_RUN = frozenset({"gate", "models", "tasks"})
"""Keys that a run config has, and no policy."""


def read_run(path: Path, overrides: Sequence[str]) -> RunConfig:
    """See :func:`harness.config.load_run`; ``path`` is absolute."""
    problems = Problems()
    files, sets = Files(problems), parse_overrides(overrides, problems)
    tree = files.tree(path)
    if tree is None:
        problems.raise_any()
        raise AssertionError("a file without a tree leaves a problem")
    tree = override_run(tree, sets, problems)
    document = check(RunDocument, tree, plain(tree), problems, also=("include",))
    entries = tree.entries
    tasks = [files.with_prompts(task) for task in files.task_trees(entries["tasks"])] if "tasks" in entries else []
    tasks = [_with_limit(files.with_prompts(task), entries.get("limit")) for task in override_tasks(tasks, sets, problems)]
    trees = Trees(entries["models"].entries if "models" in entries else {}, _by_name(tasks, problems))
    builder = Builder(files, tuple(trees.models))
    roles = {name: builder.model(name, node) for name, node in (entries["roles"].entries if "roles" in entries else {}).items()}
    cells = _Cells(builder, trees, read_axes(entries.get("matrix"), trees, files)).all()
    if isinstance(document, RunDocument) and document.gate is not None:
        _check_rules(document.gate, entries["gate"], cells, problems)
    problems.raise_any()
    assert isinstance(document, RunDocument), "an invalid document leaves a problem"
    name = document.name or path.stem
    return RunConfig(
        name=name,
        path=path,
        cells=cells,
        roles={name: role for name, role in roles.items() if role is not None},
        seeds=document.seeds,
        max_missing=document.max_missing,
        cache={"version": document.cache.version} if document.cache else None,
        budget=Budget(**document.budget.model_dump()) if document.budget else None,
        scoring=document.scoring.model_dump(),
        level=document.level,
        n_bootstrap=document.n_bootstrap,
        gate=document.gate.model_dump(mode="json") if document.gate else None,
        document={"name": name, **plain(tree), "tasks": [plain(task.tree) for task in tasks]},
    )


def read_task(path: Path) -> TaskConfig:
    """See :func:`harness.config.load_task`; ``path`` is absolute."""
    problems = Problems()
    files = Files(problems)
    tree = files.tree(path)
    task = None if tree is None else Builder(files).task(files.with_prompts(TaskTree(path, tree, Place(path))))
    problems.raise_any()
    assert task is not None, "a task that cannot be built leaves a problem"
    return task


def read_gate(path: Path) -> dict[str, Any]:
    """See :func:`harness.config.load_gate`; ``path`` is absolute."""
    problems = Problems()
    tree = Files(problems).tree(path)
    if tree is not None and _OF_A_RUN & tree.entries.keys():
        problems.add(tree.place, "this is a run config; at the top of a policy file stand the keys of gate: rules, baseline, …")
        problems.raise_any()
    document = None if tree is None else check(GateDocument, tree, plain(tree), problems, also=("include",))
    problems.raise_any()
    assert isinstance(document, GateDocument), "an invalid document leaves a problem"
    return document.model_dump(mode="json")


def gate_as_written(written: Any, where: str) -> dict[str, Any]:
    """See :func:`harness.config.gate_of`."""
    try:
        return GateDocument.model_validate(written).model_dump(mode="json")
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        told = [f"{where}: gate.{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults]
        raise ConfigError(told) from error


def _with_limit(task: TaskTree, limit: Node | None) -> TaskTree:
    """The run's limit for a task that says nothing of its own."""
    if limit is None or "limit" in task.tree.entries:
        return task
    return replace(task, tree=replace(task.tree, value={**task.tree.entries, "limit": limit}))


def _by_name(tasks: Sequence[TaskTree], problems: Problems) -> dict[str, TaskTree]:
    """The tasks by name; a task without a usable name, which is a problem already, under its path."""
    named: dict[str, TaskTree] = {}
    slugs: dict[str, str] = {}
    for task in tasks:
        name = task.name or f"{task.path}"
        folder = slug(name).casefold()
        if name in named:
            where = f"in {shown(task.path)}; the first is in {shown(named[name].path)}"
            problems.add(task.place, f"duplicate task {name!r} {where}; give one another name with `task:`")
        elif folder in slugs:
            problems.add(task.place, f"task {name!r} has the folder name of task {slugs[folder]!r}: {folder}")
        named.setdefault(name, task)
        slugs.setdefault(folder, name)
    return named


@dataclass(slots=True)
class _Cells:
    """Builds every model and task once for each combination of the values that touch it."""

    builder: Builder
    trees: Trees
    axes: tuple[Axis, ...]
    _built: dict[tuple[str, str, Point], Any] = field(default_factory=dict)

    def all(self) -> tuple[Cell, ...]:
        return tuple(self._cell(point) for point in points(self.axes))

    def _cell(self, point: Point) -> Cell:
        axes = {axis.name: axis.labels[i] for axis, i in zip(self.axes, point)}
        models = {name: model for name in self.trees.models if (model := self._model(name, point)) is not None}
        tasks = [task for name in self.trees.tasks if (task := self._task(name, point)) is not None]
        return Cell(axes, models, tuple(tasks))

    def _model(self, name: str, point: Point) -> ModelConfig | None:
        key = ("models", name, touching(self.axes, "models", name, point))
        if key not in self._built:
            self._built[key] = self.builder.model(name, tree_at(self.axes, *key, self.trees, self.builder.files))
        model: ModelConfig | None = self._built[key]
        return model

    def _task(self, name: str, point: Point) -> TaskConfig | None:
        key = ("tasks", name, touching(self.axes, "tasks", name, point))
        if key not in self._built:
            tree = tree_at(self.axes, *key, self.trees, self.builder.files)
            self._built[key] = self.builder.task(replace(self.trees.tasks[name], tree=tree))
        task: TaskConfig | None = self._built[key]
        return task


def _check_rules(gate: GateDocument, tree: Node, cells: Sequence[Cell], problems: Problems) -> None:
    """A rule that no task, metric, model or slice can match would pass in silence."""
    tasks = {task.name: task for cell in cells for task in cell.tasks}
    models = {name for cell in cells for name in cell.models}
    for rule, node in zip(gate.rules, tree.entries["rules"].items if tasks else ()):
        chosen = [task for name, task in tasks.items() if _matches(rule.task, [name])]
        specs = {spec for task in chosen for spec in (*task.metric_specs, *(metric.spec for metric in task.metrics))}
        if not chosen:
            problems.add(node.entries["task"].place, f"no task matches {rule.task!r}{did_you_mean(rule.task, tasks)}")
        elif rule.drift is None and not _matches(rule.metric, specs):
            place = node.entries["metric"].place if "metric" in node.entries else node.place
            problems.add(place, f"no metric of the tasks matches {rule.metric!r}{did_you_mean(rule.metric, specs)}")
        elif rule.slice is not None and (wrong := _wrong_slice(rule.slice, chosen)) is not None:
            problems.add(node.entries["slice"].place, wrong)
        if models and not _matches(rule.model, models) and len(cells) == 1:  # the cells of a matrix have names of their own
            problems.add(node.entries["model"].place, f"no model matches {rule.model!r}{did_you_mean(rule.model, models)}")


def _matches(pattern: str, names: Collection[str]) -> bool:
    escaped = pattern.replace("[", "[[]")  # no wildcard: the cells of a matrix have it in their names
    return any(fnmatch.fnmatchcase(name, escaped) for name in names)


def _wrong_slice(pattern: str, tasks: Sequence[TaskConfig]) -> str | None:
    """What is wrong with a rule's slice, as far as the tasks' declarations tell; the values are known when there is a run."""
    name, equals, _ = pattern.partition("=")
    if not equals and pattern != "*":
        return f"a slice is written name=value, with wildcards, got {pattern!r}"
    declared = [task.sample.get("slices") for task in tasks]
    known = {key for slices in declared if isinstance(slices, Mapping) for key in slices}
    if all(slices is None or isinstance(slices, Mapping) for slices in declared) and not _matches(name, known):
        return f"no task declares a slice {name!r}{did_you_mean(name, known)}"
    return None
