"""What ``harness score`` prints for people: the values, what is missing, how the intervals were made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.text import Text

from harness import api
from harness.cli.output import add_rows, console, table
from harness.cli.scoretables import print_tables
from harness.plugins import metric as metric_of
from harness.report.blocks import ARROWS, UNDEFINED
from harness.report.numbers import decimals, number

Results = Sequence[api.ScoreResult]


def print_scores(results: Results, *, per_sample: bool, whole: bool, seed: int) -> None:
    """Values, then every output's if asked, tables (``whole``: nothing of them left out), and notes."""
    out = console()
    _print_values(out, results)
    if per_sample:
        out.print()
        out.print(_per_sample(results))
    print_tables(out, [(result.metric, result.tables) for result in results], whole=whole)
    out.print()
    for line in (*_gaps(results), *results[0].notes, _methods(results, seed)):
        out.print(Text(line, style="dim"), soft_wrap=True)


def _print_values(out: Console, results: Results) -> None:
    """The table; where it is too wide for the terminal with signatures, these come in lines of their own."""
    percent = f"{results[0].estimate.level * 100:g} % interval"
    headers, rows = ["metric", "", "value", "", percent, "n", "missing"], [_row(result) for result in results]
    kept = [at for at, header in enumerate(headers) if header or any(row[at] for row in rows)]
    headers, rows = [headers[at] for at in kept], [[row[at] for at in kept] for row in rows]
    wide = table(*headers, "signature")
    add_rows(wide, ([*row, result.signature] for row, result in zip(rows, results)))
    if Measurement.get(out, out.options.update(width=10_000), wide).maximum <= out.width:
        out.print(wide)
        return
    narrow = add_rows(table(*headers), rows)
    narrow.columns[0].overflow = "fold"
    for column in narrow.columns[1:]:
        column.no_wrap = True
    out.print(narrow)
    out.print()
    for result in results:
        out.print(Text(result.signature), overflow="fold", soft_wrap=False)


def _row(result: api.ScoreResult) -> list[object]:
    estimate, metric = result.estimate, metric_of(result.metric)
    value, interval = UNDEFINED, "–"
    if estimate.value is not None and estimate.low is not None and estimate.high is not None:
        value, low, high = numbers(estimate.value, estimate.low, estimate.high)
        interval = f"[{low}, {high}]"
    elif estimate.value is not None:
        [value] = numbers(estimate.value)
    unit = metric.unit if value != UNDEFINED else ""
    return [result.metric, ARROWS[metric.higher_is_better], value, unit, interval, estimate.n, estimate.n_missing]


def numbers(value: float, *ends: float) -> list[str]:
    """A value and the ends of its interval with the same decimals: as many as the reference tools print (four of values
    within ±1, two if one of them is larger), and more where these would not show what the interval tells apart.

    >>> numbers(0.5), numbers(27.25, 20, 30), numbers(0.00004, 0.00002, 0.00006)
    (['0.5000'], ['27.25', '20.00', '30.00'], ['0.000040', '0.000020', '0.000060'])
    """
    shown = (value, *ends)
    largest = max(map(abs, shown))
    if 0 < largest < _SMALLEST or largest >= _LARGEST:
        return [f"{number:.3e}" for number in shown]
    low, high = (min(ends), max(ends)) if len(ends) == 2 else (None, None)
    places = max(4 if largest <= 1 else 2, decimals(value, low, high))
    return [number(one, places) for one in shown]


_SMALLEST, _LARGEST = 1e-7, 1e9
"""Beyond these, powers of ten are easier to read than zeros."""


# ── notes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _gaps(results: Results) -> list[str]:
    """Why values or rows are not there, metrics with the same gaps in one line, and what the missing rows could change."""
    alike: dict[str, list[api.ScoreResult]] = {}
    for result in results:
        said = _gap(result)
        if said:
            alike.setdefault(said, []).append(result)
    return [f"{', '.join(result.metric for result in group)}: {said}{_could_be(group)}" for said, group in alike.items()]


def _gap(result: api.ScoreResult) -> str:
    estimate, samples = result.estimate, result.samples
    parts = [estimate.reason] if estimate.reason is not None else []
    if estimate.n_missing:
        why = Counter(samples.missing.values()).most_common(1) if samples is not None else []
        inside = []
        if samples is not None and why:
            is_told = estimate.reason is not None and why[0][0] in estimate.reason
            many = "most often: " if len(set(samples.missing.values())) > 1 else ""
            inside = [*([] if is_told else [f"{many}{why[0][0]}"]), f"first: {samples.ids[min(samples.missing)]}"]
        parts.append(f"{estimate.n_missing:,} missing" + (f" ({'; '.join(inside)})" if inside else ""))
    return "; ".join(parts)


def _could_be(group: Results) -> str:
    parts = []
    for result in (result for result in group if result.estimate.n_missing):
        worst, best = result.estimate.worst_case, result.estimate.best_case
        if result.estimate.value is not None and worst is not None and best is not None:
            low, high = sorted((worst, best))
            parts.append("{} could be {} to {}".format("it" if len(group) == 1 else result.metric, *numbers(low, high)))
    return f"; with them {', '.join(parts)}" if parts else ""


def _methods(results: Results, seed: int) -> str:
    """One method for all, or which metrics have which."""
    by_method: dict[str, list[str]] = {}
    for result in results:
        if result.estimate.value is not None or result.estimate.method != "none":
            by_method.setdefault(result.estimate.method, []).append(result.metric)
    if not set(by_method) - {"none"}:
        return "no intervals"
    drawn = f", seed {seed}" if any("bootstrap" in method or "subsample" in method for method in by_method) else ""
    if len(by_method) == 1:
        return f"intervals: {next(iter(by_method))}{drawn}"
    return "intervals: " + "; ".join(f"{', '.join(specs)}: {method}" for method, specs in by_method.items()) + drawn


# ── every output ────────────────────────────────────────────────────────────────────────────────────────────────────


def _per_sample(results: Results) -> Any:
    there = [(result.metric, result.samples) for result in results if result.samples is not None]
    made = table("id", *(metric for metric, _ in there))
    columns = [[_cell(samples, row) for row in range(len(samples.ids))] for _, samples in there]
    return add_rows(made, zip(there[0][1].ids if there else [], *columns))


def _cell(samples: Any, row: int) -> str:
    value = float(samples.values[row])
    return str(samples.missing.get(row, "–")) if value != value else numbers(value)[0]
