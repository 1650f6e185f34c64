"""ROUGE against rouge-score on real text. Equal P, R and F of every pair come first.

Pairs are consecutive lines of a WMT17 system and of the reference, joined until there are about 53 words: by spaces, or by line
breaks where the lines matter. They are distinct. ``rouge_scores`` scores all types in one call and cuts the texts into words
once; "metric by metric" is what a run or ``harness score`` does, each type by itself. Nothing is kept between calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from rouge_score.rouge_scorer import RougeScorer

from harness.metrics.rouge import Rouge, rouge_scores
from tests.bench.timing import Race
from tests.bench.wmt17 import Texts, joined, mean_words

KINDS = ("1", "2", "L", "Lsum")


def races() -> Iterator[Race]:
    yield from _races("ROUGE-1/2/L/Lsum", " ", KINDS, stemmer=False, at_least=60)
    yield from _races("ROUGE-1/2/L/Lsum, stems", " ", KINDS, stemmer=True, at_least=20)
    yield from _races("ROUGE-Lsum, three lines", "\n", ["Lsum"], stemmer=False, at_least=15)


def _races(what: str, separator: str, kinds: Sequence[str], *, stemmer: bool, at_least: float) -> Iterator[Race]:
    fresh = partial(joined, 3000, separator, 43)
    texts = fresh()
    sizes = f"{len(texts[0]):,} pairs of {mean_words(texts):.1f} words"
    peer = partial(theirs, kinds=kinds, stemmer=stemmer)
    expected = peer(texts)
    ways = {"rouge_scores": partial(together, kinds=kinds, stemmer=stemmer)}
    if len(kinds) > 1:
        ways["metric by metric"] = partial(apart, kinds=kinds, stemmer=stemmer)
    for name, way in ways.items():
        found = way(texts)
        for kind in kinds:
            rows = np.array([list(scores[f"rouge{kind}"]) for scores in expected])
            assert np.array_equal(found[kind].stats[:, :3], rows), f"ROUGE-{kind} differs"
        yield Race(f"{what}, {name}", sizes, way, peer, at_least, fresh, rounds=5)


def together(texts: Texts, kinds: Sequence[str], *, stemmer: bool):  # type: ignore[no-untyped-def]
    return rouge_scores(*texts, kinds, stemmer=stemmer)


def apart(texts: Texts, kinds: Sequence[str], *, stemmer: bool):  # type: ignore[no-untyped-def]
    return {kind: Rouge(kind, stemmer).over(*texts) for kind in kinds}


def theirs(texts: Texts, kinds: Sequence[str], *, stemmer: bool):  # type: ignore[no-untyped-def]
    scorer = RougeScorer([f"rouge{kind}" for kind in kinds], use_stemmer=stemmer)
    return [scorer.score(reference, prediction) for prediction, reference in zip(*texts)]
