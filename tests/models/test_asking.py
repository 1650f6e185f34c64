"""The asker over attempts written here: no network, but the real event loop, thread, clocks and waits."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from harness.config import Budget
from harness.engine.ledger import Ledger, Stopped
from harness.errors import BackendError, ConfigError, ServiceDown
from harness.models.adaptive import Gate
from harness.models.asked import Asked
from harness.models.asking import Asker, Limits, OutOfCredit, Refused, Trouble
from harness.protocols import Resources, go_on
from harness.types import Call, Generate, Key, Output, Text, Usage

QUICK = Limits(concurrency=8, timeout_s=5.0, deadline_s=20.0, backoff_s=0.002)


def calls(n: int) -> list[Call]:
    return [Call(Key(str(i)), Generate(str(i))) for i in range(n)]


def right(call: Call) -> Output:
    return Output(call.key, Text(f"answer {call.key.sample_id}"), finish_reason="stop")


Attempt = Callable[[Any, Call], Awaitable[Output]]


@contextlib.contextmanager
def asking(attempt: Attempt, limits: Limits = QUICK, checkpoint: Any = go_on, opening: Any = None) -> Iterator[Asker]:
    resources = Resources(Path("nowhere"), checkpoint=checkpoint)
    asker = Asker("toy service", limits, resources, opening or contextlib.nullcontext, attempt)
    asker.open()
    try:
        yield asker
    finally:
        asker.close()


def failing(times: int, trouble: Callable[[], Exception]) -> tuple[Attempt, Counter[str]]:
    """An attempt that fails so often for every call, and how often each was made."""
    made: Counter[str] = Counter()

    async def attempt(session: Any, call: Call) -> Output:
        await asyncio.sleep(0)
        made[call.key.sample_id] += 1
        if made[call.key.sample_id] <= times:
            raise trouble()
        return right(call)

    return attempt, made


def _until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not happens() and time.monotonic() < deadline:
        time.sleep(0.005)


def spend(asker: Asker, ledger: Ledger, n: int) -> None:
    """Take the outputs of so many calls as the engine does."""
    for output in asker.outputs(calls(n)):
        ledger.add(output)


def errors(outputs: Sequence[Output]) -> list[str]:
    return [output.error for output in outputs if output.error is not None]


# ── answering ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_call_is_answered_once_and_no_more_than_concurrency_at_a_time() -> None:
    under_way, peak, made = 0, 0, 0

    async def attempt(session: Any, call: Call) -> Output:
        nonlocal under_way, peak, made
        under_way, made = under_way + 1, made + 1
        peak = max(peak, under_way)
        await asyncio.sleep(0.002 * (made % 3))
        under_way -= 1
        return right(call)

    with asking(attempt) as asker:
        for n in (300, 1, 0):
            outputs = list(asker.outputs(calls(n)))
            assert sorted(outputs, key=lambda output: int(output.key.sample_id)) == [
                Output(call.key, Text(f"answer {call.key.sample_id}"), finish_reason="stop", timing=output.timing)
                for call, output in zip(calls(n), sorted(outputs, key=lambda output: int(output.key.sample_id)))
            ]
            assert all(output.timing is not None and 0 <= output.timing.latency_s < 1 for output in outputs)
    assert made == 301
    assert peak == QUICK.concurrency


def test_outputs_come_while_others_are_under_way() -> None:
    first_is_taken = threading.Event()

    async def attempt(session: Any, call: Call) -> Output:
        while call.key.sample_id != "0" and not first_is_taken.is_set():
            await asyncio.sleep(0.005)
        return right(call)

    with asking(attempt) as asker:
        outputs = asker.outputs(calls(4))
        assert next(outputs).key.sample_id == "0"
        first_is_taken.set()
        assert len(list(outputs)) == 3


def test_works_inside_a_running_event_loop() -> None:
    attempt, _ = failing(0, Exception)

    async def notebook() -> int:
        with asking(attempt) as asker:
            return len(list(asker.outputs(calls(20))))

    assert asyncio.run(notebook()) == 20


def test_the_session_is_entered_once_in_the_thread_that_asks_and_left_at_the_end() -> None:
    seen: list[tuple[str, int]] = []

    @contextlib.asynccontextmanager
    async def opening() -> Any:
        seen.append(("enter", threading.get_ident()))
        yield "the session"
        seen.append(("leave", threading.get_ident()))

    async def attempt(session: Any, call: Call) -> Output:
        seen.append((session, threading.get_ident()))
        return right(call)

    with asking(attempt, opening=opening) as asker:
        list(asker.outputs(calls(1)))
        list(asker.outputs(calls(1)))
        asker.close()
        asker.close()
    assert [what for what, _ in seen] == ["enter", "the session", "the session", "leave"]
    assert len({where for _, where in seen}) == 1
    assert seen[0][1] != threading.get_ident()


def test_a_consumer_that_is_slow_is_not_flooded() -> None:
    made = 0

    async def attempt(session: Any, call: Call) -> Output:
        nonlocal made
        made += 1
        return right(call)

    with asking(attempt) as asker:
        outputs = asker.outputs(calls(5000))
        next(outputs)
        time.sleep(0.3)
        assert made < 400
        assert len(list(outputs)) == 4999


# ── trying again ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("kind", "retries"), [("transport", 5), ("rate_limit", 20), ("format", 2)])
def test_each_kind_of_trouble_has_its_own_budget(kind: Any, retries: int) -> None:
    attempt, made = failing(retries, lambda: Trouble(kind, "bad luck"))
    limits = Limits(concurrency=8, backoff_s=0.0)
    with asking(attempt, limits) as asker:
        assert errors(list(asker.outputs(calls(20)))) == []
    assert set(made.values()) == {retries + 1}


def test_budgets_are_not_shared() -> None:
    made = 0
    troubles = ["transport"] * 5 + ["rate_limit"] * 20 + ["format"] * 2

    async def attempt(session: Any, call: Call) -> Output:
        nonlocal made
        made += 1
        if made <= len(troubles):
            raise Trouble(troubles[made - 1], "bad luck")  # type: ignore[arg-type]
        return right(call)

    with asking(attempt, Limits(backoff_s=0.0)) as asker:
        assert errors(list(asker.outputs(calls(1)))) == []


def test_what_is_out_of_retries_is_an_error_that_says_how_often_and_what_came_last() -> None:
    async def attempt(session: Any, call: Call) -> Output:
        if call.key.sample_id == "3":
            raise Trouble("transport", "HTTP 503: overloaded")
        return right(call)

    with asking(attempt) as asker:
        outputs = list(asker.outputs(calls(10)))
    assert len(outputs) == 10
    (error,) = errors(outputs)
    assert error == "given up after 6 attempts; last: HTTP 503: overloaded"
    assert [output.finish_reason for output in outputs if output.error] == ["error"]


def test_an_attempt_has_a_time_limit_and_is_made_again() -> None:
    made: Counter[str] = Counter()

    async def attempt(session: Any, call: Call) -> Output:
        made[call.key.sample_id] += 1
        if made[call.key.sample_id] == 1 and call.key.sample_id == "2":
            await asyncio.sleep(60)
        return right(call)

    with asking(attempt, Limits(concurrency=8, timeout_s=0.1, backoff_s=0.0)) as asker:
        started = time.monotonic()
        assert errors(list(asker.outputs(calls(6)))) == []
        assert 0.1 <= time.monotonic() - started < 5
    assert made["2"] == 2


def test_the_deadline_counts_attempts_and_waits() -> None:
    async def attempt(session: Any, call: Call) -> Output:
        if call.key.sample_id == "0":
            await asyncio.sleep(0.05)
            raise Trouble("rate_limit", "HTTP 429")
        return right(call)

    limits = Limits(concurrency=4, deadline_s=0.4, rate_limit_retries=1000, backoff_s=0.01)
    with asking(attempt, limits) as asker:
        started = time.monotonic()
        (error,) = errors(list(asker.outputs(calls(3))))
        assert 0.2 <= time.monotonic() - started < 5
    assert "at the end of limits.deadline_s = 0.4; last: " in error
    assert "HTTP 429" in error


def test_an_attempt_ends_with_the_deadline_even_where_it_might_take_longer() -> None:
    async def attempt(session: Any, call: Call) -> Output:
        if call.key.sample_id == "0":
            await asyncio.sleep(60)
        return right(call)

    with asking(attempt, Limits(concurrency=4, timeout_s=50, deadline_s=0.2)) as asker:
        (error,) = errors(list(asker.outputs(calls(3))))
    assert error == "given up after 1 attempt, at the end of limits.deadline_s = 0.2; last: no answer before the deadline"


def test_what_a_service_refuses_and_what_goes_wrong_with_one_call_costs_that_call() -> None:
    async def attempt(session: Any, call: Call) -> Output:
        if call.key.sample_id == "1":
            raise Refused("too long")
        if call.key.sample_id == "2":
            raise ZeroDivisionError("division by zero")
        return right(call)

    with asking(attempt) as asker:
        found = {output.key.sample_id: output.error for output in asker.outputs(calls(5))}
    assert found == {"0": None, "1": "too long", "2": "ZeroDivisionError: division by zero", "3": None, "4": None}


def test_waits_double_are_drawn_below_their_bound_and_follow_from_the_call() -> None:
    def waits(call: Call, n: int) -> list[float]:
        asked = Asked(call, Limits(backoff_s=0.5, transport_retries=100, deadline_s=1e6), began=0.0)
        found = []
        for _ in range(n):
            asked.attempts += 1
            found.append(asked.wait(Trouble("transport", "x"), 0.0))
        return [wait for wait in found if wait is not None]

    many = [waits(call, 9) for call in calls(200)]
    for place, bound in enumerate([0.5, 1, 2, 4, 8, 16, 30, 30, 30]):
        drawn = [row[place] for row in many]
        assert max(drawn) <= bound
        assert max(drawn) > 0.9 * bound
        assert min(drawn) < 0.1 * bound
    assert waits(calls(1)[0], 5) == waits(calls(1)[0], 5)
    assert len({row[0] for row in many}) == 200


@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_attempt_that_is_cancelled_from_within_is_made_again(concurrency: int) -> None:
    made: Counter[str] = Counter()

    async def attempt(session: Any, call: Call) -> Output:
        made[call.key.sample_id] += 1
        await asyncio.sleep(0)
        if call.key.sample_id == "5" or (made[call.key.sample_id] == 1 and call.key.sample_id == "3"):
            raise asyncio.CancelledError
        return right(call)

    with asking(attempt, Limits(concurrency=concurrency, backoff_s=0.0)) as asker:
        outputs = list(asker.outputs(calls(40)))
    assert len(outputs) == 40
    assert [(output.key.sample_id, output.error[-55:]) for output in outputs if output.error] == [
        ("5", "last: the attempt was cancelled, by whatever it waited for"[-55:])
    ]
    assert (made["3"], made["5"]) == (2, 6)


def test_what_all_attempts_took_is_told_with_the_last() -> None:
    made: Counter[str] = Counter()

    async def attempt(session: Any, call: Call) -> Output:
        sample = call.key.sample_id
        made[sample] += 1
        if sample == "refused":
            raise Refused("filtered", Usage(7, 1))
        if sample == "never" or (sample == "late" and made[sample] == 1):
            raise Trouble("format", "no JSON", usage=Usage(10, 2, 0.5))
        return Output(call.key, Text("x"), usage=Usage(10, 3, 0.25))

    wanted = [Call(Key(sample), Generate("x")) for sample in ("never", "late", "refused", "once")]
    with asking(attempt) as asker:
        found = {output.key.sample_id: output.usage for output in asker.outputs(wanted)}
    assert found == {
        "never": Usage(30, 6, 1.5), "late": Usage(20, 5, 0.75), "refused": Usage(7, 1), "once": Usage(10, 3, 0.25),
    }  # fmt: skip


# ── Retry-After ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_everybody_waits_as_long_as_one_was_asked_to() -> None:
    began: list[float] = []

    async def attempt(session: Any, call: Call) -> Output:
        began.append(time.monotonic())
        is_fourth = len(began) == 4
        await asyncio.sleep(0.01)
        if is_fourth:
            raise Trouble("rate_limit", "HTTP 429", retry_after_s=0.3)
        return right(call)

    with asking(attempt, Limits(concurrency=4)) as asker:
        assert errors(list(asker.outputs(calls(30)))) == []
    gaps = [later - earlier for earlier, later in pairwise(began)]
    assert len(began) == 31
    assert sum(gap >= 0.28 for gap in gaps) == 1
    assert sum(gaps) < 5


def test_a_wait_beyond_the_deadline_is_not_begun_and_holds_nobody_up() -> None:
    async def attempt(session: Any, call: Call) -> Output:
        if call.key.sample_id == "5":
            raise Trouble("rate_limit", "HTTP 429", retry_after_s=1e9)
        return right(call)

    with asking(attempt, Limits(concurrency=4, deadline_s=30)) as asker:
        started = time.monotonic()
        (error,) = errors(list(asker.outputs(calls(40))))
        assert time.monotonic() - started < 5
    assert "given up after 1 attempt" in error
    assert "it asks to wait 1000000000 s and limits.deadline_s is 30; last: HTTP 429" in error


# ── the service is down ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_service_that_dies_stops_the_run_and_turns_nothing_into_an_error() -> None:
    answered = 0
    made: Counter[str] = Counter()

    async def attempt(session: Any, call: Call) -> Output:
        nonlocal answered
        made[call.key.sample_id] += 1
        await asyncio.sleep(0.001)
        if answered >= 50:
            raise Trouble("transport", "connection reset")
        answered += 1
        return right(call)

    with asking(attempt) as asker:
        outputs: list[Output] = []
        with pytest.raises(ServiceDown, match=r"toy service: the service is down: .* last: connection reset") as down:
            outputs.extend(asker.outputs(calls(1000)))
    assert down.value.exit_code == 4
    assert len(outputs) == answered == 50
    assert errors(outputs) == []
    assert len(made) < 50 + 4 * QUICK.concurrency
    assert max(made.values()) <= QUICK.transport_retries + 1


def test_three_in_a_row_by_chance_are_not_the_end_while_others_are_on_their_way() -> None:
    async def attempt(session: Any, call: Call) -> Output:
        await asyncio.sleep(0.01)
        if int(call.key.sample_id) < 4:
            raise Trouble("rate_limit", "HTTP 429", retry_after_s=1e9)
        await asyncio.sleep(0.1)
        return right(call)

    with asking(attempt) as asker:
        outputs = list(asker.outputs(calls(20)))
    assert len(outputs) == 20
    assert sorted(output.key.sample_id for output in outputs if output.error) == ["0", "1", "2", "3"]


@pytest.mark.parametrize(("unreachable", "is_down"), [(False, False), (True, True)])
def test_one_request_that_fails_alone_is_an_error_unless_there_is_nobody(unreachable: bool, is_down: bool) -> None:
    attempt, made = failing(1000, lambda: Trouble("transport", "no luck", unreachable=unreachable))
    with asking(attempt) as asker:
        try:
            found: list[Output] | ServiceDown = list(asker.outputs(calls(1)))
        except ServiceDown as down:
            found = down
    assert isinstance(found, ServiceDown) == is_down
    assert made["0"] == 6


@pytest.mark.parametrize("kind", ["format", "transport"])
@pytest.mark.parametrize("n", [3, 8])
def test_what_only_the_last_requests_have_is_their_fault(kind: Any, n: int) -> None:
    async def attempt(session: Any, call: Call) -> Output:
        if int(call.key.sample_id) >= 40:
            await asyncio.sleep(0.02)
            raise Trouble(kind, "no luck")
        return right(call)

    with asking(attempt, Limits(concurrency=8, transport_retries=2, backoff_s=0.002)) as asker:
        assert len(errors(list(asker.outputs(calls(40 + n))))) == n
        # as a run that is resumed asks: only for these
        assert len(errors(list(asker.outputs(calls(40 + n)[40:])))) == n


def test_an_answer_that_cannot_be_read_is_a_sign_of_life() -> None:
    async def attempt(session: Any, call: Call) -> Output:
        await asyncio.sleep(0.001)
        if int(call.key.sample_id) < 5:
            raise Trouble("format", "no JSON")
        return right(call)

    with asking(attempt, Limits(concurrency=1, backoff_s=0.0)) as asker:
        outputs = list(asker.outputs(calls(12)))
    assert (len(outputs), len(errors(outputs))) == (12, 5)


def test_nobody_there_is_no_fault_of_the_last_requests() -> None:
    attempt, _ = failing(1000, lambda: Trouble("transport", "no luck", unreachable=True))
    with asking(attempt) as asker, pytest.raises(ServiceDown):
        list(asker.outputs(calls(5)))


def test_an_account_that_is_empty_waits_for_what_is_on_its_way() -> None:
    empty = OutOfCredit("no credit")

    async def attempt(session: Any, call: Call) -> Output:
        await asyncio.sleep(0.01)
        if call.key.sample_id == "2":
            raise empty
        await asyncio.sleep(0.05)
        return right(call)

    found: list[Output] = []
    with asking(attempt) as asker, pytest.raises(ServiceDown) as raised:
        found.extend(asker.outputs(calls(100)))
    assert raised.value is empty
    assert {output.key.sample_id for output in found} == {"0", "1", "3", "4", "5", "6", "7"}


# ── stopping ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Enough(Exception):
    pass


def test_told_to_stop_it_sends_no_more_hands_over_what_comes_and_raises_the_same() -> None:
    stop, begun, checked = Enough("budget"), 0, 0

    def checkpoint(pending: int = 0) -> None:
        nonlocal checked
        checked += 1
        if begun >= 20:
            raise stop

    async def attempt(session: Any, call: Call) -> Output:
        nonlocal begun
        begun += 1
        await asyncio.sleep(0.02)
        return right(call)

    found: list[Output] = []
    with asking(attempt, checkpoint=checkpoint) as asker, pytest.raises(Enough) as raised:
        found.extend(asker.outputs(calls(1000)))
    assert raised.value is stop
    assert begun == len(found) == 20
    assert checked >= 21


def test_what_is_pending_counts_what_was_not_taken_yet() -> None:
    seen: list[int] = []

    async def attempt(session: Any, call: Call) -> Output:
        return right(call)

    with asking(attempt, Limits(concurrency=1), lambda pending=0: seen.append(pending)) as asker:
        outputs = asker.outputs(calls(50))
        next(outputs)
        _until(lambda: len(seen) >= 50)
        assert seen[:50] == list(range(50))
        list(outputs)


def test_what_was_taken_is_not_pending() -> None:
    seen: list[int] = []

    async def attempt(session: Any, call: Call) -> Output:
        await asyncio.sleep(0.03)
        return right(call)

    with asking(attempt, Limits(concurrency=1), lambda pending=0: seen.append(pending)) as asker:
        list(asker.outputs(calls(12)))
    assert max(seen) < 8
    assert sorted(seen)[6] <= 1


@pytest.mark.parametrize("seconds", [0.0, 0.05])
@pytest.mark.parametrize(("max_tokens", "sent"), [(5000, 5), (30_000, 30), (100, 4)])
def test_a_budget_is_kept_from_the_first_request_on(seconds: float, max_tokens: int, sent: int) -> None:
    ledger, made = Ledger(Budget(max_tokens=max_tokens)), 0

    async def attempt(session: Any, call: Call) -> Output:
        nonlocal made
        made += 1
        await asyncio.sleep(seconds)
        return Output(call.key, Text("x"), usage=Usage(1000, 10))

    with asking(attempt, Limits(concurrency=64), ledger.checkpoint) as asker, pytest.raises(Stopped):
        spend(asker, ledger, 3000)
    assert ledger.outputs == made
    assert sent - 4 <= made <= sent


def test_a_budget_does_not_hold_up_who_is_not_told_what_anything_takes() -> None:
    ledger = Ledger(Budget(max_tokens=10))

    async def attempt(session: Any, call: Call) -> Output:
        await asyncio.sleep(0.005)
        return right(call)

    with asking(attempt, Limits(concurrency=32), ledger.checkpoint) as asker:
        spend(asker, ledger, 200)
    assert ledger.outputs == 200


def test_a_first_request_that_fails_does_not_lock_the_others_out() -> None:
    ledger = Ledger(Budget(max_tokens=10**9))
    made: Counter[str] = Counter()

    async def attempt(session: Any, call: Call) -> Output:
        made[call.key.sample_id] += 1
        if made[call.key.sample_id] < 3:
            raise Trouble("rate_limit", "HTTP 429")
        return Output(call.key, Text("x"), usage=Usage(10, 1))

    with asking(attempt, Limits(concurrency=32, backoff_s=0.01), ledger.checkpoint) as asker:
        spend(asker, ledger, 60)
    assert (ledger.outputs, ledger.tokens) == (60, 660)


def test_a_stop_reaches_those_who_wait_for_the_first_price() -> None:
    is_stopped = threading.Event()
    ledger = Ledger(Budget(max_tokens=10**9), lambda: 2 if is_stopped.is_set() else None)

    async def attempt(session: Any, call: Call) -> Output:
        await asyncio.sleep(0.3)
        return right(call)

    threading.Timer(0.1, is_stopped.set).start()
    with asking(attempt, Limits(concurrency=32), ledger.checkpoint) as asker, pytest.raises(Stopped):
        spend(asker, ledger, 60)
    assert ledger.outputs == 4


def test_a_stop_cuts_waits_short() -> None:
    is_stopped = threading.Event()

    def checkpoint(pending: int = 0) -> None:
        if is_stopped.is_set():
            raise Enough

    attempt, _ = failing(1, lambda: Trouble("rate_limit", "HTTP 429", retry_after_s=60.0))
    limits = Limits(deadline_s=600)
    with asking(attempt, limits, checkpoint) as asker:
        threading.Timer(0.2, is_stopped.set).start()
        started = time.monotonic()
        with pytest.raises(Enough):
            list(asker.outputs(calls(10)))
        assert time.monotonic() - started < 5


def test_an_error_about_the_model_stops_it_after_the_others_were_answered() -> None:
    async def attempt(session: Any, call: Call) -> Output:
        await asyncio.sleep(0.01)
        if call.key.sample_id == "2":
            raise BackendError("the key is wrong")
        await asyncio.sleep(0.05)
        return right(call)

    found: list[Output] = []
    with asking(attempt) as asker, pytest.raises(BackendError, match="the key is wrong"):
        found.extend(asker.outputs(calls(100)))
    assert {output.key.sample_id for output in found} == {"0", "1", "3", "4", "5", "6", "7"}


def test_a_consumer_that_goes_away_leaves_nothing_behind() -> None:
    begun, cancelled = 0, 0

    async def attempt(session: Any, call: Call) -> Output:
        nonlocal begun, cancelled
        begun += 1
        try:
            await asyncio.sleep(0.001 if begun < 4 else 30)
        except asyncio.CancelledError:
            cancelled += 1
            raise
        return right(call)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with asking(attempt) as asker:
            outputs = asker.outputs(calls(100))
            next(outputs)
            started = time.monotonic()
            outputs.close()  # type: ignore[attr-defined]
            assert time.monotonic() - started < 5
            assert cancelled == begun - 3
            begun = -1000
            assert len(list(asker.outputs(calls(10)))) == 10


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_does_not_hang_the_run() -> None:
    async def attempt(session: Any, call: Call) -> Output:
        if call.key.sample_id == "3":
            raise SystemExit
        return right(call)

    with asking(attempt) as asker:
        for _ in range(2):
            with pytest.raises(BackendError, match="toy service: the thread that asks the service has ended"):
                list(asker.outputs(calls(100)))


def test_what_goes_wrong_at_opening_is_raised_there() -> None:
    @contextlib.asynccontextmanager
    async def opening() -> Any:
        raise BackendError("no such thing")
        yield

    attempt, _ = failing(0, Exception)
    with pytest.raises(BackendError, match="no such thing"), asking(attempt, opening=opening):
        pass
    closed = Asker("toy service", QUICK, Resources(Path("nowhere")), contextlib.nullcontext, attempt)
    with pytest.raises(BackendError, match=r"toy service: open\(\) it before asking it"):
        list(closed.outputs(calls(1)))


# ── how many at once ────────────────────────────────────────────────────────────────────────────────────────────────


def gate(most: int, rounds: Sequence[str | tuple[int, str]]) -> list[int]:
    """The limits after round trips in which all that may go through end in a way, or the first few of them do and the others
    are answered."""

    async def play() -> list[int]:
        it, found = Gate(most), []
        for round_ in rounds:
            n, ending = round_ if isinstance(round_, tuple) else (10**9, round_)
            tickets = [await it.enter() for _ in range(int(it.limit))]
            for place, ticket in enumerate(tickets):
                it.leave(ticket, ending if place < n else "answered")  # type: ignore[arg-type]
            found.append(int(it.limit))
        assert it.under_way == 0
        return found

    return asyncio.run(play())


def test_it_doubles_up_to_the_most_until_something_fails() -> None:
    assert gate(200, ["answered"] * 4) == [64, 128, 200, 200]
    assert gate(5, ["answered"] * 2) == [5, 5]


def test_too_many_requests_halve_it_once_a_round_trip() -> None:
    assert gate(64, ["answered", "throttled", "throttled"]) == [64, 32, 16]
    assert gate(64, ["answered", (1, "throttled"), (1, "throttled")]) == [64, 32, 16]
    assert gate(64, ["throttled"] * 10)[-1] == 1


def test_it_recovers_by_a_sixteenth_of_the_most_a_round_trip() -> None:
    found = gate(64, ["answered", "throttled", *["answered"] * 10])
    assert found[1] == 32
    assert found[-1] == 64
    assert all(3 <= later - earlier <= 4 for earlier, later in pairwise(found[1:9]))


def test_a_failure_now_and_then_does_not_narrow_it_and_all_failing_does() -> None:
    now_and_then = gate(64, ["answered", *[(3, "failed")] * 20])
    assert now_and_then[-1] >= 56
    assert gate(64, ["failed"] * 12)[-1] == 1


def test_those_who_wait_for_their_turn_get_it_and_those_who_go_away_do_not_keep_it() -> None:
    async def play() -> None:
        it = Gate(1)
        first = await it.enter()
        waiting = [asyncio.create_task(it.enter()) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        waiting[0].cancel()
        it.leave(first, "answered")
        waiting[1].cancel()  # its turn has come, but it does not know yet
        assert await asyncio.wait_for(waiting[2], 1) == 2
        assert it.under_way == 1

    asyncio.run(play())


def test_limits_are_checked() -> None:
    for key, value in {"concurrency": 0, "timeout_s": 0.0, "deadline_s": -1.0, "format_retries": -1, "backoff_s": -0.1}.items():
        with pytest.raises(ConfigError, match=rf"limits\.{key} must be .*, got {value!r}"):
            Limits(**{key: value})  # type: ignore[arg-type]
