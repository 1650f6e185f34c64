"""Rank-biased overlap: the sum over depths written out, ties, gaps, and through the metric of pairs."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import MetricError
from harness.metrics.rankpairs import RBO, in_order, rbo
from harness.plugins import metric
from harness.types import Key, Output, Ranking, Sample, Text

ids = st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=8)


def twin(first: list[str], second: list[str], p: float) -> float:
    """(1 - p) Σ p^(d-1) A_d over ever more depths: the shorter ranking goes on agreeing as it did, then both do."""
    short, long = sorted((first, second), key=len)
    s, n, total = len(short), len(long), 0.0
    rate = len(set(short) & set(long[:s])) / s if s else 0.0
    for depth in range(1, 3000):
        if depth <= n:
            shared = len(set(short[:depth]) & set(long[:depth])) + rate * max(0, depth - s)
            agreement = shared / depth
        total += p ** (depth - 1) * agreement
    return (1 - p) * total


@settings(max_examples=60, deadline=None)
@given(ids, ids.filter(bool), st.sampled_from([0.5, 0.9, 0.98]))
def test_equal_to_the_sum_over_depths(first: list[str], second: list[str], p: float) -> None:
    assert rbo(first, second, p) == pytest.approx(twin(first, second, p), abs=1e-9)
    assert rbo(first, second, p) == rbo(second, first, p)


def test_values_worked_by_hand() -> None:
    assert rbo(list("abc"), list("abc")) == 1.0
    assert rbo(list("abc"), list("xyz")) == 0.0
    assert rbo(list("ab"), list("ba"), 0.5) == pytest.approx(0.5 * (0 + 0.5 * 1 + 0.25 * 1 / (1 - 0.5)))
    assert rbo(["a"], []) == 0.0
    assert math.isnan(rbo([], []))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((["a"], ["a"], 1.0), "rbo: p must be between 0 and 1, got 1.0"), ((["a", "a"], ["a"]), "rbo: ids must be different")],
)
def test_bad_arguments(arguments: tuple[list[str], list[str]], message: str) -> None:
    with pytest.raises(MetricError, match=message):
        rbo(*arguments)
    with pytest.raises(MetricError, match="rbo: p must be between 0 and 1"):
        metric("rbo(p=0)")


def test_ties_are_broken_by_id_in_single_precision() -> None:
    assert in_order(Ranking(("a", "c", "b"), (1.0, 1.0 + 1e-12, 2.0))) == ["b", "c", "a"]


def test_metric_over_queries() -> None:
    answers: dict[str, Ranking | Text]
    answers = {"1": Ranking(("a", "b"), (2.0, 1.0)), "2": Ranking((), ()), "3": Ranking(("a", "a"), (2.0, 1.0)), "4": Text("a"),
               "5": Ranking(("a", "b"), (2.0, 1.0)), "6": Ranking(("a",), (1.0,))}
    others = {"1": Ranking(("a", "b"), (1.0, 2.0)), "2": Ranking((), ()), "3": Ranking(("a",), (2.0,)), "4": Ranking((), ()),
              "5": Ranking(("b", "a"), (1.0, 9.0))}
    made = metric("rbo(p=0.5)")
    assert isinstance(made, RBO)
    bound = dataclasses.replace(made, others={Key(id_): Output(Key(id_), answer) for id_, answer in others.items()})
    scores = bound.score([Sample(id_) for id_ in answers], [Output(Key(id_), answer) for id_, answer in answers.items()])
    assert scores.missing == {
        1: "both rankings are empty", 2: "a document is ranked twice", 3: "the answer is Text, not Ranking",
        5: "no output of the other system",
    }
    assert scores.stats[[0, 4], 0].tolist() == pytest.approx([0.5, 1.0])
    assert bound.aggregate(np.nan_to_num(scores.stats), np.ones((1, 6)))[0] == pytest.approx(0.75)
    assert made.spec == "rbo(p=0.5)"
