"""Credentials: read from the environment when a model is opened, hidden in everything that is written, refused in configs."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal, TypeAlias

from harness.errors import BackendError, ConfigError

Place: TypeAlias = Literal["field", "header", "query"]

_LONG_ENOUGH = 8
_SURELY_LONG_ENOUGH = 20
_HIDDEN = "[key]"


class Hider:
    """Takes secrets out of what is going to be written, in any of the forms that they come back in: as they are, URL-encoded,
    escaped as in JSON or HTML, or cut off (their first 8 characters at least, before "…", "..." or the end).

    Hide first and cut then: a cut that leaves less than 8 characters shows those. Words such as ``EMPTY`` that local servers
    are given for a key are no secret: less than 8 characters, or less than 20 that are all letters. Its repr shows none.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        # A secret that another one begins with must not leave the rest of that one behind.
        self._marks = [_Mark(secret) for secret in sorted({*secrets}, key=len, reverse=True) if _is_secret(secret)]

    def hidden_in(self, text: str) -> str:
        """The text without any of them."""
        for mark in self._marks:
            text = mark.hidden_in(text)
        return text

    def hidden_in_document(self, document: Any) -> Any:
        """A parsed JSON document without any of them in its strings, keys among them. Lists and objects change in place."""
        top = [document]
        waiting: list[Any] = [top] if self._marks else []
        while waiting:
            holder = waiting.pop()
            if isinstance(holder, dict):
                for key in [key for key in holder if self.hidden_in(key) != key]:
                    holder[self.hidden_in(key)] = holder.pop(key)
            for place, item in holder.items() if isinstance(holder, dict) else enumerate(holder):
                if isinstance(item, str):
                    holder[place] = self.hidden_in(item)
                elif isinstance(item, dict | list):
                    waiting.append(item)
        return top[0]

    def hide(self, error: Exception) -> Exception:
        """The same exception with them taken out of its text (and its ``reason``); where that is not in its arguments, a
        BackendError in its place."""
        text = str(error)
        hidden = self.hidden_in(text)
        if isinstance(reason := getattr(error, "reason", None), str) and self.hidden_in(reason) != reason:
            error.reason = self.hidden_in(reason)  # type: ignore[attr-defined]
        if hidden != text:
            error.args = (hidden,)
            if str(error) != hidden:
                return BackendError(f"{type(error).__name__}: {hidden}")
        return error

    @contextmanager
    def hiding(self) -> Iterator[None]:
        """Whatever is raised inside comes out without them, and without its cause."""
        try:
            yield
        except Exception as error:
            raise self.hide(error) from None


class Key(Hider):
    """The key in the environment variable ``variable``; ``text`` is None where that is not set. Its repr shows no key."""

    def __init__(self, variable: str | None, text: str | None) -> None:
        super().__init__([] if text is None else [text])
        self.variable, self.text = variable, text

    def __repr__(self) -> str:
        return f"Key(variable={self.variable!r}, {'set' if self.text else 'not set'})"

    def headers(self) -> dict[str, str]:
        """The ``Authorization`` header, or none without a key."""
        return {} if self.text is None else {"Authorization": f"Bearer {self.text}"}


def read_key(who: str, variable: str | None) -> Key:
    """The key that the environment has under this name. Raises BackendError, which does not show it, for what is no key."""
    text = os.environ.get(variable) if variable else None
    text = text.strip() if text else None
    if not text:
        return Key(variable, None)
    if not all("!" <= character <= "~" for character in text):
        raise BackendError(f"{who}: the environment variable {variable} holds what no key does: a line break, a blank, a "
                           "control character or one that is not ASCII")
    return Key(variable, text)


def refuse_credentials(where: str, mapping: Mapping[str, Any], place: Place = "field") -> None:
    """Raise ConfigError where an entry of a config (``where``: its key) holds what its name says is a credential: a header, a
    field of a body however deep, or a name in a query."""
    if found := credential_in(mapping, place):
        raise ConfigError(f"{where} must not have {found!r}, which would be written into every run; a key belongs into the "
                          "environment variable that api_key_env names")


def credential_in(value: Any, place: Place = "field", is_written: Callable[[str], bool] = lambda text: True) -> str | None:
    """Where in a value of a config its first credential is, as ``auth.api_key``; None without one. ``is_written`` says of a
    text whether it holds its secret, and not the place of one."""
    return next((name for name, text, secret in named_texts(value, place) if secret and is_written(text)), None)


def named_texts(value: Any, place: Place = "field", name: str = "", secret: bool = False) -> Iterator[tuple[str, str, bool]]:
    """Every text of a value, with the names of its keys joined by points, and whether one of them is that of a credential.

    Long numbers count as texts: a key of digits is one where YAML reads it without quotes.
    """
    if isinstance(value, str):
        yield name, value, secret
    elif isinstance(value, int) and len(str(value)) >= _LONG_ENOUGH:
        yield name, str(value), secret
    elif isinstance(value, Mapping):
        for key, item in value.items():
            path = f"{name}.{key}" if name else str(key)
            yield from named_texts(item, place, path, secret or names_credential(str(key), place))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from named_texts(item, place, name, secret)


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ANYWHERE = frozenset({"apikey", "passcode", "authorization", "bearer", "credential", "credentials", "jwt", "passphrase",
                       "passwd", "password", "pwd", "secret"})  # fmt: skip
_LAST = frozenset({"auth", "authentication", "cookie", "oauth", "pass", "sig", "token"})
_LAST_OF_QUERY = frozenset({*_LAST, "code", "key", "signature"})
_ENDINGS = ("accesskey", "apikey", "password", "privatekey", "secret", "secretkey", "subscriptionkey", "token")
_KEYS = frozenset({"access", "account", "admin", "api", "app", "application", "auth", "client", "consumer", "encryption",
                   "function", "functions", "host", "license", "master", "openai", "private", "secret", "service", "session",
                   "shared", "signing", "ssh", "subscription", "user"})  # fmt: skip
"""What stands before ``key`` in the names of fields that hold one; in a header or a query any ``key`` is one but these:"""
_NO_KEYS = frozenset({"cache", "group", "idempotency", "partition", "primary", "routing", "sort"})
_NO_TOKENS = frozenset({"bos", "cls", "end", "eos", "first", "image", "mask", "next", "pad", "sep", "start", "stop", "unk"})


def names_credential(name: str, place: Place = "field") -> bool:
    """Whether a name, in camelCase or parted by anything, is that of a credential: ``X-Auth-Token``, ``clientSecret``,
    ``user_token_2``; not ``max_tokens``, ``eos_token`` or ``prompt_cache_key``."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words:
        return False
    *_, before, last = "", *words
    if last == "token" and before in _NO_TOKENS:
        return False
    if not _ANYWHERE.isdisjoint(words) or last in (_LAST_OF_QUERY if place == "query" else _LAST) or last.endswith(_ENDINGS):
        return True
    return last == "key" and (before in _KEYS if place == "field" else before not in _NO_KEYS)


class _Mark:
    """One secret and how it is found."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        head = secret[:_LONG_ENOUGH]
        self._needle = max(re.findall(r"[A-Za-z0-9]*", head), key=len)
        """Of the head, what no encoding changes: texts without it are done with at once."""
        # Each in one way only: what nearly matches would otherwise be tried in thousands.
        self._head = re.compile("".join(f"(?>{_forms(character)})" for character in head))

    def __repr__(self) -> str:
        return f"_Mark({_HIDDEN})"

    def hidden_in(self, text: str) -> str:
        if self._needle not in text:
            return text
        text = text.replace(self._secret, _HIDDEN)
        parts, done = [], 0
        while found := self._head.search(text, done):
            end = self._end(text, found.end())
            if end is None:
                parts.append(text[done : found.start() + 1])
                done = found.start() + 1
            else:
                parts += [text[done : found.start()], _HIDDEN]
                done = end
        return "".join([*parts, text[done:]])

    def _end(self, text: str, end: int) -> int | None:
        """Where the secret ends whose head ends at ``end``; None where something else follows."""
        for character in self._secret[_LONG_ENOUGH:]:
            found = _form(character).match(text, end)
            if found is None:
                cut = _CUT.match(text, end)
                return None if cut is None else cut.end("rest")
            end = found.end()
        return end


_CUT = re.compile(r"(?P<rest>\\{1,4}(?:u[0-9a-fA-F]{0,3})?|%(?:25)*[0-9a-fA-F]?|&#?\w{0,5}|)\s*(?:…|\.\.\.|\Z)")
"""What follows a secret that was cut off, in the middle of an escape perhaps."""


@cache
def _form(character: str) -> re.Pattern[str]:
    return re.compile(_forms(character))


def _forms(character: str) -> str:
    """A pattern of a character as it is, escaped, or encoded, once or twice."""
    percent = "".join(rf"%(?:25){{0,2}}{byte:02x}" for byte in character.encode(errors="replace"))
    unicode = "".join(rf"\\{{1,4}}u{unit:04x}" for unit in _units(character))
    entity = rf"&\#(?:x0*{ord(character):x}|0*{ord(character)});"
    named, escaped = html.escape(character), json.dumps(character)[1:-1]
    return "|".join(dict.fromkeys([
        rf"(?i:{percent}|{unicode}|{entity})",
        re.escape(named if named != character else escaped),
        re.escape(escaped),
        r"\+" if character == " " else rf"\\{{0,4}}{re.escape(character)}",
        re.escape(character),
    ]))  # fmt: skip


def _units(character: str) -> list[int]:
    raw = character.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(raw[place : place + 2], "big") for place in range(0, len(raw), 2)]


def _is_secret(text: str) -> bool:
    return len(text) >= _SURELY_LONG_ENOUGH or (len(text) >= _LONG_ENOUGH and not text.isalpha())
