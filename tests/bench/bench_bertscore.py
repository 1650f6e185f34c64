"""BERTScore against bert-score: ``python -m tests.bench.bench_bertscore``; real translations, one thread, the same weights."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from harness.metrics.bertscore import bertscore
from harness.models.sentence_encoder import SentenceEncoder
from tests.conftest import ROOT
from tests.models.real import MINILM, opened

N, LAYER = 1000, 6


def pairs(data: Path) -> tuple[list[str], list[str]]:
    """The first translations of one system, and their references."""
    [system] = data.glob("newstest2017.uedin-nmt.*")
    return system.read_text("utf-8").split("\n")[:N], (data / "reference.de.txt").read_text("utf-8").split("\n")[:N]


def timed(run: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds of the processor, seconds on the wall, and what came out."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = run()
    return time.process_time() - cpu, time.perf_counter() - wall, result


def main() -> None:
    import torch
    from bert_score import BERTScorer
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)  # numpy's too: threads that wait for each other count as work
    texts, references = pairs(ROOT.parent / "shared" / "data" / "wmt17_ende")
    encoder = opened(SentenceEncoder(MINILM, device="cpu", threads=1))
    folder = encoder._require().model.tokenizer.name_or_path
    peer = BERTScorer(model_type=folder, num_layers=LAYER, device="cpu", nthreads=0)
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    for turn in range(3):
        cpu, wall, measured = timed(lambda: bertscore(texts, references, encoder, layer=LAYER))
        ours.append((cpu, wall))
        if turn < 2:
            cpu, wall, expected = timed(lambda: peer.score(texts, references))
            theirs.append((cpu, wall))
            np.testing.assert_allclose(measured.stats[:, :3], np.stack([side.numpy() for side in expected], axis=1), atol=1e-5)
    (a, a_wall), (b, b_wall) = min(ours), min(theirs)
    print("what | sizes | ours s | peer s | ratio")
    print(f"BERTScore (processor) | {N} pairs | {a:.2f} | {b:.2f} | {b / a:.2f}")
    print(f"BERTScore (wall) | {N} pairs | {a_wall:.2f} | {b_wall:.2f} | {b_wall / a_wall:.2f}")


if __name__ == "__main__":
    main()
