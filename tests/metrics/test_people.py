"""Ratings on scales, comparisons, agreement of raters: hand-worked values, missing rows, bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.errors import MetricError
from harness.metrics.agreement import fleiss_kappa, icc, krippendorff_alpha
from harness.metrics.comparisons import bradley_terry, elo, pairwise_win_rate
from harness.metrics.people import likert_mean
from harness.plugins import metric
from harness.types import Key, Label, Number, Output, Ratings, Sample, Text

SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def rated(spec, items):
    samples = [Sample(str(i)) for i in range(len(items))]
    answers = [Ratings(tuple(item)) if isinstance(item, list) else item for item in items]
    return metric(spec).score(samples, [Output(Key(s.id), answer) for s, answer in zip(samples, answers)])


def compared(spec, rows):
    """Rows are (left, right, winner)."""
    samples = [Sample(str(i), input={k: v for k, v in zip(("left", "right"), row) if v}) for i, row in enumerate(rows)]
    answers = [Label(row[2]) if not isinstance(row[2], Text) else row[2] for row in rows]
    return metric(spec).score(samples, [Output(Key(s.id), answer) for s, answer in zip(samples, answers)])


def value(scores):
    kept = np.delete(scores.stats, list(scores.missing), axis=0)
    return float(scores.bound.aggregate(kept, np.ones((1, len(kept))))[0])


# ── scales ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_rating_counts_once():
    assert likert_mean([[5, 5, 5, 5], [1]]) == 21 / 5
    assert likert_mean([[4, None], [None]]) == 4.0
    assert math.isnan(likert_mean([]))


def test_ratings_that_cannot_be_meant_are_missing():
    scores = rated("likert_mean(low=1,high=5)", [[1, 5], [6], ["good"], [None], Text("5"), ["3"], Number(2.0), [math.nan]])
    assert scores.missing == {
        1: "the rating 6 is outside the scale", 2: "the rating 'good' is no finite number", 3: "nobody rated it",
        4: "the answer is Text, not Ratings", 7: "the rating nan is no finite number"}
    assert scores.stats[[0, 5, 6]].tolist() == [[6, 2], [3, 1], [2, 1]]


def test_a_scale_has_two_ends():
    with pytest.raises(MetricError, match=r"^likert_mean: high must be above low \(5.0\), got 1.0$"):
        metric("likert_mean(low=5,high=1)")
    worst, best = metric("likert_mean(low=1,high=5)").extremes(Sample("1"))
    assert (worst.tolist(), best.tolist()) == ([1, 1], [5, 1])


# ── comparisons ─────────────────────────────────────────────────────────────────────────────────────────────────────

ROWS = [("a", "b", "left"), ("b", "c", "tie"), ("c", "a", "left"), ("a", "c", "right"), ("b", "a", "right")]


def test_win_rates_by_hand():
    # a: wins over b twice, loses to c twice; b: half a point of three; c: two wins and half a point of three.
    rates = pairwise_win_rate(*zip(*ROWS))
    assert rates == {"c": pytest.approx(2.5 / 3), "a": 0.5, "b": pytest.approx(0.5 / 3)}
    assert list(rates) == ["c", "a", "b"]
    assert value(compared("pairwise_win_rate", ROWS)) == (1 + 0.5 + 1 + 0 + 0) / 5
    assert value(compared("pairwise_win_rate(of=b)", ROWS)) == pytest.approx(0.5 / 3)


def test_the_left_side_needs_no_name():
    scores = compared("pairwise_win_rate", [(None, None, "left"), (None, None, "tie"), (None, None, "right")])
    assert scores.missing == {}
    assert value(scores) == 0.5


def test_elo_moves_by_what_was_not_expected():
    first = elo(["a"], ["b"], ["left"], k=32)
    assert first == {"a": 1016.0, "b": 984.0}
    expected = 1 / (1 + 10 ** (-32 / 400))
    again = elo(["a", "a"], ["b", "b"], ["left", "tie"], k=32)
    assert again["a"] == pytest.approx(1016 + 32 * (0.5 - expected))
    assert sum(again.values()) == pytest.approx(2000)


def test_elo_depends_on_the_order():
    wins_last = elo(["a"] * 4, ["b"] * 4, ["right", "right", "left", "left"], k=32)
    wins_first = elo(["a"] * 4, ["b"] * 4, ["left", "left", "right", "right"], k=32)
    assert wins_last["a"] > 1000 > wins_first["a"]


def test_bradley_terry_of_two_is_the_share_of_points():
    assert bradley_terry(["a"] * 4, ["b"] * 4, ["left", "left", "left", "right"])["a"] == pytest.approx(0.75)
    assert bradley_terry(["a"] * 4, ["b"] * 4, ["left", "left", "tie", "right"])["a"] == pytest.approx(2.5 / 4)


def test_who_never_lost_has_no_strength():
    assert all(math.isnan(s) for s in bradley_terry(["a", "b"], ["b", "c"], ["left", "left"]).values())


def test_the_value_is_that_of_the_chosen_item_in_every_resampling():
    scores = compared("bradley_terry", ROWS)
    assert scores.bound.items == ("a", "b", "c")
    assert scores.bound.items[scores.bound.chosen] == "c"
    strengths = bradley_terry(*zip(*ROWS))
    assert value(scores) == pytest.approx(strengths["c"])
    assert value(compared("bradley_terry(of=b)", ROWS)) == pytest.approx(strengths["b"])
    # With c's wins left out c is not the best any more, and the value is c's still.
    weights = np.array([[2.0, 2.0, 0.0, 1.0, 2.0]])
    rest = [ROWS[0]] * 2 + [ROWS[1]] * 2 + [ROWS[3]] + [ROWS[4]] * 2
    assert scores.bound.aggregate(scores.stats, weights)[0] == pytest.approx(bradley_terry(*zip(*rest))["c"])


def test_the_table_has_every_item():
    scores = compared("elo", ROWS)
    table = scores.bound.tables(scores.stats)["ratings"]
    assert table.columns == ("item", "rating", "low", "high", "comparisons", "wins", "ties", "losses")
    assert [(row[0], *row[4:]) for row in table.rows] == [("c", 3, 2, 1, 0), ("a", 4, 2, 0, 2), ("b", 3, 0, 1, 2)]
    assert all(row[2] <= row[1] <= row[3] for row in table.rows)
    assert all(row[2] < row[3] for row in table.rows)


@pytest.mark.parametrize(("row", "reason"), [
    (("a", "b", "both"), "the answer is 'both', not left, right or tie"),
    (("a", "b", None), "the answer is None, not left, right or tie"),
    (("a", "", "left"), "the input has no field 'right'"),
    (("a", "a", "left"), "both sides are 'a'"),
    (("a", "b", Text("left")), "the answer is Text, not Label"),
])
@pytest.mark.parametrize("spec", ["elo", "bradley_terry", "pairwise_win_rate"])
def test_comparisons_that_say_nothing_are_missing(spec, row, reason):
    scores = compared(spec, [*ROWS, row])
    assert scores.missing == {5: reason}
    assert value(scores) == value(compared(spec, ROWS))


def test_an_item_that_is_not_there_is_refused():
    with pytest.raises(MetricError, match=r"^elo: of must be an item of the comparisons, got 'alpha 1'; did you mean 'alpha'"):
        compared('elo(of="alpha 1")', [("alpha", "beta", "left")])
    with pytest.raises(MetricError, match=r"^elo: k must be a positive number, got 0"):
        metric("elo(k=0)")
    with pytest.raises(MetricError, match=r"^elo: comparison 0: the answer is 'x', not left, right or tie$"):
        elo(["a"], ["b"], ["x"])


# ── agreement ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("kind", "printed"), [("1", 0.17), ("2", 0.29), ("3", 0.71), ("1k", 0.44), ("2k", 0.62), ("3k", 0.91)])
def test_icc_of_shrout_and_fleiss(kind, printed):
    assert round(icc(SHROUT_FLEISS, kind=kind), 2) == printed


def test_ratings_with_gaps():
    items = [[1, 2, None], [3, 3, 3], [None, None, 2], ["x", 1, 1], Text("2"), [2, 1, 2]]
    assert rated("krippendorff_alpha", items).missing == {
        2: "fewer than two raters rated it", 4: "the answer is Text, not Ratings"}
    assert rated("krippendorff_alpha(level=interval)", items).missing[3] == "the rating 'x' is no finite number"
    assert rated("icc", items).missing == {
        0: "not every rater rated it", 2: "not every rater rated it", 3: "the rating 'x' is no finite number",
        4: "the answer is Text, not Ratings"}
    assert rated("fleiss_kappa", items).missing[0] == "2 ratings, most items have 3"


def test_names_are_names_and_numbers_are_numbers():
    assert krippendorff_alpha([["a", "a"], ["b", "b"]]) == 1.0
    assert krippendorff_alpha([["1", "1"], ["2", "2"]], level="ratio") == 1.0
    assert krippendorff_alpha([["1", 1], ["2", 2]], level="nominal") == 0.0
    assert krippendorff_alpha([["1", 1], ["2", 2]], level="interval") == 1.0


def test_one_category_is_no_agreement_beyond_chance():
    assert math.isnan(krippendorff_alpha([["a", "a"], ["a", "a"]]))
    assert math.isnan(fleiss_kappa([["a", "a"], ["a", "a"]]))
    assert math.isnan(icc([[1, 1], [1, 1]]))
    assert math.isnan(krippendorff_alpha([]))


def test_agreement_under_weights_is_that_of_copies():
    for spec, function in (("krippendorff_alpha(level=ordinal)", lambda x: krippendorff_alpha(x, level="ordinal")),
                           ("fleiss_kappa", fleiss_kappa), ("icc(kind=1k)", lambda x: icc(x, kind="1k"))):
        scores = rated(spec, SHROUT_FLEISS)
        weights = np.array([[2.0, 1.0, 0.0, 1.0, 3.0, 1.0]])
        copies = [row for row, weight in zip(SHROUT_FLEISS, weights[0]) for _ in range(int(weight))]
        assert scores.bound.aggregate(scores.stats, weights)[0] == pytest.approx(function(copies), abs=1e-12)


def test_bad_parameters_are_refused():
    with pytest.raises(MetricError, match=r"^krippendorff_alpha: level must be one of nominal, .*, ratio, got 'x'$"):
        krippendorff_alpha([], level="x")
    with pytest.raises(MetricError, match=r"^icc: kind must be one of 1, 2, 3, 1k, 2k, 3k, got '4'$"):
        icc([], kind="4")
    with pytest.raises(MetricError, match=r"^icc: ratings\[1\]: not every rater rated it$"):
        icc([[1, 2], [1, None]])
