"""The samples on which a candidate did better or worse than the base, most telling first, with both answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.codec import loads
from harness.compare.statistics import Statistics, rows_of
from harness.compare.tasks import PairedTask
from harness.stats.bootstrap import IntArray
from harness.types import FloatArray

_ROUNDING = 1e-9
_LOOKED_AT = 4096
"""Rows that tell whether a metric gives single samples a value."""
_WANTED = ("references", "target", "qrels")


@dataclass(frozen=True, slots=True)
class FlipCount:
    """How many samples moved by one metric."""

    task: str
    entry: str
    run: str
    metric: str
    won: int
    lost: int
    equal: int


@dataclass(frozen=True, slots=True)
class Flip:
    """A sample that ``b`` won or lost: both values (means over repeats) and the answers of the first repeat."""

    id: str
    won: bool
    a: float
    b: float
    prompt: str | None
    answer_a: str | None
    answer_b: str | None
    wanted: dict[str, Any]


def flip_metric(pair: PairedTask, wanted: Sequence[str] = ()) -> str | None:
    """The metric by which samples are won and lost: the first of those that are wanted, else of the primary one and all others,
    with a better direction and a value for single samples; None where there is none."""
    names = list(wanted) or [name for name in (pair.primary, *pair.metrics) if name is not None]
    for name in dict.fromkeys(names):
        if name in pair.metrics and pair.facts(name).get("higher_is_better") is not None and pair.refusal(name) is None:
            found = pair.statistics(name)
            if all(np.isfinite(_row_values(found, stats[:_LOOKED_AT])).any() for stats in (found.a, found.b)):
                return name
    return None


def unit_values(pair: PairedTask, metric: str) -> tuple[FloatArray, FloatArray]:
    """The value of every sample of the pairing in ``a`` and in ``b``, the mean over its repeats; NaN where it has none."""
    found = pair.statistics(metric)
    pairing = pair.pairing
    return (_means(found, found.a, pairing.a_units, pairing.n), _means(found, found.b, pairing.b_units, pairing.n))


def flip_count(pair: PairedTask, metric: str) -> FlipCount:
    """How many samples were won, lost and left as they were."""
    moved = _moved(pair, metric)
    there = np.isfinite(moved)
    won, gone = int((moved[there] > 0).sum()), int((moved[there] < 0).sum())
    return FlipCount(pair.task, pair.entry, pair.b.run.record.run_id, metric, won, gone, int(there.sum()) - won - gone)


def flips(pair: PairedTask, metric: str, limit: int = 10) -> tuple[Flip, ...]:
    """The samples that moved furthest: ``limit`` of the lost ones, then as many of those won (0: all); those that moved equally
    far in the order of the data."""
    moved = _moved(pair, metric)
    chosen: list[int] = []
    for sign in (-1.0, 1.0):
        there = np.flatnonzero(sign * np.nan_to_num(moved) > 0)
        furthest = there[np.argsort(-np.abs(moved[there]), kind="stable")]
        chosen += furthest[: limit or None].tolist()
    return _flips(pair, np.array(chosen, dtype=np.int64), moved, unit_values(pair, metric)) if chosen else ()


def _flips(pair: PairedTask, units: IntArray, moved: FloatArray, values: tuple[FloatArray, FloatArray]) -> tuple[Flip, ...]:
    pairing = pair.pairing
    rows_a, rows_b = (_first_rows(of, rows, units) for of, rows in ((pairing.a_units, pairing.a_rows),
                                                                    (pairing.b_units, pairing.b_rows)))
    answers = [_answers(unit, rows) for unit, rows in ((pair.a, rows_a), (pair.b, rows_b))]
    prompts, samples = rows_of(pair.b, rows_b, "prompt"), rows_of(pair.b, rows_b, "sample")
    found = []
    for i, (name, unit) in enumerate(zip(pairing.names(units), units.tolist())):
        sample = loads(samples[i])
        wanted = {key: sample[key] for key in _WANTED if sample.get(key) not in (None, [], {})}
        found.append(Flip(name, bool(moved[unit] > 0), float(values[0][unit]), float(values[1][unit]), prompts[i],
                          answers[0][i], answers[1][i], wanted))  # fmt: skip
    return tuple(found)


def _moved(pair: PairedTask, metric: str) -> FloatArray:
    """By how much every sample is better in ``b``; what is rounding is 0."""
    a, b = unit_values(pair, metric)
    moved = (b - a) if pair.facts(metric).get("higher_is_better") is not False else (a - b)
    with np.errstate(invalid="ignore"):
        moved[np.abs(moved) <= _ROUNDING * np.maximum(np.abs(a), np.abs(b))] = 0.0
    return moved


def _means(found: Statistics, stats: FloatArray, units: IntArray, n: int) -> FloatArray:
    values = _row_values(found, stats)
    known = np.isfinite(values)
    counts = np.bincount(units[known], minlength=n)
    sums = np.bincount(units[known], weights=values[known], minlength=n)
    means: FloatArray = np.divide(sums, counts, out=np.full(n, np.nan), where=counts > 0)
    return means


def _row_values(found: Statistics, stats: FloatArray) -> FloatArray:
    there = ~np.isnan(stats).any(axis=1)
    values = np.full(len(stats), np.nan)
    if there.any():
        with np.errstate(all="ignore"):
            values[there] = found.metric.rows(stats[there])
    return values


def _first_rows(units_of_rows: IntArray, rows: IntArray, units: IntArray) -> IntArray:
    """The first row of each of these samples; the rows of a pairing are ordered by sample."""
    return rows[np.searchsorted(units_of_rows, units)]


def _answers(unit: Any, rows: IntArray) -> list[str | None]:
    texts, answers, errors = (rows_of(unit, rows, column) for column in ("text", "answer", "error"))
    return [text if text is not None else answer if answer is not None else None if error is None else f"missing: {error}"
            for text, answer, error in zip(texts, answers, errors)]  # fmt: skip
