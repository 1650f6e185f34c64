"""``--device``: what it changes of a run and what it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import load_run
from harness.config.devices import on_device
from harness.engine.plan import make_plan
from harness.errors import UsageError

CONFIG = """\
models:
  small: {backend: transformers, source: "path:.", dtype: float32}
  nothing: {backend: null}
roles:
  encoder: {backend: sentence_encoder, source: "path:.", device: cpu}
tasks: [task.yaml]
matrix: {models.small.dtype: [float32, bfloat16]}
"""
TASK = """\
task: t
suite: generation
data: {format: jsonl, path: rows.jsonl}
sample: {references: ["{{ a }}"]}
prompt: {text: "{{ q }}"}
metrics: [exact_match]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "rows.jsonl").write_text('{"q": "1", "a": "2"}\n')
    (tmp_path / "task.yaml").write_text(TASK)
    (tmp_path / "run.yaml").write_text(CONFIG)
    return tmp_path / "run.yaml"


def test_every_model_and_role_that_runs_here_moves_in_every_cell(config: Path) -> None:
    moved = on_device(load_run(config), "cuda:1")
    assert [cell.models["small"].backend.device for cell in moved.cells] == ["cuda:1", "cuda:1"]  # type: ignore[attr-defined]
    assert [cell.models["small"].backend.dtype for cell in moved.cells] == ["float32", "bfloat16"]  # type: ignore[attr-defined]
    assert moved.roles["encoder"].backend.device == "cuda:1"  # type: ignore[attr-defined]
    assert moved.cells[0].models["nothing"] is moved.cells[1].models["nothing"]
    assert moved.document["models"]["small"]["device"] == moved.document["roles"]["encoder"]["device"] == "cuda:1"
    assert "device" not in moved.document["models"]["nothing"]


def test_the_plan_is_the_same_one_so_that_a_run_can_go_on_elsewhere(config: Path) -> None:
    plan = load_run(config)
    assert make_plan(on_device(plan, "cuda")).plan_hash == make_plan(plan).plan_hash


def test_a_run_without_such_models_refuses_it(config: Path) -> None:
    config.write_text("models: {nothing: {backend: null}}\ntasks: [task.yaml]\n")
    with pytest.raises(UsageError, match="--device cuda: no model of this run has a device to choose"):
        on_device(load_run(config), "cuda")
