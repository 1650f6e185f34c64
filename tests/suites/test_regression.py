"""The suite ``regression``: what it asks, which number of a text is the answer, what stays a text."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.suites.regression import Regression, parse_number
from harness.templates import PromptTemplate, Shots
from harness.types import Ask, Generate, Label, Number, Sample, Text
from tests.suites.playing import answer, ask, data_set, first

DAY = Sample("d1", {"weekday": "Monday"}, target=96)


def written(folder: Path, **options) -> Regression:
    rows = [{"weekday": "Monday", "loans": 96}]
    data = data_set(folder, rows, {"target": "{{ loans }}"}, train=[{"weekday": "Friday", "loans": 133}])
    return Regression(PromptTemplate(text="{{ weekday }}:"), **options).prepare(data)


def test_a_model_that_gives_numbers_is_asked_for_them():
    suite = Regression(answer="number")
    assert suite.needs() == {Ask}
    assert ask(suite, DAY) == Ask({"weekday": "Monday"})
    assert answer(suite, DAY, Number(90.5, 80.0, 101.0)) == Number(90.5, 80.0, 101.0)


def test_a_number_is_read_out_of_what_is_written(tmp_path):
    suite = written(tmp_path)
    assert suite.needs() == {Generate}
    assert isinstance(ask(suite, DAY), Generate)
    assert ask(suite, DAY).prompt == "Monday:"
    assert answer(suite, DAY, Text("From 80 to 100, say 91.")) == Number(91.0)
    assert answer(written(tmp_path, take="first"), DAY, Text("From 80 to 100")) == Number(80.0)
    assert answer(written(tmp_path, decimal=","), DAY, Text("etwa 1.250,5 Bücher")) == Number(1250.5)


def test_stored_numbers_do_for_a_task_that_asks_for_text(tmp_path):
    assert answer(written(tmp_path), DAY, Number(3.0)) == Number(3.0)


def test_a_text_without_a_number_stays_what_it_is(tmp_path):
    assert answer(written(tmp_path), DAY, Text("Quite a few.")) == Text("Quite a few.")


def test_shots_show_the_number(tmp_path):
    friday = {"weekday": "Friday", "loans": 133}
    data = data_set(tmp_path, [{"weekday": "Monday", "loans": 96}], {"target": "{{ loans }}"}, train=[friday])
    suite = Regression(PromptTemplate(text="{{ weekday }}:", shots=Shots("train", 1))).prepare(data)
    assert ask(suite, first(data)).prompt == "Friday: 133\n\nMonday:"


def test_other_answers_are_refused():
    with pytest.raises(TypeError, match=r"^regression expects a number or text, got label$"):
        answer(Regression(answer="number"), DAY, Label("many"))


def test_text_needs_a_prompt():
    with pytest.raises(ConfigError, match=r"^a regression task with answer: text needs a prompt$"):
        Regression()


@pytest.mark.parametrize(("text", "number"), [
    ("42", 42.0), ("Answer: 42\n", 42.0), ("It is 3.14.", 3.14), ("-5", -5.0), ("(-5)", -5.0), ("x=-5", -5.0), ("+7", 7.0),
    ("\u22122.5 °C", -2.5), (".5", 0.5), ("-.5", -0.5), ("1e-3", 0.001), ("1E5 m", 1e5), ("5kg", 5.0), ("20%", 20.0),
    ("$1,000", 1000.0), ("1,250,000.5", 1250000.5), ("1\u00a0250", 1250.0), ("1'000'000", 1e6),
    ("3-4", 4.0), ("10\u201320", 20.0), ("2\u22123", 3.0), ("covid-19", 19.0), ("1,2,3", 3.0), ("5e", 5.0),
    ("", None), ("none", None), ("B12", None), ("x2y", None), ("v1.2.3", None), ("1.2.3", None), ("1e999", None), ("nan", None),
    ("inf", None), ("٣", None),
])
def test_numbers_in_texts(text, number):
    assert parse_number(text) == number


def test_the_decimal_mark_decides_what_a_comma_is():
    assert (parse_number("2,75"), parse_number("2,75", decimal=",")) == (75.0, 2.75)
    assert (parse_number("1.250"), parse_number("1.250", decimal=",")) == (1.25, 1250.0)
    assert parse_number("12 apples and 7 pears", take="first") == 12.0
