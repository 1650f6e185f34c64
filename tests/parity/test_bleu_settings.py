"""BLEU and chrF in every setting against sacrebleu 2.6, on real and on made input, with several references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.metrics.bleu import Bleu, bleu
from harness.metrics.chrf import Chrf

sacrebleu = pytest.importorskip("sacrebleu")


def lines(path):
    return path.read_bytes().decode("utf-8").split("\n")[:-1]


@pytest.fixture(scope="module")
def wmt17(shared_data):
    reference = lines(shared_data("wmt17_ende/reference.de.txt"))

    def load(system):
        return lines(shared_data(f"wmt17_ende/newstest2017.{system}.en-de.txt")), reference

    return load


def test_wmt17_international_tokenisation(wmt17):
    assert round(bleu(*wmt17("LIUM-NMT.4900"), tokenize="intl"), 2) == 26.89  # mteval-v14 --international-tokenization


# ── against sacrebleu ───────────────────────────────────────────────────────────────────────────────────────────────

BLEU_SETTINGS = [
    {}, {"tokenize": "intl"}, {"tokenize": "zh"}, {"tokenize": "char"}, {"tokenize": "none"}, {"lowercase": True},
    {"max_order": 2}, {"max_order": 6}, {"smooth": "none"}, {"smooth": "floor"}, {"smooth": "floor", "smooth_value": 0.5},
    {"smooth": "add-k"}, {"smooth": "add-k", "smooth_value": 0.3}, {"effective_order": True},
    {"effective_order": True, "smooth": "add-k"}, {"effective_order": True, "smooth": "none"},
    {"effective_order": True, "smooth": "floor"},
]
CHRF_SETTINGS = [{}, {"word_order": 2}, {"beta": 3}, {"lowercase": True}, {"whitespace": True}, {"eps_smoothing": True},
                 {"char_order": 3, "word_order": 1, "whitespace": True, "eps_smoothing": True}]


def their_bleu(options):
    names = {"smooth": "smooth_method", "max_order": "max_ngram_order"}
    return sacrebleu.BLEU(**{names.get(key, key): value for key, value in options.items()})


def transposed(references):
    """sacrebleu's order: a list a reference set, None where an item has fewer."""
    width = max(map(len, references))
    return [[item[i] if i < len(item) else None for item in references] for i in range(width)]


def assert_equal_to_sacrebleu(ours, theirs, predictions, references):
    """The same statistics row by row, the same value of each row, and the same value of the corpus."""
    measured = ours.over(predictions, references)
    rows = np.array(theirs._extract_corpus_statistics(predictions, transposed(references)), dtype=float)
    if isinstance(ours, Bleu):
        rows = np.column_stack([rows[:, 2:], rows[:, :2]])
    assert np.array_equal(measured.stats[:, :-1], rows)
    assert measured.value == pytest.approx(theirs.corpus_score(predictions, transposed(references)).score, abs=1e-9, rel=1e-12)
    single = [theirs._compute_score_from_stats(list(row)).score
              for row in theirs._extract_corpus_statistics(predictions, transposed(references))]
    assert measured.per_item.tolist() == pytest.approx(single, abs=1e-9, rel=1e-12)


@pytest.mark.parametrize("options", BLEU_SETTINGS, ids=str)
def test_bleu_on_real_text_with_three_references(wmt17, options):
    predictions, reference = wmt17("online-A.0")
    others, third = wmt17("SYSTRAN.4847")[0], wmt17("KIT.4950")[0]
    references = [[a, b, c][:1 + i % 3] for i, (a, b, c) in enumerate(zip(reference, others, third))]
    assert_equal_to_sacrebleu(Bleu(**options), their_bleu(options), predictions[:600], references[:600])


@pytest.mark.parametrize("options", CHRF_SETTINGS, ids=str)
def test_chrf_on_real_text_with_three_references(wmt17, options):
    predictions, reference = wmt17("online-A.0")
    others, third = wmt17("SYSTRAN.4847")[0], wmt17("KIT.4950")[0]
    references = [[a, b, c][:1 + i % 3] for i, (a, b, c) in enumerate(zip(reference, others, third))]
    assert_equal_to_sacrebleu(Chrf(**options), sacrebleu.CHRF(**options), predictions[:300], references[:300])


word = st.sampled_from(["a", "A", "the", "cat", "cats", "1", "2.5", "1,000", ".", ",", "..", "-", "3-4", "ß", "İ", "é", "日本",
                        "“x”", "$5", "(b)", "c!", "&amp;", "\u2009", "\xa0", "\t", "\n", "\r", "-\n", "🙂", "\u0301"])
made_text = st.one_of(st.lists(word, max_size=9).map(" ".join), st.lists(word, max_size=6).map("".join), st.text(max_size=12))
corpus = st.lists(st.tuples(made_text, st.lists(made_text, min_size=1, max_size=3)), min_size=1, max_size=4)
thorough = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@thorough
@given(corpus, st.sampled_from(BLEU_SETTINGS))
def test_bleu_on_made_text(items, options):
    predictions, references = [list(column) for column in zip(*items)]
    assert_equal_to_sacrebleu(Bleu(**options), their_bleu(options), predictions, references)


@thorough
@given(corpus, st.sampled_from(CHRF_SETTINGS))
def test_chrf_on_made_text(items, options):
    predictions, references = [list(column) for column in zip(*items)]
    assert_equal_to_sacrebleu(Chrf(**options), sacrebleu.CHRF(**options), predictions, references)
