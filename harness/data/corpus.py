"""A retrieval corpus that is read again from its file whenever it is iterated."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING

from harness.data.unique import SeenIds
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.types import Document


class DocumentCorpus:
    """Documents from ``read``, which gives them afresh at every call; ``label`` is what errors begin with.

    Length and fingerprint come from one pass, made when either is first asked for. That pass raises DataError for an empty
    corpus and for an id that two documents have.
    """

    def __init__(self, read: Callable[[], Iterator[Document]], label: str) -> None:
        self._read, self._label = read, label

    def __iter__(self) -> Iterator[Document]:
        return self._read()

    def __len__(self) -> int:
        return self._facts[0]

    @property
    def fingerprint(self) -> str:
        """BLAKE2b over ids, titles and texts in their order, 32 hexadecimal digits."""
        return self._facts[1]

    @cached_property
    def _facts(self) -> tuple[int, str]:
        ids, state = SeenIds(), hashlib.blake2b(digest_size=16)
        for document in self:
            ids.add(document.id)
            lengths = f"{len(document.id)},{len(document.title)},{len(document.text)};"
            state.update((lengths + document.id + document.title + document.text).encode())
        if not len(ids):
            raise DataError(f"{self._label}: no documents in it")
        twice = ids.repeated(lambda: (document.id for document in self))
        if twice is not None:
            where = f"{self._label}: row {twice.second}: document id"
            raise DataError(f"{where} {twice.id!r} is that of row {twice.first} too; ids must be unique")
        return len(ids), state.hexdigest()
