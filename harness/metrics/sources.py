"""Where the texts are that an answer was made from: the contexts, or a document in the input."""

from __future__ import annotations

from collections.abc import Sequence

from harness.types import Output, Sample, Text

_FIELDS = ("source", "document", "article")


def contexts_of(sample: Sample, output: Output) -> Sequence[str] | str:
    """The contexts that came with the answer, else those of the sample, else a reason."""
    found = output.answer.contexts if isinstance(output.answer, Text) else ()
    return found or sample.contexts or "no contexts"


def source_of(sample: Sample, output: Output) -> Sequence[str] | str:
    """What was summarised: the sample's contexts, else the input's field source, document or article, else a reason."""
    if sample.contexts:
        return sample.contexts
    for name in _FIELDS:
        value = sample.input.get(name)
        if isinstance(value, str):
            return (value,)
    return f"no source: the sample has no contexts, and no text in an input field {', '.join(_FIELDS[:-1])} or {_FIELDS[-1]}"
