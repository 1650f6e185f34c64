"""Policies against stored runs whose answers are known: 400 questions, 80 of them wrong in the baseline."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.compare import NotComparable
from harness.errors import StoreError, UsageError
from harness.gate.evaluate import evaluate
from harness.gate.evidence import relative_scale
from harness.gate.policy import Policy, Rule
from harness.gate.verdict import RuleResult, Verdict
from harness.store.noise import RunNoise, write_noise
from tests.gate.conftest import Some
from tests.gate.runs import Nights


def judged(some: Some, run: Path, *rules: Rule, baseline: Path | None = None, **options: object) -> Verdict:
    policy = Policy(rules, **options)  # type: ignore[arg-type]
    return evaluate(run, baseline or some.good, policy, results=some.nights.results)


def only(verdict: Verdict) -> RuleResult:
    (result,) = verdict.rules
    return result


def test_a_planted_drop_is_a_regression(some: Some) -> None:
    """40 more wrong of 400, none more right. Tango's score of "a drop of 0.05": the likeliest share of the other sort is
    0.0025 (40 / (q + 0.05) = 720 / (0.95 - 2 q)), the variance 400 (2 q + 0.05 - 0.05²) = 21, z = 20 / √21, p 6.37e-6."""
    verdict = judged(some, some.worse, Rule(metric="exact_match", max_drop=0.05))
    result = only(verdict)
    assert (verdict.verdict, verdict.exit_code, result.verdict) == ("regressed", 1, "regressed")
    assert (result.value, result.baseline) == (pytest.approx(0.7), pytest.approx(0.8))
    assert (result.drop, result.n, result.allowed) == (pytest.approx(0.1), 400, 0.05)
    assert result.low is not None
    assert result.high is not None
    assert 0.05 < result.low < 0.1 < result.high
    assert result.p_value == pytest.approx(6.3748e-6, rel=0.15)


def test_the_same_answers_pass(some: Some) -> None:
    verdict = judged(some, some.same, Rule(max_drop=0.05))
    assert (verdict.verdict, verdict.exit_code) == ("passed", 0)
    assert {result.metric for result in verdict.rules} == {"exact_match", "token_f1", "error_rate"}, "length_ratio cannot drop"
    assert {str(result.drop) for result in verdict.rules} == {"0.0"}


def test_too_few_samples_are_inconclusive_and_say_how_many_would_do(nights: Nights) -> None:
    good, same = nights.run(range(8)), nights.run(range(8))
    verdict = evaluate(same, good, Policy((Rule(max_drop=0.02),)), results=nights.results)
    result = only(verdict)
    assert (verdict.verdict, verdict.exit_code, result.n) == ("inconclusive", 3, 40)
    # No pair of 40 differs, taken for one: sd² 1/40; 6.1826 · 0.025 / 0.02² = 386.4
    assert result.needed_n == 387


@pytest.mark.parametrize(("on", "code"), [(None, 3), ("pass", 0), ("fail", 1)])
def test_what_an_undecided_gate_exits_with(nights: Nights, on: str | None, code: int) -> None:
    good = nights.run(range(8))
    verdict = evaluate(nights.run(range(8)), good, Policy((Rule(max_drop=0.02),), on_inconclusive=on), results=nights.results)  # type: ignore[arg-type]
    assert (verdict.verdict, verdict.exit_code) == ("inconclusive", code)


def test_a_relative_drop(some: Some) -> None:
    """0.8 -> 0.7 is a drop of 12.5 %: within 20 % (0.16), not within 5 % (0.04)."""
    verdict = judged(some, some.worse, *(Rule(metric="exact_match", max_drop=share) for share in ("20%", "5%")))
    loose, strict = verdict.rules
    assert (loose.verdict, strict.verdict) == ("passed", "regressed")
    assert (loose.share, loose.allowed, strict.allowed) == (20.0, pytest.approx(0.16), pytest.approx(0.04))
    assert loose.drop == pytest.approx(0.1)


@pytest.mark.parametrize(("base", "sign", "worst"), [(0.8, 1, 0.784), (5.0, -1, 5.1), (-5.0, 1, -5.1), (-5.0, -1, -4.9)])
def test_the_worst_value_that_a_relative_drop_allows(base: float, sign: float, worst: float) -> None:
    """2 % worse: lower where higher is better, whatever the sign of the value."""
    assert base * relative_scale(0.02, base, sign) == pytest.approx(worst)


def test_where_lower_is_better_a_rise_is_the_drop(nights: Nights) -> None:
    nights = replace(nights, n=400)
    nights.write(metrics="exact_match, wer")
    good = nights.run(range(20))
    for wrong, word in ((range(20), "passed"), (range(120), "regressed")):
        result = only(evaluate(nights.run(wrong), good, Policy((Rule(metric="wer", max_drop=0.05),)), results=nights.results))
        assert result.verdict == word
    assert (result.baseline, result.value, result.drop) == (pytest.approx(0.05), pytest.approx(0.3), pytest.approx(0.25))
    for wrong, word in ((range(120), "regressed"), (range(20), "passed")):
        found = evaluate(nights.run(wrong), good, Policy((Rule(metric="wer", max_drop="100%"),)), results=nights.results)
        assert only(found).verdict == word


def test_limits_on_the_value_itself(some: Some) -> None:
    """320 of 400: exact one-sided bounds (scipy 1.17.1, binomtest(320, 400).proportion_ci(0.9)): 0.764237, 0.832414."""
    rules = [Rule(metric="exact_match", min_value=limit) for limit in (0.76, 0.77, 0.85)]
    found = judged(some, some.good, *rules, baseline=some.worse).rules
    assert [result.verdict for result in found] == ["passed", "inconclusive", "regressed"]
    assert (found[0].low, found[0].high) == (pytest.approx(0.764237, abs=1e-6), pytest.approx(0.832414, abs=1e-6))
    assert (found[0].value, found[0].drop, found[0].test) == (pytest.approx(0.8), None, "binomial")
    assert found[1].needed_n is not None
    assert found[1].needed_n > 400
    rules = [Rule(metric="error_rate", max_value=limit) for limit in (0.01, 0.005)]
    assert [r.verdict for r in judged(some, some.good, *rules).rules] == ["passed", "inconclusive"], "0 of 400: up to 0.0075"


def test_a_value_without_hits_goes_by_its_error(some: Some) -> None:
    """token_f1, repeated answers and clusters aside, is hits and misses here; chrf's sums are not."""
    nights = replace(some.nights, root=some.nights.root / "chrf")
    nights.write(metrics="chrf")
    rules = tuple(Rule(metric="chrf", min_value=limit) for limit in (50.0, 95.0))
    found = evaluate(nights.run(range(80)), None, Policy(rules), results=nights.results).rules
    assert [(result.verdict, result.test) for result in found] == [("passed", "t(linear)"), ("regressed", "t(linear)")]
    low, high, value = found[0].low, found[0].high, found[0].value
    assert low is not None
    assert high is not None
    assert value is not None
    assert low < value < high


def test_latency_has_a_limit(nights: Nights) -> None:
    nights = replace(nights, n=300)
    nights.write(metrics="exact_match, latency_p95")
    latency = {i: 0.1 + (i % 30) / 100 for i in range(300)}  # 0.1 … 0.39 s: the 95 % quantile is 0.38
    run = nights.run(latency=latency)
    rules = tuple(Rule(metric="latency_p95", max_value=limit) for limit in (0.5, 0.2))
    found = evaluate(run, None, Policy(rules), results=nights.results).rules
    assert [result.verdict for result in found] == ["passed", "regressed"]
    assert found[0].value == pytest.approx(0.38, abs=0.011)


def test_slices_by_pattern(some: Some) -> None:
    """All 40 new errors are in questions 80 to 119: 20 easy ones, 20 hard ones, of 200 each."""
    found = judged(some, some.worse, Rule(metric="exact_match", slice="level=*", max_drop=0.02)).rules
    assert [(result.slice, result.n, result.verdict) for result in found] == [
        ("level=easy", 200, "regressed"), ("level=hard", 200, "regressed")]  # fmt: skip
    assert [result.drop for result in found] == [pytest.approx(0.1)] * 2


def test_broken_runs_get_no_verdict(some: Some) -> None:
    """8 of 400 outputs are missing: 2 %, the config's max_missing is 1 %."""
    rule = Rule(metric="exact_match", max_drop=0.05)
    verdict = judged(some, some.broken, rule)
    assert (verdict.verdict, verdict.exit_code, only(verdict).p_value) == ("infrastructure", 4, None)
    assert verdict.notes == ("model × capitals: 8 of 400 outputs are missing, more than max_missing 0.01",)
    assert judged(some, some.broken, rule, max_missing=0.02).verdict == "passed"


@pytest.mark.parametrize(("rule", "why"), [
    (Rule(task="capitols", max_drop=0.1), "no task 'capitols'; did you mean 'capitals'?"),
    (Rule(metric="exact_mach", max_drop=0.1), "no metric 'exact_mach'; did you mean 'exact_match'?"),
    (Rule(model="other", max_drop=0.1), "no model 'other'; known: model"),
    (Rule(slice="level=eazy", max_drop=0.1), "no slice 'level=eazy'; did you mean 'level=easy'?"),
])  # fmt: skip
def test_a_rule_that_matches_nothing_is_refused(some: Some, rule: Rule, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        judged(some, some.same, Rule(max_drop=0.1), rule)
    assert str(caught.value) == f"gate: rule 2 ({rule}) matches nothing in run {some.same.name}: {why}"


def test_what_has_no_direction_cannot_drop(some: Some) -> None:
    with pytest.raises(UsageError, match="length_ratio is neither better when higher nor when lower"):
        judged(some, some.same, Rule(metric="length_ratio", max_drop=0.1))


def test_another_spelling_of_a_metric(some: Some) -> None:
    assert only(judged(some, some.same, Rule(metric="exact_match()", max_drop=0.05))).metric == "exact_match"


def test_holm_counts_all_checks(some: Some) -> None:
    """The p of one check is multiplied by the number of checks that are left: three here."""
    verdict = judged(some, some.worse, *[Rule(metric="exact_match", max_drop=0.05)] * 3)
    p = verdict.rules[0].p_value
    assert p is not None
    assert [result.p_adjusted for result in verdict.rules] == [pytest.approx(3 * p)] * 3
    assert judged(some, some.worse, Rule(metric="exact_match", max_drop=0.05), correction="none").rules[0].p_adjusted == p


# ── the baseline ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_common_samples(nights: Nights) -> None:
    good = nights.run()
    nights.write(first=1000)
    other = nights.run(first=1000)
    with pytest.raises(NotComparable, match="no common samples"):
        evaluate(other, good, Policy((Rule(max_drop=0.1),)), results=nights.results)


def test_another_version_of_the_task(nights: Nights) -> None:
    good = nights.run()
    nights.write(version=2)
    newer = nights.run()
    with pytest.raises(NotComparable, match=r"version is 1 in .* and 2 in"):
        evaluate(newer, good, Policy((Rule(max_drop=0.1),)), results=nights.results)
    assert evaluate(newer, good, Policy((Rule(max_drop=0.1),)), results=nights.results, allow=["task"]).verdict == "passed"


def test_a_metric_that_the_baseline_lacks(nights: Nights) -> None:
    good = nights.run()
    nights.write(metrics="exact_match, token_f1")
    run, policy = nights.run(), Policy((Rule(metric="token_f1", max_drop=0.1),))
    with pytest.raises(UsageError, match=rf"rule 1 .* nothing to compare with: baseline {good.name} has no token_f1 of model"):
        evaluate(run, good, policy, results=nights.results)
    verdict = evaluate(run, good, Policy((Rule(max_drop=0.1),)), results=nights.results)
    assert verdict.notes == ("new since the baseline, and not compared: model × capitals: token_f1",)
    assert [result.metric for result in verdict.rules] == ["exact_match"]
    back = evaluate(good, run, Policy((Rule(max_drop=0.1),)), results=nights.results)
    assert back.notes == ("in the baseline, and not in this run: capitals: token_f1",)


def test_without_a_baseline_only_values_are_checked(some: Some) -> None:
    policy = Policy((Rule(max_drop=0.1), Rule(metric="exact_match", min_value=0.5)))
    verdict = evaluate(some.good, None, policy, results=some.nights.results)
    assert (verdict.verdict, verdict.baseline, only(verdict).rule) == ("passed", None, 2)
    assert verdict.notes == ("rule 1 (metric *: max_drop 0.1) was not checked: there is no baseline",)


@pytest.mark.parametrize(("file", "content"), [("run.json", b"{"), ("samples.parquet", b"PAR1 no more")])
def test_a_corrupt_run(nights: Nights, file: str, content: bytes) -> None:
    good, run = nights.run(), nights.run()
    (run / file).write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        evaluate(run, good, Policy((Rule(max_drop=0.1),)), results=nights.results)


def test_one_sample(tmp_path: Path) -> None:
    nights = Nights(tmp_path, n=1)
    nights.write()
    verdict = evaluate(nights.run(), nights.run(), Policy((Rule(max_drop=0.1),)), results=nights.results)
    assert (verdict.verdict, only(verdict).reason) == ("inconclusive", "one sample")


def test_another_version_of_a_metric(nights: Nights) -> None:
    good, run = nights.run(), nights.run()
    edited(good, lambda row: row.update(signature=row["signature"].replace("#v1", "#v0").replace("#v2", "#v0")))
    with pytest.raises(NotComparable, match=rf"metric exact_match is exact_match.* harness rescore {good.name}"):
        evaluate(run, good, Policy((Rule(max_drop=0.1),)), results=nights.results)


def test_a_metric_that_lost_its_values(some: Some, nights: Nights) -> None:
    """Answers are there, and 10 of 40 have no value any more, where all had one: no verdict on that metric."""
    nights.write(metrics="exact_match, token_f1")
    good, run = nights.run(range(8)), nights.run(range(30))
    edited(run, lambda row: row.update(n=30, n_missing=10) if row["metric"] == "token_f1" else None)
    verdict = evaluate(run, good, Policy((Rule(max_drop=0.05),)), results=nights.results)
    assert [(result.metric, result.verdict) for result in verdict.rules] == [
        ("exact_match", "regressed"), ("token_f1", "infrastructure")]  # fmt: skip
    assert (verdict.verdict, verdict.exit_code) == ("infrastructure", 4), "no verdict on a broken run comes first"
    assert verdict.rules[1].reason == "10 of 40 samples have no value any more"


def edited(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change every estimate of a stored run."""
    record = json.loads((run / "run.json").read_text())
    for row in record["estimates"]:
        change(row)
    (run / "run.json").write_text(json.dumps(record))


def test_a_metric_that_lost_its_values_under_another_name_of_the_model(nights: Nights) -> None:
    good, run = nights.run(range(8)), nights.run(range(8), models=["renamed"])
    edited(run, lambda row: row.update(n=30, n_missing=10))
    verdict = evaluate(run, good, Policy((Rule(max_drop=0.3),)), results=nights.results)
    assert (verdict.verdict, only(verdict).reason) == ("infrastructure", "10 of 40 samples have no value any more")


def test_one_missing_answer_does_not_break_a_slice(tmp_path: Path) -> None:
    """1 of 160 is below max_missing; of the 80 easy ones it is more than 1 %."""
    nights = Nights(tmp_path, n=160)
    nights.write()
    good, run = nights.run(), nights.run(failed=[1])
    verdict = evaluate(run, good, Policy((Rule(slice="level=easy", max_drop=0.1),)), results=nights.results)
    assert (verdict.verdict, only(verdict).n) == ("passed", 79)


def test_samples_that_are_not_compared_are_told(nights: Nights) -> None:
    good = replace(nights, n=60)
    good.write()
    base = good.run(failed=range(10))
    nights.write()
    run = nights.run()
    verdict = evaluate(run, base, Policy((Rule(max_drop=0.5),)), results=nights.results)
    assert verdict.notes == (
        "model × capitals: 40 samples in both; left out: 20 only in the baseline",
        "model × capitals: exact_match: compared on 30 of 40 samples: the others lack a value in a run",
    )


def test_an_entry_that_is_gone_is_told(nights: Nights) -> None:
    good, run = nights.run(models=["one", "two"]), nights.run(models=["one"])
    verdict = evaluate(run, good, Policy((Rule(max_drop=0.5),)), results=nights.results)
    assert verdict.notes == ("in the baseline, and not in this run: two × capitals",)


@pytest.mark.parametrize("limit", [{"max_drop": 2}, {"max_drop": "100%"}, {"min_value": 0}, {"max_value": 1}])
def test_a_limit_that_nothing_breaks_is_refused(nights: Nights, limit: dict[str, Any]) -> None:
    """Two points meant as 2 of what lies between 0 and 1: with every answer wrong it would pass."""
    good, run = nights.run(), nights.run(range(40))
    with pytest.raises(UsageError, match=r"rule 1 .* checks nothing: .* holds whatever exact_match is, between 0 and 1"):
        evaluate(run, good, Policy((Rule(**limit),)), results=nights.results)


def test_a_pattern_may_reach_a_metric_that_cannot_break_its_limit(nights: Nights) -> None:
    nights.write(metrics="exact_match, chrf")
    verdict = evaluate(nights.run(), nights.run(), Policy((Rule(max_drop=20),)), results=nights.results)
    assert verdict.notes == ("holds whatever the value is: max_drop 20 of exact_match",)


def test_what_was_never_checked_does_not_pass_as_inconclusive(nights: Nights) -> None:
    """No answer of the baseline has a value: there is nothing to compare with."""
    base, run = nights.run(failed=range(40)), nights.run()
    verdict = evaluate(run, base, Policy((Rule(max_drop=0.1),), on_inconclusive="pass"), results=nights.results)
    assert (verdict.verdict, verdict.exit_code, only(verdict).p_value) == ("inconclusive", 3, None)


def test_counts_that_say_nothing_of_units(nights: Nights) -> None:
    good, run = nights.run(), nights.run()
    record = json.loads((run / "run.json").read_text())
    for counts in ({}, {"units": {"model × capitals": {}}}):
        (run / "run.json").write_text(json.dumps(record | {"counts": counts}))
        with pytest.raises(StoreError, match=r"run\.json is damaged: counts"):
            evaluate(run, good, Policy((Rule(max_drop=0.1),)), results=nights.results)


def test_the_cells_of_a_matrix_by_pattern(nights: Nights) -> None:
    """Brackets are part of a cell's name, and no wildcard."""
    good, run = (nights.run(extra="matrix: {decoding.temperature: [0, 0.7]}\n") for _ in range(2))
    verdict = evaluate(run, good, Policy((Rule(model="* [*=0.7]", max_drop=0.5),)), results=nights.results)
    assert [result.entry for result in verdict.rules] == ["model [temperature=0.7]"]


def test_nothing_may_drop_at_all(nights: Nights) -> None:
    verdict = evaluate(nights.run(), nights.run(), Policy((Rule(max_drop=0),)), results=nights.results)
    assert (verdict.verdict, only(verdict).needed_n) == ("inconclusive", None)
    assert only(verdict).reason == "no number of samples shows that nothing dropped at all: allow some drop"


# ── noise ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_noise_between_runs_is_counted(nights: Nights) -> None:
    """A drop of 0.1 is beyond 0.05, unless runs vary by 0.05 by themselves: sqrt(2) · 0.05 is an error of 0.07."""
    nights = replace(nights, n=400)
    nights.write()
    good, worse = nights.run(range(80)), nights.run(range(120))
    policy = Policy((Rule(max_drop=0.05),))
    quiet = evaluate(worse, good, policy, results=nights.results)
    measured = RunNoise(variance=0.05**2, dof=4, sd=0.05, n=400, values=(0.8, 0.75))
    write_noise(nights.results, "nightly", ["x", "y"], {"model": {"capitals": {"exact_match": measured}}})
    noisy = evaluate(worse, good, policy, results=nights.results)
    assert (quiet.verdict, noisy.verdict) == ("regressed", "inconclusive")
    assert noisy.notes == ("the noise between runs (harness noise) is counted in 1 of 1 checks",)
    assert quiet.notes == ()
    low, high = only(noisy).low, only(noisy).high
    assert low is not None
    assert high is not None
    assert (high - low) / 2 > 0.07 * 1.6, "of both runs, at 95 %"
    same = evaluate(nights.run(range(80)), good, policy, results=nights.results)
    assert only(same).reason == "no number of samples decides it: the noise between runs is too large"


# ── drift ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_drift_is_a_rule_too(some: Some) -> None:
    """120 answers of 400 are "no idea" instead of 80: the words of the outputs differ, and little."""
    rules = (*(Rule(drift="output_js", max_value=most) for most in (0.5, 0.0001)), Rule(metric="exact_match", max_drop="50%"))
    verdict = judged(some, some.worse, *rules)
    loose, strict, drop = verdict.rules
    assert (loose.metric, loose.limit, loose.allowed, loose.entry) == ("drift output_js", "max_value", 0.5, "model")
    assert (loose.verdict, strict.verdict, drop.verdict, verdict.verdict) == ("passed", "regressed", "passed", "regressed")
    assert loose.value is not None
    assert 0 < loose.value < 0.5
    assert [r.verdict for r in judged(some, some.same, Rule(drift="error_rate", max_value=0.05)).rules] == ["passed"]


def test_an_unknown_measure_of_drift(some: Some) -> None:
    with pytest.raises(UsageError, match="unknown measure 'output_jss'; did you mean 'output_js'"):
        judged(some, some.same, Rule(drift="output_jss", max_value=0.1))
