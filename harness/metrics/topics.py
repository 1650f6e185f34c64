"""How many of the topics of the references the outputs speak of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from harness.errors import MetricError
from harness.metrics.pooled import PooledMetric
from harness.metrics.tokenize import IntArray
from harness.metrics.wording import Scheme, WordMetric, checked_texts, ngrams, texts_of, words
from harness.protocols import Backend
from harness.types import Embed, FloatArray, Output, Sample, Table

TFIDF = "tfidf"
"""The ``model`` that is none: tf-idf vectors of words."""

_STARTS = 10
_ROUNDS = 100
"""Of k-means: how many starts, of which the best counts, and how many rounds from each at most."""


@dataclass(frozen=True, slots=True)
class Topics:
    """The topic of each output, and how many references each topic has."""

    of_output: IntArray
    references: IntArray


@dataclass(frozen=True, repr=False)
class TopicCoverage(PooledMetric, WordMetric):
    """Share of the ``k`` topics of the references that at least one output falls into; 0–1, higher is better.

    The different references are clustered by spherical k-means (the best of 10 k-means++ starts with ``seed``) in alphabetical
    order, so that the topics do not depend on the order of the samples; each output falls into the topic whose centre has the
    highest cosine with it, the first of equals. ``model`` : ``tfidf`` (default: words, 1 + ln tf times the smooth idf of the
    references, no model needed) or the role of a sentence encoder. Outputs without a word that the references have are missing
    (their direction is unknown); so is everything where there are fewer than k different references. Table ``topics``: outputs
    and references of each topic.
    """

    k: int = 10
    model: str = TFIDF
    seed: int = 0
    encoder: Any = field(default=None, repr=False, compare=False, kw_only=True)

    name: ClassVar[str] = "topic_coverage"
    summary: ClassVar[str] = "share of the topics of the references (k-means clusters) that the outputs reach"
    needs: ClassVar[frozenset[str]] = frozenset({"text", "references"})
    formula: ClassVar[str] = "topics with at least one output / k"
    reference: ClassVar[str] = "hand-worked; clusters as sklearn.cluster.KMeans from the same centres"
    paper: ClassVar[str] = "Dhillon and Modha 2001, Concept Decompositions for Large Sparse Text Data (spherical k-means)"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(isinstance(self.k, int) and self.k >= 1, "k", "a positive integer")
        self.require(self.seed >= 0, "seed", "an integer of at least 0")

    def needs_roles(self) -> Mapping[str, type]:
        return {} if self.model == TFIDF else {self.model: Embed}

    def open(self, roles: Mapping[str, Backend]) -> TopicCoverage:
        return self if self.model == TFIDF else replace(self, encoder=roles[self.model])

    def gather(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[Topics, Mapping[int, str]]:
        texts, missing = texts_of(outputs)
        references = sorted({reference for sample in samples for reference in sample.references})
        if len(references) < self.k:
            reason = f"{len(references)} different references are too few for {self.k} topics"
            return Topics(np.zeros(0, np.int64), np.zeros(self.k, np.int64)), dict.fromkeys(range(len(outputs)), reason)
        topics, there = self._topics(references, texts), [row for row in range(len(outputs)) if row not in missing]
        for index in np.flatnonzero(topics.of_output < 0).tolist():
            missing[there[index]] = "the text has nothing in common with the references"
        return Topics(topics.of_output[topics.of_output >= 0], topics.references), missing

    def of_rows(self, rows: IntArray) -> float:
        return len(np.unique(self.pool.of_output[rows])) / self.k if len(rows) else math.nan

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """References and outputs of each topic."""
        if self.pool is None:
            return {}
        outputs = np.bincount(self.pool.of_output[stats[:, 0].astype(np.int64)], minlength=self.k)
        rows = zip(range(self.k), self.pool.references.tolist(), outputs.tolist())
        return {"topics": Table(("topic", "references", "outputs"), tuple(rows))}

    def _topics(self, references: Sequence[str], texts: Sequence[str]) -> Topics:
        """``references`` are sorted. An output without a direction has topic -1."""
        if self.model == TFIDF:
            vectors = _tfidf([*references, *texts], len(references), self.scheme)
        elif self.encoder is None:
            raise MetricError(f"{self.name}: the role {self.model!r} must be opened before scoring")
        else:
            vectors = _unit_rows(np.asarray(self.encoder.encode([*references, *texts]), dtype=np.float64))
        known = vectors[: len(references)]
        centres = spherical_kmeans(known, self.k, self.seed)
        topic = _nearest(vectors, centres)
        topic[_squared_lengths(vectors) == 0] = -1
        of_reference = topic[: len(references)]
        return Topics(topic[len(references) :], np.bincount(of_reference[of_reference >= 0], minlength=self.k))


def topic_coverage(texts: Sequence[str], references: Sequence[str], *, k: int = 10, seed: int = 0,
                   tokenize: Scheme = "ascii") -> float:
    """Share of k topics of the references that texts reach, by tf-idf; see :class:`TopicCoverage`.

    >>> topic_coverage(["a red apple", "green apples"], ["apple pie", "apple juice", "sea water", "sea salt"], k=2)
    0.5

    NaN without a text that shares a word with the references, and for fewer than k different references.
    """
    metric = TopicCoverage(k, seed=seed, tokenize=tokenize)
    different = sorted(set(checked_texts(metric.name, references)))
    if len(different) < k:
        return math.nan
    topics = metric._topics(different, checked_texts(metric.name, texts)).of_output
    reached = np.unique(topics[topics >= 0])
    return len(reached) / k if len(reached) else math.nan


# ── k-means ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def spherical_kmeans(vectors: Any, k: int, seed: int) -> FloatArray:
    """Unit centres ``float64[k, d]`` of rows of length 1 (or 0), dense or sparse; the same for the same rows in the same order.

    Of several starts by k-means++ (Arthur and Vassilvitskii 2007) the one that ends with the highest sum of cosines, the first
    of equals.
    """
    rng = np.random.default_rng(seed)
    tries = [_lloyd(vectors, _start(vectors, k, rng)) for _ in range(_STARTS)]
    return tries[int(np.argmax([round(fit, 9) for _, fit in tries]))][0]


def _lloyd(vectors: Any, centres: FloatArray) -> tuple[FloatArray, float]:
    """The centres that Lloyd's rounds end at, and the sum of the cosines with them. A centre without rows keeps its place."""
    labels = np.full(vectors.shape[0], -1)
    for _ in range(_ROUNDS):
        before, labels = labels, _nearest(vectors, centres)
        if (labels == before).all():
            break
        membership = np.zeros((len(centres), len(labels)))
        membership[labels, np.arange(len(labels))] = 1.0
        sums = np.asarray((vectors.T @ membership.T).T)
        lengths = np.sqrt((sums**2).sum(axis=1))
        centres = np.where(lengths[:, None] > 0, sums / np.where(lengths > 0, lengths, 1.0)[:, None], centres)
    return centres, float(_cosines(vectors, centres).max(axis=1).sum())


def _start(vectors: Any, k: int, rng: np.random.Generator) -> FloatArray:
    chosen = [int(rng.integers(vectors.shape[0]))]
    # 1 - cosine is half of the squared distance of unit vectors.
    distance = 1.0 - _cosines(vectors, _dense(vectors[chosen]))[:, 0]
    while len(chosen) < k:
        ends = np.cumsum(np.maximum(distance, 0.0))
        place = int(np.searchsorted(ends, rng.random() * ends[-1], side="right"))
        free = np.setdiff1d(np.arange(vectors.shape[0]), chosen)
        chosen.append(place if ends[-1] > 0 and place < len(ends) and place not in chosen else int(free[0]))
        distance = np.minimum(distance, 1.0 - _cosines(vectors, _dense(vectors[chosen[-1:]]))[:, 0])
    return _dense(vectors[chosen])


def _nearest(vectors: Any, centres: FloatArray) -> IntArray:
    # Rounded, so that what is equal but for the order of a sum is a tie, and the first wins.
    return np.asarray(np.argmax(np.round(_cosines(vectors, centres), 12), axis=1), dtype=np.int64)


def _cosines(vectors: Any, centres: FloatArray) -> FloatArray:
    return np.asarray(vectors @ centres.T, dtype=np.float64)


def _dense(rows: Any) -> FloatArray:
    return np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows, dtype=np.float64)


def _squared_lengths(vectors: Any) -> FloatArray:
    squares = vectors.multiply(vectors) if hasattr(vectors, "multiply") else vectors**2
    return np.asarray(squares.sum(axis=1), dtype=np.float64)


def _unit_rows(vectors: FloatArray) -> FloatArray:
    lengths = np.sqrt((vectors**2).sum(axis=1))
    units: FloatArray = vectors / np.where(lengths > 0, lengths, 1.0)[:, None]
    return units


def _tfidf(texts: Sequence[str], n_known: int, scheme: Scheme) -> Any:
    """Unit tf-idf rows over the words of the first ``n_known`` texts, sparse; a row of zeros for a text without any of them."""
    from scipy.sparse import csr_array

    grams = ngrams(words(texts, scheme), 1)
    size = max(grams.size, 1)
    cells, counts = np.unique(grams.texts * size + grams.ids, return_counts=True)
    rows, columns = cells // size, cells % size
    frequency = np.bincount(columns[rows < n_known], minlength=size)
    weights = (1.0 + np.log(counts)) * np.where(frequency > 0, np.log((1 + n_known) / (1 + frequency)) + 1.0, 0.0)[columns]
    lengths = np.sqrt(np.bincount(rows, weights**2, minlength=len(texts)))[rows]
    is_known = weights > 0
    values = weights[is_known] / lengths[is_known]
    return csr_array((values, (rows[is_known], columns[is_known])), shape=(len(texts), size))
