"""Samples and outputs of a tagging task as series of codes: which rows can be scored, and the entities in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.metrics.entities import BoolArray, CodeArray, Entities, Extractor, Scheme, TagCodes, coded, invalid_prefix
from harness.metrics.rows import wrong_kind
from harness.types import FloatArray, Output, Sample, Tags, Text

IntArray: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Found:
    """The entities of all rows: those predicted, those true, the row of each, which predicted ones are right."""

    predicted: Entities
    true: Entities
    row_of_predicted: IntArray
    row_of_true: IntArray
    is_right: BoolArray
    types: tuple[str, ...]

    def places(self) -> tuple[tuple[IntArray, IntArray], ...]:
        """Row and type of the right, the predicted and the true entities."""
        rows, types = self.row_of_predicted, self.predicted.types
        return (rows[self.is_right], types[self.is_right]), (rows, types), (self.row_of_true, self.true.types)


@dataclass(frozen=True, slots=True)
class TagRows:
    """The rows that can be scored: ``numbers`` of their samples, ``lengths``, where each ``starts`` in the two series of codes.

    ``missing`` says of the others why they cannot be.
    """

    numbers: IntArray
    lengths: IntArray
    starts: IntArray
    true: CodeArray
    predicted: CodeArray
    codes: TagCodes
    scheme: Scheme | None
    missing: Mapping[int, str]

    @property
    def n(self) -> int:
        """How many rows there are."""
        return len(self.numbers)

    def hits(self) -> FloatArray:
        """Right tags of each row, ``float64[n]``."""
        same = np.concatenate([[0], np.cumsum(self.true == self.predicted)])
        return np.asarray(same[self.starts + self.lengths] - same[self.starts], dtype=np.float64)

    def found(self) -> Found:
        """The entities of all rows."""
        types: dict[str, int] = {}
        extractor = Extractor(self.codes, self.scheme, types)
        predicted, true = extractor.entities(self.predicted), extractor.entities(self.true)
        return Found(predicted, true, self._row_of(predicted), self._row_of(true), predicted.among(true),
                     tuple(types))

    def _row_of(self, entities: Entities) -> IntArray:
        return np.asarray(np.searchsorted(self.starts, entities.begins, side="right") - 1, dtype=np.int64)


def tag_rows(
    samples: Sequence[Sample], outputs: Sequence[Output], scheme: Scheme | None, words: str | None = None
) -> TagRows:
    """Code what can be scored. ``scheme``: tags must have its prefixes; ``words``: the field of the input that holds words."""
    missing: dict[int, str] = {}
    if words is not None or not _all_fit(samples, outputs):
        misfits = (_misfit(sample, output, words) for sample, output in zip(samples, outputs, strict=True))
        missing = {row: reason for row, reason in enumerate(misfits) if reason is not None}
    there = [row for row in range(len(samples)) if row not in missing]
    targets, answers = [samples[row].target for row in there], [_tags(outputs[row]) for row in there]
    return coded_rows(targets, answers, scheme, there, missing)


def coded_rows(
    targets: Sequence[Sequence[str]], answers: Sequence[Sequence[str]], scheme: Scheme | None,
    numbers: Sequence[int], missing: Mapping[int, str],
) -> TagRows:
    """Code targets and answers of equal lengths, less those with a tag that cannot be scored. ``numbers`` are their rows."""
    codes = TagCodes()
    true, predicted = _coded(targets, codes), _coded(answers, codes)
    lengths = np.fromiter(map(len, targets), dtype=np.int64, count=len(targets))
    faults = _faults(true, predicted, codes, scheme)
    if faults:
        item = np.repeat(np.arange(len(targets)), lengths + 1)
        reasons = {int(item[position]): reason for position, reason in sorted(faults.items(), reverse=True)}
        kept = [number for number in range(len(targets)) if number not in reasons]
        missing = dict(sorted({**missing, **{numbers[number]: reason for number, reason in reasons.items()}}.items()))
        kept_tags = [targets[number] for number in kept], [answers[number] for number in kept]
        return coded_rows(*kept_tags, scheme, [numbers[number] for number in kept], missing)
    starts = np.cumsum(lengths + 1) - lengths - 1
    return TagRows(np.array(numbers, dtype=np.int64), lengths, starts, true, predicted, codes, scheme, missing)


def _all_fit(samples: Sequence[Sample], outputs: Sequence[Output]) -> bool:
    """Whether every row has two series of tags of one length: asked of all at once, as it mostly is so."""
    targets, answers = [sample.target for sample in samples], [output.answer for output in outputs]
    if not (set(map(type, targets)) <= {list, tuple} and set(map(type, answers)) <= {Tags}):
        return False
    return len(targets) == len(answers) and list(map(len, targets)) == list(map(len, map(_tags, outputs)))


def _misfit(sample: Sample, output: Output, words: str | None) -> str | None:
    """Why a row has no two series of tags of one length."""
    target, answer = sample.target, output.answer
    if target is None:
        return "the sample has no target"
    if not isinstance(target, list | tuple):
        return f"the target is {type(target).__name__}, not a list of tags"
    if not isinstance(answer, Tags):
        return "no tags in the answer" if isinstance(answer, Text) else wrong_kind(output, "Tags")
    if len(answer.tags) != len(target):
        return f"{len(answer.tags)} tags for {len(target)} tokens"
    if words is None:
        return None
    if words not in sample.input:
        return f"the input has no field {words!r}"
    n = len(sample.input[words]) if isinstance(sample.input[words], list | tuple) else -1
    return None if n == len(target) else f"the input's {words!r} is not a list of {len(target)} words"


def _tags(output: Output) -> tuple[str, ...]:
    return output.answer.tags if isinstance(output.answer, Tags) else ()


def _coded(sentences: Sequence[Sequence[Any]], codes: TagCodes) -> CodeArray:
    try:
        return coded(sentences, codes)
    except TypeError:  # a tag that cannot be looked up: a list, a mapping
        return coded([[tag if isinstance(tag, str) else "" for tag in sentence] for sentence in sentences], codes)


def _faults(true: CodeArray, predicted: CodeArray, codes: TagCodes, scheme: Scheme | None) -> dict[int, str]:
    """Positions with a tag that cannot be scored -> why."""
    bad = {TagCodes.NO_TAG: "is empty or no text"}
    if scheme is not None:
        prefixes = ", ".join(scheme.prefixes)
        invalid = {code: tag for tag, code in codes.items() if tag and invalid_prefix(tag, scheme)}
        bad |= {code: f"{tag!r:.40} has none of the prefixes {prefixes}" for code, tag in invalid.items()}
    faults: dict[int, str] = {}
    for series, whose in ((predicted, "a tag of the answer"), (true, "a tag of the target")):
        for code, why in bad.items():
            faults |= dict.fromkeys(np.flatnonzero(series == code).tolist(), f"{whose} {why}")
    return faults
