"""The leaderboard and the agreement of human ratings, as tables of texts and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.ratings.boards import LikertBoard, PairwiseBoard, Value
from harness.ratings.raters import Agreement, RaterLine
from harness.ratings.report import RatingsReport
from harness.report.markdown import grid, plain_text
from harness.report.numbers import number, plain, with_interval
from harness.report.summary import TextTable

MOST_RATERS = 10
"""Raters that are listed unless all are asked for, those who agree least first."""
_SHOWN = {"bradley_terry": "Bradley-Terry", "newman": "Newman", "elo": "Elo", "average_win_rate": "win rate"}


def ratings_tables(report: RatingsReport, *, all_raters: bool = False) -> Iterator[TextTable]:
    """The leaderboard, the agreement, and the raters; those that have no rows are left out."""
    if report.board.rows:
        yield _pairwise(report.board) if isinstance(report.board, PairwiseBoard) else _likert(report.board)
    rows = tuple(_coefficient(one) for one in report.agreement)
    yield TextTable("Agreement", ("coefficient", "value", "interval", "units"), rows)
    if report.raters:
        yield _raters(report.raters if all_raters else report.raters[:MOST_RATERS], len(report.raters))


def ratings_heading(report: RatingsReport) -> str:
    """What was recognised, and how much of it there is."""
    what = "comparisons" if report.kind == "pairwise" else "ratings"
    parts = [f"{report.n:,} {what}"]
    parts += [f"{report.n_raters:,} raters"] if report.n_raters is not None else []
    parts += [f"{report.n_items:,} items"] if report.n_items is not None else []
    return f"{', '.join(parts)}; recognised {report.columns}"


def ratings_markdown(report: RatingsReport) -> str:
    """All of it, with every rater, as Markdown that reads well as it is."""
    title = "Preferences" if report.kind == "pairwise" else "Ratings"
    parts = [f"# {title}", f"{plain_text(', '.join(report.files))}: {plain_text(ratings_heading(report))}."]
    for table in ratings_tables(report, all_raters=True):
        lines = [list(table.headers), *(list(row) for row in table.rows)]
        parts += [f"## {table.title}", grid([[plain_text(cell) for cell in line] for line in lines])]
    notes = [ratings_legend(report), *report.notes]
    return "\n\n".join([*parts, "\n".join(f"- {plain_text(note)}" for note in notes)]) + "\n"


def ratings_legend(report: RatingsReport) -> str:
    """What the columns mean that do not say it themselves."""
    told = [f"{100 * report.level:.4g} % intervals", "a rank is 1 + the number of systems that are better beyond doubt"]
    told += ["first: the share of resamplings in which it leads"] if isinstance(report.board, PairwiseBoard) else []
    if any(rater.stands_alone for rater in report.raters):
        told.append("alone: agreement no better than chance, beyond doubt below that of all")
    return f"{'; '.join(told)}."


def _likert(board: LikertBoard) -> TextTable:
    rows = [(_rank(row.rank), row.system, *_cells(row.mean), f"{row.n:,}", f"{row.items:,}") for row in board.rows]
    return TextTable("Leaderboard", ("rank", "system", "mean", "interval", "ratings", "items"), tuple(rows))


def _pairwise(board: PairwiseBoard) -> TextTable:
    others = [method for method in _SHOWN if method != board.by]
    rows = []
    for row in board.rows:
        own, rest = _cells(row.ratings[board.by]), [_cells(row.ratings[method])[0] for method in others]
        first = "" if row.first is None else f"{row.first:.0%}"
        rows.append((_rank(row.rank), row.system, *own, first, *rest, f"{row.wins:,}-{row.ties:,}-{row.losses:,}"))
    headers = ("rank", "system", _SHOWN[board.by], "interval", "first", *(_SHOWN[method] for method in others), "won-tied-lost")
    return TextTable("Leaderboard", headers, tuple(rows))


def _raters(shown: Sequence[RaterLine], n: int) -> TextTable:
    """With how much higher they rate than the others, where ratings have a level."""
    title = "Raters, those who agree least with the others first" + (f" ({len(shown)} of {n})" if len(shown) < n else "")
    has_levels = any(rater.severity is not None for rater in shown)
    rows = []
    for rater in shown:
        own = (rater.rater, *_cells(Value(rater.agreement, rater.low, rater.high)), f"{rater.n_shared:,} of {rater.n:,}")
        rows.append((*own, *([_signed(rater.severity)] if has_levels else []), "alone" if rater.stands_alone else ""))
    level = ("above the others",) if has_levels else ()
    return TextTable(title, ("rater", "agreement", "interval", "shared", *level, ""), tuple(rows))


def _coefficient(agreement: Agreement) -> tuple[str, ...]:
    if agreement.value is None:
        return agreement.name, "n/a", agreement.reason or "", ""
    value, interval = _cells(Value(agreement.value, agreement.low, agreement.high))
    return agreement.name, value, interval or (agreement.reason or ""), f"{agreement.n_units:,}"


def _cells(found: Value) -> tuple[str, str]:
    return ("n/a", "") if found.value is None else with_interval(found.value, found.low, found.high)


def _signed(value: float | None) -> str:
    return "" if value is None else ("+" if value > 0 else "") + number(value, 2)


def _rank(rank: int | None) -> str:
    return plain(None) if rank is None else str(rank)
