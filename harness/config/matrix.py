"""``matrix:`` -> cells: what each axis touches, and the trees of models and tasks at every combination of values."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from pathlib import PurePath
from typing import Any, get_args

from harness.config.explain import got
from harness.config.schema import keys_of, prompt_keys
from harness.config.tree import Files, TaskTree, found, longest_prefix, set_at, steps
from harness.config.yamltree import Node, plain
from harness.errors import did_you_mean, nearest


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: its values with their labels, and the keys that it sets in some models and tasks, by name."""

    name: str
    values: tuple[Node, ...]
    labels: tuple[Any, ...]
    models: Mapping[str, str]
    tasks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Trees:
    """The trees of a run's models and tasks by name."""

    models: Mapping[str, Node]
    tasks: Mapping[str, TaskTree]

    def at(self, kind: str, name: str) -> Node:
        return self.models[name] if kind == "models" else self.tasks[name].tree


Point = tuple[int, ...]
"""One value an axis, by its number."""


def read_axes(matrix: Node | None, trees: Trees, files: Files) -> tuple[Axis, ...]:
    """The axes of a run's ``matrix:``; problems for those that touch nothing or have no values."""
    axes = []
    for name, values in matrix.entries.items() if matrix else ():
        if not values.items:
            files.problems.add(values.place, f"expected a list of at least one value, got {got(values)}")
            continue
        models, tasks = _targets(name, values, trees, files)
        items = tuple(replace(item, key=values.key) for item in values.items)
        axis = _with_prompts(Axis(name, items, tuple(map(plain, items)), models, tasks), trees, files)
        for i, label in enumerate(axis.labels):
            if any(repr(label) == repr(earlier) for earlier in axis.labels[:i]):
                files.problems.add(values.items[i].place, f"duplicate value {got(values.items[i])} of the axis {name!r}")
        axes.append(axis)
    return tuple(axes)


def points(axes: Sequence[Axis]) -> Iterator[Point]:
    """All combinations, the last axis running fastest; one empty point without axes."""
    return itertools.product(*[range(len(axis.values)) for axis in axes])


def touching(axes: Sequence[Axis], kind: str, name: str, point: Point) -> Point:
    """The point as far as it matters to one model or task; -1 stands for the axes that do not touch it."""
    return tuple(i if name in getattr(axis, kind) else -1 for axis, i in zip(axes, point))


def tree_at(axes: Sequence[Axis], kind: str, name: str, point: Point, trees: Trees, files: Files) -> Node:
    """The tree of one model or task at a point."""
    tree = trees.at(kind, name)
    for axis, i in zip(axes, touching(axes, kind, name, point)):
        if i >= 0:
            tree = set_at(tree, steps(getattr(axis, kind)[name], tree), axis.values[i], files.problems)
    return tree


def _targets(name: str, values: Node, trees: Trees, files: Files) -> tuple[dict[str, str], dict[str, str]]:
    """Model -> key and task -> key that an axis sets."""
    head, _, rest = name.partition(".")
    if head in ("models", "tasks"):
        names: Mapping[str, Any] = trees.models if head == "models" else trees.tasks
        owner = longest_prefix(rest, tuple(names))
        if owner is None:
            guess = rest.partition(".")[0]
            files.problems.add(values.key or values.place, f"unknown {head[:-1]} {guess!r}{did_you_mean(guess, names)}")
            return {}, {}
        if owner == rest:
            files.problems.add(values.key or values.place, f"expected {head}.NAME.KEY, got {name!r}")
            return {}, {}
        target = {owner: rest[len(owner) + 1 :]}
        return (target, {}) if head == "models" else ({}, target)
    if head == "model":
        return _having("backend", rest, name, values, trees.models, files), {}
    return {}, _having("suite", name, name, values, {key: task.tree for key, task in trees.tasks.items()}, files)


def _having(kind: str, path: str, axis: str, values: Node, trees: Mapping[str, Node], files: Files) -> dict[str, str]:
    """The models or tasks whose plug-in has the key that a path begins with."""
    classes = {name: found(kind, tree.entries.get(kind)) for name, tree in trees.items()}
    key = path.partition(".")[0]
    having = {name: path for name, cls in classes.items() if cls is not None and (key == kind or key in keys_of(cls))}
    if not having and None not in classes.values():
        meant = _meant(key, [cls for cls in classes.values() if cls is not None])
        fault = f"the axis {axis!r} touches nothing: no {kind} of this run has the key {key!r}{meant}"
        files.problems.add(values.key or values.place, fault)
    return having


def _meant(key: str, classes: Sequence[type]) -> str:
    """What a key that none of these plug-ins has may have been meant for: one of theirs, or one inside one of theirs."""
    known = {known for cls in classes for known in keys_of(cls)}
    inside = {
        inner: f"{outer}.{inner}" for cls in classes for outer, field in keys_of(cls).items()
        for part in (field.hint, *get_args(field.hint)) if isinstance(part, type) and is_dataclass(part)
        for inner in keys_of(part) if inner not in known
    }  # fmt: skip
    guess = key if key in inside else nearest(key, known) or nearest(key, inside)
    return f"; did you mean {inside[guess]!r}?" if guess in inside else did_you_mean(key, known)


def _with_prompts(axis: Axis, trees: Trees, files: Files) -> Axis:
    """An axis of prompts with the files that it names read, and short labels: the files' names without suffix."""
    if not any(_is_prompt(key, trees.tasks[name].tree) for name, key in axis.tasks.items()):
        return axis
    stems = [PurePath(node.value).stem if isinstance(node.value, str) else f"#{i}" for i, node in enumerate(axis.values, 1)]
    if len(set(stems)) < len(stems):
        stems = [node.value if isinstance(node.value, str) else stem for node, stem in zip(axis.values, stems)]
    read = tuple(files.prompt(node, axis.name) for node in axis.values)
    return replace(axis, values=read, labels=tuple(stems))


def _is_prompt(key: str, task: Node) -> bool:
    suite = found("suite", task.entries.get("suite"))
    return suite is not None and key in prompt_keys(suite)
