"""A verdict for people: worst first, nothing hidden."""

from __future__ import annotations

from dataclasses import replace

from harness.report.verdict import about, headline, message, verdict_markdown, verdict_table
from tests.report.verdicts import BROKEN, INCONCLUSIVE, LIMIT, PASSED, REGRESSED, verdict

FOUND = verdict(PASSED, LIMIT, INCONCLUSIVE, REGRESSED, notes=("new since the baseline, and not compared: <b>",))


def test_the_table_has_the_worst_first() -> None:
    table = verdict_table(FOUND)
    assert table.headers == ("verdict", "entry", "task", "what", "value", "baseline", "drop", "allowed", "p", "n", "needed n")
    assert table.rows == (
        ("regressed", "small", "qa", "bleu", "26.1", "28.3", "2.20 [1.70, 2.70]", "≤ 0.566 (2%)", "<0.0001", "3,004", ""),
        ("inconclusive", "small", "qa", "accuracy [topic=law]", "0.750", "0.760", "0.010 [-0.030, 0.050]", "≤ 0.02", "0.68",
         "120", "1,500"),
        ("passed", "small", "qa", "accuracy", "0.800", "0.790", "-0.0100 [-0.0150, -0.0050]", "≤ 0.02", "1", "2,000", ""),
        ("passed", "small", "qa", "latency_p95", "1.25 [1.10, 1.40]", "", "", "≤ 2", "1", "2,000", ""),
    )  # fmt: skip


def test_the_headline_names_what_it_is_about() -> None:
    assert headline(FOUND) == "regressed: 1 of 4 checks (small × qa: bleu); 2 passed, 1 inconclusive"
    assert headline(verdict(PASSED, word="passed", code=0)) == "passed: 1 check"
    assert headline(verdict(word="passed", code=0)) == "passed: no rule was checked"
    many = verdict(*[INCONCLUSIVE] * 5, word="inconclusive", code=3)
    assert headline(many) == (
        "inconclusive: 5 of 5 checks (small × qa: accuracy [topic=law] (max_drop 0.02), small × qa: accuracy [topic=law] "
        "(max_drop 0.02), small × qa: accuracy [topic=law] (max_drop 0.02), … 2 more)"
    )
    assert headline(verdict(BROKEN, word="infrastructure", code=4)).startswith("infrastructure: 1 of 1 check (small × qa")


def test_two_rules_on_one_metric_are_told_apart() -> None:
    """By their limits, and only where a name occurs twice."""
    strict = replace(REGRESSED, metric="accuracy", rule=1, allowed=0.02, share=None)
    loose = replace(strict, rule=2, allowed=0.016, share=2.0)
    floor = replace(PASSED, rule=3, limit="min_value", allowed=0.5)
    assert headline(verdict(strict, loose, REGRESSED, floor)) == (
        "regressed: 3 of 4 checks (small × qa: accuracy (max_drop 0.02), small × qa: accuracy (max_drop 2%), small × qa: bleu)"
        "; 1 passed"
    )
    assert headline(verdict(strict, floor)) == "regressed: 1 of 2 checks (small × qa: accuracy (max_drop 0.02)); 1 passed"
    assert headline(verdict(strict, INCONCLUSIVE)).startswith("regressed: 1 of 2 checks (small × qa: accuracy);")


def test_one_reason_of_many_checks_is_told_once() -> None:
    slices = [replace(INCONCLUSIVE, slice=f"topic={i}", reason="one sample", p_value=None, p_adjusted=None) for i in range(100)]
    other = replace(INCONCLUSIVE, metric="bleu", reason="no text")
    assert about(verdict(*slices, other, word="inconclusive", code=3))[2:] == [
        "small × qa: bleu [topic=law]: no text",
        "small × qa: accuracy [topic=0], small × qa: accuracy [topic=1], small × qa: accuracy [topic=2] and 97 more: one "
        "sample",
    ]


def test_how_it_was_tested() -> None:
    assert about(FOUND) == ["run r2 against r1", "alpha 0.05, holm over 4", "new since the baseline, and not compared: <b>"]
    assert about(verdict(PASSED, correction="none"))[1] == "alpha 0.05"
    assert about(verdict(PASSED, BROKEN))[1] == "alpha 0.05, holm over 1", "what was not tested does not count"
    assert about(verdict(BROKEN))[1] == "alpha 0.05"
    night = about(verdict(PASSED, night=7, level=0.000418))
    assert night[1] == "night 7 of this stream: a regression is tested at 0.00042 of alpha 0.05, passing at 0.05"
    assert len(about(verdict(replace(PASSED, reason="all pairs are equal")))) == 2, "it passed, whyever"
    assert about(verdict(BROKEN))[2:] == ["small × qa: accuracy: another unit is broken"]


def test_the_summary_of_a_workflow() -> None:
    assert verdict_markdown(verdict(INCONCLUSIVE, word="inconclusive", code=3, notes=("a <b>",))) == (
        "## ⚠️ inconclusive: 1 of 1 check (small × qa: accuracy [topic=law])\n"
        "\n"
        "| verdict      | entry | task | what                 | value | baseline | drop                  "
        "| allowed | p    | n   | needed n |\n"
        "| ------------ | ----- | ---- | -------------------- | ----- | -------- | --------------------- "
        "| ------- | ---- | --- | -------- |\n"
        "| inconclusive | small | qa   | accuracy [topic=law] | 0.750 | 0.760    | 0.010 [-0.030, 0.050] "
        "| ≤ 0.02  | 0.68 | 120 | 1,500    |\n"
        "\n"
        "- run r2 against r1\n"
        "- alpha 0.05, holm over 1\n"
        "- a \\<b\\>\n"
    )  # fmt: skip


def test_a_result_in_one_line() -> None:
    assert message(REGRESSED) == (
        "regressed: max_drop ≤ 0.566 (2%); value 26.1, baseline 28.3, drop 2.20 [1.70, 2.70], p <0.0001, n 3,004"
    )
    assert message(INCONCLUSIVE).endswith("p 0.68, n 120, needs about 1,500 samples")
    assert message(BROKEN) == "infrastructure: max_drop ≤ 0.02; value n/a, n 10, another unit is broken"
