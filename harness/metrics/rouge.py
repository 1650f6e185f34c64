"""ROUGE-N, ROUGE-L and ROUGE-Lsum, equal to rouge-score."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from harness.metrics.ngrams import clipped_matches, ngram_totals
from harness.metrics.references import MeanOverReferences, References, first_best, pair_up
from harness.metrics.tokenize import IntArray, Tokens, word_runs
from harness.types import FloatArray, Sample

Kind = Literal["1", "2", "3", "4", "5", "6", "7", "8", "9", "L", "Lsum"]
Measure = Literal["f", "p", "r"]
Alphabet = Literal["ascii", "unicode"]

_Sentence: TypeAlias = Sequence[int]

_LOOKED_AT = 1000
"""Samples that are looked at for letters that vanish."""
_TOO_MANY = 0.2


@dataclass(frozen=True, repr=False)
class Rouge(MeanOverReferences):
    """Overlap with a reference in n-grams or in the longest common subsequence. Range 0–1, higher is better.

    P = overlap / tokens or n-grams of the prediction, R = overlap / those of the reference, F = 2 · P · R / (P + R). The
    value is the mean over samples of the chosen measure, as rouge-score's users report it.

    Parameters
    ----------
    type : ``1``–``9``: shared n-grams, each as often as in both; ``L``: longest common subsequence of the whole texts;
        ``Lsum``: for each line of the reference the union of its longest common subsequences with the lines of the
        prediction, no token counted more often than the prediction has it.
    stemmer : compare nltk's Porter stems of words of more than three letters (English).
    measure : ``f``, ``p`` (precision) or ``r`` (recall).
    tokenize : ``ascii`` as rouge-score: lower case, everything but a–z and 0–9 separates, so that "über" becomes "ber";
        ``unicode``: letters, marks and numbers of every script make words. By default the task's language decides: ``ascii``
        for English and where there is no task. It warns where more than a fifth of the letters vanish.

    Statistics: ``precision``, ``recall``, ``f``, the counts they come from (``overlap``, ``hyp_total``, ``ref_total``) and
    1, a row a sample. Of several references the one with the best F counts for all three, the first of equals, as in
    rouge-score's ``score_multi``, also where ``measure`` is p or r. Where a side has no n-grams everything is 0, as there.
    No rows: NaN.

    Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries". Equals rouge-score 0.1.2.

    >>> round(Rouge("L").over(["the cat sat on the mat"], ["a cat is on the mat"]).value, 4)
    0.6667
    """

    type: Kind = "L"
    stemmer: bool = False
    measure: Measure = "f"
    tokenize: Alphabet | None = None
    vanishing: float = field(default=0.0, repr=False, compare=False)

    name: ClassVar[str] = "rouge"
    summary: ClassVar[str] = "overlap in n-grams (1–9) or longest common subsequence (L, Lsum) as rouge-score computes it"
    columns: ClassVar[tuple[str, ...]] = ("precision", "recall", "f", "overlap", "hyp_total", "ref_total", "n")
    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "rouge_1": {"type": "1"}, "rouge_2": {"type": "2"}, "rouge_l": {"type": "L"}, "rouge_lsum": {"type": "Lsum"},
    }

    def __post_init__(self) -> None:
        object.__setattr__(self, "type", str(self.type))  # rouge(type=1) in Python means what it means in a spec
        self.require(self.type in get_args(Kind), "type", f"one of {', '.join(get_args(Kind))}")
        self.require(self.measure in get_args(Measure), "measure", f"one of {', '.join(get_args(Measure))}")
        self.require(self.tokenize in (None, *get_args(Alphabet)), "tokenize", f"one of {', '.join(get_args(Alphabet))}")

    def for_language(self, language: str) -> Rouge:
        if self.tokenize is not None:
            return self
        return replace(self, tokenize="ascii" if language.lower().split("-")[0] == "en" else "unicode")

    def prepare(self, samples: Iterable[Sample]) -> Rouge:
        if self._alphabet != "ascii":
            return self
        texts = [text for sample in itertools.islice(samples, _LOOKED_AT) for text in sample.references]
        letters = [letter for text in texts for letter in text if letter.isalpha()]
        lost = sum(not letter.isascii() for letter in letters)
        return replace(self, vanishing=lost / len(letters) if letters else 0.0)

    def warnings(self) -> tuple[str, ...]:
        if self.vanishing <= _TOO_MANY:
            return ()
        what = f"tokenize=ascii, rouge-score's own, deletes {self.vanishing:.0%} of the letters of the references"
        return (f"{self.spec}: {what}; set the task's language, or tokenize=unicode",)

    def signature(self) -> str:
        return super(Rouge, replace(self, tokenize=self._alphabet)).signature()

    @property
    def _alphabet(self) -> Alphabet:
        return self.tokenize or "ascii"

    @property
    def value_column(self) -> str:
        return {"p": "precision", "r": "recall", "f": "f"}[self.measure]

    def statistics(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        repeated, targets, starts = pair_up(predictions, references)
        pairs = self._pairs(repeated, targets)
        best = pairs[first_best(pairs[:, 2], starts)]
        return np.column_stack([best, np.ones(len(best))])

    def _pairs(self, predictions: Sequence[str], targets: Sequence[str]) -> FloatArray:
        """``float64[n, 6]``: precision, recall, F, overlap, total of the prediction, total of the reference."""
        n = len(predictions)
        if self.type == "Lsum":
            overlap, totals = self._lines_overlap([*predictions, *targets])
        else:
            tokens = word_runs([*predictions, *targets], alphabet=self._alphabet, stemmer=self.stemmer)
            overlap, totals = _lcs_overlap(tokens) if self.type == "L" else _ngram_overlap(tokens, int(self.type))
        hyp, ref = totals[:n], totals[n:]
        precision, recall = overlap / np.maximum(hyp, 1.0), overlap / np.maximum(ref, 1.0)
        sums = precision + recall
        f = np.divide(2 * precision * recall, sums, out=np.zeros(n), where=sums > 0)
        return np.column_stack([precision, recall, f, overlap, hyp, ref])

    def _lines_overlap(self, texts: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Union of longest common subsequences of each pair; tokens of each text. Predictions come first in ``texts``."""
        lines = [[line for line in text.split("\n") if line] for text in texts]
        tokens = word_runs([line for text in lines for line in text], alphabet=self._alphabet, stemmer=self.stemmer)
        n_lines = np.array([len(text) for text in lines], dtype=np.int64)
        whole = _joined(tokens, n_lines)
        overlap, totals = _lcs_overlap(whole)  # of one line with one line, the union is the one that there is
        n = len(texts) // 2
        several = np.flatnonzero(np.maximum(n_lines[:n], n_lines[n:]) > 1).tolist()
        documents = _nested(tokens, n_lines) if several else []
        for row in several:
            overlap[row] = _union_overlap(documents[n + row], documents[row])
        return overlap, totals


def rouge(predictions: Sequence[str], references: References, *, type: Kind = "L", stemmer: bool = False,  # noqa: A002
          measure: Measure = "f", tokenize: Alphabet | None = None) -> float:
    """Mean ROUGE of the predictions, 0–1; see :class:`Rouge`. ``references[i]`` is item i's reference or the list of them.

    NaN for empty lists.

    >>> rouge(["a small cat"], [["a cat", "one small cat"]], type="1", measure="r")
    1.0
    """
    return Rouge(type, stemmer, measure, tokenize).over(predictions, references).value


def _ngram_overlap(tokens: Tokens, order: int) -> tuple[FloatArray, FloatArray]:
    n = len(tokens.lengths) // 2
    rows = np.concatenate([np.arange(n), np.arange(n)])
    return clipped_matches(tokens, rows, n, order)[:, -1], ngram_totals(tokens.lengths, order)[:, -1]


def _lcs_overlap(tokens: Tokens) -> tuple[FloatArray, FloatArray]:
    from rapidfuzz.distance import LCSseq
    from rapidfuzz.process import cpdist

    texts = _as_sequences(tokens)
    n = len(texts) // 2
    lengths: NDArray[Any] = cpdist(texts[:n], texts[n:], scorer=LCSseq.similarity, dtype=np.int64)
    return lengths.astype(np.float64), tokens.lengths.astype(np.float64)


def _as_sequences(tokens: Tokens) -> list[Any]:
    """Each segment as a string with one character a token, which rapidfuzz compares fastest (lists beyond Unicode's range)."""
    ends = np.cumsum(tokens.lengths)
    bounds = zip((ends - tokens.lengths).tolist(), ends.tolist())
    if tokens.ids.max(initial=0) > 0x10FFFF:
        return [tokens.ids[start:end].tolist() for start, end in bounds]
    letters = tokens.ids.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
    return [letters[start:end] for start, end in bounds]


# ── ROUGE-Lsum ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _joined(tokens: Tokens, n_lines: IntArray) -> Tokens:
    """One segment a text, out of one segment a line."""
    before = np.append(0, np.cumsum(tokens.lengths))
    last = np.cumsum(n_lines)
    return Tokens(tokens.ids, before[last] - before[last - n_lines])


def _nested(tokens: Tokens, n_lines: IntArray) -> list[list[_Sentence]]:
    """Texts of lines of ids, as lists."""
    ids, ends, lengths = tokens.ids.tolist(), np.cumsum(tokens.lengths).tolist(), tokens.lengths.tolist()
    sentences: list[_Sentence] = [ids[end - length:end] for end, length in zip(ends, lengths)]
    last = np.cumsum(n_lines)
    return [sentences[start:end] for start, end in zip((last - n_lines).tolist(), last.tolist())]


def _union_overlap(reference: Sequence[_Sentence], prediction: Sequence[_Sentence]) -> int:
    """Tokens of the reference in the union of its sentences' common subsequences with the prediction's sentences."""
    left = Counter(token for sentence in prediction for token in sentence)
    hits = 0
    for sentence in reference:
        for position in _bits(_union_of_lcs(sentence, prediction)):
            token = sentence[position]
            if left[token] > 0:
                left[token] -= 1
                hits += 1
    return hits


def _union_of_lcs(sentence: _Sentence, prediction: Sequence[_Sentence]) -> int:
    """Which positions of the sentence are in its longest common subsequence with any sentence of the prediction, as bits."""
    where: dict[int, int] = {}
    for position, token in enumerate(sentence):
        where[token] = where.get(token, 0) | 1 << position
    union = 0
    for other in prediction:
        union |= _one_lcs([where.get(token, 0) for token in other], len(sentence))
    return union


def _one_lcs(matches: Sequence[int], length: int) -> int:
    """Positions (bits) of the longest common subsequence that rouge-score reads out of its table; there may be others.

    ``matches[j]`` has the bits of the positions that equal token j of the other sentence. With L[i][j] the table, bit i - 1 of
    ``rises[j - 1]`` says that L[i][j] > L[i-1][j] (bit-parallel, Hyyrö 2004). From (i, j) rouge-score steps to (i-1, j-1) on
    a match, to (i, j-1) if L[i][j-1] > L[i-1][j], which without a match is the same as a rise, and else to (i-1, j): hence
    for each j only the highest position with a match or a rise matters.
    """
    full = (1 << length) - 1
    level, rises = full, []
    for match in matches:
        common = level & match
        level = ((level + common) | (level - common)) & full
        rises.append(full & ~level)
    chosen, below = 0, full
    for match, rise in zip(reversed(matches), reversed(rises)):
        top = ((match | rise) & below).bit_length()
        if top == 0:
            break
        below = (1 << top) - 1
        if match >> (top - 1) & 1:
            chosen |= 1 << (top - 1)
            below >>= 1
    return chosen


def _bits(mask: int) -> list[int]:
    """The positions of the ones, lowest first."""
    positions = []
    while mask:
        lowest = mask & -mask
        positions.append(lowest.bit_length() - 1)
        mask ^= lowest
    return positions
