"""BERTScore against bert-score: real translations, one thread, the same weights, equal to 1e-5."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harness.metrics.bertscore import bertscore
from harness.models.sentence_encoder import SentenceEncoder
from tests.bench.timing import Race
from tests.bench.wmt17 import DATA
from tests.models.real import MINILM, opened

N, LAYER = 1000, 6


def pairs(data: Path) -> tuple[list[str], list[str]]:
    """The first translations of one system, and their references."""
    [system] = data.glob("newstest2017.uedin-nmt.*")
    return system.read_text("utf-8").split("\n")[:N], (data / "reference.de.txt").read_text("utf-8").split("\n")[:N]


def races() -> Iterator[Race]:
    import torch
    from bert_score import BERTScorer
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)  # numpy's too: threads that wait for each other count as work
    texts, references = pairs(DATA / "wmt17_ende")
    encoder = opened(SentenceEncoder(MINILM, device="cpu", threads=1))
    folder = encoder._require().model.tokenizer.name_or_path
    scorer = BERTScorer(model_type=folder, num_layers=LAYER, device="cpu", nthreads=0)

    def ours(_: Any) -> Any:
        return bertscore(texts, references, encoder, layer=LAYER)

    def peer(_: Any) -> Any:
        return scorer.score(texts, references)

    expected = np.stack([side.numpy() for side in peer(None)], axis=1)
    np.testing.assert_allclose(ours(None).stats[:, :3], expected, atol=1e-5)
    yield Race("BERTScore, MiniLM layer 6, one thread", f"{N:,} pairs", ours, peer, 1.5)
