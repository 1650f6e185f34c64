"""Perplexity: how well a language model predicts whole texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.protocols import Play, TaskData
from harness.suites.prompting import rendered
from harness.templates import compile_template
from harness.types import Likelihoods, Perplexity, Sample


@dataclass(frozen=True)
class PerplexitySuite:
    """``text`` is the template of the text that is scored, in rolling windows where it is longer than the context."""

    name: ClassVar[str] = "perplexity"
    summary: ClassVar[str] = "how well a language model predicts whole texts"

    text: str = "{{ text }}"

    def needs(self) -> frozenset[type]:
        return frozenset({Perplexity})

    def gives(self) -> frozenset[str]:
        return frozenset({"likelihoods", "timing", "usage"})

    def prepare(self, data: TaskData) -> PerplexitySuite:
        return self

    def play(self, sample: Sample) -> Play:
        output = yield Perplexity(rendered(compile_template(self.text), sample, "text"))
        answer = output.answer
        if not isinstance(answer, Likelihoods):
            raise TypeError(f"perplexity expects likelihoods, got {type(answer).__name__.lower()}")
        return answer
