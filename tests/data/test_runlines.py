"""Runs as columns: the same rankings as line by line, whatever the order, spaces and ties; judged without becoming objects."""

from __future__ import annotations

import gzip
import io
import pickle
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import compiled, trec
from harness.data.runlines import RunLines, StoredRanking, hashes
from harness.errors import DataError
from harness.metrics.judgements import Judged, judge
from harness.types import Ranking

NAMES = ["d", "d1", "d10", "D1", "é", "～", "😀", "eight_by", "nine_byte", "sixteen_bytes_of", "sixteen_bytes_of!", "x" * 40]
SCORES = ["1", "0.5", "0.50000000001", "-0.0", "0", "1e300", "inf", "-3.25", "2e-9", "12.3456"]
Line = tuple[str, str, str]


@pytest.fixture(autouse=True, params=["compiled", "python"], scope="module")
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test runs with the compiled part and without it."""
    if request.param == "compiled" and not compiled.IS_THERE:
        pytest.skip("installed without a C compiler")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "IS_THERE", request.param == "compiled")
        yield


def plain(lines: list[Line]) -> dict[str, Ranking]:
    """The slow twin: dictionaries and a sort."""
    run: dict[str, dict[str, float]] = defaultdict(dict)
    for query, document, score in lines:
        run[query][document] = float(score)
    with np.errstate(over="ignore"):
        ordered = {q: sorted(((np.float32(s), d, s) for d, s in docs.items()), reverse=True) for q, docs in run.items()}
    return {q: Ranking(tuple(d for _, d, _ in docs), tuple(s for _, _, s in docs)) for q, docs in ordered.items()}


def read(text: str) -> dict[str, Ranking]:
    return trec.read_run(io.BytesIO(text.encode()))


def written(lines: list[Line], space: str = " ") -> str:
    return "".join(space.join((query, "Q0", document, "1", score, "tag")) + "\n" for query, document, score in lines)


def arrays(judged: Judged) -> list[list[int]]:
    parts = (judged.n_found, judged.query, judged.rank, judged.grade, judged.judged_query, judged.judged_grade)
    return [part.tolist() for part in parts]


run_lines = st.lists(
    st.tuples(st.sampled_from(["1", "2", "query", "30"]), st.sampled_from(NAMES), st.sampled_from(SCORES)),
    min_size=1, max_size=30, unique_by=lambda line: line[:2],
)
grades = st.dictionaries(st.sampled_from([*NAMES, "other"]), st.integers(-1, 3), min_size=1)


@settings(max_examples=60, deadline=None)
@given(run_lines, st.sampled_from([" ", "\t", "  ", " \t "]))
def test_rankings_of_lines_in_any_order(lines: list[Line], space: str) -> None:
    assert read(written(lines, space)) == plain(lines)


@settings(max_examples=60, deadline=None)
@given(run_lines, st.lists(grades, min_size=4, max_size=4))
def test_judged_as_columns_and_one_by_one(lines: list[Line], qrels: list[dict[str, int]]) -> None:
    stored, objects = read(written(lines)), plain(lines)
    judgements = [qrels[place] for place, _ in enumerate(stored)]
    assert all(isinstance(ranking, StoredRanking) for ranking in stored.values())
    assert arrays(judge(list(stored.values()), judgements)) == arrays(judge(list(objects.values()), judgements))
    some = list(stored)[::-2]
    of_some = [judgements[list(stored).index(query)] for query in some]
    found = judge([*(stored[query] for query in some), Ranking((), ())], [*of_some, {"d": 1}])
    assert arrays(found) == arrays(judge([*(objects[query] for query in some), Ranking((), ())], [*of_some, {"d": 1}]))


def test_many_queries_split_and_shuffled() -> None:
    rng = np.random.default_rng(3)
    lines = [(str(q), f"doc-number-{d}", str(round(float(s), 1))) for q in range(40)
             for d, s in zip(rng.permutation(400)[:200], rng.normal(size=200))]
    shuffled = [lines[i] for i in rng.permutation(len(lines))]
    expected = plain(shuffled)
    assert read(written(shuffled)) == expected
    qrels = [{f"doc-number-{d}": int(d) % 4 - 1 for d in rng.permutation(400)[:60]} for _ in expected]
    stored = list(read(written(shuffled)).values())
    assert arrays(judge(stored, qrels)) == arrays(judge(list(expected.values()), qrels))
    again = [{**grades} for grades in qrels]
    again[7] = {"doc-number-1": 1}
    assert arrays(judge(stored, again)) == arrays(judge(list(expected.values()), again))  # not the remembered answer


def test_the_same_query_twice() -> None:
    [ranking] = read("1 Q0 a 1 2.0 t\n1 Q0 b 2 1.0 t\n").values()
    judged = judge([ranking, ranking], [{"b": 1}, {"b": 1}])
    assert (judged.query.tolist(), judged.rank.tolist()) == ([0, 1], [2, 2])


def test_equal_hashes_do_not_make_equal_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a hash of two values nearly everything collides: the same rankings, judgements and complaints come out."""
    import harness.data.runlines as module

    monkeypatch.setattr(compiled, "IS_THERE", False)
    monkeypatch.setattr(module, "hashes", lambda texts: hashes(texts) & np.uint64(1))
    lines = [("1", name, str(place)) for place, name in enumerate(NAMES)]
    qrels = [{"d1": 2, "é": 1, "absent": 1, "D1": 0}]
    assert read(written(lines)) == plain(lines)
    assert arrays(judge(list(read(written(lines)).values()), qrels)) == arrays(judge(list(plain(lines).values()), qrels))
    single = [{"absent": 1}]
    assert judge(list(read(written(lines)).values()), single).query.tolist() == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 Q0 a 1 2.0 t\n1 Q0 b 2 1.0 t\n1 Q0 a 3 0.5 t\n", ":3: document 'a' of query '1' is on line 1 already"),
        ("1 Q0 a 1 2.0 t\n2 Q0 a 1 2.0 t\n1 Q0 a 3 0.5 t\n", ":3: document 'a' of query '1' is on line 1 already"),
        ("1 Q0 a 1 2 t\n2 Q0 a 1 2 t\n2 Q0 b 1 2 t\n2 Q0 a 1 2 t\n", ":4: document 'a' of query '2' is on line 2 already"),
        ("1 Q0 a  2.0 t\n", ":1: expected 6 columns (query Q0 document rank score tag), got 5"),
        ("1  a 1 2.0 t\n", ":1: expected 6 columns (query Q0 document rank score tag), got 5"),
        ("1 Q0 a 1 2.0 t\n 1 Q0 b 1 3.0\n", ":2: expected 6 columns (query Q0 document rank score tag), got 5"),
        ("1 Q0 a 5.0 1 \n", ":1: expected 6 columns (query Q0 document rank score tag), got 5"),
        ("1\tQ0 a 1 x 3.0 t\n", ":1: the score must be a number, got 'x'"),
        ("1 Q0 a 1 nan t\n", ":1: the score must be a number, got 'nan'"),
        ("1 Q0 a 1 2.0 t\n\n\n1 Q0 b 1 2,0 t\n", ":4: the score must be a number, got '2,0'"),
    ],
)
def test_faults_are_told_by_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(text)
    assert str(caught.value) == f"<stream>{message}"
    (tmp_path / "run").write_text(text)
    with pytest.raises(DataError) as caught:
        trec.read_run(tmp_path / "run")
    assert str(caught.value) == f"{tmp_path / 'run'}{message}"


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff1 Q0 a 1 2.0 t\n1 Q0 b 2 1.0 t\n",
        "1 Q0 a 1 2.0 t\r\n1 Q0 b 2 1.0 t\r\n",
        "\n1 Q0 a 1 2.0 t\n\n1 Q0 b 2 1.0 t",
        "1 Q0 a 1 2.0 t and more\n1 Q0 b 2 1.0 t\n",
        "1 Q0\ta 1 2.0 t x\n1 Q0 b 2 1.0 t\n",
        "1 Q0 b 2 1.0 t\n1 Q0 a 1 2.0 t",
    ],
)
def test_odd_files_are_read_all_the_same(text: str, tmp_path: Path) -> None:
    assert read(text) == {"1": Ranking(("a", "b"), (2.0, 1.0))}
    (tmp_path / "run").write_bytes(text.encode())
    (tmp_path / "run.gz").write_bytes(gzip.compress(text.encode()))
    assert trec.read_run(tmp_path / "run") == trec.read_run(tmp_path / "run.gz") == read(text)


def test_a_stored_ranking_is_a_ranking() -> None:
    [ranking] = read("1 Q0 a 1 1.0 t\n1 Q0 b 2 1.0 t\n").values()
    same = Ranking(("b", "a"), (1.0, 1.0))
    assert (ranking, hash(ranking), repr(ranking)) == (same, hash(same), repr(same))
    assert same == ranking
    assert ranking != Ranking(("a", "b"), (1.0, 1.0))
    assert type(pickle.loads(pickle.dumps(ranking))) is Ranking
    assert pickle.loads(pickle.dumps(ranking)) == same


def test_wide_offsets() -> None:
    """Columns of more than 2 GB have them."""
    import pyarrow as pa

    texts = ["b", "nine_byte", "", "a"]
    lines = RunLines.of(["q"], np.zeros(4, np.int32), pa.array(texts, pa.large_string()), np.array([1.0, 2.0, 3.0, 1.0]))
    assert next(lines.rankings()).documents == ("", "nine_byte", "b", "a")
    assert hashes(pa.array(texts, pa.large_string())).tolist() == hashes(pa.array(texts)).tolist()
    assert len(set(hashes(pa.array(NAMES)).tolist())) == len(NAMES)


@pytest.mark.parametrize(
    ("text", "qrels"),
    [
        ("1 0 a 1\n1 0 b 0\n2 0 a -1\n", {"1": {"a": 1, "b": 0}, "2": {"a": -1}}),
        ("1\t0\ta\t1\n1\t0\tb\t0\n", {"1": {"a": 1, "b": 0}}),
        ("2 0 a 1\n1 0 b 0\n2 0 c 3", {"2": {"a": 1, "c": 3}, "1": {"b": 0}}),
        ("query-id\tcorpus-id\tscore\n1\ta\t1\n", {"1": {"a": 1}}),
        ("1\ta b\t1\n", {"1": {"a b": 1}}),
        ("1 0 a 1\n1 0 a 1\n", {"1": {"a": 1}}),
        ("# a comment 1\n1 0 a 1\n\n1  0 b 2\n", {"1": {"a": 1, "b": 2}}),
        ("1 0 a 1\n# a comment 1\n", {"1": {"a": 1}}),
        ("1 0 a +1\n", {"1": {"a": 1}}),
    ],
)
def test_judgements_fast_and_slow(text: str, qrels: dict[str, dict[str, int]]) -> None:
    assert trec.read_qrels(io.BytesIO(text.encode())) == qrels
    assert list(trec.read_qrels(io.BytesIO(text.encode()))) == list(qrels)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0 a 1\n1 0 a 2\n", ":2: document 'a' of query '1' has grade 1 already"),
        ("1 0 a 1\n1 0 b\n", ":2: expected 4 columns (query iteration document grade), got 3"),
        ("1 0 a 1\n1 0 b x\n", ":2: the grade must be an integer, got 'x'"),
        ("1 0 a 1\n1 0  1\n", ":2: expected 4 columns (query iteration document grade), got 3"),
        ("query-id\tcorpus-id\tscore\n", ": no judgements in it"),
        ("", ": no judgements in it"),
    ],
)
def test_faults_of_judgements(text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        trec.read_qrels(io.BytesIO(text.encode()))
    assert str(caught.value) == f"<stream>{message}"


def test_the_exact_side_of_an_index_may_be_a_run() -> None:
    run = "1 Q0 b 9 1.0 t\n1 Q0 a 8 2.0 t\n2 Q0 c 1 0.5 t\n"
    assert trec.read_exact(io.BytesIO(run.encode())) == {"1": {"a": 2, "b": 1}, "2": {"c": 1}}
    assert trec.read_exact(io.BytesIO(b"1 0 a 7\n")) == {"1": {"a": 7}}
