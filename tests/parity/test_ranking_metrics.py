"""Ranking metrics equal trec_eval: its own test files; through pytrec_eval Cranfield and made runs with ties."""

from __future__ import annotations

import ast
import csv
import dataclasses
import gzip
import json
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

from harness.data import trec
from harness.metrics.judgements import judge
from harness.metrics.ranking import Qrels, RankingMetric, RelevanceMetric, Run
from harness.plugins import metric
from harness.protocols import Resources, TaskView
from harness.retrieval.bm25 import Bm25
from harness.types import Call, Key, Output, Rank, Ranking, Sample
from tests.retrieval.corpus import TinyCorpus

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
UNDEFINED = {"Rndcg", "relative_P", "set_relative_P", "iprec_at_recall", "11pt_avg"}
"""Those for which pytrec_eval divides by zero where no judgement is relevant or nothing was found; they are 0 here."""


def at_level(spec: str, level: int) -> RankingMetric:
    m = metric(spec)
    assert isinstance(m, RankingMetric)
    return dataclasses.replace(m, level=level) if isinstance(m, RelevanceMetric) else m


def per_query(spec: str, qrels: Qrels, run: Run, level: int = 1) -> dict[str, float]:
    """Values by query; the documents are handed over in the order of the run, whatever that is."""
    queries = [query for query in run if qrels.get(query)]
    outputs = [Output(Key(query), Ranking(tuple(run[query]), tuple(run[query].values()))) for query in queries]
    m = at_level(spec, level)
    return dict(zip(queries, m.rows(m.score([Sample(query, qrels=qrels[query]) for query in queries], outputs).stats)))


def reference(qrels: Qrels, run: Run, level: int = 1) -> dict[str, dict[str, float]]:
    cuts = ",".join(map(str, CUTOFFS))
    names = {*WHOLE.values(), "iprec_at_recall", "Rprec_mult", *(f"{name}.{cuts}" for name in CUT.values())}
    return pytrec_eval.RelevanceEvaluator(qrels, names, relevance_level=level).evaluate(run)


def assert_equal_to_reference(qrels: Qrels, run: Run, level: int = 1) -> None:
    expected = reference(qrels, run, level)
    graded = {query for query, row in expected.items() if row["num_rel"] == 0} if level > 1 else set()
    queries = [query for query in run if qrels.get(query)]
    rankings = [Ranking(tuple(run[query]), tuple(run[query].values())) for query in queries]
    judged = judge(rankings, [qrels[query] for query in queries])
    for spec, name in MEASURES.items():
        values = dict(zip(queries, at_level(spec, level).values(judged).tolist()))
        theirs = {query: row[name] if math.isfinite(row[name]) else 0.0 for query, row in expected.items()}
        if name == "Rndcg":  # trec_eval makes it 0 where no grade reaches the level, though it looks at gains alone
            values, theirs = ({q: v for q, v in found.items() if q not in graded} for found in (values, theirs))
        assert values == pytest.approx(theirs, abs=1e-9), (spec, level)
        undefined = [query for query, row in expected.items() if not math.isfinite(row[name])]
        assert not undefined or name.rsplit("_", 1)[0] in UNDEFINED or name in UNDEFINED, (name, undefined)


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = defaultdict(dict)
    for line in path.read_text().splitlines():
        query, _, document, grade = line.split()
        qrels[query][document] = int(grade)
    return dict(qrels)


@dataclasses.dataclass(frozen=True)
class Collection:
    corpus: TinyCorpus
    queries: dict[str, str]
    qrels: Qrels
    published: dict[str, float]

    @property
    def n_queries(self) -> int:
        return len(self.queries)


def cranfield(shared_data: SharedData) -> Collection:
    text = shared_data("cranfield/cran.all.1400.xml").read_text()
    documents = {str(d.findtext("docno")).strip(): (str(d.findtext("title")), str(d.findtext("text")))
                 for d in ElementTree.fromstring(f"<all>{text}</all>").findall(".//doc")}
    titles = ElementTree.parse(shared_data("cranfield/cran.qry.xml")).findall(".//top")
    queries = {str(position): top.findtext("title") or "" for position, top in enumerate(titles, start=1)}
    published = {"ndcg@10": 0.3848, "map": 0.3061, "precision@10": 0.2338, "recall@100": 0.7339, "mrr@10": 0.5330}
    return Collection(TinyCorpus(documents), queries, read_qrels(shared_data("cranfield/cranqrel.trec.txt")), published)


def scifact(shared_data: SharedData) -> Collection:
    with gzip.open(shared_data("scifact/corpus_train.csv.gz"), "rt", encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        documents = {row["doc_id"]: (row["title"], " ".join(ast.literal_eval(row["abstract"]))) for row in rows}
    qrels = trec.read_qrels(shared_data("scifact/qrels/test.tsv"))
    asked = map(json.loads, shared_data("scifact/queries.jsonl").read_text().splitlines())
    queries = {str(row["_id"]): row["text"] for row in asked if str(row["_id"]) in qrels}
    published = {"ndcg@10": 0.6791, "map": 0.6386, "recall@100": 0.9127, "mrr@10": 0.6431}
    return Collection(TinyCorpus(documents), queries, qrels, published)


def bm25(corpus: TinyCorpus, queries: dict[str, str], folder: Path) -> dict[str, dict[str, float]]:
    backend = Bm25()
    backend.open(Resources(cache_dir=folder))
    backend.start_task(TaskView("parity", corpus))
    run = {}
    for output in backend.run([Call(Key(query), Rank(text, 1000, "tiny")) for query, text in queries.items()]):
        assert isinstance(output.answer, Ranking)
        run[output.key.sample_id] = dict(zip(output.answer.documents, output.answer.scores))
    return run


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


@pytest.mark.parametrize("source", ["cranfield", "scifact"])
def test_bm25_runs_of_whole_collections(shared_data: SharedData, source: str, tmp_path: Path) -> None:
    """Every measure by query; and the values that another BM25 got with the same words and settings (SOURCES.md)."""
    collection = {"cranfield": cranfield, "scifact": scifact}[source](shared_data)
    run = bm25(collection.corpus, collection.queries, tmp_path)
    assert len(run) == collection.n_queries
    assert_equal_to_reference(collection.qrels, run)
    ours = {spec: statistics.fmean(per_query(spec, collection.qrels, run).values()) for spec in collection.published}
    assert ours == pytest.approx(collection.published, abs=6e-5)


names = st.sampled_from(["d1", "d2", "d10", "D1", "é", "z", "～", "😀"])
judgements = st.dictionaries(names, st.integers(-2, 4), min_size=1).filter(
    lambda grades: max(grades.values()) >= 0  # pytrec_eval 0.5.11 writes out of bounds where all grades are negative
)
scores = st.sampled_from([-1.0, 0.0, 0.5, 0.1 + 0.2, 0.3, 0.5 + 1e-12, 1e-60, 7.0, 1e300, math.inf])
runs = st.dictionaries(names, scores, max_size=8)


@settings(max_examples=60, deadline=None)
@given(judgements, runs, st.integers(1, 4))
def test_made_runs(judged: dict[str, int], ranked: dict[str, float], level: int) -> None:
    assert_equal_to_reference({"q": judged}, {"q": ranked}, level)


@settings(max_examples=60, deadline=None)
@given(judgements, runs, st.integers(1, 5))
def test_reciprocal_rank_with_a_cut(judged: dict[str, int], ranked: dict[str, float], k: int) -> None:
    """trec_eval cuts the run and takes ``recip_rank``."""
    with np.errstate(over="ignore"):
        order = sorted(ranked, key=lambda d: (np.float32(ranked[d]), d), reverse=True)
    cut = {document: float(-rank) for rank, document in enumerate(order[:k])}
    expected = pytrec_eval.RelevanceEvaluator({"q": judged}, {"recip_rank"}).evaluate({"q": cut})["q"]["recip_rank"]
    assert per_query(f"mrr@{k}", {"q": judged}, {"q": ranked})["q"] == pytest.approx(expected, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(judgements, runs)
def test_given_gains_are_other_grades(judged: dict[str, int], ranked: dict[str, float]) -> None:
    """``-m ndcg.1=3,2=9,4=5``; grade 3 keeps its own gain and 4 has less than 2."""
    gains = {-2: -1, -1: -1, 0: 0, 1: 3, 2: 9, 3: 3, 4: 5}
    grades = {document: gains[grade] for document, grade in judged.items()}
    for ours, theirs in (("ndcg", "ndcg"), ("normalised_g", "G"), ("ndcg_rel", "ndcg_rel")):
        expected = pytrec_eval.RelevanceEvaluator({"q": grades}, {theirs}).evaluate({"q": ranked})["q"][theirs]
        assert per_query(f'{ours}(gain="1=3,2=9,4=5")', {"q": judged}, {"q": ranked})["q"] == pytest.approx(expected, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(judgements, runs, st.integers(1, 8))
def test_exponential_gain_is_linear_gain_of_other_grades(judged: dict[str, int], ranked: dict[str, float], k: int) -> None:
    grades = {document: 2 ** max(grade, 0) - 1 for document, grade in judged.items()}
    expected = pytrec_eval.RelevanceEvaluator({"q": grades}, {f"ndcg_cut.{k}"}).evaluate({"q": ranked})["q"][f"ndcg_cut_{k}"]
    assert per_query(f"ndcg@{k}(gain=exp)", {"q": judged}, {"q": ranked})["q"] == pytest.approx(expected, abs=1e-9)
