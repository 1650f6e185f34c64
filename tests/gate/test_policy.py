"""A policy from its document: what it asks, in numbers and in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.config import gate_of, load_gate
from harness.errors import ConfigError
from harness.gate.policy import Limit, Notify, Policy, Rule, matches, policy_of_run
from harness.store import read_record
from tests.gate.conftest import Some


def test_a_file_with_the_keys_of_gate(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("rules: [{metric: bleu, max_drop: 2%}, {drift: output_js, max_value: 0.1}]\nalpha: 0.1\nsequential: true\n"
                    "notify: {url: 'https://example.org/${TOKEN}', on: [regressed, inconclusive]}\n")  # fmt: skip
    policy = Policy.of(load_gate(path))
    assert policy == Policy(
        rules=(Rule(metric="bleu", max_drop="2%"), Rule(drift="output_js", max_value=0.1)), alpha=0.1, sequential=True,
        notify=Notify("https://example.org/${TOKEN}", ("regressed", "inconclusive")),
    )  # fmt: skip
    assert policy.needs_baseline
    assert not Policy((Rule(min_value=0.5), Rule(max_value=2))).needs_baseline


def test_faults_of_a_file_are_told_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("rules:\n  - {metric: bleu, max_dorp: 0.02}\nalpa: 0.1\n")
    with pytest.raises(ConfigError) as caught:
        load_gate(path)
    assert [problem.rpartition("policy.yaml:")[2] for problem in caught.value.problems] == [
        "2:20: unknown key 'max_dorp'; did you mean 'max_drop'?", "3:1: unknown key 'alpa'; did you mean 'alpha'?"]  # fmt: skip


@pytest.mark.parametrize("text", [
    "name: nightly\nmodels: {m: {backend: null}}\ntasks: [t.yaml]\ngate: {rules: [{max_drop: 0.1}]}\n",
    "gate:\n  rules: [{max_drop: 0.1}]\n",
    "models: {m: {backend: null}}\ntasks: [t.yaml]\n",
])  # fmt: skip
def test_a_run_config_is_no_policy_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_gate(path)
    [problem] = caught.value.problems
    assert problem.endswith(
        "policy.yaml:1:1: this is a run config; at the top of a policy file stand the keys of gate: rules, baseline, …")


def test_a_record_is_checked_again() -> None:
    assert gate_of({"rules": [{"max_drop": 0.1}]}, "run x")["alpha"] == 0.05
    with pytest.raises(ConfigError, match=r"run x: gate\.rules\.0\.max_dorp"):
        gate_of({"rules": [{"max_dorp": 0.1}]}, "run x")


def test_a_run_without_a_policy_has_none(some: Some) -> None:
    record = read_record(some.good)
    assert policy_of_run(record) is None
    written = replace(record, config={**record.config, "gate": {"rules": [{"min_value": 0.5}]}})
    assert policy_of_run(written) == Policy((Rule(min_value=0.5),))


def test_limits() -> None:
    rule = Rule(max_drop="2.5%", min_value=0.5, max_value=3)
    assert list(rule.limits()) == [Limit("max_drop", 0.025, True), Limit("min_value", 0.5), Limit("max_value", 3.0)]
    assert list(Rule(max_drop=0).limits()) == [Limit("max_drop", 0.0)]
    assert str(rule) == "metric *: max_drop 2.5%, min_value 0.5, max_value 3"
    assert str(Rule(task="qa", model="a*", slice="topic=*", max_drop=0.1)) == (
        "metric *, task qa, model a*, slice topic=*: max_drop 0.1"
    )
    assert str(Rule(drift="output_js", max_value=0.1)) == "drift output_js: max_value 0.1"


@pytest.mark.parametrize(("pattern", "name", "is_match"), [
    ("*", "anything", True), ("ndcg@*", "ndcg@10", True), ("ndcg@?", "ndcg@10", False), ("Acc*", "accuracy", False),
    ("f1(average=[macro])", "f1(average=[macro])", True),
])  # fmt: skip
def test_patterns(pattern: str, name: str, is_match: bool) -> None:
    assert matches(pattern, [name]) is is_match


def test_the_model_of_a_rule_is_a_model_or_an_entry() -> None:
    rule = Rule(model="small")
    assert rule.is_for(task="t", entry="small, temperature 0", model="small")
    assert Rule(model="small, *").is_for(task="t", entry="small, temperature 0", model="small")
    assert not rule.is_for(task="t", entry="large", model="large")
