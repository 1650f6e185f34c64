"""Asking a local model in tests, and reading what it answered."""

from __future__ import annotations

from collections.abc import Sequence

from harness.models.transformers import Transformers
from harness.types import Call, Likelihoods, Output, Text


def outputs_by_sample(model: Transformers, calls: Sequence[Call]) -> dict[str, Output]:
    """Outputs of the calls in the model's own batches, errors among them."""
    return {output.key.sample_id: output for batch in model.batches(calls) for output in model.run(batch)}


def answered(model: Transformers, calls: Sequence[Call]) -> dict[str, Output]:
    """The same of calls that can all be answered."""
    return _without_errors(calls, outputs_by_sample(model, calls))


def answered_at_once(model: Transformers, calls: Sequence[Call]) -> dict[str, Output]:
    """The same of calls that stand in one batch."""
    return _without_errors(calls, {output.key.sample_id: output for output in model.run(calls)})


def likelihoods(output: Output) -> Likelihoods:
    assert isinstance(output.answer, Likelihoods), output.error
    return output.answer


def written(output: Output) -> Text:
    assert isinstance(output.answer, Text), output.error
    return output.answer


def text(output: Output) -> str:
    return written(output).text


def _without_errors(calls: Sequence[Call], outputs: dict[str, Output]) -> dict[str, Output]:
    assert [output.error for output in outputs.values() if output.error] == []
    assert outputs.keys() == {call.key.sample_id for call in calls}
    return outputs
