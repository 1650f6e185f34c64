"""Ranking metrics: hand-worked values, trec_eval's rules for ties and gaps, missing rows, extremes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.errors import MetricError
from harness.metrics import rankingcuts, rankingwhole
from harness.plugins import metric
from harness.types import Key, Output, Ranking, Sample, Text

QRELS = {"a": 1, "b": 0, "c": 2, "d": 1, "e": -1}
# order: x c b a e y; relevant c at 2 and a at 4; d is never found
FOUND = Ranking(("x", "c", "b", "a", "e", "y"), (6.0, 5.0, 4.0, 3.0, 2.0, 1.0))
SPECS = ("recall@3", "precision@3", "hit@3", "mrr", "mrr@3", "map", "map@3", "ndcg", "ndcg@3", "ndcg@3(gain=exp)",
         "recall@5(level=2)")


def value(spec: str, answer: Ranking, qrels: dict[str, int]) -> float:
    m = metric(spec)
    stats = m.score([Sample("q", qrels=qrels)], [Output(Key("q"), answer)]).stats
    return float(m.finish(stats.sum(axis=0)))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("recall@3", 1 / 3),
        ("recall@10", 2 / 3),
        ("precision@3", 1 / 3),
        ("precision@10", 2 / 10),
        ("hit@1", 0.0),
        ("hit@2", 1.0),
        ("mrr", 1 / 2),
        ("mrr@1", 0.0),
        ("map", (1 / 2 + 2 / 4) / 3),
        ("map@3", (1 / 2) / 3),
        ("recall@10(level=2)", 1.0),
        ("ndcg", (2 / math.log2(3) + 1 / math.log2(5)) / (2 + 1 / math.log2(3) + 1 / 2)),
        ("ndcg@2", (2 / math.log2(3)) / (2 + 1 / math.log2(3))),
        ("ndcg@2(gain=exp)", (3 / math.log2(3)) / (3 + 1 / math.log2(3))),
    ],
)
def test_values_worked_by_hand(spec: str, expected: float) -> None:
    assert value(spec, FOUND, QRELS) == pytest.approx(expected, abs=1e-12)


def test_order_is_score_then_id_descending_in_single_precision() -> None:
    assert value("mrr", Ranking(("a", "b"), (1.0, 2.0)), {"b": 1}) == 1.0
    assert value("mrr", Ranking(("a", "b"), (1.0, 1.0)), {"b": 1}) == 1.0
    assert value("mrr", Ranking(("b", "a"), (1.0, 1.0)), {"a": 1}) == 0.5
    assert value("mrr", Ranking(("a", "b"), (1.0 + 1e-12, 1.0)), {"a": 1}) == 0.5  # one float32
    assert value("mrr", Ranking(("a", "b"), (math.inf, 1e300)), {"a": 1}) == 0.5


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize(("answer", "qrels"), [(FOUND, {"a": 0, "c": -1}), (Ranking((), ()), QRELS)])
def test_nothing_relevant_or_nothing_found_scores_zero(spec: str, answer: Ranking, qrels: dict[str, int]) -> None:
    assert value(spec, answer, qrels) == 0.0


@pytest.mark.parametrize(
    ("qrels", "answer", "reason"),
    [
        (None, FOUND, "the query has no relevance judgements"),
        ({}, FOUND, "the query has no relevance judgements"),
        (QRELS, Ranking(("d", "a", "d"), (3.0, 2.0, 1.0)), "document 'd' is ranked twice"),
        (QRELS, Ranking(("d", "a"), (3.0,)), "2 documents with 1 scores"),
        (QRELS, Ranking(("d",), (math.nan,)), "a score is not a number"),
        (QRELS, Text("d"), "the answer is Text, not Ranking"),
    ],
)
def test_missing_rows_have_their_reason(qrels: dict[str, int] | None, answer: Ranking | Text, reason: str) -> None:
    scores = metric("recall@5").score([Sample("q", qrels=qrels)], [Output(Key("q"), answer)])
    assert scores.missing == {0: reason}
    assert np.isnan(scores.stats).all()


@pytest.mark.parametrize(
    ("spec", "best"),
    [
        ("recall@2", 2 / 3), ("recall@5", 1.0), ("precision@2", 1.0), ("precision@10", 3 / 10), ("map", 1.0), ("map@2", 2 / 3),
        ("mrr", 1.0), ("hit@1", 1.0), ("ndcg@2", 1.0), ("recall@1(level=2)", 1.0), ("recall@1(level=3)", 0.0),
    ],
)
def test_extremes_are_what_the_judgements_permit(spec: str, best: float) -> None:
    found = metric(spec).extremes(Sample("q", qrels=QRELS))
    assert found is not None
    assert found[0].tolist() == [0.0, 1.0]
    assert found[1].tolist() == pytest.approx([best, 1.0])
    assert metric(spec).extremes(Sample("q")) is None


@pytest.mark.parametrize("spec", SPECS)
def test_spec_round_trip(spec: str) -> None:
    assert metric(metric(spec).spec) == metric(spec)


@pytest.mark.parametrize(
    ("alias", "spec"),
    [("P@5", "precision@5"), ("success@1", "hit@1"), ("recip_rank", "mrr"), ("recip_rank@10", "mrr@10"),
     ("map_cut@100", "map@100"), ("ndcg_cut@10", "ndcg@10")],
)
def test_names_of_trec_eval(alias: str, spec: str) -> None:
    assert metric(alias).spec == spec


def test_signature_has_all_parameters() -> None:
    assert metric("recall@10").signature() == "recall@10(level=1)#v1"
    assert metric("ndcg@10").signature() == "ndcg@10(gain=linear)#v1"
    assert metric("recall@10(2)") == rankingcuts.RecallAtK(10, level=2)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("recall@0", "recall@k: k must be a positive integer, got 0"),
        ("ndcg@-1", "ndcg@k: k must be a positive integer, got -1"),
        ("map(level=0)", "map: level must be a positive integer, got 0"),
        ("ndcg(gain=log)", "gain must be one of linear, exp, got 'log'"),
    ],
)
def test_bad_parameters(spec: str, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        metric(spec)


@pytest.mark.parametrize("spec", SPECS)
def test_batches_and_weights(spec: str) -> None:
    m = metric(spec)
    samples = [Sample(str(i), qrels=QRELS) for i in range(4)]
    answers = [FOUND, Ranking(("c",), (1.0,)), Ranking(("e", "d"), (1.0, 1.0)), Ranking((), ())]
    outputs = [Output(Key(str(i)), answer) for i, answer in enumerate(answers)]
    stats = m.score(samples, outputs).stats
    single = [m.score(samples[i:i + 1], outputs[i:i + 1]).stats[0] for i in range(4)]
    np.testing.assert_array_equal(stats, single)
    counts = [2, 0, 1, 3]
    literal = np.mean(np.repeat([value(spec, answer, QRELS) for answer in answers], counts))
    assert m.aggregate(stats, np.array([counts], dtype=float))[0] == pytest.approx(literal, abs=1e-12)


def test_mean_is_over_judged_queries_of_the_run() -> None:
    qrels = {"1": {"a": 1}, "2": {"a": 1}, "3": {"a": 1}}
    run = {"1": {"a": 1.0}, "2": {}, "4": {"a": 1.0}}
    assert rankingcuts.recall_at(qrels, run, 5) == 0.5
    assert math.isnan(rankingcuts.recall_at(qrels, {}, 5))
    with pytest.raises(MetricError, match="mrr: query '1': a score is not a number"):
        rankingwhole.mean_reciprocal_rank(qrels, {"1": {"a": math.nan}})
