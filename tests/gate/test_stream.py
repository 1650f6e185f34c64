"""Nights in a row: what each spends, and what is written down."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.gate.evaluate import evaluate
from harness.gate.policy import Policy, Rule
from harness.gate.stream import night_after, stream_of, write_decision
from harness.store.gatelog import GATE_LOG, decisions
from tests.gate.runs import Nights

SEQUENTIAL = Policy((Rule(max_drop=0.1),), sequential=True)


def test_the_level_of_a_night() -> None:
    """The default plan gives each of the first 60 nights 1 / (60 + 60² Σ 1/t² over t > 60) of alpha = 0.05: 0.000418."""
    share = 1 / (60 + 3600 * (math.pi**2 / 6 - sum(1 / t**2 for t in range(1, 61))))
    assert night_after([], 0.05).level == pytest.approx(0.05 * share, rel=1e-4)
    assert night_after(["passed"] * 59, 0.05).level == pytest.approx(0.05 * share, rel=1e-4)
    assert night_after(["passed"] * 119, 0.05).level == pytest.approx(0.05 * share / 4, rel=1e-4)
    assert night_after(["passed", "regressed"], 0.05).level == pytest.approx(2 * 0.05 * share, rel=1e-4)


def test_a_night_without_a_test_spends_nothing() -> None:
    assert night_after(["passed", "infrastructure", "inconclusive"], 0.05).number == 3


def test_sixty_nights_without_an_alarm_spend_less_than_alpha() -> None:
    levels = [night_after(["passed"] * night, 0.05).level for night in range(1000)]
    assert sum(levels) < 0.05


def test_gating_a_run_again_spends_nothing(nights: Nights) -> None:
    good = nights.run(range(8))
    tonight = [nights.run(range(8)) for _ in range(2)]
    numbers = []
    for run in (*tonight, tonight[0], tonight[1]):
        verdict = evaluate(run, good, SEQUENTIAL, results=nights.results)
        numbers.append(verdict.night)
        write_decision(nights.results, verdict)
    assert numbers == [1, 2, 1, 2]
    logged = decisions(nights.results, stream_of("nightly", good.name))
    assert [(line["run"], line["verdict"], line["night"]) for line in logged] == [
        (tonight[0].name, "passed", 1), (tonight[1].name, "passed", 2)]  # fmt: skip


def test_the_level_decides(nights: Nights) -> None:
    """7 of 40 lost, none won: p 0.023 of "no drop" (mid-p / one-sided), beyond alpha and not beyond a night's share of it."""
    good, worse = nights.run(), nights.run(range(8))
    rules = (Rule(max_drop=0.001),)
    alone = evaluate(worse, good, Policy(rules), results=nights.results)
    in_stream = evaluate(worse, good, Policy(rules, sequential=True), results=nights.results)
    assert (alone.verdict, alone.level, alone.night) == ("regressed", 0.05, None)
    assert (in_stream.verdict, in_stream.night) == ("inconclusive", 1)
    assert in_stream.level == pytest.approx(0.000418, abs=1e-6)
    assert in_stream.rules[0].p_value == alone.rules[0].p_value


def test_a_new_baseline_is_a_new_stream(nights: Nights) -> None:
    good, other, run = nights.run(range(8)), nights.run(range(8)), nights.run(range(8))
    write_decision(nights.results, evaluate(run, good, SEQUENTIAL, results=nights.results))
    tonight = nights.run(range(8))
    assert evaluate(tonight, good, SEQUENTIAL, results=nights.results).night == 2
    assert evaluate(tonight, other, SEQUENTIAL, results=nights.results).night == 1


def test_a_damaged_log_is_no_fresh_alpha(nights: Nights) -> None:
    good, run = nights.run(range(8)), nights.run(range(8))
    (nights.results / GATE_LOG).write_bytes(b"nonsense\n" + b"{}\n")
    with pytest.raises(StoreError, match=r"gate\.jsonl:1 is damaged"):
        evaluate(run, good, SEQUENTIAL, results=nights.results)
    assert evaluate(run, good, Policy((Rule(max_drop=0.1),)), results=Path(nights.results)).night is None
