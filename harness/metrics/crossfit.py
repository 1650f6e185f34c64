"""Cross-fitting: a metric of outputs that something was fitted to, a calibrator or a threshold, and never to the sample that is
measured."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np

from harness.errors import MetricError
from harness.metrics.around import AroundMetric
from harness.metrics.folds import FITTED_ON, Item, Parts, folds_of, parts_by_slice
from harness.metrics.labels import is_several, label_set, true_label
from harness.metrics.scores import ScoreMetric
from harness.protocols import Metric
from harness.stats.bootstrap import IntArray
from harness.types import FloatArray, Key, Label, Output, Sample, Scores, Table

Applied: TypeAlias = tuple[Callable[[FloatArray], list[Label]], str]
"""What turns scores into answers, and the parameters that were found, in words."""
_READABLE = frozenset({"target", "label", "probabilities", "slices"})


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that can be used: ``float64[m, K]`` scores (of one label or of all), ``int64[m]`` codes of the targets, and the
    sorted labels. They are in the order of their samples' ids, so that what is fitted does not depend on the order given."""

    scores: FloatArray
    codes: IntArray
    labels: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class CrossFitted(AroundMetric):
    """Base: ``metric`` of answers that were made with what was fitted on other samples. A subclass gives :meth:`fitted`.

    ``folds`` parts of the samples, by group where they have groups, stratified by target; for each part the rest is fitted on.
    ``repeats`` draws new folds each time, and the values are averaged. With ``chosen_on="split=dev"`` the samples of that slice
    (or field) are fitted on, and all others are measured; these samples are then neither scored nor missing. Folds depend on
    ids, groups and ``seed`` and not on the order of the samples. The interval takes what was fitted as it is.
    """

    family: ClassVar[str] = "classification"
    needs: ClassVar[frozenset[str]] = frozenset({"target", "probabilities"})
    bounds: ClassVar[tuple[float | None, float | None]] = (None, None)
    fits_outputs: ClassVar[bool] = True

    folds: int = field(default=5, kw_only=True)
    repeats: int = field(default=1, kw_only=True)
    seed: int = field(default=0, kw_only=True)
    chosen_on: str = field(default="", kw_only=True)
    reader: Any = field(default=None, repr=False, compare=False, kw_only=True)
    parts: Parts | None = field(default=None, repr=False, compare=False, kw_only=True)
    inners: tuple[Metric, ...] = field(default=(), repr=False, compare=False, kw_only=True)
    found: tuple[tuple[Any, ...], ...] = field(default=(), repr=False, compare=False, kw_only=True)

    def __post_init__(self) -> None:
        self.require(self.folds >= 2, "folds", "an integer of 2 or more")
        self.require(self.repeats >= 1, "repeats", "a positive integer")
        self.require(self.seed >= 0, "seed", "an integer of 0 or more")
        name, _, value = self.chosen_on.partition("=")
        self.require(not self.chosen_on or bool(name.strip() and value.strip()), "chosen_on", 'of the form "slice=value"')
        self.require(not self.chosen_on or self.repeats == 1, "repeats", "1 with chosen_on, which draws no folds")
        needs = [set(need.split("|")) for need in self.metric.needs]
        is_of_made = all(words & _READABLE for words in needs) and any(words & self.made() for words in needs)
        self.require(is_of_made and not isinstance(self.metric, CrossFitted), "metric",
                     f"one of {' or '.join(sorted(self.made()))}, and of nothing else but the target")  # fmt: skip
        inner, n = self.metric, self.repeats
        columns = inner.columns if n == 1 else tuple(f"{c}[{repeat}]" for repeat in range(n) for c in inner.columns)
        for key, of in (("needs", (inner.needs - self.made()) | {"target", "probabilities"}), ("scope", "corpus"),
                        ("unit", inner.unit), ("bounds", inner.bounds), ("higher_is_better", inner.higher_is_better),
                        ("interval", inner.interval), ("columns", columns), ("sees_errors", bool(self.chosen_on))):
            object.__setattr__(self, key, of)

    def made(self) -> frozenset[str]:
        """What it makes anew of an answer: words of ``needs``."""
        raise NotImplementedError(f"{type(self).__name__}.made")

    def reading(self) -> ScoreMetric:
        """What reads targets and scores; not yet prepared."""
        raise NotImplementedError(f"{type(self).__name__}.reading")

    def fitted(self, rows: Rows) -> Applied:
        """What is fitted on these rows. Raises MetricError where it cannot be."""
        raise NotImplementedError(f"{type(self).__name__}.fitted")

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raises MetricError for a label set that it cannot take."""

    def fault(self, scores: FloatArray) -> str | None:
        """Why the scores of a row cannot be used, if so."""
        return None

    def prepare(self, samples: Iterable[Sample]) -> Self:
        """A copy that knows the folds and the labels. Raises MetricError for lists of labels, where folds cannot be made, or
        where ``chosen_on`` names no samples."""
        self.check_labels(label_set(samples))
        items = []
        for sample in samples:
            if is_several(sample.target):
                raise MetricError(f"{self.name}: the targets must be single labels, sample {sample.id!r} has a list")
            label = true_label(sample)
            if label is not None:
                items.append(Item.of(sample, label))
        if self.chosen_on:
            parts = parts_by_slice(self.name, samples, self.chosen_on)
        else:
            parts = folds_of(self.name, items, self.folds, self.repeats, self.seed)
        reader = self.reading().prepare(samples)
        return dataclasses.replace(self, metric=self.metric.prepare(samples), parts=parts, reader=reader)

    def warnings(self) -> tuple[str, ...]:
        """Those of the metric inside, and groups that lie on both sides of ``chosen_on``."""
        groups = () if self.parts is None else self.parts.straddling
        if not groups:
            return self.metric.warnings()
        shown = ", ".join(map(repr, groups[:3])) + (", …" if len(groups) > 3 else "")
        return (*self.metric.warnings(),
                f"{self.name}: {len(groups)} groups have samples inside and outside of {self.chosen_on} ({shown}): "
                "what is chosen there knows them already")  # fmt: skip

    def score(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Sequence[Output] = ()) -> Scores:
        """One row an output: the statistics of the metric inside, of every repeat. Bound to a copy that knows what was
        fitted."""
        if self.parts is None:
            raise MetricError(f"{self.name}: call prepare(samples) first")
        own = [self.parts.of.get(sample.id, (0,) * self.parts.repeats) for sample in samples]
        usable, rows, missing = self._read(samples, outputs)
        blocks, inners, found = [], [], list[tuple[Any, ...]]()
        for repeat in range(self.parts.repeats):
            part_of = np.array([own[row][repeat] for row in usable], dtype=np.int64)
            made = self._made(rows, part_of, repeat, found)
            there = {usable[at]: answer for at, answer in made.items() if isinstance(answer, Label)}
            missing |= {usable[at]: why for at, why in made.items() if isinstance(why, str)}
            inner = self._scored(samples, outputs, there)
            blocks.append(inner.stats)
            missing |= inner.missing
            inners.append(self.metric if inner.bound is None else inner.bound)
        bound = dataclasses.replace(self, inners=tuple(inners), found=tuple(found))
        left_out = frozenset(row for row, parts in enumerate(own) if FITTED_ON in parts)
        return Scores(np.column_stack(blocks), missing, bound=bound, left_out=left_out)

    def _read(self, samples: Sequence[Sample], outputs: Sequence[Output]) -> tuple[list[int], Rows, dict[int, str]]:
        """The usable rows in their samples' order, and why the others are not."""
        answered = [row for row, output in enumerate(outputs) if output.error is None]
        read = self.reader.score([samples[row] for row in answered], [outputs[row] for row in answered])
        missing = {row: output.error for row, output in enumerate(outputs) if output.error is not None}
        missing |= {answered[at]: why for at, why in read.missing.items()}
        faults = {at: self.fault(row[1:]) for at, row in enumerate(read.stats) if at not in read.missing}
        missing |= {answered[at]: why for at, why in faults.items() if why is not None}
        places = [at for at, why in faults.items() if why is None]
        places.sort(key=lambda at: (samples[answered[at]].id, outputs[answered[at]].key.repeat))
        stats = read.stats[places]
        return [answered[at] for at in places], Rows(stats[:, 1:], stats[:, 0].astype(np.int64), self.reader.labels), missing

    def _made(self, rows: Rows, part_of: IntArray, repeat: int, found: list[tuple[Any, ...]]) -> dict[int, Label | str]:
        """The new answer of every row that is measured, or why it has none."""
        made: dict[int, Label | str] = {}
        for part in sorted(set(part_of.tolist()) - {FITTED_ON}):
            others, own = np.flatnonzero(part_of != part), np.flatnonzero(part_of == part)
            try:
                if len(set(rows.codes[others].tolist())) < 2:
                    raise MetricError("the answers to the other samples are of fewer than two classes")
                apply, parameters = self.fitted(dataclasses.replace(rows, scores=rows.scores[others], codes=rows.codes[others]))
            except MetricError as error:
                made |= dict.fromkeys(own.tolist(), f"nothing could be fitted for it: {error}")
                continue
            made |= dict(zip(own.tolist(), apply(rows.scores[own])))
            found.append((repeat, part, len(others), len(own), parameters))
        return made

    def _scored(self, samples: Sequence[Sample], outputs: Sequence[Output], answers: Mapping[int, Label]) -> Scores:
        """The metric inside on the new answers; all other rows hold NaN."""
        there = sorted(answers)
        inner = self.metric.score([samples[row] for row in there],
                                  [dataclasses.replace(outputs[row], answer=answers[row]) for row in there])
        stats = np.full((len(samples), inner.stats.shape[1]), np.nan)
        stats[there] = inner.stats
        return Scores(stats, {there[at]: why for at, why in inner.missing.items()}, bound=inner.bound)

    # ── values: means over the repeats ──────────────────────────────────────────────────────────────────────────────

    @property
    def is_additive(self) -> bool:
        return self.metric.is_additive

    def finish(self, totals: FloatArray) -> FloatArray:
        return _mean([inner.finish(block) for inner, block in self._blocks(totals)])

    def aggregate(self, stats: FloatArray, weights: FloatArray) -> FloatArray:
        return _mean([inner.aggregate(block, weights) for inner, block in self._blocks(stats)])

    def for_weights(self, stats: FloatArray) -> Callable[[FloatArray], FloatArray]:
        each = [inner.for_weights(block) or _of_weights(inner, block) for inner, block in self._blocks(stats)]
        return lambda weights: _mean([of(weights) for of in each])

    def rows(self, stats: FloatArray) -> FloatArray:
        return _mean([inner.rows(block) for inner, block in self._blocks(stats)])

    def why_undefined(self, stats: FloatArray) -> str | None:
        return next((why for inner, block in self._blocks(stats) if (why := inner.why_undefined(block))), None)

    def extremes(self, sample: Sample) -> tuple[FloatArray, FloatArray] | None:
        pair = self.metric.extremes(sample)
        return None if pair is None else (np.tile(pair[0], self.repeats), np.tile(pair[1], self.repeats))

    def tables(self, stats: FloatArray) -> dict[str, Table]:
        """``fitted``: what was fitted for each part; with one repeat the tables of the metric inside too."""
        columns = ("repeat", "part", "fitted on", "measured", "parameters")
        tables = {"fitted": Table(columns, self.found)} if self.found else {}
        if self.repeats == 1:
            for inner, block in self._blocks(stats):
                tables |= inner.tables(block)
        return tables

    def _blocks(self, stats: FloatArray) -> list[tuple[Metric, FloatArray]]:
        """The metric inside and its columns, of every repeat."""
        inners = self.inners or (self.metric,) * self.repeats
        return list(zip(inners, np.split(stats, len(inners), axis=-1)))


def _mean(values: Sequence[FloatArray]) -> FloatArray:
    return np.asarray(np.mean(values, axis=0)) if len(values) > 1 else values[0]


def _of_weights(metric: Metric, stats: FloatArray) -> Callable[[FloatArray], FloatArray]:
    return lambda weights: metric.aggregate(stats, weights)


def fold_values(
    metric: CrossFitted, y_true: Sequence[Any], y_score: Any, groups: Sequence[Any] | None
) -> float:
    """The value of a cross-fitted metric over targets and scores in memory: ``(n,)`` of the label that sorts last, or
    ``(n, K)`` of all sorted labels. Raises MetricError for lists of different lengths."""
    scores = np.asarray(y_score, dtype=np.float64)
    if len(y_true) != len(scores) or (groups is not None and len(groups) != len(scores)):
        lengths = f"{len(y_true)}, {len(scores)}" + ("" if groups is None else f" and {len(groups)}")
        raise MetricError(f"{metric.name}: targets, scores and groups must be equally many, got {lengths}")
    labels = sorted({str(target) for target in y_true})
    if scores.ndim == 1:
        scores = np.column_stack([1 - scores, scores])
    if scores.shape[1] != len(labels):
        raise MetricError(f"{metric.name}: scores must have a column for each of the {len(labels)} labels, "
                          f"got shape {scores.shape}")
    width = len(str(len(scores)))
    samples = [Sample(f"{row:0{width}}", target=str(target), group=None if groups is None else str(groups[row]))
               for row, target in enumerate(y_true)]  # fmt: skip
    outputs = [Output(Key(sample.id), Label(labels[int(row.argmax())], dict(zip(labels, row.tolist()))))
               for sample, row in zip(samples, scores)]  # fmt: skip
    found = metric.prepare(samples).score(samples, outputs)
    kept = np.delete(found.stats, list(found.missing), axis=0)
    return float(found.bound.aggregate(kept, np.ones((1, len(kept))))[0]) if len(kept) else math.nan
