"""The grammar of metric specs: ``name["@"k]["(" key=value | spec, … ")"]``, read without ``eval``, and written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import MetricError


@dataclass(frozen=True, slots=True)
class Spec:
    """A parsed spec: ``name["@"k]["(" key=value | spec, … ")"]``."""

    name: str
    k: str | None = None
    positional: tuple[Any, ...] = ()
    named: tuple[tuple[str, Any], ...] = ()


def parse_spec(text: str) -> Spec:
    """Parse a spec string without ``eval``. Raises MetricError that quotes it and says where it went wrong."""
    tokens = _tokens(text)
    spec, rest = _parse_spec(tokens, 0, text)
    if rest != len(tokens):
        raise MetricError(f"{text!r}: unexpected {tokens[rest][1]!r}")
    return spec


_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<word>[^\s()\[\],=@"']+)
      | (?P<mark>[()\[\],=@])
    )""",
    re.VERBOSE,
)


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


def write_spec(name: str, values: Mapping[str, Any], k: Any = None) -> str:
    """The spec of a metric of that name with these parameters, in the order of their names; a name that ends in ``@k`` takes
    ``k`` there."""
    shown = dict(values)
    if name.endswith("@k"):
        shown.pop("k", None)
        name = name[:-2] if k is None else f"{name[:-1]}{k}"
    inside = ",".join(f"{key}={literal(value)}" for key, value in sorted(shown.items()))
    return f"{name}({inside})" if inside else name


def literal(value: Any) -> str:
    """A parameter as a spec writes it; a metric among them by its own spec."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    if hasattr(value, "spec"):
        return str(value.spec)
    if isinstance(value, tuple):
        return "[" + ",".join(literal(item) for item in value) + "]"
    text = repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
    return text if re.fullmatch(r"[\w.+-]+", text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
