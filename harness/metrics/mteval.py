"""The tokenisers of BLEU: mteval-v13a, mteval-v14 (international), Chinese, single characters, none.

Each equals sacrebleu's tokeniser of that name. Where those run a chain of substitutions over every line, these work out
from a whole chunk at once which characters stand alone.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np

from harness.metrics.tokenize import (
    INSIDE,
    NEWLINE,
    Flags,
    IntArray,
    Tokens,
    Units,
    byte_classes,
    character_table,
    characters,
    class_table,
    code_points,
    cut,
    one_a_line,
)
from harness.protocols import Metric

Tokenizer = Literal["13a", "intl", "zh", "char", "none"]
TokenizerOrAuto = Literal["auto", "13a", "intl", "zh", "char", "none"]

NO_SPACES: Mapping[str, Tokenizer] = dict.fromkeys(("zh", "yue", "ja", "th", "lo", "km", "my"), "char")
"""Languages that write no spaces between words."""


class TokenizedMetric(Metric):
    """Base of the metrics with a parameter ``tokenize``, which follows the task's language where it is ``auto``."""

    tokenize: TokenizerOrAuto
    _auto: ClassVar[Tokenizer] = "13a"
    _auto_of_language: ClassVar[Mapping[str, Tokenizer]] = {"zh": "zh", "ja": "char"}  # sacrebleu's ja and ko need MeCab

    def require_tokenizer(self) -> None:
        """Validate the parameter; call it from ``__post_init__``."""
        self.require(self.tokenize in get_args(TokenizerOrAuto), "tokenize", f"one of {', '.join(get_args(TokenizerOrAuto))}")

    @property
    def tokenizer(self) -> Tokenizer:
        return self._auto if self.tokenize == "auto" else self.tokenize

    def for_language(self, language: str) -> Self:
        if self.tokenize != "auto":
            return self
        code = language.lower().replace("_", "-").split("-")[0]
        return self._tokenizing(self._auto_of_language.get(code, self._auto))

    def signature(self) -> str:
        return super(TokenizedMetric, self._tokenizing(self.tokenizer)).signature()

    def _tokenizing(self, tokenizer: Tokenizer) -> Self:
        changed: dict[str, Any] = {"tokenize": tokenizer}
        return dataclasses.replace(self, **changed)


def bleu_tokens(texts: Sequence[str], tokenizer: Tokenizer) -> Tokens:
    """The tokens of each text."""
    return _TOKENIZERS[tokenizer](texts)


_ALONE, _DIGIT = 2, 4
_WESTERN = class_table({_ALONE: "!\"#$%&()*+/:;<=>?@[\\]^_`{|}~", _DIGIT: "0123456789"})
_PLAIN = class_table({})


def _western_13a(texts: Sequence[str]) -> Tokens:
    return _western(_unescaped(texts), padded=True)


def _unescaped(texts: Sequence[str]) -> str:
    """One text a line, without what mteval takes out: ``<skipped>``, end-of-line hyphenation, four SGML entities."""
    lines = "\n".join(["", *texts, ""]) if texts else "\n"
    if lines.count("\n") > len(texts) + 1:
        lines = one_a_line([text.rstrip().replace("<skipped>", "").replace("-\n", "") for text in texts])
    elif "<skipped>" in lines:
        lines = lines.replace("<skipped>", "")
    if "&" in lines:
        lines = lines.replace("&quot;", '"').replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
    return lines


def _western(lines: str, *, padded: bool) -> Tokens:
    """The language-dependent part of mteval-v13a. ``padded``: a line begins and ends as if with a space."""
    units, classes = byte_classes(lines, _WESTERN)

    def other(positions: IntArray) -> Flags:
        no_digit: Flags = (classes[positions] & _DIGIT) == 0
        return no_digit if padded else no_digit & (units[positions] != NEWLINE)

    dashes = np.flatnonzero(units == ord("-"))
    classes[dashes[(classes[dashes - 1] & _DIGIT) > 0]] |= _ALONE
    marks = np.flatnonzero((units == ord(".")) | (units == ord(",")))
    classes[_split_marks(marks, other)] |= _ALONE
    return _cut_alone(units, (classes & INSIDE) > 0, (classes & _ALONE) > 0)


def _chinese(texts: Sequence[str]) -> Tokens:
    return _western(_CHINESE.sub(r" \g<0> ", one_a_line([text.strip() for text in texts])), padded=False)


def _single(texts: Sequence[str]) -> Tokens:
    return characters(texts, whitespace=False)


def _words(texts: Sequence[str]) -> Tokens:
    units, classes = byte_classes(one_a_line(texts), _PLAIN)
    return _cut_alone(units, classes > 0, np.zeros(len(units), dtype=bool))


def _international(texts: Sequence[str]) -> Tokens:
    """mteval-v14 with ``--international-tokenization``: punctuation (P), symbols (S) and numbers (N) of Unicode."""
    units = code_points(one_a_line([text.rstrip() for text in texts]))
    symbols, marks, numbers = (character_table(units, lambda c, kind=kind: unicodedata.category(c)[0] == kind)  # type: ignore[misc]
                               for kind in "SPN")

    def other(positions: IntArray) -> Flags:
        no_number: Flags = ~numbers[units[positions]] & (units[positions] != NEWLINE)
        return no_number

    alone = symbols[units]
    alone[_split_marks(np.flatnonzero(marks[units]), other)] = True
    return _cut_alone(units, ~character_table(units, str.isspace)[units], alone)


def _split_marks(marks: IntArray, other: Callable[[IntArray], Flags]) -> IntArray:
    """The marks (positions of ``.,`` or of punctuation) that mteval sets apart: not those inside of numbers.

    ``other`` tells what is no number, and is False at the end of a line where a line's end does not count. mteval first
    takes pairs (something other, mark) from left to right, in which a mark can be the something: of a run of marks all
    but the last are set apart in any case, and the last one if it closes such a pair, or if something other follows.
    """
    if len(marks) == 0:
        return marks
    first = np.flatnonzero(np.diff(marks, prepend=-2) > 1)
    last = np.append(first[1:], len(marks)) - 1
    pairs_up = ((last - first + 1) + other(marks[first] - 1)) % 2 == 0
    inside_number = ~pairs_up & ~other(marks[last] + 1)
    return np.delete(marks, last[inside_number])


def _cut_alone(units: Units, inside: Flags, alone: Flags) -> Tokens:
    """Tokens are separated by white space; a unit that stands alone is a token by itself."""
    starts = inside.copy()
    starts[1:] &= ~inside[:-1] | alone[:-1] | alone[1:]
    return cut(units, starts, inside)


_TOKENIZERS: Mapping[Tokenizer, Callable[[Sequence[str]], Tokens]] = {
    "13a": _western_13a, "intl": _international, "zh": _chinese, "char": _single, "none": _words,
}

# sacrebleu writes two ranges beyond the basic plane with \u and five digits, which Python reads as \u2000 to \u2a6d
# followed by a digit; compared as strings they mean U+2001 to U+2A6D, dashes and quotation marks included.
_CHINESE = re.compile(
    "[\u3400-\u4db5\u4e00-\u9fa5\u9fa6-\u9fbb\uf900-\ufa2d\ufa30-\ufa6a\ufa70-\ufad9\u2001-\u2a6d\uff00-\uffef"
    "\u2e80-\u2eff\u3000-\u303f\u31c0-\u31ef\u2f00-\u2fdf\u2ff0-\u2fff\u3100-\u312f\u31a0-\u31bf\ufe10-\ufe1f"
    "\ufe30-\ufe4f\u3200-\u32ff\u3300-\u33ff]"
)
