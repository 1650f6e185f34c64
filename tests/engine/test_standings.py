"""Ranks: models that cannot be told apart share one, and a pair is compared on the samples that both have answered."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

import harness.engine.standings
from harness.engine.scoring import aggregate_of, finish_of, make_settings
from harness.engine.standings import Contender, standings
from harness.protocols import Interval, Metric
from harness.stats.estimate import estimate

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
class Hits(Share):
    """The same, where every row is a hit or a miss."""

    name: ClassVar[str] = "hits"
    interval: ClassVar[Interval] = "wilson"


@dataclass(frozen=True, repr=False)
class Misses(Hits):
    name: ClassVar[str] = "misses"
    higher_is_better: ClassVar[bool | None] = False


@dataclass(frozen=True, repr=False)
class Largest(Metric):
    """The largest value: no function of sums."""

    name: ClassVar[str] = "largest"
    columns: ClassVar[tuple[str, ...]] = ("value", "rows")
    bounds: ClassVar[tuple[float | None, float | None]] = (None, None)

    def aggregate(self, stats: Any, weights: Any) -> Any:
        return np.where(weights > 0, stats[:, 0], -np.inf).max(axis=1)


@dataclass(frozen=True, repr=False)
class Length(Share):
    name: ClassVar[str] = "length"
    higher_is_better: ClassVar[bool | None] = None


def contender(
    entry: str, rows: Any, *, metric: Metric | None = None, task: str = "t", samples: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
) -> Contender:  # fmt: skip
    """One entry with these row values and their estimate; NaN is a missing row. ``groups`` has one for each sample."""
    metric = metric or Share()
    values = np.array(rows, dtype=float)
    names = [str(i) for i in range(len(values))] if samples is None else samples
    stats = np.stack([values, np.where(np.isnan(values), np.nan, 1.0)], axis=1)
    order = {name: i for i, name in enumerate(dict.fromkeys(names))}
    value = estimate(
        stats, aggregate_of(metric), finish=finish_of(metric), method=metric.interval,
        units=np.array([order[name] for name in names]), bounds=metric.bounds, n_bootstrap=50,
        groups=None if groups is None else np.unique(groups, return_inverse=True)[1], rng=np.random.default_rng(0),
    )  # fmt: skip
    return Contender(entry, task, metric.name, metric, stats, names, groups, value)


def ranks(*contenders: Contender) -> dict[str, int | None]:
    (task,) = standings(contenders, SETTINGS)["tasks"]
    return {row["entry"]: row["rank"] for row in task["entries"]}


def hits(n: int, of: int) -> list[float]:
    return [1.0] * n + [0.0] * (of - n)


def pair(wins: int, losses: int, of: int, metric: Metric, **more: Any) -> list[Contender]:
    """``a`` and ``b``: as many samples that only ``a`` hits, that only ``b`` hits, and the rest that both hit."""
    same = [1.0] * (of - wins - losses)
    a, b = [*hits(wins, wins + losses), *same], [*hits(losses, wins + losses)[::-1], *same]
    return [contender("a", a, metric=metric, **more), contender("b", b, metric=metric, **more)]


A_AHEAD, TIED = {"a": 1, "b": 2}, {"a": 1, "b": 1}


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


@pytest.mark.parametrize(
    ("wins", "losses", "expected"), [(4, 0, TIED), (5, 0, TIED), (6, 0, A_AHEAD), (9, 2, TIED), (10, 2, A_AHEAD)]
)
def test_hits_are_compared_by_the_exact_test(wins: int, losses: int, expected: dict[str, int]) -> None:
    """Of 200: p = 0.125, 0.0625, 0.03125; 2 · (1 + 11 + 55) / 2^11 = 0.065; 2 · (1 + 12 + 66) / 2^12 = 0.039."""
    assert ranks(*pair(wins, losses, 200, Hits())) == expected
    assert ranks(*pair(losses, wins, 200, Misses())) == expected


@pytest.mark.parametrize(("wins", "expected"), [(4, TIED), (5, TIED), (6, A_AHEAD)])
def test_few_samples_that_differ_are_not_certain(wins: int, expected: dict[str, int]) -> None:
    """Of 200: the resamplings without any of 5 samples are (195 / 200)^200 = 0.6 %, so that resampling alone would be sure."""
    assert ranks(*pair(wins, 0, 200, Share())) == expected


@pytest.mark.parametrize("metric", [Hits(), Share(), Largest()])
def test_a_difference_that_resampling_cannot_move_is_not_certain(metric: Metric) -> None:
    """All hits against all misses: of 2 samples or 5 that is chance (p = 0.5, 0.0625), of 6 it is not (p = 0.03125)."""
    for n, expected in [(2, TIED), (5, TIED), (6, A_AHEAD)]:
        assert ranks(contender("a", [1.0] * n, metric=metric), contender("b", [0.0] * n, metric=metric)) == expected


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


@pytest.mark.parametrize("metric", [Hits(), Share()])
def test_a_dead_model_does_not_hide_the_others(metric: Metric) -> None:
    """One that answered a single sample, well: nothing is known of it, but still the other two can be told apart."""
    good, poor = contender("good", hits(90, 100), metric=metric), contender("poor", hits(60, 100), metric=metric)
    dead = contender("dead", [1.0] + [NAN] * 99, metric=metric)
    assert ranks(good, poor, dead) == {"good": 1, "poor": 2, "dead": 1}


@pytest.mark.parametrize("metric", [Hits(), Share()])
def test_every_pair_is_compared_on_its_own_samples(metric: Metric) -> None:
    """``half`` answered the first 50 only, where ``good`` has 40 and ``poor`` 35 hits: 5 against 0 there, 15 against 0 in all.

    ``half`` has 41 of them: 1 against 0 of ``good`` (p = 1), 6 against 0 of ``poor`` (p = 0.03125).
    """
    good = contender("good", [*hits(40, 50), *hits(40, 50)], metric=metric)
    poor = contender("poor", [*hits(35, 50), *hits(30, 50)], metric=metric)
    half = contender("half", [*hits(41, 50), *[NAN] * 50], metric=metric)
    none = contender("none", [*hits(35, 50), *[NAN] * 50], metric=metric)
    assert ranks(good, poor, half) == {"good": 1, "half": 1, "poor": 3}
    assert ranks(good, none) == {"good": 1, "none": 1}


def test_models_without_a_common_sample_cannot_be_told_apart() -> None:
    assert ranks(contender("a", [1.0, 1.0, NAN, NAN]), contender("b", [NAN, NAN, 0.0, 0.0])) == {"a": 1, "b": 1}


def test_one_common_sample_says_nothing() -> None:
    assert ranks(contender("a", [1.0, NAN]), contender("b", [0.0, NAN])) == {"a": 1, "b": 1}


def test_samples_are_paired_by_their_names_not_by_their_order() -> None:
    spread = np.linspace(0.0, 0.9, 40)
    names = [f"s{i}" for i in range(40)]
    turned = contender("b", (spread + 0.05)[::-1], samples=names[::-1])
    assert ranks(contender("a", spread, samples=names), turned) == {"b": 1, "a": 2}


@pytest.mark.parametrize("metric", [Share(), Hits()])
def test_groups_are_resampled_as_a_whole(metric: Metric) -> None:
    """12 samples better and none worse is clear; but they are all of one document out of three, which may not be drawn."""
    assert ranks(*pair(12, 0, 36, metric)) == A_AHEAD
    assert ranks(*pair(12, 0, 36, metric, groups=[f"doc{i // 12}" for i in range(36)])) == TIED


@pytest.mark.parametrize(("documents", "expected"), [(5, TIED), (6, A_AHEAD)])
def test_of_groups_it_takes_six_that_differ(documents: int, expected: dict[str, int]) -> None:
    """30 documents of 3 samples, ``a`` better on all 3 of some. 5 documents are all left out by (25/30)^30 = 0.4 % of the
    resamplings, so that these alone would be sure; but 5 of 5 fall one way by chance with p = 0.0625."""
    groups = [f"doc{i // 3}" for i in range(90)]
    for metric in (Share(), Hits()):
        assert ranks(*pair(3 * documents, 0, 90, metric, groups=groups)) == expected


def test_a_group_whose_differences_cancel_does_not_differ() -> None:
    """30 documents of 2 samples: ``a`` has both right in 5, in 3 others each model has the one that the other has not."""
    a = [*[1.0, 1.0] * 5, *[1.0, 0.0] * 3, *[0.0] * 44]
    b = [*[0.0, 0.0] * 5, *[0.0, 1.0] * 3, *[0.0] * 44]
    groups = [f"doc{i // 2}" for i in range(60)]
    assert ranks(contender("a", a, groups=groups), contender("b", b, groups=groups)) == TIED


def test_a_group_differs_though_its_sums_do_not_where_not_only_sums_count() -> None:
    """The larger of each document's two values is 3 against 2, their sum 3 for both."""
    groups = [f"doc{i // 2}" for i in range(12)]
    given = [contender(name, row * 6, metric=Largest(), groups=groups) for name, row in [("a", [0.0, 3.0]), ("b", [1.0, 2.0])]]
    assert ranks(*given) == A_AHEAD


def test_a_single_group_says_nothing() -> None:
    """There is one document: resampling it cannot move the difference, which is not the same as being sure of it."""
    documents = ["doc"] * 10
    one, other = contender("a", hits(9, 10), groups=documents), contender("b", hits(8, 10), groups=documents)
    assert ranks(one, other) == {"a": 1, "b": 1}


def test_repeats_share_the_vote_of_their_sample() -> None:
    """Three samples; the first was asked 20 times. By rows ``a`` is far ahead, by samples one of three is better."""
    names = ["s0"] * 20 + ["s1", "s2"]
    a, b = [1.0] * 20 + [0.0, 0.0], [0.0] * 22
    for metric in (Share(), Hits()):
        given = [contender(name, row, samples=names, metric=metric) for name, row in [("a", a), ("b", b)]]
        assert ranks(*given) == TIED


@pytest.mark.parametrize(("samples", "expected"), [(5, TIED), (6, A_AHEAD)])
def test_repeats_are_no_further_samples(samples: int, expected: dict[str, int]) -> None:
    """20 samples, each asked twice: 10 rows better of 5 samples are 5 against 0, p = 0.0625."""
    names = [f"s{i // 2}" for i in range(40)]
    for metric in (Share(), Hits()):
        assert ranks(*pair(2 * samples, 0, 40, metric, samples=names)) == expected


def test_a_sample_that_was_asked_more_often_weighs_no_more() -> None:
    """``b`` is better on one sample, asked 20 times; ``a`` on 12 others, asked once: 12 against 1."""
    names = ["s"] * 20 + [f"s{i}" for i in range(12)]
    a, b = [*[0.0] * 20, *[1.0] * 12], [*[1.0] * 20, *[0.0] * 12]
    assert ranks(contender("b", b, samples=names), contender("a", a, samples=names)) == A_AHEAD


def test_the_number_and_order_of_repeats_is_no_difference() -> None:
    """``a`` has 5 samples more. On 10 others its repeats come in another order (0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1), and
    10 have one repeat that ``b`` lacks."""
    names = [f"s{i // 3}" for i in range(75)]
    a = [*[1.0] * 15, *[0.1, 0.2, 0.3] * 10, *[1.0, 1.0, 1.0] * 10]
    b = [*[0.0] * 15, *[0.3, 0.2, 0.1] * 10, *[1.0, 1.0, NAN] * 10]
    assert ranks(contender("a", a, samples=names), contender("b", b, samples=names)) == TIED


def test_repeats_of_one_are_enough_to_compare_by_resampling() -> None:
    """``a`` answered once, ``b`` twice. ``a`` is better by 1 on 40 samples, ``b`` by 0.5 on 40: as many, but not as much."""
    names = [f"s{i // 2}" for i in range(160)]
    a, b = [*[1.0, NAN] * 40, *[0.0, NAN] * 40], [*[0.0, 0.0] * 40, *[1.0, 0.0] * 40]
    given = [contender(name, row, metric=Hits(), samples=names) for name, row in [("a", a), ("b", b)]]
    assert [one.estimate.method for one in given] == ["wilson", "score(delta)"]
    assert ranks(*given) == ranks(*given[::-1]) == A_AHEAD


def test_a_sample_weighs_the_same_whatever_repeats_are_missing() -> None:
    """10 samples, asked 3 times: ``a`` hits in 1 of 3 everywhere, ``b`` in 1 of the 2 that were answered: 0.33 against 0.5."""
    names = [f"s{i // 3}" for i in range(30)]
    given = [contender("b", [1.0, 0.0, 0.0] * 10, samples=names), contender("a", [1.0, 0.0, NAN] * 10, samples=names)]
    assert ranks(*given) == A_AHEAD


def test_replicates_are_made_once_for_each_set_of_common_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three entries without gaps need one set each; with a fourth that has gaps, four more sets on the samples it has."""
    made = []
    real = harness.engine.standings.replicates

    def counting(*arguments: Any, **named: Any) -> Any:
        made.append(1)
        return real(*arguments, **named)

    monkeypatch.setattr(harness.engine.standings, "replicates", counting)
    rows = np.random.default_rng(0).random((4, 30))
    whole = [contender(name, row) for name, row in zip("abc", rows)]
    ranks(*whole)
    assert len(made) == 3
    ranks(*whole, contender("d", [*rows[3][:20], *[NAN] * 10]))
    assert len(made) - 3 == 3 + 4


# ── what is undefined ───────────────────────────────────────────────────────────────────────────────────────────────


def test_an_undefined_value_has_no_rank_and_stands_last() -> None:
    none = contender("a-none", [NAN] * 100)
    found = standings([none, contender("poor", hits(60, 100)), contender("good", hits(90, 100))], SETTINGS)
    (task,) = found["tasks"]
    assert [(row["entry"], row["rank"], row["value"]) for row in task["entries"]] == [
        ("good", 1, 0.9), ("poor", 2, 0.6), ("a-none", None, None),
    ]  # fmt: skip
    assert found["mean_rank"]["a-none"] == {"mean_rank": None, "tasks": 0}


def test_a_better_value_stands_above_a_worse_one_of_the_same_rank() -> None:
    """``dead`` has the best value and ties with all; without a rank, the undefined value stands below a negative one."""
    given = [contender("good", hits(90, 100)), contender("poor", hits(60, 100)), contender("dead", [1.0] + [NAN] * 99)]
    (task,) = standings(given, SETTINGS)["tasks"]
    assert [(row["entry"], row["rank"]) for row in task["entries"]] == [("dead", 1), ("good", 1), ("poor", 2)]
    (task,) = standings([contender("a-none", [NAN] * 9), contender("low", [-2.0] * 9)], SETTINGS)["tasks"]
    assert [(row["entry"], row["rank"]) for row in task["entries"]] == [("low", None), ("a-none", None)]


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


def test_an_entry_whose_outputs_failed_too_often_is_not_ranked_and_disturbs_nobody() -> None:
    good, bad = (contender("good", [1.0] * 40), contender("bad", [0.0] * 40))
    dead = dataclasses.replace(contender("dead", [1.0] + [np.nan] * 39), failed_share=39 / 40)
    assert ranks(good, bad, dead) == {"good": 1, "bad": 2, "dead": None}
    assert ranks(good, bad, dataclasses.replace(dead, failed_share=0.01))["dead"] == 1
    assert standings([good, bad, dead], SETTINGS)["tasks"][0]["entries"][-1]["entry"] == "dead"
