"""YAML -> a run that is checked as a whole: names resolved, paths found, plug-ins built, the matrix expanded.

All faults of all files are told at once, each as ``file:line:column: message``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.protocols import Backend, Metric, Suite


MAX_BOOTSTRAP = 1_000_000
"""The most resamplings that an interval may ask for."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A model under test or in a role. ``options`` is its entry as written, ``backend:`` among its keys; JSON-able."""

    name: str
    backend: Backend
    backend_name: str
    options: Mapping[str, Any]
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class TaskConfig:
    """A task. ``source`` is the data format's object; ``models`` are those of the run that take it (None: all that can).

    ``sample`` and ``document`` are plain data: the field templates as written, and the whole task with everything merged.
    ``places`` says where its keys are written, and where each metric is (``metrics.rouge_l``).
    """

    name: str
    slug: str
    version: int
    language: str
    suite: Suite
    suite_name: str
    source: Any
    sample: Mapping[str, Any]
    metrics: tuple[Metric, ...]
    metric_specs: tuple[str, ...]
    primary: Metric
    limit: int | None
    models: tuple[str, ...] | None
    path: Path
    document: Mapping[str, Any]
    places: Mapping[str, str] = field(default_factory=dict, compare=False)

    def where(self, *keys: str) -> str:
        """``file:line:column`` of the first of these keys that is written, else the file."""
        from harness.config.yamltree import shown

        return next((self.places[key] for key in keys if key in self.places), shown(self.path))


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of the matrix. Models and tasks that an axis does not touch are the same objects in every cell."""

    axes: Mapping[str, Any]
    models: Mapping[str, ModelConfig]
    tasks: tuple[TaskConfig, ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """``max_cost`` in the currency of the models' prices and ``max_tokens`` (read and written) of the whole run, what was
    answered before it was stopped among it; ``max_seconds`` from when this process began it. None: no limit."""

    max_cost: float | None = None
    max_tokens: int | None = None
    max_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A run. Without ``matrix:`` there is one cell, with no axes. ``gate`` holds the policy with its defaults filled in."""

    name: str
    path: Path
    cells: tuple[Cell, ...]
    roles: Mapping[str, ModelConfig]
    seeds: tuple[int, ...] = (0,)
    max_missing: float = 0.01
    cache: Mapping[str, str] | None = None
    budget: Budget | None = None
    scoring: Mapping[str, float | None] = field(default_factory=dict)
    level: float = 0.95
    n_bootstrap: int = 1000
    gate: Mapping[str, Any] | None = None
    document: Mapping[str, Any] = field(default_factory=dict)


def load_run(path: Path | str, overrides: Sequence[str] = ()) -> RunConfig:
    """The run that a config file describes, with ``KEY=VALUE`` overrides (``models.a.dtype=float32``, ``limit=5``,
    ``tasks.NAME.limit=5``); their values are YAML.

    Nothing is loaded or opened but the YAML files. Raises ConfigError with every fault of every file.
    """
    from harness.config.load import read_run

    return read_run(Path(os.path.abspath(path)), overrides)


def load_task(path: Path | str) -> TaskConfig:
    """The task that a task file describes, by itself. Raises ConfigError with every fault."""
    from harness.config.load import read_task

    return read_task(Path(os.path.abspath(path)))


def load_gate(path: Path | str) -> dict[str, Any]:
    """The policy of a YAML file with the keys of ``gate:``, its defaults filled in. Raises ConfigError with every fault."""
    from harness.config.load import read_gate

    return read_gate(Path(os.path.abspath(path)))


def gate_of(written: Any, where: str) -> dict[str, Any]:
    """A policy that a run record holds as it was written, with its defaults. Raises ConfigError, naming ``where``."""
    from harness.config.load import gate_as_written

    return gate_as_written(written, where)


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of ``"task"`` or ``"run"`` files, with the plug-ins that are installed."""
    from harness.config.document import schema_of

    return schema_of(kind)


def slug(name: str) -> str:
    """A name as a folder's or file's name: letters, digits, ``_``, ``.`` and ``-`` of any script, everything else ``-``."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "task"
