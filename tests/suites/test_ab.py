"""The A/B suite: what a row of a log becomes, without a request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError, DataError
from harness.suites.ab import AB
from harness.types import Answer, Outcomes, Sample
from tests.suites.playing import data_set, first

ROW = {"id": "r1", "user": "u7", "group": "B", "revenue": "12.5", "orders": 3, "before": "", "bought": "True"}
SUITE: dict[str, Any] = {"variant": "{{ group }}", "unit": "{{ user }}",
                         "outcomes": {"revenue": "{{ revenue }}", "many": "{{ orders > 2 }}", "bought": "{{ bought }}"},
                         "covariates": {"before": "{{ before }}"}, "control": "A", "split": {"A": 0.5, "B": 0.5}}


def played(folder: Path, row: Mapping[str, Any], **changed: Any) -> Answer:
    data = data_set(folder, [row], {})
    suite = AB(**{**SUITE, **changed}).prepare(data)
    sample: Sample = first(data)
    with pytest.raises(StopIteration) as end:
        next(suite.play(sample))  # it asks nothing
    answer: Answer = end.value.value
    return answer


def test_a_row_becomes_its_variant_and_its_numbers(tmp_path: Path) -> None:
    assert played(tmp_path, ROW) == Outcomes("B", {"revenue": 12.5, "many": 1.0, "bought": 1.0}, {"before": None}, "A", 0.5)


@pytest.mark.parametrize(("changed", "message"), [
    ({"group": "C"}, "variant 'C' is not one of split: A, B"), ({"group": " "}, "the row has no variant"),
    ({"revenue": "a lot"}, "outcomes.revenue must be a finite number, got 'a lot'"),
    ({"revenue": "inf"}, "outcomes.revenue must be a finite number"),
])  # fmt: skip
def test_a_row_that_cannot_be_read_fails_alone(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    data = data_set(tmp_path, [{**ROW, **changed}], {})
    with pytest.raises(ValueError, match=message):  # the engine makes a missing sample of it
        next(AB(**SUITE).prepare(data).play(first(data)))


def test_a_field_that_is_not_there_is_an_error_of_the_task(tmp_path: Path) -> None:
    data = data_set(tmp_path, [ROW], {})
    with pytest.raises(DataError, match=r"outcomes\.revenue: no field 'revnue'.*did you mean 'revenue'"):
        next(AB(**{**SUITE, "outcomes": {"revenue": "{{ revnue }}"}}).prepare(data).play(first(data)))


@pytest.mark.parametrize(("changed", "message"), [
    ({"outcomes": {}}, "outcomes must name at least one number"),
    ({"covariates": {"revenue": "{{ before }}"}}, "'revenue' is an outcome"),
    ({"split": {"A": 0.5, "B": 0.4}}, "sum to 1"), ({"split": {"A": 1.0}}, "two variants or more"),
    ({"control": "a"}, "control must be one of the variants of split, got 'a'; known: A, B"),
])  # fmt: skip
def test_keys_that_contradict_each_other_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AB(**{**SUITE, **changed})
