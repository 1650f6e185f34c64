"""The first prompt of every task, without loading a model, and what each model would be handed for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.engine.plan import Plan, first_request
from harness.engine.waves import describe
from harness.protocols import Inspectable, Inspector, Resources
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


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a model would be handed for the first sample of a task: what its ``Inspector.render`` says."""

    entry: str
    task: str
    sample_id: str
    request: str
    handed: Mapping[str, Any]


def renderings(plan: Plan, resources: Resources) -> Iterator[Rendering]:
    """One for every unit whose model can say it without being opened; each model is inspected once.

    Raises BackendError or MissingDependency.
    """
    inspectors: dict[int, Inspector] = {}
    for unit in plan.units:
        backend = unit.model.backend
        if not isinstance(backend, Inspectable):
            continue
        sample, request = first_request(unit.task, plan.task_data(unit.task))
        if request is not None:
            if id(backend) not in inspectors:
                inspectors[id(backend)] = backend.inspect(resources)
            handed = inspectors[id(backend)].render(request)
            yield Rendering(unit.entry, unit.task.name, sample.id, type(request).__name__, handed)
