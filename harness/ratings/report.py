"""From files of human ratings to what can be said of them: recognised, read, checked for agreement, ranked."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.ratings.boards import By, LikertBoard, PairwiseBoard, likert_board, pairwise_board
from harness.ratings.judgements import Comparisons, Ratings, comparisons_of, ratings_of
from harness.ratings.raters import Agreement, RaterLine, Settings, agreements, rater_lines
from harness.ratings.reading import Columns, Named, read_lines_of, recognise

_UNLIKELY_SIDE = 1e-3


@dataclass(frozen=True, slots=True)
class RatingsReport:
    """What files of ratings say: ``n`` ratings or comparisons by ``n_raters`` of ``n_items``, None where that is unknown."""

    files: tuple[str, ...]
    columns: Columns
    n: int
    n_raters: int | None
    n_items: int | None
    agreement: tuple[Agreement, ...]
    raters: tuple[RaterLine, ...]
    board: LikertBoard | PairwiseBoard
    level: float
    notes: tuple[str, ...]

    @property
    def kind(self) -> str:
        return self.columns.kind

    def to_json(self) -> dict[str, Any]:
        """The object that ``harness ratings --json`` prints, without its schema."""
        columns = {**self.columns.names, **({"raters": list(self.columns.raters)} if self.columns.raters else {})}
        board = dataclasses.asdict(self.board)
        return {
            "kind": self.kind, "files": list(self.files), "columns": columns, "n": self.n, "n_raters": self.n_raters,
            "n_items": self.n_items, "level": self.level, "leaderboard": board.pop("rows"), **board,
            "agreement": [dataclasses.asdict(one) for one in self.agreement],
            "raters": [dataclasses.asdict(one) for one in self.raters], "notes": list(self.notes),
        }  # fmt: skip


def rate(
    files: Sequence[Path], named: Named | None = None, *, by: By = "bradley_terry", settings: Settings | None = None
) -> RatingsReport:
    """Read files of ratings on a scale, or of comparisons of two, and say what follows from them.

    Raises DataError ``file:line: …`` for what cannot be read, UsageError for names of both kinds.
    """
    lines = read_lines_of(files)
    columns, settings = recognise(lines, named or Named()), settings or Settings()
    names = tuple(str(file) for file in files)
    if columns.kind == "pairwise":
        return _of_comparisons(names, columns, comparisons_of(lines, columns), by, settings)
    return _of_ratings(names, columns, ratings_of(lines, columns), settings)


def _of_comparisons(
    files: tuple[str, ...], columns: Columns, comparisons: Comparisons, by: By, settings: Settings
) -> RatingsReport:
    board = pairwise_board(comparisons, by, settings)
    judgements = comparisons.judgements()
    found = agreements(judgements, settings, ("nominal", "ordinal"))
    raters = [dataclasses.replace(line, severity=None) for line in rater_lines(judgements, settings)]  # points have no level
    notes = [*comparisons.notes, *_alone(raters)]
    if board.left_p < _UNLIKELY_SIDE:
        share = board.left_wins / board.decided
        notes.append(f"the side matters: {share:.1%} of {board.decided:,} decided comparisons were won by the left one "
                     f"(p = {board.left_p:.2g})")
    if board.undefined > 0:
        notes.append(f"{board.undefined:.0%} of the resamplings leave {by} undefined: not all systems are tied together by "
                     "wins both ways; intervals are too narrow at the end that is missing")  # fmt: skip
    if any(row.ratings[by].value is None for row in board.rows):
        notes.append(f"{by} has no finite values: some system won or lost all it was compared in, or there are groups that "
                     "were never compared with each other; average_win_rate and elo always have some")  # fmt: skip
    if comparisons.workers is None:
        notes.append("nobody says who compared: intervals take comparisons as independent (--worker names the column)")
    workers, items = comparisons.workers, comparisons.items
    return RatingsReport(files, columns, len(comparisons.outcome), None if workers is None else len(workers.all),
                         None if items is None else len(items.all), tuple(found), tuple(raters), board, settings.level,
                         tuple(notes))  # fmt: skip


def _of_ratings(files: tuple[str, ...], columns: Columns, ratings: Ratings, settings: Settings) -> RatingsReport:
    board = likert_board(ratings, settings)
    judgements = ratings.judgements()
    levels = ["nominal"] if ratings.categories else ["nominal", "ordinal", "interval"]
    if not ratings.categories and (ratings.values >= 0).all():
        levels.append("ratio")
    raters = rater_lines(judgements, settings)
    notes = [*ratings.notes, *_alone(raters)]
    if ratings.categories:
        notes.append(f"the ratings are categories ({', '.join(ratings.categories[:8])}): agreement alone, no means")
    elif board.rater_sd is not None and board.item_sd is not None:
        notes.append(f"standard deviations: items {board.item_sd:.3g}, raters' levels {board.rater_sd:.3g}, the rest "
                     f"{board.residual_sd or 0.0:.3g}; intervals are over items, with these raters")  # fmt: skip
    n_raters = None if ratings.raters is None else len(ratings.raters.all)
    return RatingsReport(files, columns, len(ratings.values), n_raters, len(ratings.items.all),
                         tuple(agreements(judgements, settings, levels)), tuple(raters), board, settings.level, tuple(notes))


def _alone(raters: Sequence[RaterLine]) -> list[str]:
    """Raters who disagree with everybody, by name."""
    alone = [rater for rater in raters if rater.stands_alone]
    if not alone:
        return []
    shown = ", ".join(f"{rater.rater} ({rater.agreement:.2f})" for rater in alone[:8]) + (", …" if len(alone) > 8 else "")
    who = "rater agrees" if len(alone) == 1 else "raters agree"
    return [f"{len(alone)} {who} with the others no better than chance: {shown}"]
