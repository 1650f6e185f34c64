"""Classification and multiple choice: which of the labels, by likelihood, by text, or by the model's own scores."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from harness.errors import ConfigError
from harness.protocols import Play
from harness.suites.prompting import Prompted
from harness.types import Ask, Decoding, Generate, Label, Likelihoods, LogLikelihood, Output, Request, Sample, Text


@dataclass(frozen=True)
class Classification(Prompted):
    """``answer`` says how the model answers.

    - ``likelihood``: each choice is scored as what follows the prompt; the most likely one is the label, the softmax of
      the summed log-probabilities gives the probabilities.
    - ``text``: the model writes; the text is parsed (:func:`parse_choice`). Text that names none of the choices is a wrong
      answer, not a missing one.
    - ``scores``: the model gives a label or probabilities by itself (a classifier, stored predictions).

    ``constrain``: with ``answer: text``, whether the model is held to write one of the choices and nothing else, each behind
    its ``choice_delimiter``. Models that cannot be held to it write freely, as all do without. Word for word the likeliest
    continuation is followed, so that the label need not be the one of ``likelihood``.

    The labels are the sample's own ``choices`` or else those of the task. ``choice_delimiter`` stands between prompt and
    choice; by default one space after a ``text:`` prompt and nothing after a chat prompt.
    """

    name: ClassVar[str] = "classification"
    summary: ClassVar[str] = "one label out of several, by likelihood, by text or by the model's own scores"

    choices: tuple[str, ...] = ()
    choice_delimiter: str | None = None
    answer: Literal["likelihood", "text", "scores"] = "likelihood"
    constrain: bool = False
    decoding: Decoding = Decoding(max_tokens=16)

    def __post_init__(self) -> None:
        if self.prompt is None and self.answer != "scores":
            raise ConfigError(f"a classification task with answer: {self.answer} needs a prompt")
        if self.constrain and self.answer != "text":
            raise ConfigError(f"constrain goes with answer: text, got answer: {self.answer}")
        if len(set(self.choices)) != len(self.choices):
            raise ConfigError("choices must be different from one another")
        if len(self.choices) == 1 or "" in self.choices:
            raise ConfigError(f"choices must be at least two, none of them empty, got {list(self.choices)!r}")

    def needs(self) -> frozenset[type]:
        return frozenset({{"likelihood": LogLikelihood, "text": Generate, "scores": Ask}[self.answer]})

    def gives(self) -> frozenset[str]:
        kinds = {"likelihood": {"probabilities", "logprobs"}, "text": {"text"}, "scores": {"probabilities"}}[self.answer]
        return frozenset({"label", "timing", "usage", *kinds})

    def play(self, sample: Sample) -> Play:
        choices = sample.choices or self.choices
        output = yield self._request(sample, choices)
        return self._label(output, choices)

    def _request(self, sample: Sample, choices: Sequence[str]) -> Request:
        if self.answer == "scores":
            return Ask(sample.input, tuple(choices))
        if not choices:
            raise ConfigError(f"sample {sample.id!r} has no choices and neither has its task")
        prompt = self.prompt_of(sample)
        delimiter = self.choice_delimiter
        if delimiter is None:
            delimiter = " " if isinstance(prompt, str) else ""
        written = tuple(delimiter + choice for choice in choices)
        if self.answer == "text":
            return Generate(prompt, self.decoding, choices=tuple(dict.fromkeys(written)) if self.constrain else ())
        return LogLikelihood(prompt, written)

    def _label(self, output: Output, choices: Sequence[str]) -> Label:
        answer = output.answer
        if isinstance(answer, Label):
            return answer
        if isinstance(answer, Likelihoods):
            return _most_likely(answer, choices)
        if isinstance(answer, Text):
            is_begun = self.constrain and output.finish_reason == "length" and _is_begun(answer.text, choices)
            return Label(None if is_begun else parse_choice(answer.text, choices), text=answer.text)
        raise TypeError(f"classification expects a label, likelihoods or text, got {type(answer).__name__.lower()}")


def parse_choice(text: str, choices: Sequence[str]) -> str | None:
    """The choice that a text names, or None.

    A text that is a choice, but for white space around it, is that choice. Else letter case, white space and punctuation at
    the ends do not matter: a text that equals one choice is it; else the choice that occurs first as whole words, the longest
    where several begin at one place. What several choices become then, or what has no letter or digit, names none of them.

    >>> parse_choice("Answer: Reserve a book.", ["renew a loan", "reserve a book"])
    'reserve a book'
    """
    for choice in choices:
        if text.strip() == choice.strip():
            return choice
    folded: dict[str, list[str]] = {}
    for choice in dict.fromkeys(choices):
        folded.setdefault(_plain(choice), []).append(choice)
    distinct = {key: same[0] for key, same in folded.items() if key and len(same) == 1}
    plain = _plain(text)
    if plain in distinct:
        return distinct[plain]
    found = []
    for key, choice in distinct.items():
        match = re.search(rf"(?<!\w){re.escape(key)}(?!\w)", plain)
        if match:
            found.append((match.start(), -len(key), choice))
    return min(found)[2] if found else None


def _is_begun(text: str, choices: Sequence[str]) -> bool:
    """Whether a text that had to break off begins a choice that is longer, and is none itself."""
    return text.strip() not in choices and any(choice.startswith(text.strip()) for choice in choices)


def _most_likely(answer: Likelihoods, choices: Sequence[str]) -> Label:
    logprobs = np.asarray(answer.logprobs, dtype=np.float64)
    if len(logprobs) != len(choices):
        raise ValueError(f"{len(logprobs)} likelihoods for {len(choices)} choices")
    shifted = np.exp(logprobs - logprobs.max())
    probabilities = (shifted / shifted.sum()).tolist()
    return Label(
        label=choices[int(logprobs.argmax())],
        probabilities=dict(zip(choices, probabilities)) if len(set(choices)) == len(choices) else None,
        logprobs=answer.logprobs,
    )


def _plain(text: str) -> str:
    return " ".join(re.sub(r"^\W+|\W+$", "", text.casefold()).split())
