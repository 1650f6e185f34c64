"""length_ratio, compression, coverage, density, novel_ngrams: hand-worked, the paper's algorithm written out, sources."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import plugins
from harness.errors import MetricError
from harness.metrics.extractive import (
    Compression,
    Coverage,
    Density,
    LengthRatio,
    NovelNgrams,
    compression,
    coverage,
    density,
    fragments,
    length_ratio,
    novel_ngrams,
)
from harness.types import Key, Output, Sample, Text

SOURCE = "The cat sat on the mat. The dog, a big one, sat on the sofa."
SUMMARY = "A dog sat on the mat today"
"""Fragments: a | dog | sat on the mat; "today" is in none. 7 words, 14 in the source."""


def test_by_hand():
    assert coverage([SUMMARY], [SOURCE]) == pytest.approx(6 / 7)
    assert density([SUMMARY], [SOURCE]) == pytest.approx((1 + 1 + 16) / 7)
    assert compression([SUMMARY], [SOURCE]) == pytest.approx(15 / 7)
    assert novel_ngrams([SUMMARY], [SOURCE], n=1) == pytest.approx(1 / 7)
    assert novel_ngrams([SUMMARY], [SOURCE], n=2) == pytest.approx(3 / 6)     # a dog, dog sat, mat today
    assert novel_ngrams([SUMMARY], [SOURCE], n=3) == pytest.approx(3 / 5)     # sat on the, on the mat are there
    assert novel_ngrams(["mat mat mat cat"], [SOURCE], n=2) == 1.0            # each occurrence counts


def test_means_over_texts():
    assert coverage(["a b", "a x x x"], ["a b", "a"]) == pytest.approx((1 + 1 / 4) / 2)
    assert Coverage().over(["a x"], ["a"]).stats.tolist() == [[.5, 1, 2, 1]]
    assert Density().over(["a b x"], ["a b"]).stats.tolist() == [[4 / 3, 4, 3, 1]]
    assert Compression().over(["a"], [["a b", "c"]]).stats.tolist() == [[3, 3, 1, 1]]
    assert NovelNgrams(1).over(["a x"], ["a"]).stats.tolist() == [[.5, 1, 2, 1]]


def test_no_fragment_goes_across_two_contexts():
    assert density(["a b"], [["a", "b"]]) == 1.0
    assert density(["a b"], ["a b"]) == 2.0
    assert novel_ngrams(["a b"], [["a", "b"]], n=2) == 1.0


def written_out(text, source):
    """Figure 2 of Grusky et al. 2018: the place in the source jumps behind each match."""
    found, i = [], 0
    while i < len(text):
        longest, j = 0, 0
        while j < len(source):
            if text[i] == source[j]:
                k = 0
                while i + k < len(text) and j + k < len(source) and text[i + k] == source[j + k]:
                    k += 1
                longest, j = max(longest, k), j + k
            else:
                j += 1
        if longest:
            found.append(longest)
        i += max(longest, 1)
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=14), st.lists(st.integers(0, 3), max_size=25))
def test_fragments_written_out(text, source):
    assert fragments(text, [source]) == written_out(text, source)


def test_the_greedy_jump_of_the_paper_is_kept():
    """"a a b" stands in "a a a b", but the search has passed its first word when it would begin."""
    assert fragments([0, 0, 1], [[0, 0, 0, 1]]) == [2, 1]


def test_long_sources_do_not_blow_up():
    source = list(range(1000)) * 100
    assert fragments(list(range(500, 700)), [source]) == [200]
    assert fragments([5] * 300, [[5] * 20_000]) == [300]


def test_length_ratio():
    assert length_ratio(["a b c", "a"], ["a b", "a b"]) == 1.0
    assert LengthRatio().over(["a b c"], [["a", "a b c d", "a b"]]).stats.tolist() == [[3, 2]]    # 2 and 4 are as near
    assert LengthRatio().over(["", "a"], ["a b", ["", "a b"]]).value == .25
    assert math.isnan(length_ratio(["a"], [""]))


def test_where_the_source_is():
    samples = [Sample("1", contexts=("a b",), input={"source": "x"}), Sample("2", input={"document": "a b"}),
               Sample("3", input={"article": 3, "question": "a"}), Sample("4", contexts=("a",)), Sample("5", references=("a",))]
    outputs = [Output(Key(sample.id), Text("a b c")) for sample in samples]
    outputs[3] = Output(Key("4"), Text("…"))
    scores = Coverage().score(samples, outputs)
    assert [scores.stats[row, 1] for row in (0, 1)] == [2, 2]
    nothing = "no source: the sample has no contexts, and no text in an input field source, document or article"
    assert dict(scores.missing) == {2: nothing, 3: "the text has no word", 4: nothing}
    assert dict(LengthRatio().score(samples[4:], outputs[4:]).missing) == {}
    assert NovelNgrams(4).score(samples[:1], outputs[:1]).missing == {0: "the text has fewer than 4 words"}


def test_words_of_other_languages():
    assert coverage(["Öl über"], ["ol ber"], tokenize="unicode") == 0.0
    assert Density().for_language("zh").over(["我爱猫"], ["他说我爱狗"]).value == pytest.approx(4 / 3)


def test_directions_specs_and_parameters():
    for metric in (LengthRatio(), Compression(), Coverage(tokenize="zh"), Density(), NovelNgrams(3)):
        assert plugins.metric(metric.spec) == metric
        assert metric.higher_is_better is None
        assert metric.extremes(Sample("1", contexts=("a",), references=("a",))) is None
    with pytest.raises(MetricError, match="novel_ngrams: n must be a positive integer, got 0"):
        NovelNgrams(0)
    with pytest.raises(MetricError, match="coverage: tokenize must be one of ascii, unicode"):
        Coverage(tokenize="x")
    assert math.isnan(coverage([], []))
