"""Metrics of tag sequences: entities found, and single tags.

A sample's target is its list of tags. An answer with more or fewer tags than its target is a missing row, never cut to fit.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self

import numpy as np

from harness.errors import MetricError
from harness.metrics.entities import SCHEMES, Scheme, SchemeName
from harness.metrics.labels import checked_weights
from harness.metrics.rows import ratio
from harness.metrics.tagrows import Found, TagRows, coded_rows, tag_rows
from harness.protocols import Metric, Scope
from harness.types import FloatArray, Key, Output, Sample, Scores, Table, Tags

Mode = Literal["default", "strict"]
Average = Literal["micro", "macro", "weighted"]
Sentences = Sequence[Sequence[str]]
Weights = Sequence[float] | None
_TAG = re.compile(r"O|[BIESLU](-.+)?", re.DOTALL)


# ── entities ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, repr=False)
class EntityMetric(Metric):
    """Base of the ratios of entities: a predicted one is right if its place and its type are those of a true one.

    ``mode=default`` reads tags as conlleval does (an I that begins is a B), whatever their scheme; ``mode=strict`` takes only
    what ``scheme`` (BIO = IOB2, IOB1, IOE1, IOE2, BIOES = IOBES, BILOU) calls an entity, and a tag with another prefix makes
    its row missing. ``average`` is over types: ``micro`` is the ratio of the sums, ``macro`` the mean over the types that
    occur, ``weighted`` weighs each with its true entities; inside these two a type with an undefined ratio counts 0. Undefined
    (NaN) where the ratio of the sums is: no entities at all, none predicted (precision), none true (recall). seqeval gives 0
    there and is equal in all else. Rows: a sentence each; 0 to 1, higher is better.
    """

    family: ClassVar[str] = "tagging"
    needs: ClassVar[frozenset[str]] = frozenset({"tags", "target"})
    columns: ClassVar[tuple[str, ...]] = ("tp", "predicted", "true", "row")
    scope: ClassVar[Scope] = "corpus"
    paper: ClassVar[str] = "Tjong Kim Sang and De Meulder 2003, Introduction to the CoNLL-2003 shared task"

    scheme: SchemeName = "BIO"
    mode: Mode = "default"
    average: Average = "micro"
    found: Found | None = field(default=None, repr=False, compare=False, kw_only=True)
    odd_tags: tuple[str, ...] = field(default=(), repr=False, compare=False, kw_only=True)
    n_rows: int = field(default=0, repr=False, compare=False, kw_only=True)

    def __post_init__(self) -> None:
        self.require(self.scheme in SCHEMES, "scheme", f"one of {', '.join(SCHEMES)}")
        self.require(self.mode in ("default", "strict"), "mode", "default or strict")
        self.require(self.average in ("micro", "macro", "weighted"), "average", "micro, macro or weighted")

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """A copy that knows which tags of the targets belong to no scheme: they count as in seqeval, with a warning."""
        series = (sample.target for sample in samples if isinstance(sample.target, list | tuple))
        seen = {tag for tags in series for tag in tags if isinstance(tag, str)}
        return dataclasses.replace(self, odd_tags=tuple(sorted(tag for tag in seen if tag and not _TAG.fullmatch(tag))))

    def warnings(self) -> tuple[str, ...]:
        """That tags of the targets are no tags of a scheme."""
        if not self.odd_tags or self.mode == "strict":
            return ()
        shown = ", ".join(map(repr, self.odd_tags[:5])) + (", …" if len(self.odd_tags) > 5 else "")
        return (f"{self.name}: tags that are neither O nor a prefix and a type (B-person): {shown}; they are counted as "
                "conlleval does; mode=strict leaves their rows out",)

    def value(self, tp: FloatArray, predicted: FloatArray, true: FloatArray) -> FloatArray:
        """The ratio, of any shape; NaN where undefined."""
        raise NotImplementedError(f"{type(self).__name__}.value")

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sentence: right, predicted and true entities, its number. Bound to a copy with the entities themselves."""
        rows = tag_rows(samples, outputs, SCHEMES[self.scheme] if self.mode == "strict" else None)
        return self._scores(rows, len(samples))

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """The average under each row of weights."""
        if self.average == "micro":
            return self.value(*(weights @ stats[:, :3]).T)
        tp, predicted, true = self._sums(stats, weights)
        shares = true if self.average == "weighted" else (predicted + true > 0).astype(np.float64)
        mean = ratio((np.nan_to_num(self.value(tp, predicted, true)) * shares).sum(axis=1), shares.sum(axis=1))
        overall = self.value(tp.sum(axis=1), predicted.sum(axis=1), true.sum(axis=1))
        return np.where(np.isnan(overall), np.nan, mean)

    def rows(self, stats: FloatArray) -> FloatArray:
        """The ratio of every sentence, NaN where one alone has none."""
        return self.value(stats[:, 0], stats[:, 1], stats[:, 2])

    def why_undefined(self, stats: FloatArray) -> str | None:
        _, predicted, true = stats[:, :3].sum(axis=0)
        if not predicted and not true:
            return "there is no entity, neither in the targets nor in the answers"
        if not predicted:
            return "there is no entity in the answers"
        return "there is no entity in the targets" if not true else None

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """``types``: precision, recall, F1 (None where undefined) and counts of each type of entity."""
        if self.found is None:
            return {}
        tp, predicted, true = (sums[0] for sums in self._sums(stats, np.ones((1, len(stats)))))
        ratios = zip(ratio(tp, predicted), ratio(tp, true), ratio(2 * tp, predicted + true))
        rows = [
            (name, *(None if np.isnan(value) else float(value) for value in three), *map(int, counts))
            for name, three, counts in sorted(zip(self.found.types, ratios, zip(tp, predicted, true)))
            if counts[1] + counts[2] > 0
        ]
        return {"types": Table(("type", "precision", "recall", "f1", "right", "predicted", "true"), tuple(rows))}

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        """Every tag a wrong entity and none right; all right. None for averages over types."""
        if self.average != "micro" or not isinstance(sample.target, list | tuple):
            return None
        exact = Output(Key(sample.id), Tags(tuple(sample.target)))
        best = self.score([sample], [exact]).stats[0]
        if np.isnan(best[0]):
            return None
        return np.array([0.0, len(sample.target), best[2], -1.0]), np.array([*best[:3], -1.0])

    def over(self, y_true: Sentences, y_pred: Sentences, sample_weight: Weights) -> float:
        """The value over lists of tags. Raises MetricError for lists that do not fit, and for tags that are none."""
        weights = checked_weights(self.name, y_true, y_pred, sample_weight)
        rows = list_rows(self.name, y_true, y_pred, SCHEMES[self.scheme] if self.mode == "strict" else None)
        scores = self._scores(rows, rows.n)
        return float(scores.bound.aggregate(scores.stats, weights)[0])

    def _scores(self, rows: TagRows, n: int) -> Scores:
        found = rows.found()
        stats = np.full((n, 4), np.nan)
        counts = [np.bincount(of_row, minlength=rows.n) for of_row, _ in found.places()]
        stats[rows.numbers] = np.stack([*counts, np.arange(rows.n)], axis=1)
        return Scores(stats, rows.missing, bound=dataclasses.replace(self, found=found, n_rows=rows.n))

    def _sums(self, stats: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Weighted right, predicted and true entities of each type, ``float64[B, types]`` each."""
        if self.found is None:
            raise MetricError(f"{self.name}: average={self.average} needs the entities: aggregate with Scores.bound")
        row, size = stats[:, 3].astype(np.int64), len(self.found.types)
        sums = np.zeros((3, len(weights), size))
        for b, weight in enumerate(weights):
            of_row = np.bincount(row, weight, minlength=self.n_rows)
            for kind, (rows, types) in enumerate(self.found.places()):
                sums[kind, b] = np.bincount(types, of_row[rows], minlength=size)
        tp, predicted, true = sums
        return tp, predicted, true


@dataclass(frozen=True, repr=False)
class NerF1(EntityMetric):
    """The harmonic mean of the precision and the recall of entities; see EntityMetric. ``seqeval.metrics.f1_score``."""

    name: ClassVar[str] = "ner_f1"
    summary: ClassVar[str] = "F1 of entities, place and type"
    formula: ClassVar[str] = "2 · right / (predicted + true)"
    reference: ClassVar[str] = "seqeval.metrics.f1_score"

    def value(self, tp: FloatArray, predicted: FloatArray, true: FloatArray) -> FloatArray:
        """Twice the right ones over predicted and true ones."""
        return ratio(2 * tp, predicted + true)


@dataclass(frozen=True, repr=False)
class NerPrecision(EntityMetric):
    """The share of the predicted entities that are right; see EntityMetric. ``seqeval.metrics.precision_score``."""

    name: ClassVar[str] = "ner_precision"
    summary: ClassVar[str] = "share of the predicted entities that are right, place and type"
    formula: ClassVar[str] = "right / predicted"
    reference: ClassVar[str] = "seqeval.metrics.precision_score"

    def value(self, tp: FloatArray, predicted: FloatArray, true: FloatArray) -> FloatArray:
        """Right over predicted."""
        return ratio(tp, predicted)


@dataclass(frozen=True, repr=False)
class NerRecall(EntityMetric):
    """The share of the true entities that were found; see EntityMetric. ``seqeval.metrics.recall_score``."""

    name: ClassVar[str] = "ner_recall"
    summary: ClassVar[str] = "share of the true entities that were found, place and type"
    formula: ClassVar[str] = "right / true"
    reference: ClassVar[str] = "seqeval.metrics.recall_score"

    def value(self, tp: FloatArray, predicted: FloatArray, true: FloatArray) -> FloatArray:
        """Right over true."""
        return ratio(tp, true)


# ── single tags ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, repr=False)
class TokenAccuracy(Metric):
    """The share of the tags that are the target's; 0 to 1, higher is better; undefined for no tokens.

    ``seqeval.metrics.accuracy_score``. Rows: a sentence each, and so the interval knows that its tokens hang together.
    """

    name: ClassVar[str] = "token_accuracy"
    family: ClassVar[str] = "tagging"
    summary: ClassVar[str] = "share of the tags that are right"
    needs: ClassVar[frozenset[str]] = frozenset({"tags", "target"})
    columns: ClassVar[tuple[str, ...]] = ("hits", "tokens")
    formula: ClassVar[str] = "right tags / tags"
    reference: ClassVar[str] = "seqeval.metrics.accuracy_score"

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sentence: right tags, tags."""
        rows = tag_rows(samples, outputs, None)
        stats = np.full((len(samples), 2), np.nan)
        stats[rows.numbers] = np.stack([rows.hits(), rows.lengths], axis=1)
        return Scores(stats, rows.missing)

    def finish(self, totals: FloatArray) -> FloatArray:
        """Hits over tokens."""
        return ratio(totals[..., 0], totals[..., 1])

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        """All wrong and all right."""
        if not isinstance(sample.target, list | tuple):
            return None
        n = float(len(sample.target))
        return np.array([0.0, n]), np.array([n, n])


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────
#
# ``y_true`` and ``y_pred`` are lists of lists of tags; a weight is a sentence's. All give NaN where undefined and raise
# MetricError for lists that do not fit and for tags that are none, or none of the scheme's.


def ner_f1(
    y_true: Sentences, y_pred: Sentences, *, scheme: SchemeName = "BIO", mode: Mode = "default", average: Average = "micro",
    sample_weight: Weights = None,
) -> float:
    """F1 of entities; see NerF1.

    >>> ner_f1([["B-person", "I-person", "O", "B-place"]], [["B-person", "I-person", "O", "O"]])
    0.6666666666666666
    """
    return NerF1(scheme, mode, average).over(y_true, y_pred, sample_weight)


def ner_precision(
    y_true: Sentences, y_pred: Sentences, *, scheme: SchemeName = "BIO", mode: Mode = "default", average: Average = "micro",
    sample_weight: Weights = None,
) -> float:
    """The share of the predicted entities that are right.

    >>> ner_precision([["B-person", "I-person", "O", "B-place"]], [["B-person", "I-person", "O", "O"]])
    1.0
    """
    return NerPrecision(scheme, mode, average).over(y_true, y_pred, sample_weight)


def ner_recall(
    y_true: Sentences, y_pred: Sentences, *, scheme: SchemeName = "BIO", mode: Mode = "default", average: Average = "micro",
    sample_weight: Weights = None,
) -> float:
    """The share of the true entities that were found.

    >>> ner_recall([["B-person", "I-person", "O", "B-place"]], [["B-person", "I-person", "O", "O"]])
    0.5
    """
    return NerRecall(scheme, mode, average).over(y_true, y_pred, sample_weight)


def token_accuracy(y_true: Sentences, y_pred: Sentences, *, sample_weight: Weights = None) -> float:
    """The share of the tags that are right.

    >>> token_accuracy([["B-person", "O"], ["O", "O"]], [["B-person", "O"], ["O", "B-place"]])
    0.75
    """
    metric = TokenAccuracy()
    weights = checked_weights(metric.name, y_true, y_pred, sample_weight)
    rows = list_rows(metric.name, y_true, y_pred, None)
    return float(metric.aggregate(np.stack([rows.hits(), rows.lengths], axis=1), weights)[0])


def list_rows(name: str, y_true: Sentences, y_pred: Sentences, scheme: Scheme | None) -> TagRows:
    """Equally many lists of tags as rows. Raises MetricError for lists that do not fit, and tags that cannot be scored."""
    if any(isinstance(tags, str) for tags in (*y_true, *y_pred)):
        raise MetricError(f"{name}: every row must be a list of tags, got a text")
    lengths = [list(map(len, side)) for side in (y_true, y_pred)]
    if lengths[0] != lengths[1]:
        row = next(row for row, (one, other) in enumerate(zip(*lengths)) if one != other)
        raise MetricError(f"{name}: every row must have one tag a token, got {lengths[1][row]} tags for {lengths[0][row]} "
                          f"tokens in row {row}")
    rows = coded_rows(y_true, y_pred, scheme, range(len(y_true)), {})
    for row, reason in rows.missing.items():
        raise MetricError(f"{name}: every row must have one tag a token, got in row {row}: {reason}")
    return rows
