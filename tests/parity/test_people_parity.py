"""Ratings and agreement against evalica, krippendorff and statsmodels, and the golden scores of LLMFAO."""

from __future__ import annotations

import csv
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.metrics.agreement import fleiss_kappa, krippendorff_alpha
from harness.metrics.comparisons import OUTCOMES, bradley_terry, elo, pairwise_win_rate
from harness.stats import rating

evalica = pytest.importorskip("evalica")
krippendorff = pytest.importorskip("krippendorff")
inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")

WINNERS = {"left": evalica.Winner.X, "right": evalica.Winner.Y, "tie": evalica.Winner.Draw}
LEVELS = ("nominal", "ordinal", "interval", "ratio")


@pytest.fixture(scope="module")
def votes(shared_data):
    with shared_data("llmfao_pairwise/llmfao.csv").open(encoding="utf-8", newline="") as file:
        return list(zip(*((row["left"], row["right"], row["winner"]) for row in csv.DictReader(file))))


@pytest.fixture(scope="module")
def golden(shared_data):
    scores: dict[str, dict[str, float]] = {}
    with shared_data("llmfao_pairwise/llmfao-golden.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            scores.setdefault(row["algorithm"], {})[row["item"]] = float(row["score"])
    return scores


def arrays(left, right, winners):
    items = sorted({*left, *right})
    codes = {item: code for code, item in enumerate(items)}
    coded = (np.array([codes[item] for item in side]) for side in (left, right))
    return items, (*coded, np.array([OUTCOMES[winner] for winner in winners]), np.ones((1, len(winners))))


def all_seven(left, right, winners):
    items, series = arrays(left, right, winners)
    wins, ties = rating.win_matrices(*series, len(items))
    found = {
        "counting": rating.counting(wins, ties), "average_win_rate": rating.average_win_rate(wins, ties),
        "elo": rating.elo(*series, len(items)), "bradley_terry": rating.bradley_terry(wins, ties),
        "newman": rating.newman(wins, ties)[0], "eigen": rating.eigen(wins, ties), "pagerank": rating.pagerank(wins, ties),
    }
    return {name: dict(zip(items, map(float, ratings[0]))) for name, ratings in found.items()}


def test_the_seven_golden_rankings_of_llmfao(votes, golden):
    ours = all_seven(*votes)
    assert ours.keys() == golden.keys()
    for name, scores in golden.items():
        if name == "newman":
            # Strengths are defined up to a factor: evalica leaves the one that its iteration ends with, ours have the mean 1.
            factor = math.exp(np.mean(np.log(list(scores.values()))))
            scores = {item: score / factor for item, score in scores.items()}
        assert ours[name] == pytest.approx(scores, rel=1e-9), name


def test_the_plain_functions_give_the_golden_ratings(votes, golden):
    assert elo(*votes) == pytest.approx(golden["elo"], rel=1e-12)
    assert bradley_terry(*votes) == pytest.approx(golden["bradley_terry"], rel=1e-12)
    assert next(iter(elo(*votes))) == next(iter(bradley_terry(*votes))) == "GPT 4"
    played = {item: sum(item in pair for pair in zip(*votes[:2])) for item in golden["counting"]}
    rates = {item: score / played[item] for item, score in golden["counting"].items()}
    assert pairwise_win_rate(*votes) == pytest.approx(rates, rel=1e-12)


names = st.sampled_from("abcd")
comparison = st.tuples(names, names, st.sampled_from(list(WINNERS))).filter(lambda row: row[0] != row[1])


@given(rows=st.lists(comparison, min_size=1, max_size=30))
@settings(max_examples=20, deadline=None)
def test_rankings_of_made_comparisons(rows):
    left, right, winners = (list(column) for column in zip(*rows))
    ours = all_seven(left, right, winners)
    theirs = [WINNERS[winner] for winner in winners]
    options = {"tolerance": 1e-13, "limit": 5_000}
    for name in ("counting", "average_win_rate", "elo"):
        assert ours[name] == pytest.approx(dict(getattr(evalica, name)(left, right, theirs).scores), abs=1e-9), name
    if not any(map(math.isnan, ours["bradley_terry"].values())):
        scores = evalica.bradley_terry(left, right, theirs, **options).scores
        assert ours["bradley_terry"] == pytest.approx(dict(scores / scores.sum()), rel=1e-6)
    assert ours["pagerank"] == pytest.approx(dict(evalica.pagerank(left, right, theirs, **options).scores), abs=1e-9)


ratings = st.lists(st.lists(st.sampled_from([None, 0, 1, 2, 7, 1_000_000]), min_size=3, max_size=3), min_size=1, max_size=10)


@pytest.mark.parametrize("level", LEVELS)
@given(rows=ratings)
@settings(max_examples=40, deadline=None)
def test_alpha_of_made_ratings(level, rows):
    matrix = np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # krippendorff divides 0 by 0 where nothing varies
        try:
            expected = krippendorff.alpha(matrix.T, level_of_measurement=level)
        except ValueError:
            expected = math.nan
    ours = krippendorff_alpha(rows, level=level)
    assert ours == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_alpha_of_the_workers_of_llmfao(shared_data):
    """Who compared the same two answers, on three levels: left, tie and right are in an order."""
    cells: dict[tuple[str, str, str], dict[str, int]] = {}
    with shared_data("llmfao_pairwise/llmfao.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            vote = {"left": 1, "tie": 2, "right": 3}[row["winner"]]
            cells.setdefault((row["prompt"], row["left"], row["right"]), {})[row["worker"]] = vote
    workers = sorted({worker for cell in cells.values() for worker in cell})
    rows = [[cell.get(worker) for worker in workers] for cell in cells.values()]
    matrix = np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=float)
    for level in LEVELS:
        expected = krippendorff.alpha(matrix.T, level_of_measurement=level)
        assert krippendorff_alpha(rows, level=level) == pytest.approx(expected, abs=1e-9)
    assert 0 < expected < 1


@given(rows=st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=10))
@settings(max_examples=40, deadline=None)
def test_kappa_of_made_ratings(rows):
    counts = np.array([[row.count(value) for value in range(4)] for row in rows])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statsmodels divides 0 by 0 where all is of one category
        expected = inter_rater.fleiss_kappa(counts)
    assert fleiss_kappa(rows) == pytest.approx(expected, abs=1e-12, nan_ok=True)
