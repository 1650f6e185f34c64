"""Ranking metrics: hand-worked values, trec_eval's rules for ties and gaps, missing rows, extremes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.errors import MetricError
from harness.metrics import rankingcuts, rankingsets, rankingwhole
from harness.metrics.judgements import judge
from harness.plugins import metric
from harness.types import Key, Output, Ranking, Sample, Text

QRELS = {"a": 1, "b": 0, "c": 2, "d": 1, "e": -1}
# order: x c b a e y; relevant c at 2 and a at 4; d is never found
FOUND = Ranking(("x", "c", "b", "a", "e", "y"), (6.0, 5.0, 4.0, 3.0, 2.0, 1.0))
SPECS = ("recall@3", "precision@3", "hit@3", "mrr", "mrr@3", "map", "map@3", "ndcg", "ndcg@3", "ndcg@3(gain=exp)",
         "recall@5(level=2)", "f1@3", "relative_precision@3", "bpref", "infap", "binary_g", "r_precision", "r_precision@0.5",
         "iprec@0.5", "iprec_avg", "set_p", "set_r", "set_f", "set_map", "set_relative_p", "dcg", "dcg@3", "ndcg_rel", "r_ndcg",
         "normalised_g", 'ndcg(gain="1=3,2=4.5")', "err@3(max_grade=4)", "rbp", "rbp(0.5)")


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
        ("f1@3", 2 * (1 / 3) * (1 / 3) / (1 / 3 + 1 / 3)),
        ("f1@4", 2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3)),
        ("relative_precision@2", 1 / 2),
        ("relative_precision@5", 2 / 3),
        ("judged@1", 0.0),
        ("judged@4", 3 / 4),
        ("judged@10", 3 / 6),  # x, e (a negative grade) and y are not judged; six were found
        ("unjudged@1", 1.0),
        ("unjudged@10", 3 / 10),
        ("bpref", (1 + (1 - 1 / 1)) / 3),  # b, the only irrelevant one, stands before a
        ("infap", ((1 + 0) / 2 + (1 + 2 * (1 + 1e-5) / (2 + 2e-5)) / 4) / 3),
        ("binary_g", (1 / math.log2(3) + 1 / math.log2(4)) / 3),
        ("gm_map", (1 / 2 + 2 / 4) / 3),
        ("gm_map(level=3)", 1e-5),
        ("gm_bpref", 1 / 3),
        ("r_precision", 1 / 3),
        ("r_precision@0.5", 1 / 2),  # ⌊1.5 + 0.9⌋ documents
        ("r_precision@5", 2 / 15),
        ("iprec@0", 1 / 2),
        ("iprec@0.5", 2 / 4),  # ⌊1.5 + 0.5⌋ relevant documents
        ("iprec@0.34", 1 / 2),
        ("iprec@0.9", 0.0),
        ("iprec@0.45", 1 / 2),  # 1.35: one relevant document
        ("iprec@0.45(rounding=up)", 2 / 4),
        ("iprec_avg", (9 * 0.5) / 11),  # recalls up to 0.8 ask for two relevant documents at most
        ("iprec_avg([0,1])", 0.25),
        ("set_p", 2 / 6),
        ("set_r", 2 / 3),
        ("set_f", 4 / 9),
        ("set_f(2)", 5 * 2 / (4 * 3 + 6)),
        ("set_map", 2 / 6 * 2 / 3),
        ("set_relative_p", 2 / 3),
        ("utility", 2 - 4),
        ("utility(2,-1,-3)", 4 - 4 - 3),
        ("utility(1,-1,0,0.1,100)", 2 - 4 + 0.1 * (100 - 6 - 1)),
        ("num_q", 1), ("num_ret", 6), ("num_rel", 3), ("num_rel(level=2)", 1), ("num_rel_ret", 2), ("num_nonrel_judged_ret", 1),
        ("dcg", 2 / math.log2(3) + 1 / math.log2(5)),
        ("dcg@3", 2 / math.log2(3)),
        ("dcg@3(gain=exp)", 3 / math.log2(3)),
        ('dcg(gain="0=-1,2=.5")', 0.5 / math.log2(3) - 1 / math.log2(4) + 1 / math.log2(5)),
        ('ndcg@2(gain="1=3,2=9")', (9 / math.log2(3)) / (9 + 3 / math.log2(3))),
        ('ndcg@2(gain="1=9,2=3")', (3 / math.log2(3)) / (9 + 9 / math.log2(3))),
        ("ndcg_rel", ((2 / math.log2(3)) / (2 + 1 / math.log2(3))
                      + 2 * (2 / math.log2(3) + 1 / math.log2(5)) / (2 + 1 / math.log2(3) + 1 / 2)) / 3),
        ("r_ndcg", (0 + (2 / math.log2(3)) / (2 + 1 / math.log2(3) + 1 / 2)
                    + (2 / math.log2(3) + 1 / math.log2(5)) / (2 + 1 / math.log2(3) + 1 / 2)) / 3),
        ("normalised_g", (2 / math.log2(2 + 3 - 2) + 1 / math.log2(2 + 5 - 3)) / 4),
        ("err@3(max_grade=2)", (3 / 4) / 2),
        ("err@4(max_grade=2)", (3 / 4) / 2 + (1 / 4) * (1 / 4) / 4),
        ("err@10(max_grade=4)", (3 / 16) / 2 + (13 / 16) * (1 / 16) / 4),
        ("rbp(0.5)", 0.5 * (1.0 * 0.5 + 0.5 * 0.5**3)),  # grades over the largest, 2
        ("rbp(gain=exp)", 0.1 * (1.0 * 0.9 + 1 / 3 * 0.9**3)),
        ("rbp_residual(0.5)", 1 - 0.5 * (0.5 + 0.25 + 0.125)),
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
        ("bpref", 1.0), ("set_f", 1.0), ("r_precision", 1.0), ("iprec_avg", 1.0), ("ndcg_rel", 1.0), ("normalised_g", 1.0),
        ("judged@9", 1.0), ("unjudged@9", 1.0), ("rbp_residual", 1.0), ("err@1(max_grade=2)", 0.75), ("f1@3", 1.0),
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
     ("map_cut@100", "map@100"), ("ndcg_cut@10", "ndcg@10"), ("relative_P@5", "relative_precision@5"),
     ("unj@5", "unjudged@5"), ("Rprec", "r_precision"), ("Rprec_mult@0.2", "r_precision@0.2"), ("binG", "binary_g"),
     ("iprec_at_recall@0.1", "iprec@0.1"), ("11pt_avg", "iprec_avg"), ("infAP", "infap"), ("G", "normalised_g"),
     ("Rndcg", "r_ndcg"), ("set_P", "set_p"), ("set_recall", "set_r"), ("set_F", "set_f"),
     ("set_relative_P", "set_relative_p"), ("rbp_resid", "rbp_residual"), ("utility(2,-1,0,0)", "utility(relevant_found=2)")],
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
        ("ndcg(gain=log)", "ndcg: gain must be one of linear, exp, or pairs such as 1=3,2=9,4=4.5, got 'log'"),
        ('ndcg(gain="1=x")', "gain must be one of linear, exp, or pairs such as 1=3,2=9,4=4.5, got '1=x'"),
        ("iprec@1.1", "iprec@k: k must be a recall between 0 and 1, got 1.1"),
        ("iprec@0.5(rounding=down)", "rounding must be one of nearest, up, got 'down'"),
        ("11pt_avg([])", "iprec_avg: recalls must be recalls between 0 and 1, got ()"),
        ("r_precision@0", "r_precision@k: k must be a positive number, got 0.0"),
        ("rbp(1)", "rbp: p must be between 0 and 1, got 1.0"),
        ("rbp_residual(0)", "rbp_residual: p must be between 0 and 1, got 0.0"),
        ("err@5(max_grade=0)", "err@k: max_grade must be a positive integer or none, got 0"),
        ("set_f(0)", "set_f: beta must be a positive number, got 0.0"),
        ("utility(1,1,1,1)", "utility: documents must be positive where rejected is not 0, got 0"),
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


def test_extremes_are_unknown_for_counts_and_utility() -> None:
    sample = Sample("q", qrels=QRELS)
    assert [metric(spec).extremes(sample) for spec in ("num_ret", "utility")] == [None, None]
    found = metric("gm_map").extremes(sample)
    assert found is not None
    assert [row.tolist() for row in found] == [[math.log(1e-5), 1.0], [0.0, 1.0]]


def test_nothing_found_has_no_judged_share() -> None:
    scores = metric("judged@5").score([Sample("q", qrels=QRELS)], [Output(Key("q"), Ranking((), ()))])
    assert scores.missing == {0: "nothing was found"}
    assert value("unjudged@5", Ranking((), ()), QRELS) == 0.0
    assert value("rbp_residual", Ranking((), ()), QRELS) == 0.0  # trec_eval's convention


def test_totals_are_sums_and_geometric_means_are_products() -> None:
    qrels = {"1": {"a": 1}, "2": {"a": 1, "b": 1}, "3": {"c": 1}}
    run = {"1": {"a": 1.0}, "2": {"x": 2.0, "a": 1.0}, "3": {}}
    counted = {"num_q": 3, "num_ret": 3, "num_rel": 4, "num_rel_ret": 2, "num_nonrel_judged_ret": 0}
    assert rankingsets.counts(qrels, run) == counted
    assert rankingwhole.geometric_map(qrels, run) == pytest.approx((1 * 0.25 * 1e-5) ** (1 / 3))
    assert rankingsets.counts(qrels, {})["num_q"] == 0


def test_expected_reciprocal_rank_knows_the_largest_grade_of_the_task() -> None:
    samples = [Sample("1", qrels={"a": 1}), Sample("2", qrels={"a": 3})]
    outputs = [Output(Key(s.id), Ranking(("a",), (1.0,))) for s in samples]
    prepared = metric("err@5").prepare(samples)
    assert prepared.score(samples, outputs).stats[:, 0].tolist() == [1 / 8, 7 / 8]
    assert prepared.score(samples[:1], outputs[:1]).stats[:, 0].tolist() == [1 / 8]
    assert prepared.spec == "err@5"
    with pytest.raises(MetricError, match="err@k: max_grade must be at least the largest grade, 3, got 2"):
        metric("err@5(max_grade=2)").score(samples, outputs)


def test_levels_of_ndcg_end_with_a_ranking_that_is_longer_by_two() -> None:
    """trec_eval looks at the end of the ranking too, but not where it comes right after the last relevant document."""
    ids, scores = ("x", "a", "y"), (3.0, 2.0, 1.0)
    assert value("r_ndcg", Ranking(ids[:2], scores[:2]), {"a": 1}) == 0.0
    assert value("r_ndcg", Ranking(ids, scores), {"a": 1}) == pytest.approx((0 + 1 / math.log2(3)) / 2)


def test_depth_of_minus_m() -> None:
    judged = judge([FOUND], [QRELS])
    for spec, expected in (("map", 1 / 6), ("num_ret", 3), ("set_p", 1 / 3), ("precision@6", 1 / 6)):
        assert metric(spec).values(judged.first(3)).tolist() == pytest.approx([expected])  # type: ignore[attr-defined]


def test_mean_is_over_judged_queries_of_the_run() -> None:
    qrels = {"1": {"a": 1}, "2": {"a": 1}, "3": {"a": 1}}
    run = {"1": {"a": 1.0}, "2": {}, "4": {"a": 1.0}}
    assert rankingcuts.recall_at(qrels, run, 5) == 0.5
    assert math.isnan(rankingcuts.recall_at(qrels, {}, 5))
    with pytest.raises(MetricError, match="mrr: query '1': a score is not a number"):
        rankingwhole.mean_reciprocal_rank(qrels, {"1": {"a": math.nan}})
