"""Self-BLEU: how much each output resembles the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.metrics.mteval import NO_SPACES, TokenizedMetric, Tokenizer, TokenizerOrAuto, bleu_tokens
from harness.metrics.ngrams import SharedNgrams, ngram_totals, shared_ngrams
from harness.metrics.nltkbleu import Counts, counted_orders, smoothed_bleu
from harness.metrics.pooled import PooledMetric, too_few
from harness.metrics.tokenize import IntArray
from harness.metrics.wording import checked_texts, texts_of
from harness.types import FloatArray, Output, Sample


@dataclass(frozen=True, repr=False)
class SelfBleu(TokenizedMetric, PooledMetric):
    """Mean over outputs of the BLEU of each with all the others as its references. Range 0–1, lower is more diverse.

    The sentence BLEU is NLTK's (see ``nltk_bleu``): of each n-gram at most as many count as the other output has that has
    most of them, and the brevity penalty takes the length among the others that is closest, the shorter of two. The n-grams
    are counted once for all outputs, so that 10,000 outputs take a second and not 10,000 × 9,999 comparisons.

    Parameters
    ----------
    max_order : N, the longest n-gram.
    smoothing : NLTK's method, 0–5 or 7; 1, as Texygen has it, adds 0.1 where an order has no match.
    tokenize : as for ``bleu``, but ``auto``: char for languages that write no spaces, else what white space separates.

    It grows with the number of outputs: compare equal numbers. An output without tokens scores 0, as in NLTK. Undefined for
    fewer than two outputs. Duplicates are what it measures, so that its interval comes from random halves.

    Zhu et al. 2018, "Texygen: A Benchmarking Platform for Text Generation Models".

    >>> round(SelfBleu(max_order=2).over(["a b c d", "a b c e", "x y"]), 4)
    0.4714
    """

    max_order: int = 4
    smoothing: int = 1
    tokenize: TokenizerOrAuto = "auto"

    name: ClassVar[str] = "self_bleu"
    family: ClassVar[str] = "diversity"
    summary: ClassVar[str] = "mean BLEU of each output against all the others"
    needs: ClassVar[frozenset[str]] = frozenset({"text"})
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    formula: ClassVar[str] = "mean over outputs of nltk's sentence_bleu(all other outputs, output)"
    reference: ClassVar[str] = "nltk.translate.bleu_score.sentence_bleu, SmoothingFunction().method1"
    paper: ClassVar[str] = "Zhu et al. 2018, Texygen: A Benchmarking Platform for Text Generation Models"
    _auto: ClassVar[Tokenizer] = "none"
    _auto_of_language: ClassVar[Mapping[str, Tokenizer]] = NO_SPACES

    def __post_init__(self) -> None:
        self.require(self.max_order >= 1, "max_order", "a positive integer")
        self.require(self.smoothing in (0, 1, 2, 3, 4, 5, 7), "smoothing", "0, 1, 2, 3, 4, 5 or 7")
        self.require_tokenizer()
        if self.smoothing in (5, 7):
            object.__setattr__(self, "bounds", (0.0, 4 / 3))

    def gather(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[SharedNgrams, Mapping[int, str]]:
        texts, missing = texts_of(outputs)
        return self._shared(texts), missing

    def of_rows(self, rows: IntArray) -> float:
        return self._mean(self.pool, rows)

    def over(self, texts: Sequence[str]) -> float:
        """Self-BLEU of these texts; NaN for fewer than two. Raises MetricError where one is no text."""
        return self._mean(self._shared(checked_texts(self.name, texts)), np.arange(len(texts)))

    def why_undefined(self, stats: FloatArray) -> str | None:
        return too_few(stats, "answers")

    def _shared(self, texts: Sequence[str]) -> SharedNgrams:
        return shared_ngrams(bleu_tokens(texts, self.tokenizer), counted_orders(self.smoothing, self.max_order))

    def _mean(self, shared: SharedNgrams, rows: IntArray) -> float:
        if len(rows) < 2:
            return math.nan
        lengths = shared.lengths[rows]
        ngrams = ngram_totals(lengths, len(shared.orders))
        counts = Counts(shared.matches(rows), ngrams, np.maximum(ngrams, 1), lengths.astype(np.float64),
                        closest_others(lengths))
        return float(smoothed_bleu(counts, self.smoothing, self.max_order).mean())


def self_bleu(texts: Sequence[str], *, max_order: int = 4, smoothing: int = 1, tokenize: TokenizerOrAuto = "auto") -> float:
    """Self-BLEU of some outputs; see :class:`SelfBleu`. NaN for fewer than two.

    >>> self_bleu(["one and the same thing", "one and the same thing"])
    1.0
    """
    return SelfBleu(max_order, smoothing, tokenize).over(texts)


def closest_others(lengths: IntArray) -> FloatArray:
    """For each of at least two lengths the closest one among the others, the shorter of two equally close."""
    ascending = np.sort(lengths)
    first, last = np.searchsorted(ascending, lengths), np.searchsorted(ascending, lengths, side="right")
    infinite = np.append(ascending.astype(np.float64), np.inf)
    below = np.where(first > 0, infinite[first - 1], -np.inf)
    above = infinite[last]
    closest = np.where(lengths - below <= above - lengths, below, above)
    return np.where(last - first > 1, lengths, closest)
