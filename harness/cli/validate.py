"""``harness validate``: everything that can be known of a config without loading a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from harness import api
from harness.cli.configs import config_or_default
from harness.cli.options import CacheDir, Config, Json, Overrides
from harness.cli.output import add_rows, console, print_json, print_next, table, typed
from harness.engine.preview import FirstPrompt, Rendering, renderings
from harness.protocols import Resources
from harness.store import pretty

Render = Annotated[
    bool, typer.Option("--render", help="Show what each model would be handed; of local models, the tokens.")
]

_MOST_TOKENS = 60
"""Shown at each end of a prompt; --json has them all."""


def command(
    config: Config = None, overrides: Overrides = None, render: Render = False, cache_dir: CacheDir = None,
    as_json: Json = False,
) -> int:  # fmt: skip
    """Check a config, its tasks and their data, and show the first prompt of every task. Loads no model."""
    path = config_or_default(config, "harness validate")
    checked = api.check(path, overrides or ())
    resources = Resources(api.cache_folder(cache_dir), say=lambda message: console(stderr=True).print(message, soft_wrap=True))
    rendered = list(renderings(checked.plan, resources)) if render else []
    if as_json:
        shown = {"rendered": [_rendered(rendering) for rendering in rendered]} if render else {}
        print_json(_document(checked) | shown)
        return 0
    out = console()
    out.print(add_rows(table("task", "suite", "samples", "models", "metrics"), _task_rows(checked)))
    for prompt in checked.prompts:
        out.print()
        out.print(_panel(prompt))
    for rendering in rendered:
        out.print()
        out.print(_rendered_panel(rendering))
    if render and not rendered:
        out.print()
        out.print(Text("no model of this run can say what it would be handed before it is opened", style="dim"), soft_wrap=True)
    out.print()
    for note in checked.plan.notes:
        out.print(Text(f"note: {note}", style="dim"), soft_wrap=True)
    for warning in checked.warnings:
        out.print(Text(f"warning: {warning}", style="yellow"), soft_wrap=True)
    out.print(Text(f"{path} is valid: {_count(len(checked.plan.units), 'unit')} of model × task to run"), soft_wrap=True)
    words = [word for override in overrides or () for word in ("--set", override)]
    print_next(typed("run", str(path), *words))
    return 0


def _document(checked: api.Checked) -> dict[str, Any]:
    config, plan = checked.config, checked.plan
    tasks = [
        {
            "task": task.name, "version": task.version, "suite": task.suite_name, "path": str(task.path),
            "n_samples": plan.task_data(task).facts.n, "metrics": list(task.metric_specs),
            "models": [unit.entry for unit in plan.units if unit.task.name == task.name],
        }
        for task in _tasks(checked)
    ]  # fmt: skip
    models = [{"model": model.name, "backend": model.backend_name} for model in config.cells[0].models.values()]
    prompts = [
        {"model": prompt.entry, "task": prompt.task, "sample_id": prompt.sample_id, "request": prompt.request,
         "prompt": prompt.prompt, "continuations": list(prompt.continuations)}
        for prompt in checked.prompts
    ]  # fmt: skip
    return {
        "name": config.name, "path": str(config.path), "plan_hash": plan.plan_hash, "tasks": tasks, "models": models,
        "prompts": prompts, "notes": list(plan.notes),
        "warnings": list(checked.warnings),
    }  # fmt: skip


def _tasks(checked: api.Checked) -> list[Any]:
    """The tasks by name, as the first of their units has them."""
    return list({unit.task.name: unit.task for unit in reversed(checked.plan.units)}.values())[::-1]


def _task_rows(checked: api.Checked) -> list[list[object]]:
    rows: list[list[object]] = []
    for task in _tasks(checked):
        entries = dict.fromkeys(unit.entry for unit in checked.plan.units if unit.task.name == task.name)
        n = checked.plan.task_data(task).facts.n
        rows.append([task.name, task.suite_name, n, "\n".join(entries), ", ".join(task.metric_specs)])
    return rows


def _panel(prompt: FirstPrompt) -> Panel:
    body = Text(prompt.prompt)
    for continuation in prompt.continuations:
        body.append("\n→ ", style="dim").append(repr(continuation))
    title = Text(f"{prompt.task}, sample {prompt.sample_id} ({prompt.request} to {prompt.entry})")
    return Panel(body, title=title, title_align="left", expand=False)


def _rendered(rendering: Rendering) -> dict[str, Any]:
    return {"model": rendering.entry, "task": rendering.task, "sample_id": rendering.sample_id, "request": rendering.request,
            **rendering.handed}  # fmt: skip


def _rendered_panel(rendering: Rendering) -> Panel:
    title = f"what {rendering.entry} is handed: {rendering.task}, sample {rendering.sample_id} ({rendering.request})"
    if "tokens" not in rendering.handed:
        return Panel(Text(pretty(rendering.handed).decode()), title=Text(title), title_align="left", expand=False)
    handed = rendering.handed
    cut = " (cut to what the model can read)" if handed.get("truncated") else ""
    counted = Text(f"{_count(len(handed['token_ids']), 'token')}{cut}:", style="dim")
    lines = [Text(handed["text"]), counted, _tokens(handed)]
    for scored in handed.get("continuations", ()):
        lines += [Text(f"→ {scored['text']!r}:", style="dim"), _tokens(scored)]
    return Panel(Group(*lines), title=Text(title), title_align="left", expand=False)


def _tokens(handed: Mapping[str, Any]) -> Text:
    """``57 What  272 Ġis``: ids and pieces, the middle of a long prompt left out."""
    pairs: Sequence[tuple[int, str]] = list(zip(handed["token_ids"], handed["tokens"]))
    hidden = len(pairs) - 2 * _MOST_TOKENS
    made = Text()
    for index, (token, piece) in enumerate(pairs):
        if hidden <= 0 or not _MOST_TOKENS <= index < len(pairs) - _MOST_TOKENS:
            made.append(f"{token} ", style="dim").append(f"{piece}  ")
        elif index == _MOST_TOKENS:
            made.append(f"… {hidden} more …  ", style="dim")
    return made


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
