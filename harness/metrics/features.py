"""Measures of generated images from what extractors say of them: inception score, perceptual path length, CLIP score."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from harness.errors import MetricError
from harness.metrics.embeddingpairs import MeanOfRows, pair_of
from harness.metrics.pooled import PooledMetric
from harness.metrics.rows import Row, scores_of, wrong_kind
from harness.metrics.tokenize import IntArray
from harness.metrics.vectors import cosines, matrix, same_width, target_vector
from harness.protocols import Backend, Metric
from harness.types import Embed, FloatArray, Label, Output, Sample, Scores, Text

_FAMILY = "features"

# ── inception score ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, repr=False)
class InceptionScore(PooledMetric):
    """exp of the mean KL divergence of the class probabilities of an image from their mean; 1 to the number of classes.

    Higher is better: each image is clearly of one class, all classes occur. With ``splits`` it is the mean of the scores of as
    many consecutive parts (papers take 10 of 50,000 images; that depends on the order). Undefined for fewer images than splits.
    Labels that an answer does not name have probability 0. Equals torch-fidelity's for the same order.
    """

    name: ClassVar[str] = "inception_score"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "how clear and how varied the classes of generated images are"
    needs: ClassVar[frozenset[str]] = frozenset({"probabilities"})
    bounds: ClassVar[tuple[float | None, float | None]] = (1.0, None)
    formula: ClassVar[str] = "exp mean_i KL(p(y | x_i) | mean p(y))"
    reference: ClassVar[str] = "torch_fidelity.metric_isc.isc_features_to_metric(shuffle=False)"
    paper: ClassVar[str] = "Salimans et al. 2016, Improved Techniques for Training GANs, NeurIPS"

    splits: int = 1

    def __post_init__(self) -> None:
        self.require(self.splits >= 1, "splits", "a positive integer")

    def gather(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[FloatArray, Mapping[int, str]]:
        """``float64[m, classes]``."""
        missing: dict[int, str] = {}
        given: list[Mapping[str, float]] = []
        for row, output in enumerate(outputs):
            if not isinstance(output.answer, Label):
                missing[row] = wrong_kind(output, "Label")
            elif output.answer.probabilities is None:
                missing[row] = "the answer has no probabilities"
            elif _fault(list(output.answer.probabilities.values())):
                missing[row] = "the probabilities must be finite, not negative and sum to 1"
            else:
                given.append(output.answer.probabilities)
        labels = sorted(set().union(*given))
        rows = [[probabilities.get(label, 0.0) for label in labels] for probabilities in given]
        return np.array(rows, dtype=np.float64).reshape(len(given), len(labels)), missing

    def of_rows(self, rows: IntArray) -> float:
        p, n = self.pool[rows], len(rows)
        if n < self.splits:
            return float("nan")
        parts = [p[n * part // self.splits : n * (part + 1) // self.splits] for part in range(self.splits)]
        return float(np.mean([_score(part) for part in parts]))


def _fault(values: list[float]) -> bool:
    return not (all(0 <= value < np.inf for value in values) and abs(sum(values) - 1) <= 1e-3)


def _score(probabilities: FloatArray) -> float:
    """Of one part, which has at least one row."""
    mean = probabilities.mean(axis=0)
    own = _logs(probabilities)
    return float(np.exp((probabilities * (own - _logs(mean))).sum(axis=1).mean()))


def _logs(values: FloatArray) -> FloatArray:
    return np.asarray(np.log(values, out=np.zeros_like(values), where=values > 0))


def inception_score(probabilities: Any, *, splits: int = 1) -> float:
    """Inception score of ``(n, classes)`` probabilities; NaN for fewer rows than splits.

    >>> round(inception_score([[1.0, 0.0], [0.0, 1.0]]), 12)
    2.0

    Raises MetricError for rows that are no distributions.
    """
    rows = matrix("inception_score", "probabilities", probabilities)
    if (rows < 0).any() or (np.abs(rows.sum(axis=1) - 1) > 1e-3).any():
        raise MetricError("inception_score: probabilities must not be negative and must sum to 1 in every row")
    return InceptionScore(splits, pool=rows).of_rows(np.arange(len(rows)))


# ── perceptual path length ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, repr=False)
class PathLength(Metric):
    """Mean of |f(t) - f(t + ε)|² / ε² over the two feature vectors of each answer, of two images ε apart in the latent space.

    0 upwards, lower is smoother. Of the n lengths those below the one at rank ⌊lower · (n - 1)⌋ and above that at rank
    ⌊upper · (n - 1)⌋ are left out, as in StyleGAN and torchmetrics (``lower=0, upper=1``: none). Undefined for no rows.
    """

    name: ClassVar[str] = "ppl_path"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "perceptual path length over pairs of feature vectors"
    needs: ClassVar[frozenset[str]] = frozenset({"vectors"})
    higher_is_better: ClassVar[bool | None] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    columns: ClassVar[tuple[str, ...]] = ("length",)
    formula: ClassVar[str] = "trimmed mean |f(t) - f(t + ε)|² / ε²"
    reference: ClassVar[str] = "torchmetrics.functional.image.perceptual_path_length (with given distances)"
    paper: ClassVar[str] = "Karras, Laine and Aila 2019, A Style-Based Generator Architecture for GANs, CVPR"

    epsilon: float = 1e-4
    lower: float = 0.01
    upper: float = 0.99

    def __post_init__(self) -> None:
        self.require(self.epsilon > 0, "epsilon", "a number > 0")
        self.require(0 <= self.lower <= 1, "lower", "between 0 and 1")
        self.require(self.lower <= self.upper <= 1, "upper", "between lower and 1")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: the squared length over ε²."""
        found = [pair_of(sample, output) for sample, output in zip(samples, outputs, strict=True)]
        return scores_of((pair if isinstance(pair, str) else self._row(pair) for pair in found), 1)

    def lengths(self, first: FloatArray, second: FloatArray) -> FloatArray:
        """``float64[n]`` for n rows a side."""
        with np.errstate(over="ignore"):
            return np.asarray(((first - second) ** 2).sum(axis=1) / self.epsilon**2)

    def _row(self, pair: FloatArray) -> Row:
        length = float(self.lengths(pair[:1], pair[1:])[0])
        return (length,) if np.isfinite(length) else "the squared length is beyond float64"

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """Trimmed means under each row of weights; sorts once."""
        if not len(stats):
            return np.full(len(weights), np.nan)
        order = np.argsort(stats[:, 0], kind="stable")
        lengths = stats[order, 0]
        reached = np.cumsum(weights[:, order], axis=1)
        ends = [_at_rank(lengths, reached, share) for share in (self.lower, self.upper)]
        kept = weights[:, order] * ((lengths >= ends[0][:, None]) & (lengths <= ends[1][:, None]))
        total = kept.sum(axis=1)
        return np.asarray(np.divide(kept @ lengths, total, out=np.full_like(total, np.nan), where=total > 0))


def _at_rank(ascending: FloatArray, reached: FloatArray, share: float) -> FloatArray:
    """The number at rank ⌊share · (weight - 1)⌋ from 0 under each row of cumulated weights."""
    rank = np.floor(share * np.maximum(reached[:, -1] - 1, 0) + 1e-9)
    index = (reached <= rank[:, None] + 1e-9).sum(axis=1)
    return np.asarray(ascending[np.minimum(index, len(ascending) - 1)])


def ppl_path(first: Any, second: Any, *, epsilon: float = 1e-4, lower: float = 0.01, upper: float = 0.99) -> float:
    """Perceptual path length over two ``(n, d)`` arrays of features; NaN for no rows.

    >>> round(ppl_path([[0.0], [0.0]], [[1.0], [3.0]], epsilon=1.0, lower=0.0, upper=1.0), 12)
    5.0

    Raises MetricError for arrays of different shapes.
    """
    metric = PathLength(epsilon, lower, upper)
    sides = matrix("ppl_path", "first", first), matrix("ppl_path", "second", second)
    same_width("ppl_path", *sides)
    if len(sides[0]) != len(sides[1]):
        raise MetricError(f"ppl_path: both sides must have equally many vectors, got {len(sides[0])} and {len(sides[1])}")
    lengths = metric.lengths(*sides)[:, None]
    if not np.isfinite(lengths).all():
        raise MetricError(f"ppl_path: the squared length is beyond float64: pair {int(np.argmin(np.isfinite(lengths)))}")
    return float(metric.aggregate(lengths, np.ones((1, len(lengths))))[0])


# ── CLIP score ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, repr=False)
class ClipScore(MeanOfRows):
    """``scale`` · max(0, cosine) of the embeddings of an image and its text, the mean over samples; higher is better.

    Without ``model`` the answers hold the vectors: both, or one, and the target the other. With a ``model`` (the text side of a
    CLIP as sentence encoder) the answer is the text, embedded by it, and the target the vector of the image. ``scale`` is 100
    as in torchmetrics; the paper takes 2.5. A sample with a vector of length 0 is missing; undefined for no rows.
    """

    name: ClassVar[str] = "clip_score"
    family: ClassVar[str] = _FAMILY
    summary: ClassVar[str] = "how well texts and images fit each other, by the cosine of their embeddings"
    needs: ClassVar[frozenset[str]] = frozenset({"vectors|text"})
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, 100.0)
    formula: ClassVar[str] = "scale · mean max(0, cos(image, text))"
    reference: ClassVar[str] = "torchmetrics.functional.multimodal.clip_score on the same embeddings (each at least 0)"
    paper: ClassVar[str] = "Hessel et al. 2021, CLIPScore, EMNLP"

    model: str | None = None
    scale: float = 100.0
    encoder: Any = field(default=None, repr=False, compare=False, kw_only=True)

    def __post_init__(self) -> None:
        self.require(self.scale > 0, "scale", "a number > 0")
        object.__setattr__(self, "bounds", (0.0, float(self.scale)))

    def needs_roles(self) -> Mapping[str, type]:
        return {} if self.model is None else {self.model: Embed}

    def open(self, roles: Mapping[str, Backend]) -> ClipScore:
        return self if self.model is None else dataclasses.replace(self, encoder=roles[self.model])

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: its score, 1."""
        if self.model is None:
            return super().score(samples, outputs)
        if self.encoder is None:
            raise MetricError(f"clip_score: open() it with the model {self.model!r} first")
        texts = [output.answer.text for output in outputs if isinstance(output.answer, Text)]
        vectors = iter(np.asarray(self.encoder.encode(texts), dtype=np.float64))
        rows = (self._text_row(s, o, next(vectors) if isinstance(o.answer, Text) else None) for s, o in zip(samples, outputs))
        return scores_of((row if isinstance(row, str) else (row, 1.0) for row in rows), 2)

    def _text_row(self, sample: Sample, output: Output, vector: FloatArray | None) -> float | str:
        if vector is None:
            return wrong_kind(output, "Text")
        target = target_vector(sample)
        if isinstance(target, str):
            return target
        if target.shape != vector.shape:
            return f"the model's vectors have {len(vector)} numbers, the target {len(target)}"
        return self._scaled(vector, target)

    def row(self, sample: Sample, output: Output) -> float | str:
        pair = pair_of(sample, output)
        return pair if isinstance(pair, str) else self._scaled(pair[0], pair[1])

    def _scaled(self, first: FloatArray, second: FloatArray) -> float | str:
        value = float(cosines(first, second))
        return "a vector has length 0: no cosine" if np.isnan(value) else self.scale * max(value, 0.0)


def clip_score(images: Any, texts: Any, *, scale: float = 100.0) -> float:
    """CLIP score of two ``(n, d)`` arrays of embeddings; NaN for no rows, rows with a vector of length 0 left out.

    >>> clip_score([[1.0, 0.0], [1.0, 0.0]], [[2.0, 0.0], [-1.0, 0.0]])
    50.0

    Raises MetricError for arrays of different shapes.
    """
    sides = matrix("clip_score", "images", images), matrix("clip_score", "texts", texts)
    if sides[0].shape != sides[1].shape:
        raise MetricError(f"clip_score: images and texts must have one shape, got {sides[0].shape} and {sides[1].shape}")
    values = cosines(*sides)
    there = np.maximum(values[~np.isnan(values)], 0)
    return float(ClipScore(scale=scale).scale * there.mean()) if len(there) else float("nan")
