"""Ranking metrics equal trec_eval: its own test files; through pytrec_eval Cranfield and made runs with ties."""

from __future__ import annotations

import math
import re
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
MEASURES = {
    "map": "map", "mrr": "recip_rank", "ndcg": "ndcg",
    **{f"{ours}@{k}": f"{theirs}_{k}" for k in CUTOFFS for ours, theirs in
       (("recall", "recall"), ("precision", "P"), ("hit", "success"), ("map", "map_cut"), ("ndcg", "ndcg_cut"))},
}


def per_query(spec: str, qrels: Qrels, run: Run) -> dict[str, float]:
    """Values by query; the documents are handed over in the order of the run, whatever that is."""
    queries = [query for query in run if qrels.get(query)]
    outputs = [Output(Key(query), Ranking(tuple(run[query]), tuple(run[query].values()))) for query in queries]
    m = metric(spec)
    return dict(zip(queries, m.rows(m.score([Sample(query, qrels=qrels[query]) for query in queries], outputs).stats)))


def reference(qrels: Qrels, run: Run, level: int = 1) -> dict[str, dict[str, float]]:
    cuts = ",".join(map(str, CUTOFFS))
    names = {"map", "recip_rank", "ndcg", *(f"{name}.{cuts}" for name in ("recall", "P", "success", "map_cut", "ndcg_cut"))}
    return pytrec_eval.RelevanceEvaluator(qrels, names, relevance_level=level).evaluate(run)  # type: ignore[no-any-return]


def assert_equal_to_reference(qrels: Qrels, run: Run, level: int = 1) -> None:
    expected = reference(qrels, run, level)
    for spec, name in MEASURES.items():
        with_level = spec if level == 1 or spec.startswith("ndcg") else f"{spec}(level={level})"
        values = per_query(with_level, qrels, run)
        assert values == pytest.approx({query: row[name] for query, row in expected.items()}, abs=1e-9), with_level


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


def trec_spec(name: str) -> str | None:
    """The spec of a measure that trec_eval prints, if there is one."""
    whole = {"map": "map", "recip_rank": "recip_rank", "ndcg": "ndcg"}
    match = re.fullmatch(r"(P|recall|success|map_cut|ndcg_cut)_(\d+)", name)
    return f"{match[1]}@{match[2]}" if match else whole.get(name)


@pytest.mark.parametrize(("printed", "n_measures"), [("out.test", 11), ("out.test.a", 42)])
def test_printed_values_of_trec_eval(shared_data: SharedData, printed: str, n_measures: int) -> None:
    qrels, run = read_qrels(shared_data("trec_eval/qrels.test")), read_run(shared_data("trec_eval/results.test"))
    lines = [line.split() for line in shared_data(f"trec_eval/{printed}").read_text().splitlines()]
    expected = {spec: value for name, _, value in lines if (spec := trec_spec(name))}
    assert len(expected) == n_measures
    assert {spec: f"{statistics.fmean(per_query(spec, qrels, run).values()):.4f}" for spec in expected} == expected


def test_printed_values_by_query_with_graded_judgements(shared_data: SharedData) -> None:
    """``-l2``: relevance begins at grade 2, and the judgements hold grades from -1 to 4."""
    qrels, run = read_qrels(shared_data("trec_eval/qrels.rel_level")), read_run(shared_data("trec_eval/results.test"))
    lines = [line.split() for line in shared_data("trec_eval/out.test.aql").read_text().splitlines()]
    checked = 0
    for name, query, value in lines:
        spec = trec_spec(name)
        if spec is None or query == "all":
            continue
        full = spec if spec.startswith("ndcg") else f"{spec}(level=2)"
        assert f"{per_query(full, qrels, run)[query]:.4f}" == value, (name, query)
        checked += 1
    assert checked == 3 * 42


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
