"""The head of a ranking, in trec_eval's order: by score, ties by document id, both descending."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.types import Ranking


class Ids:
    """The ids of an indexed corpus, in its order, and the place of each when they are sorted."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids: tuple[str, ...] = tuple(ids)
        order = sorted(range(len(ids)), key=self.ids.__getitem__)
        self._places = np.empty(len(ids), dtype=np.int64)
        self._places[order] = np.arange(len(ids))

    def __len__(self) -> int:
        return len(self.ids)

    def ranking(self, documents: NDArray[np.integer[Any]], scores: NDArray[np.floating[Any]], k: int) -> Ranking:
        """The best k of these documents (row numbers, each with its score); fewer if there are fewer.

        Ids compare by code point, which is strcmp's order of their UTF-8 bytes.
        """
        if len(documents) > k:
            # Everything that ties with the k-th stays in, so that the id decides and not the partition.
            kth = np.partition(scores, len(scores) - k)[len(scores) - k]
            kept = scores >= kth
            documents, scores = documents[kept], scores[kept]
        order = np.lexsort((-self._places[documents], -scores))[:k]
        return Ranking(tuple(self.ids[row] for row in documents[order]), tuple(scores[order].tolist()))
