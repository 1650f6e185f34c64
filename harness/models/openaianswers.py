"""What an OpenAI-compatible service answers, read with care: what does not fit is trouble, never a wrong answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.codec import dumps, loads
from harness.errors import BackendError
from harness.models.asking import Refused, Trouble
from harness.models.httpstatus import failure, shortened
from harness.types import Likelihoods, Usage, Vectors

Finish = Literal["stop", "length"] | None

WHO = "openai backend"

_STATUSES = frozenset(str(status) for status in range(400, 600))
_NEVER = ("insufficient_quota", "model_not_found", "billing_not_active", "account_deactivated")
"""Error codes that no other request will fare better with, whatever the status."""


@dataclass(slots=True)
class Reply:
    """One written text, whole or as the pieces of a stream come in."""

    text: str = ""
    reasoning: str | None = None
    finish: str | None = None
    logprobs: list[float] = field(default_factory=list)
    usage: Usage | None = None

    @property
    def finish_reason(self) -> Finish:
        """``length`` where the text was cut off; every other end is the model's own. None where the service says nothing."""
        return None if self.finish is None else "length" if self.finish in ("length", "max_tokens") else "stop"


def parsed(raw: bytes) -> Any:
    """The JSON value of a body. Raises Trouble."""
    if not raw.strip():
        raise Trouble("format", "the answer is empty")
    try:
        return loads(raw)
    except ValueError as error:
        raise Trouble("format", f"the answer is no JSON ({error}): {_start(raw)}") from None


def reply_in(document: Any) -> Reply:
    """The text of a chat completion or a completion. Raises Trouble, Refused, or BackendError."""
    choice = _first_choice(document)
    message = choice.get("message", choice)
    if not isinstance(message, Mapping):
        raise Trouble("format", f"the answer's message is {_kind(message)}, not an object")
    reply = Reply(reasoning=_reasoning(message), finish=_finish(choice), logprobs=_logprobs(choice), usage=usage_in(document))
    text = _content(message.get("content", message.get("text")))
    if text is None:
        text = message.get("refusal") if isinstance(message.get("refusal"), str) else text
    if text is None and not (reply.reasoning or reply.finish_reason == "length" or message.get("tool_calls")):
        raise Trouble("format", "the answer has no text")
    reply.text = text or ""
    _refuse_filtered(reply)
    return reply


def is_whole(document: Any) -> bool:
    """Whether this is a whole chat completion and not a piece of one: from a service that does not stream."""
    choices = document.get("choices") if isinstance(document, Mapping) else None
    first = choices[0] if isinstance(choices, Sequence) and choices else None
    return isinstance(first, Mapping) and "message" in first and "delta" not in first


def add_event(reply: Reply, event: Any) -> bool:
    """Take in one event of a stream; whether it brought any text. Raises as :func:`reply_in` does."""
    if not isinstance(event, Mapping):
        raise Trouble("format", f"an event of the stream is {_kind(event)}, not an object")
    raise_error_in(event)
    reply.usage = usage_in(event) or reply.usage
    choices = event.get("choices")
    if not isinstance(choices, Sequence) or not choices:
        return False
    choice = choices[0] if isinstance(choices[0], Mapping) else {}
    delta = choice.get("delta", choice)
    delta = delta if isinstance(delta, Mapping) else {}
    piece, thought = _content(delta.get("content", delta.get("text"))) or "", _reasoning(delta)
    reply.text += piece
    if thought is not None:
        reply.reasoning = (reply.reasoning or "") + thought
    reply.finish = _finish(choice) or reply.finish
    reply.logprobs += _logprobs(choice)
    _refuse_filtered(reply)
    return bool(piece or thought)


def likelihoods_in(document: Any, starts: int, texts: Sequence[str]) -> Likelihoods:
    """Log-probabilities of what stands behind ``starts`` characters of each text, from a completion with ``echo``.

    A token that begins before and ends behind belongs to what stands behind, as in the ``transformers`` backend, which gives
    the blanks at a prefix's end to the continuation. Raises Refused where the service does not score what it reads.
    """
    choices = document.get("choices") if isinstance(document, Mapping) else None
    _first_choice(document)
    assert isinstance(choices, Sequence)
    by_index = {choice.get("index", place): choice for place, choice in enumerate(choices) if isinstance(choice, Mapping)}
    if sorted(by_index) != list(range(len(texts))):
        raise Trouble("format", f"{len(texts)} texts were to be scored, the answer has {len(choices)}")
    scored = [_scored(by_index[place], starts, text) for place, text in enumerate(texts)]
    return Likelihoods(tuple(total for total, _, _ in scored), tuple(n for _, n, _ in scored), tuple(g for _, _, g in scored))


def vectors_in(document: Any, n: int) -> Vectors:
    """The embeddings, in the order of the texts. Raises Trouble."""
    raise_error_in(document)
    rows = document.get("data") if isinstance(document, Mapping) else None
    try:
        found = {int(row.get("index", place)): tuple(map(float, row["embedding"])) for place, row in enumerate(rows or ())}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Trouble("format", f"the embeddings cannot be read: {type(error).__name__}: {error}") from None
    if sorted(found) != list(range(n)):
        raise Trouble("format", f"{n} texts were to be embedded, the answer has {len(found)} vectors")
    return Vectors(tuple(found[place] for place in range(n)))


def usage_in(document: Any) -> Usage | None:
    """Tokens read and written, and the cost where the service tells it; None where it counts nothing."""
    usage = document.get("usage") if isinstance(document, Mapping) else None
    if not isinstance(usage, Mapping):
        return None
    read, written = (usage.get(key) for key in ("prompt_tokens", "completion_tokens"))
    if not isinstance(read, int) and not isinstance(written, int):
        return None
    told = usage.get("cost")
    cost = float(told) if isinstance(told, int | float) and math.isfinite(told) else None
    return Usage(read if isinstance(read, int) else 0, written if isinstance(written, int) else 0, cost)


def failure_of(status: int, headers: Mapping[str, str], text: str, api_key_env: str | None) -> Exception:
    """What to raise for an answer whose status is no success; ``text`` is its body, with no secret in it."""
    try:
        document = loads(text)
    except ValueError:
        document = None
    message, codes = _error_in(document) or (text, ())
    return _hopeless(codes, message, status) or failure(WHO, status, headers, message, api_key_env)


def raise_error_in(document: Any) -> None:
    """Raise what a document of success says went wrong all the same: by the status that it names, or else as a 5xx."""
    found = _error_in(document) if isinstance(document, Mapping) and document.get("error") else None
    if found is None:
        return
    message, codes = found
    status = next((int(code) for code in codes if code in _STATUSES), None)
    if status is not None:
        raise failure_of(status, {}, dumps({"message": message}).decode(), None)
    raise _hopeless(codes, message, 200) or Trouble("transport", f"an error for an answer: {shortened(message)}")


def _hopeless(codes: Sequence[str], message: str, status: int) -> BackendError | None:
    code = next((code for code in codes if code in _NEVER), None)
    return None if code is None else BackendError(f"{WHO}: {shortened(message)} (HTTP {status}, {code})")


def _error_in(document: Any) -> tuple[str, tuple[str, ...]] | None:
    """The message of an error document, and its codes; None where there is no message."""
    if not isinstance(document, Mapping):
        return None
    error = document.get("error") or document
    if isinstance(error, str):
        return error, ()
    if not isinstance(error, Mapping):
        return None
    message = next((error[key] for key in ("message", "detail", "msg") if error.get(key)), None)
    codes = tuple(str(error[key]) for key in ("code", "type") if error.get(key) is not None)
    return None if message is None else (str(message), codes)


def _first_choice(document: Any) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        raise Trouble("format", f"the answer is {_kind(document)}, not an object")
    raise_error_in(document)
    choices = document.get("choices")
    if not isinstance(choices, Sequence) or not choices or not isinstance(choices[0], Mapping):
        raise Trouble("format", "the answer has no choices")
    return choices[0]


def _content(content: Any) -> str | None:
    """A text, or the texts among the parts that some services give."""
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    raise Trouble("format", f"the answer's text is {_kind(content)}, not a string")


def _reasoning(message: Mapping[str, Any]) -> str | None:
    found = next((message[key] for key in ("reasoning_content", "reasoning") if isinstance(message.get(key), str)), None)
    return found or None


def _finish(choice: Mapping[str, Any]) -> str | None:
    finish = choice.get("finish_reason")
    return str(finish) if finish else None


def _logprobs(choice: Mapping[str, Any]) -> list[float]:
    """Those of the tokens written: listed with the tokens in a chat, by themselves in a completion."""
    found = choice.get("logprobs")
    if not isinstance(found, Mapping):
        return []
    listed = found.get("content")
    values = [entry.get("logprob") for entry in listed] if isinstance(listed, Sequence) else found.get("token_logprobs") or []
    return [float(value) for value in values if isinstance(value, int | float)]


def _refuse_filtered(reply: Reply) -> None:
    if reply.finish == "content_filter":
        raise Refused("the service's content filter stopped the answer")


def _scored(choice: Mapping[str, Any], start: int, text: str) -> tuple[float, int, bool]:
    """Sum, number and greediness of the tokens of ``text[start:]``."""
    listed = choice.get("logprobs")
    if not isinstance(listed, Mapping) or not all(listed.get(key) for key in ("tokens", "token_logprobs", "text_offset")):
        raise Refused("the service gives no log-probabilities of the text that it reads (echo with logprobs)")
    total, n, is_greedy = 0.0, 0, True
    best = listed.get("top_logprobs") or []
    for place, (token, logprob, offset) in enumerate(zip(listed["tokens"], listed["token_logprobs"], listed["text_offset"])):
        if offset + len(token) <= start or offset >= len(text):
            continue
        if logprob is None:
            raise Refused("the service does not score the first token of a text: the prefix must not be empty")
        others = best[place] if place < len(best) and isinstance(best[place], Mapping) else {}
        total, n, is_greedy = total + logprob, n + 1, is_greedy and logprob >= max(others.values(), default=-math.inf)
    if n == 0:
        raise Refused("a continuation has no token of its own after its prefix")
    return total, n, is_greedy and bool(best)


def _kind(value: Any) -> str:
    names: Mapping[type, str] = {type(None): "null", list: "a list", dict: "an object", str: "a string"}
    return names.get(type(value), "a number")


def _start(raw: bytes) -> str:
    return shortened(raw[:200].decode("utf-8", "replace"))


