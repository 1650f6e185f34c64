"""CIDEr and the captioners' ROUGE-L against pycocoevalcap 1.2, and nlg-eval's example with all that it prints."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.metrics.bleu import bleu
from harness.metrics.cider import Cider, cider
from harness.metrics.cocorouge import CocoRougeL, coco_rouge_l

coco_cider = pytest.importorskip("pycocoevalcap.cider.cider")
coco_rouge = pytest.importorskip("pycocoevalcap.rouge.rouge")

thorough = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def assert_equal_to_coco(predictions, references, sigma=6.0):
    ours = {"cider": Cider(sigma=sigma).over(predictions, references), "rouge": CocoRougeL().over(predictions, references)}
    theirs = {"cider": coco_cider.Cider(sigma=sigma), "rouge": coco_rouge.Rouge()}
    for name, metric in theirs.items():
        value, items = metric.compute_score(dict(enumerate(map(list, references))), {i: [p] for i, p in enumerate(predictions)})
        assert ours[name].per_item.tolist() == pytest.approx(items.tolist(), abs=1e-9), name
        assert ours[name].value == pytest.approx(float(value), abs=1e-9), name


def test_real_text_with_two_references(shared_data):
    names = ("newstest2017.KIT.4950.en-de", "reference.de", "newstest2017.online-F.0.en-de")
    mine, one, two = (shared_data(f"wmt17_ende/{name}.txt").read_bytes().decode("utf-8").split("\n")[:300] for name in names)
    assert_equal_to_coco(mine, [[a, b][:1 + i % 2] for i, (a, b) in enumerate(zip(one, two))])


made = st.lists(st.sampled_from(["a", "b", "c", "dd", "é", "日本", "🙂"]), max_size=8).map(" ".join)


@thorough
@given(st.lists(st.tuples(made, st.lists(made.filter(bool), min_size=1, max_size=3)), min_size=2, max_size=5),
       st.sampled_from([1.0, 6.0]))
def test_made_texts(items, sigma):
    # n = 4 only: pycocoevalcap counts n-grams up to 4 whatever its n is, and fails where that is less
    predictions, references = [list(column) for column in zip(*items)]
    assert_equal_to_coco(predictions, references, sigma)


def test_the_example_of_nlg_eval(shared_data):
    """Printed by nlg-eval: Bleu_1..4, ROUGE_L, CIDEr. Its METEOR is the Java programme: see the parity test of meteor."""
    texts = [shared_data(f"nlgeval_examples/{name}.txt").read_text("utf-8").splitlines() for name in ("hyp", "ref1", "ref2")]
    predictions, references = texts[0], list(zip(*texts[1:]))
    orders = [bleu(predictions, references, max_order=n, tokenize="none", smooth="none") / 100 for n in (1, 2, 3, 4)]
    assert [f"{value:.6f}" for value in orders] == ["0.550000", "0.428174", "0.284043", "0.201143"]
    assert f"{coco_rouge_l(predictions, references):.6f}" == "0.522104"
    assert f"{cider(predictions, references):.6f}" == "1.242192"
