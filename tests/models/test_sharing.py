"""Batches of requests: what they begin with is read once where that pays, and nothing depends on the order of arrival."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.models.sharing import Batch, TokenPair, arrange, read

BUDGET, WIDEST = 4096, 8192


def fresh(rng: random.Random, n: int) -> list[int]:
    return [rng.randrange(10**6) for _ in range(n)]


def request(rng: random.Random, stem: list[int], question: int = 30, choices: int = 4) -> list[TokenPair]:
    context = [*stem, *fresh(rng, question)]
    return [(context, fresh(rng, 5)) for _ in range(choices)]


def held(groups: Sequence[Sequence[TokenPair]], batch: Batch) -> list[list[TokenPair]]:
    """The pairs of each row."""
    pairs = [pair for index in batch.groups for pair in groups[index]]
    return [[pairs[number] for number in row] for row in batch.rows]


def tokens(groups: Sequence[Sequence[TokenPair]], batch: Batch) -> list[int]:
    """The tokens of each row: the nodes of a plain trie of what its sequences read behind the stem."""
    lengths = []
    for row in held(groups, batch):
        root: dict[int, Any] = {}
        length = 0
        for pair in row:
            node = root
            for token in read(pair)[batch.stem :]:
                length += token not in node
                node = node.setdefault(token, {})
        lengths.append(length)
    return lengths


def test_a_preamble_is_a_stem_of_all_batches() -> None:
    rng = random.Random(0)
    stem = fresh(rng, 200)
    groups = [request(rng, stem) for _ in range(300)]
    batches = arrange(groups, BUDGET, WIDEST, stems=True)
    assert {batch.stem for batch in batches} == {200}
    assert sorted(index for batch in batches for index in batch.groups) == list(range(300))
    # 30 of the question and four of each choice; five such requests fit into a row of 256.
    assert [set(tokens(groups, batch)) for batch in batches] == [{5 * 46}] * len(batches)
    assert [len(batch.rows) for batch in batches] == [BUDGET // 230] * 3 + [60 - 3 * (BUDGET // 230)]
    assert {batch.stem for batch in arrange(groups, BUDGET, WIDEST, stems=False)} == {0}


def test_a_stem_must_save_more_than_a_pass_costs() -> None:
    rng = random.Random(1)
    # 10 requests of 46 tokens would read it again in one more row: 200 tokens, and a pass costs 4096 / 16 = 256.
    stem = fresh(rng, 200)
    assert [batch.stem for batch in arrange([request(rng, stem) for _ in range(10)], BUDGET, WIDEST, stems=True)] == [0]
    # 15 of them in two more rows.
    assert [batch.stem for batch in arrange([request(rng, stem) for _ in range(15)], BUDGET, WIDEST, stems=True)] == [200]
    short = fresh(rng, 31)
    assert {batch.stem for batch in arrange([request(rng, short) for _ in range(300)], BUDGET, WIDEST, stems=True)} == {0}


def test_every_subject_has_its_own_stem_and_what_all_begin_with_is_within_it() -> None:
    rng = random.Random(2)
    system = fresh(rng, 50)
    shots = [[*system, *fresh(rng, 300)] for _ in range(3)]
    groups = [request(rng, shots[index % 3]) for index in range(120)]
    groups += [request(rng, system) for _ in range(30)]
    batches = arrange(groups, BUDGET, WIDEST, stems=True)
    assert sorted(batch.stem for batch in batches) == [50, 350, 350, 350]
    for batch in batches:
        kinds = {index % 3 if index < 120 else 3 for index in batch.groups}
        assert len(kinds) == 1
        assert (batch.stem == 50) == (kinds == {3})


def test_passages_with_few_questions_each_are_rows_and_not_stems() -> None:
    rng = random.Random(3)
    passages = [fresh(rng, 400) for _ in range(20)]
    groups = [request(rng, passages[index % 20], question=10) for index in range(80)]
    batches = arrange(groups, BUDGET, WIDEST, stems=True)
    assert {batch.stem for batch in batches} == {0}
    assert [length for batch in batches for length in tokens(groups, batch)] == [400 + 4 * (10 + 4 * 4)] * 20


def test_one_request_with_many_continuations_has_a_stem_of_its_own() -> None:
    rng = random.Random(4)
    context = fresh(rng, 500)
    groups = [[(context, fresh(rng, 9)) for _ in range(100)]]
    (batch,) = arrange(groups, BUDGET, WIDEST, stems=True)
    # The last token of the context predicts the first that is scored: it is read in the rows.
    assert batch.stem == 499
    assert sum(tokens(groups, batch)) == len(batch.rows) + 100 * 8


def test_keys_and_values_of_a_long_stem_bound_the_rows_of_a_batch() -> None:
    rng = random.Random(5)
    stem = fresh(rng, 3000)
    groups = [request(rng, stem) for _ in range(100)]
    batches = arrange(groups, BUDGET, WIDEST, stems=True)
    assert [(batch.stem, len(batch.rows)) for batch in batches] == [(3000, 5)] * 4
    for batch in batches:
        assert sum(3000 + length for length in tokens(groups, batch)) <= 4 * BUDGET


def test_requests_without_sequences_are_in_a_batch_without_rows() -> None:
    rng = random.Random(6)
    batches = arrange([[], request(rng, []), []], BUDGET, WIDEST, stems=True)
    assert [(batch.groups, bool(batch.rows)) for batch in batches] == [((1,), True), ((0, 2), False)]
    assert arrange([], BUDGET, WIDEST, stems=True) == []


@given(st.integers(0, 10**6), st.sampled_from([0, 300, 8192]), st.sampled_from([100, 600, 4096]), st.booleans())
@settings(max_examples=25, deadline=None)
def test_every_sequence_is_in_one_row_of_its_batch(seed: int, widest: int, budget: int, stems: bool) -> None:
    rng = random.Random(seed)
    roots = [fresh(rng, rng.randrange(1, 120)) for _ in range(3)]
    roots += [[*rng.choice(roots), *fresh(rng, 60)] for _ in range(3)]
    groups = [request(rng, rng.choice(roots), rng.randrange(1, 40), rng.randrange(0, 9)) for _ in range(rng.randrange(1, 40))]
    batches = arrange(groups, budget, widest, stems=stems)
    assert sorted(index for batch in batches for index in batch.groups) == list(range(len(groups)))
    for batch in batches:
        pairs = [pair for index in batch.groups for pair in groups[index]]
        assert sorted(number for row in batch.rows for number in row) == list(range(len(pairs)))
        assert len({tuple(read(pair)[: batch.stem]) for pair in pairs}) <= 1
        assert all(len(context) > batch.stem for context, _ in pairs)
        lengths = tokens(groups, batch)
        assert widest or all(len(row) == 1 for row in batch.rows)
        assert all(batch.stem + length <= widest for length, row in zip(lengths, batch.rows) if len(row) > 1)
        if len(lengths) > 1 and len(batch.groups) > 1:
            assert max(lengths) * len(lengths) <= budget
        elif len(lengths) == 1:
            # One sequence may break the budget by itself; those beside it then have another budget.
            longest = max(len(read(pair)) for pair in pairs) - batch.stem
            assert lengths[0] <= (budget if longest <= budget else longest + budget)
    # The numbers of the requests are all that the order changes.
    order = list(range(len(groups)))
    rng.shuffle(order)
    again = arrange([groups[index] for index in order], budget, widest, stems=stems)
    if all(groups) and len({tuple(group[0][0]) for group in groups}) == len(groups):
        assert as_sets(again, order) == as_sets(batches, range(len(groups)))


def as_sets(batches: list[Batch], names: Sequence[int]) -> set[frozenset[int]]:
    return {frozenset(names[index] for index in batch.groups) for batch in batches}


def test_what_is_read_of_a_pair_is_all_but_its_last_token() -> None:
    assert list(read(([1, 2], [3, 4]))) == [1, 2, 3]
    assert list(read(([1], [3]))) == [1]


@pytest.mark.parametrize("stems", [True, False])
def test_many_nested_contexts_are_no_trouble(stems: bool) -> None:
    rng = random.Random(7)
    long = fresh(rng, 900)
    groups = [[(long[: 4 * index + 40], fresh(rng, 3))] for index in range(200)]
    batches = arrange(groups, BUDGET, WIDEST, stems=stems)
    assert sorted(index for batch in batches for index in batch.groups) == list(range(200))
    spent = sum(length for batch in batches for length in tokens(groups, batch))
    assert spent < sum(len(context) for (context, _), in groups) / 5
