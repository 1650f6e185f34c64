"""What a run may spend: counted from outputs, stopped before the next request."""

from __future__ import annotations

import time

import pytest

from harness.config import Budget
from harness.engine.ledger import Ledger, Stopped
from harness.types import Key, Output, Text, Usage


def output(cost: float | None = None, read: int = 10, written: int = 5) -> Output:
    return Output(Key("a"), Text("x"), usage=Usage(read, written, cost))


def test_nothing_stops_a_run_without_a_budget() -> None:
    ledger = Ledger(Budget())
    for _ in range(3):
        ledger.add(output(cost=1e9))
    ledger.checkpoint(pending=1000)
    assert (ledger.cost, ledger.tokens, ledger.outputs) == (3e9, 45, 3)


def test_cost_stops_it_as_soon_as_it_is_reached() -> None:
    ledger = Ledger(Budget(max_cost=1.0))
    ledger.add(output(cost=0.6))
    ledger.checkpoint()
    ledger.add(output(cost=0.4))
    with pytest.raises(Stopped, match=r"budget.max_cost is 1 and 1 is spent") as stopped:
        ledger.checkpoint()
    assert stopped.value.exit_code == 4


def test_what_is_under_way_counts_at_the_mean_of_what_came() -> None:
    ledger = Ledger(Budget(max_cost=1.0))
    ledger.add(output(cost=0.1))
    ledger.add(output(cost=0.3))
    ledger.checkpoint(pending=2)  # .4 spent, .2 each on their way
    with pytest.raises(Stopped):
        ledger.checkpoint(pending=3)


def test_before_the_first_output_nothing_is_known_of_the_price() -> None:
    Ledger(Budget(max_cost=0.01)).checkpoint(pending=64)


def test_few_are_begun_before_it_is_known_what_one_takes() -> None:
    ledger = Ledger(Budget(max_tokens=1000))
    assert [ledger.checkpoint(pending) for pending in (0, 3, 4, 64)] == [True, True, False, False]
    ledger.add(Output(Key("a"), None, error="too long"))  # took nothing, so tells nothing
    assert not ledger.checkpoint(4)
    ledger.add(output())
    # 15 are spent, and 15 each on their way: 64 of them are 975
    assert ledger.checkpoint(64)
    with pytest.raises(Stopped):
        ledger.checkpoint(66)


def test_where_nothing_is_counted_or_nobody_tells_nobody_waits() -> None:
    for budget in (Budget(), Budget(max_seconds=100)):
        assert Ledger(budget).checkpoint(64)
    ledger = Ledger(Budget(max_cost=1.0))
    for _ in range(16):
        assert not ledger.checkpoint(64)
        ledger.add(Output(Key("a"), Text("x")))
    assert ledger.checkpoint(64)


def test_tokens_read_and_written_count() -> None:
    ledger = Ledger(Budget(max_tokens=31))
    ledger.add(output())
    ledger.add(output())
    ledger.checkpoint()
    ledger.add(output(read=1, written=0))
    with pytest.raises(Stopped, match=r"max_tokens is 31 and 31 are used"):
        ledger.checkpoint()


def test_time_stops_it() -> None:
    ledger = Ledger(Budget(max_seconds=0.05))
    ledger.checkpoint()
    time.sleep(0.06)
    with pytest.raises(Stopped, match=r"max_seconds is 0\.05"):
        ledger.checkpoint()


def test_a_signal_comes_first_and_has_no_reason() -> None:
    received: list[int | None] = [None]
    ledger = Ledger(Budget(max_tokens=1), lambda: received[0])
    ledger.add(output())
    received[0] = 2
    with pytest.raises(Stopped) as stopped:
        ledger.checkpoint()
    assert (stopped.value.reason, stopped.value.exit_code) == ("", None)
