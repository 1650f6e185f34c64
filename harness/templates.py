"""Field templates and prompt templates: `{{ a }}` and `{{ a.b }}` become plain getters, the rest is sandboxed Jinja.

Undefined is strict everywhere: a field that is not there raises MissingField, which says what fields there are.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from harness.errors import HarnessError, nearest

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

Render: TypeAlias = Callable[[Mapping[str, Any]], Any]
Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


class TemplateError(HarnessError):
    """A template cannot be compiled, or fails on a row for another reason than a missing field."""


class MissingField(HarnessError):
    """A template names a field that is not there. ``field`` is its dotted path, ``available`` the names beside it."""

    def __init__(self, field: str, available: Iterable[str], note: str = "") -> None:
        self.field, self.available = field, tuple(sorted(map(str, available)))
        guess = nearest(field.rpartition(".")[2], self.available)
        fields = f"the fields are: {', '.join(self.available)}" if self.available else "there are no fields"
        hint = f"; did you mean {guess!r}?" if guess is not None else ""
        super().__init__(f"no field {field!r}; {note or fields + hint}")


# ── prompts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Shots:
    """Few-shot examples: ``n`` samples of the split ``from_`` (YAML key ``from``), drawn with ``seed``."""

    from_: str = "train"
    n: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n < 0:
            raise TemplateError(f"shots: n must be 0 or more, got {self.n}")


@dataclass(frozen=True, slots=True)
class MessageTemplate:
    """One message of a conversation; ``content`` is a template."""

    role: Role
    content: str

    def __post_init__(self) -> None:
        if self.role not in get_args(Role):
            raise TemplateError(f"messages: role must be one of {', '.join(get_args(Role))}, got {self.role!r}")


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """The prompt of a task: exactly one of ``text`` (plain continuation), ``user`` (with or without ``system``), ``messages``.

    ``answer`` is the template of an example's answer in ``shots``; ``delimiter`` stands between the examples of a plain text.
    """

    text: str | None = None
    system: str | None = None
    user: str | None = None
    messages: tuple[MessageTemplate, ...] = ()
    answer: str | None = None
    shots: Shots | None = None
    delimiter: str = "\n\n"

    def __post_init__(self) -> None:
        given = [key for key in ("text", "user", "messages") if getattr(self, key) not in (None, ())]
        if len(given) != 1:
            raise TemplateError(f"prompt: give exactly one of text, user, messages; got {' and '.join(given) or 'none'}")
        if self.system is not None and self.user is None:
            raise TemplateError(f"prompt: system goes with user, not with {given[0]}")


# ── compiling ───────────────────────────────────────────────────────────────────────────────────────────────────────

_PATH = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_GETTER = re.compile(r"\{\{\s*(" + _PATH + r")\s*\}\}")
_MARKS = ("{{", "{%", "{#")
_NOT_FIELDS = frozenset(["true", "false", "none", "True", "False", "None", "not", "and", "or", "if", "else", "in", "is"])


def compile_template(text: str) -> Render:
    """A function from a row to the template's value.

    A text that is one ``{{ expression }}`` and nothing else, not even a space, gives the object itself; any other gives text,
    in which ``None`` reads "None" and line ends are ``\\n``, as in Jinja. ``a.b`` is the item ``b`` of ``a`` before it is an
    attribute. Filters are Jinja's, without ``random``, and ``literal``: it reads a printed Python value or NumPy array of text.

    >>> compile_template("{{ a.b }}")({"a": {"b": [1, 2]}})
    [1, 2]
    >>> compile_template("{{ a }} of {{ b | upper }}")({"a": 1, "b": "two"})
    '1 of TWO'

    Raises TemplateError for bad syntax, naming the template and the line. The function raises MissingField for a field that is
    not there, TemplateError for anything else that fails.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    whole = _GETTER.fullmatch(text)
    if whole and _is_field(whole[1]):
        return _getter(whole[1])
    if not any(mark in text for mark in _MARKS):
        return lambda row: text
    return _concatenation(text) or _jinja(text)


def compile_tree(value: Any) -> Render:
    """The same for nested mappings and lists: every text in them is a template, keys and other scalars stay as they are."""
    if isinstance(value, str):
        return compile_template(value)
    if isinstance(value, Mapping):
        items = [(key, compile_tree(item)) for key, item in value.items()]
        return lambda row: {key: render(row) for key, render in items}
    if isinstance(value, Sequence):
        renders = [compile_tree(item) for item in value]
        return lambda row: [render(row) for render in renders]
    return lambda row: value


def _is_field(path: str) -> bool:
    return path.partition(".")[0] not in _NOT_FIELDS


def _getter(path: str) -> Render:
    name, *rest = path.split(".")

    def get(row: Mapping[str, Any]) -> Any:
        try:
            return row[name]
        except KeyError:
            raise MissingField(name, row) from None

    def get_inner(row: Mapping[str, Any]) -> Any:
        value = get(row)
        for depth, key in enumerate(rest, 1):
            try:
                value = value[key]
            except (KeyError, TypeError, IndexError):
                value = _attribute(value, key, ".".join([name, *rest[:depth]]))
        return value

    return get_inner if rest else get


def _attribute(value: Any, name: str, path: str) -> Any:
    """``{{ date.year }}``: a plain attribute of what is no mapping, text or list; else MissingField."""
    if isinstance(value, Mapping):
        raise MissingField(path, value)
    if not isinstance(value, (str, Sequence)) and not name.startswith("_"):
        found = getattr(value, name, None)
        if found is not None and not callable(found):
            return found
    kind = "null" if value is None else f"of type {type(value).__name__}"
    raise MissingField(path, (), note=f"{path.rpartition('.')[0]!r} is {kind}")


def _concatenation(text: str) -> Render | None:
    """Literal text and plain getters joined without Jinja; None where the template has more than that."""
    parts = _GETTER.split(text)
    literals, paths = parts[0::2], parts[1::2]
    left_for_jinja = any(mark in literal for literal in literals for mark in _MARKS) or "{{{" in text
    if left_for_jinja or not all(map(_is_field, paths)):
        return None
    template = "".join(literal.replace("%", "%%") + ("%s" if i < len(paths) else "") for i, literal in enumerate(literals))
    getters = [_getter(path) for path in paths]
    return lambda row: template % tuple([get(row) for get in getters])


# ── Jinja ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_FAILURES = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError)


def _jinja(text: str) -> Render:
    import jinja2

    environment = _environment()
    try:
        kinds, values = zip(*[(kind, value) for _, kind, value in environment.lex(text)])
        if kinds[0] == "variable_begin" and kinds[-1] == "variable_end" and kinds.count("variable_begin") == 1:
            evaluate: Render = environment.compile_expression("".join(values[1:-1]), undefined_to_none=False)
        else:
            evaluate = environment.from_string(text).render
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"template {_shown(text)}: line {error.lineno}: {error.message}") from None

    def render(row: Mapping[str, Any]) -> Any:
        try:
            return _plain(evaluate(row))
        except jinja2.UndefinedError as error:
            raise _missing(error, row) from None
        except (jinja2.TemplateError, *_FAILURES) as error:
            raise TemplateError(f"template {_shown(text)}: {error or type(error).__name__}") from error

    return render


def _shown(text: Any) -> str:
    return repr(text if len(str(text)) <= 100 else str(text)[:99] + "…")


def _missing(error: Exception, row: Mapping[str, Any]) -> HarnessError:
    undefined = getattr(error, "undefined", None)
    if undefined is None:
        return TemplateError(str(error))
    name, parent = str(undefined._undefined_name), undefined._undefined_obj
    if not error.args[0].endswith("is undefined") and not isinstance(parent, Mapping):
        return MissingField(name, (), note=str(error))
    return MissingField(name, parent if isinstance(parent, Mapping) else row)


def _plain(value: Any) -> Any:
    """What an expression gave as plain data: lazy sequences as lists, marked-up text as text, nothing undefined inside."""
    import jinja2

    if isinstance(value, str):
        return str(value) if type(value) is not str else value
    if isinstance(value, jinja2.Undefined):
        return str(value)  # a strict undefined raises here
    if isinstance(value, (Iterator, KeysView, ValuesView, ItemsView, range, list)):
        return [_plain(item) for item in value]
    if isinstance(value, tuple):
        return tuple([_plain(item) for item in value])
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    """The one Jinja environment: sandboxed, strict, with newlines kept as written, and deterministic (nothing random in it)."""
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from jinja2.utils import missing

    class UndefinedField(jinja2.UndefinedError):
        def __init__(self, message: str, undefined: jinja2.Undefined) -> None:
            super().__init__(message)
            self.undefined = undefined

    class StrictField(jinja2.StrictUndefined):
        def __init__(self, hint: Any = None, obj: Any = missing, name: Any = None, exc: Any = jinja2.UndefinedError) -> None:
            super().__init__(hint, obj, name, exc)
            if exc is jinja2.UndefinedError:
                self._undefined_exception = lambda message: UndefinedField(message, self)  # type: ignore[assignment]

    class ItemsFirst(ImmutableSandboxedEnvironment):
        def getattr(self, obj: Any, attribute: str) -> Any:
            if isinstance(obj, Mapping) and attribute in obj:
                return obj[attribute]
            return super().getattr(obj, attribute)

    environment = ItemsFirst(undefined=StrictField, keep_trailing_newline=True)
    del environment.filters["random"], environment.globals["lipsum"]
    environment.filters["literal"] = _literal
    return environment


def _literal(text: str) -> Any:
    """The value of a printed Python literal. Texts side by side, as NumPy prints an array, are separate items."""
    try:
        return ast.literal_eval(_with_commas(text.strip()))
    except (AttributeError, ValueError, SyntaxError, tokenize.TokenError, MemoryError, RecursionError) as error:
        raise ValueError(f"literal: {_shown(text)} is no Python literal") from error


def _with_commas(text: str) -> str:
    if not re.search(r"""['"]\s+[rbuRBU]?['"]""", text):
        return text
    out, before, end = [], False, 0
    offsets = [0]
    for line in text.splitlines(keepends=True):
        offsets.append(offsets[-1] + len(line))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        start = offsets[token.start[0] - 1] + token.start[1]
        if token.type == tokenize.STRING and before:
            out.append(text[end:start] + ",")
            end = start
        if token.type not in (tokenize.NL, tokenize.NEWLINE):
            before = token.type == tokenize.STRING
    return "".join(out) + text[end:]
