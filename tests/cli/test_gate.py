"""``harness gate``: the exit code stops a workflow; files, JSON and a webhook tell why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.store.baselines import baseline_of, set_baseline
from tests.cli.projects import Harness
from tests.gate.runs import Nights
from tests.gate.test_notify import Receiver, receiver

__all__ = ["receiver"]
GATE = "{baseline: main, rules: [{metric: '*', max_drop: 0.05}]}"
WRONG = range(80)


@pytest.fixture
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nights:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    made = Nights(tmp_path)
    made.write(metrics="exact_match, chrf")
    return made


@pytest.fixture
def baseline(nights: Nights) -> Path:
    """The run that ``main`` stands for: 80 of 400 wrong."""
    run = nights.run(WRONG, gate=GATE)
    set_baseline(nights.results, "main", run.name)
    return run


def cases(path: Path) -> list[tuple[str, list[str]]]:
    (suite,) = ElementTree.parse(path).getroot()
    return [(case.get("name", ""), [child.tag for child in case]) for case in suite.findall("testcase")]


def test_a_planted_regression(harness: Harness, nights: Nights, baseline: Path) -> None:
    rules = "[{metric: exact_match, max_drop: 0.05}, {metric: chrf, max_drop: 50}]"
    run = nights.run(range(140), gate=f"{{baseline: main, rules: {rules}}}")
    said = harness("gate", "--junit", "out/gate.xml", "--summary", "summary.md")
    assert said.code == 1, said.err
    lines = said.out.splitlines()
    assert lines[0].startswith("verdict    entry  task      what         value  baseline  drop ")
    assert lines[1].split()[:6] == ["regressed", "model", "capitals", "exact_match", "0.650", "0.800"]
    assert lines[2].split()[0] == "passed"
    assert lines[-2] == "regressed: 1 of 2 checks (model × capitals: exact_match); 1 passed"
    assert lines[-1] == f"next: harness compare {baseline.name} {run.name}"
    assert cases(Path("out/gate.xml")) == [
        ("rule 1: model × capitals: exact_match: max_drop", ["failure"]), ("rule 2: model × capitals: chrf: max_drop", []),
    ]  # fmt: skip
    assert Path("summary.md").read_text().startswith("## ❌ regressed: 1 of 2 checks")


def test_a_narrow_terminal_cuts_no_word(
    harness: Harness, nights: Nights, baseline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "68")
    nights.run(range(140), gate=GATE)
    lines = harness("gate").out.splitlines()
    assert lines[0].split() == ["verdict", "what", "value", "drop", "allowed", "n"]  # one entry, one task, no needed n
    (row,) = [place for place, line in enumerate(lines) if " exact_match " in line]
    assert lines[row].split() == ["regressed", "exact_match", "0.650", "0.150", "≤", "0.05", "400"]
    assert lines[row + 1].split()[0].startswith("[0.1"), "the interval is below its value"
    assert "…" not in "".join(lines[:6])


def test_the_same_model_again_passes(harness: Harness, nights: Nights, baseline: Path) -> None:
    nights.run(WRONG, gate="{baseline: main, rules: [{metric: exact_match, max_drop: 0.05}]}")
    said = harness("gate", "latest")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[-2] == "passed: 1 check"


def test_too_few_samples(harness: Harness, tmp_path: Path) -> None:
    few = Nights(tmp_path / "few", n=20)
    few.write()
    good = few.run(range(4), gate=GATE)
    few.run(range(4), gate=GATE)
    said = harness("gate", "--baseline", good.name, "--results", str(few.results), "--json")
    document = said.json
    (rule,) = document["rules"]
    assert (said.code, document["verdict"], document["exit_code"], rule["verdict"]) == (3, "inconclusive", 3, "inconclusive")
    assert rule["needed_n"] == 124  # 6.1826 · (1 pair of 20) / 0.05² = 123.7
    said = harness("gate", "--baseline", good.name, "--results", str(few.results))
    assert said.out.splitlines()[-1].endswith(f"--results {few.results}")


def test_the_json_document(harness: Harness, nights: Nights, baseline: Path) -> None:
    run = nights.run(range(140), gate=GATE)
    document = harness("gate", "--json").json
    keys = "schema verdict exit_code run config baseline alpha level correction night rules notes"
    assert set(document) == set(keys.split())
    assert (document["schema"], document["verdict"], document["run"], document["baseline"]) == (
        1, "regressed", run.name, baseline.name)  # fmt: skip
    first = document["rules"][0]
    assert (first["entry"], first["task"], first["metric"], first["limit"], first["allowed"], first["n"]) == (
        "model", "capitals", "exact_match", "max_drop", 0.05, 400)  # fmt: skip
    assert first["drop"] == pytest.approx(0.15)
    assert first["low"] < 0.15 < first["high"]


def test_the_first_night(harness: Harness, nights: Nights) -> None:
    run = nights.run(WRONG, gate=GATE)
    said = harness("gate")
    assert said.code == 2
    assert "make this run it: harness gate latest --baseline main --init" in said.err
    said = harness("gate", "latest", "--baseline", "main", "--init", "--junit", "gate.xml")
    assert said.code == 0
    assert f"this is the first night: {run.name} is baseline 'main' from now on" in said.out
    assert baseline_of(nights.results, "main") == run.name
    assert cases(Path("gate.xml")) == [("gate", [])]


def test_the_baseline_is_moved(harness: Harness, nights: Nights, baseline: Path) -> None:
    run = nights.run(WRONG, gate="{baseline: main, rules: [{metric: exact_match, max_drop: 0.05}]}")
    assert harness("gate", "--update").code == 0
    assert baseline_of(nights.results, "main") == run.name


def test_what_broke_off_is_in_the_report_too(harness: Harness, nights: Nights, baseline: Path) -> None:
    nights.run(WRONG, gate=GATE)
    shutil.rmtree(baseline)
    said = harness("gate", "--junit", "gate.xml")
    assert said.code == 2
    assert cases(Path("gate.xml")) == [("gate", ["error"])]
    error = ElementTree.parse("gate.xml").find(".//error")
    assert error is not None
    assert f"run '{baseline.name}'" in error.get("message", "")


def test_what_broke_off_is_on_the_page_too(harness: Harness, nights: Nights, baseline: Path) -> None:
    assert harness("gate", "no-such-run", "--summary", "page.md").code == 2
    assert Path("page.md").read_text().startswith("## 🛑 no verdict: no run 'no-such-run' in ")


def test_the_report_of_the_night_before_is_gone(
    harness: Harness, nights: Nights, baseline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C writes no report, and must not leave that of a night that passed."""
    nights.run(WRONG, gate=GATE)
    Path("gate.xml").write_text("<testsuites/>")

    def stopped(*given: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.gate.evaluate.decide", stopped)
    assert harness("gate", "--junit", "gate.xml").code == 130
    assert not Path("gate.xml").exists()


def test_a_defect_is_in_the_report_too(
    harness: Harness, nights: Nights, baseline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights.run(WRONG, gate=GATE)

    def defective(*given: object, **options: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("harness.gate.evaluate.decide", defective)
    said = harness("gate", "--junit", "gate.xml")
    assert said.code == 70
    error = ElementTree.parse("gate.xml").find(".//error")
    assert error is not None
    assert error.text is not None
    assert error.get("message") == "a defect of the harness: ZeroDivisionError: a defect"
    assert error.text.startswith("Traceback (most recent call last)")


def test_a_report_that_cannot_be_written(harness: Harness, nights: Nights, baseline: Path) -> None:
    nights.run(WRONG, gate=GATE)
    Path("file").touch()
    said = harness("gate", "--junit", "file/gate.xml")
    assert said.code == 4
    assert "file/gate.xml cannot be written" in said.err


def test_what_may_differ_by_commas(harness: Harness, nights: Nights, baseline: Path) -> None:
    nights.write(version=2, metrics="exact_match, chrf")
    nights.run(WRONG, gate="{baseline: main, rules: [{metric: exact_match, max_drop: 0.05}]}")
    assert harness("gate").code == 2
    assert harness("gate", "--allow", "data,task").code == 0


def test_a_broken_run(harness: Harness, nights: Nights, baseline: Path) -> None:
    run = nights.run(WRONG, failed=range(390, 400), gate=GATE)
    said = harness("gate", "--junit", "gate.xml")
    assert said.code == 4
    assert "model × capitals: 10 of 400 outputs are missing, more than max_missing 0.01" in said.out
    assert said.out.splitlines()[-1] == f"next: harness show {run.name} --samples --failed"
    assert {tag for _, tags in cases(Path("gate.xml")) for tag in tags} == {"error"}


def test_a_rule_that_matches_nothing(harness: Harness, nights: Nights, baseline: Path) -> None:
    nights.run(WRONG, gate=GATE)
    Path("policy.yaml").write_text("rules:\n  - {metric: exact_mach, max_drop: 0.05}\n")
    said = harness("gate", "--baseline", "main", "--policy", "policy.yaml")
    assert said.code == 2
    assert "no metric 'exact_mach'; did you mean 'exact_match'?" in said.err
    Path("policy.yaml").write_text("rules:\n  - {metric: exact_match, max_dop: 0.05}\n")
    said = harness("gate", "--baseline", "main", "--policy", "policy.yaml")
    assert (said.code, said.err) == (2, "error: policy.yaml:2:27: unknown key 'max_dop'; did you mean 'max_drop'?\n")


def test_the_summary_of_github(
    harness: Harness, nights: Nights, baseline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights.run(range(140), gate=GATE)
    page = Path("step.md")
    page.write_text("# before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    assert harness("gate").code == 1
    assert page.read_text().startswith("# before\n## ❌ regressed")


@pytest.mark.parametrize(("wrong", "told"), [(range(140), 1), (WRONG, 0)])
def test_a_webhook(
    harness: Harness, nights: Nights, baseline: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, wrong: range,
    told: int,
) -> None:
    monkeypatch.setenv("HOOK", "t0ken")
    rules = "rules: [{metric: exact_match, max_drop: 0.05}]"
    notify = f"notify: {{url: '{receiver.address}/${{HOOK}}', on: [regressed]}}"
    run = nights.run(wrong, gate=f"{{baseline: main, {rules}, {notify}}}")
    said = harness("gate", "--json")
    assert said.code == told
    assert len(receiver.told) == told
    assert "t0ken" not in said.out + said.err
    for path, _, body in receiver.told:
        assert (path, body["verdict"], body["run"], body["headline"]) == (
            "/t0ken", "regressed", run.name, "regressed: 1 of 1 check (model × capitals: exact_match)")  # fmt: skip


def test_a_webhook_that_fails_changes_nothing(
    harness: Harness, nights: Nights, baseline: Path, receiver: Receiver
) -> None:
    receiver.codes = [403]
    nights.run(range(140), gate=f"{{baseline: main, rules: [{{max_drop: 0.05}}], notify: {{url: '{receiver.address}'}}}}")
    said = harness("gate", "--json")
    assert (said.code, json.loads(said.out)["verdict"]) == (1, "regressed")
    assert said.err == f"warning: notify: {receiver.address}: HTTP 403\n"


def test_what_differs_must_be_allowed(harness: Harness, nights: Nights, baseline: Path) -> None:
    nights.write(metrics="exact_match, chrf", version=2)
    nights.run(WRONG, gate="{baseline: main, rules: [{metric: exact_match, max_drop: 0.05}]}")
    said = harness("gate")
    assert said.code == 2
    assert "version is 1 in" in said.err
    assert "--allow task" in said.err
    assert harness("gate", "--allow", "task").code == 0


def test_validate_warns_of_rules_that_cannot_be_decided(harness: Harness, nights: Nights) -> None:
    config = nights.config(gate="{rules: [{metric: exact_match, max_drop: 0.02}]}")
    said = harness("validate", str(config))
    warning = ("gate rule 1 (metric exact_match: max_drop 0.02): 400 samples of capitals hardly decide exact_match; about "
               "1,500 would, if 10% of the answers change")  # fmt: skip
    assert said.code == 0
    assert f"warning: {warning}" in said.out
    assert harness("validate", str(config), "--json").json["warnings"] == [warning]


def test_a_run_with_a_policy_names_the_gate_as_the_next_command(harness: Harness, nights: Nights) -> None:
    said = harness("run", str(nights.config(gate=GATE)))
    assert said.out.splitlines()[-1].startswith("next: harness gate 2")
    assert "not evaluated" not in said.out + said.err
