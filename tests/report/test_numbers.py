"""As many digits as the interval warrants."""

from __future__ import annotations

import doctest

import pytest

from harness.report import numbers
from harness.report.numbers import number, plain, with_interval


@pytest.mark.parametrize(("value", "low", "high", "shown"), [
    (0.512, 0.4712, 0.5528, ("0.512", "[0.471, 0.553]")),       # ± 0.041: two digits of it are thousandths
    (0.51234, 0.31, 0.71, ("0.51", "[0.31, 0.71]")),            # ± 0.2
    (0.71234, 0.71134, 0.71334, ("0.7123", "[0.7113, 0.7133]")),  # ± 0.001 would allow five digits; four is enough
    (28.2968, 27.1, 29.6, ("28.3", "[27.1, 29.6]")),            # ± 1.25
    (99.5, 99.2, 100.0, ("99.5", "[99.2, 100.0]")),             # ± 0.4 would allow 99.50; 100.00 would have five digits
    (0.0, 0.0, 0.031, ("0.000", "[0.000, 0.031]")),
    (0.0, 0.0, 0.000064, ("0.0000", "[0.0000, 0.0001]")),
    (1.0, 0.969, 1.0, ("1.000", "[0.969, 1.000]")),
    (12345.6, 11000.0, 13900.0, ("12346", "[11000, 13900]")),
    (0.00123, 0.0011, 0.0014, ("0.00123", "[0.00110, 0.00140]")),
    (-0.2, -0.31, -0.09, ("-0.20", "[-0.31, -0.09]")),
    (-0.0001, -0.04, 0.04, ("0.000", "[-0.040, 0.040]")),       # no negative zero
    (0.5, None, None, ("0.500", "")),
    (0.5, 0.5, 0.5, ("0.500", "[0.500, 0.500]")),
])  # fmt: skip
def test_with_interval(value: float, low: float | None, high: float | None, shown: tuple[str, str]) -> None:
    assert with_interval(value, low, high) == shown


@pytest.mark.parametrize(("value", "shown"), [
    (None, "n/a"), (0.0, "0.000"), (1.0, "1.000"), (0.5, "0.500"), (28.2968, "28.3"), (123.4, "123"), (0.012345, "0.0123"),
    (9876.5, "9876"),
])  # fmt: skip
def test_plain(value: float | None, shown: str) -> None:
    assert plain(value) == shown


def test_a_negative_number_keeps_its_sign_where_a_digit_is_left() -> None:
    assert (number(-0.004, 2), number(-0.006, 2)) == ("0.00", "-0.01")


def test_the_examples_in_the_docstrings() -> None:
    assert doctest.testmod(numbers).failed == 0
