"""Scores the stored answers of a finished run again: no data files, no model, nothing but the run's folder."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.codec import decode_answer, decode_sample, loads
from harness.engine.beside import TIMEOUT_S, Beside, Rules, make_workers
from harness.engine.environment import environment
from harness.engine.events import Listener, Note
from harness.engine.plan import ANSWER_NEEDS, answer_needs
from harness.engine.record import Scored, collect, signatures
from harness.engine.roles import ENCODER, opened_roles
from harness.engine.scoring import Scorer, make_settings
from harness.engine.standings import standings
from harness.engine.stored import Block, stored_metric, stored_outputs
from harness.engine.workers import Workers
from harness.errors import UsageError
from harness.plugins import metric as metric_of
from harness.protocols import Metric, lacking
from harness.store import PLAIN_COLUMNS, SCHEMA, SampleWriter, create_run, read_record, read_samples, write_record
from harness.types import (
    Answer,
    Label,
    Labels,
    Likelihoods,
    Number,
    Outcomes,
    Ranking,
    Ratings,
    RunRecord,
    Sample,
    Tags,
    Text,
    Vectors,
)


def rescore_run(
    folder: Path, results: Path, specs: Sequence[str], publish: Callable[[Path, RunRecord], None],
    listener: Listener = lambda event: None,
) -> RunRecord:  # fmt: skip
    """Score a run's answers with its own metrics, or with ``specs`` wherever a task's answers have what they need.

    The new folder's record has ``parent``, and the notes of both. ``listener`` is told the new ones. Raises UsageError for a
    metric that fits no task of the run.
    """
    started, clock = time.time(), time.monotonic()
    notes: list[str] = []

    def say(message: str) -> None:
        notes.append(message)
        listener(Note(message))

    parent = read_record(folder)
    stored = [_Stored(folder, *key) for key in _units(folder)]
    metrics = {unit: _metrics_for(unit, parent, specs) for unit in stored}
    _check_used(specs, metrics)
    target = create_run(results, parent.name)
    try:
        scored = _score(target, stored, metrics, parent, say)
        times = {"started": started, "finished": time.time(), "seconds": time.monotonic() - clock}
        record = _record(parent, target, scored, {"times": times, "notes": notes})
        publish(target, record)
        write_record(target, record)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return record


@dataclass(frozen=True, slots=True)
class _Stored:
    """The stored rows of one unit; iterating gives its samples."""

    folder: Path
    model: str
    cell: str
    task: str

    @property
    def entry(self) -> str:
        return f"{self.model} [{self.cell}]" if self.cell else self.model

    def blocks(self, columns: Sequence[str] = PLAIN_COLUMNS) -> Iterator[Block]:
        return read_samples(self.folder, columns, {"model": self.model, "cell": self.cell, "task": self.task})

    def __iter__(self) -> Iterator[Sample]:
        for block in self.blocks(("sample", "repeat")):
            for sample, repeat in zip(block["sample"], block["repeat"]):
                if repeat == 0:
                    yield decode_sample(sample)

    def gives(self) -> frozenset[str]:
        """What the first answer that is there has, in the words of ``Metric.needs``."""
        for block in self.blocks(("answer",)):
            for answer in block["answer"]:
                if answer is not None:
                    return _gives(decode_answer(loads(answer)))
        return ANSWER_NEEDS


def _units(folder: Path) -> list[tuple[str, str, str]]:
    found: dict[tuple[str, str, str], None] = {}
    for block in read_samples(folder, ("model", "cell", "task")):
        found.update(dict.fromkeys(zip(block["model"], block["cell"], block["task"])))
    return list(found)


def _gives(answer: Answer) -> frozenset[str]:
    kinds = {"timing", "usage"}
    if isinstance(answer, Label | Labels):
        kinds.add("label")
        kinds |= {name for name in ("probabilities", "logprobs", "text") if getattr(answer, name, None)}
    else:
        kinds.add(_KINDS[type(answer)])
    return frozenset(kinds)


_KINDS: Mapping[type, str] = {
    Text: "text", Likelihoods: "likelihoods", Ranking: "ranking", Number: "number", Vectors: "vectors", Tags: "tags",
    Ratings: "ratings", Outcomes: "outcomes",
}  # fmt: skip


def _metrics_for(unit: _Stored, parent: RunRecord, specs: Sequence[str]) -> dict[str, Metric]:
    language = str(parent.data_fingerprints.get(unit.task, {}).get("language", "en"))
    if specs:
        gives = unit.gives()
        wanted = {spec: metric_of(spec).for_language(language) for spec in specs}
        fitting = {spec: metric for spec, metric in wanted.items() if not lacking(answer_needs(metric), gives)}
        if fitting:
            return fitting
    own = [e for e in parent.estimates if e["entry"] == unit.entry and e["task"] == unit.task]
    return {e["metric"]: stored_metric(e, language) for e in own}


def _check_used(specs: Sequence[str], metrics: Mapping[_Stored, Mapping[str, Metric]]) -> None:
    for spec in specs:
        if not any(spec in chosen for chosen in metrics.values()):
            needs = " and ".join(sorted(answer_needs(metric_of(spec)))).replace("|", " or ")
            raise UsageError(f"metric {spec} needs {needs}, which no task of this run has")


def _score(
    target: Path, stored: Sequence[_Stored], metrics: Mapping[_Stored, Mapping[str, Metric]], parent: RunRecord,
    say: Callable[[str], None],
) -> list[Scored]:  # fmt: skip
    names = list(dict.fromkeys(name for chosen in metrics.values() for name in chosen))
    writer = SampleWriter(target, names)
    scored = []
    scoring: Mapping[str, Any] = parent.config.get("scoring") or {}
    try:
        with make_workers(scoring) as workers:
            for unit in stored:
                scorer = _scorer(unit, metrics[unit], parent, writer, workers, _rules(scoring, unit.task, say))
                if metrics[unit]:
                    primary = _primary(unit, parent, list(metrics[unit]))
                    scored.append(Scored(unit.entry, unit.model, unit.cell, unit.task, primary, scorer))
    except BaseException:
        writer.abort()
        raise
    writer.close()
    return scored


def _rules(scoring: Mapping[str, Any], task: str, say: Callable[[str], None]) -> Rules:
    timeout_s = scoring.get("timeout_s") or TIMEOUT_S
    return Rules(scoring.get("workers"), timeout_s, say=lambda message: say(f"{task}: {message}"))


def _scorer(
    unit: _Stored, metrics: Mapping[str, Metric], parent: RunRecord, writer: SampleWriter, workers: Workers, rules: Rules
) -> Scorer:
    """What has scored, and written, the rows of a unit."""
    with contextlib.ExitStack() as stack:
        scorer = Scorer(metrics, unit, opened_roles(metrics, _encoders(parent), stack))
        for warning in scorer.warnings:
            rules.say(warning)
        beside = Beside[Block](scorer, workers, rules)
        for block in unit.blocks():
            for done in beside.add([decode_sample(s) for s in block["sample"]], stored_outputs(block), block):
                writer.write(*done)
        for done in beside.rest():
            writer.write(*done)
        scorer.score_held()
        for warning in scorer.late_warnings():
            rules.say(warning)
    return scorer


def _encoders(parent: RunRecord) -> dict[str, str]:
    """The sources of the sentence encoders that served the run, by role."""
    roles: Mapping[str, Mapping[str, Any]] = parent.config.get("roles") or {}
    encoders = {name: entry for name, entry in roles.items() if entry.get("backend") == ENCODER}
    return {name: str(entry["source"]) for name, entry in encoders.items() if "source" in entry}


def _primary(unit: _Stored, parent: RunRecord, names: Sequence[str]) -> str:
    before = [e["metric"] for e in parent.estimates if e["task"] == unit.task and e["primary"]]
    return next((name for name in before if name in names), names[0])


def _record(parent: RunRecord, target: Path, scored: Sequence[Scored], about: Mapping[str, Any]) -> RunRecord:
    """``about`` has the times and the notes of scoring again."""
    config = parent.config
    level, n_bootstrap = config.get("level", 0.95), config.get("n_bootstrap", 1000)
    settings = make_settings(parent.seeds[0], level, n_bootstrap, config.get("max_missing", 0.01))
    estimates, tables, contenders = collect(scored, settings)
    return dataclasses.replace(
        parent,
        schema=SCHEMA,
        run_id=target.name,
        parent=parent.run_id,
        metric_signatures=signatures(scored),
        environment=environment(),
        estimates=tuple(estimates),
        standings=standings(contenders, settings),
        tables=tuple(tables),
        counts={**parent.counts, "notes": list(dict.fromkeys([*parent.counts.get("notes", ()), *about["notes"]]))},
        timings=dict(about["times"]),
        path=target,
    )
