"""ROUGE-L as image captions are scored: pycocoevalcap's, with more weight on recall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.metrics.lcs import lcs_lengths
from harness.metrics.references import MeanOverReferences, References, pair_up
from harness.metrics.tokenize import Tokens
from harness.types import FloatArray


@dataclass(frozen=True, repr=False)
class CocoRougeL(MeanOverReferences):
    """F of the longest common subsequence, with the best precision and the best recall over references, each by itself.
    Range 0–1, higher is better. The value is the mean over samples.

    P = max over references of LCS / words of the prediction, R = max of LCS / words of the reference,
    F = (1 + β²) · P · R / (R + β² · P). ``rouge(type=L)`` differs: β = 1, the one best reference, rouge-score's words.

    Words are what single spaces separate, as they are (two spaces make an empty word, and so does an empty text), as in
    pycocoevalcap, whose users lower-case and strip punctuation before. No common word: 0. No rows: NaN.

    Statistics: ``f``, ``precision``, ``recall`` and 1, a row a sample. Lin 2004; equals pycocoevalcap 1.2 ``Rouge``.

    >>> round(CocoRougeL().over(["a cat sat"], [["the cat sat down", "a cat"]]).value, 4)
    0.8299
    """

    beta: float = 1.2

    name: ClassVar[str] = "coco_rouge_l"
    summary: ClassVar[str] = "ROUGE-L as pycocoevalcap and nlg-eval print it"
    columns: ClassVar[tuple[str, ...]] = ("f", "precision", "recall", "n")
    formula: ClassVar[str] = "(1 + β²)·P·R / (R + β²·P), of the longest common subsequence; P, R: best over references"
    reference: ClassVar[str] = "pycocoevalcap 1.2 rouge.Rouge"
    paper: ClassVar[str] = "Lin 2004, ROUGE: A Package for Automatic Evaluation of Summaries"

    def __post_init__(self) -> None:
        self.require(0 <= self.beta < float("inf"), "beta", "at least 0 and finite")

    def statistics(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        repeated, targets, starts = pair_up(predictions, references)
        n = len(targets)
        if n == 0:
            return np.empty((0, len(self.columns)))
        words = [text.split(" ") for text in (*repeated, *targets)]
        numbers: dict[str, int] = {}
        ids = np.array([numbers.setdefault(word, len(numbers)) for text in words for word in text], dtype=np.int64)
        lengths = np.array(list(map(len, words)), dtype=np.int64)
        common = lcs_lengths(Tokens(ids, lengths))
        precision, recall = (np.maximum.reduceat(common / size, starts) for size in (lengths[:n], lengths[n:]))
        weighted = recall + self.beta ** 2 * precision
        f = np.divide((1 + self.beta ** 2) * precision * recall, weighted, out=np.zeros_like(weighted), where=weighted > 0)
        return np.column_stack([f, precision, recall, np.ones(len(f))])


def coco_rouge_l(predictions: Sequence[str], references: References, *, beta: float = 1.2) -> float:
    """Mean ROUGE-L as pycocoevalcap computes it, 0–1; see :class:`CocoRougeL`. ``references[i]`` is item i's reference or list.

    NaN for empty lists.

    >>> coco_rouge_l(["a cat"], ["a cat"])
    1.0
    """
    return CocoRougeL(beta).over(predictions, references).value
