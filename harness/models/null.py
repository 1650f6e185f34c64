"""A model that answers every request at once with nothing: for tests, and for measuring the harness itself."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from harness.errors import ConfigError
from harness.protocols import Cacheable, Resources, TaskView
from harness.types import (
    REQUEST_TYPES,
    Answer,
    Ask,
    Call,
    Embed,
    Generate,
    Label,
    Likelihoods,
    LogLikelihood,
    Output,
    Perplexity,
    Rank,
    Ranking,
    Request,
    Text,
    Timing,
    Vectors,
)

_CALLS_PER_BATCH = 4096


@dataclass
class Null:
    """Answers every type of request without a model.

    Texts are ``text``, log-probabilities 0 (one token a continuation, one a word of a whole text), rankings empty, vectors
    and scores of pairs a single 0, and a choice the first one. Every batch takes ``latency_s`` seconds.
    """

    name: ClassVar[str] = "null"
    summary: ClassVar[str] = "answers everything at once with nothing; for tests and for measuring overhead"
    provides: ClassVar[frozenset[type]] = frozenset(REQUEST_TYPES)
    cacheable: ClassVar[Cacheable] = "never"
    independent: ClassVar[bool] = True
    tuning: ClassVar[frozenset[str]] = frozenset({"latency_s"})

    text: str = ""
    latency_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.latency_s >= 0:
            raise ConfigError(f"null: latency_s must be 0 or more seconds, got {self.latency_s!r}")

    def needs_roles(self) -> Mapping[str, type]:
        return {}

    def open(self, resources: Resources) -> None:
        """Nothing to load."""

    def close(self) -> None:
        """Nothing to free."""

    def signature(self) -> Mapping[str, Any]:
        return {"backend": self.name, "text": self.text}

    def start_task(self, task: TaskView) -> None:
        """Nothing to prepare."""

    def batches(self, calls: Sequence[Call]) -> Sequence[Sequence[Call]]:
        return [calls[start : start + _CALLS_PER_BATCH] for start in range(0, len(calls), _CALLS_PER_BATCH)]

    def run(self, calls: Sequence[Call]) -> Iterator[Output]:
        if self.latency_s:
            time.sleep(self.latency_s)
        timing = Timing(self.latency_s)
        text = Text(self.text)
        for call in calls:
            answer = text if isinstance(call.request, Generate) else self._answer(call.request)
            yield Output(call.key, answer, finish_reason="stop", timing=timing)

    def _answer(self, request: Request) -> Answer:
        match request:
            case LogLikelihood(continuations=texts):
                return Likelihoods((0.0,) * len(texts), (1,) * len(texts), (False,) * len(texts))
            case Perplexity(text=text):
                words = len(text.split())
                return Likelihoods((0.0,), (words,), n_words=words, n_bytes=len(text.encode()))
            case Embed(texts=items):
                return Vectors(((0.0,),) * len(items))
            case Rank():
                return Ranking((), ())
            case Ask(choices=choices) if choices:
                return Label(choices[0])
            case Generate() | Ask():
                return Text(self.text)
            case _:
                return Vectors(((0.0,),) * len(request.pairs))
