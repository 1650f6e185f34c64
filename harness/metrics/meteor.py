"""METEOR with exact, stem and synonym stages, equal to nltk's."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from harness.errors import MetricError
from harness.metrics.blocks import row_blocks
from harness.metrics.ngrams import sorted_together
from harness.metrics.references import MeanOverReferences, References, first_best, pair_up
from harness.metrics.rougetokens import numbered_words, word_ends
from harness.metrics.stemming import Stems
from harness.metrics.tokenize import IntArray, byte_classes, class_table
from harness.metrics.wordnet import WordNet, find_wordnet, open_wordnet
from harness.types import FloatArray, Sample

_SPACES = class_table({})
_ABSENT = "it is neither an nltk corpus nor in /usr/share/wordnet (Debian: apt install wordnet-base)"


@dataclass(frozen=True, repr=False)
class Meteor(MeanOverReferences):
    """Words of the prediction aligned with the reference's: equal ones, then equal stems, then synonyms. Range 0–1, higher is
    better.

    With m matches in c chunks (runs that are consecutive in both texts), P = m / words of the prediction, R = m / words of the
    reference: F = P · R / (α · P + (1 − α) · R) and METEOR = F · (1 − γ · (c / m) ^ β). The value is the mean over samples.

    Words are what white space separates, lower-cased. Each stage goes from the last word of the prediction to the first and
    takes the last free word of the reference, as nltk does; a later stage sees what the earlier ones have left, the synonym
    stage as stems, as there. No match, or an empty side: 0, as there. Of several references the best counts. No rows: NaN.

    Parameters
    ----------
    alpha : weight of precision in F, 0–1; nltk's 0.9 weighs recall nine times.
    beta, gamma : shape and weight of the penalty for fragments.
    wordnet : ``on``: the synonym stage uses WordNet, an error where it is not installed; ``off``: no synonym stage; ``auto``:
        on where it is installed, else off with a warning; or the path of its folder or of nltk's ``wordnet.zip``. The signature
        names the version that took part, or ``off``.

    Statistics: ``score``, ``matches``, ``chunks``, ``hyp_len``, ``ref_len`` and 1, a row a sample.

    This is not METEOR 1.5, the Java programme, which has paraphrase tables, function word weights and a beam search for the
    alignment; its numbers differ. Lavie & Agarwal 2007. Equals nltk 3.10 ``meteor_score``.

    >>> round(Meteor(wordnet="off").over(["the cats sat on a mat"], ["the cat sat on the mat"]).value, 4)
    0.7433
    """

    alpha: float = 0.9
    beta: float = 3.0
    gamma: float = 0.5
    wordnet: Literal["auto", "on", "off"] | Path = "auto"

    name: ClassVar[str] = "meteor"
    summary: ClassVar[str] = "aligned words (equal, stems, synonyms), recall-heavy, with a penalty for fragments, as nltk's"
    columns: ClassVar[tuple[str, ...]] = ("score", "matches", "chunks", "hyp_len", "ref_len", "n")
    formula: ClassVar[str] = "P·R / (α·P + (1−α)·R) · (1 − γ·(chunks / matches)^β)"
    reference: ClassVar[str] = "nltk 3.10 nltk.translate.meteor_score.meteor_score"
    paper: ClassVar[str] = "Lavie & Agarwal 2007, METEOR: An Automatic Metric for MT Evaluation with High Levels of Correlation"

    def __post_init__(self) -> None:
        if isinstance(self.wordnet, bool | str):  # what YAML makes of on and off; a path given as text
            given = ("off", "on")[self.wordnet] if isinstance(self.wordnet, bool) else self.wordnet
            object.__setattr__(self, "wordnet", given if given in ("auto", "on", "off") else Path(given))
        self.require(0 <= self.alpha <= 1, "alpha", "from 0 to 1")
        self.require(0 <= self.beta < float("inf"), "beta", "at least 0 and finite")
        self.require(0 <= self.gamma <= 1, "gamma", "from 0 to 1")

    def prepare(self, samples: Iterable[Sample]) -> Meteor:
        self._synonym_source()  # an error before any text is scored
        return self

    def warnings(self) -> tuple[str, ...]:
        if self.wordnet != "auto" or self._synonym_source() is not None:
            return ()
        return (f"{self.spec}: WordNet is not installed, no synonyms are matched: {_ABSENT}",)

    def signature(self) -> str:
        source = self._synonym_source()
        recipe = replace(self, wordnet="off" if source is None else Path(source.version))
        return super(Meteor, recipe).signature()

    def statistics(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        source = self._synonym_source()
        lexicon = _Lexicon(None if source is None else source.synonyms)
        parts = [np.empty((0, len(self.columns)))]
        for block in row_blocks(predictions, references):
            repeated, targets, starts = pair_up(predictions[block], references[block])
            pairs = self._scored(_Words.of(repeated, targets), lexicon)
            best = pairs[first_best(pairs[:, 0], starts)]
            parts.append(np.column_stack([best, np.ones(len(best))]))
        return np.concatenate(parts)

    def _in_blocks(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        return self.statistics(predictions, references)  # which makes blocks of its own: stems are kept from one to the next

    def _scored(self, words: _Words, lexicon: _Lexicon) -> FloatArray:
        """``float64[n, 5]``: score, matches, chunks, words of the prediction, words of the reference."""
        matches, chunks = _aligned(words, lexicon)
        hyp, ref = words.lengths[0].astype(np.float64), words.lengths[1].astype(np.float64)
        precision, recall = matches / np.maximum(hyp, 1), matches / np.maximum(ref, 1)
        weighted = self.alpha * precision + (1 - self.alpha) * recall
        mean = np.divide(precision * recall, weighted, out=np.zeros_like(weighted), where=weighted > 0)
        score = mean * (1 - self.gamma * (chunks / np.maximum(matches, 1)) ** self.beta)
        return np.column_stack([score, matches, chunks, hyp, ref])

    def _synonym_source(self) -> WordNet | None:
        if self.wordnet == "off":
            return None
        path = self.wordnet if isinstance(self.wordnet, Path) else find_wordnet()
        if path is None and self.wordnet == "on":
            raise MetricError(f"{self.name}: wordnet must be installed, or off, or its path; {_ABSENT}")
        return None if path is None else open_wordnet(path)


def meteor(predictions: Sequence[str], references: References, *, alpha: float = 0.9, beta: float = 3.0, gamma: float = 0.5,
           wordnet: Literal["auto", "on", "off"] | Path = "auto") -> float:
    """Mean METEOR of the predictions, 0–1; see :class:`Meteor`. ``references[i]`` is item i's reference or the list of them.

    NaN for empty lists.

    >>> round(meteor(["a guide to action"], [["a guide for action", "guides to act"]], wordnet="off"), 4)
    0.6389
    """
    return Meteor(alpha, beta, gamma, wordnet).over(predictions, references).value


# ── alignment, all pairs side by side ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Lexicon:
    """What one call has looked up so far: stems and, of stems, synonyms. Without ``find`` there is no synonym stage."""

    find: Callable[[str], Iterable[str]] | None
    stems: Stems = field(default_factory=Stems)
    known: dict[str, frozenset[str]] = field(default_factory=dict)

    def synonyms(self, find: Callable[[str], Iterable[str]], word: str) -> frozenset[str]:
        if word not in self.known:
            self.known[word] = frozenset(find(word)) | {word}
        return self.known[word]


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of n pairs. For each word: ``ids`` (into ``vocabulary``), ``row``, ``position`` in its text.

    Those of the predictions come first, ``n_predicted`` in all. ``lengths`` : ``int64[2, n]``.
    """

    vocabulary: list[str]
    ids: IntArray
    row: IntArray
    position: IntArray
    lengths: IntArray
    n_predicted: int

    @classmethod
    def of(cls, predictions: Sequence[str], targets: Sequence[str]) -> _Words:
        texts = [text.lower() for text in (*predictions, *targets)]
        joined = "\n" + "\n".join(texts) + "\n"
        units, classes = byte_classes(joined, _SPACES)
        inside = classes != 0
        starts, ends = word_ends(inside)
        sizes = texts if joined.isascii() else [text.encode("utf-8", "surrogatepass") for text in texts]
        bounds = np.cumsum([0, *(len(text) + 1 for text in sizes)])
        counts = np.diff(np.searchsorted(starts, bounds))
        ids, vocabulary = numbered_words(np.ascontiguousarray(units[inside]), ends)
        position = np.arange(len(ids)) - np.repeat(np.cumsum(counts) - counts, counts)
        n = len(predictions)
        row = np.repeat(np.tile(np.arange(n), 2), counts)
        return cls(vocabulary(), ids, row, position, counts.reshape(2, n), int(counts[:n].sum()))


def _aligned(words: _Words, lexicon: _Lexicon) -> tuple[FloatArray, FloatArray]:
    """Matches and chunks of each pair."""
    n = words.lengths.shape[1]
    partner = np.full(len(words.ids), -1)
    _match(words, words.ids, partner)
    stems, numbers = _stems(words, lexicon.stems, partner)
    _match(words, numbers, partner)
    if lexicon.find is not None:
        look_up = functools.partial(lexicon.synonyms, lexicon.find)
        _match_synonyms(words, stems, numbers.tolist(), look_up, partner)
    hyp = np.flatnonzero(partner[:words.n_predicted] >= 0)
    row, mine, other = words.row[hyp], words.position[hyp], words.position[partner[hyp]]
    goes_on = (np.diff(row) == 0) & (np.diff(mine) == 1) & (np.diff(other) == 1)
    matches = np.bincount(row, minlength=n)
    return matches.astype(np.float64), (matches - np.bincount(row[1:][goes_on], minlength=n)).astype(np.float64)


def _match(words: _Words, keys: IntArray, partner: IntArray) -> None:
    """Pair free words of equal keys in each pair of texts: the last with the last, the last but one with the last but one, …"""
    free = np.flatnonzero((partner < 0) & (keys >= 0))
    if len(free) == 0:
        return
    group = words.row[free] * (int(keys.max()) + 1) + keys[free]
    group, free = sorted_together(group, free)  # within a group those of the prediction first, each side in its order
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    ends = np.append(starts[1:], len(free))
    ours = np.add.reduceat((free < words.n_predicted).astype(np.int64), starts)
    pairs = np.minimum(ours, ends - starts - ours)
    back = np.arange(int(pairs.sum())) - np.repeat(np.cumsum(pairs) - pairs, pairs) + 1
    hyp, ref = free[np.repeat(starts + ours, pairs) - back], free[np.repeat(ends, pairs) - back]
    partner[hyp], partner[ref] = ref, hyp


def _stems(words: _Words, stems: Stems, partner: IntArray) -> tuple[list[str], IntArray]:
    """The stems of the free words, and for each word the number of its stem among them; -1 for words that are not free."""
    free: NDArray[np.bool_] = partner < 0
    needed = np.flatnonzero(np.bincount(words.ids[free], minlength=len(words.vocabulary)))
    different, of_needed = stems.numbered([words.vocabulary[word] for word in needed.tolist()])
    numbers = np.full(len(words.vocabulary), -1)
    numbers[needed] = of_needed
    return different, np.where(free, numbers[words.ids], -1)


def _match_synonyms(words: _Words, stems: Sequence[str], stem: Sequence[int], synonyms: Callable[[str], Iterable[str]],
                    partner: IntArray) -> None:
    """From the last free word of the prediction to the first: the last free word of the reference that is a synonym or equal.

    What is looked up and compared are the stems, not the words: nltk's stem stage hands them on in their place.
    """
    numbers = {text: number for number, text in enumerate(stems)}
    known: dict[int, list[int]] = {}
    places: dict[tuple[int, int], list[int]] = {}
    row = words.row.tolist()
    for word in (words.n_predicted + np.flatnonzero(partner[words.n_predicted:] < 0)).tolist():
        places.setdefault((row[word], stem[word]), []).append(word)
    for word in reversed(np.flatnonzero(partner[:words.n_predicted] < 0).tolist()):
        if stem[word] not in known:
            known[stem[word]] = [numbers[lemma] for lemma in synonyms(stems[stem[word]]) if lemma in numbers]
        stacks = [stack for number in known[stem[word]] if (stack := places.get((row[word], number)))]
        if stacks:
            other = max(stacks, key=lambda stack: stack[-1]).pop()
            partner[word], partner[other] = other, word
