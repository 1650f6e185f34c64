"""Retrieval sources: BEIR folders, three files, TREC runs and judgements."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.data.beir import Beir, RetrievalCounts
from harness.data.collection import Collection, Records, detect_format
from harness.data.corpus import DocumentCorpus
from harness.data.dataset import Dataset, SampleMapping
from harness.data.jsonl import Jsonl
from harness.data.trec import read_qrels, read_run, write_run
from harness.errors import DataError
from harness.types import Document, Ranking


def jsonl(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


CORPUS = ({"_id": "d1", "title": "Rain", "text": "Falls."}, {"_id": 2, "text": "Ice", "title": None}, {"id": "3", "text": ""})
QUERIES = ({"_id": "q1", "text": "rain?", "metadata": {"a": 1}}, {"_id": 7, "text": "snow?"}, {"_id": "q3", "text": "hail?"})


@pytest.fixture(params=["plain", "gz"])
def beir(tmp_path, request):
    def put(name, content):
        path = tmp_path / (name if request.param == "plain" else f"{name}.gz")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if request.param == "plain" else gzip.compress(content))

    put("corpus.jsonl", jsonl(*CORPUS))
    put("queries.jsonl", jsonl(*QUERIES))
    put("qrels/test.tsv", b"query-id\tcorpus-id\tscore\n7\t2\t2\nq1\td1\t1\nq1\t2\t0\nq9\td1\t1\n")
    put("qrels/train.tsv", b"q3\t3\t1\n")
    return Beir(tmp_path)


def test_beir(beir):
    rows = list(beir.rows())
    expected = [("q1", "rain?", {"d1": 1, "2": 0}), ("7", "snow?", {"2": 2})]
    assert [(row["id"], row["text"], row["qrels"]) for row in rows] == expected
    assert rows[0]["metadata"] == {"a": 1}
    assert list(beir.corpus()) == [Document("d1", "Falls.", "Rain"), Document("2", "Ice"), Document("3", "")]
    assert beir.counts() == RetrievalCounts(queries=2, unjudged=1, unknown=1)
    assert [row["id"] for row in beir.split("train").rows()] == ["q3"]
    with pytest.raises(DataError, match=r"no split 'trian' in qrels/; did you mean 'train'\?"):
        beir.split("trian")


def test_beir_samples(beir):
    sample = next(iter(Dataset(beir)))
    assert (sample.id, sample.qrels, sample.input["text"]) == ("q1", {"d1": 1, "2": 0}, "rain?")
    assert "qrels" not in sample.input


def test_beir_faults(tmp_path):
    with pytest.raises(DataError, match=r"no queries\.jsonl or queries\.jsonl\.gz in this folder"):
        list(Beir(tmp_path).rows())
    (tmp_path / "corpus.jsonl").write_bytes(jsonl({"_id": "a", "text": "t"}, {"_id": "b", "body": "t"}))
    with pytest.raises(DataError, match=r"corpus\.jsonl:2: no field 'text'; the fields are: _id, body"):
        list(Beir(tmp_path).corpus())


# ── the corpus ──────────────────────────────────────────────────────────────────────────────────────────────────────


def corpus(*documents):
    return DocumentCorpus(lambda: iter(documents), "c")


def test_corpus():
    documents = (Document("a", "t", "u"), Document("b", "t"))
    assert len(corpus(*documents)) == 2
    assert list(corpus(*documents)) == list(documents)
    assert corpus(*documents).fingerprint == corpus(*documents).fingerprint
    swapped, shifted = Document("a", "u", "t"), Document("at", "", "u")
    others = [corpus(*documents[::-1]), corpus(documents[0]), corpus(swapped, documents[1]), corpus(shifted, documents[1])]
    assert len({c.fingerprint for c in others} | {corpus(*documents).fingerprint}) == 5


def test_corpus_is_read_once_for_its_facts():
    passes = []
    counted = DocumentCorpus(lambda: passes.append(1) or iter([Document("a", "t")]), "c")
    assert (len(counted), counted.fingerprint, len(counted)) == (1, counted.fingerprint, 1)
    assert len(passes) == 1


def test_corpus_faults():
    with pytest.raises(DataError, match="c: no documents in it"):
        len(corpus())
    with pytest.raises(DataError, match="c: row 3: document id 'a' is that of row 1 too; ids must be unique"):
        _ = corpus(Document("a", "1"), Document("b", "2"), Document("a", "3")).fingerprint


# ── three files ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b'{"a": 1}', "jsonl"),
        (b'\xef\xbb\xbf\n {"a": 1}', "jsonl"),
        (b'[{"a": 1}]', "json"),
        (b"a,b\n", "csv"),
        (b"a\tb,c\n", "tsv"),
        (b"PAR1..", "parquet"),
        (gzip.compress(b"a\tb\n"), "tsv"),
    ],
)
def test_the_format_is_told_by_the_content(tmp_path, content, name):
    path = tmp_path / "file.txt"
    path.write_bytes(content)
    assert detect_format(path) == name


def test_judgements_that_number_the_queries(tmp_path):
    """The shape of Cranfield: the topic of a judgement is the position of the query, not its number."""
    (tmp_path / "q.csv").write_text("num,title\n1,first\n4,second\n8,third\n")
    (tmp_path / "c.tsv").write_text("no\tbody\n184\ttext\n")
    (tmp_path / "rel").write_text("1 0 184 1\n3 0 184 2\n")
    source = Collection(
        Records(tmp_path / "q.csv", id="{{ row_number }}", text="{{ title }}"),
        Records(tmp_path / "c.tsv", id="{{ no }}", text="{{ body }}", title="Nr. {{ no }}"),
        tmp_path / "rel",
    )
    assert [(row["id"], row["text"], row["num"], row["qrels"]) for row in source.rows()] == [
        ("1", "first", "1", {"184": 1}), ("3", "third", "8", {"184": 2}),
    ]  # fmt: skip
    assert list(source.corpus()) == [Document("184", "text", "Nr. 184")]
    assert source.counts() == RetrievalCounts(queries=2, unjudged=1, unknown=0)
    with pytest.raises(DataError, match="has no split 'train'"):
        source.split("train")


def test_scifact(shared_data):
    source = Collection(
        shared_data("scifact/queries.jsonl"),
        Records(shared_data("scifact/corpus_train.csv.gz"), id="{{ doc_id }}", text="{{ abstract | literal | join(' ') }}"),
        shared_data("scifact/qrels/test.tsv"),
    )
    data = Dataset(source)
    assert data.scan().n == 300
    assert sum(len(sample.qrels) for sample in data) == 339
    assert source.counts() == RetrievalCounts(queries=300, unjudged=809, unknown=0)
    documents = {document.id: document for document in source.corpus()}
    assert len(source.corpus()) == len(documents) == 5183
    assert all(judged in documents for sample in data for judged in sample.qrels)
    assert documents["4983"].title.startswith("Microstructural development of human newborn cerebral white matter")
    assert "result in functional disabilities. A line scan diffusion-weighted" in documents["4983"].text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"id": "1", "text": "{{ boddy }}"}, "row 1: text: no field 'boddy'; the fields are: body, no; did you mean 'body'?"),
        ({"text": "{{ body }}"}, "row 1: id: no field 'id'; the fields are: body, no"),
        ({"id": "{{ no }}", "text": "{{ [body] }}"}, "row 1: text: must be text, got a list; try `| join(' ')`"),
        ({"id": "", "text": "{{ body }}"}, "row 1: id: is empty"),
        ({"format": "parquet", "delimiter": ";"}, "format parquet takes no delimiter"),
    ],
)
def test_records_faults(tmp_path, options, message):
    path = tmp_path / "c.csv"
    path.write_text("no,body\n1,x\n")
    with pytest.raises(DataError) as error:
        list(Records(path, **options).read())
    assert str(error.value) == f"{path}: {message}"


# ── judgements ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"1 0 d1 1\n1 0 d2 -1\n2\tQ0  d1\t3\r\n", {"1": {"d1": 1, "d2": -1}, "2": {"d1": 3}}),
        (b"# note\n1 0 CR#9 1\n\n# note\n", {"1": {"CR#9": 1}}),
        (b"query-id\tcorpus-id\tscore\n1\td1\t1\n", {"1": {"d1": 1}}),
        (b"a query\ta document\t1\n", {"a query": {"a document": 1}}),
        (b"1 d1 2\n", {"1": {"d1": 2}}),
        (b"1 0 d 1\n1 0 d 1\n", {"1": {"d": 1}}),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_qrels(content, expected, pack):
    assert read_qrels(io.BytesIO(pack(content))) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1 0 d 1\n1 0 d2\n", ":2: expected 4 columns (query iteration document grade), got 3"),
        (b"query-id\tcorpus-id\tscore\n1\td\n", ":2: expected 3 columns (query document grade), got 2"),
        (b"# x\n1 0 d yes\n", ":2: the grade must be an integer, got 'yes'"),
        (b"1\td\t1\n1\te\t0.5\n", ":2: the grade must be an integer, got '0.5'"),
        (b"1 0 d 1\n1 0 d 2\n", ":2: document 'd' of query '1' has grade 1 already"),
        (b"query-id\tcorpus-id\tscore\n", ": no judgements in it"),
        (b"", ": no judgements in it"),
        (b"1 0 \xff 1\n", ":1: not UTF-8: invalid start byte (byte 5 of the line)"),
    ],
)
def test_qrels_faults(tmp_path, content, message):
    path = tmp_path / "qrels"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_qrels(path)
    assert str(error.value) == f"{path}{message}"


def test_real_qrels(shared_data):
    plain = read_qrels(shared_data("trec_eval/qrels.test"))
    commented = read_qrels(shared_data("trec_eval/qrels.test.with-comments"))
    assert (len(plain), sum(map(len, plain.values()))) == (3, 3681)
    assert sum(grade > 0 for grades in plain.values() for grade in grades.values()) == 561
    assert "CR#93E-1860" in commented["301"]
    assert sum(map(len, commented.values())) == 3681
    cranfield = read_qrels(shared_data("cranfield/cranqrel.trec.txt"))
    assert (len(cranfield), sum(map(len, cranfield.values())), cranfield["40"]["85"]) == (225, 1837, 3)


# ── runs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def slow_run(text):
    """The obvious reading: score descending in single precision, then id descending."""
    found = {}
    for line in text.splitlines():
        if line.split():
            query, _, document, _, score, _ = line.split()
            found.setdefault(query, []).append((np.float32(score), document, float(score)))
    ordered = {query: sorted(items, key=lambda item: item[:2], reverse=True) for query, items in found.items()}
    return {query: Ranking(tuple(i[1] for i in items), tuple(i[2] for i in items)) for query, items in ordered.items()}


@pytest.mark.parametrize("seed", range(8))
def test_runs_equal_the_obvious_reading(seed):
    rng = random.Random(seed)
    lines = []
    for query in rng.sample(["q1", "2", "é", "10"], 4):
        documents = rng.sample([f"d{i}" for i in range(40)], rng.randint(1, 30))
        scores = [rng.choice([1.0, 2.5, -3.0, 1e-5, 1.00000001, rng.random()]) for _ in documents]
        gap = rng.choice([" ", "\t", "  ", " \t "])
        for document, score in zip(documents, scores):
            lines.append(gap.join([query, "Q0", document, "1", repr(score), "tag"]) + rng.choice(["", " ", "\r"]))
    if seed % 2:
        rng.shuffle(lines)
    text = "\n".join(lines) + rng.choice(["", "\n", "\n\n \n"])
    got, expected = read_run(io.BytesIO(text.encode())), slow_run(text)
    assert {q: r.documents for q, r in got.items()} == {q: r.documents for q, r in expected.items()}
    assert list(got) == list(expected)
    assert all(sorted(got[q].scores) == sorted(expected[q].scores) for q in got)


def test_run_order_by_hand():
    run = read_run(io.BytesIO(b"q Q0 a 1 1.0 t\nq Q0 b 2 3.0 t\np Q0 x 1 0 t\nq Q0 c 3 1.00000001 t\n"))
    assert run == {"q": Ranking(("b", "c", "a"), (3.0, 1.00000001, 1.0)), "p": Ranking(("x",), (0.0,))}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"q Q0 a 1 1.0 t\n\nq Q0 b 2\n", ":3: expected 6 columns (query Q0 document rank score tag), got 4"),
        (b"q Q0 a 1 1.0 t\nq Q0 b 2 high t\n", ":2: the score must be a number, got 'high'"),
        (b"q Q0 a 1 nan t\n", ":1: the score must be a number, got 'nan'"),
        (b"q Q0 a 1 1.0 t\nq Q0 b 1 1.0 t\nq Q0 a 2 0.5 t\n", ":3: document 'a' of query 'q' is on line 1 already"),
        (b"q Q0 \xff 1 1.0 t\n", ":1: not UTF-8: invalid start byte (byte 6 of the line)"),
        (b" \n", ": no rankings in it"),
        (b"", ": no rankings in it"),
    ],
)
def test_run_faults(tmp_path, content, message):
    path = tmp_path / "run"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_run(path)
    assert str(error.value) == f"{path}{message}"


def test_real_run(shared_data):
    path = shared_data("trec_eval/results.test")
    run = read_run(path)
    assert {query: len(ranking.documents) for query, ranking in run.items()} == {"301": 500, "302": 500, "303": 500}
    assert run == slow_run(path.read_text())


def test_written_runs_are_read_back(tmp_path):
    rankings = {"q1": Ranking(("b", "a"), (1 / 3, -2.5e-7)), "q2": Ranking(("ü",), (3.0,))}
    write_run(tmp_path / "run", rankings, "mine")
    assert (tmp_path / "run").read_text().splitlines()[0] == "q1 Q0 b 1 0.3333333333333333 mine"
    assert read_run(tmp_path / "run") == rankings
    with pytest.raises(DataError, match="no white space in ids: query 'q', document 'a b', tag 't'"):
        write_run(tmp_path / "bad", {"q": Ranking(("a b",), (1.0,))}, "t")


def test_a_mapping_may_put_the_judgements_together(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_bytes(jsonl({"id": "q", "positive": ["a", "b"]}))
    sample = next(iter(Dataset(Jsonl(path), SampleMapping({"qrels": "{{ positive }}"}))))
    assert sample.qrels == {"a": 1, "b": 1}


def test_words_after_the_tag_are_ignored_as_in_trec_eval(tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    path = tmp_path / "run"
    path.write_bytes(b"q Q0 a 1 1.0 t and more\nq Q0 b 2 2.0 t\n")
    assert read_run(path) == {"q": Ranking(("b", "a"), (2.0, 1.0))}
    truncated = read_run(shared_data("trec_eval/results.trunc"))
    assert {topic: len(ranking.documents) for topic, ranking in truncated.items()} == lines_per_topic(
        shared_data("trec_eval/results.trunc")
    )


def lines_per_topic(path: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    for line in path.read_text().splitlines():
        topic = line.split()[0]
        counts[topic] = counts.get(topic, 0) + 1
    return counts
