"""What the ``http`` backend sends: a body from a template, and secrets from the environment that nothing else ever sees."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from harness.errors import BackendError, ConfigError, HarnessError
from harness.models.appfields import app_fields
from harness.models.credentials import Hider, credential_in, named_texts, names_credential, read_key
from harness.templates import TemplateError, compile_template, compile_tree
from harness.types import Ask, Generate, Request

_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}")
_EXPRESSION = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_SCHEME = re.compile(r"\s*(?:basic|bearer|digest|token)\s", re.IGNORECASE)

Filled: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, str]], Any]
"""A part of the body, from the fields that its templates see and the values of its variables."""


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """The parts of a request as the config has them. ``${NAME}`` in headers and body stands for a variable of the environment.

    Raises ConfigError for what cannot be asked, and for a credential that is written out: configs are kept with every run.
    """

    url: str
    method: str
    headers: Mapping[str, str]
    body: Any
    _filled: Filled = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_url(self.url)
        for header, value in self.headers.items():
            if not re.fullmatch(r"[!#$%&'*+.^_`|~\w-]+", header, re.ASCII) or any(ord(c) < 32 or ord(c) > 126 for c in value):
                raise ConfigError(f"http: headers.{header} must have a name and a value of plain ASCII")
        if found := credential_in(self.headers, "header", lambda text: not _VARIABLE.search(text)):
            raise ConfigError(_written_out(f"headers.{found}"))
        if found := credential_in(self.body, "field", lambda text: not any(mark in text for mark in ("${", "{{"))):
            raise ConfigError(_written_out(f"body: {found}"))
        if self.method == "GET" and self.body is not None and not isinstance(self.body, Mapping):
            raise ConfigError("http: body must be a mapping where method is GET: it becomes the query of the address")
        try:
            object.__setattr__(self, "_filled", _compiled(self.body, f":{secrets.token_hex(8)}}}"))
        except HarnessError as error:
            raise ConfigError(f"http: body: {error}") from None

    def variables(self) -> list[str]:
        """The names of the environment variables that it takes, in order."""
        return list(dict.fromkeys(name for name, _ in self._uses()))

    def secrets(self) -> Secrets:
        """Those variables. Raises BackendError for one that is not set, or cannot be sent."""
        keys = {name: read_key("http", name) for name in self.variables()}
        for name, key in keys.items():
            if key.text is None:
                raise BackendError(f"http: the environment variable {name}, which headers or body name, is not set")
        values = {name: key.text or "" for name, key in keys.items()}
        return Secrets(values, {name for name, is_secret in self._uses() if is_secret})

    def rendered(self, seen: Mapping[str, Any], request: Request, values: Mapping[str, str]) -> Any:
        """The body of a request whose templates see these fields, with these values of its variables.

        Raises MissingField, TemplateError.
        """
        return app_fields(request, seen["seed"]) if self.body is None else self._filled(seen, values)

    def as_written(self) -> dict[str, str]:
        """Values that leave ``${NAME}`` standing, for bodies that are shown."""
        return {name: f"${{{name}}}" for name in self.variables()}

    def _uses(self) -> Iterator[tuple[str, bool]]:
        """Every use of a variable, and whether it is that of a secret, by the name of the variable or its place."""
        texts = [*named_texts(self.headers, "header"), *named_texts(self.body, "header")]
        for _, text, is_secret in texts:
            for name in _VARIABLE.findall(text):
                yield name, is_secret or names_credential(name, "header") or _SCHEME.match(text) is not None


class Secrets(Hider):
    """The values of environment variables by name: all of them are hidden in errors. Its repr shows none."""

    def __init__(self, values: Mapping[str, str], private: Collection[str]) -> None:
        super().__init__(values.values())
        self.values = values
        self.in_answers = Hider(value for name, value in values.items() if name in private)
        """Hides those in ``private`` alone: a version or a region is no secret, and answers may speak of it."""

    def put_into(self, text: str) -> str:
        return _VARIABLE.sub(lambda found: self.values[found[1]], text)


def request_fields(request: Request, seed: int = 0) -> dict[str, Any]:
    """What a body's templates see: the fields of ``app_fields``, and

    - for Generate: those of ``decoding`` by themselves too, ``choices`` (empty without any) and ``schema`` (null without one),
    - for Ask: the input whole as ``input``, ``choices`` and ``seed`` where the input has no such field.
    """
    fields = app_fields(request, seed)
    if isinstance(request, Generate):
        return {"choices": [], "schema": None, **fields["decoding"], **fields}
    return {"choices": [], "seed": seed, **fields, "input": app_fields(Ask(request.input)) if isinstance(request, Ask) else {}}


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ConfigError(f"http: url must be an address such as https://rag.example.com/ask: {error}") from None
    if not is_address:
        raise ConfigError("http: url must be an address such as https://rag.example.com/ask")
    if parts.username is not None or parts.password is not None:
        raise ConfigError("http: url must hold no user and no password: send them as headers.Authorization: Basic ${NAME}")
    query = [name for part in (parts.query, parts.fragment) for name, _ in parse_qsl(part, keep_blank_values=True)]
    if _VARIABLE.search(url) or any(names_credential(name, "query") for name in query):
        raise ConfigError("http: url must hold no credential: addresses are shown in errors; send it in headers or body")


def _written_out(where: str) -> str:
    return f"http: {where} must take its secret from the environment, such as ${{SERVICE_KEY}}: configs are kept with every run"


def _compiled(value: Any, mark: str) -> Filled:
    """The body's templates. A ``${NAME}`` in them passes through as ``${NAME`` and the mark, which no sample knows: only what
    the config has written is ever replaced, and no template sees a secret. Raises ConfigError, TemplateError."""
    if isinstance(value, Mapping):
        items = [(key, _compiled(item, mark)) for key, item in value.items()]
        return lambda seen, values: {key: filled(seen, values) for key, filled in items}
    if isinstance(value, list | tuple):
        parts = [_compiled(item, mark) for item in value]
        return lambda seen, values: [filled(seen, values) for filled in parts]
    if not isinstance(value, str) or not _VARIABLE.search(value):
        render = compile_tree(value)
        return lambda seen, values: render(seen)
    return _compiled_text(value, mark)


def _compiled_text(text: str, mark: str) -> Filled:
    for expression in _EXPRESSION.findall(text):
        if found := _VARIABLE.search(expression):
            raise ConfigError(f"{found[0]} must stand outside of {{{{ … }}}} and {{% … %}}, got {text!r}")
    marked = re.compile(rf"\$\{{([A-Za-z_]\w*){re.escape(mark)}")
    try:
        render = compile_template(_VARIABLE.sub(rf"${{\1{mark}", text))
    except HarnessError as error:
        raise ConfigError(str(error).replace(mark, "}")) from None

    def fill(seen: Mapping[str, Any], values: Mapping[str, str]) -> str:
        try:
            return marked.sub(lambda found: values[found[1]], render(seen))
        except TemplateError as error:
            raise TemplateError(str(error).replace(mark, "}")) from None

    return fill
