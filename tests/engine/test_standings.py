"""Ranks: models that cannot be told apart share one, and only samples that all have answered are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from harness.engine.scoring import make_settings
from harness.engine.standings import Contender, standings
from harness.protocols import Metric
from harness.types import Estimate

SETTINGS = make_settings(0, 0.95, 500)
NAN = float("nan")


@dataclass(frozen=True, repr=False)
class Share(Metric):
    """The mean of one column."""

    name: ClassVar[str] = "share"
    columns: ClassVar[tuple[str, ...]] = ("hits", "rows")

    def finish(self, totals: Any) -> Any:
        return totals[..., 0] / totals[..., 1]


@dataclass(frozen=True, repr=False)
class Errors(Share):
    name: ClassVar[str] = "errors"
    higher_is_better: ClassVar[bool | None] = False


@dataclass(frozen=True, repr=False)
class Length(Share):
    name: ClassVar[str] = "length"
    higher_is_better: ClassVar[bool | None] = None


def contender(
    entry: str, rows: Any, *, metric: Metric | None = None, task: str = "t", samples: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
) -> Contender:  # fmt: skip
    """One entry with these row values; NaN is a missing row. The estimate's value is their mean."""
    metric = metric or Share()
    hits = np.array(rows, dtype=float)
    present = hits[~np.isnan(hits)]
    value = float(present.mean()) if len(present) else None
    estimate = Estimate(value, value, value, 0.95, "bootstrap", len(present), len(hits) - len(present))
    names = [str(i) for i in range(len(hits))] if samples is None else samples
    stats = np.stack([hits, np.where(np.isnan(hits), np.nan, 1.0)], axis=1)
    return Contender(entry, task, metric.name, metric, stats, names, groups, estimate)


def ranks(*contenders: Contender) -> dict[str, int | None]:
    (task,) = standings(contenders, SETTINGS)["tasks"]
    return {row["entry"]: row["rank"] for row in task["entries"]}


def hits(n: int, of: int) -> list[float]:
    return [1.0] * n + [0.0] * (of - n)


# ── ranks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_clear_gap_gives_ranks_one_and_two() -> None:
    """90 of 100 against 60 of 100, the 60 within the 90: the paired difference 0.3 has a standard error of about 0.046."""
    assert ranks(contender("poor", hits(60, 100)), contender("good", hits(90, 100))) == {"good": 1, "poor": 2}


def test_models_that_cannot_be_told_apart_share_a_rank() -> None:
    """50 of 100 against 52 other ones of 100: the difference 0.02 has a standard error of 0.1."""
    one, other = hits(50, 100), hits(52, 100)[::-1]
    assert ranks(contender("a", one), contender("b", other)) == {"a": 1, "b": 1}


def test_the_same_answers_share_a_rank() -> None:
    assert ranks(contender("a", hits(3, 6)), contender("b", hits(3, 6))) == {"a": 1, "b": 1}


def test_a_small_gap_is_clear_where_every_sample_agrees() -> None:
    """0.50 against 0.55 with unpaired intervals that overlap; but paired, every sample is better by 0.05."""
    spread = np.linspace(0.0, 0.9, 40)
    assert ranks(contender("a", spread), contender("b", spread + 0.05)) == {"b": 1, "a": 2}


def test_two_that_share_stand_before_the_third() -> None:
    good, alike, poor = hits(80, 100), hits(79, 100), hits(20, 100)
    assert ranks(contender("p", poor), contender("g", good), contender("h", alike[::-1])) == {"g": 1, "h": 1, "p": 3}


def test_lower_may_be_better() -> None:
    few, many = hits(10, 100), hits(60, 100)
    found = standings([contender("many", many, metric=Errors()), contender("few", few, metric=Errors())], SETTINGS)
    assert [(row["entry"], row["rank"]) for row in found["tasks"][0]["entries"]] == [("few", 1), ("many", 2)]


@pytest.mark.parametrize(("metric", "order"), [(Share(), ["b", "a"]), (Errors(), ["a", "b"])])
def test_those_that_share_a_rank_stand_by_their_values(metric: Metric, order: list[str]) -> None:
    found = standings([contender("a", hits(3, 6), metric=metric), contender("b", hits(4, 6), metric=metric)], SETTINGS)
    assert [(row["entry"], row["rank"]) for row in found["tasks"][0]["entries"]] == [(entry, 1) for entry in order]


def test_a_metric_without_direction_ranks_nobody() -> None:
    given = [contender("a", hits(9, 10), metric=Length()), contender("b", hits(1, 10), metric=Length())]
    assert ranks(*given) == {"a": None, "b": None}
    assert standings(given, SETTINGS)["mean_rank"] == {
        "a": {"mean_rank": None, "tasks": 0}, "b": {"mean_rank": None, "tasks": 0},
    }  # fmt: skip


# ── what is compared ────────────────────────────────────────────────────────────────────────────────────────────────


def test_samples_that_one_model_lacks_are_left_out_for_both() -> None:
    """On the 50 samples that both answered they are equal; the other 50, which only ``a`` answered, and well, do not count."""
    a, b = [*hits(25, 50), *hits(50, 50)], [*hits(25, 50), *[NAN] * 50]
    assert [np.mean(a), np.nanmean(b)] == [0.75, 0.5]
    assert ranks(contender("a", a), contender("b", b)) == {"a": 1, "b": 1}
    assert ranks(contender("a", a), contender("b", [*hits(25, 50), *hits(0, 50)])) == {"a": 1, "b": 2}


def test_models_without_a_common_sample_cannot_be_told_apart() -> None:
    assert ranks(contender("a", [1.0, 1.0, NAN, NAN]), contender("b", [NAN, NAN, 0.0, 0.0])) == {"a": 1, "b": 1}


def test_one_common_sample_says_nothing() -> None:
    assert ranks(contender("a", [1.0, NAN]), contender("b", [0.0, NAN])) == {"a": 1, "b": 1}


def test_samples_are_paired_by_their_names_not_by_their_order() -> None:
    spread = np.linspace(0.0, 0.9, 40)
    names = [f"s{i}" for i in range(40)]
    turned = contender("b", (spread + 0.05)[::-1], samples=names[::-1])
    assert ranks(contender("a", spread, samples=names), turned) == {"b": 1, "a": 2}


def test_groups_are_resampled_as_a_whole() -> None:
    """12 samples better and none worse is clear; but they are all of one document out of three, which may not be drawn."""
    one, other = hits(12, 36), hits(0, 36)
    assert ranks(contender("a", one), contender("b", other)) == {"a": 1, "b": 2}
    documents = [f"doc{i // 12}" for i in range(36)]
    assert ranks(contender("a", one, groups=documents), contender("b", other, groups=documents)) == {"a": 1, "b": 1}


def test_a_single_group_says_nothing() -> None:
    """There is one document: resampling it cannot move the difference, which is not the same as being sure of it."""
    documents = ["doc"] * 10
    one, other = contender("a", hits(9, 10), groups=documents), contender("b", hits(8, 10), groups=documents)
    assert ranks(one, other) == {"a": 1, "b": 1}


def test_repeats_share_the_vote_of_their_sample() -> None:
    """Three samples; the first was asked 20 times. By rows ``a`` is far ahead, by samples one of three is better."""
    names = ["s0"] * 20 + ["s1", "s2"]
    a, b = [1.0] * 20 + [0.0, 0.0], [0.0] * 22
    assert ranks(contender("a", a, samples=names), contender("b", b, samples=names)) == {"a": 1, "b": 1}


# ── what is undefined ───────────────────────────────────────────────────────────────────────────────────────────────


def test_an_undefined_value_has_no_rank_and_stands_last() -> None:
    none = contender("a-none", [NAN] * 100)
    found = standings([none, contender("poor", hits(60, 100)), contender("good", hits(90, 100))], SETTINGS)
    (task,) = found["tasks"]
    assert [(row["entry"], row["rank"], row["value"]) for row in task["entries"]] == [
        ("good", 1, 0.9), ("poor", 2, 0.6), ("a-none", None, None),
    ]  # fmt: skip
    assert found["mean_rank"]["a-none"] == {"mean_rank": None, "tasks": 0}


def test_alone_there_is_no_rank() -> None:
    assert ranks(contender("only", hits(3, 4))) == {"only": None}
    assert ranks(contender("only", hits(3, 4)), contender("none", [NAN] * 4)) == {"only": None, "none": None}


def test_mean_ranks_are_over_the_tasks_that_rank_an_entry() -> None:
    found = standings([
        contender("a", hits(90, 100), task="one"), contender("b", hits(50, 100), task="one"),
        contender("a", hits(10, 100), task="two"), contender("b", hits(50, 100), task="two"),
        contender("c", [0.0] * 100, task="two"),
    ], SETTINGS)  # fmt: skip
    assert [task["task"] for task in found["tasks"]] == ["one", "two"]
    assert found["mean_rank"] == {
        "a": {"mean_rank": 1.5, "tasks": 2}, "b": {"mean_rank": 1.5, "tasks": 2}, "c": {"mean_rank": 3.0, "tasks": 1},
    }  # fmt: skip


def test_rows_carry_the_estimate() -> None:
    found = standings([contender("a", [1.0, 0.0, NAN]), contender("b", [1.0, 1.0, 1.0])], SETTINGS)
    (task,) = found["tasks"]
    assert (task["task"], task["metric"]) == ("t", "share")
    row = next(row for row in task["entries"] if row["entry"] == "a")
    assert (row["value"], row["n"], row["n_missing"]) == (0.5, 2, 1)


def test_no_contenders_give_empty_standings() -> None:
    assert standings([], SETTINGS) == {"tasks": [], "mean_rank": {}}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_of_the_same_seed_ranks_alike(seed: int) -> None:
    noise = np.random.default_rng(seed).random((3, 30))
    given = [contender(name, row) for name, row in zip("abc", noise)]
    again = [contender(name, row) for name, row in zip("abc", noise)][::-1]
    found = ranks(*given)
    assert found == ranks(*again)
    assert min(rank for rank in found.values() if rank is not None) == 1
