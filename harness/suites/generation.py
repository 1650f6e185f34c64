"""Generation: a prompt in, a text out, scored against references."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import ClassVar

from harness.errors import ConfigError
from harness.protocols import Play, TaskData
from harness.suites.prompting import Prompter, prompter
from harness.templates import PromptTemplate
from harness.types import Decoding, Generate, Sample, Text


@dataclass(frozen=True)
class Generation:
    """One request a sample. White space around the text is stripped before it is scored.

    ``extract`` is a regular expression: its last match (the first group, if it has one) is the answer; text without a
    match is scored whole.
    """

    name: ClassVar[str] = "generation"
    summary: ClassVar[str] = "a prompt in, a text out, scored against references"

    prompt: PromptTemplate
    decoding: Decoding = Decoding()
    extract: str | None = None
    _prompter: Prompter | None = field(default=None, init=False, repr=False, compare=False)
    _pattern: re.Pattern[str] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.extract is not None:
            try:
                object.__setattr__(self, "_pattern", re.compile(self.extract))
            except re.error as error:
                raise ConfigError(f"extract must be a regular expression, got {self.extract!r}: {error}") from error

    def needs(self) -> frozenset[type]:
        return frozenset({Generate})

    def gives(self) -> frozenset[str]:
        return frozenset({"text", "timing", "usage"})

    def prepare(self, data: TaskData) -> Generation:
        ready = dataclasses.replace(self)
        object.__setattr__(ready, "_prompter", prompter(self.prompt, data))
        return ready

    def play(self, sample: Sample) -> Play:
        assert self._prompter is not None, "prepare() comes first"
        output = yield Generate(self._prompter(sample), self.decoding)
        answer = output.answer
        if not isinstance(answer, Text):
            raise TypeError(f"generation expects text, got {type(answer).__name__.lower()}")
        return dataclasses.replace(answer, text=self._extracted(answer.text))

    def _extracted(self, text: str) -> str:
        if self._pattern is None:
            return text.strip()
        matches = list(self._pattern.finditer(text))
        if not matches:
            return text.strip()
        last = matches[-1]
        return (last.group(1) if last.re.groups and last.group(1) is not None else last.group(0)).strip()
