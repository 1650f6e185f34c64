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


segment = st.lists(st.integers(0, 3), max_size=9)


@given(st.lists(st.tuples(segment, st.lists(segment, min_size=1, max_size=3)), min_size=1, max_size=5), st.integers(1, 5))
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
    keys, positions = ngrams._sorted_together(np.array([huge, 1, huge, 0]), np.arange(4))
    assert (keys.tolist(), positions.tolist()) == ([0, 1, huge, huge], [3, 1, 0, 2])


@pytest.mark.parametrize(("lengths", "totals"), [([0, 1, 5], [[0, 0, 0], [1, 0, 0], [5, 4, 3]])])
def test_totals(lengths, totals):
    assert ngrams.ngram_totals(np.array(lengths), 3).tolist() == totals
