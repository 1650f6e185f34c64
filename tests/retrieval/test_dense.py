import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from harness.errors import BackendError, ConfigError
from harness.protocols import Resources, TaskView
from harness.retrieval.dense import Dense
from harness.types import Call, Embed, Generate, Key, Rank, Ranking
from tests.retrieval.corpus import TinyCorpus

pytest.importorskip("faiss")


class HashedWords:
    """An encoder that counts words in 24 hashed columns; a query's vector is turned a little, so that purposes differ."""

    cacheable = "always"

    def __init__(self, version: int = 1) -> None:
        self.version = version
        self.seen: list[tuple[str, int]] = []

    def signature(self) -> Mapping[str, Any]:
        return {"backend": "hashed_words", "version": self.version}

    def encode(self, texts: Sequence[str], *, purpose: str = "symmetric") -> np.ndarray:
        self.seen.append((purpose, len(texts)))
        vectors = np.zeros((len(texts), 24), dtype=np.float32)
        for vector, text in zip(vectors, texts):
            for word in re.findall(r"\w+", text.lower()):
                vector[crc32(word.encode()) % 24] += 0.37
        return vectors + np.float32(0.013) if purpose == "query" else vectors


def texts(n: int, seed: int = 0) -> dict[str, str]:
    """Few distinct texts for many ids: ties everywhere."""
    rng = np.random.default_rng(seed)
    words = np.array(["cat", "dog", "mat", "park", "sun", "rain", "tree", "bird", "fish", "stone"])
    return {f"d{i}": " ".join(rng.choice(words, size=3)) for i in range(n)}


def opened(tmp_path: Path, encoder: HashedWords, corpus: TinyCorpus, **options: Any) -> Dense:
    backend = Dense(**options)
    backend.open(Resources(cache_dir=tmp_path, roles={"encoder": encoder}))  # type: ignore[dict-item]
    backend.start_task(TaskView("task", corpus))
    return backend


def rankings(backend: Dense, queries: Sequence[str], k: int) -> list[Ranking]:
    calls = [Call(Key(str(i)), Rank(query, k, "tiny")) for i, query in enumerate(queries)]
    outputs = [output for batch in backend.batches(calls) for output in backend.run(batch)]
    assert [output.key.sample_id for output in outputs] == [str(i) for i in range(len(queries))]
    assert all(output.timing is not None for output in outputs)
    return [output.answer for output in outputs if isinstance(output.answer, Ranking)]


def brute_force(documents: Mapping[str, str], queries: Sequence[str], k: int) -> list[list[tuple[str, float]]]:
    encoder = HashedWords()
    vectors = encoder.encode(list(documents.values()), purpose="document").astype(np.float64)
    found = []
    for query in encoder.encode(queries, purpose="query").astype(np.float64):
        scores = [(name, float(np.float32(sum(query * vector)))) for name, vector in zip(documents, vectors)]
        found.append(sorted(sorted(scores, reverse=True), key=lambda pair: -pair[1])[:k])
    return found


@pytest.mark.parametrize("k", [1, 7, 50, 300, 1000])
def test_equals_brute_force_ties_included(tmp_path: Path, k: int) -> None:
    documents, queries = texts(300), list(texts(30, seed=1).values())
    found = rankings(opened(tmp_path, HashedWords(), TinyCorpus(documents)), queries, k)
    for ranking, expected in zip(found, brute_force(documents, queries, k), strict=True):
        assert ranking.documents == tuple(name for name, _ in expected)
        assert ranking.scores == pytest.approx([score for _, score in expected], rel=1e-6)


def test_scores_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    documents, queries = texts(300), list(texts(70, seed=1).values())
    one, many = (
        rankings(opened(tmp_path, HashedWords(), TinyCorpus(documents), batch_size=size), queries, 20) for size in (1, 64)
    )
    assert one == many


def test_queries_are_encoded_together_and_documents_once(tmp_path: Path) -> None:
    encoder, corpus = HashedWords(), TinyCorpus(texts(30))
    backend = opened(tmp_path, encoder, corpus, batch_size=4)
    backend.start_task(TaskView("second", corpus))
    rankings(backend, ["cat"] * 10, 3)
    assert encoder.seen == [("document", 30), ("query", 4), ("query", 4), ("query", 2)]


def test_embeddings_are_kept_under_the_encoders_signature(tmp_path: Path) -> None:
    documents = texts(30)
    first, second, other = HashedWords(), HashedWords(), HashedWords(version=2)
    expected = rankings(opened(tmp_path, first, TinyCorpus(documents)), ["cat park"], 5)
    assert rankings(opened(tmp_path, second, TinyCorpus(documents)), ["cat park"], 5) == expected
    assert second.seen == [("query", 1)]
    opened(tmp_path, other, TinyCorpus(documents))
    opened(tmp_path, second, TinyCorpus(texts(20), "another corpus"))
    assert other.seen == [("document", 30)]
    assert second.seen == [("query", 1), ("document", 20)]
    assert sorted(path.suffix for path in (tmp_path / "embeddings").iterdir()) == [".npy"] * 3


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    opened(tmp_path, HashedWords(), TinyCorpus(texts(30)))
    (path,) = (tmp_path / "embeddings").iterdir()
    path.write_bytes(path.read_bytes()[:200])
    encoder = HashedWords()
    opened(tmp_path, encoder, TinyCorpus(texts(30)))
    assert encoder.seen == [("document", 30)]


def test_a_file_with_another_number_of_vectors_is_made_again(tmp_path: Path) -> None:
    opened(tmp_path, HashedWords(), TinyCorpus(texts(30)))
    encoder = HashedWords()
    backend = opened(tmp_path, encoder, TinyCorpus(texts(31)))
    assert encoder.seen == [("document", 31)]
    assert len(rankings(backend, ["cat"], 100)[0].documents) == 31


def test_nothing_is_kept_of_an_encoder_without_fixed_answers(tmp_path: Path) -> None:
    encoder = HashedWords()
    encoder.cacheable = "never"
    backend = opened(tmp_path, encoder, TinyCorpus(texts(30)))
    assert backend.cacheable == "never"
    assert Dense.cacheable == "always"
    assert not (tmp_path / "embeddings").exists()


def test_what_it_cannot_answer_is_an_error_of_that_call(tmp_path: Path) -> None:
    backend = opened(tmp_path, HashedWords(), TinyCorpus({"a": "cat"}))
    outputs = list(backend.run([
        Call(Key("x"), Generate("hello")), Call(Key("y"), Rank("cat", 1, "elsewhere")), Call(Key("z"), Rank("cat", 1, "tiny")),
    ]))
    assert [output.error for output in outputs] == [
        "dense answers Rank only, not Generate", "dense: the corpus 'elsewhere' is not the one that is indexed", None,
    ]


def test_roles(tmp_path: Path) -> None:
    assert Dense(encoder="passages").needs_roles() == {"passages": Embed}
    with pytest.raises(BackendError, match="the role 'encoder' must be a model that embeds texts"):
        Dense().open(Resources(cache_dir=tmp_path))


def test_signature_contains_the_encoders(tmp_path: Path) -> None:
    signature = opened(tmp_path, HashedWords(version=7), TinyCorpus({"a": "cat"})).signature()
    assert signature["encoder"] == {"backend": "hashed_words", "version": 7}


def test_vectors_that_are_not_finite(tmp_path: Path) -> None:
    class Broken(HashedWords):
        def encode(self, texts: Sequence[str], *, purpose: str = "symmetric") -> np.ndarray:
            return np.full((len(texts), 2), np.nan)

    with pytest.raises(BackendError, match="not finite"):
        opened(tmp_path, Broken(), TinyCorpus({"a": "cat"}))


def test_bad_option() -> None:
    with pytest.raises(ConfigError, match="batch_size must be a positive integer, got 0"):
        Dense(batch_size=0)


class Stop(Exception):
    """What a run that is to stop raises at a checkpoint."""


def test_a_stop_while_the_corpus_is_embedded_costs_one_chunk(tmp_path: Path) -> None:
    corpus, encoder, checks = TinyCorpus(texts(1100)), HashedWords(), iter([None, None, Stop])

    def checkpoint() -> None:
        stop = next(checks)
        if stop is not None:
            raise stop

    stopped = Dense()
    stopped.open(Resources(tmp_path, {"encoder": encoder}, checkpoint=checkpoint))  # type: ignore[dict-item]
    with pytest.raises(Stop):
        stopped.start_task(TaskView("task", corpus))
    assert encoder.seen == [("document", 512), ("document", 512)]
    again = HashedWords()
    resumed = opened(tmp_path, again, corpus)
    assert again.seen == [("document", 76)]
    whole = opened(tmp_path / "other", HashedWords(), corpus)
    assert rankings(resumed, ["cat dog", "rain"], 20) == rankings(whole, ["cat dog", "rain"], 20)
    assert [path.suffix for path in (tmp_path / "embeddings").iterdir()] == [".npy"]
