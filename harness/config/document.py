"""The JSON Schema of config files, for editors: the fixed keys, and those of every plug-in that is installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from harness import plugins
from harness.config.schema import RunDocument, TaskDocument, keys_with, model_of
from harness.errors import UsageError
from harness.templates import PromptTemplate

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_INCLUDE = {
    "description": "YAML files to merge beneath this one.",
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
}
_AXES = r"^(models?\..+|tasks\..+|[^.]+(\..+)?)$"


def schema_of(kind: str) -> dict[str, Any]:
    """See :func:`harness.config.json_schema`. Raises UsageError for another kind than "task" or "run"."""
    if kind not in ("task", "run"):
        raise UsageError(f"json_schema: kind must be 'task' or 'run', got {kind!r}")
    schemas = _Schemas()
    top = schemas.task() if kind == "task" else schemas.run()
    return {"$schema": _DRAFT, "title": f"harness {kind}", **top, "$defs": schemas.used(top)}


class _Schemas:
    """Definitions by name: the pydantic models of all documents and plug-ins, and what is put together from them here."""

    def __init__(self) -> None:
        self._classes = {kind: dict(plugins.catalogue(kind)) for kind in ("suite", "backend", "format")}
        classes = [model_of(cls) for family in self._classes.values() for cls in family.values()]
        models: list[type[BaseModel]] = [TaskDocument, RunDocument, *classes]
        keys, found = models_json_schema([(model, "validation") for model in models], ref_template="#/$defs/{model}")
        self.definitions: dict[str, Any] = _without_null_defaults(found["$defs"])
        self._names: dict[type, str] = {model: ref["$ref"].rpartition("/")[2] for (model, _), ref in keys.items()}
        self.definitions["data"] = self._choice("format", self._guesses())
        self.definitions["model"] = {**self._choice("backend", {}), "required": ["backend"]}

    def used(self, top: Any) -> dict[str, Any]:
        """The definitions that a schema refers to, directly or through others."""
        names: set[str] = set()
        waiting = list(_references(top))
        while waiting:
            name = waiting.pop()
            if name not in names:
                names.add(name)
                waiting += _references(self.definitions[name])
        return {name: self.definitions[name] for name in sorted(names)}

    def task(self) -> dict[str, Any]:
        """A task file: which keys there are follows from its suite."""
        rules = []
        for name, cls in self._classes["suite"].items():
            own = self._of(cls)
            keys = {key: self._with_file(cls, key, schema) for key, schema in own["properties"].items()}
            fixed = self._fixed_task_keys()
            self.definitions[f"{name} task"] = _closed({**keys, **fixed, "include": _INCLUDE}, own.get("description", ""))
            required = sorted({*own.get("required", ()), *self._of(TaskDocument)["required"]})
            then = {"allOf": [{"$ref": f"#/$defs/{name} task"}, _required_without_include(required)]}
            rules.append({"if": _is("suite", name), "then": then})
        suite = self._fixed_task_keys()["suite"]
        return {"type": "object", "properties": {"suite": suite}, **_required_without_include(["suite"]), "allOf": rules}

    def run(self) -> dict[str, Any]:
        """A run config."""
        document = self._of(RunDocument)
        keys = dict(document["properties"])
        for key in ("models", "roles"):
            keys[key] = {**keys[key], "additionalProperties": {"$ref": "#/$defs/model"}}
        self.definitions["task entry"] = self._task_entry()
        keys["tasks"] = {**keys["tasks"], "items": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/task entry"}]}}
        axis = {"type": "array", "minItems": 1}
        keys["matrix"] = {**keys["matrix"], "propertyNames": {"pattern": _AXES}, "additionalProperties": axis}
        closed = _closed({**keys, "include": _INCLUDE}, document["description"])
        return {**closed, **_required_without_include(document["required"])}

    def _task_entry(self) -> dict[str, Any]:
        """``{use: path, …}``: any key of any suite, since the suite stands in another file."""
        keys: dict[str, Any] = {key: {} for cls in self._classes["suite"].values() for key in self._of(cls)["properties"]}
        fixed = {**self._fixed_task_keys(), "data": {"type": "object", "description": "Keys to override."}}
        use = {"type": "string", "description": "The path of a task file; * and ? are wildcards."}
        return {**_closed({**keys, **fixed, "use": use}, "A task file with some keys overridden."), "required": ["use"]}

    def _fixed_task_keys(self) -> dict[str, Any]:
        keys = dict(self._of(TaskDocument)["properties"])
        keys["suite"] = {**keys["suite"], **_one_of(self._classes["suite"])}
        keys["data"] = {"description": keys["data"]["description"], "$ref": "#/$defs/data"}
        items = {"type": "string", "examples": sorted(map(plugins.example_spec, plugins.metric_names()))}
        keys["metrics"] = {**keys["metrics"], "items": items}
        return keys

    def _choice(self, kind: str, guesses: Mapping[str, Any]) -> dict[str, Any]:
        """A mapping whose keys follow from the plug-in that one of them names, or else that the others let guess."""
        named = {"description": f"The {kind}'s name, or package.module:Class.", **_one_of(self._classes[kind])}
        rules = []
        for name, cls in self._classes[kind].items():
            own = self._of(cls)
            self.definitions[f"{name} {kind}"] = {**own, "properties": {kind: named, **own["properties"]}}
            ref = {"$ref": f"#/$defs/{name} {kind}"}
            rules.append({"if": _is(kind, name), "then": ref})
            if name in guesses:
                rules.append({"if": {"allOf": [{"not": {"required": [kind]}}, guesses[name]]}, "then": ref})
        return {"type": "object", "properties": {kind: named}, "allOf": rules}

    def _guesses(self) -> dict[str, Any]:
        guesses: dict[str, Any] = {}
        for name in self._classes["format"]:
            pattern = {"path": {"pattern": rf"\.{name}(\.gz)?$"}}
            guesses[name] = {"required": ["path"], "properties": pattern}
        return {**guesses, "hub": {"required": ["hub"]}, "collection": {"required": ["queries"]}}

    def _with_file(self, cls: type, key: str, schema: dict[str, Any]) -> dict[str, Any]:
        """A prompt may also be the path of a YAML file."""
        if key not in keys_with(cls, PromptTemplate):
            return schema
        rest = {word: value for word, value in schema.items() if word not in ("anyOf", "$ref")}
        options = schema.get("anyOf", [{"$ref": schema["$ref"]}] if "$ref" in schema else [])
        return {**rest, "anyOf": [*options, {"type": "string", "description": "The path of a YAML file with the prompt."}]}

    def _of(self, cls: type) -> dict[str, Any]:
        model = cls if cls in self._names else model_of(cls)
        schema: dict[str, Any] = self.definitions[self._names[model]]
        return {"properties": {}, **schema}


def _closed(properties: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {"type": "object", "description": description, "properties": dict(properties), "additionalProperties": False}


def _is(key: str, value: str) -> dict[str, Any]:
    return {"required": [key], "properties": {key: {"const": value}}}


def _one_of(names: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [{"enum": sorted(names)}, {"type": "string", "pattern": ":"}]}


def _required_without_include(required: list[str]) -> dict[str, Any]:
    """What an included file gives need not stand here."""
    return {"if": {"not": {"required": ["include"]}}, "then": {"required": required}}



def _references(schema: Any) -> list[str]:
    if isinstance(schema, Mapping):
        own = [schema["$ref"].rpartition("/")[2]] if isinstance(schema.get("$ref"), str) else []
        return own + [name for child in schema.values() for name in _references(child)]
    return [name for child in schema for name in _references(child)] if isinstance(schema, list) else []


def _without_null_defaults(schema: Any) -> Any:
    """The schema without ``default: null``, which only says that a key may be left out."""
    if isinstance(schema, Mapping):
        kept = {key: child for key, child in schema.items() if not (key == "default" and child is None)}
        return {key: _without_null_defaults(child) for key, child in kept.items()}
    return [_without_null_defaults(child) for child in schema] if isinstance(schema, list) else schema
