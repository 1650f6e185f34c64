"""YAML -> a tree of values that know where they are written.

Only plain data: scalars as in YAML 1.2's core schema (``yes``, ``no``, ``on`` and dates stay strings, ``1e-3`` is a
number), string keys, no tags, no duplicate keys. Anchors, aliases and ``<<`` merge keys work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from harness.errors import ConfigError

Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written: a file with line and column (1-based, in characters), or a word such as ``--set a.b``."""

    source: Path | str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        name = self.source if isinstance(self.source, str) else shown(self.source)
        return f"{name}:{self.line}:{self.column}" if self.line else name

    @property
    def folder(self) -> Path:
        """What relative paths that are written here are relative to."""
        return Path.cwd() if isinstance(self.source, str) else self.source.parent


@dataclass(frozen=True, slots=True)
class Node:
    """A value at its place. A list holds a tuple of nodes, a mapping a dict of them; ``key`` is the place of its own key."""

    value: Scalar | tuple[Node, ...] | Mapping[str, Node]
    place: Place
    key: Place | None = None

    @property
    def entries(self) -> Mapping[str, Node]:
        """The children of a mapping; empty for everything else."""
        return self.value if isinstance(self.value, Mapping) else {}

    @property
    def items(self) -> tuple[Node, ...]:
        """The items of a list; empty for everything else."""
        return self.value if isinstance(self.value, tuple) else ()


@dataclass(slots=True)
class Problems:
    """Collects faults, so that all of them are told at once."""

    found: set[tuple[str, int, int, str, str]] = field(default_factory=set)
    places: set[Place] = field(default_factory=set)

    def add(self, place: Place, message: str) -> None:
        name = place.source if isinstance(place.source, str) else shown(place.source)
        self.found.add((name, place.line, place.column, message, f"{place}: {message}"))
        self.places.add(place)

    def has(self, place: Place) -> bool:
        """Whether there is a problem at exactly this place."""
        return place in self.places

    def raise_any(self) -> None:
        """Raise ConfigError with every problem, sorted by file and position, if there is one."""
        if self.found:
            raise ConfigError([text for *_, text in sorted(self.found)])


def shown(path: Path) -> str:
    """A path as messages show it: relative to the current folder if it lies below, with forward slashes."""
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()


def read_yaml(path: Path, problems: Problems) -> Node | None:
    """The tree of a YAML file in UTF-8 (with or without a byte order mark); None, and a problem, if it cannot be read."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        problems.add(Place(path), "no such file")
        return None
    except OSError as error:
        problems.add(Place(path), f"cannot be read: {error.strerror or error}")
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        problems.add(_place_in(before, len(before), path), f"not UTF-8 (byte 0x{content[error.start]:02x})")
        return None
    return parse_yaml(text, path, problems)


def parse_yaml(text: str, source: Path | str, problems: Problems) -> Node | None:
    """The tree of a YAML text; None, and a problem, if its syntax is wrong or it holds no document at all."""
    import yaml

    try:
        return _Composer(text, source, problems).document()
    except yaml.reader.ReaderError as error:
        name = f"#x{error.character:02x}" if isinstance(error.character, int) else repr(error.character)
        problems.add(_place_in(text, error.position, source), f"the character {name} is not allowed in YAML")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = _place(source, mark) if mark else Place(source)
        context = f"{error.context}: " if error.context else ""
        problems.add(place, f"not valid YAML: {context}{error.problem}")
    except _Refused as error:
        problems.add(error.place, str(error))
    return None


def plain(node: Node, replaced: Mapping[int, Any] | None = None) -> Any:
    """Dicts, lists and scalars; ``replaced`` holds other values for some nodes, by ``id(node)``."""
    if replaced and id(node) in replaced:
        return replaced[id(node)]
    if isinstance(node.value, Mapping):
        return {key: plain(child, replaced) for key, child in node.value.items()}
    if isinstance(node.value, tuple):
        return [plain(child, replaced) for child in node.value]
    return node.value


def merge(base: Node, over: Node) -> Node:
    """``over`` on top of ``base``: mappings are merged, everything else is replaced; every value keeps its own place."""
    if not (isinstance(base.value, Mapping) and isinstance(over.value, Mapping)):
        return over
    merged = dict(base.value)
    for key, child in over.value.items():
        merged[key] = merge(merged[key], child) if key in merged else child
    return replace(over, value=merged)


def put(node: Node, path: tuple[str, ...], new: Node) -> Node | None:
    """The tree with ``new`` at a path of keys, mappings made on the way; None if the path leads through something else."""
    if not path:
        return replace(new, key=new.key or node.key)
    if not isinstance(node.value, Mapping):
        return None
    child = node.value.get(path[0], Node({}, new.place, new.key))
    changed = put(child, path[1:], new)
    return None if changed is None else replace(node, value={**node.value, path[0]: changed})


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, in order."""
    yield node
    for child in (*node.entries.values(), *node.items):
        yield from walk(child)


# ── composing ───────────────────────────────────────────────────────────────────────────────────────────────────────

_MAX_DEPTH = 100
_MAX_NODES = 1_000_000
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_BOOL: Mapping[str, bool] = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]{1,300}|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_TAG = "tag:yaml.org,2002:"


class _Refused(Exception):
    """A fault after which the rest of the file says nothing."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


class _Composer:
    """Builds nodes from the parser's events: a list, so that deep nesting is counted here and not on C's stack."""

    def __init__(self, text: str, source: Path | str, problems: Problems) -> None:
        import yaml

        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=loader))
        self._source, self._problems = source, problems
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._count = 0

    def document(self) -> Node | None:
        event = self._next("DocumentStartEvent")
        if event is None:
            raise _Refused(Place(self._source), "the file is empty")
        root = self._node(next(self._events), 0)
        second = self._next("DocumentStartEvent")
        if second is not None:
            raise _Refused(_place(self._source, second.start_mark), "a second document starts here; a file holds one")
        return root

    def _next(self, wanted: str) -> Any:
        return next((event for event in self._events if type(event).__name__ == wanted), None)

    def _node(self, event: Any, depth: int) -> Node:
        place, kind, start = _place(self._source, event.start_mark), type(event).__name__, self._count
        self._count += 1
        if kind == "AliasEvent":
            return self._alias(event.anchor, place)
        self._check_tag(event.tag, place)
        if depth > _MAX_DEPTH:
            raise _Refused(place, f"nested deeper than {_MAX_DEPTH} levels")
        if kind == "ScalarEvent":
            node = Node(_scalar(event), place)
            if isinstance(node.value, int) and not -(2**63) <= node.value < 2**63:
                self._problems.add(place, "an integer beyond 64 bits")
        elif kind == "SequenceStartEvent":
            node = Node(self._sequence(depth), place)
        else:
            node = Node(self._mapping(depth), place)
        if event.anchor:
            self._anchors[event.anchor] = node, self._count - start
        return node

    def _alias(self, name: str, place: Place) -> Node:
        if name not in self._anchors:
            raise _Refused(place, f"the alias *{name} names no anchor that is complete at this point")
        node, size = self._anchors[name]
        self._count += size
        if self._count > _MAX_NODES:
            raise _Refused(place, f"aliases expand to more than {_MAX_NODES:,} values")
        return node

    def _check_tag(self, tag: str | None, place: Place) -> None:
        if tag not in (None, "!", f"{_TAG}str", f"{_TAG}map", f"{_TAG}seq"):
            written = f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag
            self._problems.add(place, f"the tag {written} is not allowed; write the plain value")

    def _sequence(self, depth: int) -> tuple[Node, ...]:
        items = []
        while type(event := next(self._events)).__name__ != "SequenceEndEvent":
            items.append(self._node(event, depth + 1))
        return tuple(items)

    def _mapping(self, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        beneath: list[Node] = []
        while type(event := next(self._events)).__name__ != "MappingEndEvent":
            place = _place(self._source, event.start_mark)
            if type(event).__name__ != "ScalarEvent":
                raise _Refused(place, "a key must be a string")
            child = self._node(next(self._events), depth + 1)
            if event.value == "<<" and event.implicit[0]:
                beneath.append(child)
            elif event.value in entries:
                first = entries[event.value].key
                self._problems.add(place, f"duplicate key {event.value!r}; the first is on line {first.line if first else 0}")
            else:
                entries[event.value] = replace(child, key=place)
        for child in beneath:
            self._merge_key(entries, child)
        return entries

    def _merge_key(self, entries: dict[str, Node], child: Node) -> None:
        for mapping in child.items or (child,):
            if not isinstance(mapping.value, Mapping):
                self._problems.add(mapping.place, "'<<' takes a mapping or a list of mappings")
            for key, value in mapping.entries.items():
                entries.setdefault(key, value)


def _scalar(event: Any) -> Scalar:
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text, 0 if text[:2] in ("0o", "0x") else 10)
    if _FLOAT.fullmatch(text) and abs(number := float(text)) != float("inf"):
        return number
    return text


def _place(source: Path | str, mark: Any) -> Place:
    return Place(source) if isinstance(source, str) else Place(source, mark.line + 1, mark.column + 1)


def _place_in(text: str, position: int, source: Path | str) -> Place:
    before = text[:position]
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    return Place(source) if isinstance(source, str) else Place(source, line, column)
