"""What a user's app or service gives back, a JSON-like value -> an Output."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from harness.codec import encode_answer
from harness.errors import DataError
from harness.models.prices import Prices
from harness.models.reasoning import split_reasoning
from harness.models.stored import ANSWERS_TO, row_output
from harness.types import ANSWER_TYPES, Answer, Ask, Call, Output, Rank, Text, Usage

_TOKENS = ("input_tokens", "output_tokens")
_KEPT = frozenset({
    "text", "label", "probabilities", "logprobs", "labels", "value", "low", "high", "ranking", "tags", "ratings", "contexts",
    "citations", "finish_reason", "truncated",
})  # fmt: skip
"""The keys of a stored row that an app may give; what it says of its own time is not one: that is measured."""
_FINISHED: Mapping[str, str] = {
    "stop": "stop", "end_turn": "stop", "stop_sequence": "stop", "eos": "stop", "length": "length", "max_tokens": "length",
}  # fmt: skip
_SHOWN, _SHOWN_OF_ERROR = 100, 1000


class BadAnswer(Exception):
    """What an app gave is no answer; the text says what was expected and what was there."""


@dataclass(frozen=True, slots=True)
class AppReader:
    """Reads what an app gives. ``reasoning``: the marks around what it wrote before its answer; ``prices`` of its tokens,
    which go before the cost that it tells."""

    reasoning: tuple[str, str] | None = None
    prices: Prices | None = None

    def output(self, call: Call, value: Any) -> Output:
        """The output of a call that an app answered with ``value``.

        ``value`` is a text; for Ask also a number; one of the answers of ``harness.types``; or a mapping with

        - ``answer`` (or ``text``): a text, or a number, which is taken as its text,
        - ``contexts`` (texts) and ``citations`` (positions in the contexts, from 0) of the text,
        - ``label``, ``probabilities``, ``labels``, ``value`` (with ``low`` and ``high``), ``tags``, ``ratings``, ``ranking``
          (pairs of document and score, or documents, best first): as in the lines that ``replay`` reads,
        - ``reasoning``: what was written before the answer,
        - ``usage``: ``input_tokens``, ``output_tokens`` and ``cost``, any of them,
        - ``finish_reason``; and ``error``: why there is no answer (null, false and "" are none).

        Where a mapping has several answers, the type of the request decides (``stored.ANSWERS_TO``); other keys are not looked
        at. Tuples, arrays and NumPy's numbers count as lists and numbers. Raises BadAnswer for anything else.
        """
        if isinstance(value, ANSWER_TYPES):
            checked = _checked(cast("Answer", value))
            return Output(call.key, self._reasoned(checked, None) if isinstance(checked, Text) else checked)
        given = _plain(value)
        row = _row(call, given)
        usage, error = self._usage(row.get("usage")), row.get("error")
        if not _is_none(error):
            return Output(call.key, None, error=_error_text(error), finish_reason="error", usage=usage)
        output = _read(call, row, "answer" if isinstance(given, dict) and "answer" in given else "text")
        if isinstance(output.answer, Text):
            output = dataclasses.replace(output, answer=self._reasoned(output.answer, row.get("reasoning")))
        return dataclasses.replace(output, usage=usage)

    def _reasoned(self, answer: Text, told: Any) -> Text:
        if told is not None and not isinstance(told, str):
            raise BadAnswer(f"reasoning must be a string, got {shown(told)}")
        if told is not None:
            return dataclasses.replace(answer, reasoning=told)
        if self.reasoning is None or answer.reasoning is not None:
            return answer
        text, reasoning = split_reasoning(answer.text, self.reasoning)
        return dataclasses.replace(answer, text=text, reasoning=reasoning)

    def _usage(self, value: Any) -> Usage | None:
        if value is None:
            return None
        if not isinstance(value, dict) or not {*_TOKENS, "cost"} & value.keys():
            there = f"an object with {', '.join(value)}" if isinstance(value, dict) and value else shown(value)
            raise BadAnswer(f"usage must have input_tokens, output_tokens or cost, got {there}")
        for name in _TOKENS:
            count = value.get(name) or 0
            if isinstance(count, bool) or not isinstance(count, int) or count < 0:
                raise BadAnswer(f"usage.{name} must be an integer >= 0, got {shown(count)}")
        usage = Usage(*(value.get(name) or 0 for name in _TOKENS))
        if self.prices is not None:
            return dataclasses.replace(usage, cost=self.prices.cost(usage))
        cost = value.get("cost")
        if cost is not None and (isinstance(cost, bool) or not isinstance(cost, int | float) or not 0 <= cost < math.inf):
            raise BadAnswer(f"usage.cost must be a number >= 0, got {shown(cost)}")
        return dataclasses.replace(usage, cost=None if cost is None else float(cost))


def json_of(value: Any) -> bytes:
    """The JSON text of a value. Raises TypeError for what JSON has not, whose text nobody wants."""
    import orjson

    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def shown(value: Any) -> str:
    """A value as an error shows it: short."""
    try:
        text = "null" if value is None else repr(value)
    except Exception as error:  # an object of the user's may raise anything
        text = f"a {type(value).__name__} whose repr raises {type(error).__name__}"
    return shortened(text, _SHOWN)


def shortened(text: str, most: int = _SHOWN_OF_ERROR) -> str:
    """At most so many characters of a text, all of which can be written to a file."""
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _is_none(error: Any) -> bool:
    return error is None or error is False or error == ""


def _error_text(error: Any) -> str:
    """The message of an error that is told as an object, as many services do, else its whole text."""
    told = error.get("message") if isinstance(error, dict) else error
    return shortened(told if isinstance(told, str) else shown(error))


def _row(call: Call, value: Any) -> dict[str, Any]:
    """The value as a row of stored outputs."""
    if isinstance(value, dict):
        return _renamed(value)
    if isinstance(value, str):
        return {"text": value}
    if isinstance(call.request, Ask) and isinstance(value, int | float) and not isinstance(value, bool):
        return {"value": value}
    if isinstance(call.request, Rank) and isinstance(value, list):
        return {"ranking": _pairs(value)}
    raise BadAnswer(f"expected a text, or a mapping with answer, label, value, …, got {shown(value)}")


def _renamed(value: dict[str, Any]) -> dict[str, Any]:
    row = dict(value)
    if "answer" in row:
        if row.get("text") is not None:
            raise BadAnswer("give answer or text, which are the same, not both")
        row["text"] = row.pop("answer")
    if isinstance(row.get("text"), int | float) and not isinstance(row["text"], bool):
        row["text"] = json_of(row["text"]).decode()
    if isinstance(row.get("ranking"), list):
        row["ranking"] = _pairs(row["ranking"])
    if row.get("finish_reason") is not None:
        row["finish_reason"] = _FINISHED.get(str(row["finish_reason"]).lower())
    return row


def _pairs(ranking: list[Any]) -> list[Any]:
    """Documents without scores get those that keep them in their order."""
    if ranking and all(isinstance(item, str) for item in ranking):
        return [[document, float(len(ranking) - place)] for place, document in enumerate(ranking)]
    return ranking


def _read(call: Call, row: Mapping[str, Any], text_key: str) -> Output:
    """``text_key`` is what the app calls the row's ``text``."""
    kept = {key: value for key, value in row.items() if key in _KEPT}
    try:
        return row_output(kept, call.key, ANSWERS_TO.get(type(call.request), ()))
    except DataError as error:
        text = str(error)
        if text.startswith("needs one of"):
            there = ", ".join(map(str, row)) or "nothing"
            text = f"expected a mapping with answer, label, value, … or error; it has {there}"
        raise BadAnswer(f"{text_key}{text[4:]}" if text.startswith("text ") else text) from None


def _checked(answer: Answer) -> Answer:
    """The same answer with every value of the type that it should have. Raises BadAnswer."""
    from pydantic import ValidationError

    cls: Any = type(answer)
    encoded = {key: value for key, value in encode_answer(answer).items() if key != "type"}
    try:
        checked: Answer = _validator(cls).validate_json(json_of(encoded), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise BadAnswer(f"{cls.__name__}.{place}: {first['msg'][:1].lower()}{first['msg'][1:]}") from None
    except (TypeError, ValueError) as error:
        raise BadAnswer(f"{cls.__name__}: {error}") from None
    return checked


@cache
def _validator(cls: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def _plain(value: Any) -> Any:
    """Mappings, sequences, arrays and NumPy's scalars as dicts, lists and numbers; everything else as it is.

    Raises BadAnswer for text that is not Unicode: no file could hold it.
    """
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise BadAnswer(f"a text is not valid Unicode ({error.reason}): {shown(value)}") from None
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [_plain(item) for item in value]
    tolist = getattr(value, "tolist", None)
    return _plain(tolist()) if callable(tolist) else value
