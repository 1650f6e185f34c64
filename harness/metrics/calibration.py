"""Whether probabilities mean what they say: calibration errors over bins of confidences, and the reliability curve."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from harness.metrics.confidences import ConfidenceMetric, confidences
from harness.metrics.labels import LabelList, Weights, label_facts, named_labels, true_label, unknown_target
from harness.metrics.proper import probability_table, sound_probabilities
from harness.metrics.rows import Row, ratio, scores_of
from harness.protocols import Interval, Metric
from harness.types import FloatArray, Output, Sample, Scores, Table

Scheme = Literal["uniform", "quantile"]


# ── bins ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Bins:
    """Weight, summed confidence and summed events of every bin under each of B weightings, ``float64[B, bins]`` each."""

    weight: FloatArray
    confidence: FloatArray
    events: FloatArray

    @property
    def gaps(self) -> FloatArray:
        """|share of events - mean confidence| of every bin; NaN for an empty one."""
        return np.abs(ratio(self.events, self.weight) - ratio(self.confidence, self.weight))


def binned(stats: FloatArray, weights: FloatArray, n_bins: int, scheme: Scheme) -> Bins:
    """Rows ``float64[n, 2]`` (confidence, event) in bins.

    ``uniform``: ``n_bins`` bins of equal width on [0, 1]. ``quantile``: the edges are the quantiles of the confidences (the
    lowest confidence with at least that share of the weight at or below it). A bin holds its upper edge and not its lower one;
    the first one holds 0 too. Equal confidences are always in one bin, so that bins may be empty.
    """
    confidence, events = stats[:, 0], stats[:, 1]
    if scheme == "uniform":
        code = np.searchsorted(np.linspace(0, 1, n_bins + 1)[1:-1], confidence, side="left")
        parts = [_sums(code, row, confidence, events, n_bins) for row in weights]
    else:
        order = np.argsort(confidence, kind="stable")
        parts = []
        for row in weights:
            code = np.searchsorted(_quantiles(confidence[order], row[order], n_bins), confidence, side="left")
            parts.append(_sums(code, row, confidence, events, n_bins))
    table = np.array(parts, dtype=np.float64).reshape(len(weights), 3, n_bins)
    return Bins(table[:, 0], table[:, 1], table[:, 2])


def _sums(
    code: NDArray[np.intp], weights: FloatArray, confidence: FloatArray, events: FloatArray, n_bins: int
) -> list[FloatArray]:
    sums = (np.bincount(code, values, minlength=n_bins) for values in (weights, weights * confidence, weights * events))
    return [np.asarray(each, dtype=np.float64) for each in sums]


def _quantiles(ordered: FloatArray, weights: FloatArray, n_bins: int) -> FloatArray:
    """The inner edges of bins of equal weight."""
    if not len(ordered):
        return np.zeros(0)
    running = np.cumsum(weights)
    at = np.searchsorted(running, np.arange(1, n_bins) / n_bins * running[-1] * (1 - 1e-12))
    edges: FloatArray = ordered[np.minimum(at, len(ordered) - 1)]
    return edges


@dataclass(frozen=True, repr=False)
class BinnedMetric(ConfidenceMetric):
    """Base of the metrics of confidences in bins: ``bins`` of them, ``uniform`` or ``quantile`` (see :func:`binned`).

    Intervals come from halves: rows that are drawn twice widen the gaps of bins, and bootstrap replicates lie above the value.
    """

    interval: ClassVar[Interval] = "subsample"

    bins: int = 15
    scheme: Scheme = "uniform"

    def __post_init__(self) -> None:
        self.require(self.bins >= 1, "bins", "a positive integer")
        self.require(self.scheme in ("uniform", "quantile"), "scheme", "one of uniform, quantile")

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """Values under each row of weights."""
        return self.of_bins(binned(stats, weights, self.bins, self.scheme))

    def of_bins(self, bins: Bins) -> FloatArray:
        """``float64[B]`` from the bins: by default the mean gap, weighed by the rows of each bin."""
        return ratio(np.abs(bins.events - bins.confidence).sum(axis=1), bins.weight.sum(axis=1))


@dataclass(frozen=True, repr=False)
class Ece(BinnedMetric):
    """Expected calibration error: the gap between confidence and share of events in a bin, averaged over the rows.

    0 to 1, lower is better, 0 is perfect calibration (to the bins: constant confidences equal to the base rate have 0 too).
    Undefined for no rows. Which probability is the confidence: see ConfidenceMetric; bins, edges and ties: see :func:`binned`.
    Bins are those of ``sklearn.calibration.calibration_curve``.
    """

    name: ClassVar[str] = "ece"
    summary: ClassVar[str] = "expected calibration error: mean gap between confidence and what came true"
    formula: ClassVar[str] = "Σ n_b / n · |events_b / n_b - mean confidence_b|"
    reference: ClassVar[str] = "hand-worked; bins of sklearn.calibration.calibration_curve"
    paper: ClassVar[str] = "Naeini et al. 2015; Guo et al. 2017, On calibration of modern neural networks"


@dataclass(frozen=True, repr=False)
class Mce(BinnedMetric):
    """Maximum calibration error: the largest gap of any bin that has rows. Range, parameters and undefined values as of Ece.

    It grows with the number of bins, as small bins stray. So do the bins of halves: the interval is wider than it need be, by
    about a half with 200 rows and a sixth with 1,000 (15 bins); fewer bins, or ``scheme=quantile``, help.
    """

    name: ClassVar[str] = "mce"
    summary: ClassVar[str] = "maximum calibration error: largest gap of a bin"
    formula: ClassVar[str] = "max |events_b / n_b - mean confidence_b|"
    reference: ClassVar[str] = "hand-worked; bins of sklearn.calibration.calibration_curve"
    paper: ClassVar[str] = "Naeini et al. 2015, Obtaining well calibrated probabilities using Bayesian binning"

    def of_bins(self, bins: Bins) -> FloatArray:
        gaps = np.where(bins.weight > 0, bins.gaps, -1.0).max(axis=1, initial=-1.0)
        return np.where(gaps < 0, np.nan, gaps)


@dataclass(frozen=True, repr=False)
class ReliabilityCurve(BinnedMetric):
    """The reliability curve (calibration curve), as the table ``reliability_curve``; its headline value is the Ece.

    A row a bin that has rows: from (not in it, but for 0), to, rows, mean confidence, share of events, gap.
    ``sklearn.calibration.calibration_curve`` has the same means and shares (``quantile``: where the bins divide the rows
    evenly).
    """

    name: ClassVar[str] = "reliability_curve"
    summary: ClassVar[str] = "confidence against what came true, by bins; its value is the expected calibration error"
    formula: ClassVar[str] = "(mean confidence_b, events_b / n_b)"
    reference: ClassVar[str] = "sklearn.calibration.calibration_curve"
    paper: ClassVar[str] = "Murphy and Winkler 1977, Reliability of subjective probability forecasts"

    bins: int = 10

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """``reliability_curve``: from, to, rows, confidence, events, gap."""
        ones = np.ones((1, len(stats)))
        bins = binned(stats, ones, self.bins, self.scheme)
        if self.scheme == "uniform":
            inner = np.linspace(0, 1, self.bins + 1)[1:-1]
        else:
            inner = _quantiles(np.sort(stats[:, 0]), ones[0], self.bins)
        edges = np.concatenate([[0.0], inner, [1.0]])
        rows = [
            (float(edges[b]), float(edges[b + 1]), int(n), float(c / n), float(e / n), float(abs(e - c) / n))
            for b, (n, c, e) in enumerate(zip(bins.weight[0], bins.confidence[0], bins.events[0])) if n > 0
        ]  # fmt: skip
        return {"reliability_curve": Table(("from", "to", "rows", "confidence", "events", "gap"), tuple(rows))}


# ── several classes at once ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, repr=False)
class Ace(Metric):
    """Adaptive calibration error: the gap of a bin, averaged over bins of equal weight and over all labels.

    0 to 1, lower is better. For each label the rows are put into ``bins`` bins of equal weight by its probability (edges and
    ties as in :func:`binned`, quantile); the gaps of all bins that have rows count alike (Nixon et al. 2019). With two labels
    both would have the same gaps: the one that sorts last counts. Labels, and rows that are missing, as of ConfidenceMetric;
    where the samples do not share their choices all answers are needed at once (scope ``corpus``), as there is a column a
    label. Undefined for no rows.
    """

    name: ClassVar[str] = "ace"
    family: ClassVar[str] = "calibration"
    summary: ClassVar[str] = "adaptive calibration error: mean gap over bins of equal weight and labels"
    needs: ClassVar[frozenset[str]] = frozenset({"target", "probabilities"})
    columns: ClassVar[tuple[str, ...]] = ("target",)
    higher_is_better: ClassVar[bool | None] = False
    interval: ClassVar[Interval] = "subsample"
    formula: ClassVar[str] = "mean over labels and bins of |events_b / n_b - mean probability_b|"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = "Nixon et al. 2019, Measuring calibration in deep learning"

    bins: int = 15
    labels: tuple[str, ...] = field(default=(), repr=False, kw_only=True)
    is_open: bool = field(default=False, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        self.require(self.bins >= 1, "bins", "a positive integer")
        object.__setattr__(self, "scope", "corpus" if self.is_open else "sample")
        object.__setattr__(self, "columns", ("target", *(f"p[{label}]" for label in self._watched())))

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """A copy that knows the label set."""
        facts = label_facts(samples)
        return dataclasses.replace(self, labels=facts.labels, is_open=facts.is_open)

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row a sample: code of the target, a probability a label."""
        whole = dataclasses.replace(self, labels=named_labels(self.labels, outputs)) if self.is_open else self
        scores = scores_of((whole._row(s, o) for s, o in zip(samples, outputs, strict=True)), len(whole.columns))
        return dataclasses.replace(scores, bound=whole if self.is_open else None)

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        """The mean gap under each row of weights."""
        gaps = [np.zeros((len(weights), 0))]
        for label, column in zip(self._watched(), stats[:, 1:].T):
            events = stats[:, 0] == self.labels.index(label)
            gaps.append(binned(np.column_stack([column, events]), weights, self.bins, "quantile").gaps)
        table = np.concatenate(gaps, axis=1)
        return ratio(np.nansum(table, axis=1), (~np.isnan(table)).sum(axis=1))

    def _watched(self) -> tuple[str, ...]:
        return self.labels[1:] if len(self.labels) == 2 else self.labels

    def _row(self, sample: Sample, output: Output) -> Row:
        probabilities, target = sound_probabilities(sample, output, is_open=self.is_open), true_label(sample)
        if isinstance(probabilities, str) or target is None:
            return str(probabilities)
        if target not in self.labels:
            raise unknown_target(self, target)
        return float(self.labels.index(target)), *(probabilities.get(label, 0.0) for label in self._watched())


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def ece(
    y_true: LabelList, y_proba: Any, *, bins: int = 15, scheme: Scheme = "uniform", labels: LabelList | None = None,
    sample_weight: Weights = None,
) -> float:
    """The expected calibration error; see Ece, and ``proper.brier`` for the arguments.

    >>> round(ece([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3], bins=2), 12)
    0.175
    """
    return _of_bins(Ece(bins, scheme), y_true, y_proba, labels, sample_weight)


def mce(
    y_true: LabelList, y_proba: Any, *, bins: int = 15, scheme: Scheme = "uniform", labels: LabelList | None = None,
    sample_weight: Weights = None,
) -> float:
    """The maximum calibration error; see Mce.

    >>> round(mce([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3], bins=2), 12)
    0.2
    """
    return _of_bins(Mce(bins, scheme), y_true, y_proba, labels, sample_weight)


def ace(
    y_true: LabelList, y_proba: Any, *, bins: int = 15, labels: LabelList | None = None, sample_weight: Weights = None
) -> float:
    """The adaptive calibration error; see Ace.

    >>> round(ace([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3], bins=2), 12)
    0.175
    """
    codes, table, weights = probability_table("ace", y_true, y_proba, labels, sample_weight)
    metric = Ace(bins, labels=tuple(f"{number:09}" for number in range(table.shape[1])))
    stats = np.column_stack([np.array(codes, dtype=np.float64), table[:, 1:] if table.shape[1] == 2 else table])
    return float(metric.aggregate(stats, weights)[0])


def reliability_curve(
    y_true: LabelList, y_proba: Any, *, bins: int = 10, scheme: Scheme = "uniform", labels: LabelList | None = None,
    sample_weight: Weights = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Share of events, mean confidence and weight of every bin that has rows; see ReliabilityCurve.

    >>> [column.round(2).tolist() for column in reliability_curve([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3], bins=2)]
    [[0.0, 1.0], [0.2, 0.85], [2.0, 2.0]]
    """
    metric = ReliabilityCurve(bins, scheme)
    stats, weights = confidences(metric.name, y_true, y_proba, labels, sample_weight)
    found = binned(stats, weights, metric.bins, metric.scheme)
    there = found.weight[0] > 0
    weight = found.weight[0][there]
    return found.events[0][there] / weight, found.confidence[0][there] / weight, weight


def _of_bins(metric: BinnedMetric, y_true: LabelList, y_proba: Any, labels: LabelList | None, weight: Weights) -> float:
    stats, weights = confidences(metric.name, y_true, y_proba, labels, weight)
    return float(metric.aggregate(stats, weights)[0])
