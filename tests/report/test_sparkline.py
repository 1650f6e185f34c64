"""Values as a row of characters."""

from __future__ import annotations

import doctest

from harness.report import sparkline as module
from harness.report.sparkline import sparkline


def test_examples() -> None:
    assert doctest.testmod(module).failed == 0


def test_every_step_has_its_character() -> None:
    values = [i / 8 for i in range(9)]
    assert sparkline(values) == "▁▂▃▄▅▆▇██"
    assert sparkline(values, plain=True) == "_.:-=+*##"


def test_nothing_to_show() -> None:
    assert (sparkline([]), sparkline([None, None])) == ("", "··")
