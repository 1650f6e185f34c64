"""The input of ``score``: outputs and the samples that they answer, from files, streams or lists, paired by id or in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.engine.wants import Reading, Wants
from harness.errors import DataError, UsageError
from harness.metrics.labels import label_set
from harness.types import Key, Label, Output, Sample

IN_MEMORY = "references"
"""The name of a truth that is in no file."""


@dataclass(frozen=True, slots=True)
class Material:
    """What is scored: ``outputs[i]`` answers ``samples[i]``; ``notes`` say what was left out."""

    samples: list[Sample]
    outputs: list[Output]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Truth:
    """References, targets or judgements: a sample an item. ``by_id``: their ids mean something, else their order does.
    ``columns`` are those that were named and are in its file.
    """

    name: str
    samples: list[Sample]
    by_id: bool
    columns: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Given:
    """Predictions as they were read. ``own`` : what their rows say of their samples (contexts, slices), one an output."""

    name: str
    outputs: list[Output]
    by_id: bool
    own: Sequence[Sample] = ()
    notes: tuple[str, ...] = ()


# ── scores of one label ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Binary:
    """Which label scores are of, and the other one, where there is just one."""

    positive: str
    other: str | None

    def label(self, score: float, label: str | None) -> Label:
        """An answer that gives ``positive`` this score; below two labels the other one has the rest."""
        rest = {} if self.other is None else {self.other: 1.0 - score}
        return Label(label, {self.positive: score, **rest})


def binary_of(samples: Sequence[Sample], reading: Reading) -> Binary:
    """The meaning of a single score. Raises UsageError where the targets do not tell and ``positive`` is not given."""
    labels = label_set(samples)
    if reading.positive is None:
        if len(labels) != 2:
            shown = ", ".join(labels[:5]) + (", …" if len(labels) > 5 else "")
            raise UsageError(
                f"score: one score an answer fits two labels, the targets have {len(labels)} ({shown}): "
                "name the one it is of with --positive, or give probabilities as JSON objects"
            )
        return Binary(labels[1], labels[0])
    if labels and reading.positive not in labels:
        shown = ", ".join(labels[:10])
        raise UsageError(f"score: --positive must be a label of the targets ({shown}), got {reading.positive!r}")
    others = [label for label in labels if label != reading.positive]
    if not others:
        return Binary(reading.positive, f"not {reading.positive}")
    return Binary(reading.positive, others[0] if len(others) == 1 else None)


# ── pairing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def paired(given: Given, truth: Truth | None, wants: Wants) -> Material:
    """Bring answers and truth together.

    By id where both have ids, else in order. Rankings are scored for the queries that are on both sides, as trec_eval does; of
    other answers, a sample without one is missing. Raises DataError where the two do not fit.
    """
    found = _paired(given, truth, wants)
    found = Material(found.samples, found.outputs, (*given.notes, *found.notes))
    if not given.own:
        return found
    own = {output.key: sample for output, sample in zip(given.outputs, given.own)}
    in_place = {id(sample): sample for sample in given.own}
    samples = []
    for position, (sample, output) in enumerate(zip(found.samples, found.outputs)):
        # In order, the outputs may have got the ids of the truth: their places tell whose rows they are.
        mine = own.get(output.key) or (given.own[position] if len(found.outputs) == len(given.own) else None)
        samples.append(sample if mine is None or id(sample) in in_place else completed(sample, mine))
    return Material(samples, found.outputs, found.notes)


def completed(sample: Sample, own: Sample) -> Sample:
    """A sample of the truth with what the row of its prediction says beside it."""
    return replace(
        sample, input=sample.input or own.input, choices=sample.choices or own.choices,
        contexts=sample.contexts or own.contexts,
        references=sample.references or own.references, target=own.target if sample.target is None else sample.target,
        group=own.group if sample.group is None else sample.group, slices=sample.slices or own.slices,
    )  # fmt: skip


def _paired(given: Given, truth: Truth | None, wants: Wants) -> Material:
    _check_unique(given)
    if truth is None:
        ids = dict.fromkeys(output.key.sample_id for output in given.outputs)
        own = {id_: Sample(id_) for id_ in ids}
        return Material([own[output.key.sample_id] for output in given.outputs], given.outputs)
    if not (given.by_id and truth.by_id):
        return _in_order(given, truth)
    samples = _by_id(truth)
    known = [output for output in given.outputs if output.key.sample_id in samples]
    if not known:
        raise DataError(f"{given.name} and {truth.name} have no id in common (the first are {given.outputs[0].key.sample_id!r} "
                        f"and {next(iter(samples))!r})")  # fmt: skip
    answered = {output.key.sample_id for output in known}
    strangers = len({output.key.sample_id for output in given.outputs}) - len(answered)
    silent = [id_ for id_ in samples if id_ not in answered]
    notes = _notes(wants, given.name, truth.name, strangers, len(silent))
    if wants.family != "ranking":
        known += [Output(Key(id_), None, error="no prediction") for id_ in silent]
    return Material([samples[output.key.sample_id] for output in known], known, notes)


def beside(given: Given, samples: list[Sample]) -> Material:
    """Answers with the truth of their own rows; a sample stands once for every repeat."""
    _check_unique(given)
    return Material(samples, given.outputs, given.notes)


def merged(truths: Sequence[Truth]) -> Truth:
    """Several references an item. Raises DataError where they are not of the same items."""
    first = truths[0]
    if len(truths) == 1:
        return first
    by_id = all(truth.by_id for truth in truths)
    columns = [first.samples]
    for truth in truths[1:]:
        samples = truth.samples
        if by_id:
            found = _by_id(truth)
            absent = next((s.id for s in first.samples if s.id not in found), None)
            if absent is not None or len(found) != len(first.samples):
                what = f"lacks {absent!r}" if absent is not None else f"has {len(found)} items, not {len(first.samples)}"
                raise DataError(f"references files must be of the same ids: {truth.name} {what}, unlike {first.name}")
            samples = [found[sample.id] for sample in first.samples]
        elif len(samples) != len(first.samples):
            raise DataError(f"references file {truth.name} has {_lines(len(samples))}, {first.name} {len(first.samples)}")
        columns.append(samples)
    every = [replace(row[0], references=tuple(text for sample in row for text in sample.references)) for row in zip(*columns)]
    return Truth(first.name, every, by_id)


def reference_texts(value: Any, what: str) -> tuple[str, ...]:
    """One reference or a list of them. Raises DataError for anything else."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Mapping) or not isinstance(value, Sequence) or not all(isinstance(text, str) for text in value):
        raise DataError(f"{what} must be a text or a list of texts, got {value!r:.60}")
    return tuple(value)


def _in_order(given: Given, truth: Truth) -> Material:
    if len(truth.samples) != len(given.outputs):
        if truth.name == IN_MEMORY:
            raise DataError(f"{_n(len(truth.samples), 'reference', 'references')} for {len(given.outputs)} predictions")
        there = f"references file {truth.name} has {_lines(len(truth.samples))}"
        raise DataError(f"{there}, predictions {given.name} {len(given.outputs)}")
    if truth.by_id == given.by_id:
        return Material(truth.samples, given.outputs)
    if truth.by_id:
        _by_id(truth)
        outputs = [replace(output, key=Key(sample.id)) for sample, output in zip(truth.samples, given.outputs)]
        return Material(truth.samples, outputs)
    samples = [replace(sample, id=output.key.sample_id) for sample, output in zip(truth.samples, given.outputs)]
    return Material(samples, given.outputs)


def _by_id(truth: Truth) -> dict[str, Sample]:
    samples = {sample.id: sample for sample in truth.samples}
    if len(samples) < len(truth.samples):
        raise DataError(f"{truth.name}: id {_twice(truth.samples, lambda sample: sample.id)!r} is there twice")
    return samples


def _check_unique(given: Given) -> None:
    if len({output.key for output in given.outputs}) < len(given.outputs):
        key = _twice(given.outputs, lambda output: output.key)
        shown = f"id {key.sample_id!r}{f' (repeat {key.repeat})' if key.repeat else ''}"
        how = "give repeats of one item a field repeat, or leave the ids out of account with --no-ids"
        raise DataError(f"{given.name}: {shown} is there twice: {how}")


def _twice(items: Sequence[Any], key: Callable[[Any], Any]) -> Any:
    seen = set()
    for item in items:
        if key(item) in seen:
            return key(item)
        seen.add(key(item))
    return None


def _notes(wants: Wants, name: str, truth: str, strangers: int, silent: int) -> tuple[str, ...]:
    notes = []
    if wants.family == "ranking":
        if strangers:
            notes.append(f"{_n(strangers, 'query', 'queries')} of {name} left out: no judgements in {truth}")
        if silent:
            notes.append(f"{_n(silent, 'topic', 'topics')} of {truth} left out: not in {name} (as trec_eval without -c)")
    else:
        if strangers:
            notes.append(f"{_n(strangers, 'prediction', 'predictions')} of {name} left out: no such id in {truth}")
        if silent:
            notes.append(f"{_n(silent, 'sample', 'samples')} of {truth} missing: no prediction in {name}")
    return tuple(notes)


def _n(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _lines(count: int) -> str:
    return _n(count, "line", "lines")
