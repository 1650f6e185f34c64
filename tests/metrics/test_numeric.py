"""numeric_match: how numbers are read, which number counts, tolerances, undefined rows."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import plugins
from harness.errors import MetricError
from harness.metrics.numeric import NumericMatch, numbers, numeric_match
from harness.types import Key, Output, Sample, Text


@pytest.mark.parametrize(("text", "found"), [
    ("none", []), ("", []), ("1", ["1"]), ("1.", ["1"]), ("is 1.50, then", ["3/2"]), (".5 -.5", ["1/2", "-1/2"]),
    ("-5 and 5-3 = 2", ["-5", "5", "3", "2"]), ("10–15", ["10", "15"]), ("−5 to +7", ["-5", "7"]),
    ("1,000 1,234,567.5 1,00,000", ["1000", "2469135/2", "100000"]), ("1'234 1\u202f234", ["1234", "1234"]),
    ("1,2,3", ["1", "2", "3"]), ("12 345", ["12", "345"]), ("1,2345", ["1", "2345"]),
    ("$5, -$5, $-5, US$7, € 3", ["5", "-5", "-5", "7", "3"]), ("50% 7 %", ["50", "7"]),
    ("3/4 -1/2 1 1/2 ½ 1½", ["3/4", "-1/2", "3/2", "1/2", "3/2"]), ("5/0 7", ["7"]), ("12/25/2020", ["12", "25", "2020"]),
    ("1.5e3 2E-2 1.5 × 10^3 2x10^-1", ["1500", "1/50", "1500", "1/5"]), ("1e999999999999", ["1E+999999999999"]),
    ("\\frac{1}{2} -\\dfrac34 2\\frac{1}{2}", ["1/2", "-3/4", "5/2"]), ("1{,}000 1\\,000 \\$18 50\\% 2 \\cdot 10^{3}",
                                                                ["1000", "1000", "18", "50", "2000"]),
    ("B12 v1.2.3 x2 y_3 3D", ["3"]), ("wait...5", ["5"]), ("١٢ １２ 答えは18です", ["12", "12", "18"]), ("3:30", ["3", "30"]),
])
def test_numbers_of_a_text(text, found):
    assert [str(value) for value in numbers(text)] == found


def test_decimal_comma():
    assert [str(value) for value in numbers("1.234,5 3,25 1.000", ",")] == ["2469/2", "13/4", "1000"]


@settings(max_examples=60, deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-10**9, max_value=10**9, places=3), st.booleans())
def test_a_number_is_read_as_it_was_written(value, grouped):
    text = f"{value:,}" if grouped else str(value)
    assert list(numbers(f"so it is {text}.")) == [Fraction(value)]


@pytest.mark.parametrize(("take", "text", "value"), [
    ("auto", "1 then 2", 2), ("first", "1 then 2", 1), ("last", "\\boxed{1} then 2", 2), ("auto", "\\boxed{1} then 2", 1),
    ("auto", "\\boxed{1} or \\boxed{x = \\frac{3}{4}} 9", Fraction(3, 4)), ("auto", "3\n#### 1,200 apples 7\n8", 1200),
    ("auto", "\\boxed{\\text{about } \\sqrt{4} = 2} 3", 2), ("auto", "\\boxed{1} \\boxed{2", 1), ("boxed", "1", None),
    ("hashes", "#### 3\n4", 3), ("hashes", "3", None), ("auto", "\\boxed{A} 3", None), ("auto", "", None),
])
def test_which_number_counts(take, text, value):
    assert NumericMatch(take=take).number(text) == value


@pytest.mark.parametrize(("options", "prediction", "references", "hit"), [
    ({}, "so 3.0", ["3"], 1), ({}, "1/2", ["0.5"], 1), ({}, "1/3", ["0.3333333333333333"], 0), ({}, "3", ["4", "#### 3"], 1),
    ({}, "0.1", [".1"], 1), ({}, "none", ["3"], 0), ({}, "-3", ["3"], 0),
    ({"abs": .5}, "3.5", ["3"], 1), ({"abs": .5}, "3.51", ["3"], 0),
    ({"rel": .25}, "125", ["100"], 1), ({"rel": .25}, "75", ["100"], 1), ({"rel": .25}, "126", ["100"], 0),
    ({"rel": .25}, "-125", ["-100"], 1), ({"rel": .25}, "1", ["0"], 0),
    ({"take": "boxed"}, "\\boxed{5} 4", ["it is 5"], 1), ({"decimal": ","}, "1.000,5", ["1000,5"], 1),
    ({}, "1e500", ["1e500"], 1), ({}, "1e500", ["1e501"], 0), ({}, "0e999999999", ["0"], 1), ({}, "9" * 5000, ["9" * 5000], 1),
    ({}, "__import__('os').getpid() 2**3", ["8"], 0),
])
def test_hits(options, prediction, references, hit):
    assert numeric_match([prediction], [references], **options) == hit


def test_references_without_a_number_are_missing():
    samples = [Sample("1", references=("none",)), Sample("2", references=("none", "7")), Sample("3")]
    scores = NumericMatch().score(samples, [Output(Key(sample.id), Text("7")) for sample in samples])
    assert dict(scores.missing) == {0: "no reference has a number", 2: "no references"}
    assert scores.stats[1].tolist() == [1.0, 1.0]
    with pytest.raises(MetricError, match=r"numeric_match: references\[1\] must have a number, got 'none'"):
        numeric_match(["1", "2"], ["1", "none"])
    assert math.isnan(numeric_match([], []))
    assert NumericMatch().extremes(samples[0]) is None
    assert [row.tolist() for row in NumericMatch().extremes(samples[1])] == [[0.0, 1.0], [1.0, 1.0]]


def test_spec_parses_back():
    assert plugins.metric("numeric_match(rel=0.01,take=boxed)") == NumericMatch(.01, take="boxed")
    assert plugins.metric(NumericMatch(decimal=",").spec) == NumericMatch(decimal=",")


@pytest.mark.parametrize(("options", "message"), [
    ({"rel": -1}, "numeric_match: rel must be a number of at least 0, got -1"),
    ({"abs": math.nan}, "numeric_match: abs must be a number of at least 0, got nan"),
    ({"take": "x"}, "numeric_match: take must be one of auto, last, first, boxed, hashes, got 'x'"),
    ({"decimal": ";"}, "numeric_match: decimal must be '.' or ',', got ';'"),
])
def test_bad_parameters(options, message):
    with pytest.raises(MetricError, match=message):
        NumericMatch(**options)
