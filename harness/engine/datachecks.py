"""Does a task fit its own data? Found out before any model is loaded, and told at the key that is to blame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from harness.config import TaskConfig
from harness.types import Corpus, Sample

_SAMPLE_NEEDS = ("references", "target", "choices", "qrels")


def data_problems(task: TaskConfig, has: frozenset[str], samples: Iterable[Sample]) -> list[str]:
    """What a metric needs and no sample has; metrics that look beyond the ranking; targets that are none of their choices."""
    problems: list[str] = []
    for spec, metric in zip(task.metric_specs, task.metrics):
        where = task.where(f"metrics.{spec}")
        lacking = [need for need in _SAMPLE_NEEDS if need in metric.needs and need not in has]
        problems += [f"{where}: metric {spec} needs {need}, which no sample of task {task.name!r} has" for need in lacking]
        depth, k = getattr(task.suite, "k", None), getattr(metric, "k", None)
        if isinstance(depth, int) and isinstance(k, int) and k > depth:
            problems.append(f"{where}: metric {spec} looks deeper than the task's ranking, k: {depth}")
    if {"target", "choices"} <= has and any("target" in metric.needs for metric in task.metrics):
        problems += _strange_targets(task, samples)
    return problems


def data_notes(task: TaskConfig, samples: Iterable[Sample], corpus: Corpus | None) -> Iterator[str]:
    """What a retrieval task leaves out of its source, counted."""
    counts: Any = getattr(task.source, "counts", None)
    if corpus is None or not callable(counts):
        return
    found = counts()
    if found.unjudged:
        yield f"{task.name}: not asked, without judgements in this split: {_count(found.unjudged, 'query', 'queries')}"
    if found.unknown:
        yield f"{task.name}: judgements ignored, of queries that are not there: {_count(found.unknown, 'query', 'queries')}"
    judged = {document for sample in samples for document in sample.qrels or ()}
    judged.difference_update(document.id for document in corpus)
    if judged:
        yield f"{task.name}: judged, but not in the corpus, so that no retriever can find it: {_count(len(judged), 'document')}"


def _count(n: int, one: str, several: str | None = None) -> str:
    return f"{n:,} {one if n == 1 else several or one + 's'}"


def _strange_targets(task: TaskConfig, samples: Iterable[Sample]) -> list[str]:
    """The first sample whose target is none of its choices: scored, it could only be wrong."""
    for sample in samples:
        target, choices = sample.target, sample.choices
        if target is None or not choices:
            continue
        is_index = isinstance(target, int) and not isinstance(target, bool)
        if not (0 <= target < len(choices) if is_index else str(target) in choices):
            shown = ", ".join(map(repr, choices[:8])) + (", …" if len(choices) > 8 else "")
            what = f"target {target!r} of sample {sample.id!r} is not among its choices: {shown}"
            return [f"{task.where('choices', 'sample')}: {what}"]
    return []
