"""Says what is wrong with a JSON Schema, as far as that can be seen without a validator."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from harness.errors import did_you_mean

_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_OF_ONE = ("items", "additionalProperties", "contains", "not", "if", "then", "else", "propertyNames")
_OF_SEVERAL = ("anyOf", "oneOf", "allOf", "prefixItems")
_BY_NAME = ("properties", "patternProperties", "$defs", "definitions")


def schema_fault(schema: object) -> str | None:
    """What is wrong with a schema and where; None if nothing is seen.

    >>> schema_fault({"type": "object", "properties": {"age": {"type": "integr"}}})
    "properties.age.type must be a JSON type, got 'integr'; did you mean 'integer'?"
    """
    if not isinstance(schema, Mapping):
        return f"must be a mapping, got {schema!r}"
    try:
        json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError) as error:
        return f"must hold nothing but JSON values: {error}"
    return next(_faults(schema, schema, ""), None)


def _faults(schema: Any, root: Mapping[str, Any], path: str) -> Iterator[str]:
    """All faults below ``path``, which ends in a dot where it is not empty."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping):
        yield f"{path.rstrip('.') or 'it'} must be a mapping, got {schema!r}"
        return
    yield from _own_faults(schema, root, path)
    for key in _OF_ONE:
        if key in schema:
            yield from _faults(schema[key], root, f"{path}{key}.")
    for key in _OF_SEVERAL:
        if key in schema and (not isinstance(schema[key], list | tuple) or not schema[key]):
            yield f"{path}{key} must be a list of schemas, got {schema[key]!r}"
        elif key in schema:
            for place, one in enumerate(schema[key]):
                yield from _faults(one, root, f"{path}{key}[{place}].")
    for key in _BY_NAME:
        if key in schema and not isinstance(schema[key], Mapping):
            yield f"{path}{key} must be a mapping of names to schemas, got {schema[key]!r}"
        elif key in schema:
            for name, one in schema[key].items():
                yield from _faults(one, root, f"{path}{key}.{name}.")


def _own_faults(schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> Iterator[str]:
    types = schema.get("type", ())
    for name in [types] if isinstance(types, str) or not isinstance(types, list | tuple) else types:
        if name not in _TYPES:
            yield f"{path}type must be a JSON type, got {name!r}{did_you_mean(str(name), _TYPES)}"
    required = schema.get("required", ())
    if not isinstance(required, list | tuple) or not all(isinstance(name, str) for name in required):
        yield f"{path}required must be a list of names, got {required!r}"
    if "enum" in schema and (not isinstance(schema["enum"], list | tuple) or not schema["enum"]):
        yield f"{path}enum must be a list of values, got {schema['enum']!r}"
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/") and not _resolves(reference, root):
        yield f"{path}$ref names {reference!r}, which is not there"


def _resolves(reference: str, root: Any) -> bool:
    for part in reference.removeprefix("#/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(root, Mapping) or name not in root:
            return False
        root = root[name]
    return True
