"""The verdict of a gate as JUnit XML, which every continuous-integration system shows.

A test case for each thing that a rule asked: a failure where it regressed, skipped where it cannot be told yet, an error where
samples could not be run. A gate that broke off is one test case with an error, so that nobody takes silence for a pass.
"""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree

from harness.gate.verdict import RuleResult, Verdict
from harness.report.verdict import about, headline, message

_ELEMENTS = {"regressed": "failure", "inconclusive": "skipped", "infrastructure": "error"}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, escaped or not (https://www.w3.org/TR/xml/#charsets)."""


def junit(verdict: Verdict, seconds: float = 0.0) -> bytes:
    """The document of a verdict, UTF-8. A run that became a baseline without a check is one test case that passes."""
    suite = _suite(verdict.config, Counter(_ELEMENTS.get(rule.verdict, "") for rule in verdict.rules), seconds)
    for result in verdict.rules:
        _add(suite, result)
    if not verdict.rules:
        suite.set("tests", "1")
        ElementTree.SubElement(suite, "testcase", classname=f"gate.{_text(verdict.config)}", name="gate", time="0")
    out = ElementTree.SubElement(suite, "system-out")
    out.text = _text("\n".join([headline(verdict), *about(verdict)]))
    return _bytes(suite)


def junit_of_failure(what: str, details: str, seconds: float = 0.0) -> bytes:
    """The document of a gate that came to no verdict: one test case with an error."""
    suite = _suite("gate", Counter({"error": 1}), seconds)
    case = ElementTree.SubElement(suite, "testcase", classname="gate", name="gate", time=f"{seconds:.3f}")
    error = ElementTree.SubElement(case, "error", message=_text(what), type="error")
    error.text = _text(details)
    return _bytes(suite)


def _suite(name: str, counts: Counter[str], seconds: float) -> ElementTree.Element:
    return ElementTree.Element(
        "testsuite", name=_text(f"gate {name}" if name != "gate" else name), tests=str(sum(counts.values())),
        failures=str(counts["failure"]), errors=str(counts["error"]), skipped=str(counts["skipped"]), time=f"{seconds:.3f}",
    )  # fmt: skip


def _add(suite: ElementTree.Element, result: RuleResult) -> None:
    name = _text(f"rule {result.rule}: {result.name}: {result.limit}")
    case = ElementTree.SubElement(suite, "testcase", classname=_text(f"gate.{result.task}"), name=name, time="0")
    element = _ELEMENTS.get(result.verdict)
    if element is not None:
        told = ElementTree.SubElement(case, element, message=_text(message(result)), type=result.verdict)
        told.text = _text(f"{message(result)}\nrule {result.rule}: {result.asked}")


def _text(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _bytes(suite: ElementTree.Element) -> bytes:
    suites = ElementTree.Element("testsuites", {key: suite.get(key, "") for key in ("tests", "failures", "errors", "time")})
    suites.append(suite)
    ElementTree.indent(suites)
    return bytes(ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)) + b"\n"
