"""Edit distances: mean distance, similarity, word and character error rate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from harness.metrics.references import References
from harness.metrics.rows import Row, ratio
from harness.metrics.text import Normalization, normal_form
from harness.metrics.textrows import TextRows
from harness.metrics.wording import Scheme, WordMetric, words
from harness.types import FloatArray, Sample, Table

Level = Literal["char", "word"]


@dataclass(frozen=True, repr=False)
class _Distances(TextRows):
    """Base: normalised texts as sequences of characters, or of what white space separates."""

    level: Level = "char"
    normalize: Normalization = "none"

    def __post_init__(self) -> None:
        self.require(self.level in get_args(Level), "level", f"one of {', '.join(get_args(Level))}")
        self.require(self.normalize in get_args(Normalization), "normalize", f"one of {', '.join(get_args(Normalization))}")

    def _best(self, texts: Sequence[str], others: Sequence[Sequence[str]], scorer: Any, best: Any) -> Iterable[Row]:
        """The lowest or highest value over the others of each text."""
        form = normal_form(self.normalize)
        cut: Callable[[str], Sequence[str]] = str if self.level == "char" else str.split
        for text, item in zip(texts, others):
            mine = cut(form(text))
            yield float(best(scorer(mine, cut(form(other))) for other in item)), 1.0


@dataclass(frozen=True, repr=False)
class LevenshteinDistance(_Distances):
    """Mean Levenshtein distance to the nearest reference. Range 0–∞, lower is better.

    The fewest insertions, deletions and substitutions that turn one into the other.

    Parameters
    ----------
    level : ``char``: of characters (code points); ``word``: of what white space separates.
    normalize : as for ``exact_match``; by default none.

    Statistics: ``distance`` and 1, a row a sample. Empty texts are at distance 0 of each other. No rows: NaN. A missing sample
    has no worst row: an answer may be of any length.

    Levenshtein 1966, "Binary codes capable of correcting deletions, insertions and reversals". Equals rapidfuzz's
    ``Levenshtein.distance``.

    >>> LevenshteinDistance().over(["kitten", "ab"], [["sitting"], ["cd", "abc"]]).value
    2.0
    """

    name: ClassVar[str] = "levenshtein"
    summary: ClassVar[str] = "mean Levenshtein distance to the nearest reference"
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    columns: ClassVar[tuple[str, ...]] = ("distance", "n")
    formula: ClassVar[str] = "mean of min over references of insertions + deletions + substitutions"
    reference: ClassVar[str] = "rapidfuzz.distance.Levenshtein.distance"
    paper: ClassVar[str] = "Levenshtein 1966, Binary codes capable of correcting deletions, insertions and reversals"

    def compare(self, texts: Sequence[str], others: Sequence[Sequence[str]]) -> Iterable[Row]:
        from rapidfuzz.distance import Levenshtein

        return self._best(texts, others, Levenshtein.distance, min)


@dataclass(frozen=True, repr=False)
class EditSimilarity(_Distances):
    """Mean of 1 - Levenshtein distance / length of the longer text, the most similar reference counting. 0–1, higher is better.

    Parameters
    ----------
    level, normalize : as for ``levenshtein``.

    Statistics: ``similarity`` and 1, a row a sample. Two empty texts are 1, as in rapidfuzz. No rows: NaN.

    Equals rapidfuzz's ``Levenshtein.normalized_similarity``.

    >>> EditSimilarity().over(["abcd"], [["abxd", "zzzz"]]).value
    0.75
    """

    name: ClassVar[str] = "edit_similarity"
    summary: ClassVar[str] = "1 - Levenshtein distance / longer length, to the most similar reference"
    columns: ClassVar[tuple[str, ...]] = ("similarity", "n")
    formula: ClassVar[str] = "mean of max over references of 1 - distance / max(length, reference length)"
    reference: ClassVar[str] = "rapidfuzz.distance.Levenshtein.normalized_similarity"
    paper: ClassVar[str] = "Levenshtein 1966, Binary codes capable of correcting deletions, insertions and reversals"

    def compare(self, texts: Sequence[str], others: Sequence[Sequence[str]]) -> Iterable[Row]:
        from rapidfuzz.distance import Levenshtein

        return self._best(texts, others, Levenshtein.normalized_similarity, max)


# ── error rates ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, repr=False)
class _ErrorRate(TextRows):
    """Base: edits over the corpus per unit of the references."""

    normalize: Normalization = "none"

    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    columns: ClassVar[tuple[str, ...]] = ("substitutions", "deletions", "insertions", "ref_length")

    def __post_init__(self) -> None:
        self.require(self.normalize in get_args(Normalization), "normalize", f"one of {', '.join(get_args(Normalization))}")

    def finish(self, totals: FloatArray) -> FloatArray:
        return ratio(totals[..., :3].sum(axis=-1), totals[..., 3])

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        """None: an answer may be of any length."""
        return None

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """Substitutions, deletions and insertions over the corpus, and each per unit of the references."""
        counts = stats[~np.isnan(stats).any(axis=1)].sum(axis=0)
        rates = ratio(counts[:3], np.repeat(counts[3], 3))
        rows = [(edit, int(count), None if np.isnan(rate) else float(rate))
                for edit, count, rate in zip(self.columns, counts, rates)]
        return {"edits": Table(("edit", "count", "rate"), tuple(rows))}

    def compare(self, texts: Sequence[str], others: Sequence[Sequence[str]]) -> Iterable[Row]:
        form = normal_form(self.normalize)
        flat = [form(text) for text in texts] + [form(other) for item in others for other in item]
        units = self._units(flat)
        start = len(texts)
        for row, item in enumerate(others):
            yield _fewest_edits(units[row], units[start:start + len(item)]) or f"the references have no {self.counted}"
            start += len(item)

    @property
    def counted(self) -> str:
        """What the rate is counted in."""
        raise NotImplementedError(f"{type(self).__name__}.counted")

    def _units(self, texts: Sequence[str]) -> list[Any]:
        raise NotImplementedError(f"{type(self).__name__}._units")


@dataclass(frozen=True, repr=False)
class WordErrorRate(_ErrorRate, WordMetric):
    """Substituted, deleted and inserted words over the corpus, per word of the references. Range 0–∞, lower is better.

    Parameters
    ----------
    normalize : as for ``exact_match``; by default none.
    tokenize : what a word is: ``space`` (what white space of any kind separates; jiwer
        takes a single tab, line end or U+00A0 for a part of the word) unless the task's language writes without
        spaces (then ``zh``, ``ja`` or ``char``); ``ascii`` and ``unicode``: lower-cased runs of letters and digits.

    Statistics: ``substitutions``, ``deletions``, ``insertions``, ``ref_length``, a row a sample, as rapidfuzz aligns them. Of
    several references the one with the lowest rate counts, the first of equals. A sample whose references have no word is
    missing (jiwer counts its insertions against the other samples' words). No rows: NaN.

    Morris, Maier and Green 2004, "From WER and RIL to MER and WIL". Equals jiwer's ``wer``.

    >>> WordErrorRate().over(["the cat sat", "a dog"], ["the cat sat down", "a big cat"]).value
    0.42857142857142855
    """

    name: ClassVar[str] = "wer"
    summary: ClassVar[str] = "word error rate: edits per word of the references"
    formula: ClassVar[str] = "Σ (substitutions + deletions + insertions) / Σ words of the references"
    reference: ClassVar[str] = "jiwer.wer"
    paper: ClassVar[str] = "Morris, Maier and Green 2004, From WER and RIL to MER and WIL"

    def __post_init__(self) -> None:
        super().__post_init__()
        WordMetric.__post_init__(self)

    @property
    def scheme(self) -> Scheme:
        return self.tokenize or "space"

    def for_language(self, language: str) -> WordErrorRate:
        found = super().for_language(language)
        return self if found.scheme in ("ascii", "unicode") else found

    @property
    def counted(self) -> str:
        return "word"

    def _units(self, texts: Sequence[str]) -> list[Any]:
        tokens = words(texts, self.scheme)
        ends = np.cumsum(tokens.lengths)
        return [tokens.ids[start:end].tolist() for start, end in zip((ends - tokens.lengths).tolist(), ends.tolist())]


@dataclass(frozen=True, repr=False)
class CharacterErrorRate(_ErrorRate):
    """Substituted, deleted and inserted characters over the corpus, per character of the references. 0–∞, lower is better.

    Parameters
    ----------
    normalize : as for ``exact_match``; by default white space at both ends goes, as in jiwer; that between words counts.

    Statistics, several references, missing rows: as ``wer``, of characters (code points).

    Morris, Maier and Green 2004, "From WER and RIL to MER and WIL". Equals jiwer's ``cer``.

    >>> CharacterErrorRate().over(["hallo"], ["hello"]).value
    0.2
    """

    normalize: Normalization = "strip"

    name: ClassVar[str] = "cer"
    summary: ClassVar[str] = "character error rate: edits per character of the references"
    formula: ClassVar[str] = "Σ (substitutions + deletions + insertions) / Σ characters of the references"
    reference: ClassVar[str] = "jiwer.cer"
    paper: ClassVar[str] = "Morris, Maier and Green 2004, From WER and RIL to MER and WIL"

    @property
    def counted(self) -> str:
        return "character"

    def _units(self, texts: Sequence[str]) -> list[Any]:
        return list(texts)


def _fewest_edits(text: Any, references: Sequence[Any]) -> tuple[float, ...] | None:
    """Substitutions, deletions, insertions, reference units of the reference with the lowest rate; None if none has units."""
    from rapidfuzz.distance import Levenshtein

    there = [reference for reference in references if len(reference)]
    if not there:
        return None
    best = min(there, key=lambda reference: Levenshtein.distance(reference, text) / len(reference))
    made = Counter(edit.tag for edit in Levenshtein.editops(best, text))
    return float(made["replace"]), float(made["delete"]), float(made["insert"]), float(len(best))


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def levenshtein(predictions: Sequence[str], references: References, *, level: Level = "char",
                normalize: Normalization = "none") -> float:
    """Mean distance to the nearest reference; see :class:`LevenshteinDistance`. NaN for empty lists.

    >>> levenshtein(["a b c"], ["a c"], level="word")
    1.0
    """
    return LevenshteinDistance(level, normalize).over(predictions, references).value


def edit_similarity(predictions: Sequence[str], references: References, *, level: Level = "char",
                    normalize: Normalization = "none") -> float:
    """Mean normalised similarity; see :class:`EditSimilarity`. NaN for empty lists.

    >>> edit_similarity(["a b c"], ["a c"], level="word")
    0.6666666666666667
    """
    return EditSimilarity(level, normalize).over(predictions, references).value


def wer(predictions: Sequence[str], references: References, *, normalize: Normalization = "none",
        tokenize: Scheme = "space") -> float:
    """Word error rate of a corpus; see :class:`WordErrorRate`. NaN without a word in the references.

    >>> wer(["the cat sat"], ["the cat sat down"])
    0.25
    """
    return WordErrorRate(normalize, tokenize=tokenize).over(predictions, references).value


def cer(predictions: Sequence[str], references: References, *, normalize: Normalization = "strip") -> float:
    """Character error rate of a corpus; see :class:`CharacterErrorRate`. NaN without a character in the references.

    >>> cer(["hallo"], ["hello"])
    0.2
    """
    return CharacterErrorRate(normalize).over(predictions, references).value
