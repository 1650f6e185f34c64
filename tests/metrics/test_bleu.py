"""BLEU by hand, its tokenisers against chains of substitutions, and what the statistics promise."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import plugins
from harness.errors import MetricError
from harness.metrics.bleu import Bleu, bleu
from harness.metrics.mteval import bleu_tokens
from harness.types import Key, Output, Sample, Text


def test_by_hand():
    # shared: 5 of 6 words (one "the" too many), 3 of 5 bigrams (not "on the", "the mat"), 2 of 4 trigrams, 1 of 3
    expected = 100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25
    assert bleu(["the cat sat on the mat"], ["the cat sat on a mat"]) == pytest.approx(expected, abs=1e-12)


def test_brevity_penalty_by_hand():
    assert bleu(["a b c d"], ["a b c d e f"]) == pytest.approx(100 * math.exp(1 - 6 / 4), abs=1e-12)


def test_exponential_smoothing_by_hand():
    # matches 2 of 3, 0 of 2, 0 of 1 -> 1/2 of 1 and then 1/4 of 1
    expected = 100 * (2 / 3 * (1 / 2) / 2 * (1 / 4) / 1) ** (1 / 3)
    assert bleu(["a b c"], ["a x c"], max_order=3) == pytest.approx(expected, abs=1e-12)


def test_closest_reference_length_is_the_shorter_of_two_equally_close():
    metric = Bleu(tokenize="none")
    stats = metric.over(["a b c"], [["a b c d", "a b"]]).stats
    assert dict(zip(metric.columns, stats[0].tolist())) == {
        "match_1": 3, "match_2": 2, "match_3": 1, "match_4": 0, "total_1": 3, "total_2": 2, "total_3": 1, "total_4": 0,
        "hyp_len": 3, "ref_len": 2, "n": 1}


@pytest.mark.parametrize(("predictions", "references", "value"), [
    ([""], ["a"], 0.0), (["a"], [""], 0.0), ([""], [""], 0.0), (["x y z w"], ["a b c d"], 0.0),
])
def test_no_match_is_zero(predictions, references, value):
    assert bleu(predictions, references) == value


def test_all_the_same_is_at_most_a_hundred():
    assert [bleu([text], [text]) for text in ("a b c d e", "x y z w v u", "Häuser am See, 3.5!")] == [100.0] * 3


def test_no_rows_is_nan():
    assert math.isnan(bleu([], []))
    assert np.isnan(Bleu().aggregate(np.zeros((0, 11)), np.ones((2, 0)))).all()


def chain_13a(line: str) -> list[str]:
    """mteval-v13a, one substitution after the other."""
    line = line.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")):
        line = line.replace(entity, character)
    line = re.sub(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])", r" \1 ", f" {line} ")
    line = re.sub(r"([^0-9])([\.,])", r"\1 \2 ", line)
    line = re.sub(r"([\.,])([^0-9])", r" \1 \2", line)
    return re.sub(r"([0-9])(-)", r"\1 \2 ", line).split()


def regroup(texts, tokenizer):
    tokens = bleu_tokens(texts, tokenizer)
    ends = np.cumsum(tokens.lengths)
    return [tokens.ids[end - length:end].tolist() for end, length in zip(ends.tolist(), tokens.lengths.tolist())]


def same_partition(ids, words):
    """Equal tokens have equal ids and different ones different ids, and every text has as many."""
    flat_ids, flat_words = [i for text in ids for i in text], [w for text in words for w in text]
    pairs = set(zip(flat_ids, flat_words))
    return ([len(t) for t in ids] == [len(t) for t in words]
            and len(pairs) == len(set(flat_ids)) == len(set(flat_words)))


pieces = ["1", "2", "a", "ß", ".", ",", ".", "-", " ", "\n", "\xa0", "\u3000", "\u200a", "\u200b", "\u2028", "\x85", "\x1f",
          "'", "&amp;", "&lt;", "lt;", "<skipped>", "<ski", "pped>", "/", "!", "中", "\ud800", "\r"]
tricky = st.lists(st.sampled_from(pieces), max_size=14).map("".join)


@given(st.lists(tricky, min_size=1, max_size=5))
def test_13a_is_the_chain(texts):
    assert same_partition(regroup(texts, "13a"), [chain_13a(text) for text in texts])


def test_white_space_is_what_python_says_it_is():
    """Every code point between two letters, those that look like a space in UTF-8 among them."""
    texts = [f"a{chr(code)}b" for code in range(0x20000)]
    assert bleu_tokens(texts, "none").lengths.tolist() == [len(text.split()) for text in texts]


def test_references_that_rows_share_are_counted_for_each():
    texts = ["the cat sat", "a cat, it sat", "dogs", "the dog barked", "the cat", "a cat"]
    references = [["the cat sat", "a cat sat"], ["the cat sat", "a cat sat"], ["a dog"], ["the dog"],
                  ["the cat sat", "a cat sat"], ["the cat sat"]]
    metric = Bleu(tokenize="none", max_order=2)
    alone = [metric.over([text], [item]).stats[0].tolist() for text, item in zip(texts, references)]
    assert metric.over(texts, references).stats.tolist() == alone
    assert alone[0] == [3, 2, 3, 2, 3, 3, 1]
    assert metric.over(texts[::-1], references[::-1]).stats.tolist() == alone[::-1]


def test_tokeniser_follows_the_language_unless_given():
    assert Bleu().for_language("zh-Hant").tokenizer == "zh"
    assert Bleu().for_language("ja").tokenizer == "char"
    assert Bleu().for_language("de").signature() == Bleu().signature() == Bleu(tokenize="13a").signature()
    assert Bleu(tokenize="intl").for_language("zh").tokenizer == "intl"


def test_tokenisers_by_example():
    def count(text, tokenizer):
        return len(regroup([text], tokenizer)[0])

    text = "Es kostet 1.234,50 Euro – 3-mal."
    assert count(text, "none") == 6
    assert count(text, "13a") == 9       # Es kostet 1.234,50 Euro – 3 - mal .
    assert count(text, "intl") == 9      # the same: a dash beside a letter and a stop at the end stand alone
    assert count("in 1999.", "intl") == 2  # the stop at the end of a line stays with its number
    assert count("in 1999.", "13a") == 3
    assert count("我 爱 it.", "char") == 5
    assert count("我爱it.", "zh") == 4


@pytest.mark.parametrize("size", [1, 7, 300])
def test_chunks_add_up(size):
    texts = ["the cat, the 3.5 mats", "", "a dog-house!", "the the the cat"] * 100
    references = [("the cat 3.5 mats", "cat"), ("x",), ("a dog house!",), ("the cat",)] * 100
    samples = [Sample(str(i), references=item) for i, item in enumerate(references)]
    outputs = [Output(Key(str(i)), Text(text)) for i, text in enumerate(texts)]
    whole = Bleu().score(samples, outputs).stats
    parts = [Bleu().score(samples[i:i + size], outputs[i:i + size]).stats for i in range(0, len(samples), size)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_a_missing_row_leaves_the_others_alone():
    samples = [Sample("a", references=("x y",)), Sample("b"), Sample("c", references=("p q",))]
    outputs = [Output(Key(name), Text(text)) for name, text in (("a", "x y"), ("b", "x"), ("c", "p z"))]
    scores = Bleu(max_order=1).score(samples, outputs)
    assert dict(scores.missing) == {1: "no references"}
    assert scores.stats[[0, 2], 0].tolist() == [2.0, 1.0]


def test_an_unanswered_sample_has_no_worst_row():
    assert Bleu().extremes(Sample("a", references=("x",))) is None


@pytest.mark.parametrize("metric", [
    Bleu(), Bleu(2, "intl", "add-k", 0.5, True, True), Bleu(smooth="none"), Bleu(tokenize="zh")])
def test_spec_parses_back(metric):
    again = plugins.metric(metric.spec)
    assert again == metric
    assert again.columns == metric.columns


def test_signature_names_every_parameter():
    assert Bleu().signature() == ("bleu(effective_order=false,lowercase=false,max_order=4,smooth=exp,smooth_value=none,"
                                  "tokenize=13a)#v1")


@pytest.mark.parametrize(("spec", "message"), [
    ("bleu(max_order=0)", "bleu: max_order must be a positive integer, got 0"),
    ("bleu(tokenize=14a)", "bleu: tokenize must be one of auto, 13a, intl, zh, char, none, got '14a'"),
    ("bleu(smooth_value=0.5)", "bleu: smooth_value must be none with smooth=exp, got 0.5"),
    ("bleu(smooth=floor,smooth_value=2)", "bleu: smooth_value must be above 0 and at most 1, got 2.0"),
    ("bleu(smooth=add-k,smooth_value=-1)", "bleu: smooth_value must be at least 0 and finite, got -1.0"),
])
def test_bad_parameters(spec, message):
    with pytest.raises(MetricError, match=re.escape(message)):
        plugins.metric(spec)
