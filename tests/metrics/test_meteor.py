"""METEOR by hand: stages, chunks, several references, and what it says of WordNet."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from harness import plugins
from harness.errors import MetricError
from harness.metrics import meteor as module
from harness.metrics.meteor import Meteor, meteor
from harness.types import Key, Output, Sample, Text
from tests.metrics.wordnetfiles import write_wordnet


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_wordnet(tmp_path_factory.mktemp("wordnet") / "dict")


@pytest.fixture
def absent(monkeypatch):
    monkeypatch.setattr(module, "find_wordnet", lambda: None)


def test_by_hand():
    # the→the (the last one, position 4), sat, on, mat; then cats→cat by the stem: chunks (0,4) | (1,1)(2,2)(3,3) | (5,5)
    measured = Meteor(wordnet="off").over(["The cats sat on a mat"], ["the cat sat on the mat"])
    assert measured.stats[0].tolist() == pytest.approx([5 / 6 * (1 - 0.5 * (3 / 5) ** 3), 5, 3, 6, 6, 1])
    assert measured.value == measured.per_item[0]


def test_parameters_by_hand():
    # one match of 2 and 4 words: P = 1/2, R = 1/4
    value = meteor(["a x"], ["a b c d"], alpha=0.5, beta=1, gamma=0.2, wordnet="off")
    assert value == pytest.approx(0.125 / 0.375 * 0.8)
    assert meteor(["a x"], ["a b c d"], alpha=1, gamma=0, wordnet="off") == pytest.approx(0.25)  # R
    assert meteor(["a x"], ["a b c d"], alpha=0, gamma=0, wordnet="off") == pytest.approx(0.5)  # P


def test_words_that_are_there_twice_match_from_the_end():
    # b→3, then a→2 (not 0): one chunk
    assert Meteor(wordnet="off").over(["a b"], ["a x a b"]).stats[0, 1:3].tolist() == [2, 1]
    # the second a of the prediction takes the second of the reference, the first the first
    assert Meteor(wordnet="off").over(["a x a"], ["a y a z"]).stats[0, 1:3].tolist() == [2, 2]


def test_synonyms_by_hand(files):
    # track, chase and dog are in one synset
    metric = Meteor(wordnet=files)
    assert metric.over(["we track it"], ["we chase it"]).stats[0, 1:3].tolist() == [3, 1]
    assert Meteor(wordnet="off").over(["we track it"], ["we chase it"]).stats[0, 1:3].tolist() == [2, 2]
    # from the end: the second dog takes the last of its synonyms, the first the one before: one chunk
    assert metric.over(["dog dog"], ["chase track"]).stats[0, 1:3].tolist() == [2, 1]
    # what is looked up are stems: large has become larg, which is no word
    assert metric.over(["large"], ["big"]).stats[0, 1] == 0
    assert metric.over(["big"], ["immense"]).stats[0, 1] == 0


def test_the_best_reference_counts():
    assert meteor(["a b"], [["x", "a b", "a"]], wordnet="off") == 1 - 0.5 * (1 / 2) ** 3


@pytest.mark.parametrize(("prediction", "reference"), [("", "a"), ("a", ""), ("", ""), (" ", "\n"), ("a", "b")])
def test_nothing_in_common_is_zero(prediction, reference):
    assert meteor([prediction], [reference], wordnet="off") == 0.0


def test_words_are_what_white_space_of_any_kind_separates():
    spaces = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]
    lengths = Meteor(wordnet="off").over([f"a{space}b" for space in spaces], ["a\u200bb"] * len(spaces)).stats[:, 3:5]
    assert lengths.tolist() == [[2, 1]] * len(spaces)
    assert len(spaces) == 29


def test_no_rows_is_nan():
    assert math.isnan(meteor([], [], wordnet="off"))


def test_chunks_add_up():
    texts = ["the cats sat on a mat", "", "fishing boats", "the the the cat"] * 30
    references = [("the cat sat on the mat", "cat"), ("x",), ("a fished boat",), ("the cat the",)] * 30
    samples = [Sample(str(i), references=item) for i, item in enumerate(references)]
    outputs = [Output(Key(str(i)), Text(text)) for i, text in enumerate(texts)]
    metric = Meteor(wordnet="off")
    parts = [metric.score(samples[i:i + 7], outputs[i:i + 7]).stats for i in range(0, len(samples), 7)]
    assert np.array_equal(np.concatenate(parts), metric.score(samples, outputs).stats)


def test_off_where_it_is_not_installed_and_it_says_so(absent):
    metric = Meteor().prepare([])
    (warning,) = metric.warnings()
    assert warning.startswith("meteor: WordNet is not installed, no synonyms are matched: it is neither")
    assert metric.signature() == Meteor(wordnet="off").signature() == "meteor(alpha=0.9,beta=3,gamma=0.5,wordnet=off)#v1"
    assert Meteor(wordnet="off").warnings() == ()


def test_on_where_it_is_not_installed_is_an_error(absent):
    with pytest.raises(MetricError, match="meteor: wordnet must be installed, or off, or its path"):
        Meteor(wordnet="on").prepare([])
    with pytest.raises(MetricError, match="must be a folder or a zip"):
        Meteor(wordnet=Path("nowhere")).prepare([])


def test_the_signature_names_the_version_that_took_part(files, monkeypatch):
    monkeypatch.setattr(module, "find_wordnet", lambda: files)
    signatures = {Meteor(wordnet=given).signature() for given in ("auto", "on", files)}
    assert signatures == {"meteor(alpha=0.9,beta=3,gamma=0.5,wordnet=3.0)#v1"}
    assert Meteor().prepare([]).warnings() == ()


def test_spec(files):
    assert plugins.metric("meteor(wordnet=on)").wordnet == "on"
    assert Meteor(wordnet=False).wordnet == "off"
    assert plugins.metric(Meteor(wordnet=files).spec) == Meteor(wordnet=files)


@pytest.mark.parametrize(("spec", "message"), [
    ("meteor(alpha=1.5)", "meteor: alpha must be from 0 to 1, got 1.5"),
    ("meteor(beta=-1)", "meteor: beta must be at least 0 and finite, got -1"),
    ("meteor(gamma=2)", "meteor: gamma must be from 0 to 1, got 2")])
def test_bad_parameters(spec, message):
    with pytest.raises(MetricError, match=message):
        plugins.metric(spec)
