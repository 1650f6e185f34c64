import math
import re
from pathlib import Path

import pytest

from harness.errors import BackendError, ConfigError
from harness.protocols import Resources, TaskView
from harness.retrieval.bm25 import Bm25
from harness.types import Call, Embed, Key, Output, Rank, Ranking
from tests.retrieval.corpus import TinyCorpus

TEXTS = {
    "d1": "the cat sat on the mat with the other cat",
    "d2": "dogs and cats are running in the park",
    "d3": ("Cat", "a quiet animal"),
    "d4": "nothing of interest",
    "d5": "the cat sat on the mat with the other cat",
}


def opened(tmp_path: Path, corpus: TinyCorpus | None = None, **options: object) -> Bm25:
    backend = Bm25(**options)  # type: ignore[arg-type]
    backend.open(Resources(cache_dir=tmp_path))
    backend.start_task(TaskView("pets", corpus or TinyCorpus(TEXTS)))
    return backend


def search(backend: Bm25, query: str, k: int = 10, corpus: str = "tiny") -> Ranking:
    (output,) = backend.run([Call(Key("q"), Rank(query, k, corpus))])
    assert isinstance(output.answer, Ranking)
    assert output.timing is not None
    return output.answer


def lucene(query: list[str], documents: dict[str, list[str]], k1: float, b: float) -> dict[str, float]:
    """Lucene's formula (Kamphuis et al. 2020, table 1), word by word."""
    n, average = len(documents), sum(map(len, documents.values())) / len(documents)
    scores = dict.fromkeys(documents, 0.0)
    for word in query:
        df = sum(word in words for words in documents.values())
        for name, words in documents.items():
            tf = words.count(word)
            idf = math.log(1 + (n - df + 0.5) / (df + 0.5))
            scores[name] += idf * tf / (tf + k1 * (1 - b + b * len(words) / average)) if tf else 0.0
    return scores


@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (0.9, 0.4)])
def test_scores_follow_the_formula(tmp_path: Path, k1: float, b: float) -> None:
    full = {name: text if isinstance(text, str) else " ".join(text) for name, text in TEXTS.items()}
    words = {name: re.findall(r"\w\w+", text.lower()) for name, text in full.items()}
    expected = lucene(["cat", "mat", "cat", "park"], words, k1, b)
    ranking = search(opened(tmp_path, stemmer=None, stop_words=None, k1=k1, b=b), "Cat mat cat park zebra")
    assert dict(zip(ranking.documents, ranking.scores)) == pytest.approx(
        {name: score for name, score in expected.items() if score > 0}, rel=1e-6
    )


def test_ties_by_document_id_descending_and_cut(tmp_path: Path) -> None:
    backend = opened(tmp_path, stemmer=None)
    assert search(backend, "mat").documents == ("d5", "d1")
    assert search(backend, "mat", k=1).documents == ("d5",)


def test_stemming_and_stop_words(tmp_path: Path) -> None:
    assert set(search(opened(tmp_path), "cat").documents) == {"d1", "d2", "d3", "d5"}  # cats -> cat
    assert set(search(opened(tmp_path, stemmer=None), "cat").documents) == {"d1", "d3", "d5"}
    assert search(opened(tmp_path), "the of and").documents == ()
    assert set(search(opened(tmp_path, stop_words=None), "the").documents) == {"d1", "d2", "d5"}


@pytest.mark.parametrize("variant", ["lucene", "atire", "bm25l", "bm25+"])
def test_documents_without_a_word_of_the_query_are_not_returned(tmp_path: Path, variant: str) -> None:
    assert set(search(opened(tmp_path, variant=variant), "park animal").documents) == {"d2", "d3"}


def test_query_that_matches_nothing(tmp_path: Path) -> None:
    for query in ("zebra", "", "?!", "a"):
        assert search(opened(tmp_path), query) == Ranking((), ())


def test_corpus_without_words(tmp_path: Path) -> None:
    assert search(opened(tmp_path, TinyCorpus({"a": "", "b": "the"})), "cat") == Ranking((), ())


def test_index_is_kept_for_the_same_corpus(tmp_path: Path) -> None:
    corpus, other = TinyCorpus(TEXTS), TinyCorpus({"x": "cat"}, "other")
    backend = opened(tmp_path, corpus)
    backend.start_task(TaskView("again", corpus))
    assert corpus.reads == 1
    backend.start_task(TaskView("other", other))
    assert search(backend, "cat", corpus="other").documents == ("x",)


def test_what_it_cannot_answer_is_an_error_of_that_call(tmp_path: Path) -> None:
    requests = [Embed(("x",)), Rank("cat", 1, "elsewhere"), Rank("park", 1, "tiny")]
    calls = [Call(Key(str(i)), request) for i, request in enumerate(requests)]
    outputs: list[Output] = list(opened(tmp_path).run(calls))
    assert [output.error for output in outputs] == [
        "bm25 answers Rank only, not Embed", "bm25: the corpus 'elsewhere' is not the one that is indexed", None,
    ]
    assert [output.answer for output in outputs][:2] == [None, None]


def test_batches_cover_the_calls_in_order() -> None:
    calls = [Call(Key(str(i)), Rank("cat", 1, "tiny")) for i in range(600)]
    batches = Bm25().batches(calls)
    assert [call for batch in batches for call in batch] == calls


def test_signature_names_every_option() -> None:
    signature = Bm25(k1=0.9).signature()
    assert {"stemmer", "stop_words", "k1", "b", "variant", "bm25s", "PyStemmer"} <= set(signature)
    assert signature["k1"] == 0.9


def test_says_nothing_on_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    search(opened(tmp_path), "cat")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"k1": -1.0}, "bm25: k1 must be 0 or more, got -1.0"),
        ({"b": 1.5}, "bm25: b must lie between 0 and 1, got 1.5"),
        ({"variant": "okapi"}, "variant must be one of lucene, robertson, atire, bm25l, bm25+, got 'okapi'"),
    ],
)
def test_bad_options(options: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        Bm25(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "says"),
    [({"stemmer": "englsh"}, "no stemmer for 'englsh'; did you mean 'english'?"),
     ({"stop_words": "germn"}, "no stop words for 'germn'; did you mean 'german'?")],
)
def test_unknown_language(tmp_path: Path, options: dict[str, str], says: str) -> None:
    with pytest.raises(BackendError, match=re.escape(says)):
        opened(tmp_path, **options)


def test_no_corpus(tmp_path: Path) -> None:
    backend = Bm25()
    backend.open(Resources(cache_dir=tmp_path))
    with pytest.raises(BackendError, match="task 'pets' has no corpus"):
        backend.start_task(TaskView("pets"))
