"""Lexical retrieval: BM25 over the words of title and text, scored by bm25s."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from time import perf_counter
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from harness.errors import BackendError, ConfigError, did_you_mean
from harness.protocols import Cacheable, Resources, TaskView
from harness.retrieval.top import Ids
from harness.types import Call, Corpus, Output, Rank, Ranking, Timing

Variant = Literal["lucene", "robertson", "atire", "bm25l", "bm25+"]

_WORD = re.compile(r"(?u)\b\w\w+\b")
_CALLS_PER_BATCH = 256


@dataclass
class Bm25:
    """BM25. Words are lower-cased runs of two or more letters or digits, cleared of stop words, then stemmed.

    ``stemmer`` is a Snowball language of PyStemmer (english is Porter2), or null for whole words. ``stop_words`` is a list
    of bm25s by its language (english has Lucene's 33 words, english_plus more), or null for none. ``k1`` sets how soon more
    of the same word stops to count. ``b`` sets how much long documents are held back. ``variant`` is the formula, as in
    Kamphuis et al. (ECIR 2020), lucene being Anserini's.

    Documents that score no better than one without any word of the query are never returned: a query that matches
    nothing gets an empty ranking.
    """

    name: ClassVar[str] = "bm25"
    summary: ClassVar[str] = "BM25 retrieval over the task's corpus (bm25s)"
    provides: ClassVar[frozenset[type]] = frozenset({Rank})
    cacheable: ClassVar[Cacheable] = "always"
    independent: ClassVar[bool] = True
    tuning: ClassVar[frozenset[str]] = frozenset()

    stemmer: str | None = "english"
    stop_words: str | None = "english"
    k1: float = 1.2
    b: float = 0.75
    variant: Variant = "lucene"
    _words: _Words | None = field(default=None, init=False, repr=False, compare=False)
    _index: _Index | None = field(default=None, init=False, repr=False, compare=False)
    _say: Callable[[str], None] = field(default=lambda message: None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.k1 >= 0:
            raise ConfigError(f"bm25: k1 must be 0 or more, got {self.k1!r}")
        if not 0 <= self.b <= 1:
            raise ConfigError(f"bm25: b must lie between 0 and 1, got {self.b!r}")
        if self.variant not in get_args(Variant):
            raise ConfigError(f"bm25: variant must be one of {', '.join(get_args(Variant))}, got {self.variant!r}")

    def needs_roles(self) -> Mapping[str, type]:
        return {}

    def open(self, resources: Resources) -> None:
        """Raises BackendError for a language that has no stemmer or no list of stop words."""
        self._say = resources.say
        self._words = _Words(_stop_words(self.stop_words), _stemmer(self.stemmer))

    def close(self) -> None:
        self._words = self._index = None

    def signature(self) -> Mapping[str, Any]:
        return {
            "backend": self.name, "stemmer": self.stemmer, "stop_words": self.stop_words, "k1": self.k1, "b": self.b,
            "variant": self.variant, "bm25s": version("bm25s"), "PyStemmer": version("PyStemmer"),
        }

    def start_task(self, task: TaskView) -> None:
        """Index the corpus, unless it is the one that is indexed already. Raises BackendError if there is none."""
        if task.corpus is None or not len(task.corpus):
            raise BackendError(f"bm25: task {task.name!r} has no corpus to search; give its data one")
        if self._words is None:
            raise BackendError("bm25: start_task before open")
        if self._index is None or self._index.fingerprint != task.corpus.fingerprint:
            self._say(f"bm25: indexing {len(task.corpus):,} documents")
            self._index = None
            self._index = _Index.of(task.corpus, self._words, k1=self.k1, b=self.b, variant=self.variant)

    def batches(self, calls: Sequence[Call]) -> Sequence[Sequence[Call]]:
        return [calls[start : start + _CALLS_PER_BATCH] for start in range(0, len(calls), _CALLS_PER_BATCH)]

    def run(self, calls: Sequence[Call]) -> Iterator[Output]:
        for call in calls:
            started = perf_counter()
            request = call.request
            if not isinstance(request, Rank):
                yield Output(call.key, None, error=f"bm25 answers Rank only, not {type(request).__name__}")
            elif self._index is None or request.corpus != self._index.fingerprint:
                yield Output(call.key, None, error=f"bm25: the corpus {request.corpus!r} is not the one that is indexed")
            else:
                ranking = self._index.search(request.query, request.k)
                yield Output(call.key, ranking, timing=Timing(perf_counter() - started))


class _Words:
    """Turns text into the numbers of its words, which are given in order of first appearance."""

    def __init__(self, stop_words: frozenset[str], stem: Callable[[str], str]) -> None:
        self._stop_words, self._stem = stop_words, stem

    def numbers(self, text: str, vocabulary: dict[str, int], surface: dict[str, int | None]) -> list[int]:
        """Numbers of the words of a document; grows both dictionaries (``surface``: word as written -> number)."""
        found = []
        for word in _WORD.findall(text.lower()):
            if word not in surface:
                surface[word] = None if word in self._stop_words else vocabulary.setdefault(self._stem(word), len(vocabulary))
            number = surface[word]
            if number is not None:
                found.append(number)
        return found

    def known(self, text: str, vocabulary: Mapping[str, int]) -> list[int]:
        """Numbers of the words of a query that are in the vocabulary."""
        stems = (self._stem(word) for word in _WORD.findall(text.lower()) if word not in self._stop_words)
        return [vocabulary[stem] for stem in stems if stem in vocabulary]


class _Index:
    """The scores of every word in every document of one corpus."""

    def __init__(self, fingerprint: str, ids: Ids, words: _Words, vocabulary: Mapping[str, int], scorer: Any) -> None:
        self.fingerprint = fingerprint
        self._ids, self._words, self._vocabulary, self._scorer = ids, words, vocabulary, scorer

    @classmethod
    def of(cls, corpus: Corpus, words: _Words, *, k1: float, b: float, variant: Variant) -> _Index:
        bm25s = _bm25s()
        vocabulary: dict[str, int] = {}
        surface: dict[str, int | None] = {}
        ids, rows = [], []
        for document in corpus:
            ids.append(document.id)
            rows.append(words.numbers(document.full_text, vocabulary, surface))
        scorer = None
        if vocabulary:
            scorer = bm25s.BM25(k1=k1, b=b, method=variant)
            scorer.index((rows, vocabulary), create_empty_token=False, show_progress=False)
        return cls(corpus.fingerprint, Ids(ids), words, vocabulary, scorer)

    def search(self, query: str, k: int) -> Ranking:
        numbers = self._words.known(query, self._vocabulary)
        if not numbers:
            return Ranking((), ())
        scores = self._scorer.get_scores_from_ids(numbers)
        # bm25l and bm25+ give every document a score for the words that it lacks; holding one of them scores more.
        absent = self._scorer.nonoccurrence_array
        floor = 0.0 if absent is None else absent[np.asarray(numbers)].sum()
        matching = np.flatnonzero(scores > floor)
        return self._ids.ranking(matching, scores[matching], k)


def _stemmer(language: str | None) -> Callable[[str], str]:
    if language is None:
        return lambda word: word
    import Stemmer

    languages = Stemmer.algorithms()
    if language not in languages:
        raise BackendError(f"bm25: no stemmer for {language!r}{did_you_mean(language, languages)}")
    stem: Callable[[str], str] = Stemmer.Stemmer(language).stemWord
    return stem


def _stop_words(language: str | None) -> frozenset[str]:
    if language is None:
        return frozenset()
    _bm25s()
    from bm25s import stopwords

    prefix = "STOPWORDS_"
    attributes = [key.removeprefix(prefix).lower() for key in vars(stopwords) if key.startswith(prefix)]
    lists = {re.sub("^en(?=$|_)", "english", key): f"{prefix}{key.upper()}" for key in attributes}
    if language not in lists:
        raise BackendError(f"bm25: no stop words for {language!r}{did_you_mean(language, lists)}")
    return frozenset(getattr(stopwords, lists[language]))


def _bm25s() -> Any:
    """The library; its progress bars warn on import in a notebook without widgets, and are never shown here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import bm25s
    return bm25s
