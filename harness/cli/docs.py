"""Docstrings as text for a terminal: without markup, wrapped to its width."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping

_ROLE = re.compile(r":[\w:]+:`(?P<short>~)?!?(?P<name>[^`<]+?)(?:\s*<[^`>]*>)?`")
_CODE = re.compile(r"``(.+?)``|`([^`\s][^`]*)`")
_ITEM = re.compile(r"\s*(?:[-*•] |[\w*`,. ]+ : )")
"""The first line of a parameter or of an entry of a list."""


def readable(doc: str, width: int, names: Mapping[str, str] | None = None) -> str:
    """A docstring in plain words, its paragraphs and parameters wrapped; examples, tables and headings stay as they are.

    ``names`` : what classes that are referred to are called outside the code.

    >>> readable("See :class:`~a.Bleu` and\\n``more``.", 72, {"Bleu": "bleu"})
    'See bleu and more.'
    """
    paragraphs = re.split(r"\n[ \t]*\n", doc.strip("\n"))
    return "\n\n".join("\n".join(_paragraph(paragraph, max(width, 20), names or {})) for paragraph in paragraphs)


def _paragraph(text: str, width: int, names: Mapping[str, str]) -> Iterator[str]:
    lines = text.splitlines()
    if lines[0].lstrip().startswith(">>>"):
        yield from lines
        return
    lines = _plain("\n".join(lines), names).splitlines()
    if len(lines) > 1 and re.fullmatch(r"\s*-{3,}", lines[1]):
        yield from lines[:2]
        lines = lines[2:]
    if any(re.search(r"\S {3,}\S", line) for line in lines):
        yield from lines
        return
    for item in _items(lines):
        first, *rest = item
        indent = first[: len(first) - len(first.lstrip())]
        hanging = indent if not rest else rest[0][: len(rest[0]) - len(rest[0].lstrip())]
        hanging = f"{indent}    " if hanging == indent and _ITEM.match(first) else hanging
        words = " ".join(line.strip() for line in item)
        yield from textwrap.wrap(words, width, initial_indent=indent, subsequent_indent=hanging,
                                 break_on_hyphens=False) or [""]  # fmt: skip


def _items(lines: list[str]) -> Iterator[list[str]]:
    """A paragraph's lines, those of each parameter together."""
    item: list[str] = []
    for line in lines:
        outdented = bool(item) and _indent(line) < _indent(item[-1])
        if item and (outdented or (_ITEM.match(line) and _indent(line) <= _indent(item[0]))):
            yield item
            item = []
        item.append(line)
    if item:
        yield item


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _plain(text: str, names: Mapping[str, str]) -> str:
    def named(match: re.Match[str]) -> str:
        name = match["name"].strip()
        last = name.rpartition(".")[2]
        return names.get(last, last if match["short"] else name)

    return _CODE.sub(lambda match: match[1] or match[2], _ROLE.sub(named, text))
