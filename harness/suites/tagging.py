"""Tagging: one tag for each token, given by the model or read out of its text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from harness.errors import ConfigError
from harness.protocols import Play
from harness.suites.prompting import Prompted
from harness.types import Answer, Ask, Decoding, Generate, Request, Sample, Tags, Text


@dataclass(frozen=True)
class Tagging(Prompted):
    """``answer`` says how the model answers.

    - ``tags``: it gives the tags by itself (a tagger, stored predictions).
    - ``text``: it writes a line for each token, whose last word is the tag (``Bonn B-place``, or the tag alone), or all tags
      on one line (:func:`parse_tags`).

    The tags are taken as they are: whether there is one for each token is for the metrics to say, which report a sample with
    more or fewer tags as missing and never cut or fill. A sample's target is its list of tags; a few-shot example needs
    ``prompt.answer``, the template of the answer (its ``target`` is that list).
    """

    name: ClassVar[str] = "tagging"
    summary: ClassVar[str] = "one tag for each token, given by the model or read out of its text"

    answer: Literal["tags", "text"] = "tags"
    decoding: Decoding = Decoding(max_tokens=512)

    def __post_init__(self) -> None:
        if self.prompt is None and self.answer == "text":
            raise ConfigError("a tagging task with answer: text needs a prompt")
        if self.prompt is not None and self.prompt.shots is not None and self.prompt.shots.n and self.prompt.answer is None:
            raise ConfigError("a tagging prompt with shots needs prompt.answer: how the tags of an example are written")

    def needs(self) -> frozenset[type]:
        return frozenset({Ask if self.answer == "tags" else Generate})

    def gives(self) -> frozenset[str]:
        return frozenset({"tags", "timing", "usage"})

    def play(self, sample: Sample) -> Play:
        output = yield self._request(sample)
        return self._tags(output.answer)

    def _request(self, sample: Sample) -> Request:
        if self.answer == "tags":
            return Ask(sample.input)
        return Generate(self.prompt_of(sample), self.decoding)

    def _tags(self, answer: Answer | None) -> Tags:
        if isinstance(answer, Tags):
            return answer
        if isinstance(answer, Text):
            return Tags(parse_tags(answer.text))
        raise TypeError(f"tagging expects tags or text, got {type(answer).__name__.lower()}")


def parse_tags(text: str) -> tuple[str, ...]:
    """The tags of a text: the last word of each line that is not empty, or, of a single line, all its words.

    Lines of a code fence (```) are passed over.

    >>> parse_tags("Ann B-person\\nlives O\\nin O\\nBonn B-place")
    ('B-person', 'O', 'O', 'B-place')
    >>> parse_tags("B-person O O B-place")
    ('B-person', 'O', 'O', 'B-place')
    """
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("```")]
    if len(lines) == 1:
        return tuple(lines[0])
    return tuple(line[-1] for line in lines)
