"""The slices of a task on which a metric moved, corrected for all slices that were looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.compare.tasks import PairedTask
from harness.compare.verdicts import Testing
from harness.stats.multiple import adjust
from harness.types import Change, Estimate

MOST_SLICES = 200
"""Of a task with more, the largest are looked at."""


@dataclass(frozen=True, slots=True)
class SliceMove:
    """A metric on one slice (``level=hard``), as a comparison of it; corrected among slices only."""

    task: str
    entry: str
    run: str
    metric: str
    slice: str
    a: float | None
    b: float | None
    difference: Estimate
    p_value: float | None
    p_adjusted: float | None
    n_pairs: int
    higher_is_better: bool | None
    verdict: Change = "unclear"


def slice_moves(pair: PairedTask, metric: str) -> list[SliceMove]:
    """The metric on every slice of the task; those of one sample have no p-value."""
    sizes = {name: len(units) for name, units in pair.pairing.slices.items()}
    chosen = sorted(sorted(sizes, key=lambda name: -sizes[name])[:MOST_SLICES])
    found = []
    for name in chosen:
        contrast = pair.contrast(metric, name)
        p_value = None if contrast.test == "none" else contrast.p_value
        found.append(SliceMove(
            pair.task, pair.entry, pair.b.run.record.run_id, metric, name, contrast.a, contrast.b, contrast.difference, p_value,
            p_value, contrast.n_units, pair.facts(metric).get("higher_is_better"),
        ))  # fmt: skip
    return found


def corrected(moves: Sequence[SliceMove], testing: Testing) -> tuple[SliceMove, ...]:
    """With adjusted p-values and verdicts, the surest first."""
    adjusted = iter(adjust([move.p_value for move in moves if move.p_value is not None], testing.correction).tolist())
    done = [replace(move, p_adjusted=None if move.p_value is None else next(adjusted)) for move in moves]
    done = [replace(move, verdict=_verdict(move, testing.alpha)) for move in done]
    return tuple(sorted(done, key=lambda move: 2.0 if move.p_value is None else move.p_value))


def _verdict(move: SliceMove, alpha: float) -> Change:
    value = move.difference.value
    if move.p_adjusted is None or value is None or move.higher_is_better is None or move.p_adjusted >= alpha:
        return "unclear"
    return "better" if (value > 0) == move.higher_is_better else "worse"
