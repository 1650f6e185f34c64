"""What can be known of a policy before there is a run."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from harness.errors import UsageError
from harness.gate.planned import PlannedTask, rounded, warnings
from harness.gate.policy import Policy, Rule
from harness.plugins import metric

METRICS = {"accuracy": metric("accuracy"), "bleu": metric("bleu"), "length_ratio": metric("length_ratio")}


def told(n: int, *rules: Rule, slices: Mapping[str, int] | None = None) -> list[str]:
    return warnings(Policy(rules), [PlannedTask("intents", n, METRICS, (("small, x", "small"),), slices or {})])


def test_a_two_point_rule_needs_about_1500() -> None:
    """(1.645 + 0.842)² · 0.1 / 0.02² = 1546"""
    rule = Rule(metric="accuracy", max_drop=0.02)
    assert told(200, rule) == [
        "gate rule 1 (metric accuracy: max_drop 0.02): 200 samples of intents hardly decide accuracy; about 1,500 would, if "
        "10% of the answers change"
    ]
    assert told(1545, rule) != []
    assert told(1546, rule) == []


def test_what_is_not_known_is_not_told() -> None:
    assert told(20, Rule(metric="bleu", max_drop=2)) == []
    assert told(20, Rule(metric="bleu", slice="topic=*", max_drop=2), slices={"topic=law": 20}) == []
    assert told(20, Rule(task="other", max_drop=0.02), Rule(model="large", max_drop=0.02)) == []
    assert len(told(20, Rule(model="small", max_drop=0.02))) == 1


def test_a_floor_that_even_a_perfect_run_does_not_reach() -> None:
    """0.99^n < 0.05 from 299 on; 0 errors of n leave up to 3 / n."""
    assert told(298, Rule(metric="accuracy", min_value=0.99))[0].endswith("about 300 would if every one is right")
    assert told(299, Rule(metric="accuracy", min_value=0.99)) == []
    assert told(200, Rule(metric="accuracy", max_value=0.01))[0].endswith("about 300 would at best")


def test_no_drop_at_all_cannot_pass() -> None:
    found = told(10_000, Rule(max_drop=0))
    assert [text.partition("): ")[2] for text in found] == [
        f"{name} of intents passes only if it is better beyond doubt: allow some drop" for name in ("accuracy", "bleu")
    ]


def test_a_measure_of_drift_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="gate: rule 2: drift: unknown measure 'output_jss'; did you mean 'output_js'"):
        told(10, Rule(drift="output_js", max_value=0.1), Rule(drift="output_jss", max_value=0.1))


def test_a_limit_that_nothing_breaks() -> None:
    found = told(10_000, Rule(metric="accuracy", max_drop=2), Rule(metric="accuracy", min_value=0.0))
    assert [text.partition("): ")[2] for text in found] == [
        "max_drop 2 holds whatever accuracy of intents is, between 0 and 1",
        "min_value 0 holds whatever accuracy of intents is, between 0 and 1",
    ]


def test_a_slice_is_as_large_as_it_is() -> None:
    """Of 10,000 samples those of two topics are too few for the rule on each topic: 1546."""
    slices = {"topic=law": 500, "topic=all": 8000, "topic=art": 1545, "level=easy": 3}
    rule = Rule(metric="accuracy", slice="topic=*", max_drop=0.02)
    assert told(10_000, rule, slices=slices) == [
        "gate rule 1 (metric accuracy, slice topic=*: max_drop 0.02): too few samples of intents in topic=law (500), topic=art "
        "(1,545) to decide accuracy; about 1,500 would, if 10% of the answers change"
    ]
    hundred = {f"topic={i}": 1 + i for i in range(100)}
    assert "in topic=0 (1), topic=1 (2), topic=2 (3) and 97 more to decide accuracy" in told(5050, rule, slices=hundred)[0]
    assert told(10_000, Rule(metric="accuracy", slice="topic=all", max_drop=0.02), slices=slices) == []
    idle = Rule(metric="accuracy", slice="topic=*", min_value=0)
    assert len(told(10_000, idle, slices=slices)) == 1, "whatever the slice"


def test_a_task_without_the_slice_is_not_meant() -> None:
    slices = {"a": {"x=1": 9}, "b": {"y=1": 9}}
    tasks = [PlannedTask(name, 9, METRICS, (("small", "small"),), there) for name, there in slices.items()]
    [found] = warnings(Policy((Rule(metric="accuracy", slice="x=*", min_value=2),)), tasks)
    assert "accuracy of a lies" in found


def test_a_slice_that_no_sample_is_in() -> None:
    [found] = told(9, Rule(metric="accuracy", slice="topic=lwa", max_drop=0.5), slices={"topic=law": 9})
    assert found.endswith("no sample is in a slice 'topic=lwa'; did you mean 'topic=law'?")


@pytest.mark.parametrize(("rule", "why"), [
    (Rule(metric="accuracy", min_value=2), "min_value 2 never holds: accuracy of intents lies between 0 and 1"),
    (Rule(metric="accuracy", max_value=-0.1), "max_value -0.1 never holds: accuracy of intents lies between 0 and 1"),
    (Rule(metric="accuracy", min_value=1),
     "min_value 1 never holds beyond doubt: accuracy of intents lies between 0 and 1"),
    (Rule(metric="accuracy", max_value=0),
     "max_value 0 never holds beyond doubt: accuracy of intents lies between 0 and 1"),
    (Rule(metric="accuracy", max_value=1), "max_value 1 holds whatever accuracy of intents is, between 0 and 1"),
    (Rule(metric="accuracy", slice="topic=law", min_value=2),
     "min_value 2 never holds: accuracy of intents lies between 0 and 1"),
])  # fmt: skip
def test_a_limit_beyond_the_bounds(rule: Rule, why: str) -> None:
    assert [text.partition("): ")[2] for text in told(10_000, rule, slices={"topic=law": 9000})] == [why]


def test_bounds_that_nobody_knows_are_no_limit() -> None:
    assert told(9, Rule(metric="length_ratio", min_value=10)) == []
    [found] = told(9, Rule(metric="length_ratio", max_value=-1))
    assert found.endswith("): max_value -1 never holds: length_ratio of intents lies between 0 and ∞")


def test_rounded() -> None:
    assert [rounded(n) for n in (1, 99, 100, 1546, 24_723)] == [1, 99, 100, 1500, 25_000]
