"""Leaderboards of human ratings: means, strengths, intervals over items and workers, ranks with ties."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from harness.errors import UsageError
from harness.ratings.boards import LikertBoard, likert_board, pairwise_board
from harness.ratings.judgements import Comparisons, Names
from harness.ratings.raters import Settings
from harness.ratings.report import rate
from tests.ratings.files import scale_of, written

SETTINGS = Settings(n_bootstrap=200)


def scale(tmp_path: Path, rows: list[tuple[str, str, str, float]]) -> LikertBoard:
    text = "item,system,rater,score\n" + "".join(f"{i},{s},{r},{v}\n" for i, s, r, v in rows)
    return likert_board(scale_of(written(tmp_path, text)), SETTINGS)


def test_a_mean_counts_every_rating_once(tmp_path: Path) -> None:
    board = scale(tmp_path, [("i1", "A", "r1", 5), ("i1", "A", "r2", 4), ("i2", "A", "r1", 1), ("i1", "B", "r1", 2)])
    found = {row.system: row for row in board.rows}
    assert (found["A"].mean.value, found["A"].n, found["A"].items) == (pytest.approx(10 / 3), 3, 2)
    assert found["B"].mean.value == 2


def test_items_make_intervals_and_not_their_ratings(tmp_path: Path) -> None:
    """Ten raters who say the same are one observation of an item: t over items, by hand."""
    rng = np.random.default_rng(0)
    levels = rng.normal(3, 1, 30)
    board = scale(tmp_path, [(f"i{i}", "A", f"r{r}", level) for i, level in enumerate(levels.tolist()) for r in range(10)])
    [row] = board.rows
    assert row.rank is None  # it is alone
    half = 2.045 * levels.std(ddof=1) / math.sqrt(30)  # t of 29 degrees of freedom
    assert row.mean.high - row.mean.value == pytest.approx(half, rel=0.05)  # type: ignore[operator]


def test_systems_are_told_apart_on_the_items_that_both_have(tmp_path: Path) -> None:
    """Items differ far more than systems: only in pairs A is beyond doubt better than B, and C is the same as B."""
    rng = np.random.default_rng(4)
    rows = []
    for i, level in enumerate(rng.normal(3, 2, 40).tolist()):
        noise = rng.normal(0, 0.1, 3)
        rows += [(f"i{i}", "A", "r1", level + 0.3 + noise[0]), (f"i{i}", "B", "r1", level + noise[1]),
                 (f"i{i}", "C", "r1", level + noise[2])]
    board = scale(tmp_path, rows)
    assert {row.system: row.rank for row in board.rows} == {"A": 1, "B": 2, "C": 2}
    assert board.rows[0].mean.low < board.rows[1].mean.high  # type: ignore[operator] # the intervals by themselves do not tell


def test_the_spread_is_told_apart_into_items_raters_and_rest(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    items, raters = rng.normal(0, 1.0, 300), np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    rows = [(f"i{i}", "A", f"r{r}", 3 + items[i] + raters[r] + rng.normal(0, 0.5)) for i in range(300) for r in range(5)]
    board = scale(tmp_path, rows)
    assert board.item_sd == pytest.approx(1.0, abs=0.1)
    assert board.rater_sd == pytest.approx(raters.std(ddof=1), abs=0.05)
    assert board.residual_sd == pytest.approx(0.5, abs=0.05)
    assert board.error > 3 * (board.rows[0].mean.high - board.rows[0].mean.low) / 4  # type: ignore[operator]


def test_categories_have_agreement_and_no_means(tmp_path: Path) -> None:
    report = rate([written(tmp_path, "item,rater,score\ni1,a,good\ni1,b,good\ni2,a,bad\ni2,b,good\n")], settings=SETTINGS)
    assert report.board.rows == ()
    assert report.agreement[0].name == "krippendorff_alpha(nominal)"
    assert "the ratings are categories (bad, good): agreement alone, no means" in report.notes


def pairs(rows: list[tuple[int, int, float]], workers: list[str] | None = None) -> Comparisons:
    left, right, outcome = (np.array(column) for column in zip(*rows))
    n = int(max(left.max(), right.max())) + 1
    named = None if workers is None else Names.of(workers)
    return Comparisons(tuple("abcdef"[:n]), left, right, outcome.astype(float), named, None)


def test_strengths_of_two_are_their_shares_of_wins() -> None:
    board = pairwise_board(pairs([(0, 1, 1.0)] * 30 + [(1, 0, 1.0)] * 10), "bradley_terry", SETTINGS)
    first, second = board.rows
    assert (first.system, first.rank, second.rank) == ("a", 1, 2)
    assert first.ratings["bradley_terry"].value == pytest.approx(0.75)
    assert first.ratings["average_win_rate"].value == pytest.approx(0.75)
    assert (first.n, first.wins, first.ties, first.losses) == (40, 30, 0, 10)
    assert first.first == pytest.approx(1.0, abs=0.02)
    assert first.ratings["bradley_terry"].low == pytest.approx(0.75 - 1.96 * math.sqrt(0.75 * 0.25 / 40), abs=0.04)


def test_ties_are_half_and_newman_tells_how_often_they_come() -> None:
    board = pairwise_board(pairs([(0, 1, 1.0)] * 20 + [(0, 1, 0.0)] * 20 + [(0, 1, 0.5)] * 40), "bradley_terry", SETTINGS)
    assert [row.rank for row in board.rows] == [1, 1]
    assert board.tie_tendency == pytest.approx(1.0)  # s = 1 each: a tie has the probability 2v / (2 + 2v)


def test_the_comparisons_of_a_worker_are_drawn_together() -> None:
    """Ten workers who always say the same: 400 comparisons are ten observations."""
    rows, workers = [], []
    for worker, prefers_first in enumerate([1.0] * 7 + [0.0] * 3):
        rows += [(0, 1, prefers_first)] * 40
        workers += [f"w{worker}"] * 40
    free, clustered = (pairwise_board(pairs(rows, who), "average_win_rate", SETTINGS) for who in (None, workers))
    widths = [board.rows[0].ratings["average_win_rate"] for board in (free, clustered)]
    alone, whole = (w.high - w.low for w in widths)  # type: ignore[operator]
    assert whole / alone == pytest.approx(math.sqrt(40), rel=0.25)
    assert [row.rank for row in free.rows] == [1, 2]
    assert [row.rank for row in clustered.rows] == [1, 1]  # 7 of 10 workers leave doubt
    assert (free.clustered_by, clustered.clustered_by) == (None, "worker")


def test_a_side_that_wins_too_often_is_told(tmp_path: Path) -> None:
    lines = ["left,right,winner"] + [f"{'ab'[i % 2]},{'ba'[i % 2]},{'left' if i % 5 else 'right'}" for i in range(100)]
    report = rate([written(tmp_path, "\n".join(lines) + "\n")], settings=SETTINGS)
    assert any("the side matters: 80.0% of 100 decided comparisons were won by the left one" in note for note in report.notes)


def test_a_system_that_never_lost_has_no_strength_but_a_win_rate(tmp_path: Path) -> None:
    path = written(tmp_path, "left,right,winner\n" + "a,b,left\n" * 8 + "b,c,left\nb,c,right\n" * 4)
    report = rate([path], settings=SETTINGS)
    assert [row.rank for row in report.board.rows] == [None] * 3
    assert any(note.startswith("bradley_terry has no finite values") for note in report.notes)
    by_wins = rate([path], by="average_win_rate", settings=SETTINGS)
    assert (by_wins.board.rows[0].system, by_wins.board.rows[0].rank) == ("a", 1)


@pytest.mark.parametrize("text", [
    "left,right,winner\na,b,left\n", "left,right,winner,worker\na,b,tie,w\na,b,tie,w\n", "item,score\ni,3\n",
    "item,system,rater,score\ni,A,r,3\ni,B,r,3\n", "item,rater,score\ni,r,3\ni,s,3\nj,r,3\nj,s,3\n",
])  # fmt: skip
def test_next_to_nothing_has_values_and_no_certainty(tmp_path: Path, text: str) -> None:
    """One comparison, one worker, one rating, one item, all equal: nobody is ahead, and no number is made up."""
    report = rate([written(tmp_path, text)], settings=SETTINGS)
    assert {row.rank for row in report.board.rows} <= {1, None}
    assert not any(rater.stands_alone for rater in report.raters)
    for one in report.agreement:
        assert one.value is None
        assert one.reason


def test_what_resampling_does_not_move_has_no_interval(tmp_path: Path) -> None:
    """Nine wins of nine, all alike: ± 0 would be a certainty that nine comparisons do not give."""
    text = "left,right,winner,worker,prompt\n" + "".join(f"a,b,left,w{i % 3},p{i}\na,b,left,v{i % 3},p{i}\n" for i in range(9))
    report = rate([written(tmp_path, text)], by="average_win_rate", settings=SETTINGS)
    values = [row.ratings["average_win_rate"] for row in report.board.rows]
    assert [(found.value, found.low, found.high) for found in values] == [(1.0, None, None), (0.0, None, None)]
    ends = [(one.low, one.high) for one in (*report.agreement, *report.raters)]
    assert all(low is None or low < high for low, high in ends)  # type: ignore[operator]


def test_a_crowd_needs_no_table_of_everybody_by_everything(tmp_path: Path) -> None:
    """20,000 items by 20,000 raters would be 3.2 GB; the components are those of the table all the same."""
    rng = np.random.default_rng(3)
    lines = [f"i{i},r{j},{rng.integers(1, 6)}" for i in range(20_000) for j in {i, (7 * i + 1) % 20_000}]
    ratings = scale_of(written(tmp_path, "item,rater,score\n" + "\n".join(lines) + "\n"))
    tracemalloc.start()
    board = likert_board(ratings, SETTINGS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6
    assert board.residual_sd == pytest.approx(math.sqrt(2), rel=0.05)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(UsageError, match="by must be one of bradley_terry, newman, elo, average_win_rate, got 'glicko'"):
        pairwise_board(pairs([(0, 1, 1.0)]), "glicko", SETTINGS)  # type: ignore[arg-type]
