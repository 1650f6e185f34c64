"""The first prompt of every task, rendered without loading a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.engine.plan import Plan, first_request
from harness.engine.waves import describe
from harness.types import LogLikelihood


@dataclass(frozen=True, slots=True)
class FirstPrompt:
    """What the first sample of a task is asked. ``continuations`` are those that its log-likelihood is taken of."""

    entry: str
    task: str
    n_samples: int
    sample_id: str
    request: str
    prompt: str
    continuations: tuple[str, ...] = ()


def first_prompts(plan: Plan) -> Iterator[FirstPrompt]:
    """One for every task and cell; models that are asked the same are not repeated."""
    seen = set()
    for unit in plan.units:
        data = plan.task_data(unit.task)
        sample, request = first_request(unit.task, data)
        if request is None:
            continue
        continuations = request.continuations if isinstance(request, LogLikelihood) else ()
        shown = (unit.task.name, describe(request), continuations)
        if shown not in seen:
            seen.add(shown)
            yield FirstPrompt(
                unit.entry, unit.task.name, data.facts.n, sample.id, type(request).__name__, describe(request), continuations
            )
