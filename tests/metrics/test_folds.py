"""Folds: no cluster in two of them, classes spread evenly, the same whatever the order of the rows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import MetricError
from harness.metrics.folds import FITTED_ON, Item, fold_numbers, folds_of, parts_by_slice
from harness.types import Sample

rows = st.lists(st.tuples(st.integers(0, 15), st.sampled_from("abc")), min_size=2, max_size=80)


@settings(max_examples=60, deadline=None)
@given(rows, st.integers(2, 6), st.integers(0, 3), st.randoms())
def test_a_cluster_is_never_in_two_folds_and_the_order_of_the_rows_does_not_matter(given_rows, folds, seed, random):
    clusters, classes = [f"g{cluster}" for cluster, _ in given_rows], [label for _, label in given_rows]
    found = fold_numbers(clusters, classes, folds, seed=seed)
    assert all(len(set(found[np.array(clusters) == cluster].tolist())) == 1 for cluster in set(clusters))
    order = list(range(len(clusters)))
    random.shuffle(order)
    again = fold_numbers([clusters[i] for i in order], [classes[i] for i in order], folds, seed=seed)
    assert again.tolist() == found[order].tolist()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from("aabc"), min_size=6, max_size=90), st.integers(2, 5), st.integers(0, 3))
def test_classes_are_spread_as_evenly_as_they_can_be(classes, folds, seed):
    found = fold_numbers([f"s{row}" for row in range(len(classes))], classes, folds, seed=seed)
    for label in set(classes):
        counts = Counter(fold for fold, one in zip(found.tolist(), classes) if one == label)
        assert max(counts[fold] for fold in range(folds)) - min(counts[fold] for fold in range(folds)) <= 1
    sizes = np.bincount(found, minlength=folds)
    assert sizes.max() - sizes.min() <= len(set(classes))


def test_groups_of_very_different_sizes_are_spread_by_their_sizes():
    sizes = [40, 30, 20, 10, 10, 10]  # 60 and 60 can be reached
    clusters = [f"g{group}" for group, size in enumerate(sizes) for _ in range(size)]
    classes = ["a", "b"] * 60
    found = fold_numbers(clusters, classes, 2)
    assert np.bincount(found).tolist() == [60, 60]


def test_another_seed_gives_other_folds():
    clusters, classes = [f"s{row}" for row in range(60)], ["a", "b"] * 30
    first, second = (fold_numbers(clusters, classes, 3, seed=seed).tolist() for seed in (0, 1))
    assert first != second


def items(*rows: tuple[str, str, str]) -> list[Item]:
    return [Item(*row) for row in rows]


def test_repeats_draw_new_folds():
    parts = folds_of("m", [Item(f"s{i}", f"sample s{i}", "ab"[i % 2]) for i in range(40)], 4, 3, seed=5)
    assert (parts.n, parts.repeats) == (4, 3)
    columns = list(zip(*parts.of.values()))
    assert len(columns) == 3
    assert len(set(columns)) == 3


@pytest.mark.parametrize(("given_items", "folds", "message"), [
    ([("1", "group g", "a"), ("2", "group h", "b"), ("3", "group g", "b")], 3,
     "m: folds must be at most the 2 groups that have a target, got 3"),
    ([("1", "sample 1", "a"), ("2", "sample 2", "a"), ("3", "sample 3", "a")], 2,
     "the targets must be of two classes or more, got only 'a'"),
    ([("1", "sample 1", "a"), ("2", "sample 2", "a"), ("3", "sample 3", "b")], 2,
     "'b' is in one fold alone: 1 of the samples has it"),
])  # fmt: skip
def test_folds_that_cannot_be_made_are_refused(given_items, folds, message):
    with pytest.raises(MetricError, match=message):
        folds_of("m", items(*given_items), folds, 1, 0)


SPLIT = [Sample("1", slices={"split": "dev"}, group="x"), Sample("2", slices={"split": "test"}, group="y"),
         Sample("3", slices={"split": "test"}, group="x")]  # fmt: skip


def test_a_slice_says_what_is_fitted_on_and_which_groups_lie_on_both_sides():
    parts = parts_by_slice("m", SPLIT, "split=dev")
    assert parts.of == {"1": (FITTED_ON,), "2": (0,), "3": (0,)}
    assert parts.straddling == ("x",)


@pytest.mark.parametrize(("chosen_on", "message"), [
    ("splt=dev", "must name a slice or a field of the samples, got 'splt'; did you mean 'split'?"),
    ("split=tst", "none has split 'tst'; did you mean 'test'?"),
])
def test_a_slice_that_is_not_there_is_refused_with_the_nearest_name(chosen_on, message):
    with pytest.raises(MetricError, match=message):
        parts_by_slice("m", SPLIT, chosen_on)


def test_a_slice_that_leaves_nothing_to_measure_is_refused():
    with pytest.raises(MetricError, match="all of them have split 'dev'"):
        parts_by_slice("m", SPLIT[:1], "split=dev")
