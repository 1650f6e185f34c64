"""Ranking metrics equal trec_eval: its own test files; through pytrec_eval Cranfield and made runs with ties."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.metrics.ranking import Qrels, Run
from harness.plugins import metric
from harness.types import Key, Output, Ranking, Sample

SharedData = Callable[[str], Path]
CUTOFFS = (1, 2, 5, 10, 100)
WHOLE = {
    "map": "map", "mrr": "recip_rank", "ndcg": "ndcg", "bpref": "bpref", "infap": "infAP", "binary_g": "binG",
    "normalised_g": "G", "ndcg_rel": "ndcg_rel", "r_ndcg": "Rndcg", "r_precision": "Rprec", "set_p": "set_P",
    "set_r": "set_recall", "set_f": "set_F", "set_map": "set_map", "set_relative_p": "set_relative_P", "utility": "utility",
    "num_ret": "num_ret", "num_rel": "num_rel", "num_rel_ret": "num_rel_ret", "num_nonrel_judged_ret": "num_nonrel_judged_ret",
    "iprec_avg(rounding=up)": "11pt_avg",
}
CUT = {"recall": "recall", "precision": "P", "hit": "success", "map": "map_cut", "ndcg": "ndcg_cut",
       "relative_precision": "relative_P"}
TENTHS = [f"{tenth / 10:.1f}" for tenth in range(11)]
MEASURES = {
    **WHOLE, **{f"{ours}@{k}": f"{theirs}_{k}" for k in CUTOFFS for ours, theirs in CUT.items()},
    **{f"iprec@{recall}(rounding=up)": f"iprec_at_recall_{recall}0" for recall in TENTHS},
    **{f"r_precision@{int(r[0]) * 2 + int(r[2]) * 2 / 10:.1f}": f"Rprec_mult_{float(r) * 2:.2f}" for r in TENTHS[1:]},
}
UNDEFINED = {"Rndcg", "relative_P", "set_relative_P", "G"}
"""Those that pytrec_eval divides by zero for where no judgement is relevant; they are 0 here."""


def per_query(spec: str, qrels: Qrels, run: Run, level: int = 1) -> dict[str, float]:
    """Values by query; the documents are handed over in the order of the run, whatever that is."""
    queries = [query for query in run if qrels.get(query)]
    outputs = [Output(Key(query), Ranking(tuple(run[query]), tuple(run[query].values()))) for query in queries]
    m = metric(spec)
    m = dataclasses.replace(m, level=level) if hasattr(m, "level") else m
    return dict(zip(queries, m.rows(m.score([Sample(query, qrels=qrels[query]) for query in queries], outputs).stats)))


def reference(qrels: Qrels, run: Run, level: int = 1) -> dict[str, dict[str, float]]:
    cuts = ",".join(map(str, CUTOFFS))
    names = {*WHOLE.values(), "iprec_at_recall", "Rprec_mult", *(f"{name}.{cuts}" for name in CUT.values())}
    return pytrec_eval.RelevanceEvaluator(qrels, names, relevance_level=level).evaluate(run)  # type: ignore[no-any-return]


def assert_equal_to_reference(qrels: Qrels, run: Run, level: int = 1) -> None:
    expected = reference(qrels, run, level)
    for spec, name in MEASURES.items():
        values = per_query(spec, qrels, run, level)
        theirs = {query: 0.0 if math.isnan(row[name]) or math.isinf(row[name]) else row[name] for query, row in expected.items()}
        assert values == pytest.approx(theirs, abs=1e-9), (spec, level)
        undefined = [query for query, row in expected.items() if not math.isfinite(row[name])]
        assert not undefined or name.rsplit("_", 1)[0] in UNDEFINED or name in UNDEFINED, (name, undefined)


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = defaultdict(dict)
    for line in path.read_text().splitlines():
        query, _, document, grade = line.split()
        qrels[query][document] = int(grade)
    return dict(qrels)


def read_run(path: Path) -> dict[str, dict[str, float]]:
    run: dict[str, dict[str, float]] = defaultdict(dict)
    for line in path.read_text().splitlines():
        query, _, document, _, score, _ = line.split()
        run[query][document] = float(score)
    return dict(run)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_test_files_of_trec_eval(shared_data: SharedData, level: int) -> None:
    run = read_run(shared_data("trec_eval/results.test"))
    for name in ("qrels.test", "qrels.rel_level"):
        assert_equal_to_reference(read_qrels(shared_data(f"trec_eval/{name}")), run, level)


def test_cranfield_with_a_coarse_run(shared_data: SharedData) -> None:
    """Shared words as scores: whole numbers, so that most documents of a query are tied."""
    qrels = read_qrels(shared_data("cranfield/cranqrel.trec.txt"))
    documents = ElementTree.fromstring(f"<all>{shared_data('cranfield/cran.all.1400.xml').read_text()}</all>").findall(".//doc")
    words = {str(d.findtext("docno")).strip(): set(str(d.findtext("text")).split()) for d in documents}
    titles = ElementTree.parse(shared_data("cranfield/cran.qry.xml")).findall(".//top")
    run = {}
    for position, top in list(enumerate(titles, start=1))[::3]:  # the judgements name queries by their position
        query = set((top.findtext("title") or "").split())
        counts = Counter({document: len(query & text) for document, text in words.items()})
        run[str(position)] = {document: float(n) for document, n in counts.items() if n}
    assert (len(words), len(titles), len(run)) == (1400, 225, 75)
    assert_equal_to_reference(qrels, run)
    assert 0.01 < statistics.fmean(per_query("ndcg@10", qrels, run).values()) < 0.5


names = st.sampled_from(["d1", "d2", "d10", "D1", "é", "z", "～", "😀"])
judgements = st.dictionaries(names, st.integers(-2, 4), min_size=1).filter(
    lambda grades: max(grades.values()) >= 0  # pytrec_eval 0.5.11 writes out of bounds where all grades are negative
)
scores = st.sampled_from([-1.0, 0.0, 0.5, 0.1 + 0.2, 0.3, 0.5 + 1e-12, 1e-60, 7.0, 1e300, math.inf])
runs = st.dictionaries(names, scores, max_size=8)


@settings(max_examples=150, deadline=None)
@given(judgements, runs, st.integers(1, 4))
def test_made_runs(judged: dict[str, int], ranked: dict[str, float], level: int) -> None:
    assert_equal_to_reference({"q": judged}, {"q": ranked}, level)


@settings(max_examples=100, deadline=None)
@given(judgements, runs, st.integers(1, 5))
def test_reciprocal_rank_with_a_cut(judged: dict[str, int], ranked: dict[str, float], k: int) -> None:
    """trec_eval cuts the run and takes ``recip_rank``."""
    with np.errstate(over="ignore"):
        order = sorted(ranked, key=lambda d: (np.float32(ranked[d]), d), reverse=True)
    cut = {document: float(-rank) for rank, document in enumerate(order[:k])}
    expected = pytrec_eval.RelevanceEvaluator({"q": judged}, {"recip_rank"}).evaluate({"q": cut})["q"]["recip_rank"]
    assert per_query(f"mrr@{k}", {"q": judged}, {"q": ranked})["q"] == pytest.approx(expected, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(judgements, runs, st.integers(1, 8))
def test_exponential_gain_is_linear_gain_of_other_grades(judged: dict[str, int], ranked: dict[str, float], k: int) -> None:
    grades = {document: 2 ** max(grade, 0) - 1 for document, grade in judged.items()}
    expected = pytrec_eval.RelevanceEvaluator({"q": grades}, {f"ndcg_cut.{k}"}).evaluate({"q": ranked})["q"][f"ndcg_cut_{k}"]
    assert per_query(f"ndcg@{k}(gain=exp)", {"q": judged}, {"q": ranked})["q"] == pytest.approx(expected, abs=1e-9)
