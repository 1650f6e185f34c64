"""Holds a text to one of several choices or to a JSON Schema: which tokens may come next, by the package ``llguidance``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import MissingDependency
from harness.models.prompts import Unanswerable
from harness.types import Generate

_KEPT = 64
"""Forms that are kept begun, those used last: every sample may have choices of its own, at up to 0.1 MB each."""


class Constraint:
    """What one text may still become. Made anew for each text."""

    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher

    @property
    def error(self) -> str:
        """Why the text cannot be held to it any longer; empty where it can."""
        return f"the text cannot be held to its form: {self._matcher.get_error()}" if self._matcher.is_error() else ""

    @property
    def is_complete(self) -> bool:
        """Whether the text is whole and no token can follow."""
        return bool(self._matcher.is_stopped()) and not self._matcher.is_error()

    def allowed(self, vocabulary: int) -> NDArray[np.bool_]:
        """``bool[vocabulary]``: the tokens that may come next; the end tokens where the text may end here."""
        bits = np.unpackbits(np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")
        found = np.zeros(vocabulary, dtype=np.bool_)
        found[: len(bits)] = bits[:vocabulary]
        return found

    def take(self, token: int) -> None:
        """Go on behind this token."""
        self._matcher.consume_token(token)


class Constraints:
    """Makes the constraints of requests for one tokenizer. ``ends``: the tokens that end a text."""

    def __init__(self, tokenizer: Any, ends: frozenset[int], vocabulary: int) -> None:
        self._tokenizer, self._ends, self._vocabulary = tokenizer, ends, vocabulary
        self._read: Any = None
        self._begun: dict[str, Any] = {}

    def of(self, request: Generate) -> Callable[[], Constraint] | None:
        """What makes the constraint of a request's text; None where it is free.

        ``choices`` go before ``schema``. Raises Unanswerable for a schema that cannot be kept to, MissingDependency without
        the package ``llguidance``.
        """
        if not request.choices and request.schema is None:
            return None
        form = json.dumps(request.choices or request.schema, ensure_ascii=False)
        begun = self._begun.pop(form, None)
        if begun is None:
            begun = self._matcher(_choices_grammar(request.choices) if request.choices else _json_grammar(form))
        self._begun[form] = begun
        if len(self._begun) > _KEPT:
            del self._begun[next(iter(self._begun))]
        return lambda: Constraint(begun.deep_copy())

    def _matcher(self, grammar: str) -> Any:
        from llguidance import LLMatcher

        matcher = LLMatcher(self._vocabulary_of_tokenizer(), grammar, log_level=0)
        if matcher.is_error():
            raise Unanswerable(f"the text cannot be held to its schema: {_gist(str(matcher.get_error()))}")
        return matcher

    def _vocabulary_of_tokenizer(self) -> Any:
        """Built once: it takes a second."""
        if self._read is None:
            from llguidance.hf import from_tokenizer

            try:
                self._read = from_tokenizer(self._tokenizer, n_vocab=self._vocabulary, eos_token=sorted(self._ends))
            except ValueError as error:
                raise Unanswerable(f"this model's tokenizer cannot hold a text to choices or a schema: {error}") from error
        return self._read


def _gist(message: str) -> str:
    """The first line of an error and, where there are several (a pattern with a mark below it), the last, which says why."""
    lines = [line.strip() for line in message.strip().splitlines() if line.strip()]
    return " ".join(dict.fromkeys([*lines[:1], *lines[-1:]]))


def _choices_grammar(choices: tuple[str, ...]) -> str:
    _require_llguidance()
    from llguidance import LLMatcher

    quoted = " | ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)
    return str(LLMatcher.grammar_from_lark(f"start: {quoted}"))


def _json_grammar(schema: str) -> str:
    _require_llguidance()
    from llguidance import LLMatcher

    # JSON as json.dumps writes it. Where white space is free, small models write nothing else until they run out of tokens.
    return str(LLMatcher.grammar_from_json_schema(
        schema, overrides={"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}))


def _require_llguidance() -> None:
    try:
        import llguidance  # noqa: F401
    except ImportError as error:
        raise MissingDependency("transformers backend: a request with choices or a schema", ["llguidance"], "models") from error
