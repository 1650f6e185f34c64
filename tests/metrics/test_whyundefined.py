"""Every undefined value says why, where the metric can tell."""

from __future__ import annotations

import pytest

from harness.engine.scoring import Scorer, make_settings
from harness.plugins import metric
from harness.types import Key, Label, Number, Output, Ratings, Sample, Tags, Text, Vectors

SETTINGS = make_settings(seed=1, level=0.95, n_bootstrap=20)


def reason(spec, *rows):
    """``rows``: an answer with the fields of its sample."""
    samples = [Sample(str(row), **fields) for row, (_, fields) in enumerate(rows)]
    scorer = Scorer({"m": metric(spec)}, samples, {})
    scorer.add(samples, [Output(Key(str(row)), answer) for row, (answer, _) in enumerate(rows)])
    found = scorer.estimates(SETTINGS)["m"]
    assert found.value is None
    return found.reason


def numbers(targets, answers):
    return [(Number(answer), {"target": target}) for target, answer in zip(targets, answers)]


def texts(*answers):
    return [(Text(answer), {}) for answer in answers]


def points(*numbers, targets=None):
    return [(Vectors(((float(one),),)), {"target": target}) for one, target in zip(numbers, targets or numbers)]


def rated(*items):
    return [(Ratings(item), {}) for item in items]


def tagged(*answers):
    return [(Tags(answer), {"target": ["O", "O"]}) for answer in answers]


def grouped(*groups):
    return [(Label("a"), {"target": "a", "choices": ("a", "b"), "slices": {"sex": group}}) for group in groups]


CASES = [
    ("pearson", numbers([3, 3, 3], [1, 2, 3]), "every target is 3"),
    ("spearman", numbers([1, 2, 3], [5, 5, 5]), "every prediction is 5"),
    ("kendall", numbers([1], [2]), "it takes two samples or more, and 1 can be scored"),
    ("r2", numbers([3, 3], [1, 2]), "every target is 3"),
    ("explained_variance", numbers([3, 3], [1, 2]), "every target is 3"),
    ("adjusted_r2(k=2)", numbers([1, 2, 3], [1, 2, 3]), "it takes more than 3 samples (k + 1), and 3 can be scored"),
    ("sts_pearson", numbers([4, 4], [1, 2]), "every gold score is 4"),
    ("krippendorff_alpha", rated(("a", "a"), ("a", "a")), "all ratings are the same"),
    ("fleiss_kappa", rated(("a", "a"), ("a", "a")), "all ratings are the same"),
    ("icc", rated((1, 2)), "it takes two items or more, and 1 can be scored"),
    ("ner_f1", tagged(("O", "O")), "there is no entity, neither in the targets nor in the answers"),
    ("ner_recall", tagged(("B-x", "O")), "there is no entity in the targets"),
    ("distinct", texts("one", "two"), "no answer has 2 words"),
    ("entropy", texts("", " "), "no answer has a word"),
    ("self_bleu", texts("a b"), "it takes two answers or more, and 1 can be scored"),
    ("self_rouge", texts("a b"), "it takes two answers or more, and 1 can be scored"),
    ("silhouette", points(1, 2, 3, targets="aaa"), "all vectors are in one cluster"),
    ("silhouette", points(1, 2, 3, targets="abc"), "every vector is a cluster of its own"),
    ("uniformity", points(1), "it takes two vectors or more, and 1 can be scored"),
    ("fid", points(1, targets=[[1.0]]), "it takes two vectors or more, and 1 can be scored"),
    ("group_gap(accuracy)", grouped("f", "f"), "only one group has a value of accuracy: 'f'"),
    ("demographic_parity(by=sex)", grouped("f", "f"), "only one group of 'sex' has rows: 'f'"),
    ("ood_auroc", [(Number(1.0), {"slices": {"part": "id"}})], "no sample is 'ood': say by ood= what the others are called"),
]


@pytest.mark.parametrize(("spec", "rows", "why"), CASES, ids=[f"{spec}: {why}" for spec, _, why in CASES])
def test_an_undefined_value_says_why(spec, rows, why):
    assert reason(spec, *rows) == f"undefined: {why}"


def test_a_rating_without_comparisons_of_the_item():
    rows = [(Label("left"), {"input": {"left": "x", "right": "y"}})]
    from harness.metrics.comparisons import BradleyTerry

    assert reason("bradley_terry", *rows) == (
        "undefined: the comparisons do not tie 'x' to the other items: its rating has no finite value")
    assert BradleyTerry().why_undefined(metric("elo").score([], []).stats) == "no comparison can be scored"
