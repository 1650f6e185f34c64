"""Corpus BLEU, equal to sacrebleu."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from harness.metrics.mteval import TokenizedMetric, TokenizerOrAuto, bleu_tokens
from harness.metrics.ngrams import clipped_matches, ngram_totals
from harness.metrics.references import ReferenceMetric, References, Stacked, stacked
from harness.metrics.tokenize import IntArray, selected
from harness.types import FloatArray

Smoothing = Literal["exp", "floor", "add-k", "none"]

_SMOOTH_DEFAULTS: Mapping[str, float] = {"floor": 0.1, "add-k": 1.0}


@dataclass(frozen=True, repr=False)
class BleuParameters(TokenizedMetric):
    """The parameters that BLEU of a corpus and of single sentences have in common; see :class:`Bleu`."""

    max_order: int = 4
    tokenize: TokenizerOrAuto = "auto"
    smooth: Smoothing = "exp"
    smooth_value: float | None = None
    lowercase: bool = False

    def __post_init__(self) -> None:
        self.require(self.max_order >= 1, "max_order", "a positive integer")
        self.require_tokenizer()
        self.require(self.smooth in get_args(Smoothing), "smooth", f"one of {', '.join(get_args(Smoothing))}")
        if self.smooth_value is not None:
            self.require(self.smooth in _SMOOTH_DEFAULTS, "smooth_value", f"none with smooth={self.smooth}")
            self.require(self.smooth != "floor" or 0 < self.smooth_value <= 1, "smooth_value", "above 0 and at most 1")
            self.require(0 <= self.smooth_value < float("inf"), "smooth_value", "at least 0 and finite")


@dataclass(frozen=True, repr=False)
class Bleu(BleuParameters, ReferenceMetric):
    """Corpus BLEU: brevity penalty times the geometric mean of the n-gram precisions. Range 0–100, higher is better.

    BLEU = 100 · min(1, exp(1 − r/h)) · exp(Σ_n log p_n / N), where p_n are the n-grams of all predictions that occur in
    their references (clipped at the reference that has most of them) over all n-grams of the predictions, h the length of
    all predictions and r the sum of the reference lengths closest to each prediction's (the shorter one if two are).

    Parameters
    ----------
    max_order : N, the longest n-gram.
    tokenize : ``13a`` (mteval-v13a, WMT's), ``intl`` (mteval-v14), ``zh`` (Chinese), ``char``, ``none`` (white space);
        ``auto``: by the task's language zh for Chinese, char for Japanese (whose tokeniser in sacrebleu needs MeCab), else 13a.
    smooth : for orders without a match: ``exp`` (NIST: halve from order to order), ``floor`` (count ``smooth_value``),
        ``add-k`` (add ``smooth_value`` to matches and totals from the second order on), ``none``. Chen & Cherry 2014.
    smooth_value : for ``floor`` (default 0.1) and ``add-k`` (default 1) only.
    lowercase : compare without regard to case.
    effective_order : leave out the orders that the predictions are too short for; meant for single sentences.

    Statistics: ``match_1..N``, ``total_1..N``, ``hyp_len``, ``ref_len`` and 1, a row a sample; the value is a function of
    their sums, and sums over replicates need no text. Without any match the value is 0, as sacrebleu has it. No rows: NaN.
    A missing sample has no worst or best row: an answer may be of any length, and the brevity penalty joins all samples.

    Papineni et al. 2002, "BLEU: a Method for Automatic Evaluation of Machine Translation"; Post 2018, "A Call for Clarity
    in Reporting BLEU Scores" (sacrebleu, which this equals).

    >>> round(Bleu().over(["the cat sat on the mat"], ["the cat sat on a mat"]).value, 4)
    53.7285
    """

    effective_order: bool = False

    name: ClassVar[str] = "bleu"
    summary: ClassVar[str] = "corpus BLEU as sacrebleu computes it"
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, 100.0)
    unit: ClassVar[str] = "points"
    columns: ClassVar[tuple[str, ...]] = ()
    formula: ClassVar[str] = "100·min(1, exp(1 - r/h))·exp(Σ log p_n / N)"
    reference: ClassVar[str] = "sacrebleu.corpus_bleu"
    paper: ClassVar[str] = "Papineni et al. 2002, BLEU: a Method for Automatic Evaluation of Machine Translation"
    _block_characters: ClassVar[int] = 2**18

    def __post_init__(self) -> None:
        super().__post_init__()
        orders = range(1, self.max_order + 1)
        columns = (*(f"match_{n}" for n in orders), *(f"total_{n}" for n in orders), "hyp_len", "ref_len", "n")
        object.__setattr__(self, "columns", columns)

    def statistics(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        n, both = len(predictions), stacked(predictions, references)
        texts = [text.lower() for text in both.texts] if self.lowercase else both.texts
        tokens = selected(bleu_tokens(texts, self.tokenizer), np.concatenate([np.arange(n), both.targets]))
        lengths = tokens.lengths[:n]
        closest = closest_lengths(lengths, tokens.lengths[n:], both)
        matches = clipped_matches(tokens, both.rows, n, self.max_order)
        return np.column_stack([matches, ngram_totals(lengths, self.max_order), lengths, closest, np.ones(n)])

    def finish(self, totals: FloatArray) -> FloatArray:
        order = self.max_order
        matches, counts = self._with_added(totals[..., :order], totals[..., order:2 * order])
        usable = np.logical_and.accumulate(counts > 0, axis=-1)
        precisions = self._precisions(matches, counts, usable)
        mean = _geometric_mean(precisions, usable if self.effective_order else np.ones_like(usable))
        score = _brevity_penalty(totals[..., -3], totals[..., -2]) * mean
        score = np.where(totals[..., :order].any(axis=-1), np.minimum(score, 100.0), 0.0)  # rounding may end just above 100
        return np.where(totals[..., -1] > 0, score, np.nan)

    def _with_added(self, matches: FloatArray, totals: FloatArray) -> tuple[FloatArray, FloatArray]:
        if self.smooth != "add-k":
            return matches, totals
        added = np.append(0.0, np.full(self.max_order - 1, self._smooth_value))
        return matches + added, totals + added

    def _precisions(self, matches: FloatArray, totals: FloatArray, usable: NDArray[np.bool_]) -> FloatArray:
        """Smoothed precisions in percent; 0 for an order that has no n-grams, and for those after it."""
        empty = usable & (matches == 0)
        if self.smooth == "exp":
            matches = np.where(empty, 0.5 ** np.cumsum(empty, axis=-1), matches)
        elif self.smooth == "floor":
            matches = np.where(empty, self._smooth_value, matches)
        return np.divide(100.0 * matches, totals, out=np.zeros_like(totals), where=usable)

    @property
    def _smooth_value(self) -> float:
        return _SMOOTH_DEFAULTS[self.smooth] if self.smooth_value is None else self.smooth_value


def bleu(predictions: Sequence[str], references: References, *, max_order: int = 4, tokenize: TokenizerOrAuto = "auto",
         smooth: Smoothing = "exp", smooth_value: float | None = None, lowercase: bool = False,
         effective_order: bool = False) -> float:
    """Corpus BLEU, 0–100; see :class:`Bleu`. ``references[i]`` is item i's reference or the list of them.

    NaN for empty lists. sacrebleu takes the references the other way round: a list a reference set.

    >>> round(bleu(["the cat sat on the mat"], [["the cat sat on a mat", "a cat sat on the mat"]]), 4)
    95.5443
    """
    metric = Bleu(max_order, tokenize, smooth, smooth_value, lowercase, effective_order)
    return metric.over(predictions, references).value


def closest_lengths(lengths: IntArray, reference_lengths: IntArray, both: Stacked) -> IntArray:
    """For each prediction the reference length that is closest to its own, the shorter one of two equally close."""
    if len(reference_lengths) == len(lengths):
        return reference_lengths
    rows = both.rows[len(lengths):]
    order = np.lexsort((reference_lengths, np.abs(reference_lengths - lengths[rows]), rows))
    return reference_lengths[order][both.starts]


def _brevity_penalty(hypothesis_length: FloatArray, reference_length: FloatArray) -> FloatArray:
    short = hypothesis_length < reference_length
    ratio = np.divide(reference_length, hypothesis_length, out=np.full_like(hypothesis_length, np.inf),
                      where=short & (hypothesis_length > 0))
    return np.where(short, np.exp(1.0 - ratio), 1.0)


def _geometric_mean(percentages: FloatArray, used: NDArray[np.bool_]) -> FloatArray:
    """Geometric mean of the orders that are used; 0 if one of them is 0 or none is used."""
    positive = percentages > 0
    logs = np.log(percentages, out=np.zeros_like(percentages), where=positive)
    n = used.sum(axis=-1)
    mean = np.divide((logs * used).sum(axis=-1), n, out=np.zeros(n.shape), where=n > 0)
    return np.where((positive | ~used).all(axis=-1) & (n > 0), np.exp(mean), 0.0)
