"""One thread or all: by bursts of work whose times are given here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.errors import BackendError
from harness.models import threads
from harness.models.threads import set_threads

torch = pytest.importorskip("torch")


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("alone", "together", "chosen"),
    [
        ([0.030], [0.020], 2),
        ([0.030], [0.026], 1),  # a gain that is not worth the core
        ([0.030], [0.030], 1),
        ([0.010], [0.080], 1),  # the other core is busy
        ([0.030], [0.020, 0.900, 0.020], 2),  # held up once
        ([0.030, 0.900, 0.030], [0.028], 1),
    ],
)
def test_the_medians_choose(
    two_threads: None, monkeypatch: pytest.MonkeyPatch, alone: list[float], together: list[float], chosen: int
) -> None:
    now, counts = [0.0], {1: 0, 2: 0}

    def burst(n: int) -> float:
        seconds = (alone if n == 1 else together)[counts[n] % len(alone if n == 1 else together)]
        counts[n] += 1
        now[0] += seconds
        return seconds

    monkeypatch.setattr(threads, "_burst", burst)
    monkeypatch.setattr("harness.models.threads.time.perf_counter", lambda: now[0])
    said: list[str] = []
    assert set_threads(None, "cpu", said.append) == 2
    assert torch.get_num_threads() == chosen
    assert [message.startswith(f"torch uses {chosen} of 2 threads") for message in said] == [True]
    # Where every burst of all threads is the slower one, two are enough to know.
    assert counts[1] == 2 if min(together) >= max(alone) else counts[1] >= 3


def test_a_number_is_taken_as_it_is_and_nothing_is_said(two_threads: None) -> None:
    said: list[str] = []
    assert set_threads(1, "cpu", said.append) == 2
    assert (torch.get_num_threads(), said) == (1, [])


def test_an_accelerator_is_not_measured(two_threads: None) -> None:
    said: list[str] = []
    set_threads(None, "cuda", said.append)
    assert (torch.get_num_threads(), said) == (2, [])


def test_no_threads_are_refused(two_threads: None) -> None:
    with pytest.raises(BackendError, match="threads must be at least 1, got 0"):
        set_threads(0, "cpu", print)


def test_measuring_is_short(two_threads: None) -> None:
    import time

    started = time.perf_counter()
    for _ in range(3):
        set_threads(None, "cpu", lambda message: None)
    # 0.2 s each, and a burst of each kind that is under way then; a busy machine is given five times as long.
    assert time.perf_counter() - started < 3 * 5 * 0.3
