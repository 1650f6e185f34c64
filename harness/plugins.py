"""Spec string -> object. The only dynamic import: what is in the package, on an entry point, or ``package.module:Name``."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import pkgutil
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import MetricError, UnknownName, UsageError, did_you_mean
from harness.protocols import Metric, literal, parameters

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "metric": ("harness.metrics",),
    "suite": ("harness.suites",),
    "backend": ("harness.models", "harness.retrieval"),
    "format": ("harness.data",),
}
"""Kind of plug-in -> the packages that are searched; the entry-point groups have the packages' names."""


# ── finding ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def catalogue(kind: str) -> Mapping[str, type]:
    """Every plug-in of a kind by name, those of the package first, then those on entry points."""
    found: dict[str, type] = {}
    for package in PACKAGES[kind]:
        for cls in _classes_in(package):
            found[vars(cls)["name"]] = cls
        for entry in importlib.metadata.entry_points(group=package):
            found.setdefault(entry.name, entry.load())
    return types.MappingProxyType(dict(sorted(found.items())))


def find(kind: str, name: str) -> type:
    """The plug-in class of that name, or of ``package.module:Name``.

    Raises UnknownName with the nearest name, or UsageError if ``package.module:Name`` cannot be imported.
    """
    if ":" in name:
        return _from_path(kind, name)
    known = catalogue(kind)
    if name not in known:
        raise UnknownName(kind, name, known)
    return known[name]


def _classes_in(package: str) -> Iterator[type]:
    root = importlib.import_module(package)
    for info in pkgutil.iter_modules(root.__path__, prefix=f"{package}."):
        module = importlib.import_module(info.name)
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__ and isinstance(vars(value).get("name"), str):
                yield value


def _from_path(kind: str, path: str) -> type:
    module_name, _, attribute = path.partition(":")
    if not re.fullmatch(r"\w+(\.\w+)*", module_name):
        raise UsageError(f"{kind} {path!r} is not of the form package.module:Name")
    try:
        value = getattr(importlib.import_module(module_name), attribute)
    except Exception as error:  # a module of the user's may raise anything
        raise UsageError(f"{kind} {path!r} cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(value, type):
        raise UsageError(f"{kind} {path!r} is not a class")
    return value


# ── metric specs ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Spec:
    """A parsed spec: ``name["@"k]["(" key=value | spec, … ")"]``."""

    name: str
    k: str | None = None
    positional: tuple[Any, ...] = ()
    named: tuple[tuple[str, Any], ...] = ()


def metric(text: str) -> Metric:
    """The metric that a spec string stands for.

    >>> metric("rouge(type=2)").spec
    'rouge(type=2)'
    >>> metric("recall@10").spec
    'recall@10'

    Raises MetricError for a bad spec or parameter, UnknownName for an unknown metric.
    """
    return _build_metric(parse_spec(text), text)


def located(metric: Metric, find: Callable[[Path], Path]) -> Metric:
    """The metric with every file among its parameters, those of metrics inside it too, where ``find`` says it is."""
    changed: dict[str, Any] = {}
    for key, value in parameters(metric).items():
        if isinstance(value, Path):
            changed[key] = find(value)
        elif isinstance(value, Metric):
            changed[key] = located(value, find)
    return dataclasses.replace(metric, **changed) if changed else metric


@cache
def metric_names() -> Mapping[str, tuple[type, Mapping[str, Any]]]:
    """Every name that a spec may start with -> its class and the parameters that the name stands for."""
    names: dict[str, tuple[type, Mapping[str, Any]]] = {}
    for name, cls in catalogue("metric").items():
        names[name] = (cls, {})
    for cls in catalogue("metric").values():
        for alias, values in getattr(cls, "aliases", {}).items():
            names.setdefault(alias, (cls, values))
    return types.MappingProxyType(names)


def example_spec(name: str) -> str:
    """A spec of a metric's name or alias that can be typed as it stands.

    >>> example_spec("ndcg@k"), example_spec("group_gap"), example_spec("bleu")
    ('ndcg@10', 'group_gap(accuracy)', 'bleu')
    """
    cls: Any = metric_names()[name][0]
    example = str(getattr(cls, "example", ""))
    if name.endswith("@k"):
        return f"{name.removesuffix('k')}{example.partition('@')[2] or 10}"
    return example if example and name == cls.name else name


def _build_metric(spec: Spec, text: str) -> Metric:
    name = spec.name if spec.k is None else f"{spec.name}@k"
    if ":" in name:
        cls, values = _from_path("metric", name), dict[str, Any]()
    else:
        known = metric_names()
        if name not in known:
            raise _unknown_metric(spec, known)
        cls, preset = known[name]
        values = dict(preset)
    hints = _type_hints(cls)
    if not issubclass(cls, Metric):
        why = "is fitted, not scored: it is a calibrator" if hasattr(cls, "fit") else "is not a Metric"
        raise MetricError(f"{text}: {name} {why}")
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init and f.repr}
    given = list(spec.named)
    if spec.k is not None:
        given.append(("k", spec.k))
    taken = values.keys() | {key for key, _ in given}
    free = [name for name, _ in sorted(fields.items(), key=lambda item: bool(item[1].kw_only)) if name not in taken]
    if len(spec.positional) > len(free):
        raise MetricError(f"{text}: {name} takes at most {len(free)} parameters")
    given += list(zip(free, spec.positional))
    for key, raw in given:
        if key not in fields:
            raise MetricError(f"{text}: {name} has no parameter {key!r}{did_you_mean(key, fields)}")
        values[key] = _coerce(raw, hints[key], f"{name}: {key}")
    missing = [f.name for f in fields.values()
               if f.name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    if missing:
        raise MetricError(f"{text}: {name} needs {', '.join(missing)}")
    return cls(**values)


@cache
def _type_hints(cls: type) -> Mapping[str, Any]:
    return typing.get_type_hints(cls)


def _unknown_metric(spec: Spec, known: Mapping[str, Any]) -> Exception:
    if spec.k is not None and spec.name in known:
        return MetricError(f"{spec.name} takes no @k")
    if spec.k is None and f"{spec.name}@k" in known:
        return MetricError(f"{spec.name} needs a cut-off: {spec.name}@10")
    shown = [name.removesuffix("@k") for name in known] if spec.k is not None else list(known)
    return UnknownName("metric", spec.name if spec.k is None else f"{spec.name}@{spec.k}", shown)


def _coerce(raw: Any, hint: Any, what: str) -> Any:
    """The value of a parameter as its annotation wants it; raises MetricError naming what was expected."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if raw in ("none", "None", None) and type(None) in arguments:
            return None
        return _coerce_any([a for a in arguments if a is not type(None)], raw, what)
    if origin is typing.Literal:
        text = literal(raw) if not isinstance(raw, str) else raw
        for option in arguments:
            if text == str(option) or raw == option:
                return option
        raise MetricError(f"{what} must be one of {', '.join(map(str, arguments))}, got {text!r}")
    if origin is tuple:
        items = raw if isinstance(raw, tuple) else (raw,)
        return tuple(_coerce(item, arguments[0], what) for item in items)
    if isinstance(hint, type) and issubclass(hint, Metric):
        return _build_metric(raw if isinstance(raw, Spec) else Spec(str(raw)), str(raw))
    return _coerce_scalar(raw, hint, what)


def _coerce_any(options: list[Any], raw: Any, what: str) -> Any:
    for option in options[:-1]:
        try:
            return _coerce(raw, option, what)
        except MetricError:
            continue
    return _coerce(raw, options[-1], what)


def _coerce_scalar(raw: Any, hint: Any, what: str) -> Any:
    if hint is Any:
        return raw
    if isinstance(raw, Spec):
        raise MetricError(f"{what} must be {_SCALARS.get(hint, hint)}, got {raw.name!r}")
    text = str(raw)
    if hint is str:
        return text
    if hint is Path:
        return Path(text)
    if hint is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        if hint is int:
            return int(text)
        if hint is float:
            return float(text)
    except ValueError:
        pass
    raise MetricError(f"{what} must be {_SCALARS.get(hint, hint)}, got {text!r}")


_SCALARS: Mapping[Any, str] = {int: "an integer", float: "a number", bool: "true or false", str: "a string"}


# ── the grammar ─────────────────────────────────────────────────────────────────────────────────────────────────────

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<word>[^\s()\[\],=@"']+)
      | (?P<mark>[()\[\],=@])
    )""",
    re.VERBOSE,
)


def parse_spec(text: str) -> Spec:
    """Parse a spec string without ``eval``. Raises MetricError that quotes it and says where it went wrong."""
    tokens = _tokens(text)
    spec, rest = _parse_spec(tokens, 0, text)
    if rest != len(tokens):
        raise MetricError(f"{text!r}: unexpected {tokens[rest][1]!r}")
    return spec


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, position, stripped = [], 0, text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None or match.lastgroup is None:
            raise MetricError(f"{text!r}: cannot read {stripped[position:]!r}")
        tokens.append((match.lastgroup, match.group(match.lastgroup)))
        position = match.end()
    return tokens


def _parse_spec(tokens: list[tuple[str, str]], at: int, text: str) -> tuple[Spec, int]:
    if at >= len(tokens) or tokens[at][0] != "word":
        raise MetricError(f"{text!r}: expected a metric's name")
    name, k, at = tokens[at][1], None, at + 1
    if _is(tokens, at, "@"):
        if at + 1 >= len(tokens) or tokens[at + 1][0] != "word":
            raise MetricError(f"{text!r}: expected a cut-off after '@'")
        k, at = tokens[at + 1][1], at + 2
    positional: list[Any] = []
    named: list[tuple[str, Any]] = []
    if _is(tokens, at, "("):
        at += 1
        while not _is(tokens, at, ")"):
            if at + 1 < len(tokens) and tokens[at][0] == "word" and _is(tokens, at + 1, "="):
                key = tokens[at][1]
                if key in dict(named):
                    raise MetricError(f"{text!r}: parameter {key!r} is given twice")
                value, at = _parse_value(tokens, at + 2, text)
                named.append((key, value))
            else:
                value, at = _parse_value(tokens, at, text)
                positional.append(value)
            if _is(tokens, at, ","):
                at += 1
            elif not _is(tokens, at, ")"):
                raise MetricError(f"{text!r}: expected ',' or ')'")
        at += 1
    return Spec(name, k, tuple(positional), tuple(named)), at


def _parse_value(tokens: list[tuple[str, str]], at: int, text: str) -> tuple[Any, int]:
    if at >= len(tokens):
        raise MetricError(f"{text!r}: ends too early")
    kind, token = tokens[at]
    if kind == "string":
        return re.sub(r"\\(.)", r"\1", token[1:-1]), at + 1
    if _is(tokens, at, "["):
        items, at = [], at + 1
        while not _is(tokens, at, "]"):
            item, at = _parse_value(tokens, at, text)
            items.append(item)
            if _is(tokens, at, ","):
                at += 1
        return tuple(items), at + 1
    if _is(tokens, at + 1, "(") or _is(tokens, at + 1, "@"):
        return _parse_spec(tokens, at, text)
    if kind != "word":
        raise MetricError(f"{text!r}: unexpected {token!r}")
    return token, at + 1


def _is(tokens: list[tuple[str, str]], at: int, mark: str) -> bool:
    return at < len(tokens) and tokens[at] == ("mark", mark)
