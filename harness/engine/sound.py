"""Whatever a backend does, every call gets exactly one output that can be stored and scored, or one that says what is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.engine.ledger import Stopped
from harness.errors import HarnessError
from harness.protocols import Backend
from harness.types import Call, Key, Label, Likelihoods, Number, Output, Ranking, Text, Vectors


def sound_outputs(backend: Backend, batch: Sequence[Call]) -> Iterator[Output]:
    """The outputs of a batch. Where the batch as a whole fails its calls are run one by one, and those that fail are errors.

    A HarnessError goes through: it is about the model, not about one call. So does Stopped.
    """
    waiting = {call.key: call for call in batch}
    try:
        for output in backend.run(batch):
            sound = _sound(output)
            if waiting.pop(output.key, None) is not None:
                yield sound
    except (HarnessError, Stopped):
        raise
    except Exception as error:  # the one place where a backend's failure becomes outputs with ``error``
        if len(batch) > 1:
            for call in waiting.values():
                yield from sound_outputs(backend, [call])
            return
        for key in waiting:
            yield failed(key, f"{type(error).__name__}: {error}")
        return
    for key in waiting:
        yield failed(key, "the backend gave no output")


def failed(key: Key, error: str) -> Output:
    """An output that says why there is no answer."""
    return Output(key, None, error=error, finish_reason="error")


def _sound(output: Output) -> Output:
    if output.error is not None:
        return output if output.answer is None else failed(output.key, output.error)
    problem = problem_of(output.answer)
    return output if problem is None else failed(output.key, problem)


def problem_of(answer: Any) -> str | None:
    """What is wrong with an answer's values, if anything."""
    try:
        return _problem(answer)
    except (TypeError, ValueError, AttributeError):
        return f"the {type(answer).__name__.lower()} that the backend gave has values of the wrong type"


def _problem(answer: Any) -> str | None:
    if answer is None:
        return "the backend gave neither an answer nor an error"
    if isinstance(answer, Text):
        given = answer.token_logprobs
        return None if given is None or _finite(given) else "the model gave log-probabilities that are not finite"
    if isinstance(answer, Likelihoods) and not _finite(answer.logprobs):
        return "the model gave log-probabilities that are not finite"
    if isinstance(answer, Ranking) and not _finite(answer.scores):
        return "the ranking has scores that are not finite"
    if isinstance(answer, Ranking) and len(answer.scores) != len(answer.documents):
        return f"the ranking has {len(answer.documents)} documents and {len(answer.scores)} scores"
    if isinstance(answer, Number) and not math.isfinite(answer.value):
        return "the answer is not a finite number"
    if isinstance(answer, Vectors) and not all(map(_finite, answer.vectors)):
        return "the model gave vectors that are not finite"
    if isinstance(answer, Label) and not (_finite(answer.logprobs) and _finite(_values(answer.probabilities))):
        return "the model gave probabilities that are not finite"
    return None


def _finite(values: Iterable[float]) -> bool:
    return all(map(math.isfinite, values))


def _values(mapping: Mapping[str, float] | None) -> Iterable[float]:
    return () if mapping is None else mapping.values()
