"""Config files -> one merged tree: includes, task files with their overrides, prompts in files of their own, ``--set``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from glob import glob
from pathlib import Path

from harness import plugins
from harness.config.explain import got
from harness.config.schema import keys_of, prompt_keys
from harness.config.yamltree import Node, Place, Problems, merge, parse_yaml, put, read_yaml, shown
from harness.errors import HarnessError, did_you_mean


@dataclass(frozen=True, slots=True)
class TaskTree:
    """A task as written: its file, and the tree with everything merged that the run says about it."""

    path: Path
    tree: Node
    place: Place
    """Where the run names it."""

    @property
    def name(self) -> str | None:
        """The task's name, if it has a usable one."""
        value = self.tree.entries["task"].value if "task" in self.tree.entries else None
        return value if isinstance(value, str) else None


@dataclass(slots=True)
class Files:
    """Reads config files, each once, and finds the files that they name."""

    problems: Problems
    _read: dict[Path, Node | None] = field(default_factory=dict)

    def tree(self, path: Path, within: tuple[Path, ...] = ()) -> Node | None:
        """A file's mapping on top of those that its ``include:`` names; None, and a problem, if it cannot be had."""
        node = self.mapping(path)
        if node is None or "include" not in node.entries:
            return node
        include = node.entries["include"]
        own = replace(node, value={key: child for key, child in node.entries.items() if key != "include"})
        for item in reversed(include.items or (include,)):
            base = self._included(item, (*within, path))
            if base is not None:
                own = replace(merge(base, own), place=node.place)
        return own

    def mapping(self, path: Path) -> Node | None:
        """A file's mapping as written; None, and a problem, if it is none."""
        if path not in self._read:
            node = read_yaml(path, self.problems)
            if node is not None and not isinstance(node.value, Mapping):
                self.problems.add(node.place, f"expected a mapping, got {got(node)}")
                node = None
            self._read[path] = node
        return self._read[path]

    def _included(self, item: Node, within: tuple[Path, ...]) -> Node | None:
        if not isinstance(item.value, str):
            self.problems.add(item.place, f"expected a path or a list of paths, got {got(item)}")
            return None
        path = self._locate_file(item.value, item.place, "include")
        if path in within:
            chain = " → ".join(shown(p) for p in (*within[within.index(path) :], path))
            self.problems.add(item.place, f"include: {item.value!r} includes itself: {chain}")
            return None
        return None if path is None else self.tree(path, within)

    def locate(self, written: str, place: Place, key: str) -> Path | None:
        """The absolute path of what ``key`` names at a place: beside the file, else under the project root."""
        places = _places(written, place.folder)
        for path in places:
            if os.path.exists(path):
                return path
        self.problems.add(place, f"{key}: {written!r} does not exist: looked at {' and at '.join(map(shown, places))}")
        return None

    def _locate_file(self, written: str, place: Place, key: str) -> Path | None:
        path = self.locate(written, place, key)
        if path is not None and path.is_dir():
            self.problems.add(place, f"{key}: {written!r} is a folder; expected a YAML file")
            return None
        return path

    def task_trees(self, tasks: Node) -> list[TaskTree]:
        """The entries of a run's ``tasks:``, globs expanded and overrides merged, in order."""
        return [tree for item in tasks.items for tree in self._task_trees(item)]

    def _task_trees(self, item: Node) -> Iterator[TaskTree]:
        use, key = item.entries.get("use", item), "use" if "use" in item.entries else "tasks"
        if isinstance(item.value, Mapping) and use is item:
            self.problems.add(item.place, "missing required key 'use'")
            return
        if not isinstance(use.value, str):
            self.problems.add(use.place, f"expected the path of a task file, got {got(use)}")
            return
        over = Node({k: child for k, child in item.entries.items() if k != "use"}, item.place)
        for path in self._matches(use.value, use.place, key):
            tree = self.tree(path)
            if tree is not None:
                yield TaskTree(path, replace(merge(tree, over), place=tree.place), use.place)

    def _matches(self, written: str, place: Place, key: str) -> list[Path]:
        places = _places(written, place.folder)
        if not any(mark in written for mark in "*?[") or any(map(os.path.exists, places)):
            path = self._locate_file(written, place, key)
            return [] if path is None else [path]
        for folder in _folders(place.folder):
            found = sorted(Path(os.path.abspath(folder / name)) for name in glob(written, root_dir=folder, recursive=True))
            if found:
                return [path for path in found if path.is_file()]
        self.problems.add(place, f"{key}: {written!r} matches no file: looked at {' and at '.join(map(shown, places))}")
        return []

    def with_prompts(self, task: TaskTree) -> TaskTree:
        """The task with prompts that stand in files of their own put in their place."""
        tree = task.tree
        suite = found("suite", tree.entries.get("suite"))
        for key in prompt_keys(suite) if suite else ():
            if key in tree.entries:
                tree = replace(tree, value={**tree.entries, key: self.prompt(tree.entries[key], key)})
        return replace(task, tree=tree)

    def prompt(self, node: Node, key: str) -> Node:
        """The mapping in the file that a prompt's path names; the node itself if it is no path or there is no such file."""
        written = node.value if isinstance(node.value, str) else ""
        is_path = 0 < len(written) < 1000 and not any(mark in written for mark in ("{{", "{%", "\n"))
        path = self._locate_file(written, node.place, key) if is_path else None
        read = self.mapping(path) if path is not None else None
        return node if read is None else replace(read, key=node.key)


def found(kind: str, name: Node | None) -> type | None:
    """The plug-in class that a node names, if it names one that can take keys; no problem is noted."""
    if name is None or not isinstance(name.value, str):
        return None
    try:
        cls = plugins.find(kind, name.value)
        keys_of(cls)
    except HarnessError:
        return None
    return cls


# ── --set ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Override:
    """One ``--set a.b.c=value``."""

    path: str
    value: Node

    @property
    def is_of_task(self) -> bool:
        return self.path.startswith("tasks.")


def parse_overrides(texts: Sequence[str], problems: Problems) -> list[Override]:
    """``KEY=VALUE`` texts, the values as YAML; an empty value is null."""
    overrides = []
    for text in texts:
        key, equals, written = text.partition("=")
        place = Place(f"--set {key.strip()}")
        if not equals or not key.strip() or "" in key.strip().split("."):
            problems.add(Place("--set"), f"expected KEY=VALUE, got {text!r}")
            continue
        value = parse_yaml(written, place.source, problems) if written.strip() else Node(None, place)
        if value is not None:
            overrides.append(Override(key.strip(), replace(value, key=place)))
    return overrides


def override_run(tree: Node, overrides: Sequence[Override], problems: Problems) -> Node:
    """The run's tree with the overrides that are not for one task."""
    for override in overrides:
        if not override.is_of_task:
            path = ("matrix", override.path[7:]) if override.path.startswith("matrix.") else steps(override.path, tree)
            names = tree.entries[path[0]].entries if path[0] in ("models", "roles") and path[0] in tree.entries else {}
            if names and len(path) > 2 and path[1] not in names:
                problems.add(override.value.place, f"unknown {path[0][:-1]} {path[1]!r}{did_you_mean(path[1], names)}")
                continue
            tree = set_at(tree, path, override.value, problems)
    return tree


def override_tasks(tasks: list[TaskTree], overrides: Sequence[Override], problems: Problems) -> list[TaskTree]:
    """The tasks with the overrides ``tasks.NAME.key``."""
    for override in overrides:
        if override.is_of_task:
            rest = override.path.removeprefix("tasks.")
            names = [task.name for task in tasks if task.name is not None]
            name = longest_prefix(rest, names)
            if name is None or name == rest:
                guess = rest.partition(".")[0]
                fault = f"unknown task {guess!r}{did_you_mean(guess, names)}"
                problems.add(override.value.place, "expected tasks.NAME.KEY" if name else fault)
                continue
            at = next(i for i, task in enumerate(tasks) if task.name == name)
            tree = tasks[at].tree
            changed = set_at(tree, steps(rest[len(name) + 1 :], tree), override.value, problems)
            tasks = [*tasks[:at], replace(tasks[at], tree=changed), *tasks[at + 1 :]]
    return tasks


def set_at(tree: Node, path: tuple[str, ...], value: Node, problems: Problems) -> Node:
    """The tree with a value at a path of keys; the tree as it was, and a problem, if there can be no such key."""
    changed = put(tree, path, value)
    if changed is None:
        problems.add(value.key or value.place, f"{'.'.join(path)!r} cannot be set: what it leads through is not a mapping")
        return tree
    return changed


def steps(path: str, tree: Node) -> tuple[str, ...]:
    """A dotted path as keys of the tree. Keys that are there may hold dots themselves: the longest that fits is meant."""
    if not path:
        return ()
    head = longest_prefix(path, tree.entries) or path.partition(".")[0]
    return (head, *steps(path[len(head) + 1 :], tree.entries.get(head, Node(None, tree.place))))


def longest_prefix(path: str, names: Sequence[str] | Mapping[str, Node]) -> str | None:
    """The longest of the names that a dotted path is or starts with."""
    return max((name for name in names if path == name or path.startswith(f"{name}.")), key=len, default=None)


def _places(written: str, folder: Path) -> list[Path]:
    """Where a path may be that a file in ``folder`` names."""
    return list(dict.fromkeys(Path(os.path.abspath(base / written)) for base in _folders(folder)))


def _folders(folder: Path) -> list[Path]:
    """What paths are relative to: the folder, then the nearest project root at or above it."""
    above = (folder, *folder.parents)
    root = next((up for up in above if (up / "tasks").is_dir() or (up / "pyproject.toml").is_file()), folder)
    return list(dict.fromkeys((folder, root)))
