"""The verdict of a gate for people: one table for the terminal and for the summary of a workflow, worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from harness.gate.planned import rounded
from harness.gate.verdict import RuleResult, Verdict
from harness.report.markdown import grid, plain_text, some
from harness.report.numbers import plain, with_interval
from harness.report.summary import TextTable

_HEADERS = ("verdict", "entry", "task", "what", "value", "baseline", "drop", "allowed", "p", "n", "needed n")
_SIGNS = {"passed": "✅", "regressed": "❌", "inconclusive": "⚠️", "infrastructure": "🛑"}


def verdict_table(verdict: Verdict) -> TextTable:
    """A row a rule and match, worst first. ``drop`` is how much worse than the baseline, with its one-sided bounds."""
    return TextTable("", _HEADERS, tuple(_row(result) for result in verdict.worst_first()))


def headline(verdict: Verdict) -> str:
    """``regressed: 1 of 3 checks (good × capitals: exact_match); 2 inconclusive``"""
    counts = Counter(result.verdict for result in verdict.rules)
    if not verdict.rules:
        return f"{verdict.verdict}: no rule was checked"
    n = len(verdict.rules)
    if verdict.verdict == "passed":
        return f"passed: {n} check{'s' if n > 1 else ''}"
    named = verdict.names(result for result in verdict.worst_first() if result.verdict == verdict.verdict)
    more = f", … {len(named) - 3} more" if len(named) > 3 else ""
    others = [f"{count} {word}" for word, count in counts.items() if word != verdict.verdict]
    rest = f"; {', '.join(others)}" if others else ""
    return f"{verdict.verdict}: {len(named)} of {n} check{'s' if n > 1 else ''} ({', '.join(named[:3])}{more}){rest}"


def about(verdict: Verdict) -> list[str]:
    """How it was tested, and what to know beside the rules; a line each."""
    lines = []
    if verdict.baseline is not None:
        lines.append(f"run {verdict.run_id} against {verdict.baseline}")
    if verdict.night is not None:
        lines.append(f"night {verdict.night} of this stream: a regression is tested at {verdict.level:.2g} of alpha "
                     f"{verdict.alpha:g}, passing at {verdict.alpha:g}")
    elif verdict.rules:
        tested = sum(rule.p_adjusted is not None for rule in verdict.rules)
        corrected = "" if verdict.correction == "none" or not tested else f", {verdict.correction} over {tested}"
        lines.append(f"alpha {verdict.alpha:g}{corrected}")
    return [*lines, *_reasons(verdict), *verdict.notes]


def _reasons(verdict: Verdict) -> Iterator[str]:
    """Why checks did not pass, a line a reason, the worst first."""
    found = [result for result in verdict.worst_first() if result.verdict != "passed" and result.reason]
    told: dict[str | None, list[str]] = {}
    for result, name in zip(found, verdict.names(found)):
        told.setdefault(result.reason, []).append(name)
    for reason, names in told.items():
        yield f"{some(list(dict.fromkeys(names)), 3)}: {reason}"


def verdict_markdown(verdict: Verdict) -> str:
    """A summary for a workflow's page: headline, table, notes."""
    parts = [f"## {_SIGNS[verdict.verdict]} {plain_text(headline(verdict))}"]
    table = verdict_table(verdict)
    if table.rows:
        parts.append(grid([[plain_text(cell) for cell in line] for line in (table.headers, *table.rows)]))
    notes = about(verdict)
    if notes:
        parts.append("\n".join(f"- {plain_text(note)}" for note in notes))
    return "\n\n".join(parts) + "\n"


def failure_markdown(what: str) -> bytes:
    """The same page for a gate that came to no verdict. UTF-8."""
    return f"## {_SIGNS['infrastructure']} no verdict: {plain_text(what)}\n".encode()


def message(result: RuleResult) -> str:
    """One result in one line, for a test report: what was asked, what was found."""
    cells = dict(zip(_HEADERS, _row(result)))
    found = [f"value {cells['value']}"] if cells["value"] else []
    found += [f"baseline {cells['baseline']}"] if cells["baseline"] else []
    found += [f"drop {cells['drop']}"] if cells["drop"] else []
    found += [f"p {cells['p']}"] if cells["p"] else []
    found += [f"n {cells['n']}"] if cells["n"] else []
    found += [f"needs about {cells['needed n']} samples"] if cells["needed n"] else []
    found += [result.reason] if result.reason else []
    return f"{result.verdict}: {result.limit} {cells['allowed']}; {', '.join(found)}"


def _row(result: RuleResult) -> tuple[str, ...]:
    what = f"{result.metric}{f' [{result.slice}]' if result.slice else ''}"
    n = "" if result.n is None else f"{result.n:,}"
    needed = "" if result.needed_n is None else f"{rounded(result.needed_n):,}"
    baseline = "" if result.baseline is None else plain(result.baseline)
    found = (_value(result), baseline, _drop(result), _allowed(result), _p(result))
    return result.verdict, result.entry, result.task, what, *found, n, needed


def _value(result: RuleResult) -> str:
    if result.value is None:
        return "n/a"
    return plain(result.value) if result.limit == "max_drop" else _bounded(result.value, result.low, result.high)


def _drop(result: RuleResult) -> str:
    if result.limit != "max_drop" or result.drop is None:
        return ""
    return _bounded(result.drop, result.low, result.high)


def _bounded(value: float, low: float | None, high: float | None) -> str:
    return " ".join(with_interval(value, low, high)).rstrip()


def _allowed(result: RuleResult) -> str:
    sign = {"max_drop": "≤", "min_value": "≥", "max_value": "≤"}[result.limit]
    percent = f" ({result.share:.3g}%)" if result.share is not None else ""
    return f"{sign} {result.allowed:.4g}{percent}"


def _p(result: RuleResult) -> str:
    if result.p_adjusted is None:
        return ""
    return "<0.0001" if result.p_adjusted < 0.0001 else f"{result.p_adjusted:.2g}"
