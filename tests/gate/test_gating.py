"""The baseline: found, set on the first night, moved by a run that passed, and gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness import api
from harness.errors import StoreError, UsageError
from harness.gate.gating import Gating, gate_run
from harness.gate.verdict import Verdict
from harness.store.baselines import baseline_log, baseline_of, set_baseline
from harness.store.gatelog import GATE_LOG, decisions
from tests.gate.runs import Nights

GATE = "{baseline: main, rules: [{max_drop: 0.1}]}"


def gated(nights: Nights, run: Path, **options: object) -> Verdict:
    return gate_run(run.name, nights.results, Gating(**options))[0]  # type: ignore[arg-type]


def test_the_first_night_sets_the_baseline(nights: Nights) -> None:
    first, second = nights.run(range(8), gate=GATE), nights.run(range(8), gate=GATE)
    verdict = gated(nights, first, init=True, by="me")
    assert (verdict.verdict, verdict.exit_code, verdict.rules) == ("passed", 0, ())
    assert verdict.notes[-1] == f"this is the first night: {first.name} is baseline 'main' from now on"
    assert baseline_of(nights.results, "main") == first.name
    assert [(change.by, change.note) for change in baseline_log(nights.results)] == [("me", "gate --init")]
    again = gated(nights, second, init=True)
    assert (again.baseline, again.verdict) == (first.name, "passed"), "there is one: it is compared with"
    assert baseline_of(nights.results, "main") == first.name
    assert gated(nights, first, init=True).exit_code == 0, "the first night once more"


def test_a_first_night_that_breaks_a_rule_is_no_baseline(nights: Nights) -> None:
    gate = "{baseline: main, rules: [{max_drop: 0.1}, {metric: exact_match, min_value: 0.9}]}"
    verdict = gated(nights, nights.run(range(30), gate=gate), init=True)
    assert (verdict.verdict, verdict.exit_code) == ("regressed", 1)
    with pytest.raises(StoreError, match="no baseline 'main'"):
        baseline_of(nights.results, "main")
    broken = gated(nights, nights.run(failed=range(5), gate=gate), init=True)
    assert (broken.verdict, broken.exit_code) == ("infrastructure", 4)
    with pytest.raises(StoreError, match="no baseline 'main'"):
        baseline_of(nights.results, "main")


def test_a_broken_first_night_is_no_baseline_whatever_the_rules(nights: Nights) -> None:
    """All rules compare, so that none can be checked without a baseline; a quarter of the outputs is missing."""
    verdict = gated(nights, nights.run(failed=range(10), gate=GATE), init=True)
    assert (verdict.verdict, verdict.exit_code, len(verdict.rules)) == ("infrastructure", 4, 1)
    with pytest.raises(StoreError, match="no baseline 'main'"):
        baseline_of(nights.results, "main")


def test_a_copy_of_a_run_is_that_run(nights: Nights) -> None:
    run = nights.run(gate=GATE)
    shutil.copytree(run, nights.root / "copy")
    with pytest.raises(UsageError, match="itself: there is nothing to compare"):
        gated(nights, run, baseline=str(nights.root / "copy"))


@pytest.mark.parametrize("file", ["run.json", "samples.parquet"])
def test_a_damaged_baseline_says_what_to_do(nights: Nights, file: str) -> None:
    good, run = nights.run(range(8), gate=GATE), nights.run(range(8), gate=GATE)
    set_baseline(nights.results, "main", good.name)
    (good / file).write_bytes(b"garbage")
    with pytest.raises(StoreError, match=rf"{file} is damaged: .*; it is of baseline 'main': set another one with harness "
                                         rf"baseline set main RUN$"):
        gated(nights, run)
    with pytest.raises(StoreError, match="; it is of the run that this one is held against: name another one with --baseline"):
        gated(nights, run, baseline=good.name)
    with pytest.raises(StoreError, match=f"{file} is damaged") as caught:
        gated(nights, good, baseline=run.name)
    assert "it is of" not in str(caught.value), "it is the run itself that is damaged"


def test_what_to_type_where_the_run_is_the_baseline(nights: Nights) -> None:
    run = nights.run(range(8), gate=GATE)
    set_baseline(nights.results, "main", run.name)
    with pytest.raises(UsageError, match=f"gate: run {run.name} is the baseline 'main' itself: there is nothing to compare; "
                                         "gate the next one, which harness run makes"):
        gated(nights, run)


def test_a_run_that_was_gated_before_is_said_to_be(nights: Nights) -> None:
    good, run = nights.run(gate=GATE), nights.run(gate=GATE)
    assert gated(nights, run, baseline=good.name).notes == ()
    assert "this run was held against this baseline before, at 2" in gated(nights, run, baseline=good.name).notes[-1]


def test_answers_that_were_scored_again_are_the_same_answers(nights: Nights) -> None:
    good = nights.run(range(8), gate=GATE)
    again = api.rescore(good.name, results=nights.results).path
    assert gated(nights, again, baseline=good.name).notes == (
        "one of both runs was scored again from the other: the answers are the same",)  # fmt: skip


def test_what_may_differ_has_a_name(nights: Nights) -> None:
    good, run = nights.run(gate=GATE), nights.run(gate=GATE)
    with pytest.raises(UsageError, match="gate: allow takes data, prompt, task, got 'promt'; did you mean 'prompt'"):
        gated(nights, run, baseline=good.name, allow=["promt"])


def test_without_a_baseline_it_says_what_to_type(nights: Nights) -> None:
    run = nights.run(gate=GATE)
    with pytest.raises(UsageError) as caught:
        gated(nights, run)
    assert str(caught.value) == (
        f"gate: there is no baseline 'main' in {nights.results}: make this run it: harness gate {run.name} --baseline main "
        f"--init; or another one: harness baseline set main RUN"
    )
    set_baseline(nights.results, "mian", run.name)
    with pytest.raises(UsageError, match="did you mean 'mian'"):
        gated(nights, run)
    with pytest.raises(UsageError, match="which baseline"):
        gated(nights, nights.run(gate="{rules: [{max_drop: 0.1}]}"))


def test_rules_of_a_file_are_held_against_the_baseline_of_the_config(nights: Nights, tmp_path: Path) -> None:
    good, run = nights.run(gate=GATE), nights.run(gate=GATE)
    set_baseline(nights.results, "main", good.name)
    file = tmp_path / "strict.yaml"
    file.write_text("rules: [{metric: exact_match, max_drop: 0.2}]")
    assert gated(nights, run, policy=file).baseline == good.name


def test_rules_on_values_need_none(nights: Nights) -> None:
    verdict = gated(nights, nights.run(gate="{rules: [{metric: exact_match, min_value: 0.5}]}"))
    assert (verdict.verdict, verdict.baseline) == ("passed", None)


def test_a_run_can_be_the_baseline(nights: Nights) -> None:
    good, worse = nights.run(), nights.run(range(30), gate=GATE)
    assert gated(nights, worse, baseline=good.name).verdict == "regressed"
    assert gated(nights, worse, baseline="latest~1").baseline == good.name
    assert gated(nights, worse, baseline=str(good)).baseline == good.name
    with pytest.raises(UsageError, match="is the baseline 'latest' itself"):
        gated(nights, worse, baseline="latest")


def test_a_baseline_whose_run_was_deleted(nights: Nights) -> None:
    good, run = nights.run(), nights.run(gate=GATE)
    set_baseline(nights.results, "main", good.name)
    shutil.rmtree(good)
    with pytest.raises(StoreError, match=rf"baseline 'main' is run '{good.name}' .*, which is not in .* any more"):
        gated(nights, run)


def test_a_run_that_is_not_finished(nights: Nights) -> None:
    good = nights.run(gate=GATE)
    unfinished = nights.results / "20990101T000000.000Z-nightly-abcd"
    unfinished.mkdir()
    (unfinished / "journal.jsonl").write_text("{}\n")
    for run, baseline in ((unfinished, good.name), (good, unfinished.name)):
        with pytest.raises(StoreError, match="is not finished"):
            gated(nights, run, baseline=baseline)


def test_a_run_that_passed_becomes_the_baseline(nights: Nights) -> None:
    good = nights.run(gate=GATE)
    set_baseline(nights.results, "main", good.name)
    worse, same = nights.run(range(30), gate=GATE), nights.run(gate=GATE)
    stays = gated(nights, worse, update=True)
    assert (stays.verdict, baseline_of(nights.results, "main")) == ("regressed", good.name)
    assert stays.notes[-1] == "baseline 'main' stays: only a run that passed becomes it"
    moved = gated(nights, same, update=True)
    assert (moved.notes[-1], baseline_of(nights.results, "main")) == (
        f"baseline 'main' is {same.name} from now on", same.name)  # fmt: skip
    with pytest.raises(StoreError, match="is a run and no name"):
        gated(nights, nights.run(gate=GATE), baseline=same.name, update=True)


def test_a_policy_of_a_file_goes_over_that_of_the_run(nights: Nights, tmp_path: Path) -> None:
    good, worse = nights.run(), nights.run(range(8))
    with pytest.raises(UsageError, match=r"run .* has no policy: write gate: into its config, or give --policy FILE"):
        gated(nights, worse, baseline=good.name)
    file = tmp_path / "policy.yaml"
    file.write_text("rules: [{max_drop: 0.5}]\n")
    assert gated(nights, worse, baseline=good.name, policy=file).verdict == "passed"
    strict = nights.run(range(8), gate="{rules: [{max_drop: 0.001}]}")
    assert gated(nights, strict, baseline=good.name).verdict == "regressed"
    assert gated(nights, strict, baseline=good.name, policy=file).verdict == "passed"


def test_every_verdict_is_in_the_log(nights: Nights) -> None:
    good, worse = nights.run(), nights.run(range(30), gate=GATE)
    gated(nights, worse, baseline=good.name)
    (line,) = decisions(nights.results)
    assert (line["run"], line["baseline"], line["verdict"], line["level"], line["checks"], line["regressed"]) == (
        worse.name, good.name, "regressed", 0.05, {"regressed": 1}, ["model × capitals: exact_match"])  # fmt: skip


def test_a_log_that_cannot_be_written(nights: Nights) -> None:
    good, run = nights.run(), nights.run(gate=GATE)
    (nights.results / GATE_LOG).mkdir()
    verdict = gated(nights, run, baseline=good.name)
    assert (verdict.verdict, verdict.notes[-1].partition(": ")[0]) == ("passed", "the verdict is not in the log")
    in_stream = nights.run(gate="{sequential: true, rules: [{max_drop: 0.1}]}")
    with pytest.raises(StoreError, match=r"gate\.jsonl cannot be read"):
        gated(nights, in_stream, baseline=good.name)


def test_the_function_of_the_package(nights: Nights) -> None:
    """``harness.gate`` is a function and a package, whichever is imported first."""
    import harness
    import harness.gate.policy

    good, worse = nights.run(), nights.run(range(30), gate=GATE)
    verdict = harness.gate(worse, baseline=good.name, results=nights.results)
    assert (verdict.verdict, verdict.exit_code) == ("regressed", 1)
    assert harness.gate.policy.Policy(()).alpha == 0.05  # type: ignore[attr-defined]
    assert api.gate("latest", baseline=str(good), results=str(nights.results)).verdict == "regressed"
