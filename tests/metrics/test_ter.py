"""ter: hand-worked edits and shifts, normalisation, several references, empty texts, the limits of the search."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness import plugins
from harness.metrics.ter import Ter, ter
from harness.types import Key, Output, Sample, Text


@pytest.mark.parametrize(("prediction", "reference", "edits", "length"), [
    ("a b c d", "a b c d", 0, 4),
    ("a b c d", "a x c d", 1, 4),                    # one replaced
    ("a b d", "a b c d", 1, 4),                      # one inserted
    ("a b c c d", "a b c d", 1, 4),                  # one deleted
    ("d a b c", "a b c d", 1, 4),                    # one word shifted; without shifts it would be 2
    ("c d e a b", "a b c d e", 1, 5),                # a block shifted
    ("e d c b a", "a b c d e", 4, 5),                # four shifts, or four replaced
    ("A B", "a b", 0, 2),
    ("", "a b", 2, 2),
    ("a b", "", 2, 0),
    ("", "", 0, 0),
    ("a", "b", 1, 1),
])
def test_edits_by_hand(prediction, reference, edits, length):
    assert Ter().over([prediction], [reference]).stats.tolist() == [[edits, length, 1.0]]


def test_a_block_of_ten_words_is_one_shift_and_of_eleven_two():
    ten, eleven = ([f"w{n}" for n in range(size)] for size in (10, 11))
    for block, edits in ((ten, 1), (eleven, 2)):
        rest = [f"r{n}" for n in range(30)]
        assert Ter().over([" ".join(rest + block)], [" ".join(block + rest)]).stats[0, 0] == edits


def test_words_move_at_most_fifty_places():
    for places, edits in ((50, 1), (51, 2)):
        rest = [f"r{n}" for n in range(places)]
        assert Ter().over([" ".join([*rest, "w"])], [" ".join(["w", *rest])]).stats[0, 0] == edits


def test_corpus_rate_and_rows():
    measured = Ter().over(["a b", "c"], ["a x", "c d e f g h"])  # 1 of 2, 5 of 6
    assert measured.per_item.tolist() == [50.0, pytest.approx(500 / 6)]
    assert measured.value == 75.0


def test_fewest_edits_and_mean_length_of_several_references():
    assert Ter().over(["a b c"], [["x y z w", "a b", "a b c d"]]).stats.tolist() == [[1.0, 10 / 3, 1.0]]


@pytest.mark.parametrize(("prediction", "reference", "value"), [("", "", 0.0), ("a", "", 100.0), ("", "a", 100.0)])
def test_conventions_for_empty_texts(prediction, reference, value):
    assert ter([prediction], [reference]) == value


def test_nothing_to_score_is_nan():
    assert math.isnan(ter([], []))
    assert np.isnan(Ter().aggregate(np.empty((0, 3)), np.empty((2, 0)))).all()


@pytest.mark.parametrize(("options", "prediction", "edits"), [
    ({}, "Well, yes.", 2),                            # both words differ
    ({"normalized": True}, "Well, yes.", 2),          # two marks too many
    ({"no_punct": True}, "Well, yes.", 0),
    ({"no_punct": True, "case": True}, "Well, yes.", 1),
    ({"normalized": True}, "well&amp;yes", 1),        # "&" stands alone
    ({}, "well&amp;yes", 2),
    ({"normalized": True}, "we\n-ll yes", 0),
])
def test_parameters(options, prediction, edits):
    assert Ter(**options).over([prediction], ["well yes"]).stats[0, 0] == edits


def test_rows_without_references_are_missing():
    samples = [Sample("1", references=("a",)), Sample("2")]
    scores = Ter().score(samples, [Output(Key("1"), Text("a")), Output(Key("2"), Text("b"))])
    assert dict(scores.missing) == {1: "no references"}
    assert scores.stats[0].tolist() == [0.0, 1.0, 1.0]


def test_chinese_is_warned_about():
    assert "white space" in Ter().for_language("zh-Hant").warnings()[0]
    assert Ter(normalized=True, asian=True).for_language("zh").warnings() == ()
    assert Ter().for_language("de").warnings() == ()


def test_spec_parses_back():
    assert plugins.metric("ter(normalized=true,case=true)") == Ter(normalized=True, case=True)
    assert Ter().signature() == "ter(asian=false,case=false,no_punct=false,normalized=false)#v1"


def test_very_long_texts_end_and_need_no_table_as_wide_as_the_longest_for_all():
    """Three words from the front have to go to the end, farther than a shift goes: three deletions and three insertions."""
    words = [str(n % 7) for n in range(2000)]
    predictions, references = ["a b"] * 500 + [" ".join(words)], ["b a"] * 500 + [" ".join(words[3:] + words[:3])]
    assert Ter().over(predictions, references).stats[:, 0].tolist() == [1.0] * 500 + [6.0]
