"""The answer inside of a text: named rules, or a regular expression between slashes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache

from harness.errors import MetricError, did_you_mean

Extractor = Callable[[str], str]


@cache
def extractor(rule: str | None, metric: str = "extract") -> Extractor:
    """What takes the answer out of a text.

    rule : ``answer_is``: what follows the last "the answer is ", of that the first line, without one full stop at its end (the
        whole text where nobody says so: the rule of BIG-Bench-Hard's published results); ``boxed``: what is inside of the last
        ``\\boxed{…}``; ``hashes``: what follows the last ``####`` in its line; ``first_line``, ``last_line``: of those that are
        not blank; ``/…/``: the first group (or all) of the last match of that regular expression. None: the whole text.

    Rules that find nothing give an empty text. Raises MetricError for another rule or a bad expression.

    >>> extractor("answer_is")("Let's see. So the answer is (A).\\nQ: next")
    '(A)'
    >>> extractor("/answer: *([A-D])/")("answer: B, no, answer: C!")
    'C'
    """
    if rule is None:
        return str
    if len(rule) > 2 and rule[0] == rule[-1] == "/":
        return _by_expression(rule[1:-1], metric)
    if rule not in _RULES:
        known = f"one of {', '.join(_RULES)} or /a regular expression/"
        raise MetricError(f"{metric}: extract must be {known}, got {rule!r}{did_you_mean(rule, _RULES)}")
    return _RULES[rule]


def boxed(text: str) -> str:
    """What is inside of the last complete ``\\boxed{…}`` (of the last 20), braces within it included."""
    for start in reversed([match.end() for match in _BOXED.finditer(text)][-_TRIED:]):
        for end, depth in _depths(text, start):
            if depth == 0:
                return text[start:end].strip()
    return ""


def after_hashes(text: str) -> str:
    """What follows the last ``####`` in its line."""
    return text.rpartition("####")[2].partition("\n")[0].strip() if "####" in text else ""


_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_TRIED = 20
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)


def _depths(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Where braces stand and how many are open after each, one being open at the start."""
    depth = 1
    for match in _BRACES.finditer(text, start):
        if len(match.group()) == 1:
            depth += 1 if match.group() == "{" else -1
            yield match.start(), depth


def _answer_is(text: str) -> str:
    line = text.rpartition("the answer is ")[2].partition("\n")[0]
    return line[:-1] if line.endswith(".") else line


def _line(index: int) -> Extractor:
    def take(text: str) -> str:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[index] if lines else ""

    return take


def _by_expression(pattern: str, metric: str) -> Extractor:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        what = "a regular expression between slashes"
        raise MetricError(f"{metric}: extract must be {what}, got {pattern!r} ({error})") from error

    def take(text: str) -> str:
        found = ""
        for match in expression.finditer(text):
            found = (match.group(1) if expression.groups else match.group()) or ""
        return found

    return take


_RULES: Mapping[str, Extractor] = {
    "answer_is": _answer_is, "boxed": boxed, "hashes": after_hashes, "first_line": _line(0), "last_line": _line(-1),
}
