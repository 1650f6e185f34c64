"""Which sample, cluster and slice every scored row belongs to, in a few bytes a row however many there are."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from harness.stats.bootstrap import IntArray
from harness.types import Sample

_NONE = -1


class Names(Sequence[str]):
    """Texts one after the other in one piece of memory."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("q", [0])

    def append(self, name: str) -> None:
        self._bytes += name.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._bytes))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._bytes[self._ends[index] : self._ends[index + 1]].decode("utf-8", "surrogatepass")


class NamesOfRows(Sequence[str]):
    """The name of the sample of every row."""

    def __init__(self, names: Sequence[str], numbers: IntArray) -> None:
        self.names, self.numbers = names, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self.names[i] for i in self.numbers[index]]
        return self.names[int(self.numbers[index])]

    def __iter__(self) -> Iterator[str]:
        last, name = _NONE, ""
        for number in self.numbers.tolist():
            if number != last:
                last, name = number, self.names[number]
            yield name


class RowIndex:
    """Takes samples row by row. Rows of one sample (its repeats) mostly come one after the other: each such stretch is kept
    once, with a hash, and only where hashes agree the names are looked at."""

    def __init__(self) -> None:
        self._names = Names()
        self._hashes = array("q")
        self._stretches = array("q")  # row -> its stretch
        self._last: str | None = None
        self._groups = _Codes()  # by stretch
        self._slices: dict[str, _Codes] = {}  # by row
        self._units: IntArray | None = None

    def __len__(self) -> int:
        return len(self._stretches)

    def add(self, samples: Sequence[Sample]) -> None:
        """The samples of the next rows."""
        self._units = None
        for sample in samples:
            if sample.id != self._last:
                self._last = sample.id
                self._names.append(sample.id)
                self._hashes.append(hash(sample.id))
                self._groups.append(sample.group)
            self._stretches.append(len(self._hashes) - 1)
        for key in dict.fromkeys(key for sample in samples for key in sample.slices):
            self._slices.setdefault(key, _Codes(len(self) - len(samples)))
        for key, codes in self._slices.items():
            for sample in samples:
                codes.append(sample.slices.get(key))

    def units(self) -> IntArray:
        """``int64[rows]``: the number of every row's sample, in the order in which samples came first."""
        if self._units is None:
            of_stretch = self._of_stretches()
            stretches = _numbers(self._stretches)
            self._units = stretches if of_stretch is None else of_stretch[stretches]
        return self._units

    def names(self) -> NamesOfRows:
        """The name of the sample of every row."""
        return NamesOfRows(self._names, _numbers(self._stretches))

    def groups(self) -> list[str] | None:
        """The cluster of every sample, by its number; None where no sample declares one."""
        if not self._groups.values:
            return None
        of_stretch, found = self._of_stretches(), dict[int, str]()
        for stretch, (name, group) in enumerate(zip(self._names, self._groups)):
            unit = stretch if of_stretch is None else int(of_stretch[stretch])
            found.setdefault(unit, f"sample {name}" if group is None else f"group {group}")
        return [found[unit] for unit in range(len(found))]

    def slices(self) -> Iterator[tuple[str, str, IntArray]]:
        """(slice, value, its rows) of every breakdown that the samples declare."""
        for key, codes in self._slices.items():
            for value in sorted(codes.values):
                yield key, value, codes.places(value)

    def _of_stretches(self) -> IntArray | None:
        """The number of the sample of each stretch; None where every stretch is of a sample of its own."""
        hashes = np.sort(_numbers(self._hashes))
        if not (hashes[1:] == hashes[:-1]).any():
            return None
        known: dict[str, int] = {}
        return np.array([known.setdefault(name, len(known)) for name in self._names], dtype=np.int64)


class _Codes:
    """A text or None at each place, as a number; equal texts are kept once."""

    def __init__(self, n_none: int = 0) -> None:
        self.values: dict[str, int] = {}
        self._codes = array("i", [_NONE]) * n_none

    def append(self, value: str | None) -> None:
        self._codes.append(_NONE if value is None else self.values.setdefault(value, len(self.values)))

    def places(self, value: str) -> IntArray:
        return np.flatnonzero(_numbers(self._codes) == self.values[value])

    def __iter__(self) -> Iterator[str | None]:
        values = [*self.values, None]  # None stands last, where -1 looks for it
        return (values[code] for code in self._codes)


def _numbers(numbers: array[int]) -> IntArray:
    """A copy: an array that somebody looks into cannot grow."""
    return np.array(numbers, dtype=np.int64)
