"""What is seen of a run while it goes."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from harness.cli.progress import Bars, Lines, Pace
from harness.engine.events import Event, Note, RunStarted, UnitFinished, UnitProgress, UnitStarted


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def lines(events: list[tuple[float, Event]]) -> list[str]:
    """What ``Lines`` says to events at these seconds after the start."""
    stream, watch = io.StringIO(), Watch()
    show = Lines(stream, watch)
    for at, event in events:
        watch.now = 100.0 + at
        show(event)
    return stream.getvalue().splitlines()


def test_at_most_one_line_in_ten_seconds() -> None:
    events: list[tuple[float, Event]] = [(0.0, UnitStarted("a", "t", 1000))]
    events += [(second, UnitProgress("a", "t", 10 * second, 1000, 0, 0, 0)) for second in range(1, 31)]
    assert lines(events) == [
        "a × t: 1000 to answer",
        "a × t: 100/1000, 10/s, 1:30 min left",
        "a × t: 200/1000, 10/s, 1:20 min left",
        "a × t: 300/1000, 10/s, 1:10 min left",
    ]


def test_units_have_their_own_ten_seconds_and_counts() -> None:
    said = lines([
        (0.0, RunStarted("id", Path("results/id"), True, 2)),
        (0.0, UnitStarted("a", "t", 100)),
        (12.0, UnitProgress("a", "t", 80, 100, 2, 30, 20)),
        (13.0, UnitFinished("a", "t", 100, 3, 30, 3725.0)),
        (13.0, Note("slow")),
        (13.0, UnitStarted("b", "t", 5)),
        (14.0, UnitFinished("b", "t", 5, 0, 0, 0.04)),
    ])  # fmt: skip
    assert said == [
        f"going on with id in {Path('results/id')}",
        "a × t: 100 to answer",
        "a × t: 80/100, 2.5/s, 8.0 s left, 2 missing, 30 from the cache, 20 resumed",  # 80 - 30 - 20 in 12 s; 20 to go
        "a × t: 100 done in 1:02 h, 3 missing, 30 from the cache, 20 resumed",
        "note: slow",
        "b × t: 5 to answer",
        "b × t: 5 done in 0.0 s",
    ]


def test_pace_counts_only_what_was_answered_now() -> None:
    pace = Pace(0.0)
    assert pace.rate(5.0) is None
    pace.counts = UnitProgress("a", "t", 50, 100, 0, 20, 30)
    assert pace.rate(5.0) is None
    assert pace.remaining(5.0) is None
    pace.counts = UnitProgress("a", "t", 70, 100, 0, 20, 30)
    assert (pace.rate(5.0), pace.remaining(5.0)) == (4.0, 7.5)


def terminal(stream: io.StringIO) -> Console:
    """A console that takes the stream for a terminal."""
    return Console(file=stream, force_terminal=True, width=140, markup=False, highlight=False, color_system=None)


def last_bar(stream: io.StringIO) -> str:
    """The last line that was drawn, without what moves the cursor."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    return [line for line in re.split(r"[\r\n]", plain) if line.strip()][-1]


def test_a_bar_has_pace_and_counts() -> None:
    stream, watch = io.StringIO(), Watch()
    with Bars(terminal(stream), watch) as bars:
        bars(UnitStarted("model [temperature=0]", "task", 40))
        watch.now += 10
        bars(UnitProgress("model [temperature=0]", "task", 20, 40, 1, 4, 0))
    bar = last_bar(stream)
    assert "model [temperature=0] × task" in bar
    assert "20/40" in bar
    assert "1.6/s, 12 s left, 1 missing, 4 from the cache" in bar  # 16 in 10 s; 20 to go


def test_a_finished_unit_becomes_a_line_above_the_bars() -> None:
    stream, watch = io.StringIO(), Watch()
    with Bars(terminal(stream), watch) as bars:
        bars(RunStarted("id", Path("r"), False, 1))
        bars(UnitStarted("a", "t", 40))
        bars(Note("half of it [done]"))
        bars(UnitFinished("a", "t", 40, 1, 0, 20.0))
        bars(UnitStarted("b", "t", 40))
    assert "run id in r" in stream.getvalue()
    assert "note: half of it [done]" in stream.getvalue()
    assert "a × t: 40 done in 20 s, 1 missing" in stream.getvalue()
    assert last_bar(stream).startswith("b × t ")


@pytest.mark.parametrize("done", [0, 40])
def test_bars_before_the_first_and_after_the_last_answer(done: int) -> None:
    stream, watch = io.StringIO(), Watch()
    with Bars(terminal(stream), watch) as bars:
        bars(UnitStarted("a", "t", 40))
        watch.now += 10
        bars(UnitProgress("a", "t", done, 40, 0, 0, 0))
    assert "left" not in stream.getvalue()
    assert f" {done}/40" in last_bar(stream).replace("  ", " ")
