"""TER against sacrebleu on real text: ``python -m tests.bench.bench_ter``. Equal edits of every segment come before timing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import sacrebleu
from sacrebleu.tokenizers.tokenizer_ter import TercomTokenizer

from harness.metrics.ter import Ter
from harness.types import FloatArray

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = ("C-3MA.4959", "KIT.4950", "LIUM-NMT.4900", "LMU-nmt-reranked.4934", "SYSTRAN.4847", "online-A.0", "online-F.0",
           "uedin-nmt.4722")
ROUNDS = 3


def pairs(n: int) -> tuple[list[str], list[str]]:
    """n distinct pairs, an equal share of each of the eight systems, in the order of the test set."""
    folder = Path(os.environ.get("HARNESS_SHARED_DATA", ROOT.parent / "shared" / "data")) / "wmt17_ende"
    outputs = [_lines(folder / f"newstest2017.{system}.en-de.txt") for system in SYSTEMS]
    reference = _lines(folder / "reference.de.txt")
    seen = dict.fromkeys((output[row], text) for row, text in enumerate(reference) for output in outputs)
    chosen = list(seen)[:: max(1, len(seen) // n)][:n]
    return [pair[0] for pair in chosen], [pair[1] for pair in chosen]


def _lines(path: Path) -> list[str]:
    return path.read_bytes().decode("utf-8").split("\n")[:-1]


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def ours(predictions: list[str], references: list[str]) -> FloatArray:
    return Ter().over(predictions, references).stats[:, :2]


def theirs(predictions: list[str], references: list[str]) -> FloatArray:
    TercomTokenizer.__call__.cache_clear()
    return np.array(sacrebleu.TER()._extract_corpus_statistics(predictions, [references]), dtype=np.float64)


def main() -> None:
    print("what | sizes | ours s (cpu) | sacrebleu s (cpu) | ratio (cpu)")
    for n in (3000, 12000):
        predictions, references = pairs(n)

        both = partial(ours, predictions, references), partial(theirs, predictions, references)
        assert np.array_equal(both[0](), both[1]()), "edits differ"
        runs = [(timed(both[0]), timed(both[1])) for _ in range(ROUNDS if n == 3000 else 2)]
        (mine, mine_cpu), (peer, peer_cpu) = (min(run[side] for run in runs) for side in (0, 1))
        words = sum(len(text.split()) for text in references)
        print(f"TER, edits of every segment | {n} segments, {words} reference words | {mine:.3f} ({mine_cpu:.3f}) | "
              f"{peer:.2f} ({peer_cpu:.2f}) | {peer / mine:.0f}x ({peer_cpu / mine_cpu:.0f}x)", flush=True)


if __name__ == "__main__":
    main()
