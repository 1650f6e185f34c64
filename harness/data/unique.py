"""Whether ids are unique, in eight bytes an id: only their hashes are kept, and a repeated hash gets a second look."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True, slots=True)
class Repeated:
    """An id that two rows have, with their numbers from 1."""

    id: str
    first: int
    second: int


class SeenIds:
    """Collects ids; ``repeated`` then names the first id that came twice."""

    def __init__(self) -> None:
        self._hashes = array("q")

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, id_: str) -> None:
        """Take note of the next id."""
        self._hashes.append(hash(id_))

    def repeated(self, reread: Callable[[], Iterable[str]]) -> Repeated | None:
        """The first id that came twice, or None; ``reread`` gives all ids again and is called only where hashes agree."""
        ordered = np.sort(np.frombuffer(self._hashes, dtype=np.int64)) if self._hashes else np.zeros(0, np.int64)
        suspects = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
        if not suspects:
            return None
        first: dict[str, int] = {}
        for number, id_ in enumerate(reread(), 1):
            if hash(id_) in suspects:
                if id_ in first:
                    return Repeated(id_, first[id_], number)
                first[id_] = number
        return None
