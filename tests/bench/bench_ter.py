"""TER against sacrebleu on real text; equal edits of every segment come first."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import sacrebleu
from sacrebleu.tokenizers.tokenizer_ter import TercomTokenizer

from harness.metrics.ter import Ter
from harness.types import FloatArray
from tests.bench.timing import Race
from tests.bench.wmt17 import Texts, distinct

SIZES = (3000,)


def races() -> Iterator[Race]:
    for n in SIZES:
        texts = distinct(n)
        assert np.array_equal(ours(texts), theirs(texts)), "edits differ"
        words = sum(len(text.split()) for text in texts[1])
        yield Race("TER, edits of every segment", f"{n:,} segments, {words:,} words", ours, theirs, 10, partial(distinct, n))


def ours(texts: Texts) -> FloatArray:
    return Ter().over(*texts).stats[:, :2]


def theirs(texts: Texts) -> FloatArray:
    TercomTokenizer.__call__.cache_clear()
    return np.array(sacrebleu.TER()._extract_corpus_statistics(texts[0], [texts[1]]), dtype=np.float64)
