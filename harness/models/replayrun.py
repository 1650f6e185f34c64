"""Stored outputs of an earlier run: its ``samples.parquet``, one task and one model at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

from harness.codec import decode_answer, loads
from harness.errors import BackendError, did_you_mean
from harness.types import Call, Output, Timing, Usage

SAMPLES = "samples.parquet"

_WHO = ("model", "cell")
_KEY = ("arm", "sample_id", "repeat")
_OUTPUT = ("answer", "error", "finish_reason", "truncated", "input_tokens", "output_tokens", "latency_s", "first_token_s")


class StoredRun:
    """The answers of one of the models of a run; ``model`` is its name, or as on the leaderboard ``name [cell]``."""

    def __init__(self, folder: Path, model: str | None) -> None:
        self._folder, self._model = folder, model
        self._rows: dict[tuple[str, int], dict[str, int]] = {}
        self._columns: dict[str, Any] = {}

    def start_task(self, task: str) -> Literal["own"]:
        """Read the task's rows. Raises BackendError if the run has none of them, or several models to choose from."""
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        path = self._folder / SAMPLES
        there = set(pq.read_schema(path).names)
        wanted = [name for name in (*_WHO, *_KEY, *_OUTPUT) if name in there]
        table = pq.read_table(path, columns=wanted, filters=pc.field("task") == task)
        if not table.num_rows:
            tasks = pc.unique(pq.read_table(path, columns=["task"])["task"]).to_pylist()
            raise BackendError(f"replay: the run {self._folder} has no task {task!r}{did_you_mean(task, tasks)}")
        entries = [_entry(*who) for who in zip(table["model"].to_pylist(), _texts(table, "cell"))]
        chosen = self._choose(entries, table["model"].to_pylist(), task)
        table = table.filter(pc.equal(_array(entries), chosen))
        self._rows = {}
        for row, (arm, sample_id, repeat) in enumerate(
            zip(_texts(table, "arm"), table["sample_id"].to_pylist(), table["repeat"].to_pylist())
        ):
            self._rows.setdefault((arm, repeat), {})[sample_id] = row
        self._columns = {name: table[name].combine_chunks() for name in _OUTPUT if name in there}
        return "own"

    def find(self, call: Call) -> Output | None:
        """The stored output, or None; a failed one comes back with its error."""
        key = call.key
        row = self._rows.get((key.arm, key.repeat), {}).get(key.sample_id)
        if row is None:
            return None
        value = {name: column[row].as_py() for name, column in self._columns.items()}
        usage, timing = None, None
        if value.get("input_tokens") is not None or value.get("output_tokens") is not None:
            usage = Usage(value.get("input_tokens") or 0, value.get("output_tokens") or 0)
        if value.get("latency_s") is not None:
            timing = Timing(value["latency_s"], value.get("first_token_s"))
        answer = None if value["answer"] is None else decode_answer(loads(value["answer"]))
        return Output(
            key, answer, error=value.get("error"), finish_reason=value.get("finish_reason"),
            truncated=bool(value.get("truncated")), usage=usage, timing=timing,
        )

    def close(self) -> None:
        self._rows, self._columns = {}, {}

    def _choose(self, entries: list[str], models: list[str], task: str) -> str:
        pairs = dict.fromkeys(zip(entries, models))
        fitting = [entry for entry, model in pairs if self._model in (None, entry, model)]
        names = ", ".join(entry for entry, _ in pairs)
        if not fitting:
            raise BackendError(f"replay: the run {self._folder} has no model {self._model!r} on task {task!r}; it has {names}")
        if len(fitting) > 1:
            raise BackendError(f"replay: the run {self._folder} has several models on task {task!r}; "
                               f"choose with model: one of {', '.join(fitting)}")
        return fitting[0]


def _entry(model: str, cell: str) -> str:
    return f"{model} [{cell}]" if cell else model


def _texts(table: Any, name: str) -> list[str]:
    """A column of text with "" for null, or for a column that is not there."""
    if name not in table.column_names:
        return [""] * table.num_rows
    return [value or "" for value in cast("list[str | None]", table[name].to_pylist())]


def _array(values: list[str]) -> Any:
    import pyarrow as pa

    return pa.array(values)
