"""How alike outputs are, pair by pair: Jaccard similarity of their words, cosine of their embeddings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.errors import MetricError
from harness.metrics.pooled import PooledMetric
from harness.metrics.tokenize import IntArray
from harness.metrics.wording import Ngrams, Scheme, WordMetric, checked_texts, ngrams, texts_of, words
from harness.protocols import Backend
from harness.types import Embed, FloatArray, Output, Sample

MOST_PAIRS = 1_000_000
"""Pairs that are compared at most: all pairs of up to 1,414 outputs, a sample of them beyond."""

_CHUNK = 50_000
"""Pairs whose words are held at a time."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of rows and their similarity."""

    first: IntArray
    second: IntArray
    similarity: FloatArray


@dataclass(frozen=True, repr=False)
class PairwiseJaccard(PooledMetric, WordMetric):
    """Mean Jaccard similarity of the sets of n-grams of two outputs, over all pairs; 0–1, lower is more diverse.

    |A ∩ B| / |A ∪ B|. Exact for up to 1,414 outputs (1,000,000 pairs); of more outputs 1,000,000 pairs are drawn with ``seed``
    (standard error at most 0.0005), the same ones in whatever order the outputs come. Outputs without an n-gram are missing.
    Undefined for fewer than two outputs.
    """

    n: int = 1
    seed: int = 0

    name: ClassVar[str] = "pairwise_jaccard"
    summary: ClassVar[str] = "mean Jaccard similarity of the words of two outputs, over pairs"
    higher_is_better: ClassVar[bool | None] = False
    formula: ClassVar[str] = "mean over pairs of |A ∩ B| / |A ∪ B|"
    reference: ClassVar[str] = "hand-worked; sklearn.metrics.pairwise_distances(metric='jaccard')"
    paper: ClassVar[str] = "Jaccard 1912, The Distribution of the Flora in the Alpine Zone"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(isinstance(self.n, int) and self.n >= 1, "n", "a positive integer")
        self.require(self.seed >= 0, "seed", "an integer of at least 0")

    def gather(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[Pairs, Mapping[int, str]]:
        texts, missing = texts_of(outputs)
        there = [row for row in range(len(outputs)) if row not in missing]
        lengths = words(texts, self.scheme).lengths.tolist()
        for row, length in zip(there, lengths):
            if length < self.n:
                missing[row] = "the text has no word" if self.n == 1 else f"the text has fewer than {self.n} words"
        return self._pairs([text for text, length in zip(texts, lengths) if length >= self.n]), missing

    def of_rows(self, rows: IntArray) -> float:
        pairs: Pairs = self.pool
        is_in = np.zeros(max(int(rows.max(initial=0)), int(pairs.second.max(initial=0))) + 1, dtype=bool)
        is_in[rows] = True
        chosen = pairs.similarity[is_in[pairs.first] & is_in[pairs.second]]
        return float(chosen.mean()) if len(chosen) else math.nan

    def _pairs(self, texts: Sequence[str]) -> Pairs:
        first, second = some_pairs(texts, self.seed)
        return Pairs(first, second, _jaccard(ngrams(words(texts, self.scheme), self.n), first, second))


@dataclass(frozen=True, repr=False)
class PairwiseCosine(PooledMetric):
    """Mean cosine of the embeddings of two outputs, over all pairs; -1–1, lower is more diverse.

    Exact for any number of outputs: with unit vectors the mean over pairs is (|Σ u|² - n) / (n·(n - 1)). An output whose
    embedding is zero or not finite is missing. Undefined for fewer than two outputs. ``model`` : the role that embeds.
    """

    model: str = "encoder"
    encoder: Any = field(default=None, repr=False, compare=False, kw_only=True)

    name: ClassVar[str] = "pairwise_cosine"
    family: ClassVar[str] = "diversity"
    summary: ClassVar[str] = "mean cosine of the embeddings of two outputs, over all pairs"
    needs: ClassVar[frozenset[str]] = frozenset({"text"})
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (-1.0, 1.0)
    formula: ClassVar[str] = "mean over pairs of a·b / (|a|·|b|)"
    reference: ClassVar[str] = "sklearn.metrics.pairwise.cosine_similarity"

    def needs_roles(self) -> Mapping[str, type]:
        return {self.model: Embed}

    def open(self, roles: Mapping[str, Backend]) -> PairwiseCosine:
        return replace(self, encoder=roles[self.model])

    def gather(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[FloatArray, Mapping[int, str]]:
        texts, missing = texts_of(outputs)
        if self.encoder is None:
            raise MetricError(f"{self.name}: the role {self.model!r} must be opened before scoring")
        vectors = np.asarray(self.encoder.encode(texts), dtype=np.float64) if texts else np.zeros((0, 1))
        units, is_sound = _unit_vectors(vectors)
        there = [row for row in range(len(outputs)) if row not in missing]
        for index in np.flatnonzero(~is_sound).tolist():
            missing[there[index]] = "the embedding is zero or not finite"
        return units[is_sound], missing

    def of_rows(self, rows: IntArray) -> float:
        return _mean_cosine(self.pool[rows])


def pairwise_jaccard(texts: Sequence[str], *, n: int = 1, seed: int = 0, tokenize: Scheme = "ascii") -> float:
    """Mean Jaccard similarity over pairs of texts; see :class:`PairwiseJaccard`. NaN for fewer than two texts with a word.

    >>> pairwise_jaccard(["a b", "b c", "c d"])  # 1/3, 0, 1/3
    0.2222222222222222
    """
    metric = PairwiseJaccard(n, seed, tokenize=tokenize)
    lengths = words(checked_texts(metric.name, texts), tokenize).lengths.tolist()
    similarity = metric._pairs([text for text, length in zip(texts, lengths) if length >= n]).similarity
    return float(similarity.mean()) if len(similarity) else math.nan


def pairwise_cosine(vectors: Sequence[Sequence[float]] | FloatArray) -> float:
    """Mean cosine over pairs of vectors ``[n, d]``; see :class:`PairwiseCosine`. NaN for fewer than two.

    >>> pairwise_cosine([[1, 0], [0, 2], [1, 0]])
    0.3333333333333333

    Raises MetricError for what is no matrix, or holds a vector of zeros or one that is not finite.
    """
    matrix = np.asarray(vectors, dtype=np.float64)
    if not len(matrix):
        return math.nan
    if matrix.ndim != 2:
        raise MetricError(f"pairwise_cosine: vectors must be a matrix, a row a vector, got shape {matrix.shape}")
    units, is_sound = _unit_vectors(matrix)
    if not is_sound.all():
        raise MetricError(f"pairwise_cosine: vectors must be finite and not zero, got {matrix[~is_sound][0].tolist()}")
    return _mean_cosine(units)


def _unit_vectors(vectors: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    # Scaled by the largest entry first: the square of a large number is infinite, that of a small one is zero.
    largest = np.abs(vectors).max(axis=1, initial=0.0)
    is_sound = np.isfinite(largest) & (largest > 0)
    scaled = vectors / np.where(is_sound, largest, 1.0)[:, None]
    lengths = np.sqrt((np.where(is_sound[:, None], scaled, 1.0) ** 2).sum(axis=1))
    return scaled / np.where(lengths > 0, lengths, 1.0)[:, None], is_sound


def _mean_cosine(units: FloatArray) -> float:
    n = len(units)
    if n < 2:
        return math.nan
    total = units.sum(axis=0)
    return min(1.0, max(-1.0, (float(total @ total) - n) / (n * (n - 1))))


def some_pairs(texts: Sequence[str], seed: int) -> tuple[IntArray, IntArray]:
    """All pairs (first < second) of rows, or so many as are compared, drawn alike in whatever order the texts come."""
    n = len(texts)
    if n * (n - 1) // 2 <= MOST_PAIRS:
        first, second = np.triu_indices(n, 1)
        return first.astype(np.int64), second.astype(np.int64)
    rng = np.random.default_rng(seed)
    one, step = rng.integers(n, size=MOST_PAIRS), rng.integers(1, n, size=MOST_PAIRS)
    sorted_rows = np.array(sorted(range(n), key=texts.__getitem__), dtype=np.int64)
    drawn = sorted_rows[one], sorted_rows[(one + step) % n]
    return np.minimum(*drawn), np.maximum(*drawn)


def _jaccard(grams: Ngrams, first: IntArray, second: IntArray) -> FloatArray:
    """The Jaccard similarity of each pair of texts, ``float64[len(first)]``; every text has an n-gram."""
    from scipy.sparse import csr_array

    n = len(grams.lengths)
    cells = np.unique(grams.texts * max(grams.size, 1) + grams.ids)
    rows, columns = cells // max(grams.size, 1), cells % max(grams.size, 1)
    incidence = csr_array((np.ones(len(cells), dtype=np.int32), (rows, columns)), shape=(n, max(grams.size, 1)))
    sizes = np.bincount(rows, minlength=n)
    similarity = np.empty(len(first))
    for start in range(0, len(first), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        common = incidence[first[chunk]].multiply(incidence[second[chunk]]).sum(axis=1)
        similarity[chunk] = common / (sizes[first[chunk]] + sizes[second[chunk]] - common)
    return similarity
