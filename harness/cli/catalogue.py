"""The lists of ``harness list metrics|backends|suites|formats``, and what one of them takes."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import itertools
import types
import typing
from collections.abc import Mapping
from typing import Any

from rich.text import Text

from harness.cli.docs import readable
from harness.cli.inputs import command_for
from harness.cli.output import add_rows, console, print_json, print_next, table
from harness.plugins import (
    catalogue,
    example_spec,
    find,
    metric,
    metric_names,
    unknown_metric,
    with_cut_off,
)
from harness.protocols import Metric, PairMetric
from harness.report.blocks import ARROWS
from harness.specs import literal, parse_spec

_BETTER: Mapping[bool | None, str] = {True: "higher is better", False: "lower is better", None: "no direction is better"}


# ── metrics ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def list_metrics(name: str | None, as_json: bool) -> int:
    """All metrics and their aliases; or one, by name, alias or spec, with its parameters."""
    if name is not None:
        return _one_metric(name, as_json)
    documents = [_metric_document(known) for known in metric_names()]
    documents.sort(key=lambda document: (document["family"], document["name"]))
    if as_json:
        print_json({"metrics": documents})
        return 0
    for family, group in itertools.groupby(documents, key=lambda document: str(document["family"])):
        console().print(Text(family, style="bold"))
        rows = [[d["name"], ARROWS[d["higher_is_better"]], _range(d["bounds"]), _needs(d), _line(d)] for d in group]
        console().print(add_rows(table("metric", "", "range", "needs", ""), rows))
        console().print()
    print_next(f"harness list metrics {documents[0]['name']}" if documents else "harness --help")
    return 0


def _line(document: Mapping[str, Any]) -> str:
    alias, kind = document["alias_of"], document["kind"]
    what = str(document["summary"] if alias is None else f"= {alias}")
    return what if kind == "metric" else f"({kind}) {what}"


def _needs(document: Mapping[str, Any]) -> str:
    return ", ".join(need.replace("|", " or ") for need in document["needs"])


def _metric_document(name: str) -> dict[str, Any]:
    cls, preset = metric_names()[name]
    facts: Any = cls
    is_alias = name != facts.name
    if not issubclass(cls, Metric):
        return {**_NO_METRIC, "name": name, "kind": "calibrator", "summary": facts.summary, "paper": getattr(cls, "paper", "")}
    unit = facts.unit if isinstance(facts.unit, str) else ""
    return {
        "name": name, "kind": "pair" if issubclass(cls, PairMetric) else "metric", "family": facts.family,
        "higher_is_better": facts.higher_is_better, "bounds": list(facts.bounds), "unit": unit, "needs": sorted(facts.needs),
        "interval": facts.interval, "summary": facts.summary, "formula": facts.formula, "reference": facts.reference,
        "paper": facts.paper, "alias_of": _alias_of(facts.name, preset) if is_alias else None,
    }  # fmt: skip


_NO_METRIC: Mapping[str, Any] = {
    "family": "calibration", "higher_is_better": None, "bounds": [0.0, 1.0], "unit": "", "needs": ["probabilities", "target"],
    "interval": "none", "formula": "", "reference": "", "alias_of": None,
}  # fmt: skip
"""What a calibrator, which has no value, says where a metric says more."""


def _alias_of(name: str, preset: Mapping[str, Any]) -> str:
    inside = ",".join(f"{key}={literal(value)}" for key, value in sorted(preset.items()))
    return f"{name}({inside})" if inside else name


def _one_metric(text: str, as_json: bool) -> int:
    spec = with_cut_off(parse_spec(text))
    known = metric_names()
    name = next((name for name in (text, spec.name if spec.k is None else "", f"{spec.name}@k") if name in known), None)
    if name is None:
        raise unknown_metric(spec)
    cls, preset = known[name]
    facts: Any = cls
    document = {
        **_metric_document(name), "signature": _signature(text, name), "parameters": _parameters(cls, preset),
        "aliases": {alias: _alias_of(facts.name, values) for alias, values in getattr(facts, "aliases", {}).items()},
        "doc": inspect.getdoc(cls) or "", "python": _plain_function(cls),
    }  # fmt: skip
    if as_json:
        print_json({"metrics": [document]})
        return 0
    _print_metric(document)
    if document["kind"] != "calibrator":
        print_next("harness score --help" if document["signature"] is None else command_for(_example(text, name)))
    return 0


def _plain_function(cls: type) -> str | None:
    """How the metric's plain function is imported, where its module has one."""
    name = str(vars(cls)["name"])
    module = importlib.import_module(cls.__module__)
    names = (getattr(cls, "function", ""), name.replace("@", "_at_"), name.partition("@")[0])
    found = next((key for key in names if callable(vars(module).get(key))), None)
    return None if found is None else f"from {cls.__module__} import {found}"


def _signature(text: str, name: str) -> str | None:
    """That of the spec as typed, or of the name with its defaults; None for a metric that has to be given more."""
    from harness.errors import HarnessError

    try:
        return metric(_example(text, name)).signature()
    except HarnessError:
        if text == name:
            return None
        raise


def _example(text: str, name: str) -> str:
    """Something that can be typed: a bare name gets what it needs (a cut-off) where that was not given."""
    return example_spec(name) if text in (name, name.removesuffix("@k")) else text


def _print_metric(document: Mapping[str, Any]) -> None:
    out = console()
    of = f" = {document['alias_of']}" if document["alias_of"] else ""
    out.print(Text.assemble((document["name"], "bold"), f"{of}  {document['family']}\n"), soft_wrap=True)
    out.print(Text(readable(document["doc"], out.width, _class_names())), soft_wrap=True)
    out.print()
    _print_parameters(document["parameters"])
    unit = f" {document['unit']}" if document["unit"] else ""
    rows = [("range", f"{_range(document['bounds'])}{unit}, {_BETTER[document['higher_is_better']]}"),
            ("needs", _needs(document)), ("formula", document["formula"] or None), ("interval", document["interval"]),
            ("signature", document["signature"]),
            ("python", document["python"]), ("reference", document["reference"] or None), ("paper", document["paper"] or None),
            ("aliases", ", ".join(f"{alias} = {spec}" for alias, spec in document["aliases"].items()) or None)]  # fmt: skip
    shown = add_rows(table("", ""), rows)
    shown.show_header = False
    shown.columns[0].no_wrap = True
    shown.columns[1].overflow = "fold"
    out.print(shown)


def _class_names() -> dict[str, str]:
    """The classes of metrics by the names that a user knows them by."""
    return {cls.__name__: name for name, cls in catalogue("metric").items()}


def _range(bounds: list[float | None]) -> str:
    low, high = ("" if bound is None else f"{bound:g}" for bound in bounds)
    return f"{low or '−∞'} … {high or '∞'}"


# ── the other kinds ─────────────────────────────────────────────────────────────────────────────────────────────────


def list_plugins(kind: str, name: str | None, as_json: bool) -> int:
    """All plug-ins of a kind, or one of them with its parameters."""
    known = catalogue(kind) if name is None else {name: find(kind, name)}
    documents = [_plugin_document(kind, found, cls, detailed=name is not None) for found, cls in known.items()]
    if as_json:
        print_json({f"{kind}s": documents})
        return 0
    if name is not None:
        _print_plugin(documents[0])
    elif kind == "backend":
        rows = [[d["name"], ", ".join(d["provides"]), d["cacheable"], d["summary"]] for d in documents]
        console().print(add_rows(table("backend", "provides", "cached", ""), rows))
    else:
        console().print(add_rows(table(kind, ""), [[d["name"], d["summary"]] for d in documents]))
    print_next(f"harness list {kind}s {documents[0]['name']}" if name is None and documents else "harness schema run")
    return 0


def _plugin_document(kind: str, name: str, cls: Any, *, detailed: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"name": name, "kind": kind, "summary": getattr(cls, "summary", "")}
    if kind == "backend":
        document["provides"] = sorted(request.__name__ for request in cls.provides)
        document["cacheable"] = cls.cacheable
    if detailed:
        document["parameters"] = _parameters(cls, {})
        document["doc"] = inspect.getdoc(cls) or ""
    return document


def _print_plugin(document: Mapping[str, Any]) -> None:
    out = console()
    out.print(Text.assemble((document["name"], "bold"), f"  {document['kind']}: {document['summary']}\n"), soft_wrap=True)
    out.print(Text(readable(document["doc"], out.width)), soft_wrap=True)
    out.print()
    _print_parameters(document["parameters"])
    if "provides" in document:
        out.print(f"provides {', '.join(document['provides'])}", soft_wrap=True)


def _parameters(cls: Any, preset: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The init fields of a plug-in: name, type as written, default as it would be typed, whether it must be given."""
    found, hints = [], typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if not field.init or not field.repr:
            continue
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        default = preset.get(field.name, None if required else _default(field))
        found.append({
            "name": field.name, "type": _type_name(hints[field.name]), "required": required and field.name not in preset,
            "default": None if required and field.name not in preset else _typed(default),
        })  # fmt: skip
    return found


def _type_name(hint: Any) -> str:
    """A type as a user reads it: the values of a Literal, the name of a class."""
    if typing.get_origin(hint) is typing.Literal:
        return " | ".join(literal(value) for value in typing.get_args(hint))
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " | ".join("none" if part is type(None) else _type_name(part) for part in typing.get_args(hint))
    return hint.__name__ if inspect.isclass(hint) and not typing.get_args(hint) else str(hint).replace("typing.", "")


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    assert field.default_factory is not dataclasses.MISSING, "a field without either is required"
    return field.default_factory()


def _typed(value: Any) -> str:
    return literal(value) if value is None or isinstance(value, bool | int | float | str | tuple | Metric) else repr(value)


def _print_parameters(parameters: list[dict[str, Any]]) -> None:
    if parameters:
        rows = [[p["name"], p["type"], "required" if p["required"] else p["default"]] for p in parameters]
        made = table("parameter", "type", "default")
        for column in made.columns:
            column.overflow = "fold"
        console().print(add_rows(made, rows))
        console().print()
