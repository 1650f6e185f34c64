"""Plain text, one segment a line, read as sacrebleu reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.data.files import Source, decode, open_binary

if TYPE_CHECKING:
    from collections.abc import Iterator


def read_lines(source: Source) -> Iterator[str]:
    r"""The segments of a file or a stream: lines end at ``\n`` only, white space at their end is taken off.

    Other Unicode line separators inside a segment stay, an empty line is an empty segment, a byte-order mark is text: all this
    as in sacrebleu 2.4 (``smart_open(newline="\n")`` and ``rstrip``).

    Raises DataError ``file:line: message`` for what is not UTF-8.
    """
    with open_binary(source) as stream:
        for number, line in enumerate(stream, 1):
            yield decode(line, source, number).rstrip()
