"""Finished runs to compare: small projects with stored answers, run as a user runs them, and run folders written by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness import api
from harness.codec import digest, dumps, encode_sample
from harness.store import SampleWriter, write_record
from harness.store.samples import MetricColumn
from harness.types import RunRecord, Sample

Row = Mapping[str, Any]
GENERATION: Mapping[str, Any] = {
    "task": "qa", "suite": "generation", "sample": {"id": "{{ id }}", "references": ["{{ a }}"]},
    "prompt": {"text": "{{ q }}:"}, "metrics": ["exact_match"],
}  # fmt: skip
SIGNATURE = "exact_match(extract=none,normalize=squad)#v1"


@dataclass(frozen=True)
class Project:
    """A folder whose runs all land in its ``results``."""

    root: Path

    @property
    def results(self) -> Path:
        return self.root / "results"

    def run(
        self, name: str, rows: Sequence[Row], answers: Sequence[Row], *, task: Mapping[str, Any] = {}, **config: Any
    ) -> Path:
        """Run stored answers on rows; ``task`` overrides keys of a generation task. Returns the run's folder."""
        return self.run_models(name, rows, {"m": answers}, task=task, **config)

    def run_models(
        self, name: str, rows: Sequence[Row], models: Mapping[str, Sequence[Row]], *, task: Mapping[str, Any] = {},
        **config: Any,
    ) -> Path:  # fmt: skip
        """The same with several models; a key of the task that is None is left out."""
        folder = self.root / name
        folder.mkdir()
        write_lines(folder / "rows.jsonl", rows)
        document = {**GENERATION, "data": {"format": "jsonl", "path": "rows.jsonl"}, **task}
        document = {key: value for key, value in document.items() if value is not None}
        (folder / "task.yaml").write_text(json.dumps(document))
        for model, answers in models.items():
            write_lines(folder / f"{model}.jsonl", answers)
        entries = {model: {"backend": "replay", "path": f"{model}.jsonl"} for model in models}
        run = {"name": name, "models": entries, "tasks": ["task.yaml"], "max_missing": 1.0, **config}
        (folder / "run.yaml").write_text(json.dumps(run))
        return api.run(folder / "run.yaml", results=self.results, cache_dir=self.root / "cache").path


def write_lines(path: Path, rows: Sequence[Row]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def questions(n: int) -> list[Row]:
    """``q0``, ``q1``, … whose right answers are ``yes 0``, ``yes 1``, …"""
    return [{"id": f"q{i}", "q": f"question {i}", "a": f"yes {i}"} for i in range(n)]


def answered(hits: Sequence[bool | None]) -> list[Row]:
    """A right answer, a wrong one, or (None) none to each of :func:`questions`."""
    return [{"id": f"q{i}", "error": "time out"} if hit is None else {"id": f"q{i}", "text": f"{'yes' if hit else 'no'} {i}"}
            for i, hit in enumerate(hits)]


@dataclass(frozen=True)
class StoredRow:
    """One row of a run folder that is written by hand; ``hit`` None: missing."""

    id: str
    repeat: int = 0
    hit: float | None = 1.0
    content: str = "the same"
    group: str | None = None
    slices: Mapping[str, str] | None = None


def write_run(folder: Path, rows: Sequence[StoredRow]) -> Path:
    """A finished run of one entry ``m`` on one task ``t`` with these rows of exact_match, in this order."""
    folder.mkdir(parents=True)
    samples = [Sample(row.id, {"text": row.content}, group=row.group, slices=row.slices or {}) for row in rows]
    absent: list[Any] = [None] * len(rows)
    columns = {
        "model": ["m"] * len(rows), "cell": [""] * len(rows), "task": ["t"] * len(rows), "arm": [""] * len(rows),
        "sample_id": [row.id for row in rows], "sample_hash": [digest(encode_sample(sample)) for sample in samples],
        "group": [row.group for row in rows], "sample": [encode_sample(sample).decode() for sample in samples],
        "prompt": absent, "answer": absent, "text": [f"{row.id} says {row.hit}" for row in rows],
        "error": [None if row.hit is not None else "gone" for row in rows], "finish_reason": absent,
        "slices": [dumps(row.slices).decode() if row.slices else None for row in rows],
        "repeat": [row.repeat for row in rows], "input_tokens": absent, "output_tokens": absent, "latency_s": absent,
        "first_token_s": absent, "truncated": [False] * len(rows), "cached": [False] * len(rows),
    }  # fmt: skip
    values = np.array([np.nan if row.hit is None else row.hit for row in rows])
    stats = np.column_stack([values, np.where(np.isnan(values), np.nan, 1.0)])
    writer = SampleWriter(folder, ["exact_match"])
    missing = {place: "gone" for place, row in enumerate(rows) if row.hit is None}
    writer.write(columns, {"exact_match": MetricColumn(values, stats, missing)})
    writer.close()
    write_record(folder, record(folder))
    return folder


def record(folder: Path) -> RunRecord:
    """What ``run.json`` of such a folder says."""
    facts = {"name": "exact_match", "family": "text", "higher_is_better": True, "bounds": [0, 1], "unit": ""}
    estimate = {"entry": "m", "model": "m", "cell": "", "task": "t", "metric": "exact_match", "signature": SIGNATURE,
                "value": 0.5, "low": None, "high": None, "n": 1, "n_missing": 0, "primary": True}  # fmt: skip
    return RunRecord(
        schema=1, run_id=folder.name, name="by hand", parent=None, plan_hash="p", config={"tasks": [{"task": "t"}]}, seeds=(0,),
        data_fingerprints={"t": {"version": 1, "language": "en"}}, model_signatures={"m": {}},
        metric_signatures={"exact_match": facts}, environment={}, estimates=(estimate,),
        standings={"tasks": [], "mean_rank": {}}, tables=(), timings={}, counts={"units": {"m × t": {}}}, path=folder,
    )  # fmt: skip
