"""How long a text is beside its references, and how much of it is taken over from its source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.metrics.references import References
from harness.metrics.rows import Row
from harness.metrics.sources import source_of
from harness.metrics.textrows import TextRows
from harness.metrics.wording import Scheme, WordMetric, words
from harness.types import Output, Sample

_GRUSKY = "Grusky, Naaman and Artzi 2018, Newsroom: A Dataset of 1.3 Million Summaries with Diverse Extractive Strategies"


@dataclass(frozen=True, repr=False)
class WordRows(TextRows, WordMetric):
    """Base: texts and what is beside them as lists of numbers, one a word. A subclass gives :meth:`of_words`."""

    def of_words(self, text: Sequence[int], others: Sequence[Sequence[int]]) -> Row:
        """The row of a text."""
        raise NotImplementedError(f"{type(self).__name__}.of_words")

    def compare(self, texts: Sequence[str], others: Sequence[Sequence[str]]) -> Iterable[Row]:
        cut = word_lists([*texts, *(other for item in others for other in item)], self.scheme)
        start = len(texts)
        for row, item in enumerate(others):
            yield self.of_words(cut[row], cut[start:start + len(item)])
            start += len(item)


def word_lists(texts: Sequence[str], scheme: Scheme) -> list[list[int]]:
    """The words of each text as numbers, equal for equal words."""
    tokens = words(texts, scheme)
    ids, ends = tokens.ids.tolist(), np.cumsum(tokens.lengths).tolist()
    return [ids[end - length:end] for end, length in zip(ends, tokens.lengths.tolist())]


@dataclass(frozen=True, repr=False)
class LengthRatio(WordRows):
    """Words of the answers over words of their references, over the corpus. Range 0–∞; 1: as long as the references.

    Parameters
    ----------
    tokenize : as for all metrics that cut words: by the task's language, ``ascii`` for English.

    Statistics: ``words`` and ``ref_words``, a row a sample. Of several references the one nearest in length counts, the shorter
    of equally near ones (as BLEU's). A sample whose references have no word is missing. No rows: NaN.

    >>> LengthRatio().over(["a b c", "d"], [["a b"], ["d", "d e f g"]]).value
    1.3333333333333333
    """

    name: ClassVar[str] = "length_ratio"
    summary: ClassVar[str] = "words of the answers over words of the references"
    higher_is_better: ClassVar[bool | None] = None
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    columns: ClassVar[tuple[str, ...]] = ("words", "ref_words")
    formula: ClassVar[str] = "Σ words of the answers / Σ words of the references nearest in length"
    reference: ClassVar[str] = "hand-worked"

    def of_words(self, text: Sequence[int], others: Sequence[Sequence[int]]) -> Row:
        lengths = [len(other) for other in others if other]
        if not lengths:
            return "the references have no word"
        return float(len(text)), float(min(lengths, key=lambda length: (abs(length - len(text)), length)))


@dataclass(frozen=True, repr=False)
class _OfSource(WordRows):
    """Base: a text beside its source."""

    needs: ClassVar[frozenset[str]] = frozenset({"text"})
    higher_is_better: ClassVar[bool | None] = None
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    paper: ClassVar[str] = _GRUSKY

    def beside(self, sample: Sample, output: Output) -> Sequence[str] | str:
        return source_of(sample, output)


@dataclass(frozen=True, repr=False)
class Compression(_OfSource):
    """Words of the source over words of the text, the mean. Range 0–∞; 1: as long as the source, more: shorter than it.

    The source is the sample's contexts, all together, else the input's field ``source``, ``document`` or ``article``.

    Parameters
    ----------
    tokenize : as for all metrics that cut words: by the task's language, ``ascii`` for English.

    Statistics: ``compression``, ``source_words``, ``words`` and 1, a row a sample. A text without a word, or without a source,
    is missing. No rows: NaN.

    Grusky et al. 2018, "Newsroom", section 4.

    >>> Compression().over(["a b"], ["a b c d e f"]).value
    3.0
    """

    name: ClassVar[str] = "compression"
    summary: ClassVar[str] = "words of the source over words of the text"
    columns: ClassVar[tuple[str, ...]] = ("compression", "source_words", "words", "n")
    formula: ClassVar[str] = "mean of |source| / |text|"
    reference: ClassVar[str] = "hand-worked"

    def of_words(self, text: Sequence[int], others: Sequence[Sequence[int]]) -> Row:
        length = sum(map(len, others))
        return (length / len(text), float(length), float(len(text)), 1.0) if text else "the text has no word"


@dataclass(frozen=True, repr=False)
class Coverage(_OfSource):
    """Share of the words of the text that are in fragments taken over from the source, the mean. Range 0–1.

    Fragments are found greedily from left to right: at each word the longest run that stands in the source too (of the runs
    that follow each other there without overlap, as in the paper's algorithm). No fragment goes across two contexts.

    Parameters, source, missing rows: as ``compression``. Statistics: ``coverage``, ``fragment_words``, ``words`` and 1.

    Grusky et al. 2018, "Newsroom", section 4.

    >>> Coverage().over(["the cat sat down"], ["Today the cat sat up."]).value
    0.75
    """

    name: ClassVar[str] = "coverage"
    summary: ClassVar[str] = "share of the words that are in fragments of the source (extractive)"
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    columns: ClassVar[tuple[str, ...]] = ("coverage", "fragment_words", "words", "n")
    formula: ClassVar[str] = "mean of Σ |fragment| / |text|"
    reference: ClassVar[str] = "hand-worked; the algorithm of the paper"

    def of_words(self, text: Sequence[int], others: Sequence[Sequence[int]]) -> Row:
        covered = sum(fragments(text, others))
        return (covered / len(text), float(covered), float(len(text)), 1.0) if text else "the text has no word"


@dataclass(frozen=True, repr=False)
class Density(_OfSource):
    """Mean length of the fragment of the source that each word of the text is in, the mean over texts. Range 0–∞.

    Fragments, parameters, source, missing rows: as ``coverage``. Statistics: ``density``, ``squared_words``, ``words`` and 1.

    Grusky et al. 2018, "Newsroom", section 4.

    >>> Density().over(["the cat sat down"], ["Today the cat sat up."]).value
    2.25
    """

    name: ClassVar[str] = "density"
    summary: ClassVar[str] = "mean length of the fragments of the source that the words are in (extractive)"
    columns: ClassVar[tuple[str, ...]] = ("density", "squared_words", "words", "n")
    formula: ClassVar[str] = "mean of Σ |fragment|² / |text|"
    reference: ClassVar[str] = "hand-worked; the algorithm of the paper"

    def of_words(self, text: Sequence[int], others: Sequence[Sequence[int]]) -> Row:
        squares = sum(length * length for length in fragments(text, others))
        return (squares / len(text), float(squares), float(len(text)), 1.0) if text else "the text has no word"


@dataclass(frozen=True, repr=False)
class NovelNgrams(_OfSource):
    """Share of the n-grams of the text that do not stand in the source, the mean. Range 0–1; 0: all is taken over.

    Each occurrence counts. Texts of fewer than n words are missing. Parameters: ``n``, length of the n-grams in words, and
    ``tokenize``. Source and missing rows: as ``compression``. Statistics: ``share``, ``novel``, ``ngrams`` and 1.

    Narayan, Cohen and Lapata 2018, "Don't Give Me the Details, Just the Summary!", table 1.

    >>> NovelNgrams(2).over(["the cat sat down"], ["Today the cat sat up."]).value
    0.3333333333333333
    """

    n: int = 2

    name: ClassVar[str] = "novel_ngrams"
    summary: ClassVar[str] = "share of the n-grams that are not in the source (abstractive)"
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    columns: ClassVar[tuple[str, ...]] = ("share", "novel", "ngrams", "n")
    formula: ClassVar[str] = "mean of n-grams of the text that are not in the source / n-grams of the text"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = "Narayan, Cohen and Lapata 2018, Don't Give Me the Details, Just the Summary!"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(isinstance(self.n, int) and self.n >= 1, "n", "a positive integer")

    def of_words(self, text: Sequence[int], others: Sequence[Sequence[int]]) -> Row:
        found, total = shared_ngrams(text, others, self.n)
        novel = total - found
        return (novel / total, float(novel), float(total), 1.0) if total else f"the text has fewer than {self.n} words"


# ── counting ────────────────────────────────────────────────────────────────────────────────────────────────────────


def fragments(text: Sequence[int], sources: Sequence[Sequence[int]]) -> list[int]:
    """Lengths of the fragments that a text takes over, by the greedy algorithm of Grusky et al. 2018 (figure 2).

    At each word only the places of the source are looked at where that word stands, and no place twice.

    >>> fragments([1, 2, 3, 9, 2], [[1, 2, 4, 1, 2, 3]])
    [3, 1]
    """
    source = [word for one in sources for word in (*one, -1)]
    places: dict[int, list[int]] = {}
    for place, word in enumerate(source):
        places.setdefault(word, []).append(place)
    lengths, start = [], 0
    while start < len(text):
        longest, passed = 0, 0
        for place in places.get(text[start], ()):
            if place < passed:
                continue
            length = _common(text, start, source, place)
            longest, passed = max(longest, length), place + length
        if longest:
            lengths.append(longest)
        start += longest or 1
    return lengths


def _common(text: Sequence[int], start: int, source: Sequence[int], place: int) -> int:
    most = min(len(text) - start, len(source) - place)
    length = 1
    while length < most and text[start + length] == source[place + length]:
        length += 1
    return length


def shared_ngrams(text: Sequence[int], sources: Sequence[Sequence[int]], n: int) -> tuple[int, int]:
    """How many n-grams of a text, each occurrence counted, stand in one of the sources, and how many it has."""
    there = {gram for one in sources for gram in zip(*(one[skip:] for skip in range(n)))}
    grams = list(zip(*(text[skip:] for skip in range(n))))
    return sum(gram in there for gram in grams), len(grams)


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def length_ratio(predictions: Sequence[str], references: References, *, tokenize: Scheme = "ascii") -> float:
    """Words of the answers over words of the references; see :class:`LengthRatio`. NaN without a word in the references.

    >>> length_ratio(["a b c"], ["a b"])
    1.5
    """
    return LengthRatio(tokenize=tokenize).over(predictions, references).value


def compression(texts: Sequence[str], sources: References, *, tokenize: Scheme = "ascii") -> float:
    """Words of the source over words of the text; see :class:`Compression`. NaN where no text has a word.

    >>> compression(["a b"], [["a b c", "d e f"]])
    3.0
    """
    return Compression(tokenize=tokenize).over(texts, sources).value


def coverage(texts: Sequence[str], sources: References, *, tokenize: Scheme = "ascii") -> float:
    """Share of words in fragments of the source; see :class:`Coverage`. NaN where no text has a word.

    >>> coverage(["a b x"], ["z a b"])
    0.6666666666666666
    """
    return Coverage(tokenize=tokenize).over(texts, sources).value


def density(texts: Sequence[str], sources: References, *, tokenize: Scheme = "ascii") -> float:
    """Mean length of the fragments that the words are in; see :class:`Density`. NaN where no text has a word.

    >>> density(["a b x"], ["z a b"])
    1.3333333333333333
    """
    return Density(tokenize=tokenize).over(texts, sources).value


def novel_ngrams(texts: Sequence[str], sources: References, *, n: int = 2, tokenize: Scheme = "ascii") -> float:
    """Share of n-grams that are not in the source; see :class:`NovelNgrams`. NaN where no text has n words.

    >>> novel_ngrams(["a b x"], ["z a b"], n=1)
    0.3333333333333333
    """
    return NovelNgrams(n, tokenize=tokenize).over(texts, sources).value
