"""BLEU of each sample by itself, averaged, equal to sacrebleu's sentence BLEU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.metrics.bleu import Bleu, BleuParameters, Smoothing
from harness.metrics.mteval import TokenizerOrAuto
from harness.metrics.references import MeanOverReferences, References
from harness.types import FloatArray


@dataclass(frozen=True, repr=False)
class SentenceBleu(BleuParameters, MeanOverReferences):
    """Mean over samples of the BLEU of each by itself. Range 0–100, higher is better.

    Not corpus BLEU, which sums n-gram counts before it divides: the two numbers do not compare. Parameters as those of
    ``bleu``; ``effective_order`` leaves out the orders that a text is too short for, as sacrebleu's ``sentence_bleu`` does.

    Statistics: ``score`` and 1, a row a sample. Of several references all serve, as in corpus BLEU. Without a match the
    score is 0, an empty text's too, as sacrebleu has it. No rows: NaN.

    Equals ``sacrebleu.sentence_bleu`` averaged. Chen & Cherry 2014, "A Systematic Comparison of Smoothing Techniques for
    Sentence-Level BLEU".

    >>> round(SentenceBleu().over(["the cat sat", "a dog"], ["the cat sat down", "the dog"]).value, 4)
    60.8266
    """

    effective_order: bool = True

    name: ClassVar[str] = "sentence_bleu"
    summary: ClassVar[str] = "mean of the BLEU of each sample by itself, as sacrebleu's sentence_bleu computes it"
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, 100.0)
    unit: ClassVar[str] = "points"
    columns: ClassVar[tuple[str, ...]] = ("score", "n")
    formula: ClassVar[str] = "mean over samples of 100·min(1, exp(1 - r/h))·exp(Σ log p_n / N)"
    reference: ClassVar[str] = "sacrebleu.sentence_bleu"
    paper: ClassVar[str] = "Chen and Cherry 2014, A Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU"
    _block_characters: ClassVar[int] = Bleu._block_characters

    def statistics(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        bleu = Bleu(self.max_order, self.tokenizer, self.smooth, self.smooth_value, self.lowercase, self.effective_order)
        scores = bleu.rows(bleu.statistics(predictions, references))
        return np.column_stack([scores, np.ones(len(scores))])


def sentence_bleu(predictions: Sequence[str], references: References, *, max_order: int = 4,
                  tokenize: TokenizerOrAuto = "auto", smooth: Smoothing = "exp", smooth_value: float | None = None,
                  lowercase: bool = False, effective_order: bool = True) -> float:
    """Mean sentence BLEU, 0–100; see :class:`SentenceBleu`. ``references[i]`` is item i's reference or the list of them.

    NaN for empty lists.

    >>> round(sentence_bleu(["the cat sat on the mat"], [["the cat sat on a mat", "a cat sat on the mat"]]), 4)
    95.5443
    """
    metric = SentenceBleu(max_order, tokenize, smooth, smooth_value, lowercase, effective_order)
    return metric.over(predictions, references).value
