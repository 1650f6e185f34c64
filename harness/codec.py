"""JSON forms of samples, requests, answers and outputs: one encoding for the journal, the cache and the run folder."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from harness.errors import DataError
from harness.types import ANSWER_TYPES, Answer, Key, Output, Request, Sample, Timing, Usage

_ANSWERS: Mapping[str, type] = {cls.__name__.lower(): cls for cls in ANSWER_TYPES}
_TAGS: Mapping[type, str] = {cls: tag for tag, cls in _ANSWERS.items()}
_FIELDS: Mapping[type, tuple[tuple[str, Any], ...]] = {
    cls: tuple((f.name, f.default) for f in dataclasses.fields(cls)) for cls in ANSWER_TYPES
}


def dumps(value: Any) -> bytes:
    """Compact JSON with sorted keys, so that equal values give equal bytes. Dataclasses become objects."""
    return _dumper()(value)


@cache
def _dumper() -> Callable[[Any], bytes]:
    import orjson

    return partial(orjson.dumps, default=_plain, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY)


def fragment(data: bytes) -> Any:
    """JSON that :func:`dumps` wrote, to stand as it is inside what it writes next."""
    import orjson

    return orjson.Fragment(data)


def loads(data: bytes | str) -> Any:
    """The value of a JSON text. Raises ValueError."""
    import orjson

    return orjson.loads(data)


def digest(*parts: bytes, size: int = 16) -> str:
    """Hexadecimal BLAKE2b over length-prefixed parts."""
    return hashlib.blake2b(prefixed(*parts), digest_size=size).hexdigest()


def prefixed(*parts: bytes) -> bytes:
    """Every part after its length in eight bytes: what :func:`digest` is taken of."""
    if len(parts) == 1:
        return len(parts[0]).to_bytes(8, "little") + parts[0]
    return b"".join([piece for part in parts for piece in (len(part).to_bytes(8, "little"), part)])


def encode_request(request: Request) -> bytes:
    """What is hashed for the cache: the request's type and every field."""
    return dumps([type(request).__name__, request])


def encode_answer(answer: Answer) -> dict[str, Any]:
    """``{"type": "text", "text": "…"}``; fields that have their default value are left out."""
    cls = type(answer)
    encoded: dict[str, Any] = {"type": _TAGS[cls]}
    for name, default in _FIELDS[cls]:
        value = getattr(answer, name)
        if value != default:
            encoded[name] = value
    return encoded


def decode_answer(encoded: Mapping[str, Any]) -> Answer:
    """The answer that :func:`encode_answer` wrote. Raises DataError for an unknown type or field."""
    values = dict(encoded)
    tag = values.pop("type", None)
    cls = _ANSWERS.get(str(tag))
    if cls is None:
        raise DataError(f"answer of unknown type {tag!r}; known: {', '.join(_ANSWERS)}")
    try:
        answer: Answer = cls(**{name: _tuples(value) for name, value in values.items()})
    except TypeError as error:
        raise DataError(f"answer of type {tag!r}: {error}") from error
    return answer


def encode_output(output: Output, answer: bytes | None = None) -> dict[str, Any]:
    """A JSON object with the key as ``[sample id, repeat, arm, step]``; what is not set is left out.

    ``answer``: its answer where that is JSON already; the object is then for :func:`dumps` only.
    """
    encoded: dict[str, Any] = {"k": encode_key(output.key)}
    if output.answer is not None:
        encoded["a"] = encode_answer(output.answer) if answer is None else fragment(answer)
    if output.error is not None:
        encoded["error"] = output.error
    if output.finish_reason is not None:
        encoded["finish"] = output.finish_reason
    if output.truncated:
        encoded["truncated"] = True
    if output.usage is not None:
        encoded["usage"] = _usage(output.usage)
    if output.timing is not None:
        encoded["timing"] = (output.timing.latency_s, output.timing.first_token_s)
    return encoded


def encode_key(key: Key) -> tuple[str, int, str, int]:
    """``[sample id, repeat, arm, step]``."""
    return key.sample_id, key.repeat, key.arm, key.step


def decode_output(encoded: Mapping[str, Any]) -> Output:
    """The output that :func:`encode_output` wrote."""
    answer, usage, timing = encoded.get("a"), encoded.get("usage"), encoded.get("timing")
    return Output(
        key=Key(*encoded["k"]),
        answer=None if answer is None else decode_answer(answer),
        error=encoded.get("error"),
        finish_reason=encoded.get("finish"),
        truncated=encoded.get("truncated", False),
        usage=None if usage is None else Usage(*usage),
        timing=None if timing is None else Timing(*timing),
    )


def encode_sample(sample: Sample) -> bytes:
    """Canonical JSON of a sample: what is hashed, and what ``samples.parquet`` keeps so that a run can be scored again."""
    return dumps(sample)


def decode_sample(data: bytes | str) -> Sample:
    """The sample that :func:`encode_sample` wrote."""
    values = loads(data)
    for name in ("references", "choices", "contexts"):
        values[name] = tuple(values[name])
    return Sample(**values)


def _usage(usage: Usage) -> tuple[float, ...]:
    tokens = (usage.input_tokens, usage.output_tokens)
    return tokens if usage.cost is None else (*tokens, usage.cost)


def _tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)
