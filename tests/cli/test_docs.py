"""Docstrings on a terminal."""

from __future__ import annotations

import re

import pytest

from harness.cli.docs import readable
from harness.plugins import catalogue
from tests.cli.projects import Harness

DOC = """The ``mean`` of :class:`~harness.x.Bleu` and :func:`harness.y.mean`, which is a line that goes on for quite a while and
then some more.

Parameters
----------
k : how many of them are taken, counted from the first one of all that there are in the list.
    More of k.
other, one : short.

>>> mean([1,   2])  # a comment that is long enough to be wrapped, were it no example of code to be run
1.5

a    table
bb   of columns"""


def test_markup_goes_and_paragraphs_and_parameters_are_wrapped() -> None:
    assert readable(DOC, 60, {"Bleu": "bleu"}).splitlines() == [
        "The mean of bleu and harness.y.mean, which is a line that",
        "goes on for quite a while and then some more.",
        "",
        "Parameters",
        "----------",
        "k : how many of them are taken, counted from the first one",
        "    of all that there are in the list. More of k.",
        "other, one : short.",
        "",
        ">>> mean([1,   2])  # a comment that is long enough to be wrapped, were it no example of code to be run",
        "1.5",
        "",
        "a    table",
        "bb   of columns",
    ]


def test_text_after_a_list_is_a_paragraph_of_its_own() -> None:
    assert readable("- one\n  and more\nafter it\nand on", 60) == "- one and more\nafter it and on"


def test_no_docstring_of_a_metric_keeps_markup_or_lines_that_are_too_long() -> None:
    for name, cls in catalogue("metric").items():
        for line in readable(cls.__doc__ or "", 80).splitlines():
            is_code = line.lstrip().startswith((">>>", "..."))
            assert is_code or not re.search(r"``|:\w+:`", line), (name, line)
            assert is_code or len(line) <= 80 or "   " in line.strip(), (name, line)


def test_nothing_is_cut_at_80_columns(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = harness("list", "metrics", "bleu").out
    assert "…" not in said.replace("0 … 100", "")
    joined = re.sub(r"\n +", "", re.sub(r" +\n", "\n", said))
    assert "bleu(effective_order=false,lowercase=false,max_order=4,smooth=exp,smooth_value=none,tokenize=13a)#v1" in joined
    assert max(len(line) for line in said.splitlines() if not line.startswith((">>>", "next:"))) <= 80
