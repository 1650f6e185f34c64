"""Text metrics against sacrebleu 2.6, rouge-score 0.1.2 and the numbers in SOURCES.md, on real and on made input."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.metrics.bleu import Bleu, bleu
from harness.metrics.chrf import Chrf, chrf
from harness.metrics.rouge import Rouge
from harness.metrics.text import exact_match, token_f1

sacrebleu = pytest.importorskip("sacrebleu")
rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer")

# mteval-v13a -c (printed in sacrebleu's sources); chrF2 and chrF2++ of sacrebleu: SOURCES.md, wmt17_ende
WMT17 = {
    "C-3MA.4959": (22.67, 51.9533, 49.1698), "KIT.4950": (26.08, 55.7629, 52.9893),
    "LIUM-NMT.4900": (26.60, 55.9284, 53.2356), "LMU-nmt-reranked.4934": (27.11, 56.3908, 53.5793),
    "SYSTRAN.4847": (26.71, 55.5758, 52.8984), "online-A.0": (20.80, 52.0023, 49.0469),
    "online-F.0": (15.45, 49.2588, 45.7129), "uedin-nmt.4722": (28.30, 57.7227, 55.0097),
}
# official SQuAD v1.1 normalisation on the 1,190 questions of XQuAD: SOURCES.md, squad_xquad_en
SQUAD = {"bert_ensemble": (1190, 74.87, 86.32), "rnet_plus": (1190, 72.77, 83.41), "logreg": (1188, 34.60, 45.93)}


def lines(path):
    return path.read_bytes().decode("utf-8").split("\n")[:-1]


@pytest.fixture(scope="module")
def wmt17(shared_data):
    reference = lines(shared_data("wmt17_ende/reference.de.txt"))

    def load(system):
        return lines(shared_data(f"wmt17_ende/newstest2017.{system}.en-de.txt")), reference

    return load


@pytest.mark.parametrize("system", WMT17)
def test_wmt17_published_values(wmt17, system):
    predictions, references = wmt17(system)
    ours = (round(bleu(predictions, references), 2), round(chrf(predictions, references), 4),
            round(chrf(predictions, references, word_order=2), 4))
    assert ours == WMT17[system]


def test_wmt17_international_tokenisation(wmt17):
    assert round(bleu(*wmt17("LIUM-NMT.4900"), tokenize="intl"), 2) == 26.89  # mteval-v14 --international-tokenization


@pytest.mark.parametrize("system", SQUAD)
def test_squad_em_and_f1(shared_data, system):
    articles = json.loads(shared_data("squad_xquad_en/xquad.en.json").read_text("utf-8"))["data"]
    answers = json.loads(shared_data(f"squad_xquad_en/squad1.1_dev_predictions_{system}.json").read_text("utf-8"))
    questions = [question for article in articles for paragraph in article["paragraphs"] for question in paragraph["qas"]
                 if question["id"] in answers]
    predictions = [answers[question["id"]] for question in questions]
    references = [[answer["text"] for answer in question["answers"]] for question in questions]
    em, f1 = exact_match(predictions, references), token_f1(predictions, references)
    assert (len(questions), round(100 * em, 2), round(100 * f1, 2)) == SQUAD[system]


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


# ── against rouge-score ─────────────────────────────────────────────────────────────────────────────────────────────

KINDS = ["1", "2", "3", "9", "L", "Lsum"]
_SCORERS = {stemmer: rouge_scorer.RougeScorer([f"rouge{kind}" for kind in KINDS], use_stemmer=stemmer)
            for stemmer in (False, True)}


def assert_equal_to_rouge_score(predictions, references, stemmer):
    theirs = [_SCORERS[stemmer].score_multi(item, prediction) for prediction, item in zip(predictions, references)]
    for kind in KINDS:
        expected = np.array([list(scores[f"rouge{kind}"]) for scores in theirs])
        measured = Rouge(kind, stemmer).over(predictions, references)
        assert measured.stats[:, :3] == pytest.approx(expected, abs=1e-12)
        assert measured.value == pytest.approx(expected[:, 2].mean(), abs=1e-9)
        assert Rouge(kind, stemmer, "r").over(predictions, references).value == pytest.approx(expected[:, 1].mean(), abs=1e-9)


@pytest.mark.parametrize("stemmer", [False, True])
def test_rouge_on_summaries(shared_data, stemmer):
    rows = json.loads(shared_data("qags/qags_cnndm.json").read_text("utf-8"))[:120]
    predictions = [row["system_output"].replace(". ", ".\n") for row in rows]
    references = [[row["reference"].replace(". ", ".\n")] for row in rows]
    references[::3] = [[*item, rows[i]["source"][:300]] for i, item in enumerate(references[::3])]
    assert_equal_to_rouge_score(predictions, references, stemmer)


def test_rouge_on_german(wmt17):
    predictions, reference = wmt17("KIT.4950")
    others = wmt17("SYSTRAN.4847")[0]
    assert_equal_to_rouge_score(predictions[:200], [list(pair) for pair in zip(reference, others)][:200], False)


few_words = st.lists(st.sampled_from(["a", "b", "c", "d", "ties", "tied", "Über", "\u212a", "\n", "\n", "\n\n", "-", "2x",
                                      "generously"]), max_size=14).map(" ".join)


@thorough
@given(st.lists(st.tuples(few_words | made_text, st.lists(few_words | made_text, min_size=1, max_size=3)),
                min_size=1, max_size=3), st.booleans())
def test_rouge_on_made_text(items, stemmer):
    predictions, references = [list(column) for column in zip(*items)]
    assert_equal_to_rouge_score(predictions, references, stemmer)
