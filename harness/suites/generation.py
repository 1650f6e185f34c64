"""Generation: a prompt in, a text out, scored against references."""

from __future__ import annotations

import dataclasses
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from harness.errors import ConfigError
from harness.protocols import Play
from harness.suites.jsonschemas import schema_fault
from harness.suites.prompting import Prompted
from harness.types import Ask, Decoding, Generate, Request, Sample, Text

_SECONDS = 1.0
"""What ``extract`` may take for one text: expressions that try every way to divide a text would never be done."""


@dataclass(frozen=True)
class Generation(Prompted):
    """One request a sample. White space around the text is stripped before it is scored.

    ``prompt`` is what the model is prompted with. Without one the sample's input is handed over as it is, to applications that
    make their own prompts of it.

    ``extract`` is a regular expression: its last match (the first group, if it has one) is the answer; text without a
    match is scored whole. A text that it takes more than a second for is missing, with that reason.

    ``schema`` is a JSON Schema, as a mapping: models that can be held to it write JSON text that it admits, as long as
    ``decoding.max_tokens`` suffices; to the others nothing is said of it. The answer is that text all the same.
    """

    name: ClassVar[str] = "generation"
    summary: ClassVar[str] = "a prompt in, a text out, scored against references"

    decoding: Decoding = Decoding()
    extract: str | None = None
    schema: Mapping[str, Any] | None = None
    _pattern: Any = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.extract is not None:
            object.__setattr__(self, "_pattern", _compiled(self.extract))
        fault = None if self.schema is None else schema_fault(self.schema)
        if fault is not None:
            raise ConfigError(f"schema: {fault}")

    def needs(self) -> frozenset[type]:
        return frozenset({Generate if self.prompt is not None else Ask})

    def gives(self) -> frozenset[str]:
        return frozenset({"text", "timing", "usage"})

    def play(self, sample: Sample) -> Play:
        output = yield self._request(sample)
        answer = output.answer
        if not isinstance(answer, Text):
            raise TypeError(f"generation expects text, got {type(answer).__name__.lower()}")
        text = self._extracted(answer.text)
        return answer if text == answer.text else dataclasses.replace(answer, text=text)

    def _request(self, sample: Sample) -> Request:
        if self.prompt is None:
            return Ask(sample.input)
        return Generate(self.prompt_of(sample), self.decoding, schema=self.schema)

    def _extracted(self, text: str) -> str:
        if self._pattern is None:
            return text.strip()
        try:
            matches = deque(self._pattern.finditer(text, timeout=_SECONDS), maxlen=1)
        except TimeoutError as error:
            raise ValueError(f"extract: {self.extract!r} takes more than {_SECONDS:g} s for this text") from error
        if not matches:
            return text.strip()
        last = matches[0]
        found = last.group(1) if last.re.groups and last.group(1) is not None else last.group(0)
        return str(found).strip()


def _compiled(expression: str) -> Any:
    """The pattern, in the package that knows a time limit; what it says of a bad one is what ``re`` says."""
    import regex  # type: ignore[import-untyped]

    try:
        re.compile(expression)
        return regex.compile(expression, regex.VERSION0)
    except (re.error, regex.error) as error:
        raise ConfigError(f"extract must be a regular expression, got {expression!r}: {error}") from error
