"""JUnit XML: read back by the standard library's parser and by pytest's own schema of counts."""

from __future__ import annotations

from xml.etree import ElementTree

from harness.report.junit import junit, junit_of_failure
from tests.report.verdicts import BROKEN, INCONCLUSIVE, PASSED, REGRESSED, result, verdict


def test_a_case_for_every_check() -> None:
    root = ElementTree.fromstring(junit(verdict(PASSED, REGRESSED, INCONCLUSIVE, BROKEN), seconds=1.5))
    (suite,) = root
    assert (root.tag, suite.tag, suite.get("name")) == ("testsuites", "testsuite", "gate nightly")
    counts = {"tests": "4", "failures": "1", "errors": "1", "skipped": "1", "time": "1.500"}
    assert {key: suite.get(key) for key in counts} == counts
    assert {key: root.get(key) for key in ("tests", "failures", "errors")} == {"tests": "4", "failures": "1", "errors": "1"}
    cases = suite.findall("testcase")
    assert [(case.get("classname"), case.get("name")) for case in cases] == [
        ("gate.qa", "rule 1: small × qa: accuracy: max_drop"), ("gate.qa", "rule 2: small × qa: bleu: max_drop"),
        ("gate.qa", "rule 1: small × qa: accuracy [topic=law]: max_drop"),
        ("gate.qa", "rule 1: small × qa: accuracy: max_drop"),
    ]  # fmt: skip
    assert [[child.tag for child in case] for case in cases] == [[], ["failure"], ["skipped"], ["error"]]
    failure = cases[1].find("failure")
    assert failure is not None
    assert failure.text is not None
    assert failure.get("message", "").startswith("regressed: max_drop ≤ 0.566 (2%); value 26.1, baseline 28.3, drop 2.20")
    assert failure.text.endswith("rule 2: metric bleu: max_drop 2%")
    assert "needs about 1,500 samples" in cases[2].find("skipped").get("message")  # type: ignore[union-attr, operator]


def test_names_that_xml_cannot_hold() -> None:
    odd = result(task='<qa> & "b"', metric="a\x00\x1b[31m\ufffe]]>", verdict="regressed", reason="\x07")
    (suite,) = ElementTree.fromstring(junit(verdict(odd)))
    (case,) = suite.findall("testcase")
    assert case.get("classname") == 'gate.<qa> & "b"'
    assert case.get("name") == 'rule 1: small × <qa> & "b": a\ufffd\ufffd[31m\ufffd]]>: max_drop'


def test_a_run_that_became_the_baseline_is_one_case_that_passes() -> None:
    (suite,) = ElementTree.fromstring(junit(verdict(word="passed", code=0)))
    assert (suite.get("tests"), suite.get("failures"), len(suite.findall("testcase"))) == ("1", "0", 1)
    assert list(suite.findall("testcase")[0]) == []


def test_a_gate_that_broke_off() -> None:
    (suite,) = ElementTree.fromstring(junit_of_failure("no run 'x'", "Traceback …", 0.25))
    (case,) = suite.findall("testcase")
    error = case.find("error")
    assert error is not None
    assert (suite.get("errors"), case.get("time")) == ("1", "0.250")
    assert (error.get("message"), error.text) == ("no run 'x'", "Traceback …")
