"""pydantic's errors -> problems in our own words, at the place where the value is written."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ValidationError

from harness.config.schema import Words
from harness.errors import did_you_mean

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from harness.config.yamltree import Node, Place, Problems


def check(model: type[BaseModel], tree: Node, values: Any, problems: Problems, *, also: Iterable[str] = ()) -> BaseModel | None:
    """The validated document; None, and a problem for every fault, if it is not valid.

    ``values`` is ``tree`` as plain data. ``also`` are names that an unknown key of the top level may have meant besides the
    model's own. A value that has a problem already (it names a file that is not there) is not told to be of another type.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        told = error.errors(include_url=False, include_input=False)
        faults = [_fault(fault, model, tree, tuple(also)) for fault in told]
    for fault in faults:
        if not any(fault.is_covered_by(other) for other in faults) and not (fault.is_of_type and problems.has(fault.place)):
            problems.add(fault.place, fault.message)
    return None


def keys_in(model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """The model's fields by the key that is written."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def describe(hint: Any, metadata: Sequence[Any] = ()) -> str:
    """What a value of this type is called in a message."""
    words = next((item.text for item in metadata if isinstance(item, Words)), None)
    if words is not None:
        return words
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return describe(arguments[0], arguments[1:])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe(a) for a in arguments if a is not type(None))
    if origin is Literal:
        return f"{'one of ' if len(arguments) > 1 else ''}{', '.join(map(repr, arguments))}"
    if issubclass(origin or (hint if isinstance(hint, type) else object), (Mapping, BaseModel)):
        return "a mapping"
    if origin is not None and arguments:
        return f"a list{_PLURALS.get(describe(arguments[0]), '')}"
    return "another value"


def got(node: Node) -> str:
    """A value as a message shows it."""
    value = node.value
    if isinstance(value, (tuple, Mapping)):
        return f"{'a' if value else 'an empty'} {'list' if isinstance(value, tuple) else 'mapping'}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


_PLURALS = {"a string": " of strings", "an integer": " of integers", "a number": " of numbers", "a mapping": " of mappings"}


_MOST_KEYS = 16
"""How many of the keys there are a message lists: those of a run, all of them."""


@dataclass(frozen=True, slots=True)
class _Fault:
    path: tuple[str | int, ...]
    place: Place
    message: str
    is_general: bool = False
    is_of_type: bool = False

    def is_covered_by(self, other: _Fault) -> bool:
        """A list is too short, or no member of a union fits; but ``other`` says what is wrong inside, which is the cause."""
        is_within = other.path[: len(self.path)] == self.path
        return self.is_general and is_within and (len(other.path) > len(self.path) or not other.is_general)


def _fault(fault: Any, model: type[BaseModel], tree: Node, also: tuple[str, ...]) -> _Fault:
    kind, loc = fault["type"], fault["loc"]
    end = loc[-1] if kind in ("missing", "extra_forbidden") else None
    at = _follow(model, tree, loc[:-1] if end is not None else loc)
    if kind == "missing":
        return _Fault((*at.path, str(end)), at.node.place, f"missing required key {end!r}")
    if kind == "extra_forbidden":
        known = [*keys_in(at.hint), *(also if not at.path else ())]
        place = at.node.entries[str(end)].key or at.node.place
        return _Fault((*at.path, str(end)), place, f"unknown key {end!r}{did_you_mean(str(end), known, at_most=_MOST_KEYS)}")
    if kind == "refused":
        return _Fault(at.path, meant(at.node, fault["msg"]), fault["msg"])
    return _Fault(at.path, at.node.place, f"expected {at.words}, got {got(at.node)}", at.of_union or kind == "too_short", True)


def meant(node: Node, message: str) -> Place:
    """The value that a refusal speaks of: that of the first key of the mapping that its text names."""
    for word in re.findall(r"\w+", message):
        if word in node.entries:
            return node.entries[word].place
    return node.place


@dataclass(frozen=True, slots=True)
class _At:
    hint: Any
    node: Node
    path: tuple[str | int, ...]
    words: str
    of_union: bool


def _follow(model: type[BaseModel], tree: Node, loc: Sequence[str | int]) -> _At:
    """Go down type and tree together. In ``loc`` the members of a union stand as steps that the tree does not have."""
    hint: Any = model
    metadata: Sequence[Any] = ()
    node, path, words, of_union = tree, tuple[str | int, ...](), "a mapping", False
    for step in loc:
        inner = without_null(hint)
        if typing.get_origin(inner) in (typing.Union, types.UnionType):
            hint, of_union = _member(inner, node), True
            continue
        hint, metadata = _below(inner, step)
        child = node.items[step] if isinstance(step, int) and step < len(node.items) else node.entries.get(str(step))
        if child is None:
            break
        node, path, words, of_union = child, (*path, step), describe(hint, metadata), False
    return _At(without_null(hint), node, path, words, of_union)


def _below(hint: Any, step: str | int) -> tuple[Any, Sequence[Any]]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        info = keys_in(hint).get(str(step))
        return (info.annotation, info.metadata) if info else (Any, ())
    arguments = typing.get_args(hint)
    if not arguments:
        return Any, ()
    return arguments[-1] if arguments[-1] is not ... else arguments[0], ()


def without_null(hint: Any) -> Any:
    """The type without Annotated around it and without None in it."""
    if typing.get_origin(hint) is Annotated:
        return without_null(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        members = [a for a in typing.get_args(hint) if a is not type(None)]
        return without_null(members[0]) if len(members) == 1 else hint
    return hint


def _member(hint: Any, node: Node) -> Any:
    """The member of a union that a value of this shape was meant for."""
    for member in map(without_null, typing.get_args(hint)):
        origin = typing.get_origin(member) or member
        is_table = isinstance(origin, type) and issubclass(origin, (BaseModel, Mapping))
        is_list = isinstance(origin, type) and issubclass(origin, (tuple, list))
        if (is_table and node.entries) or (is_list and node.items):
            return member
    return Any
