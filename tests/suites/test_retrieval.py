"""The suite ``retrieval``: the query's template, the corpus it names, the cut at k."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.data.collection import Collection
from harness.data.dataset import Dataset
from harness.errors import ConfigError, DataError
from harness.suites.retrieval import Retrieval
from harness.types import Answer, Label, Rank, Ranking, Sample, Text
from tests.suites.playing import answer, ask, data_set, first

FOUND = Ranking(("d3", "d1", "d2"), (2.5, 1.0, 0.5))


@pytest.fixture
def manual(tmp_path: Path) -> Dataset:
    """Two documents, one query with its judgement."""
    documents = [{"_id": "d1", "text": "rinse the filter"}, {"_id": "d2", "text": "open the door"}]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in documents))
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "dirty filter", "topic": "care"}\n')
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    return Dataset(Collection(tmp_path / "queries.jsonl", tmp_path / "corpus.jsonl", tmp_path / "qrels.tsv"))


def test_it_asks_for_k_documents_of_the_tasks_corpus(manual: Dataset) -> None:
    corpus = manual.corpus()
    assert corpus is not None
    assert corpus.fingerprint
    assert ask(Retrieval().prepare(manual), first(manual)) == Rank("dirty filter", 100, corpus.fingerprint)
    asked = ask(Retrieval("{{ topic }}: {{ text }}", k=3).prepare(manual), first(manual))
    assert asked == Rank("care: dirty filter", 3, corpus.fingerprint)


def test_a_task_without_a_corpus_can_still_be_replayed(tmp_path: Path) -> None:
    data = data_set(tmp_path, [{"id": "q1", "text": "dirty filter"}], {"qrels": {"d1": 1}})
    assert ask(Retrieval().prepare(data), first(data)) == Rank("dirty filter", 100, "")


@pytest.mark.parametrize(("k", "kept"), [
    (1, Ranking(("d3",), (2.5,))), (2, Ranking(("d3", "d1"), (2.5, 1.0))), (3, FOUND), (9, FOUND),
])  # fmt: skip
def test_rankings_are_cut_at_k(manual: Dataset, k: int, kept: Ranking) -> None:
    assert answer(Retrieval(k=k).prepare(manual), first(manual), FOUND) == kept


def test_an_empty_ranking_is_an_answer(manual: Dataset) -> None:
    assert answer(Retrieval().prepare(manual), first(manual), Ranking((), ())) == Ranking((), ())


@pytest.mark.parametrize(("given", "kind"), [(Text("d1"), "text"), (Label("d1"), "label")])
def test_anything_but_a_ranking_is_refused(manual: Dataset, given: Answer, kind: str) -> None:
    with pytest.raises(TypeError, match=rf"^retrieval expects a ranking, got {kind}$"):
        answer(Retrieval().prepare(manual), first(manual), given)


def test_a_field_that_is_not_there_names_the_query() -> None:
    with pytest.raises(DataError, match=r"^sample 'q1': query: no field 'txt'; .* did you mean 'text'\?$"):
        ask(Retrieval("{{ txt }}"), Sample("q1", {"text": "dirty filter"}))


@pytest.mark.parametrize("k", [0, -5])
def test_k_is_positive(k: int) -> None:
    with pytest.raises(ConfigError, match=rf"^k must be a positive integer, got {k}$"):
        Retrieval(k=k)


def test_what_it_needs_and_gives() -> None:
    assert Retrieval().needs() == {Rank}
    assert Retrieval().gives() == {"ranking", "timing"}
