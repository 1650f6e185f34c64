"""Rates, lengths and latencies: differences of values that are means or quantiles over rows."""

from __future__ import annotations

import numpy as np

from harness.drift.findings import Finding, Values, difference, undefined
from harness.drift.texts import TextPair
from harness.drift.units import BothRuns, Rows
from harness.metrics.operations import Latency
from harness.metrics.outcomes import ErrorRate, RefusalRate, ShareOfOutputs, TruncationRate
from harness.metrics.rows import ratio
from harness.types import FloatArray, Key, Output, Sample, Text

_NOBODY = Sample("")


def rate(unit: BothRuns, metric: ShareOfOutputs, rng: np.random.Generator) -> Finding:
    """The difference of the shares of outputs of which something is true, as the metric of that name counts them."""
    if isinstance(metric, RefusalRate) and any(rows.kind != "text" for rows in unit.sides):
        return undefined("the answers are not text")
    run, base = (_hits(rows, metric) for rows in unit.sides)
    is_input = isinstance(metric, TruncationRate) and metric.side == "input"
    return difference(unit, run, base, _ratios, finish=_ratio, bounds=(0.0, 1.0), are_inputs=is_input, rng=rng)


def length(unit: BothRuns, texts: TextPair | str, rng: np.random.Generator, *, are_inputs: bool) -> Finding:
    """The difference of the mean numbers of words."""
    if isinstance(texts, str):
        return undefined(texts)
    units = (texts.run_units, texts.base_units)
    run, base = (
        Values(np.stack([tokens.lengths, np.ones(len(tokens.lengths))], axis=1).astype(np.float64), numbers)
        for tokens, numbers in zip(texts.side_tokens(), units)
    )
    return difference(unit, run, base, _ratios, finish=_ratio, are_inputs=are_inputs, rng=rng)


def latency(unit: BothRuns, q: float, rng: np.random.Generator) -> Finding:
    """The difference of a quantile of the latencies; answers from the cache took no time of the service and are left out."""
    run, base = (_seconds(rows) for rows in unit.sides)
    if not len(run.stats) or not len(base.stats):
        return undefined("no latencies: answers came from the cache or the backend tells none")
    return difference(unit, run, base, Latency(q).aggregate, rng=rng)


def _hits(rows: Rows, metric: ShareOfOutputs) -> Values:
    """``float64[n, 2]`` of the rows that the metric scores: hit, 1."""
    errors = rows.column("error")
    outputs = _outputs(rows, metric, errors)
    seen = [row for row, error in enumerate(errors) if error is None or metric.sees_errors]
    stats = metric.score([_NOBODY] * len(seen), [outputs[row] for row in seen]).stats
    there = ~np.isnan(stats).any(axis=1)
    return Values(stats[there], rows.units[seen][there])


def _outputs(rows: Rows, metric: ShareOfOutputs, errors: list[str | None]) -> list[Output]:
    """Outputs with what the metric looks at and nothing else."""
    key = Key("")
    if isinstance(metric, ErrorRate):
        return [Output(key, None, error=error) for error in errors]
    if isinstance(metric, RefusalRate):
        return [Output(key, Text(text or ""), error=error) for text, error in zip(rows.column("text"), errors)]
    finish, truncated = rows.column("finish_reason"), rows.column("truncated")
    return [Output(key, None, finish_reason=reason, truncated=bool(cut)) for reason, cut in zip(finish, truncated)]


def _seconds(rows: Rows) -> Values:
    columns = zip(rows.column("latency_s"), rows.column("cached"), rows.column("error"))
    kept = [row for row, (seconds, cached, error) in enumerate(columns) if seconds is not None and not cached and error is None]
    seconds = rows.column("latency_s")
    return Values(np.array([[seconds[row]] for row in kept], dtype=np.float64).reshape(len(kept), 1), rows.units[kept])


def _ratio(totals: FloatArray) -> FloatArray:
    return ratio(totals[..., 0], totals[..., 1])


def _ratios(stats: FloatArray, weights: FloatArray) -> FloatArray:
    return _ratio(weights @ stats)
