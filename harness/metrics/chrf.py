"""chrF and chrF++, equal to sacrebleu."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.metrics.ngrams import clipped_matches, ngram_totals
from harness.metrics.references import ReferenceMetric, References, first_best, stacked
from harness.metrics.tokenize import (
    PUNCTUATION,
    Tokens,
    byte_classes,
    characters,
    class_table,
    cut,
    one_a_line,
    selected,
)
from harness.types import FloatArray

_EPSILON = 1e-16


@dataclass(frozen=True, repr=False)
class Chrf(ReferenceMetric):
    """F-score of character n-grams (chrF), with word n-grams (chrF++) if asked for. Range 0–100, higher is better.

    chrF = 100 · (1 + β²) · P · R / (β² · P + R), with P and R the means over the n-gram orders of matches over the n-grams
    of the predictions and of the references, summed over the corpus. Orders without n-grams on either side are left out
    ("effective order"); with ``eps_smoothing`` the F-scores of all orders are averaged instead, as chrF++.py does.

    Parameters
    ----------
    char_order : longest character n-gram. word_order : longest word n-gram; 0 is chrF, 2 is chrF++ (``chrf_pp``).
    beta : how many times recall weighs more than precision.
    lowercase : compare without regard to case. whitespace : character n-grams may contain white space.
    eps_smoothing : see above.

    Statistics: ``hyp``, ``ref`` and ``match`` of each order (``char_1_hyp``, …, ``word_2_match``) and 1, a row a sample.
    Of several references the one with the best score for that sample counts, the first of equals. A sample's n-grams of an
    order that its reference has none of are not counted. Nothing in common is 0, an empty text too, as sacrebleu has it. No
    rows: NaN. A missing sample has no worst row: an answer may be of any length.

    Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation"; Popović 2017, "chrF++: words helping
    character n-grams". Equals sacrebleu's ``chrF2`` and ``chrF2++``.

    >>> round(Chrf().over(["the cat sat"], ["the cat sits"]).value, 4)
    61.0345
    """

    char_order: int = 6
    word_order: int = 0
    beta: float = 2
    lowercase: bool = False
    whitespace: bool = False
    eps_smoothing: bool = False

    name: ClassVar[str] = "chrf"
    summary: ClassVar[str] = "F-score of character n-grams (chrF, chrF++) as sacrebleu computes it"
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, 100.0)
    unit: ClassVar[str] = "points"
    columns: ClassVar[tuple[str, ...]] = ()
    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {"chrf_pp": {"word_order": 2}}
    formula: ClassVar[str] = "100·(1 + β²)·P·R / (β²·P + R), P and R means over the n-gram orders"
    reference: ClassVar[str] = "sacrebleu.corpus_chrf"
    paper: ClassVar[str] = "Popović 2015, chrF: character n-gram F-score for automatic MT evaluation; 2017, chrF++"
    _block_characters: ClassVar[int] = 2**16

    def __post_init__(self) -> None:
        self.require(self.char_order >= 1, "char_order", "a positive integer")
        self.require(self.word_order >= 0, "word_order", "an integer of at least 0")
        self.require(0 < self.beta < float("inf"), "beta", "a positive number")
        orders = [*(f"char_{n + 1}" for n in range(self.char_order)), *(f"word_{n + 1}" for n in range(self.word_order))]
        columns = (*(f"{order}_{side}" for order in orders for side in ("hyp", "ref", "match")), "n")
        object.__setattr__(self, "columns", columns)

    def statistics(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        both = stacked(predictions, references)
        texts = [text.lower() for text in both.texts] if self.lowercase else both.texts
        paired = np.concatenate([np.repeat(np.arange(len(predictions)), both.several), both.targets])
        counts = [_pair_counts(selected(characters(texts, whitespace=self.whitespace), paired), self.char_order)]
        if self.word_order:
            counts.append(_pair_counts(selected(_words(texts), paired), self.word_order))
        pairs = np.concatenate(counts, axis=1)
        best = first_best(self._f_score(pairs), both.starts)
        return np.column_stack([pairs[best].reshape(len(best), -1), np.ones(len(best))])

    def finish(self, totals: FloatArray) -> FloatArray:
        counts = totals[..., :-1].reshape(*totals.shape[:-1], self.char_order + self.word_order, 3)
        score = np.minimum(self._f_score(counts), 100.0)  # rounding may end just above
        return np.where(totals[..., -1] > 0, score, np.nan)

    def _f_score(self, counts: FloatArray) -> FloatArray:
        """``float64[..., orders, 3]`` (hyp, ref, match) -> ``float64[...]``."""
        hyp, ref, match = counts[..., 0], counts[..., 1], counts[..., 2]
        precision, recall = _ratio(match, hyp), _ratio(match, ref)
        if self.eps_smoothing:
            f_scores = self._f_beta(np.where(hyp > 0, precision, _EPSILON), np.where(ref > 0, recall, _EPSILON), _EPSILON)
            mean: FloatArray = 100.0 * _sum_of_orders(f_scores) / counts.shape[-2]
            return mean
        effective = (hyp > 0) & (ref > 0)
        n = np.maximum(effective.sum(axis=-1), 1)
        return 100.0 * self._f_beta(_sum_of_orders(precision * effective) / n, _sum_of_orders(recall * effective) / n, 0.0)

    def _f_beta(self, precision: FloatArray, recall: FloatArray, undefined: float) -> FloatArray:
        factor = float(self.beta) ** 2
        below = factor * precision + recall
        above = (1 + factor) * precision * recall
        score: FloatArray = np.divide(above, below, out=np.full_like(below, undefined), where=below > 0)
        return score


def chrf(predictions: Sequence[str], references: References, *, char_order: int = 6, word_order: int = 0, beta: float = 2,
         lowercase: bool = False, whitespace: bool = False, eps_smoothing: bool = False) -> float:
    """chrF (``word_order=2``: chrF++) of a corpus, 0–100; see :class:`Chrf`. NaN for empty lists.

    >>> round(chrf(["the cat sat"], [["the cat sits", "a cat sat"]], word_order=2), 4)
    65.3158
    """
    metric = Chrf(char_order, word_order, beta, lowercase, whitespace, eps_smoothing)
    return metric.over(predictions, references).value


def _pair_counts(tokens: Tokens, max_order: int) -> FloatArray:
    """``float64[pairs, max_order, 3]``: n-grams of the prediction, of the reference, of both."""
    n = len(tokens.lengths) // 2
    rows = np.concatenate([np.arange(n), np.arange(n)])
    totals = ngram_totals(tokens.lengths, max_order)
    hyp, ref = totals[:n], totals[n:]
    return np.stack([np.where(ref > 0, hyp, 0.0), ref, clipped_matches(tokens, rows, n, max_order)], axis=-1)


_MARK = 2
_CLASSES = class_table({_MARK: PUNCTUATION})


def _words(texts: Sequence[str]) -> Tokens:
    """Words between white space, one ASCII punctuation mark split off at the end or, if there is none, at the beginning."""
    units, classes = byte_classes(one_a_line(texts), _CLASSES)
    inside = classes > 0
    edges = np.flatnonzero(inside[1:] != inside[:-1])  # a text in lines begins and ends outside
    first, last = edges[::2] + 1, edges[1::2]
    at_end = (last > first) & ((classes[last] & _MARK) > 0)
    at_beginning = (last > first) & ~at_end & ((classes[first] & _MARK) > 0)
    starts = np.zeros(len(units), dtype=bool)
    starts[first] = True
    starts[last[at_end]] = True
    starts[first[at_beginning] + 1] = True
    return cut(units, starts, inside)


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)


def _sum_of_orders(values: FloatArray) -> FloatArray:
    """Added up from the first order to the last: the same rounding for one row as for many, so that ties stay ties."""
    total: FloatArray = np.add.accumulate(values, axis=-1)[..., -1]
    return total
