"""BLEU as NLTK defines it, with its smoothing methods 0 to 7."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.metrics.bleu import closest_lengths
from harness.metrics.mteval import NO_SPACES, TokenizedMetric, Tokenizer, TokenizerOrAuto, bleu_tokens
from harness.metrics.ngrams import clipped_matches, ngram_totals
from harness.metrics.references import ReferenceMetric, References, stacked
from harness.metrics.tokenize import selected
from harness.types import FloatArray

_EPSILON, _ALPHA, _K = 0.1, 5, 5
"""Of methods 1, 6 and 4, NLTK's defaults."""
_EXTRA_ORDER = 5
"""Methods 5 and 7 look at the 5-grams, whatever ``max_order`` is."""


@dataclass(frozen=True, repr=False)
class NltkBleu(TokenizedMetric, ReferenceMetric):
    """BLEU by NLTK's rules: min(1, exp(1 − r/h)) times the geometric mean of the smoothed precisions. Higher is better.

    Range 0–1, with ``smoothing`` 5 and 7, which lift precisions above 1, 0–4/3. It differs from ``bleu`` in its scale, its
    smoothing and in that every text has at least one n-gram of each order in the denominators.

    Parameters
    ----------
    smoothing : NLTK's ``SmoothingFunction`` method: 0 none (an order without a match counts as 2.2e-308, which leaves a tiny
        score), 1 adds 0.1 to matches of 0, 2 adds 1 to matches and n-grams from bigrams on, 3 NIST's halving, 4 halving by
        length (of a text of one word the empty orders are left out, which makes its score 1), 5 averages neighbouring orders,
        6 interpolates with a prior (undefined without a trigram match, where NLTK raises), 7 is 4 and then 5.
    max_order : N, the longest n-gram; the orders weigh 1/N each.
    tokenize : as for ``bleu``, but ``auto``: char for languages that write no spaces, else what white space separates.

    Statistics: ``match_n``, ``ngrams_n`` (of the prediction) and ``total_n`` (the same, at least 1) of each order, ``hyp_len``,
    ``ref_len`` and 1, a row a sample; the value is a function of their sums. No unigram match is 0. No rows: NaN.

    Of one segment every method equals NLTK's. Of a corpus methods 0–4 do; in 5, 6 and 7 NLTK's ``corpus_bleu`` takes the
    5-grams and the number of n-grams from the last segment alone, so that its value depends on the order of the segments:
    here they are summed like all the others.

    Chen & Cherry 2014, "A Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU". Equals nltk 3.10.

    >>> round(NltkBleu(smoothing=3).over(["the cat sat on the mat"], ["the cat sat on a mat"]).value, 4)
    0.5373
    """

    smoothing: int = 0
    max_order: int = 4
    tokenize: TokenizerOrAuto = "auto"

    name: ClassVar[str] = "nltk_bleu"
    summary: ClassVar[str] = "BLEU as nltk computes it, smoothing methods 0 to 7"
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    columns: ClassVar[tuple[str, ...]] = ()
    formula: ClassVar[str] = "min(1, exp(1 - r/h))·exp(Σ log p_n / N), p_n smoothed"
    reference: ClassVar[str] = "nltk.translate.bleu_score.corpus_bleu"
    paper: ClassVar[str] = "Chen and Cherry 2014, A Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU"
    _block_characters: ClassVar[int] = 2**18
    _auto: ClassVar[Tokenizer] = "none"
    _auto_of_language: ClassVar[Mapping[str, Tokenizer]] = NO_SPACES

    def __post_init__(self) -> None:
        self.require(self.smoothing in range(8), "smoothing", "an integer from 0 to 7")
        self.require(self.max_order >= 1, "max_order", "a positive integer")
        self.require(self.max_order >= 3 or self.smoothing != 6, "max_order", "at least 3 with smoothing=6")
        self.require_tokenizer()
        orders = range(1, counted_orders(self.smoothing, self.max_order) + 1)
        counts = [f"{what}_{n}" for what in ("match", "ngrams", "total") for n in orders]
        object.__setattr__(self, "columns", (*counts, "hyp_len", "ref_len", "n"))
        if self.smoothing in (5, 7):
            object.__setattr__(self, "bounds", (0.0, 4 / 3))

    def statistics(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        n, both = len(predictions), stacked(predictions, references)
        tokens = selected(bleu_tokens(both.texts, self.tokenizer), np.concatenate([np.arange(n), both.targets]))
        lengths, orders = tokens.lengths[:n], counted_orders(self.smoothing, self.max_order)
        closest = closest_lengths(lengths, tokens.lengths[n:], both)
        ngrams = ngram_totals(lengths, orders)
        matches = clipped_matches(tokens, both.rows, n, orders)
        return np.column_stack([matches, ngrams, np.maximum(ngrams, 1), lengths, closest, np.ones(n)])

    def finish(self, totals: FloatArray) -> FloatArray:
        orders = counted_orders(self.smoothing, self.max_order)
        matches, ngrams, at_least_one = (totals[..., i * orders:(i + 1) * orders] for i in range(3))
        counts = Counts(matches, ngrams, at_least_one, totals[..., -3], totals[..., -2])
        return np.where(totals[..., -1] > 0, smoothed_bleu(counts, self.smoothing, self.max_order), np.nan)


def nltk_bleu(predictions: Sequence[str], references: References, *, smoothing: int = 0, max_order: int = 4,
              tokenize: TokenizerOrAuto = "auto") -> float:
    """NLTK's BLEU of a corpus; see :class:`NltkBleu`. ``references[i]`` is item i's reference or the list of them.

    NaN for empty lists.

    >>> nltk_bleu(["the cat sat on the mat"], [["the cat sat on the mat", "a cat"]])
    1.0
    """
    return NltkBleu(smoothing, max_order, tokenize).over(predictions, references).value


# ── the score from counts ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Counts:
    """``float64[..., orders]``: matches, n-grams and n-grams with at least 1 a text; ``float64[...]``: lengths."""

    matches: FloatArray
    ngrams: FloatArray
    totals: FloatArray
    hyp_len: FloatArray
    ref_len: FloatArray


def counted_orders(smoothing: int, max_order: int) -> int:
    """How many orders the counts must have."""
    return max(max_order, _EXTRA_ORDER) if smoothing in (5, 7) else max_order


def smoothed_bleu(counts: Counts, smoothing: int, max_order: int) -> FloatArray:
    """``float64[...]``; NaN where method 6 is undefined. Counts of no text at all give 0."""
    matches, totals = counts.matches[..., :max_order], np.maximum(counts.totals, 1e-300)[..., :max_order]
    precisions = matches / totals
    if smoothing in (0, 1, 3, 4, 7):
        precisions = np.where(matches > 0, precisions, _instead_of_nothing(counts, smoothing, totals, matches == 0))
    if smoothing == 2:
        precisions = np.concatenate([precisions[..., :1], (matches[..., 1:] + 1) / (totals[..., 1:] + 1)], axis=-1)
    if smoothing in (5, 7):
        precisions = _averaged(precisions, counts)
    if smoothing == 6:
        precisions = _interpolated(precisions, counts)
    logs = np.log(precisions, out=np.zeros_like(precisions), where=~(precisions <= 0))  # nltk leaves zeros out
    score = _brevity_penalty(counts.hyp_len, counts.ref_len) * np.exp(logs.sum(axis=-1) / max_order)
    return np.where(matches[..., 0] > 0, score, 0.0)


def _instead_of_nothing(counts: Counts, smoothing: int, totals: FloatArray, empty: FloatArray) -> FloatArray:
    """The precision of an order without a match, by methods 0, 1, 3 and 4 (which is the first half of 7)."""
    if smoothing == 0:
        return np.full_like(totals, sys.float_info.min)
    if smoothing == 1:
        return _EPSILON / totals
    halved = 0.5 ** np.cumsum(empty, axis=-1) / totals
    if smoothing == 3:
        return halved
    return halved * np.log(np.maximum(counts.hyp_len, 1.0))[..., None] / _K


def _averaged(precisions: FloatArray, counts: Counts) -> FloatArray:
    """Method 5: the mean of an order's precision, the one above it and the smoothed one below it."""
    extra = counts.matches[..., _EXTRA_ORDER - 1] / np.maximum(counts.totals[..., _EXTRA_ORDER - 1], 1e-300)
    above = np.concatenate([precisions[..., 1:], extra[..., None]], axis=-1)
    smoothed = np.empty_like(precisions)
    below = precisions[..., 0] + 1
    for i in range(precisions.shape[-1]):
        below = smoothed[..., i] = (below + precisions[..., i] + above[..., i]) / 3
    return smoothed


def _interpolated(precisions: FloatArray, counts: Counts) -> FloatArray:
    """Method 6: from trigrams on, a mean with what the two orders below lead one to expect."""
    smoothed = precisions.copy()
    for i in range(2, precisions.shape[-1]):
        two_below = smoothed[..., i - 2]
        expected = np.divide(smoothed[..., i - 1] ** 2, two_below, out=np.zeros_like(two_below), where=two_below > 0)
        smoothed[..., i] = (counts.matches[..., i] + _ALPHA * expected) / (counts.ngrams[..., i] + _ALPHA)
    smoothed[..., 2] = np.where(precisions[..., 2] > 0, smoothed[..., 2], np.nan)
    return smoothed


def _brevity_penalty(hyp_len: FloatArray, ref_len: FloatArray) -> FloatArray:
    short = (hyp_len <= ref_len) & (hyp_len > 0)
    ratio = np.divide(ref_len, hyp_len, out=np.ones_like(hyp_len), where=short)
    return np.exp(1.0 - ratio)
