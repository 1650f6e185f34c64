"""Texts to integer token ids, a whole chunk of texts at a time.

Texts are joined and cut as one array of bytes or code points; only the distinct tokens ever become Python objects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.metrics.numbering import numbered

IntArray: TypeAlias = NDArray[np.int64]
Units: TypeAlias = NDArray[np.uint8] | NDArray[np.uint32]
Flags: TypeAlias = NDArray[np.bool_]

NEWLINE = ord("\n")
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_ASCII_SPACE = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f "
_OTHER_SPACE = "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_OTHER_SPACES = {
    size: np.sort([int.from_bytes(space.encode(), "little") for space in _OTHER_SPACE if len(space.encode()) == size])
    for size in (2, 3)
}
"""The same as numbers, by their length in UTF-8."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Segments of tokens. Equal tokens have equal ids, within one value of this class only.

    ``ids`` : ``int64[t]``, segment after segment. ``lengths`` : ``int64[n]``, tokens of each segment.
    """

    ids: IntArray
    lengths: IntArray


def selected(tokens: Tokens, segments: IntArray) -> Tokens:
    """These segments, in this order; one may come several times."""
    if len(segments) == len(tokens.lengths) and np.array_equal(segments, np.arange(len(segments))):
        return tokens
    lengths = tokens.lengths[segments]
    before = (np.cumsum(tokens.lengths) - tokens.lengths)[segments] - (np.cumsum(lengths) - lengths)
    index = np.repeat(before, lengths)
    index += np.arange(len(index))
    return Tokens(tokens.ids[index], lengths)


# ── what metrics share ──────────────────────────────────────────────────────────────────────────────────────────────


def characters(texts: Sequence[str], *, whitespace: bool) -> Tokens:
    """Each character is a token; white space only if asked for."""
    units = code_points("".join(texts)).astype(np.int64)
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    counts = np.bincount(units, minlength=1)
    present = np.flatnonzero(counts)
    kept = [unit for unit in present.tolist() if whitespace or not chr(unit).isspace()]
    dense = np.full(len(counts), -1)
    dense[kept] = np.arange(len(kept))
    ids = dense[units]
    if len(kept) == len(present):
        return Tokens(ids, lengths)
    positions = np.flatnonzero(ids >= 0)
    before = np.searchsorted(positions, np.append(0, np.cumsum(lengths)))
    return Tokens(ids[positions], np.diff(before))


# ── arrays of bytes or code points ──────────────────────────────────────────────────────────────────────────────────


def one_a_line(texts: Sequence[str]) -> str:
    """The texts joined, a newline before, between and after; newlines inside of a text become spaces."""
    joined = "\n".join(texts)
    if joined.count("\n") != max(len(texts) - 1, 0):
        joined = "\n".join([text.replace("\n", " ") for text in texts])
    return f"\n{joined}\n" if texts else "\n"


def code_points(text: str) -> NDArray[np.uint32]:
    """The characters of a text as numbers."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


INSIDE = 1
"""The class of what is no white space; the classes 2, 4, … 64 are a tokeniser's own."""
_MAY_BEGIN_A_SPACE = 128


def class_table(classes: Mapping[int, str]) -> bytes:
    """A table for :func:`byte_classes`: the class (a power of 2) that these ASCII characters have beside ``INSIDE``."""
    table = bytearray([INSIDE]) * 256
    for space in _ASCII_SPACE:
        table[ord(space)] = 0
    for space in _OTHER_SPACE:
        table[space.encode()[0]] = INSIDE | _MAY_BEGIN_A_SPACE
    for number, characters in classes.items():
        for character in characters:
            table[ord(character)] |= number
    return bytes(table)


def byte_classes(text: str, table: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The UTF-8 bytes of a text that ends in a newline, and the classes of each; 0 for white space of any script."""
    data = text.encode("utf-8", "surrogatepass")
    units = np.frombuffer(data, dtype=np.uint8)
    classes = np.frombuffer(bytearray(data.translate(table)), dtype=np.uint8)
    if not text.isascii():
        leads = np.flatnonzero(classes >= _MAY_BEGIN_A_SPACE)
        for size, spaces in _OTHER_SPACES.items():
            codes = units[leads].astype(np.int64)
            for i in range(1, size):
                codes |= units[leads + i].astype(np.int64) << 8 * i
            found = leads[spaces[np.searchsorted(spaces, codes) % len(spaces)] == codes]
            for i in range(size):
                classes[found + i] = 0
    return units, classes


def character_table(units: Units, belongs: Callable[[str], bool]) -> Flags:
    """A table over code points, filled for those that occur in ``units``: whether the character belongs."""
    table = np.zeros(int(units.max(initial=0)) + 1, dtype=bool)
    for unit in np.flatnonzero(np.bincount(units, minlength=1)).tolist():
        table[unit] = belongs(chr(unit))
    return table


def cut(units: Units, starts: Flags, inside: Flags) -> Tokens:
    """Tokens out of texts that were joined by :func:`one_a_line`.

    ``inside`` marks the units that belong to a token, ``starts`` the first unit of each.
    """
    bounds = starts | ~inside
    bounds[1:] &= starts[1:] | inside[:-1]
    pieces = np.flatnonzero(bounds)
    tokens = np.flatnonzero(starts[pieces])
    lengths = np.diff(np.searchsorted(pieces[tokens], np.flatnonzero(units == NEWLINE)))
    return Tokens(_identities(units, pieces)[tokens].astype(np.int64), lengths)


def _identities(units: Units, starts: IntArray) -> NDArray[Any]:
    """One number a piece, equal for equal pieces; piece i is ``units[starts[i]:starts[i + 1]]``.

    What separates tokens is a piece as well: to number it costs less than to take it out of the array.
    """
    return numbered(units, np.append(starts, len(units)))[0]
