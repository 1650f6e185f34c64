"""METEOR against nltk on real text, exact and stem stages: nltk is given a WordNet without synsets. Equal scores come first."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from nltk.translate.meteor_score import meteor_score

from harness.metrics.meteor import Meteor
from harness.types import FloatArray
from tests.bench.timing import Race
from tests.bench.wmt17 import Texts, joined, mean_words


class NoWordNet:
    """Exact and stem stages alone."""

    def synsets(self, word: str) -> list[object]:
        return []


def races() -> Iterator[Race]:
    for n, least in ((12_000, 1), (3_000, 43)):
        fresh = partial(joined, n, " ", least)
        texts = fresh()
        assert np.abs(ours(texts) - theirs(texts)).max() < 1e-12, "scores differ"
        yield Race("METEOR, exact + stem", f"{n:,} pairs of {mean_words(texts):.1f} words", ours, theirs, 4, fresh)


def ours(texts: Texts) -> FloatArray:
    return Meteor(wordnet="off").over(*texts).per_item


def theirs(texts: Texts) -> list[float]:
    return [meteor_score([reference.split()], prediction.split(), wordnet=NoWordNet())
            for prediction, reference in zip(*texts)]  # fmt: skip
