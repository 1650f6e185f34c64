"""Texts to the words that ROUGE compares, once for all of its types: which word, of which text, on which line.

Words are found in arrays of bytes or code points, a whole block of texts at a time; only distinct words become Python objects.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.metrics.numbering import numbered
from harness.metrics.stemming import Stems
from harness.metrics.tokenize import IntArray, Tokens, character_table, code_points

Alphabet: TypeAlias = Literal["ascii", "unicode"]
Letters: TypeAlias = NDArray[np.uint8] | NDArray[np.uint32]

_WORDS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_INSIDE = bytes(byte in _WORDS for byte in range(256))
_OUTSIDE = bytes(byte for byte in range(256) if byte not in _WORDS)
_LOWER = bytes(range(256)).lower()
_LOWERED = (("\u212a", "k"), ("\u0130", "i\u0307"))
"""The characters beyond ASCII whose lower case has a letter of ASCII."""


@dataclass(frozen=True, slots=True)
class RougeTokens:
    """The words of n texts.

    ``words`` : a segment a text; equal words have equal ids. ``lines`` : ``int64[t]``, for each word the number of its line,
    counted through all texts; None where no text has more than one.
    """

    words: Tokens
    lines: IntArray | None


def rouge_tokens(texts: Sequence[str], alphabet: Alphabet, stems: Stems | None = None) -> RougeTokens:
    """Lower-cased runs of letters and digits: rouge-score's ``[a-z0-9]+`` (``ascii``) or any script's (``unicode``).

    ``unicode`` takes letters, combining marks and numbers of every script; ``ascii`` treats them as separators. With ``stems``
    words are compared by their stems.
    """
    if alphabet == "ascii":
        return _ascii_tokens(texts, stems)
    parts = [text.lower() for text in texts]
    units = code_points("\n" + "\n".join(parts) + "\n")
    inside = character_table(units, is_word_character).take(units)
    sizes = np.fromiter(map(len, parts), dtype=np.int64, count=len(parts))
    return _tokens(units, inside, np.ascontiguousarray(units[inside]), sizes, stems)


def is_word_character(character: str) -> bool:
    """Letters, marks and digits of all scripts."""
    return unicodedata.category(character)[0] in "LMN"


def _ascii_tokens(texts: Sequence[str], stems: Stems | None) -> RougeTokens:
    parts = [text.encode("utf-8", "surrogatepass") for text in texts]
    joined = b"\n" + b"\n".join(parts) + b"\n"
    if any(upper.encode()[:1] in joined and upper.encode() in joined for upper, _ in _LOWERED):
        parts = [_lowered(part) for part in parts]
        joined = b"\n" + b"\n".join(parts) + b"\n"
    inside = np.frombuffer(joined.translate(_INSIDE), dtype=np.bool_)
    letters = np.frombuffer(joined.translate(_LOWER, _OUTSIDE), dtype=np.uint8)
    sizes = np.fromiter(map(len, parts), dtype=np.int64, count=len(parts))
    return _tokens(np.frombuffer(joined, dtype=np.uint8), inside, letters, sizes, stems)


def _lowered(part: bytes) -> bytes:
    for upper, lower in _LOWERED:
        part = part.replace(upper.encode(), lower.encode())
    return part


def _tokens(units: Letters, inside: NDArray[np.bool_], letters: Letters, sizes: IntArray, stems: Stems | None) -> RougeTokens:
    """``letters`` are the units that are inside of words; ``sizes`` the units of each text, all with one break around them."""
    starts, ends = word_ends(inside)
    bounds = np.append(0, np.cumsum(sizes + 1))
    lengths = np.diff(np.searchsorted(starts, bounds))
    breaks = np.flatnonzero(units == ord("\n"))
    lines = None
    if len(breaks) > len(bounds):
        lines = np.repeat(np.arange(len(breaks) - 1), np.diff(np.searchsorted(starts, breaks)))
    return RougeTokens(Tokens(_identities(letters, ends, stems), lengths), lines)


def word_ends(inside: NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
    """Where each run starts, less one; and where it ends among the units that are inside of runs, after a 0 to begin with."""
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    starts = edges[0::2]
    ends = np.zeros(len(starts) + 1, dtype=np.int64)
    np.cumsum(edges[1::2] - starts, out=ends[1:])
    return starts, ends


def _identities(letters: Letters, ends: IntArray, stems: Stems | None) -> IntArray:
    """One number a word, equal for equal words or stems; word i is ``letters[ends[i]:ends[i + 1]]``."""
    ids, vocabulary = numbered_words(letters, ends)
    return ids if stems is None else stems.numbered(vocabulary())[1][ids]


def numbered_words(letters: Letters, ends: IntArray) -> tuple[IntArray, Callable[[], list[str]]]:
    """One number a word, equal for equal words, and what gives the different words in the order of their numbers.

    Word i is ``letters[ends[i]:ends[i + 1]]``, bytes of UTF-8 or code points.
    """
    codes, words = numbered(letters, ends)
    encoding = "utf-8" if letters.itemsize == 1 else "utf-32-le"
    return codes.astype(np.int64), lambda: [word.decode(encoding, "surrogatepass") for word in words.to_pylist()]
