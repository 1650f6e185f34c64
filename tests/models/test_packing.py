"""Rows of several sequences: what they hold, their positions and masks, and when sequences share one."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from harness.models import packing
from harness.models.packing import Limits, Row, model_inputs, rows_of, shortest_window

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

NO_LIMIT = Limits(10**6, 10**6)


def each(sequences: list[list[int]]) -> list[list[list[int]]]:
    return [[sequence] for sequence in sequences]


def test_a_row_holds_common_tokens_once_with_positions_and_mask() -> None:
    (row,) = rows_of([[[7, 8, 3], [7, 8, 4, 5], [7, 6], [7, 8]]], Limits(100, 100))
    assert row.tokens == [7, 8, 3, 4, 5, 6]
    assert row.places == [[0, 1, 2], [0, 1, 3, 4], [0, 5], [0, 1]]
    assert row.members == [0, 1, 2, 3]
    other = Row()
    other.add([9, 9], 4)
    inputs = model_inputs([row, other], torch.float32, "cpu")
    assert inputs["input_ids"].tolist() == [[7, 8, 3, 4, 5, 6], [9, 9, 0, 0, 0, 0]]
    assert inputs["position_ids"].tolist() == [[0, 1, 2, 2, 3, 1], [0, 1, 0, 0, 0, 0]]
    mask = inputs["attention_mask"]
    assert set(mask.unique().tolist()) == {0.0, torch.finfo(torch.float32).min}
    seen = [
        [[1, 0, 0, 0, 0, 0],
         [1, 1, 0, 0, 0, 0],
         [1, 1, 1, 0, 0, 0],
         [1, 1, 0, 1, 0, 0],
         [1, 1, 0, 1, 1, 0],
         [1, 0, 0, 0, 0, 1]],
        [[1, 0, 0, 0, 0, 0],
         [1, 1, 0, 0, 0, 0],
         [0, 0, 1, 0, 0, 0],
         [0, 0, 0, 1, 0, 0],
         [0, 0, 0, 0, 1, 0],
         [0, 0, 0, 0, 0, 1]]]
    assert (mask == 0).int()[:, 0].tolist() == seen
    after = model_inputs([row, other], torch.float32, "cpu", past=3)
    assert after["input_ids"].tolist() == inputs["input_ids"].tolist()
    assert after["position_ids"].tolist() == [[3, 4, 5, 5, 6, 4], [3, 4, 3, 3, 3, 3]]
    assert (after["attention_mask"] == 0).int()[:, 0].tolist() == [[[1, 1, 1, *line] for line in square] for square in seen]


@pytest.mark.parametrize(("budget", "widest", "past"),
                         [(10**6, 10**6, 0), (60, 10**6, 0), (10**6, 40, 0), (1, 10**6, 0), (300, 300, 0), (300, 300, 250)])
def test_rows_hold_every_sequence_once_and_each_distinct_beginning_once(budget: int, widest: int, past: int) -> None:
    rng = random.Random(budget + widest)
    groups = [[[rng.randrange(2) for _ in range(rng.randrange(1, 30))] for _ in range(rng.randrange(1, 9))] for _ in range(50)]
    sequences = [sequence for group in groups for sequence in group]
    rows = rows_of(groups, Limits(budget, widest, past))
    held = {member: [row.tokens[place] for place in places] for row in rows for member, places in zip(row.members, row.places)}
    assert [held[number] for number in range(len(held))] == sequences
    assert sum(len(row.members) for row in rows) == len(sequences)
    for row in rows:
        mine = [sequences[member] for member in row.members]
        assert len(row) == len({tuple(one[:end]) for one in mine for end in range(1, len(one) + 1)})
        if len(mine) > 1:
            assert past + len(row) <= widest
            # Twice only where one sequence is more than the budget by itself.
            assert len(row) <= budget or max(map(len, mine)) > budget
    assert len(rows) < len(sequences)


def test_without_a_width_every_sequence_has_its_own_row() -> None:
    rows = rows_of([[[1, 2], [1, 2]], [[1]]], Limits(100, 0))
    assert [(row.tokens, row.members) for row in rows] == [([1, 2], [0]), ([1, 2], [1]), ([1], [2])]


def test_long_sequences_share_a_row_only_where_that_saves_work() -> None:
    rng = random.Random(3)
    long = [[rng.randrange(10**6) for _ in range(400)] for _ in range(4)]
    assert [len(row.places) for row in rows_of(each(long), NO_LIMIT)] == [1, 1, 1, 1]
    begun_alike = [long[0] + [rng.randrange(10**6) for _ in range(5)] for _ in range(4)]
    assert [len(row) for row in rows_of(each(begun_alike), NO_LIMIT)] == [400 + 4 * 5]
    assert [len(row) for row in rows_of([begun_alike], NO_LIMIT)] == [400 + 4 * 5]


def test_a_request_stays_in_one_row_and_has_its_rows_to_itself_where_it_needs_several() -> None:
    rng = random.Random(5)
    groups = [[[rng.randrange(10**6) for _ in range(20)] for _ in range(4)] for _ in range(40)]
    rows = rows_of(groups, NO_LIMIT)
    assert {len(row) for row in rows[:-1]} == {packing._FILL // 80 * 80}
    assert all(len({member // 4 for member in row.members}) * 4 == len(row.members) for row in rows)
    large = [[rng.randrange(10**6) for _ in range(20)] for _ in range(30)]
    split = [row.members for row in rows_of([groups[0], large, groups[1]], NO_LIMIT)]
    assert split == [[0, 1, 2, 3, 34, 35, 36, 37], list(range(4, 16)), list(range(16, 28)), list(range(28, 34))]


def test_a_row_is_not_made_longer_than_others_for_a_short_beginning() -> None:
    rng = random.Random(7)
    groups = each([[1] * 12 + [rng.randrange(10, 10**6) for _ in range(28)] for _ in range(40)])
    assert {len(row) for row in rows_of(groups, NO_LIMIT)[:-1]} == {12 + 8 * 28}
    mostly = each([[1] * 30 + [rng.randrange(10, 10**6) for _ in range(10)] for _ in range(40)])
    assert [len(row) for row in rows_of(mostly, NO_LIMIT)] == [30 + 40 * 10]


def test_a_request_joins_the_row_that_begins_like_it() -> None:
    rng = random.Random(6)
    one, other = ([rng.randrange(10**6) for _ in range(130)] for _ in range(2))
    groups = each([[*one, 1], [*other, 2], [*one, 3], [*other, 4]])
    assert [row.members for row in rows_of(groups, NO_LIMIT)] == [[0, 2], [1, 3]]


def test_windows_are_read_from_the_configuration() -> None:
    def window(**values: Any) -> int | None:
        config = SimpleNamespace(**values)
        return shortest_window(SimpleNamespace(get_text_config=lambda: config))

    assert window(sliding_window=None, max_window_layers=28) is None
    assert window(sliding_window=4096, attention_chunk_size=512) == 512
    assert shortest_window(transformers.GPTNeoConfig()) == 256
