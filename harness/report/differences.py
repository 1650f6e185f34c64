"""What stands below a comparison: how it was tested, what is missing, which samples moved, and what else is different."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from harness.compare import Change, Report
from harness.compare.provenance import KINDS
from harness.report.candidates import names_of_candidates, tag
from harness.report.markdown import some
from harness.report.numbers import decimals, number

_SHOWN, _MOST_LINES = 160, 8
_PLURALS = {"package": "packages", "metric": "metrics", "role": "roles"}


def comparison_notes(report: Report) -> list[str]:
    """How it was tested, what is missing, what could not be compared; a line each."""
    return [
        _how(report), *_tests(report), *_gaps(report), *_missing(report), *_remarks(report), *_flipped(report),
        *(f"not compared: {text}" for text in report.refused), *report.notes,
    ]  # fmt: skip


def _how(report: Report) -> str:
    options, n = report.options, sum(row.comparison.p_value is not None for row in report.rows)
    corrected = "not corrected" if options.correction == "none" or n < 2 else f"{options.correction} over {n} comparisons"
    level = number(100 * (1 - options.alpha), 4).rstrip("0").rstrip(".")
    same = "" if options.margin is None else f"; same: within ±{options.margin:g}, by two one-sided tests"
    return (f"b - a on the samples that both have, with {level} % intervals; p {corrected}, better or worse where it is below "
            f"{options.alpha:g}{same}; MDE: what these samples find with 80 % power; * primary metric.")


def _tests(report: Report) -> Iterator[str]:
    name, found = names_of_candidates(report), dict[str, dict[str, None]]()
    for row in report.rows:
        told = row.comparison
        if told.p_value is not None and row.contrast.n_differing:
            where = _where(name, row.run, told.entry, f"{told.metric} on {told.task}", " ")
            found.setdefault(told.test, {})[where] = None
    if len(found) == 1:
        yield f"Test: {next(iter(found))}."
    elif found:
        yield f"Tests: {'; '.join(f'{test}: {some(list(where), 3)}' for test, where in found.items())}."


def _gaps(report: Report) -> Iterator[str]:
    name = names_of_candidates(report)
    for facts in report.pairing:
        words = ((facts.n_added, "only in b"), (facts.n_removed, "only in a"), (facts.n_changed, "of other content"))
        told = [f"{n:,} {what}" for n, what in words if n]
        if told:
            both = f"{facts.n_pairs:,} sample{'' if facts.n_pairs == 1 else 's'} in both"
            yield f"{_where(name, facts.run, facts.entry, facts.task)}: {both}; {', '.join(told)}."


def _missing(report: Report) -> Iterator[str]:
    name, told = names_of_candidates(report), dict[str, list[str]]()
    for row in report.rows:
        lost, found = row.lost, row.comparison
        if not lost.n:
            continue
        counts = [f"{n:,} {what}" for n, what in ((lost.only_a, "by a"), (lost.only_b, "by b"), (lost.both, "by both")) if n]
        where = _where(name, row.run, found.entry, found.task)
        ranges = told.setdefault(f"{where}: samples that were not scored and left out: {', '.join(counts)}", [])
        if found.difference.value is not None and lost.worst is not None and lost.best is not None:
            places = max(decimals(found.difference.value, found.difference.low, found.difference.high), 2)
            ranges.append(f"{found.metric} {number(lost.worst, places)} to {number(lost.best, places)}")
    for line, ranges in told.items():
        yield f"{line}; had they been as bad or as good as can be, b - a: {some(ranges, 4)}." if ranges else f"{line}."


def _remarks(report: Report) -> Iterator[str]:
    name, found = names_of_candidates(report), dict[str, dict[str, None]]()
    for row in report.rows:
        told = row.comparison
        if told.difference.reason:
            where = _where(name, row.run, told.entry, f"{told.metric} on {told.task}", ": ")
            found.setdefault(told.difference.reason, {})[where] = None
    for reason, places in found.items():
        yield f"{some(list(places), 3)}: {reason}."


def _flipped(report: Report) -> Iterator[str]:
    name = names_of_candidates(report)
    for found in report.flips:
        if found.won or found.lost:
            where = _where(name, found.run, found.entry, found.task)
            yield f"{where}: by {found.metric} {found.lost:,} lost, {found.won:,} won, {found.equal:,} as before."


def _where(name: Callable[[str, str], str], run: str, entry: str, task: str, between: str = " on ") -> str:
    candidate = name(run, entry)
    return f"{candidate}{between}{task}" if candidate else task


def provenance_lines(report: Report, *, full: bool = False) -> list[str]:
    """What else is different, a line a kind of thing, at most eight; ``full``: a line a field."""
    lines: list[str] = []
    for place, changes in enumerate(report.provenance, 1):
        candidate = f"{tag(report, place)}: " if len(report.provenance) > 1 else ""
        lines += [f"{candidate}{line}" for line in (_all_fields(changes) if full else _by_kind(changes))]
    if full or len(lines) <= _MOST_LINES:
        return lines
    return [*lines[: _MOST_LINES - 1], f"… and {len(lines) - _MOST_LINES + 1} more (--full)"]


def _all_fields(changes: Iterable[Change]) -> Iterator[str]:
    for change in changes:
        where = f" {change.where}" if change.where else ""
        yield f"{change.kind}{where}: {change.field} {_value(change.a, None)} → {_value(change.b, None)}"


def _by_kind(changes: Sequence[Change]) -> Iterator[str]:
    for kind in KINDS:
        told = dict.fromkeys(_short(change) for change in changes if change.kind == kind)
        if told:
            line = f"{_PLURALS.get(kind, kind)}: {', '.join(told)}"
            yield line if len(line) <= _SHOWN else f"{line[: _SHOWN - 2].rstrip(' ,')} …"


def _short(change: Change) -> str:
    where = f"{change.where}: " if change.where and change.kind not in ("model", "role") else ""
    return f"{where}{change.field} {_value(change.a, 24)} → {_value(change.b, 24)}"


def _value(value: Any, most: int | None) -> str:
    text = "(none)" if value is None else " ".join(str(value).split())
    return text if most is None or len(text) <= most else f"{text[:most]}…"
