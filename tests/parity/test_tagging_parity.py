"""Entities against seqeval: every scheme, both modes, every average; WNUT-17 against its published figures."""

from __future__ import annotations

import math
import random
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.conll import read_conll
from harness.metrics.surfaceforms import surface_f1
from harness.metrics.tagging import ner_f1, ner_precision, ner_recall, token_accuracy
from harness.plugins import metric
from harness.types import Key, Output, Sample, Tags

seqeval = pytest.importorskip("seqeval.metrics")
schemes = pytest.importorskip("seqeval.scheme")

PAIRS = {ner_f1: seqeval.f1_score, ner_precision: seqeval.precision_score, ner_recall: seqeval.recall_score}
SCHEMES = {"BIO": (schemes.IOB2, "BIO"), "IOB1": (schemes.IOB1, "BIO"), "IOE1": (schemes.IOE1, "IOE"),
           "IOE2": (schemes.IOE2, "IOE"), "BIOES": (schemes.IOBES, "BIOES"), "BILOU": (schemes.BILOU, "BILOU")}
# Precision, recall, F1 and surface F1 of the shared task, in percent.
WNUT17 = {"uh_ritual": (57.54, 32.90, 41.86, 40.24), "spinningbytes.txt": (47.09, 35.96, 40.78, 39.33),
          "arcada": (47.40, 34.57, 39.98, 37.77), "drexel_cci": (50.39, 17.79, 26.30, 25.26)}


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # seqeval warns of zeros and of prefixes that are not its own
        yield


def assert_equal(true, predicted, scheme):
    for mode in ("default", "strict"):
        options = {} if mode == "default" else {"mode": "strict", "scheme": SCHEMES[scheme][0]}
        for average in ("micro", "macro", "weighted"):
            for ours, theirs in PAIRS.items():
                mine = ours(true, predicted, scheme=scheme, mode=mode, average=average)
                peer = theirs(true, predicted, average=average, **options)
                # What is undefined is NaN with us and 0 (or NaN) with seqeval.
                assert (math.isnan(mine) and not peer > 0) or mine == pytest.approx(peer, abs=1e-12), (mode, average)


def tag_sets(scheme):
    return st.sampled_from(["O", *(f"{p}-{t}" for p in SCHEMES[scheme][1] if p != "O" for t in ("a", "b", "c-d"))])


@st.composite
def sentences(draw, scheme):
    pair = st.lists(st.tuples(tag_sets(scheme), st.one_of(st.none(), tag_sets(scheme))), max_size=8)
    drawn = draw(st.lists(pair, min_size=1, max_size=4))
    return [[t for t, _ in s] for s in drawn], [[t if p is None else p for t, p in s] for s in drawn]


@pytest.mark.parametrize("scheme", SCHEMES)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_every_scheme_mode_and_average(scheme, data):
    true, predicted = data.draw(sentences(scheme))
    assert_equal(true, predicted, scheme)
    if any(true):
        assert token_accuracy(true, predicted) == pytest.approx(seqeval.accuracy_score(true, predicted), abs=1e-12)


def wnut17(shared_data, system):
    gold = [row for _, row in read_conll(shared_data("wnut17/emerging.test.annotated"))]
    tags = [row["tags"] for _, row in read_conll(shared_data(f"wnut17/submissions/{system}"))]
    return [row["tokens"] for row in gold], [row["tags"] for row in gold], tags


@pytest.mark.parametrize("system", WNUT17)
def test_wnut17_to_the_printed_digit(shared_data, system):
    words, true, predicted = wnut17(shared_data, system)
    values = [f(true, predicted) for f in (ner_precision, ner_recall, ner_f1)] + [surface_f1(words, true, predicted)]
    assert tuple(round(100 * value, 2) for value in values) == WNUT17[system]


@pytest.mark.parametrize("system", ["spinningbytes.txt"])
def test_wnut17_equals_seqeval_by_type(shared_data, system):
    _, true, predicted = wnut17(shared_data, system)
    assert_equal(true, predicted, "BIO")
    samples = [Sample(str(i), target=tags) for i, tags in enumerate(true)]
    scores = metric("ner_f1").score(samples, [Output(Key(str(i)), Tags(tuple(tags))) for i, tags in enumerate(predicted)])
    theirs = seqeval.classification_report(true, predicted, output_dict=True)
    for name, precision, recall, f1, *_, true_entities in scores.bound.tables(scores.stats)["types"].rows:
        row = theirs[name]
        assert (precision, recall, f1) == pytest.approx((row["precision"], row["recall"], row["f1-score"]), abs=1e-12)
        assert true_entities == row["support"]


def test_wnut17_in_other_schemes_is_the_same(shared_data):
    """The same entities, written as BIOES and BILOU."""
    true, predicted = (side[:300] for side in wnut17(shared_data, "arcada")[1:])
    plain = ner_f1(true, predicted)
    for scheme, last, single in (("BIOES", "E", "S"), ("BILOU", "L", "U")):
        rewritten = [[rewrite(tags, last, single) for tags in side] for side in (true, predicted)]
        assert ner_f1(*rewritten, scheme=scheme, mode="strict") == pytest.approx(plain, abs=1e-12)
        assert_equal(*rewritten, scheme)


def rewrite(tags, last, single):
    out = []
    for i, tag in enumerate(tags):
        ends = i + 1 == len(tags) or tags[i + 1] != f"I-{tag[2:]}"
        begins = tag[0] == "B" or (tag[0] == "I" and (i == 0 or tags[i - 1][2:] != tag[2:]))
        prefix = (single if begins else last) if ends else ("B" if begins else "I")
        out.append(tag if tag == "O" else f"{prefix}-{tag[2:]}")
    return out


def test_where_seqeval_gives_zero_nothing_is_defined():
    assert seqeval.f1_score([["O"]], [["O"]]) == 0.0
    assert math.isnan(ner_f1([["O"]], [["O"]]))
    assert seqeval.precision_score([["B-a"]], [["O"]]) == 0.0
    assert math.isnan(ner_precision([["B-a"]], [["O"]]))


def test_many_types_and_long_sentences():
    rng = random.Random(0)
    tags = ["O", *(f"{p}-t{i}" for p in "BI" for i in range(200))]
    true = [[rng.choice(tags) for _ in range(200)] for _ in range(5)]
    predicted = [[tag if rng.random() < 0.8 else rng.choice(tags) for tag in row] for row in true]
    assert_equal(true, predicted, "BIO")
