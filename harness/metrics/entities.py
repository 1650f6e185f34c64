"""Entities out of tag sequences, many sentences at once: by the rules of conlleval, or of a tagging scheme taken strictly.

All sentences lie in one series of codes, a tag that is outside after each. Where entities begin and end follows from pairs of
neighbouring tags: a rule is asked once for every pair that occurs, and looked up for every token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
SchemeName = Literal["BIO", "IOB1", "IOB2", "IOE1", "IOE2", "BIOES", "IOBES", "BILOU"]
OUTSIDE = "O"

_Split: TypeAlias = tuple[str, str]
"""Prefix and type of a tag."""
_DENSE_PAIRS = 2**20


@dataclass(frozen=True, slots=True)
class Scheme:
    """Which prefixes a scheme has, and between which neighbours an entity starts, goes on, and ends.

    A pattern is two prefixes (``.``: any) and, where the types matter, ``=`` or ``!``: the same, or different ones. They are
    those of seqeval 1.2.2, its gaps included: IOE1 takes no entity that ends on E before O.
    """

    prefixes: str
    starts: str
    inside: str
    ends: str


_IOB2 = Scheme("IOB", ".B", "BI= II=", "IO II! IB BO BI! BB")
_BIOES = Scheme("IOBES", ".B .S", "BI= BE= II= IE=", "S. E.")
SCHEMES: Mapping[str, Scheme] = {
    "BIO": _IOB2,
    "IOB2": _IOB2,
    "IOB1": Scheme("IOB", "OI II! BI IB= BB=", "BI= II=", "II! IO IB BO BI! BB="),
    "IOE1": Scheme("IOE", "OI II! EI EE=", "II= IE=", "II! IO IE! EI= EE="),
    "IOE2": Scheme("IOE", "OI OE EI EE II! IE!", "IE= II=", "E."),
    "BIOES": _BIOES,
    "IOBES": _BIOES,
    "BILOU": Scheme("BILOU", ".B .U", "BI= BL= II= IL=", "U. L."),
}


class TagCodes(dict[str, int]):
    """Tag -> code, given out as tags turn up; 0 is outside. Looking up what is no text that can be a tag gives ``NO_TAG``."""

    NO_TAG = 1

    def __init__(self) -> None:
        super().__init__({OUTSIDE: 0, "": self.NO_TAG})

    def __missing__(self, tag: object) -> int:
        if not isinstance(tag, str):
            return self.NO_TAG
        code = self[tag] = len(self)
        return code


def coded(sentences: Sequence[Sequence[str]], codes: TagCodes) -> IntArray:
    """The codes of all tags, each sentence followed by 0, ``int64[tokens + sentences]``."""
    lengths = np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences))
    n = int(lengths.sum())
    tags = np.fromiter(map(codes.__getitem__, chain.from_iterable(sentences)), dtype=np.int64, count=n)
    series = np.zeros(n + len(sentences), dtype=np.int64)
    series[np.arange(n) + np.repeat(np.arange(len(sentences)), lengths)] = tags
    return series


@dataclass(frozen=True, slots=True)
class Entities:
    """``int64[E]`` each, ends ascending: first position of each entity, the one after its last, code of its type."""

    begins: IntArray
    ends: IntArray
    types: IntArray

    def matched(self, others: Entities, size: int) -> BoolArray:
        """Which of these are among the others, place and type; positions lie below ``size``. ``bool[E]``."""
        at_end = np.full(size, -1, dtype=np.int64)
        at_end[others.ends] = np.arange(len(others.ends))
        other = at_end[self.ends]
        found = np.flatnonzero(other >= 0)
        same = (self.begins[found] == others.begins[other[found]]) & (self.types[found] == others.types[other[found]])
        hit = np.zeros(len(self.ends), dtype=np.bool_)
        hit[found[same]] = True
        return hit


class Extractor:
    """Finds entities in series of codes. ``scheme`` None: the rules of conlleval, for any prefixes."""

    def __init__(self, tags: Iterable[str], scheme: Scheme | None, types: dict[str, int]) -> None:
        self._scheme = scheme
        self._split = [_strict_split(tag) if scheme else _split(tag) for tag in tags]
        self._type_of = np.array([types.setdefault(type_, len(types)) for _, type_ in self._split], dtype=np.int64)

    def entities(self, series: IntArray) -> Entities:
        """The entities of sentences that are each followed by 0."""
        pairs = _Pairs(series, self._split)
        if self._scheme is None:
            return self._by_turns(series, np.flatnonzero(pairs.where(_begins)), np.flatnonzero(pairs.where(_ends)))
        scheme = self._scheme
        inside = pairs.where(_matcher(scheme.inside))
        starts = np.flatnonzero(pairs.where(_matcher(scheme.starts)))
        return self._by_runs(series, starts, inside, pairs.where(_matcher(scheme.ends)))

    def _by_turns(self, series: IntArray, starts: IntArray, ends: IntArray) -> Entities:
        """An entity begins at the last start before its end, and has the type of its last token."""
        begins = starts[np.searchsorted(starts, ends) - 1] if len(starts) else ends
        return Entities(begins, ends, self._type_of[series[ends - 1]])

    def _by_runs(self, series: IntArray, starts: IntArray, inside: BoolArray, is_end: BoolArray) -> Entities:
        """A token that is not inside opens a run; its first start begins an entity, which counts if the next run is an end."""
        opens = np.flatnonzero(~inside)
        run = np.searchsorted(opens, starts, side="right") - 1
        first = np.flatnonzero(np.diff(run, prepend=-1) > 0)
        begins, ends = starts[first], opens[run[first] + 1]
        kept = is_end[ends]
        return Entities(begins[kept], ends[kept], self._type_of[series[begins[kept]]])


def invalid_prefix(tag: str, scheme: Scheme) -> bool:
    """Whether a scheme does not know the tag's prefix."""
    return tag[0] not in scheme.prefixes


class _Pairs:
    """Each token with the one before it; what a rule says of them, for every position."""

    def __init__(self, series: IntArray, split: Sequence[_Split]) -> None:
        n = len(split)
        pairs = series * 1
        pairs[1:] += series[:-1] * n
        if n * n <= _DENSE_PAIRS:
            self._pairs, self._index = np.flatnonzero(np.bincount(pairs, minlength=n * n)), pairs
            self._size = n * n
        else:
            self._pairs, self._index = np.unique(pairs, return_inverse=True)
            self._size = 0
        self._both = [(split[pair // n], split[pair % n]) for pair in self._pairs.tolist()]

    def where(self, rule: Callable[[_Split, _Split], bool]) -> BoolArray:
        """``bool`` a position: whether the rule holds for the token before it and itself."""
        holds = np.array([rule(before, here) for before, here in self._both], dtype=np.bool_)
        if not self._size:
            return holds[self._index]
        table = np.zeros(self._size, dtype=np.bool_)
        table[self._pairs] = holds
        return table[self._index]


# ── rules ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _split(tag: str) -> _Split:
    return tag[:1] or OUTSIDE, tag[1:].split("-", 1)[-1] or "_"


def _strict_split(tag: str) -> _Split:
    return tag[:1] or OUTSIDE, tag[1:].strip("-") or "_"


def _begins(before: _Split, here: _Split) -> bool:
    """conlleval: B and S begin an entity, so do I and E after the end of one, and any change of type."""
    if here[0] in "BS" or (before[0] in "ESO" and here[0] in "EI"):
        return True
    return here[0] not in "O." and before[1] != here[1]


def _ends(before: _Split, here: _Split) -> bool:
    """conlleval: E and S end an entity, so do B, S and O after a B or I, and any change of type."""
    if before[0] in "ES" or (before[0] in "BI" and here[0] in "BSO"):
        return True
    return before[0] not in "O." and before[1] != here[1]


def _matcher(patterns: str) -> Callable[[_Split, _Split], bool]:
    parsed = [(pattern[0], pattern[1], pattern[2:]) for pattern in patterns.split()]

    def holds(before: _Split, here: _Split) -> bool:
        kind = "=" if before[1] == here[1] else "!"
        return any(
            first in (".", before[0]) and second in (".", here[0]) and condition in ("", kind)
            for first, second, condition in parsed
        )

    return holds
