"""What an OpenAI-compatible service answers, read with care: what does not fit is trouble, never a wrong answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.codec import dumps, loads
from harness.errors import BackendError
from harness.models.asking import OutOfCredit, Refused, Trouble
from harness.models.httpstatus import failure, shortened
from harness.types import Usage, Vectors

Finish = Literal["stop", "length"] | None

WHO = "openai backend"

_SHOWN = 4096
_STATUSES = frozenset(str(status) for status in range(400, 600))
_NEVER = ("model_not_found", "account_deactivated")
"""Error codes that no other request will fare better with, whatever the status."""
_NO_CREDIT = ("insufficient_quota", "billing_not_active")
_MARK = b"\xef\xbb\xbf"
"""Of UTF-8, where a service begins with one."""


@dataclass(slots=True)
class Reply:
    """One written text, whole or as the pieces of a stream come in. ``is_there``: a text was given, be it an empty one, or what
    stands for one. ``logprobs`` is None where not every piece has its own."""

    text: str = ""
    reasoning: str | None = None
    finish: str | None = None
    logprobs: list[float] | None = None
    usage: Usage | None = None
    is_there: bool = False

    @property
    def finish_reason(self) -> Finish:
        """``length`` where the text was cut off; every other end is the model's own. None where the service says nothing."""
        return None if self.finish is None else "length" if self.finish in ("length", "max_tokens") else "stop"


def parsed(raw: bytes, hide: Callable[[str], str] = str) -> Any:
    """The JSON value of a body. Raises Trouble, with its beginning after ``hide`` has taken the secrets out."""
    raw = raw.removeprefix(_MARK)
    if not raw.strip():
        raise Trouble("format", "the answer is empty")
    try:
        return loads(raw)
    except ValueError as error:
        raise Trouble("format", f"the answer is no JSON ({error}): {_start(raw, hide)}") from None


def reply_in(document: Any) -> Reply:
    """The text of a chat completion or a completion. Raises Trouble, Refused, or BackendError."""
    choice = _first_choice(document)
    message = choice.get("message", choice)
    if not isinstance(message, Mapping):
        raise Trouble("format", f"the answer's message is {_kind(message)}, not an object")
    text = _text(message)
    reply = Reply(text or "", _reasoning(message), _finish(choice), _logprobs(choice), usage_in(document),
                  is_there=text is not None or bool(message.get("tool_calls")))
    check_reply(reply)
    return reply


def check_reply(reply: Reply) -> None:
    """Raises Refused for an answer that was stopped by a filter, and Trouble for one without a text."""
    if reply.finish == "content_filter":
        raise Refused("the service's content filter stopped the answer")
    if not (reply.is_there or reply.reasoning or reply.finish_reason == "length"):
        raise Trouble("format", "the answer has no text")


def is_whole(document: Any) -> bool:
    """Whether this is a whole chat completion and not a piece of one: from a service that does not stream."""
    choices = document.get("choices") if isinstance(document, Mapping) else None
    first = choices[0] if isinstance(choices, Sequence) and choices else None
    return isinstance(first, Mapping) and "message" in first and "delta" not in first


def add_event(reply: Reply, event: Any) -> bool:
    """Take in one event of a stream; whether it brought any text. What belongs to another answer than the first is left out.
    Raises Trouble or BackendError."""
    if not isinstance(event, Mapping):
        raise Trouble("format", f"an event of the stream is {_kind(event)}, not an object")
    raise_error_in(event)
    reply.usage = usage_in(event) or reply.usage
    choices = event.get("choices")
    if not isinstance(choices, Sequence) or not choices:
        return False
    choice = next((one for one in choices if isinstance(one, Mapping) and not one.get("index")), None)
    if choice is None:
        return False
    delta = choice.get("delta", choice)
    delta = delta if isinstance(delta, Mapping) else {}
    piece, thought = _text(delta), _reasoning(delta)
    _add_logprobs(reply, piece, _logprobs(choice))
    reply.is_there = reply.is_there or piece is not None or bool(delta.get("tool_calls"))
    reply.text += piece or ""
    if thought is not None:
        reply.reasoning = (reply.reasoning or "") + thought
    reply.finish = _finish(choice) or reply.finish
    return bool(piece or thought)


def choices_in(document: Any) -> Sequence[Any]:
    """The answers of a document, one at least. Raises Trouble, or BackendError."""
    _first_choice(document)
    choices: Sequence[Any] = document["choices"]
    return choices


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
    read, written = (number(usage.get(key)) for key in ("prompt_tokens", "completion_tokens"))
    counts = [None if count is None or count < 0 else int(count) for count in (read, written)]
    if counts == [None, None]:
        return None
    cost = number(usage.get("cost"))
    return Usage(counts[0] or 0, counts[1] or 0, None if cost is None or cost < 0 else cost)


def number(value: Any) -> float | None:
    """A finite number; None for anything else, and for true and false."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else None


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
    code = next((code for code in codes if code in _NEVER or code in _NO_CREDIT), None)
    if code is None:
        return None
    return (OutOfCredit if code in _NO_CREDIT else BackendError)(f"{WHO}: {shortened(message)} (HTTP {status}, {code})")


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


def _text(message: Mapping[str, Any]) -> str | None:
    """What a message or a piece of one says, or why the model will not say it."""
    text = _content(message.get("content", message.get("text")))
    return message["refusal"] if text is None and isinstance(message.get("refusal"), str) else text


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


def _logprobs(choice: Mapping[str, Any]) -> list[float] | None:
    """Those of the tokens written: listed with the tokens in a chat, by themselves in a completion. None unless all are."""
    found = choice.get("logprobs")
    if not isinstance(found, Mapping):
        return None
    listed = found.get("content")
    if isinstance(listed, list):
        listed = [entry.get("logprob") if isinstance(entry, Mapping) else None for entry in listed]
    else:
        listed = found.get("token_logprobs")
    if not isinstance(listed, list):
        return None
    values = [value for one in listed if (value := number(one)) is not None]
    return values if len(values) == len(listed) else None


def _add_logprobs(reply: Reply, piece: str | None, found: list[float] | None) -> None:
    """Those of a stream's piece. Where the text has a piece without them, there are none of the text."""
    is_whole_so_far = reply.logprobs is not None or not reply.text
    if found is not None and is_whole_so_far:
        reply.logprobs = [*(reply.logprobs or ()), *found]
    elif piece:
        reply.logprobs = None


def _kind(value: Any) -> str:
    names: Mapping[type, str] = {type(None): "null", list: "a list", dict: "an object", str: "a string"}
    return names.get(type(value), "a number")


def _start(raw: bytes, hide: Callable[[str], str]) -> str:
    return shortened(hide(raw[:_SHOWN].decode("utf-8", "replace"))[:200])
