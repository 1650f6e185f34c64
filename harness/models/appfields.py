"""What a user's service or app is told of a request, as plain JSON-like data."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.models.generation import row_seed
from harness.models.prices import Prices
from harness.protocols import Size
from harness.types import Ask, Call, Decoding, Generate, Message, Prompt, Rank, Request, Usage

_CHARACTERS_A_TOKEN = 4
_SEEDS = 2**31


def app_fields(request: Request, seed: int = 0) -> dict[str, Any]:
    """The mapping that is handed over, the caller's to change.

    - Ask: the sample's input, and ``choices`` where the request has them and the input no such field.
    - Generate: ``prompt``, ``question``, ``system``, ``messages`` and ``decoding``, and ``choices`` and ``schema`` where there
      are any. ``prompt`` is the text of the prompt, of a conversation its messages but for those of the system, parted by empty
      lines; ``question`` is the same, for apps that take questions; ``system`` is the text of those, "" without any;
      ``messages`` are ``{"role", "content"}``, of a plain text one of the user; ``decoding`` has ``max_tokens``,
      ``temperature``, ``top_p``, ``top_k``, ``stop`` and ``seed``.
    - Rank: ``query`` and ``k``.

    Raises TypeError for any other request.
    """
    if isinstance(request, Ask):
        fields: dict[str, Any] = copy.deepcopy(dict(request.input))
        return {"choices": list(request.choices), **fields} if request.choices else fields
    if isinstance(request, Rank):
        return {"query": request.query, "k": request.k}
    if not isinstance(request, Generate):
        raise TypeError(f"an app takes Ask, Generate and Rank, not {type(request).__name__}")
    fields = {**_prompt_fields(request.prompt), "decoding": _decoding_fields(request.decoding, seed)}
    if request.choices:
        fields["choices"] = list(request.choices)
    if request.schema is not None:
        fields["schema"] = copy.deepcopy(dict(request.schema))
    return fields


def row_seed_of(call: Call) -> int:
    """The seed that an app is told: another one for every sample and repeat, of 31 bits."""
    return row_seed(call) % _SEEDS


@dataclass(frozen=True, slots=True)
class AppInspector:
    """What can be said of requests to an app or service without asking it; ``rendered`` gives what it would be handed."""

    signed: Mapping[str, Any]
    rendered: Callable[[Request], Mapping[str, Any]]
    prices: Prices | None = None

    def signature(self) -> Mapping[str, Any]:
        return self.signed

    def size(self, request: Request) -> Size:
        """An estimate by the texts that are handed over, four characters a token: what an app makes of them is not known."""
        fields = app_fields(request)
        texts = [message["content"] for message in fields["messages"]] if isinstance(request, Generate) else _texts(fields)
        read = sum(math.ceil(len(text) / _CHARACTERS_A_TOKEN) for text in texts)
        written = request.decoding.max_tokens if isinstance(request, Generate) else 0
        cost = None if self.prices is None else self.prices.cost(Usage(read, written))
        return Size(read, written, exact=False, cost=cost)

    def render(self, request: Request) -> Mapping[str, Any]:
        return self.rendered(request)


def _prompt_fields(prompt: Prompt) -> dict[str, Any]:
    messages = (Message("user", prompt),) if isinstance(prompt, str) else prompt
    system = [message.content for message in messages if message.role == "system"]
    others = [message.content for message in messages if message.role != "system"]
    return {
        "prompt": "\n\n".join(others),
        "question": "\n\n".join(others),
        "system": "\n\n".join(system),
        "messages": [{"role": message.role, "content": message.content} for message in messages],
    }


def _decoding_fields(decoding: Decoding, seed: int) -> dict[str, Any]:
    names = ("max_tokens", "temperature", "top_p", "top_k")
    return {**{name: getattr(decoding, name) for name in names}, "stop": list(decoding.stop), "seed": seed}


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(item)]
    return []
