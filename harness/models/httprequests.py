"""What the ``http`` backend sends: a body from a template, and secrets from the environment that nothing else ever sees."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from harness.errors import BackendError, ConfigError, HarnessError
from harness.models.appfields import app_fields
from harness.models.credentials import Key, read_key
from harness.templates import Render, compile_tree
from harness.types import Ask, Generate, Request

_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}")
_ENVIRONMENT = "_environment"
_SECRET_HEADER = re.compile(r"(?:^|[-_])(?:authorization|cookie|api-?key|key|token|secret|password)$", re.IGNORECASE)
_SECRET_FIELD = re.compile(r"(?:^|[-_])(?:authorization|api[-_]?key|token|secret|password)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """The parts of a request as the config has them. ``${NAME}`` in headers and body stands for a variable of the environment.

    Raises ConfigError for what cannot be asked, and for a credential that is written out: configs are kept with every run.
    """

    url: str
    method: str
    headers: Mapping[str, str]
    body: Any
    _render: Render = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_url(self.url)
        for header, value in self.headers.items():
            if _SECRET_HEADER.search(header) and not _VARIABLE.search(value):
                raise ConfigError(_written_out(f"headers.{header}"))
            if not re.fullmatch(r"[!#$%&'*+.^_`|~\w-]+", header, re.ASCII) or any(ord(c) < 32 or ord(c) > 126 for c in value):
                raise ConfigError(f"http: headers.{header} must have a name and a value of plain ASCII")
        for name, value in _named_texts(self.body):
            if _SECRET_FIELD.search(name) and not any(mark in value for mark in ("${", "{{")):
                raise ConfigError(_written_out(f"body: {name}"))
        if self.method == "GET" and self.body is not None and not isinstance(self.body, Mapping):
            raise ConfigError("http: body must be a mapping where method is GET: it becomes the query of the address")
        try:
            object.__setattr__(self, "_render", compile_tree(_with_variables(self.body)))
        except HarnessError as error:
            raise ConfigError(f"http: body: {error}") from error

    def variables(self) -> list[str]:
        """The names of the environment variables that it takes, in order."""
        texts = [*self.headers.values(), *(text for _, text in _named_texts(self.body))]
        return list(dict.fromkeys(name for text in texts for name in _VARIABLE.findall(text)))

    def secrets(self) -> Secrets:
        """Those variables. Raises BackendError for one that is not set, or cannot be sent."""
        keys = {name: read_key("http", name) for name in self.variables()}
        for name, key in keys.items():
            if key.text is None:
                raise BackendError(f"http: the environment variable {name}, which headers or body name, is not set")
        return Secrets(keys)

    def rendered(self, seen: Mapping[str, Any], request: Request) -> Any:
        """The body of a request whose templates see these fields. Raises MissingField, TemplateError."""
        return app_fields(request, seen["seed"]) if self.body is None else self._render(seen)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The values of environment variables. Their repr shows none."""

    keys: Mapping[str, Key]

    def put_into(self, text: str) -> str:
        return _VARIABLE.sub(lambda found: self.keys[found[1]].text or "", text)

    def hidden_in(self, text: str) -> str:
        """The text without any of them, should the service send one back."""
        for key in self.keys.values():
            text = key.hidden_in(text)
        return text

    def fields(self) -> dict[str, Any]:
        return {_ENVIRONMENT: {name: key.text for name, key in self.keys.items()}}


def request_fields(request: Request, seed: int = 0) -> dict[str, Any]:
    """What a body's templates see: the fields of ``app_fields``, and

    - for Generate: those of ``decoding`` by themselves too, ``choices`` (empty without any) and ``schema`` (null without one),
    - for Ask: the input whole as ``input``, ``choices`` and ``seed`` where the input has no such field.
    """
    fields = app_fields(request, seed)
    if isinstance(request, Generate):
        return {"choices": [], "schema": None, **fields["decoding"], **fields}
    return {"choices": [], "seed": seed, **fields, "input": app_fields(Ask(request.input)) if isinstance(request, Ask) else {}}


def as_written(names: Iterable[str]) -> dict[str, Any]:
    """Fields that leave ``${NAME}`` standing, for bodies that are shown."""
    return {_ENVIRONMENT: {name: f"${{{name}}}" for name in names}}


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("http: url must be an address such as https://rag.example.com/ask")
    if parts.username is not None or parts.password is not None:
        raise ConfigError("http: url must hold no user and no password: send them as headers.Authorization: Basic ${NAME}")
    if _VARIABLE.search(url) or any(_SECRET_FIELD.search(name) or name == "key" for name, _ in parse_qsl(parts.query)):
        raise ConfigError("http: url must hold no credential: addresses are shown in errors; send it in headers or body")


def _written_out(where: str) -> str:
    return f"http: {where} must take its secret from the environment, such as ${{SERVICE_KEY}}: configs are kept with every run"


def _with_variables(value: Any) -> Any:
    """The body with every ``${NAME}`` as a template's field, so that only what the config has written is ever replaced."""
    if isinstance(value, str):
        return _VARIABLE.sub(rf"{{{{ {_ENVIRONMENT}.\1 }}}}", value)
    if isinstance(value, Mapping):
        return {key: _with_variables(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_variables(item) for item in value]
    return value


def _named_texts(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a body under the name of its key."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _named_texts(item, str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _named_texts(item, name)
