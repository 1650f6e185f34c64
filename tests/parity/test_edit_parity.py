"""Edit measures against jiwer and rapidfuzz, on German news and on made text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.metrics.edit import CharacterErrorRate, WordErrorRate, cer, edit_similarity, levenshtein, wer

jiwer = pytest.importorskip("jiwer")
distance = pytest.importorskip("rapidfuzz.distance")


@pytest.fixture(scope="module")
def news(shared_data):
    def lines(name):
        return shared_data(f"wmt17_ende/{name}").read_bytes().decode("utf-8").split("\n")[:800]

    return lines("newstest2017.online-A.0.en-de.txt"), lines("reference.de.txt")


def assert_equal_to_jiwer(predictions, references):
    words, characters = jiwer.process_words(references, predictions), jiwer.process_characters(references, predictions)
    for metric, theirs in ((WordErrorRate(), words), (CharacterErrorRate(), characters)):
        measured = metric.over(predictions, references)
        counts = measured.stats.sum(axis=0)
        assert counts[:3].tolist() == [theirs.substitutions, theirs.deletions, theirs.insertions]
        assert counts[3] == theirs.hits + theirs.substitutions + theirs.deletions
    assert wer(predictions, references) == pytest.approx(words.wer, abs=1e-12)
    assert cer(predictions, references) == pytest.approx(characters.cer, abs=1e-12)


def test_error_rates_on_real_text(news):
    assert_equal_to_jiwer(*news)


def test_best_of_several_references_on_real_text(news, shared_data):
    predictions, references = news
    others = shared_data("wmt17_ende/newstest2017.KIT.4950.en-de.txt").read_bytes().decode("utf-8").split("\n")[:800]
    rows = WordErrorRate().over(predictions, [list(pair) for pair in zip(references, others)]).per_item
    single = [[jiwer.wer(reference, prediction) for prediction, reference in zip(predictions, side)]
              for side in (references, others)]
    assert rows.tolist() == pytest.approx(np.minimum(*map(np.array, single)).tolist(), abs=1e-12)


def test_distances_on_real_text(news):
    predictions, references = news
    pairs = list(zip(predictions, references))
    theirs = [distance.Levenshtein.distance(a, b) for a, b in pairs]
    assert levenshtein(predictions, references) == pytest.approx(np.mean(theirs), abs=1e-9)
    similar = [distance.Levenshtein.normalized_similarity(a.split(), b.split()) for a, b in pairs]
    assert edit_similarity(predictions, references, level="word") == pytest.approx(np.mean(similar), abs=1e-12)


word = st.sampled_from(["a", "b", "the", "Über", "日本", "🙂", "e\u0301", "x.", "-"])
made = st.lists(word, min_size=1, max_size=8).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(made | st.just(""), made), min_size=1, max_size=4))
def test_error_rates_on_made_text(pairs):
    predictions, references = [list(side) for side in zip(*pairs)]
    assert_equal_to_jiwer(predictions, references)


def test_references_without_words_are_left_out_where_jiwer_counts_their_insertions():
    predictions, references = ["a b", "c"], ["", "c"]
    assert jiwer.wer(references, predictions) == 2.0
    assert wer(predictions, references) == 0.0


def table(text, other):
    """The distance by its recurrence."""
    rows = [[i + j for j in range(len(other) + 1)] for i in range(len(text) + 1)]
    for i in range(1, len(text) + 1):
        for j in range(1, len(other) + 1):
            rows[i][j] = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (text[i - 1] != other[j - 1]))
    return rows[-1][-1]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=8), st.lists(st.text(max_size=8), min_size=1, max_size=3))
def test_distance_written_out(text, references):
    distances = [table(text, other) for other in references]
    assert levenshtein([text], [references]) == min(distances)
    similar = [1 - d / max(len(text), len(other), 1) for d, other in zip(distances, references)]
    assert edit_similarity([text], [references]) == pytest.approx(max(similar))
