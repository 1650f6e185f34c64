"""The suite ``embedding``: the texts that are embedded, and the answers that it takes."""

from __future__ import annotations

import pytest

from harness.errors import ConfigError, DataError
from harness.suites.embedding import Embedding
from harness.types import Answer, Embed, Number, Ranking, Sample, Vectors
from tests.suites.playing import answer, ask

FIELDS = {"sentence1": "One.", "sentence2": "Two.", "text": "Three.", "anchor": "a", "positive": "p", "negative": "n"}
PAIR = Sample("p1", FIELDS)


@pytest.mark.parametrize(("suite", "texts"), [
    (Embedding(), ("One.", "Two.")),
    (Embedding("pairs", ("{{ text }}", "so: {{ sentence1 }}")), ("Three.", "so: One.")),
    (Embedding("texts"), ("Three.",)),
    (Embedding("triplets"), ("a", "p", "n")),
])  # fmt: skip
def test_the_texts_that_are_embedded(suite: Embedding, texts: tuple[str, ...]) -> None:
    assert ask(suite, PAIR) == Embed(texts, "symmetric")
    given = Vectors(tuple((1.0, float(i)) for i in range(len(texts))))
    assert answer(suite, PAIR, given) == given


def test_the_purpose_is_handed_on() -> None:
    assert ask(Embedding("texts", purpose="query"), PAIR) == Embed(("Three.",), "query")


def test_a_stored_similarity_is_an_answer_to_a_pair_only() -> None:
    assert answer(Embedding(), PAIR, Number(0.7)) == Number(0.7)
    with pytest.raises(TypeError, match=r"^embedding expects vectors, got number$"):
        answer(Embedding("texts"), PAIR, Number(0.7))


@pytest.mark.parametrize(("given", "error", "message"), [
    (Ranking(("d1",), (1.0,)), TypeError, "embedding expects vectors, got ranking"),
    (Vectors(((1.0,),)), ValueError, "1 vectors for 2 texts"),
])  # fmt: skip
def test_anything_else_is_refused(given: Answer, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        answer(Embedding(), PAIR, given)


def test_bad_keys() -> None:
    with pytest.raises(ConfigError, match="texts must be 2 for kind: pairs, got 1"):
        Embedding("pairs", ("{{ text }}",))
    with pytest.raises(ConfigError, match="kind must be one of pairs, texts, triplets, got 'pair'"):
        Embedding("pair")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"sample 'p1': texts\[1\]: no field 'body'"):
        ask(Embedding("pairs", ("{{ text }}", "{{ body }}")), PAIR)


def test_what_it_needs_and_gives() -> None:
    assert Embedding().needs() == {Embed}
    assert Embedding().gives() == {"vectors", "timing", "usage"}
