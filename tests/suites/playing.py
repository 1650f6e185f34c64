"""Drives a suite by hand: real data sets on disk, one sample played, its request and its answer looked at."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.data.dataset import Dataset, SampleMapping
from harness.data.jsonl import Jsonl
from harness.protocols import Suite, TaskData
from harness.types import Answer, Key, Output, Request, Sample


def data_set(
    folder: Path, rows: Sequence[Mapping[str, Any]], mapping: Mapping[str, Any], train: Sequence[Mapping[str, Any]] = ()
) -> Dataset:
    """The rows as a JSONL file under a mapping, with ``train`` as the split of that name."""
    splits = {}
    for name, lines in (("test", rows), ("train", train)):
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        splits[name] = path
    return Dataset(Jsonl(splits["test"], splits=splits), SampleMapping(dict(mapping)))


def ask(suite: Suite, sample: Sample) -> Request:
    """What a prepared suite asks first."""
    return next(suite.play(sample))


def answer(suite: Suite, sample: Sample, given: Answer) -> Answer:
    """What a prepared one-step suite makes of a model's answer."""
    play = suite.play(sample)
    next(play)
    try:
        play.send(Output(Key(sample.id), given))
    except StopIteration as end:
        final: Answer = end.value
        return final
    raise AssertionError("the suite asked a second time")


def first(data: TaskData) -> Sample:
    return next(iter(data))
