"""The plain functions of rankings against values worked out by hand: two queries, one with two relevant documents."""

from __future__ import annotations

import math

import pytest

from harness.metrics import rankingcuts, rankinggraded, rankingrecall, rankingsets, rankingusers, rankingwhole

QRELS = {"q": {"a": 1, "b": 0, "c": 2}, "r": {"x": 1}}
RUN = {"q": {"a": 4.0, "b": 3.0, "u": 2.0, "c": 1.0}, "r": {"y": 2.0, "x": 1.0}}
"""q: relevant at ranks 1 and 4 of 4 (rank 2 judged irrelevant, rank 3 not judged); r: relevant at rank 2 of 2."""

LOG3, LOG5 = 1 / math.log2(3), 1 / math.log2(5)
IDEAL = 2 + LOG3
"""The gains of q in the best order: 2, then 1."""

CASES = [
    (rankingcuts.precision_at, (3,), (1 / 3 + 1 / 3) / 2),
    (rankingcuts.f1_at, (3,), (2 * 1 / (3 + 2) + 2 * 1 / (3 + 1)) / 2),
    (rankingcuts.hit_at, (1,), (1 + 0) / 2),
    (rankingcuts.relative_precision_at, (3,), (1 / 2 + 1 / 1) / 2),
    (rankingcuts.judged_at, (3,), (2 / 3 + 1 / 2) / 2),
    (rankingcuts.unjudged_at, (3,), (1 / 3 + 1 / 3) / 2),
    (rankinggraded.ndcg_at_relevant, (), ((1 / 2 + (1 + 2 * LOG5) / IDEAL) / 2 + LOG3) / 2),
    (rankingrecall.interpolated_precision, (0.8,), (2 / 4 + 1 / 2) / 2),
    (rankingrecall.interpolated_average, ((0.5, 1.0),), ((1 + 2 / 4) / 2 + 1 / 2) / 2),
    (rankingsets.set_precision, (), (2 / 4 + 1 / 2) / 2),
    (rankingsets.set_relative_precision, (), (2 / 2 + 1 / 1) / 2),
    (rankingusers.err_at, (4,), (1 / 4 + 3 / 4 * 3 / 4 / 4 + 1 / 4 / 2) / 2),
    (rankingwhole.mean_average_precision, (), ((1 + 2 / 4) / 2 + 1 / 2) / 2),
    (rankingwhole.mean_average_precision, (2,), (1 / 2 + 1 / 2) / 2),
    (rankingwhole.geometric_bpref, (), math.sqrt((1 + (1 - 1)) / 2 * 1)),
]


@pytest.mark.parametrize(("function", "arguments", "value"), CASES, ids=[case[0].__name__ for case in CASES])
def test_by_hand(function, arguments, value):
    assert function(QRELS, RUN, *arguments) == pytest.approx(value, abs=1e-9)


TREC = [(rankinggraded.ndcg_at_levels, "Rndcg"), (rankingwhole.inferred_ap, "infAP"),
        (rankingwhole.geometric_bpref, "gm_bpref"),
        (rankingsets.set_relative_precision, "set_relative_P"), (rankingwhole.mean_average_precision, "map"),
        (rankingsets.set_precision, "set_P"), (rankinggraded.ndcg_at_relevant, "ndcg_rel")]


@pytest.mark.parametrize(("function", "measure"), TREC, ids=[measure for _, measure in TREC])
def test_as_trec_eval(function, measure):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    rows = pytrec_eval.RelevanceEvaluator(QRELS, {measure}).evaluate(RUN).values()
    values = [row[measure] for row in rows]
    mean = math.exp(sum(values) / len(values)) if measure.startswith("gm_") else sum(values) / len(values)
    assert function(QRELS, RUN) == pytest.approx(mean, abs=1e-9)
