"""Trees -> models and tasks: the plug-ins that they name found, their keys checked, their paths resolved, the objects built."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from harness import plugins
from harness.config import ModelConfig, TaskConfig, slug
from harness.config.explain import check, got, keys_in, meant, without_null
from harness.config.schema import REFUSALS, TaskDocument, build, keys_of, keys_with, model_of
from harness.config.yamltree import Node, Place, Problems, plain, walk
from harness.errors import HarnessError, did_you_mean
from harness.templates import compile_template
from harness.types import Decoding

if TYPE_CHECKING:
    from harness.config.tree import Files, TaskTree
    from harness.protocols import Metric


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds what trees describe. Each method gives None, and problems, where something is wrong.

    ``model_names`` are the models that a task's ``models:`` may name; None: there is no run to ask.
    """

    files: Files
    model_names: tuple[str, ...] | None = None

    @property
    def problems(self) -> Problems:
        return self.files.problems

    def model(self, name: str, tree: Node) -> ModelConfig | None:
        """The model of an entry of ``models:`` or ``roles:``."""
        if not isinstance(tree.value, Mapping):
            self.problems.add(tree.place, f"expected a mapping, got {got(tree)}")
            return None
        if "backend" not in tree.entries:
            self.problems.add(tree.place, "missing required key 'backend'")
            return None
        tree = _with_null_backend(tree)
        backend = self._plugin("backend", tree.entries["backend"], _without(tree, ("backend",)), ("backend",))
        if backend is None:
            return None
        return ModelConfig(name, backend, str(tree.entries["backend"].value), plain(tree), str(tree.key or tree.place))

    def task(self, task: TaskTree) -> TaskConfig | None:
        """The task of a merged tree."""
        tree, fixed = task.tree, tuple(keys_in(TaskDocument))
        own = replace(tree, value={key: child for key, child in tree.entries.items() if key in fixed})
        document = check(TaskDocument, own, plain(own), self.problems)
        suite = self._suite(tree, _without(tree, fixed), fixed)
        source = self._source(tree.entries.get("data"))
        self._check_templates(tree.entries.get("sample"))
        language = tree.entries["language"].value if "language" in tree.entries else "en"
        metrics = self._metrics(tree.entries.get("metrics"), str(language))
        primary = self._primary(tree.entries.get("primary"), metrics, str(language))
        self._check_models(tree.entries.get("models"))
        if not isinstance(document, TaskDocument) or None in (suite, source, primary) or None in metrics.values():
            return None
        return TaskConfig(
            name=document.task,
            slug=slug(document.task),
            version=document.version,
            language=document.language,
            suite=suite,
            suite_name=document.suite,
            source=source,
            sample=plain(tree.entries["sample"]) if "sample" in tree.entries else {},
            metrics=tuple(metric for metric in metrics.values() if metric is not None),
            metric_specs=tuple(metrics),
            primary=typing.cast("Metric", primary),
            limit=document.limit,
            models=document.models,
            path=task.path,
            document=plain(tree),
            places=_places(tree),
        )

    def _suite(self, tree: Node, own: Node, fixed: tuple[str, ...]) -> Any:
        if "suite" not in tree.entries or (cls := self._class("suite", tree.entries["suite"])) is None:
            known = {key for cls in plugins.catalogue("suite").values() for key in keys_of(cls)}
            for key, child in own.entries.items():
                if key not in known:
                    self.problems.add(child.key or child.place, f"unknown key {key!r}{did_you_mean(key, [*known, *fixed])}")
            return None
        for key, child in own.entries.items():
            if key not in keys_with(cls, Decoding):
                self._check_templates(child)
        return self._plugin("suite", tree.entries["suite"], own, fixed)

    def _source(self, data: Node | None) -> Any:
        if data is None or not isinstance(data.value, Mapping):
            return None
        name = data.entries.get("format") or self._guessed_format(data)
        return None if name is None else self._plugin("format", name, _without(data, ("format",)), ("format",))

    def _guessed_format(self, data: Node) -> Node | None:
        """``hub`` and ``queries`` say it; else the suffix of ``path``, without ``.gz``."""
        for key, name in (("hub", "hub"), ("queries", "collection")):
            if key in data.entries:
                return Node(name, data.entries[key].place)
        path = data.entries.get("path")
        if path is None or not isinstance(path.value, str):
            self.problems.add(data.place, "missing required key 'format'")
            return None
        suffix = PurePosixPath(path.value.removesuffix(".gz")).suffix[1:].lower()
        known = plugins.catalogue("format")
        name = suffix if suffix in known else _SUFFIXES.get(suffix, "")
        if name not in known:
            fault = f"the format of {path.value!r} cannot be told from its name: add `format:`, one of {', '.join(known)}"
            self.problems.add(path.place, fault)
            return None
        return Node(name, path.place)

    def _metrics(self, specs: Node | None, language: str) -> dict[str, Metric | None]:
        """Spec as written -> metric, None for those that cannot be built."""
        metrics: dict[str, Metric | None] = {}
        seen: set[str] = set()
        for item in specs.items if specs else ():
            if isinstance(item.value, str):
                metric = metrics[item.value] = self._metric(item.value, item.place, language)
                if metric is not None and metric.spec in seen:
                    self.problems.add(item.place, f"duplicate metric {item.value!r}")
                seen |= {metric.spec} if metric is not None else set()
        return metrics

    def _metric(self, text: str, place: Place, language: str) -> Metric | None:
        def find(path: Path) -> Path:
            found = self.files.locate(str(path), place, "metrics")
            return path if found is None else found

        try:
            return plugins.located(plugins.metric(text), find).for_language(language)
        except HarnessError as error:
            self.problems.add(place, str(error))
            return None

    def _primary(self, primary: Node | None, metrics: Mapping[str, Metric | None], language: str) -> Metric | None:
        if primary is None or not isinstance(primary.value, str):
            return next(iter(metrics.values()), None)
        if primary.value in metrics:
            return metrics[primary.value]
        try:
            spec = plugins.metric(primary.value).for_language(language).spec
        except HarnessError:
            spec = None
        same = next((metric for metric in metrics.values() if metric is not None and metric.spec == spec), None)
        if same is None:
            hint = did_you_mean(primary.value, metrics)
            self.problems.add(primary.place, f"primary {primary.value!r} is not among the metrics{hint}")
        return same

    def _check_models(self, names: Node | None) -> None:
        for item in names.items if names and self.model_names is not None else ():
            if isinstance(item.value, str) and item.value not in (self.model_names or ()):
                hint = did_you_mean(item.value, self.model_names or ())
                self.problems.add(item.place, f"unknown model {item.value!r}{hint}")

    def _check_templates(self, tree: Node | None) -> None:
        for node in walk(tree) if tree else ():
            if isinstance(node.value, str):
                try:
                    compile_template(node.value)
                except HarnessError as error:
                    self.problems.add(node.place, str(error))

    def _class(self, kind: str, name: Node) -> type | None:
        if not isinstance(name.value, str):
            self.problems.add(name.place, f"expected a string, got {got(name)}")
            return None
        try:
            cls = plugins.find(kind, name.value)
            keys_of(cls)
        except HarnessError as error:
            self.problems.add(name.place, str(error))
            return None
        return cls

    def _plugin(self, kind: str, name: Node, tree: Node, also: tuple[str, ...]) -> Any:
        """The object of the class that ``name`` names, from the keys of a mapping."""
        cls = self._class(kind, name)
        if cls is None:
            return None
        model = model_of(cls)
        paths = {id(node): self._path(node, key) for node, key in _paths(model, tree, "")}
        there = {node: path for node, path in paths.items() if path is not None}
        checked = check(model, tree, plain(tree, there), self.problems, also=also)
        if checked is None or len(there) < len(paths):
            return None
        try:
            return build(cls, checked)
        except REFUSALS as error:
            self.problems.add(meant(tree, str(error)), str(error))
            return None

    def _path(self, node: Node, key: str) -> Path | str | None:
        written = str(node.value)
        prefix = _LOCAL if written.startswith(_LOCAL) and key == "source" else ""
        path = self.files.locate(written.removeprefix(prefix), node.place, key)
        return path if path is None or not prefix else f"{prefix}{path}"


_LOCAL = "path:"
_SUFFIXES: Mapping[str, str] = {"ndjson": "jsonl", "tsv": "csv", "pq": "parquet"}
"""Suffixes of files whose format has another name."""


def _with_null_backend(tree: Node) -> Node:
    """``backend: null`` unquoted is YAML's null; the backend of that name is meant."""
    named = tree.entries["backend"]
    if named.value is not None:
        return tree
    return replace(tree, value={**tree.entries, "backend": replace(named, value="null")})


def _places(tree: Node) -> dict[str, str]:
    """Where the keys of a task are written, those within them (``prompt.text``) and its metrics."""
    metrics = tree.entries["metrics"].items if "metrics" in tree.entries else ()
    return {**dict(_key_places(tree, "")), **{f"metrics.{item.value}": str(item.place) for item in metrics}}


def _key_places(node: Node, above: str) -> Iterator[tuple[str, str]]:
    for key, child in node.entries.items():
        yield f"{above}{key}", str(child.key or child.place)
        yield from _key_places(child, f"{above}{key}.")


def _without(tree: Node, keys: tuple[str, ...]) -> Node:
    return replace(tree, value={key: child for key, child in tree.entries.items() if key not in keys})


def _paths(hint: Any, node: Node, key: str) -> Iterator[tuple[Node, str]]:
    """The nodes that a type makes paths, and a ``source`` that begins with ``path:``, each with the key that names it."""
    inner = without_null(hint)
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        for name, info in keys_in(inner).items():
            if name in node.entries:
                yield from _paths(info.annotation, node.entries[name], name)
    elif inner is Path or (key == "source" and inner is str):
        if isinstance(node.value, str) and (inner is Path or node.value.startswith(_LOCAL)):
            yield node, key
    elif typing.get_origin(inner) in (typing.Union, types.UnionType):
        for member in typing.get_args(inner):
            yield from _paths(member, node, key)
    elif typing.get_args(inner):
        for name, child in node.entries.items():
            yield from _paths(typing.get_args(inner)[-1], child, f"{key}.{name}")
        for child in node.items:
            yield from _paths(typing.get_args(inner)[0], child, key)
