"""Entities, surface forms and single tags: hand-worked values, what is undefined, what is missing and why."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import MetricError
from harness.metrics.entities import SCHEMES, Extractor, TagCodes, coded
from harness.metrics.surfaceforms import surface_f1
from harness.metrics.tagging import NerF1, ner_f1, ner_precision, ner_recall, token_accuracy
from harness.plugins import metric
from harness.types import Key, Output, Sample, Tags, Text

PER, IPER, LOC, ILOC, ORG = "B-per", "I-per", "B-loc", "I-loc", "B-org"


def scored(spec, rows):
    """Rows are (target, answer, words)."""
    samples = [Sample(str(i), target=row[0], input={"tokens": row[2]} if len(row) > 2 else {}) for i, row in enumerate(rows)]
    answers = [row[1] if not isinstance(row[1], list) else Tags(tuple(row[1])) for row in rows]
    return metric(spec).score(samples, [Output(Key(s.id), answer) for s, answer in zip(samples, answers)])


def found(tags, scheme=None):
    """(first, after the last, type) of each entity of one sentence."""
    codes, types = TagCodes(), {}
    series = coded([tags], codes)
    entities = Extractor(codes, SCHEMES[scheme] if scheme else None, types).entities(series)
    names = list(types)
    return [(b, e, names[t]) for b, e, t in zip(entities.begins.tolist(), entities.ends.tolist(), entities.types.tolist())]


@pytest.mark.parametrize(("tags", "scheme", "expected"), [
    (["B-a", "I-a", "O", "B-b"], None, [(0, 2, "a"), (3, 4, "b")]),
    (["I-a", "I-a", "B-a"], None, [(0, 2, "a"), (2, 3, "a")]),  # an I that begins is a B
    (["I-a", "I-a", "B-a"], "BIO", [(2, 3, "a")]),
    (["B-a", "I-b"], None, [(0, 1, "a"), (1, 2, "b")]),
    (["B-a", "I-b"], "BIO", [(0, 1, "a")]),
    (["I-a", "B-a", "I-a", "O"], "IOB1", [(0, 1, "a"), (1, 3, "a")]),
    (["B-a", "I-a", "E-a", "S-b", "B-b"], "BIOES", [(0, 3, "a"), (3, 4, "b")]),
    (["B-a", "L-a", "U-b"], "BILOU", [(0, 2, "a"), (2, 3, "b")]),
    (["I-a", "E-a", "E-a", "I-b"], "IOE2", [(0, 2, "a"), (2, 3, "a")]),
    (["O", "O"], None, []),
    ([], None, []),
    (["B-a-b", "I-a-b"], None, [(0, 2, "a-b")]),
])
def test_where_entities_are(tags, scheme, expected):
    assert found(tags, scheme) == expected


def test_micro_macro_and_weighted_worked_by_hand():
    true = [[PER, IPER, "O", LOC], [PER, "O", LOC]]
    predicted = [[PER, IPER, "O", "O"], [PER, ORG, LOC]]
    # per: 2 of 2 right; loc: 1 of 1 predicted, 2 true, F1 2/3; org: 1 predicted, F1 0.
    assert ner_f1(true, predicted) == 2 * 3 / (4 + 4)
    assert (ner_precision(true, predicted), ner_recall(true, predicted)) == (3 / 4, 3 / 4)
    assert ner_f1(true, predicted, average="macro") == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert ner_f1(true, predicted, average="weighted") == pytest.approx((2 * 1 + 2 * 2 / 3) / 4)


def test_a_right_place_of_the_wrong_type_is_wrong_and_so_is_half_an_entity():
    assert ner_f1([[PER, IPER]], [[LOC, ILOC]]) == 0.0
    assert ner_f1([[PER, IPER, "O"]], [[PER, "O", "O"]]) == 0.0


def test_an_entity_ends_with_its_sentence():
    assert ner_f1([[PER], [IPER]], [[PER], [IPER]]) == 1.0
    assert [found([PER]), found([IPER])] == [[(0, 1, "per")], [(0, 1, "per")]]
    scores = scored("ner_f1", [([PER], [PER]), ([IPER], [IPER])])
    assert scores.stats[:, :3].tolist() == [[1, 1, 1], [1, 1, 1]]


def test_per_type_table():
    scores = scored("ner_f1", [([PER, "O", LOC], [PER, ORG, "O"])])
    table = scores.bound.tables(scores.stats)["types"]
    assert table.columns == ("type", "precision", "recall", "f1", "right", "predicted", "true")
    assert table.rows == (("loc", None, 0.0, 0.0, 0, 0, 1), ("org", 0.0, None, 0.0, 0, 1, 0), ("per", 1.0, 1.0, 1.0, 1, 1, 1))


def test_weights_are_copies_of_sentences_in_every_average():
    true, predicted = [[PER, LOC], ["O", LOC], [ORG, PER]], [[PER, "O"], [LOC, LOC], [ORG, ORG]]
    for average in ("micro", "macro", "weighted"):
        copied = ner_f1([true[0], *[true[2]] * 2], [predicted[0], *[predicted[2]] * 2], average=average)
        assert ner_f1(true, predicted, average=average, sample_weight=[1, 0, 2]) == pytest.approx(copied, abs=1e-15)


@pytest.mark.parametrize("average", ["micro", "macro", "weighted"])
def test_nothing_to_find_and_nothing_found_is_undefined(average):
    assert math.isnan(ner_f1([["O"]], [["O"]], average=average))
    assert math.isnan(ner_f1([], [], average=average))
    assert math.isnan(ner_precision([[PER]], [["O"]], average=average))
    assert math.isnan(ner_recall([["O"]], [[PER]], average=average))
    assert ner_f1([["O"]], [[PER]], average="micro") == 0.0


@pytest.mark.parametrize(("row", "reason"), [
    (([PER, "O"], ["O"]), "1 tags for 2 tokens"),
    (([PER], [PER, "O"]), "2 tags for 1 tokens"),
    ((None, ["O"]), "the sample has no target"),
    (("O O", ["O"]), "the target is str, not a list of tags"),
    ((["O"], Text("O")), "no tags in the answer"),
    ((["O"], [""]), "a tag of the answer is empty or no text"),
    (([["O"]], ["O"]), "a tag of the target is empty or no text"),
])
@pytest.mark.parametrize("spec", ["ner_f1", "token_accuracy", "ner_f1(mode=strict,average=macro)"])
def test_rows_that_do_not_fit_are_missing_and_never_cut(spec, row, reason):
    scores = scored(spec, [([PER], [PER]), row, ([LOC], [LOC])])
    assert scores.missing == {1: reason}
    assert np.isnan(scores.stats[1]).all()
    assert scores.stats[[0, 2], 0].tolist() == [1.0, 1.0]


def test_strict_mode_knows_the_prefixes_of_its_scheme():
    assert scored("ner_f1(mode=strict)", [([PER], ["S-per"])]).missing == {
        0: "a tag of the answer 'S-per' has none of the prefixes I, O, B"}
    assert scored("ner_f1", [([PER], ["S-per"])]).stats[0, :3].tolist() == [1, 1, 1]


def test_token_accuracy_counts_tokens_not_sentences():
    assert token_accuracy([["O", "O", "O"], [PER]], [["O", "O", PER], [PER]]) == 3 / 4
    assert scored("token_accuracy", [(["O", PER], ["O", "O"]), ([], [])]).stats.tolist() == [[1, 2], [0, 0]]
    assert math.isnan(token_accuracy([[]], [[]]))


def test_surface_forms_count_once_and_with_their_type():
    words = [["Ann", "met", "Bo"], ["Ann", "left"], ["Bonn"]]
    true = [[PER, "O", PER], [PER, "O"], [LOC]]
    predicted = [["O", "O", PER], [PER, "O"], [PER]]
    # true: Ann/per, Bo/per, Bonn/loc; predicted: Bo/per, Ann/per, Bonn/per; right: Bo, Ann (found once).
    assert surface_f1(words, true, predicted) == pytest.approx(2 * 2 / (3 + 3))
    assert ner_f1(true, predicted) == pytest.approx(2 * 2 / (3 + 4))


def test_a_form_is_right_only_where_it_was_found_in_its_place():
    words = [["Ann", "and", "Ann"]]
    assert surface_f1(words, [[PER, "O", "O"]], [["O", "O", PER]]) == 0.0
    assert surface_f1(words, [[PER, "O", PER]], [["O", "O", PER]]) == 1.0
    assert surface_f1([["ann", "Ann"]], [[PER, PER]], [[PER, "O"]]) == pytest.approx(2 / 3)


def test_surface_forms_need_the_words():
    scores = scored("surface_f1", [([PER], [PER], ["Ann"]), ([PER], [PER], ["Ann", "Bo"]), ([PER], [PER])])
    assert scores.missing == {1: "the input's 'tokens' is not a list of 1 words", 2: "the input has no field 'tokens'"}
    assert scores.bound.of_rows(np.array([0])) == 1.0
    assert math.isnan(surface_f1([["a"]], [["O"]], [["O"]]))


def test_missing_sentences_could_have_been_all_wrong_or_all_right():
    worst, best = metric("ner_f1").extremes(Sample("1", target=[PER, IPER, LOC]))
    assert (worst[:3].tolist(), best[:3].tolist()) == ([0, 3, 2], [2, 2, 2])
    assert metric("ner_f1(average=macro)").extremes(Sample("1", target=[PER])) is None


@pytest.mark.parametrize(("call", "message"), [
    (lambda: ner_f1([["O"]], [["O", "O"]]), "ner_f1: every row must have one tag a token, got 2 tags for 1 tokens in row 0"),
    (lambda: ner_f1(["O"], ["O"]), "ner_f1: every row must be a list of tags, got a text"),
    (lambda: ner_f1([["O"]], []), "ner_f1: targets and predictions must be equally many, got 1 and 0"),
    (lambda: ner_f1([], [], scheme="BOI"), "ner_f1: scheme must be one of BIO, IOB2, IOB1, IOE1, IOE2, BIOES, IOBES, BILOU, "
                                           "got 'BOI'"),
    (lambda: ner_f1([], [], average="samples"), "ner_f1: average must be micro, macro or weighted, got 'samples'"),
    (lambda: ner_f1([], [], mode="loose"), "ner_f1: mode must be default or strict, got 'loose'"),
])
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(MetricError, match=f"^{message}$"):
        call()


def test_more_tags_than_fit_into_a_byte():
    true = [[f"B-t{i}", f"I-t{i}", "O"] for i in range(400)]
    predicted = [row if i % 2 else [row[0], "O", "O"] for i, row in enumerate(true)]
    assert ner_f1(true, predicted) == 0.5
    assert ner_f1(true, predicted, average="macro", mode="strict") == 0.5


def entities_twin(tags):
    """conlleval's reading, one tag after the other."""
    out, begin, kind = [], None, None
    for i, tag in enumerate([*tags, "O"]):
        prefix, _, type_ = tag.partition("-")
        if begin is not None and (prefix in "OB" or type_ != kind):
            out.append((begin, i, kind))
            begin = None
        if prefix != "O" and begin is None:
            begin, kind = i, type_
    return out


@given(st.lists(st.sampled_from(["O", "B-a", "I-a", "B-b", "I-b"]), max_size=12))
@settings(max_examples=60, deadline=None)
def test_bio_equals_the_slow_twin(tags):
    assert found(tags) == entities_twin(tags)


def test_tags_of_no_scheme_count_as_in_seqeval_with_a_warning():
    seqeval = pytest.importorskip("seqeval.metrics")
    true, predicted = [["Q", "O", "XPER", "B-x"]], [["Q", "O", "O", "B-x"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert ner_f1(true, predicted) == seqeval.f1_score(true, predicted)
    [warning] = NerF1().prepare([Sample("a", target=true[0])]).warnings()
    assert "'Q', 'XPER'" in warning
    assert NerF1().prepare([Sample("a", target=["B-x", "I-x", "O", "S-y", "B"])]).warnings() == ()
    assert NerF1(mode="strict").prepare([Sample("a", target=true[0])]).warnings() == ()
