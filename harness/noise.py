"""How much numbers move from run to run of one config when nothing has changed: the floor that a gate must not fire at.

A difference of two runs on the same samples already carries the noise of each sample's answer, as far as samples vary by
themselves: the spread of the paired differences shows it. What it cannot show is what moves all samples of a run together (the
state of a service, a seed that all share, the batch). That part is measured here, from repeated runs, and the gate adds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import UsageError
from harness.stats.components import run_noise
from harness.store import read_record, read_samples
from harness.store.noise import Noise, RunNoise
from harness.types import FloatArray, RunRecord

Unit = tuple[str, str, str]
"""Model, cell, task: one unit's rows in ``samples.parquet``."""

_ROUNDING = 1e-12
"""Share of the values' size up to which their spread may be the rounding of sums."""


def measure_noise(folders: Sequence[Path]) -> Noise:
    """Entry → task → metric → the run-to-run part of its variance, from finished runs of one plan.

    Where a metric is the mean of its samples' values, the part that independent samples explain is taken off
    (:func:`harness.stats.components.run_noise`); of any other metric all the variance of the runs' values counts, never
    less. Metrics that are undefined in some run are left out.

    Raises UsageError for fewer than two runs or runs of different plans, StoreError for a folder that cannot be read.
    """
    if len(folders) < 2:
        raise UsageError(f"noise: needs at least two runs, got {len(folders)}")
    records = [read_record(folder) for folder in folders]
    plans = {record.plan_hash for record in records}
    if len(plans) > 1:
        raise UsageError(f"noise: the runs must have the same plan, got {len(plans)} plans: {', '.join(sorted(plans))}")
    noise: dict[str, dict[str, dict[str, RunNoise]]] = {}
    for estimate in records[0].estimates:
        found = _of_metric(estimate, records, folders)
        if found is not None:
            noise.setdefault(estimate["entry"], {}).setdefault(estimate["task"], {})[estimate["metric"]] = found
    return noise


def _of_metric(estimate: Mapping[str, Any], records: Sequence[RunRecord], folders: Sequence[Path]) -> RunNoise | None:
    values = [_value(record, estimate) for record in records]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    unit, metric = (estimate["model"], estimate["cell"], estimate["task"]), estimate["metric"]
    found = np.array(known)
    spread = float(found.std(ddof=1))
    if spread <= _ROUNDING * float(np.abs(found).max()):
        spread = 0.0
    variance, dof = spread**2, float(len(found) - 1)
    if variance > 0:
        by_sample = _by_sample(folders, unit, metric)
        if by_sample is not None and np.allclose(by_sample.mean(axis=1), found, rtol=1e-6, atol=1e-9):
            excess = run_noise(by_sample)
            variance, dof = (excess.variance, excess.dof) if excess.n_items > 1 else (variance, dof)
    return RunNoise(variance, dof, spread, int(estimate["n"]), tuple(known))


def _value(record: RunRecord, estimate: Mapping[str, Any]) -> float | None:
    where = ("entry", "task", "metric")
    same = (other for other in record.estimates if all(other[key] == estimate[key] for key in where))
    return next((other["value"] for other in same), None)


def _by_sample(folders: Sequence[Path], unit: Unit, metric: str) -> FloatArray | None:
    """``float64[runs, samples]``: the value of each sample, over its repeats, where every run has it; None where one run has
    no value for a sample that others have, or rows have none."""
    runs = [_sample_values(folder, unit, metric) for folder in folders]
    if any(run is None or run.keys() != runs[0].keys() for run in runs) or not runs[0]:  # type: ignore[union-attr]
        return None
    names = sorted(runs[0])
    return np.array([[run[name] for name in names] for run in runs if run is not None])


def _sample_values(folder: Path, unit: Unit, metric: str) -> dict[str, float] | None:
    column = f"metric.{metric}"
    sums: dict[str, list[float]] = {}
    where = dict(zip(("model", "cell", "task"), unit))
    for block in read_samples(folder, ["sample_id", column], where):
        for sample, scored in zip(block["sample_id"], block[column]):
            value = None if scored is None else scored["value"]
            if value is not None:
                sums.setdefault(sample, []).append(value)
            elif scored is None or scored["missing"] is None:
                return None  # it has statistics, and no value by itself
    return {sample: sum(values) / len(values) for sample, values in sums.items()}
