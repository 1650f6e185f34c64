"""The rows of one entry on one task in both runs, and who belongs to whom."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.codec import loads
from harness.compare.runs import StoredUnit
from harness.stats.bootstrap import IntArray

MOST_TEXTS = 20_000
"""Samples whose texts are looked at; of more, so many, the same ones in every run."""

_KEYS = ("sample_id", "sample_hash", "arm", "group")


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of one run: the number of each one's unit, and its columns, which are read when asked for."""

    stored: StoredUnit
    units: IntArray

    def column(self, name: str) -> list[Any]:
        """The values of a column, a row each."""
        return list(self.stored.table(name).column(name).to_pylist())

    @cached_property
    def kind(self) -> str | None:
        """What its answers are (``text``, ``label``, ``number``, …), by the first that is there."""
        for batch in self.stored.batches("answer"):
            for answer in batch.column("answer").to_pylist():
                if answer is not None:
                    return str(loads(answer).get("type"))
        return None

    def prompts(self) -> list[str]:
        """What was asked: the prompt, or else what of the sample's input is text."""
        prompts = self.column("prompt")
        if all(prompt is None for prompt in prompts):
            return [_input_text(sample) for sample in self.column("sample")]
        return [prompt or "" for prompt in prompts]


@dataclass(frozen=True, eq=False)
class BothRuns:
    """An entry on a task in both runs. Units (a sample in an arm) are numbered through both; ``clusters`` gives each its
    cluster, None where no sample has a group. ``is_paired``: both runs have the very same samples. ``is_looked_at``: the
    units whose texts are read."""

    run: Rows
    base: Rows
    clusters: IntArray | None
    is_paired: bool
    is_looked_at: NDArray[np.bool_]

    @property
    def task(self) -> str:
        return self.run.stored.task

    @property
    def entry(self) -> str:
        return self.run.stored.entry

    @property
    def language(self) -> str:
        return str(self.run.stored.data.get("language") or "en")

    @property
    def sides(self) -> tuple[Rows, Rows]:
        """The run, then the base."""
        return self.run, self.base

    def cluster_of(self, units: IntArray) -> IntArray:
        """The cluster of each of these units; the unit itself where there are none."""
        return units if self.clusters is None else self.clusters[units]


def both_runs(run: StoredUnit, base: StoredUnit) -> BothRuns:
    """Number the units of both. Raises StoreError for damaged files."""
    numbers: dict[tuple[Any, ...], int] = {}
    groups: list[Any] = []
    names: list[str] = []
    units = []
    for stored in (run, base):
        columns = [stored.table(*_KEYS).column(name).to_pylist() for name in _KEYS]
        mine = np.empty(len(columns[0]), dtype=np.int64)
        for row, (name, content, arm, group) in enumerate(zip(*columns)):
            key = (name, content, arm)
            number = numbers.get(key)
            if number is None:
                number = numbers[key] = len(numbers)
                groups.append(group)
                names.append(name)
            mine[row] = number
        units.append(mine)
    there = [np.bincount(mine, minlength=len(numbers)) for mine in units]
    is_paired = bool(((there[0] > 0) & (there[1] > 0)).all())
    most = max(int((count > 0).sum()) for count in there)
    return BothRuns(Rows(run, units[0]), Rows(base, units[1]), _clusters(groups), is_paired, _looked_at(names, most))


def _clusters(groups: Sequence[Any]) -> IntArray | None:
    """Those of one group share a number; a unit without a group is a cluster by itself."""
    if all(group is None for group in groups):
        return None
    numbers: dict[Any, int] = {}
    keys = [("group", group) if group is not None else ("unit", unit) for unit, group in enumerate(groups)]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def _looked_at(names: Sequence[str], n: int) -> NDArray[np.bool_]:
    """By the names of the samples, so that both runs look at the same ones."""
    if n <= MOST_TEXTS:
        return np.ones(len(names), dtype=np.bool_)
    below = int(2**32 * MOST_TEXTS / n)
    return np.array([zlib.crc32(name.encode()) < below for name in names], dtype=np.bool_)


def _input_text(sample: str) -> str:
    given: Mapping[str, Any] = loads(sample).get("input") or {}
    return "\n".join(str(value) for value in given.values() if isinstance(value, str | int | float))
