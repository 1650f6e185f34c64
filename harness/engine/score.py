"""Scores of outputs that already exist, in files or in memory: the metrics and intervals of a run, without a run."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.config import MAX_BOOTSTRAP
from harness.engine.predictionfiles import material_of_file, truth_of_files
from harness.engine.predictionforms import held, held_by
from harness.engine.predictionlists import held_in, material_of_lists, truth_of_lists
from harness.engine.predictions import Material, Truth
from harness.engine.roles import opened_roles
from harness.engine.scoring import Scorer, Settings, make_settings
from harness.engine.wants import AS_IT_LOOKS, Reading, Wants, check_reading, wants_of
from harness.errors import DataError, UsageError
from harness.metrics.labels import label_set
from harness.plugins import metric as metric_of
from harness.protocols import Backend, Metric, PairMetric
from harness.types import Estimate, FloatArray, Label, Sample, Table

__all__ = ["Reading", "RowValues", "ScoreResult", "score"]


@dataclass(frozen=True, slots=True)
class RowValues:
    """The value of every output by itself: ``values`` is ``float64[n]``, NaN where there is none; ``missing`` says why."""

    ids: Sequence[str]
    values: FloatArray
    missing: Mapping[int, str]

    def to_json(self) -> list[dict[str, Any]]:
        """``[{"id", "value", "missing"}]``; undefined values are null."""
        return [
            {"id": id_, "value": value if math.isfinite(value) else None, "missing": self.missing.get(row)}
            for row, (id_, value) in enumerate(zip(self.ids, self.values.tolist()))
        ]


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """One metric: ``metric`` is the spec as it was written, ``signature`` the recipe of the number.

    ``samples`` is None for a metric whose rows have no values by themselves. ``notes`` say what was left out of the input.
    ``models`` has the signature of each model that the metric asked for, by role: it belongs to the recipe.
    """

    metric: str
    signature: str
    estimate: Estimate
    tables: Mapping[str, Table] = field(default_factory=dict)
    samples: RowValues | None = field(default=None, compare=False, repr=False)
    notes: tuple[str, ...] = ()
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def value(self) -> float | None:
        """The value, or None where it is undefined: ``estimate.reason`` says why."""
        return self.estimate.value

    def to_json(self, *, per_sample: bool = False) -> dict[str, Any]:
        """The object that ``harness score --json`` prints; ``reason`` and ``missing`` (reason -> rows; empty where the metric
        takes all rows at once and tells none apart) are there only where there are some."""
        estimate = self.estimate
        document: dict[str, Any] = {
            "metric": self.metric, "signature": self.signature, "value": estimate.value, "low": estimate.low,
            "high": estimate.high, "level": estimate.level, "method": estimate.method, "n": estimate.n,
            "n_missing": estimate.n_missing, "worst_case": estimate.worst_case, "best_case": estimate.best_case,
            "tables": {name: {"columns": table.columns, "rows": table.rows} for name, table in self.tables.items()},
        }  # fmt: skip
        if estimate.reason is not None:
            document["reason"] = estimate.reason
        if self.models:
            document["models"] = self.models
        if estimate.n_missing:
            document["missing"] = {} if self.samples is None else dict(Counter(self.samples.missing.values()))
        if per_sample:
            document["samples"] = [] if self.samples is None else self.samples.to_json()
        return document


def score(
    specs: Sequence[str] | str,
    predictions: Any,
    references: Any = None,
    *,
    reading: Reading = AS_IT_LOOKS,
    roles: Mapping[str, Backend | str] | None = None,
    level: float = 0.95,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> list[ScoreResult]:
    """Score predictions with one or more metrics, which must all take the same kind of answer.

    Parameters
    ----------
    specs : ``"bleu"``, ``["rouge_l", "rouge(type=1)"]``, ``"ndcg@10"``.
    predictions : a path, an open binary stream, or what is in memory: a list of texts, labels, scores or
        ``{label: probability}``, numbers, tags, vectors; a mapping from ids to these; ``{query: {document: score}}``.
    references : a path or stream, or several of them (of texts); in memory a list of texts or of lists of texts, of targets, a
        mapping from ids to these, ``{query: {document: grade}}``. Where predictions are in memory a list is one of references,
        not of paths. None where the metrics need none or the rows of the predictions hold them. For metrics that compare two
        systems (``rbo``) it is the other system's predictions; for those ``against`` a file (``fid``) it is that file.
    reading : how files are read.
    roles : models for the metrics that ask for one, by role: an opened backend, or the source of a sentence encoder.
    level, n_bootstrap, seed : of the intervals.

    Returns
    -------
    One result a spec, in their order. Items are paired by id where both sides have ids, else in order.

    Raises MetricError, UnknownName, UsageError or DataError.

    >>> [result] = score("exact_match", ["Paris", "Rome"], [["paris"], ["Milan", "Turin"]])
    >>> result.value, result.estimate.n
    (0.5, 2)
    """
    metrics = {spec: metric_of(spec) for spec in ([specs] if isinstance(specs, str) else specs)}
    if not metrics:
        raise UsageError("score: name at least one metric")
    settings = _settings(level, n_bootstrap, seed)
    if _is_file(predictions):
        predictions = held(predictions)
    metrics, references = _with_file_against(metrics, references)
    wants = wants_of(metrics, held_by(predictions) if _is_file(predictions) else held_in(predictions))
    check_reading(wants, reading)
    if any(isinstance(metric, PairMetric) for metric in metrics.values()):
        return _score_pairs(metrics, wants, predictions, references, reading, settings)
    material = _material(wants, predictions, references, reading)
    material = Material(material.samples, material.outputs, (*material.notes, *_strangers(wants, material)))
    with contextlib.ExitStack() as stack:
        opened = opened_roles(metrics, roles or {}, stack)
        found = _results(Scorer(metrics, material.samples, opened), material, settings)
        signatures = {role: dict(backend.signature()) for role, backend in opened.items()}
    return [_with_models(result, metrics[result.metric], signatures) for result in found]


def _with_models(result: ScoreResult, metric: Metric, signatures: Mapping[str, Mapping[str, Any]]) -> ScoreResult:
    asked = {role: signatures[role] for role in metric.needs_roles()}
    return dataclasses.replace(result, models=asked) if asked else result


def _with_file_against(metrics: Mapping[str, Metric], references: Any) -> tuple[dict[str, Metric], Any]:
    """Metrics that need no references but a file to compare ``against`` take the file of references for it."""
    placed = dict(metrics)
    for spec, metric in metrics.items():
        if isinstance(references, str | Path | list) and getattr(metric, "against", "") is None:
            [file] = references if isinstance(references, list) and len(references) == 1 else [references]
            if isinstance(file, str | Path):
                placed[spec] = dataclasses.replace(metric, against=Path(file))  # type: ignore[call-arg]
    took = any(placed[spec] is not metrics[spec] for spec in metrics)
    needs_more = any(metric.needs & {"references", "target", "qrels"} for metric in placed.values())
    return placed, None if took and not needs_more else references


def _score_pairs(
    metrics: Mapping[str, Metric], wants: Wants, predictions: Any, others: Any, reading: Reading, settings: Settings
) -> list[ScoreResult]:
    """Two systems' outputs, paired by id; an item that one of them lacks is left out, and counted."""
    alone = [spec for spec, metric in metrics.items() if not isinstance(metric, PairMetric)]
    if alone:
        what = "some compare two systems' outputs"
        raise UsageError(f"score: of {wants.who} {what}, and {alone[0]} does not: score it in a call of its own")
    if isinstance(others, list | tuple) and len(others) == 1 and _is_file(others[0]):
        others = others[0]
    if others is None:
        raise UsageError(f"score: {wants.who} compares two systems: give the other one's predictions as references (-r)")
    answers_only = dataclasses.replace(wants, needs=wants.needs - wants.truth)
    first, second = (_material(kinds, held(given) if _is_file(given) else given, None, reading)
                     for kinds, given in ((wants, predictions), (answers_only, others)))
    theirs = {output.key: output for output in second.outputs}
    both = [(s, o, theirs[o.key]) for s, o in zip(first.samples, first.outputs) if o.key in theirs]
    left_out = len(first.outputs) + len(second.outputs) - 2 * len(both)
    notes = (f"{left_out} outputs left out: the other system has none with that id",) if left_out else ()
    if not both:
        raise DataError("score: the two systems' predictions have no id in common")
    samples, ours, others_ = (list(column) for column in zip(*both))
    by_key = {output.key: output for output in others_}
    paired = {spec: dataclasses.replace(metric, others=by_key) for spec, metric in metrics.items()}  # type: ignore[call-arg]
    return _results(Scorer(paired, samples), Material(samples, ours, notes), settings)


def _strangers(wants: Wants, material: Material) -> tuple[str, ...]:
    """A note where no predicted label is one of the targets: scores that were taken for labels, or another spelling."""
    if "label" not in wants.needs or "target" not in wants.needs:
        return ()
    known = {*label_set(material.samples), *(choice for sample in material.samples[:1] for choice in sample.choices)}
    given = [output.answer.label for output in material.outputs if isinstance(output.answer, Label)]
    if not known or not given or any(label in known for label in given):
        return ()
    shown = ", ".join(sorted(known)[:5])
    return (f"no predicted label is one of the targets ({shown}); the first is {given[0]!r}",)


def _settings(level: float, n_bootstrap: int, seed: int) -> Settings:
    if not 0 < level < 1:
        raise UsageError(f"score: level must be between 0 and 1, got {level}")
    if not 1 <= n_bootstrap <= MAX_BOOTSTRAP:
        raise UsageError(f"score: n_bootstrap must be between 1 and {MAX_BOOTSTRAP:,}, got {n_bootstrap}")
    if seed < 0:
        raise UsageError(f"score: seed must be an integer >= 0, got {seed}")
    return make_settings(seed, level, n_bootstrap)


def _material(wants: Wants, predictions: Any, references: Any, reading: Reading) -> Material:
    in_memory = not _is_file(predictions)
    truth = None
    notes: tuple[str, ...] = ()
    if references is not None:
        if wants.truth or wants.about_samples or _are_samples(references):
            truth = _truth(wants, references, reading, in_memory)
        else:
            notes = (f"{wants.who} needs no references: they were not read",)
    elif in_memory and wants.truth:
        raise UsageError(f"score: {wants.who} needs {' and '.join(sorted(wants.truth))}: give references")
    if in_memory:
        material = material_of_lists(wants, predictions, truth, reading)
    else:
        material = material_of_file(wants, predictions, truth, reading)
    return Material(material.samples, material.outputs, (*notes, *material.notes))


def _truth(wants: Wants, references: Any, reading: Reading, in_memory: bool) -> Truth:
    if _is_file(references):
        return truth_of_files(wants, [held(references)], reading)
    if isinstance(references, Sequence) and references and all(map(_is_file, references)):
        are_texts = in_memory and any(isinstance(item, str) for item in references)
        if not are_texts:
            return truth_of_files(wants, [held(item) for item in references], reading)
    return truth_of_lists(wants, references)


def _are_samples(references: Any) -> bool:
    values = list(references.values()) if isinstance(references, Mapping) else references
    return isinstance(values, Sequence) and bool(values) and isinstance(values[0], Sample)


def _is_file(value: Any) -> bool:
    return isinstance(value, str | Path) or hasattr(value, "read")


def _results(scorer: Scorer, material: Material, settings: Settings) -> list[ScoreResult]:
    columns = scorer.add(material.samples, material.outputs)
    estimates, tables = scorer.estimates(settings), scorer.tables()
    notes = (*scorer.warnings, *scorer.late_warnings(), *material.notes)
    ids = [sample.id for sample in material.samples]
    results = []
    for spec, metric in scorer.metrics.items():
        column = columns.get(spec)
        rows = None if column is None else RowValues(ids, column.values, column.missing)
        results.append(ScoreResult(spec, metric.signature(), estimates[spec], tables.get(spec, {}), rows, notes))
    return results
