"""Rows of ``samples.parquet`` as a person reads them: what was asked, what came, what was wanted, how it scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.api import Run
from harness.codec import loads
from harness.report.numbers import plain

_TAIL, _LONGEST, _DOCUMENTS = 400, 600, 5
_METRIC = "metric."


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows are wanted; ``limit`` 0 is no limit."""

    task: str | None
    entry: str | None
    failed: bool
    limit: int


@dataclass(frozen=True, slots=True)
class ShownSample:
    """One row. ``missing`` maps metrics to why they have no value; ``wanted`` holds what the sample asks for."""

    model: str
    task: str
    id: str
    repeat: int
    prompt: str | None
    answer: Any
    text: str | None
    error: str | None
    wanted: Mapping[str, Any]
    metrics: Mapping[str, float | None]
    missing: Mapping[str, str]


def shown_samples(run: Run, selection: Selection) -> tuple[list[ShownSample], bool]:
    """The selected rows, at most ``limit`` of them, and whether there are more."""
    found: list[ShownSample] = []
    for sample in _selected(run, selection):
        if selection.limit and len(found) == selection.limit:
            return found, True
        found.append(sample)
    return found, False


def print_sample(out: Console, sample: ShownSample) -> None:
    """A heading, then a line each for prompt, answer, what was wanted and the values."""
    repeat = f", repeat {sample.repeat}" if sample.repeat else ""
    out.print(Text.assemble((sample.id, "bold"), f"  {sample.model} × {sample.task}{repeat}"))
    grid = Table.grid(padding=(0, 2, 0, 0))
    for name, text in _lines(sample):
        grid.add_row(Text(name, style="dim"), Text(text))
    out.print(grid)
    out.print()


def _lines(sample: ShownSample) -> Iterator[tuple[str, str]]:
    if sample.prompt is not None:
        yield "prompt", _tail(sample.prompt)
    if sample.error is not None:
        yield "missing", sample.error
    else:
        yield "answer", sample.text if sample.text is not None else _answer(sample.answer)
        yield from _passages(sample.answer)
    for name, value in sample.wanted.items():
        yield name, _shown(value)
    values = [f"{name} {plain(value)}" for name, value in sample.metrics.items() if value is not None]
    if values:
        yield "metrics", "   ".join(values)
    for name, reason in sample.missing.items():
        if reason != sample.error:
            yield "missing", f"{name}: {reason}"


def _selected(run: Run, selection: Selection) -> Iterator[ShownSample]:
    where = {} if selection.task is None else {"task": selection.task}
    for block in run.samples(where=where):
        metrics = [name for name in block if name.startswith(_METRIC)]
        for i in range(len(block["sample_id"])):
            row = _row(block, i, metrics)
            if selection.entry in (None, row.model) and (not selection.failed or row.error is not None or row.missing):
                yield row


def _row(block: Mapping[str, list[Any]], i: int, metrics: list[str]) -> ShownSample:
    cell = block["cell"][i]
    scored = {name.removeprefix(_METRIC): block[name][i] for name in metrics if block[name][i] is not None}
    sample = loads(block["sample"][i])
    return ShownSample(
        model=f"{block['model'][i]} [{cell}]" if cell else block["model"][i],
        task=block["task"][i],
        id=block["sample_id"][i],
        repeat=block["repeat"][i],
        prompt=block["prompt"][i],
        answer=None if block["answer"][i] is None else loads(block["answer"][i]),
        text=block["text"][i],
        error=block["error"][i],
        wanted={name: sample[name] for name in ("references", "target", "qrels") if sample.get(name) not in (None, [], {})},
        metrics={name: value["value"] for name, value in scored.items() if value["missing"] is None},
        missing={name: value["missing"] for name, value in scored.items() if value["missing"] is not None},
    )


def _passages(answer: Any) -> Iterator[tuple[str, str]]:
    """What a text is built on, each passage with its position, and the positions that the text cites."""
    found = answer if isinstance(answer, dict) else {}
    for position, passage in enumerate(found.get("contexts", ())):
        yield "" if position else "contexts", f"[{position}] {_shown(passage)}"
    if found.get("citations"):
        yield "citations", " ".join(f"[{position}]" for position in found["citations"])


def _answer(answer: Any) -> str:
    if isinstance(answer, dict) and "documents" in answer:
        pairs = list(zip(answer["documents"], answer["scores"]))
        listed = ", ".join(f"{document} ({score:.4g})" for document, score in pairs[:_DOCUMENTS])
        return listed + (f", … {len(pairs)} in all" if len(pairs) > _DOCUMENTS else "")
    return _shown(answer)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        text = "\n".join(map(str, value))
    elif isinstance(value, dict):
        text = ", ".join(f"{key}: {item}" for key, item in value.items())
    else:
        text = "" if value is None else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _tail(prompt: str) -> str:
    """The end of a prompt: few-shot examples stand before it and are always the same."""
    return prompt if len(prompt) <= _TAIL else f"… {prompt[-_TAIL:]}"
