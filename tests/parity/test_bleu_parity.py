"""BLEU and chrF of every WMT17 system, sentence BLEU, NLTK's BLEU and self-BLEU against sacrebleu 2.6 and nltk 3.10."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.metrics.bleu import Bleu
from harness.metrics.chrf import Chrf
from harness.metrics.nltkbleu import NltkBleu, nltk_bleu
from harness.metrics.selfbleu import SelfBleu, self_bleu
from harness.metrics.sentencebleu import SentenceBleu

sacrebleu = pytest.importorskip("sacrebleu")
nltk_bleu_score = pytest.importorskip("nltk.translate.bleu_score")

SYSTEMS = ["C-3MA.4959", "KIT.4950", "LIUM-NMT.4900", "LMU-nmt-reranked.4934", "SYSTRAN.4847", "online-A.0", "online-F.0",
           "uedin-nmt.4722"]


def lines(path):
    return path.read_bytes().decode("utf-8").split("\n")[:-1]


@pytest.fixture(scope="module")
def wmt17(shared_data):
    reference = lines(shared_data("wmt17_ende/reference.de.txt"))
    return {system: lines(shared_data(f"wmt17_ende/newstest2017.{system}.en-de.txt")) for system in SYSTEMS}, reference


def rows_of(theirs, predictions, references):
    rows = np.array(theirs._extract_corpus_statistics(predictions, references), dtype=float)
    return np.column_stack([rows[:, 2:], rows[:, :2]]) if isinstance(theirs, sacrebleu.BLEU) else rows


# ── against sacrebleu ───────────────────────────────────────────────────────────────────────────────────────────────


def test_all_systems_at_once(wmt17):
    """Rows in which every reference comes eight times: the statistics of each row, the value of each system."""
    systems, reference = {name: outputs[::6] for name, outputs in wmt17[0].items()}, wmt17[1][::6]
    predictions, references = [line for system in SYSTEMS for line in systems[system]], reference * len(SYSTEMS)
    metric = Bleu()
    stats = metric.over(predictions, references).stats
    assert np.array_equal(stats[:, :-1], rows_of(sacrebleu.BLEU(), predictions, [references]))
    for i, system in enumerate(SYSTEMS):
        value = metric.finish(stats[i * len(reference):(i + 1) * len(reference)].sum(axis=0))
        assert value == pytest.approx(sacrebleu.BLEU().corpus_score(systems[system], [reference]).score, abs=1e-9)


@pytest.mark.parametrize("word_order", [0, 2])
def test_chrf_of_every_system(wmt17, word_order):
    systems, reference = wmt17
    every = slice(None, None, 20)  # other segments for each system
    predictions = [line for i, system in enumerate(SYSTEMS) for line in systems[system][i:][every]]
    references = [line for i in range(len(SYSTEMS)) for line in reference[i:][every]]
    theirs = sacrebleu.CHRF(word_order=word_order)
    measured = Chrf(word_order=word_order).over(predictions, references)
    assert np.array_equal(measured.stats[:, :-1], rows_of(theirs, predictions, [references]))
    assert measured.value == pytest.approx(theirs.corpus_score(predictions, [references]).score, abs=1e-9)


SENTENCE_SETTINGS = [{}, {"smooth": "floor"}, {"smooth": "add-k", "tokenize": "intl"}, {"smooth": "none", "lowercase": True},
                     {"tokenize": "char"}, {"max_order": 2}]


def their_sentences(predictions, references, options):
    names = {"smooth": "smooth_method", "max_order": "max_ngram_order"}
    theirs = sacrebleu.BLEU(effective_order=True, **{names.get(key, key): value for key, value in options.items()})
    return [theirs.sentence_score(prediction, item).score for prediction, item in zip(predictions, references)]


@pytest.mark.parametrize("options", SENTENCE_SETTINGS, ids=str)
def test_sentence_bleu_on_real_text(wmt17, options):
    systems, reference = wmt17
    predictions = [systems[SYSTEMS[i % 8]][i] for i in range(600)]
    references = [[line, systems["KIT.4950"][i]][:1 + i % 2] for i, line in enumerate(reference[:600])]
    expected = their_sentences(predictions, references, options)
    measured = SentenceBleu(**options).over(predictions, references)
    assert measured.per_item.tolist() == pytest.approx(expected, abs=1e-9)
    assert measured.value == pytest.approx(float(np.mean(expected)), abs=1e-9)


word = st.sampled_from(["a", "A", "the", "cat", "2.5", "1,000", ".", ",", "-", "3-4", "ß", "é", "e\u0301", "日本", "“x”", "𝔘",
                        "🙂", "&amp;", "\u2009", "\u200b", "\xa0", "\t", "\n", "\r", "\x00", "\x1c", "\x85"])
made_text = st.one_of(st.lists(word, max_size=9).map(" ".join), st.lists(word, max_size=6).map("".join), st.text(max_size=10))
corpus = st.lists(st.tuples(made_text, st.lists(made_text, min_size=1, max_size=3)), min_size=1, max_size=4)
some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@some
@given(corpus, st.sampled_from(SENTENCE_SETTINGS))
def test_sentence_bleu_on_made_text(items, options):
    predictions, references = [list(column) for column in zip(*items)]
    measured = SentenceBleu(**options).over(predictions, references)
    assert measured.per_item.tolist() == pytest.approx(their_sentences(predictions, references, options), abs=1e-9)


# ── against nltk ────────────────────────────────────────────────────────────────────────────────────────────────────


def their_nltk(predictions, references, smoothing, max_order):
    """nltk's corpus BLEU of these lists of tokens; NaN where it raises."""
    method = getattr(nltk_bleu_score.SmoothingFunction(), f"method{smoothing}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # method 0 warns of orders without a match
        try:
            return nltk_bleu_score.corpus_bleu(references, predictions, (1 / max_order,) * max_order, method)
        except AssertionError:
            return math.nan


def assert_equal_to_nltk(predictions, references, smoothing, max_order):
    measured = NltkBleu(smoothing, max_order).over(predictions, references)
    tokens = [text.split() for text in predictions], [[text.split() for text in item] for item in references]
    single = [their_nltk([prediction], [item], smoothing, max_order) for prediction, item in zip(*tokens)]
    assert measured.per_item.tolist() == pytest.approx(single, abs=1e-12, rel=1e-9, nan_ok=True)
    if smoothing < 5:
        assert measured.value == pytest.approx(their_nltk(*tokens, smoothing, max_order), abs=1e-12, rel=1e-9)


@pytest.mark.parametrize("max_order", [3, 4, 6])
@pytest.mark.parametrize("smoothing", range(8))
def test_nltk_bleu_on_real_text(wmt17, smoothing, max_order):
    systems, reference = wmt17
    predictions = [systems[SYSTEMS[i % 8]][i] for i in range(100)]
    references = [[line, systems["KIT.4950"][i]][:1 + i % 2] for i, line in enumerate(reference[:100])]
    assert_equal_to_nltk(predictions, references, smoothing, max_order)


few_words = st.lists(st.sampled_from(["a", "b", "c", "ß", "e\u0301", "🙂", "\xa0", "\u200b"]), max_size=9).map(" ".join)


@some
@given(st.lists(st.tuples(few_words, st.lists(few_words, min_size=1, max_size=3)), min_size=1, max_size=4), st.integers(0, 7),
       st.integers(3, 5))
def test_nltk_bleu_on_made_text(items, smoothing, max_order):
    predictions, references = [list(column) for column in zip(*items)]
    assert_equal_to_nltk(predictions, references, smoothing, max_order)


def test_methods_5_to_7_of_a_corpus_do_not_depend_on_the_order_of_its_segments():
    """NLTK takes the 5-grams (5, 7) and the number of n-grams (6) from the last segment; here they are summed."""
    predictions = ["a b c d e f g", "a b c x d e"]
    references = ["a b c d e f h", "a b c y d e"]
    p = [11 / 13, 8 / 11, 5 / 9, 3 / 7, 2 / 5]  # both together, up to 5-grams
    averaged = [p[0] + 1]
    for i in range(4):
        averaged.append((averaged[-1] + p[i] + p[i + 1]) / 3)
    third = (5 + 5 * p[1]**2 / p[0]) / (9 + 5)
    fourth = (3 + 5 * third**2 / p[1]) / (7 + 5)
    expected = {5: math.prod(averaged[1:])**0.25, 6: (p[0] * p[1] * third * fourth)**0.25, 7: math.prod(averaged[1:])**0.25}
    for smoothing in (5, 6, 7):
        theirs = [their_nltk([text.split() for text in predictions[::step]], [[text.split()] for text in references[::step]],
                             smoothing, 4) for step in (1, -1)]
        ours = [nltk_bleu(predictions[::step], references[::step], smoothing=smoothing) for step in (1, -1)]
        assert ours == pytest.approx([expected[smoothing]] * 2, rel=1e-12)
        assert abs(theirs[0] - theirs[1]) > 1e-3


def their_self_bleu(texts, smoothing, max_order):
    tokens = [text.split() for text in texts]
    method = getattr(nltk_bleu_score.SmoothingFunction(), f"method{smoothing}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weights = (1 / max_order,) * max_order
        return float(np.mean([nltk_bleu_score.sentence_bleu(tokens[:i] + tokens[i + 1:], text, weights, method)
                              for i, text in enumerate(tokens)]))


@pytest.mark.parametrize("smoothing", [0, 1, 2, 3, 4, 5, 7])
def test_self_bleu_on_real_text(wmt17, smoothing):
    texts = [line for system in SYSTEMS for line in wmt17[0][system][:12]]
    assert self_bleu(texts, smoothing=smoothing) == pytest.approx(their_self_bleu(texts, smoothing, 4), abs=1e-9)


def test_self_bleu_of_another_tokenisation(wmt17):
    texts = wmt17[0]["KIT.4950"][:60]
    tokenised = [sacrebleu.BLEU().tokenizer(text) for text in texts]
    assert self_bleu(texts, tokenize="13a", max_order=3) == pytest.approx(their_self_bleu(tokenised, 1, 3), abs=1e-9)


@some
@given(st.lists(few_words, min_size=2, max_size=6), st.sampled_from([0, 1, 3, 4, 5]), st.integers(1, 5))
def test_self_bleu_on_made_text(texts, smoothing, max_order):
    value = SelfBleu(max_order, smoothing).over(texts)
    assert value == pytest.approx(their_self_bleu(texts, smoothing, max_order), abs=1e-12)
