"""ROUGE-N, ROUGE-L and ROUGE-Lsum, equal to rouge-score; ROUGE-S, ROUGE-SU and ROUGE-W by Lin's formulas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, get_args

import numpy as np

from harness.metrics.blocks import row_blocks
from harness.metrics.lcs import lcs_lengths, union_lcs_matches
from harness.metrics.ngrams import clipped_matches, ngram_totals
from harness.metrics.references import MeanOverReferences, Measured, References, first_best, pair_up
from harness.metrics.rougeskip import skip_bigrams, weighted_lcs
from harness.metrics.rougetokens import Alphabet, RougeTokens, rouge_tokens
from harness.metrics.stemming import Stems
from harness.metrics.wording import vanishing_letters, vanishing_warning
from harness.types import FloatArray, Sample

Kind = Literal["1", "2", "3", "4", "5", "6", "7", "8", "9", "L", "Lsum", "S", "SU", "W"]
Measure = Literal["f", "p", "r"]


@dataclass(frozen=True, repr=False)
class Rouge(MeanOverReferences):
    """Overlap with a reference in n-grams, skip-bigrams or the longest common subsequence. Range 0–1, higher is better.

    P = overlap / units of the prediction, R = overlap / those of the reference, F = 2 · P · R / (P + R). The value is the
    mean over samples of the chosen measure, as rouge-score's users report it.

    Parameters
    ----------
    type : ``1``–``9``: shared n-grams, each as often as in both; ``L``: longest common subsequence of the whole texts;
        ``Lsum``: for each line of the reference the union of its longest common subsequences with the lines of the
        prediction, no token counted more often than the prediction has it; ``S``: shared skip-bigrams, pairs of words in their
        order; ``SU``: skip-bigrams and words; ``W``: longest common subsequence in which a run of k consecutive matches is
        worth f(k) = k ^ weight, P = f⁻¹(overlap / f(words)) and R likewise.
    stemmer : compare nltk's Porter stems of words of more than three letters (English).
    measure : ``f``, ``p`` (precision) or ``r`` (recall).
    tokenize : ``ascii`` as rouge-score: lower case, everything but a–z and 0–9 separates, so that "über" becomes "ber";
        ``unicode``: letters, marks and numbers of every script make words. By default the task's language decides: ``ascii``
        for English and where there is no task. It warns where more than a fifth of the letters vanish.
    skip : for S and SU only: at most so many words between the two (0: bigrams; 4: Lin's ROUGE-S4); none: any number.
    weight : for W only, 1 is ROUGE-L.

    Statistics: ``precision``, ``recall``, ``f``, the counts they come from (``overlap``, ``hyp_total``, ``ref_total``) and
    1, a row a sample. Of several references the one with the best F counts for all three, the first of equals, as in
    rouge-score's ``score_multi``, also where ``measure`` is p or r. Where a side has nothing to count everything is 0, as
    there. No rows: NaN. S, SU and W take the whole text as one sentence.

    Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries". 1–9, L and Lsum equal rouge-score 0.1.2.

    >>> round(Rouge("L").over(["the cat sat on the mat"], ["a cat is on the mat"]).value, 4)
    0.6667
    """

    type: Kind = "L"
    stemmer: bool = False
    measure: Measure = "f"
    tokenize: Alphabet | None = None
    skip: int | None = None
    weight: float = 1.2
    vanishing: float = field(default=0.0, repr=False, compare=False)

    name: ClassVar[str] = "rouge"
    summary: ClassVar[str] = "overlap in n-grams (1–9), longest common subsequence (L, Lsum, W) or skip-bigrams (S, SU)"
    columns: ClassVar[tuple[str, ...]] = ("precision", "recall", "f", "overlap", "hyp_total", "ref_total", "n")
    aliases: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "rouge_1": {"type": "1"}, "rouge_2": {"type": "2"}, "rouge_3": {"type": "3"}, "rouge_4": {"type": "4"},
        "rouge_5": {"type": "5"}, "rouge_6": {"type": "6"}, "rouge_7": {"type": "7"}, "rouge_8": {"type": "8"},
        "rouge_9": {"type": "9"}, "rouge_l": {"type": "L"}, "rouge_lsum": {"type": "Lsum"}, "rouge_s": {"type": "S"},
        "rouge_su": {"type": "SU"}, "rouge_w": {"type": "W"},
    }
    formula: ClassVar[str] = "F = 2·P·R / (P + R), P = overlap / units of the prediction, R = overlap / units of the reference"
    reference: ClassVar[str] = "rouge-score 0.1.2 rouge_scorer.RougeScorer (1–9, L, Lsum); Lin's examples (S, SU, W)"
    paper: ClassVar[str] = "Lin 2004, ROUGE: A Package for Automatic Evaluation of Summaries"

    def __post_init__(self) -> None:
        object.__setattr__(self, "type", str(self.type))  # rouge(type=1) in Python means what it means in a spec
        self.require(self.type in get_args(Kind), "type", f"one of {', '.join(get_args(Kind))}")
        self.require(self.measure in get_args(Measure), "measure", f"one of {', '.join(get_args(Measure))}")
        self.require(self.tokenize in (None, *get_args(Alphabet)), "tokenize", f"one of {', '.join(get_args(Alphabet))}")
        self.require(self.skip is None or self.type in ("S", "SU"), "skip", f"none with type={self.type}")
        self.require(self.skip is None or self.skip >= 0, "skip", "none or an integer of at least 0")
        self.require(self.type == "W" or self.weight == 1.2, "weight", f"1.2, the default, with type={self.type}")
        self.require(1 <= self.weight < float("inf"), "weight", "at least 1 and finite")

    def for_language(self, language: str) -> Rouge:
        if self.tokenize is not None:
            return self
        return replace(self, tokenize="ascii" if language.lower().split("-")[0] == "en" else "unicode")

    def prepare(self, samples: Iterable[Sample]) -> Rouge:
        if self._alphabet != "ascii":
            return self
        return replace(self, vanishing=vanishing_letters(samples))

    def warnings(self) -> tuple[str, ...]:
        return vanishing_warning(self, self.vanishing)

    def signature(self) -> str:
        return super(Rouge, replace(self, tokenize=self._alphabet)).signature()

    @property
    def _alphabet(self) -> Alphabet:
        return self.tokenize or "ascii"

    @property
    def value_column(self) -> str:
        return {"p": "precision", "r": "recall", "f": "f"}[self.measure]

    def statistics(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        return _statistics([self], predictions, references)[0]

    def _in_blocks(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        return self.statistics(predictions, references)  # which makes blocks of its own: stems are kept from one to the next

    def _overlap(self, tokens: RougeTokens, ngrams: FloatArray, lengths: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Overlap of each pair, total of each text; from shared ``ngrams`` by order and ``lengths`` of common subsequences."""
        words = tokens.words
        if self.type.isdigit():
            return ngrams[:, int(self.type) - 1], ngram_totals(words.lengths, int(self.type))[:, -1]
        if self.type in ("S", "SU"):
            return skip_bigrams(words, self.skip, unigrams=self.type == "SU")
        if self.type == "W":
            return weighted_lcs(words, self.weight), np.power(words.lengths, self.weight, dtype=np.float64)
        if self.type == "Lsum" and tokens.lines is not None:
            lengths = union_lcs_matches(words, tokens.lines, lengths)
        return lengths, words.lengths.astype(np.float64)

    def _scored(self, overlap: FloatArray, totals: FloatArray) -> FloatArray:
        """``float64[n, 6]``: precision, recall, F, overlap, total of the prediction, total of the reference."""
        n = len(overlap)
        hyp, ref = totals[:n], totals[n:]
        precision, recall = overlap / np.maximum(hyp, 1.0), overlap / np.maximum(ref, 1.0)
        if self.type == "W":
            precision, recall = precision ** (1 / self.weight), recall ** (1 / self.weight)
        sums = precision + recall
        f = np.divide(2 * precision * recall, sums, out=np.zeros(n), where=sums > 0)
        return np.column_stack([precision, recall, f, overlap, hyp, ref])


def rouge(predictions: Sequence[str], references: References, *, type: Kind = "L", stemmer: bool = False,  # noqa: A002
          measure: Measure = "f", tokenize: Alphabet | None = None, skip: int | None = None, weight: float = 1.2) -> float:
    """Mean ROUGE of the predictions, 0–1; see :class:`Rouge`. ``references[i]`` is item i's reference or the list of them.

    NaN for empty lists.

    >>> rouge(["a small cat"], [["a cat", "one small cat"]], type="1", measure="r")
    1.0
    """
    return Rouge(type, stemmer, measure, tokenize, skip, weight).over(predictions, references).value


def rouge_scores(predictions: Sequence[str], references: References, types: Iterable[Kind] = ("1", "2", "L", "Lsum"), *,
                 stemmer: bool = False, measure: Measure = "f", tokenize: Alphabet | None = None) -> dict[Kind, Measured]:
    """Several types of ROUGE at once, by type: the texts are cut into words (and stemmed) once for all of them.

    Each is what :meth:`Rouge.over` gives. Raises MetricError as that does.

    >>> {kind: round(found.value, 2) for kind, found in rouge_scores(["a b c"], ["c a b"], ["1", "L"]).items()}
    {'1': 1.0, 'L': 0.67}
    """
    metrics = [Rouge(kind, stemmer, measure, tokenize) for kind in types]
    if not metrics:
        return {}
    several = metrics[0]._checked(predictions, references)
    every = np.ones((1, len(predictions)))
    return {metric.type: Measured(float(metric.aggregate(stats, every)[0]), metric.rows(stats), stats)
            for metric, stats in zip(metrics, _statistics(metrics, predictions, several))}


def _statistics(metrics: Sequence[Rouge], predictions: Sequence[str], references: Sequence[Sequence[str]]) -> list[FloatArray]:
    """The statistics of several metrics that compare the same words."""
    stems = Stems(longer_than=3) if metrics[0].stemmer else None
    order = max((int(metric.type) for metric in metrics if metric.type.isdigit()), default=0)
    lengths_matter = any(metric.type in ("L", "Lsum") for metric in metrics)
    parts = [[np.empty((0, len(Rouge.columns)))] for _ in metrics]
    for block in row_blocks(predictions, references):
        repeated, targets, starts = pair_up(predictions[block], references[block])
        n, tokens = len(targets), rouge_tokens([*repeated, *targets], metrics[0]._alphabet, stems)
        ngrams = clipped_matches(tokens.words, np.tile(np.arange(n), 2), n, order) if order else np.empty((n, 0))
        lengths = lcs_lengths(tokens.words) if lengths_matter else np.empty(0)
        for metric, part in zip(metrics, parts):
            pairs = metric._scored(*metric._overlap(tokens, ngrams, lengths))
            best = pairs[first_best(pairs[:, 2], starts)]
            part.append(np.column_stack([best, np.ones(len(best))]))
    return [np.concatenate(part) for part in parts]
