"""ROUGE against rouge-score 0.1.2, its stemmer against nltk, S, SU and W against slow twins; on real and on made texts."""

from __future__ import annotations

import itertools
import json
import re
import sys
import unicodedata
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.metrics import lcs
from harness.metrics.rouge import Rouge, rouge_scores
from harness.metrics.rougetokens import rouge_tokens
from harness.metrics.selfrouge import self_rouge
from harness.metrics.stemming import porter_stems

rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer")
porter = pytest.importorskip("nltk.stem.porter")

KINDS = ["1", "2", "3", "9", "L", "Lsum"]
SCORERS = {stemmer: rouge_scorer.RougeScorer([f"rouge{kind}" for kind in KINDS], use_stemmer=stemmer)
           for stemmer in (False, True)}
thorough = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def lines(path):
    return path.read_bytes().decode("utf-8").split("\n")[:-1]


@pytest.fixture(scope="module")
def wmt17(shared_data):
    return {name: lines(shared_data(f"wmt17_ende/{name}.txt")) for name in (
        "reference.de", "newstest2017.KIT.4950.en-de", "newstest2017.SYSTRAN.4847.en-de")}


def assert_equal_to_rouge_score(predictions, references, stemmer):
    theirs = [SCORERS[stemmer].score_multi(item, prediction) for prediction, item in zip(predictions, references)]
    together = rouge_scores(predictions, references, KINDS, stemmer=stemmer)
    for kind in KINDS:
        expected = np.array([list(scores[f"rouge{kind}"]) for scores in theirs])
        assert np.array_equal(together[kind].stats[:, :3], expected), kind
        assert np.array_equal(Rouge(kind, stemmer).over(predictions, references).stats, together[kind].stats), kind
        assert together[kind].value == pytest.approx(expected[:, 2].mean(), abs=1e-12)


@pytest.mark.parametrize("stemmer", [False, True])
@pytest.mark.parametrize("break_", [" ", "\n"])
def test_joined_lines_of_real_text(wmt17, break_, stemmer):
    reference, kit, systran = (list(column) for column in wmt17.values())
    groups = [slice(i, i + 3) for i in range(0, 600, 3)]
    predictions = [break_.join(kit[group]) for group in groups]
    references = [[break_.join(reference[group]), break_.join(systran[group])][:1 + i % 2] for i, group in enumerate(groups)]
    assert_equal_to_rouge_score(predictions, references, stemmer)


def test_lines_of_more_words_than_a_machine_word_has_bits(wmt17):
    reference, kit, _ = wmt17.values()
    predictions = ["\n".join([" ".join(kit[i:i + 5]), kit[i + 5]]) for i in range(0, 120, 6)]
    references = [["\n".join([reference[i], " ".join(reference[i + 1:i + 6])])] for i in range(0, 120, 6)]
    assert max(len(line.split()) for [text] in references for line in text.split("\n")) > 100
    assert_equal_to_rouge_score(predictions, references, False)


def test_summaries_in_blocks(shared_data, monkeypatch):
    rows = json.loads(shared_data("qags/qags_cnndm.json").read_text("utf-8"))[:60]
    predictions = [row["system_output"].replace(". ", ".\n") for row in rows]
    references = [[row["reference"].replace(". ", ".\n"), row["source"][:300]] for row in rows]
    monkeypatch.setattr("harness.metrics.blocks._CHARACTERS", 3000)
    monkeypatch.setattr(lcs, "_CELLS", 5000)
    assert_equal_to_rouge_score(predictions, references, True)


few_words = st.lists(st.sampled_from(["a", "b", "c", "d", "ties", "tied", "Über", "\u212a", "\u0130s", "\n", "\n", "\n\n", "-",
                                      "2x", "generously", "日本", "\ud800", "\r"]), max_size=14).map(" ".join)
made_text = few_words | st.text(max_size=12) | st.lists(st.sampled_from("ab\n"), max_size=90).map(" ".join)
pairs = st.lists(st.tuples(made_text, st.lists(made_text, min_size=1, max_size=3)), min_size=1, max_size=4)


@thorough
@given(pairs, st.booleans())
def test_made_texts(items, stemmer):
    predictions, references = [list(column) for column in zip(*items)]
    assert_equal_to_rouge_score(predictions, references, stemmer)


def test_every_character_is_lowered_as_in_a_string():
    texts = [f"{chr(code)}x" for code in range(sys.maxunicode + 1) if re.search("[a-z0-9]", chr(code).lower())]
    assert len(texts) == 64  # a–z, A–Z, 0–9, the Kelvin sign, the dotted capital I
    found = rouge_tokens(texts, "ascii").words.lengths.tolist()
    assert found == [len(re.findall("[a-z0-9]+", text.lower())) for text in texts]
    everything = [chr(code) for code in range(sys.maxunicode + 1)]
    assert rouge_tokens(everything, "ascii").words.lengths.sum() == 64


@thorough
@given(st.lists(st.text(max_size=12), max_size=4))
def test_words_of_any_script(texts):
    slow = ["".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text.lower()).split(" ") for text in texts]
    slow = [[word for word in text if word] for text in slow]
    words = rouge_tokens(texts, "unicode").words
    assert words.lengths.tolist() == [len(text) for text in slow]
    together = dict(zip(words.ids.tolist(), itertools.chain.from_iterable(slow)))
    assert [together[word] for word in words.ids.tolist()] == list(itertools.chain.from_iterable(slow))


# ── stems ───────────────────────────────────────────────────────────────────────────────────────────────────────────

SUFFIXES = ("s es ed ing ies ied eed sses y ational tional enci anci izer bli abli alli entli eli ousli ization ation ator "
            "alism iveness fulness ousness aliti iviti biliti fulli logi icate ative alize iciti ical ful ness al ance ence "
            "er ic able ible ant ement ment ent ion ou ism ate iti ous ive ize e ll at bl iz *d dd tt aa 11 yy ally logy")
IRREGULAR = ("sky skies dying lying tying news innings inning outings outing cannings canning howe proceed exceed "
             "succeed")


def assert_equal_stems(words):
    stemmer = porter.PorterStemmer()
    expected = [stemmer.stem(word) for word in words]
    assert [pair for pair in zip(words, porter_stems(words), expected) if pair[1] != pair[2]] == []
    longer = [stem if len(word) > 3 else word for word, stem in zip(words, expected)]
    assert porter_stems(words, longer_than=3) == longer


@pytest.mark.parametrize("name", ["wmt17_ende/reference.de.txt", "wikitext2/test.txt", "cranfield/cran.all.1400.xml"])
def test_stems_of_a_real_vocabulary(shared_data, name):
    text = shared_data(name).read_text("utf-8").lower()
    assert_equal_stems(sorted({*text.split(), *re.findall("[a-z0-9]+", text)}))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.text("abcdelstyyoiuz1é*", max_size=5), st.lists(st.sampled_from(SUFFIXES.split()), max_size=3)),
                max_size=20))
def test_stems_of_made_words(made):
    assert_equal_stems(["".join([stem, *suffixes]) for stem, suffixes in made])


@thorough
@given(st.lists(st.text(max_size=10).map(str.lower), max_size=5))
def test_stems_of_any_text(words):
    assert_equal_stems([*IRREGULAR.split(), *words])


# ── S, SU and W by slow twins ───────────────────────────────────────────────────────────────────────────────────────


def slow_skip(words, skip, unigrams):
    reach = len(words) if skip is None else skip + 1
    grams = Counter((a, b) for i, a in enumerate(words) for b in words[i + 1:i + reach + 1])
    return grams + Counter(words) if unigrams else grams


def slow_weighted(x, y, weight):
    """The table of Lin 2004, section 4, cell by cell."""
    worth, run = Counter(), Counter()
    for i, a in enumerate(x, 1):
        for j, b in enumerate(y, 1):
            if a == b:
                k = run[i - 1, j - 1]
                worth[i, j], run[i, j] = worth[i - 1, j - 1] + (k + 1) ** weight - k ** weight, k + 1
            else:
                worth[i, j] = max(worth[i - 1, j], worth[i, j - 1])
    return worth[len(x), len(y)]


def assert_equal_to_twins(predictions, references, skip, weight):
    words = [[re.findall("[a-z0-9]+", text.lower()) for text in side] for side in (predictions, references)]
    for kind in ("S", "SU"):
        found = Rouge(kind, skip=skip).over(predictions, references).stats[:, 3:6]
        grams = [[slow_skip(text, skip, kind == "SU") for text in side] for side in words]
        slow = [[(mine & theirs).total(), mine.total(), theirs.total()] for mine, theirs in zip(*grams)]
        assert found.tolist() == slow
    measured = Rouge("W", weight=weight).over(predictions, references)
    slow = [slow_weighted(mine, theirs, weight) for mine, theirs in zip(*words)]
    assert measured.stats[:, 3].tolist() == pytest.approx(slow, abs=1e-9)
    for row, mine, theirs, worth in zip(measured.stats, *words, slow):
        share = [(worth / len(side) ** weight) ** (1 / weight) if side else 0 for side in (mine, theirs)]
        assert row[:3].tolist() == pytest.approx([*share, 2 * share[0] * share[1] / sum(share) if sum(share) else 0], abs=1e-12)


@pytest.mark.parametrize("skip", [None, 4])
def test_twins_on_real_text(wmt17, skip, monkeypatch):
    monkeypatch.setattr("harness.metrics.rougeskip._AT_ONCE", 20_000)
    reference, kit, _ = wmt17.values()
    assert_equal_to_twins(kit[:150], reference[:150], skip, 1.2)


@thorough
@given(st.lists(st.tuples(few_words, few_words), min_size=1, max_size=4), st.sampled_from([None, 0, 1, 3]),
       st.sampled_from([1.0, 1.2, 2.0]))
def test_twins_on_made_texts(items, skip, weight):
    predictions, references = [[text.replace("\u212a", "k").replace("\u0130", "i") for text in side] for side in zip(*items)]
    assert_equal_to_twins(predictions, references, skip, weight)


# ── self-ROUGE ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["1", "2", "3", "L"])
@pytest.mark.parametrize("stemmer", [False, True])
def test_self_rouge_is_the_mean_over_pairs(shared_data, kind, stemmer):
    rows = json.loads(shared_data("qags/qags_cnndm.json").read_text("utf-8"))[:24]
    assert_mean_over_pairs([*(row["system_output"] for row in rows), "", "a a a b", "a a c"], kind, stemmer)


@thorough
@given(st.lists(few_words, min_size=2, max_size=6), st.sampled_from(["1", "2", "9", "L"]))
def test_self_rouge_of_made_texts(texts, kind):
    assert_mean_over_pairs(texts, kind, False)


def assert_mean_over_pairs(texts, kind, stemmer):
    scorer = rouge_scorer.RougeScorer([f"rouge{kind}"], use_stemmer=stemmer)
    theirs = [scorer.score(a, b)[f"rouge{kind}"].fmeasure for a, b in itertools.combinations(texts, 2)]
    if not any(scorer.score(text, text)[f"rouge{kind}"].fmeasure for text in texts):
        assert np.mean(theirs) == 0.0
        assert np.isnan(self_rouge(texts, type=kind, stemmer=stemmer))  # there is nothing to compare
        return
    assert self_rouge(texts, type=kind, stemmer=stemmer) == pytest.approx(np.mean(theirs), abs=1e-12)
