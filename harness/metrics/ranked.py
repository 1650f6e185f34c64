"""What credit scoring asks of a score: KS, gains and lift, concordance of pairs, a grade of the AUC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.metrics.curves import MOST_POINTS, corners_of, curve_table, evenly_along
from harness.metrics.labels import LabelList, Weights
from harness.metrics.pairs import pair_sums
from harness.metrics.probabilities import RocAuc
from harness.metrics.rows import ratio
from harness.metrics.scores import BinaryScoreMetric, BoolArray, Sweep, Values, coded_scores, evaluate_scores
from harness.protocols import Interval
from harness.types import FloatArray, Table

GRADES: tuple[tuple[str, float, str], ...] = (
    ("A", 0.9, "excellent"), ("B", 0.8, "good"), ("C", 0.7, "fair"), ("D", 0.6, "poor"), ("F", 0.0, "fail"),
)
"""Grade, the lowest AUC that has it, and what it is called: the academic point system."""


@dataclass(frozen=True, repr=False)
class Ks(BinaryScoreMetric):
    """The Kolmogorov-Smirnov statistic of the scores of positives and negatives: the largest gap between their distributions.

    0 to 1, higher is better: how far the best threshold separates the classes, whichever of them scores higher. Undefined
    unless both classes have rows. ``scipy.stats.ks_2samp(...).statistic``. Tables: ``ks`` (statistic, threshold: rows that
    score at least so much are taken; of several the highest) and ``ks_curve`` (threshold, share of the negatives and of the
    positives taken; nothing at first). The interval comes from halves: rows that are drawn twice widen the largest gap.
    """

    name: ClassVar[str] = "ks"
    summary: ClassVar[str] = "Kolmogorov-Smirnov statistic: largest gap between the score distributions of the classes"
    interval: ClassVar[Interval] = "subsample"
    formula: ClassVar[str] = "max |TPR(t) - FPR(t)| over thresholds t"
    reference: ClassVar[str] = "scipy.stats.ks_2samp"
    paper: ClassVar[str] = "Smirnov 1939"

    def binary(self, scores: FloatArray, is_positive: BoolArray) -> Values:
        """The statistic as a function of the weights."""
        return Sweep.of(scores, is_positive).values(lambda ups, downs: _gaps(ups, downs).max(axis=1))

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """``ks`` and ``ks_curve``."""
        scores, is_positive = self.split(stats)
        if not is_positive.any() or is_positive.all():
            return {}
        sweep = Sweep.of(scores, is_positive)
        ups, downs = sweep.counts(np.ones((1, len(scores))))
        gaps = _gaps(ups, downs)[0]
        best = int(gaps.argmax())
        shares = (np.append(0.0, counts[0]) / counts[0, -1] for counts in (downs, ups))
        return {
            "ks": Table(("statistic", "threshold"), ((float(gaps[best]), float(sweep.thresholds[best])),)),
            **curve_table("ks_curve", ("threshold", "negatives", "positives"), (np.append(np.inf, sweep.thresholds), *shares)),
        }


def _gaps(positives: FloatArray, negatives: FloatArray) -> FloatArray:
    return np.abs(positives / positives[:, -1:] - negatives / negatives[:, -1:])


@dataclass(frozen=True, repr=False)
class GainLift(BinaryScoreMetric):
    """Gains and lift: how many of the positives are among the best-scoring rows. The headline value is the lift of the top bin.

    Rows are ranked by score and cut into ``bins`` bins of equal weight. The gain of a share of the rows is the share of the
    positives among them; lift is the rate of positives in a bin over the rate in all rows: 1 by chance, higher is better, at
    most min(bins, 1 / share of positives). Rows of equal score are taken in proportion, as if in every order at once. Undefined
    without positives. Tables: ``gain_lift`` (a row a bin, best first; ``lowest_score`` is the score at its end) and
    ``gain_curve``.
    """

    name: ClassVar[str] = "gain_lift"
    summary: ClassVar[str] = "gains and lift by bins of the score; its value is the lift of the top bin"
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    formula: ClassVar[str] = "(positives in the top bin / its rows) / (positives / rows)"
    reference: ClassVar[str] = "hand-worked"
    paper: ClassVar[str] = "Ling and Li 1998, Data mining for direct marketing"

    bins: int = 10

    def __post_init__(self) -> None:
        self.require(self.bins >= 2, "bins", "an integer of at least 2")
        object.__setattr__(self, "bounds", (0.0, float(self.bins)))
        super().__post_init__()

    def binary(self, scores: FloatArray, is_positive: BoolArray) -> Values:
        """The lift of the top bin as a function of the weights."""
        return Sweep.of(scores, is_positive).values(self._top_lift, needs_negatives=False)

    def _top_lift(self, positives: FloatArray, negatives: FloatArray) -> FloatArray:
        pairs = zip(positives, negatives)
        return np.array([self.bins * _gain_at(up, down, np.array([1 / self.bins]))[0] for up, down in pairs])

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """``gain_lift`` and ``gain_curve``."""
        scores, is_positive = self.split(stats)
        if not is_positive.any():
            return {}
        sweep = Sweep.of(scores, is_positive)
        ups, downs = (counts[0] for counts in sweep.counts(np.ones((1, len(scores)))))
        return {"gain_lift": self._bins(sweep.thresholds, ups, downs), **_gain_curve(ups, downs)}

    def _bins(self, thresholds: FloatArray, ups: FloatArray, downs: FloatArray) -> Table:
        ends = np.arange(1, self.bins + 1) / self.bins
        gain = _gain_at(ups, downs, ends)
        share, n, n_up = np.diff(gain, prepend=0.0), len(ends), float(ups[-1])
        rows = float(ups[-1] + downs[-1]) / n
        at = np.searchsorted((ups + downs) / (ups + downs)[-1], ends * (1 - 1e-12))
        columns = ("bin", "lowest_score", "rows", "positives", "rate", "lift", "cumulative_rows", "cumulative_gain",
                   "cumulative_lift")  # fmt: skip
        table = np.column_stack([
            thresholds[at], np.full(n, rows), share * n_up, share * n_up / rows, share * n, ends, gain, gain / ends,
        ])  # fmt: skip
        return Table(columns, tuple((number, *row) for number, row in enumerate(table.tolist(), start=1)))


def _gain_at(positives: FloatArray, negatives: FloatArray, shares: FloatArray) -> FloatArray:
    """The share of the positives in the best-scoring ``shares`` of the rows; straight lines inside rows of equal score."""
    rows = positives + negatives
    found: FloatArray = np.interp(shares * rows[-1], np.append(0.0, rows), np.append(0.0, positives)) / positives[-1]
    return found


def _gain_curve(ups: FloatArray, downs: FloatArray) -> dict[str, Table]:
    rows, gain = np.append(0.0, (ups + downs) / (ups + downs)[-1]), np.append(0.0, ups / ups[-1])
    corners = corners_of(rows, gain)
    kept = corners[evenly_along(rows[corners], gain[corners], MOST_POINTS)]
    tables = {"gain_curve": Table(("rows", "gain"), tuple(zip(rows[kept].tolist(), gain[kept].tolist())))}
    if len(kept) < len(corners):
        tables["shown"] = Table(("table", "points", "shown"), (("gain_curve", len(corners), len(kept)),))
    return tables


@dataclass(frozen=True, repr=False)
class Concordance(BinaryScoreMetric):
    """Of all pairs of a positive and a negative, the share that is concordant: the positive scores higher.

    0 to 1, higher is better. The table ``concordance`` has the pairs and the shares that are concordant, discordant and tied;
    concordant + ½ tied is the AUC. Undefined unless both classes have rows. O(n log n).
    """

    name: ClassVar[str] = "concordance"
    summary: ClassVar[str] = "share of the pairs of a positive and a negative in which the positive scores higher"
    formula: ClassVar[str] = "pairs with s(positive) > s(negative) / all pairs"
    reference: ClassVar[str] = "brute force"
    paper: ClassVar[str] = "Harrell et al. 1982, Evaluating the yield of medical tests"

    def binary(self, scores: FloatArray, is_positive: BoolArray) -> Values:
        """The share as a function of the weights."""
        pairs = pair_sums(scores, is_positive, ~is_positive)

        def of(weights: FloatArray) -> FloatArray:
            sums = pairs.sums(weights)
            return np.minimum(ratio(sums.above, sums.total), 1.0)

        return of

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """``concordance``: pairs, concordant, discordant, tied."""
        scores, is_positive = self.split(stats)
        found = _shares(scores, is_positive, np.ones((1, len(scores))))
        return {} if found is None else {"concordance": Table(tuple(found), (tuple(found.values()),))}


def _shares(scores: FloatArray, is_positive: BoolArray, weights: FloatArray) -> dict[str, float] | None:
    sums = pair_sums(scores, is_positive, ~is_positive).sums(weights)
    total, above, tied = float(sums.total[0]), float(sums.above[0]), float(sums.tied[0])
    if not total > 0:
        return None
    below = max(total - above - tied, 0.0)
    return {"pairs": total, "concordant": above / total, "discordant": below / total, "tied": tied / total}


@dataclass(frozen=True, repr=False)
class AucGrade(RocAuc):
    """The area under the ROC curve with its grade: A from 0.9, B from 0.8, C from 0.7, D from 0.6, F below.

    The headline value is the area (see RocAuc for its parameters and undefined values); the tables are ``auc_grade`` (area,
    grade, what it is called) and ``grades`` (the cut-offs).
    """

    name: ClassVar[str] = "auc_grade"
    summary: ClassVar[str] = "area under the ROC curve with a grade from A to F"
    formula: ClassVar[str] = "AUC; A ≥ 0.9 > B ≥ 0.8 > C ≥ 0.7 > D ≥ 0.6 > F"
    reference: ClassVar[str] = "sklearn.metrics.roc_auc_score for the area"
    paper: ClassVar[str] = "Tape, Interpreting diagnostic tests (University of Nebraska): the academic point system"

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """``auc_grade`` and ``grades``."""
        area = float(self.aggregate(stats, np.ones((1, len(stats))))[0])
        if np.isnan(area):
            return {}
        grade = auc_grade(area)
        named: Mapping[str, str] = {name: words for name, _, words in GRADES}
        return {
            "auc_grade": Table(("auc", "grade", "meaning"), ((area, grade, named[grade]),)),
            "grades": Table(("grade", "from", "meaning"), GRADES),
        }


# ── plain functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def ks(y_true: LabelList, y_score: Any, *, labels: LabelList | None = None, sample_weight: Weights = None) -> float:
    """The Kolmogorov-Smirnov statistic; see Ks, and ``scores.evaluate_scores`` for the arguments.

    >>> ks([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.5
    """
    return evaluate_scores(Ks(), y_true, y_score, labels, sample_weight)


def gain_lift(
    y_true: LabelList, y_score: Any, *, bins: int = 10, labels: LabelList | None = None, sample_weight: Weights = None
) -> float:
    """The lift of the top bin; see GainLift.

    >>> gain_lift([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], bins=4)
    2.0
    """
    return evaluate_scores(GainLift(bins), y_true, y_score, labels, sample_weight)


def concordance(
    y_true: LabelList, y_score: Any, *, labels: LabelList | None = None, sample_weight: Weights = None
) -> dict[str, float]:
    """The weight of all pairs of a positive and a negative, and the shares that are concordant, discordant and tied (NaN where
    there are no pairs).

    >>> concordance([0, 1, 1, 0], [0.2, 0.9, 0.2, 0.5])
    {'pairs': 4.0, 'concordant': 0.5, 'discordant': 0.25, 'tied': 0.25}
    """
    prepared, stats, weights = coded_scores(Concordance(), y_true, y_score, labels, sample_weight)
    assert isinstance(prepared, Concordance)
    nan = float("nan")
    none = {"pairs": 0.0, "concordant": nan, "discordant": nan, "tied": nan}
    return (_shares(*prepared.split(stats), weights) if prepared.scored() else None) or none


def auc_grade(auc: float) -> str:
    """The grade of an area under the ROC curve.

    >>> [auc_grade(auc) for auc in (1.0, 0.9, 0.899, 0.3)]
    ['A', 'A', 'B', 'F']
    """
    return next(grade for grade, lowest, _ in GRADES if auc >= lowest)
