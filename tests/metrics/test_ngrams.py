"""The n-gram counter against a slow twin made of Counters."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics import ngrams
from harness.metrics.tokenize import Tokens


def twin(predictions, references, max_order):
    """Clipped matches as Papineni et al. define them, one n-gram at a time."""
    def grams(tokens, n):
        return Counter(tuple(tokens[i:i + n]) for i in range(len(tokens) - n + 1))

    rows = []
    for prediction, several in zip(predictions, references):
        row = []
        for n in range(1, max_order + 1):
            most = Counter()
            for reference in several:
                most |= grams(reference, n)
            row.append(sum((grams(prediction, n) & most).values()))
        rows.append(row)
    return rows


def as_tokens(segments):
    ids = np.array([token for segment in segments for token in segment], dtype=np.int64)
    return Tokens(ids, np.array([len(segment) for segment in segments], dtype=np.int64))


few, many = st.integers(0, 3), st.sampled_from([0, 1, 2, 1 << 20, (1 << 20) + 1, (1 << 21) - 2])  # many: keys of two words
segment = st.one_of(st.lists(few, max_size=9), st.lists(many, max_size=9))
references = st.one_of(st.lists(segment, min_size=1, max_size=1), st.lists(segment, min_size=1, max_size=3))


@given(st.lists(st.tuples(segment, references), min_size=1, max_size=5), st.integers(1, 5))
def test_equals_the_twin(items, max_order):
    predictions, references = [list(column) for column in zip(*items)]
    tokens = as_tokens([*predictions, *(text for several in references for text in several)])
    n = len(predictions)
    rows = np.concatenate([np.arange(n), np.repeat(np.arange(n), [len(several) for several in references])])
    assert ngrams.clipped_matches(tokens, rows, n, max_order).tolist() == twin(predictions, references, max_order)


def test_numbers_too_large_for_one_word_are_sorted_as_well():
    huge = 1 << 61
    predictions, references = [[huge, 5, huge, 5]], [[[5, huge, 5, 7]]]
    tokens = as_tokens([predictions[0], references[0][0]])
    assert ngrams.clipped_matches(tokens, np.array([0, 0]), 1, 1).tolist() == [[3.0]]
    keys, positions = ngrams.sorted_together(np.array([huge, 1, huge, 0]), np.arange(4))
    assert (keys.tolist(), positions.tolist()) == ([0, 1, huge, huge], [3, 1, 0, 2])


@given(st.lists(st.tuples(st.lists(few, max_size=9), st.lists(few, max_size=9)), min_size=1, max_size=6), st.integers(1, 6))
def test_one_reference_a_row_equals_the_twin(items, max_order):
    predictions, references = [list(column) for column in zip(*items)]
    tokens, rows = as_tokens([*predictions, *references]), np.tile(np.arange(len(items)), 2)
    expected = twin(predictions, [[text] for text in references], max_order)
    assert ngrams.clipped_matches(tokens, rows, len(items), max_order).tolist() == expected
    assert ngrams._row_matches(tokens, rows, len(items), max_order).tolist() == expected


@pytest.mark.parametrize("highest", [2, 3, 6, 7, 30, 31])
def test_numbers_up_to_the_edge_of_a_field(highest):
    """What follows the end of a text must never look like a token, the lowest and the highest one included."""
    predictions = [[0, highest], [highest], [0], [0, highest], [0]]
    references = [[0, highest], [0, 0], [highest, highest], [0], [0, highest]]
    tokens, rows = as_tokens([*predictions, *references]), np.tile(np.arange(5), 2)
    expected = [[2, 1, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0], [1, 0, 0]]
    assert ngrams.clipped_matches(tokens, rows, 5, 3).tolist() == expected


@given(st.lists(st.lists(few, max_size=7), min_size=2, max_size=6), st.integers(1, 5), st.randoms())
def test_among_others_equals_the_twin(texts, max_order, random):
    chosen = sorted(random.sample(range(len(texts)), random.randint(2, len(texts))))
    expected = twin([texts[i] for i in chosen], [[texts[j] for j in chosen if j != i] for i in chosen], max_order)
    assert ngrams.shared_ngrams(as_tokens(texts), max_order).matches(np.array(chosen)).tolist() == expected


@pytest.mark.parametrize(("lengths", "totals"), [([0, 1, 5], [[0, 0, 0], [1, 0, 0], [5, 4, 3]])])
def test_totals(lengths, totals):
    assert ngrams.ngram_totals(np.array(lengths), 3).tolist() == totals
