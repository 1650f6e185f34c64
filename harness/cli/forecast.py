"""What ``harness run --dry-run`` prints: a table of what would be asked and what it would take, or the same as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from harness.cli.output import add_rows, console, table
from harness.cli.progress import duration
from harness.engine.forecast import BudgetForecast, Forecast, UnitForecast
from harness.engine.pace import Pace

_COUNTS = ("requests", "resumed", "cached", "to_ask")
_SIZES = ("input_tokens", "output_tokens", "truncated", "cost", "seconds")

_COLUMNS = ("model", "task", "requests", "resumed", "cached", "tokens read", "written at most", "cut", "cost at most", "time")


def forecast_document(found: Forecast) -> dict[str, Any]:
    """The forecast as JSON; null is what cannot be known beforehand, and left out of the totals."""
    return {
        "dry_run": True, "resumes": found.resumes, "units": [_unit(unit) for unit in found.units],
        "totals": {name: found.total(name) for name in (*_COUNTS, *_SIZES)},
        "budget": [_budget(budget) for budget in found.budget], "notes": list(found.notes),
    }  # fmt: skip


def _unit(unit: UnitForecast) -> dict[str, Any]:
    pace = unit.pace
    return {
        "model": unit.entry, "task": unit.task, **{name: getattr(unit, name) for name in _COUNTS},
        "more_steps": unit.more_steps, **{name: getattr(unit, name) for name in _SIZES}, "exact": unit.exact,
        "sized": unit.sized, "seconds_from": None if pace is None else {"run_id": pace.run_id, "task": pace.task},
    }  # fmt: skip


def _budget(budget: BudgetForecast) -> dict[str, Any]:
    return {"key": budget.key, "limit": budget.limit, "expected": budget.expected, "is_passed": budget.is_passed,
            "after_share": budget.share if budget.is_passed else None}  # fmt: skip


def print_forecast(found: Forecast) -> None:
    """The table, what its marks mean, where times are from, and what the budget would say."""
    out = console()
    rows = [_row(unit) for unit in found.units]
    if len(rows) > 1:
        rows.append(_total_row(found))
    out.print(add_rows(table(*_COLUMNS), rows))
    out.print()
    asked = found.total("to_ask") or 0
    out.print(Text(f"nothing was asked and nothing written; a run would ask {asked:,} requests"), soft_wrap=True)
    for line in [*_legend(found), *map(_budget_line, found.budget), *(f"note: {note}" for note in found.notes)]:
        out.print(Text(line, style="dim"), soft_wrap=True)


def _row(unit: UnitForecast) -> list[object]:
    least = "≥ " if unit.more_steps else ""
    about = "" if unit.exact else "~ "
    marks = least + about
    return [
        unit.entry, unit.task, f"{least}{unit.requests:,}", f"{unit.resumed:,}", f"{unit.cached:,}",
        _count(unit.input_tokens, marks), _count(unit.output_tokens, marks), _count(unit.truncated, marks),
        _cost(unit.cost, marks), _time(unit.seconds, least),
    ]  # fmt: skip


def _total_row(found: Forecast) -> list[object]:
    """Sums carry the marks of what went into them."""
    least = "≥ " if any(unit.more_steps for unit in found.units) else ""
    marks = least + ("" if all(unit.exact for unit in found.units if unit.input_tokens is not None) else "~ ")
    requests, resumed, cached = (f"{found.total(name) or 0:,}" for name in ("requests", "resumed", "cached"))
    read, written, cut = (_count(found.total(name), marks) for name in ("input_tokens", "output_tokens", "truncated"))
    return ["total", "", least + requests, resumed, cached, read, written, cut,
            _cost(found.total("cost"), marks), _time(found.total("seconds"), least)]  # fmt: skip


def _count(value: float | None, marks: str) -> str | None:
    return None if value is None else f"{marks}{value:,}"


def _cost(value: float | None, marks: str) -> str | None:
    return None if value is None else f"{marks}{value:,.4g}"


def _time(seconds: float | None, least: str) -> str:
    return "unknown" if seconds is None else f"{least}{duration(seconds)}"


def _legend(found: Forecast) -> Iterator[str]:
    units = found.units
    if found.resumes is not None:
        yield f"it would go on with {found.resumes}"
    if any(unit.more_steps for unit in units):
        yield "≥ the first request of every sample; what is asked next depends on the answers"
    sampled = [unit for unit in units if unit.sized < unit.to_ask and unit.input_tokens is not None]
    if any(not unit.exact and unit.input_tokens is not None for unit in units):
        how = " or from a part of the requests" if sampled else ""
        yield f"~ estimated from the lengths of the texts{how}"
    for unit in sampled:
        yield f"{unit.entry} × {unit.task}: {unit.sized:,} of {unit.to_ask:,} requests were counted"
    for unit in units:
        if unit.pace is not None:
            yield f"time of {unit.entry} × {unit.task}: {_source(unit.task, unit.pace)}"
    if any(unit.seconds is None for unit in units):
        yield "time is unknown where no finished run here has this model on a task of this kind"
    yield "without the time to load a model, and without the models that serve metrics"


def _source(task: str, pace: Pace) -> str:
    same = "the same task" if pace.task == task else f"task {pace.task}"
    return f"as in {pace.run_id}, {same}, {pace.requests / pace.seconds:,.3g} requests/s"


def _budget_line(budget: BudgetForecast) -> str:
    name = f"budget.{budget.key} {budget.limit:,g}"
    if budget.expected is None:
        return f"{name}: what would be used is not known beforehand"
    if budget.is_passed and budget.share is not None:
        return f"{name} would be passed after about {100 * budget.share:.0f} %, if all is used ({budget.expected:,.4g})"
    return f"{name}: {budget.expected:,.4g} would be used at most"
