"""The rows of one chunk under one metric: how they are scored, joined, and what is left where scoring them came to nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from harness.errors import MetricError
from harness.protocols import Metric
from harness.stats.estimate import missing_rows
from harness.types import FloatArray, Output, Sample, Scores

Extremes: TypeAlias = tuple[FloatArray, FloatArray]
"""The worst and the best row ``float64[m, d]`` that each of m missing rows could have had."""


@dataclass(frozen=True, slots=True)
class Block:
    """``stats`` and the ``values`` of the rows by themselves (of metrics of scope ``sample``), NaN where missing; the reason
    for each missing row, in their order, and their extremes, None where they are unknown. ``bound``: the metric that the
    statistics are for, where it holds what their rows number. ``left_out``: rows that the metric does not measure."""

    stats: FloatArray
    values: FloatArray
    missing: Mapping[int, str]
    extremes: Extremes | None
    bound: Metric | None = None
    left_out: frozenset[int] = frozenset()


def score_block(metric: Metric, samples: Sequence[Sample], outputs: Sequence[Output]) -> Block:
    """Score these rows; what failed is missing with its error, unless the metric sees errors."""
    good = [row for row, output in enumerate(outputs) if output.error is None or metric.sees_errors]
    missing = {} if metric.sees_errors else {row: o.error for row, o in enumerate(outputs) if o.error is not None}
    with np.errstate(over="ignore", invalid="ignore"):
        if len(good) == len(outputs):
            scores = metric.score(samples, outputs)
        else:
            scores = _scored(metric, [samples[row] for row in good], [outputs[row] for row in good])
    stats = np.full((len(outputs), scores.stats.shape[1]), np.nan)
    stats[good] = scores.stats
    for row, reason in scores.missing.items():
        missing[good[row]] = reason
        stats[good[row]] = np.nan
    left_out = frozenset(good[row] for row in scores.left_out)
    for row in missing_rows(stats, missing):
        missing.setdefault(int(row), "undefined on this sample")
    for row in left_out:
        missing.pop(row, None)
        stats[row] = np.nan
    values = _values(metric if scores.bound is None else scores.bound, stats, [*missing, *left_out])
    extremes = _extremes(metric, [samples[row] for row in sorted(missing)], stats.shape[1])
    return Block(stats, values, dict(sorted(missing.items())), extremes, scores.bound, left_out)


def lost_block(metric: Metric, samples: Sequence[Sample], outputs: Sequence[Output], reason: str) -> Block:
    """Rows that were not scored, for this reason; those whose output is an error are missing for that error."""
    width = len(metric.columns) or _of_no_rows(metric).stats.shape[1]
    gone = [reason if output.error is None or metric.sees_errors else output.error for output in outputs]
    stats, values = np.full((len(samples), width), np.nan), np.full(len(samples), np.nan)
    return Block(stats, values, dict(enumerate(gone)), _extremes(metric, samples, width))


def joined(blocks: Sequence[Block]) -> Block:
    """One block of the rows of several, at least one, in their order."""
    if len(blocks) == 1:
        return blocks[0]
    missing: dict[int, str] = {}
    left_out: set[int] = set()
    offset = 0
    for block in blocks:
        missing.update({row + offset: reason for row, reason in block.missing.items()})
        left_out.update(row + offset for row in block.left_out)
        offset += len(block.stats)
    stats = np.concatenate([block.stats for block in blocks])
    values = np.concatenate([block.values for block in blocks])
    pairs = [block.extremes for block in blocks if block.extremes is not None]
    extremes = None if len(pairs) < len(blocks) else joined_extremes(pairs)
    return Block(stats, values, missing, extremes, blocks[0].bound, frozenset(left_out))


def joined_extremes(pairs: Sequence[Extremes]) -> Extremes:
    """Those of the missing rows of several blocks, at least one, in their order."""
    return np.concatenate([worst for worst, _ in pairs]), np.concatenate([best for _, best in pairs])


def _scored(metric: Metric, samples: Sequence[Sample], outputs: Sequence[Output]) -> Scores:
    return metric.score(samples, outputs) if samples else _of_no_rows(metric)


def _of_no_rows(metric: Metric) -> Scores:
    """Many a metric of a user's own making cannot score no rows: its columns tell what it would have given."""
    try:
        return metric.score([], [])
    except Exception as error:
        if metric.columns:
            return Scores(np.empty((0, len(metric.columns))))
        raise MetricError(
            f"{metric.spec}: names no columns and cannot score no rows ({type(error).__name__}: {error}): name its columns"
        ) from error


def _extremes(metric: Metric, samples: Iterable[Sample], width: int) -> Extremes | None:
    found = []
    for sample in samples:
        pair = metric.extremes(sample)
        if pair is None:
            return None
        found.append(pair)
    worst, best = (np.array([pair[side] for pair in found], dtype=np.float64).reshape(len(found), width) for side in (0, 1))
    return worst, best


def _values(metric: Metric, stats: FloatArray, absent: Sequence[int]) -> FloatArray:
    values = np.full(len(stats), np.nan)
    good = np.delete(np.arange(len(stats)), list(absent))
    if len(good) and metric.scope == "sample":
        with np.errstate(over="ignore", invalid="ignore"):
            values[good] = metric.rows(stats[good])
    return values
