"""A service's key: read from the environment when its model is opened, and kept out of everything that is written."""

from __future__ import annotations

import os

from harness.errors import BackendError

_LONG_ENOUGH = 8
_SURELY_LONG_ENOUGH = 20
_HIDDEN = "[key]"


class Key:
    """The key in the environment variable ``variable``; ``text`` is None where that is not set. Its repr shows no key."""

    def __init__(self, variable: str | None, text: str | None) -> None:
        self.variable, self.text = variable, text
        self._is_secret = text is not None and _is_secret(text)

    def __repr__(self) -> str:
        return f"Key(variable={self.variable!r}, {'set' if self.text else 'not set'})"

    def hidden_in(self, text: str) -> str:
        """The text without the key, should a service send it back. Words such as ``EMPTY`` that local servers are given for a
        key are no secret: less than 8 characters, or less than 20 that are all letters."""
        if self._is_secret and self.text is not None and self.text in text:
            return text.replace(self.text, _HIDDEN)
        return text

    def hide(self, error: Exception) -> Exception:
        """The same exception with the key taken out of its text (and its ``reason``, where it has one)."""
        error.args = (self.hidden_in(str(error)),)
        if hasattr(error, "reason"):
            error.reason = self.hidden_in(error.reason)
        return error

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


def _is_secret(text: str) -> bool:
    return len(text) >= _SURELY_LONG_ENOUGH or (len(text) >= _LONG_ENOUGH and not text.isalpha())
