"""From a prompt template and few-shot examples to the prompt of one sample; shared by the suites that prompt a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, cast

import numpy as np

from harness.errors import ConfigError, DataError, HarnessError
from harness.protocols import TaskData
from harness.templates import PromptTemplate, Render, Shots, compile_template
from harness.types import Message, Prompt, Sample

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True)
class Prompted:
    """Base of the suites that prompt a model, or may."""

    prompt: PromptTemplate | None = None
    _prompter: Prompter | None = field(default=None, init=False, repr=False, compare=False)

    def prepare(self, data: TaskData) -> Self:
        ready = replace(self)
        if self.prompt is not None:
            object.__setattr__(ready, "_prompter", prompter(self.prompt, data))
        return ready

    def prompt_of(self, sample: Sample) -> Prompt:
        """What the model is prompted with, after :meth:`prepare`."""
        assert self._prompter is not None, "prepare() comes first, with a prompt"
        return self._prompter(sample)


class Prompter:
    """Renders prompts; built once per task by :func:`prompter`, which draws the few-shot pool."""

    def __init__(self, template: PromptTemplate, pool: Sequence[Sample] = ()) -> None:
        self._template, self._pool = template, tuple(pool)
        self._text = None if template.text is None else compile_template(template.text)
        self._answer_template = None if template.answer is None else compile_template(template.answer)
        self._system = None if template.system is None else compile_template(template.system)
        turns = [("user", template.user)] if template.user is not None else [(m.role, m.content) for m in template.messages]
        self._turns: list[tuple[Role, Render]] = [(cast(Role, role), compile_template(content)) for role, content in turns]

    def __call__(self, sample: Sample) -> Prompt:
        """The prompt of this sample: text for a ``text:`` template, messages for ``user:`` and ``messages:``.

        Raises DataError for a field that is not there, naming the sample.
        """
        shots = self._shots_for(sample)
        if self._text is not None:
            blocks = [_join(rendered(self._text, shot, "prompt.text"), self._answer(shot)) for shot in shots]
            return self._template.delimiter.join([*blocks, rendered(self._text, sample, "prompt.text")])
        messages = [] if self._system is None else [Message("system", rendered(self._system, sample, "prompt.system"))]
        for shot in shots:
            messages += [*self._rendered_turns(shot), Message("assistant", self._answer(shot))]
        return (*messages, *self._rendered_turns(sample))

    def _rendered_turns(self, sample: Sample) -> list[Message]:
        key = "prompt.user" if self._template.user is not None else "prompt.messages"
        return [Message(role, rendered(render, sample, key)) for role, render in self._turns]

    def _answer(self, shot: Sample) -> str:
        if self._answer_template is not None:
            return rendered(self._answer_template, shot, "prompt.answer")
        if shot.target is not None:
            return _label(shot)
        if shot.references:
            return shot.references[0]
        raise ConfigError("a few-shot example has neither target nor references: give prompt.answer, the answer's template")

    def _shots_for(self, sample: Sample) -> Sequence[Sample]:
        shots = self._template.shots
        if shots is None or shots.n == 0:
            return ()
        if shots.from_ != "self":
            return self._pool
        return [shot for shot in self._pool if shot.id != sample.id][: shots.n]


def prompter(template: PromptTemplate, data: TaskData) -> Prompter:
    """A prompter with its few-shot pool drawn: ``n`` examples of the named split, in an order fixed by the seed.

    ``from: self`` takes the examples from the task's own samples; a sample never sees itself. Raises ConfigError if
    there are fewer examples than ``n``.
    """
    shots = template.shots
    if shots is None or shots.n == 0:
        return Prompter(template)
    own = shots.from_ == "self"
    return Prompter(template, _draw(list(data if own else data.split(shots.from_)), shots, spare=int(own)))


def sample_context(sample: Sample) -> dict[str, Any]:
    """What templates see: the sample's input fields, and choices, target, references, contexts where no field has that name."""
    return {
        "choices": sample.choices,
        "target": sample.target,
        "references": sample.references,
        "contexts": sample.contexts,
        **sample.input,
    }


def rendered(render: Render, sample: Sample, key: str) -> str:
    """A template's text for a sample. Raises DataError ``sample '…': <key>: …`` for a field that is not there."""
    try:
        return str(render(sample_context(sample)))
    except HarnessError as error:
        raise DataError(f"sample {sample.id!r}: {key}: {error}") from error


def _draw(examples: list[Sample], shots: Shots, *, spare: int) -> tuple[Sample, ...]:
    wanted = shots.n + spare
    if len(examples) < wanted:
        raise ConfigError(f"prompt.shots: n must be at most {len(examples) - spare}, the examples there are, got {shots.n}")
    order = np.random.default_rng(shots.seed).permutation(len(examples))
    return tuple(examples[i] for i in order[:wanted])


def _label(shot: Sample) -> str:
    target, choices = shot.target, shot.choices
    if not isinstance(target, int) or isinstance(target, bool) or not choices:
        return str(target)
    if not 0 <= target < len(choices):
        raise DataError(f"sample {shot.id!r}: target must be an index into its {len(choices)} choices, got {target}")
    return choices[target]


def _join(text: str, answer: str) -> str:
    return text + answer if text[-1:].isspace() else f"{text} {answer}"
