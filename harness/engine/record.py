"""From played and scored units to the run record, and from played rows to the columns of ``samples.parquet``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.codec import digest, dumps, encode_answer, encode_sample
from harness.data.dataset import Fingerprint
from harness.engine.garbage import no_collections
from harness.engine.plan import Plan, Unit
from harness.engine.scoring import Scorer, Settings, estimate_fields, metric_facts
from harness.engine.standings import Contender, standings
from harness.engine.waves import Row, Tally
from harness.protocols import Metric
from harness.store import SCHEMA
from harness.types import Estimate, Label, Number, RunRecord, Sample, Text


@dataclass(frozen=True, slots=True)
class Scored:
    """One unit's statistics under its names; ``primary`` is one of the scorer's metrics."""

    entry: str
    model: str
    cell: str
    task: str
    primary: str
    scorer: Scorer


@dataclass(slots=True)
class UnitResult:
    """What is left of a unit when it has been played: statistics and counts."""

    unit: Unit
    scorer: Scorer
    signature: Mapping[str, Any]
    tally: Tally
    seconds: float = 0.0
    played: Fingerprint = field(default_factory=Fingerprint)
    tokens: Counter[str] = field(default_factory=Counter)
    cost: float | None = None
    finish_reasons: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def note_hashes(self, sample_hashes: Iterable[str]) -> None:
        """The hashes of the samples of one chunk, in order."""
        self.played.add(*sample_hashes)

    def fingerprint(self) -> str:
        """The fingerprint of the data as it was played."""
        return self.played.value()

    def count(self, rows: Sequence[Row]) -> None:
        for row in rows:
            output = row.output
            if output.usage is not None:
                self.tokens["input"] += output.usage.input_tokens
                self.tokens["output"] += output.usage.output_tokens
                if output.usage.cost is not None:
                    self.cost = (self.cost or 0.0) + output.usage.cost
            if output.truncated:
                self.tokens["truncated_rows"] += 1
            if output.finish_reason is not None:
                self.finish_reasons[output.finish_reason] += 1
            if output.error is not None:
                self.errors[output.error] += 1

    @property
    def scored(self) -> Scored:
        unit = self.unit
        return Scored(unit.entry, unit.model.name, unit.cell, unit.task.name, primary_name(unit), self.scorer)

    def counts(self) -> dict[str, Any]:
        tally = self.tally
        return {
            "rows": tally.done, "missing": tally.missing, "cached": tally.cached, "resumed": tally.resumed,
            "requests": tally.requests, "tokens": dict(self.tokens), "finish_reasons": dict(self.finish_reasons),
            "errors": dict(self.errors.most_common(20)), **({} if self.cost is None else {"cost": self.cost}),
        }  # fmt: skip


def build_record(
    plan: Plan, folder: Path, results: Sequence[UnitResult], settings: Settings, about: Mapping[str, Any]
) -> RunRecord:
    """The record of a run whose units have all been played; ``about`` has its times, its notes and what it was made with."""
    scored = [result.scored for result in results]
    estimates, tables, contenders = collect(scored, settings)
    return RunRecord(
        schema=SCHEMA,
        run_id=folder.name,
        name=plan.config.name,
        parent=None,
        plan_hash=plan.plan_hash,
        config=plan.config.document,
        seeds=plan.config.seeds,
        data_fingerprints=_fingerprints(plan),
        model_signatures={**{result.unit.entry: dict(result.signature) for result in results}, **about["roles"]},
        metric_signatures=signatures(scored),
        environment=about["made_with"],
        estimates=tuple(estimates),
        standings=standings(contenders, settings),
        tables=tuple(tables),
        timings={**about["times"], "units": {unit_name(r.unit): r.seconds for r in results}},
        counts={"units": {unit_name(r.unit): r.counts() for r in results}, "notes": about["notes"]},
        path=folder,
    )


def collect(
    scored: Sequence[Scored], settings: Settings
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[Contender]]:
    """Estimates, tables (curves, matrices, slices) and contenders of all units."""
    estimates: list[dict[str, Any]] = []
    tables: list[dict[str, Any]] = []
    contenders = []
    for unit in scored:
        scorer, primary = unit.scorer, unit.primary
        values = scorer.estimates(settings)
        where = {"entry": unit.entry, "model": unit.model, "cell": unit.cell, "task": unit.task}
        for name, value in values.items():
            about = {"metric": name, **_recipe(scorer.metrics[name]), "primary": name == primary}
            estimates.append({**where, **about, **estimate_fields(value)})
        for name, found in scorer.tables().items():
            here = {**where, "metric": name}
            tables += [{**here, "table": key, "columns": t.columns, "rows": t.rows} for key, t in found.items()]
        tables += _slice_tables(where, scorer, settings)
        stats, samples = scorer.statistics(primary)
        metric = scorer.metrics[primary]
        contenders.append(
            Contender(
                unit.entry, unit.task, primary, metric, stats, samples, scorer.groups(), values[primary], scorer.failed_share
            )
        )
    return estimates, tables, contenders


def _recipe(metric: Metric) -> dict[str, str]:
    """Its signature; where that names files by their content, the spec too, which says where they are."""
    signature = metric.signature()
    return {"signature": signature, **({"spec": metric.spec} if "#sha256:" in signature else {})}


def signatures(scored: Sequence[Scored]) -> dict[str, dict[str, Any]]:
    """What the record says of each metric, by the name under which it is reported."""
    found: dict[str, dict[str, Any]] = {}
    for unit in scored:
        for name, metric in unit.scorer.metrics.items():
            facts = found.setdefault(name, {**metric_facts(metric), "signatures": {}})
            facts["signatures"][unit.task] = metric.signature()
    return found


def primary_name(unit: Unit) -> str:
    """The name, as written, of the task's primary metric."""
    return next(name for name, metric in zip(unit.task.metric_specs, unit.task.metrics) if metric == unit.task.primary)


def unit_name(unit: Unit) -> str:
    return f"{unit.entry} × {unit.task.name}"


@no_collections()
def row_columns(unit: Unit, rows: Sequence[Row]) -> dict[str, list[Any]]:
    """The plain columns of ``samples.parquet`` for these rows."""
    encoded, hashes = _encoded_samples(rows)
    outputs = [row.output for row in rows]
    n = len(rows)
    return {
        "model": [unit.model.name] * n,
        "cell": [unit.cell] * n,
        "task": [unit.task.name] * n,
        "arm": [output.key.arm for output in outputs],
        "sample_id": [row.sample.id for row in rows],
        "sample_hash": hashes,
        "group": [row.sample.group for row in rows],
        "sample": encoded,
        "prompt": [row.prompt for row in rows],
        "answer": [_answer_json(row) for row in rows],
        "text": [_readable(row) for row in rows],
        "error": [output.error for output in outputs],
        "finish_reason": [output.finish_reason for output in outputs],
        "slices": [dumps(row.sample.slices).decode() if row.sample.slices else None for row in rows],
        "repeat": [row.repeat for row in rows],
        "input_tokens": [o.usage.input_tokens if o.usage else None for o in outputs],
        "output_tokens": [o.usage.output_tokens if o.usage else None for o in outputs],
        "latency_s": [o.timing.latency_s if o.timing else None for o in outputs],
        "first_token_s": [o.timing.first_token_s if o.timing else None for o in outputs],
        "truncated": [output.truncated for output in outputs],
        "cached": [row.cached for row in rows],
    }


def _encoded_samples(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """Every row's sample as JSON, and its hash; the rows of one sample stand together."""
    texts: list[str] = []
    hashes: list[str] = []
    before: Sample | None = None
    for row in rows:
        if row.sample is before:
            texts.append(texts[-1])
            hashes.append(hashes[-1])
        else:
            before = row.sample
            data = encode_sample(before)
            texts.append(data.decode())
            hashes.append(digest(data))
    return texts, hashes


def _answer_json(row: Row) -> str | None:
    if row.answer_json is not None:
        return row.answer_json.decode()
    return None if row.output.answer is None else dumps(encode_answer(row.output.answer)).decode()


def _readable(row: Row) -> str | None:
    answer = row.output.answer
    if isinstance(answer, Text):
        return answer.text
    if isinstance(answer, Label):
        return answer.label if answer.label is not None else answer.text
    if isinstance(answer, Number):
        return repr(answer.value)
    return None


_SLICE_COLUMNS = ("slice", "group", "metric", "value", "low", "high", "n", "n_missing")


def _slice_tables(where: Mapping[str, str], scorer: Scorer, settings: Settings) -> list[dict[str, Any]]:
    rows = [_slice_row(key, value, name, estimate) for key, value, name, estimate in scorer.slices(settings)]
    return [{**where, "metric": None, "table": "slices", "columns": _SLICE_COLUMNS, "rows": rows}] if rows else []


def _slice_row(key: str, value: str, name: str, estimate: Estimate) -> tuple[Any, ...]:
    return (key, value, name, estimate.value, estimate.low, estimate.high, estimate.n, estimate.n_missing)


def _fingerprints(plan: Plan) -> dict[str, dict[str, Any]]:
    found = {}
    for unit in plan.units:
        data = plan.task_data(unit.task)
        found[unit.task.name] = {
            "fingerprint": data.fingerprint(), "n": data.facts.n, "version": unit.task.version, "language": unit.task.language,
        }  # fmt: skip
    return found
