"""ROUGE against rouge-score on real text: ``python -m tests.bench.bench_rouge``. Equal P, R and F of every pair come first.

Pairs are consecutive lines of a WMT17 system and of the reference, joined until there are about 53 words: by spaces, or by line
breaks where the lines matter. They are distinct. ``rouge_scores`` scores all types in one call and cuts the texts into words
once; "metric by metric" is what a run or ``harness score`` does, each type by itself. Nothing is kept between calls.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from rouge_score.rouge_scorer import RougeScorer

from harness.metrics.rouge import Rouge, rouge_scores

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = ("C-3MA.4959", "KIT.4950", "LIUM-NMT.4900", "LMU-nmt-reranked.4934", "SYSTRAN.4847", "online-A.0", "online-F.0",
           "uedin-nmt.4722")
KINDS = ("1", "2", "L", "Lsum")
ROUNDS = 5
Texts = list[str]


def joined_pairs(n: int, separator: str, least: int) -> tuple[Texts, Texts]:
    """n distinct pairs of joined lines; a pair ends with the line in which its reference has got ``least`` words."""
    folder = Path(os.environ.get("HARNESS_SHARED_DATA", ROOT.parent / "shared" / "data")) / "wmt17_ende"
    reference = _lines(folder / "reference.de.txt")
    pairs: dict[tuple[str, str], None] = {}
    for system in SYSTEMS:
        mine: Texts = []
        theirs: Texts = []
        for line, target in zip(_lines(folder / f"newstest2017.{system}.en-de.txt"), reference):
            mine.append(line)
            theirs.append(target)
            if sum(len(text.split()) for text in theirs) >= least:
                pairs[separator.join(mine), separator.join(theirs)] = None
                mine, theirs = [], []
    chosen = list(pairs)[:n]
    assert len(chosen) == n
    return [pair[0] for pair in chosen], [pair[1] for pair in chosen]


def _lines(path: Path) -> Texts:
    return path.read_bytes().decode("utf-8").split("\n")[:-1]


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def apart(predictions: Texts, references: Texts, kinds: Sequence[str], *, stemmer: bool) -> dict[str, object]:
    return {kind: Rouge(kind, stemmer).over(predictions, references) for kind in kinds}


def theirs(predictions: Texts, references: Texts, kinds: Sequence[str], *, stemmer: bool) -> list[dict[str, object]]:
    scorer = RougeScorer([f"rouge{kind}" for kind in kinds], use_stemmer=stemmer)
    return [scorer.score(reference, prediction) for prediction, reference in zip(predictions, references)]


def compare(what: str, predictions: Texts, references: Texts, kinds: Sequence[str], *, stemmer: bool) -> None:
    peer = partial(theirs, predictions, references, kinds, stemmer=stemmer)
    ways = {"rouge_scores": partial(rouge_scores, predictions, references, kinds, stemmer=stemmer)}
    if len(kinds) > 1:
        ways["metric by metric"] = partial(apart, predictions, references, kinds, stemmer=stemmer)
    expected = peer()
    for way in ways.values():
        found = way()
        for kind in kinds:
            rows = np.array([list(scores[f"rouge{kind}"]) for scores in expected])
            assert np.array_equal(found[kind].stats[:, :3], rows), f"ROUGE-{kind} differs"
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in (*ways, "peer")}
    for round_ in range(ROUNDS):
        for name, way in ways.items():
            times[name].append(timed(way))
        if round_ < 2:
            times["peer"].append(timed(peer))
    best = {name: tuple(map(min, zip(*runs))) for name, runs in times.items()}
    words = sum(len(text.split()) for text in (*predictions, *references)) / (2 * len(predictions))
    for name in ways:
        (wall, cpu), (peer_wall, peer_cpu) = best[name], best["peer"]
        print(f"{what}, {name} | {len(predictions)} pairs of {words:.1f} words | {wall:.3f} ({cpu:.3f}) | "
              f"{peer_wall:.2f} ({peer_cpu:.2f}) | {peer_wall / wall:.0f}x ({peer_cpu / cpu:.0f}x)")


def main() -> None:
    print("what | sizes | ours s (cpu) | rouge-score s (cpu) | ratio (cpu)")
    one_line, several = joined_pairs(3000, " ", 43), joined_pairs(3000, "\n", 43)
    compare("ROUGE-1/2/L/Lsum", *one_line, KINDS, stemmer=False)
    compare("ROUGE-1/2/L/Lsum, stems", *one_line, KINDS, stemmer=True)
    compare("ROUGE-Lsum, three lines", *several, ["Lsum"], stemmer=False)


if __name__ == "__main__":
    main()
