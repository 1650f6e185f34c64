"""From a request to what an OpenAI-compatible service is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from harness.errors import ConfigError
from harness.models.generation import row_seed
from harness.types import Call, Embed, Generate, LogLikelihood, Prompt

Api: TypeAlias = Literal["chat", "completions", "embeddings"]
Structured: TypeAlias = Literal["json_schema", "structured_outputs", "none"]

_PATHS: Mapping[Api, str] = {"chat": "/chat/completions", "completions": "/completions", "embeddings": "/embeddings"}
_OURS = ("model", "messages", "prompt", "input", "stream", "echo", "n", "best_of")
_SEEDS = 2**31
"""Services that seed numpy take no more than 32 bits."""


@dataclass(frozen=True, slots=True)
class Style:
    """How an entry of the config wants its requests written."""

    model: str
    api: Api
    stream: bool
    max_tokens_key: str
    structured: Structured
    extra: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not self.max_tokens_key.strip() or self.max_tokens_key in _OURS:
            raise ConfigError("max_tokens_key must be the field for the most tokens to be written, such as max_tokens, "
                              f"got {self.max_tokens_key!r}")
        for key in _OURS:
            if key in self.extra:
                raise ConfigError(f"extra must not have {key!r}, which follows from the other keys and the prompt")

    @property
    def path(self) -> str:
        return _PATHS[self.api]

    def body(self, call: Call) -> dict[str, Any]:
        """The JSON body. ``extra`` goes over it, and takes out what it has as null."""
        fields: dict[str, Any] = {"model": self.model, **self._asked(call), **self.extra}
        return {key: value for key, value in fields.items() if value is not None}

    def _asked(self, call: Call) -> dict[str, Any]:
        match call.request:
            case Generate() as request:
                return {**self._prompt(request.prompt), **self._decoding(call, request), **self._streaming(),
                        **_structure(request, self.structured)}
            case LogLikelihood(prefix=prefix, continuations=continuations):
                start = plain(prefix)
                return {"prompt": [start + continuation for continuation in continuations], **SCORE_ONLY}
            case Embed(texts=texts):
                return {"input": list(texts), "encoding_format": "float"}
            case other:
                raise TypeError(f"openai backend: no way to ask for {type(other).__name__}")

    def _prompt(self, prompt: Prompt) -> dict[str, Any]:
        if self.api == "completions":
            return {"prompt": plain(prompt)}
        if isinstance(prompt, str):
            return {"messages": [{"role": "user", "content": prompt}]}
        return {"messages": [{"role": message.role, "content": message.content} for message in prompt]}

    def _decoding(self, call: Call, request: Generate) -> dict[str, Any]:
        decoding = request.decoding
        fields: dict[str, Any] = {self.max_tokens_key: decoding.max_tokens, "temperature": decoding.temperature}
        if decoding.temperature > 0:
            fields["seed"] = row_seed(call) % _SEEDS
        if decoding.top_p != 1:
            fields["top_p"] = decoding.top_p
        if decoding.top_k is not None:
            fields["top_k"] = decoding.top_k
        if decoding.stop:
            fields["stop"] = list(decoding.stop)
        if decoding.logprobs:
            fields["logprobs"] = 1 if self.api == "completions" else True
        return fields

    def _streaming(self) -> dict[str, Any]:
        return {"stream": True, "stream_options": {"include_usage": True}} if self.stream else {}


SCORE_ONLY: Mapping[str, Any] = {"max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1}
"""Many services write one token at least; it is not scored."""


def plain(prompt: Prompt) -> str:
    """A prompt as one text: the contents of a conversation are joined by blank lines."""
    return prompt if isinstance(prompt, str) else "\n\n".join(message.content for message in prompt)


def texts_of(call_request: Any) -> Sequence[str]:
    """All that a request has the model read."""
    match call_request:
        case Generate(prompt=prompt):
            return [prompt] if isinstance(prompt, str) else [message.content for message in prompt]
        case LogLikelihood(prefix=prefix, continuations=continuations):
            return [plain(prefix) + continuation for continuation in continuations]
        case Embed(texts=texts):
            return texts
        case _:
            return []


def _structure(request: Generate, structured: Structured) -> dict[str, Any]:
    """What holds the model to a schema or to the choices."""
    schema = None if request.schema is None else dict(request.schema)
    if structured == "json_schema" and schema is not None:
        return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}}
    if structured == "structured_outputs" and schema is not None:
        return {"structured_outputs": {"json": schema}}
    if structured == "structured_outputs" and request.choices:
        return {"structured_outputs": {"choice": list(request.choices)}}
    return {}
