"""Entities out of tag sequences, many sentences at once: by the rules of conlleval, or of a tagging scheme taken strictly.

All sentences lie in one series of codes, a tag that is outside after each. Where entities begin and end follows from pairs of
neighbouring tags: a rule is asked once for every pair that occurs, and looked up for every token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

IntArray: TypeAlias = NDArray[np.int64]
CodeArray: TypeAlias = NDArray[np.uint8] | NDArray[np.int64]
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


def coded(sentences: Iterable[Sequence[str]], codes: TagCodes) -> CodeArray:
    """The codes of all tags, each sentence followed by 0: ``uint8`` or, beyond 256 tags, ``int64[tokens + sentences]``."""

    def each() -> Iterable[int]:
        tags = chain.from_iterable(chain.from_iterable(zip(sentences, repeat((OUTSIDE,)))))
        return map(codes.__getitem__, tags)

    try:
        return np.frombuffer(bytes(each()), dtype=np.uint8)
    except ValueError:  # a code above 255
        return np.fromiter(each(), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Entities:
    """``int64[E]`` each, ends ascending: first position of each entity, the one after its last, code of its type."""

    begins: IntArray
    ends: IntArray
    types: IntArray

    def among(self, others: Entities) -> BoolArray:
        """Which of these are among the others, place and type, ``bool[E]``."""
        if not len(others.ends):
            return np.zeros(len(self.ends), dtype=np.bool_)
        other = np.minimum(np.searchsorted(others.ends, self.ends), len(others.ends) - 1)
        same_place = (others.ends[other] == self.ends) & (others.begins[other] == self.begins)
        return np.asarray(same_place & (others.types[other] == self.types))


class Extractor:
    """Finds entities in series of codes. ``scheme`` None: the rules of conlleval, for any prefixes."""

    def __init__(self, tags: Iterable[str], scheme: Scheme | None, types: dict[str, int]) -> None:
        self._scheme = scheme
        self._split = [_strict_split(tag) if scheme else _split(tag) for tag in tags]
        self._type_of = np.array([types.setdefault(type_, len(types)) for _, type_ in self._split], dtype=np.int64)

    def entities(self, series: CodeArray) -> Entities:
        """The entities of sentences that are each followed by 0."""
        pairs = _Pairs.of(series, self._split)
        scheme = self._scheme
        if scheme is None:
            return self._by_turns(pairs, pairs.where(_begins), pairs.where(_ends))
        starts, inside, ends = (pairs.where(_matcher(rule)) for rule in (scheme.starts, scheme.inside, scheme.ends))
        return self._by_runs(pairs, starts, inside, ends)

    def _by_turns(self, pairs: _Pairs, is_start: BoolArray, is_end: BoolArray) -> Entities:
        """An entity begins at the last start before its end, and has the type of its last token."""
        starts, ends = np.flatnonzero(is_start), np.flatnonzero(is_end)
        begins = starts[np.searchsorted(starts, ends) - 1] if len(starts) else ends
        return Entities(pairs.positions[begins], pairs.positions[ends], self._type_of[pairs.before[ends]])

    def _by_runs(self, pairs: _Pairs, is_start: BoolArray, inside: BoolArray, is_end: BoolArray) -> Entities:
        """A token that is not inside opens a run; its first start begins an entity, which counts if the next run is an end."""
        starts, opens = np.flatnonzero(is_start), np.flatnonzero(~inside)
        run = np.searchsorted(opens, starts, side="right") - 1
        first = np.flatnonzero(np.diff(run, prepend=-1) > 0)
        begins, ends = starts[first], opens[run[first] + 1]
        begins, ends = begins[is_end[ends]], ends[is_end[ends]]
        return Entities(pairs.positions[begins], pairs.positions[ends], self._type_of[pairs.here[begins]])


def invalid_prefix(tag: str, scheme: Scheme) -> bool:
    """Whether a scheme does not know the tag's prefix."""
    return tag[0] not in scheme.prefixes


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Tokens with the one before them, where one of the two is not outside: nothing begins, goes on or ends elsewhere.

    ``int64[P]``: positions, ascending, the codes before and there; ``pair`` numbers the pairs that occur, ``split`` has them.
    """

    positions: IntArray
    before: IntArray
    here: IntArray
    pair: IntArray
    split: Sequence[tuple[_Split, _Split]]

    @classmethod
    def of(cls, series: CodeArray, split: Sequence[_Split]) -> _Pairs:
        is_tag = series != 0
        is_tag[1:] |= series[:-1] != 0
        positions = np.flatnonzero(is_tag)
        # The last code is 0, so that the first one has it before itself.
        before, here = series[positions - 1].astype(np.int64), series[positions].astype(np.int64)
        occurring, pair = _numbered(before * len(split) + here, len(split) ** 2)
        both = [(split[number // len(split)], split[number % len(split)]) for number in occurring.tolist()]
        return cls(positions, before, here, pair, both)

    def where(self, rule: Callable[[_Split, _Split], bool]) -> BoolArray:
        """``bool[P]``: whether the rule holds for the token before and the one there."""
        holds = np.array([rule(before, here) for before, here in self.split], dtype=np.bool_)
        return np.asarray(holds[self.pair])


def _numbered(values: IntArray, size: int) -> tuple[IntArray, IntArray]:
    """The distinct values, ascending, and which of them each one is; values lie below ``size``."""
    if size > _DENSE_PAIRS:
        return np.unique(values, return_inverse=True)
    occurring = np.flatnonzero(np.bincount(values, minlength=size))
    number = np.zeros(size, dtype=np.int64)
    number[occurring] = np.arange(len(occurring))
    return occurring, number[values]


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
