"""METEOR against nltk on real text: ``python -m tests.bench.bench_meteor``. Equal scores of every pair come first.

Exact and stem stages: nltk is given a WordNet without synsets. The pairs are distinct lines of the eight WMT17 systems. Neither
side keeps anything between calls.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from nltk.translate.meteor_score import meteor_score

from harness.metrics.meteor import Meteor
from harness.types import FloatArray
from tests.bench.bench_rouge import joined_pairs, timed

ROUNDS = 5


class NoWordNet:
    """Exact and stem stages alone."""

    def synsets(self, word: str) -> list[object]:
        return []


def ours(predictions: list[str], references: list[str]) -> FloatArray:
    return Meteor(wordnet="off").over(predictions, references).per_item


def theirs(predictions: list[str], references: list[str]) -> list[float]:
    return [meteor_score([reference.split()], prediction.split(), wordnet=NoWordNet())
            for prediction, reference in zip(predictions, references)]


def main() -> None:
    print("what | sizes | ours s (cpu) | nltk s (cpu) | ratio (cpu)")
    for n, least in ((12_000, 1), (3_000, 43)):
        predictions, references = joined_pairs(n, " ", least)
        mine, peer = partial(ours, predictions, references), partial(theirs, predictions, references)
        assert np.abs(mine() - peer()).max() < 1e-12, "scores differ"
        runs, peers = [], []
        for round_ in range(ROUNDS):
            runs.append(timed(mine))
            if round_ < 2:
                peers.append(timed(peer))
        (wall, cpu), (peer_wall, peer_cpu) = (tuple(map(min, zip(*times))) for times in (runs, peers))
        words = sum(len(text.split()) for text in (*predictions, *references)) / (2 * n)
        print(f"METEOR, exact + stem | {n} pairs of {words:.1f} words | {wall:.3f} ({cpu:.3f}) | "
              f"{peer_wall:.2f} ({peer_cpu:.2f}) | {peer_wall / wall:.1f}x ({peer_cpu / cpu:.1f}x)")


if __name__ == "__main__":
    main()
